#include "reports/comparison.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/run_files.h"
#include "reports/documents.h"
#include "reports/html.h"

const char *const ek_difference_names[] = { "", "within", "beyond", "unknown", "unlike" };
const char *const ek_difference_words[] = { "", "no more than chance makes", "more than chance makes",
	                                    "and how much of it is chance is not known", "" };

/* The member that a path with dots leads to. */
static const cJSON *member_at(const cJSON *object, const char *path)
{
	while (object != NULL && *path != 0) {
		const size_t length = strcspn(path, ".");
		char name[64];

		(void)snprintf(name, sizeof name, "%.*s", (int)length, path);
		object = ek_json_member(object, name);
		path += length + (path[length] == '.');
	}
	return object;
}

/* A value of an evaluation: the member at `path` ("tail.coverage"), with its interval, and its spread over seeds,
 * called `name` there. EK_EDATA: it is no number; `file` is for the message. */
static int read_compared(struct ek_compared *v, const cJSON *json, const char *path, const char *name, const char *file)
{
	const cJSON *item = member_at(json, path), *spread = ek_json_member(ek_json_member(json, "spread"), name);
	const cJSON *number = cJSON_IsObject(item) ? ek_json_member(item, "value") : item;
	const struct ek_measure measure = ek_interval_of(item);

	if (number != NULL && !cJSON_IsNumber(number) && !cJSON_IsNull(number))
		return ek_fail(EK_EDATA, "%s: %s is no number", file, path);
	*v = (struct ek_compared){ .value = measure.value,
		                   .low = measure.low,
		                   .high = measure.high,
		                   .deviation = ek_number_of(spread, "std"),
		                   .seeds = ek_whole(ek_number_of(spread, "n")),
		                   .difference = NAN };
	if (v->seeds < 2 || !(v->deviation >= 0)) {
		v->seeds = 0;
		v->deviation = NAN;
	}
	return 0;
}

static struct ek_compared compared_of(const cJSON *row, const char *name)
{
	const struct ek_measure m = ek_measure_of(row, name);

	return (struct ek_compared){
		.value = m.value, .low = m.low, .high = m.high, .deviation = NAN, .difference = NAN
	};
}

int ek_comparison_group(struct ek_compared *coverage, struct ek_compared *share, const struct ek_comparison_row *row,
                        const char *group)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, ek_json_member(row->json, "per_group"))
	{
		if (strcmp(ek_text_of(item, "group", ""), group) != 0)
			continue;
		*coverage = compared_of(item, "coverage");
		*share = compared_of(item, "generated_share");
		return 1;
	}
	return 0;
}

/* The cluster with the lowest coverage; −1 where several share it. */
static int64_t worst_cluster(const cJSON *json)
{
	const cJSON *row;
	double lowest = INFINITY;
	int64_t worst = -1;

	cJSON_ArrayForEach(row, ek_json_member(json, "per_cluster"))
	{
		const double coverage = ek_measure_of(row, "coverage").value, cluster = ek_number_of(row, "cluster");

		if (coverage < lowest && cluster >= 0 && cluster < 0x1p53) {
			lowest = coverage;
			worst = (int64_t)cluster;
		} else if (coverage <= lowest) {
			worst = -1;
		}
	}
	return worst;
}

/* What the subset is: the end of the scores that it keeps, and whether it was made by balance. */
static int describe_subset(struct ek_comparison_row *row, const struct ek_run *run, const char *subset)
{
	const char *method = ek_text_of(ek_json_member(row->json, "generated"), "method", NULL), *order;
	cJSON *json = NULL;
	int rc;

	EK_TRY(ek_run_json_find(&json, run, "subsets/*/subset.json", subset));
	order = ek_text_of(ek_json_member(json, "options"), "order", "none");
	row->trained = EK_TRAINED_PRUNED;
	if (strcmp(ek_text_of(json, "command", ""), "balance") == 0) {
		row->trained = EK_TRAINED_BALANCED;
		rc = ek_copy_string(&row->series, "balanced");
	} else if (method != NULL && strncmp(method, "score", 5) == 0 && strcmp(order, "none") != 0) {
		rc = ek_format(&row->series, "%s %s", method, order);
	} else {
		rc = ek_copy_string(&row->series, method != NULL ? method : subset);
	}
out:
	cJSON_Delete(json);
	return rc;
}

