#include "rebalance/io/zip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum {
	LOCAL_SIZE = 30,
	ENTRY_SIZE = 46,
	END_SIZE = 22,
	LOCATOR_SIZE = 20,
	END64_SIZE = 56,
	LONGEST_COMMENT = 65535,
	EXTRA_ZIP64 = 1,
	ENCRYPTED = 1, /* bit of the flags */
	DEFLATED = 8,
	LARGEST_RATIO = 1032 /* of deflate: 258 bytes by two bits */
};

static uint64_t read_number(const uint8_t *at, size_t width)
{
	uint64_t value = 0;

	memcpy(&value, at, width);
	return value;
}

struct source {
	const uint8_t *bytes;
	size_t size;
	const char *path;
};

static int damaged(const struct source *s, const char *what)
{
	return ek_fail(EK_EDATA, "%s: damaged zip file: %s", s->path, what);
}

/* The `size` bytes at `offset` if they lie in the file and start with "PK" and these two bytes, else NULL. */
static const uint8_t *record(const struct source *s, uint64_t offset, size_t size, const char *signature)
{
	if (offset > s->size || size > s->size - offset)
		return NULL;
	return memcmp(s->bytes + offset, "PK", 2) == 0 && memcmp(s->bytes + offset + 2, signature, 2) == 0
	               ? s->bytes + offset
	               : NULL;
}

/* The end record: the last one whose comment reaches to the end of the file. */
static const uint8_t *find_end(const struct source *s)
{
	for (size_t back = END_SIZE; back <= s->size && back <= END_SIZE + LONGEST_COMMENT; back++) {
		const uint8_t *end = record(s, s->size - back, END_SIZE, "\5\6");

		if (end != NULL && read_number(end + 20, 2) == back - END_SIZE)
			return end;
	}
	return NULL;
}

/* Number of entries, place and size of the directory. */
static int find_directory(const struct source *s, uint64_t *count, uint64_t *offset, uint64_t *size)
{
	const uint8_t *end = find_end(s), *locator, *end64;

	if (end == NULL)
		return damaged(s, "its directory is missing, as if it was cut off");
	*count = read_number(end + 10, 2);
	*size = read_number(end + 12, 4);
	*offset = read_number(end + 16, 4);
	if (*count == UINT16_MAX || *size == UINT32_MAX || *offset == UINT32_MAX) {
		if (end - s->bytes < LOCATOR_SIZE ||
		    (locator = record(s, (uint64_t)(end - s->bytes) - LOCATOR_SIZE, LOCATOR_SIZE, "\6\7")) == NULL ||
		    (end64 = record(s, read_number(locator + 8, 8), END64_SIZE, "\6\6")) == NULL)
			return damaged(s, "its zip64 directory is missing");
		*count = read_number(end64 + 32, 8);
		*size = read_number(end64 + 40, 8);
		*offset = read_number(end64 + 48, 8);
	}
	if (*offset > s->size || *size > s->size - *offset || *count > *size / ENTRY_SIZE)
		return damaged(s, "its directory lies outside of it");
	return 0;
}

/* Sizes and place that did not fit into 32 bits are in the extra field, in this order, as far as they are needed. */
static int read_zip64(const struct source *s, const uint8_t *extra, size_t size, uint64_t *fields[3])
{
	while (size >= 4) {
		const size_t id = read_number(extra, 2), length = read_number(extra + 2, 2);
		size_t at = 4;

		if (length > size - 4)
			break;
		for (int i = 0; id == EXTRA_ZIP64 && i < 3; i++) {
			if (*fields[i] != UINT32_MAX)
				continue;
			if (at + 8 > length + 4)
				return damaged(s, "a zip64 field is too short");
			*fields[i] = read_number(extra + at, 8);
			at += 8;
		}
		extra += length + 4;
		size -= length + 4;
	}
	return 0;
}

