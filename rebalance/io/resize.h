/*
 * Antialiased resizing that equals Pillow's Image.resize within one grey level: separable, the filter's support
 * scaled by the reduction, coefficients in fixed point as Pillow's 8-bit path, horizontal pass first,
 * each pass rounded to 8 bits. (Pillow 13 takes the vertical pass first where the height shrinks much more than the
 * width, which differs by some grey levels in noise; here, as in Pillow up to 12, the order is always the same.)
 * The bytes do not depend on the processor.
 */
#ifndef EK_IO_RESIZE_H
#define EK_IO_RESIZE_H

#include "rebalance/io/image.h"

enum ek_filter { EK_FILTER_BILINEAR, EK_FILTER_BICUBIC /* a = -0.5 */, EK_FILTER_LANCZOS, EK_FILTER_BOX };

/* `out` = `in` at width × height (owned by the caller; `out` must not be `in`). EK_ENOMEM. */
int ek_image_resize(struct ek_image *out, const struct ek_image *in, uint32_t width, uint32_t height,
                    enum ek_filter filter);

/* Only the window [x, x+width) × [y, y+height) of `in` resized to full_width × full_height: the same pixels as resizing
 * all and then cropping, at the cost of the window. The window lies inside the full size, else EK_EUSAGE. */
int ek_image_resize_window(struct ek_image *out, const struct ek_image *in, uint32_t full_width, uint32_t full_height,
                           uint32_t x, uint32_t y, uint32_t width, uint32_t height, enum ek_filter filter);

/* ek_image_decode and ek_image_resize_window in one: the same pixels and the same errors, but what the window does not
 * show of a JPEG is not transformed. ek_image_probe tells the size that `full_width` and the rest follow from. */
int ek_image_decode_resized(struct ek_image *out, const void *bytes, size_t size, uint64_t max_pixels,
                            uint32_t full_width, uint32_t full_height, const struct ek_image_window *window,
                            enum ek_filter filter);

#endif
