/* Products of linear layers on Hopper, in bfloat16, alone or with a GELU (by tanh). Internal to train/nn. */
#ifndef EK_NN_OPS_LINEAR_HOPPER_H
#define EK_NN_OPS_LINEAR_HOPPER_H

#include "train/nn/ops/op_cuda.h"

struct ek_linear_product {
	const void *x, *weights; /* bfloat16: [rows, depth], [columns, depth]; in backward [depth, columns] */
	void *y;                 /* bfloat16 [rows, columns] */
	void *before;            /* NULL, or the like: what the GELU is of, which forward writes */
	const void *bias;        /* bfloat16 [columns], of forward */
	float *parts; /* beside a slope: NULL, or sums of so many rows of y: [ek_linear_parts(rows), columns] */
	size_t rows;
	int depth, columns;
};

static inline size_t ek_linear_parts(size_t rows)
{
	return (rows + 127) / 128;
}

/* Is such a product one of these, on this GPU? Where they are faster than cuBLASLt's: from 4,096 rows on; alone, from
 * so many tiles on as there are multiprocessors. */
static inline int ek_cuda_has_linear(size_t rows, size_t columns, int with_gelu)
{
	return rows >= 4096 && (columns % 192 == 0 || columns % 128 == 0) &&
	       (with_gelu || rows / 128 * columns >= (size_t)128 * 192) && ek_cuda_is_hopper();
}

/* y = x · weights' + bias. */
int ek_cuda_linear_forward(const ek_linear_product &p);

/* y = gelu(before), before = x · weights' + bias, which is rounded only where it is written. */
int ek_cuda_linear_gelu(const ek_linear_product &p);

/* y = x · weights, times gelu'(before) where that is given. */
int ek_cuda_linear_backward(const ek_linear_product &p);

#endif
