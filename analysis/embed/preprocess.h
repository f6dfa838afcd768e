/*
 * From an image to the numbers a network takes.
 */
#ifndef EK_EMBED_PREPROCESS_H
#define EK_EMBED_PREPROCESS_H

#include "analysis/embed/encoder.h"
#include "rebalance/io/image.h"

/*
 * Resize and crop. The longer side of a CENTRE crop is resize · longer / shorter rounded down, and the window starts
 * at half the surplus rounded to even: torchvision's Resize and CenterCrop, which open_clip, OpenAI's CLIP, Meta's
 * DINOv2 and timm use. (Hugging Face's older image processors round down: one pixel beside it for every other odd
 * surplus.)
 *
 * EK_INTERPOLATION_PILLOW: out is uint8 [side, side, 3], to be normalised by the model (model.h).
 * EK_INTERPOLATION_TORCH: out is float32 [side, side, 3], normalised: the average of the four nearest pixels, weighted
 * by torch's rule for align_corners=False, in 0 … 1, then (x - mean) / deviation.
 * EK_ENOMEM.
 */
int ek_preprocess(void *out, const struct ek_image *image, const struct ek_preprocessing *p);

/* Decode and ek_preprocess in one: the same numbers, but what is cropped away of a JPEG is only checked. EK_EDATA as
 * ek_image_decode. */
int ek_preprocess_encoded(void *out, const void *bytes, size_t size, uint64_t max_pixels,
                          const struct ek_preprocessing *p);

/* Bytes of one preprocessed image. */
size_t ek_preprocessed_size(const struct ek_preprocessing *p);

#endif
