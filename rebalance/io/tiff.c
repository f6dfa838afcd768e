#include "rebalance/io/tiff.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "rebalance/base/error.h"
#include "rebalance/io/orientation.h"
#include "rebalance/io/pixels.h"

enum { MAX_SAMPLES = 8 };

int ek_tiff_is(const void *bytes, size_t size)
{
	return size >= 4 && (memcmp(bytes, "II*", 4) == 0 || memcmp(bytes, "MM\0*", 4) == 0 ||
	                     memcmp(bytes, "II+", 4) == 0 || memcmp(bytes, "MM\0+", 4) == 0);
}

/* A file in memory, as libtiff reads it, and what its first directory says. */
struct reader {
	TIFF *tiff;
	const uint8_t *bytes;
	uint64_t size, at;
	char said[200]; /* libtiff's first complaint */
	uint32_t width, height;
	uint16_t bits, samples, photometric, planar, compression, orientation;
	int alpha;           /* index of its sample, or −1 */
	int is_multiplied;   /* colours are multiplied by alpha */
	uint16_t *colors[3]; /* [1 << bits], of a palette */
};

static tmsize_t give_bytes(thandle_t handle, void *to, tmsize_t size)
{
	struct reader *r = handle;
	const uint64_t left = r->at < r->size ? r->size - r->at : 0;
	const uint64_t given = size > 0 && (uint64_t)size < left ? (uint64_t)size : size > 0 ? left : 0;

	if (given > 0)
		memcpy(to, r->bytes + r->at, given);
	r->at += given;
	return (tmsize_t)given;
}

static tmsize_t refuse_bytes(thandle_t handle, void *from, tmsize_t size)
{
	(void)handle, (void)from, (void)size;
	return -1;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence)
{
	struct reader *r = handle;

	r->at = offset + (whence == SEEK_CUR ? r->at : whence == SEEK_END ? r->size : 0);
	return r->at;
}

static int close_nothing(thandle_t handle)
{
	(void)handle;
	return 0;
}

static toff_t tell_size(thandle_t handle)
{
	return ((struct reader *)handle)->size;
}

__attribute__((format(printf, 3, 0))) static void hear(thandle_t handle, const char *module, const char *format,
                                                       va_list arguments)
{
	struct reader *r = handle;

	(void)module;
	if (r != NULL && r->said[0] == 0)
		(void)vsnprintf(r->said, sizeof r->said, format, arguments);
}

/* libtiff's handlers are of the process. */
static void set_handlers(void)
{
	(void)TIFFSetErrorHandler(NULL);
	(void)TIFFSetWarningHandler(NULL);
	(void)TIFFSetErrorHandlerExt(hear);
}

static int damaged(const struct reader *r)
{
	return ek_fail(EK_EDATA, "TIFF: %s", r->said[0] != 0 ? r->said : "damaged");
}

static int refuse_photometric(unsigned photometric)
{
	static const struct {
		unsigned value;
		const char *words;
	} known[] = { { PHOTOMETRIC_CIELAB, "CIE L*a*b*" }, { PHOTOMETRIC_ICCLAB, "ICC L*a*b*" },
		      { PHOTOMETRIC_ITULAB, "ITU L*a*b*" }, { PHOTOMETRIC_LOGL, "LogL" },
		      { PHOTOMETRIC_LOGLUV, "LogLuv" },     { PHOTOMETRIC_MASK, "mask" },
		      { PHOTOMETRIC_CFA, "raw camera" } };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].value == photometric)
			return ek_fail(EK_EDATA, "TIFF: %s pixels are not read", known[i].words);
	return ek_fail(EK_EDATA, "TIFF: pixels of kind %u are not known", photometric);
}

/* Samples that carry colour; 0: a kind that is not read. */
static unsigned color_samples(unsigned photometric)
{
	switch (photometric) {
	case PHOTOMETRIC_MINISWHITE:
	case PHOTOMETRIC_MINISBLACK:
	case PHOTOMETRIC_PALETTE:
		return 1;
	case PHOTOMETRIC_RGB:
	case PHOTOMETRIC_YCBCR:
		return 3;
	case PHOTOMETRIC_SEPARATED:
		return 4;
	default:
		return 0;
	}
}

