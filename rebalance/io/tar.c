#include "rebalance/io/tar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <zlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/locale.h"
#include "rebalance/base/log.h"
#include "rebalance/io/archive.h"
#include "rebalance/io/lines.h"

enum { BLOCK_SIZE = 1 << 18, RECORD = 512 };

struct ek_tar {
	char *path;
	struct archive *archive;
	int fd;
	uint64_t members;
	uint64_t end; /* of the last member, in the uncompressed stream */
	int damaged, quiet;
	uint64_t gaps;                /* places where a damaged header was passed over */
	uint64_t gap_member, gap_end; /* of the first: the members before it, and where they end */
	gzFile gz;                    /* of a gzipped tar: libarchive's own filter loses up to 64 KiB before a cut */
	char *gz_block;
	int gz_errno; /* what reading it failed with, or 0 */
	char gz_error[128];
};

/* The errno with which reading the file itself failed, not what it holds; or 0. */
static int read_errno(const struct ek_tar *tar)
{
	const int error = tar->gz_errno != 0 ? tar->gz_errno : ek_archive.error_number(tar->archive);
	static const int known[] = { EIO, EACCES, EPERM, ENXIO, ENODEV, ESTALE, ETIMEDOUT, EREMOTEIO };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (error == known[i])
			return error;
	return 0;
}

static int fail_read(const struct ek_tar *tar)
{
	errno = read_errno(tar);
	return ek_fail_errno("cannot read %s beyond byte %llu", tar->path,
	                     (unsigned long long)ek_archive.filter_bytes(tar->archive, 0));
}

static int fail_open(struct ek_tar *tar)
{
	if (read_errno(tar) != 0)
		return fail_read(tar);
	return ek_fail(EK_EDATA, "%s: not a readable tar file: %s", tar->path,
	               ek_archive.error_text(tar->archive) != NULL ? ek_archive.error_text(tar->archive) : "empty");
}

static la_ssize_t read_gz(struct archive *archive, void *context, const void **block)
{
	struct ek_tar *tar = context;
	int number = Z_OK;
	const int got = gzread(tar->gz, tar->gz_block, BLOCK_SIZE);
	const int error = errno;
	const char *message = gzerror(tar->gz, &number);

	(void)archive;
	if (number != Z_OK && number != Z_STREAM_END)
		(void)snprintf(tar->gz_error, sizeof tar->gz_error, "%s",
		               number == Z_BUF_ERROR ? "the gzip data end too early" : message);
	if (number == Z_ERRNO)
		tar->gz_errno = error;
	*block = tar->gz_block;
	return got > 0 ? got : 0;
}

