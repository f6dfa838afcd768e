#include "tests/support/support.h"

#include "rebalance/base/threads.h"
#include "rebalance/plan/design.h"
#include "tests/analysis/cluster/groups_input.h"

enum { N = 60, D = 4 };

static void make_rows(float *x)
{
	for (size_t i = 0; i < N; i++)
		for (size_t j = 0; j < D; j++)
			x[i * D + j] = (float)(ek_golden_u(1 + i * D + j) * (double)(j + 1));
}

/* Five rounds of sums over 60 rows: some hundred roundings of 2^-53, on numbers of about 1. */
static void assert_golden(const double *got, const char *section, const char *name, size_t count)
{
	cJSON *golden = ek_golden("groups");
	size_t found;
	double *want = ek_golden_doubles(cJSON_GetObjectItemCaseSensitive(golden, section), name, &found);

	assert_int_equal(found, count);
	for (size_t i = 0; i < count; i++)
		assert_close(got[i], want[i], 1e-11);
	free(want);
	cJSON_Delete(golden);
}

static void weights_equal_numpys(void **state)
{
	double w[N];
	float x[N * D];

	make_rows(x);
	for (int threads = 1; threads <= 3; threads += 2) {
		ek_threads_set(threads);
		assert_ok(ek_design_weights(w, x, N, D, 5));
		assert_golden(w, "design", "w", N);
		assert_ok(ek_design_leverage(w, x, N, D));
		assert_golden(w, "design", "leverage", N);
		assert_ok(ek_vendi_weights(w, x, N, D, 5));
		assert_golden(w, "vendi", "w", N);
	}
	ek_threads_set(0);
}

/* At the optimum no image has a leverage above d + 1 (the equivalence theorem), here up to what 1e-4 of the logarithm
 * of the determinant leaves. Of two heaps of 50 and 10 rows, with one number each, both ends get half of the weight. */
static void a_design_spreads_the_weight(void **state)
{
	double w[N], few = 0;
	float x[N];

	for (size_t i = 0; i < N; i++)
		x[i] = i < 50 ? 0 : 1;
	assert_ok(ek_design_weights(w, x, N, 1, 100));
	for (size_t i = 50; i < N; i++)
		few += w[i];
	assert_close(few / N, 0.5, 1e-2);
	assert_fails(ek_design_weights(w, x, 1, 1, 100), EK_EDATA, "1 image does not differ in each of 1 component");
}

static void powers_keep_the_worth(void **state)
{
	cJSON *golden = ek_golden("groups");
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(golden, "temper");
	double w[50], same[3] = { 1, 2, 3 };

	for (size_t i = 0; i < 50; i++)
		w[i] = exp(6 * ek_golden_u(900 + i));
	assert_close(ek_weights_temper(w, 50, 0.7), ek_json_number(want, "power"), 1e-10);
	assert_golden(w, "temper", "w", 50);
	assert_close(ek_weights_worth(w, 50), 0.7, 1e-10);
	assert_true(ek_weights_temper(same, 3, 0.5) == 1);
	assert_close(same[2], 1.5, 1e-12);
	cJSON_Delete(golden);
}

EK_TEST_MAIN(cmocka_unit_test(weights_equal_numpys), cmocka_unit_test(a_design_spreads_the_weight),
             cmocka_unit_test(powers_keep_the_worth))
