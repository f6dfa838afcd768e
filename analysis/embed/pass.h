/*
 * The threaded part of embedding: images in, rows out in order.
 */
#ifndef EK_EMBED_PASS_H
#define EK_EMBED_PASS_H

#include "analysis/embed/model.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/run.h"

struct ek_pass {
	const struct ek_run *run;
	const struct ek_model *model;
	const struct ek_preprocessing *preprocessing;
	int batch;         /* images of a run of the model */
	size_t dimensions; /* features per image */
	uint64_t images;   /* of the run */
	enum ek_dtype storage;
};

/*
 * Embed the images from `rows_done` on and append their rows to `writer`, in order, syncing it every two seconds.
 * Batches start at multiples of `batch` whatever `rows_done` is, so that a pass that goes on does what an undisturbed
 * one does. Progress is reported over all images.
 * EK_EDATA naming an image that does not decode, EK_EIO, EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_pass_run(const struct ek_pass *pass, struct ek_npy_writer *writer, uint64_t rows_done);

#endif
