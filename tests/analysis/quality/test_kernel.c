/* The kernel distance against torch-fidelity's, on whole sets and on the subsets that are drawn here. */

#include "analysis/quality/kernel.h"
#include "tests/analysis/quality/features.h"
#include "tests/support/support.h"

static cJSON *golden;

/* One subset: all of x and y. */
static double mmd2(const struct ek_rows *x, const struct ek_rows *y)
{
	struct ek_kid kid;

	assert_ok(ek_kid(&kid, x, y, &(struct ek_kid_options){ .subsets = 1, .subset_size = x->count }));
	return kid.mean;
}

/* Kernel values are about 1 here, and up to 30: their sums have relative errors of some last bits, and so have
 * differences of 1e-3 and more some 1e-12. */
static void test_one_subset(void **state)
{
	const cJSON *item;
	int count = 0;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(golden, "mmd2"))
	{
		const char *name = ek_text(item, "name"), *kind = ek_text(item, "kind");
		const size_t d = (size_t)ek_number(item, "d");
		const uint64_t n = (uint64_t)ek_number(item, "n");
		const int decay = (int)ek_number(item, "decay");
		const double want = ek_number(item, "mmd2");
		struct ek_features x, y;
		char seed[2][64];
		double got;

		(void)snprintf(seed[0], sizeof seed[0], "%s x", name);
		(void)snprintf(seed[1], sizeof seed[1], "%s y", name);
		ek_features_make(&x, seed[0], n, d, decay, 0, kind);
		ek_features_make(&y, seed[1], n, d, decay, ek_number(item, "shift"), kind);
		got = mmd2(&x.rows, &y.rows);
		print_message("%-16s %.17g, expected %.17g\n", name, got, want);
		assert_true(fabs(got - want) <= 1e-6 * fabs(want));
		assert_close(got, want, 1e-12);
		ek_features_release(&x);
		ek_features_release(&y);
		count++;
	}
	assert_int_equal(count, 6);
}

static void test_subsets(void **state)
{
	const cJSON *item;
	int count = 0;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(golden, "kid"))
	{
		const size_t d = (size_t)ek_number(item, "d");
		const uint64_t n = (uint64_t)ek_number(item, "n"), m = (uint64_t)ek_number(item, "m");
		const struct ek_kid_options options = {
			.subsets = (uint32_t)ek_number(item, "subsets"),
			.subset_size = (uint64_t)ek_number(item, "size"),
			.seed = (uint64_t)ek_number(item, "seed"),
		};
		const uint64_t smaller = n < m ? n : m;
		struct ek_features x, y;
		struct ek_kid got;

		ek_features_make(&x, "kids x", n, d, 3, 0, "f4");
		ek_features_make(&y, "kids y", m, d, 3, 0.25, "f4");
		assert_ok(ek_kid(&got, &x.rows, &y.rows, &options));
		assert_int_equal(got.subsets, options.subsets);
		assert_int_equal(got.subset_size, options.subset_size < smaller ? options.subset_size : smaller);
		assert_close(got.mean, ek_number(item, "mean"), 1e-12);
		assert_close(got.std, ek_number(item, "std"), 1e-12);
		assert_true(got.mean > 1e-3 && got.std > 1e-3);
		ek_features_release(&x);
		ek_features_release(&y);
		count++;
	}
	assert_int_equal(count, 2);
}

/* Rows by ids, last first: the same subset of all. */
static void test_view(void **state)
{
	static const uint64_t last_first[] = { 4, 3, 2, 1, 0 };
	struct ek_features x, y;
	struct ek_rows view;
	double want, got;

	ek_features_make(&x, "view x", 5, 6, 2, 0, "f4");
	ek_features_make(&y, "view y", 5, 6, 2, 0.5, "f4");
	want = mmd2(&x.rows, &y.rows);
	view = x.rows;
	view.ids = last_first;
	got = mmd2(&view, &y.rows);
	assert_close(got, want, 1e-14);
	view.count = 2;
	y.rows.count = 2;
	got = mmd2(&view, &y.rows);
	assert_true(fabs(got - want) > 1e-3);
	ek_features_release(&x);
	ek_features_release(&y);
}

static void test_what_is_refused(void **state)
{
	static const float bad[] = { 1, 2, 3, (float)INFINITY, 5, 6 };
	struct ek_kid_options options = EK_KID_DEFAULT;
	struct ek_features x, y, other;
	struct ek_kid kid;

	ek_features_make(&x, "refused", 3, 2, 1, 0, "f4");
	ek_features_make(&other, "refused", 3, 3, 1, 0, "f4");
	ek_features_copy(&y, bad, 3, 2);
	assert_fails(ek_kid(&kid, &x.rows, &y.rows, &options), EK_EDATA, "row 1 of the embeddings holds a number");
	assert_fails(ek_kid(&kid, &x.rows, &other.rows, &options), EK_EDATA, "of 2 and of 3 dimensions");
	y.rows.count = 1;
	assert_fails(ek_kid(&kid, &x.rows, &y.rows, &options), EK_EDATA, "of 3 and 1 rows, at least 2");
	options.subsets = 0;
	assert_fails(ek_kid(&kid, &x.rows, &x.rows, &options), EK_EUSAGE, "0 subsets");
	options = (struct ek_kid_options)EK_KID_DEFAULT;
	options.subset_size = 1;
	assert_fails(ek_kid(&kid, &x.rows, &x.rows, &options), EK_EUSAGE, "subsets of 1 rows");
	ek_features_release(&x);
	ek_features_release(&y);
	ek_features_release(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_subset),
		cmocka_unit_test(test_subsets),
		cmocka_unit_test(test_view),
		cmocka_unit_test(test_what_is_refused),
	};
	int failed;

	golden = ek_golden("quality");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	cJSON_Delete(golden);
	return failed;
}
