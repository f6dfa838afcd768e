#include "rebalance/io/scan_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/npy.h"

enum { BATCH_ITEMS = 512, BATCH_BYTES = 8 << 20 };

struct batch {
	struct ek_candidate items[BATCH_ITEMS];
	size_t count;
};

struct scanner {
	const struct ek_scan_options *options;
	struct ek_dataset *dataset;
	struct batch *reading, *checking; /* one is filled while the other is checked */
	int ended;                        /* the data set has no more */
	struct ek_buffer *scratch;        /* [ek_threads()] the file a worker reads */
	struct ek_atomic_file images, rejected;
	struct {
		uint64_t images, rejected, unread, other_files, held_out, bytes;
		struct ek_tally unopened; /* of the other files: that may hold images */
	} counts;
	struct part {
		uint64_t images, rejected;
	} * parts;         /* [ek_dataset_parts()] */
	uint64_t contents; /* a hash of every image's bytes and shape, in order */
	char first_rejected[512], first_unread[512], first_other[512];
	atomic_int starved; /* files in a row, of those not to be opened */
};

/* --- the pipeline: piece 0 fills the next batch while the others check the last one --- */

static int fill(struct scanner *s)
{
	struct batch *b = s->reading;
	size_t bytes = 0;
	int rc = 0;

	b->count = 0;
	while (!s->ended && b->count < BATCH_ITEMS && bytes < BATCH_BYTES) {
		struct ek_candidate *c = &b->items[b->count];

		EK_TRY(ek_dataset_next(s->dataset, &c->item));
		s->ended = rc == 0;
		bytes += c->item.bytes.size;
		b->count += rc == 1;
	}
	rc = 0;
out:
	return rc;
}

static int piece(void *context, uint64_t i, int worker)
{
	struct scanner *s = context;

	return i == 0 ? fill(s)
	              : ek_candidate_examine(&s->checking->items[i - 1], s->options, &s->starved, &s->scratch[worker]);
}

static int write_out(struct scanner *s)
{
	char id[40];
	int rc = 0;

	for (size_t i = 0; i < s->checking->count; i++) {
		const struct ek_candidate *c = &s->checking->items[i];

		ek_dataset_saw(s->dataset, c->stamp);
		if (c->verdict == EK_CANDIDATE_OTHER) {
			if (c->known != NULL && s->first_other[0] == 0)
				(void)snprintf(s->first_other, sizeof s->first_other, ", as %.200s: %s",
				               c->item.name.data, c->known);
			s->counts.other_files++;
			if (c->item.source == NULL && ek_dataset_may_hold_images(c->item.name.data))
				ek_dataset_note(&s->counts.unopened, c->item.name.data);
		} else if (c->verdict == EK_CANDIDATE_REJECTED) {
			if (c->item.dataset != NULL)
				s->parts[c->item.part].rejected++;
			if (s->counts.rejected++ == 0)
				(void)snprintf(s->first_rejected, sizeof s->first_rejected, "%.200s: %s",
				               c->item.name.data, c->reason);
			if (c->unread && s->counts.unread++ == 0)
				(void)snprintf(s->first_unread, sizeof s->first_unread, "%s", c->reason);
			EK_TRY(ek_atomic_write(&s->rejected, c->row.data, c->row.size));
		} else {
			const int size = snprintf(id, sizeof id, "{\"id\": %" PRIu64 ", ", s->counts.images++);

			if (c->item.dataset != NULL)
				s->parts[c->item.part].images++;
			s->counts.held_out += (uint64_t)c->held_out;
			s->counts.bytes += c->bytes;
			s->contents = (s->contents ^ c->content) * 0x9e3779b97f4a7c15; /* odd: nothing is lost */
			EK_TRY(ek_atomic_write(&s->images, id, (size_t)size));
			EK_TRY(ek_atomic_write(&s->images, c->row.data, c->row.size));
		}
	}
	ek_progress_add(s->checking->count);
out:
	return rc;
}

static int scan_all(struct scanner *s)
{
	int rc;

	ek_progress_begin("scan", "files", 0);
	do {
		struct batch *filled = s->reading;

		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_parallel(s->checking->count + 1, piece, s));
		EK_TRY(write_out(s));
		s->reading = s->checking;
		s->checking = filled;
	} while (!s->ended || s->checking->count > 0);
out:
	ek_progress_end();
	return rc;
}

static int open_outputs(struct scanner *s, const struct ek_run *run)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, "images.jsonl"));
	EK_TRY(ek_atomic_open(&s->images, path));
	free(path);
	path = NULL;
	EK_TRY(ek_run_file(&path, run, "rejected.jsonl"));
	EK_TRY(ek_atomic_open(&s->rejected, path));
out:
	free(path);
	return rc;
}

