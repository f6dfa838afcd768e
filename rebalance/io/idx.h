/*
 * IDX files as MNIST and its kin use them: a big-endian header, then bytes. Plain or compressed (io/stream.h).
 *
 *	images: 0x00000803, count, rows, columns, then count × rows × columns grey pixels
 *	labels: 0x00000801, count, then count class numbers
 *
 * A file that ends early or whose compressed data are damaged gives the whole items before that, then EK_EDATA;
 * ek_idx_done counts them. (Of damaged, not just cut, gzip data up to the last 512 KiB before the damage are lost.)
 */
#ifndef EK_IO_IDX_H
#define EK_IO_IDX_H

#include <stddef.h>
#include <stdint.h>

enum ek_idx_kind { EK_IDX_IMAGES, EK_IDX_LABELS };

struct ek_idx_info {
	enum ek_idx_kind kind;
	uint32_t count;      /* items, as the header claims */
	uint32_t rows, cols; /* of an image; 1 × 1 for labels */
	size_t item_size;    /* bytes: rows × cols */
	uint64_t offset;     /* of the first item in the uncompressed file: 16 or 8 */
};

struct ek_idx;

/* EK_EIO; EK_EDATA: not IDX, images of 0 or more than `max_pixels` pixels. */
int ek_idx_open(struct ek_idx **out, const char *path, uint64_t max_pixels);
const struct ek_idx_info *ek_idx_info(const struct ek_idx *idx);

/* 1 and the next item in `item` ([item_size] bytes); 0 after the last; or a negative code: EK_EDATA if there are
 * fewer items, or more bytes, than the header claims, or damage. */
int ek_idx_next(struct ek_idx *idx, uint8_t *item);
/* The whole items so far: the number of the next one. */
uint64_t ek_idx_done(const struct ek_idx *idx);
/* NULL is fine. */
void ek_idx_close(struct ek_idx *idx);

#endif
