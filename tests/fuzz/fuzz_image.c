/* Any bytes as an image: probe, check and decode agree, and what was decoded can be encoded and decoded again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/image.h"
#include "tests/fuzz/only.h"

enum { LIMIT = 1 << 20 }; /* pixels: keeps one input to some milliseconds */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_again(const struct ek_image *image)
{
	struct ek_buffer png = { 0 }, jpeg = { 0 };
	struct ek_image back;

	if (ek_image_encode_png(&png, image) < 0 || ek_image_decode(&back, png.data, png.size, LIMIT, 0) < 0)
		abort();
	if (memcmp(back.pixels, image->pixels, (size_t)image->width * image->height * 3) != 0)
		abort();
	ek_image_release(&back);
	/* JPEG knows no sides over 65,500. */
	if (image->width <= 65500 && image->height <= 65500) {
		if (ek_image_encode_jpeg(&jpeg, image, 80) < 0 ||
		    ek_image_decode(&back, jpeg.data, jpeg.size, LIMIT, 0) < 0 || back.width != image->width ||
		    back.height != image->height)
			abort();
		ek_image_release(&back);
	}
	ek_buffer_release(&png);
	ek_buffer_release(&jpeg);
}

/* What a window shows is the same as in the whole picture. */
static void same_in_window(const struct ek_image *whole, const uint8_t *data, size_t size)
{
	const struct ek_image_window window = { whole->width / 2, whole->height / 2, (whole->width + 3) / 4,
		                                (whole->height + 3) / 4 };
	struct ek_image part;

	if (ek_image_decode_window(&part, data, size, LIMIT, &window) < 0)
		abort();
	for (size_t y = window.y; y < window.y + window.height; y++) {
		const size_t at = 3 * (y * whole->width + window.x);

		if (memcmp(part.pixels + at, whole->pixels + at, 3 * (size_t)window.width) != 0)
			abort();
	}
	ek_image_release(&part);
}

static void read_image(const uint8_t *data, size_t size)
{
	struct ek_image_info info = { 0 }, checked = { 0 };
	const int probed = ek_image_probe(&info, data, size, LIMIT), good = ek_image_check(&checked, data, size, LIMIT);
	struct ek_image image;

	if (good == 0 && (probed < 0 || info.width != checked.width || info.height != checked.height ||
	                  info.format != ek_image_sniff(data, size)))
		abort();
	if (ek_image_decode(&image, data, size, LIMIT, 0) == 0) {
		if (probed < 0 || image.width != info.width || image.height != info.height)
			abort();
		if ((size_t)image.width * image.height <= 1 << 16)
			encode_again(&image);
		same_in_window(&image, data, size);
		ek_image_release(&image);
	}
	if (ek_image_decode(&image, data, size, LIMIT, 32) == 0)
		ek_image_release(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (ek_fuzz_wants(ek_image_format_name(ek_image_sniff(data, size))))
		read_image(data, size);
	return 0;
}
