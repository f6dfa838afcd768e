#include "tests/support/support.h"

#include <jpeglib.h>
#include <zlib.h>

#include "rebalance/base/file.h"
#include "rebalance/io/image.h"
#include "rebalance/io/orientation.h"

#define MANY EK_MAX_PIXELS_DEFAULT

static void read_golden(struct ek_buffer *b, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof path, "tests/golden/%s", name);
	ek_buffer_clear(b);
	assert_ok(ek_file_read(b, path, SIZE_MAX / 4));
}

static int largest_difference(const uint8_t *a, const uint8_t *b, size_t size)
{
	int largest = 0;

	for (size_t i = 0; i < size; i++)
		largest = abs(a[i] - b[i]) > largest ? abs(a[i] - b[i]) : largest;
	return largest;
}

/* JPEG decoding is defined to the bit for libjpeg-turbo's accurate integer transform, and for the rest all is integer
 * arithmetic copied from Pillow: no difference is allowed. */
static void pixels_equal_pillows(void **state)
{
	struct ek_buffer file = { 0 }, want = { 0 };
	cJSON *golden = ek_golden("images");
	const cJSON *one;
	size_t cases = 0;

	read_golden(&want, "images.bin");
	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "cases"))
	{
		const char *name = cJSON_GetObjectItem(one, "file")->valuestring;
		const int width = cJSON_GetObjectItem(one, "width")->valueint;
		const int height = cJSON_GetObjectItem(one, "height")->valueint;
		const size_t offset = (size_t)cJSON_GetObjectItem(one, "offset")->valueint;
		struct ek_image_info info;
		struct ek_image image;
		int difference;

		read_golden(&file, ek_join("images", name));
		assert_ok(ek_image_probe(&info, file.data, file.size, MANY));
		assert_int_equal(info.width, width);
		assert_int_equal(info.height, height);
		assert_string_equal(ek_image_format_extension(info.format), strrchr(name, '.') + 1);
		assert_int_equal(ek_image_format_of(ek_image_format_name(info.format)), info.format);
		memset(&info, 0, sizeof info);
		assert_ok(ek_image_check(&info, file.data, file.size, MANY));
		assert_int_equal(info.width, width);
		assert_ok(ek_image_decode(&image, file.data, file.size, MANY, 0));
		assert_int_equal(image.width, width);
		assert_int_equal(image.height, height);
		difference = largest_difference(image.pixels, (const uint8_t *)want.data + offset,
		                                (size_t)width * (size_t)height * 3);
		if (difference != 0)
			fail_msg("%s differs by up to %d", name, difference);
		ek_image_release(&image);
		cases++;
	}
	assert_true(cases > 160);
	cJSON_Delete(golden);
	ek_buffer_release(&file);
	ek_buffer_release(&want);
}

/* Every file cut short is refused by check and decode, with a reason, and never lost memory (sanitizers look). */
static void cut_files_are_refused(void **state)
{
	static const char *const names[] = {
		"images/baseline-420.jpg",    "images/progressive-444.jpg", "images/cmyk.jpg",
		"images/orientation-6.jpg",   "images/color6-8bit.png",     "images/color3-4bit-interlaced.png",
		"images/color2-8bit-trns.png"
	};
	struct ek_buffer file = { 0 };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		read_golden(&file, names[i]);
		for (size_t size = 0; size < file.size; size++) {
			/* An exact copy, so that reading beyond it is seen. */
			uint8_t *part = malloc(size + (size == 0));
			struct ek_image_info info;
			struct ek_image image;

			assert_non_null(part);
			memcpy(part, file.data, size);
			assert_int_equal(ek_image_check(&info, part, size, MANY), EK_EDATA);
			assert_int_equal(ek_image_decode(&image, part, size, MANY, 0), EK_EDATA);
			assert_null(image.pixels);
			assert_true(strlen(ek_error_message()) > 5);
			free(part);
		}
	}
	ek_buffer_release(&file);
}

