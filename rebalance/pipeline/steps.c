#include "rebalance/pipeline/steps.h"
#include "rebalance/pipeline/word_groups.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analysis/cluster/choose.h"
#include "analysis/cluster/cluster.h"
#include "analysis/cluster/duplicates.h"
#include "analysis/cluster/stability.h"
#include "analysis/embed/embed.h"
#include "analysis/embed/encoder.h"
#include "analysis/embed/import.h"
#include "analysis/skew/audit.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/pipeline/components.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/group_words.h"
#include "rebalance/pipeline/groups.h"
#include "rebalance/pipeline/other_encoders.h"
#include "rebalance/pipeline/outside.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/layout.h"
#include "rebalance/io/ranges.h"
#include "rebalance/io/scan.h"
#include "reports/report.h"

enum { MAX_LEVELS = 8, MAX_EPS = 16, REPORT_VERSION = 6 };

/* A step made ready: what it would make is known, nothing is done yet. */
struct prepared {
	struct ek_steps_options *asked;
	struct ek_step step;
	cJSON *options;         /* owned; what step.options points to, unless a module owns it */
	char **datasets;        /* owned: those of the last time; [dataset_count] */
	struct ek_embed *embed; /* owned: one of these two makes the embeddings */
	struct ek_import *import;
	struct ek_make_components components;
	struct ek_make_groups groups;
	char *tower; /* of groups; owned */
	struct ek_scan_options scan;
	struct ek_cluster_options cluster;
	struct ek_choice_of_k choice; /* of cluster.clusters, where nobody wished for a number */
	struct ek_audit_options audit;
	cJSON *ranges;               /* of audit; owned */
	uint32_t levels[MAX_LEVELS]; /* of cluster.hierarchy */
	struct ek_stability_options stability;
	const char **inputs; /* owned */
	struct ek_duplicates_options duplicates;
	double eps[MAX_EPS]; /* of duplicates.eps */
};

struct row {
	const char *name, *title, *doing;
	int (*prepare)(struct prepared *p, struct ek_run *run); /* fills p->step */
	int (*make)(void *prepared, struct ek_run *run, cJSON *counts);
	int (*is_current)(int *current, const char **reason, void *prepared, struct ek_run *run,
	                  const struct ek_step *step);
	int records; /* both as in struct ek_work */
};

/* The numbers and names of the document that a step wrote. */
static int take_counts(cJSON *counts, const struct ek_run *run, const char *document)
{
	cJSON *written = NULL;
	const cJSON *item;
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, document));
	EK_TRY(ek_json_load(&written, path));
	cJSON_ArrayForEach(item, written) if (cJSON_IsNumber(item) || cJSON_IsString(item))
		EK_TRY(ek_json_add_item(counts, item->string, cJSON_Duplicate(item, 0)));
out:
	cJSON_Delete(written);
	free(path);
	return rc;
}

static const char scan_where[] = "run.json, step scan";

/* The data sets that the scan was made from. */
static int recall_datasets(struct prepared *p, const cJSON *options)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(options, "dataset"), *item;
	const int count = cJSON_GetArraySize(list);
	size_t i = 0;
	int rc;

	EK_TRY(ek_alloc(&p->datasets, (size_t)count + 1, sizeof *p->datasets));
	cJSON_ArrayForEach(item, list) EK_TRY(ek_filename_get(&p->datasets[i++], item, "path", scan_where));
	p->scan.datasets = (const char *const *)p->datasets;
	p->scan.dataset_count = i;
out:
	return rc;
}

static int is_text(const cJSON *object, const char *name, const char *text)
{
	const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return found != NULL && strcmp(found, text) == 0;
}

/* Only headers are to be checked, but an image that the check had passed was damaged: then all are decoded, so that ids
 * stay dense. run.json remembers it, as another check than the one asked for. */
