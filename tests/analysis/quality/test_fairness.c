#include "tests/support/support.h"

#include "analysis/quality/fairness.h"

/* Sums of at most 200 terms below 1, each good to a few units in the last place; polyfit's least squares lose a few
 * digits more to the condition of its two columns, below 1e3 here. */
#define TOLERANCE 1e-12

static double *doubles_of(const cJSON *object, const char *name, size_t *count)
{
	const cJSON *list = cJSON_GetObjectItem(object, name), *item;
	double *out;
	size_t i = 0;

	*count = (size_t)cJSON_GetArraySize(list);
	assert_true(*count > 0);
	out = calloc(*count, sizeof *out);
	assert_non_null(out);
	cJSON_ArrayForEach(item, list) out[i++] = cJSON_IsNull(item) ? (double)NAN : item->valuedouble;
	return out;
}

static void check(double got, const cJSON *want, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(want, name);

	assert_non_null(item);
	if (cJSON_IsNull(item))
		assert_true(isnan(got));
	else
		assert_close(got, item->valuedouble, TOLERANCE);
}

static void measures_equal_numpy(void **state)
{
	cJSON *golden = ek_golden("fairness");
	const cJSON *one;
	int done = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "fairness"))
	{
		const cJSON *want = cJSON_GetObjectItem(one, "want");
		size_t k;
		double *target = doubles_of(one, "target", &k), *training = doubles_of(one, "training", &k);
		double *counts = doubles_of(one, "counts", &k);
		uint64_t *generated = calloc(k, sizeof *generated);
		struct ek_fairness got;

		assert_non_null(generated);
		for (size_t i = 0; i < k; i++)
			generated[i] = (uint64_t)counts[i];
		print_message("case %d: %zu clusters\n", done, k);
		assert_ok(ek_fairness_measure(&got, target, training, generated, k));
		for (int m = 0; m < EK_FAIRNESS_MEASURES; m++)
			check(got.value[m], want, ek_fairness_name(m));
		assert_int_equal(got.worst, cJSON_GetObjectItem(want, "worst")->valueint);
		free(target);
		free(training);
		free(counts);
		free(generated);
		done++;
	}
	assert_int_equal(done, 10);
	cJSON_Delete(golden);
}

static void disparities_equal_numpy(void **state)
{
	cJSON *golden = ek_golden("fairness");
	const cJSON *one;
	int done = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "disparity"))
	{
		const cJSON *want = cJSON_GetObjectItem(one, "want");
		size_t k;
		double *values = doubles_of(one, "values", &k), *weights = doubles_of(one, "weights", &k);
		struct ek_disparity got;

		assert_int_equal(ek_disparity(&got, values, weights, k), 1);
		check(got.overall, want, "overall");
		check(got.macro, want, "macro");
		check(got.lowest, want, "lowest");
		check(got.gap, want, "gap");
		assert_int_equal(got.worst, cJSON_GetObjectItem(want, "worst")->valueint);
		free(values);
		free(weights);
		done++;
	}
	assert_int_equal(done, 4);
	cJSON_Delete(golden);
}

static void a_copy_of_the_skew_has_slope_1_and_its_square_2(void **state)
{
	static const double training[] = { 0.5, 0.25, 0.125, 0.125 };
	static const uint64_t copy[] = { 400, 200, 100, 100 }, square[] = { 1600, 400, 100, 100 };
	static const uint64_t even[] = { 7, 7, 7, 7 };
	struct ek_fairness got;

	assert_ok(ek_fairness_measure(&got, training, training, copy, 4));
	assert_close(got.value[EK_BIAS_AMPLIFICATION], 1, TOLERANCE);
	assert_true(got.value[EK_TOTAL_VARIATION] == 0 && got.value[EK_WORST_RATIO] == 1);
	assert_ok(ek_fairness_measure(&got, training, training, square, 4));
	assert_close(got.value[EK_BIAS_AMPLIFICATION], 2, TOLERANCE);
	assert_ok(ek_fairness_measure(&got, training, training, even, 4));
	assert_close(got.value[EK_BIAS_AMPLIFICATION], 0, TOLERANCE);
}

static void nothing_generated_or_wanted_is_refused(void **state)
{
	static const double half[] = { 0.5, 0.5 }, none[] = { 0, 0 };
	static const uint64_t some[] = { 1, 2 }, nobody[] = { 0, 0 };
	const double values[] = { (double)NAN, (double)NAN };
	struct ek_fairness got;
	struct ek_disparity disparity;

	assert_fails(ek_fairness_measure(&got, half, half, nobody, 2), EK_EDATA, "no image was generated");
	assert_fails(ek_fairness_measure(&got, none, half, some, 2), EK_EDATA, "no cluster is wanted");
	assert_int_equal(ek_disparity(&disparity, values, half, 2), 0);
	assert_true(isnan(disparity.lowest));
}

EK_TEST_MAIN(cmocka_unit_test(measures_equal_numpy), cmocka_unit_test(disparities_equal_numpy),
             cmocka_unit_test(a_copy_of_the_skew_has_slope_1_and_its_square_2),
             cmocka_unit_test(nothing_generated_or_wanted_is_refused))
