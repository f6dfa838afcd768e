#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/io/resize.h"
#include "rebalance/io/resize_kernels.h"

static const struct {
	const char *name;
	enum ek_filter filter;
} filters[] = { { "bilinear", EK_FILTER_BILINEAR },
	        { "bicubic", EK_FILTER_BICUBIC },
	        { "lanczos", EK_FILTER_LANCZOS },
	        { "box", EK_FILTER_BOX } };

static struct ek_image source; /* 64 × 48 */
static struct ek_buffer blob;
static cJSON *golden;

static int set_up(void **state)
{
	golden = ek_golden("resize");
	assert_ok(ek_file_read(&blob, "tests/golden/resize.bin", SIZE_MAX / 4));
	source = (struct ek_image){ 64, 48, (uint8_t *)blob.data };
	return 0;
}

static int tear_down(void **state)
{
	cJSON_Delete(golden);
	ek_buffer_release(&blob);
	return 0;
}

static int number(const cJSON *one, const char *name, int i)
{
	return cJSON_GetArrayItem(cJSON_GetObjectItem(one, name), i)->valueint;
}

static void cut_source(struct ek_image *image, int width, int height)
{
	assert_ok(ek_image_allocate(image, (uint32_t)width, (uint32_t)height));
	for (size_t y = 0; y < image->height; y++)
		memcpy(image->pixels + y * image->width * 3, source.pixels + y * source.width * 3,
		       (size_t)image->width * 3);
}

/* The arithmetic is Pillow's, integer after the weights: no difference, where one grey level would be allowed. A weight
 * could round the other way only if another libm gave another last bit of sin. */
static void every_size_and_filter_equals_pillow(void **state)
{
	const cJSON *one;
	size_t cases = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "cases"))
	{
		const char *name = cJSON_GetObjectItem(one, "filter")->valuestring;
		const int width = number(one, "out", 0), height = number(one, "out", 1);
		const size_t offset = (size_t)cJSON_GetObjectItem(one, "offset")->valueint;

		for (size_t f = 0; f < sizeof filters / sizeof *filters; f++) {
			struct ek_image in, out;

			if (strcmp(filters[f].name, name) != 0)
				continue;
			cut_source(&in, number(one, "in", 0), number(one, "in", 1));
			assert_ok(ek_image_resize(&out, &in, (uint32_t)width, (uint32_t)height, filters[f].filter));
			assert_int_equal(out.width, width);
			assert_int_equal(out.height, height);
			if (memcmp(out.pixels, blob.data + offset, (size_t)width * (size_t)height * 3) != 0)
				fail_msg("%s %u x %u to %d x %d", name, in.width, in.height, width, height);
			ek_image_release(&in);
			ek_image_release(&out);
			cases++;
		}
	}
	assert_true(cases == (size_t)cJSON_GetArraySize(cJSON_GetObjectItem(golden, "cases")) && cases > 60);
}

static void a_window_is_a_crop_of_the_whole(void **state)
{
	static const uint32_t sizes[][2] = { { 100, 75 }, { 33, 24 }, { 64, 48 }, { 7, 90 } };
	static const uint32_t windows[][4] = { { 0, 0, 7, 24 }, { 3, 5, 4, 19 }, { 6, 23, 1, 1 }, { 0, 11, 7, 2 } };

	for (size_t s = 0; s < 4; s++)
		for (size_t f = 0; f < 4; f++)
			for (size_t w = 0; w < 4; w++) {
				const uint32_t *o = windows[w];
				struct ek_image whole, window;

				assert_ok(
					ek_image_resize(&whole, &source, sizes[s][0], sizes[s][1], filters[f].filter));
				assert_ok(ek_image_resize_window(&window, &source, sizes[s][0], sizes[s][1], o[0], o[1],
				                                 o[2], o[3], filters[f].filter));
				assert_int_equal(window.width, o[2]);
				assert_int_equal(window.height, o[3]);
				for (size_t y = 0; y < o[3]; y++)
					assert_memory_equal(window.pixels + y * o[2] * 3,
					                    whole.pixels + ((y + o[1]) * sizes[s][0] + o[0]) * 3,
					                    o[2] * 3);
				ek_image_release(&whole);
				ek_image_release(&window);
			}
}

static void decoding_and_resizing_at_once_gives_the_same(void **state)
{
	const struct ek_image_window window = { 20, 9, 61, 50 };
	struct ek_buffer file = { 0 };

	assert_ok(ek_file_read(&file, "tests/golden/images/larger.jpg", SIZE_MAX / 4));
	for (size_t f = 0; f < 4; f++) {
		struct ek_image image, want, got;

		assert_ok(ek_image_decode(&image, file.data, file.size, EK_MAX_PIXELS_DEFAULT, 0));
		assert_ok(ek_image_resize_window(&want, &image, 101, 75, window.x, window.y, window.width,
		                                 window.height, filters[f].filter));
		assert_ok(ek_image_decode_resized(&got, file.data, file.size, EK_MAX_PIXELS_DEFAULT, 101, 75, &window,
		                                  filters[f].filter));
		assert_int_equal(got.width, 61);
		assert_int_equal(got.height, 50);
		assert_memory_equal(got.pixels, want.pixels, 3 * 61 * 50);
		ek_image_release(&image);
		ek_image_release(&want);
		ek_image_release(&got);
		assert_int_equal(ek_image_decode_resized(&got, file.data, file.size - 30, EK_MAX_PIXELS_DEFAULT, 101,
		                                         75, &window, filters[f].filter),
		                 EK_EDATA);
		assert_null(got.pixels);
	}
	ek_buffer_release(&file);
}

