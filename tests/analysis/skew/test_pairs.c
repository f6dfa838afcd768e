#include "tests/support/support.h"

#include "analysis/skew/pairs.h"

/* 3 × 3 values: the middle one of the second never occurs where both are known; 2 images lack one. */
enum { N = 32 };
static const struct {
	int32_t first, second;
	uint64_t count;
} cells[] = { { 0, 0, 12 }, { 0, 2, 8 }, { 1, 0, 8 }, { 2, 2, 2 }, { -1, 1, 1 }, { 1, -1, 1 } };

static void make(int32_t *first, int32_t *second)
{
	size_t at = 0;

	for (size_t c = 0; c < sizeof cells / sizeof *cells; c++)
		for (uint64_t i = 0; i < cells[c].count; i++, at++) {
			first[at] = cells[c].first;
			second[at] = cells[c].second;
		}
	assert_int_equal(at, N);
}

static void rare_combinations_are_found(void **state)
{
	int32_t first[N], second[N];
	const struct ek_categories a = { first, 3 }, b = { second, 3 };
	struct ek_pair pair;

	make(first, second);
	assert_ok(ek_pair_measure(&pair, &a, &b, N, 4));
	assert_int_equal(pair.images, 30);
	assert_int_equal(pair.combinations, 6);
	assert_int_equal(pair.empty, 2);
	assert_int_equal(pair.rare_count, 4);
	/* Nobody: 1 × 2, of which 8 · 10 / 30 are to be expected, before 2 × 0 with 2 · 20 / 30. */
	assert_int_equal(pair.rare[0].first, 1);
	assert_int_equal(pair.rare[0].second, 2);
	assert_int_equal(pair.rare[0].count, 0);
	assert_close(pair.rare[0].expected, 80.0 / 30, 1e-15);
	assert_int_equal(pair.rare[1].first, 2);
	assert_int_equal(pair.rare[1].second, 0);
	assert_int_equal(pair.rare[2].count, 2);
	assert_close(pair.rare[2].share, 2.0 / 30, 1e-15);
	/* Of 8 each, 0 × 2 was expected less often (20 · 10 / 30) than 1 × 0 (8 · 20 / 30 = 5.3): it comes first. */
	assert_int_equal(pair.rare[3].first, 0);
	/* Gini of 0 0 2 8 8 12: (3 · 2 + 4 · 8 + 5 · 8 + 6 · 12) · 2 / (6 · 30) - 7 / 6 */
	assert_close(pair.gini, 2 * (6.0 + 32 + 40 + 72) / 180 - 7.0 / 6, 1e-12);
	ek_pair_release(&pair);
}

static void nothing_in_common_is_no_pair(void **state)
{
	const int32_t first[] = { 0, 1, -1 }, second[] = { -1, -1, 0 };
	const struct ek_categories a = { first, 2 }, b = { second, 1 };
	struct ek_pair pair;

	assert_ok(ek_pair_measure(&pair, &a, &b, 3, 4));
	assert_int_equal(pair.images, 0);
	assert_int_equal(pair.combinations, 0);
	assert_true(isnan(pair.gini));
	ek_pair_release(&pair);
}

EK_TEST_MAIN(cmocka_unit_test(rare_combinations_are_found), cmocka_unit_test(nothing_in_common_is_no_pair))
