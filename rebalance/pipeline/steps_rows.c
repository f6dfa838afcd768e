/* The table of the steps, and those that have no file of their own. */
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/encoder.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/ranges.h"
#include "rebalance/io/run_files.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/other_encoders.h"
#include "rebalance/pipeline/outside.h"
#include "rebalance/pipeline/steps_internal.h"
#include "rebalance/pipeline/word_groups.h"
#include "reports/report.h"

enum { REPORT_VERSION = 6 };

/* The numbers and names of the document that a step wrote. */
int ek_step_take_counts(cJSON *counts, const struct ek_run *run, const char *document)
{
	cJSON *written = NULL;
	const cJSON *item;
	int rc;

	EK_TRY(ek_run_json_load(&written, run, document));
	cJSON_ArrayForEach(item, written) if (cJSON_IsNumber(item) || cJSON_IsString(item))
		EK_TRY(ek_json_add_item(counts, item->string, cJSON_Duplicate(item, 0)));
out:
	cJSON_Delete(written);
	return rc;
}

static int prepare_embed(struct ek_prepared *p, struct ek_run *run)
{
	static const enum ek_nn_precision precisions[] = { EK_NN_AUTO, EK_NN_F32, EK_NN_BF16 };
	const struct ek_steps_options *s = p->asked;
	const struct ek_embed_options o = { .encoder = ek_encoders[s->embed.encoder].name,
		                            .weights = s->embed.weights,
		                            .input_size = (int)s->embed.input_size,
		                            .precision = precisions[s->embed.precision],
		                            .storage = s->embed.storage == 0 ? EK_F32 : EK_F16 };
	/* A data set that is embeddings alone brings them along. */
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");
	const char *own = s->embed.embeddings;
	char *alone = NULL;
	int rc;

	if (own == NULL && cJSON_GetObjectItemCaseSensitive(counts, "embeddings") != NULL) {
		EK_TRY(ek_filename_get(&alone, counts, "embeddings", ek_scan_where));
		own = alone;
	}
	if (own != NULL) {
		EK_TRY(ek_import_prepare(&p->import, run, own));
		p->step = *ek_import_step(p->import);
	} else {
		ek_device_for_precision(o.precision);
		EK_TRY(ek_embed_prepare(&p->embed, run, &o));
		p->step = *ek_embed_step(p->embed);
	}
out:
	free(alone);
	return rc;
}

static int make_embed(void *prepared, struct ek_run *run, cJSON *counts)
{
	struct ek_prepared *p = prepared;
	const struct ek_steps_options *s = p->asked;
	int rc;

	EK_TRY(ek_other_encoders_keep(run, p->import != NULL ? "own" : ek_encoders[s->embed.encoder].name));
	if (p->import == NULL)
		ek_device_for(ek_embed_work(p->embed, 0));
	EK_TRY(p->import != NULL ? ek_import_run(p->import, run) : ek_embed_run(p->embed, run));
	p->step = p->import != NULL ? *ek_import_step(p->import) : *ek_embed_step(p->embed);
	EK_TRY(ek_step_take_counts(counts, run, "embeddings.json"));
out:
	return rc;
}

static int prepare_components(struct ek_prepared *p, struct ek_run *run)
{
	const struct ek_steps_options *s = p->asked;
	int rc = 0;

	if (s->components.views > 1)
		EK_TRY(prepare_embed(p, run));
	p->components = (struct ek_make_components){ .embed = p->embed,
		                                     .views = (int)s->components.views,
		                                     .seed = (uint64_t)s->seed };
	EK_TRY(ek_make_components_json(&p->options, &p->components));
	p->step = (struct ek_step){ .name = "components",
		                    .version = EK_COMPONENTS_VERSION,
		                    .options = p->options,
		                    .inputs = ek_components_inputs,
		                    .outputs = ek_components_outputs };
out:
	return rc;
}

static int make_components(void *prepared, struct ek_run *run, cJSON *counts)
{
	const struct ek_prepared *p = prepared;
	const int rc = ek_make_components(run, &p->components);

	return rc < 0 ? rc : ek_step_take_counts(counts, run, "components/components.json");
}

