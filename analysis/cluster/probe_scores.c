#include "analysis/cluster/probe_scores.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"

/* What a row's last visit was. */
enum { NEVER_RIGHT, WRONG, RIGHT };

struct seeds {
	enum ek_probe_score which;
	const struct ek_softmax_data *data;
	const struct ek_probe_score_options *options;
	float *values;    /* [seeds, rows] */
	uint64_t *rights; /* [seeds] rows that were right at their last visit */
};

/* One of them, as it learns. */
struct watched {
	const struct seeds *all;
	float *value;   /* [rows] */
	uint8_t *state; /* [rows] of forgetting, or NULL */
	float *row;     /* [d] of grand, or NULL */
	uint32_t last;  /* epoch that it learns */
	uint64_t right;
};

static void count_forgotten(struct watched *w, uint64_t i, int right)
{
	if (!right && w->state[i] == RIGHT)
		w->value[i]++;
	if (right || w->state[i] != NEVER_RIGHT)
		w->state[i] = right ? RIGHT : WRONG;
}

static void visit(void *context, uint32_t epoch, uint64_t i, const float *z)
{
	struct watched *w = context;
	const struct seeds *all = w->all;
	const float margin = ek_softmax_margin(z, all->data->classes, all->data->label[i]);
	const int right = margin > 0;

	w->right += epoch == w->last && right;
	if (all->which == EK_PROBE_AUM)
		w->value[i] += margin / (float)all->options->epochs;
	if (w->state != NULL)
		count_forgotten(w, i, right);
}

/* |x|² of a row as it is learned from. */
static double squares(const struct watched *w, uint64_t i)
{
	const struct ek_softmax_data *data = w->all->data;
	const float *row = ek_rows_at(data->rows, i, w->row);
	double sum = 0;

	for (size_t j = 0; j < data->rows->dimensions; j++) {
		const double x = (double)((row[j] - data->shift[j]) * data->scale[j]);

		sum += x * x;
	}
	return sum;
}

static void take(void *context, uint64_t i, float *z)
{
	struct watched *w = context;
	const uint32_t classes = w->all->data->classes, label = w->all->data->label[i];
	double sum = 0;

	if (w->all->which == EK_PROBE_MARGIN) {
		w->value[i] = ek_softmax_margin(z, classes, label);
		return;
	}
	ek_softmax(z, classes);
	for (uint32_t c = 0; c < classes; c++) {
		const double from = (double)z[c] - (c == label);

		sum += from * from;
	}
	w->value[i] = (float)sqrt(w->all->which == EK_PROBE_GRAND ? sum * (squares(w, i) + 1) : sum);
}

static int after_epoch(void *context, uint32_t epoch, const float *weights)
{
	struct watched *w = context;
	const enum ek_probe_score which = w->all->which;
	int rc = 0;

	if (epoch != w->last)
		return 0;
	if (which != EK_PROBE_FORGETTING && which != EK_PROBE_AUM)
		EK_TRY(ek_softmax_pass(w->all->data, weights, NULL, w->all->data->rows->count, take, w));
out:
	return rc < 0 ? rc : EK_SOFTMAX_ENOUGH;
}

/* How many epochs it takes. */
static uint32_t epochs_of(enum ek_probe_score which, const struct ek_probe_score_options *o)
{
	return which == EK_PROBE_EL2N || which == EK_PROBE_GRAND ? o->early : o->epochs;
}

static int learn_seed(void *context, uint64_t s, int worker)
{
	const struct seeds *all = context;
	const uint64_t n = all->data->rows->count;
	const size_t d = all->data->rows->dimensions;
	const struct ek_softmax_options options = { .epochs = all->options->epochs,
		                                    .rate = all->options->rate,
		                                    .seed = all->options->seed + s };
	struct watched w = { .all = all,
		             .value = all->values + s * n,
		             .last = epochs_of(all->which, all->options) - 1 };
	const struct ek_softmax_watch watch = { visit, after_epoch, &w };
	float *weights = NULL;
	int rc;

	(void)worker;
	EK_TRY(ek_alloc(&weights, all->data->classes * (d + 1), sizeof *weights));
	EK_TRY(ek_alloc(&w.row, d, sizeof *w.row));
	if (all->which == EK_PROBE_FORGETTING)
		EK_TRY(ek_alloc(&w.state, n, 1));
	EK_TRY(ek_softmax_train(weights, all->data, NULL, 0, &options, &watch));
	for (uint64_t i = 0; w.state != NULL && i < n; i++)
		if (w.state[i] == NEVER_RIGHT)
			w.value[i] = (float)options.epochs;
	all->rights[s] = w.right;
out:
	free(weights);
	free(w.row);
	free(w.state);
	return rc;
}

/* The mean of row i over the seeds, and its standard error. */
static void fold(float *score, float *error, const struct seeds *all, uint64_t i)
{
	const uint64_t n = all->data->rows->count;
	const uint32_t seeds = all->options->seeds;
	double mean = 0, sum = 0;

	for (uint32_t s = 0; s < seeds; s++)
		mean += (double)all->values[s * n + i] / seeds;
	for (uint32_t s = 0; s < seeds; s++) {
		const double from = (double)all->values[s * n + i] - mean;

		sum += from * from;
	}
	*score = (float)mean;
	*error = seeds > 1 ? (float)sqrt(sum / (seeds - 1) / seeds) : NAN;
}

int ek_probe_scores(float *score, float *error, double *accuracy, enum ek_probe_score which,
                    const struct ek_softmax_data *data, const struct ek_probe_score_options *o)
{
	struct seeds all = { .which = which, .data = data, .options = o };
	const uint64_t n = data->rows->count;
	int rc;

	EK_TRY(ek_alloc(&all.values, o->seeds * n, sizeof *all.values));
	EK_TRY(ek_alloc(&all.rights, o->seeds, sizeof *all.rights));
	ek_progress_begin("probe", "visits", n * epochs_of(which, o) * o->seeds);
	rc = ek_parallel(o->seeds, learn_seed, &all);
	ek_progress_end();
	EK_TRY(rc);
	for (uint64_t i = 0; i < n; i++)
		fold(&score[i], &error[i], &all, i);
	*accuracy = 0;
	for (uint32_t s = 0; s < o->seeds; s++)
		*accuracy += (double)all.rights[s] / (double)n / o->seeds;
out:
	free(all.values);
	free(all.rights);
	return rc;
}
