/*
 * TIFF by libtiff, one row of image.c's table of formats; arguments and errors as in image.h.
 *
 * The first picture of a file, in strips or tiles, one plane or several, with every compression that libtiff knows:
 * black and white, grey, palette, RGB, CMYK and YCbCr of 1, 2, 4, 8 or 16 unsigned bits (of 16 the upper 8 are kept);
 * alpha, multiplied in or not, is laid over white; the orientation is applied. Floating-point, CIE L*a*b* and raw
 * camera data are refused by name.
 */
#ifndef EK_IO_TIFF_H
#define EK_IO_TIFF_H

#include "rebalance/io/bitmap.h"

/* Does a file start so? 4 bytes suffice. */
int ek_tiff_is(const void *bytes, size_t size);
int ek_tiff_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
int ek_tiff_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels);

#endif
