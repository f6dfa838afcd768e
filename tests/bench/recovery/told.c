/*
 * What a few labels tell of images whose groups are known, for what is made of it by shares.py (docs/evaluation.md):
 *
 *	bench_recovery_told FEATURES.npy GROUPS.npy OTHERS.npy DRAWS EACH OUT
 *
 * FEATURES.npy, GROUPS.npy: as bench_recovery takes them. OTHERS.npy: [images, d] float16, embeddings of images that
 * take no part in components and are never labelled. Each draw labels EACH images of every group, at random. Writes,
 * draw by draw, probabilities as if groups were equally frequent, as evaluate has them, float32:
 *	OUT-DRAW-all.npy      [images, groups]
 *	OUT-DRAW-others.npy   [others, groups]
 *	OUT-DRAW-cross.npy    [images, groups] by probes that did not learn from the image
 *	OUT-DRAW-given.npy    [labels] int64: which images were labelled
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/probe.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/text.h"
#include "tests/bench/recovery/hidden.h"

struct bench {
	struct ek_hidden h;
	const char *out;
	uint64_t others, each;
	uint64_t *numbers; /* [n] */
	uint32_t *group;   /* [n] of the labelled */
	float *y;          /* [others, k] */
	float *x, *q;      /* [labels, views, k], [n or others, groups] */
};

static int open_others(struct bench *b, const char *path)
{
	struct ek_npy array;
	struct ek_rows rows;
	int rc;

	EK_TRY(ek_npy_open(&array, path));
	EK_TRY(ek_rows_of(&rows, &array, 0));
	b->others = rows.count;
	EK_TRY(ek_alloc(&b->y, b->others * b->h.k, sizeof *b->y));
	EK_TRY(ek_components_project(b->y, &b->h.noise, &rows, b->h.k));
out:
	ek_npy_close(&array);
	return rc;
}

/* Without the shares of what the probe learned from. */
static int write(const struct bench *b, uint64_t draw, const char *what, uint64_t n, const double *train)
{
	const uint32_t groups = b->h.groups;
	char *path = NULL;
	int rc;

	for (uint64_t i = 0; i < n; i++) {
		double sum = 0;

		for (uint32_t g = 0; g < groups; g++)
			sum += (double)b->q[i * groups + g] / train[g];
		for (uint32_t g = 0; g < groups; g++)
			b->q[i * groups + g] = (float)((double)b->q[i * groups + g] / train[g] / sum);
	}
	EK_TRY(ek_format(&path, "%s-%llu-%s.npy", b->out, (unsigned long long)draw, what));
	EK_TRY(ek_npy_write(path, EK_F32, 2, (const uint64_t[]){ n, groups }, b->q));
out:
	free(path);
	return rc;
}

static int measure(struct bench *b, uint64_t draw)
{
	struct ek_probe_rows rows = {
		.x = b->x, .stride = b->h.k, .views = b->h.views, .group = b->group, .groups = b->h.groups
	};
	struct ek_probe probe = { 0 };
	struct ek_probe_choice choice;
	char *path = NULL;
	int rc;

	EK_TRY(ek_hidden_shuffle(b->numbers, &b->h, draw, "labels"));
	rows.images = ek_hidden_first(b->numbers, &b->h, b->each);
	for (uint64_t i = 0; i < rows.images; i++)
		b->group[i] = b->h.group[b->numbers[i]];
	EK_TRY(ek_hidden_views(b->x, &b->h, b->numbers, rows.images));
	EK_TRY(ek_probe_choose(&probe, &choice, &rows, draw));
	fprintf(stderr, "draw %llu: c %g, views %zu, accuracy %.3f, log loss %.3f\n", (unsigned long long)draw,
	        choice.c, choice.views, choice.accuracy, choice.log_loss);
	EK_TRY(ek_probe_predict_all(b->q, &probe, b->h.x, b->h.n, b->h.k));
	EK_TRY(write(b, draw, "all", b->h.n, probe.train));
	EK_TRY(ek_probe_predict_all(b->q, &probe, b->y, b->others, b->h.k));
	EK_TRY(write(b, draw, "others", b->others, probe.train));
	EK_TRY(ek_probe_cross(b->q, &rows, b->numbers, &choice, probe.temperature, b->h.x, b->h.n, b->h.k, draw));
	EK_TRY(write(b, draw, "cross", b->h.n, probe.train));
	EK_TRY(ek_format(&path, "%s-%llu-given.npy", b->out, (unsigned long long)draw));
	EK_TRY(ek_npy_write(path, EK_I64, 1, (const uint64_t[]){ rows.images }, b->numbers));
out:
	free(path);
	ek_probe_release(&probe);
	return rc;
}

static int run(struct bench *b, uint64_t draws)
{
	const uint64_t most = b->h.n > b->others ? b->h.n : b->others;
	int rc;

	EK_TRY(ek_alloc(&b->numbers, b->h.n, sizeof *b->numbers));
	EK_TRY(ek_alloc(&b->group, b->h.n, sizeof *b->group));
	EK_TRY(ek_alloc(&b->x, b->each * b->h.groups * b->h.views * b->h.k, sizeof *b->x));
	EK_TRY(ek_alloc(&b->q, most * b->h.groups, sizeof *b->q));
	for (uint64_t d = 0; d < draws; d++)
		EK_TRY(measure(b, d));
out:
	free(b->numbers);
	free(b->group);
	free(b->x);
	free(b->q);
	return rc;
}

int main(int argc, char **argv)
{
	struct bench b = { 0 };
	int rc;

	if (argc != 7) {
		fprintf(stderr, "usage: bench_recovery_told FEATURES.npy GROUPS.npy OTHERS.npy DRAWS EACH OUT\n");
		return 2;
	}
	b.out = argv[6];
	b.each = strtoull(argv[5], NULL, 10);
	EK_TRY(ek_hidden_open(&b.h, argv[1], argv[2], 0, 0, 0));
	EK_TRY(open_others(&b, argv[3]));
	EK_TRY(run(&b, strtoull(argv[4], NULL, 10)));
out:
	ek_hidden_release(&b.h);
	free(b.y);
	if (rc < 0)
		fprintf(stderr, "bench_recovery_told: %s\n", ek_error_message());
	return rc < 0;
}
