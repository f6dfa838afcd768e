#include "rebalance/io/tar_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/archive.h"

enum { BLOCK_SIZE = 1 << 20, RECORD = 512 };

struct ek_tar_writer {
	char *path;
	int fd;
	int error; /* a code: the first failed write */
	struct archive *archive;
	struct archive_entry *entry;
};

uint64_t ek_tar_member_size(uint64_t size)
{
	return RECORD + (size + RECORD - 1) / RECORD * RECORD;
}

static int fail(const struct ek_tar_writer *w)
{
	errno = ek_archive.error_number(w->archive);
	return ek_fail_errno("cannot write %s", w->path);
}

/* A failed write is kept, not told: after being told, libarchive frees its blocks no more. */
static la_ssize_t write_block(struct archive *archive, void *context, const void *bytes, size_t size)
{
	struct ek_tar_writer *w = context;

	(void)archive;
	if (w->error == 0)
		w->error = ek_write_all(w->fd, bytes, size, w->path);
	return (la_ssize_t)size;
}

int ek_tar_writer_open(struct ek_tar_writer **out, const char *path)
{
	struct ek_tar_writer *w;
	int rc;

	*out = NULL;
	if ((rc = ek_archive_load()) < 0 || (rc = ek_alloc(&w, 1, sizeof *w)) < 0)
		return rc;
	w->fd = -1;
	EK_TRY(ek_copy_string(&w->path, path));
	w->archive = ek_archive.write_new();
	w->entry = ek_archive.entry_new();
	if (w->archive == NULL || w->entry == NULL) {
		rc = ek_fail(EK_ENOMEM, "no memory to write %s", path);
		goto out;
	}
	if ((w->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) < 0) {
		rc = ek_fail_errno("cannot write %s", path);
		goto out;
	}
	(void)ek_archive.write_set_format_ustar(w->archive);
	(void)ek_archive.write_set_bytes_per_block(w->archive, BLOCK_SIZE);
	(void)ek_archive.write_set_bytes_in_last_block(w->archive, RECORD);
	if (ek_archive.write_open(w->archive, w, NULL, write_block, NULL) != ARCHIVE_OK)
		rc = fail(w);
out:
	if (rc < 0) {
		ek_tar_writer_free(w);
		w = NULL;
	}
	*out = w;
	return rc;
}

int ek_tar_writer_add(struct ek_tar_writer *w, const char *name, const void *bytes, size_t size)
{
	ek_archive.entry_clear(w->entry);
	ek_archive.entry_set_pathname(w->entry, name);
	ek_archive.entry_set_filetype(w->entry, AE_IFREG);
	ek_archive.entry_set_perm(w->entry, 0644);
	ek_archive.entry_set_mtime(w->entry, 0, 0);
	ek_archive.entry_set_size(w->entry, (la_int64_t)size);
	if (ek_archive.write_header(w->archive, w->entry) != ARCHIVE_OK ||
	    (size > 0 && ek_archive.write_data(w->archive, bytes, size) != (la_ssize_t)size))
		return fail(w);
	return w->error;
}

int ek_tar_writer_finish(struct ek_tar_writer *w)
{
	int rc = ek_archive.write_close(w->archive) == ARCHIVE_OK ? 0 : fail(w);

	if (rc == 0)
		rc = w->error;
	if (close(w->fd) != 0 && rc == 0)
		rc = ek_fail_errno("cannot write %s", w->path);
	w->fd = -1;
	return rc;
}

void ek_tar_writer_free(struct ek_tar_writer *w)
{
	if (w == NULL)
		return;
	if (w->fd >= 0 && w->error == 0)
		w->error = EK_EIO; /* the rest is not written when it is freed */
	(void)ek_archive.write_free(w->archive);
	ek_archive.entry_free(w->entry);
	if (w->fd >= 0)
		(void)close(w->fd);
	free(w->path);
	free(w);
}
