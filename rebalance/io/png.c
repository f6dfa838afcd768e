#include "rebalance/io/png.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>
#include <zlib.h>

#include "rebalance/base/error.h"
#include "rebalance/io/orientation.h"
#include "rebalance/io/pixels.h"

enum { SIGNATURE_SIZE = 8, HEADER_SIZE = SIGNATURE_SIZE + 25, MAX_SIDE = 1000000, MAX_CHUNK = 8000000 };

/* One reading or writing of a file; libpng reports failure by a jump, which guarded code catches. */
struct work {
	png_structp png;
	png_infop info;
	int code; /* what a failure means here: EK_EDATA when reading, EK_EUSAGE when writing */
	int rc;
	const uint8_t *bytes; /* of the file, and how many are left */
	size_t left;
	struct ek_buffer *out;
	struct ek_image *image;
	uint8_t *scratch;
};

/* The only place that libpng's jumps come back to. */
static int guarded(struct work *w, int (*step)(struct work *w))
{
	if (setjmp(png_jmpbuf(w->png)) != 0)
		return w->rc;
	return step(w);
}

__attribute__((noreturn)) static void leave(png_structp png, png_const_charp message)
{
	struct work *w = png_get_error_ptr(png);
	const int code = strcmp(message, "Out of memory") == 0 ? EK_ENOMEM : w->code;

	if (w->rc == 0)
		w->rc = ek_fail(code, "PNG: %s", message);
	png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message)
{
	(void)png;
	(void)message;
}

static void give_bytes(png_structp png, png_bytep to, size_t size)
{
	struct work *w = png_get_io_ptr(png);

	if (size > w->left)
		png_error(png, "the file ends early");
	memcpy(to, w->bytes, size);
	w->bytes += size;
	w->left -= size;
}

static void take_bytes(png_structp png, png_bytep from, size_t size)
{
	struct work *w = png_get_io_ptr(png);

	if ((w->rc = ek_buffer_append(w->out, from, size)) < 0)
		png_error(png, "Out of memory");
}

static void nothing_to_flush(png_structp png)
{
	(void)png;
}

/* A chunk's data, of `*size` bytes, if it is whole. */
static const uint8_t *whole_chunk(const uint8_t *chunk, size_t length, size_t *size)
{
	*size = length;
	return crc32(0, chunk + 4, (uInt)(length + 4)) == png_get_uint_32(chunk + 8 + length) ? chunk + 8 : NULL;
}

/* The text of an iTXt chunk of XMP that is not compressed, or NULL. */
static const uint8_t *xmp_of(const uint8_t *data, size_t *size)
{
	static const char key[] = "XML:com.adobe.xmp";
	const uint8_t *end = data + *size, *at = data + sizeof key + 2; /* compressed, method */

	if (*size < sizeof key + 4 || memcmp(data, key, sizeof key) != 0 || data[sizeof key] != 0)
		return NULL;
	for (int i = 0; i < 2 && at != NULL; i++) { /* language, translated key */
		at = memchr(at, 0, (size_t)(end - at));
		at = at != NULL ? at + 1 : NULL;
	}
	*size = at != NULL ? (size_t)(end - at) : 0;
	return at;
}

/* Of the chunks eXIf and iTXt, which may stand anywhere. */
static int find_orientation(const uint8_t *bytes, size_t size)
{
	const uint8_t *exif = NULL, *xmp = NULL;
	size_t exif_size = 0, xmp_size = 0;

	for (size_t at = SIGNATURE_SIZE; size - at >= 12;) {
		const size_t length = png_get_uint_32(bytes + at);

		if (length > size - at - 12)
			break;
		if (exif == NULL && memcmp(bytes + at + 4, "eXIf", 4) == 0)
			exif = whole_chunk(bytes + at, length, &exif_size);
		if (xmp == NULL && memcmp(bytes + at + 4, "iTXt", 4) == 0 &&
		    (xmp = whole_chunk(bytes + at, length, &xmp_size)) != NULL)
			xmp = xmp_of(xmp, &xmp_size);
		at += 12 + length;
	}
	return ek_image_orientation(exif, exif_size, xmp, xmp_size);
}

/* The size as stored. */
static int probe_stored(uint32_t *width, uint32_t *height, const void *bytes, size_t size, uint64_t max_pixels)
{
	const uint8_t *header = (const uint8_t *)bytes + SIGNATURE_SIZE; /* length, "IHDR", 13 bytes, CRC */
	int rc;

	if (size < HEADER_SIZE)
		return ek_fail(EK_EDATA, "PNG: the file ends early");
	if (memcmp(header, "\0\0\0\x0dIHDR", 8) != 0 || crc32(0, header + 4, 17) != png_get_uint_32(header + 21))
		return ek_fail(EK_EDATA, "PNG: damaged header");
	*width = png_get_uint_32(header + 8);
	*height = png_get_uint_32(header + 12);
	if ((rc = ek_image_check_size(*width, *height, max_pixels)) < 0)
		return rc;
	if (*width > MAX_SIDE || *height > MAX_SIDE)
		return ek_fail(EK_EDATA, "PNG: the header claims %u x %u pixels, the limit of a side is %d", *width,
		               *height, MAX_SIDE);
	return 0;
}

