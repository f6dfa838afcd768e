#include "rebalance/io/run_files.h"
#include "rebalance/pipeline/groups.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/cluster/components.h"
#include "analysis/cluster/found.h"
#include "analysis/cluster/probe.h"
#include "analysis/embed/views.h"
#include "analysis/skew/naming.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/groups.h"
#include "rebalance/io/images.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/components.h"
#include "rebalance/pipeline/classifier.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/given_labels.h"
#include "rebalance/pipeline/group_shares.h"
#include "rebalance/pipeline/word_groups.h"
#include "rebalance/plan/image_weights.h"

const char *const ek_groups_inputs[] = { "embeddings.npy", "components/axes.npy", "components/mean.npy",
	                                 "components/components.json", NULL };
const char *const ek_word_groups_inputs[] = { "embeddings.npy", NULL };
const char *const ek_groups_outputs[] = { "clusters/membership.npy", "clusters/groups.json", "clusters/classifier.npy",
	                                  "clusters/words.npy", NULL };

static int add_hash(cJSON *options, const char *name, const char *path)
{
	char hash[24];
	int rc;

	if (path == NULL)
		return 0;
	EK_TRY(ek_hash64_file_hex(hash, path));
	EK_TRY(ek_json_add_string(options, name, hash));
out:
	return rc;
}

