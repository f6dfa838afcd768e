/*
 * Windows bitmaps, one row of image.c's table of formats; arguments and errors as in image.h.
 *
 * 1, 4, 8 bits with a palette (also run-length encoded), 16 bits (555, 565), 24 and 32 bits, bottom-up and top-down,
 * headers of 12, 40, 52, 56, 64, 108 and 124 bytes. The pixels are Pillow's: of 32 bits the last 8 count as alpha, laid
 * over white, only where masks say so; indices behind the end of a palette are black. What Pillow refuses is refused:
 * other masks, JPEG or PNG inside, run-length data that end before the picture does.
 */
#ifndef EK_IO_BMP_H
#define EK_IO_BMP_H

#include "rebalance/io/bitmap.h"

/* Does a file start so? 18 bytes suffice. */
int ek_bmp_is(const void *bytes, size_t size);
int ek_bmp_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
int ek_bmp_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels);

#endif
