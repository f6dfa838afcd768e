#include "rebalance/io/orientation.h"

#include <string.h>

static unsigned read_number(const uint8_t *p, int bytes, int big_endian)
{
	unsigned value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (unsigned)p[i] << 8 * (big_endian ? bytes - 1 - i : i);
	return value;
}

/* 0: there is no such tag. */
static int of_exif(const uint8_t *tiff, size_t size)
{
	size_t directory, entries;
	int big;

	if (size >= 6 && memcmp(tiff, "Exif\0", 6) == 0) {
		tiff += 6;
		size -= 6;
	}
	if (size < 8)
		return 0;
	big = tiff[0] == 'M';
	if (memcmp(tiff, big ? "MM\0*" : "II*\0", 4) != 0)
		return 0;
	directory = read_number(tiff + 4, 4, big);
	if (directory > size || size - directory < 2)
		return 0;
	entries = read_number(tiff + directory, 2, big);
	for (size_t i = 0; i < entries && size - directory - 2 >= 12 * (i + 1); i++) {
		const uint8_t *entry = tiff + directory + 2 + 12 * i;
		const unsigned type = read_number(entry + 2, 2, big); /* 3: 16 bits, 4: 32 bits */
		unsigned value;

		if (read_number(entry, 2, big) != 0x0112)
			continue;
		value = read_number(entry + 8, type == 4 ? 4 : 2, big);
		return (type == 3 || type == 4) && value >= 1 && value <= 8 ? (int)value : 1;
	}
	return 0;
}

/* tiff:Orientation="6" or <tiff:Orientation>6<; 0: there is neither. */
static int of_xmp(const char *xmp, size_t size)
{
	static const char name[] = "tiff:Orientation";
	const char *end = xmp + size, *at;

	for (; (at = memmem(xmp, (size_t)(end - xmp), name, sizeof name - 1)) != NULL; xmp = at) {
		at += sizeof name - 1;
		const size_t before = end - at >= 3 && at[0] == '=' && at[1] == '"' ? 2 : end - at >= 2 && *at == '>';

		if (before > 0 && at[before] >= '0' && at[before] <= '9')
			return at[before] >= '1' && at[before] <= '8' ? at[before] - '0' : 1;
	}
	return 0;
}

int ek_exif_has_orientation(const uint8_t *exif, size_t size)
{
	return exif != NULL && of_exif(exif, size) != 0;
}

int ek_image_orientation(const uint8_t *exif, size_t exif_size, const void *xmp, size_t xmp_size)
{
	int found = exif != NULL ? of_exif(exif, exif_size) : 0;

	if (found == 0 && xmp != NULL)
		found = of_xmp(xmp, xmp_size);
	return found != 0 ? found : 1;
}

void ek_image_tell(struct ek_image_info *info, enum ek_image_format format, uint32_t stored_width,
                   uint32_t stored_height, int orientation)
{
	const int turned = orientation >= 5;

	info->format = format;
	info->width = turned ? stored_height : stored_width;
	info->height = turned ? stored_width : stored_height;
}

/* By the meaning of EXIF's orientations 2 … 8. */
static int turn(struct ek_image *out, const struct ek_image *in, int orientation)
{
	/* Where the picture's rightward and downward lie in the stored one. */
	static const struct {
		int swap, mirror_x, mirror_y; /* x and y of the stored picture */
	} ways[9] = { [2] = { 0, 1, 0 }, [3] = { 0, 1, 1 }, [4] = { 0, 0, 1 }, [5] = { 1, 0, 0 },
		      [6] = { 1, 0, 1 }, [7] = { 1, 1, 1 }, [8] = { 1, 1, 0 } };
	const int swap = ways[orientation].swap;
	const int64_t pixel = ways[orientation].mirror_x ? -3 : 3;
	const int64_t row = (ways[orientation].mirror_y ? -3 : 3) * (int64_t)in->width;
	const int64_t across = swap ? row : pixel, down = swap ? pixel : row;
	const uint8_t *start = in->pixels;
	uint8_t *to;
	int rc = ek_image_allocate(out, swap ? in->height : in->width, swap ? in->width : in->height);

	if (rc < 0)
		return rc;
	if (pixel < 0)
		start += 3 * ((size_t)in->width - 1);
	if (row < 0)
		start += 3 * (size_t)in->width * (in->height - 1);
	to = out->pixels;
	for (uint32_t y = 0; y < out->height; y++)
		for (uint32_t x = 0; x < out->width; x++, to += 3)
			memcpy(to, start + across * x + down * y, 3);
	return 0;
}

int ek_image_turn(struct ek_image *out, struct ek_image *stored, int orientation)
{
	int rc;

	if (orientation == 1) {
		*out = *stored;
		*stored = (struct ek_image){ 0 };
		return 0;
	}
	rc = turn(out, stored, orientation);
	ek_image_release(stored);
	return rc;
}
