/*
 * PNG by libpng, one row of image.c's table of formats; arguments and errors as in image.h.
 *
 * All colour types and depths become 8-bit RGB: palettes are looked up, grey is repeated, of 16 bits the upper 8 are
 * kept, transparency (alpha or tRNS) is laid over white, rounded as Pillow's paste does. The orientation of an eXIf
 * chunk, or of XMP in an iTXt chunk that is not compressed, is applied. Gamma, colour profiles and all other ancillary
 * chunks are skipped unread, as Pillow does for pixels. (Pillow clips 16-bit grey at 255 when it converts to RGB; here
 * it is scaled like 16-bit colour.) Sides over 1,000,000 pixels are refused.
 */
#ifndef EK_IO_PNG_H
#define EK_IO_PNG_H

#include "rebalance/io/bitmap.h"

int ek_png_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
int ek_png_check(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
int ek_png_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels);
int ek_png_encode(struct ek_buffer *out, const struct ek_image *image);

#endif
