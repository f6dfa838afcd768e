/* The steps cluster and stability. */
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/steps_internal.h"

/* "10000,500,24" */
int ek_prepare_levels(struct ek_prepared *p, const char *text)
{
	char *end;

	while (*text != 0) {
		const unsigned long value = strtoul(text, &end, 10);

		if (end == text || (*end != 0 && *end != ',') || value == 0 || value > UINT32_MAX || *text == '-' ||
		    p->cluster.levels == EK_STEP_LEVELS)
			return ek_fail(EK_EUSAGE, "'hierarchy' is \"%s\", not up to %d falling numbers with commas",
			               p->asked->cluster.hierarchy, EK_STEP_LEVELS);
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
static int is_default_number(const struct ek_prepared *p)
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

int ek_prepare_cluster(struct ek_prepared *p, struct ek_run *run)
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
		EK_TRY(ek_prepare_levels(p, s->cluster.hierarchy));
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
static int take_default_number(struct ek_prepared *p, const struct ek_run *run)
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
static int fail_clusters(const struct ek_prepared *p, const struct ek_run *run, int failure)
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

void ek_embeddings_size(uint64_t *rows, size_t *dimensions, const struct ek_run *run)
{
	struct ek_npy array;
	char *path = NULL;

	*rows = 0;
	*dimensions = 0;
	if (ek_layout_path(&path, run, "embeddings.npy", NULL) == 0 && ek_npy_open(&array, path) == 0) {
		*rows = array.shape[0];
		*dimensions = (size_t)array.shape[1];
		ek_npy_close(&array);
	}
	free(path);
}

/* About so much k-means is to come. */
static void expect_clusters(const struct ek_run *run, uint32_t k, double times)
{
	enum { ITERATIONS = 20, SOME = 24 };
	uint64_t rows;
	size_t d;

	ek_embeddings_size(&rows, &d, run);
	ek_device_for((double)rows * (double)d * (k > 0 ? k : SOME) * ITERATIONS * times);
}

int ek_make_cluster(void *prepared, struct ek_run *run, cJSON *counts)
{
	struct ek_prepared *p = prepared;
	int rc;

	expect_clusters(run, p->cluster.clusters, (double)p->cluster.redo);
	if (is_default_number(p))
		EK_TRY(take_default_number(p, run));
	if ((rc = ek_cluster(run, &p->cluster)) < 0)
		return fail_clusters(p, run, rc);
	EK_TRY(ek_step_take_counts(counts, run, "clusters/clusters.json"));
out:
	return rc;
}

int ek_prepare_stability(struct ek_prepared *p, struct ek_run *run)
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

int ek_make_stability(void *prepared, struct ek_run *run, cJSON *counts)
{
	struct ek_prepared *p = prepared;
	int rc;

	expect_clusters(run, 0, (double)p->stability.seeds);
	rc = ek_stability(run, &p->stability);
	return rc < 0 ? rc : ek_step_take_counts(counts, run, "clusters/stability.json");
}
