/* Linear layers beside a GELU (by tanh) on Hopper, in bfloat16, as one pass each. Internal to train/nn. */
#ifndef EK_NN_OPS_LINEAR_HOPPER_H
#define EK_NN_OPS_LINEAR_HOPPER_H

#include "train/nn/ops/op_cuda.h"

struct ek_gelu_product {
	const void *x, *weights; /* bfloat16: [rows, depth], [columns, depth]; in backward [depth, columns] */
	void *y;                 /* bfloat16 [rows, columns] */
	void *before;            /* the like: what the GELU is of; forward writes it if it is not NULL */
	const void *bias;        /* bfloat16 [columns], of forward */
	float *parts;            /* backward: NULL, or sums of so many rows of y: [ek_gelu_parts(rows), columns] */
	size_t rows;
	int depth, columns;
};

static inline size_t ek_gelu_parts(size_t rows)
{
	return (rows + 127) / 128;
}

/* Is such a product one of these, on this GPU? Where they are faster than cuBLASLt's: from 4,096 rows on. */
static inline int ek_cuda_has_gelu(size_t rows, size_t columns)
{
	return rows >= 4096 && columns % 192 == 0 && ek_cuda_is_hopper();
}

/* forward: y = gelu(before), before = x · weights' + bias, which is rounded only where it is written; backward: y = (x
 * · weights) gelu'(before). */
int ek_cuda_gelu_forward(const ek_gelu_product &p);
int ek_cuda_gelu_backward(const ek_gelu_product &p);

#endif
