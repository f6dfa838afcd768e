/* A zip file as Python's zipfile writes it for NumPy, byte for byte: every member with a zip64 field and the year 1980,
 * the directory with such fields from 2 GiB on. */
#include <assert.h>
#include <string.h>

#include <zlib.h>

#include "rebalance/base/error.h"
#include "rebalance/io/npz.h"

enum {
	VERSION = 45, /* that can read zip64 */
	UNIX = 3 << 8,
	FIRST_DAY = 1 << 5 | 1, /* 1980-01-01 */
	ZIP64_SIZE = 20,
	END64_REST = 44,
	MOST_MEMBERS = 65535
};
#define OWNER_ONLY (0600u << 16)
#define LARGEST INT32_MAX /* Python's limit */

struct writer {
	struct ek_atomic_file file;
	struct ek_buffer header, directory;
	uint64_t at; /* bytes written */
};

struct field {
	uint64_t value;
	size_t width;
};

static int put_fields(struct ek_buffer *b, const struct field *fields, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = ek_buffer_append(b, &fields[i].value, fields[i].width);
	return rc;
}
#define PUT(b, ...)                                                                                                    \
	put_fields(b, (const struct field[]){ __VA_ARGS__ },                                                           \
	           sizeof((const struct field[]){ __VA_ARGS__ }) / sizeof(struct field))

static int put_local(struct ek_buffer *b, const char *name, uint64_t size, uint32_t crc)
{
	int rc;

	EK_TRY(ek_buffer_append(b, "PK\3\4", 4));
	EK_TRY(PUT(b, { VERSION, 2 }, { 0, 2 }, { 0, 2 }, { 0, 2 }, { FIRST_DAY, 2 }, { crc, 4 }, { UINT32_MAX, 4 },
	           { UINT32_MAX, 4 }, { strlen(name) + 4, 2 }, { ZIP64_SIZE, 2 }));
	EK_TRY(ek_buffer_printf(b, "%s.npy", name));
	EK_TRY(PUT(b, { 1, 2 }, { ZIP64_SIZE - 4, 2 }, { size, 8 }, { size, 8 }));
out:
	return rc;
}

static int put_entry(struct ek_buffer *b, const char *name, uint64_t size, uint32_t crc, uint64_t offset)
{
	const int large = size > LARGEST, far = offset > LARGEST;
	const size_t wide = 8 * (size_t)(2 * large + far), extra = wide > 0 ? wide + 4 : 0;
	int rc;

	EK_TRY(ek_buffer_append(b, "PK\1\2", 4));
	EK_TRY(PUT(b, { VERSION | UNIX, 2 }, { VERSION, 2 }, { 0, 2 }, { 0, 2 }, { 0, 2 }, { FIRST_DAY, 2 }, { crc, 4 },
	           { large ? UINT32_MAX : size, 4 }, { large ? UINT32_MAX : size, 4 }, { strlen(name) + 4, 2 },
	           { extra, 2 }, { 0, 2 }, { 0, 2 }, { 0, 2 }, { OWNER_ONLY, 4 }, { far ? UINT32_MAX : offset, 4 }));
	EK_TRY(ek_buffer_printf(b, "%s.npy", name));
	if (extra > 0)
		EK_TRY(PUT(b, { 1, 2 }, { wide, 2 }));
	if (large)
		EK_TRY(PUT(b, { size, 8 }, { size, 8 }));
	if (far)
		EK_TRY(PUT(b, { offset, 8 }));
out:
	return rc;
}

/* The end of the directory, which starts at `start`. */
static int put_end(struct ek_buffer *b, uint64_t start, size_t count)
{
	const uint64_t size = b->size, end = start + size;
	const int far = start > LARGEST;
	int rc;

	if (far) {
		EK_TRY(ek_buffer_append(b, "PK\6\6", 4));
		EK_TRY(PUT(b, { END64_REST, 8 }, { VERSION, 2 }, { VERSION, 2 }, { 0, 4 }, { 0, 4 }, { count, 8 },
		           { count, 8 }, { size, 8 }, { start, 8 }));
		EK_TRY(ek_buffer_append(b, "PK\6\7", 4));
		EK_TRY(PUT(b, { 0, 4 }, { end, 8 }, { 1, 4 }));
	}
	EK_TRY(ek_buffer_append(b, "PK\5\6", 4));
	EK_TRY(PUT(b, { 0, 2 }, { 0, 2 }, { count, 2 }, { count, 2 }, { size, 4 },
	           { start < UINT32_MAX ? start : UINT32_MAX, 4 }, { 0, 2 }));
out:
	return rc;
}

static int write_member(struct writer *w, const struct ek_npz_member *m)
{
	struct ek_buffer local = { 0 };
	uint64_t count, bytes = 0;
	uint32_t crc;
	int rc;

	ek_buffer_clear(&w->header);
	EK_TRY(ek_npy_header(&w->header, m->type, m->dimensions, m->shape));
	(void)ek_shape_size(&count, &bytes, m->type, m->dimensions, m->shape);
	crc = (uint32_t)crc32_z(0, (const uint8_t *)w->header.data, w->header.size);
	if (bytes > 0)
		crc = (uint32_t)crc32_z(crc, m->data, bytes);
	EK_TRY(put_local(&local, m->name, w->header.size + bytes, crc));
	EK_TRY(put_entry(&w->directory, m->name, w->header.size + bytes, crc, w->at));
	EK_TRY(ek_atomic_write(&w->file, local.data, local.size));
	EK_TRY(ek_atomic_write(&w->file, w->header.data, w->header.size));
	if (bytes > 0)
		EK_TRY(ek_atomic_write(&w->file, m->data, bytes));
	w->at += local.size + w->header.size + bytes;
out:
	ek_buffer_release(&local);
	return rc;
}

int ek_npz_write(const char *path, const struct ek_npz_member *members, size_t count)
{
	struct writer w = { 0 };
	int rc;

	assert(count < MOST_MEMBERS);
	EK_TRY(ek_atomic_open(&w.file, path));
	for (size_t i = 0; i < count; i++)
		EK_TRY(write_member(&w, &members[i]));
	EK_TRY(put_end(&w.directory, w.at, count));
	EK_TRY(ek_atomic_write(&w.file, w.directory.data, w.directory.size));
	EK_TRY(ek_atomic_commit(&w.file));
out:
	ek_atomic_discard(&w.file);
	ek_buffer_release(&w.header);
	ek_buffer_release(&w.directory);
	return rc;
}