/* 1: a data set that is embeddings alone, or embeddings of the user's. */
static int has_own_embeddings(const struct ek_steps_options *s, const struct ek_run *run)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");

	return s->embed.embeddings != NULL || cJSON_GetObjectItemCaseSensitive(counts, "embeddings") != NULL;
}

/* 1: words are given to name groups that are found. */
int ek_groups_name_found(const struct ek_steps_options *s)
{
	return s->groups.words != NULL && s->groups.labels == NULL && s->groups.number >= 0;
}

static int prepare_groups(struct ek_prepared *p, struct ek_run *run)
{
	const struct ek_steps_options *s = p->asked;
	const int words = s->groups.words != NULL, found = ek_groups_name_found(s);
	int rc = 0;

	if (words)
		EK_TRY(ek_word_groups_weights(&p->tower,
		                              has_own_embeddings(s, run) ? NULL : ek_encoders[s->embed.encoder].name,
		                              s->embed.weights, s->groups.text_weights));
	else if (s->components.views > 1 && s->groups.labels != NULL)
		EK_TRY(prepare_embed(p, run));
	p->groups = (struct ek_make_groups){ .labels = s->groups.labels,
		                             .words = s->groups.words,
		                             .names_found = found,
		                             .tower = p->tower,
		                             .own_tower = words ? s->groups.text_weights : NULL,
		                             .groups = s->groups.number > 0 ? (uint32_t)s->groups.number : 0,
		                             .embed = p->embed,
		                             .seed = (uint64_t)s->seed };
	EK_TRY(ek_make_groups_json(&p->options, &p->groups));
	p->step = (struct ek_step){ .name = "groups",
		                    .version = EK_GROUPS_VERSION,
		                    .options = p->options,
		                    .inputs = words && !found ? ek_word_groups_inputs : ek_groups_inputs,
		                    .outputs = ek_groups_outputs };
out:
	return rc;
}

static int make_groups(void *prepared, struct ek_run *run, cJSON *counts)
{
	const struct ek_prepared *p = prepared;
	const int rc = ek_make_groups(run, &p->groups);

	return rc < 0 ? rc : ek_step_take_counts(counts, run, "clusters/groups.json");
}

/* "0.01,0.03" */
int ek_prepare_eps(struct ek_prepared *p, const char *text)
{
	char *end;

	while (*text != 0) {
		const double value = strtod(text, &end);

		if (end == text || (*end != 0 && *end != ',') || !(value > 0 && value <= 1) ||
		    p->duplicates.eps_count == EK_STEP_EPS)
			return ek_fail(EK_EUSAGE,
			               "'eps' is \"%s\", not up to %d numbers above 0 and up to 1 with commas",
			               p->asked->duplicates.eps, EK_STEP_EPS);
		p->eps[p->duplicates.eps_count++] = value;
		text = end + (*end == ',');
	}
	p->duplicates.eps = p->eps;
	return 0;
}

static int prepare_duplicates(struct ek_prepared *p, struct ek_run *run)
{
	int rc = 0;

	(void)run;
	p->duplicates.scope = (enum ek_duplicates_scope)p->asked->duplicates.scope;
	p->duplicates.order = (enum ek_duplicates_order)p->asked->duplicates.order;
	if (p->asked->duplicates.eps != NULL)
		EK_TRY(ek_prepare_eps(p, p->asked->duplicates.eps));
	EK_TRY(ek_duplicates_options_json(&p->options, &p->duplicates));
	p->step = (struct ek_step){ .name = "duplicates",
		                    .version = EK_DUPLICATES_VERSION,
		                    .options = p->options,
		                    .inputs = ek_duplicates_inputs,
		                    .outputs = ek_duplicates_outputs };
out:
	return rc;
}

static int make_duplicates(void *prepared, struct ek_run *run, cJSON *counts)
{
	struct ek_prepared *p = prepared;
	uint64_t rows;
	size_t d;
	int rc;

	ek_embeddings_size(&rows, &d, run);
	ek_device_for(ek_duplicates_work(&p->duplicates, rows, d));
	rc = ek_duplicates(run, &p->duplicates);
	return rc < 0 ? rc : ek_step_take_counts(counts, run, "clusters/duplicates.json");
}

