#include "analysis/cluster/vector.h"

#include <math.h>
#include <string.h>

/* One body, compiled for each width of vector registers; the loader takes the widest the processor has. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&               \
	!defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define WIDE
#endif

enum { LANES = 8 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef float half_lanes __attribute__((vector_size(LANES * sizeof(float))));

#define LOAD(out, from)                                                                                                \
	do {                                                                                                           \
		half_lanes loaded;                                                                                     \
		memcpy(&loaded, (from), sizeof loaded);                                                                \
		(out) = __builtin_convertvector(loaded, lanes);                                                        \
	} while (0)

/* total = the lanes of four accumulators, then the tail, in one fixed order. */
#define FOLD(total, s)                                                                                                 \
	do {                                                                                                           \
		const lanes folded = (s[0] + s[1]) + (s[2] + s[3]);                                                    \
		(total) = ((folded[0] + folded[1]) + (folded[2] + folded[3])) +                                        \
		          ((folded[4] + folded[5]) + (folded[6] + folded[7]));                                         \
	} while (0)

WIDE double ek_vector_distance2(const float *a, const float *b, size_t d)
{
	lanes s[4] = { { 0 } }, u, v;
	double total;
	size_t j = 0;

	for (; j + 4 * LANES <= d; j += 4 * LANES)
		for (size_t i = 0; i < 4; i++) {
			LOAD(u, a + j + i * LANES);
			LOAD(v, b + j + i * LANES);
			u -= v;
			s[i] += u * u;
		}
	FOLD(total, s);
	for (; j < d; j++) {
		const double difference = (double)a[j] - (double)b[j];

		total += difference * difference;
	}
	return total;
}

WIDE double ek_vector_dot(const float *a, const float *b, size_t d)
{
	lanes s[4] = { { 0 } }, u, v;
	double total;
	size_t j = 0;

	for (; j + 4 * LANES <= d; j += 4 * LANES)
		for (size_t i = 0; i < 4; i++) {
			LOAD(u, a + j + i * LANES);
			LOAD(v, b + j + i * LANES);
			s[i] += u * v;
		}
	FOLD(total, s);
	for (; j < d; j++)
		total += (double)a[j] * (double)b[j];
	return total;
}

WIDE void ek_vector_add(double *sum, const float *x, size_t d)
{
	for (size_t j = 0; j < d; j++)
		sum[j] += (double)x[j];
}

void ek_vector_unit(float *x, size_t d)
{
	const double norm = sqrt(ek_vector_dot(x, x, d));

	if (norm > 0)
		for (size_t j = 0; j < d; j++)
			x[j] = (float)((double)x[j] / norm);
}
