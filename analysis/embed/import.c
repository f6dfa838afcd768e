#include "analysis/embed/import.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/json.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/images.h"
#include "rebalance/io/npy.h"

enum { PIECE_BYTES = 1 << 22, MOST_PIECES = 16, SYNC_SECONDS = 2 };

struct ek_import {
	struct ek_npy source;
	char *path; /* absolute */
	enum ek_dtype type;
	size_t dimensions;
	uint64_t images;
	cJSON *options;
	const char *inputs[2], *outputs[3];
	struct ek_step step;
};

/* Rows first … first+count-1, cut into pieces of `piece_rows`. */
struct block {
	const struct ek_import *import;
	uint64_t first, count, piece_rows;
	float *rows;      /* [count, dimensions] */
	uint16_t *halves; /* likewise, for float16 */
};

static int check_row(const struct ek_import *i, const float *row, uint64_t number)
{
	static const uint32_t infinity = 0x7f800000;
	uint32_t largest = 0;
	size_t j = 0;

	/* Magnitudes are ordered as their bits are, infinity and then NaN above all: a loop without branches. */
	for (; j < i->dimensions; j++) {
		uint32_t bits;

		memcpy(&bits, &row[j], sizeof bits);
		bits &= 0x7fffffff;
		largest = bits > largest ? bits : largest;
	}
	if (largest == 0)
		return ek_fail(EK_EDATA, "%s: row %" PRIu64 " is all zero", i->path, number);
	if (largest < infinity)
		return 0;
	for (j = 0; isfinite(row[j]);)
		j++;
	return ek_fail(EK_EDATA, "%s: row %" PRIu64 " is %s in column %zu", i->path, number,
	               isnan(row[j]) ? "not a number" : "infinite", j);
}

static int convert_piece(void *context, uint64_t piece, int worker)
{
	const struct block *b = context;
	const size_t d = b->import->dimensions;
	const uint64_t from = piece * b->piece_rows;
	const uint64_t count = b->count - from < b->piece_rows ? b->count - from : b->piece_rows;
	float *rows = b->rows + from * d;
	int rc = ek_check_interrupt();

	(void)worker;
	if (rc < 0)
		return rc;
	ek_npy_rows_f32(rows, &b->import->source, b->first + from, count);
	for (uint64_t i = 0; i < count && rc == 0; i++)
		rc = check_row(b->import, rows + i * d, b->first + from + i);
	/* These came from halves, so nothing is rounded. */
	for (size_t i = 0; b->halves != NULL && rc == 0 && i < count * d; i++)
		b->halves[from * d + i] = ek_float_to_half(rows[i]);
	if (rc == 0)
		ek_progress_add(count);
	return rc;
}