/* Hand the file to libarchive: a gzip stream through zlib, all else as it is. */
static int start_reading(struct ek_tar *tar)
{
	unsigned char magic[2] = { 0 };
	int rc = 0;

	if (pread(tar->fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic && magic[0] == 0x1f && magic[1] == 0x8b) {
		EK_TRY(ek_alloc(&tar->gz_block, BLOCK_SIZE, 1));
		if ((tar->gz = gzdopen(tar->fd, "rb")) == NULL)
			return ek_fail(EK_ENOMEM, "no memory to read %s", tar->path);
		tar->fd = -1; /* gzclose closes it */
		(void)gzbuffer(tar->gz, BLOCK_SIZE);
		if (ek_archive.read_open(tar->archive, tar, NULL, read_gz, NULL) != ARCHIVE_OK)
			return fail_open(tar);
	} else if (ek_archive.read_open_fd(tar->archive, tar->fd, BLOCK_SIZE) != ARCHIVE_OK) {
		return fail_open(tar);
	}
out:
	return rc;
}

int ek_tar_open(struct ek_tar **out, const char *path)
{
	struct ek_tar *tar;
	locale_t before;
	int rc;

	*out = NULL;
	if ((rc = ek_archive_load()) < 0 || (rc = ek_alloc(&tar, 1, sizeof *tar)) < 0)
		return rc;
	tar->fd = -1;
	EK_TRY(ek_copy_string(&tar->path, path));
	EK_TRY(ek_open_regular(&tar->fd, NULL, path));
	tar->archive = ek_archive.read_new();
	if (tar->archive == NULL) {
		rc = ek_fail(EK_ENOMEM, "no memory to read %s", path);
		goto out;
	}
	/* Only filters that libarchive has inside: "all" would start other programs. gzip goes through zlib. */
	(void)ek_archive.read_support_filter_zstd(tar->archive);
	(void)ek_archive.read_support_filter_bzip2(tar->archive);
	(void)ek_archive.read_support_filter_xz(tar->archive);
	(void)ek_archive.read_support_format_tar(tar->archive);
	/* cat a.tar b.tar: what lies behind the first end of archive. */
	(void)ek_archive.read_set_format_option(tar->archive, "tar", "read_concatenated_archives", "1");
	before = ek_locale_enter(); /* see ek_tar_next */
	rc = start_reading(tar);
	ek_locale_leave(before);
out:
	if (rc < 0) {
		ek_tar_close(tar);
		tar = NULL;
	}
	*out = tar;
	return rc;
}

static void damage(struct ek_tar *tar, const char *why)
{
	if (tar->gz_error[0] != 0)
		why = tar->gz_error;
	tar->damaged = 1;
	if (tar->quiet)
		return;
	ek_warn("%s: damaged or cut short after member %llu (byte %llu): %s; what came before is kept", tar->path,
	        (unsigned long long)tar->members, (unsigned long long)ek_archive.filter_bytes(tar->archive, 0),
	        why != NULL ? why : "unreadable");
}

/* Where headers are damaged the next good one is looked for: what lies between is lost, and is told of at the end. */
static void tell_gaps(struct ek_tar *tar)
{
	if (tar->gaps == 0)
		return;
	tar->damaged = 1;
	if (tar->quiet)
		return;
	ek_warn("%s: damaged after member %llu (byte %llu)%s: what is no readable member there is left out", tar->path,
	        (unsigned long long)tar->gap_member, (unsigned long long)tar->gap_end,
	        tar->gaps > 1 ? " and at other places" : "");
}

/* The stream is over; a tar that was cut between two members ends without its two zero blocks. */
static int end_of_tar(struct ek_tar *tar)
{
	const uint64_t at = (uint64_t)ek_archive.filter_bytes(tar->archive, 0);

	if (read_errno(tar) != 0)
		return fail_read(tar);
	if (tar->members == 0)
		return 0;
	tell_gaps(tar);
	if (tar->gz_error[0] != 0 || at < (tar->end + RECORD - 1) / RECORD * RECORD + RECORD)
		damage(tar, "there is no end-of-archive mark");
	return 0;
}

int ek_tar_next(struct ek_tar *tar, struct ek_tar_member *member)
{
	struct archive_entry *entry;
	const char *name, *target;
	locale_t before;
	int result, in_gap = 0;

	*member = (struct ek_tar_member){ .name = "" };
	if (tar->damaged)
		return 0;
	/* In any other locale libarchive converts names (and composes accents); in "C" it hands out the bytes. */
	before = ek_locale_enter();
	while ((result = ek_archive.read_next_header(tar->archive, &entry)) == ARCHIVE_RETRY)
		in_gap = 1;
	name = result == ARCHIVE_OK || result == ARCHIVE_WARN ? ek_archive.entry_pathname(entry) : NULL;
	target = name != NULL ? ek_archive.entry_hardlink(entry) : NULL;
	ek_locale_leave(before);
	if (in_gap && tar->gaps++ == 0) {
		tar->gap_member = tar->members;
		tar->gap_end = tar->end;
	}
	if (result == ARCHIVE_EOF)
		return end_of_tar(tar);
	if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
		if (tar->members == 0 || read_errno(tar) != 0)
			return fail_open(tar);
		tell_gaps(tar);
		damage(tar, ek_archive.error_text(tar->archive));
		return 0;
	}
	*member = (struct ek_tar_member){
		.name = name != NULL ? name : "",
		.size = (uint64_t)ek_archive.entry_size(entry),
		.offset = (uint64_t)ek_archive.filter_bytes(tar->archive, 0),
		.is_file = ek_archive.entry_filetype(entry) == AE_IFREG && target == NULL,
		.is_link = ek_archive.entry_filetype(entry) == AE_IFLNK || target != NULL,
		.target = target,
		.is_sparse = ek_archive.entry_sparse_count(entry) > 0,
	};
	tar->members++;
	tar->end = member->offset + (member->is_file ? member->size : 0);
	return 1;
}

int ek_tar_read(struct ek_tar *tar, struct ek_buffer *out, size_t size)
{
	la_ssize_t got;
	int rc = 0;

	while (size > 0 && !tar->damaged) {
		const size_t step = size < BLOCK_SIZE ? size : BLOCK_SIZE;

		/* A member's claimed size is not believed: memory grows as bytes arrive. */
		EK_TRY(ek_buffer_reserve(out, step));
		got = ek_archive.read_data(tar->archive, out->data + out->size, step);
		if (got < 0 && read_errno(tar) != 0)
			return fail_read(tar);
		if (got < 0)
			damage(tar, ek_archive.error_text(tar->archive));
		if (got <= 0)
			break;
		out->size += (size_t)got;
		out->data[out->size] = 0;
		size -= (size_t)got;
	}
out:
	return rc;
}

void ek_tar_be_quiet(struct ek_tar *tar)
{
	tar->quiet = 1;
}

int ek_tar_is_damaged(const struct ek_tar *tar)
{
	return tar->damaged;
}

void ek_tar_close(struct ek_tar *tar)
{
	if (tar == NULL)
		return;
	if (tar->archive != NULL)
		(void)ek_archive.read_free(tar->archive);
	if (tar->gz != NULL)
		(void)gzclose_r(tar->gz);
	if (tar->fd >= 0)
		(void)close(tar->fd);
	free(tar->gz_block);
	free(tar->path);
	free(tar);
}
