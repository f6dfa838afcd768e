#include "analysis/embed/preprocess.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"

static const char where[] = "preprocess.json";

static uint64_t number(const cJSON *object, const char *name)
{
	uint64_t value = 0;

	assert_ok(ek_json_get_u64(&value, object, name, where));
	return value;
}

static void read_image(struct ek_image *image, const cJSON *item)
{
	const char *file = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "file"));
	struct ek_buffer bytes = { 0 };

	if (file == NULL) {
		image->width = (uint32_t)number(item, "width");
		image->height = (uint32_t)number(item, "height");
		assert_ok(ek_alloc(&image->pixels, (size_t)image->width * image->height, 3));
		ek_random_image(image->pixels, 1, (int)image->width, (int)image->height);
		return;
	}
	assert_ok(ek_file_read(&bytes, ek_join("tests/golden", file), 1 << 20));
	assert_ok(ek_image_decode(image, bytes.data, bytes.size, EK_MAX_PIXELS_DEFAULT, 0));
	ek_buffer_release(&bytes);
}

/* The value that a golden byte stands for, at row y and column x of channel c. */
static double value_at(const float *out, const struct ek_preprocessing *p, size_t y, size_t x, size_t c)
{
	const size_t side = (size_t)p->side;

	return ((double)out[(y * side + x) * 3 + c] * p->deviation[c] + p->mean[c]) * 255;
}

static double largest_difference(const void *out, const struct ek_preprocessing *p, const uint8_t *want, size_t rows,
                                 size_t step)
{
	double largest = 0;

	for (size_t i = 0; i < rows; i++)
		for (size_t j = 0; j < rows; j++)
			for (size_t c = 0; c < 3; c++) {
				const size_t y = i < rows - 1 ? i * step : (size_t)p->side - 1;
				const size_t x = j < rows - 1 ? j * step : (size_t)p->side - 1;
				const double d = fabs(value_at(out, p, y, x, c) - (double)*want++);

				if (!(d <= largest))
					largest = isnan(d) ? (double)INFINITY : d;
			}
	return largest;
}

/* Half a level, where ours is not rounded. */
static void check_values(const void *out, const struct ek_preprocessing *p, const cJSON *item,
                         const struct ek_map *want, size_t step)
{
	const size_t rows = (size_t)number(item, "rows"), offset = (size_t)number(item, "offset");

	assert_true(offset + rows * rows * 3 <= want->size);
	assert_true(largest_difference(out, p, want->data + offset, rows, step) <= 0.51);
}

static void check_digest(const void *out, const struct ek_preprocessing *p, const char *sha256)
{
	uint8_t digest[EK_SHA256_SIZE];
	char hex[EK_SHA256_HEX];

	assert_ok(ek_sha256(digest, out, ek_preprocessed_size(p)));
	ek_hex(hex, digest, sizeof digest);
	assert_string_equal(hex, sha256);
}

/* Bit by bit where Pillow resizes. */
static void preprocessing_equals_that_of_the_published_code(void **state)
{
	cJSON *golden = ek_golden("preprocess");
	const cJSON *item;
	struct ek_map want;
	int checked = 0;

	assert_ok(ek_map_open(&want, "tests/golden/preprocess.bin"));
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(golden, "cases"))
	{
		const char *name = NULL,
			   *sha256 = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "sha256"));
		const struct ek_encoder *encoder;
		struct ek_preprocessing p;
		struct ek_image image = { 0 };
		void *out = NULL;

		assert_ok(ek_json_get_string(&name, item, "encoder", where));
		assert_ok(ek_encoder_find(&encoder, name));
		assert_ok(ek_encoder_preprocessing(&p, encoder, (int)number(item, "asked"),
		                                   (uint32_t)number(item, "median")));
		assert_int_equal(p.side, number(item, "side"));
		read_image(&image, item);
		print_message("%s from %u x %u\n", name, image.width, image.height);
		assert_ok(ek_alloc(&out, 1, ek_preprocessed_size(&p)));
		assert_ok(ek_preprocess(out, &image, &p));
		assert_int_equal(p.interpolation == EK_INTERPOLATION_PILLOW, sha256 != NULL);
		if (sha256 != NULL)
			check_digest(out, &p, sha256);
		else
			check_values(out, &p, item, &want, (size_t)number(golden, "step"));
		free(out);
		ek_image_release(&image);
		checked++;
	}
	assert_true(checked > 40);
	ek_map_close(&want);
	cJSON_Delete(golden);
}

static void encoded_images_give_the_same_numbers(void **state)
{
	static const char *const files[] = { "larger.jpg",        "wide-411.jpg",        "wide-420.jpg",
		                             "orientation-6.jpg", "progressive-444.jpg", "cmyk-progressive.jpg",
		                             "grey.jpg",          "one-row.jpg",         "one-column.jpg",
		                             "color6-16bit.png" };
	static const struct {
		const char *encoder;
		int side;
	} encoders[] = {
		{ "efficientnet-lite0", 96 }, { "clip-vit-b32", 32 }, { "inception-fid", 0 }, { "pixels", 0 }
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		for (size_t j = 0; j < sizeof encoders / sizeof *encoders; j++) {
			const struct ek_encoder *encoder;
			struct ek_preprocessing p;
			struct ek_buffer bytes = { 0 };
			struct ek_image image = { 0 };
			void *want = NULL, *got = NULL;

			assert_ok(ek_encoder_find(&encoder, encoders[j].encoder));
			assert_ok(ek_encoder_preprocessing(&p, encoder, encoders[j].side, 0));
			assert_ok(ek_alloc(&want, 1, ek_preprocessed_size(&p)));
			assert_ok(ek_alloc(&got, 1, ek_preprocessed_size(&p)));
			assert_ok(ek_file_read(&bytes, ek_join("tests/golden/images", files[i]), 1 << 20));
			assert_ok(ek_image_decode(&image, bytes.data, bytes.size, EK_MAX_PIXELS_DEFAULT, 0));
			assert_ok(ek_preprocess(want, &image, &p));
			assert_ok(ek_preprocess_encoded(got, bytes.data, bytes.size, EK_MAX_PIXELS_DEFAULT, &p));
			assert_memory_equal(got, want, ek_preprocessed_size(&p));
			assert_fails(ek_preprocess_encoded(got, bytes.data, bytes.size / 2, EK_MAX_PIXELS_DEFAULT, &p),
			             EK_EDATA, "");
			ek_buffer_release(&bytes);
			ek_image_release(&image);
			free(want);
			free(got);
		}
}

EK_TEST_MAIN(cmocka_unit_test(preprocessing_equals_that_of_the_published_code),
             cmocka_unit_test(encoded_images_give_the_same_numbers))
