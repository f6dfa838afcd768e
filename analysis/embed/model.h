/*
 * An encoder with its weights, ready to run: from preprocessed images to features.
 */
#ifndef EK_EMBED_MODEL_H
#define EK_EMBED_MODEL_H

#include "analysis/embed/encoder.h"
#include "train/nn/tensor.h"

/* Shared by all threads. */
struct ek_model;
/* Room for a batch. */
struct ek_model_state;

/* Load `weights` (a path; NULL for an encoder that needs none) and build the network for these input images.
 * `batch`: images a run takes, 1 … 4096. EK_EIO, EK_EDATA (a tensor is missing, misshapen or of another network),
 * EK_ENOTSUP, EK_ENOMEM. `p` is copied. */
int ek_model_new(struct ek_model **out, const struct ek_encoder *encoder, const struct ek_preprocessing *p,
                 const char *weights, enum ek_nn_precision precision, int batch);
void ek_model_free(struct ek_model *m);

/* For ek_model_run, one per thread: on a device that threads share, it holds nothing. `m` must outlive it. */
int ek_model_state_new(struct ek_model_state **out, const struct ek_model *m);
void ek_model_state_free(struct ek_model_state *s);

/*
 * A batch step by step: any threads put images where the network takes them from, and one starts it. A device that
 * threads share computes the batches of several states one after the other meanwhile; elsewhere `start` does it all.
 *
 *     EK_TRY(ek_model_room_new(&s, m));
 *     fill ek_model_stage(s, i), i < count;       one preprocessed image (preprocess.h) each
 *     EK_TRY(ek_model_start(s, count));
 *     EK_TRY(ek_model_features(&features, s));    waits, unless ek_model_is_done(s)
 *
 * features: [count, dimensions] float32, valid until the next start.
 */
int ek_model_room_new(struct ek_model_state **out, const struct ek_model *m);
void *ek_model_stage(struct ek_model_state *s, int image);
int ek_model_start(struct ek_model_state *s, int count);
int ek_model_is_done(const struct ek_model_state *s);
int ek_model_features(const float **features, struct ek_model_state *s);

/* Images of a run that keep a core busy without outgrowing its cache. */
int ek_model_batch(const struct ek_preprocessing *p);

/* images: [count] preprocessed (preprocess.h), count ≤ batch. features: [count, dimensions] float32, out.
 * An image's features do not depend on the others nor on the thread. */
int ek_model_run(const struct ek_model *m, struct ek_model_state *s, const void *images, int count, float *features);

#endif
