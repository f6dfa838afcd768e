#include "rebalance/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/guard.h"

enum { WRITE_SIZE = 1 << 18, READ_SIZE = 1 << 16 };

int ek_open_again(int attempt)
{
	static const long milliseconds[] = { 1, 5, 20, 80, 300, 600 };

	if ((errno != EMFILE && errno != ENFILE) || attempt >= (int)(sizeof milliseconds / sizeof *milliseconds))
		return 0;
	(void)nanosleep(&(struct timespec){ .tv_nsec = milliseconds[attempt] * 1000000 }, NULL);
	return 1;
}

int ek_open_regular(int *fd, uint64_t *size, const char *path)
{
	struct stat status;
	int attempt = 0, rc = 0;

	/* Without O_NONBLOCK, opening a FIFO that took the file's place would wait for a writer. */
	do
		*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	while (*fd < 0 && ek_open_again(attempt++));
	if (*fd < 0)
		return ek_fail_errno("cannot open %s", path);
	if (fstat(*fd, &status) != 0)
		rc = ek_fail_errno("cannot read %s", path);
	else if (!S_ISREG(status.st_mode))
		rc = ek_fail(EK_EDATA, "%s: not a regular file", path);
	else if (size != NULL)
		*size = (uint64_t)status.st_size;
	if (rc < 0) {
		(void)close(*fd);
		*fd = -1;
	}
	return rc;
}

int ek_file_read(struct ek_buffer *out, const char *path, size_t limit)
{
	const size_t start = out->size;
	int fd, rc;

	if ((rc = ek_open_regular(&fd, NULL, path)) < 0)
		return rc;
	for (;;) {
		ssize_t got;

		EK_TRY(ek_buffer_reserve(out, READ_SIZE));
		got = read(fd, out->data + out->size, out->capacity - 1 - out->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			rc = ek_fail_errno("cannot read %s", path);
			goto out;
		}
		if (got == 0)
			break;
		out->size += (size_t)got;
		if (out->size - start > limit) {
			rc = ek_fail(EK_EDATA, "%s: larger than %zu bytes", path, limit);
			goto out;
		}
	}
	EK_TRY(ek_buffer_append(out, "", 0));
out:
	(void)close(fd);
	return rc;
}

