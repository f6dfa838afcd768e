#include "rebalance/io/bmp.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/pixels.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40 };
enum { RAW, RLE8, RLE4, BITFIELDS };

/* Where the parts of a 32-bit pixel lie. */
struct layout {
	uint32_t masks[4]; /* red, green, blue, alpha */
	int at[4];         /* byte; alpha: −1 for none */
};

struct bmp {
	const uint8_t *bytes;
	size_t size, pixels_at;
	uint32_t width, height, bits, compression;
	int top_down, is_grey; /* is_grey: the palette is the grey ramp */
	uint8_t palette[256][3];
	int green_is_6_bits;         /* of 16 */
	const struct layout *layout; /* of 32 */
};

static const struct layout layouts[] = {
	{ { 0xff0000, 0xff00, 0xff, 0 }, { 2, 1, 0, -1 } },
	{ { 0xff000000, 0xff0000, 0xff00, 0 }, { 3, 2, 1, -1 } },
	{ { 0xff000000, 0xff00, 0xff, 0 }, { 3, 1, 0, -1 } },
	{ { 0xff000000, 0xff0000, 0xff00, 0xff }, { 3, 2, 1, 0 } },
	{ { 0xff, 0xff00, 0xff0000, 0xff000000 }, { 0, 1, 2, 3 } },
	{ { 0xff0000, 0xff00, 0xff, 0xff000000 }, { 2, 1, 0, 3 } },
	{ { 0xff000000, 0xff00, 0xff, 0xff0000 }, { 3, 1, 0, 2 } },
	{ { 0, 0, 0, 0 }, { 2, 1, 0, 3 } },
};

static uint32_t u16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
	return u16(p) | u16(p + 2) << 16;
}

static int is_header_size(uint32_t size)
{
	return size == CORE_HEADER || size == INFO_HEADER || size == 52 || size == 56 || size == 64 || size == 108 ||
	       size == 124;
}

int ek_bmp_is(const void *bytes, size_t size)
{
	const uint8_t *b = bytes;

	return size >= FILE_HEADER + 4 && b[0] == 'B' && b[1] == 'M' && is_header_size(u32(b + FILE_HEADER));
}

static int ends_early(void)
{
	return ek_fail(EK_EDATA, "BMP: the file ends early");
}

static int read_masks(struct bmp *b, uint32_t header_size)
{
	const uint8_t *masks = b->bytes + FILE_HEADER + INFO_HEADER;
	const int has_alpha = header_size >= 56;

	if (b->size < FILE_HEADER + INFO_HEADER + (has_alpha ? 16 : 12))
		return ends_early();
	b->layout = NULL;
	if (b->bits == 32)
		for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
			if (u32(masks) == layouts[i].masks[0] && u32(masks + 4) == layouts[i].masks[1] &&
			    u32(masks + 8) == layouts[i].masks[2] &&
			    (has_alpha ? u32(masks + 12) : 0) == layouts[i].masks[3])
				b->layout = &layouts[i];
	b->green_is_6_bits = b->bits == 16 && u32(masks) == 0xf800 && u32(masks + 4) == 0x7e0 && u32(masks + 8) == 0x1f;
	if (b->layout != NULL || b->green_is_6_bits)
		return 0;
	if (b->bits == 16 && u32(masks) == 0x7c00 && u32(masks + 4) == 0x3e0 && u32(masks + 8) == 0x1f)
		return 0;
	if (b->bits == 24 && u32(masks) == 0xff0000 && u32(masks + 4) == 0xff00 && u32(masks + 8) == 0xff)
		return 0;
	return ek_fail(EK_EDATA, "BMP: bit masks %08x, %08x, %08x for %u bits are not known", u32(masks),
	               u32(masks + 4), u32(masks + 8), b->bits);
}

static int read_palette(struct bmp *b, size_t at, uint32_t colors, size_t entry)
{
	if (colors == 0 || colors > 65536)
		return ek_fail(EK_EDATA, "BMP: a palette of %u colours", colors);
	b->is_grey = 1;
	for (uint32_t i = 0; i < colors && i < 256; i++, at += entry) {
		const uint8_t grey = (uint8_t)(colors == 2 ? 255 * i : i);

		if (b->size < at + 3)
			return ends_early();
		for (size_t c = 0; c < 3; c++) {
			b->palette[i][c] = b->bytes[at + 2 - c];
			b->is_grey &= b->palette[i][c] == grey;
		}
	}
	b->is_grey &= colors <= 256 && b->bits == 8;
	return 0;
}