static int prepare_audit(struct ek_prepared *p, struct ek_run *run)
{
	const struct ek_steps_options *s = p->asked;
	int rc = 0;

	(void)run;
	p->ranges = cJSON_CreateObject();
	for (int i = 0; i < s->audit.ranges.count; i++)
		EK_TRY(ek_ranges_add(p->ranges, s->audit.ranges.items[i]));
	p->audit = (struct ek_audit_options){ .resamples = (uint32_t)s->audit.resamples,
		                              .seed = (uint64_t)s->seed,
		                              .ranges = p->ranges };
	EK_TRY(ek_audit_step(&p->step, &p->options, &p->audit));
out:
	return rc;
}

static int make_audit(void *prepared, struct ek_run *run, cJSON *counts)
{
	const struct ek_prepared *p = prepared;

	(void)counts;
	return ek_audit(run, &p->audit);
}

/* The evaluations and scores that the report has to call stale, and why. */
static int add_stale(cJSON *options, struct ek_run *run)
{
	cJSON *list;
	const char *reason;
	int unchanged, rc;

	EK_TRY(ek_json_add_object(&list, options, "stale"));
	for (const cJSON *step = ek_run_first(run); step != NULL; step = step->next) {
		if (strncmp(step->string, "evaluation ", strlen("evaluation ")) != 0 &&
		    strncmp(step->string, "scores ", strlen("scores ")) != 0)
			continue;
		EK_TRY(ek_run_is_unchanged(&unchanged, &reason, run, step->string, 1));
		if (!unchanged)
			EK_TRY(ek_json_add_string(list, step->string, reason));
	}
	if (list->child == NULL)
		cJSON_DeleteItemFromObjectCaseSensitive(options, "stale");
out:
	return rc;
}

static int prepare_report(struct ek_prepared *p, struct ek_run *run)
{
	static const char *const outputs[] = { "report.html", NULL };
	int rc;

	EK_TRY(ek_report_inputs(&p->inputs, run));
	if ((p->options = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for options");
	EK_TRY(ek_outside_check(run));
	EK_TRY(add_stale(p->options, run));
	p->step = (struct ek_step){ .name = "report",
		                    .version = REPORT_VERSION,
		                    .options = p->options,
		                    .inputs = p->inputs,
		                    .outputs = outputs };
out:
	return rc;
}

static int make_report(void *prepared, struct ek_run *run, cJSON *counts)
{
	const struct ek_report_options options = { 0 };

	(void)prepared;
	(void)counts;
	return ek_report(run, &options);
}

const struct ek_step_kind ek_step_kinds[EK_STEP_COUNT] = {
	[EK_STEP_SCAN] = { "scan", "Reading images", "listing the images", ek_prepare_scan, ek_make_scan,
	                   ek_prepared_scan_is_current, 1 },
	[EK_STEP_EMBED] = { "embed", "Embedding", "embedding", prepare_embed, make_embed, NULL, 0 },
	[EK_STEP_COMPONENTS] = { "components", "Components", "whitening the embeddings", prepare_components,
	                         make_components, NULL, 0 },
	[EK_STEP_CLUSTER] = { "cluster", "Clusters", "clustering", ek_prepare_cluster, ek_make_cluster, NULL, 0 },
	[EK_STEP_GROUPS] = { "groups", "Groups", "finding groups", prepare_groups, make_groups, NULL, 0 },
	[EK_STEP_STABILITY] = { "stability", "Stability", "measuring stability", ek_prepare_stability,
	                        ek_make_stability, NULL, 0 },
	[EK_STEP_DUPLICATES] = { "duplicates", "Near-duplicates", "finding near-duplicates", prepare_duplicates,
	                         make_duplicates, NULL, 0 },
	[EK_STEP_AUDIT] = { "audit", "Measures", "measuring", prepare_audit, make_audit, NULL, 1 },
	[EK_STEP_REPORT] = { "report", "Report", "writing the report", prepare_report, make_report, NULL, 0 },
};

void ek_prepared_release(struct ek_prepared *p)
{
	for (size_t i = 0; p->datasets != NULL && p->datasets[i] != NULL; i++)
		free(p->datasets[i]);
	free(p->datasets);
	free(p->inputs);
	ek_embed_free(p->embed);
	ek_import_free(p->import);
	free(p->tower);
	cJSON_Delete(p->options);
	cJSON_Delete(p->ranges);
}
