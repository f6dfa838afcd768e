/*
 * Element types of arrays (.npy) and tensors (weight files), and their way to float32.
 */
#ifndef EK_IO_DTYPE_H
#define EK_IO_DTYPE_H

#include <stddef.h>
#include <stdint.h>

/* EK_BF16 (bfloat16) is found in weight files only, never in .npy. */
enum ek_dtype {
	EK_F16,
	EK_F32,
	EK_F64,
	EK_U8,
	EK_I32,
	EK_U32,
	EK_I64,
	EK_U64,
	EK_BF16,
	EK_BOOL,
	EK_I8,
	EK_I16,
	EK_U16,
	EK_DTYPE_COUNT
};

size_t ek_dtype_size(enum ek_dtype type);      /* bytes */
const char *ek_dtype_name(enum ek_dtype type); /* "float32" …, as NumPy calls them */
/* 1 for float16, bfloat16, float32, float64. */
int ek_dtype_is_float(enum ek_dtype type);
/* The letter of NumPy's type strings, as 'f' in "<f4"; 0 for bfloat16, which has none. */
char ek_dtype_kind(enum ek_dtype type);
/* `*count` = the product of the dimensions, `*bytes` that times the size of an element; 0 if one of the two (with
 * every dimension of 0 taken as 1) is beyond PTRDIFF_MAX, else 1. */
int ek_shape_size(uint64_t *count, uint64_t *bytes, enum ek_dtype type, int dimensions, const uint64_t *shape);

/* Convert `count` floating-point elements that lie `step` bytes apart from `from` on, aligned or not, and write them
 * `out_step` floats apart. float64 beyond the range of float32 becomes infinite. */
void ek_convert_f32(float *out, size_t out_step, const void *from, size_t step, size_t count, enum ek_dtype type,
                    int big_endian);

/* IEEE half precision, round to nearest even. */
float ek_half_to_float(uint16_t half);
uint16_t ek_float_to_half(float value);

#endif
