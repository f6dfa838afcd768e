#include "rebalance/io/bitmap.h"

#include <stdlib.h>

#include "rebalance/base/error.h"

int ek_image_allocate(struct ek_image *image, uint32_t width, uint32_t height)
{
	size_t pixels;
	int rc;

	*image = (struct ek_image){ 0 };
	if (__builtin_mul_overflow((size_t)width, (size_t)height, &pixels))
		return ek_fail(EK_ENOMEM, "no memory for %u x %u pixels", width, height);
	if ((rc = ek_alloc_aligned(&image->pixels, pixels, 3)) == 0) {
		image->width = width;
		image->height = height;
	}
	return rc;
}

void ek_image_release(struct ek_image *image)
{
	free(image->pixels);
	*image = (struct ek_image){ 0 };
}

int ek_image_check_size(uint64_t width, uint64_t height, uint64_t max_pixels)
{
	uint64_t pixels;

	if (width == 0 || height == 0)
		return ek_fail(EK_EDATA, "an image of %llu x %llu pixels", (unsigned long long)width,
		               (unsigned long long)height);
	if (__builtin_mul_overflow(width, height, &pixels) || pixels > max_pixels)
		return ek_fail(EK_EDATA, "the header claims %llu x %llu pixels, the limit is %llu",
		               (unsigned long long)width, (unsigned long long)height, (unsigned long long)max_pixels);
	return 0;
}
