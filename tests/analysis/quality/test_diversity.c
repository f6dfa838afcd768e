/* Vendi scores against vendi-score's, Inception scores against torch-fidelity's on the same splits. */

#include "analysis/quality/diversity.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/analysis/quality/features.h"
#include "tests/support/support.h"

static cJSON *golden;

static double *make_weights(const char *name, uint64_t n)
{
	char seed[64];
	double *weights = NULL;
	float *u = NULL;

	(void)snprintf(seed, sizeof seed, "%s weights", name);
	assert_ok(ek_alloc(&u, n, sizeof *u));
	assert_ok(ek_alloc(&weights, n, sizeof *weights));
	ek_random_units(u, seed, n);
	for (uint64_t i = 0; i < n; i++)
		weights[i] = ((double)u[i] + 1) * 3;
	free(u);
	return weights;
}

static void test_vendi(void **state)
{
	const cJSON *item;
	int count = 0;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(golden, "vendi"))
	{
		const char *name = ek_text(item, "name");
		const uint64_t n = (uint64_t)ek_number(item, "n");
		const double order = ek_number(item, "order"), want = ek_number(item, "score");
		double *weights = ek_number(item, "weighted") > 0 ? make_weights(name, n) : NULL, got;
		struct ek_features x;

		ek_features_make(&x, name, n, (size_t)ek_number(item, "d"), (int)ek_number(item, "decay"), 0.125,
		                 ek_text(item, "kind"));
		assert_ok(ek_vendi(&got, &x.rows, weights, order < 0 ? (double)INFINITY : order));
		/* Eigenvalues to some last bits, the least of them 1e-6: their roots (order 1/2) to 1e-10. */
		if (!(fabs(got - want) <= 1e-9 * want))
			fail_msg("%s, order %g%s: %.15g, expected %.15g", name, order,
			         weights != NULL ? ", weighted" : "", got, want);
		/* Lengths are taken anew, whatever the view does. */
		x.rows.unit = 1;
		assert_ok(ek_vendi(&got, &x.rows, weights, order < 0 ? (double)INFINITY : order));
		assert_true(fabs(got - want) <= 1e-9 * want);
		free(weights);
		ek_features_release(&x);
		count++;
	}
	assert_int_equal(count, 84);
}

/* k rows at right angles, each repeated, count as k; and a weight of 0 takes a row away. */
static void test_vendi_counts(void **state)
{
	static const float rows[] = { 1, 0, 0, 0, 5, 0, 2, 0, 0, 0, -3, 0 };
	static const double orders[] = { 0, 0.25, 1, 3, INFINITY }, weights[] = { 2, 7, 2, 0 };
	struct ek_features x;
	double got;

	ek_features_copy(&x, rows, 4, 3);
	for (size_t i = 0; i < 5; i++) {
		assert_ok(ek_vendi(&got, &x.rows, NULL, orders[i]));
		assert_close(got, 2, 1e-13);
	}
	assert_ok(ek_vendi(&got, &x.rows, weights, INFINITY));
	assert_close(got, 11. / 7, 1e-13);
	ek_features_release(&x);
}

static void test_inception_score(void **state)
{
	const cJSON *item;
	int count = 0;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(golden, "inception_score"))
	{
		const uint64_t n = (uint64_t)ek_number(item, "n");
		const size_t classes = (size_t)ek_number(item, "classes");
		struct ek_inception_score got;
		struct ek_features x;
		float *logits = NULL;

		assert_ok(ek_alloc(&logits, n * classes, sizeof *logits));
		ek_random_units(logits, "logits", n * classes);
		for (size_t i = 0; i < n * classes; i++)
			logits[i] *= 8;
		ek_features_copy(&x, logits, n, classes);
		assert_ok(ek_inception_score(&got, &x.rows, (uint32_t)ek_number(item, "splits"),
		                             (uint64_t)ek_number(item, "seed")));
		assert_int_equal(got.splits, (uint32_t)ek_number(item, "splits"));
		assert_close(got.mean, ek_number(item, "mean"), 1e-12);
		assert_close(got.std, ek_number(item, "std"), 1e-12);
		ek_features_release(&x);
		free(logits);
		count++;
	}
	assert_int_equal(count, 3);
}

/* Probabilities that are 0 in float64 count nothing. */
static void test_sure_classes(void **state)
{
	static const float logits[] = { 2000, 0, -2000, 0, 2000, -2000, 2000, 0, -2000, 0, 2000, -2000 };
	struct ek_inception_score got;
	struct ek_features x;

	ek_features_copy(&x, logits, 4, 3);
	assert_ok(ek_inception_score(&got, &x.rows, 1, 5));
	assert_close(got.mean, 2, 1e-15);
	assert_true(got.std == 0);
	assert_ok(ek_inception_score(&got, &x.rows, 4, 5));
	assert_close(got.mean, 1, 1e-15);
	ek_features_release(&x);
}

static void test_what_is_refused(void **state)
{
	static const float bad[] = { 1, 2, (float)NAN, 4 }, zeros[] = { 0, 0, 0, 0 };
	static const double none[] = { 0, 0 }, negative[] = { 1, -1 };
	struct ek_inception_score score;
	struct ek_features x, y, z;
	double got;

	ek_features_copy(&x, bad, 2, 2);
	ek_features_copy(&y, bad, 1, 2);
	ek_features_copy(&z, zeros, 2, 2);
	assert_fails(ek_vendi(&got, &x.rows, NULL, 1), EK_EDATA, "row 1 of the embeddings holds a number");
	assert_fails(ek_vendi(&got, &z.rows, none, 1), EK_EDATA, "2 rows, none with a weight");
	assert_fails(ek_vendi(&got, &z.rows, negative, 1), EK_EDATA, "the weight of row 1 is -1");
	assert_fails(ek_vendi(&got, &z.rows, NULL, 1), EK_EDATA, "every row with a weight is all zeros");
	assert_fails(ek_vendi(&got, &y.rows, NULL, -1), EK_EUSAGE, "order -1");
	assert_fails(ek_vendi(&got, &y.rows, NULL, (double)NAN), EK_EUSAGE, "order nan");
	assert_fails(ek_inception_score(&score, &x.rows, 1, 0), EK_EDATA, "row 1 of the embeddings holds a number");
	assert_fails(ek_inception_score(&score, &y.rows, 2, 0), EK_EDATA, "1 rows cannot be cut into 2 splits");
	assert_fails(ek_inception_score(&score, &y.rows, 0, 0), EK_EUSAGE, "no splits");
	ek_features_release(&x);
	ek_features_release(&y);
	ek_features_release(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vendi),           cmocka_unit_test(test_vendi_counts),
		cmocka_unit_test(test_inception_score), cmocka_unit_test(test_sure_classes),
		cmocka_unit_test(test_what_is_refused),
	};
	int failed;

	golden = ek_golden("quality");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	cJSON_Delete(golden);
	return failed;
}
