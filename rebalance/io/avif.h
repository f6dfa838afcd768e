/*
 * AVIF by libavif, one row of image.c's table of formats; arguments and errors as in image.h.
 *
 * The picture, or the first of a sequence, at 8 bits, with transparency (laid over white), rotation and mirroring.
 * libavif brings many codecs along, so it is loaded when the first such file is met; EK_ENOTSUP if it is not there, or
 * this build knows nothing of it.
 */
#ifndef EK_IO_AVIF_H
#define EK_IO_AVIF_H

#include "rebalance/io/bitmap.h"

/* Does a file start so? 32 bytes suffice. */
int ek_avif_is(const void *bytes, size_t size);
int ek_avif_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
int ek_avif_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels);

#endif
