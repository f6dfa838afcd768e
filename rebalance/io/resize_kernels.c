#include "rebalance/io/resize_kernels.h"

#include <string.h>

/* Vectors of GCC and clang, so that one text serves all processors; values pass by pointer because their calling
 * convention depends on the instruction set. */
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef int32_t words16 __attribute__((vector_size(64)));

#define INLINE static inline __attribute__((always_inline))

#ifdef __clang__
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (bytes16){ __VA_ARGS__ })
#endif

/* 16 × 16 bytes turned about the diagonal: four perfect shuffles of the 16 vectors. */
INLINE void turn_block(bytes16 *v)
{
	for (int round = 0; round < 4; round++) {
		bytes16 next[16];

		for (int i = 0; i < 8; i++) {
			next[2 * i] = PICK(v[i], v[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
			next[2 * i + 1] =
				PICK(v[i], v[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
		}
		memcpy(v, next, sizeof next);
	}
}

INLINE void add_weighted(words16 *sum, const uint8_t *in, int32_t weight)
{
	bytes16 b;

	memcpy(&b, in, sizeof b);
	*sum += __builtin_convertvector(b, words16) * weight;
}

INLINE void store_clipped(uint8_t *out, const words16 *sum)
{
	words16 v = *sum >> EK_RESIZE_BITS;
	bytes16 b;

	v = (v | (v > 255)) & ~(v >> 31); /* above 255: all bits; below 0: none */
	b = __builtin_convertvector(v, bytes16);
	memcpy(out, &b, sizeof b);
}

#define HALF ((words16){ 0 } + (1 << (EK_RESIZE_BITS - 1)))

INLINE void turn_rows(uint8_t *turned, const uint8_t *const *in, size_t bytes)
{
	bytes16 v[16] = { { 0 } };
	size_t at = 0;

	for (; at + 16 <= bytes; at += 16) {
		for (int i = 0; i < 16; i++)
			memcpy(&v[i], in[i] + at, 16);
		turn_block(v);
		memcpy(turned + at * 16, v, sizeof v);
	}
	if (at < bytes) {
		for (int i = 0; i < 16; i++)
			memcpy(&v[i], in[i] + at, bytes - at);
		turn_block(v);
		memcpy(turned + at * 16, v, sizeof v);
	}
}

INLINE void horizontal(uint8_t *const *out, const uint8_t *const *in, size_t in_bytes, size_t out_bytes,
                       uint8_t *turned, uint8_t *result, const struct ek_taps *t)
{
	turn_rows(turned, in, in_bytes);
	for (size_t x = 0; x < t->count; x++) {
		const uint8_t *from = turned + (t->first[x] - t->begin) * 48;
		const int32_t *weights = t->weights + x * t->stride;
		words16 red = HALF, green = HALF, blue = HALF;

		for (size_t i = 0; i < t->size[x]; i++, from += 48) {
			add_weighted(&red, from, weights[i]);
			add_weighted(&green, from + 16, weights[i]);
			add_weighted(&blue, from + 32, weights[i]);
		}
		store_clipped(result + x * 48, &red);
		store_clipped(result + x * 48 + 16, &green);
		store_clipped(result + x * 48 + 32, &blue);
	}
	for (size_t at = 0; at < out_bytes; at += 16) {
		bytes16 v[16];

		memcpy(v, result + at * 16, sizeof v);
		turn_block(v);
		for (int i = 0; i < 16; i++)
			memcpy(out[i] + at, &v[i], 16);
	}
}

INLINE void vertical(uint8_t *out, const uint8_t *in, size_t stride, size_t bytes, const int32_t *weights, size_t count)
{
	size_t at = 0;

	for (; at + 32 <= bytes; at += 32) {
		words16 a = HALF, b = HALF;

		for (size_t i = 0; i < count; i++) {
			add_weighted(&a, in + i * stride + at, weights[i]);
			add_weighted(&b, in + i * stride + at + 16, weights[i]);
		}
		store_clipped(out + at, &a);
		store_clipped(out + at + 16, &b);
	}
	for (; at < bytes; at += 16) { /* rows of `in` are padded to 16, `out` is not */
		uint8_t last[16];
		words16 a = HALF;

		for (size_t i = 0; i < count; i++)
			add_weighted(&a, in + i * stride + at, weights[i]);
		store_clipped(last, &a);
		memcpy(out + at, last, bytes - at < 16 ? bytes - at : 16);
	}
}

#define KERNELS(isa, attribute)                                                                                        \
	attribute static void horizontal_##isa(uint8_t *const *out, const uint8_t *const *in, size_t in_bytes,         \
	                                       size_t out_bytes, uint8_t *turned, uint8_t *result,                     \
	                                       const struct ek_taps *t)                                                \
	{                                                                                                              \
		horizontal(out, in, in_bytes, out_bytes, turned, result, t);                                           \
	}                                                                                                              \
	attribute static void vertical_##isa(uint8_t *out, const uint8_t *in, size_t stride, size_t bytes,             \
	                                     const int32_t *weights, size_t count)                                     \
	{                                                                                                              \
		vertical(out, in, stride, bytes, weights, count);                                                      \
	}                                                                                                              \
	static const struct ek_resize_kernels kernels_##isa = { #isa, horizontal_##isa, vertical_##isa };

KERNELS(generic, )
#ifdef __x86_64__
KERNELS(avx2, __attribute__((target("avx2"))))
KERNELS(avx512, __attribute__((target("avx512f,avx512bw,avx512vl"))))
#endif

static const struct ek_resize_kernels *const generic_only[] = { &kernels_generic, NULL };
#ifdef __x86_64__
static const struct ek_resize_kernels *const with_avx2[] = { &kernels_avx2, &kernels_generic, NULL };
static const struct ek_resize_kernels *const with_avx512[] = { &kernels_avx512, &kernels_avx2, &kernels_generic, NULL };
#endif

const struct ek_resize_kernels *const *ek_resize_kernels_all(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
		return with_avx512;
	if (__builtin_cpu_supports("avx2"))
		return with_avx2;
#endif
	return generic_only;
}

const struct ek_resize_kernels *ek_resize_kernels(void)
{
	return ek_resize_kernels_all()[0];
}