static int check_kind(const struct bmp *b)
{
	static const uint32_t depths[] = { 1, 4, 8, 16, 24, 32 };
	int known = 0;

	for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
		known |= b->bits == depths[i];
	if (!known)
		return ek_fail(EK_EDATA, "BMP: %u bits a pixel", b->bits);
	if (b->compression > BITFIELDS)
		return ek_fail(EK_EDATA, "BMP: compression %u is not known", b->compression);
	if ((b->compression == RLE8 && b->bits != 8) || (b->compression == RLE4 && b->bits != 4) ||
	    (b->compression == BITFIELDS && b->bits <= 8))
		return ek_fail(EK_EDATA, "BMP: compression %u does not go with %u bits", b->compression, b->bits);
	return 0;
}

static int read_header(struct bmp *b, const void *bytes, size_t size, uint64_t max_pixels)
{
	const uint8_t *h = (const uint8_t *)bytes + FILE_HEADER;
	uint32_t header_size, colors = 0;
	size_t palette_at;
	int rc;

	*b = (struct bmp){ .bytes = bytes, .size = size, .layout = &layouts[0] };
	if (size < FILE_HEADER + CORE_HEADER || size < FILE_HEADER + (size_t)u32(h))
		return ends_early();
	header_size = u32(h);
	if (header_size == CORE_HEADER) {
		b->width = u16(h + 4);
		b->height = u16(h + 6);
		b->bits = u16(h + 10);
	} else {
		b->width = u32(h + 4);
		b->top_down = h[11] == 0xff;
		b->height = b->top_down ? 0u - u32(h + 8) : u32(h + 8);
		b->bits = u16(h + 14);
		b->compression = u32(h + 16);
		colors = u32(h + 32);
	}
	EK_TRY(check_kind(b));
	EK_TRY(ek_image_check_size(b->width, b->height, max_pixels));
	if (b->compression == BITFIELDS)
		EK_TRY(read_masks(b, header_size));
	if (colors == 0 && b->bits <= 8)
		colors = 1u << b->bits;
	palette_at = FILE_HEADER + (size_t)header_size;
	b->pixels_at = u32((const uint8_t *)bytes + 10);
	if (b->bits <= 8) {
		const size_t entry = header_size == CORE_HEADER ? 3 : 4;

		EK_TRY(read_palette(b, palette_at, colors, entry));
		/* Some writers forget that the palette stands before the pixels. */
		if (b->pixels_at == palette_at || b->pixels_at == 0)
			b->pixels_at = palette_at + entry * colors;
	} else if (b->pixels_at == 0) {
		b->pixels_at = palette_at + (b->compression == BITFIELDS && header_size == INFO_HEADER ? 12 : 0);
	}
	if (b->pixels_at > size)
		return ends_early();
out:
	return rc;
}

int ek_bmp_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct bmp b;
	int rc;

	EK_TRY(read_header(&b, bytes, size, max_pixels));
	*info = (struct ek_image_info){ EK_IMAGE_BMP, b.width, b.height };
out:
	return rc;
}

static void put_index(const struct bmp *b, uint8_t *rgb, uint8_t index)
{
	if (b->is_grey)
		memset(rgb, index, 3);
	else
		memcpy(rgb, b->palette[index], 3);
}

/* One stored row, or so much of it as is there. */
static void unpack_row(const struct bmp *b, uint8_t *rgb, const uint8_t *row)
{
	for (uint32_t x = 0; x < b->width; x++, rgb += 3) {
		const uint8_t *p = row + (size_t)x * b->bits / 8;
		uint8_t rgba[4];

		switch (b->bits) {
		case 1:
			put_index(b, rgb, *p >> (7 - x % 8) & 1);
			break;
		case 4:
			put_index(b, rgb, x % 2 ? *p & 15 : *p >> 4);
			break;
		case 8:
			put_index(b, rgb, *p);
			break;
		case 16:
			rgb[0] = (uint8_t)((u16(p) >> (b->green_is_6_bits ? 11 : 10) & 31) * 255 / 31);
			rgb[1] = (uint8_t)(b->green_is_6_bits ? (u16(p) >> 5 & 63) * 255 / 63
			                                      : (u16(p) >> 5 & 31) * 255 / 31);
			rgb[2] = (uint8_t)((u16(p) & 31) * 255 / 31);
			break;
		case 24:
			for (size_t c = 0; c < 3; c++)
				rgb[c] = p[2 - c];
			break;
		default:
			for (size_t c = 0; c < 4; c++)
				rgba[c] = b->layout->at[c] < 0 ? 255 : p[b->layout->at[c]];
			ek_pixels_over_white(rgb, rgba, 1);
		}
	}
}