/* Without any image there is nothing to go on with. */
static int fail_empty(const struct scanner *s, uint64_t other_files)
{
	const char *path = ek_dataset_path(s->dataset, 0);
	const char *others = ek_dataset_path(s->dataset, 1) != NULL ? " and the others" : "";

	if (s->counts.rejected == 0 && s->counts.unopened.count > 0)
		return ek_fail(EK_EDATA,
		               "%s%s: no image in it, perhaps in %" PRIu64
		               " file%s of it (%s%s): give %s as the data set",
		               path, others, s->counts.unopened.count, s->counts.unopened.count == 1 ? "" : "s",
		               s->counts.unopened.first, s->counts.unopened.count == 1 ? "" : ", …",
		               s->counts.unopened.count == 1 ? "it" : "them");
	if (s->counts.rejected == 0)
		return ek_fail(EK_EDATA, "%s%s: no image in it (%" PRIu64 " other file%s%s)", path, others, other_files,
		               other_files == 1 ? "" : "s", s->first_other);
	if (s->counts.rejected == 1)
		return ek_fail(EK_EDATA, "%s%s: the only image was rejected: %s", path, others, s->first_rejected);
	return ek_fail(EK_EDATA, "%s%s: all %" PRIu64 " images were rejected, the first: %s", path, others,
	               s->counts.rejected, s->first_rejected);
}

static int judge(struct scanner *s, uint64_t other_files)
{
	const int rc = ek_dataset_finish(s->dataset);

	if (rc < 0)
		return rc;
	if (s->counts.unread > 0)
		ek_warn("%" PRIu64 " %s could not be read and will be tried again, the first: %s", s->counts.unread,
		        s->counts.unread == 1 ? "file" : "files", s->first_unread);
	if (s->counts.images > 0 && s->counts.unopened.count > 0)
		ek_info("beside the images %" PRIu64 " %s not looked into (%s%s)", s->counts.unopened.count,
		        s->counts.unopened.count == 1 ? "file is" : "files are", s->counts.unopened.first,
		        s->counts.unopened.count == 1 ? "" : ", …");
	return s->counts.images > 0 ? 0 : fail_empty(s, other_files);
}

static int common_counts(cJSON **out, const struct ek_dataset *dataset, uint64_t images)
{
	int rc;

	*out = cJSON_CreateObject();
	EK_TRY(ek_json_add_u64(*out, "images", images));
	EK_TRY(ek_json_add_u64(*out, "warnings", ek_dataset_warnings(dataset)));
	EK_TRY(ek_json_add_string(*out, "kind", ek_dataset_kind_name(ek_dataset_kind(dataset))));
	EK_TRY(ek_filename_add(*out, "root", ek_dataset_root(dataset)));
out:
	return rc;
}

/* What each of several data sets brought: {"datasets": [{"dataset", "kind", "images", "rejected"}]}. */
static int add_parts(cJSON *counts, const struct scanner *s)
{
	const size_t parts = ek_dataset_parts(s->dataset);
	cJSON *list, *object;
	int rc = 0;

	if (parts > 0)
		EK_TRY(ek_json_add_array(&list, counts, "datasets"));
	for (size_t i = 0; i < parts; i++) {
		enum ek_dataset_kind kind;
		const char *name = ek_dataset_part(s->dataset, i, &kind);

		if (s->parts[i].images == 0)
			ek_warn("%s: no image in it%s", name, s->parts[i].rejected > 0 ? " that can be used" : "");
		EK_TRY(ek_json_add_object(&object, list, NULL));
		EK_TRY(ek_filename_add(object, "dataset", name));
		EK_TRY(ek_json_add_string(object, "kind", ek_dataset_kind_name(kind)));
		EK_TRY(ek_json_add_u64(object, "images", s->parts[i].images));
		EK_TRY(ek_json_add_u64(object, "rejected", s->parts[i].rejected));
	}
out:
	return rc;
}

/* All of the data set, and once more if it is only then known. */
static int scan_whole(struct scanner *s, const struct ek_run *run)
{
	const size_t parts = ek_dataset_parts(s->dataset);
	int rc;

	EK_TRY(ek_alloc(&s->parts, parts + 1, sizeof *s->parts));
	do {
		ek_atomic_discard(&s->images);
		ek_atomic_discard(&s->rejected);
		memset(&s->counts, 0, sizeof s->counts);
		memset(s->parts, 0, parts * sizeof *s->parts);
		s->contents = 0;
		s->first_other[0] = 0;
		s->ended = 0;
		EK_TRY(open_outputs(s, run));
		EK_TRY(scan_all(s));
	} while (ek_dataset_again(s->dataset));
out:
	return rc;
}

