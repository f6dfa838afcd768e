/*
 * Which images a training sees, in which order and with what weight in the loss: a subset, a sampler by weights, or all
 * images; without those that are held out. Made here because only the command line knows both plans and trainers.
 */
#ifndef EK_PIPELINE_FEED_H
#define EK_PIPELINE_FEED_H

#include "rebalance/io/run.h"
#include "rebalance/plan/source.h"
#include "train/loop/trainer.h"

struct ek_feed_options {
	const char *subset, *weights; /* at most one */
	const char *loss_weights;     /* RUN/weights/NAME: its weights multiply the loss, mean 1; NULL: all 1 */
	double validate;              /* share of the images to judge by, if the scan held none out */
	uint64_t seed;
};

struct ek_feed {
	struct ek_source source;
	struct ek_sampler *all; /* of all images, where neither subset nor weights were asked for */
	uint64_t images, seed;
	uint8_t *reserved; /* [images]: 1 is judged by, never trained on */
	int64_t *held_out; /* ids that are judged by */
	uint64_t held_out_count;
	struct ek_npy loss_weights;
	struct ek_source_of_ids ids; /* for ek_train */
};

/* EK_EUSAGE: no such subset or weights; EK_EDATA: stale ones, or nothing to train on. Must not be moved. */
int ek_feed_open(struct ek_feed *feed, struct ek_run *run, const struct ek_feed_options *options);
void ek_feed_release(struct ek_feed *feed);

#endif
