#include "rebalance/pipeline/evaluate_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analysis/embed/inception.h"
#include "analysis/embed/weight_files.h"
#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/log.h"
#include "rebalance/pipeline/samples_compare.h"
#include "rebalance/io/jsonl.h"

/* --- what is generated --- */

static int is_path(const char *text)
{
	return ek_file_exists(text) || strpbrk(text, "*?[{") != NULL;
}

int ek_evaluate_absolute(char **out, const char *path)
{
	char *here = NULL;
	int rc;

	if (path[0] == '/')
		return ek_copy_string(out, path);
	if ((here = realpath(".", NULL)) == NULL)
		return ek_fail_errno("where this is cannot be told");
	rc = ek_format(out, "%s/%s", here, path);
	free(here);
	return rc;
}

static int open_one(struct ek_evaluate *e, const char *text, int as_path)
{
	struct ek_measured *m = &e->sets[e->set_count];
	char *path = NULL;
	int rc = 0;

	if (e->set_count == EK_EVALUATE_SETS)
		return ek_fail(EK_EUSAGE, "'samples': more than %d sets", EK_EVALUATE_SETS);
	if (as_path)
		EK_TRY(ek_evaluate_absolute(&path, text));
	/* Their spread is taken for chance. */
	for (size_t i = 0; i < e->set_count; i++) {
		const char *before = as_path ? e->sets[i].path : e->sets[i].name;

		if (before != NULL && strcmp(before, as_path ? path : text) == 0) {
			rc = ek_fail(EK_EUSAGE, "'samples': %s is given twice", text);
			goto out;
		}
	}
	e->set_count++;
	EK_TRY(as_path ? ek_measured_path(m, &e->spaces, path) : ek_measured_samples(m, &e->spaces, text));
out:
	free(path);
	return rc;
}

/* Names in RUN/samples with commas between them, or one path, which may have commas in it, or several. */
static int open_samples(struct ek_evaluate *e)
{
	const char *text = e->wish->samples;
	char *copy = NULL, *rest, *part;
	int rc;

	if (ek_samples_check(e->run, text) == 0)
		return open_one(e, text, 0);
	if (is_path(text))
		return open_one(e, text, 1);
	EK_TRY(ek_copy_string(&copy, text));
	for (rest = copy; (part = strsep(&rest, ",")) != NULL;) {
		const int found = ek_samples_check(e->run, part), named = found == 0;

		if (!named && !is_path(part)) {
			rc = found == EK_EDATA
			             ? found
			             : ek_fail(EK_EUSAGE,
			                       "'samples' %s: there is neither %s/samples/%s nor a file or folder %s",
			                       text, ek_run_path(e->run), part, part);
			goto out;
		}
		EK_TRY(open_one(e, part, !named));
	}
out:
	free(copy);
	return rc;
}

/* Sets of several seeds are of one model. */
static int check_models(const struct ek_evaluate *e)
{
	struct ek_seen other;
	int rc = 0;

	for (size_t i = 1; i < e->set_count; i++) {
		rc = ek_seen_open(&other, e->run, &e->frozen, e->sets[i].name);
		if (rc == 0 && ((e->seen.name == NULL) != (other.name == NULL) ||
		                (other.name != NULL && strcmp(e->seen.name, other.name) != 0)))
			rc = ek_fail(EK_EUSAGE, "'samples': %s is of the model %s, %s of %s; evaluate them apart",
			             e->wish->samples, e->seen.name != NULL ? e->seen.name : "(none)",
			             e->sets[i].name != NULL ? e->sets[i].name : e->sets[i].path,
			             other.name != NULL ? other.name : "(none)");
		ek_seen_release(&other);
		EK_TRY(rc);
	}
out:
	return rc;
}

/* The cluster that each sample of a set was made for, from samples.jsonl. */
static int read_asked(int32_t *asked, const struct ek_evaluate *e, const struct ek_measured *m)
{
	struct ek_jsonl rows = { 0 };
	char *path = NULL;
	cJSON *row;
	int rc;

	EK_TRY(ek_layout_path(&path, e->run, "samples/*/samples.jsonl", m->name));
	EK_TRY(ek_jsonl_open(&rows, path));
	for (uint64_t i = 0; i < m->rows->count; i++) {
		EK_TRY(ek_jsonl_next(&rows, &row));
		if (rc == 0) {
			rc = ek_fail(EK_EDATA, "%s ends before its %" PRIu64 " images", path, m->rows->count);
			goto out;
		}
		const char *name = cJSON_GetStringValue(ek_json_member(row, "cluster"));

		asked[i] = name != NULL ? (int32_t)strtol(name, NULL, 10) : -1;
		cJSON_Delete(row);
	}
	rc = 0;
out:
	ek_jsonl_close(&rows);
	free(path);
	return rc;
}

