/*
 * The sampler against the textbook way, an alias table over all images (Walker 1977; Vose 1991): independent draws with
 * replacement from a table of 12 bytes an image. In turn, on one core; one line each: draws/s ours, theirs, ratio, and
 * our share of what a loop reaches that only reads ids at random places.
 *
 *	bench_sampler [ROUNDS]
 *
 * tests/bench/bench_sampler.py runs PyTorch's WeightedRandomSampler beside it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/plan/sampler.h"
#include "tests/bench/clock.h"

enum { DRAWS = 1 << 22, CHUNK = 1 << 12, MOST_ROUNDS = 99 };

struct alias {
	double *keep; /* [n] */
	uint32_t *other;
};

struct data {
	uint64_t n, *sizes;
	uint32_t k, *members;
	double *shares;
	struct alias alias;
};

static volatile int64_t sink; /* so that no draw can be left out */

static uint64_t next_random(uint64_t state[2]) /* xoroshiro128+, as fast as they come */
{
	const uint64_t a = state[0], b = state[1] ^ state[0], sum = state[0] + state[1];

	state[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
	state[1] = b << 37 | b >> 27;
	return sum;
}

/* Vose's method over images; w: [n] weights with mean 1. */
static int make_alias(struct alias *alias, const struct data *d)
{
	uint32_t *work = NULL;
	uint64_t small = 0, large = d->n, i = 0;
	int rc;

	EK_TRY(ek_alloc(&alias->keep, d->n, sizeof *alias->keep));
	EK_TRY(ek_alloc(&alias->other, d->n, sizeof *alias->other));
	EK_TRY(ek_alloc(&work, d->n, sizeof *work));
	for (uint32_t k = 0; k < d->k; k++)
		for (uint64_t j = 0; j < d->sizes[k]; j++, i++) {
			alias->keep[i] = d->shares[k] * (double)d->n / (double)d->sizes[k];
			work[alias->keep[i] < 1 ? small++ : --large] = (uint32_t)i;
		}
	while (small > 0 && large < d->n) {
		const uint32_t s = work[--small], l = work[large];

		alias->other[s] = l;
		alias->keep[l] -= 1 - alias->keep[s];
		if (alias->keep[l] < 1) {
			large++;
			work[small++] = l;
		}
	}
out:
	free(work);
	return rc;
}

/* Cluster sizes that fall by a power, shares by the square root. */
static int make_data(struct data *d, uint64_t n, uint32_t k)
{
	double total = 0, square = 0;
	uint64_t used = 0;
	int rc;

	*d = (struct data){ .n = n, .k = k };
	EK_TRY(ek_alloc(&d->sizes, k, sizeof *d->sizes));
	EK_TRY(ek_alloc(&d->shares, k, sizeof *d->shares));
	EK_TRY(ek_alloc(&d->members, n, sizeof *d->members));
	for (uint32_t i = 0; i < k; i++)
		total += 1 / (i + 10.0);
	for (uint32_t i = 0; i < k; i++)
		used += d->sizes[i] = (uint64_t)((double)n / (i + 10.0) / total);
	d->sizes[0] += n - used;
	for (uint32_t i = 0; i < k; i++)
		square += d->shares[i] = k > 1 ? 1 / (double)k : 1;
	for (uint32_t i = 0; i < k; i++)
		d->shares[i] /= square;
	for (uint64_t i = 0; i < n; i++)
		d->members[i] = (uint32_t)ek_random_below(1, 2, i, n);
	EK_TRY(make_alias(&d->alias, d));
out:
	return rc;
}

static void release(struct data *d)
{
	free(d->sizes);
	free(d->shares);
	free(d->members);
	free(d->alias.keep);
	free(d->alias.other);
}

/* Seconds of DRAWS draws, each way. */
static int ours(double *seconds, struct ek_sampler *s, uint64_t world)
{
	static int64_t ids[CHUNK];
	const uint64_t epoch = ek_sampler_length(s);
	const double start = ek_bench_clock(CLOCK_THREAD_CPUTIME_ID);
	uint64_t at = 0;
	int rc = 0;

	for (uint64_t done = 0; done < DRAWS; done += CHUNK) {
		if (at + world * CHUNK > epoch)
			at = 0;
		EK_TRY(ek_sampler_draw(s, 1, at, world, CHUNK, ids));
		at += world * CHUNK;
		for (int i = 0; i < CHUNK; i++)
			sink += ids[i];
	}
	*seconds = ek_bench_clock(CLOCK_THREAD_CPUTIME_ID) - start;
out:
	return rc;
}

static double by_alias(const struct data *d, uint64_t state[2])
{
	const double start = ek_bench_clock(CLOCK_THREAD_CPUTIME_ID);

	for (uint64_t i = 0; i < DRAWS; i++) {
		const uint64_t r = next_random(state);
		const uint64_t at = (uint64_t)((__extension__(unsigned __int128) r * d->n) >> 64);
		const double u = (double)(next_random(state) >> 11) * 0x1p-53;

		sink += d->members[u < d->alias.keep[at] ? at : d->alias.other[at]];
	}
	return ek_bench_clock(CLOCK_THREAD_CPUTIME_ID) - start;
}

static double by_reading(const struct data *d, uint64_t state[2])
{
	const double start = ek_bench_clock(CLOCK_THREAD_CPUTIME_ID);

	for (uint64_t i = 0; i < DRAWS; i++)
		sink += d->members[(uint64_t)((__extension__(unsigned __int128) next_random(state) * d->n) >> 64)];
	return ek_bench_clock(CLOCK_THREAD_CPUTIME_ID) - start;
}

static int bench(uint64_t n, uint32_t k, uint64_t world, int rounds)
{
	double mine[MOST_ROUNDS], theirs[MOST_ROUNDS], limit[MOST_ROUNDS], warm;
	uint64_t state[2] = { 1, 2 };
	struct ek_sampler_units units;
	struct ek_sampler *s = NULL;
	struct data d;
	int rc;

	EK_TRY(make_data(&d, n, k));
	units = (struct ek_sampler_units){ k, d.sizes, d.shares, d.members, EK_U32 };
	EK_TRY(ek_sampler_new(&s, &units, n, 0));
	EK_TRY(ours(&warm, s, world));
	for (int r = 0; r < rounds; r++) {
		EK_TRY(ours(&mine[r], s, world));
		theirs[r] = by_alias(&d, state);
		limit[r] = by_reading(&d, state);
	}
	qsort(mine, (size_t)rounds, sizeof *mine, ek_compare_doubles);
	qsort(theirs, (size_t)rounds, sizeof *theirs, ek_compare_doubles);
	qsort(limit, (size_t)rounds, sizeof *limit, ek_compare_doubles);
	printf("sampler, %llu images, %u units, rank 0 of %llu: %.1f M draws/s a core, alias table %.1f, ratio %.2f, "
	       "%.2f of reading ids at random\n",
	       (unsigned long long)n, k, (unsigned long long)world, DRAWS / mine[rounds / 2] / 1e6,
	       DRAWS / theirs[rounds / 2] / 1e6, theirs[rounds / 2] / mine[rounds / 2],
	       limit[rounds / 2] / mine[rounds / 2]);
out:
	ek_sampler_free(s);
	release(&d);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct {
		uint64_t n;
		uint32_t k;
		uint64_t world;
	} cases[] = {
		{ 1000000, 24, 1 },    { 10000000, 24, 1 },     { 10000000, 24, 8 }, { 10000000, 24, 64 },
		{ 10000000, 1000, 1 }, { 10000000, 10000, 1 },  { 10000000, 1, 1 },  { 10000000, 1, 64 },
		{ 100000000, 24, 1 },  { 100000000, 10000, 1 },
	};
	const int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 7;

	if (rounds < 1 || rounds > MOST_ROUNDS) {
		(void)fprintf(stderr, "usage: bench_sampler [ROUNDS]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (bench(cases[i].n, cases[i].k, cases[i].world, rounds) < 0) {
			(void)fprintf(stderr, "%s\n", ek_error_message());
			return 1;
		}
	return 0;
}
