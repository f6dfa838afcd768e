#include "rebalance/io/images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/jsonl.h"
#include "rebalance/io/parquet.h"
#include "rebalance/io/run_files.h"
#include "rebalance/io/stream.h"
#include "rebalance/io/zip_reader.h"

static const cJSON *counts_of(const struct ek_run *run)
{
	return cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");
}

void ek_image_record_release(struct ek_image_record *record)
{
	free(record->file_name);
	free(record->source);
	free(record->zip_entry);
	free(record->parquet_column);
	free(record->label);
	cJSON_Delete(record->row);
	*record = (struct ek_image_record){ 0 };
}

enum { ROWS_PER_MARK = 64 };

struct ek_images {
	struct ek_jsonl rows;
	uint64_t next;   /* id */
	uint64_t *marks; /* [mark_count] where the row with the id ROWS_PER_MARK * i starts */
	size_t mark_count, mark_capacity;
};

int ek_images_need(const struct ek_run *run)
{
	int rc;

	EK_TRY(ek_run_has(run, "images.jsonl"));
	if (rc > 0)
		return 0;
	rc = ek_run_recorded(run, "scan") == NULL
	             ? ek_fail(EK_EUSAGE, "%s has no images yet: evenkeel audit DATASET -o %s", ek_run_path(run),
	                       ek_run_path(run))
	             : ek_fail(EK_EUSAGE, "%s has no images.jsonl: a run of embeddings alone has no images",
	                       ek_run_path(run));
out:
	return rc;
}

int ek_images_open(struct ek_images **out, const struct ek_run *run)
{
	struct ek_images *images;
	char *path = NULL;
	int rc;

	*out = NULL;
	if ((rc = ek_alloc(&images, 1, sizeof *images)) < 0)
		return rc;
	EK_TRY(ek_run_file(&path, run, "images.jsonl"));
	EK_TRY(ek_jsonl_open(&images->rows, path));
	*out = images;
	images = NULL;
out:
	free(path);
	free(images);
	return rc;
}

static int read_format(enum ek_image_format *format, const char *name, const char *where)
{
	*format = ek_image_format_of(name);
	if (*format != EK_IMAGE_UNKNOWN)
		return 0;
	return ek_fail(EK_EDATA, "%s: \"format\" is \"%s\"", where, name);
}

static int read_side(uint32_t *side, const cJSON *row, const char *name, const char *where)
{
	uint64_t value;
	int rc;

	EK_TRY(ek_json_get_u64(&value, row, name, where));
	if (value == 0 || value > UINT32_MAX)
		return ek_fail(EK_EDATA, "%s: \"%s\" is %llu", where, name, (unsigned long long)value);
	*side = (uint32_t)value;
out:
	return rc;
}

/* Fill `r` from r->row. */
static int read_record(struct ek_image_record *r, const char *where)
{
	const cJSON *row = r->row, *label = cJSON_GetObjectItemCaseSensitive(row, "label");
	const char *text;
	int rc;

	EK_TRY(ek_json_get_u64(&r->id, row, "id", where));
	EK_TRY(ek_filename_get(&r->file_name, row, "file_name", where));
	if (cJSON_GetObjectItemCaseSensitive(row, "source") != NULL) {
		EK_TRY(ek_filename_get(&r->source, row, "source", where));
		EK_TRY(ek_json_get_u64(&r->offset, row, "offset", where));
		if (cJSON_GetObjectItemCaseSensitive(row, "zip_entry") != NULL)
			EK_TRY(ek_filename_get(&r->zip_entry, row, "zip_entry", where));
		if (cJSON_GetObjectItemCaseSensitive(row, "parquet_column") != NULL)
			EK_TRY(ek_filename_get(&r->parquet_column, row, "parquet_column", where));
	}
	EK_TRY(ek_json_get_u64(&r->bytes, row, "bytes", where));
	EK_TRY(read_side(&r->width, row, "width", where));
	EK_TRY(read_side(&r->height, row, "height", where));
	EK_TRY(ek_json_get_string(&text, row, "format", where));
	EK_TRY(read_format(&r->format, text, where));
	EK_TRY(ek_json_get_string(&text, row, "sha256", where));
	if (strlen(text) + 1 != sizeof r->sha256)
		return ek_fail(EK_EDATA, "%s: \"sha256\" has %zu characters", where, strlen(text));
	memcpy(r->sha256, text, sizeof r->sha256);
	if (cJSON_IsString(label))
		EK_TRY(ek_copy_string(&r->label, label->valuestring));
out:
	return rc;
}

