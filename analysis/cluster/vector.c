#include "analysis/cluster/vector.h"
#include "rebalance/base/wide.h"
#include "train/nn/bf16.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef float half_lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef uint32_t wide_bits __attribute__((vector_size(LANES * sizeof(uint32_t))));
typedef uint16_t short_bits __attribute__((vector_size(LANES * sizeof(uint16_t))));

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

EK_WIDE double ek_vector_distance2(const float *a, const float *b, size_t d)
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

EK_WIDE double ek_vector_dot(const float *a, const float *b, size_t d)
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

EK_WIDE void ek_vector_add(double *sum, const float *x, size_t d)
{
	for (size_t j = 0; j < d; j++)
		sum[j] += (double)x[j];
}

EK_WIDE void ek_vector_add_four(double *sum, const float *const x[4], size_t d)
{
	const float *a = x[0], *b = x[1], *c = x[2], *e = x[3];

	for (size_t j = 0; j < d; j++)
		sum[j] = (((sum[j] + (double)a[j]) + (double)b[j]) + (double)c[j]) + (double)e[j];
}

void ek_vector_unit(float *x, size_t d)
{
	const double norm = sqrt(ek_vector_dot(x, x, d));

	if (norm > 0)
		for (size_t j = 0; j < d; j++)
			x[j] = (float)((double)x[j] / norm);
}

EK_WIDE void ek_vector_rounding(double *norm2, double *error2, const float *x, const ek_bf16 *rounded, size_t d)
{
	lanes norms = { 0 }, errors = { 0 };
	double norm = 0, error = 0;
	size_t j = 0;

	for (; j + LANES <= d; j += LANES) {
		wide_bits bits;
		half_lanes value;
		lanes exact, u;
		short_bits stored;

		memcpy(&stored, rounded + j, sizeof stored);
		bits = __builtin_convertvector(stored, wide_bits) << 16;
		memcpy(&value, &bits, sizeof value);
		u = __builtin_convertvector(value, lanes);
		LOAD(exact, x + j);
		norms += u * u;
		u -= exact;
		errors += u * u;
	}
	for (size_t i = 0; i < LANES; i++) {
		norm += norms[i];
		error += errors[i];
	}
	for (; j < d; j++) {
		float value;

		ek_bf16_to_float(&value, rounded + j, 1);
		norm += (double)value * (double)value;
		error += ((double)value - (double)x[j]) * ((double)value - (double)x[j]);
	}
	*norm2 = norm;
	*error2 = error;
}

