/* Kernels of the store on GPUs. Internal to train/nn. */
#ifndef EK_NN_STORE_CUDA_H
#define EK_NN_STORE_CUDA_H

#include <stddef.h>

#include "train/nn/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A part of the arrays without frozen parameters; squares: of its gradients. */
struct ek_cuda_piece {
	size_t first, count;
	double squares;
};

/* sum [count] += x */
void ek_cuda_accumulate(float *sum, const float *x, size_t count);
/* The sum of the squares of the gradients, and what they are clipped with. */
struct ek_cuda_norm {
	double squares;
	float gradient;
};

/* norm: of all pieces of x, in a fixed order. All are the GPU's. */
int ek_cuda_sum_squares(struct ek_cuda_norm *norm, struct ek_cuda_piece *pieces, size_t count, const float *x,
                        double clip);
/* AdamW and the average (store.h) over all pieces, after which the gradients are 0. Nothing if the norm is not finite.
 */
int ek_cuda_adamw(float *const families[EK_FAMILIES], const struct ek_cuda_piece *pieces, size_t count,
                  const struct ek_adamw_factors *factors, const struct ek_cuda_norm *norm);

#ifdef __cplusplus
}
#endif

#endif
