#include "rebalance/io/zip_reader.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "rebalance/base/error.h"

enum { SCRATCH = 1 << 16 };

struct ek_zip_reader {
	char *path;
	struct ek_map map;
	struct ek_zip zip;
	const struct ek_zip_entry *entry; /* that is being inflated, or NULL */
	z_stream z;
	uint64_t position; /* of the next byte that `z` gives */
	size_t packed_left;
	uLong crc;
	uint8_t scratch[SCRATCH]; /* for what is dropped */
};

int ek_zip_reader_open(struct ek_zip_reader **out, const char *path)
{
	struct ek_zip_reader *r;
	int rc;

	*out = NULL;
	if ((rc = ek_alloc(&r, 1, sizeof *r)) < 0)
		return rc;
	EK_TRY(ek_copy_string(&r->path, path));
	EK_TRY(ek_map_open(&r->map, path));
	EK_TRY(ek_zip_open(&r->zip, r->map.data, r->map.size, path));
out:
	if (rc < 0) {
		ek_zip_reader_close(r);
		r = NULL;
	}
	*out = r;
	return rc;
}

const struct ek_zip *ek_zip_reader_directory(const struct ek_zip_reader *r)
{
	return &r->zip;
}

const struct ek_map *ek_zip_reader_map(const struct ek_zip_reader *r)
{
	return &r->map;
}

uint64_t ek_zip_reader_offset(const struct ek_zip_reader *r, const struct ek_zip_entry *entry)
{
	return (uint64_t)(entry->data - r->map.data);
}

static void stop_inflating(struct ek_zip_reader *r)
{
	if (r->entry != NULL)
		(void)inflateEnd(&r->z);
	r->entry = NULL;
}

static int fail(const struct ek_zip_reader *r, const struct ek_zip_entry *entry, const char *what)
{
	return ek_fail(EK_EDATA, "%s/%.*s: %s", r->path, (int)(entry->name_size < 200 ? entry->name_size : 200),
	               entry->name, what);
}

static int start_inflating(struct ek_zip_reader *r, const struct ek_zip_entry *entry)
{
	stop_inflating(r);
	r->z = (z_stream){ .next_in = entry->deflated };
	if (inflateInit2(&r->z, -MAX_WBITS) != Z_OK)
		return ek_fail(EK_ENOMEM, "no memory to read %s", r->path);
	r->entry = entry;
	r->position = 0;
	r->packed_left = entry->deflated_size;
	r->crc = crc32(0, NULL, 0);
	return 0;
}

/* The next `size` bytes, at most UINT_MAX. */
static int inflate_next(struct ek_zip_reader *r, uint8_t *to, unsigned size)
{
	r->z.next_out = to;
	r->z.avail_out = size;
	while (r->z.avail_out > 0) {
		int status;

		if (r->z.avail_in == 0) {
			r->z.avail_in = r->packed_left < UINT_MAX ? (unsigned)r->packed_left : UINT_MAX;
			r->packed_left -= r->z.avail_in;
		}
		status = inflate(&r->z, Z_NO_FLUSH);
		if (status != Z_OK && !(status == Z_STREAM_END && r->z.avail_out == 0))
			return fail(r, r->entry, "damaged compressed data");
	}
	r->crc = crc32(r->crc, to, size);
	r->position += size;
	if (r->position == r->entry->size && r->crc != r->entry->crc)
		return fail(r, r->entry, "does not hold what its checksum says");
	return 0;
}

static int read_deflated(struct ek_zip_reader *r, struct ek_buffer *out, const struct ek_zip_entry *entry,
                         uint64_t offset, size_t size)
{
	int rc = 0;

	if (r->entry != entry || offset < r->position)
		EK_TRY(start_inflating(r, entry));
	while (r->position < offset)
		EK_TRY(inflate_next(r, r->scratch,
		                    offset - r->position < SCRATCH ? (unsigned)(offset - r->position) : SCRATCH));
	while (size > 0) {
		const unsigned step = size < SCRATCH ? (unsigned)size : SCRATCH;

		EK_TRY(ek_buffer_reserve(out, step));
		EK_TRY(inflate_next(r, (uint8_t *)out->data + out->size, step));
		out->size += step;
		out->data[out->size] = 0;
		size -= step;
	}
out:
	if (rc < 0)
		stop_inflating(r);
	return rc;
}

int ek_zip_reader_read(struct ek_zip_reader *r, struct ek_buffer *out, const struct ek_zip_entry *entry,
                       uint64_t offset, size_t size)
{
	if (entry->data == NULL && entry->deflated == NULL)
		return fail(r, entry, "encrypted, or neither stored nor deflated");
	if (offset > entry->size || size > entry->size - offset)
		return fail(r, entry, "ends too early");
	if (entry->data == NULL)
		return read_deflated(r, out, entry, offset, size);
	if (offset == 0 && size == entry->size && crc32_z(0, entry->data, size) != entry->crc)
		return fail(r, entry, "does not hold what its checksum says");
	return ek_buffer_append(out, entry->data + offset, size);
}

void ek_zip_reader_close(struct ek_zip_reader *r)
{
	if (r == NULL)
		return;
	stop_inflating(r);
	ek_zip_close(&r->zip);
	ek_map_close(&r->map);
	free(r->path);
	free(r);
}