/* What follows the last pixel may be missing; else as above. */
static void other_cut_files_are_refused_or_whole(void **state)
{
	static const char *const names[] = { "images/lossy.webp",     "images/lossless-alpha.webp",
		                             "images/animation.webp", "images/plain.gif",
		                             "images/interlaced.gif", "images/24.bmp",
		                             "images/8-runs.bmp",     "images/rgb-tiff_lzw.tif",
		                             "images/group4.tif",     "images/rgb16-big.tif",
		                             "images/tiles.tif",      "images/420.avif",
		                             "images/rgb-jpeg.tif" };
	struct ek_buffer file = { 0 };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct ek_image whole, image;
		size_t refused = 0;

		read_golden(&file, names[i]);
		assert_ok(ek_image_decode(&whole, file.data, file.size, MANY, 0));
		for (size_t size = 0; size < file.size; size += 1 + size / 300) {
			uint8_t *part = malloc(size + (size == 0));

			assert_non_null(part);
			memcpy(part, file.data, size);
			if (ek_image_decode(&image, part, size, MANY, 0) == 0) {
				assert_int_equal(image.width, whole.width);
				assert_int_equal(image.height, whole.height);
				assert_memory_equal(image.pixels, whole.pixels, 3 * (size_t)whole.width * whole.height);
				ek_image_release(&image);
			} else {
				assert_null(image.pixels);
				assert_true(strlen(ek_error_message()) > 5);
				refused++;
			}
			free(part);
		}
		if (refused < 100)
			fail_msg("%s: only %zu cuts were noticed", names[i], refused);
		ek_image_release(&whole);
	}
	ek_buffer_release(&file);
}

static void damage_is_told_and_extra_bytes_are_not_damage(void **state)
{
	struct ek_buffer file = { 0 }, other = { 0 };
	struct ek_image_info info;
	struct ek_image image;
	size_t scan = 0;

	read_golden(&file, "images/baseline-420.jpg");
	for (size_t i = 0; i + 1 < file.size; i++)
		if ((uint8_t)file.data[i] == 0xff && (uint8_t)file.data[i + 1] == 0xda)
			scan = i;
	assert_true(scan > 0);

	assert_ok(ek_buffer_append(&other, file.data, scan));
	assert_ok(ek_buffer_append(&other, "junk", 4));
	assert_ok(ek_buffer_append(&other, file.data + scan, file.size - scan));
	assert_ok(ek_buffer_append(&other, "more junk", 9));
	assert_ok(ek_image_check(&info, other.data, other.size, MANY));
	assert_ok(ek_image_decode(&image, other.data, other.size, MANY, 0));
	ek_image_release(&image);

	assert_fails(ek_image_check(&info, file.data, file.size - 2, MANY), EK_EDATA, "Premature end of JPEG file");
	assert_fails(ek_image_decode(&image, file.data, file.size / 2 + scan / 2, MANY, 0), EK_EDATA,
	             "Premature end of JPEG file");
	for (size_t i = 0; i < 60; i += 2) /* a stuffed byte of ones: no Huffman code is all ones */
		memcpy(file.data + scan + 40 + i, "\xff", 2);
	assert_fails(ek_image_check(&info, file.data, file.size, MANY), EK_EDATA, "Corrupt JPEG data");

	read_golden(&file, "images/color2-8bit.png");
	file.data[20] ^= 1;
	assert_fails(ek_image_probe(&info, file.data, file.size, MANY), EK_EDATA, "damaged header");
	file.data[20] ^= 1;
	file.data[file.size - 40] ^= 1;
	assert_ok(ek_image_probe(&info, file.data, file.size, MANY));
	assert_int_equal(ek_image_check(&info, file.data, file.size, MANY), EK_EDATA);
	assert_int_equal(ek_image_decode(&image, file.data, file.size, MANY, 0), EK_EDATA);

	assert_fails(ek_image_probe(&info, "GIF89a", 6, MANY), EK_EDATA, "GIF: the file ends early");
	assert_fails(ek_image_probe(&info, "<html>", 6, MANY), EK_EDATA, "an HTML page");
	assert_fails(ek_image_probe(&info, NULL, 0, MANY), EK_EDATA, "empty");
	assert_int_equal(ek_image_sniff("\xff\xd8", 2), EK_IMAGE_UNKNOWN);
	ek_buffer_release(&file);
	ek_buffer_release(&other);
}

static void too_many_pixels_are_refused(void **state)
{
	static const char *const names[] = { "images/larger.jpg", "images/color2-8bit.png" };
	struct ek_buffer file = { 0 };

	for (size_t i = 0; i < 2; i++) {
		struct ek_image_info info;
		struct ek_image image;
		uint64_t pixels;

		read_golden(&file, names[i]);
		assert_ok(ek_image_probe(&info, file.data, file.size, MANY));
		pixels = (uint64_t)info.width * info.height;
		assert_ok(ek_image_check(&info, file.data, file.size, pixels));
		assert_fails(ek_image_probe(&info, file.data, file.size, pixels - 1), EK_EDATA, "limit");
		assert_fails(ek_image_check(&info, file.data, file.size, pixels - 1), EK_EDATA, "limit");
		assert_fails(ek_image_decode(&image, file.data, file.size, pixels - 1, 0), EK_EDATA, "limit");
	}
	ek_buffer_release(&file);
}