int ek_png_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	uint32_t width = 0, height = 0;
	int rc;

	EK_TRY(probe_stored(&width, &height, bytes, size, max_pixels));
	ek_image_tell(info, EK_IMAGE_PNG, width, height, find_orientation(bytes, size));
out:
	return rc;
}

static int work_init(struct work *w, const void *bytes, size_t size)
{
	w->code = EK_EDATA;
	w->bytes = bytes;
	w->left = size;
	w->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, w, leave, ignore);
	if (w->png == NULL || (w->info = png_create_info_struct(w->png)) == NULL)
		return ek_fail(EK_ENOMEM, "no memory to read a PNG");
	return 0;
}

static void work_release(struct work *w)
{
	png_destroy_read_struct(&w->png, &w->info, NULL);
	free(w->scratch);
}

/* Up to the pixels; nothing but what shapes them is kept. */
static void read_header(struct work *w)
{
	png_set_read_fn(w->png, w, give_bytes);
	png_set_user_limits(w->png, MAX_SIDE, MAX_SIDE);
	png_set_chunk_malloc_max(w->png, MAX_CHUNK);
	png_set_keep_unknown_chunks(w->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
	png_read_info(w->png, w->info);
}

static int read_through(struct work *w)
{
	png_uint_32 height;
	int passes;

	read_header(w);
	passes = png_set_interlace_handling(w->png);
	png_read_update_info(w->png, w->info);
	height = png_get_image_height(w->png, w->info);
	if (ek_alloc(&w->scratch, png_get_rowbytes(w->png, w->info), 1) < 0)
		return EK_ENOMEM;
	while (passes-- > 0)
		for (png_uint_32 y = 0; y < height; y++)
			png_read_row(w->png, w->scratch, NULL);
	png_read_end(w->png, NULL);
	return 0;
}

int ek_png_check(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct ek_image_info found;
	struct work w = { 0 };
	int rc;

	EK_TRY(ek_png_probe(&found, bytes, size, max_pixels));
	EK_TRY(work_init(&w, bytes, size));
	EK_TRY(guarded(&w, read_through));
	*info = found;
out:
	work_release(&w);
	return rc;
}

/* Ask libpng for 8-bit RGB, with alpha where the file has transparency. */
static void ask_for_rgb(struct work *w)
{
	png_set_expand(w->png);
	png_set_strip_16(w->png);
	png_set_gray_to_rgb(w->png);
}

static int read_pixels(struct work *w)
{
	const size_t width = w->image->width, height = w->image->height;
	int passes, transparent;
	size_t stride;

	read_header(w);
	ask_for_rgb(w);
	passes = png_set_interlace_handling(w->png);
	png_read_update_info(w->png, w->info);
	transparent = png_get_channels(w->png, w->info) == 4;
	stride = transparent ? 4 * width : 3 * width;
	if (png_get_rowbytes(w->png, w->info) != stride)
		png_error(w->png, "unexpected kind of pixels");
	/* Rows of an interlaced file come several times, each time more of them. */
	if (transparent && ek_alloc(&w->scratch, passes > 1 ? height : 1, stride) < 0)
		return EK_ENOMEM;
	for (int pass = 0; pass < passes; pass++) {
		for (size_t y = 0; y < height; y++) {
			uint8_t *rgb = w->image->pixels + y * 3 * width;
			uint8_t *row = transparent ? w->scratch + (passes > 1 ? y * stride : 0) : rgb;

			png_read_row(w->png, row, NULL);
			if (transparent && pass == passes - 1)
				ek_pixels_over_white(rgb, row, width);
		}
	}
	png_read_end(w->png, NULL);
	return 0;
}

int ek_png_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct ek_image stored = { 0 };
	struct work w = { .image = &stored };
	uint32_t width = 0, height = 0;
	int rc;

	EK_TRY(probe_stored(&width, &height, bytes, size, max_pixels));
	EK_TRY(ek_image_allocate(&stored, width, height));
	EK_TRY(work_init(&w, bytes, size));
	EK_TRY(guarded(&w, read_pixels));
	EK_TRY(ek_image_turn(image, &stored, find_orientation(bytes, size)));
out:
	ek_image_release(&stored);
	work_release(&w);
	return rc;
}

static int write_pixels(struct work *w)
{
	png_set_write_fn(w->png, w, take_bytes, nothing_to_flush);
	png_set_IHDR(w->png, w->info, w->image->width, w->image->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
	             PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(w->png, w->info);
	for (size_t y = 0; y < w->image->height; y++)
		png_write_row(w->png, w->image->pixels + y * 3 * w->image->width);
	png_write_end(w->png, w->info);
	return 0;
}

int ek_png_encode(struct ek_buffer *out, const struct ek_image *image)
{
	const size_t before = out->size;
	struct ek_image copy = *image;
	struct work w = { .code = EK_EUSAGE, .out = out, .image = &copy };
	int rc;

	w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, leave, ignore);
	if (w.png == NULL || (w.info = png_create_info_struct(w.png)) == NULL)
		rc = ek_fail(EK_ENOMEM, "no memory to write a PNG");
	else
		rc = guarded(&w, write_pixels);
	png_destroy_write_struct(&w.png, &w.info);
	if (rc < 0) {
		out->size = before;
		if (out->data != NULL)
			out->data[before] = 0;
	}
	return rc;
}