static int convert_all(const struct ek_import *i, struct ek_npy_writer *writer, uint64_t done)
{
	const uint64_t row_bytes = i->dimensions * sizeof(float);
	struct block b = { .import = i, .piece_rows = PIECE_BYTES > row_bytes ? PIECE_BYTES / row_bytes : 1 };
	const uint64_t pieces = ek_threads() * 2 < MOST_PIECES ? (uint64_t)ek_threads() * 2 : MOST_PIECES;
	double synced = ek_clock();
	int rc;

	EK_TRY(ek_alloc_aligned(&b.rows, pieces * b.piece_rows, row_bytes));
	if (i->type == EK_F16)
		EK_TRY(ek_alloc_aligned(&b.halves, pieces * b.piece_rows, row_bytes / 2));
	for (b.first = done; b.first < i->images; b.first += b.count) {
		b.count = i->images - b.first < pieces * b.piece_rows ? i->images - b.first : pieces * b.piece_rows;
		EK_TRY(ek_parallel((b.count + b.piece_rows - 1) / b.piece_rows, convert_piece, &b));
		EK_TRY(ek_npy_writer_append(writer, b.halves != NULL ? (const void *)b.halves : b.rows, b.count));
		/* What was read need not stay resident. */
		(void)madvise((void *)(uintptr_t)i->source.map.data, i->source.map.size, MADV_DONTNEED);
		if (ek_clock() - synced < SYNC_SECONDS)
			continue;
		EK_TRY(ek_npy_writer_sync(writer));
		synced = ek_clock();
	}
	rc = 0;
out:
	free(b.rows);
	free(b.halves);
	return rc;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* A string member whose bytes may not be UTF-8, as file names. */
static int add_text(cJSON *object, const char *name, const char *prefix, const char *text)
{
	struct ek_buffer quoted = { 0 }, whole = { 0 };
	int rc;

	EK_TRY(ek_buffer_printf(&whole, "%s%s", prefix, text));
	EK_TRY(ek_json_append_string(&quoted, whole.data, whole.size));
	EK_TRY(ek_json_add_item(object, name, cJSON_CreateRaw(quoted.data)));
out:
	ek_buffer_release(&quoted);
	ek_buffer_release(&whole);
	return rc;
}

static int save_description(const struct ek_import *i, const struct ek_run *run, const char *hash)
{
	char *path = NULL;
	cJSON *o = cJSON_CreateObject();
	int rc;

	EK_TRY(add_text(o, "encoder", "own:", base_name(i->path)));
	EK_TRY(ek_json_add_null(o, "weights"));
	EK_TRY(ek_json_add_u64(o, "dimensions", i->dimensions));
	EK_TRY(ek_json_add_u64(o, "images", i->images));
	EK_TRY(ek_json_add_string(o, "dtype", ek_dtype_name(i->type)));
	EK_TRY(ek_json_add_bool(o, "normalised", 0));
	EK_TRY(add_text(o, "source", "", i->path));
	EK_TRY(ek_json_add_string(o, "xxh64", hash));
	EK_TRY(ek_run_file(&path, run, "embeddings.json"));
	EK_TRY(ek_json_save(o, path));
out:
	free(path);
	cJSON_Delete(o);
	return rc;
}

int ek_import_run(struct ek_import *i, const struct ek_run *run)
{
	struct ek_npy_writer *writer = NULL;
	char *path = NULL, hash[17];
	uint64_t source_hash, done;
	int rc;

	EK_TRY(ek_hash64_file(&source_hash, i->path));
	(void)snprintf(hash, sizeof hash, "%016" PRIx64, source_hash);
	EK_TRY(ek_run_file(&path, run, "embeddings.npy"));
	EK_TRY(ek_npy_writer_open(&writer, &done, path, i->type, 2, (uint64_t[2]){ i->images, i->dimensions }, hash));
	ek_progress_begin("Importing", "rows", i->images);
	ek_progress_add(done);
	rc = convert_all(i, writer, done);
	ek_progress_end();
	if (rc < 0)
		goto out;
	EK_TRY(ek_npy_writer_commit(writer));
	EK_TRY(save_description(i, run, hash));
	i->step.hashed = ek_npy_writer_hash(&i->step.hash, writer) ? i->outputs[0] : NULL;
out:
	ek_npy_writer_free(writer);
	free(path);
	return rc;
}

static int check_form(const struct ek_npy *s, const char *path)
{
	if (s->dimensions != 2 || !ek_dtype_is_float(s->type))
		return ek_fail(EK_EDATA, "%s: %s of %d dimensions, expected floating-point rows of embeddings, [n, d]",
		               path, ek_dtype_name(s->type), s->dimensions);
	if (s->shape[0] == 0 || s->shape[1] == 0 || s->shape[1] > EK_IMPORT_MAX_DIMENSIONS)
		return ek_fail(EK_EDATA, "%s: %" PRIu64 " rows of %" PRIu64 " dimensions, expected some, of 1 to %d",
		               path, s->shape[0], s->shape[1], EK_IMPORT_MAX_DIMENSIONS);
	return 0;
}

int ek_import_check(const char *npy_path)
{
	struct ek_npy source = { 0 };
	int rc;

	EK_TRY(ek_npy_open(&source, npy_path));
	EK_TRY(check_form(&source, npy_path));
out:
	ek_npy_close(&source);
	return rc;
}

static int check_source(struct ek_import *i, const struct ek_run *run)
{
	const struct ek_npy *s = &i->source;
	const int scanned = ek_run_recorded(run, "scan") != NULL;
	uint64_t images = 0;
	int rc;

	if (scanned && (rc = ek_images_count(&images, run)) < 0)
		return rc;
	if ((rc = check_form(s, i->path)) < 0)
		return rc;
	if (scanned && s->shape[0] != images)
		return ek_fail(EK_EDATA, "%s: %" PRIu64 " rows, but the run has %" PRIu64 " images", i->path,
		               s->shape[0], images);
	i->images = s->shape[0];
	i->dimensions = s->shape[1];
	i->type = s->type == EK_F16 ? EK_F16 : EK_F32;
	i->inputs[0] = scanned ? "images.jsonl" : NULL;
	return 0;
}

/* The hash of a file of any size would take as long as the import: its size and time stand for it. */
static int look_at_source(struct stat *status, char modified[48], const char *path)
{
	if (stat(path, status) != 0)
		return ek_fail_errno("cannot read %s", path);
	(void)snprintf(modified, 48, "%lld.%09ld", (long long)status->st_mtim.tv_sec, status->st_mtim.tv_nsec);
	return 0;
}

int ek_import_is_same(const cJSON *options, const char *path)
{
	const char *then = cJSON_GetStringValue(ek_json_member(options, "modified"));
	struct stat status;
	char modified[48];

	return look_at_source(&status, modified, path) == 0 && then != NULL && strcmp(then, modified) == 0 &&
	       ek_json_number(options, "bytes") == (double)status.st_size;
}

static int describe_source(struct ek_import *i)
{
	struct stat status;
	char modified[48];
	int rc;

	EK_TRY(look_at_source(&status, modified, i->path));
	i->options = cJSON_CreateObject();
	EK_TRY(add_text(i->options, "encoder", "own:", base_name(i->path)));
	EK_TRY(add_text(i->options, "source", "", i->path));
	EK_TRY(ek_json_add_u64(i->options, "bytes", (uint64_t)status.st_size));
	EK_TRY(ek_json_add_string(i->options, "modified", modified));
out:
	return rc;
}

int ek_import_prepare(struct ek_import **out, const struct ek_run *run, const char *npy_path)
{
	struct ek_import *i = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&i, 1, sizeof *i));
	if ((i->path = realpath(npy_path, NULL)) == NULL) {
		rc = ek_fail_errno("cannot open %s", npy_path);
		goto out;
	}
	EK_TRY(ek_npy_open(&i->source, i->path));
	EK_TRY(check_source(i, run));
	EK_TRY(describe_source(i));
	i->outputs[0] = "embeddings.npy";
	i->outputs[1] = "embeddings.json";
	i->step = (struct ek_step){
		.name = "embed", .version = 1, .options = i->options, .inputs = i->inputs, .outputs = i->outputs
	};
	*out = i;
	i = NULL;
out:
	ek_import_free(i);
	return rc;
}

const struct ek_step *ek_import_step(const struct ek_import *i)
{
	return &i->step;
}

void ek_import_free(struct ek_import *i)
{
	if (i == NULL)
		return;
	ek_npy_close(&i->source);
	free(i->path);
	cJSON_Delete(i->options);
	free(i);
}
