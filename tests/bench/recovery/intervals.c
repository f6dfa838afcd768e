/*
 * How often the intervals of shares that labels give (`cluster --labels`) hold the truth, and how wide they are beside
 * those of the random sample alone (docs/recovery.md):
 *
 *	bench_recovery_intervals FEATURES.npy GROUPS.npy RATIO ORDER LARGEST DRAWS SAMPLE VIEWS
 *
 * The first five as for bench_recovery. Each draw takes 10 images of every group and a simple random sample of SAMPLE
 * images, labels both, and estimates all shares. VIEWS: 1, or 0 for all that are there as training rows. One line of
 * JSON, over all draws and groups: the share of intervals that hold the truth, that of the group with the fewest, the
 * share of intervals that predictions take part in (the others, of groups of which fewer than 5 were drawn, are those
 * of the sample), the mean widths of these and of the sample's own for the same groups, and the same over all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/probe.h"
#include "analysis/skew/prediction.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "tests/bench/recovery/hidden.h"

enum { EACH = 10, FEW = 5 };

struct bench {
	struct ek_hidden h;
	uint64_t sample; /* images of it */
	size_t views;
	uint64_t *numbers, *ids; /* [n] in turn: those drawn at random; [n] of all labelled */
	uint32_t *group;         /* [n] of the labelled */
	float *x, *q;            /* [n, views, k], [n, groups] */
	uint8_t *is_in;          /* [n] */
	double truth[EK_HIDDEN_GROUPS];
};

struct tally {
	uint64_t intervals, powered, held[EK_HIDDEN_GROUPS], sample_held;
	double width, sample_width, powered_width, powered_sample_width;
};

/* The random sample first, then the images of every group. Returns how many were labelled. */
static int draw(uint64_t *count, struct bench *b, uint64_t seed)
{
	uint64_t each;
	int rc;

	memset(b->is_in, 0, b->h.n);
	EK_TRY(ek_hidden_shuffle(b->ids, &b->h, seed, "sample"));
	for (uint64_t i = 0; i < b->sample; i++)
		b->is_in[b->ids[i]] = 1;
	EK_TRY(ek_hidden_shuffle(b->numbers, &b->h, seed, "labels"));
	each = ek_hidden_first(b->numbers, &b->h, EACH);
	*count = b->sample;
	for (uint64_t i = 0; i < each; i++)
		if (!b->is_in[b->numbers[i]])
			b->ids[(*count)++] = b->numbers[i];
	for (uint64_t i = 0; i < *count; i++) {
		b->group[i] = b->h.group[b->ids[i]];
		memcpy(b->x + i * b->h.k, b->h.x + b->ids[i] * b->h.k, b->h.k * sizeof *b->x);
	}
	if (b->views > 1)
		EK_TRY(ek_hidden_views(b->x, &b->h, b->ids, *count));
out:
	return rc;
}

static double width(struct ek_interval i)
{
	return i.high - i.low;
}

static void tell_group(struct tally *t, const struct bench *b, uint32_t g, double *f, uint8_t *y)
{
	double mean = 0, squares = 0;
	struct ek_prediction found;
	struct ek_interval alone;
	uint64_t yes = 0;

	for (uint64_t i = 0; i < b->h.n; i++) {
		const double q = (double)b->q[i * b->h.groups + g];

		mean += q / (double)b->h.n;
		squares += q * q / (double)b->h.n;
	}
	for (uint64_t i = 0; i < b->sample; i++) {
		f[i] = (double)b->q[b->ids[i] * b->h.groups + g];
		y[i] = b->group[i] == g;
		yes += y[i];
	}
	ek_prediction_share(&found, f, y, b->sample, mean, squares - mean * mean, b->h.n);
	alone = ek_wilson(yes, b->sample);
	t->intervals++;
	t->held[g] += found.interval.low <= b->truth[g] && b->truth[g] <= found.interval.high;
	t->sample_held += alone.low <= b->truth[g] && b->truth[g] <= alone.high;
	t->width += width(found.interval);
	t->sample_width += width(alone);
	if (yes < FEW || b->sample - yes < FEW)
		return;
	t->powered++;
	t->powered_width += width(found.interval);
	t->powered_sample_width += width(alone);
}

