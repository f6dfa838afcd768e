#include "rebalance/io/pixels.h"

/* product / 255, rounded, for products of two bytes. */
static unsigned divide_by_255(unsigned product)
{
	const unsigned sum = product + 128;

	return ((sum >> 8) + sum) >> 8;
}

void ek_pixels_over_white(uint8_t *rgb, const uint8_t *rgba, size_t pixels)
{
	for (size_t i = 0; i < pixels; i++) {
		const unsigned alpha = rgba[4 * i + 3];

		for (size_t c = 0; c < 3; c++)
			rgb[3 * i + c] = (uint8_t)divide_by_255(rgba[4 * i + c] * alpha + 255 * (255 - alpha));
	}
}

void ek_pixels_divide_by_alpha(uint8_t *rgba, size_t pixels)
{
	for (size_t i = 0; i < pixels; i++) {
		const unsigned alpha = rgba[4 * i + 3];

		for (size_t c = 0; alpha != 0 && alpha != 255 && c < 3; c++) {
			const unsigned value = 255 * rgba[4 * i + c] / alpha;

			rgba[4 * i + c] = (uint8_t)(value < 255 ? value : 255);
		}
	}
}

void ek_pixels_from_inverted_cmyk(uint8_t *rgb, const uint8_t *cmyk, size_t pixels)
{
	for (size_t i = 0; i < pixels; i++) {
		const unsigned white = cmyk[4 * i + 3];

		for (size_t c = 0; c < 3; c++)
			rgb[3 * i + c] = (uint8_t)(white - divide_by_255((255u - cmyk[4 * i + c]) * white));
	}
}
