#include "rebalance/io/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "rebalance/base/error.h"
#include "rebalance/io/archive.h"
#include "rebalance/io/lines.h"

enum { BLOCK_SIZE = 1 << 18 };
enum packing { PLAIN, GZIP, OTHER };

struct ek_stream {
	char *path;
	int fd;
	enum packing packing;
	gzFile gz;               /* gzip: owns its own descriptor */
	struct archive *archive; /* other compressions */
	const char *block;       /* libarchive's, the bytes at block_offset */
	size_t block_size;
	uint64_t block_offset;
	int ended;
};

static int fail_damaged(const struct ek_stream *s)
{
	const char *why = ek_archive.error_text(s->archive);

	return ek_fail(EK_EDATA, "%s: damaged compressed data after byte %llu: %s", s->path,
	               (unsigned long long)(s->block_offset + s->block_size), why != NULL ? why : "unreadable");
}

static int start_decompression(struct ek_stream *s)
{
	struct archive_entry *entry;
	int rc;

	if ((rc = ek_archive_load()) < 0)
		return rc;
	(void)ek_archive.read_free(s->archive);
	s->archive = NULL;
	s->block_size = 0;
	s->block_offset = 0;
	s->ended = 0;
	if (lseek(s->fd, 0, SEEK_SET) != 0)
		return ek_fail_errno("cannot read %s", s->path);
	if ((s->archive = ek_archive.read_new()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory to read %s", s->path);
	(void)ek_archive.read_support_filter_zstd(s->archive);
	(void)ek_archive.read_support_filter_bzip2(s->archive);
	(void)ek_archive.read_support_filter_xz(s->archive);
	(void)ek_archive.read_support_format_raw(s->archive);
	if (ek_archive.read_open_fd(s->archive, s->fd, BLOCK_SIZE) != ARCHIVE_OK ||
	    ek_archive.read_next_header(s->archive, &entry) != ARCHIVE_OK)
		return fail_damaged(s);
	return 0;
}

static int open_gz(struct ek_stream *s)
{
	if ((s->gz = gzdopen(s->fd, "rb")) == NULL)
		return ek_fail(EK_ENOMEM, "no memory to read %s", s->path);
	s->fd = -1; /* gzclose closes it */
	(void)gzbuffer(s->gz, BLOCK_SIZE);
	return 0;
}

static int fail_gz(const struct ek_stream *s)
{
	int number = Z_OK;
	const char *message = gzerror(s->gz, &number);

	return ek_fail(EK_EDATA, "%s: damaged gzip data: %s", s->path,
	               number == Z_BUF_ERROR ? "they end too early" : message);
}

static int read_gz(struct ek_stream *s, struct ek_buffer *out, size_t size, uint64_t offset)
{
	int rc = 0;

	gzclearerr(s->gz);
	if (offset > INT64_MAX || gzseek(s->gz, (z_off_t)offset, SEEK_SET) < 0)
		return fail_gz(s);
	while (size > 0) {
		const unsigned step = size < BLOCK_SIZE ? (unsigned)size : BLOCK_SIZE;
		int got;

		EK_TRY(ek_buffer_reserve(out, step));
		if ((got = gzread(s->gz, out->data + out->size, step)) < 0)
			return fail_gz(s);
		if (got == 0)
			break;
		out->size += (size_t)got;
		out->data[out->size] = 0;
		size -= (size_t)got;
	}
out:
	return rc;
}

int ek_stream_open(struct ek_stream **out, const char *path)
{
	static const struct {
		const char *bytes;
		size_t size;
		enum packing packing;
	} magics[] = { { "\x1f\x8b", 2, GZIP },
		       { "\x28\xb5\x2f\xfd", 4, OTHER },
		       { "BZh", 3, OTHER },
		       { "\xfd\x37zXZ", 5, OTHER } };
	struct ek_stream *s;
	char start[8] = { 0 };
	int rc;

	*out = NULL;
	if ((rc = ek_alloc(&s, 1, sizeof *s)) < 0)
		return rc;
	s->fd = -1;
	EK_TRY(ek_copy_string(&s->path, path));
	EK_TRY(ek_open_regular(&s->fd, NULL, path));
	if (pread(s->fd, start, sizeof start, 0) < 0) {
		rc = ek_fail_errno("cannot read %s", path);
		goto out;
	}
	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
		if (memcmp(start, magics[i].bytes, magics[i].size) == 0)
			s->packing = magics[i].packing;
	if (s->packing == GZIP)
		EK_TRY(open_gz(s));
	if (s->packing == OTHER)
		EK_TRY(start_decompression(s));
out:
	if (rc < 0) {
		ek_stream_close(s);
		s = NULL;
	}
	*out = s;
	return rc;
}

static int read_plain(struct ek_stream *s, struct ek_buffer *out, size_t size, uint64_t offset)
{
	int rc = 0;

	while (size > 0) {
		const size_t step = size < BLOCK_SIZE ? size : BLOCK_SIZE;
		ssize_t got;

		EK_TRY(ek_buffer_reserve(out, step));
		got = pread(s->fd, out->data + out->size, step, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ek_fail_errno("cannot read %s", s->path);
		if (got == 0)
			break;
		out->size += (size_t)got;
		out->data[out->size] = 0;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
out:
	return rc;
}

static int next_block(struct ek_stream *s)
{
	const void *block;
	size_t size;
	la_int64_t offset;
	int result;

	s->block_offset += s->block_size;
	s->block_size = 0;
	do
		result = ek_archive.read_data_block(s->archive, &block, &size, &offset);
	while (result == ARCHIVE_RETRY);
	if (result == ARCHIVE_EOF) {
		s->ended = 1;
		return 0;
	}
	if (result < ARCHIVE_WARN)
		return fail_damaged(s);
	s->block = block;
	s->block_size = size;
	return 0;
}

int ek_stream_read(struct ek_stream *s, struct ek_buffer *out, size_t size, uint64_t offset)
{
	int rc = 0;

	if (s->packing == PLAIN)
		return read_plain(s, out, size, offset);
	if (s->packing == GZIP)
		return read_gz(s, out, size, offset);
	if (offset < s->block_offset)
		EK_TRY(start_decompression(s));
	while (size > 0) {
		const uint64_t end = s->block_offset + s->block_size;

		if (offset < end) {
			const size_t at = (size_t)(offset - s->block_offset), left = s->block_size - at;
			const size_t step = size < left ? size : left;

			EK_TRY(ek_buffer_append(out, s->block + at, step));
			offset += step;
			size -= step;
		} else if (s->ended) {
			break;
		} else {
			EK_TRY(next_block(s));
		}
	}
out:
	return rc;
}

int ek_stream_is_compressed(const struct ek_stream *s)
{
	return s->packing != PLAIN;
}

void ek_stream_close(struct ek_stream *s)
{
	if (s == NULL)
		return;
	if (s->archive != NULL)
		(void)ek_archive.read_free(s->archive);
	if (s->gz != NULL)
		(void)gzclose_r(s->gz);
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->path);
	free(s);
}