static int check_kind(const struct reader *r)
{
	const unsigned colors = color_samples(r->photometric);
	uint16_t sample_format = SAMPLEFORMAT_UINT;

	if (colors == 0)
		return refuse_photometric(r->photometric);
	(void)TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLEFORMAT, &sample_format);
	if (sample_format == SAMPLEFORMAT_IEEEFP)
		return ek_fail(EK_EDATA, "TIFF: floating-point pixels are not read");
	if (r->bits != 1 && r->bits != 2 && r->bits != 4 && r->bits != 8 && r->bits != 16)
		return ek_fail(EK_EDATA, "TIFF: %u bits a sample are not read", r->bits);
	if (r->samples < (r->photometric == PHOTOMETRIC_YCBCR ? 1 : colors) || r->samples > MAX_SAMPLES)
		return ek_fail(EK_EDATA, "TIFF: %u samples a pixel", r->samples);
	if (r->photometric == PHOTOMETRIC_PALETTE && r->bits > 8)
		return ek_fail(EK_EDATA, "TIFF: a palette with %u bits", r->bits);
	if (!TIFFIsCODECConfigured(r->compression))
		return ek_fail(EK_EDATA, "TIFF: compression %u is not known to this libtiff", r->compression);
	return 0;
}

static void find_alpha(struct reader *r)
{
	const unsigned colors = color_samples(r->photometric);
	uint16_t count = 0, *kinds = NULL;

	r->alpha = -1;
	if (!TIFFGetField(r->tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds) || count == 0 || r->samples <= colors ||
	    r->photometric == PHOTOMETRIC_SEPARATED || kinds[0] == EXTRASAMPLE_UNSPECIFIED)
		return;
	r->alpha = (int)colors;
	r->is_multiplied = kinds[0] == EXTRASAMPLE_ASSOCALPHA;
}

static int read_directory(struct reader *r, uint64_t max_pixels)
{
	uint32_t xmp_size = 0;
	void *xmp = NULL;
	int rc;

	if (!TIFFGetField(r->tiff, TIFFTAG_IMAGEWIDTH, &r->width) ||
	    !TIFFGetField(r->tiff, TIFFTAG_IMAGELENGTH, &r->height))
		return ek_fail(EK_EDATA, "TIFF: there is no picture in it");
	(void)TIFFGetFieldDefaulted(r->tiff, TIFFTAG_BITSPERSAMPLE, &r->bits);
	(void)TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLESPERPIXEL, &r->samples);
	(void)TIFFGetFieldDefaulted(r->tiff, TIFFTAG_PLANARCONFIG, &r->planar);
	(void)TIFFGetFieldDefaulted(r->tiff, TIFFTAG_COMPRESSION, &r->compression);
	if (!TIFFGetField(r->tiff, TIFFTAG_ORIENTATION, &r->orientation))
		r->orientation = (uint16_t)(TIFFGetField(r->tiff, TIFFTAG_XMLPACKET, &xmp_size, &xmp)
		                                    ? ek_image_orientation(NULL, 0, xmp, xmp_size)
		                                    : 1);
	if (!TIFFGetField(r->tiff, TIFFTAG_PHOTOMETRIC, &r->photometric))
		r->photometric = PHOTOMETRIC_MINISWHITE;
	if (r->orientation < 1 || r->orientation > 8)
		r->orientation = 1;
	EK_TRY(check_kind(r));
	find_alpha(r);
	if (r->photometric == PHOTOMETRIC_PALETTE &&
	    !TIFFGetField(r->tiff, TIFFTAG_COLORMAP, &r->colors[0], &r->colors[1], &r->colors[2]))
		return ek_fail(EK_EDATA, "TIFF: there is no palette");
	rc = ek_image_check_size(r->width, r->height, max_pixels);
out:
	return rc;
}

static int open_file(struct reader *r, const void *bytes, size_t size, uint64_t max_pixels)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, set_handlers);
	*r = (struct reader){ .bytes = bytes, .size = size };
	/* m: no mapping */
	r->tiff = TIFFClientOpen("TIFF", "rm", r, give_bytes, refuse_bytes, seek, close_nothing, tell_size, NULL, NULL);
	if (r->tiff == NULL)
		return damaged(r);
	return read_directory(r, max_pixels);
}

static void close_file(struct reader *r)
{
	if (r->tiff != NULL)
		TIFFClose(r->tiff);
}

int ek_tiff_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct reader r;
	int rc;

	EK_TRY(open_file(&r, bytes, size, max_pixels));
	ek_image_tell(info, EK_IMAGE_TIFF, r.width, r.height, r.orientation);