static int found_late(const struct ek_steps_options *s, const struct ek_run *run)
{
	const cJSON *scan = ek_run_recorded(run, "scan");

	return s->scan.check == EK_SCAN_HEADER &&
	       (s->scan.found_late || (is_text(cJSON_GetObjectItemCaseSensitive(scan, "asked"), "check", "header") &&
	                               is_text(cJSON_GetObjectItemCaseSensitive(scan, "options"), "check", "decode")));
}

static int prepare_scan(struct prepared *p, struct ek_run *run)
{
	const struct ek_steps_options *s = p->asked;
	const cJSON *recorded = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "options");
	int rc;

	p->scan = (struct ek_scan_options){ .datasets = s->scan.datasets,
		                            .dataset_count = (size_t)s->scan.dataset_count,
		                            .attributes = s->scan.attributes,
		                            .key = s->scan.key,
		                            .include = s->scan.include.items,
		                            .include_count = (size_t)s->scan.include.count,
		                            .exclude = s->scan.exclude.items,
		                            .exclude_count = (size_t)s->scan.exclude.count,
		                            .max_pixels = (uint64_t)s->scan.max_pixels,
		                            .check = (enum ek_scan_check)s->scan.check,
		                            .held_out = s->scan.held_out };
	if (found_late(s, run))
		p->scan.check = EK_SCAN_DECODE;
	if (s->scan.datasets == NULL && recorded == NULL)
		return ek_fail(EK_EUSAGE, "%s has no images yet: evenkeel audit DATASET -o %s", ek_run_path(run),
		               ek_run_path(run));
	if (s->scan.datasets == NULL)
		EK_TRY(recall_datasets(p, recorded));
	rc = ek_scan_step(&p->step, &p->options, &p->scan, recorded != NULL);
out:
	return rc;
}

/* Tables that lie beside the images and could be read: one of attributes is shown as an example. */
static int tell_tables(const struct ek_run *run)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts"), *item;
	struct ek_buffer names = { 0 };
	char *path = NULL, *shown = NULL;
	int rc = 0;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(counts, "tables"))
	{
		EK_TRY(ek_filename_get(&path, item, "path", scan_where));
		EK_TRY(ek_buffer_printf(&names, "%s%s", names.size > 0 ? ", " : "", strrchr(path, '/') + 1));
		if (shown == NULL ||
		    (strstr(strrchr(shown, '/'), "attr") == NULL && strstr(strrchr(path, '/'), "attr"))) {
			free(shown);
			shown = path;
		} else {
			free(path);
		}
		path = NULL;
	}
	if (shown != NULL)
		ek_info("beside the images, not read: %s. To take attributes from one: 'attributes' %s", names.data,
		        shown);
out:
	ek_buffer_release(&names);
	free(path);
	free(shown);
	return rc;
}

static int tell_masks(const struct ek_run *run)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");
	const cJSON *masks = cJSON_GetObjectItemCaseSensitive(counts, "mask_like");
	char *first = NULL, *pattern = NULL;
	uint64_t images;
	int rc = 0;

	if (masks == NULL)
		return 0;
	EK_TRY(ek_json_get_u64(&images, masks, "images", scan_where));
	EK_TRY(ek_filename_get(&first, masks, "first", scan_where));
	EK_TRY(ek_filename_get(&pattern, masks, "pattern", scan_where));
	if (images == 1)
		ek_info("one of the images may be a mask or map of another (%s). To leave it out: 'exclude' '%s'",
		        first, pattern);
	else
		ek_info("%" PRIu64
		        " of the images may be masks or maps of others (%s, …). To leave them out: 'exclude' '%s'",
		        images, first, pattern);
out:
	free(first);
	free(pattern);
	return rc;
}

static int is_scan_current(int *current, const char **reason, void *prepared, struct ek_run *run,
                           const struct ek_step *step)
{
	(void)prepared;
	return ek_scan_is_current(current, reason, run, step);
}