int ek_file_read_at(int fd, void *out, size_t size, uint64_t offset, const char *path)
{
	char *at = out;

	while (size > 0) {
		const ssize_t got = pread(fd, at, size, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ek_fail_errno("cannot read %s", path);
		if (got == 0)
			return ek_fail(EK_EDATA, "%s: ends %zu bytes too early, at byte %llu", path, size,
			               (unsigned long long)offset);
		at += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	return 0;
}

/* The open maps, for a signal handler: read without a lock. A map beyond the table has no name there. */
enum { MAPS = 1024 };
static struct {
	_Atomic uintptr_t start; /* 0: free; 1: being filled */
	size_t size;
	char *path;
} maps[MAPS];

static void note_map(const void *data, size_t size, const char *path)
{
	char *copy = strdup(path);

	for (size_t i = 0; i < MAPS && copy != NULL; i++) {
		uintptr_t free_one = 0;

		if (!atomic_compare_exchange_strong(&maps[i].start, &free_one, 1))
			continue;
		maps[i].size = size;
		maps[i].path = copy;
		atomic_store(&maps[i].start, (uintptr_t)data);
		return;
	}
	free(copy);
}

static void forget_map(const void *data)
{
	for (size_t i = 0; i < MAPS; i++)
		if (atomic_load(&maps[i].start) == (uintptr_t)data) {
			char *path = maps[i].path;

			atomic_store(&maps[i].start, 0);
			free(path);
			return;
		}
}

const char *ek_map_path_at(const void *address)
{
	for (size_t i = 0; i < MAPS; i++) {
		const uintptr_t start = atomic_load(&maps[i].start);

		if (start > 1 && (uintptr_t)address - start < maps[i].size)
			return maps[i].path;
	}
	return NULL;
}

int ek_map_open(struct ek_map *map, const char *path)
{
	void *data = NULL;
	uint64_t size;
	int fd, rc;

	*map = (struct ek_map){ 0 };
	if ((rc = ek_open_regular(&fd, &size, path)) < 0)
		return rc;
	if (size > 0 && (data = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
		rc = ek_fail_errno("cannot map %s", path);
	else
		*map = (struct ek_map){ .data = data, .size = (size_t)size };
	if (map->data != NULL)
		note_map(map->data, map->size, path);
	(void)close(fd);
	return rc;
}

void ek_map_close(struct ek_map *map)
{
	if (map->data != NULL) {
		const void *data = map->data;
		void *writable;

		memcpy(&writable, &data, sizeof writable);
		forget_map(data);
		(void)munmap(writable, map->size);
	}
	*map = (struct ek_map){ 0 };
}

void ek_map_forget(const void *from, const void *to)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t first = ((uintptr_t)from + page - 1) / page * page, after = (uintptr_t)to / page * page;

	/* No more than a hint: what it returns does not matter. */
	if (first < after)
		(void)madvise((char *)first, after - first, MADV_DONTNEED);
}

int ek_file_status(struct stat *status, const char *path)
{
	if (stat(path, status) == 0)
		return 1;
	return errno == ENOENT || errno == ENOTDIR ? 0 : ek_fail_errno("cannot read %s", path);
}

int ek_file_exists(const char *path)
{
	struct stat status;

	return ek_file_status(&status, path);
}

/* A folder that is not there matches nothing; one that cannot be read may hold what was asked for. */
static int is_fault(const char *path, int error)
{
	(void)path;
	return error != ENOENT && error != ENOTDIR;
}

int ek_glob(glob_t *found, const char *folder, const char *pattern)
{
	struct ek_buffer whole = { 0 };
	int code, rc = 0;

	*found = (glob_t){ 0 };
	for (const char *at = folder; *at != 0; at++)
		EK_TRY(ek_buffer_printf(&whole, "%s%c", strchr("*?[]\\", *at) != NULL ? "\\" : "", *at));
	EK_TRY(ek_buffer_printf(&whole, "/%s", pattern));
	code = glob(whole.data, 0, is_fault, found);
	if (code == GLOB_NOSPACE)
		rc = ek_fail(EK_ENOMEM, "no memory for the files of %s", folder);
	else if (code != 0 && code != GLOB_NOMATCH)
		rc = ek_fail(EK_EIO, "cannot list %s/%s", folder, pattern);
out:
	ek_buffer_release(&whole);
	return rc;
}

int ek_open_writable(int *fd, const char *path, int flags)
{
	struct ek_parent parent;
	struct stat status;
	int rc;

	*fd = -1;
	EK_TRY(ek_parent_open(&parent, path));
	/* Not waiting for the reader of a FIFO. */
	*fd = openat(parent.fd, parent.name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
	if (*fd < 0)
		rc = ek_fail_write(path);
	else if (fstat(*fd, &status) != 0)
		rc = ek_fail_errno("cannot write %s", path);
	else if (!S_ISREG(status.st_mode))
		rc = ek_fail(EK_EDATA, "%s: not a regular file", path);
	if (rc < 0 && *fd >= 0) {
		(void)close(*fd);
		*fd = -1;
	}
out:
	ek_parent_close(&parent);
	return rc;
}

int ek_remove(const char *path)
{
	struct ek_parent parent;
	int rc;

	EK_TRY(ek_parent_open(&parent, path));
	if (unlinkat(parent.fd, parent.name, 0) != 0 && errno != ENOENT)
		rc = ek_fail_errno("cannot remove %s", path);
out:
	ek_parent_close(&parent);
	return rc;
}

int ek_remove_matching(const char *folder, const char *pattern)
{
	glob_t found;
	int rc;

	EK_TRY(ek_glob(&found, folder, pattern));
	for (size_t i = 0; i < found.gl_pathc; i++)
		EK_TRY(ek_remove(found.gl_pathv[i]));
out:
	globfree(&found);
	return rc;
}

static int make_directory(const char *path)
{
	struct ek_parent parent;
	int rc;

	EK_TRY(ek_parent_open(&parent, path));
	if (mkdirat(parent.fd, parent.name, 0777) != 0 && errno != EEXIST)
		rc = ek_fail_errno("cannot make the directory %s", path);
out:
	ek_parent_close(&parent);
	return rc;
}

/* EK_EIO unless it is a directory; EK_EUSAGE if it is a link where none is followed. */
static int check_directory(const char *path)
{
	struct ek_parent parent = { .fd = -1 };
	char *inside = NULL;
	struct stat status;
	int rc;

	if (stat(path, &status) != 0)
		return ek_fail_errno("cannot make the directory %s", path);
	if (!S_ISDIR(status.st_mode))
		return ek_fail(EK_EIO, "%s is there and is not a directory", path);
	EK_TRY(ek_format(&inside, "%s/.", path));
	EK_TRY(ek_parent_open(&parent, inside));
out:
	ek_parent_close(&parent);
	free(inside);
	return rc;
}

int ek_temporary_file(int *fd)
{
	const char *folder = getenv("TMPDIR");
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/evenkeel-XXXXXX", folder != NULL && *folder != 0 ? folder : "/tmp"));
	if ((*fd = mkostemp(path, O_CLOEXEC)) < 0)
		rc = ek_fail_errno("cannot make a temporary file %s", path);
	else
		(void)unlink(path);
out:
	free(path);
	return rc;
}

int ek_make_directories(const char *path)
{
	char *copy = NULL;
	int rc;

	EK_TRY(ek_copy_string(&copy, path));
	for (char *p = copy + 1; *copy != 0; p++) {
		const char was = *p;

		if (was != '/' && was != 0)
			continue;
		*p = 0;
		if (p[-1] != '/')
			EK_TRY(make_directory(copy));
		*p = was;
		if (was == 0)
			break;
	}
	EK_TRY(check_directory(path));
out:
	free(copy);
	return rc;
}

/* The length of the path of the folder that `path`, so long, lies in; 0: the working directory, or /. */
static size_t parent_length(const char *path, size_t length)
{
	while (length > 0 && path[length - 1] == '/')
		length--;
	while (length > 0 && path[length - 1] != '/')
		length--;
	while (length > 0 && path[length - 1] == '/')
		length--;
	return length;
}

int ek_make_new_directories(size_t *there, const char *path)
{
	struct stat status;
	char *copy = NULL;
	int rc;

	EK_TRY(ek_copy_string(&copy, path));
	for (*there = strlen(path); *there > 0; *there = parent_length(path, *there)) {
		copy[*there] = 0;
		EK_TRY(ek_file_status(&status, copy));
		if (rc > 0)
			break;
	}
	if ((rc = ek_make_directories(path)) < 0)
		ek_unmake_directories(path, *there);
out:
	free(copy);
	return rc;
}

void ek_unmake_directories(const char *path, size_t there)
{
	char *copy = NULL;

	if (ek_copy_string(&copy, path) < 0)
		return;
	for (size_t length = strlen(path); length > there; length = parent_length(path, length)) {
		copy[length] = 0;
		(void)rmdir(copy);
	}
	free(copy);
}

int ek_write_all(int fd, const void *bytes, size_t size, const char *path)
{
	const char *at = bytes;

	while (size > 0) {
		const ssize_t put = write(fd, at, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return ek_fail_errno("cannot write %s", path);
		at += put;
		size -= (size_t)put;
	}
	return 0;
}

/* A new file, not what lies there: that may be a link, or have other names. */
static int create_temporary(int *fd, const char *temporary, const char *path)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
	struct ek_parent parent;
	int rc;

	EK_TRY(ek_parent_open(&parent, temporary));
	*fd = openat(parent.fd, parent.name, flags, 0666);
	if (*fd < 0 && errno == EEXIST && unlinkat(parent.fd, parent.name, 0) == 0)
		*fd = openat(parent.fd, parent.name, flags, 0666);
	if (*fd < 0)
		rc = ek_fail_errno("cannot write %s", path);
out:
	ek_parent_close(&parent);
	return rc;
}

/* A device, or whatever a link as /dev/stdout leads to, must not become a file; a FIFO of this very name may. */
static int check_replaced(const char *path)
{
	struct stat status, own;

	if (*path == 0)
		return ek_fail(EK_EUSAGE, "the file to write has no name");
	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode) && lstat(path, &own) == 0 && !S_ISFIFO(own.st_mode))
		return ek_fail(EK_EUSAGE, "%s is there and is not a regular file", path);
	return 0;
}

int ek_atomic_open(struct ek_atomic_file *f, const char *path)
{
	char *temporary = NULL;
	int rc;

	*f = (struct ek_atomic_file){ .fd = -1 };
	EK_TRY(check_replaced(path));
	EK_TRY(ek_copy_string(&f->path, path));
	EK_TRY(ek_format(&temporary, "%s.tmp", path));
	EK_TRY(ek_buffer_reserve(&f->pending, WRITE_SIZE));
	EK_TRY(create_temporary(&f->fd, temporary, path));
	f->temporary = temporary; /* ours from here on: discard removes it */
	temporary = NULL;
out:
	free(temporary);
	return rc;
}

static int flush(struct ek_atomic_file *f)
{
	const int rc = ek_write_all(f->fd, f->pending.data, f->pending.size, f->path);

	ek_buffer_clear(&f->pending);
	return rc;
}

int ek_atomic_write(struct ek_atomic_file *f, const void *bytes, size_t size)
{
	int rc = 0;

	if (f->pending.size + size > WRITE_SIZE)
		EK_TRY(flush(f));
	if (size > WRITE_SIZE)
		return ek_write_all(f->fd, bytes, size, f->path);
	EK_TRY(ek_buffer_append(&f->pending, bytes, size));
out:
	return rc;
}

static void close_atomic(struct ek_atomic_file *f)
{
	if (f->path != NULL && f->fd >= 0)
		(void)close(f->fd);
	free(f->path);
	free(f->temporary);
	ek_buffer_release(&f->pending);
	*f = (struct ek_atomic_file){ .fd = -1 };
}

int ek_atomic_commit(struct ek_atomic_file *f)
{
	int rc = flush(f);

	if (rc < 0 || (rc = ek_rename_synced(f->temporary, f->path)) < 0)
		return rc;
	close_atomic(f);
	return 0;
}

void ek_atomic_discard(struct ek_atomic_file *f)
{
	if (f->temporary != NULL)
		(void)ek_remove(f->temporary);
	close_atomic(f);
}

int ek_atomic_save(const char *path, const void *bytes, size_t size)
{
	struct ek_atomic_file file = { 0 };
	int rc;

	EK_TRY(ek_atomic_open(&file, path));
	EK_TRY(ek_atomic_write(&file, bytes, size));
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	return rc;
}

static int sync_path(const char *path, int flags)
{
	const int fd = open(path, flags | O_RDONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return ek_fail_errno("cannot sync %s", path);
	/* Some file systems cannot sync a directory; the rename itself has happened. */
	if (fsync(fd) != 0 && !(flags & O_DIRECTORY))
		rc = ek_fail_errno("cannot sync %s", path);
	(void)close(fd);
	return rc;
}

static int sync_parent(const char *path)
{
	char *parent = NULL, *slash;
	int rc;

	EK_TRY(ek_copy_string(&parent, path));
	slash = strrchr(parent, '/');
	if (slash != NULL)
		slash[slash == parent] = 0;
	EK_TRY(sync_path(slash != NULL ? parent : ".", O_DIRECTORY));
out:
	free(parent);
	return rc;
}

int ek_exchange_synced(int *done, const char *from, const char *to)
{
	struct ek_parent old = { .fd = -1 }, new = { .fd = -1 };
	int rc;

	*done = 0;
	EK_TRY(ek_parent_open(&old, from));
	EK_TRY(ek_parent_open(&new, to));
	EK_TRY(sync_path(from, 0));
	if (renameat2(old.fd, old.name, new.fd, new.name, RENAME_EXCHANGE) == 0) {
		*done = 1;
		EK_TRY(sync_parent(to));
	} else if (errno != EINVAL && errno != ENOSYS) {
		rc = ek_fail_errno("cannot rename %s to %s", from, to);
	}
out:
	ek_parent_close(&old);
	ek_parent_close(&new);
	return rc;
}

int ek_rename_synced(const char *from, const char *to)
{
	struct ek_parent old = { .fd = -1 }, new = { .fd = -1 };
	int rc;

	EK_TRY(ek_parent_open(&old, from));
	EK_TRY(ek_parent_open(&new, to));
	EK_TRY(sync_path(from, 0));
	if (renameat(old.fd, old.name, new.fd, new.name) != 0) {
		rc = ek_fail_errno("cannot rename %s to %s", from, to);
		goto out;
	}
	EK_TRY(sync_parent(to));
out:
	ek_parent_close(&old);
	ek_parent_close(&new);
	return rc;
}
