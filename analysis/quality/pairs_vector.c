/* The loops over products, for whatever vector registers the processor has. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "analysis/quality/pairs.h"
#include "rebalance/base/wide.h"

enum { LANES = EK_PAIRS_LANES };
typedef float floats __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(LANES * sizeof(int32_t))));

#define LOAD(out, from) memcpy(&(out), (from), sizeof(out))
/* Lane by lane, a where m is set, else b. */
#define PICK(m, a, b) ((floats)(((m) & (mask)(a)) | (~(m) & (mask)(b))))

static inline __attribute__((always_inline)) int any(const mask *m)
{
	int64_t parts[sizeof *m / sizeof(int64_t)], all = 0;

	memcpy(parts, m, sizeof *m);
	for (size_t i = 0; i < sizeof *m / sizeof(int64_t); i++)
		all |= parts[i];
	return all != 0;
}

EK_WIDE int ek_pairs_within(float *p, const float *low, float own, float limit, const float *limits, int32_t *hit,
                            size_t n)
{
	mask found = { 0 };

	for (size_t j = 0; j < n; j += LANES) {
		floats value, other, most;
		mask hits;

		LOAD(value, p + j);
		LOAD(other, low + j);
		LOAD(most, limits + j);
		LOAD(hits, hit + j);
		value = (other + own) - (value + value);
		found |= value <= limit;
		hits |= value <= most;
		memcpy(p + j, &value, sizeof value);
		memcpy(hit + j, &hits, sizeof hits);
	}
	return any(&found);
}

EK_WIDE float ek_pairs_ratio(float *p, const float *low, float own, const float *doubt, float own_doubt,
                             const float *numerator, size_t n)
{
	floats most = { 0 };
	float largest = 0;

	for (size_t j = 0; j < n; j += LANES) {
		floats value, other, unsure, ratio;

		LOAD(value, p + j);
		LOAD(other, low + j);
		LOAD(unsure, doubt + j);
		LOAD(ratio, numerator + j);
		value = (other + own) - (value + value);
		memcpy(p + j, &value, sizeof value);
		ratio /= value + (unsure + own_doubt);
		most = PICK(ratio > most, ratio, most);
	}
	for (int i = 0; i < LANES; i++)
		largest = most[i] > largest ? most[i] : largest;
	return largest;
}

/* The lanes at j that ek_pairs_hits is about. */
#define HITS_AT(j, value, most, above)                                                                                 \
	(LOAD(value, p + (j)), LOAD(most, limits + (j)), LOAD(above, numerator + (j)),                                 \
	 (value <= limit) | (value <= most) | ~(value * ratio > above))

EK_WIDE size_t ek_pairs_hits(uint32_t *hits, const float *p, float limit, const float *limits, float ratio,
                             const float *numerator, size_t n)
{
	enum { GROUP = 4 * LANES };
	size_t count = 0;

	for (size_t j = 0; j < n; j += GROUP) {
		const size_t end = n - j < GROUP ? n : j + GROUP;
		floats value, most, above;
		mask found = { 0 };

		for (size_t i = j; i < end; i += LANES)
			found |= HITS_AT(i, value, most, above);
		if (!any(&found))
			continue;
		for (size_t i = j; i < end; i += LANES) {
			found = HITS_AT(i, value, most, above);
			for (int lane = 0; lane < LANES; lane++)
				if (found[lane])
					hits[count++] = (uint32_t)(i + (size_t)lane);
		}
	}
	return count;
}
