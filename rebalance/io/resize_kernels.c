#include "rebalance/io/resize_kernels.h"

#include <string.h>

enum { HALF = 1 << (EK_RESIZE_BITS - 1) };

typedef uint8_t bytes16 __attribute__((vector_size(16)));

#ifdef __clang__
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (bytes16){ __VA_ARGS__ })
#endif
#define LOW_HALVES(a, b) PICK(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH_HALVES(a, b) PICK(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

/* The 16 × 16 bytes of `v` turned about the diagonal: four perfect shuffles of its 16 vectors. */
#define TURN_BLOCK(v)                                                                                                  \
	do {                                                                                                           \
		bytes16 shuffled[16];                                                                                  \
		for (int round = 0; round < 2; round++) {                                                              \
			for (int i = 0; i < 8; i++) {                                                                  \
				shuffled[2 * i] = LOW_HALVES((v)[i], (v)[i + 8]);                                      \
				shuffled[2 * i + 1] = HIGH_HALVES((v)[i], (v)[i + 8]);                                 \
			}                                                                                              \
			for (int i = 0; i < 8; i++) {                                                                  \
				(v)[2 * i] = LOW_HALVES(shuffled[i], shuffled[i + 8]);                                 \
				(v)[2 * i + 1] = HIGH_HALVES(shuffled[i], shuffled[i + 8]);                            \
			}                                                                                              \
		}                                                                                                      \
	} while (0)

struct sums {
	int32_t v[16];
};

static inline void sums_start(struct sums *s)
{
	for (int i = 0; i < 16; i++)
		s->v[i] = HALF;
}

static inline void sums_add(struct sums *s, const uint8_t *bytes, int32_t weight)
{
	for (int i = 0; i < 16; i++)
		s->v[i] += bytes[i] * weight;
}

static inline void sums_store(uint8_t *bytes, const struct sums *s)
{
	for (int i = 0; i < 16; i++) {
		const int32_t value = s->v[i] >> EK_RESIZE_BITS;

		bytes[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
	}
}

#define ISA generic
#define TARGET
#define SUM struct sums
#define SUM_START(s) sums_start(&(s))
#define SUM_ADD(s, bytes, w) sums_add(&(s), bytes, w)
#define SUM_STORE(bytes, s) sums_store(bytes, &(s))
#include "rebalance/io/resize_body.h"

#ifdef __x86_64__
#include <immintrin.h>

#define LOAD(bytes) _mm_loadu_si128((const __m128i *)(const void *)(bytes))
#define SAVE(bytes, vector) _mm_storeu_si128((__m128i *)(void *)(bytes), vector)

struct sums_avx2 {
	__m256i low, high;
};

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline void sums_avx2_add(struct sums_avx2 *s, const uint8_t *bytes, int32_t weight)
{
	const __m256i w = _mm256_set1_epi32(weight);
	const __m128i b = LOAD(bytes);

	s->low = _mm256_add_epi32(s->low, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(b), w));
	s->high = _mm256_add_epi32(s->high, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_bsrli_si128(b, 8)), w));
}

AVX2 static inline void sums_avx2_store(uint8_t *bytes, const struct sums_avx2 *s)
{
	/* Packing works on halves of 128 bits: the low eight bytes of each hold 0-3, 8-11 and 4-7, 12-15. */
	const __m256i words = _mm256_packs_epi32(_mm256_srai_epi32(s->low, EK_RESIZE_BITS),
	                                         _mm256_srai_epi32(s->high, EK_RESIZE_BITS));
	const __m256i packed = _mm256_packus_epi16(words, words);
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5);

	SAVE(bytes, _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(packed, order)));
}

#define ISA avx2
#define TARGET AVX2
#define SUM struct sums_avx2
#define SUM_START(s) (s).low = (s).high = _mm256_set1_epi32(HALF)
#define SUM_ADD(s, bytes, w) sums_avx2_add(&(s), bytes, w)
#define SUM_STORE(bytes, s) sums_avx2_store(bytes, &(s))
#include "rebalance/io/resize_body.h"

#define ISA avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl")))
#define SUM __m512i
#define SUM_START(s) (s) = _mm512_set1_epi32(HALF)
#define SUM_ADD(s, bytes, w)                                                                                           \
	(s) = _mm512_add_epi32(s, _mm512_mullo_epi32(_mm512_cvtepu8_epi32(LOAD(bytes)), _mm512_set1_epi32(w)))
#define SUM_STORE(bytes, s)                                                                                            \
	SAVE(bytes,                                                                                                    \
	     _mm512_cvtusepi32_epi8(_mm512_max_epi32(_mm512_srai_epi32(s, EK_RESIZE_BITS), _mm512_setzero_si512())))
#include "rebalance/io/resize_body.h"

static const struct ek_resize_kernels *const with_avx2[] = { &kernels_avx2, &kernels_generic, NULL };
static const struct ek_resize_kernels *const with_avx512[] = { &kernels_avx512, &kernels_avx2, &kernels_generic, NULL };
#endif

static const struct ek_resize_kernels *const generic_only[] = { &kernels_generic, NULL };

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
