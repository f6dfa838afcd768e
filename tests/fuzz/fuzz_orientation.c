/* Any bytes as EXIF data: an orientation of 1 … 8, with which a picture keeps all its pixels. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/io/orientation.h"

enum { WIDTH = 3, HEIGHT = 2, PIXELS = WIDTH * HEIGHT };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int orientation = ek_image_orientation(data, size, data, size);
	struct ek_image stored = { .width = WIDTH, .height = HEIGHT, .pixels = malloc(3 * PIXELS) }, turned;
	struct ek_image_info info;
	int seen[PIXELS] = { 0 };

	if (orientation < 1 || orientation > 8 || stored.pixels == NULL)
		abort();
	for (int i = 0; i < 3 * PIXELS; i++)
		stored.pixels[i] = (uint8_t)(i / 3);
	ek_image_tell(&info, EK_IMAGE_PNG, WIDTH, HEIGHT, orientation);
	if (ek_image_turn(&turned, &stored, orientation) < 0 || turned.width != info.width ||
	    turned.height != info.height || info.width != (orientation < 5 ? WIDTH : HEIGHT))
		abort();
	for (int i = 0; i < PIXELS; i++)
		if (turned.pixels[3 * i] >= PIXELS || seen[turned.pixels[3 * i]]++ > 0)
			abort();
	ek_image_release(&turned);
	return 0;
}
