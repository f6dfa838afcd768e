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

size_t ek_nn_type_size(enum ek_nn_type type);

#endif
