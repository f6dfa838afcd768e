#include "analysis/quality/evaluation_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/skew/skew.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

int ek_evaluation_number(cJSON *parent, const char *name, double value)
{
	return isfinite(value) ? ek_json_add_double(parent, name, value) : ek_json_add_null(parent, name);
}

int ek_evaluation_none(cJSON *parent, cJSON *reasons, const char *name, const char *format, ...)
{
	char text[512];
	va_list args;
	int rc;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	EK_TRY(ek_json_add_null(parent, name));
	EK_TRY(ek_json_add_string(reasons, name, text));
out:
	return rc;
}

int ek_evaluation_grouped(cJSON *parent, cJSON *reasons, const char *group, const char *name, double value,
                          const char *why)
{
	char whole[80];
	int rc;

	EK_TRY(ek_evaluation_number(parent, name, value));
	(void)snprintf(whole, sizeof whole, "%s_%s", group, name);
	if (!isfinite(value))
		EK_TRY(ek_json_add_string(reasons, whole, why));
out:
	return rc;
}

static uint64_t id_of(const struct ek_rows *rows, uint64_t i)
{
	return rows->ids != NULL ? rows->ids[i] : i;
}

int ek_evaluation_slice(struct ek_rows *out, uint64_t **ids, const struct ek_rows *rows, uint64_t first, uint64_t count)
{
	int rc;

	EK_TRY(ek_alloc(ids, count, sizeof **ids));
	for (uint64_t i = 0; i < count; i++)
		(*ids)[i] = id_of(rows, first + i);
	*out = *rows;
	out->ids = *ids;
	out->count = count;
out:
	return rc;
}

int ek_evaluation_members(struct ek_rows *out, uint64_t **ids, const struct ek_rows *rows,
                          const struct ek_evaluation_order *order, uint32_t cluster)
{
	const uint64_t *members = order->rows + order->first[cluster];
	int rc;

	*out = *rows;
	out->count = order->first[cluster + 1] - order->first[cluster];
	EK_TRY(ek_alloc(ids, out->count, sizeof **ids));
	for (uint64_t i = 0; i < out->count; i++)
		(*ids)[i] = id_of(rows, members[i]);
	out->ids = *ids;
out:
	return rc;
}

double ek_evaluation_median(double *values, uint64_t count)
{
	if (count == 0)
		return (double)NAN;
	qsort(values, count, sizeof *values, ek_compare_doubles);
	/* Two infinities have no mean of their own. */
	return values[(count - 1) / 2] == values[count / 2] ? values[count / 2]
	                                                    : (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static int mean_of(double *values, const uint64_t *counts, size_t k, const void *context)
{
	const double *scores = context;
	double sum = 0, count = 0;

	for (size_t i = 0; i < k; i++) {
		sum += scores[i] * (double)counts[i];
		count += (double)counts[i];
	}
	values[0] = sum / count;
	return 0;
}

int ek_evaluation_mean_interval(struct ek_interval *out, const double *scores, const uint64_t *counts, size_t cells,
                                double most, const struct ek_evaluating *e, const char *name)
{
	const struct ek_interval range = { 0, most };
	const struct ek_statistics statistics = { .measure = mean_of, .context = scores, .count = 1, .ranges = &range };
	const struct ek_bootstrap bootstrap = { .resamples = e->o->resamples, .seed = e->o->seed, .name = name };

	return ek_bootstrap_intervals(out, &statistics, counts, cells, &bootstrap);
}

/* --- by cluster --- */

/* The rows of each cluster, in their order. */
static int arrange(struct ek_evaluation_order *order, const int32_t *cluster, uint64_t count, uint32_t clusters)
{
	uint64_t *next = NULL;
	int rc;

	EK_TRY(ek_alloc(&order->rows, count, sizeof *order->rows));
	EK_TRY(ek_alloc(&order->first, (size_t)clusters + 1, sizeof *order->first));
	EK_TRY(ek_alloc(&next, clusters, sizeof *next));
	for (uint64_t i = 0; i < count; i++)
		order->first[cluster[i] + 1]++;
	for (uint32_t c = 0; c < clusters; c++) {
		order->first[c + 1] += order->first[c];
		next[c] = order->first[c];
	}
	for (uint64_t i = 0; i < count; i++)
		order->rows[next[cluster[i]]++] = i;
out:
	free(next);
	return rc;
}

static void tally_rows(struct ek_evaluating *e)
{
	const struct ek_evaluation_input *in = e->in;

	for (uint64_t i = 0; i < in->reference.count; i++) {
		e->tally[in->reference_cluster[i]].reference++;
		e->tally[in->reference_cluster[i]].covered += e->fidelity.real > 0 && e->fidelity.covered[i];
	}
	for (uint64_t j = 0; j < in->generated.count; j++) {
		struct ek_evaluation_tally *t = &e->tally[in->generated_cluster[j]];

		t->generated++;
		t->precise += e->fidelity.real > 0 && e->fidelity.balls[j] > 0;
		t->copies += e->memory.generated > 0 && e->memory.copied[j];
		if (in->asked != NULL && (uint32_t)in->asked[j] < in->clusters) {
			e->tally[in->asked[j]].asked++;
			t->in_own += in->asked[j] == in->generated_cluster[j];
		}
	}
}

int ek_evaluation_count(struct ek_evaluating *e)
{
	const struct ek_evaluation_input *in = e->in;
	uint64_t all = 0;
	int rc;

	EK_TRY(ek_alloc(&e->tally, in->clusters, sizeof *e->tally));
	EK_TRY(ek_alloc(&e->counts, in->clusters, sizeof *e->counts));
	EK_TRY(ek_alloc(&e->training, in->clusters, sizeof *e->training));
	EK_TRY(ek_alloc(&e->weights, in->clusters, sizeof *e->weights));
	EK_TRY(arrange(&e->generated, in->generated_cluster, in->generated.count, in->clusters));
	EK_TRY(arrange(&e->reference, in->reference_cluster, in->reference.count, in->clusters));
	tally_rows(e);
	for (uint32_t c = 0; c < in->clusters; c++)
		all += in->training_counts[c];
	for (uint32_t c = 0; c < in->clusters; c++) {
		e->tally[c].in_tail = ek_in_tail(in->training_counts[c], all, in->clusters);
		e->training[c] = (double)in->training_counts[c] / (double)all;
		e->counts[c] = e->tally[c].generated;
		e->weights[c] = (double)e->tally[c].reference;
	}
out:
	return rc;
}

void ek_evaluation_coverage(double *coverage, const struct ek_evaluating *e, const struct ek_fidelity *f)
{
	memset(coverage, 0, e->in->clusters * sizeof *coverage);
	for (uint64_t i = 0; i < f->real; i++)
		coverage[e->in->reference_cluster[i]] += f->covered[i];
	for (uint32_t c = 0; c < e->in->clusters; c++)
		coverage[c] = e->weights[c] > 0 ? coverage[c] / e->weights[c] : (double)NAN;
}

static void release_order(struct ek_evaluation_order *order)
{
	free(order->rows);
	free(order->first);
}

void ek_evaluating_release(struct ek_evaluating *e)
{
	cJSON_Delete(e->reasons);
	ek_fidelity_release(&e->fidelity);
	ek_memorisation_release(&e->memory);
	release_order(&e->generated);
	release_order(&e->reference);
	free(e->tally);
	free(e->counts);
	free(e->training);
	free(e->weights);
}