static int make_scan(void *prepared, struct ek_run *run, cJSON *counts)
{
	struct prepared *p = prepared;
	int rc;

	(void)counts;
	EK_TRY(ek_scan(run, &p->scan));
	EK_TRY(tell_tables(run));
	EK_TRY(tell_masks(run));
out:
	return rc;
}

static int prepare_embed(struct prepared *p, struct ek_run *run)
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
		EK_TRY(ek_filename_get(&alone, counts, "embeddings", scan_where));
		own = alone;
	}
	if (own != NULL) {
		EK_TRY(ek_import_prepare(&p->import, run, own));
		p->step = *ek_import_step(p->import);
	} else {
		EK_TRY(ek_embed_prepare(&p->embed, run, &o));
		p->step = *ek_embed_step(p->embed);
	}
out:
	free(alone);
	return rc;
}

static int make_embed(void *prepared, struct ek_run *run, cJSON *counts)
{
	struct prepared *p = prepared;
	const struct ek_steps_options *s = p->asked;
	int rc;

	EK_TRY(ek_other_encoders_keep(run, p->import != NULL ? "own" : ek_encoders[s->embed.encoder].name));
	if (p->import == NULL)
		ek_device_for(ek_embed_work(p->embed));
	EK_TRY(p->import != NULL ? ek_import_run(p->import, run) : ek_embed_run(p->embed, run));
	EK_TRY(take_counts(counts, run, "embeddings.json"));
out:
	return rc;
}

static int prepare_components(struct prepared *p, struct ek_run *run)
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
	const struct prepared *p = prepared;
	const int rc = ek_make_components(run, &p->components);

	return rc < 0 ? rc : take_counts(counts, run, "components/components.json");
}

/* 1: a data set that is embeddings alone, or embeddings of the user's. */
static int has_own_embeddings(const struct ek_steps_options *s, const struct ek_run *run)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");

	return s->embed.embeddings != NULL || cJSON_GetObjectItemCaseSensitive(counts, "embeddings") != NULL;
}

/* 1: words are given to name groups that are found. */
static int names_found(const struct ek_steps_options *s)
{
	return s->groups.words != NULL && s->groups.labels == NULL && s->groups.number >= 0;
}

static int prepare_groups(struct prepared *p, struct ek_run *run)
{
	const struct ek_steps_options *s = p->asked;
	const int words = s->groups.words != NULL, found = names_found(s);
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
	const struct prepared *p = prepared;
	const int rc = ek_make_groups(run, &p->groups);

	return rc < 0 ? rc : take_counts(counts, run, "clusters/groups.json");
}

/* "10000,500,24" */
static int parse_levels(struct prepared *p, const char *text)
{
	char *end;

	while (*text != 0) {
		const unsigned long value = strtoul(text, &end, 10);

		if (end == text || (*end != 0 && *end != ',') || value == 0 || value > UINT32_MAX || *text == '-' ||
		    p->cluster.levels == MAX_LEVELS)
			return ek_fail(EK_EUSAGE, "'hierarchy' is \"%s\", not up to %d falling numbers with commas",
			               p->asked->cluster.hierarchy, MAX_LEVELS);
		p->levels[p->cluster.levels++] = (uint32_t)value;
		if (p->cluster.levels > 1 && value >= p->levels[p->cluster.levels - 2])
			return ek_fail(EK_EUSAGE, "'hierarchy' is \"%s\": %lu clusters cannot be made of %u",
			               p->asked->cluster.hierarchy, value, p->levels[p->cluster.levels - 2]);
		text = end + (*end == ',');
	}
	p->cluster.hierarchy = p->levels;
	return 0;
}

/* 1: the number of clusters is nobody's wish, and may be less than the default. */
static int is_default_number(const struct prepared *p)
{
	return p->asked->cluster.clusters < 0 && p->asked->cluster.hierarchy == NULL;
}