enum { WIDTH = 16 };
typedef float floats __attribute__((vector_size(WIDTH * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(WIDTH * sizeof(int32_t))));

/* Lane by lane, a where m is set, else b. */
#define PICK(m, a, b) ((floats)(((m) & (mask)(a)) | (~(m) & (mask)(b))))

EK_WIDE void ek_vector_screen(float *s, const float *norms2, float norm2, size_t count, float *best, float *second)
{
	floats least = { 0 }, next, value, norm = { 0 };

	least += INFINITY;
	next = least;
	norm += norm2;
	for (size_t j = 0; j < count; j += WIDTH) {
		floats other, larger;

		memcpy(&value, s + j, sizeof value);
		memcpy(&other, norms2 + j, sizeof other);
		value = (norm + other) - (value + value);
		memcpy(s + j, &value, sizeof value);
		larger = PICK(value < least, least, value);
		least = PICK(value < least, value, least);
		next = PICK(larger < next, larger, next);
	}
	*best = *second = INFINITY;
	for (int i = 0; i < WIDTH; i++) {
		const float larger = least[i] < *best ? *best : least[i];

		*best = least[i] < *best ? least[i] : *best;
		*second = larger < *second ? larger : *second;
		*second = next[i] < *second ? next[i] : *second;
	}
}

EK_WIDE void ek_vector_below(int32_t *out, const float *x, const float *edges, size_t edge_count, size_t count)
{
	size_t j = 0;

	for (; j + WIDTH <= count; j += WIDTH) {
		mask below = { 0 };
		floats value, edge;

		memcpy(&value, x + j, sizeof value);
		for (size_t e = 0; e < edge_count; e++) {
			edge = (floats){ 0 } + edges[e];
			below -= value < edge;
		}
		memcpy(out + j, &below, sizeof below);
	}
	for (; j < count; j++) {
		out[j] = 0;
		for (size_t e = 0; e < edge_count; e++)
			out[j] += x[j] < edges[e];
	}
}

EK_WIDE float ek_vector_largest(const float *x, size_t d)
{
	floats most = { 0 }, value;
	float largest = -INFINITY;
	size_t j = 0;

	most -= INFINITY;
	for (; j + WIDTH <= d; j += WIDTH) {
		memcpy(&value, x + j, sizeof value);
		most = PICK(value > most, value, most);
	}
	for (int i = 0; i < WIDTH; i++)
		largest = most[i] > largest ? most[i] : largest;
	for (; j < d; j++)
		largest = x[j] > largest ? x[j] : largest;
	return largest;
}

typedef int32_t integers __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef int64_t lane_bits __attribute__((vector_size(LANES * sizeof(int64_t))));

/* 2^k e^r with |r| <= ln 2 / 2, by its series to r^13 (below 1e-17). */
EK_WIDE void ek_vector_gaussian(double *out, const float *distance, double least, double beta, size_t count)
{
	static const double log2e = 1.44269504088896340736, high = 6.93147180369123816490e-01,
			    low = 1.90821492927058770002e-10;

	for (size_t j = 0; j < count; j += LANES) {
		const size_t some = count - j < LANES ? count - j : LANES;
		float some_of[LANES] = { 0 };
		lanes x, r, sum, k;
		lane_bits kept, power;

		memcpy(some_of, distance + j, some * sizeof *some_of);
		LOAD(x, some_of);
		x = -beta * (x - least);
		kept = (x >= -700) & (x <= 0);
		x = (lanes)((lane_bits)x & kept);
		r = x * log2e + 0.5;
		k = __builtin_convertvector(__builtin_convertvector(r, integers), lanes);
		k -= (lanes)((k > r) & (lane_bits)((lanes){ 0 } + 1)); /* the floor of r */
		r = (x - k * high) - k * low;
		sum = (lanes){ 0 } + 1;
		for (int i = 13; i >= 1; i--)
			sum = 1 + sum * r / i;
		power = (__builtin_convertvector(__builtin_convertvector(k, integers), lane_bits) + 1023) << 52;
		sum = (lanes)((lane_bits)(sum * (lanes)power) & kept);
		memcpy(out + j, &sum, some * sizeof *out);
	}
}

EK_WIDE void ek_vector_attraction(struct ek_attraction *out, const float *p, const double *x, const double *y, size_t i,
                                  size_t m)
{
	lanes sums[5] = { { 0 } }, u, v, w, q;
	size_t j = 0;

	*out = (struct ek_attraction){ .normaliser = -1 };
	for (; j + LANES <= m; j += LANES) {
		LOAD(w, p + j);
		memcpy(&u, x + j, sizeof u);
		memcpy(&v, y + j, sizeof v);
		u = x[i] - u;
		v = y[i] - v;
		q = 1 / (1 + u * u + v * v);
		w *= q;
		sums[4] += q;
		q *= q;
		sums[0] += w * u;
		sums[1] += w * v;
		sums[2] += q * u;
		sums[3] += q * v;
	}
	for (; j < m; j++) {
		const double dx = x[i] - x[j], dy = y[i] - y[j], near = 1 / (1 + dx * dx + dy * dy);

		out->attract[0] += (double)p[j] * near * dx;
		out->attract[1] += (double)p[j] * near * dy;
		out->repel[0] += near * near * dx;
		out->repel[1] += near * near * dy;
		out->normaliser += near;
	}
	for (size_t lane = 0; lane < LANES; lane++) {
		out->attract[0] += sums[0][lane];
		out->attract[1] += sums[1][lane];
		out->repel[0] += sums[2][lane];
		out->repel[1] += sums[3][lane];
		out->normaliser += sums[4][lane];
	}
}
