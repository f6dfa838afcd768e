/*
 * Loops over rows, compiled once per instruction set (vector_kernels.c) and chosen at run time. All of them
 * compute with the same 16 lanes in the same order and without contraction, so the results are the same bits
 * on every instruction set. Internal to train/nn. Pointers need no alignment; outputs do not overlap inputs.
 */
#ifndef EK_NN_VECTOR_H
#define EK_NN_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/tensor.h"

struct ek_nn_vector {
	void (*bf16_from_float)(ek_bf16 *out, const float *x, size_t count);
	void (*bf16_to_float)(float *out, const ek_bf16 *x, size_t count);
	/* x = exp(scale · (x - max x)) / sum of these, in place; scale > 0. exp to 2 units in the last place;
	 * a NaN makes the whole row NaN. */
	void (*softmax)(float *x, size_t count, float scale);
	/* out[i] = x[i] + y[i] */
	void (*add)(float *out, const float *x, const float *y, size_t count);
	/* x[i] += y[i] */
	void (*accumulate)(float *x, const float *y, size_t count);
	/* x[i] *= scale */
	void (*scale)(float *x, size_t count, float scale);
};

/* The fastest set of this processor. */
const struct ek_nn_vector *ek_nn_vector(void);

#endif
