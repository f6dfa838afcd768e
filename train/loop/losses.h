/*
 * The losses of all images while a training learns, RUN/models/NAME/losses.npy: [checks, images] float32, a row every
 * so many steps, each loss the mean over a grid (task.h) that is the same at every check; losses.json beside it says
 * how: "every" (row c is of step (c + 1) · every), "draws", "seed", "images". The file is whole after every row. Rows
 * belong to the training's checkpoint: those of later steps are cut when it goes on.
 */
#ifndef EK_LOOP_LOSSES_H
#define EK_LOOP_LOSSES_H

#include <stdint.h>

#include "rebalance/io/npy.h"
#include "train/loop/task.h"

/* What is logged. every 0: nothing. */
struct ek_loss_log {
	uint64_t every, images;
	struct ek_grid grid;
};

struct ek_losses {
	struct ek_loss_log of;
	uint64_t rows; /* written */
	char *path;
	int fd;
};

/* Open FOLDER/losses.npy for appending after `step`, with at most its rows; a row of `step` itself may be missing yet.
 * EK_EDATA: earlier rows are gone. `{ .fd = -1 }` can be released. */
int ek_losses_open(struct ek_losses *l, const char *folder, const struct ek_loss_log *of, uint64_t step);
/* row: [images]. */
int ek_losses_append(struct ek_losses *l, const float *row);
/* Before a checkpoint: what is written is on the disk. */
int ek_losses_sync(struct ek_losses *l);
void ek_losses_release(struct ek_losses *l);

/* Map the log of a model: array->data is float32 [shape[0], shape[1]]. EK_EDATA: there is none, or it is damaged. */
int ek_losses_read(struct ek_npy *array, struct ek_loss_log *of, const char *folder);

#endif
