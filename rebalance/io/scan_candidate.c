#include "rebalance/io/scan_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/io/content.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/images.h"

enum { READ_STEP = 1 << 18, MOST_STARVED = 8 /* files in a row that could not be opened because too many were */ };

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

int ek_candidate_read(struct ek_buffer *bytes, const char *path, uint64_t *stamp)
{
	const int rc = read_file(bytes, path, stamp);

	return rc == EK_EIO && ek_error_number() != ENOENT ? read_file(bytes, path, stamp) : rc;
}

static int check_pixels(struct ek_image_info *info, const struct ek_candidate *c, const struct ek_buffer *bytes,
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

static int build_row(struct ek_candidate *c, const struct ek_image_info *info, const struct ek_buffer *bytes,
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

static int reject(struct ek_candidate *c, const char *reason)
{
	int rc;

	c->verdict = EK_CANDIDATE_REJECTED;
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
static int reject_unread(struct ek_candidate *c, atomic_int *starved)
{
	const int number = ek_error_number();

	if (number == EMFILE || number == ENFILE) {
		if (atomic_fetch_add(starved, 1) + 1 >= MOST_STARVED)
			return EK_EIO;
	} else {
		atomic_store(starved, 0);
	}
	c->unread = 1;
	return reject(c, ek_error_message());
}

static int reject_foreign(struct ek_candidate *c, const struct ek_buffer *bytes)
{
	struct ek_buffer reason = { 0 };
	int rc;

	EK_TRY(ek_content_describe(&reason, bytes->data, bytes->size));
	EK_TRY(reject(c, reason.data));
out:
	ek_buffer_release(&reason);
	return rc;
}

int ek_candidate_examine(struct ek_candidate *c, const struct ek_scan_options *options, atomic_int *starved,
                         struct ek_buffer *scratch)
{
	const struct ek_buffer *bytes = c->item.source != NULL ? &c->item.bytes : scratch;
	struct ek_image_info info;
	int rc = 0;

	c->verdict = EK_CANDIDATE_IMAGE;
	c->held_out = 0;
	c->stamp = 0;
	c->unread = c->item.unread;
	ek_buffer_clear(&c->row);
	if (c->item.source == NULL && c->item.problem == NULL)
		rc = ek_candidate_read(scratch, c->item.path.data, &c->stamp);
	if (c->item.source == NULL && c->stamp == 0)
		c->stamp = ek_dataset_stamp(c->item.path.data, NULL);
	if (rc == EK_EIO)
		return reject_unread(c, starved);
	if (rc < 0)
		return rc == EK_ENOMEM ? rc : reject(c, ek_error_message());
	if (c->item.source == NULL)
		atomic_store_explicit(starved, 0, memory_order_relaxed);
	if (c->item.problem != NULL)
		return reject(c, c->item.problem);
	if (c->item.bare == EK_IMAGE_UNKNOWN && !is_image(bytes)) {
		if (ek_has_image_extension(c->item.name.data))
			return reject_foreign(c, bytes);
		c->verdict = EK_CANDIDATE_OTHER;
		c->known = ek_content_name(bytes->data, bytes->size);
		return 0;
	}
	rc = check_pixels(&info, c, bytes, options);
	if (rc == EK_EDATA || rc == EK_ENOTSUP)
		return reject(c, ek_error_message());
	return rc < 0 ? rc : build_row(c, &info, bytes, options->held_out);
}

void ek_candidate_release(struct ek_candidate *c)
{
	ek_dataset_item_release(&c->item);
	ek_buffer_release(&c->row);
}
