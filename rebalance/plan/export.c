#include "rebalance/plan/export_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/version.h"
#include "rebalance/io/filename.h"
#include "rebalance/plan/subset.h"

enum { IDS_BETWEEN_CHECKS = 1 << 20 };

static const struct ek_export_form_row forms[] = {
	[EK_EXPORT_LINKS] = { "links", 1, 0, 0, ek_export_tree_begin, ek_export_tree_put_link, ek_export_tree_end },
	[EK_EXPORT_COPIES] = { "copies", 0, 1, 0, ek_export_tree_begin, ek_export_tree_put_copy, ek_export_tree_end },
	[EK_EXPORT_TAR] = { "tar", 0, 1, 1, ek_export_tar_begin, ek_export_tar_put, ek_export_tar_end },
	[EK_EXPORT_LIST] = { "list", 1, 0, 1, ek_export_list_begin, ek_export_list_put, ek_export_list_end },
	[EK_EXPORT_IMAGEFOLDER] = { "imagefolder", 0, 1, 0, ek_export_tree_begin, ek_export_tree_put_copy,
	                            ek_export_tree_end },
};
static const struct ek_export_form_row linked_folder = {
	"imagefolder", 1, 0, 0, ek_export_tree_begin, ek_export_tree_put_link, ek_export_tree_end
};

static const struct ek_export_form_row *form_of(const struct ek_export_options *o)
{
	return o->form == EK_EXPORT_IMAGEFOLDER && o->links ? &linked_folder : &forms[o->form];
}

/* The ids in the order of the pass: that of the file, or rising. */
static int order_ids(struct ek_export *x, const char *path, int is_ordered)
{
	const int64_t *ids = x->keep.data;
	int is_rising = 1, rc = 0;

	x->count = x->keep.shape[0];
	for (uint64_t i = 0; i < x->count; i++) {
		if (i % IDS_BETWEEN_CHECKS == 0)
			EK_TRY(ek_check_interrupt());
		if (ids[i] < 0 || (uint64_t)ids[i] >= x->images)
			return ek_fail(EK_EDATA,
			               "%s: entry %" PRIu64 " is image %" PRId64 ", the run has %" PRIu64
			               " images: make the subset again",
			               path, i, ids[i], x->images);
		is_rising &= i == 0 || ids[i - 1] <= ids[i];
	}
	x->ids = ids;
	if (is_rising || is_ordered)
		return 0;
	EK_TRY(ek_alloc(&x->sorted, (size_t)x->count, sizeof *x->sorted));
	memcpy(x->sorted, ids, (size_t)x->count * sizeof *ids);
	qsort(x->sorted, (size_t)x->count, sizeof *ids, ek_compare_i64);
	x->ids = x->sorted;
out:
	return rc;
}

static int open_subset(struct ek_export *x, int is_ordered)
{
	static const uint64_t any[] = { UINT64_MAX };
	const char *name = x->options->subset;
	char *path = NULL;
	int rc;

	EK_TRY(ek_plan_check(x->run, EK_SOURCE_SUBSET, name));
	EK_TRY(ek_format(&path, "%s/subsets/%s/keep.npy", ek_run_path(x->run), name));
	EK_TRY(ek_npy_open_as(&x->keep, path, EK_I64, 1, any));
	if (x->keep.shape[0] == 0) {
		rc = ek_fail(EK_EDATA, "%s: the subset has no image", path);
		goto out;
	}
	EK_TRY(order_ids(x, path, is_ordered));
out:
	free(path);
	return rc;
}

static int open_images(struct ek_export *x)
{
	int rc;

	EK_TRY(ek_images_need(x->run));
	EK_TRY(ek_images_count(&x->images, x->run));
	EK_TRY(ek_images_open(&x->rows, x->run));
	EK_TRY(ek_image_loader_new(&x->loader, x->run));
out:
	return rc;
}

/* EK_EDATA unless the bytes are those that were scanned. */
static int check_hash(const struct ek_export *x)
{
	uint8_t digest[EK_SHA256_SIZE];
	char hex[EK_SHA256_HEX];
	int rc;

	EK_TRY(ek_sha256(digest, x->bytes.data, x->bytes.size));
	ek_hex(hex, digest, sizeof digest);
	if (strcmp(hex, x->record.sha256) != 0)
		return ek_fail(EK_EDATA, "%s%s%s: has changed since the scan: as many bytes, another SHA-256",
		               x->source != NULL ? x->source : x->record.source, x->source != NULL ? "" : ": ",
		               x->source != NULL ? "" : x->record.file_name);
out:
	return rc;
}

