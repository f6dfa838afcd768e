/*
 * The pixels a generator is trained on: every image of a run as uint8 [side, side, 3], made once and mapped.
 *
 * The shorter side is resized to `side` (bicubic, antialiased, as Pillow), the middle is cut out. The file
 * RUN/cache/pixels-KEY.npy, [n, side, side, 3], goes on after a kill. It is the step "pixels SIDE" of run.json, made
 * from images.jsonl.
 */
#ifndef EK_LOOP_PIXELS_H
#define EK_LOOP_PIXELS_H

#include "rebalance/io/npy.h"
#include "rebalance/io/run.h"

enum { EK_PIXELS_SIDE_MAX = 2048 };

struct ek_pixels {
	struct ek_npy array;
	uint64_t count;
	int side;
	char key[65]; /* changes when the pixels do */
};

/* Bring the file up to date, or, with `force`, make it in any case, and map it. The run must be open for writing.
 * EK_EUSAGE: a side out of range; EK_EDATA, EK_EIO: an image cannot be read any more, named. */
int ek_pixels_open(struct ek_pixels *pixels, struct ek_run *run, int side, int force);
void ek_pixels_close(struct ek_pixels *pixels);

/* [side, side, 3] of one image; id in 0 … count - 1. */
const uint8_t *ek_pixels_of(const struct ek_pixels *pixels, int64_t id);

#endif
