/* The images of a run for a page: one at a time, as a browser shows them. */
#ifndef EK_REPORTS_REAL_IMAGES_H
#define EK_REPORTS_REAL_IMAGES_H

#include "rebalance/io/images.h"

struct ek_real_images {
	uint64_t count;
	/* The rest is private. */
	struct ek_images *rows;
	struct ek_image_loader *loader;
};

/* EK_EUSAGE: a run of embeddings alone. Release in any case. `run` stays open as long. */
int ek_real_images_open(struct ek_real_images *images, const struct ek_run *run);
void ek_real_images_release(struct ek_real_images *images);

/* The row of an image, to be released. EK_EUSAGE: no such image. */
int ek_real_images_row(struct ek_image_record *row, struct ek_real_images *images, uint64_t id);
/* Clear `bytes` and fill them with the image, its longer side at most 512 pixels: a PNG of its pixels where it was that
 * small, else a JPEG. `*type` = its content type. EK_EUSAGE: no such image; EK_EIO, EK_EDATA: it cannot be read any
 * more. */
int ek_real_images_picture(struct ek_buffer *bytes, const char **type, struct ek_real_images *images, uint64_t id);

#endif
