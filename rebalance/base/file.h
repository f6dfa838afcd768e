/*
 * Files: whole reads, read-only maps, and atomic writes, so that a reader never sees half a file. What writes, makes or
 * removes follows no link below a guarded folder (guard.h): EK_EUSAGE, which is not repeated below.
 */
#ifndef EK_BASE_FILE_H
#define EK_BASE_FILE_H

#include <glob.h>
#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/memory.h"

/* After an open that failed: 1, and a pause, if too many files were open and it may be tried again (attempt: 0, 1 …;
 * about a second in all); else 0, and errno as it was. */
int ek_open_again(int attempt);

/* A descriptor of a regular file, open for reading. Never waits for a writer, as of a FIFO that took the file's place.
 * `*size` (may be NULL): bytes. EK_EIO; EK_EDATA: it is something else. */
int ek_open_regular(int *fd, uint64_t *size, const char *path);

/* Append the whole regular file to `out`. EK_EIO; EK_EDATA if it is something else, or larger than `limit` bytes. */
int ek_file_read(struct ek_buffer *out, const char *path, size_t limit);

/* Read exactly `size` bytes at `offset` of an open file. EK_EIO; EK_EDATA if the file ends before. */
int ek_file_read_at(int fd, void *out, size_t size, uint64_t offset, const char *path);

/* A read-only map of a whole file; `data` is NULL for an empty one. */
struct ek_map {
	const uint8_t *data;
	size_t size;
};
int ek_map_open(struct ek_map *map, const char *path);
void ek_map_close(struct ek_map *map);
/* The path of the open map that the address lies in, or NULL. A signal handler may ask: what another program cuts off a
 * mapped file is SIGBUS to who reads it. */
const char *ek_map_path_at(const void *address);
/* The bytes `from` to `to` of a map (this one or any of a file that is shared) have been passed: let go of the memory
 * of the whole pages among them. They are still there, and are mapped again when they are looked at. */
void ek_map_forget(const void *from, const void *to);

/* 1 if something is there, 0 if it is not, EK_EIO if that cannot be told, as for want of descriptors or permission. Who
 * asks "is it there?" and then opens it may take all but 0 for yes: the fault is told when it is opened. */
int ek_file_exists(const char *path);
/* Likewise, with what stat(2) says of it. */
struct stat;
int ek_file_status(struct stat *status, const char *path);

/* Paths of the files FOLDER/pattern (as in a shell), sorted; none is fine. FOLDER is taken literally. `*found` is
 * always to be released with globfree. EK_EIO (also a folder on the way that cannot be read), EK_ENOMEM. */
int ek_glob(glob_t *found, const char *folder, const char *pattern);

/* Open the regular file `path` for writing; `flags` as of open(2), mode 0666, and never through a link that has its
 * name. Close it with close. EK_EIO; EK_EUSAGE: it is a link; EK_EDATA: it is no regular file. */
int ek_open_writable(int *fd, const char *path, int flags);
/* Remove the file, or the link itself; if it is not there, that is fine. EK_EIO. */
int ek_remove(const char *path);
/* All that match, as ek_glob finds them. EK_EIO, EK_ENOMEM. */
int ek_remove_matching(const char *folder, const char *pattern);
/* A new file without a name, in TMPDIR or /tmp, open for reading and writing; it goes when it is closed. EK_EIO. */
int ek_temporary_file(int *fd);

/* Make a directory and its parents; one that is there is fine. EK_EIO. */
int ek_make_directories(const char *path);
/* The same; `*there`: the length of the beginning of `path` that was there before. EK_EIO. */
int ek_make_new_directories(size_t *there, const char *path);
/* Remove those that were not there before, the last first, as far as they are empty. */
void ek_unmake_directories(const char *path, size_t there);

/*
 * An atomic write: the bytes go to a new file of a temporary name beside `path` (what a killed writer left there goes);
 * commit syncs it and renames it over `path`. A folder or device, or a link to one or to a pipe, is
 * refused, EK_EUSAGE. Discard removes what was not committed and may always be called. Parent directories must exist.
 *
 *	struct ek_atomic_file f = { 0 };
 *	EK_TRY(ek_atomic_open(&f, path));
 *	EK_TRY(ek_atomic_write(&f, bytes, size));
 *	EK_TRY(ek_atomic_commit(&f));
 * out:
 *	ek_atomic_discard(&f);
 */
struct ek_atomic_file {
	char *path, *temporary; /* owned; NULL when closed */
	int fd;                 /* read and write */
	struct ek_buffer pending;
};
int ek_atomic_open(struct ek_atomic_file *f, const char *path);
int ek_atomic_write(struct ek_atomic_file *f, const void *bytes, size_t size); /* buffered */
int ek_atomic_commit(struct ek_atomic_file *f);
void ek_atomic_discard(struct ek_atomic_file *f);
/* All of it at once. */
int ek_atomic_save(const char *path, const void *bytes, size_t size);

/* Write all of it to a descriptor. `path` is for the message. EK_EIO. */
int ek_write_all(int fd, const void *bytes, size_t size, const char *path);

/* Sync the file `from`, rename it to `to` and sync the directory. EK_EIO. */
int ek_rename_synced(const char *from, const char *to);
/* Sync the folder `from`, exchange it with `to`, which is there, and sync the directory. `*done` = 0: the file system
 * cannot. EK_EIO. */
int ek_exchange_synced(int *done, const char *from, const char *to);

#endif
