#include "rebalance/io/dtype.h"

#include <assert.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are read in place as little-endian");

static const struct {
	const char *name;
	size_t size;
	char kind;
	int is_float;
} types[EK_DTYPE_COUNT] = {
	[EK_F16] = { "float16", 2, 'f', 1 }, [EK_F32] = { "float32", 4, 'f', 1 }, [EK_F64] = { "float64", 8, 'f', 1 },
	[EK_U8] = { "uint8", 1, 'u', 0 },    [EK_I32] = { "int32", 4, 'i', 0 },   [EK_U32] = { "uint32", 4, 'u', 0 },
	[EK_I64] = { "int64", 8, 'i', 0 },   [EK_U64] = { "uint64", 8, 'u', 0 },  [EK_BF16] = { "bfloat16", 2, 0, 1 },
	[EK_BOOL] = { "bool", 1, 'b', 0 },   [EK_I8] = { "int8", 1, 'i', 0 },     [EK_I16] = { "int16", 2, 'i', 0 },
	[EK_U16] = { "uint16", 2, 'u', 0 },
};

size_t ek_dtype_size(enum ek_dtype type)
{
	assert(type < EK_DTYPE_COUNT);
	return types[type].size;
}

const char *ek_dtype_name(enum ek_dtype type)
{
	assert(type < EK_DTYPE_COUNT);
	return types[type].name;
}

int ek_dtype_is_float(enum ek_dtype type)
{
	assert(type < EK_DTYPE_COUNT);
	return types[type].is_float;
}

char ek_dtype_kind(enum ek_dtype type)
{
	assert(type < EK_DTYPE_COUNT);
	return types[type].kind;
}

int ek_shape_size(uint64_t *count, uint64_t *bytes, enum ek_dtype type, int dimensions, const uint64_t *shape)
{
	uint64_t largest = ek_dtype_size(type);
	int empty = 0;

	for (int i = 0; i < dimensions; i++) {
		empty |= shape[i] == 0;
		if (__builtin_mul_overflow(largest, shape[i] > 0 ? shape[i] : 1, &largest) || largest > PTRDIFF_MAX)
			return 0;
	}
	*bytes = empty ? 0 : largest;
	*count = *bytes / ek_dtype_size(type);
	return 1;
}

/* Inlined into the loops over rows, which a call of a public symbol is not. */
static inline float half_to_float(uint16_t half)
{
	uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
	float value;

	memcpy(&value, &bits, sizeof value);
	value *= 0x1p112f; /* the exponents' biases differ by 112; subnormals come out right as well */
	memcpy(&bits, &value, sizeof bits);
	if ((half & 0x7c00) == 0x7c00)
		bits |= 0x7f800000;
	bits |= (uint32_t)(half & 0x8000) << 16;
	memcpy(&value, &bits, sizeof value);
	return value;
}

float ek_half_to_float(uint16_t half)
{
	return half_to_float(half);
}

uint16_t ek_float_to_half(float value)
{
	static const uint32_t half_ulp_bits = (uint32_t)(127 - 15 + 23 - 10 + 1) << 23;
	uint32_t bits, sign;

	memcpy(&bits, &value, sizeof bits);
	sign = bits & 0x80000000;
	bits ^= sign;
	if (bits > 0x7f800000) {
		bits = 0x7e00 | (bits >> 13 & 0x3ff);
	} else if (bits >= (uint32_t)(127 + 16) << 23) {
		bits = 0x7c00;
	} else if (bits < (uint32_t)(127 - 14) << 23) {
		/* Subnormal: adding this number makes the float unit round at the half's last bit. */
		float shifted, shift;

		memcpy(&shift, &half_ulp_bits, sizeof shift);
		memcpy(&shifted, &bits, sizeof shifted);
		shifted += shift;
		memcpy(&bits, &shifted, sizeof bits);
		bits -= half_ulp_bits;
	} else {
		const uint32_t odd = bits >> 13 & 1;

		bits = (bits - ((uint32_t)(127 - 15) << 23) + 0xfff + odd) >> 13;
	}
	return (uint16_t)(bits | sign >> 16);
}

/* One loop per type: `load` makes `*out` from the unaligned bytes at `from`. */
#define CONVERT_EACH(word, swap, load)                                                                                 \
	for (size_t i = 0; i < count; i++) {                                                                           \
		word bits;                                                                                             \
                                                                                                                       \
		memcpy(&bits, bytes + i * step, sizeof bits);                                                          \
		bits = big_endian ? swap(bits) : bits;                                                                 \
		out[i * out_step] = load(bits);                                                                        \
	}

static float from_bits32(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

static float from_bf16(uint16_t bits)
{
	return from_bits32((uint32_t)bits << 16);
}

static float from_bits64(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof value);
	return (float)value;
}

void ek_convert_f32(float *out, size_t out_step, const void *from, size_t step, size_t count, enum ek_dtype type,
                    int big_endian)
{
	const uint8_t *bytes = from;

	assert(ek_dtype_is_float(type));
	if (type == EK_F32 && step == sizeof *out && out_step == 1 && !big_endian) {
		if (count > 0)
			memcpy(out, from, count * sizeof *out);
	} else if (type == EK_F32) {
		CONVERT_EACH(uint32_t, __builtin_bswap32, from_bits32)
	} else if (type == EK_F16 && step == sizeof(uint16_t) && out_step == 1 && !big_endian) {
		const uint8_t *at = from; /* a row as it mostly lies: the compiler makes vectors of it */

		for (size_t i = 0; i < count; i++) {
			uint16_t half;

			memcpy(&half, at + i * sizeof half, sizeof half);
			out[i] = half_to_float(half);
		}
	} else if (type == EK_F16) {
		CONVERT_EACH(uint16_t, __builtin_bswap16, half_to_float)
	} else if (type == EK_BF16) {
		CONVERT_EACH(uint16_t, __builtin_bswap16, from_bf16)
	} else {
		CONVERT_EACH(uint64_t, __builtin_bswap64, from_bits64)
	}
}