/* A sequential JPEG of 16 × 16 pixels with one scan for each component. */
static void make_separate_scans(unsigned char **bytes, unsigned long *size)
{
	static const jpeg_scan_info scans[] = { { 1, { 0 }, 0, 63, 0, 0 },
		                                { 1, { 1 }, 0, 63, 0, 0 },
		                                { 1, { 2 }, 0, 63, 0, 0 } };
	struct jpeg_compress_struct j;
	struct jpeg_error_mgr errors;
	uint8_t row[16 * 3] = { 9, 99, 199 };

	j.err = jpeg_std_error(&errors);
	jpeg_create_compress(&j);
	jpeg_mem_dest(&j, bytes, size);
	j.image_width = j.image_height = 16;
	j.input_components = 3;
	j.in_color_space = JCS_RGB;
	jpeg_set_defaults(&j);
	j.scan_info = scans;
	j.num_scans = 3;
	jpeg_start_compress(&j, TRUE);
	for (int y = 0; y < 16; y++)
		(void)jpeg_write_scanlines(&j, (JSAMPROW[]){ row }, 1);
	jpeg_finish_compress(&j);
	jpeg_destroy_compress(&j);
}

/* A scan that says nothing new, again and again: small to send, long to read. */
static void endless_scans_are_refused(void **state)
{
	struct ek_buffer bomb = { 0 };
	unsigned char *file = NULL;
	struct ek_image_info info;
	struct ek_image image;
	unsigned long size = 0;
	size_t scan = 0;

	make_separate_scans(&file, &size);
	assert_ok(ek_image_check(&info, file, size, MANY));
	for (size_t i = 0; i + 1 < size; i++)
		if (file[i] == 0xff && file[i + 1] == 0xda)
			scan = i;
	assert_ok(ek_buffer_append(&bomb, file, size - 2));
	for (int scans = 3; scans < 501; scans++) {
		if (scans == 500) {
			struct ek_buffer most = { 0 };

			assert_ok(ek_buffer_append(&most, bomb.data, bomb.size));
			assert_ok(ek_buffer_append(&most, "\xff\xd9", 2));
			assert_ok(ek_image_check(&info, most.data, most.size, MANY));
			/* 500 × 256 pixels, of which 64 × 1999 may be read */
			assert_fails(ek_image_check(&info, most.data, most.size, 1999), EK_EDATA, "scans");
			ek_buffer_release(&most);
		}
		assert_ok(ek_buffer_append(&bomb, file + scan, size - 2 - scan));
	}
	assert_ok(ek_buffer_append(&bomb, "\xff\xd9", 2));
	assert_fails(ek_image_check(&info, bomb.data, bomb.size, MANY), EK_EDATA, "more than 500 scans");
	assert_fails(ek_image_decode(&image, bomb.data, bomb.size, MANY, 0), EK_EDATA, "more than 500 scans");
	free(file);
	ek_buffer_release(&bomb);
}

static void thumbnails_come_from_scaled_decoding(void **state)
{
	static const struct {
		uint32_t least, width, height;
	} cases[] = { { 0, 201, 150 }, { 150, 201, 150 }, { 76, 201, 150 }, { 75, 101, 75 },   { 38, 51, 38 },
		      { 39, 101, 75 }, { 19, 26, 19 },    { 1, 26, 19 },    { 1000, 201, 150 } };
	struct ek_buffer file = { 0 };

	read_golden(&file, "images/larger.jpg");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ek_image image;

		assert_ok(ek_image_decode(&image, file.data, file.size, MANY, cases[i].least));
		assert_int_equal(image.width, cases[i].width);
		assert_int_equal(image.height, cases[i].height);
		ek_image_release(&image);
	}
	ek_buffer_release(&file);
}

