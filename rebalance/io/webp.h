/*
 * WebP by libwebp, one row of image.c's table of formats; arguments and errors as in image.h.
 *
 * Lossy and lossless, with transparency (laid over white) and EXIF orientation; of an animation the first frame. The
 * pixels are those of Pillow with the same libwebp.
 */
#ifndef EK_IO_WEBP_H
#define EK_IO_WEBP_H

#include "rebalance/io/bitmap.h"

/* Does a file start so? 12 bytes suffice. */
int ek_webp_is(const void *bytes, size_t size);
int ek_webp_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
int ek_webp_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels);

#endif