out:
	close_file(&r);
	return rc;
}

/* A strip, or a tile: a part of the picture that is stored together. */
struct block {
	uint8_t *data; /* [height, row_bytes] */
	size_t bytes, row_bytes;
	uint32_t width, height;
	int is_tile;
};

static int block_init(struct block *b, const struct reader *r, uint64_t max_pixels)
{
	tmsize_t bytes, row_bytes;

	b->is_tile = TIFFIsTiled(r->tiff);
	b->width = r->width;
	b->height = r->height;
	if (b->is_tile) {
		if (!TIFFGetField(r->tiff, TIFFTAG_TILEWIDTH, &b->width) ||
		    !TIFFGetField(r->tiff, TIFFTAG_TILELENGTH, &b->height))
			return damaged(r);
	} else {
		uint32_t rows = 0;

		if (TIFFGetFieldDefaulted(r->tiff, TIFFTAG_ROWSPERSTRIP, &rows) && rows < r->height)
			b->height = rows;
	}
	bytes = b->is_tile ? TIFFTileSize(r->tiff) : TIFFStripSize(r->tiff);
	row_bytes = b->is_tile ? TIFFTileRowSize(r->tiff) : TIFFScanlineSize(r->tiff);
	if (b->width == 0 || b->height == 0 || bytes <= 0 || row_bytes <= 0 ||
	    (uint64_t)bytes < (uint64_t)row_bytes * b->height)
		return damaged(r);
	/* A tile may be larger than the picture, but not without bound. */
	if (b->is_tile && (uint64_t)b->width * b->height > max_pixels)
		return ek_fail(EK_EDATA, "TIFF: a tile of %u x %u pixels, the limit is %llu", b->width, b->height,
		               (unsigned long long)max_pixels);
	b->bytes = (size_t)bytes;
	b->row_bytes = (size_t)row_bytes;
	return ek_alloc(&b->data, b->bytes, 1);
}

static int read_block(struct block *b, const struct reader *r, uint32_t x, uint32_t y, uint16_t plane)
{
	tmsize_t got;

	/* A block may decode to fewer rows than it has. */
	memset(b->data, 0, b->bytes);
	got = b->is_tile
	              ? TIFFReadTile(r->tiff, b->data, x, y, 0, plane)
	              : TIFFReadEncodedStrip(r->tiff, TIFFComputeStrip(r->tiff, y, plane), b->data, (tmsize_t)b->bytes);
	return got < 0 ? damaged(r) : 0;
}

/* The i-th sample of a row; of 16 bits the upper 8. */
static uint8_t sample_at(const uint8_t *row, size_t i, unsigned bits)
{
	uint16_t wide;

	switch (bits) {
	case 8:
		return row[i];
	case 16:
		memcpy(&wide, row + 2 * i, 2);
		return (uint8_t)(wide >> 8);
	default:
		return (uint8_t)((unsigned)row[i * bits / 8] >> (8 - bits - i * bits % 8) & ((1u << bits) - 1));
	}
}

/* Of a pixel's samples those that its colour comes from; planes behind them may not even be there. */
static uint16_t used_samples(const struct reader *r)
{
	return (uint16_t)(r->alpha >= 0 ? r->alpha + 1 : (int)color_samples(r->photometric));
}

/* Samples of all planes of the picture: [height, width, samples], from blocks. */
static int read_samples(uint8_t *samples, const struct reader *r, struct block *b)
{
	const int is_apart = r->planar == PLANARCONFIG_SEPARATE && r->samples > 1;
	const size_t step = is_apart ? 1 : r->samples; /* samples of a pixel in a block */
	int rc = 0;

	if (b->row_bytes < ((uint64_t)b->width * step * r->bits + 7) / 8)
		return damaged(r);
	for (uint16_t plane = 0; plane < (is_apart ? used_samples(r) : 1); plane++)
		for (uint32_t y = 0; y < r->height; y += b->height)
			for (uint32_t x = 0; x < r->width; x += b->width) {
				const uint32_t right = r->width - x < b->width ? r->width - x : b->width;
				const uint32_t down = r->height - y < b->height ? r->height - y : b->height;

				EK_TRY(read_block(b, r, x, y, plane));
				for (uint32_t row = 0; row < down; row++) {
					uint8_t *to = samples + ((size_t)(y + row) * r->width + x) * r->samples + plane;

					for (size_t i = 0; i < right * step; i++)
						to[is_apart ? i * r->samples : i] =
							sample_at(b->data + row * b->row_bytes, i, r->bits);
				}
			}
out:
	return rc;
}