/* Every kind of file, with windows at all edges and inside; damage outside of them is still seen. */
static void windows_show_the_whole_pictures_pixels(void **state)
{
	struct ek_buffer file = { 0 };
	cJSON *golden = ek_golden("images");
	const cJSON *one;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "cases"))
	{
		struct ek_image whole, part;

		read_golden(&file, ek_join("images", cJSON_GetObjectItem(one, "file")->valuestring));
		assert_ok(ek_image_decode(&whole, file.data, file.size, MANY, 0));
		for (uint32_t w = 0; w < 16; w++) {
			/* From the first pixel, a third, half way or the last, as long as one pixel or to the end. */
			const uint32_t at[4][2] = { { 0, 0 },
				                    { whole.width / 3, whole.height / 3 },
				                    { whole.width / 2, whole.height / 2 },
				                    { whole.width - 1, whole.height - 1 } };
			const uint32_t x = at[w % 4][0], y = at[w / 4][1];
			const struct ek_image_window window = { x, y, w % 3 == 0 ? 1 : whole.width - x,
				                                w % 5 == 0 ? 1 : whole.height - y };

			assert_ok(ek_image_decode_window(&part, file.data, file.size, MANY, &window));
			assert_int_equal(part.width, whole.width);
			assert_int_equal(part.height, whole.height);
			for (uint32_t row = y; row < y + window.height; row++)
				assert_memory_equal(part.pixels + 3 * ((size_t)row * whole.width + x),
				                    whole.pixels + 3 * ((size_t)row * whole.width + x),
				                    3 * (size_t)window.width);
			ek_image_release(&part);
		}
		ek_image_release(&whole);
		/* Formats that end with what is not the picture do not mind. */
		if (ek_image_sniff(file.data, file.size) <= EK_IMAGE_PNG)
			assert_int_equal(ek_image_decode_window(&part, file.data, file.size - 5, MANY,
			                                        &(struct ek_image_window){ 0, 0, 1, 1 }),
			                 EK_EDATA);
	}
	cJSON_Delete(golden);
	ek_buffer_release(&file);
}

static void written_images_read_back(void **state)
{
	struct ek_buffer file = { 0 }, png = { 0 }, jpeg = { 0 }, again = { 0 };
	struct ek_image image, back;
	size_t size;

	read_golden(&file, "images/larger.jpg");
	assert_ok(ek_image_decode(&image, file.data, file.size, MANY, 0));
	size = (size_t)image.width * image.height * 3;
	assert_ok(ek_buffer_text(&png, "before"));
	assert_ok(ek_image_encode_png(&png, &image));
	assert_memory_equal(png.data, "before", 6);
	assert_ok(ek_image_decode(&back, png.data + 6, png.size - 6, MANY, 0));
	assert_memory_equal(back.pixels, image.pixels, size);
	ek_image_release(&back);

	assert_ok(ek_image_encode_jpeg(&jpeg, &image, 95));
	assert_ok(ek_image_encode_jpeg(&again, &image, 95));
	assert_int_equal(jpeg.size, again.size);
	assert_memory_equal(jpeg.data, again.data, jpeg.size);
	assert_ok(ek_image_decode(&back, jpeg.data, jpeg.size, MANY, 0));
	assert_int_equal(back.width, image.width);
	assert_int_equal(back.height, image.height);
	{
		double squares = 0;

		for (size_t i = 0; i < size; i++)
			squares += (back.pixels[i] - image.pixels[i]) * (back.pixels[i] - image.pixels[i]);
		/* The picture's noise lies above what 4:2:0 keeps of colour; a wrong picture would be off by some 90.
		 */
		assert_true(sqrt(squares / (double)size) < 15);
	}
	assert_fails(ek_image_encode_jpeg(&jpeg, &image, 0), EK_EUSAGE, "quality");
	ek_image_release(&back);
	image.width = 70000;
	image.height = 0;
	assert_int_equal(ek_image_encode_jpeg(&again, &image, 90), EK_EUSAGE);
	assert_int_equal(again.size, jpeg.size);
	assert_int_equal(ek_image_encode_png(&again, &image), EK_EUSAGE);
	assert_int_equal(again.size, jpeg.size);
	ek_image_release(&image);
	ek_buffer_release(&file);
	ek_buffer_release(&png);
	ek_buffer_release(&jpeg);
	ek_buffer_release(&again);
}

static void bare_pixels_become_rgb(void **state)
{
	const uint8_t grey[4] = { 0, 7, 200, 255 }, want[12] = { 0, 0, 0, 7, 7, 7, 200, 200, 200, 255, 255, 255 };
	struct ek_image image;

	assert_ok(ek_image_from_bare(&image, EK_IMAGE_GREY8, grey, 4, 2, 2));
	assert_memory_equal(image.pixels, want, 12);
	ek_image_release(&image);
	assert_ok(ek_image_from_bare(&image, EK_IMAGE_RGB8, want, 12, 2, 2));
	assert_memory_equal(image.pixels, want, 12);
	ek_image_release(&image);
	assert_fails(ek_image_from_bare(&image, EK_IMAGE_RGB8, want, 12, 2, 1), EK_EDATA, "2 x 1 pixels in 12 bytes");
	assert_string_equal(ek_image_format_name(EK_IMAGE_GREY8), "grey8");
	assert_string_equal(ek_image_format_name(EK_IMAGE_RGB8), "rgb8");
	assert_string_equal(ek_image_format_name(EK_IMAGE_UNKNOWN), "unknown");
	ek_image_release(&image);
}

