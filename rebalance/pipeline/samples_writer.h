/* Images of RUN/samples/NAME, and their latents, as batches of them are made. */
#ifndef EK_PIPELINE_SAMPLES_WRITER_H
#define EK_PIPELINE_SAMPLES_WRITER_H

#include "rebalance/io/npy.h"

struct ek_samples_writer;

/* folder must live as long. side: of the images. latents: NULL, or where they go, behind the images that are made of
 * them; of `elements` numbers each. beside: write while the next batch is made. EK_ENOMEM. */
int ek_samples_writer_new(struct ek_samples_writer **out, const char *folder, uint32_t side,
                          struct ek_npy_writer *latents, size_t elements, int beside);
void ek_samples_writer_free(struct ek_samples_writer *w);
/* `*pixels`: where to put the next `count` images, [count, side, side, 3]; the writer's. */
int ek_samples_writer_room(uint8_t **pixels, struct ek_samples_writer *w, size_t count);
/* Write these as images first …, on all threads. latents: [count, elements], copied. A failure is of this batch or of
 * the one before. */
int ek_samples_writer_write(struct ek_samples_writer *w, uint64_t first, size_t count, const float *latents);
/* Wait until all are written. */
int ek_samples_writer_end(struct ek_samples_writer *w);

#endif
