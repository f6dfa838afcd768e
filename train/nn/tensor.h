/*
 * Number formats of the network code: float32 outside, bfloat16 (the upper half of a float32) inside
 * where the processor multiplies it in hardware.
 */
#ifndef EK_NN_TENSOR_H
#define EK_NN_TENSOR_H

#include <stddef.h>
#include <stdint.h>

enum ek_nn_type { EK_NN_FLOAT32, EK_NN_BFLOAT16 };

/* What a caller asks for; AUTO is BF16 where the device has it (device.h), else F32. */
enum ek_nn_precision { EK_NN_AUTO, EK_NN_F32, EK_NN_BF16 };

typedef uint16_t ek_bf16;

/* 1 if this processor has bfloat16 products (avx512_bf16 or amx_bf16) and the operating system lets them
 * be used, else 0. Without it, bfloat16 is emulated, slower than float32, or EK_ENOTSUP. */
int ek_nn_cpu_has_bf16(void);

size_t ek_nn_type_size(enum ek_nn_type type);

/* out[i] = x[i] rounded to nearest, ties to even; NaN stays NaN. Both [count], not overlapping. */
void ek_bf16_from_float(ek_bf16 *out, const float *x, size_t count);
/* out[i] = x[i], exact. */
void ek_bf16_to_float(float *out, const ek_bf16 *x, size_t count);

#endif