static int measure(struct tally *t, struct bench *b, uint64_t seed, double *f, uint8_t *y)
{
	struct ek_probe_rows rows = {
		.x = b->x, .stride = b->h.k, .views = b->views, .group = b->group, .groups = b->h.groups
	};
	struct ek_probe probe = { 0 };
	struct ek_probe_choice choice;
	int rc;

	EK_TRY(draw(&rows.images, b, seed));
	EK_TRY(ek_probe_choose(&probe, &choice, &rows, seed));
	EK_TRY(ek_probe_cross(b->q, &rows, b->ids, &choice, probe.temperature, b->h.x, b->h.n, b->h.k, seed));
	for (uint32_t g = 0; g < b->h.groups; g++)
		tell_group(t, b, g, f, y);
out:
	ek_probe_release(&probe);
	return rc;
}

static void print(const struct tally *t, const struct bench *b, uint64_t draws)
{
	uint64_t held = 0, fewest = draws;

	for (uint32_t g = 0; g < b->h.groups; g++) {
		held += t->held[g];
		fewest = t->held[g] < fewest ? t->held[g] : fewest;
	}
	printf("{\"images\":%llu,\"groups\":%u,\"draws\":%llu,\"sample\":%llu,\"views\":%zu,\"held\":%.4f,"
	       "\"fewest\":%.4f,\"sample_held\":%.4f,\"powered\":%.4f,\"powered_width\":%.4f,"
	       "\"powered_sample_width\":%.4f,\"width\":%.4f,\"sample_width\":%.4f}\n",
	       (unsigned long long)b->h.n, b->h.groups, (unsigned long long)draws, (unsigned long long)b->sample,
	       b->views, (double)held / (double)t->intervals, (double)fewest / (double)draws,
	       (double)t->sample_held / (double)t->intervals, (double)t->powered / (double)t->intervals,
	       t->powered_width / (double)t->powered, t->powered_sample_width / (double)t->powered,
	       t->width / (double)t->intervals, t->sample_width / (double)t->intervals);
}

static int run(struct bench *b, uint64_t draws)
{
	struct tally t = { 0 };
	uint8_t *y = NULL;
	double *f = NULL;
	int rc;

	EK_TRY(ek_alloc(&b->numbers, b->h.n, sizeof *b->numbers));
	EK_TRY(ek_alloc(&b->ids, b->h.n, sizeof *b->ids));
	EK_TRY(ek_alloc(&b->group, b->h.n, sizeof *b->group));
	EK_TRY(ek_alloc(&b->is_in, b->h.n, 1));
	EK_TRY(ek_alloc(&b->q, b->h.n * b->h.groups, sizeof *b->q));
	EK_TRY(ek_alloc(&b->x, (b->sample + EACH * b->h.groups) * b->views * b->h.k, sizeof *b->x));
	EK_TRY(ek_alloc(&f, b->sample, sizeof *f));
	EK_TRY(ek_alloc(&y, b->sample, sizeof *y));
	ek_hidden_shares(b->truth, &b->h, NULL);
	for (uint64_t d = 0; d < draws; d++)
		EK_TRY(measure(&t, b, d, f, y));
	print(&t, b, draws);
out:
	free(f);
	free(y);
	return rc;
}

int main(int argc, char **argv)
{
	struct bench b = { 0 };
	int rc;

	if (argc != 9) {
		fprintf(stderr, "usage: bench_recovery_intervals FEATURES.npy GROUPS.npy RATIO ORDER LARGEST DRAWS "
		                "SAMPLE VIEWS\n");
		return 2;
	}
	EK_TRY(ek_hidden_open(&b.h, argv[1], argv[2], strtod(argv[3], NULL), strtoull(argv[4], NULL, 10),
	                      strtod(argv[5], NULL)));
	b.sample = strtoull(argv[7], NULL, 10);
	b.views = strtoull(argv[8], NULL, 10) == 1 ? 1 : b.h.views;
	EK_TRY(run(&b, strtoull(argv[6], NULL, 10)));
out:
	ek_hidden_release(&b.h);
	free(b.numbers);
	free(b.ids);
	free(b.group);
	free(b.is_in);
	free(b.x);
	free(b.q);
	if (rc < 0)
		fprintf(stderr, "bench_recovery_intervals: %s\n", ek_error_message());
	return rc < 0;
}