/* One pixel's samples as R, G, B; alpha apart. */
static void to_rgb(uint8_t *rgb, const struct reader *r, const uint8_t *s)
{
	const unsigned most = r->bits >= 8 ? 255 : (1u << r->bits) - 1;
	uint8_t inverted[4];

	switch (r->photometric) {
	case PHOTOMETRIC_MINISWHITE:
		memset(rgb, (int)((most - s[0]) * (255 / most)), 3);
		break;
	case PHOTOMETRIC_MINISBLACK:
		memset(rgb, (int)(s[0] * (255 / most)), 3);
		break;
	case PHOTOMETRIC_PALETTE:
		for (size_t c = 0; c < 3; c++)
			rgb[c] = (uint8_t)(r->colors[c][s[0]] >> 8);
		break;
	case PHOTOMETRIC_SEPARATED:
		for (size_t c = 0; c < 4; c++)
			inverted[c] = (uint8_t)(255 - s[c] * (255 / most));
		ek_pixels_from_inverted_cmyk(rgb, inverted, 1);
		break;
	default:
		for (size_t c = 0; c < 3; c++)
			rgb[c] = (uint8_t)(s[c] * (255 / most));
	}
}

static int read_plain(struct ek_image *image, const struct reader *r, uint64_t max_pixels)
{
	const size_t pixels = (size_t)r->width * r->height;
	struct block b = { 0 };
	uint8_t *samples = NULL, rgba[4];
	int rc;

	EK_TRY(block_init(&b, r, max_pixels));
	EK_TRY(ek_alloc_aligned(&samples, pixels, r->samples));
	EK_TRY(read_samples(samples, r, &b));
	for (size_t i = 0; i < pixels; i++) {
		const uint8_t *s = samples + i * r->samples;

		to_rgb(rgba, r, s);
		rgba[3] = r->alpha >= 0 ? s[r->alpha] : 255;
		if (r->is_multiplied)
			ek_pixels_divide_by_alpha(rgba, 1);
		ek_pixels_over_white(image->pixels + 3 * i, rgba, 1);
	}
out:
	free(samples);
	free(b.data);
	return rc;
}

/* Subsampled YCbCr: libtiff's own way to RGB. */
static int read_by_libtiff(struct ek_image *image, struct reader *r)
{
	const size_t pixels = (size_t)r->width * r->height;
	char why[1024] = "";
	TIFFRGBAImage whole;
	uint8_t *rgba = NULL;
	int rc;

	EK_TRY(ek_alloc(&rgba, pixels, 4));
	if (!TIFFRGBAImageOK(r->tiff, why) || !TIFFRGBAImageBegin(&whole, r->tiff, 0, why)) {
		rc = ek_fail(EK_EDATA, "TIFF: %s", why);
		goto out;
	}
	whole.orientation = whole.req_orientation = ORIENTATION_TOPLEFT;
	rc = TIFFRGBAImageGet(&whole, (uint32_t *)(void *)rgba, r->width, r->height) ? 0 : damaged(r);
	TIFFRGBAImageEnd(&whole);
	for (size_t i = 0; rc == 0 && i < pixels; i++)
		memcpy(image->pixels + 3 * i, rgba + 4 * i, 3);
out:
	free(rgba);
	return rc;
}

int ek_tiff_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct ek_image stored = { 0 };
	struct reader r;
	int rc;

	EK_TRY(open_file(&r, bytes, size, max_pixels));
	EK_TRY(ek_image_allocate(&stored, r.width, r.height));
	if (r.photometric == PHOTOMETRIC_YCBCR && r.compression == COMPRESSION_JPEG &&
	    r.planar == PLANARCONFIG_CONTIG && r.samples == 3 && r.bits == 8) {
		(void)TIFFSetField(r.tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
		r.photometric = PHOTOMETRIC_RGB;
	}
	EK_TRY(r.photometric == PHOTOMETRIC_YCBCR ? read_by_libtiff(&stored, &r) : read_plain(&stored, &r, max_pixels));
	EK_TRY(ek_image_turn(image, &stored, r.orientation));
out:
	ek_image_release(&stored);
	close_file(&r);
	return rc;
}
