/*
 * Images: from the bytes of a file to 8-bit RGB, and back. The format is told by content, not by name.
 * JPEG (baseline, progressive, grey, CMYK, YCCK), PNG (all colour types, palette, 16 bit, interlaced), WebP, GIF, TIFF,
 * AVIF, BMP; of animations and of files with several pages the first. EXIF orientation, or that of XMP, is applied,
 * transparency laid over white; the pixels are Pillow's (each format's header tells the exceptions).
 *
 * A bad image is EK_EDATA with the reason; callers that read many take it as data (rejected.jsonl).
 */
#ifndef EK_IO_IMAGE_H
#define EK_IO_IMAGE_H

#include "rebalance/io/bitmap.h"

const char *ek_image_format_name(enum ek_image_format format); /* "jpeg", "png", …, "unknown" */

/* The format with that name; EK_IMAGE_UNKNOWN: there is none. */
enum ek_image_format ek_image_format_of(const char *name);
/* How names of such files end, without the dot: "jpg", "tif"; of bare pixels, what they are written as: "png". */
const char *ek_image_format_extension(enum ek_image_format format);

/* Does the name end as names of image files do (.jpg, .png, .gif …, any case)? */
int ek_has_image_extension(const char *name);
int ek_name_ends_with(const char *name, const char *end); /* in any case, and is longer */
/* The format of a file that starts with these bytes (32 suffice). */
enum ek_image_format ek_image_sniff(const void *bytes, size_t size);

/* Read the header only. EK_EDATA: unknown format, damaged header, a side of 0, more than `max_pixels` pixels. */
int ek_image_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);

/* Check that all of it decodes, as cheaply as the format allows (JPEG: entropy decoding at 1/8 scale).
 * EK_EDATA if it is truncated or damaged. Fills `info`. */
int ek_image_check(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);

/* Decode to RGB. `smallest_side`: 0, or the JPEG may be decoded at 1/2, 1/4 or 1/8 scale while its shorter side stays
 * at least this long (a faster, slightly different picture: for thumbnails).
 * Release the image with ek_image_release. Thread-safe. */
int ek_image_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels,
                    uint32_t smallest_side);
/* As ek_image_decode in full size, but only the pixels of the window need be right; what lies outside is not set. A
 * JPEG is still read and checked to its end, but transformed only there and a little around. The window lies inside. */
int ek_image_decode_window(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels,
                           const struct ek_image_window *window);
/* Bytes of a bare pixel; 0: the format has a header and is decoded. */
uint32_t ek_image_bare_pixel(enum ek_image_format format);
/* Bare pixels, row after row, to RGB. EK_EDATA: not as many bytes as pixels. */
int ek_image_from_bare(struct ek_image *image, enum ek_image_format format, const void *bytes, size_t size,
                       uint32_t width, uint32_t height);
/* Append a baseline JPEG (4:2:0, optimised) or a PNG to `out`. The bytes depend on the pixels alone. */
int ek_image_encode_jpeg(struct ek_buffer *out, const struct ek_image *image, int quality);
int ek_image_encode_png(struct ek_buffer *out, const struct ek_image *image);

#endif
