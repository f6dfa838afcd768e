#include "rebalance/io/image.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rebalance/base/error.h"
#include "rebalance/io/avif.h"
#include "rebalance/io/bmp.h"
#include "rebalance/io/content.h"
#include "rebalance/io/gif.h"
#include "rebalance/io/jpeg.h"
#include "rebalance/io/png.h"
#include "rebalance/io/tiff.h"
#include "rebalance/io/webp.h"

static const struct format {
	enum ek_image_format format;
	const char *name, *extension;
	const char *magic; /* how a file starts, or NULL: `is` tells, or nothing does */
	size_t magic_size;
	int (*is)(const void *bytes, size_t size);
	int (*probe)(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
	/* NULL: by decoding */
	int (*check)(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels);
	int (*decode)(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels);
	/* Or, for those that can do less than all: */
	int (*decode_part)(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels,
	                   uint32_t smallest_side, const struct ek_image_window *window);
} formats[] = {
	// clang-format off
	{ EK_IMAGE_JPEG, "jpeg", "jpg", "\xff\xd8\xff", 3, NULL, ek_jpeg_probe, ek_jpeg_check, NULL, ek_jpeg_decode },
	{ EK_IMAGE_PNG, "png", "png", "\x89PNG\r\n\x1a\n", 8, NULL, ek_png_probe, ek_png_check, ek_png_decode, NULL },
	{ EK_IMAGE_WEBP, "webp", "webp", NULL, 0, ek_webp_is, ek_webp_probe, NULL, ek_webp_decode, NULL },
	{ EK_IMAGE_GIF, "gif", "gif", "GIF8", 4, NULL, ek_gif_probe, NULL, ek_gif_decode, NULL },
	{ EK_IMAGE_TIFF, "tiff", "tif", NULL, 0, ek_tiff_is, ek_tiff_probe, NULL, ek_tiff_decode, NULL },
	{ EK_IMAGE_AVIF, "avif", "avif", NULL, 0, ek_avif_is, ek_avif_probe, NULL, ek_avif_decode, NULL },
	{ EK_IMAGE_BMP, "bmp", "bmp", NULL, 0, ek_bmp_is, ek_bmp_probe, NULL, ek_bmp_decode, NULL },
	{ EK_IMAGE_GREY8, "grey8", "png", NULL, 0, NULL, NULL, NULL, NULL, NULL },
	{ EK_IMAGE_RGB8, "rgb8", "png", NULL, 0, NULL, NULL, NULL, NULL, NULL },
	// clang-format on
};

static int starts_as(const struct format *f, const void *bytes, size_t size)
{
	if (f->magic == NULL)
		return f->is != NULL && f->is(bytes, size);
	return size >= f->magic_size && memcmp(bytes, f->magic, f->magic_size) == 0;
}

static const struct format *find_format(const void *bytes, size_t size)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (starts_as(&formats[i], bytes, size))
			return &formats[i];
	return NULL;
}

static int need_format(const struct format **f, const void *bytes, size_t size)
{
	struct ek_buffer words = { 0 };
	int rc;

	if ((*f = find_format(bytes, size)) != NULL)
		return 0;
	EK_TRY(ek_content_describe(&words, bytes, size));
	rc = ek_fail(EK_EDATA, "%s", words.data);
out:
	ek_buffer_release(&words);
	return rc;
}

const char *ek_image_format_name(enum ek_image_format format)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (formats[i].format == format)
			return formats[i].name;
	return "unknown";
}

enum ek_image_format ek_image_format_of(const char *name)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (strcmp(formats[i].name, name) == 0)
			return formats[i].format;
	return EK_IMAGE_UNKNOWN;
}

const char *ek_image_format_extension(enum ek_image_format format)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (formats[i].format == format)
			return formats[i].extension;
	return "png";
}

int ek_name_ends_with(const char *name, const char *end)
{
	const size_t size = strlen(name), end_size = strlen(end);

	return size > end_size && strcasecmp(name + size - end_size, end) == 0;
}

int ek_has_image_extension(const char *name)
{
	static const char *const known[] = { ".jpg",  ".jpeg", ".jpe",  ".jfif", ".png",  ".gif",  ".bmp",
		                             ".webp", ".tif",  ".tiff", ".heic", ".heif", ".avif", ".ppm",
		                             ".pgm",  ".pbm",  ".pnm",  ".tga",  ".jp2",  ".jxl" };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (ek_name_ends_with(name, known[i]))
			return 1;
	return 0;
}

enum ek_image_format ek_image_sniff(const void *bytes, size_t size)
{
	const struct format *f = find_format(bytes, size);

	return f != NULL ? f->format : EK_IMAGE_UNKNOWN;
}

int ek_image_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	const struct format *f;
	int rc;

	EK_TRY(need_format(&f, bytes, size));
	rc = f->probe(info, bytes, size, max_pixels);
out:
	return rc;
}

int ek_image_check(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	const struct format *f;
	struct ek_image image = { 0 };
	int rc;

	EK_TRY(need_format(&f, bytes, size));
	if (f->check != NULL)
		return f->check(info, bytes, size, max_pixels);
	EK_TRY(f->decode(&image, bytes, size, max_pixels));
	*info = (struct ek_image_info){ f->format, image.width, image.height };
out:
	ek_image_release(&image);
	return rc;
}

static int decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels, uint32_t smallest_side,
                  const struct ek_image_window *window)
{
	const struct format *f;
	int rc;

	*image = (struct ek_image){ 0 };
	EK_TRY(need_format(&f, bytes, size));
	rc = f->decode_part != NULL ? f->decode_part(image, bytes, size, max_pixels, smallest_side, window)
	                            : f->decode(image, bytes, size, max_pixels);
out:
	return rc;
}

int ek_image_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels, uint32_t smallest_side)
{
	return decode(image, bytes, size, max_pixels, smallest_side, NULL);
}

int ek_image_decode_window(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels,
                           const struct ek_image_window *window)
{
	return decode(image, bytes, size, max_pixels, 0, window);
}

uint32_t ek_image_bare_pixel(enum ek_image_format format)
{
	return format == EK_IMAGE_GREY8 ? 1 : format == EK_IMAGE_RGB8 ? 3 : 0;
}

int ek_image_from_bare(struct ek_image *image, enum ek_image_format format, const void *bytes, size_t size,
                       uint32_t width, uint32_t height)
{
	const uint8_t *grey = bytes;
	int rc;

	*image = (struct ek_image){ 0 };
	if ((uint64_t)width * height * ek_image_bare_pixel(format) != size)
		return ek_fail(EK_EDATA, "%u x %u pixels in %zu bytes", width, height, size);
	EK_TRY(ek_image_allocate(image, width, height));
	if (format == EK_IMAGE_RGB8)
		memcpy(image->pixels, bytes, size);
	else
		for (size_t i = 0; i < size; i++)
			memset(image->pixels + 3 * i, grey[i], 3);
out:
	return rc;
}

int ek_image_encode_jpeg(struct ek_buffer *out, const struct ek_image *image, int quality)
{
	return ek_jpeg_encode(out, image, quality);
}

int ek_image_encode_png(struct ek_buffer *out, const struct ek_image *image)
{
	return ek_png_encode(out, image);
}
