/*
 * The bytes of a file that may be compressed (gzip, zstd, bzip2, xz; told by content), read at any offset of the
 * uncompressed stream. In a plain file every offset is as near; in a compressed one going forward is cheap (what lies
 * between is decompressed and dropped) and going back starts again at the front.
 */
#ifndef EK_IO_STREAM_H
#define EK_IO_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/memory.h"

struct ek_stream;

/* EK_EIO, EK_EDATA. */
int ek_stream_open(struct ek_stream **out, const char *path);
/* Append up to `size` bytes that start at `offset`; fewer only if the stream ends before. EK_EIO; EK_EDATA: the
 * compressed data are damaged. */
int ek_stream_read(struct ek_stream *stream, struct ek_buffer *out, size_t size, uint64_t offset);
int ek_stream_is_compressed(const struct ek_stream *stream);
void ek_stream_close(struct ek_stream *stream);

#endif
