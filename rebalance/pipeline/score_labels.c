/* Label errors: the quality of each label, and a table of those that are likely wrong. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/label_errors.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/text.h"
#include "rebalance/io/csv.h"
#include "rebalance/io/images.h"
#include "rebalance/io/run_files.h"
#include "rebalance/pipeline/score_classes.h"

/* The joint is told of so many classes; of each class so many images whose label is surest. */
enum { CLASSES_TOLD = 100, SUREST = 4 };

/* In the order of the choices, the first of each being the default. */
const struct ek_choice ek_score_filters[] = {
	{ "prune-by-noise-rate", "of each pair of labels as many as are estimated to be mistaken for each other" },
	{ "prune-by-class", "of each label as many as are estimated to be wrong, the least likely" },
	{ "both", "those that both of these call wrong" },
	{ "confident-learning", "those that are confidently of another label" },
	{ NULL, NULL }
};
const struct ek_choice ek_score_qualities[] = { { "self-confidence", "the probability of the given label" },
	                                        { "normalised-margin",
	                                          "how far it is above the next likely label, from 0 to 1" },
	                                        { NULL, NULL } };

int ek_score_labels_prepare(struct ek_scoring *s)
{
	const struct ek_do_score_options *o = s->options;
	int rc;

	EK_TRY(ek_score_probe_prepare(s));
	EK_TRY(ek_json_add_u64(s->json, "folds", (uint64_t)o->folds));
	EK_TRY(ek_json_add_string(s->json, "filter", ek_score_filters[o->filter].name));
	EK_TRY(ek_json_add_string(s->json, "quality", ek_score_qualities[o->quality].name));
out:
	return rc;
}

/* Labels that are likely wrong. */
struct suspect {
	uint64_t row;
	float quality;
	char *file; /* owned, or NULL */
};

struct work {
	struct ek_scoring *s;
	const struct ek_score_classes *c;
	float *p;        /* [rows, classes] */
	uint64_t *joint; /* [classes, classes] */
	uint8_t *wrong;  /* [rows] */
	struct suspect *suspects;
	uint64_t count;
	double accuracy;
};

static const float *row_of(const struct work *w, uint64_t row)
{
	return w->p + row * w->c->count;
}