/* What the default was the last time: of the same images it is again. */
static uint32_t recall_default_number(const struct ek_run *run, uint32_t all)
{
	const cJSON *recorded = ek_run_recorded(run, "cluster");
	const cJSON *asked = cJSON_GetObjectItemCaseSensitive(recorded, "asked");
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(recorded, "options");
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(options, "clusters");

	if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(asked, "clusters")) || !cJSON_IsNumber(number) ||
	    number->valueint < 1 || (uint32_t)number->valueint > all)
		return all;
	return (uint32_t)number->valueint;
}

static int prepare_cluster(struct prepared *p, struct ek_run *run)
{
	const struct ek_steps_options *s = p->asked;
	const struct ek_cluster_options defaults = EK_CLUSTER_OPTIONS_DEFAULT;
	int rc;

	p->cluster = defaults;
	if (s->cluster.clusters >= 0)
		p->cluster.clusters = (uint32_t)s->cluster.clusters;
	else if (is_default_number(p))
		p->cluster.clusters = recall_default_number(run, defaults.clusters);
	p->cluster.iterations = (int)s->cluster.iterations;
	p->cluster.redo = (int)s->cluster.redo;
	p->cluster.seed = (uint64_t)s->seed;
	p->cluster.spherical = s->cluster.spherical;
	p->cluster.subsample = (uint64_t)s->cluster.subsample;
	p->cluster.normalise = (enum ek_normalise)s->cluster.normalise;
	if (s->cluster.hierarchy != NULL)
		EK_TRY(parse_levels(p, s->cluster.hierarchy));
	EK_TRY(ek_cluster_options_json(&p->options, &p->cluster));
	p->step = (struct ek_step){ .name = "cluster",
		                    .version = EK_CLUSTER_VERSION,
		                    .options = p->options,
		                    .inputs = ek_cluster_inputs,
		                    .outputs = ek_cluster_outputs };
out:
	return rc;
}

/* The default number of clusters follows the images. */
static int take_default_number(struct prepared *p, const struct ek_run *run)
{
	int rc;

	EK_TRY(ek_cluster_choose(&p->choice, run, &p->cluster));
	ek_info("%s", p->choice.reason);
	p->cluster.clusters = p->choice.chosen;
	p->cluster.choice = &p->choice;
	cJSON_Delete(p->options);
	EK_TRY(ek_cluster_options_json(&p->options, &p->cluster));
	p->step.options = p->options;
out:
	return rc;
}

/* `failure` of a clustering, by the option that asked for more clusters than there can be, if it was that. */
static int fail_clusters(const struct prepared *p, const struct ek_run *run, int failure)
{
	const struct ek_steps_options *s = p->asked;
	const uint32_t wanted = p->cluster.levels > 0 ? p->levels[0] : p->cluster.clusters;
	char *message = NULL;
	uint32_t most;
	int rc;

	if (failure != EK_EDATA || wanted == 0)
		return failure;
	EK_TRY(ek_copy_string(&message, ek_error_message()));
	EK_TRY(ek_cluster_most(&most, run, &p->cluster));
	if (most == wanted)
		rc = ek_fail(failure, "%s", message);
	else
		rc = ek_fail(failure, "'%s': %u clusters are too many: %s %u different image%s",
		             p->cluster.levels > 0 ? "hierarchy" : "clusters", wanted,
		             s->cluster.subsample > 0 ? "'subsample' leaves"
		             : most == 1              ? "there is only"
		                                      : "there are only",
		             most, most == 1 ? "" : "s");
out:
	free(message);
	return rc;
}

/* About so much k-means is to come. */
static void expect_clusters(const struct ek_run *run, uint32_t k, double times)
{
	enum { ITERATIONS = 20, SOME = 24 };
	struct ek_npy array;
	char *path = NULL;

	if (ek_layout_path(&path, run, "embeddings.npy", NULL) == 0 && ek_npy_open(&array, path) == 0) {
		ek_device_for((double)array.shape[0] * (double)array.shape[1] * (k > 0 ? k : SOME) * ITERATIONS *
		              times);
		ek_npy_close(&array);
	}
	free(path);
}

