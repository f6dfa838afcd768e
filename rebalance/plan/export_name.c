/* Names inside an export: those of the data set, made safe. */
#include <inttypes.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/utf8.h"
#include "rebalance/io/dataset.h"
#include "rebalance/plan/export_internal.h"

enum { LONGEST_PART = 200, LONGEST_EXTENSION = 8 };

/* Files of ours that lie beside the images: .evenkeel-export goes the way of every leading dot. */
static const char *const reserved[] = { "metadata.", "missing." };

const char *ek_export_extension(enum ek_image_format format)
{
	return ek_image_format_extension(format);
}

/* Where a part of `size` bytes, longer than allowed, is cut: an ending stays, and no character is cut in two. */
static int append_cut(struct ek_buffer *out, const char *part, size_t size)
{
	const char *dot = memrchr(part, '.', size);
	size_t tail = dot != NULL ? size - (size_t)(dot - part) : 0;
	size_t head;
	int rc;

	if (tail > LONGEST_EXTENSION)
		tail = 0;
	head = LONGEST_PART - tail;
	while (head > 0 && ((unsigned char)part[head] & 0xc0) == 0x80)
		head--;
	EK_TRY(ek_buffer_append(out, part, head));
	EK_TRY(ek_buffer_append(out, part + size - tail, tail));
out:
	return rc;
}

int ek_export_safe_part(struct ek_buffer *out, const char *part, size_t size)
{
	struct ek_buffer safe = { 0 };
	int rc = 0;

	for (size_t i = 0; i < size;) {
		const size_t good = ek_utf8_valid_prefix(part + i, size - i);

		EK_TRY(ek_buffer_append(&safe, part + i, good));
		i += good;
		if (i < size) {
			EK_TRY(ek_buffer_text(&safe, "_"));
			i++;
		}
	}
	for (size_t i = 0; i < safe.size; i++)
		if ((unsigned char)safe.data[i] < 0x20 || safe.data[i] == 0x7f || safe.data[i] == '/')
			safe.data[i] = '_';
	if (size == 0 || strcmp(safe.data, "..") == 0)
		EK_TRY(ek_buffer_text(out, "_"));
	else {
		/* Loaders pass over hidden files, and over folders that start with "__". */
		if (safe.data[0] == '.' || strncmp(safe.data, "__", 2) == 0)
			safe.data[0] = safe.data[0] == '.' ? '_' : '-';
		EK_TRY(safe.size > LONGEST_PART ? append_cut(out, safe.data, safe.size)
		                                : ek_buffer_append(out, safe.data, safe.size));
	}
out:
	ek_buffer_release(&safe);
	return rc;
}

int ek_export_safe_path(struct ek_buffer *out, const char *name, int is_flat)
{
	const size_t start = out->size;
	int rc = 0;

	if (is_flat && strrchr(name, '/') != NULL)
		name = strrchr(name, '/') + 1;
	while (*name != 0) {
		const size_t size = strcspn(name, "/");

		if (size > 0 && !(size == 1 && name[0] == '.')) {
			if (out->size > start)
				EK_TRY(ek_buffer_text(out, "/"));
			else
				for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
					if (strncmp(name, reserved[i], strlen(reserved[i])) == 0)
						EK_TRY(ek_buffer_text(out, "_"));
			EK_TRY(ek_export_safe_part(out, name, size));
		}
		name += size;
		name += *name == '/';
	}
	if (out->size == start)
		EK_TRY(ek_buffer_text(out, "_"));
out:
	return rc;
}

/* Put `suffix` before the ending of the path in `out`. */
static int insert_suffix(struct ek_buffer *out, const char *suffix)
{
	char *slash = strrchr(out->data, '/'), *dot = strrchr(out->data, '.');
	const size_t size = strlen(suffix);
	size_t at;
	int rc;

	at = dot != NULL && (slash == NULL || dot > slash) ? (size_t)(dot - out->data) : out->size;
	EK_TRY(ek_buffer_append(out, suffix, size));
	memmove(out->data + at + size, out->data + at, out->size - at - size);
	memcpy(out->data + at, suffix, size);
out:
	return rc;
}

int ek_export_name(struct ek_buffer *out, const struct ek_export *x, const char *folder, int try)
{
	const struct ek_image_record *r = &x->record;
	char suffix[64] = "";
	int at = 0, rc;

	ek_buffer_clear(out);
	EK_TRY(ek_buffer_text(out, folder));
	if (try < 2)
		EK_TRY(ek_export_safe_path(out, r->file_name, folder[0] != 0));
	else
		EK_TRY(ek_buffer_text(out, "image"));
	if (try == 2 || ek_image_bare_pixel(r->format) > 0 || !ek_has_image_extension(out->data))
		EK_TRY(ek_buffer_printf(out, ".%s", ek_export_extension(r->format)));
	if (try > 0)
		at = snprintf(suffix, sizeof suffix, "~id%" PRIu64, r->id);
	if (x->repeat > 0)
		(void)snprintf(suffix + at, sizeof suffix - (size_t)at, "~%" PRIu64, x->repeat + 1);
	if (suffix[0] != 0)
		EK_TRY(insert_suffix(out, suffix));
out:
	return rc;
}