static int by_quality(const void *a, const void *b)
{
	const struct suspect *x = a, *y = b;

	if (x->quality < y->quality || x->quality > y->quality)
		return x->quality < y->quality ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

static int collect(struct work *w)
{
	const enum ek_label_quality how = (enum ek_label_quality)w->s->options->quality;
	int rc;

	for (uint64_t i = 0; i < w->c->rows.count; i++)
		w->count += w->wrong[i];
	EK_TRY(ek_alloc(&w->suspects, w->count, sizeof *w->suspects));
	w->count = 0;
	for (uint64_t i = 0; i < w->c->rows.count; i++) {
		const float quality = ek_label_errors_quality(how, row_of(w, i), w->c->count, w->c->label[i]);

		w->s->score[w->c->ids[i]] = quality;
		if (w->wrong[i])
			w->suspects[w->count++] = (struct suspect){ .row = i, .quality = quality };
	}
out:
	return rc;
}

/* The names of their files, where there are files; the suspects are in the order of ids. */
static int find_names(struct work *w)
{
	struct ek_image_record record = { 0 };
	struct ek_images *images = NULL;
	int rc;

	EK_TRY(ek_run_has(w->s->run, "images.jsonl"));
	if (rc == 0)
		goto out;
	EK_TRY(ek_images_open(&images, w->s->run));
	for (uint64_t k = 0; k < w->count; k++) {
		EK_TRY(ek_images_seek(images, w->c->ids[w->suspects[k].row]));
		EK_TRY(ek_images_next(images, &record));
		EK_TRY(ek_copy_string(&w->suspects[k].file, record.file_name));
		ek_image_record_release(&record);
	}
out:
	ek_images_close(images);
	return rc;
}

static int append_row(struct ek_buffer *b, const struct work *w, const struct suspect *suspect)
{
	const float *p = row_of(w, suspect->row);
	const uint32_t suggested = ek_label_errors_suggest(p, w->c->count);
	int rc;

	if (suspect->file != NULL) {
		EK_TRY(ek_csv_append(b, suspect->file));
		EK_TRY(ek_buffer_text(b, ","));
	}
	EK_TRY(ek_buffer_printf(b, "%" PRIu64 ",", w->c->ids[suspect->row]));
	EK_TRY(ek_csv_append(b, w->c->names[w->c->label[suspect->row]]));
	EK_TRY(ek_buffer_text(b, ","));
	EK_TRY(ek_csv_append(b, w->c->names[suggested]));
	EK_TRY(ek_buffer_printf(b, ",%.6f,%.6f,%.6f\n", (double)p[suggested], (double)p[w->c->label[suspect->row]],
	                        (double)suspect->quality));
out:
	return rc;
}

/* Worst first. */
static int write_table(struct work *w)
{
	struct ek_atomic_file file = { 0 };
	struct ek_buffer row = { 0 };
	int rc;

	EK_TRY(find_names(w));
	EK_TRY(ek_buffer_printf(&row, "%sid,label,suggested,probability,probability_of_label,quality\n",
	                        w->count > 0 && w->suspects[0].file == NULL ? "" : "file_name,"));
	qsort(w->suspects, w->count, sizeof *w->suspects, by_quality);
	EK_TRY(ek_atomic_open(&file, w->s->table));
	EK_TRY(ek_atomic_write(&file, row.data, row.size));
	for (uint64_t k = 0; k < w->count; k++) {
		ek_buffer_clear(&row);
		EK_TRY(append_row(&row, w, &w->suspects[k]));
		EK_TRY(ek_atomic_write(&file, row.data, row.size));
	}
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	ek_buffer_release(&row);
	return rc;
}

/* Images of a label that are likeliest of it, the surest first, for people to compare others with. */
static int report_surest(cJSON *item, const struct work *w, uint32_t k)
{
	uint64_t surest[SUREST];
	size_t count = 0;
	cJSON *list;
	int rc;

	for (uint64_t i = 0; i < w->c->rows.count; i++) {
		size_t at = count;

		if (w->c->label[i] != k || w->wrong[i])
			continue;
		while (at > 0 && row_of(w, i)[k] > row_of(w, surest[at - 1])[k])
			at--;
		if (at == SUREST)
			continue;
		count += count < SUREST;
		memmove(surest + at + 1, surest + at, (count - 1 - at) * sizeof *surest);
		surest[at] = i;
	}
	EK_TRY(ek_json_add_array(&list, item, "surest"));
	for (size_t j = 0; j < count; j++)
		EK_TRY(ek_json_add_u64(list, NULL, w->c->ids[surest[j]]));
out:
	return rc;
}

/* How many of a label are likely wrong, and what they are most often instead. */
static int report_class(cJSON *list, const struct work *w, uint32_t k, uint64_t *instead)
{
	uint64_t images = 0, wrong = 0;
	uint32_t most = k;
	cJSON *item;
	int rc;

	memset(instead, 0, w->c->count * sizeof *instead);
	for (uint64_t i = 0; i < w->c->rows.count; i++)
		images += w->c->label[i] == k;
	if (images == 0)
		return 0;
	for (uint64_t i = 0; i < w->count; i++)
		if (w->c->label[w->suspects[i].row] == k) {
			const uint32_t to = ek_label_errors_suggest(row_of(w, w->suspects[i].row), w->c->count);

			wrong++;
			instead[to]++;
			most = most == k || instead[to] > instead[most] || (instead[to] == instead[most] && to < most)
			               ? to
			               : most;
		}
	EK_TRY(ek_json_add_object(&item, list, NULL));
	EK_TRY(ek_json_add_string(item, "label", w->c->names[k]));
	EK_TRY(ek_json_add_u64(item, "images", images));
	EK_TRY(ek_json_add_u64(item, "errors", wrong));
	EK_TRY(wrong > 0 ? ek_json_add_string(item, "mostly", w->c->names[most]) : ek_json_add_null(item, "mostly"));
	EK_TRY(ek_json_add_u64(item, "mostly_images", wrong > 0 ? instead[most] : 0));
	EK_TRY(report_surest(item, w, k));
out:
	return rc;
}

static int report_joint(cJSON *parent, const struct work *w)
{
	cJSON *rows, *row;
	int rc;

	if (w->c->count > CLASSES_TOLD)
		return ek_json_add_none(parent, "joint", "it is only told of up to 100 labels");
	EK_TRY(ek_json_add_array(&rows, parent, "joint"));
	for (uint32_t g = 0; g < w->c->count; g++) {
		EK_TRY(ek_json_add_array(&row, rows, NULL));
		for (uint32_t t = 0; t < w->c->count; t++)
			EK_TRY(ek_json_add_u64(row, NULL, w->joint[(size_t)g * w->c->count + t]));
	}
out:
	return rc;
}

static int report(const struct work *w)
{
	cJSON *errors, *list;
	uint64_t *instead = NULL;
	int rc;

	EK_TRY(ek_alloc(&instead, w->c->count, sizeof *instead));
	EK_TRY(ek_json_add_string(w->s->report, "by", w->c->by));
	EK_TRY(ek_json_add_u64(w->s->report, "classes", w->c->count));
	EK_TRY(ek_json_add_double(w->s->report, "accuracy", w->accuracy));
	EK_TRY(ek_json_add_object(&errors, w->s->report, "label_errors"));
	EK_TRY(ek_json_add_u64(errors, "found", w->count));
	EK_TRY(ek_json_add_double(errors, "share", (double)w->count / (double)w->c->rows.count));
	EK_TRY(ek_json_add_array(&list, errors, "labels"));
	for (uint32_t k = 0; k < w->c->count; k++)
		EK_TRY(report_class(list, w, k, instead));
	EK_TRY(report_joint(errors, w));
out:
	free(instead);
	return rc;
}

static int judge(struct work *w)
{
	const struct ek_do_score_options *o = w->s->options;
	const struct ek_softmax_options options = { .epochs = (uint32_t)o->epochs,
		                                    .rate = o->rate,
		                                    .seed = (uint64_t)o->seed };
	const struct ek_score_classes *c = w->c;
	const uint64_t n = c->rows.count;
	struct ek_softmax_data data = { 0 };
	char rows[32], classes[32], bytes[32];
	int rc;

	ek_info("%" PRId64 " probes of %s labels on %s images: %s of memory", o->folds,
	        ek_text_count(classes, c->count), ek_text_count(rows, n),
	        ek_text_bytes(bytes, n * c->count * sizeof *w->p));
	EK_TRY(ek_alloc(&w->p, n * c->count, sizeof *w->p));
	EK_TRY(ek_alloc(&w->joint, (size_t)c->count * c->count, sizeof *w->joint));
	EK_TRY(ek_alloc(&w->wrong, n, 1));
	EK_TRY(ek_softmax_data_of(&data, &c->rows, c->label, c->count));
	EK_TRY(ek_label_errors_cross(w->p, &w->accuracy, &data, (uint32_t)o->folds, &options));
	EK_TRY(ek_label_errors_joint(w->joint, w->p, c->label, n, c->count));
	EK_TRY(ek_label_errors_find(w->wrong, (enum ek_label_filter)o->filter, w->p, c->label, n, c->count, w->joint));
out:
	ek_softmax_data_release(&data);
	return rc;
}

int ek_score_labels_make(struct ek_scoring *s)
{
	struct work w = { .s = s, .c = s->own };
	int rc;

	EK_TRY(ek_score_classes_load(s->own, s, 1));
	EK_TRY(judge(&w));
	EK_TRY(collect(&w));
	EK_TRY(write_table(&w));
	EK_TRY(report(&w));
out:
	for (uint64_t k = 0; k < w.count && w.suspects != NULL; k++)
		free(w.suspects[k].file);
	free(w.suspects);
	free(w.p);
	free(w.joint);
	free(w.wrong);
	return rc;
}