static int make_cluster(void *prepared, struct ek_run *run, cJSON *counts)
{
	struct prepared *p = prepared;
	int rc;

	if (is_default_number(p))
		EK_TRY(take_default_number(p, run));
	expect_clusters(run, p->cluster.clusters, (double)p->cluster.redo);
	if ((rc = ek_cluster(run, &p->cluster)) < 0)
		return fail_clusters(p, run, rc);
	EK_TRY(take_counts(counts, run, "clusters/clusters.json"));
out:
	return rc;
}

static int prepare_stability(struct prepared *p, struct ek_run *run)
{
	const struct ek_steps_options *s = p->asked;
	int rc;

	p->stability = (struct ek_stability_options){ .seeds = (int)s->stability.seeds,
		                                      .seed = (uint64_t)s->seed,
		                                      .images = (uint64_t)s->stability.images };
	EK_TRY(ek_stability_inputs(&p->inputs, run));
	EK_TRY(ek_stability_options_json(&p->options, &p->stability));
	p->step = (struct ek_step){ .name = "stability",
		                    .version = EK_STABILITY_VERSION,
		                    .options = p->options,
		                    .inputs = p->inputs,
		                    .outputs = ek_stability_outputs };
out:
	return rc;
}

static int make_stability(void *prepared, struct ek_run *run, cJSON *counts)
{
	struct prepared *p = prepared;
	int rc;

	expect_clusters(run, 0, (double)p->stability.seeds);
	rc = ek_stability(run, &p->stability);
	return rc < 0 ? rc : take_counts(counts, run, "clusters/stability.json");
}

/* "0.01,0.03" */
static int parse_eps(struct prepared *p, const char *text)
{
	char *end;

	while (*text != 0) {
		const double value = strtod(text, &end);

		if (end == text || (*end != 0 && *end != ',') || !(value > 0 && value <= 1) ||
		    p->duplicates.eps_count == MAX_EPS)
			return ek_fail(EK_EUSAGE,
			               "'eps' is \"%s\", not up to %d numbers above 0 and up to 1 with commas",
			               p->asked->duplicates.eps, MAX_EPS);
		p->eps[p->duplicates.eps_count++] = value;
		text = end + (*end == ',');
	}
	p->duplicates.eps = p->eps;
	return 0;
}

static int prepare_duplicates(struct prepared *p, struct ek_run *run)
{
	int rc = 0;

	(void)run;
	p->duplicates.scope = (enum ek_duplicates_scope)p->asked->duplicates.scope;
	p->duplicates.order = (enum ek_duplicates_order)p->asked->duplicates.order;
	if (p->asked->duplicates.eps != NULL)
		EK_TRY(parse_eps(p, p->asked->duplicates.eps));
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
	struct prepared *p = prepared;
	const struct ek_device *device = ek_device_without("comparing images for duplicates");
	const int rc = ek_duplicates(run, &p->duplicates);

	ek_device_back(device);
	return rc < 0 ? rc : take_counts(counts, run, "clusters/duplicates.json");
}

static int prepare_audit(struct prepared *p, struct ek_run *run)
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
	const struct prepared *p = prepared;

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

static int prepare_report(struct prepared *p, struct ek_run *run)
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

