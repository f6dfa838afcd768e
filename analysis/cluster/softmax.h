/*
 * A linear classifier of embeddings that is watched while it learns: what it does with each image epoch by epoch is
 * what scores are made of (probe_scores.h).
 *
 * z = W x + b, loss -ln softmax(z)_y, plain stochastic gradient descent on batches of 128. Features are standardised:
 * x_j = (e_j - mean_j) / (deviation_j sqrt(d)), so |x|² is 1 on average and one rate suits every encoder. W starts
 * uniform in (-1, 1), b at 0; every epoch takes the rows in another order (Fisher and Yates), and the rate falls in a
 * line from `rate` to 0 over all steps. All of it is a function of the rows, the options and the seed: products are in
 * float32, on the calling thread alone.
 */
#ifndef EK_CLUSTER_SOFTMAX_H
#define EK_CLUSTER_SOFTMAX_H

#include "analysis/cluster/rows.h"

enum { EK_SOFTMAX_BATCH = 128, EK_SOFTMAX_ENOUGH = 1 };

/* Rows with a class each. */
struct ek_softmax_data {
	const struct ek_rows *rows; /* [count, d] finite */
	const uint32_t *label;      /* [rows->count] below classes */
	uint32_t classes;           /* at least 2 */
	float *shift, *scale;       /* [d] x = (e - shift) scale; owned */
};

/* Standardise by all `rows`; they and `label` are borrowed. EK_EDATA: a row is not finite. Release in any case. */
int ek_softmax_data_of(struct ek_softmax_data *data, const struct ek_rows *rows, const uint32_t *label,
                       uint32_t classes);
void ek_softmax_data_release(struct ek_softmax_data *data);

struct ek_softmax_options {
	uint32_t epochs;
	double rate;
	uint64_t seed;
};

/* What is watched; each may be NULL. */
struct ek_softmax_watch {
	/* Row i is visited in epoch 0 … epochs-1; z: [classes] its logits before the step. */
	void (*visit)(void *context, uint32_t epoch, uint64_t i, const float *z);
	/* An epoch is over; w: [classes, d + 1] the weights, the last of each b. 0, EK_SOFTMAX_ENOUGH to stop here, or
	 * a negative code. */
	int (*epoch)(void *context, uint32_t epoch, const float *w);
	void *context;
};

/*
 * w: [classes, d + 1] out. learn: [count] the rows to learn from, or NULL: all rows->count. Tells progress: each row
 * of each epoch, one. For several at once in threads. EK_ENOMEM, EK_EINTERRUPTED, or what watch->epoch returns.
 */
int ek_softmax_train(float *w, const struct ek_softmax_data *data, const uint64_t *learn, uint64_t count,
                     const struct ek_softmax_options *options, const struct ek_softmax_watch *watch);

/* Call take(context, i, z) with the logits z [classes] of the rows which [count], or NULL: the first `count`. */
int ek_softmax_pass(const struct ek_softmax_data *data, const float *w, const uint64_t *which, uint64_t count,
                    void (*take)(void *context, uint64_t i, float *z), void *context);

/* z: [classes] logits become probabilities. */
void ek_softmax(float *z, uint32_t classes);
/* The logit (or probability) of `label` less the largest other: above 0 if that is what the row is classified as. */
float ek_softmax_margin(const float *z, uint32_t classes, uint32_t label);

#endif
