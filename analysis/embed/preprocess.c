#include "analysis/embed/preprocess.h"

#include <string.h>

#include "rebalance/base/error.h"

size_t ek_preprocessed_size(const struct ek_preprocessing *p)
{
	const size_t values = (size_t)3 * (size_t)p->side * (size_t)p->side;

	return p->interpolation == EK_INTERPOLATION_TORCH ? values * sizeof(float) : values;
}

/* The longer side when the shorter one becomes `resize`; what a 32-bit width cannot hold is cut off far outside the
 * window anyway. */
static uint32_t longer_side(uint32_t resize, uint32_t longer, uint32_t shorter)
{
	const double size = (double)((uint64_t)resize * longer) / (double)shorter;

	return size > INT32_MAX ? INT32_MAX : (uint32_t)size;
}

/* What becomes of an image: its full size after resizing, and the part of that which is kept. */
struct target {
	uint32_t width, height;
	struct ek_image_window window;
};

/* Where the middle starts: half of what is cut off, rounded to even as torchvision's CenterCrop does (Python's round).
 */
static uint32_t crop_start(uint32_t size, uint32_t side)
{
	const uint32_t surplus = size - side, half = surplus / 2;

	return surplus % 2 == 1 ? half + half % 2 : half;
}

static struct target target_of(uint32_t width, uint32_t height, const struct ek_preprocessing *p)
{
	const uint32_t side = (uint32_t)p->side, resize = (uint32_t)p->resize;
	struct target t = { side, side, { .width = side, .height = side } };

	if (p->crop == EK_CROP_CENTRE && width <= height) {
		t.width = resize;
		t.height = longer_side(resize, height, width);
	} else if (p->crop == EK_CROP_CENTRE) {
		t.width = longer_side(resize, width, height);
		t.height = resize;
	}
	t.window.x = crop_start(t.width, side);
	t.window.y = crop_start(t.height, side);
	return t;
}

struct taps {
	uint32_t at[2];
	float weight[2];
};

/* The two source pixels of position `i` along an axis. */
static struct taps taps_of(uint32_t i, uint32_t new_size, uint32_t size)
{
	const float scale = (float)size / (float)new_size;
	float centre = scale * ((float)i + 0.5f) - 0.5f;
	struct taps t;

	if (centre < 0)
		centre = 0;
	t.at[0] = (uint32_t)centre < size - 1 ? (uint32_t)centre : size - 1;
	t.at[1] = t.at[0] + 1 < size ? t.at[0] + 1 : t.at[0];
	t.weight[1] = centre - (float)t.at[0];
	t.weight[1] = t.weight[1] > 1 ? 1 : t.weight[1];
	t.weight[0] = 1 - t.weight[1];
	return t;
}

static void resize_torch(float *out, const struct ek_image *image, const struct ek_preprocessing *p)
{
	const uint32_t side = (uint32_t)p->side;
	const size_t line = (size_t)image->width * 3;

	for (uint32_t y = 0; y < side; y++) {
		const struct taps v = taps_of(y, side, image->height);
		const uint8_t *above = image->pixels + v.at[0] * line, *below = image->pixels + v.at[1] * line;

		for (uint32_t x = 0; x < side; x++) {
			const struct taps h = taps_of(x, side, image->width);
			const size_t left = (size_t)h.at[0] * 3, right = (size_t)h.at[1] * 3;

			for (size_t c = 0; c < 3; c++) {
				const float top =
					h.weight[0] * (float)above[left + c] + h.weight[1] * (float)above[right + c];
				const float bottom =
					h.weight[0] * (float)below[left + c] + h.weight[1] * (float)below[right + c];
				const float value = (v.weight[0] * top + v.weight[1] * bottom) / 255;

				*out++ = (value - (float)p->mean[c]) / (float)p->deviation[c];
			}
		}
	}
}

int ek_preprocess(void *out, const struct ek_image *image, const struct ek_preprocessing *p)
{
	const struct target t = target_of(image->width, image->height, p);
	struct ek_image resized = { 0 };
	int rc = 0;

	if (p->interpolation == EK_INTERPOLATION_TORCH) {
		resize_torch(out, image, p);
		return 0;
	}
	EK_TRY(ek_image_resize_window(&resized, image, t.width, t.height, t.window.x, t.window.y, t.window.width,
	                              t.window.height, p->filter));
	memcpy(out, resized.pixels, ek_preprocessed_size(p));
out:
	ek_image_release(&resized);
	return rc;
}

int ek_preprocess_encoded(void *out, const void *bytes, size_t size, uint64_t max_pixels,
                          const struct ek_preprocessing *p)
{
	struct ek_image image = { 0 };
	struct ek_image_info info;
	struct target t;
	int rc;

	if (p->interpolation == EK_INTERPOLATION_TORCH) {
		EK_TRY(ek_image_decode(&image, bytes, size, max_pixels, 0));
		EK_TRY(ek_preprocess(out, &image, p));
		goto out;
	}
	EK_TRY(ek_image_probe(&info, bytes, size, max_pixels));
	t = target_of(info.width, info.height, p);
	EK_TRY(ek_image_decode_resized(&image, bytes, size, max_pixels, t.width, t.height, &t.window, p->filter));
	memcpy(out, image.pixels, ek_preprocessed_size(p));
out:
	ek_image_release(&image);
	return rc;
}
