/* bfloat16 on this processor. */
#ifndef EK_NN_BF16_H
#define EK_NN_BF16_H

#include "train/nn/tensor.h"

/* 1 if this processor has bfloat16 products (avx512_bf16 or amx_bf16) and the operating system lets them
 * be used, else 0. Without it, bfloat16 is emulated, slower than float32, or EK_ENOTSUP. */
int ek_nn_cpu_has_bf16(void);

/* out[i] = x[i] rounded to nearest, ties to even; NaN stays NaN. Both [count], not overlapping. */
void ek_bf16_from_float(ek_bf16 *out, const float *x, size_t count);
/* out[i] = x[i], exact. */
void ek_bf16_to_float(float *out, const ek_bf16 *x, size_t count);

#endif
