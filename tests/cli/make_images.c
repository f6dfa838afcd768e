/*
 * make_images FOLDER COUNT: a data set with known groups, for tests of the program. Image i is a 24 × 24 PNG or JPEG,
 * FOLDER/GROUP/NNNN.png: a red disc, a green bar or a blue check, in shares of 60 %, 30 % and 10 %, with noise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/random.h"
#include "rebalance/io/image.h"

enum { SIDE = 24 };

static const char *const groups[] = { "disc", "bar", "check" };

static int group_of(uint64_t i)
{
	const uint64_t place = i % 10;

	return place < 6 ? 0 : place < 9 ? 1 : 2;
}

static int is_lit(int group, int x, int y)
{
	const int dx = x - SIDE / 2, dy = y - SIDE / 2;

	switch (group) {
	case 0:
		return dx * dx + dy * dy < 64;
	case 1:
		return abs(dx) < 3;
	default:
		return (x / 4 + y / 4) % 2;
	}
}

static void draw(uint8_t *pixels, uint64_t i)
{
	const int group = group_of(i);

	for (int y = 0; y < SIDE; y++) {
		for (int x = 0; x < SIDE; x++) {
			const uint64_t at = (uint64_t)(y * SIDE + x);

			for (int c = 0; c < 3; c++) {
				const int noise = (int)ek_random_below(i, 1, 3 * at + (uint64_t)c, 25);

				pixels[3 * at + (uint64_t)c] =
					(uint8_t)((is_lit(group, x, y) && c == group ? 200 : 40) + noise);
			}
		}
	}
}

static int write_image(const char *folder, uint64_t i)
{
	uint8_t pixels[SIDE * SIDE * 3];
	const struct ek_image image = { SIDE, SIDE, pixels };
	struct ek_buffer bytes = { 0 };
	struct ek_atomic_file file = { 0 };
	char path[4096];
	const int is_jpeg = i % 2 == 1;
	int rc;

	draw(pixels, i);
	EK_TRY(is_jpeg ? ek_image_encode_jpeg(&bytes, &image, 90) : ek_image_encode_png(&bytes, &image));
	(void)snprintf(path, sizeof path, "%s/%s", folder, groups[group_of(i)]);
	EK_TRY(ek_make_directories(path));
	(void)snprintf(path, sizeof path, "%s/%s/%05llu.%s", folder, groups[group_of(i)], (unsigned long long)i,
	               is_jpeg ? "jpg" : "png");
	EK_TRY(ek_atomic_open(&file, path));
	EK_TRY(ek_atomic_write(&file, bytes.data, bytes.size));
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	ek_buffer_release(&bytes);
	return rc;
}

int main(int argc, char **argv)
{
	const uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

	for (uint64_t i = 0; i < count; i++) {
		if (write_image(argv[1], i) < 0) {
			(void)fprintf(stderr, "make_images: %s\n", ek_error_message());
			return 1;
		}
	}
	return count > 0 ? 0 : 2;
}