static int scan_images(struct scanner *s, const struct ek_run *run, cJSON **counts)
{
	const int threads = ek_threads();
	uint64_t other_files;
	char contents[17];
	int rc;

	EK_TRY(ek_alloc(&s->reading, 1, sizeof *s->reading));
	EK_TRY(ek_alloc(&s->checking, 1, sizeof *s->checking));
	EK_TRY(ek_alloc(&s->scratch, (size_t)threads, sizeof *s->scratch));
	rc = scan_whole(s, run);
	for (int i = 0; i < threads; i++)
		ek_buffer_release(&s->scratch[i]);
	if (rc < 0)
		goto out;
	other_files = s->counts.other_files + ek_dataset_other_files(s->dataset);
	EK_TRY(judge(s, other_files));
	EK_TRY(common_counts(counts, s->dataset, s->counts.images));
	EK_TRY(ek_json_add_u64(*counts, "rejected", s->counts.rejected));
	EK_TRY(ek_json_add_u64(*counts, "unread", s->counts.unread));
	EK_TRY(ek_json_add_u64(*counts, "other_files", other_files));
	EK_TRY(ek_json_add_u64(*counts, "held_out", s->counts.held_out));
	EK_TRY(ek_json_add_u64(*counts, "bytes", s->counts.bytes));
	(void)snprintf(contents, sizeof contents, "%016" PRIx64, s->contents);
	EK_TRY(ek_json_add_string(*counts, "contents", contents));
	EK_TRY(ek_dataset_add_counts(*counts, s->dataset));
	EK_TRY(add_parts(*counts, s));
	EK_TRY(ek_atomic_commit(&s->rejected));
	EK_TRY(ek_atomic_commit(&s->images));
out:
	return rc;
}

static int remove_file(const struct ek_run *run, const char *name)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, name));
	EK_TRY(ek_remove(path));
out:
	free(path);
	return rc;
}

/* Embeddings alone: their shape is all there is to list; lists of an earlier data set would be wrong now. */
static int scan_embeddings(const struct scanner *s, const struct ek_run *run, cJSON **counts)
{
	const char *path = ek_dataset_path(s->dataset, 0);
	struct ek_npy array = { 0 };
	int rc;

	if (s->options->attributes != NULL)
		return ek_fail(EK_EUSAGE, "%s: embeddings alone have no file names for attributes", path);
	EK_TRY(ek_npy_open(&array, path));
	if (array.dimensions == 2 && (array.shape[0] == 0 || array.shape[1] == 0)) {
		rc = ek_fail(EK_EDATA, "%s: empty, %" PRIu64 " rows of %" PRIu64 " numbers", path, array.shape[0],
		             array.shape[1]);
		goto out;
	}
	if (array.dimensions != 2 || (array.type != EK_F16 && array.type != EK_F32 && array.type != EK_F64)) {
		rc = ek_fail(EK_EDATA, "%s: %d dimensions of %s; embeddings are [n, d] of float16, float32 or float64",
		             path, array.dimensions, ek_dtype_name(array.type));
		goto out;
	}
	EK_TRY(common_counts(counts, s->dataset, array.shape[0]));
	EK_TRY(ek_json_add_u64(*counts, "rejected", 0));
	EK_TRY(ek_json_add_u64(*counts, "dimensions", array.shape[1]));
	EK_TRY(ek_filename_add(*counts, "embeddings", path));
	EK_TRY(remove_file(run, "images.jsonl"));
	EK_TRY(remove_file(run, "rejected.jsonl"));
out:
	ek_npy_close(&array);
	return rc;
}

static void free_batch(struct batch *b)
{
	for (size_t i = 0; b != NULL && i < BATCH_ITEMS; i++)
		ek_candidate_release(&b->items[i]);
	free(b);
}

int ek_scan(struct ek_run *run, const struct ek_scan_options *o)
{
	struct scanner s = { .options = o };
	const int64_t started = (int64_t)time(NULL);
	const double start = ek_clock();
	cJSON *counts = NULL, *options_json = NULL, *seen;
	struct ek_step step;
	int rc;

	EK_TRY(ek_scan_check(o));
	EK_TRY(ek_dataset_open(&s.dataset, o->datasets, o->dataset_count, o->attributes, o->key));
	EK_TRY(ek_dataset_select(s.dataset, o->include, o->include_count, o->exclude, o->exclude_count));
	EK_TRY(ek_scan_describe(&step, &options_json, o, s.dataset));
	if (ek_dataset_kind(s.dataset) == EK_DATASET_EMBEDDINGS)
		EK_TRY(scan_embeddings(&s, run, &counts));
	else
		EK_TRY(scan_images(&s, run, &counts));
	/* What was seen of each file before it was read: what changed meanwhile makes the step stale. */
	EK_TRY(ek_dataset_fingerprint(&seen, s.dataset));
	cJSON_DeleteItemFromObjectCaseSensitive(options_json, "dataset");
	EK_TRY(ek_json_add_item(options_json, "dataset", seen));
	EK_TRY(ek_run_record(run, &step, started, ek_clock() - start, counts));
out:
	ek_atomic_discard(&s.images);
	ek_atomic_discard(&s.rejected);
	free_batch(s.reading);
	free_batch(s.checking);
	free(s.scratch);
	free(s.parts);
	ek_dataset_close(s.dataset);
	cJSON_Delete(counts);
	cJSON_Delete(options_json);
	return rc;
}
