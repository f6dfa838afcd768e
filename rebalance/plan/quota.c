#include "rebalance/plan/quota.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

__extension__ typedef unsigned __int128 wide;

/* A unit with what it is sorted by. */
struct ranked {
	double key;
	uint64_t whole; /* breaks ties of key before the index does */
	size_t unit;
};

static int smallest_first(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->key < y->key || x->key > y->key)
		return x->key < y->key ? -1 : 1;
	if (x->whole != y->whole)
		return x->whole < y->whole ? -1 : 1;
	return (x->unit > y->unit) - (x->unit < y->unit);
}

static uint64_t sum_of(const uint64_t *sizes, size_t k)
{
	uint64_t n = 0;

	for (size_t i = 0; i < k; i++)
		n += sizes[i];
	return n;
}

/* One more for each of the first `extra` units after sorting. */
static void give_one_each(uint64_t *out, struct ranked *ranked, size_t count, uint64_t extra)
{
	qsort(ranked, count, sizeof *ranked, smallest_first);
	assert(extra <= count);
	for (uint64_t i = 0; i < extra; i++)
		out[ranked[i].unit]++;
}

int ek_quota_proportional(uint64_t *out, const uint64_t *sizes, size_t k, uint64_t total)
{
	const uint64_t n = sum_of(sizes, k);
	struct ranked *ranked = NULL;
	uint64_t given = 0;
	int rc;

	assert(total <= n);
	EK_TRY(ek_alloc(&ranked, k, sizeof *ranked));
	for (size_t i = 0; i < k; i++) {
		const wide product = (wide)total * sizes[i];

		out[i] = n > 0 ? (uint64_t)(product / n) : 0;
		given += out[i];
		/* Remainders are exact in integers: the largest is the smallest of what they lack. */
		ranked[i] = (struct ranked){ .whole = n > 0 ? n - (uint64_t)(product % n) : 0, .unit = i };
	}
	give_one_each(out, ranked, k, total - given);
out:
	free(ranked);
	return rc;
}

void ek_quota_floor(uint64_t *out, const uint64_t *sizes, size_t k, double keep)
{
	for (size_t i = 0; i < k; i++)
		out[i] = (uint64_t)(keep * (double)sizes[i]);
}

/* Largest remainders of real numbers that sum to about `total`, none above its cap. */
static int round_to(uint64_t *out, const double *real, const uint64_t *cap, size_t k, uint64_t total)
{
	struct ranked *ranked = NULL;
	uint64_t given = 0;
	size_t count = 0;
	int rc;

	EK_TRY(ek_alloc(&ranked, k, sizeof *ranked));
	for (size_t i = 0; i < k; i++) {
		const double whole = real[i] > 0 ? floor(real[i]) : 0;

		out[i] = whole < (double)cap[i] ? (uint64_t)whole : cap[i];
		given += out[i];
		if (out[i] < cap[i] && real[i] > 0)
			ranked[count++] = (struct ranked){ .key = whole - real[i], .unit = i };
	}
	/* Rounding errors of `real` are far below 1, so what is missing is less than a round of one each. */
	give_one_each(out, ranked, count, total - given);
out:
	free(ranked);
	return rc;
}

int ek_quota_shares(uint64_t *out, const double *shares, const uint64_t *cap, size_t k, uint64_t total)
{
	struct ranked *ranked = NULL;
	double *real = NULL;
	double weight = 0;
	uint64_t room = 0, rest = total;
	size_t count = 0;
	int rc;

	EK_TRY(ek_alloc(&ranked, k, sizeof *ranked));
	EK_TRY(ek_alloc(&real, k, sizeof *real));
	for (size_t i = 0; i < k; i++)
		if (shares[i] > 0) {
			ranked[count++] = (struct ranked){ .key = (double)cap[i] / shares[i], .unit = i };
			weight += shares[i];
			room += cap[i];
		}
	if (count == 0 || room < total) {
		rc = ek_fail(EK_EDATA,
		             "the units that have a share hold %" PRIu64
		             " images (repeats counted), asked for %" PRIu64,
		             room, total);
		goto out;
	}
	/* Units fill up in the order of cap / share; the first that does not leaves none behind it that does. */
	qsort(ranked, count, sizeof *ranked, smallest_first);
	for (size_t i = 0; i < count; i++) {
		const size_t u = ranked[i].unit;

		if ((double)cap[u] * weight <= (double)rest * shares[u]) {
			real[u] = (double)cap[u];
			rest -= cap[u];
			weight -= shares[u];
			continue;
		}
		weight = 0;
		for (size_t j = i; j < count; j++)
			weight += shares[ranked[j].unit];
		for (size_t j = i; j < count; j++)
			real[ranked[j].unit] = (double)rest * shares[ranked[j].unit] / weight;
		break;
	}
	EK_TRY(round_to(out, real, cap, k, total));
out:
	free(ranked);
	free(real);
	return rc;
}

uint64_t ek_quota_largest_total(const double *shares, const uint64_t *cap, size_t k)
{
	double least = INFINITY;

	for (size_t i = 0; i < k; i++)
		if (shares[i] > 0)
			least = fmin(least, (double)cap[i] / shares[i]);
	/* Shares are decimal fractions read from a file: 30 / 0.1 must give 300. */
	return isfinite(least) ? (uint64_t)(least * (1 + 1e-12)) : 0;
}

int ek_quota_smallest(uint64_t *out, const uint64_t *sizes, size_t k, uint64_t min_size)
{
	uint64_t smallest = UINT64_MAX;

	for (size_t i = 0; i < k; i++)
		if (sizes[i] > 0 && sizes[i] >= min_size && sizes[i] < smallest)
			smallest = sizes[i];
	if (smallest == UINT64_MAX)
		return ek_fail(EK_EDATA, "no unit has %" PRIu64 " images, so none sets the size to balance to",
		               min_size > 0 ? min_size : 1);
	for (size_t i = 0; i < k; i++)
		out[i] = sizes[i] < smallest ? sizes[i] : smallest;
	return 0;
}

