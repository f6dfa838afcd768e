/* Products of linear layers on Hopper, in bfloat16, alone, with a GELU (by tanh), or at the end of a branch. Internal
 * to train/nn. */
#ifndef EK_NN_OPS_LINEAR_HOPPER_H
#define EK_NN_OPS_LINEAR_HOPPER_H

#include "train/nn/ops/op_cuda.h"

struct ek_linear_product {
	const void *x, *weights; /* bfloat16: [rows, depth], [columns, depth]; in backward [depth, columns] */
	void *y;                 /* bfloat16 [rows, columns] */
	/* NULL, or the like: what the GELU is of, which forward writes; or what is added to. */
	void *before;
	const void *bias; /* bfloat16 [columns], not in backward */
	float *parts;     /* beside a slope: NULL, or sums of so many rows of y: [ek_linear_parts(rows), columns] */
	size_t rows;
	int depth, columns;
	/* Of a sum: [rows / image_rows, stride], of which `columns` are taken, both in multiples of 4. */
	const float *gate = NULL;
	size_t stride = 0, image_rows = 0;
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

/* Is there one of a sum? Where 128 rows are one image's. */
static inline int ek_cuda_has_gated(size_t rows, size_t image_rows, size_t depth, size_t columns)
{
	return image_rows % 128 == 0 && depth % 8 == 0 && ek_cuda_has_linear(rows, columns, 0);
}

/* y = before + gate (x · weights' + bias), rounded once; y may be `before`. */
int ek_cuda_linear_gated(const ek_linear_product &p);

#endif
