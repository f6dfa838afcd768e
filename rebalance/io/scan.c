#include "rebalance/io/scan.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/content.h"
#include "rebalance/io/dataset_form.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/images.h"
#include "rebalance/io/jsonl.h"
#include "rebalance/io/lines.h"
#include "rebalance/io/npy.h"

enum {
	VERSION = 3,
	BATCH_ITEMS = 512,
	BATCH_BYTES = 8 << 20,
	READ_STEP = 1 << 18,
	MOST_STARVED = 8 /* files in a row that could not be opened because too many were */
};

enum verdict { IMAGE, REJECTED, OTHER };

/* A candidate and what a worker found. */
struct candidate {
	struct ek_dataset_item item;
	enum verdict verdict;
	int held_out;
	uint64_t bytes;
	uint64_t content;     /* hash of its bytes and shape */
	uint64_t stamp;       /* of a file: what was seen of it (dataset.h) */
	struct ek_buffer row; /* of images.jsonl, without its id; or of rejected.jsonl */
	char reason[256];
	const char *known; /* of another file: what it is, or NULL */
	int unread;        /* it could not be read */
};

struct batch {
	struct candidate items[BATCH_ITEMS];
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

/* --- reading and checking one candidate, in any thread --- */

static int read_up_to(int fd, struct ek_buffer *out, uint64_t limit, const char *path)
{
	int rc = 0;

	while (out->size < limit) {
		const uint64_t left = limit - out->size;
		const size_t step = left < READ_STEP ? (size_t)left : READ_STEP;
		ssize_t got;

		EK_TRY(ek_buffer_reserve(out, step));
		got = read(fd, out->data + out->size, step);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ek_fail_errno("cannot read %s", path);
		if (got == 0)
			break;
		out->size += (size_t)got;
	}
out:
	return rc;
}

static int is_image(const struct ek_buffer *bytes)
{
	return bytes->size > 0 && ek_image_sniff(bytes->data, bytes->size) != EK_IMAGE_UNKNOWN;
}

/* The bytes of a file, all of them if it is an image. EK_EIO, EK_EDATA: it cannot be read. */
static int read_file(struct ek_buffer *bytes, const char *path, uint64_t *stamp)
{
	struct stat status;
	uint64_t size;
	int fd = -1, rc;

	ek_buffer_clear(bytes);
	EK_TRY(ek_open_regular(&fd, &size, path));
	/* Before it is read: what is written meanwhile is a change. */
	*stamp = ek_dataset_stamp(path, fstat(fd, &status) == 0 ? &status : NULL);
	/* A small file is there after one read. */
	EK_TRY(read_up_to(fd, bytes, size > 0 && size < READ_STEP ? size + 1 : EK_DATASET_HEAD, path));
	if (is_image(bytes) && size >= READ_STEP)
		EK_TRY(read_up_to(fd, bytes, EK_DATASET_LARGEST + 1, path));
	if (bytes->size > EK_DATASET_LARGEST)
		rc = ek_fail(EK_EDATA, "larger than 1 GiB");
out:
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/* A failure that may be a moment's is tried once more. */
static int read_patiently(struct ek_buffer *bytes, const char *path, uint64_t *stamp)
{
	const int rc = read_file(bytes, path, stamp);

	return rc == EK_EIO && ek_error_number() != ENOENT ? read_file(bytes, path, stamp) : rc;
}

static int check_pixels(struct ek_image_info *info, const struct candidate *c, const struct ek_buffer *bytes,
                        const struct ek_scan_options *o)
{
	if (c->item.bare != EK_IMAGE_UNKNOWN) {
		*info = (struct ek_image_info){ c->item.bare, c->item.bare_width, c->item.bare_height };
		return (uint64_t)info->width * info->height <= o->max_pixels
		               ? 0
		               : ek_fail(EK_EDATA, "%u x %u pixels, the limit is %" PRIu64, info->width, info->height,
		                         o->max_pixels);
	}
	return (o->check == EK_SCAN_HEADER ? ek_image_probe : ek_image_check)(info, bytes->data, bytes->size,
	                                                                      o->max_pixels);
}

static int is_reserved(const struct ek_dataset_item *item, const char *name)
{
	return ek_images_is_ours(name) || strcmp(name, "label") == 0 ||
	       (item->dataset != NULL && strcmp(name, "dataset") == 0);
}

static int append_value(struct ek_buffer *row, const cJSON *value)
{
	char *text;
	int rc;

	if (cJSON_IsString(value))
		return ek_json_append_string(row, value->valuestring, strlen(value->valuestring));
	if (cJSON_IsNumber(value))
		return ek_json_append_double(row, value->valuedouble);
	if (cJSON_IsRaw(value))
		return ek_buffer_text(row, value->valuestring);
	if ((text = cJSON_PrintUnformatted(value)) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
	rc = ek_buffer_text(row, text);
	cJSON_free(text);
	return rc;
}

/* An attribute "label" comes before the folder's; it is always a text. */
static int append_label(struct ek_buffer *row, const struct ek_dataset_item *item)
{
	const cJSON *given = cJSON_GetObjectItemCaseSensitive(item->attributes, "label");
	struct ek_buffer text = { 0 };
	int rc;

	if (given == NULL || cJSON_IsNull(given)) {
		if (!item->has_label)
			return 0;
		EK_TRY(ek_buffer_append(&text, item->label.data, item->label.size));
	} else if (cJSON_IsString(given)) {
		EK_TRY(ek_buffer_text(&text, given->valuestring));
	} else {
		EK_TRY(append_value(&text, given));
	}
	EK_TRY(ek_buffer_text(row, ", \"label\": "));
	EK_TRY(ek_json_append_string(row, text.data, text.size));
out:
	ek_buffer_release(&text);
	return rc;
}

/* Attributes that would hide a member of ours get a "_" behind their name. */
static int append_attributes(struct ek_buffer *row, const struct ek_dataset_item *item)
{
	struct ek_buffer name = { 0 };
	const cJSON *member;
	int rc = 0;

	cJSON_ArrayForEach(member, item->attributes)
	{
		if (strcmp(member->string, "label") == 0)
			continue;
		ek_buffer_clear(&name);
		EK_TRY(ek_buffer_text(&name, member->string));
		while (is_reserved(item, name.data) ||
		       (name.size > strlen(member->string) &&
		        cJSON_GetObjectItemCaseSensitive(item->attributes, name.data) != NULL))
			EK_TRY(ek_buffer_text(&name, "_"));
		EK_TRY(ek_buffer_text(row, ", "));
		EK_TRY(ek_json_append_string(row, name.data, name.size));
		EK_TRY(ek_buffer_text(row, ": "));
		EK_TRY(append_value(row, member));
	}
out:
	ek_buffer_release(&name);
	return rc;
}

static int append_place(struct ek_buffer *row, const struct ek_dataset_item *item)
{
	int rc;

	EK_TRY(ek_filename_append(row, "file_name", item->name.data));
	if (item->source != NULL) {
		EK_TRY(ek_buffer_text(row, ", "));
		EK_TRY(ek_filename_append(row, "source", item->source));
	}
	if (item->zip_entry.size > 0) {
		EK_TRY(ek_buffer_text(row, ", "));
		EK_TRY(ek_filename_append(row, "zip_entry", item->zip_entry.data));
	}
	if (item->parquet_column.size > 0) {
		EK_TRY(ek_buffer_text(row, ", "));
		EK_TRY(ek_filename_append(row, "parquet_column", item->parquet_column.data));
	}
out:
	return rc;
}

/* Without printf, which is a tenth of a scan's time where a library has registered conversions of its own. */
static int append_u64(struct ek_buffer *row, const char *before, uint64_t value)
{
	char digits[20];
	size_t at = sizeof digits;
	int rc;

	do
		digits[--at] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	EK_TRY(ek_buffer_text(row, before));
	EK_TRY(ek_buffer_append(row, digits + at, sizeof digits - at));
out:
	return rc;
}

static int build_row(struct candidate *c, const struct ek_image_info *info, const struct ek_buffer *bytes,
                     double held_out)
{
	struct ek_buffer *row = &c->row;
	uint8_t digest[EK_SHA256_SIZE];
	char hex[EK_SHA256_HEX];
	uint64_t head = 0;
	int rc;

	EK_TRY(ek_sha256(digest, bytes->data, bytes->size));
	ek_hex(hex, digest, sizeof digest);
	for (int i = 0; i < 8; i++)
		head = head << 8 | digest[i];
	const uint64_t content[4] = { head, info->width, info->height, (uint64_t)info->format };

	c->content = ek_hash64(content, sizeof content);
	c->held_out = ldexp((double)(head >> 11), -53) < held_out;
	c->bytes = bytes->size;
	EK_TRY(append_place(row, &c->item));
	if (c->item.source != NULL)
		EK_TRY(append_u64(row, ", \"offset\": ", c->item.offset));
	EK_TRY(append_u64(row, ", \"bytes\": ", bytes->size));
	EK_TRY(append_u64(row, ", \"width\": ", info->width));
	EK_TRY(append_u64(row, ", \"height\": ", info->height));
	EK_TRY(ek_buffer_text(row, ", \"format\": \""));
	EK_TRY(ek_buffer_text(row, ek_image_format_name(info->format)));
	EK_TRY(ek_buffer_text(row, "\", \"sha256\": \""));
	EK_TRY(ek_buffer_append(row, hex, sizeof hex - 1));
	EK_TRY(ek_buffer_text(row, "\""));
	EK_TRY(append_label(row, &c->item));
	if (c->item.dataset != NULL) {
		EK_TRY(ek_buffer_text(row, ", "));
		EK_TRY(ek_filename_append(row, "dataset", c->item.dataset));
	}
	if (c->held_out)
		EK_TRY(ek_buffer_text(row, ", \"held_out\": true"));
	EK_TRY(append_attributes(row, &c->item));
	EK_TRY(ek_buffer_text(row, "}\n"));
out:
	return rc;
}

static int reject(struct candidate *c, const char *reason)
{
	int rc;

	c->verdict = REJECTED;
	(void)snprintf(c->reason, sizeof c->reason, "%s", reason);
	EK_TRY(ek_buffer_text(&c->row, "{"));
	EK_TRY(append_place(&c->row, &c->item));
	if (c->item.source != NULL)
		EK_TRY(ek_buffer_printf(&c->row, ", \"offset\": %" PRIu64, c->item.offset));
	EK_TRY(ek_buffer_text(&c->row, ", \"reason\": "));
	EK_TRY(ek_json_append_string(&c->row, reason, strlen(reason)));
	EK_TRY(ek_buffer_text(&c->row, c->unread ? ", \"unread\": true}\n" : "}\n"));
out:
	return rc;
}

/* It could not be read. EK_EIO if none can be, for want of descriptors. */
static int reject_unread(struct scanner *s, struct candidate *c)
{
	const int number = ek_error_number();

	if (number == EMFILE || number == ENFILE) {
		if (atomic_fetch_add(&s->starved, 1) + 1 >= MOST_STARVED)
			return EK_EIO;
	} else {
		atomic_store(&s->starved, 0);
	}
	c->unread = 1;
	return reject(c, ek_error_message());
}

static int reject_foreign(struct candidate *c, const struct ek_buffer *bytes)
{
	struct ek_buffer reason = { 0 };
	int rc;

	EK_TRY(ek_content_describe(&reason, bytes->data, bytes->size));
	EK_TRY(reject(c, reason.data));
out:
	ek_buffer_release(&reason);
	return rc;
}

static int examine(struct scanner *s, struct candidate *c, struct ek_buffer *scratch)
{
	const struct ek_buffer *bytes = c->item.source != NULL ? &c->item.bytes : scratch;
	struct ek_image_info info;
	int rc = 0;

	c->verdict = IMAGE;
	c->held_out = 0;
	c->stamp = 0;
	c->unread = c->item.unread;
	ek_buffer_clear(&c->row);
	if (c->item.source == NULL && c->item.problem == NULL)
		rc = read_patiently(scratch, c->item.path.data, &c->stamp);
	if (c->item.source == NULL && c->stamp == 0)
		c->stamp = ek_dataset_stamp(c->item.path.data, NULL);
	if (rc == EK_EIO)
		return reject_unread(s, c);
	if (rc < 0)
		return rc == EK_ENOMEM ? rc : reject(c, ek_error_message());
	if (c->item.source == NULL)
		atomic_store_explicit(&s->starved, 0, memory_order_relaxed);
	if (c->item.problem != NULL)
		return reject(c, c->item.problem);
	if (c->item.bare == EK_IMAGE_UNKNOWN && !is_image(bytes)) {
		if (ek_has_image_extension(c->item.name.data))
			return reject_foreign(c, bytes);
		c->verdict = OTHER;
		c->known = ek_content_name(bytes->data, bytes->size);
		return 0;
	}
	rc = check_pixels(&info, c, bytes, s->options);
	if (rc == EK_EDATA || rc == EK_ENOTSUP)
		return reject(c, ek_error_message());
	return rc < 0 ? rc : build_row(c, &info, bytes, s->options->held_out);
}

/* --- the pipeline: piece 0 fills the next batch while the others check the last one --- */

static int fill(struct scanner *s)
{
	struct batch *b = s->reading;
	size_t bytes = 0;
	int rc = 0;

	b->count = 0;
	while (!s->ended && b->count < BATCH_ITEMS && bytes < BATCH_BYTES) {
		struct candidate *c = &b->items[b->count];

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

	return i == 0 ? fill(s) : examine(s, &s->checking->items[i - 1], &s->scratch[worker]);
}

static int write_out(struct scanner *s)
{
	char id[40];
	int rc = 0;

	for (size_t i = 0; i < s->checking->count; i++) {
		const struct candidate *c = &s->checking->items[i];

		ek_dataset_saw(s->dataset, c->stamp);
		if (c->verdict == OTHER) {
			if (c->known != NULL && s->first_other[0] == 0)
				(void)snprintf(s->first_other, sizeof s->first_other, ", as %.200s: %s",
				               c->item.name.data, c->known);
			s->counts.other_files++;
			if (c->item.source == NULL && ek_dataset_may_hold_images(c->item.name.data))
				ek_dataset_note(&s->counts.unopened, c->item.name.data);
		} else if (c->verdict == REJECTED) {
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

	if ((*out = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
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
	for (size_t i = 0; b != NULL && i < BATCH_ITEMS; i++) {
		ek_dataset_item_release(&b->items[i].item);
		ek_buffer_release(&b->items[i].row);
	}
	free(b);
}

/* --- the step --- */

static int check_options(const struct ek_scan_options *o)
{
	if (!(o->held_out >= 0 && o->held_out < 1))
		return ek_fail(EK_EUSAGE, "the held-out share is %g, not in 0 … 1", o->held_out);
	if (o->max_pixels == 0)
		return ek_fail(EK_EUSAGE, "no image has 0 pixels");
	return 0;
}

static int add_patterns(cJSON *options, const char *name, const char *const *patterns, size_t count)
{
	cJSON *list;
	int rc;

	EK_TRY(ek_json_add_array(&list, options, name));
	for (size_t i = 0; i < count; i++)
		EK_TRY(ek_json_add_string(list, NULL, patterns[i]));
out:
	return rc;
}

static int describe(struct ek_step *step, cJSON **options_json, const struct ek_scan_options *o,
                    const struct ek_dataset *dataset)
{
	static const char *const none[] = { NULL };
	static const char *const outputs[] = { "images.jsonl", "rejected.jsonl", NULL };
	cJSON *list = NULL;
	uint64_t hash;
	char text[17], *path = NULL;
	int rc;

	if ((*options_json = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
	EK_TRY(ek_dataset_fingerprint(&list, dataset));
	EK_TRY(ek_json_add_item(*options_json, "dataset", list));
	if (o->attributes != NULL) {
		if ((path = realpath(o->attributes, NULL)) == NULL) {
			rc = ek_fail_errno("cannot read %s", o->attributes);
			goto out;
		}
		EK_TRY(ek_hash64_file(&hash, path));
		(void)snprintf(text, sizeof text, "%016" PRIx64, hash);
		EK_TRY(ek_filename_add(*options_json, "attributes", path));
		EK_TRY(ek_json_add_string(*options_json, "attributes_hash", text));
	}
	if (o->key != NULL)
		EK_TRY(ek_json_add_string(*options_json, "key", o->key));
	EK_TRY(ek_json_add_u64(*options_json, "max_pixels", o->max_pixels));
	EK_TRY(ek_json_add_string(*options_json, "check", o->check == EK_SCAN_HEADER ? "header" : "decode"));
	EK_TRY(ek_json_add_double(*options_json, "held_out", o->held_out));
	EK_TRY(add_patterns(*options_json, "include", o->include, o->include_count));
	EK_TRY(add_patterns(*options_json, "exclude", o->exclude, o->exclude_count));
	*step = (struct ek_step){
		.name = "scan",
		.version = VERSION,
		.options = *options_json,
		.inputs = none,
		.outputs = ek_dataset_kind(dataset) == EK_DATASET_EMBEDDINGS ? none : outputs,
	};
out:
	free(path);
	if (rc < 0) {
		cJSON_Delete(*options_json);
		*options_json = NULL;
	}
	return rc;
}

int ek_scan_step(struct ek_step *step, cJSON **options_json, const struct ek_scan_options *o, int look)
{
	struct ek_dataset *dataset = NULL;
	int rc;

	*options_json = NULL;
	EK_TRY(check_options(o));
	/* The table of attributes is hashed, not read. */
	EK_TRY(ek_dataset_open(&dataset, o->datasets, o->dataset_count, NULL, o->key));
	EK_TRY(ek_dataset_select(dataset, o->include, o->include_count, o->exclude, o->exclude_count));
	if (look)
		EK_TRY(ek_dataset_look(dataset));
	EK_TRY(describe(step, options_json, o, dataset));
out:
	ek_dataset_close(dataset);
	return rc;
}

/* 1 if the file or folder can be read now, else 0 and the message says why. */
static int can_be_read(struct ek_buffer *bytes, const char *path)
{
	uint64_t stamp;
	const int rc = read_patiently(bytes, path, &stamp);
	DIR *directory = rc == EK_EDATA ? opendir(path) : NULL;

	if (directory != NULL)
		(void)closedir(directory);
	else if (rc == EK_EDATA)
		(void)ek_fail_errno("cannot read the folder %s", path);
	return rc >= 0 || directory != NULL;
}

/* Of the files that could not be read, can any be read now? */
static int try_unread(int *readable, const struct ek_run *run, const cJSON *counts)
{
	struct ek_buffer path = { 0 }, bytes = { 0 };
	struct ek_jsonl rows = { 0 };
	char *rejected = NULL, *root = NULL, *name = NULL;
	uint64_t unread = 0;
	cJSON *row = NULL;
	int rc;

	EK_TRY(ek_filename_get(&root, counts, "root", "run.json, step scan"));
	EK_TRY(ek_run_file(&rejected, run, "rejected.jsonl"));
	EK_TRY(ek_jsonl_open(&rows, rejected));
	for (*readable = 0; !*readable;) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_jsonl_next(&rows, &row));
		if (rc == 0)
			break;
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "unread"))) {
			EK_TRY(ek_filename_get(&name, row, "file_name", rejected));
			ek_buffer_clear(&path);
			EK_TRY(ek_buffer_printf(&path, "%s/%s", *name != '/' ? root : "", name));
			*readable = can_be_read(&bytes, path.data);
			unread++;
			free(name);
			name = NULL;
		}
		cJSON_Delete(row);
		row = NULL;
	}
	if (!*readable && unread > 0)
		ek_warn("%" PRIu64 " %s still cannot be read, the last: %s", unread, unread == 1 ? "file" : "files",
		        ek_error_message());
out:
	cJSON_Delete(row);
	ek_jsonl_close(&rows);
	ek_buffer_release(&path);
	ek_buffer_release(&bytes);
	free(rejected);
	free(root);
	free(name);
	return rc;
}

int ek_scan_is_current(int *current, const char **reason, struct ek_run *run, const struct ek_step *step)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");
	const cJSON *unread = cJSON_GetObjectItemCaseSensitive(counts, "unread");
	int readable = 0, rc;

	EK_TRY(ek_run_is_current(current, reason, run, step));
	if (!*current || !cJSON_IsNumber(unread) || !(unread->valuedouble > 0))
		return 0;
	EK_TRY(try_unread(&readable, run, counts));
	if (readable) {
		*current = 0;
		*reason = "files that could not be read can be read now";
	}
out:
	return rc;
}

int ek_scan(struct ek_run *run, const struct ek_scan_options *o)
{
	struct scanner s = { .options = o };
	const int64_t started = (int64_t)time(NULL);
	const double start = ek_clock();
	cJSON *counts = NULL, *options_json = NULL, *seen;
	struct ek_step step;
	int rc;

	EK_TRY(check_options(o));
	EK_TRY(ek_dataset_open(&s.dataset, o->datasets, o->dataset_count, o->attributes, o->key));
	EK_TRY(ek_dataset_select(s.dataset, o->include, o->include_count, o->exclude, o->exclude_count));
	EK_TRY(describe(&step, &options_json, o, s.dataset));
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