static uint64_t capacity_of(uint64_t size, uint64_t repeat)
{
	uint64_t capacity;

	return __builtin_mul_overflow(size, repeat, &capacity) ? UINT64_MAX : capacity;
}

/* sum min(level, repeat size), or UINT64_MAX if it is above `limit`. */
static uint64_t filled(const uint64_t *sizes, size_t k, uint64_t repeat, uint64_t level, uint64_t limit)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < k; i++) {
		const uint64_t capacity = capacity_of(sizes[i], repeat), add = capacity < level ? capacity : level;

		if (add > limit - sum)
			return UINT64_MAX;
		sum += add;
	}
	return sum;
}

int ek_quota_water_filling(uint64_t *out, const uint64_t *sizes, size_t k, uint64_t total, uint64_t repeat,
                           uint64_t seed)
{
	const uint64_t stream = ek_random_stream("plan: water-filling");
	struct ranked *above = NULL;
	uint64_t low = 0, high = total, given = 0;
	size_t count = 0;
	int rc;

	assert(repeat >= 1);
	EK_TRY(ek_alloc(&above, k, sizeof *above));
	while (low < high) {
		const uint64_t level = high - (high - low) / 2;

		if (filled(sizes, k, repeat, level, total) <= total)
			low = level;
		else
			high = level - 1;
	}
	for (size_t i = 0; i < k; i++) {
		const uint64_t capacity = capacity_of(sizes[i], repeat);

		out[i] = capacity < low ? capacity : low;
		given += out[i];
		if (capacity > low)
			above[count++] = (struct ranked){ .whole = ek_random_u64(seed, stream, i), .unit = i };
	}
	give_one_each(out, above, count, total - given < count ? total - given : count);
out:
	free(above);
	return rc;
}

/* real = softmax(complexity / tau) total over the non-empty units, 0 for the others. */
static void density_targets(double *real, const double *complexity, const uint64_t *sizes, size_t k, double total,
                            double tau)
{
	double mean = 0, largest = -INFINITY, sum = 0;
	size_t finite = 0;

	for (size_t i = 0; i < k; i++)
		if (sizes[i] > 0 && isfinite(complexity[i])) {
			mean += complexity[i];
			finite++;
		}
	mean = finite > 0 ? mean / (double)finite : 0;
	for (size_t i = 0; i < k; i++) {
		real[i] = (isfinite(complexity[i]) ? complexity[i] : mean) / tau;
		if (sizes[i] > 0)
			largest = fmax(largest, real[i]);
	}
	for (size_t i = 0; i < k; i++) {
		real[i] = sizes[i] > 0 ? exp(real[i] - largest) : 0;
		sum += real[i];
	}
	for (size_t i = 0; i < k; i++)
		real[i] *= total / sum;
}

static double least_of(uint64_t size, double floor_quota)
{
	return size > 0 ? fmin(floor_quota, (double)size - 1) : 0;
}

/* sum clip(target + lambda, lo, size); `between`: how many are at neither end. */
static double clipped_sum(const double *target, const uint64_t *sizes, size_t k, double floor_quota, double lambda,
                          double *between)
{
	double sum = 0;

	*between = 0;
	for (size_t i = 0; i < k; i++) {
		const double low = least_of(sizes[i], floor_quota), high = (double)sizes[i], x = target[i] + lambda;

		sum += x <= low ? low : x >= high ? high : x;
		*between += x > low && x < high;
	}
	return sum;
}

static double find_lambda(const double *target, const uint64_t *sizes, size_t k, double floor_quota, double total)
{
	double low = -1, high = 1, count, got;

	while (clipped_sum(target, sizes, k, floor_quota, low, &count) > total && low > -0x1p60)
		low *= 2;
	while (clipped_sum(target, sizes, k, floor_quota, high, &count) < total && high < 0x1p60)
		high *= 2;
	for (int i = 0; i < 128 && low < high; i++) {
		const double middle = low + (high - low) / 2;

		if (clipped_sum(target, sizes, k, floor_quota, middle, &count) < total)
			low = middle;
		else
			high = middle;
	}
	/* Between two breakpoints the sum is linear: one step of Newton takes out the rounding. */
	got = clipped_sum(target, sizes, k, floor_quota, high, &count);
	return count > 0 ? high + (total - got) / count : high;
}

int ek_quota_density(uint64_t *out, double *real, const double *complexity, const uint64_t *sizes, size_t k,
                     uint64_t total, double tau, double balance)
{
	double *x = NULL, floor_quota, lambda;
	size_t units = 0;
	int rc;

	assert(total <= sum_of(sizes, k) && tau > 0);
	EK_TRY(ek_alloc(&x, k, sizeof *x));
	for (size_t i = 0; i < k; i++)
		units += sizes[i] > 0;
	if (units == 0) {
		rc = ek_fail(EK_EDATA, "all %zu units are empty", k);
		goto out;
	}
	floor_quota = floor(balance * (double)total / (double)units);
	density_targets(x, complexity, sizes, k, (double)total, tau);
	lambda = find_lambda(x, sizes, k, floor_quota, (double)total);
	for (size_t i = 0; i < k; i++) {
		x[i] = fmin(fmax(x[i] + lambda, least_of(sizes[i], floor_quota)), (double)sizes[i]);
		if (real != NULL)
			real[i] = x[i];
	}
	EK_TRY(round_to(out, x, sizes, k, total));
out:
	free(x);
	return rc;
}
