/*
 * What a file is, by its first bytes, in words for a message: "an HTML page", "a zip archive".
 */
#ifndef EK_IO_CONTENT_H
#define EK_IO_CONTENT_H

#include "rebalance/base/memory.h"

/* What starts with these bytes (64 are enough, 132 know more), with what to do about it where that is clear; static.
 * NULL: not known. */
const char *ek_content_name(const void *bytes, size_t size);

/* As ek_content_name, appended to `out`; of what is not known the first bytes are told. */
int ek_content_describe(struct ek_buffer *out, const void *bytes, size_t size);

#endif
