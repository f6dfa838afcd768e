/*
 * GIF by giflib, one row of image.c's table of formats; arguments and errors as in image.h.
 *
 * The first frame, as Pillow shows it: laid on the screen that the header and the frame together span; what the frame
 * leaves free is its transparent colour, or colour 0; transparent is laid over white.
 */
#ifndef EK_IO_GIF_H
#define EK_IO_GIF_H

#include "rebalance/io/bitmap.h"

int ek_gif_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
int ek_gif_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels);

#endif
