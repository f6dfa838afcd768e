/*
 * The directory of a zip file in memory (zip64 included), so that stored entries can be used in place, and deflated
 * ones be inflated. PKWARE's APPNOTE.TXT 6.3.
 */
#ifndef EK_IO_ZIP_H
#define EK_IO_ZIP_H

#include <stddef.h>
#include <stdint.h>

struct ek_zip_entry {
	const char *name; /* in the file; no NUL */
	size_t name_size;
	const uint8_t *data;     /* stored; NULL if the entry is compressed or encrypted */
	const uint8_t *deflated; /* deflated; NULL if it is stored, encrypted or compressed otherwise */
	size_t size, deflated_size;
	uint32_t crc;
};

struct ek_zip {
	struct ek_zip_entry *entries; /* [count], by name */
	size_t count;
};

/* Read the directory of the file in `bytes`, which must outlive it; `path` starts messages. Every entry's bytes are
 * checked to lie in the file. EK_EDATA: damaged, or two entries of one name. */
int ek_zip_open(struct ek_zip *zip, const uint8_t *bytes, size_t size, const char *path);
void ek_zip_close(struct ek_zip *zip);
/* The entry of this name, or NULL. */
const struct ek_zip_entry *ek_zip_find(const struct ek_zip *zip, const char *name, size_t name_size);
/* Inflate a deflated entry into a new block of entry->size bytes, to be freed; its checksum is checked.
 * EK_EDATA: damaged, or a size that deflating cannot reach. */
int ek_zip_inflate(uint8_t **out, const struct ek_zip_entry *entry, const char *path);

#endif
