/*
 * Rows of pixels from the forms that image files keep them in to 8-bit RGB, rounded as Pillow rounds.
 * `rgb`: [pixels, 3], out; the other array does not overlap it.
 */
#ifndef EK_IO_PIXELS_H
#define EK_IO_PIXELS_H

#include <stddef.h>
#include <stdint.h>

/* `rgba`: [pixels, 4], laid over white (Pillow's paste). */
void ek_pixels_over_white(uint8_t *rgb, const uint8_t *rgba, size_t pixels);
/* Colours of `rgba` that are multiplied by their alpha are divided by it, in place (Pillow's RGBa to RGBA). */
void ek_pixels_divide_by_alpha(uint8_t *rgba, size_t pixels);
/* `cmyk`: [pixels, 4], where 0 is full ink, as Adobe's JPEG files keep it. */
void ek_pixels_from_inverted_cmyk(uint8_t *rgb, const uint8_t *cmyk, size_t pixels);

#endif