static int read_rows(const struct bmp *b, struct ek_image *image)
{
	const size_t used = ((size_t)b->width * b->bits + 7) / 8, stride = (used + 3) / 4 * 4;

	if ((b->size - b->pixels_at) / stride < b->height - 1 ||
	    b->size - b->pixels_at - (b->height - 1) * stride < used)
		return ends_early();
	for (uint32_t y = 0; y < b->height; y++)
		unpack_row(b, image->pixels + 3 * (size_t)b->width * (b->top_down ? y : b->height - 1 - y),
		           b->bytes + b->pixels_at + y * stride);
	return 0;
}

/* The indices of a run-length encoded picture, in the order of the file. */
struct runs {
	uint8_t *indices;
	size_t count, filled;
	size_t x; /* in the row, for runs alone */
};

static void put_run(struct runs *r, const struct bmp *b, size_t length, uint8_t value)
{
	const size_t left = r->count - r->filled, row = r->x < b->width ? b->width - r->x : 0;

	length = length < row ? length : row;
	r->x += length;
	length = length < left ? length : left;
	for (size_t i = 0; i < length; i++)
		r->indices[r->filled++] = b->compression == RLE8 ? value : i % 2 ? value & 15 : value >> 4;
}

static void skip_to(struct runs *r, size_t filled)
{
	r->filled = filled < r->count ? filled : r->count; /* they are 0 */
}

/* The pixels as they are; the number of bytes taken, or 0 if the file ends in them. */
static size_t put_literal(struct runs *r, const struct bmp *b, size_t at, size_t length)
{
	const size_t left = r->count - r->filled, pixels = length < left ? length : left;
	const size_t bytes = b->compression == RLE8 ? pixels : (pixels + 1) / 2;

	if (bytes > b->size - at)
		return 0;
	for (size_t i = 0; i < pixels; i++)
		r->indices[r->filled++] = b->compression == RLE8 ? b->bytes[at + i]
		                          : i % 2                ? b->bytes[at + i / 2] & 15
		                                                 : b->bytes[at + i / 2] >> 4;
	r->x += length;
	return bytes + (at + bytes) % 2;
}

static void read_runs(struct runs *r, const struct bmp *b)
{
	size_t at = b->pixels_at;

	while (r->filled < r->count && b->size - at >= 2) {
		const uint8_t length = b->bytes[at], value = b->bytes[at + 1];
		size_t taken;

		at += 2;
		if (length > 0) {
			put_run(r, b, length, value);
		} else if (value == 0) {
			skip_to(r, (r->filled + b->width - 1) / b->width * b->width);
			r->x = 0;
		} else if (value == 1) {
			return;
		} else if (value == 2) {
			if (b->size - at < 2)
				return;
			skip_to(r, r->filled + b->bytes[at] + (size_t)b->bytes[at + 1] * b->width);
			r->x = r->filled % b->width;
			at += 2;
		} else {
			if ((taken = put_literal(r, b, at, value)) == 0)
				return;
			at = taken < b->size - at ? at + taken : b->size;
		}
	}
}

static int read_rle(const struct bmp *b, struct ek_image *image)
{
	struct runs r = { .count = (size_t)b->width * b->height };
	int rc;

	EK_TRY(ek_alloc(&r.indices, r.count, 1));
	read_runs(&r, b);
	if (r.filled < r.count) {
		rc = ends_early();
		goto out;
	}
	for (size_t y = 0; y < b->height; y++)
		for (size_t x = 0; x < b->width; x++)
			put_index(b, image->pixels + 3 * ((b->top_down ? y : b->height - 1 - y) * (size_t)b->width + x),
			          r.indices[y * b->width + x]);
out:
	free(r.indices);
	return rc;
}

int ek_bmp_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct bmp b;
	int rc;

	EK_TRY(read_header(&b, bytes, size, max_pixels));
	EK_TRY(ek_image_allocate(image, b.width, b.height));
	rc = b.compression == RLE8 || b.compression == RLE4 ? read_rle(&b, image) : read_rows(&b, image);
	if (rc < 0)
		ek_image_release(image);
out:
	return rc;
}
