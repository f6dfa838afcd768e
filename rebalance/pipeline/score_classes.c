#include "rebalance/io/run_files.h"
#include "rebalance/pipeline/score_classes.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/images.h"
#include "rebalance/pipeline/given_labels.h"
#include "rebalance/plan/units.h"

enum { MOST_CLASSES = 1 << 16, SLICE = 4096 };

/* Does any image of the run have a label? */
static int has_labels(int *has, const struct ek_run *run)
{
	struct ek_image_record record = { 0 };
	struct ek_images *images = NULL;
	int rc;

	*has = 0;
	EK_TRY(ek_run_has(run, "images.jsonl"));
	if (rc == 0)
		goto out;
	EK_TRY(ek_images_open(&images, run));
	while (!*has && (rc = ek_images_next(images, &record)) > 0) {
		*has = record.label != NULL;
		ek_image_record_release(&record);
	}
out:
	ek_images_close(images);
	return rc < 0 ? rc : 0;
}

static int add_hash(cJSON *json, const char *path)
{
	char text[17];
	int rc;

	EK_TRY(ek_hash64_file_hex(text, path));
	EK_TRY(ek_json_add_string(json, "labels_xxh64", text));
out:
	return rc;
}

static int name_inputs(struct ek_scoring *s, const char *by)
{
	int rc;

	EK_TRY(ek_scoring_input(s, "embeddings.npy"));
	for (const char *const *file = ek_units_inputs(by); *file != NULL; file++)
		EK_TRY(ek_scoring_input(s, *file));
out:
	return rc;
}

int ek_score_classes_prepare(struct ek_score_classes *c, struct ek_scoring *s)
{
	const struct ek_do_score_options *o = s->options;
	int labelled, rc;

	if (o->by != NULL && o->labels != NULL)
		return ek_fail(EK_EUSAGE, "'by' and 'labels' both say what the classes are: give one of them");
	EK_TRY(has_labels(&labelled, s->run));
	EK_TRY(o->labels != NULL ? ek_format(&c->by, "labels of %s", o->labels)
	                         : ek_copy_string(&c->by, o->by != NULL ? o->by
	                                                  : labelled    ? "label"
	                                                                : "cluster"));
	if (s->method->needs_labels && o->labels == NULL && strstr(c->by, "cluster") != NULL) {
		rc = ek_fail(EK_EUSAGE,
		             o->by != NULL ? "%s needs labels that people gave, not clusters: 'by' label or "
		                             "ATTRIBUTE, or 'labels' FILE"
		                           : "%s needs labels, and the images of this run have none: 'labels' FILE, "
		                             "or 'by' ATTRIBUTE",
		             s->method->name);
		goto out;
	}
	EK_TRY(ek_json_add_string(s->json, "by", o->labels != NULL ? "labels" : c->by));
	if (o->labels != NULL)
		EK_TRY(add_hash(s->json, o->labels));
	EK_TRY(name_inputs(s, o->labels != NULL ? "all" : c->by));
	EK_TRY(ek_run_npy(&c->embeddings, s->run, "embeddings.npy"));
	EK_TRY(ek_rows_of(&c->rows, &c->embeddings, 0));
	s->images = c->rows.count;
out:
	return rc;
}

static int check_count(const struct ek_units *units, const struct ek_scoring *s)
{
	if (units->n != s->images)
		return ek_fail(EK_EDATA,
		               "embeddings.npy has %" PRIu64 " rows, and there are %" PRIu64
		               " images: they are not of one run",
		               s->images, units->n);
	return 0;
}

static int name_units(struct ek_score_classes *c, const struct ek_units *units)
{
	char number[16];
	int rc;

	EK_TRY(ek_alloc(&c->names, units->k, sizeof *c->names));
	for (c->count = 0; c->count < units->k; c->count++)
		EK_TRY(ek_copy_string(&c->names[c->count], ek_unit_name(number, units, c->count)));
out:
	return rc;
}

static void leave_out_units(struct ek_scoring *s, const int32_t *unit)
{
	for (uint64_t i = 0; i < s->images; i++)
		if (unit[i] < 0)
			ek_scoring_leave_out(s, i,
			                     unit[i] == EK_UNIT_HELD_OUT ? "held out for evaluation" : "no label");
}

/* label: [images] by the units of the run. */
static int load_units(int32_t *label, struct ek_score_classes *c, struct ek_scoring *s)
{
	struct ek_units units = { 0 };
	int rc;

	EK_TRY(ek_units_load(&units, s->run, c->by));
	EK_TRY(check_count(&units, s));
	EK_TRY(name_units(c, &units));
	memcpy(label, units.unit, s->images * sizeof *label);
	leave_out_units(s, label);
out:
	ek_units_release(&units);
	return rc;
}