/* Of a file: it is there and has its size. */
static int check_size(const struct ek_export *x)
{
	struct stat status;

	if (stat(x->source, &status) != 0)
		return ek_fail_errno("cannot open %s", x->source);
	if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != x->record.bytes)
		return ek_fail(EK_EDATA, "%s: has changed since the scan: %llu bytes, there were %" PRIu64, x->source,
		               (unsigned long long)status.st_size, x->record.bytes);
	return 0;
}

/* Bare pixels become a PNG. */
static int make_ready(struct ek_export *x)
{
	const struct ek_image_record *r = &x->record;
	struct ek_image image = { 0 };
	int rc = 0;

	if (ek_image_bare_pixel(r->format) == 0)
		return 0;
	EK_TRY(ek_image_from_bare(&image, r->format, x->bytes.data, x->bytes.size, r->width, r->height));
	ek_buffer_clear(&x->bytes);
	EK_TRY(ek_image_encode_png(&x->bytes, &image));
out:
	ek_image_release(&image);
	return rc;
}

/* Read the row of an image and check its source: EK_EDATA or EK_EIO if it is not what was scanned. */
static int check_source(struct ek_export *x, const struct ek_export_form_row *form)
{
	int rc = 0;

	if (x->source != NULL)
		EK_TRY(check_size(x));
	if (form->needs_bytes || x->options->verify) {
		EK_TRY(ek_image_loader_bytes(x->loader, &x->record, &x->bytes));
		EK_TRY(check_hash(x));
	}
	if (form->needs_bytes)
		EK_TRY(make_ready(x));
out:
	return rc;
}

static int next_record(struct ek_export *x, const struct ek_export_form_row *form, uint64_t id)
{
	int rc;

	ek_image_record_release(&x->record);
	free(x->source);
	x->source = NULL;
	EK_TRY(ek_images_go(x->rows, id));
	EK_TRY(ek_images_next(x->rows, &x->record));
	if (rc == 0)
		return ek_fail(EK_EDATA, "images.jsonl ends before image %" PRIu64, id);
	if (x->record.source == NULL)
		EK_TRY(ek_image_loader_path(&x->source, x->loader, &x->record));
	else if (form->needs_file)
		return ek_fail(EK_EUSAGE, "%s lies inside %s: there is no file to %s; use 'as' copies or 'as' tar",
		               x->record.file_name, x->record.source,
		               x->options->form == EK_EXPORT_LIST ? "name" : "link to");
	rc = 0;
out:
	return rc;
}

/* Keep what cannot be exported, and why: the first for the message, all for those who want the others. */
static int note_missing(struct ek_export *x)
{
	struct ek_buffer *line = &x->text;
	int rc;

	if (x->first.size == 0)
		EK_TRY(ek_buffer_printf(&x->first, "image %" PRIu64 ": %s", x->record.id, ek_error_message()));
	if (!x->options->keep_going)
		return 0;
	ek_buffer_clear(line);
	EK_TRY(ek_buffer_printf(line, "{\"id\": %" PRIu64 ", ", x->record.id));
	EK_TRY(ek_filename_append(line, "original", x->record.file_name));
	EK_TRY(ek_buffer_text(line, ", \"reason\": "));
	EK_TRY(ek_json_append_string(line, ek_error_message(), strlen(ek_error_message())));
	EK_TRY(ek_buffer_text(line, "}\n"));
	if (x->missing.path == NULL) {
		ek_buffer_clear(&x->path);
		EK_TRY(ek_buffer_printf(&x->path, "%s/missing.jsonl", x->folder.partial));
		EK_TRY(ek_atomic_open(&x->missing, x->path.data));
	}
	EK_TRY(ek_atomic_write(&x->missing, line->data, line->size));
out:
	return rc;
}

static int pass(struct ek_export *x, const struct ek_export_form_row *form)
{
	int is_good = 0, rc = 0;

	for (x->place = 0; x->place < x->count; x->place++) {
		const int64_t id = x->ids[x->place];

		EK_TRY(ek_check_interrupt());
		if (x->place > 0 && id == x->ids[x->place - 1]) {
			x->repeat++;
		} else {
			x->repeat = 0;
			EK_TRY(next_record(x, form, (uint64_t)id));
			rc = check_source(x, form);
			is_good = rc == 0;
			if (rc == EK_EDATA || rc == EK_EIO)
				rc = note_missing(x);
			EK_TRY(rc);
		}
		x->result->missing += !is_good;
		if (is_good && (x->result->missing == 0 || x->options->keep_going)) {
			EK_TRY(form->put(x));
			x->result->images++;
			x->result->bytes += form->needs_bytes ? x->bytes.size : 0;
		}
		ek_progress_add(1);
	}
out:
	return rc;
}

