#include "rebalance/io/webp.h"

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "rebalance/base/error.h"
#include "rebalance/io/orientation.h"
#include "rebalance/io/pixels.h"

int ek_webp_is(const void *bytes, size_t size)
{
	return size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp((const uint8_t *)bytes + 8, "WEBP", 4) == 0;
}

struct header {
	uint32_t width, height; /* as stored */
	int orientation, has_alpha;
};

static int read_header(struct header *h, const WebPData *data, uint64_t max_pixels)
{
	WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
	WebPDemuxer *demuxer = WebPDemuxPartial(data, &state);
	WebPChunkIterator exif = { 0 }, xmp = { 0 };
	int rc;

	if (demuxer == NULL || state < WEBP_DEMUX_PARSED_HEADER) {
		rc = ek_fail(EK_EDATA, "WebP: %s",
		             state == WEBP_DEMUX_PARSE_ERROR ? "damaged header" : "the file ends early");
		goto out;
	}
	h->width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
	h->height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
	h->has_alpha = (WebPDemuxGetI(demuxer, WEBP_FF_FORMAT_FLAGS) & ALPHA_FLAG) != 0;
	(void)WebPDemuxGetChunk(demuxer, "EXIF", 1, &exif);
	(void)WebPDemuxGetChunk(demuxer, "XMP ", 1, &xmp);
	h->orientation = ek_image_orientation(exif.chunk.bytes, exif.chunk.size, xmp.chunk.bytes, xmp.chunk.size);
	rc = ek_image_check_size(h->width, h->height, max_pixels);
out:
	WebPDemuxReleaseChunkIterator(&exif);
	WebPDemuxReleaseChunkIterator(&xmp);
	WebPDemuxDelete(demuxer);
	return rc;
}

int ek_webp_probe(struct ek_image_info *info, const void *bytes, size_t size, uint64_t max_pixels)
{
	const WebPData data = { bytes, size };
	struct header h;
	int rc;

	EK_TRY(read_header(&h, &data, max_pixels));
	ek_image_tell(info, EK_IMAGE_WEBP, h.width, h.height, h.orientation);
out:
	return rc;
}

int ek_webp_decode(struct ek_image *image, const void *bytes, size_t size, uint64_t max_pixels)
{
	const WebPData data = { bytes, size };
	struct ek_image stored = { 0 };
	WebPAnimDecoder *decoder = NULL;
	struct header h;
	uint8_t *rgba;
	int rc, time;

	EK_TRY(read_header(&h, &data, max_pixels));
	EK_TRY(ek_image_allocate(&stored, h.width, h.height));
	if ((decoder = WebPAnimDecoderNew(&data, NULL)) == NULL || !WebPAnimDecoderGetNext(decoder, &rgba, &time)) {
		rc = ek_fail(EK_EDATA, "WebP: damaged, or the file ends early");
		goto out;
	}
	if (h.has_alpha)
		ek_pixels_over_white(stored.pixels, rgba, (size_t)h.width * h.height);
	else
		for (size_t i = 0; i < (size_t)h.width * h.height; i++)
			memcpy(stored.pixels + 3 * i, rgba + 4 * i, 3);
	EK_TRY(ek_image_turn(image, &stored, h.orientation));
out:
	WebPAnimDecoderDelete(decoder);
	ek_image_release(&stored);
	return rc;
}