static void a_window_outside_is_refused(void **state)
{
	static const uint32_t windows[][4] = { { 0, 0, 0, 1 },  { 0, 0, 1, 0 },           { 0, 0, 11, 1 },
		                               { 10, 0, 1, 1 }, { 0, 9, 1, 2 },           { UINT32_MAX, 0, 2, 1 },
		                               { 0, 0, 1, 11 }, { 0, UINT32_MAX, 10, 10 } };
	struct ek_image out;

	for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
		assert_fails(ek_image_resize_window(&out, &source, 10, 10, windows[i][0], windows[i][1], windows[i][2],
		                                    windows[i][3], EK_FILTER_BOX),
		             EK_EUSAGE, "no window");
}

/* 5 taps on 37 positions, random inputs, outputs guarded: every instruction set gives what plain C sums give. */
static void every_instruction_set_gives_the_same_bytes(void **state)
{
	enum { TAPS = 5, BYTES = 37, STRIDE = 48 };
	const int32_t weights[TAPS] = { -400000, 1500000, 2900000, 700000, -505696 };
	uint8_t in[TAPS * STRIDE], want[BYTES];

	for (size_t i = 0; i < sizeof in; i++)
		in[i] = i % 3 == 0 ? 255 : (uint8_t)(i * 89);
	for (size_t i = 0; i < BYTES; i++) {
		int32_t sum = 1 << (EK_RESIZE_BITS - 1);

		for (size_t t = 0; t < TAPS; t++)
			sum += weights[t] * in[t * STRIDE + i];
		sum >>= EK_RESIZE_BITS;
		want[i] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
	}
	for (const struct ek_resize_kernels *const *k = ek_resize_kernels_all(); *k != NULL; k++) {
		uint8_t out[BYTES + 1];

		print_message("%s\n", (*k)->name);
		memset(out, 0xa5, sizeof out);
		(*k)->vertical(out, in, STRIDE, BYTES, weights, TAPS);
		assert_memory_equal(out, want, BYTES);
		assert_int_equal(out[BYTES], 0xa5);
	}
}

static void rows_are_the_same_in_every_instruction_set(void **state)
{
	enum { INPUT = 13, OUTPUT = 7, IN_BYTES = 3 * INPUT, OUT_BYTES = 32 };
	size_t first[OUTPUT] = { 2, 2, 4, 5, 7, 9, 11 };
	int32_t weights[OUTPUT * 4];
	const struct ek_taps taps = { OUTPUT, 4, first, weights, 2, 2 + INPUT };
	uint8_t in[16][IN_BYTES];
	const uint8_t *from[16];

	for (size_t i = 0; i < OUTPUT * 4; i++)
		weights[i] = (int32_t)((i * 7919 % 41) - 12) * 80000;
	for (size_t r = 0; r < 16; r++)
		for (size_t i = 0; i < IN_BYTES; i++)
			in[r][i] = (uint8_t)(r * 31 + i * 17 + r * i);
	for (size_t r = 0; r < 16; r++)
		from[r] = in[r];
	for (const struct ek_resize_kernels *const *k = ek_resize_kernels_all(); *k != NULL; k++) {
		uint8_t turned[48 * 16], result[OUT_BYTES * 16] = { 0 }, out[16][OUT_BYTES], *to[16];

		for (size_t r = 0; r < 16; r++)
			to[r] = out[r];
		(*k)->horizontal(to, from, IN_BYTES, OUT_BYTES, turned, result, &taps);
		for (size_t r = 0; r < 16; r++)
			for (size_t i = 0; i < 3 * OUTPUT; i++) {
				int32_t sum = 1 << (EK_RESIZE_BITS - 1);

				for (size_t t = 0; t < 4; t++)
					sum += weights[i / 3 * 4 + t] * in[r][(first[i / 3] - 2 + t) * 3 + i % 3];
				sum >>= EK_RESIZE_BITS;
				assert_int_equal(out[r][i], sum < 0 ? 0 : sum > 255 ? 255 : sum);
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_and_filter_equals_pillow),
		cmocka_unit_test(a_window_is_a_crop_of_the_whole),
		cmocka_unit_test(decoding_and_resizing_at_once_gives_the_same),
		cmocka_unit_test(a_window_outside_is_refused),
		cmocka_unit_test(every_instruction_set_gives_the_same_bytes),
		cmocka_unit_test(rows_are_the_same_in_every_instruction_set),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