/* Where EXIF does not say it, as Pillow's exif_transpose. */
static void xmp_turns_what_exif_leaves(void **state)
{
	static const uint8_t upright[] = "II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\1\0\0\0";
	static const uint8_t silent[] = "II*\0\x08\0\0\0\1\0\x0f\1\3\0\1\0\0\0\6\0\0\0";
	static const struct {
		const char *xmp;
		int want;
	} cases[] = { { "<d tiff:Orientation=\"6\"/>", 6 },
		      { "<tiff:Orientation>8</tiff:Orientation>", 8 },
		      { "tiff:Orientation tiff:Orientation='3' tiff:Orientation=\"3\"", 3 },
		      { "tiff:Orientation=\"0\" tiff:Orientation=\"3\"", 1 },
		      { "tiff:Orientation=\"9\"", 1 },
		      { "tiff:Orientation=\"", 1 },
		      { "tiff:Orientation>", 1 },
		      { "tiff:Orientation", 1 },
		      { "", 1 } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *xmp = cases[i].xmp;

		assert_int_equal(ek_image_orientation(NULL, 0, xmp, strlen(xmp)), cases[i].want);
		assert_int_equal(ek_image_orientation(silent, sizeof silent, xmp, strlen(xmp)), cases[i].want);
		assert_int_equal(ek_image_orientation(upright, sizeof upright, xmp, strlen(xmp)), 1);
	}
}

static void a_png_is_turned_by_its_xmp(void **state)
{
	static const char data[] = "iTXtXML:com.adobe.xmp\0\0\0en\0key\0<d tiff:Orientation=\"6\"/>";
	enum { IHDR_END = 33, SIZE = sizeof data - 1 };
	uint8_t pixels[] = { 1, 2, 3, 4, 5, 6 }, number[4];
	struct ek_image image = { .width = 2, .height = 1, .pixels = pixels }, read;
	struct ek_buffer plain = { 0 }, png = { 0 };
	struct ek_image_info info;

	assert_ok(ek_image_encode_png(&plain, &image));
	assert_ok(ek_buffer_append(&png, plain.data, IHDR_END));
	for (int i = 0; i < 4; i++)
		number[i] = (uint8_t)((SIZE - 4) >> 8 * (3 - i));
	assert_ok(ek_buffer_append(&png, number, 4));
	assert_ok(ek_buffer_append(&png, data, SIZE));
	for (int i = 0; i < 4; i++)
		number[i] = (uint8_t)(crc32(0, (const uint8_t *)data, SIZE) >> 8 * (3 - i));
	assert_ok(ek_buffer_append(&png, number, 4));
	assert_ok(ek_buffer_append(&png, plain.data + IHDR_END, plain.size - IHDR_END));
	assert_ok(ek_image_check(&info, png.data, png.size, MANY));
	assert_int_equal(info.width, 1);
	assert_int_equal(info.height, 2);
	assert_ok(ek_image_decode(&read, png.data, png.size, MANY, 0));
	assert_memory_equal(read.pixels, pixels, sizeof pixels);
	ek_image_release(&read);
	png.data[IHDR_END + 8] ^= 1; /* the checksum no longer holds: it does not turn it */
	assert_ok(ek_image_probe(&info, png.data, png.size, MANY));
	assert_int_equal(info.width, 2);
	ek_buffer_release(&plain);
	ek_buffer_release(&png);
}

EK_TEST_MAIN(cmocka_unit_test(pixels_equal_pillows), cmocka_unit_test(xmp_turns_what_exif_leaves),
             cmocka_unit_test(a_png_is_turned_by_its_xmp), cmocka_unit_test(cut_files_are_refused),
             cmocka_unit_test(other_cut_files_are_refused_or_whole),
             cmocka_unit_test(damage_is_told_and_extra_bytes_are_not_damage),
             cmocka_unit_test(too_many_pixels_are_refused), cmocka_unit_test(endless_scans_are_refused),
             cmocka_unit_test(thumbnails_come_from_scaled_decoding),
             cmocka_unit_test(windows_show_the_whole_pictures_pixels), cmocka_unit_test(written_images_read_back),
             cmocka_unit_test(bare_pixels_become_rgb))