static int open_asked(struct ek_evaluate *e)
{
	const char *condition = cJSON_GetStringValue(ek_json_member(e->seen.samples, "condition"));
	uint64_t count = 0;
	int rc = 0;

	if (condition == NULL || strcmp(condition, "cluster") != 0)
		return 0;
	EK_TRY(ek_alloc(&e->asked, e->input.generated.count, sizeof *e->asked));
	for (size_t i = 0; i < e->set_count; i++) {
		EK_TRY(read_asked(e->asked + count, e, &e->sets[i]));
		count += e->sets[i].rows->count;
	}
	e->input.asked = e->asked;
out:
	return rc;
}

static int pool(struct ek_evaluate *e)
{
	uint64_t first = 0;
	int rc = 0;

	for (size_t i = 0; i < e->set_count; i++) {
		const struct ek_measured *m = &e->sets[i];

		e->set[i] = (struct ek_evaluation_set){ m->name != NULL ? m->name : m->path, first, m->rows->count };
		first += m->rows->count;
	}
	e->input.sets = e->set;
	e->input.set_count = e->set_count;
	if (e->set_count > 1) {
		EK_TRY(ek_pooled_open(&e->pooled, &e->pooled_cluster, e->run, e->sets, e->set_count));
		e->input.generated = e->pooled.rows;
		e->input.generated_cluster = e->pooled_cluster;
	} else {
		e->input.generated = *e->sets[0].rows;
		e->input.generated_cluster = e->sets[0].cluster;
	}
out:
	return rc;
}

/* --- what it is measured against --- */

static int open_statistics(struct ek_evaluate *e, const char *path)
{
	int rc;

	EK_TRY(ek_gaussian_load(&e->statistics, path));
	EK_TRY(ek_hash64_file_hex(e->statistics_hash, path));
	e->input.statistics = &e->statistics;
out:
	return rc;
}

/* A .npz of mu and sigma alone? */
static int is_statistics(int *is, const char *path)
{
	const size_t length = strlen(path);
	struct ek_npz npz = { 0 };
	int rc = 0;

	*is = 0;
	if (length < 5 || strcmp(path + length - 4, ".npz") != 0 || !ek_file_exists(path))
		return 0;
	EK_TRY(ek_npz_open(&npz, path));
	*is = ek_npz_has(&npz, "mu") && !ek_npz_has(&npz, "arr_0");
out:
	ek_npz_close(&npz);
	return rc;
}

int ek_evaluate_check_reference(const char *path)
{
	struct ek_gaussian gaussian = { 0 };
	int statistics, rc;

	EK_TRY(is_statistics(&statistics, path));
	EK_TRY(statistics ? ek_gaussian_load(&gaussian, path) : ek_measured_check(path));
out:
	ek_gaussian_release(&gaussian);
	return rc;
}

/* Rows `ids` of the run's images, with their clusters. */
static int take_own(struct ek_evaluate *e, const uint64_t *ids, uint64_t count)
{
	const int32_t *assignment = e->frozen.assignment.data;
	int rc;

	EK_TRY(ek_alloc(&e->reference_cluster, count, sizeof *e->reference_cluster));
	for (uint64_t i = 0; i < count; i++)
		e->reference_cluster[i] = assignment[ids[i]];
	e->input.reference = e->images.rows;
	e->input.reference.ids = ids;
	e->input.reference.count = count;
	e->input.reference_cluster = e->reference_cluster;
out:
	return rc;
}

/* Of one image no distance could be told. */
static int check_own(const struct ek_evaluate *e)
{
	const int held_out = e->frozen.held_out_count > 0;

	return e->wish->reference != NULL || e->wish->statistics != NULL ||
	                       (held_out ? e->frozen.held_out_count : e->frozen.training_count) > 1
	               ? 0
	               : ek_fail(EK_EUSAGE,
	                         "%s has one image%s, and to measure against at least 2 are needed: give a 'reference'",
	                         ek_run_path(e->run), held_out ? " that is held out" : "");
}

