/*
 * Where the members of a tar lie, by name: for hard links, which have the bytes of a member before them. 24 bytes a
 * member, made in a pass over the headers.
 */
#ifndef EK_IO_TAR_INDEX_H
#define EK_IO_TAR_INDEX_H

#include "rebalance/base/memory.h"

struct ek_tar_index;

/* EK_EIO, EK_EDATA, as ek_tar_open. */
int ek_tar_index_open(struct ek_tar_index **out, const char *path);
/* 1 and the last member of that name: where its bytes lie in the uncompressed stream. 0: there is none. */
int ek_tar_index_find(const struct ek_tar_index *index, const char *name, uint64_t *offset, uint64_t *size);
/* Append `size` bytes from `offset` on. EK_EIO, EK_EDATA. */
int ek_tar_index_read(struct ek_tar_index *index, struct ek_buffer *out, uint64_t offset, size_t size);
void ek_tar_index_close(struct ek_tar_index *index);

#endif
