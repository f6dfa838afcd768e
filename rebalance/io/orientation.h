/*
 * EXIF's orientation of a stored picture: 1 (upright) … 8; 5 … 8 exchange width and height.
 */
#ifndef EK_IO_ORIENTATION_H
#define EK_IO_ORIENTATION_H

#include "rebalance/io/bitmap.h"

/* Of a picture with these metadata, each or both NULL: tag 0x0112 of the first directory of EXIF data (a TIFF file:
 * what follows "Exif\0\0" in a JPEG; a leading "Exif\0\0" is skipped), or, if there is no such tag, tiff:Orientation of
 * XMP, found as Pillow does. 1 if there is none or it is not one of 1 … 8. */
int ek_image_orientation(const uint8_t *exif, size_t exif_size, const void *xmp, size_t xmp_size);

/* Does EXIF data have that tag? NULL: no. */
int ek_exif_has_orientation(const uint8_t *exif, size_t size);

/* What `stored` pixels are when upright. */
void ek_image_tell(struct ek_image_info *info, enum ek_image_format format, uint32_t stored_width,
                   uint32_t stored_height, int orientation);

/* `out` = `stored` turned upright; its pixels are taken over, `stored` is empty then. */
int ek_image_turn(struct ek_image *out, struct ek_image *stored, int orientation);

#endif