int ek_images_next(struct ek_images *images, struct ek_image_record *record)
{
	char where[512];
	int rc;

	*record = (struct ek_image_record){ 0 };
	if ((rc = ek_jsonl_next(&images->rows, &record->row)) <= 0)
		return rc;
	(void)snprintf(where, sizeof where, "%s:%llu", images->rows.lines.path,
	               (unsigned long long)images->rows.lines.line);
	EK_TRY(read_record(record, where));
	if (record->id != images->next) {
		rc = ek_fail(EK_EDATA, "%s: the id is %llu, expected %llu", where, (unsigned long long)record->id,
		             (unsigned long long)images->next);
		goto out;
	}
	images->next++;
	rc = 1;
out:
	if (rc < 0)
		ek_image_record_release(record);
	return rc;
}

int ek_images_seek(struct ek_images *images, uint64_t id)
{
	int rc;

	if (id < images->next)
		return ek_fail(EK_EUSAGE, "image %llu lies before image %llu", (unsigned long long)id,
		               (unsigned long long)images->next);
	EK_TRY(ek_jsonl_skip(&images->rows, id - images->next));
	images->next = id;
out:
	return rc;
}

static int add_mark(struct ek_images *images)
{
	const size_t count = images->mark_count;
	int rc;

	if (count == images->mark_capacity) {
		EK_TRY(ek_resize(&images->marks, 2 * count + 64, sizeof *images->marks));
		images->mark_capacity = 2 * count + 64;
	}
	if (count == 0)
		ek_jsonl_seek(&images->rows, 0, 1);
	else
		ek_jsonl_seek(&images->rows, images->marks[count - 1], (count - 1) * ROWS_PER_MARK + 1);
	EK_TRY(ek_jsonl_skip(&images->rows, count == 0 ? 1 : ROWS_PER_MARK + 1));
	images->marks[images->mark_count++] = images->rows.lines.offset;
out:
	return rc;
}

int ek_images_go(struct ek_images *images, uint64_t id)
{
	const size_t mark = (size_t)(id / ROWS_PER_MARK);
	int rc = 0;

	if (id >= images->next && id - images->next < ROWS_PER_MARK)
		return ek_images_seek(images, id);
	while (images->mark_count <= mark) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(add_mark(images));
	}
	ek_jsonl_seek(&images->rows, images->marks[mark], mark * ROWS_PER_MARK + 1);
	images->next = mark * ROWS_PER_MARK;
	EK_TRY(ek_images_seek(images, id));
out:
	return rc;
}

void ek_images_close(struct ek_images *images)
{
	if (images != NULL) {
		ek_jsonl_close(&images->rows);
		free(images->marks);
	}
	free(images);
}

int ek_images_count(uint64_t *count, const struct ek_run *run)
{
	return ek_json_get_u64(count, counts_of(run), "images", "run.json, step scan");
}

struct ek_image_loader {
	char *root;
	char *run;  /* its path */
	char *path; /* of the one that is open, if any is */
	struct ek_stream *stream;
	struct ek_zip_reader *zip;
	struct ek_parquet *parquet;
};

int ek_image_loader_new(struct ek_image_loader **out, const struct ek_run *run)
{
	struct ek_image_loader *loader;
	int rc;

	*out = NULL;
	if ((rc = ek_alloc(&loader, 1, sizeof *loader)) < 0)
		return rc;
	EK_TRY(ek_filename_get(&loader->root, counts_of(run), "root", "run.json, step scan"));
	EK_TRY(ek_copy_string(&loader->run, ek_run_path(run)));
	*out = loader;
	loader = NULL;
out:
	ek_image_loader_free(loader);
	return rc;
}

static void close_source(struct ek_image_loader *l)
{
	ek_stream_close(l->stream);
	ek_zip_reader_close(l->zip);
	ek_parquet_close(l->parquet);
	l->stream = NULL;
	l->zip = NULL;
	l->parquet = NULL;
}

void ek_image_loader_free(struct ek_image_loader *loader)
{
	if (loader == NULL)
		return;
	close_source(loader);
	free(loader->path);
	free(loader->root);
	free(loader->run);
	free(loader);
}

static int fail_changed(const struct ek_image_loader *l, const struct ek_image_record *r, uint64_t bytes);

static int read_zip(struct ek_image_loader *l, const struct ek_image_record *r, struct ek_buffer *bytes)
{
	const struct ek_zip_entry *entry =
		ek_zip_find(ek_zip_reader_directory(l->zip), r->zip_entry, strlen(r->zip_entry));

	return entry != NULL ? ek_zip_reader_read(l->zip, bytes, entry, r->offset, (size_t)r->bytes)
	                     : fail_changed(l, r, 0);
}