static int open_reference(struct ek_evaluate *e)
{
	const char *path = e->wish->reference;
	int statistics = 0, rc;

	if (path == NULL && e->frozen.held_out_count > 0) {
		e->kind = EK_REFERENCE_HELD_OUT;
		return take_own(e, e->frozen.held_out, e->frozen.held_out_count);
	}
	if (path == NULL) {
		e->kind = EK_REFERENCE_TRAINING;
		ek_warn("no images were held out (evenkeel help audit says how) and there is no 'reference': all%s is "
		        "measured against training images, so copies of them count as good coverage",
		        e->wish->statistics != NULL ? " but the distance to the statistics" : "");
		return take_own(e, e->frozen.training, e->frozen.training_count);
	}
	EK_TRY(is_statistics(&statistics, path));
	if (statistics) {
		if (e->wish->statistics != NULL)
			return ek_fail(EK_EUSAGE,
			               "%s is statistics, too: 'reference' wants images, or leave 'statistics' out",
			               path);
		e->kind = EK_REFERENCE_STATISTICS;
		e->input.no_reference = "the reference is stored statistics, not images";
		return open_statistics(e, path);
	}
	e->kind = EK_REFERENCE_PATH;
	EK_TRY(ek_measured_path(&e->reference, &e->spaces, path));
	e->input.reference = *e->reference.rows;
	e->input.reference_cluster = e->reference.cluster;
out:
	return rc;
}

static void take_training(struct ek_evaluate *e)
{
	e->input.training = e->images.rows;
	e->input.training.ids = e->seen.ids;
	e->input.training.count = e->seen.count;
	e->input.no_training = "the model saw no image of the run";
	if (e->frozen.held_out_count > 0) {
		e->input.held_out = e->images.rows;
		e->input.held_out.ids = e->frozen.held_out;
		e->input.held_out.count = e->frozen.held_out_count;
	}
	e->input.training_counts = e->frozen.sizes;
	e->input.clusters = e->frozen.k;
}

/* The Inception score needs FID-Inception's logits: its features times its last weights. */
static int open_logits(struct ek_evaluate *e)
{
	const struct ek_feature_maker *m = e->spaces.other != NULL ? e->spaces.other : &e->own;
	const struct ek_rows *rows = &e->input.generated;
	const struct ek_encoder *encoder;
	char *weights = NULL;
	int rc;

	e->input.no_logits = "the encoder is not inception-fid";
	if (m->own || ek_encoder_find(&encoder, m->encoder) < 0 || !encoder->fid)
		return 0;
	EK_TRY(ek_weight_file_find(&weights, m->encoder, m->weights));
	EK_TRY(ek_alloc_aligned(&e->logits, rows->count, EK_INCEPTION_CLASSES * sizeof *e->logits));
	EK_TRY(ek_inception_logits(e->logits, rows->array, weights));
	e->logits_array = ek_rows_memory(e->logits, rows->count, EK_INCEPTION_CLASSES);
	EK_TRY(ek_rows_of(&e->input.logits, &e->logits_array, 0));
out:
	free(weights);
	return rc;
}

/* "0.5,2,inf" */
static int read_orders(struct ek_evaluate *e)
{
	const char *text = e->wish->orders;
	char *end;

	while (text != NULL && *text != 0) {
		const double order = strtod(text, &end);

		if (end == text || (*end != 0 && *end != ',') || !(order >= 0) || e->order_count == EK_EVALUATE_ORDERS)
			return ek_fail(EK_EUSAGE,
			               "'vendi-order' is \"%s\", not up to %d numbers from 0 on, as 0.5,2,inf",
			               e->wish->orders, EK_EVALUATE_ORDERS);
		e->orders[e->order_count++] = order;
		text = end + (*end == ',');
	}
	return 0;
}

/* --- all of it --- */

