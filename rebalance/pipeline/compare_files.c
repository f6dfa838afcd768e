/* A comparison as CSV and as JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/pipeline/compare_files.h"

static const char *const fixed[] = {
	"run",          "evaluation",       "trained_on", "method", "keep",     "pruning_ratio", "training_images",
	"generated",    "reference_images", "measured",   "k",      "baseline", "not_compared",  "made_otherwise",
	"worst_cluster"
};

/* A field that is not a number is quoted, its quotes doubled. */
static int add_text(struct ek_buffer *b, const char *text)
{
	int rc;

	EK_TRY(ek_buffer_text(b, "\""));
	for (; text != NULL && *text != 0; text++)
		EK_TRY(ek_buffer_printf(b, *text == '"' ? "\"%c" : "%c", *text));
	EK_TRY(ek_buffer_text(b, "\","));
out:
	return rc;
}

/* Empty where there is none. */
static int add_number(struct ek_buffer *b, double x)
{
	int rc = 0;

	if (isfinite(x))
		EK_TRY(ek_json_append_double(b, x));
	EK_TRY(ek_buffer_text(b, ","));
out:
	return rc;
}

static const char *trained_on(const struct ek_comparison_row *row)
{
	static const char *const names[] = { "natural", "weighted", "balanced", "pruned", "elsewhere" };

	return names[row->trained];
}

static const char *baseline_of(const struct ek_comparison_row *row)
{
	return row->unlike == NULL && row->baseline != row ? row->baseline->name : NULL;
}

static int add_head(struct ek_buffer *b)
{
	int rc;

	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		EK_TRY(ek_buffer_printf(b, "%s,", fixed[i]));
	for (size_t m = 0; m < EK_CMP_MEASURES; m++) {
		const char *name = ek_comparison_measures[m].name;

		EK_TRY(ek_buffer_printf(b, "%s,%s_low,%s_high,%s_std,%s_difference,%s_verdict%s", name, name, name,
		                        name, name, name, m + 1 < EK_CMP_MEASURES ? "," : "\r\n"));
	}
out:
	return rc;
}

static int add_row(struct ek_buffer *b, const struct ek_comparison_row *row)
{
	int rc;

	EK_TRY(add_text(b, row->run));
	EK_TRY(add_text(b, row->name));
	EK_TRY(add_text(b, trained_on(row)));
	EK_TRY(add_text(b, row->series));
	EK_TRY(add_number(b, row->keep));
	EK_TRY(add_number(b, 1 - row->keep));
	EK_TRY(ek_buffer_printf(b, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", row->training_images, row->generated,
	                        row->reference_images));
	EK_TRY(add_text(b, row->keys[0]));
	EK_TRY(ek_buffer_printf(b, "%" PRIu64 ",", row->k));
	EK_TRY(add_text(b, baseline_of(row)));
	EK_TRY(add_text(b, row->unlike));
	EK_TRY(add_text(b, row->note));
	EK_TRY(add_number(b, row->worst_cluster >= 0 ? (double)row->worst_cluster : (double)NAN));
	for (size_t m = 0; m < EK_CMP_MEASURES; m++) {
		const struct ek_compared *v = &row->values[m];

		EK_TRY(add_number(b, v->value));
		EK_TRY(add_number(b, v->low));
		EK_TRY(add_number(b, v->high));
		EK_TRY(add_number(b, v->deviation));
		EK_TRY(add_number(b, v->difference));
		EK_TRY(ek_buffer_printf(b, "%s%s", ek_difference_names[v->verdict],
		                        m + 1 < EK_CMP_MEASURES ? "," : "\r\n"));
	}
out:
	return rc;
}

int ek_compare_write_csv(const struct ek_comparison *c, const uint8_t *shown, const char *path)
{
	struct ek_buffer text = { 0 };
	int rc;

	EK_TRY(add_head(&text));
	for (size_t i = 0; i < c->count; i++)
		if (shown[i])
			EK_TRY(add_row(&text, &c->rows[i]));
	EK_TRY(ek_atomic_save(path, text.data, text.size));
out:
	ek_buffer_release(&text);
	return rc;
}

static int add_measure(cJSON *values, const char *name, const struct ek_compared *v)
{
	cJSON *item, *interval;
	int rc;

	if (!isfinite(v->value))
		return ek_json_add_null(values, name);
	EK_TRY(ek_json_add_object(&item, values, name));
	EK_TRY(ek_json_add_double(item, "value", v->value));
	if (v->low <= v->high) {
		EK_TRY(ek_json_add_array(&interval, item, "ci95"));
		EK_TRY(ek_json_add_double(interval, NULL, v->low));
		EK_TRY(ek_json_add_double(interval, NULL, v->high));
	}
	if (v->seeds > 0) {
		EK_TRY(ek_json_add_double(item, "std", v->deviation));
		EK_TRY(ek_json_add_u64(item, "seeds", v->seeds));
	}
	if (v->verdict != EK_DIFFERENCE_NONE) {
		EK_TRY(ek_json_add_double(item, "difference", v->difference));
		EK_TRY(ek_json_add_string(item, "verdict", ek_difference_names[v->verdict]));
	}
out:
	return rc;
}

