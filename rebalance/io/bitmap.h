/*
 * What an image is once it is read, for image.h and the readers of each format below it.
 */
#ifndef EK_IO_BITMAP_H
#define EK_IO_BITMAP_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/memory.h"

/* Pillow's default limit against decompression bombs. */
#define EK_MAX_PIXELS_DEFAULT 178956970u

enum ek_image_format {
	EK_IMAGE_UNKNOWN,
	EK_IMAGE_JPEG,
	EK_IMAGE_PNG,
	EK_IMAGE_WEBP,
	EK_IMAGE_GIF,
	EK_IMAGE_TIFF,
	EK_IMAGE_AVIF,
	EK_IMAGE_BMP,
	EK_IMAGE_GREY8, /* bare pixels, as in IDX files */
	EK_IMAGE_RGB8   /* likewise, as in .npz files */
};

struct ek_image {
	uint32_t width, height; /* pixels, after EXIF orientation */
	uint8_t *pixels;        /* [height, width, 3] RGB, owned */
};

struct ek_image_info {
	enum ek_image_format format;
	uint32_t width, height; /* after EXIF orientation */
};

/* A part of an image, inside of it. */
struct ek_image_window {
	uint32_t x, y, width, height;
};

/* Room for width × height pixels, not set. */
int ek_image_allocate(struct ek_image *image, uint32_t width, uint32_t height);
void ek_image_release(struct ek_image *image);

/* EK_EDATA, saying so, if a side is 0 or there are more than `max_pixels` pixels. */
int ek_image_check_size(uint64_t width, uint64_t height, uint64_t max_pixels);

#endif