static int open_spaces(struct ek_evaluate *e)
{
	int rc;

	EK_TRY(ek_feature_maker_of_run(&e->own, e->run));
	e->own.again = e->wish->force;
	e->spaces = (struct ek_spaces){ .run = e->run, .frozen = &e->frozen, .own = &e->own };
	if (e->wish->encoder != NULL && (strcmp(e->wish->encoder, e->own.encoder) != 0 || e->wish->weights != NULL)) {
		EK_TRY(ek_feature_maker_other(&e->other, e->run, e->wish->encoder, e->wish->weights));
		e->other.again = e->wish->force;
		e->spaces.other = &e->other;
	} else if (e->wish->weights != NULL) {
		rc = ek_fail(EK_EUSAGE, "'weights' goes with 'encoder'");
	}
out:
	return rc;
}

int ek_evaluate_open(struct ek_evaluate *e, struct ek_run *run, const struct ek_do_evaluate_options *wish)
{
	int rc;

	*e = (struct ek_evaluate){ .run = run, .wish = wish };
	EK_TRY(read_orders(e));
	EK_TRY(ek_frozen_open(&e->frozen, run));
	/* Before images are embedded, what can be told wrong. */
	EK_TRY(check_own(e));
	EK_TRY(ek_evaluate_target_file(e));
	if (wish->statistics != NULL)
		EK_TRY(open_statistics(e, wish->statistics));
	EK_TRY(open_spaces(e));
	EK_TRY(open_samples(e));
	EK_TRY(ek_seen_open(&e->seen, run, &e->frozen, e->sets[0].name));
	EK_TRY(check_models(e));
	EK_TRY(pool(e));
	EK_TRY(open_asked(e));
	EK_TRY(ek_features_of_run(&e->images, run, e->spaces.other != NULL ? &e->other : &e->own));
	EK_TRY(open_reference(e));
	take_training(e);
	EK_TRY(open_logits(e));
	EK_TRY(ek_evaluate_target(e));
	EK_TRY(ek_evaluate_groups(e));
out:
	return rc;
}

/* The sets after each other. */
static int append(struct ek_closeness *to, uint64_t first, const struct ek_closeness *from)
{
	int rc;

	EK_TRY(ek_resize(&to->index, first + from->count, sizeof *to->index));
	EK_TRY(ek_resize(&to->distance, first + from->count, sizeof *to->distance));
	EK_TRY(ek_resize(&to->own, first + from->count, sizeof *to->own));
	EK_TRY(ek_resize(&to->copied, first + from->count, sizeof *to->copied));
	memcpy(to->index + first, from->index, from->count * sizeof *to->index);
	memcpy(to->distance + first, from->distance, from->count * sizeof *to->distance);
	memcpy(to->own + first, from->own, from->count * sizeof *to->own);
	memcpy(to->copied + first, from->copied, from->count);
	to->count = first + from->count;
	to->k = 1;
out:
	return rc;
}

int ek_evaluate_compare(struct ek_evaluate *e)
{
	struct ek_closeness one = { 0 };
	uint64_t first = 0;
	int all = e->spaces.other == NULL, rc = 0;

	for (size_t i = 0; i < e->set_count; i++) {
		all = all && e->sets[i].name != NULL;
		if (e->sets[i].name != NULL)
			EK_TRY(ek_samples_compare(e->run, e->sets[i].name, e->wish->force));
	}
	for (size_t i = 0; all && i < e->set_count; i++) {
		EK_TRY(ek_samples_closeness(&one, e->run, e->sets[i].name, e->sets[i].rows, &e->input.training));
		EK_TRY(append(&e->closeness, first, &one));
		first += one.count;
		ek_closeness_release(&one);
	}
	if (all)
		e->input.closeness = &e->closeness;
out:
	ek_closeness_release(&one);
	return rc;
}

void ek_evaluate_release(struct ek_evaluate *e)
{
	for (size_t i = 0; i < e->set_count; i++)
		ek_measured_release(&e->sets[i]);
	ek_pooled_release(&e->pooled);
	ek_evaluate_groups_release(e);
	ek_measured_release(&e->reference);
	ek_features_release(&e->images);
	ek_seen_release(&e->seen);
	ek_frozen_release(&e->frozen);
	ek_feature_maker_release(&e->own);
	ek_feature_maker_release(&e->other);
	ek_gaussian_release(&e->statistics);
	free(e->pooled_cluster);
	ek_closeness_release(&e->closeness);
	free(e->logits);
	free(e->asked);
	free(e->reference_cluster);
	free(e->target_path);
	free(e->shares);
}
