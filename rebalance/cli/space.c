#include "rebalance/cli/space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/random.h"

int ek_space_open(struct ek_space *space, const struct ek_run *run, const char *autoencoder, int image_side)
{
	(void)run;
	(void)autoencoder;
	*space = (struct ek_space){ .side = image_side, .channels = 3, .image_side = image_side };
	return 0;
}

int ek_space_fill(struct ek_space *space, const struct ek_run *run, enum ek_nn_precision precision)
{
	int rc;

	(void)precision;
	EK_TRY(ek_pixels_open(&space->pixels, run, space->image_side));
	(void)snprintf(space->key, sizeof space->key, "pixels %s", space->pixels.key);
out:
	return rc;
}

void ek_space_release(struct ek_space *space)
{
	ek_pixels_close(&space->pixels);
	free(space->autoencoder);
}

int ek_space_get(const struct ek_space *space, int64_t id, uint64_t position, float *sample)
{
	const size_t side = (size_t)space->side;
	const uint8_t *pixels = ek_pixels_of(&space->pixels, id);
	const int mirrored = space->flip && ek_random_u64(space->seed, ek_random_stream("flip"), position) >> 63;

	for (size_t y = 0; y < side; y++)
		for (size_t x = 0; x < side; x++)
			for (size_t c = 0; c < 3; c++)
				sample[(y * side + x) * 3 + c] =
					(float)pixels[(y * side + (mirrored ? side - 1 - x : x)) * 3 + c] / 127.5F - 1;
	return 0;
}

int ek_space_decode(struct ek_space *space, const float *samples, uint64_t count, uint8_t *pixels,
                    enum ek_nn_precision precision)
{
	const size_t size = 3 * (size_t)space->image_side * (size_t)space->image_side;

	(void)precision;
	for (size_t i = 0; i < count * size; i++) {
		const float x = roundf((samples[i] + 1) * 127.5F);

		pixels[i] = (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
	}
	return 0;
}