int ek_make_groups_json(cJSON **out, const struct ek_make_groups *o)
{
	int rc;

	if ((*out = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for options");
	EK_TRY(add_hash(*out, "words_hash", o->words));
	EK_TRY(add_hash(*out, "tower_hash", o->own_tower));
	EK_TRY(add_hash(*out, "labels_hash", o->labels));
	if (o->labels == NULL && (o->words == NULL || o->names_found))
		EK_TRY(ek_json_add_u64(*out, "groups", o->groups));
	if (o->words == NULL || o->names_found)
		EK_TRY(ek_json_add_u64(*out, "seed", o->seed));
out:
	return rc;
}

enum { MOST_GROUPS = 256 }; /* as ek_probe_correct takes */

struct work {
	const struct ek_make_groups *asked;
	struct ek_npy embeddings;
	struct ek_rows all;
	struct ek_components components;
	size_t views; /* of each image, itself among them, by components.json */
	uint64_t views_seed;
	struct ek_given_labels labels;
	float *x;       /* [n, k] components of all images */
	float *learned; /* [labels, views, k] */
	float *q;       /* [n, groups] */
	double *told;   /* [groups, groups] */
	struct ek_group_shares shares;
	struct ek_column names; /* words that name what is found */
	struct ek_probe probe;
	struct ek_probe_choice choice;
};

static int open_work(struct work *w, struct ek_run *run)
{
	int rc;

	EK_TRY(ek_run_npy(&w->embeddings, run, "embeddings.npy"));
	EK_TRY(ek_rows_of(&w->all, &w->embeddings, 0));
	if (w->asked->words == NULL || w->asked->names_found)
		EK_TRY(ek_components_load(&w->components, run));
out:
	return rc;
}

static int open_labels(struct work *w, struct ek_run *run)
{
	int rc;

	EK_TRY(ek_components_views(&w->views, &w->views_seed, run));
	if (w->asked->embed == NULL)
		w->views = 1;
	EK_TRY(ek_given_labels_load(&w->labels, run, w->asked->labels, w->all.count, MOST_GROUPS));
	EK_TRY(ek_alloc(&w->x, w->all.count * w->components.k, sizeof *w->x));
	EK_TRY(ek_components_project(w->x, &w->components, &w->all, w->components.k));
	EK_TRY(ek_alloc(&w->q, w->all.count * w->labels.groups, sizeof *w->q));
	EK_TRY(ek_alloc(&w->told, (size_t)w->labels.groups * w->labels.groups, sizeof *w->told));
	EK_TRY(ek_group_shares_init(&w->shares, &w->labels, w->all.count));
out:
	return rc;
}

static void close_work(struct work *w)
{
	ek_npy_close(&w->embeddings);
	ek_components_release(&w->components);
	ek_given_labels_release(&w->labels);
	ek_probe_release(&w->probe);
	free(w->x);
	free(w->learned);
	free(w->q);
	free(w->told);
	ek_group_shares_release(&w->shares);
	ek_groups_words_release(&w->names);
}

/* The components of the views of the labelled images behind each one's own. */
static int add_views(struct work *w, const struct ek_run *run)
{
	const size_t d = w->components.d, k = w->components.k, others = w->views - 1;
	struct ek_views *views = NULL;
	float *raw = NULL, *projected = NULL;
	struct ek_npy array;
	struct ek_rows rows;
	int rc;

	ek_device_for(ek_embed_work(w->asked->embed, w->labels.count * others));
	EK_TRY(ek_views_new(&views, w->asked->embed, run, (int)others, w->views_seed));
	EK_TRY(ek_alloc(&raw, w->labels.count * others * d, sizeof *raw));
	EK_TRY(ek_alloc(&projected, w->labels.count * others * k, sizeof *projected));
	ek_progress_begin("views of labelled images", "images", w->labels.count);
	rc = ek_views_run(views, w->labels.ids, w->labels.count, raw);
	ek_progress_end();
	EK_TRY(rc);
	array = ek_rows_memory(raw, w->labels.count * others, d);
	EK_TRY(ek_rows_of(&rows, &array, 0));
	EK_TRY(ek_components_project(projected, &w->components, &rows, k));
	for (uint64_t i = 0; i < w->labels.count; i++)
		memcpy(w->learned + (i * w->views + 1) * k, projected + i * others * k, others * k * sizeof *projected);
out:
	ek_views_free(views);
	free(raw);
	free(projected);
	return rc;
}

/* Shares with intervals, where images were drawn at random, of cross-fitted predictions. */
static int estimate(struct work *w, const struct ek_probe_rows *rows)
{
	const uint64_t n = w->all.count;
	float *q = NULL;
	int rc = 0;

	if (w->shares.random == 0)
		return 0;
	EK_TRY(ek_alloc(&q, n * rows->groups, sizeof *q));
	EK_TRY(ek_probe_cross(q, rows, w->labels.ids, &w->choice, w->probe.temperature, w->x, n, w->components.k,
	                      w->asked->seed));
	EK_TRY(ek_group_shares_estimate(&w->shares, q));
out:
	free(q);
	return rc;
}

static int learn(struct work *w, const struct ek_run *run)
{
	const size_t k = w->components.k;
	struct ek_probe_rows rows = { .stride = k,
		                      .views = w->views,
		                      .group = w->labels.group,
		                      .images = w->labels.count,
		                      .groups = w->labels.groups };
	int rc;

	EK_TRY(ek_alloc(&w->learned, w->labels.count * w->views * k, sizeof *w->learned));
	for (uint64_t i = 0; i < w->labels.count; i++)
		memcpy(w->learned + i * w->views * k, w->x + w->labels.ids[i] * k, k * sizeof *w->x);
	if (w->views > 1)
		EK_TRY(add_views(w, run));
	rows.x = w->learned;
	EK_TRY(ek_probe_choose(&w->probe, &w->choice, &rows, w->asked->seed));
	EK_TRY(ek_probe_told(w->told, &rows, &w->probe, &w->choice, w->asked->seed));
	EK_TRY(ek_probe_predict_all(w->q, &w->probe, w->x, w->all.count, k));
	(void)ek_probe_correct(w->q, w->shares.corrected, w->probe.train, EK_PROBE_EVEN, w->all.count, rows.groups);
	ek_group_shares_keep_given(&w->shares, w->q);
	EK_TRY(estimate(w, &rows));
out:
	return rc;
}

static int save_document(const struct work *w, const char *path)
{
	cJSON *json = cJSON_CreateObject(), *list, *chosen, *item;
	int rc;

	EK_TRY(ek_json_add_u64(json, "images", w->all.count));
	EK_TRY(ek_json_add_u64(json, "labelled", w->labels.count));
	EK_TRY(ek_json_add_u64(json, "labelled_at_random", w->shares.random));
	EK_TRY(ek_json_add_object(&chosen, json, "probe"));
	EK_TRY(ek_json_add_string(chosen, "whitened_by", w->components.by_noise ? "noise" : "spread"));
	EK_TRY(ek_json_add_double(chosen, "c", w->choice.c));
	EK_TRY(ek_json_add_u64(chosen, "components", w->choice.k));
	EK_TRY(ek_json_add_u64(chosen, "views", w->choice.views));
	EK_TRY(ek_json_add_u64(chosen, "folds", w->choice.folds));
	EK_TRY(ek_json_add_double(chosen, "temperature", w->probe.temperature));
	EK_TRY(w->choice.folds > 1 ? ek_json_add_double(chosen, "log_loss", w->choice.log_loss)
	                           : ek_json_add_null(chosen, "log_loss"));
	EK_TRY(w->choice.folds > 1 ? ek_json_add_double(chosen, "accuracy", w->choice.accuracy)
	                           : ek_json_add_null(chosen, "accuracy"));
	EK_TRY(ek_json_add_array(&list, json, "groups"));
	for (uint32_t g = 0; g < w->labels.groups; g++)
		EK_TRY(ek_group_shares_add(&item, list, &w->shares, w->q, g));
	EK_TRY(ek_json_save(json, path));
out:
	cJSON_Delete(json);
	return rc;
}

static int load_columns(struct ek_columns *columns, const struct ek_run *run, uint64_t images)
{
	char *path = NULL;
	int rc;

	*columns = (struct ek_columns){ 0 };
	EK_TRY(ek_run_file(&path, run, "images.jsonl"));
	if (ek_file_exists(path))
		EK_TRY(ek_columns_load(columns, run));
	if (columns->count > 0 && columns->images != images)
		rc = ek_fail(EK_EDATA, "%s has %" PRIu64 " images, the embeddings %" PRIu64, path, columns->images,
		             images);
out:
	free(path);
	return rc;
}

static int add_curve(cJSON *json, const struct ek_found *found)
{
	cJSON *curve, *item;
	int rc;

	EK_TRY(ek_json_add_array(&curve, json, "curve"));
	for (size_t i = 0; i < found->count; i++) {
		EK_TRY(ek_json_add_object(&item, curve, NULL));
		EK_TRY(ek_json_add_u64(item, "groups", found->curve[i].groups));
		EK_TRY(ek_json_add_double(item, "stability", found->curve[i].stability));
	}
out:
	return rc;
}

/* By attributes. */
static int name_found(struct ek_naming *naming, const struct ek_found *found, const struct ek_columns *columns,
                      const struct work *w)
{
	int rc;

	EK_TRY(ek_naming_open(naming, found->sizes, found->groups, w->all.count));
	for (size_t c = 0; c < columns->count; c++)
		EK_TRY(ek_naming_count(naming, &columns->items[c], (const int32_t *)found->group));
	if (w->names.value_count > 0)
		EK_TRY(ek_naming_count(naming, &w->names, (const int32_t *)found->group));
out:
	return rc;
}

/* The words that name them, and a hash of whose each image is likeliest: what the audit is made from. */
static int add_names(cJSON *json, const struct work *w)
{
	cJSON *names, *words;
	char hash[24];
	int rc;

	if (w->names.value_count == 0)
		return 0;
	(void)snprintf(hash, sizeof hash, "%016" PRIx64,
	               ek_hash64(w->names.codes, w->all.count * sizeof *w->names.codes));
	EK_TRY(ek_json_add_object(&names, json, "named_with"));
	EK_TRY(ek_json_add_string(names, "hash", hash));
	EK_TRY(ek_json_add_array(&words, names, "words"));
	for (size_t v = 0; v < w->names.value_count; v++)
		EK_TRY(ek_json_add_string(words, NULL, w->names.values[v]));
out:
	return rc;
}

static int save_found(const struct ek_found *found, const struct work *w, const struct ek_run *run, const char *path)
{
	cJSON *json = cJSON_CreateObject(), *list, *item;
	struct ek_naming naming = { 0 };
	struct ek_columns columns;
	char name[16];
	int rc;

	EK_TRY(load_columns(&columns, run, w->all.count));
	EK_TRY(name_found(&naming, found, &columns, w));
	EK_TRY(ek_json_add_u64(json, "images", w->all.count));
	EK_TRY(ek_json_add_u64(json, "labelled", 0));
	EK_TRY(ek_json_add_string(json, "whitened_by", w->components.by_noise ? "noise" : "spread"));
	EK_TRY(ek_json_add_u64(json, "fine_clusters", found->fine));
	EK_TRY(ek_json_add_u64(json, "outliers", found->outliers));
	EK_TRY(add_curve(json, found));
	EK_TRY(add_names(json, w));
	EK_TRY(ek_json_add_array(&list, json, "groups"));
	for (uint32_t g = 0; g < found->groups; g++) {
		EK_TRY(ek_json_add_object(&item, list, NULL));
		(void)snprintf(name, sizeof name, "g%u", g);
		EK_TRY(ek_json_add_string(item, "name", name));
		EK_TRY(ek_json_add_u64(item, "images", found->sizes[g]));
		EK_TRY(ek_json_add_double(item, "corrected_share", (double)found->sizes[g] / (double)w->all.count));
		EK_TRY(ek_json_add_null(item, "share"));
		EK_TRY(ek_naming_add(item, "mostly", &naming, g));
	}
	EK_TRY(ek_json_save(json, path));
out:
	ek_columns_release(&columns);
	ek_naming_release(&naming);
	cJSON_Delete(json);
	return rc;
}

/* Without labels: every image is of one group. */
static int find(struct work *w, struct ek_run *run, const char *membership, const char *document, const char *words)
{
	const uint64_t most = w->all.count / EK_IMAGES_PER_COMPONENT;
	size_t k = w->components.k < EK_DESIGN_COMPONENTS ? w->components.k : EK_DESIGN_COMPONENTS;
	struct ek_found found = { 0 };
	int rc;

	k = k < most ? k : (size_t)most;
	if (k == 0)
		return ek_fail(EK_EDATA, "%" PRIu64 " images are too few for groups: %d at least", w->all.count,
		               EK_IMAGES_PER_COMPONENT);
	EK_TRY(ek_alloc(&w->x, w->all.count * k, sizeof *w->x));
	EK_TRY(ek_components_project(w->x, &w->components, &w->all, k));
	EK_TRY(ek_found_build(&found, w->x, w->all.count, k, w->asked->groups, w->asked->seed));
	free(w->x);
	w->x = NULL;
	EK_TRY(ek_alloc(&w->q, w->all.count * found.groups, sizeof *w->q));
	for (uint64_t i = 0; i < w->all.count; i++)
		w->q[i * found.groups + found.group[i]] = 1;
	EK_TRY(ek_npy_write(membership, EK_F32, 2, (const uint64_t[]){ w->all.count, found.groups }, w->q));
	if (w->asked->words != NULL) {
		const struct ek_word_groups by = { .words = w->asked->words, .weights = w->asked->tower };

		EK_TRY(ek_make_word_names(&w->names, &by, &w->all, words));
	}
	EK_TRY(save_found(&found, w, run, document));
out:
	ek_found_release(&found);
	return rc;
}

int ek_make_groups(struct ek_run *run, const struct ek_make_groups *o)
{
	struct work w = { .asked = o };
	char *membership = NULL, *document = NULL, *classifier = NULL, *words = NULL, *folder = NULL;
	int rc;

	EK_TRY(ek_layout_path(&membership, run, "clusters/membership.npy", NULL));
	EK_TRY(ek_layout_path(&document, run, "clusters/groups.json", NULL));
	EK_TRY(ek_layout_path(&classifier, run, "clusters/classifier.npy", NULL));
	EK_TRY(ek_layout_path(&words, run, "clusters/words.npy", NULL));
	EK_TRY(ek_run_file(&folder, run, "clusters"));
	EK_TRY(ek_make_directories(folder));
	EK_TRY(open_work(&w, run));
	(void)unlink(classifier); /* groups that were found have none */
	(void)unlink(words);      /* there where words name what is found */
	if (o->words != NULL && !o->names_found) {
		const struct ek_word_groups by = { .words = o->words, .weights = o->tower, .labels = o->labels };

		EK_TRY(ek_make_word_groups(run, &by, &w.all, membership, document));
		goto out;
	}
	if (o->labels == NULL) {
		EK_TRY(find(&w, run, membership, document, words));
		goto out;
	}
	EK_TRY(open_labels(&w, run));
	EK_TRY(learn(&w, run));
	EK_TRY(ek_classifier_save(run, &w.probe, w.told, &w.components));
	EK_TRY(ek_npy_write(membership, EK_F32, 2, (const uint64_t[]){ w.all.count, w.labels.groups }, w.q));
	EK_TRY(save_document(&w, document));
out:
	close_work(&w);
	free(membership);
	free(document);
	free(classifier);
	free(words);
	free(folder);
	return rc;
}
