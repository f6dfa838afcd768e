/*
 * The writer that goes on after a kill. PATH.partial holds header and rows; PATH.partial.key holds one line,
 * "rows key", replaced (atomically) only after those rows were synced. So whatever instant a kill hits, the key file
 * speaks of rows that are on disk; what lies behind them in PATH.partial is cut off when going on.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/io/npy.h"

enum { KEY_SIZE = 64 };

struct ek_npy_writer {
	char *path, *partial, *key_path;
	char key[KEY_SIZE + 1];
	struct ek_buffer header;
	struct ek_hash64 *hash; /* of what was written; NULL: not of all that is there */
	uint64_t row_bytes, rows, appended, synced;
	int fd;      /* of PATH.partial; -1 when `renamed` */
	int renamed; /* PATH holds all rows already; only the key file is left to remove */
};

/* 1 if the file starts with this writer's header and has room for `rows` rows, 0 if there is no such file. EK_EIO: that
 * cannot be told, and nothing of what may be there is thrown away. */
static int has_rows(const struct ek_npy_writer *w, const char *path, uint64_t rows, int exactly)
{
	const uint64_t want = w->header.size + rows * w->row_bytes;
	struct ek_buffer start = { 0 };
	struct stat status;
	const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? 0 : ek_fail_errno("cannot read %s", path);
	if (fstat(fd, &status) != 0) {
		rc = ek_fail_errno("cannot read %s", path);
	} else if (S_ISREG(status.st_mode) &&
	           (exactly ? (uint64_t)status.st_size == want : (uint64_t)status.st_size >= want)) {
		EK_TRY(ek_buffer_reserve(&start, w->header.size));
		EK_TRY(ek_file_read_at(fd, start.data, w->header.size, 0, path));
		rc = memcmp(start.data, w->header.data, w->header.size) == 0;
	}
out:
	ek_buffer_release(&start);
	(void)close(fd);
	return rc;
}

/* The rows that the key file vouches for; 0 if there is none, or it is another's. EK_EIO. */
static int rows_of_key(uint64_t *rows, const struct ek_npy_writer *w)
{
	struct ek_buffer text = { 0 };
	char wanted[KEY_SIZE + 32];
	int rc = ek_file_exists(w->key_path);

	*rows = 0;
	if (rc > 0)
		rc = ek_file_read(&text, w->key_path, sizeof wanted);
	if (rc == 0 && text.size > 0 && sscanf(text.data, "%" SCNu64, rows) == 1) {
		(void)snprintf(wanted, sizeof wanted, "%" PRIu64 " %s\n", *rows, w->key);
		if (strcmp(text.data, wanted) != 0 || *rows > w->rows)
			*rows = 0;
	}
	ek_buffer_release(&text);
	return rc == EK_EDATA ? 0 : rc; /* what is no key of ours vouches for nothing */
}

static int write_key(const struct ek_npy_writer *w, uint64_t rows)
{
	char text[KEY_SIZE + 32];
	int rc;

	(void)snprintf(text, sizeof text, "%" PRIu64 " %s\n", rows, w->key);
	EK_TRY(ek_atomic_save(w->key_path, text, strlen(text)));
out:
	return rc;
}

static int open_partial(struct ek_npy_writer *w)
{
	int rc;

	if (w->appended > 0) {
		EK_TRY(ek_open_writable(&w->fd, w->partial, O_WRONLY));
		if (ftruncate(w->fd, (off_t)(w->header.size + w->appended * w->row_bytes)) != 0)
			rc = ek_fail_errno("cannot write %s", w->partial);
	} else {
		EK_TRY(ek_remove(w->partial));
		EK_TRY(ek_open_writable(&w->fd, w->partial, O_WRONLY | O_CREAT | O_EXCL));
		EK_TRY(ek_write_all(w->fd, w->header.data, w->header.size, w->partial));
		EK_TRY(ek_hash64_new(&w->hash));
		ek_hash64_add(w->hash, w->header.data, w->header.size);
	}
out:
	return rc;
}