/* Why a measure is null, as the evaluation has it: under its own name, that of the member it lies in, or that of the
 * tail. */
static const char *why(const cJSON *json, const struct ek_comparison_measure *m)
{
	const cJSON *reasons = cJSON_GetObjectItemCaseSensitive(json, "reasons"), *text;
	const char *const last = strrchr(m->path, '.') != NULL ? strrchr(m->path, '.') + 1 : m->path;
	char first[32];

	(void)snprintf(first, sizeof first, "%.*s", (int)strcspn(m->path, "."), m->path);
	if ((text = cJSON_GetObjectItemCaseSensitive(reasons, last)) == NULL)
		text = cJSON_GetObjectItemCaseSensitive(reasons, first);
	return cJSON_IsString(text) ? text->valuestring : "the evaluation does not have it";
}

static int add_reasons(cJSON *item, const struct ek_comparison_row *row)
{
	cJSON *reasons;
	int rc;

	EK_TRY(ek_json_add_object(&reasons, item, "reasons"));
	if (!isfinite(row->keep))
		EK_TRY(ek_json_add_string(reasons, "keep",
		                          row->trained == EK_TRAINED_ELSEWHERE
		                                  ? "it was not trained on images of the run"
		                                  : "how many images there were is not known"));
	if (row->worst_cluster < 0)
		EK_TRY(ek_json_add_string(reasons, "worst_cluster",
		                          "several clusters share the least coverage, or none was measured"));
	for (size_t m = 0; m < EK_CMP_MEASURES; m++)
		if (!isfinite(row->values[m].value))
			EK_TRY(ek_json_add_string(reasons, ek_comparison_measures[m].name,
			                          why(row->json, &ek_comparison_measures[m])));
out:
	return rc;
}

static int add_optional(cJSON *to, const char *name, const char *text)
{
	return text != NULL ? ek_json_add_string(to, name, text) : ek_json_add_null(to, name);
}

static int add_evaluation(cJSON *list, const struct ek_comparison_row *row)
{
	cJSON *item, *values;
	int rc;

	EK_TRY(ek_json_add_object(&item, list, NULL));
	EK_TRY(ek_json_add_string(item, "run", row->run));
	EK_TRY(ek_json_add_string(item, "evaluation", row->name));
	EK_TRY(ek_json_add_string(item, "trained_on", trained_on(row)));
	EK_TRY(ek_json_add_string(item, "method", row->series));
	EK_TRY(ek_json_add_double(item, "keep", row->keep));
	EK_TRY(ek_json_add_double(item, "pruning_ratio", 1 - row->keep));
	EK_TRY(ek_json_add_u64(item, "training_images", row->training_images));
	EK_TRY(ek_json_add_u64(item, "generated", row->generated));
	EK_TRY(ek_json_add_u64(item, "reference_images", row->reference_images));
	EK_TRY(ek_json_add_string(item, "measured", row->keys[0]));
	EK_TRY(ek_json_add_u64(item, "k", row->k));
	EK_TRY(add_optional(item, "baseline", baseline_of(row)));
	EK_TRY(add_optional(item, "not_compared", row->unlike));
	EK_TRY(add_optional(item, "made_otherwise", row->note));
	if (isfinite(row->steps))
		EK_TRY(ek_json_add_double(item, "training_steps", row->steps));
	EK_TRY(ek_json_add_double(item, "worst_cluster",
	                          row->worst_cluster >= 0 ? (double)row->worst_cluster : (double)NAN));
	EK_TRY(ek_json_add_object(&values, item, "measures"));
	for (size_t m = 0; m < EK_CMP_MEASURES; m++)
		EK_TRY(add_measure(values, ek_comparison_measures[m].name, &row->values[m]));
	EK_TRY(add_reasons(item, row));
out:
	return rc;
}

int ek_compare_json(cJSON **out, const struct ek_comparison *c, const uint8_t *shown)
{
	cJSON *list;
	int rc;

	*out = cJSON_CreateObject();
	EK_TRY(ek_json_add_array(&list, *out, "evaluations"));
	for (size_t i = 0; i < c->count; i++)
		if (shown[i])
			EK_TRY(add_evaluation(list, &c->rows[i]));
out:
	return rc;
}
