#include "tests/support/support.h"

#include "analysis/skew/attributes.h"
#include "rebalance/base/random.h"
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

	ek_threads_set(1);
	measure(&one, 7);
	ek_threads_set(5);
	measure(&many, 7);
	measure(&other, 8);
	ek_threads_set(0);
	assert_memory_equal(one.agreement_estimates, many.agreement_estimates, sizeof one.agreement_estimates);
	assert_memory_equal(one.skew.estimates, many.skew.estimates, sizeof one.skew.estimates);
	assert_memory_not_equal(one.agreement_estimates, other.agreement_estimates, sizeof one.agreement_estimates);
	for (int m = 0; m < EK_AGREEMENT_MEASURES; m++) {
		assert_true(one.agreement_estimates[m].interval.low < one.agreement.value[m]);
		assert_true(one.agreement_estimates[m].interval.high > one.agreement.value[m]);
	}
	ek_attribute_release(&one);
	ek_attribute_release(&many);
	ek_attribute_release(&other);
}

static void draw(uint64_t *out, struct ek_sequence *random, const uint64_t *truth, size_t cells, uint64_t total,
                 uint64_t images)
{
	for (size_t i = 0; i < cells; i++) {
		out[i] = ek_binomial(random, images, (double)truth[i] / (double)total);
		images -= out[i];
		total -= truth[i];
	}
}

/*
 * 12 clusters, 6 labels: a sample's NMI is biased upwards by about its spread, and where labels have nothing to do
 * with clusters the truth is at the edge, which no percentiles hold. Of 80 samples the share of intervals that hold the
 * truth has a standard error of 0.0286 at 0.93; four of them are allowed.
 */
static void check_agreement_holds_the_truth(double spread, uint64_t images)
{
	enum { CLUSTERS = 12, LABELS = 6, CELLS = CLUSTERS * LABELS, SAMPLES = 80 };
	int32_t *unit = calloc(images, sizeof *unit), *codes = calloc(images, sizeof *codes);
	uint64_t truth[CELLS], total = 0, drawn[CELLS];
	double held[EK_AGREEMENT_MEASURES] = { 0 }, shares[CELLS];
	struct ek_agreement want;

	assert_non_null(unit);
	assert_non_null(codes);
	for (uint64_t i = 0; i < CELLS; i++)
		total += truth[i] = (uint64_t)(1e6 * exp(spread * ek_random_normal(1, 2, i)));
	for (size_t i = 0; i < CELLS; i++)
		shares[i] = (double)images * (double)truth[i] / (double)total;
	assert_ok(ek_agreement_of(&want, shares, CLUSTERS, LABELS, 1));
	for (uint64_t t = 0; t < SAMPLES; t++) {
		struct ek_sequence random = { .seed = 5, .stream = 6, .index = t << 32 };
		const struct ek_bootstrap bootstrap = { .resamples = 400, .seed = t, .name = "agreement" };
		uint64_t by_cluster[CLUSTERS] = { 0 };
		struct ek_attribute a;
		size_t at = 0;

		draw(drawn, &random, truth, CELLS, total, images);
		for (size_t i = 0; i < CELLS; i++) {
			by_cluster[i / LABELS] += drawn[i];
			for (uint64_t j = 0; j < drawn[i]; j++, at++) {
				unit[at] = (int32_t)(i / LABELS);
				codes[at] = (int32_t)(i % LABELS);
			}
		}
		assert_ok(ek_attribute_measure(
			&a, &(struct ek_partition){ .unit = unit, .sizes = by_cluster, .n = images, .k = CLUSTERS },
			&(struct ek_categories){ .codes = codes, .count = LABELS }, &bootstrap));
		for (int m = 0; m < EK_AGREEMENT_MEASURES; m++) {
			const struct ek_interval *i = &a.agreement_estimates[m].interval;

			held[m] +=
				(want.value[m] >= i->low - 1e-9 && want.value[m] <= i->high + 1e-9) / (double)SAMPLES;
		}
		ek_attribute_release(&a);
	}
	for (int m = 0; m < EK_AGREEMENT_MEASURES; m++) {
		print_message("spread %g: %s: %.3f\n", spread, ek_agreement_names[m], held[m]);
		assert_true(held[m] >= 0.93 - 4 * 0.0286);
	}
	free(unit);
	free(codes);
}

static void intervals_of_agreement_hold_the_truth(void **state)
{
	check_agreement_holds_the_truth(1.5, 2000);
}

static void intervals_of_independence_hold_it(void **state)
{
	check_agreement_holds_the_truth(0, 1000);
}

static void clusters_of_equal_size_have_no_tail_values(void **state)
{
	static const int32_t unit[4] = { 0, 0, 1, 1 }, codes[4] = { 0, 1, 1, 1 };
	static const uint64_t two[2] = { 2, 2 };
	const struct ek_partition partition = { .unit = unit, .sizes = two, .n = 4, .k = 2 };
	const struct ek_categories categories = { .codes = codes, .count = 2 };
	const struct ek_bootstrap bootstrap = EK_BOOTSTRAP_DEFAULT;
	struct ek_attribute a;

	assert_ok(ek_attribute_measure(&a, &partition, &categories, &bootstrap));
	assert_close(a.tail_share, 0, 0);
	assert_int_equal(a.tail_value_count, 0);
	ek_attribute_release(&a);
}

static void an_attribute_without_any_value_is_refused(void **state)
{
	static const int32_t unit[3] = { 0 }, codes[3] = { -1, -1, -1 };
	static const uint64_t three[1] = { 3 };
	const struct ek_partition partition = { .unit = unit, .sizes = three, .n = 3, .k = 1 };
	const struct ek_categories categories = { .codes = codes, .count = 2 };
	const struct ek_bootstrap bootstrap = EK_BOOTSTRAP_DEFAULT;
	struct ek_attribute a;

	assert_fails(ek_attribute_measure(&a, &partition, &categories, &bootstrap), EK_EDATA, "empty");
	ek_attribute_release(&a);
}

EK_TEST_MAIN(cmocka_unit_test(images_are_counted_by_cluster_and_value),
             cmocka_unit_test(values_of_the_tail_come_by_falling_ratio),
             cmocka_unit_test(intervals_hold_the_value_and_do_not_depend_on_threads),
             cmocka_unit_test(intervals_of_agreement_hold_the_truth),
             cmocka_unit_test(intervals_of_independence_hold_it),
             cmocka_unit_test(clusters_of_equal_size_have_no_tail_values),
             cmocka_unit_test(an_attribute_without_any_value_is_refused))