static const struct row rows[EK_STEP_COUNT] = {
	[EK_STEP_SCAN] = { "scan", "Reading images", "listing the images", prepare_scan, make_scan, is_scan_current,
	                   1 },
	[EK_STEP_EMBED] = { "embed", "Embedding", "embedding", prepare_embed, make_embed, NULL, 0 },
	[EK_STEP_COMPONENTS] = { "components", "Components", "whitening the embeddings", prepare_components,
	                         make_components, NULL, 0 },
	[EK_STEP_CLUSTER] = { "cluster", "Clusters", "clustering", prepare_cluster, make_cluster, NULL, 0 },
	[EK_STEP_GROUPS] = { "groups", "Groups", "finding groups", prepare_groups, make_groups, NULL, 0 },
	[EK_STEP_STABILITY] = { "stability", "Stability", "measuring stability", prepare_stability, make_stability,
	                        NULL, 0 },
	[EK_STEP_DUPLICATES] = { "duplicates", "Near-duplicates", "finding near-duplicates", prepare_duplicates,
	                         make_duplicates, NULL, 0 },
	[EK_STEP_AUDIT] = { "audit", "Measures", "measuring", prepare_audit, make_audit, NULL, 1 },
	[EK_STEP_REPORT] = { "report", "Report", "writing the report", prepare_report, make_report, NULL, 0 },
};

const char *ek_step_name(enum ek_step_id id)
{
	return rows[id].name;
}

const char *ek_step_title(enum ek_step_id id)
{
	return rows[id].title;
}

static void release(struct prepared *p)
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

/* Is something else said of the step now than the last time? */
static int is_asked_anew(const struct ek_option_table *table, const cJSON *asked, const cJSON *before)
{
	for (const struct ek_option *o = table->rows; o->name != NULL; o++)
		if (ek_option_is_given(table, o->name) &&
		    !cJSON_Compare(cJSON_GetObjectItemCaseSensitive(asked, o->name),
		                   cJSON_GetObjectItemCaseSensitive(before, o->name), 1))
			return 1;
	return 0;
}

/*
 * A step that cannot be made ready, because its data, weights or embeddings are away, is taken as it was, with a
 * warning, if what it made is still there and nothing else is asked of it now. Else `failure` stands.
 */
static int take_as_it_was(struct prepared *p, struct ek_run *run, enum ek_step_id id, const cJSON *wanted, int failure)
{
	const cJSON *recorded = ek_run_recorded(run, rows[id].name);
	const cJSON *before = cJSON_GetObjectItemCaseSensitive(recorded, "asked");
	int asked = id == EK_STEP_SCAN && p->asked->scan.datasets != NULL, current = 0, rc;
	const struct ek_option_table table = ek_step_table(p->asked, id);
	char *message = NULL;
	const char *reason;

	asked |= is_asked_anew(&table, wanted, before);
	if (asked || recorded == NULL || failure == EK_ENOMEM || failure == EK_EINTERRUPTED)
		return failure;
	EK_TRY(ek_copy_string(&message, ek_error_message()));
	EK_TRY(ek_run_is_unchanged(&current, &reason, run, rows[id].name, 0));
	if (!current)
		rc = ek_fail(failure, "%s", message);
	else
		ek_warn("%s; going on with what was made before", message);
out:
	free(message);
	return rc;
}

/* One step; `forced` runs it even if it is current. */
static int run_step(struct ek_run *run, struct ek_steps_options *options, enum ek_step_id id, int forced)
{
	const struct ek_option_table table = ek_step_table(options, id);
	struct prepared p = { .asked = options };
	const struct ek_work work = { .step = &p.step,
		                      .doing = rows[id].doing,
		                      .make = rows[id].make,
		                      .context = &p,
		                      .is_current = rows[id].is_current,
		                      .records = rows[id].records };
	cJSON *asked = NULL;
	int made, rc;

	EK_TRY(ek_check_interrupt());
	EK_TRY(ek_options_to_json(&asked, table.rows, options));
	EK_TRY(ek_json_add_u64(asked, "seed", (uint64_t)options->seed));
	rc = rows[id].prepare(&p, run);
	if (rc < 0) {
		rc = forced ? rc : take_as_it_was(&p, run, id, asked, rc);
		goto out;
	}
	ek_run_set_asked(run, asked);
	EK_TRY(ek_run_bring_up(&made, run, &work, forced));
	/* As with a number of clusters that happens to be the default one: a wish from now on. */
	if (!made && is_asked_anew(&table, asked,
	                           cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, rows[id].name), "asked")))
		EK_TRY(ek_run_ask_again(run, rows[id].name, asked));
