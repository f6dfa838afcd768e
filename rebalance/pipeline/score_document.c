/* RUN/scores/NAME.json: what the scores of a method come to. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/score_internal.h"

enum { BINS = 40, SHOWN = 24 };

/* sorted: [count] the numbers that are none NaN, rising; owned by the caller. */
static int sort(float **sorted, uint64_t *count, const float *values, uint64_t n)
{
	int rc;

	*count = 0;
	EK_TRY(ek_alloc(sorted, n, sizeof **sorted));
	for (uint64_t i = 0; i < n; i++)
		if (!isnan(values[i]))
			(*sorted)[(*count)++] = values[i];
	qsort(*sorted, *count, sizeof **sorted, ek_compare_floats);
out:
	return rc;
}

/* As numpy.quantile: between two numbers in a line. */
static double quantile(const float *sorted, uint64_t count, double q)
{
	const double at = q * (double)(count - 1);
	const uint64_t below = (uint64_t)at, above = below + 1 < count ? below + 1 : below;

	return (double)sorted[below] + (at - (double)below) * ((double)sorted[above] - (double)sorted[below]);
}

static int add_quantiles(cJSON *parent, const char *name, const float *sorted, uint64_t count)
{
	static const struct {
		const char *name;
		double q;
	} all[] = { { "min", 0 },    { "p05", 0.05 }, { "p25", 0.25 }, { "median", 0.5 },
		    { "p75", 0.75 }, { "p95", 0.95 }, { "max", 1 } };
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, parent, name));
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		EK_TRY(ek_json_add_double(object, all[i].name, quantile(sorted, count, all[i].q)));
out:
	return rc;
}

/* Images in bins of one width from the least to the largest score. */
static int add_histogram(cJSON *parent, const float *sorted, uint64_t count)
{
	const double low = (double)sorted[0], high = (double)sorted[count - 1];
	uint64_t bins[BINS] = { 0 };
	cJSON *object, *list;
	int rc;

	for (uint64_t i = 0; i < count; i++) {
		const double share = high > low ? ((double)sorted[i] - low) / (high - low) : 0;

		bins[share < 1 ? (size_t)(share * BINS) : BINS - 1]++;
	}
	EK_TRY(ek_json_add_object(&object, parent, "histogram"));
	EK_TRY(ek_json_add_double(object, "low", low));
	EK_TRY(ek_json_add_double(object, "high", high));
	EK_TRY(ek_json_add_array(&list, object, "images"));
	for (int b = 0; b < BINS; b++)
		EK_TRY(ek_json_add_u64(list, NULL, bins[b]));
out:
	return rc;
}

/* The ids with the largest (sign 1) or smallest (-1) scores, the most extreme first. */
static int add_extremes(cJSON *parent, const char *name, const struct ek_scoring *s, float sign)
{
	uint64_t ids[SHOWN];
	cJSON *list;
	int count = 0, rc;

	for (uint64_t i = 0; i < s->images; i++) {
		int at = count;

		if (isnan(s->score[i]))
			continue;
		while (at > 0 && sign * s->score[i] > sign * s->score[ids[at - 1]])
			at--;
		if (at == SHOWN)
			continue;
		count += count < SHOWN;
		memmove(ids + at + 1, ids + at, (size_t)(count - 1 - at) * sizeof *ids);
		ids[at] = i;
	}
	EK_TRY(ek_json_add_array(&list, parent, name));
	for (int k = 0; k < count; k++)
		EK_TRY(ek_json_add_u64(list, NULL, ids[k]));
out:
	return rc;
}

/* Why images are not scored; also as a warning. */
static int add_unscored(cJSON *parent, const struct ek_scoring *s)
{
	cJSON *list, *item;
	char text[32];
	int rc;

	EK_TRY(ek_json_add_array(&list, parent, "unscored"));
	for (uint8_t r = 0; r < EK_SCORING_REASONS; r++) {
		uint64_t count = 0, first = 0;

		for (uint64_t i = 0; i < s->images; i++)
			if (isnan(s->score[i]) && s->why[i] == r && count++ == 0)
				first = i;
		if (count == 0)
			continue;
		EK_TRY(ek_json_add_object(&item, list, NULL));
		EK_TRY(ek_json_add_string(item, "reason", r == 0 ? "its score is not a number" : s->reasons[r]));
		EK_TRY(ek_json_add_u64(item, "images", count));
		EK_TRY(ek_json_add_u64(item, "first", first));
		(count == s->images ||
		                 strcmp(ek_json_member(item, "reason")->valuestring, "held out for evaluation") == 0
		         ? ek_info
		         : ek_warn)("%s image%s not scored, the first is %" PRIu64 ": %s", ek_text_count(text, count),
		                    ek_text_s(count), first, ek_json_member(item, "reason")->valuestring);
	}
out:
	return rc;
}

static int add_error(cJSON *json, const struct ek_scoring *s)
{
	float *sorted = NULL;
	uint64_t count = 0;
	int rc;

	if (!s->method->has_errors)
		return ek_json_add_none(json, "standard_error", "the method has none");
	EK_TRY(sort(&sorted, &count, s->error, s->images));
	EK_TRY(count > 0 ? add_quantiles(json, "standard_error", sorted, count)
	                 : ek_json_add_none(json, "standard_error", "there is one seed"));
out:
	free(sorted);
	return rc;
}

/* What the scores come to. */
static int describe(cJSON *json, const struct ek_scoring *s)
{
	float *sorted = NULL;
	uint64_t count = 0;
	double mean = 0, squares = 0;
	int rc;

	EK_TRY(sort(&sorted, &count, s->score, s->images));
	EK_TRY(ek_json_add_u64(json, "images", s->images));
	EK_TRY(ek_json_add_u64(json, "scored", count));
	EK_TRY(add_unscored(json, s));
	if (count == 0) {
		rc = ek_fail(EK_EDATA, "no image could be scored");
		goto out;
	}
	for (uint64_t i = 0; i < count; i++)
		mean += (double)sorted[i] / (double)count;
	for (uint64_t i = 0; i < count; i++)
		squares += ((double)sorted[i] - mean) * ((double)sorted[i] - mean) / (double)count;
	EK_TRY(ek_json_add_double(json, "mean", mean));
	EK_TRY(ek_json_add_double(json, "deviation", sqrt(squares)));
	EK_TRY(add_quantiles(json, "quantiles", sorted, count));
	EK_TRY(add_histogram(json, sorted, count));
	EK_TRY(add_error(json, s));
	EK_TRY(add_extremes(json, "highest", s, 1));
	EK_TRY(add_extremes(json, "lowest", s, -1));
out:
	free(sorted);
	return rc;
}

int ek_scoring_save(const struct ek_scoring *s, const char *path)
{
	cJSON *json = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_string(json, "name", s->options->name));
	EK_TRY(ek_json_add_string(json, "method", s->method->name));
	EK_TRY(ek_json_add_string(json, "what", s->method->help));
	EK_TRY(ek_json_add_string(json, "hard", s->method->hard));
	EK_TRY(ek_json_add_item(json, "options", cJSON_Duplicate(s->json, 1)));
	EK_TRY(describe(json, s));
	for (const cJSON *item = s->report->child; item != NULL; item = item->next)
		EK_TRY(ek_json_add_item(json, item->string, cJSON_Duplicate(item, 1)));
	EK_TRY(ek_json_save(json, path));
out:
	cJSON_Delete(json);
	return rc;
}
