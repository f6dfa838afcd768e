#include "reports/real_images.h"

#include <inttypes.h>

#include "rebalance/base/error.h"
#include "rebalance/io/resize.h"

enum { LARGEST_SIDE = 512, JPEG_QUALITY = 90 };

int ek_real_images_open(struct ek_real_images *images, const struct ek_run *run)
{
	int rc;

	*images = (struct ek_real_images){ 0 };
	EK_TRY(ek_images_need(run));
	EK_TRY(ek_images_count(&images->count, run));
	EK_TRY(ek_images_open(&images->rows, run));
	EK_TRY(ek_image_loader_new(&images->loader, run));
out:
	return rc;
}

void ek_real_images_release(struct ek_real_images *images)
{
	ek_images_close(images->rows);
	ek_image_loader_free(images->loader);
	*images = (struct ek_real_images){ 0 };
}

int ek_real_images_row(struct ek_image_record *row, struct ek_real_images *images, uint64_t id)
{
	int rc;

	if (id >= images->count)
		return ek_fail(EK_EUSAGE, "there is no image %" PRIu64, id);
	EK_TRY(ek_images_go(images->rows, id));
	EK_TRY(ek_images_next(images->rows, row));
	rc = rc == 1 ? 0 : ek_fail(EK_EDATA, "images.jsonl ends before image %" PRIu64, id);
out:
	return rc;
}

/* `small` = the image with its longer side brought to LARGEST_SIDE. */
static int shrink(struct ek_image *small, const struct ek_image *image)
{
	const uint32_t longer = image->width > image->height ? image->width : image->height;
	const uint32_t width = (uint32_t)((uint64_t)image->width * LARGEST_SIDE / longer);
	const uint32_t height = (uint32_t)((uint64_t)image->height * LARGEST_SIDE / longer);

	return ek_image_resize(small, image, width > 0 ? width : 1, height > 0 ? height : 1, EK_FILTER_BICUBIC);
}

int ek_real_images_picture(struct ek_buffer *bytes, const char **type, struct ek_real_images *images, uint64_t id)
{
	struct ek_image_record row = { 0 };
	struct ek_image image = { 0 }, small = { 0 };
	int rc;

	ek_buffer_clear(bytes);
	EK_TRY(ek_real_images_row(&row, images, id));
	EK_TRY(ek_image_loader_decode(images->loader, &row, LARGEST_SIDE, &image));
	if (image.width <= LARGEST_SIDE && image.height <= LARGEST_SIDE) {
		*type = "image/png";
		EK_TRY(ek_image_encode_png(bytes, &image));
	} else {
		*type = "image/jpeg";
		EK_TRY(shrink(&small, &image));
		EK_TRY(ek_image_encode_jpeg(bytes, &small, JPEG_QUALITY));
	}
out:
	ek_image_release(&small);
	ek_image_release(&image);
	ek_image_record_release(&row);
	return rc;
}