/* The files of the run that the export is made from. */
static int add_inputs(cJSON *about, const struct ek_export *x)
{
	const char *inputs[EK_EXPORT_COLUMNS + 3] = { "images.jsonl" };
	char *keep = NULL;
	size_t count = 1;
	int rc;

	EK_TRY(ek_format(&keep, "subsets/%s/keep.npy", x->options->subset));
	inputs[count++] = keep;
	for (int i = 0; i < EK_EXPORT_COLUMNS; i++)
		if (x->columns[i].file != NULL)
			inputs[count++] = x->columns[i].file;
	EK_TRY(ek_run_add_inputs(about, x->run, inputs));
out:
	free(keep);
	return rc;
}

/* What DIR/.evenkeel-export says of the export. */
static int describe(cJSON **about, const struct ek_export *x)
{
	const struct ek_export_result *r = x->result;
	int rc;

	*about = cJSON_CreateObject();
	EK_TRY(ek_json_add_string(*about, "evenkeel", EK_VERSION));
	EK_TRY(ek_json_add_string(*about, "run", x->folder.run));
	EK_TRY(ek_json_add_string(*about, "subset", x->options->subset));
	EK_TRY(ek_json_add_string(*about, "as", form_of(x->options)->name));
	EK_TRY(ek_json_add_u64(*about, "images", r->images));
	EK_TRY(ek_json_add_u64(*about, "missing", r->missing));
	EK_TRY(add_inputs(*about, x));
out:
	return rc;
}

static int finish(struct ek_export *x, const struct ek_export_form_row *form)
{
	const uint64_t missing = x->result->missing;
	cJSON *about = NULL;
	int rc;

	if (missing > 0 && (!x->options->keep_going || x->result->images == 0)) {
		x->result->images = x->result->bytes = x->result->shards = 0;
		return ek_fail(EK_EDATA,
		               "%" PRIu64 " of %" PRIu64
		               " image%s missing or changed, the first: %s; nothing was exported%s",
		               missing, x->count,
		               x->count == 1  ? " is"
		               : missing == 1 ? "s is"
		                              : "s are",
		               x->first.data, x->options->keep_going ? "" : " ('keep-going' exports the others)");
	}
	EK_TRY(form->end(x));
	if (x->missing.path != NULL)
		EK_TRY(ek_atomic_commit(&x->missing));
	EK_TRY(describe(&about, x));
	EK_TRY(ek_export_folder_commit(&x->folder, about));
	if (missing > 0)
		rc = ek_fail(EK_EDATA,
		             "%" PRIu64 " of %" PRIu64 " images %s missing or changed, the first: %s; %s/missing.jsonl "
		             "names them all; the others are in %s",
		             missing, x->count, missing == 1 ? "is" : "are", x->first.data, x->folder.target,
		             x->folder.target);
out:
	cJSON_Delete(about);
	return rc;
}

static void release(struct ek_export *x)
{
	ek_atomic_discard(&x->metadata);
	ek_atomic_discard(&x->missing);
	ek_atomic_discard(&x->list);
	ek_tar_writer_free(x->shard);
	ek_export_folder_release(&x->folder);
	ek_export_columns_close(x);
	ek_export_classes_release(&x->classes);
	ek_image_record_release(&x->record);
	ek_image_loader_free(x->loader);
	ek_images_close(x->rows);
	ek_npy_close(&x->keep);
	ek_buffer_release(&x->bytes);
	ek_buffer_release(&x->text);
	ek_buffer_release(&x->first);
	ek_buffer_release(&x->path);
	ek_buffer_release(&x->directory);
	free(x->sorted);
	free(x->source);
}

int ek_export(struct ek_export_result *result, struct ek_run *run, const struct ek_export_options *options)
{
	const struct ek_export_form_row *form = form_of(options);
	struct ek_export x = {
		.options = options, .run = run, .result = result, .folder.lock = EK_LOCK_NONE, .metadata.fd = -1
	};
	int rc;

	*result = (struct ek_export_result){ 0 };
	EK_TRY(open_images(&x));
	EK_TRY(open_subset(&x, form->is_ordered));
	EK_TRY(ek_export_columns_open(&x));
	EK_TRY(ek_export_folder_open(&x.folder, options->output, ek_run_path(run), options->force));
	EK_TRY(form->begin(&x));
	ek_progress_begin("exporting", "images", x.count);
	rc = pass(&x, form);
	ek_progress_end();
	EK_TRY(rc);
	EK_TRY(finish(&x, form));
out:
	release(&x);
	return rc;
}