/* label: [images] by a table; of the units it is only asked which images are held out. */
static int load_table(int32_t *label, struct ek_score_classes *c, struct ek_scoring *s)
{
	struct ek_given_labels given = { 0 };
	struct ek_units units = { 0 };
	int rc;

	EK_TRY(ek_units_load(&units, s->run, "all"));
	EK_TRY(check_count(&units, s));
	EK_TRY(ek_given_labels_load(&given, s->run, s->options->labels, s->images, MOST_CLASSES));
	for (uint64_t i = 0; i < s->images; i++)
		label[i] = units.unit[i] < 0 ? units.unit[i] : EK_UNIT_NONE;
	for (uint64_t k = 0; k < given.count; k++)
		if (units.unit[given.ids[k]] >= 0)
			label[given.ids[k]] = (int32_t)given.group[k];
	leave_out_units(s, label);
	c->names = given.names;
	c->count = given.groups;
	given.names = NULL;
	given.groups = 0;
out:
	ek_given_labels_release(&given);
	ek_units_release(&units);
	return rc;
}

struct looking {
	const struct ek_score_classes *classes;
	float *room;     /* [threads, d] */
	uint8_t *finite; /* [images] */
};

static int look_at(void *context, uint64_t slice, int worker)
{
	const struct looking *l = context;
	const struct ek_rows *rows = &l->classes->rows;
	const uint64_t end = (slice + 1) * SLICE < rows->count ? (slice + 1) * SLICE : rows->count;

	for (uint64_t i = slice * SLICE; i < end; i++) {
		const float *row = ek_rows_at(rows, i, l->room + (size_t)worker * rows->dimensions);
		float sum = 0;

		for (size_t j = 0; j < rows->dimensions; j++)
			sum += row[j] * 0; /* a NaN or an infinity makes it NaN */
		l->finite[i] = (uint8_t)!isnan(sum);
	}
	return ek_check_interrupt();
}

/* Images whose embedding holds a number that is none have no label any more. */
static int leave_out_broken(int32_t *label, const struct ek_score_classes *c, struct ek_scoring *s)
{
	struct looking l = { .classes = c };
	int rc;

	EK_TRY(ek_alloc(&l.room, (size_t)ek_threads() * c->rows.dimensions, sizeof *l.room));
	EK_TRY(ek_alloc(&l.finite, s->images, 1));
	EK_TRY(ek_parallel((s->images + SLICE - 1) / SLICE, look_at, &l));
	for (uint64_t i = 0; i < s->images; i++)
		if (!l.finite[i] && label[i] >= 0) {
			label[i] = EK_UNIT_NONE;
			ek_scoring_leave_out(s, i, "its embedding holds a number that is not finite");
		}
out:
	free(l.room);
	free(l.finite);
	return rc;
}

/* The rows that have a label, and of their classes how many there are. */
static int take_rows(struct ek_score_classes *c, struct ek_scoring *s, const int32_t *label, int alone)
{
	uint64_t *sizes = NULL, count = 0;
	uint32_t there = 0;
	int rc;

	EK_TRY(ek_alloc(&sizes, c->count, sizeof *sizes));
	EK_TRY(ek_alloc(&c->ids, s->images, sizeof *c->ids));
	EK_TRY(ek_alloc(&c->label, s->images, sizeof *c->label));
	for (uint64_t i = 0; i < s->images; i++)
		if (label[i] >= 0)
			sizes[label[i]]++;
	for (uint64_t i = 0; i < s->images; i++) {
		if (label[i] < 0)
			continue;
		if (alone && sizes[label[i]] == 1) {
			ek_scoring_leave_out(s, i, "the only image of its label");
			sizes[label[i]] = 0;
			continue;
		}
		c->ids[count] = i;
		c->label[count++] = (uint32_t)label[i];
	}
	for (uint32_t k = 0; k < c->count; k++)
		there += sizes[k] > 0;
	c->rows.ids = c->ids;
	c->rows.count = count;
	if (there < 2)
		rc = ek_fail(EK_EDATA,
		             "by %s %s%s; two such are needed to be told apart: 'by' cluster, label or ATTRIBUTE, or "
		             "'labels' FILE",
		             c->by, there == 0 ? "no class has " : "only one class has ",
		             alone ? "two images" : "images that can be scored");
out:
	free(sizes);
	return rc;
}

int ek_score_classes_load(struct ek_score_classes *c, struct ek_scoring *s, int alone)
{
	int32_t *label = NULL;
	int rc;

	EK_TRY(ek_alloc(&label, s->images, sizeof *label));
	EK_TRY(s->options->labels != NULL ? load_table(label, c, s) : load_units(label, c, s));
	EK_TRY(leave_out_broken(label, c, s));
	EK_TRY(take_rows(c, s, label, alone));
out:
	free(label);
	return rc;
}

void ek_score_classes_release(struct ek_score_classes *c)
{
	for (uint32_t k = 0; c->names != NULL && k < c->count; k++)
		free(c->names[k]);
	free(c->names);
	free(c->ids);
	free(c->label);
	free(c->by);
	ek_npy_close(&c->embeddings);
	*c = (struct ek_score_classes){ 0 };
}
