/*
 * A zip file that is read entry by entry, at any offset of an entry's uncompressed bytes. In a stored entry every
 * offset is as near; in a deflated one going forward is cheap (what lies between is inflated and dropped) and going
 * back starts again at its front. One per thread.
 */
#ifndef EK_IO_ZIP_READER_H
#define EK_IO_ZIP_READER_H

#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/zip.h"

struct ek_zip_reader;

/* Maps the file and reads its directory. EK_EIO, EK_EDATA. */
int ek_zip_reader_open(struct ek_zip_reader **out, const char *path);
/* Its directory; belongs to the reader. */
const struct ek_zip *ek_zip_reader_directory(const struct ek_zip_reader *reader);
const struct ek_map *ek_zip_reader_map(const struct ek_zip_reader *reader);
/* Where a stored entry starts in the file. */
uint64_t ek_zip_reader_offset(const struct ek_zip_reader *reader, const struct ek_zip_entry *entry);
/* Append `size` bytes of an entry of the directory, from `offset` on. EK_EDATA: encrypted, packed in another way,
 * damaged (the checksum is compared when the end is reached), or not as long. */
int ek_zip_reader_read(struct ek_zip_reader *reader, struct ek_buffer *out, const struct ek_zip_entry *entry,
                       uint64_t offset, size_t size);
void ek_zip_reader_close(struct ek_zip_reader *reader);

#endif
