#include "tests/support/support.h"

#include "rebalance/base/random.h"

/* philox 4x32 10 of Random123's tests/kat_vectors. */
static void philox_gives_the_published_answers(void **state)
{
	static const struct {
		uint32_t counter[4], key[2], want[4];
	} cases[] = {
		{ { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
		  { 0xffffffff, 0xffffffff },
		  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
		  { 0xa4093822, 0x299f31d0 },
		  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint32_t got[4];

		ek_philox(got, cases[i].counter, cases[i].key);
		assert_memory_equal(got, cases[i].want, sizeof got);
	}
	/* The 64-bit value of seed 0, stream 0, index 0 is made of the first two words: files depend on it. */
	assert_true(ek_random_u64(0, 0, 0) == 0xe169c58d6627e8d5u);
	assert_true(ek_random_u64(0x299f31d0a4093822u, 0x0370734413198a2eu, 0x85a308d3243f6a88u) ==
	            0x94fdccebd16cfe09u);
}

/* FNV-1a 64 by its authors' test suite. */
static void streams_are_fnv_1a(void **state)
{
	assert_true(ek_random_stream("") == 0xcbf29ce484222325u);
	assert_true(ek_random_stream("a") == 0xaf63dc4c8601ec8cu);
	assert_true(ek_random_stream("foobar") == 0x85944171f73967e8u);
}

/* 200 cells of 1,000 expected: chi-square with f = 199 lies in f - 2 sqrt(f x) … f + 2 sqrt(f x) + 2 x but for a
 * chance of 2 exp(-x), x = 23 (Laurent and Massart 2000). */
static void assert_uniform(const uint32_t seen[200])
{
	double statistic = 0;

	for (int i = 0; i < 200; i++)
		statistic += ((double)seen[i] - 1000) * ((double)seen[i] - 1000) / 1000;
	assert_true(statistic >= 199 - 2 * sqrt(199 * 23.0));
	assert_true(statistic <= 199 + 2 * sqrt(199 * 23.0) + 46);
}

static void numbers_are_uniform_over_indices_and_streams(void **state)
{
	uint32_t whole[200] = { 0 }, real[200] = { 0 }, streams[200] = { 0 };

	for (uint64_t i = 0; i < 200000; i++) {
		const double x = ek_random_double(5, 6, i);

		assert_true(x >= 0 && x < 1);
		real[(int)(x * 200)]++;
		whole[ek_random_below(5, 7, i, 200)]++;
		streams[ek_random_below(5, i, 0, 200)]++;
	}
	assert_uniform(real);
	assert_uniform(whole);
	assert_uniform(streams);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(ek_random_below(1, 2, i, 1), 0);
		assert_true(ek_random_below(1, 2, i, UINT64_MAX) < UINT64_MAX);
	}
}

/* Mean, variance and fourth moment of 200,000 normal numbers within 6 standard errors (variances 1, 2 and 96). */
static void normal_numbers_have_normal_moments(void **state)
{
	enum { N = 200000 };
	double mean = 0, second = 0, fourth = 0;

	for (uint64_t i = 0; i < N; i++) {
		const double x = ek_random_normal(1, 2, i);

		mean += x / N;
		second += x * x / N;
		fourth += x * x * x * x / N;
	}
	assert_true(fabs(mean) <= 6 * sqrt(1.0 / N));
	assert_true(fabs(second - 1) <= 6 * sqrt(2.0 / N));
	assert_true(fabs(fourth - 3) <= 6 * sqrt(96.0 / N));
}

EK_TEST_MAIN(cmocka_unit_test(philox_gives_the_published_answers), cmocka_unit_test(streams_are_fnv_1a),
             cmocka_unit_test(numbers_are_uniform_over_indices_and_streams),
             cmocka_unit_test(normal_numbers_have_normal_moments))
