/* The kernels of moments.h, each behind a function that launches it. Internal to train/nn. */
#ifndef EK_NN_MOMENTS_CUDA_H
#define EK_NN_MOMENTS_CUDA_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* out [d, d] += the sum of z z' over so many rows; the lower triangle. mean and scale may be NULL. */
void ek_moments_outer(double *out, const float *x, const double *mean, const double *scale, uint64_t rows, size_t d,
                      cudaStream_t stream);
/* partial [ek_moments_blocks(count, y == NULL)]: the sums of blocks of pairs. */
size_t ek_moments_blocks(size_t count, int self);
void ek_moments_kernel(double *partial, const float *x, const float *y, size_t count, size_t d, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
