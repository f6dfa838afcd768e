/*
 * Tar files written member by member (libarchive, ustar): the bytes depend on the members alone, since every member
 * has time 0, owner 0 and mode 0644.
 */
#ifndef EK_IO_TAR_WRITER_H
#define EK_IO_TAR_WRITER_H

#include <stddef.h>
#include <stdint.h>

struct ek_tar_writer;

/* Make `path`, which must not be there yet. EK_EIO. */
int ek_tar_writer_open(struct ek_tar_writer **out, const char *path);
/* `name`: ASCII, at most 100 bytes. EK_EIO. */
int ek_tar_writer_add(struct ek_tar_writer *w, const char *name, const void *bytes, size_t size);
/* End the tar and close the file; it is not synced. Frees nothing. */
int ek_tar_writer_finish(struct ek_tar_writer *w);
/* NULL is fine; what is not finished stays as it is. */
void ek_tar_writer_free(struct ek_tar_writer *w);

/* Bytes that a member of `size` bytes takes, and that the end of a tar takes. */
uint64_t ek_tar_member_size(uint64_t size);
enum { EK_TAR_END_SIZE = 1024 };

#endif