static int describe_training(struct ek_comparison_row *row, const struct ek_run *run)
{
	const cJSON *generated = ek_json_member(row->json, "generated");
	const char *subset = ek_text_of(generated, "subset", NULL), *weights = ek_text_of(generated, "weights", NULL);
	const double keep = ek_number_of(generated, "keep");
	int rc;

	row->keep = keep > 0 && keep <= 1 ? keep : (double)NAN;
	if (subset != NULL) {
		EK_TRY(describe_subset(row, run, subset));
	} else if (ek_text_of(generated, "model", NULL) == NULL) {
		row->trained = EK_TRAINED_ELSEWHERE;
		row->keep = NAN;
		EK_TRY(ek_copy_string(&row->series, "not trained here"));
	} else {
		row->trained = weights != NULL ? EK_TRAINED_WEIGHTED : EK_TRAINED_NATURAL;
		EK_TRY(ek_copy_string(&row->series, weights != NULL ? "weighted" : "natural"));
	}
	if (subset != NULL && isfinite(row->keep))
		EK_TRY(ek_format(&row->label, "%s %.3g", row->series, row->keep));
	else if (weights != NULL && strcmp(weights, "weighted") != 0)
		EK_TRY(ek_format(&row->label, "%s: %s", row->series, weights));
	else
		EK_TRY(ek_copy_string(&row->label, row->series));
out:
	return rc;
}

/* Copy the member at `path`, where there is one. */
static int add_how(cJSON *how, const char *name, const cJSON *from, const char *path)
{
	const cJSON *item = member_at(from, path);

	return item == NULL || cJSON_IsNull(item) ? 0 : ek_json_add_item(how, name, cJSON_Duplicate(item, 1));
}