/* One directory record at `at`, of which `*length` bytes are used. */
static int read_entry(const struct source *s, struct ek_zip_entry *entry, uint64_t at, uint64_t end, uint64_t *length)
{
	const uint8_t *r = record(s, at, ENTRY_SIZE, "\1\2"), *local;
	uint64_t packed, size, offset, start;
	size_t name_size, extra_size, method;
	int rc;

	if (r == NULL)
		return damaged(s, "an entry of its directory is missing");
	name_size = read_number(r + 28, 2);
	extra_size = read_number(r + 30, 2);
	*length = ENTRY_SIZE + name_size + extra_size + read_number(r + 32, 2);
	if (*length > end - at)
		return damaged(s, "its directory is cut off");
	packed = read_number(r + 20, 4);
	size = read_number(r + 24, 4);
	offset = read_number(r + 42, 4);
	if ((rc = read_zip64(s, r + ENTRY_SIZE + name_size, extra_size, (uint64_t *[3]){ &size, &packed, &offset })) <
	    0)
		return rc;
	*entry = (struct ek_zip_entry){ .name = (const char *)r + ENTRY_SIZE, .name_size = name_size };
	method = read_number(r + 10, 2);
	if ((read_number(r + 8, 2) & ENCRYPTED) != 0 || (method != 0 && method != DEFLATED))
		return 0;
	if ((local = record(s, offset, LOCAL_SIZE, "\3\4")) == NULL)
		return damaged(s, "an entry lies outside of it");
	start = offset + LOCAL_SIZE + read_number(local + 26, 2) + read_number(local + 28, 2);
	if ((method == 0 && packed != size) || start > s->size || packed > s->size - start)
		return damaged(s, "an entry lies outside of it");
	*(method == 0 ? &entry->data : &entry->deflated) = s->bytes + start;
	entry->size = (size_t)size;
	entry->deflated_size = method == 0 ? 0 : (size_t)packed;
	entry->crc = (uint32_t)read_number(r + 16, 4);
	return 0;
}

static int compare(const char *a, size_t a_size, const char *b, size_t b_size)
{
	const int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

	return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static int by_name(const void *a, const void *b)
{
	const struct ek_zip_entry *x = a, *y = b;

	return compare(x->name, x->name_size, y->name, y->name_size);
}

int ek_zip_open(struct ek_zip *zip, const uint8_t *bytes, size_t size, const char *path)
{
	const struct source s = { bytes, size, path };
	uint64_t count = 0, at = 0, directory_size = 0, end, length = 0;
	int rc;

	*zip = (struct ek_zip){ 0 };
	EK_TRY(find_directory(&s, &count, &at, &directory_size));
	EK_TRY(ek_alloc(&zip->entries, count, sizeof *zip->entries));
	for (end = at + directory_size; zip->count < count; at += length)
		EK_TRY(read_entry(&s, &zip->entries[zip->count++], at, end, &length));
	qsort(zip->entries, zip->count, sizeof *zip->entries, by_name);
	for (size_t i = 1; i < zip->count; i++)
		if (by_name(&zip->entries[i - 1], &zip->entries[i]) == 0) {
			rc = damaged(&s, "two entries of one name");
			goto out;
		}
out:
	if (rc < 0)
		ek_zip_close(zip);
	return rc;
}

void ek_zip_close(struct ek_zip *zip)
{
	free(zip->entries);
	*zip = (struct ek_zip){ 0 };
}

const struct ek_zip_entry *ek_zip_find(const struct ek_zip *zip, const char *name, size_t name_size)
{
	const struct ek_zip_entry wanted = { .name = name, .name_size = name_size };

	return zip->count > 0 ? bsearch(&wanted, zip->entries, zip->count, sizeof wanted, by_name) : NULL;
}

/* zlib counts in 32 bits: at most `*rest` more, of which that much is taken. */
static unsigned int take(size_t *rest)
{
	const unsigned int some = *rest < UINT_MAX ? (unsigned int)*rest : UINT_MAX;

	*rest -= some;
	return some;
}

int ek_zip_inflate(uint8_t **out, const struct ek_zip_entry *entry, const char *path)
{
	const struct source s = { .path = path };
	size_t packed = entry->deflated_size, room = entry->size;
	z_stream z = { .next_in = entry->deflated };
	int status, rc;

	*out = NULL;
	if (entry->size / LARGEST_RATIO > entry->deflated_size)
		return damaged(&s, "an entry is said to be larger than it can be");
	EK_TRY(ek_alloc(out, entry->size, 1));
	z.next_out = *out;
	if (inflateInit2(&z, -MAX_WBITS) != Z_OK) {
		rc = ek_fail(EK_ENOMEM, "no memory to read %s", path);
		goto out;
	}
	do {
		if (z.avail_in == 0)
			z.avail_in = take(&packed);
		if (z.avail_out == 0)
			z.avail_out = take(&room);
		status = inflate(&z, Z_NO_FLUSH);
	} while (status == Z_OK);
	(void)inflateEnd(&z);
	if (status != Z_STREAM_END || z.total_out != entry->size || z.total_in != entry->deflated_size ||
	    crc32_z(0, *out, entry->size) != entry->crc)
		rc = damaged(&s, "a compressed entry does not hold what its directory says");
out:
	if (rc < 0) {
		free(*out);
		*out = NULL;
	}
	return rc;
}
