/*
 * The generated images RUN/samples/NAME beside the images of the run: for evaluate, and for people who review them.
 *
 *	embeddings.npy + .json    [M, d] by the run's own encoder, weights, input side and precision; row i is
 *	                          images/i.png (the i-th of them, in order of their names)
 *	assignment.npy            [M] int32, the nearest of the run's frozen centroids
 *	neighbours.npy            [M, 5] int64, ids of the five nearest training images, nearest first; -1 where there
 *	                          are fewer
 *	neighbour_distances.npy   [M, 5] float32, Euclidean, in the space of the embeddings; infinite where there are
 *	                          fewer
 *	own_distance.npy          [M] float64, of the nearest training image to its own nearest other one
 *	copied.npy                [M] uint8, 1: looks copied (analysis/quality/memorisation.h)
 *	groups.npy                [M, G] float32, the probability of each named group of the run (classifier.h),
 *corrected for how often each was made; not there where the run has none
 *
 * Training images are those that the model saw: of its subset (or with a weight above 0), without held-out ones; all
 * that are not held out, where RUN/models does not tell.
 */
#ifndef EK_PIPELINE_SAMPLES_COMPARE_H
#define EK_PIPELINE_SAMPLES_COMPARE_H

#include "analysis/quality/memorisation.h"
#include "rebalance/pipeline/features.h"
#include "rebalance/io/run.h"

enum { EK_SAMPLES_NEIGHBOURS = 5 };

/*
 * Make those files that are missing or stale; what is current is left alone. The run must be open for writing. Reports
 * progress; a stopped embedding goes on. again: 1: what is measured of the embeddings is, even if it is current.
 * EK_EUSAGE: no such samples; EK_EDATA: an image that does not decode, no embeddings or clusters, embeddings that no
 * encoder of ours made; EK_EIO, EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_samples_compare(struct ek_run *run, const char *name, int again);
/* What it found: of `samples`, the rows of embeddings.npy, among `training`, the rows of the images that the model saw,
 * with their ids. Release in any case. */
int ek_samples_closeness(struct ek_closeness *out, const struct ek_run *run, const char *name,
                         const struct ek_rows *samples, const struct ek_rows *training);

/* 0, or EK_EUSAGE: no RUN/samples/NAME/images; EK_EDATA: not yet, they were begun. */
int ek_samples_check(const struct ek_run *run, const char *name);
/* Their features, to RUN/samples/NAME/embeddings.npy, or, by another encoder than the run's, embeddings-ENCODER.npy.
 * EK_EDATA: there are fewer images than were asked for, or more. */
int ek_samples_features(struct ek_features *out, struct ek_run *run, const struct ek_feature_maker *maker,
                        const char *name);

#endif