static int describe_making(struct ek_comparison_row *row, const struct ek_run *run)
{
	static const struct {
		const char *name, *path;
	} of_model[] = { { "network", "model" },          { "objective", "objective" },
		         { "condition", "condition.by" }, { "autoencoder", "autoencoder" },
		         { "batch", "training.batch" },   { "rate", "training.rate" } },
	  of_sampling[] = { { "solver", "solver" }, { "steps", "steps" }, { "guidance", "guidance" } };
	const cJSON *generated = ek_json_member(row->json, "generated"),
		    *samples = ek_json_member(generated, "samples");
	const char *first = cJSON_IsArray(samples) ? cJSON_GetStringValue(samples->child) : NULL;
	const char *trained = ek_text_of(generated, "model", NULL);
	cJSON *model = NULL, *config = NULL;
	int rc = 0;

	if ((row->how = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for a comparison");
	if (trained != NULL)
		EK_TRY(ek_run_json_find(&model, run, "models/*/config.json", trained));
	if (first != NULL)
		EK_TRY(ek_run_json_find(&config, run, "samples/*/config.json", first));
	for (size_t i = 0; i < sizeof of_model / sizeof *of_model; i++)
		EK_TRY(add_how(row->how, of_model[i].name, model, of_model[i].path));
	row->steps = ek_number_of(config, "model_step");
	for (size_t i = 0; i < sizeof of_sampling / sizeof *of_sampling; i++)
		EK_TRY(add_how(row->how, of_sampling[i].name, generated, of_sampling[i].path));
out:
	cJSON_Delete(model);
	cJSON_Delete(config);
	return rc;
}

/* The hash that run.json has of a file that a step wrote, or "". */
static const char *hash_of(const struct ek_run *run, const char *step, const char *file)
{
	const cJSON *output = ek_json_member(ek_json_member(ek_run_recorded(run, step), "outputs"), file);

	return cJSON_IsString(output) ? output->valuestring : ek_text_of(output, "hash", "");
}

static int add_keys(struct ek_comparison_row *row, const struct ek_run *run)
{
	const cJSON *encoder = ek_json_member(row->json, "encoder"),
		    *reference = ek_json_member(row->json, "reference");
	const char *weights = ek_text_of(encoder, "weights", ""), *where = ek_text_of(reference, "path", "");
	const char *what = ek_text_of(reference, "what", "?"), *scan = hash_of(run, "scan", "images.jsonl");
	int rc;

	EK_TRY(ek_format(&row->keys[0], "%s by %s%s%.8s", ek_text_of(row->json, "metric", "FD"),
	                 ek_text_of(encoder, "name", "?"), *weights != 0 ? " with weights " : "", weights));
	EK_TRY(ek_format(&row->keys[1], "%s generated images", ek_count(row->generated).s));
	EK_TRY(ek_format(&row->keys[2], "k %" PRIu64 "%s", row->k,
	                 cJSON_IsTrue(ek_json_member(row->json, "closed")) ? ", the k-th neighbour's distance included"
	                                                                   : ""));
	EK_TRY(ek_format(&row->keys[3], "the reference %s (%s)",
	                 *where != 0                     ? where
	                 : strcmp(what, "held_out") == 0 ? "of held-out images"
	                 : strcmp(what, "training") == 0 ? "of training images"
	                                                 : what,
	                 row->reference_images > 0 ? ek_count(row->reference_images).s : "statistics"));
	/* What was not scanned is only known to be the same within a run. */
	EK_TRY(ek_format(&row->keys[4], "the images of %s", *scan != 0 ? scan : ek_run_path(run)));
	scan = hash_of(run, "cluster", "clusters/centroids.npy");
	EK_TRY(ek_copy_string(&row->clusters, *scan != 0 ? scan : ek_run_path(run)));
out:
	return rc;
}

/* Its denominator, the distance of held-out images, is the same for all sample sets. */
static void spread_ratio(struct ek_compared *values)
{
	struct ek_compared *ratio = &values[EK_CMP_RATIO];
	const struct ek_compared *nearest = &values[EK_CMP_NEAREST];

	if (ratio->seeds == 0 && nearest->seeds > 0 && nearest->value > 0) {
		ratio->seeds = nearest->seeds;
		ratio->deviation = nearest->deviation * ratio->value / nearest->value;
	}
}

static int read_row(struct ek_comparison_row *row, const struct ek_run *run, const char *path)
{
	const cJSON *generated, *reference;
	const char *file = strrchr(path, '/') + 1;
	int rc;

	EK_TRY(ek_copy_string(&row->run, ek_run_path(run)));
	EK_TRY(ek_format(&row->name, "%.*s", (int)(strlen(file) - strlen(".json")), file));
	EK_TRY(ek_json_load(&row->json, path));
	generated = ek_json_member(row->json, "generated");
	reference = ek_json_member(row->json, "reference");
	if (!cJSON_IsObject(generated) || !cJSON_IsObject(reference) ||
	    !cJSON_IsObject(ek_json_member(row->json, "encoder")))
		return ek_fail(EK_EDATA, "%s is no evaluation: it has no objects generated, reference and encoder",
		               path);
	EK_TRY(ek_json_get_u64(&row->generated, generated, "images", path));
	/* Statistics that were stored have none. */
	row->reference_images = ek_whole(ek_number_of(reference, "images"));
	EK_TRY(ek_json_get_u64(&row->k, row->json, "k", path));
	row->training_images = ek_whole(ek_number_of(generated, "training_images"));
	row->worst_cluster = worst_cluster(row->json);
	for (size_t m = 0; m < EK_CMP_MEASURES; m++)
		EK_TRY(read_compared(&row->values[m], row->json, ek_comparison_measures[m].path,
		                     ek_comparison_measures[m].name, path));
	spread_ratio(row->values);
	EK_TRY(describe_training(row, run));
	EK_TRY(describe_making(row, run));
	EK_TRY(add_keys(row, run));
out:
	return rc;
}

static void release_row(struct ek_comparison_row *row)
{
	for (size_t k = 0; k < EK_CMP_KEYS; k++)
		free(row->keys[k]);
	cJSON_Delete(row->json);
	cJSON_Delete(row->how);
	free(row->run);
	free(row->name);
	free(row->series);
	free(row->label);
	free(row->clusters);
	free(row->unlike);
	free(row->note);
}

int ek_comparison_add_file(struct ek_comparison *c, const struct ek_run *run, const char *path)
{
	int rc;

	if (c->count == c->room) {
		const size_t room = c->room == 0 ? 16 : 2 * c->room;

		EK_TRY(ek_resize(&c->rows, room, sizeof *c->rows));
		c->room = room;
	}
	c->rows[c->count] = (struct ek_comparison_row){ .worst_cluster = -1, .steps = NAN };
	EK_TRY(read_row(&c->rows[c->count++], run, path));
out:
	return rc;
}

int ek_comparison_add(struct ek_comparison *c, const struct ek_run *run, size_t *odd)
{
	glob_t found = { 0 };
	int rc;

	if (odd != NULL)
		*odd = 0;

	EK_TRY(ek_run_glob(&found, run, "evaluations/*.json"));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		rc = ek_comparison_add_file(c, run, found.gl_pathv[i]);
		if (rc == EK_EDATA && odd != NULL) {
			release_row(&c->rows[--c->count]);
			++*odd;
			rc = 0;
		}
		EK_TRY(rc);
	}
out:
	globfree(&found);
	return rc;
}

void ek_comparison_release(struct ek_comparison *c)
{
	for (size_t i = 0; i < c->count; i++)
		release_row(&c->rows[i]);
	free(c->rows);
	*c = (struct ek_comparison){ 0 };
}

int ek_comparison_inverse(char **inverse, const char *series)
{
	static const char *const ends[][2] = { { "furthest", "nearest" },
		                               { "ssp-hard", "ssp-easy" },
		                               { " high", " low" } };
	const size_t length = strlen(series);

	*inverse = NULL;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		for (size_t side = 0; side < 2; side++) {
			const size_t end = strlen(ends[i][side]);

			/* The last pair is the end of a score's name. */
			if (length >= end && strcmp(series + length - end, ends[i][side]) == 0 &&
			    (length == end || ends[i][side][0] == ' '))
				return ek_format(inverse, "%.*s%s", (int)(length - end), series, ends[i][1 - side]);
		}
	return 0;
}

int ek_comparison_is_random(const char *series)
{
	return strcmp(series, "random") == 0 || strcmp(series, "random-within") == 0;
}