int ek_npy_writer_open(struct ek_npy_writer **out, uint64_t *rows_done, const char *path, enum ek_dtype type,
                       int dimensions, const uint64_t *shape, const char *key)
{
	struct ek_npy_writer *w = NULL;
	uint64_t count, bytes;
	int rc;

	*out = NULL;
	if (dimensions < 1 || strlen(key) > KEY_SIZE || strchr(key, '\n') != NULL)
		return ek_fail(EK_EUSAGE, "an array without rows, or a key of more than %d bytes", KEY_SIZE);
	EK_TRY(ek_alloc(&w, 1, sizeof *w));
	w->fd = -1;
	(void)snprintf(w->key, sizeof w->key, "%s", key);
	EK_TRY(ek_copy_string(&w->path, path));
	EK_TRY(ek_format(&w->partial, "%s.partial", path));
	EK_TRY(ek_format(&w->key_path, "%s.partial.key", path));
	EK_TRY(ek_npy_header(&w->header, type, dimensions, shape));
	(void)ek_shape_size(&count, &bytes, type, dimensions - 1, shape + 1);
	w->row_bytes = bytes;
	w->rows = shape[0];

	EK_TRY(rows_of_key(&w->appended, w));
	if (w->appended == w->rows && w->rows > 0 && !ek_file_exists(w->partial))
		EK_TRY(w->renamed = has_rows(w, path, w->rows, 1));
	if (!w->renamed && w->appended > 0) {
		EK_TRY(has_rows(w, w->partial, w->appended, 0));
		if (rc == 0)
			w->appended = 0;
	}
	/* The old key goes before the old rows do. */
	if (w->appended == 0)
		EK_TRY(ek_remove(w->key_path));
	if (!w->renamed)
		EK_TRY(open_partial(w));
	w->synced = *rows_done = w->appended;
	*out = w;
	w = NULL;
	rc = 0;
out:
	ek_npy_writer_free(w);
	return rc;
}

int ek_npy_writer_append(struct ek_npy_writer *w, const void *rows, uint64_t count)
{
	int rc;

	if (count > w->rows - w->appended)
		return ek_fail(EK_EUSAGE, "%s: more than its %" PRIu64 " rows", w->path, w->rows);
	if (count == 0)
		return 0;
	/* Not the descriptor's own position: that is wrong after a write that failed half-way. */
	if (lseek(w->fd, (off_t)(w->header.size + w->appended * w->row_bytes), SEEK_SET) < 0)
		return ek_fail_errno("cannot write %s", w->partial);
	if ((rc = ek_write_all(w->fd, rows, count * w->row_bytes, w->partial)) < 0)
		return rc;
	w->appended += count;
	if (w->hash != NULL)
		ek_hash64_add(w->hash, rows, count * w->row_bytes);
	return 0;
}

int ek_npy_writer_sync_rows(struct ek_npy_writer *w, uint64_t rows)
{
	int rc;

	if (w->renamed || rows == w->synced)
		return 0;
	if (fdatasync(w->fd) != 0)
		return ek_fail_errno("cannot sync %s", w->partial);
	if ((rc = write_key(w, rows)) == 0)
		w->synced = rows;
	return rc;
}

int ek_npy_writer_sync(struct ek_npy_writer *w)
{
	return ek_npy_writer_sync_rows(w, w->appended);
}

int ek_npy_writer_commit(struct ek_npy_writer *w)
{
	int rc;

	if (w->appended != w->rows)
		return ek_fail(EK_EUSAGE, "%s: %" PRIu64 " of %" PRIu64 " rows written", w->path, w->appended, w->rows);
	if (!w->renamed) {
		EK_TRY(ek_npy_writer_sync(w));
		EK_TRY(ek_rename_synced(w->partial, w->path));
		w->renamed = 1;
	}
	(void)ek_remove(w->key_path);
	rc = 0;
out:
	return rc;
}

int ek_npy_writer_hash(uint64_t *hash, const struct ek_npy_writer *w)
{
	if (w->hash != NULL)
		*hash = ek_hash64_so_far(w->hash);
	return w->hash != NULL;
}

void ek_npy_writer_free(struct ek_npy_writer *w)
{
	if (w == NULL)
		return;
	ek_hash64_free(w->hash);
	if (w->fd >= 0)
		(void)close(w->fd);
	ek_buffer_release(&w->header);
	free(w->path);
	free(w->partial);
	free(w->key_path);
	free(w);
}
