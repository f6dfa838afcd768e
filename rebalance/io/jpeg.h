/*
 * JPEG by libjpeg-turbo, one row of image.c's table of formats; arguments and errors as in image.h.
 *
 * The pixels are those of Pillow's default decoding (accurate integer DCT, smooth chroma upsampling), bit for bit
 * with the same libjpeg-turbo. Four-component files are taken as inverted CMYK or YCCK, as Adobe writes them.
 *
 * What libjpeg only warns about is damage here (data that end early, wrong Huffman codes, lost markers): EK_EDATA.
 * Bytes between segments, odd JFIF or Adobe versions and broken ICC profiles are not; they leave the pixels alone.
 * More than 500 scans, or scans that decode more than 64 × max_pixels pixels, are refused: no encoder writes them,
 * and a small file could keep a processor busy for minutes.
 */
#ifndef EK_IO_JPEG_H
#define EK_IO_JPEG_H

#include "rebalance/io/bitmap.h"

int ek_jpeg_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
int ek_jpeg_check(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
/* `window`: NULL, or as in ek_image_decode_window; then `smallest_side` is 0. */
int ek_jpeg_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels, uint32_t smallest_side,
                   const struct ek_image_window *window);
int ek_jpeg_encode(struct ek_buffer *out, const struct ek_image *image, int quality);

#endif