out:
	ek_run_set_asked(run, NULL);
	release(&p);
	cJSON_Delete(asked);
	return rc;
}

/* What the user asked for the last time, where nothing else is said now. */
static int remember(const struct ek_run *run, struct ek_steps_options *options, enum ek_step_id id)
{
	const cJSON *recorded = ek_run_recorded(run, rows[id].name);
	const cJSON *asked = cJSON_GetObjectItemCaseSensitive(recorded, "asked");
	const cJSON *seed = cJSON_GetObjectItemCaseSensitive(asked, "seed");
	const struct ek_option_table table = ek_step_table(options, id);

	if (cJSON_IsNumber(seed) && !options->seed_given)
		options->seed = (int64_t)ek_whole(seed->valuedouble);
	return ek_options_from_json(&options->strings, &table, asked);
}

int ek_steps_scan_is_current(int *current, const char **reason, struct ek_run *run, struct ek_steps_options *options)
{
	struct prepared p = { .asked = options };
	int rc;

	*current = 1;
	*reason = "";
	if (ek_run_recorded(run, "scan") == NULL)
		return 0;
	EK_TRY(remember(run, options, EK_STEP_SCAN));
	rc = prepare_scan(&p, run);
	if (rc == 0)
		EK_TRY(ek_run_is_current(current, reason, run, &p.step));
	else if (rc != EK_ENOMEM && rc != EK_EINTERRUPTED)
		rc = 0;
out:
	release(&p);
	return rc;
}

static int check_words(const struct ek_steps_options *options)
{
	struct ek_group_words words = { 0 };
	int rc = 0;

	if (options->groups.words == NULL)
		return 0;
	if (options->embed.embeddings == NULL && options->groups.text_weights == NULL)
		EK_TRY(ek_word_groups_check(ek_encoders[options->embed.encoder].name));
	EK_TRY(ek_group_words_load(&words, options->groups.words));
out:
	ek_group_words_release(&words);
	return rc;
}

/* What can be told wrong before any work is done: a mistake in the last step must not cost an hour in the first. */
static int check_options(struct ek_steps_options *options, const enum ek_step_id *steps)
{
	struct prepared p = { .asked = options };
	struct stat status;
	int rc = 0;

	for (; *steps != EK_STEP_END; steps++) {
		const struct ek_option_table table = ek_step_table(options, *steps);

		EK_TRY(ek_options_check(&table));
		for (const struct ek_option *o = table.rows; o->name != NULL; o++) {
			const char *path = o->kind == EK_KIND_PATH ? *(const char **)ek_option_field(o, options) : NULL;

			if (path == NULL || !ek_option_is_given(&table, o->name))
				continue;
			if (stat(path, &status) != 0)
				return ek_fail_errno("'%s' is %s, which cannot be read", o->name, path);
			if (!S_ISREG(status.st_mode))
				return ek_fail(EK_EDATA, "'%s' is %s, not a regular file", o->name, path);
		}
	}
	EK_TRY(check_words(options));
	if (options->cluster.hierarchy != NULL)
		EK_TRY(parse_levels(&p, options->cluster.hierarchy));
	if (options->duplicates.eps != NULL)
		EK_TRY(parse_eps(&p, options->duplicates.eps));
out:
	return rc;
}

/* An image that only its header had vouched for is damaged: it becomes a rejected row, and the step is done again.
 * Else `failure` stands. */
static int reject_late(struct ek_run *run, struct ek_steps_options *options, enum ek_step_id id, int forced,
                       int failure)
{
	const cJSON *scanned = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "options");
	int rc;

	if (failure != EK_EDATA || id == EK_STEP_SCAN || !is_text(scanned, "check", "header"))
		return failure;
	ek_warn("%s; only headers were checked, so every image is decoded now, and what is damaged is left out",
	        ek_error_message());
	options->scan.found_late = 1;
	EK_TRY(run_step(run, options, EK_STEP_SCAN, 0));
	EK_TRY(run_step(run, options, id, forced));
