#include "rebalance/io/avif.h"

#include <string.h>

#include <avif/avif.h>
#include <pthread.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/library.h"
#include "rebalance/io/orientation.h"
#include "rebalance/io/pixels.h"

/* What is used of the library, whose name comes from the build. */
static struct {
	__typeof__(&avifDecoderCreate) decoder_create;
	__typeof__(&avifDecoderDestroy) decoder_destroy;
	__typeof__(&avifDecoderSetIOMemory) decoder_set_memory;
	__typeof__(&avifDecoderParse) decoder_parse;
	__typeof__(&avifDecoderNextImage) decoder_next_image;
	__typeof__(&avifRGBImageSetDefaults) rgb_set_defaults;
	__typeof__(&avifImageYUVToRGB) to_rgb;
	__typeof__(&avifResultToString) result_text;
	int is_there;
} avif;

static void load(void)
{
	static const struct ek_library_function functions[] = {
		{ "avifDecoderCreate", &avif.decoder_create },
		{ "avifDecoderDestroy", &avif.decoder_destroy },
		{ "avifDecoderSetIOMemory", &avif.decoder_set_memory },
		{ "avifDecoderParse", &avif.decoder_parse },
		{ "avifDecoderNextImage", &avif.decoder_next_image },
		{ "avifRGBImageSetDefaults", &avif.rgb_set_defaults },
		{ "avifImageYUVToRGB", &avif.to_rgb },
		{ "avifResultToString", &avif.result_text },
	};

	avif.is_there = ek_library_load(EK_AVIF_LIBRARY, functions, sizeof functions / sizeof *functions) == 0;
}

static int need_library(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, load);
	return avif.is_there ? 0
	                     : ek_fail(EK_ENOTSUP, "an AVIF file, and the library %s is not there", EK_AVIF_LIBRARY);
}

int ek_avif_is(const void *bytes, size_t size)
{
	const char *b = bytes;

	if (size < 16 || memcmp(b + 4, "ftyp", 4) != 0)
		return 0;
	for (size_t at = 8; at + 4 <= size && at < 32; at += at == 8 ? 8 : 4)
		if (memcmp(b + at, "avif", 4) == 0 || memcmp(b + at, "avis", 4) == 0)
			return 1;
	return 0;
}

static int failed(avifResult result)
{
	return ek_fail(result == AVIF_RESULT_OUT_OF_MEMORY ? EK_ENOMEM : EK_EDATA, "AVIF: %s",
	               avif.result_text(result));
}

/* First rotated, then mirrored: both together are one of EXIF's eight. What EXIF says of it is not looked at, but if it
 * says nothing, XMP is, as Pillow does. */
static int orientation_of(const avifImage *image)
{
	/* [quarter turns against the clock][not mirrored, top and bottom change places, left and right] */
	static const int orientations[4][3] = { { 1, 4, 2 }, { 8, 5, 7 }, { 3, 2, 4 }, { 6, 7, 5 } };
	const int turns = image->transformFlags & AVIF_TRANSFORM_IROT ? image->irot.angle & 3 : 0;
#if AVIF_VERSION_MAJOR >= 1
	const int axis = image->imir.axis;
#else
	const int axis = image->imir.mode;
#endif

	const int boxes = orientations[turns][image->transformFlags & AVIF_TRANSFORM_IMIR ? 1 + (axis & 1) : 0];

	if (boxes != 1 || ek_exif_has_orientation(image->exif.data, image->exif.size))
		return boxes;
	return ek_image_orientation(NULL, 0, image->xmp.data, image->xmp.size);
}

static int open_file(avifDecoder **out, const void *bytes, size_t size, uint64_t max_pixels)
{
	avifDecoder *decoder;
	avifResult result;
	int rc;

	EK_TRY(need_library());
	if ((*out = decoder = avif.decoder_create()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory to read an AVIF");
	decoder->maxThreads = 1;
	decoder->imageDimensionLimit = 0;
	/* Readers and writers disagree about these two boxes; the pixels do not depend on them. */
	decoder->strictFlags &= ~(avifStrictFlags)(AVIF_STRICT_CLAP_VALID | AVIF_STRICT_PIXI_REQUIRED);
	if ((result = avif.decoder_set_memory(decoder, bytes, size)) != AVIF_RESULT_OK ||
	    (result = avif.decoder_parse(decoder)) != AVIF_RESULT_OK)
		return failed(result);
	rc = ek_image_check_size(decoder->image->width, decoder->image->height, max_pixels);
out:
	return rc;
}

static void close_file(avifDecoder *decoder)
{
	if (decoder != NULL)
		avif.decoder_destroy(decoder);
}

int ek_avif_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	avifDecoder *decoder = NULL;
	int rc;

	EK_TRY(open_file(&decoder, bytes, size, max_pixels));
	ek_image_tell(info, EK_IMAGE_AVIF, decoder->image->width, decoder->image->height,
	              orientation_of(decoder->image));
out:
	close_file(decoder);
	return rc;
}

static int read_pixels(struct ek_image *stored, const avifImage *image, int has_alpha)
{
	const size_t pixels = (size_t)image->width * image->height;
	uint8_t *rgba = NULL;
	avifRGBImage rgb;
	avifResult result;
	int rc;

	EK_TRY(ek_image_allocate(stored, image->width, image->height));
	if (has_alpha)
		EK_TRY(ek_alloc_aligned(&rgba, pixels, 4));
	avif.rgb_set_defaults(&rgb, image);
	rgb.depth = 8;
	rgb.format = has_alpha ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
	rgb.pixels = has_alpha ? rgba : stored->pixels;
	rgb.rowBytes = image->width * (has_alpha ? 4 : 3);
	if ((result = avif.to_rgb(image, &rgb)) != AVIF_RESULT_OK)
		rc = failed(result);
	else if (has_alpha)
		ek_pixels_over_white(stored->pixels, rgba, pixels);
out:
	free(rgba);
	return rc;
}

int ek_avif_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels)
{
	struct ek_image stored = { 0 };
	avifDecoder *decoder = NULL;
	avifResult result;
	uint32_t width, height;
	int rc;

	EK_TRY(open_file(&decoder, bytes, size, max_pixels));
	width = decoder->image->width;
	height = decoder->image->height;
	if ((result = avif.decoder_next_image(decoder)) != AVIF_RESULT_OK) {
		rc = failed(result);
		goto out;
	}
	if (decoder->image->width != width || decoder->image->height != height) {
		rc = ek_fail(EK_EDATA, "AVIF: the picture is not of the size that the header claims");
		goto out;
	}
	EK_TRY(read_pixels(&stored, decoder->image, decoder->alphaPresent));
	EK_TRY(ek_image_turn(image, &stored, orientation_of(decoder->image)));
out:
	ek_image_release(&stored);
	close_file(decoder);
	return rc;
}