static int read_parquet(struct ek_image_loader *l, const struct ek_image_record *r, struct ek_buffer *bytes)
{
	const size_t column = ek_parquet_find(l->parquet, r->parquet_column);
	struct ek_parquet_value value;
	int rc;

	if (column == ek_parquet_columns(l->parquet) || r->offset >= ek_parquet_rows(l->parquet) ||
	    ek_parquet_column(l->parquet, column).type != EK_PARQUET_BYTES)
		return fail_changed(l, r, 0);
	EK_TRY(ek_parquet_read(&value, l->parquet, column, r->offset));
	EK_TRY(ek_buffer_append(bytes, value.bytes, value.size));
out:
	return rc;
}

static int open_source(struct ek_image_loader *l, const struct ek_image_record *r)
{
	if (r->zip_entry != NULL)
		return ek_zip_reader_open(&l->zip, r->source);
	if (r->parquet_column != NULL)
		return ek_parquet_open(&l->parquet, r->source);
	return ek_stream_open(&l->stream, r->source);
}

static int read_source(struct ek_image_loader *l, const struct ek_image_record *r, struct ek_buffer *bytes)
{
	const int is_open = r->zip_entry != NULL        ? l->zip != NULL
	                    : r->parquet_column != NULL ? l->parquet != NULL
	                                                : l->stream != NULL;
	int rc;

	if (!is_open || strcmp(l->path, r->source) != 0) {
		close_source(l);
		free(l->path);
		l->path = NULL;
		EK_TRY(ek_copy_string(&l->path, r->source));
		EK_TRY(open_source(l, r));
	}
	if (r->zip_entry != NULL)
		return read_zip(l, r, bytes);
	if (r->parquet_column != NULL)
		return read_parquet(l, r, bytes);
	rc = ek_stream_read(l->stream, bytes, (size_t)r->bytes, r->offset);
out:
	return rc;
}

int ek_image_loader_path(char **out, const struct ek_image_loader *l, const struct ek_image_record *r)
{
	return r->file_name[0] == '/' ? ek_copy_string(out, r->file_name)
	                              : ek_format(out, "%s/%s", l->root, r->file_name);
}

static int fail_changed(const struct ek_image_loader *l, const struct ek_image_record *r, uint64_t bytes)
{
	return ek_fail(EK_EDATA,
	               "%s%s%s: has changed since the scan: %llu bytes, there were %llu; evenkeel scan %s lists the "
	               "images again",
	               r->source != NULL ? r->source : "", r->source != NULL ? ": " : "", r->file_name,
	               (unsigned long long)bytes, (unsigned long long)r->bytes, l->run);
}

/* A file of its own: never unpacked, whatever it starts with. */
static int read_own_file(const struct ek_image_loader *l, const struct ek_image_record *r, struct ek_buffer *bytes)
{
	char *path = NULL;
	uint64_t size;
	int fd = -1, rc;

	EK_TRY(ek_image_loader_path(&path, l, r));
	EK_TRY(ek_open_regular(&fd, &size, path));
	EK_TRY(size == r->bytes ? 0 : fail_changed(l, r, size));
	EK_TRY(ek_buffer_reserve(bytes, (size_t)size));
	EK_TRY(ek_file_read_at(fd, bytes->data, (size_t)size, 0, path));
	bytes->size = (size_t)size;
	bytes->data[size] = 0;
out:
	if (fd >= 0)
		(void)close(fd);
	free(path);
	return rc;
}

int ek_image_loader_bytes(struct ek_image_loader *l, const struct ek_image_record *r, struct ek_buffer *bytes)
{
	int rc;

	ek_buffer_clear(bytes);
	EK_TRY(r->source != NULL ? read_source(l, r, bytes) : read_own_file(l, r, bytes));
	if (bytes->size != r->bytes)
		rc = fail_changed(l, r, bytes->size);
out:
	return rc;
}

int ek_image_loader_decode(struct ek_image_loader *l, const struct ek_image_record *r, uint32_t smallest_side,
                           struct ek_image *image)
{
	struct ek_buffer bytes = { 0 };
	int rc;

	EK_TRY(ek_image_loader_bytes(l, r, &bytes));
	/* The limit was the scan's; here only: no more than it saw. */
	if (ek_image_bare_pixel(r->format) > 0)
		rc = ek_image_from_bare(image, r->format, bytes.data, bytes.size, r->width, r->height);
	else
		rc = ek_image_decode(image, bytes.data, bytes.size, (uint64_t)r->width * r->height, smallest_side);
out:
	ek_buffer_release(&bytes);
	return rc;
}