out:
	return rc;
}

/* Is left out unless something is asked for; it goes with the step before it. */
static int is_optional(enum ek_step_id id)
{
	return id == EK_STEP_COMPONENTS || id == EK_STEP_GROUPS;
}

static int is_wanted(const struct ek_steps_options *options, enum ek_step_id id)
{
	const int by_words = options->groups.words != NULL && !names_found(options);
	const int groups = !by_words && (options->groups.labels != NULL || options->groups.number >= 0);

	if (id == EK_STEP_GROUPS)
		return groups || by_words;
	return id != EK_STEP_COMPONENTS || options->needs_components || options->components.views > 1 || groups;
}

int ek_steps_run(struct ek_run *run, struct ek_steps_options *options, const enum ek_step_id *steps, int forced)
{
	int count = 0, left = 0, rc = 0; /* left: steps that are in any case and come later */

	for (; steps[count] != EK_STEP_END; count++)
		left += !is_optional(steps[count]);
	for (int i = 0; i < count; i++)
		EK_TRY(remember(run, options, steps[i]));
	EK_TRY(check_options(options, steps));
	for (int i = 0; i < count; i++) {
		int force;

		left -= !is_optional(steps[i]);
		force = options->force && left < forced;
		if (is_wanted(options, steps[i]) && (rc = run_step(run, options, steps[i], force)) < 0)
			EK_TRY(reject_late(run, options, steps[i], force, rc));
	}
out:
	return rc;
}

/* Arrays that no step of ours made: there is nothing to bring up to date. */
static int is_made_by_hand(const struct ek_run *run, const char *file)
{
	char *path = NULL;
	const int is =
		ek_run_recorded(run, "scan") == NULL && ek_run_file(&path, run, file) == 0 && ek_file_exists(path);

	free(path);
	return is;
}

int ek_steps_before(struct ek_run *run, struct ek_steps_options *options, int clusters)
{
	static const enum ek_step_id scan[] = { EK_STEP_SCAN, EK_STEP_END };
	static const enum ek_step_id cluster[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_CLUSTER, EK_STEP_END };

	if (is_made_by_hand(run, clusters ? "clusters/assignment.npy" : "images.jsonl"))
		return 0;
	if (!options->seed_kept && ek_run_recorded(run, "cluster") != NULL)
		options->seed_given = 0;
	return ek_steps_run(run, options, clusters ? cluster : scan, 0);
}

int ek_steps_components(struct ek_run *run, struct ek_steps_options *options)
{
	static const enum ek_step_id steps[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_COMPONENTS, EK_STEP_END };

	if (is_made_by_hand(run, "embeddings.npy"))
		return ek_fail(EK_EUSAGE,
		               "%s has embeddings that no step made: evenkeel audit EMBEDDINGS.npy -o RUN makes "
		               "a run of them",
		               ek_run_path(run));
	if (!options->seed_kept && ek_run_recorded(run, "embed") != NULL)
		options->seed_given = 0;
	options->needs_components = 1;
	return ek_steps_run(run, options, steps, 0);
}

int ek_steps_groups(struct ek_run *run, struct ek_steps_options *options)
{
	static const enum ek_step_id steps[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_COMPONENTS, EK_STEP_GROUPS,
		                                 EK_STEP_END };

	if (ek_run_recorded(run, "groups") == NULL && !is_wanted(options, EK_STEP_GROUPS))
		return 0;
	if (!options->seed_kept)
		options->seed_given = 0;
	return ek_steps_run(run, options, steps, 0);
}

int ek_steps_keep_list(char **path, const struct ek_run *run, const struct ek_buffer *list)
{
	int rc;

	EK_TRY(ek_layout_path(path, run, "list.txt", NULL));
	EK_TRY(ek_atomic_save(*path, list->data, list->size));
out:
	return rc;
}
