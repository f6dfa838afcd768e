#include "tests/support/support.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/skew/attributes.h"
#include "rebalance/base/threads.h"

/* 4 clusters of 60, 25, 10 and 5 images: below 12.5 are the last two. 3 values, 2 images without one. */
enum { N = 100, K = 4, VALUES = 3 };
static const uint64_t sizes[K] = { 60, 25, 10, 5 };
static const uint64_t table[K][VALUES] = { { 40, 20, 0 }, { 5, 18, 0 }, { 2, 0, 8 }, { 5, 0, 0 } };

static void make(int32_t *unit, int32_t *codes)
{
	size_t at = 0;

	for (int32_t k = 0; k < K; k++) {
		const size_t end = at + sizes[k];

		for (int32_t v = 0; v < VALUES; v++)
			for (uint64_t i = 0; i < table[k][v]; i++, at++) {
				unit[at] = k;
				codes[at] = v;
			}
		for (; at < end; at++) {
			unit[at] = k;
			codes[at] = -1;
		}
	}
	assert_int_equal(at, N);
}

static void measure(struct ek_attribute *a, uint64_t seed)
{
	int32_t unit[N], codes[N];
	const struct ek_partition partition = { .unit = unit, .sizes = sizes, .n = N, .k = K };
	const struct ek_categories categories = { .codes = codes, .count = VALUES };
	const struct ek_bootstrap bootstrap = { .resamples = 300, .seed = seed, .name = "attribute" };

	make(unit, codes);
	assert_ok(ek_attribute_measure(a, &partition, &categories, &bootstrap));
}

static void images_are_counted_by_cluster_and_value(void **state)
{
	struct ek_attribute a;

	(void)state;
	measure(&a, 0);
	assert_memory_equal(a.by_unit, table, sizeof table);
	assert_int_equal(a.counts[0], 52);
	assert_int_equal(a.counts[1], 38);
	assert_int_equal(a.counts[2], 8);
	assert_int_equal(a.missing, 2);
	/* 40 + 18 + 8 + 5 of 98. */
	assert_close(a.agreement.value[EK_PURITY], 71.0 / 98, 1e-15);
	assert_close(a.skew.measured.value[EK_IMBALANCE_RATIO], 52.0 / 8, 1e-15);
	ek_attribute_release(&a);
}

static void values_of_the_tail_come_by_falling_ratio(void **state)
{
	struct ek_attribute a;

	(void)state;
	measure(&a, 0);
	assert_close(a.tail_share, 0.15, 1e-15);
	/* All 8 of value 2 and none of value 1 are in the tail; 7 of 52 of value 0 are less than 15 %. */
	assert_int_equal(a.tail_value_count, 1);
	assert_int_equal(a.tail_values[0].value, 2);
	assert_close(a.tail_values[0].tail_share, 1, 0);
	assert_close(a.tail_values[0].ratio, 1 / 0.15, 1e-15);
	assert_true(a.tail_values[0].interval.low > a.tail_share && a.tail_values[0].interval.high == 1);
	ek_attribute_release(&a);
}

static void intervals_hold_the_value_and_do_not_depend_on_threads(void **state)
{
	struct ek_attribute one, many, other;

	(void)state;
	ek_threads_set(1);
	measure(&one, 7);
	ek_threads_set(5);
	measure(&many, 7);
	measure(&other, 8);
	ek_threads_set(0);
	assert_memory_equal(one.agreement_intervals, many.agreement_intervals, sizeof one.agreement_intervals);
	assert_memory_equal(one.skew.intervals, many.skew.intervals, sizeof one.skew.intervals);
	assert_memory_not_equal(one.agreement_intervals, other.agreement_intervals, sizeof one.agreement_intervals);
	for (int m = 0; m < EK_AGREEMENT_MEASURES; m++) {
		assert_true(one.agreement_intervals[m].low < one.agreement.value[m]);
		assert_true(one.agreement_intervals[m].high > one.agreement.value[m]);
	}
	ek_attribute_release(&one);
	ek_attribute_release(&many);
	ek_attribute_release(&other);
}

static void an_attribute_without_any_value_is_refused(void **state)
{
	static const int32_t unit[3] = { 0 }, codes[3] = { -1, -1, -1 };
	static const uint64_t three[1] = { 3 };
	const struct ek_partition partition = { .unit = unit, .sizes = three, .n = 3, .k = 1 };
	const struct ek_categories categories = { .codes = codes, .count = 2 };
	const struct ek_bootstrap bootstrap = EK_BOOTSTRAP_DEFAULT;
	struct ek_attribute a;

	(void)state;
	assert_fails(ek_attribute_measure(&a, &partition, &categories, &bootstrap), EK_EDATA, "empty");
	ek_attribute_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_are_counted_by_cluster_and_value),
		cmocka_unit_test(values_of_the_tail_come_by_falling_ratio),
		cmocka_unit_test(intervals_hold_the_value_and_do_not_depend_on_threads),
		cmocka_unit_test(an_attribute_without_any_value_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
