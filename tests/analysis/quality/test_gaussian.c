/* Moments against NumPy; distances against 50 digits, torch-fidelity and pytorch-fid; FD-infinity against
 * scikit-learn's line on the same draws. */

#include "analysis/quality/gaussian.h"
#include "rebalance/base/file.h"
#include "rebalance/base/threads.h"
#include "tests/analysis/quality/features.h"
#include "tests/support/support.h"

static const char *folder;
static cJSON *golden;

/* |got - want| <= tolerance * |want|, or both are 0; NaN fails. */
static void check_relative(double got, double want, double tolerance, const char *name, const char *what)
{
	if (fabs(got - want) <= tolerance * fabs(want))
		return;
	fail_msg("%s, %s: %.17g, expected %.17g, relative error %g", name, what, got, want, fabs(got / want - 1));
}

static void test_moments(void **state)
{
	const cJSON *g = ek_golden_member(golden, "gaussian");
	struct ek_features x;
	struct ek_gaussian got;
	size_t count;
	double *mean = ek_golden_doubles(g, "mean", &count), *covariance = ek_golden_doubles(g, "covariance", &count);

	ek_features_make(&x, "gaussian", 9, 5, 3, 0.25, "f4");
	assert_ok(ek_gaussian_of(&got, &x.rows));
	assert_int_equal(got.d, 5);
	assert_int_equal(got.n, 9);
	/* Sums of some ten numbers of about 1 in float64. */
	for (int i = 0; i < 5; i++)
		assert_close(got.mean[i], mean[i], 1e-15);
	for (int i = 0; i < 25; i++)
		assert_close(got.covariance[i], covariance[i], 1e-15);
	ek_gaussian_release(&got);
	ek_features_release(&x);
	free(mean);
	free(covariance);
}

/* Blocks are summed as one: 3000 rows are more than two of them. */
static void test_moments_of_many_rows(void **state)
{
	enum { N = 3000, D = 7 };
	struct ek_features x;
	struct ek_gaussian got;
	const float *rows;

	ek_features_make(&x, "many", N, D, 3, 0.25, "f4");
	rows = x.data;
	assert_ok(ek_gaussian_of(&got, &x.rows));
	for (int a = 0; a < D; a++)
		for (int b = 0; b < D; b++) {
			double sum = 0, mean[2] = { 0 };

			for (int i = 0; i < N; i++) {
				mean[0] += (double)rows[i * D + a] / N;
				mean[1] += (double)rows[i * D + b] / N;
			}
			for (int i = 0; i < N; i++)
				sum += ((double)rows[i * D + a] - mean[0]) * ((double)rows[i * D + b] - mean[1]);
			assert_close(got.covariance[a * D + b], sum / (N - 1), 1e-13); /* N 2^-53 */
		}
	ek_gaussian_release(&got);
	ek_features_release(&x);
}

static const char *write_case(const cJSON *files, const char *name, struct ek_buffer *bytes)
{
	const char *hex = ek_golden_member(files, name)->valuestring, *path = ek_join(folder, "case.npz");

	ek_buffer_clear(bytes);
	for (size_t i = 0; hex[i] != 0; i += 2) {
		unsigned int byte;

		assert_int_equal(sscanf(hex + i, "%2x", &byte), 1);
		assert_ok(ek_buffer_append(bytes, &(uint8_t){ (uint8_t)byte }, 1));
	}
	ek_write_file(path, bytes->data, bytes->size);
	return path;
}

static void test_files(void **state)
{
	static const struct {
		const char *name, *message; /* NULL: it is read, */
		double tolerance;           /* to so much */
	} cases[] = {
		{ "ours", NULL, 1e-15 },
		{ "pytorch-fid", NULL, 1e-15 },
		{ "float32", NULL, 0x1p-24 },
		{ "big-endian", NULL, 1e-15 },
		{ "asymmetric", "case.npz: 'sigma' is not symmetric at 1, 0", 0 },
		{ "nan", "case.npz: 'sigma' holds a number that is not finite", 0 },
		{ "integers", "case.npz: 'mu' is int64 and 'sigma' float64, expected float64 or float32", 0 },
		{ "rows", "case.npz: expected 'mu' [d] and 'sigma' [d, d]", 0 },
		{ "no sigma", "case.npz: there is no array 'sigma' in it, but mu.npy", 0 },
	};
	const cJSON *g = ek_golden_member(golden, "gaussian"), *files = ek_golden_member(g, "files");
	struct ek_buffer bytes = { 0 }, again = { 0 };
	size_t count;
	double *mean = ek_golden_doubles(g, "mean", &count), *covariance = ek_golden_doubles(g, "covariance", &count);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *path = write_case(files, cases[i].name, &bytes);
		struct ek_gaussian got;

		if (cases[i].message != NULL) {
			assert_fails(ek_gaussian_load(&got, path), EK_EDATA, cases[i].message);
			ek_gaussian_release(&got);
			continue;
		}
		assert_ok(ek_gaussian_load(&got, path));
		assert_int_equal(got.d, 5);
		assert_int_equal(got.n, 0);
		for (size_t j = 0; j < 5; j++)
			assert_close(got.mean[j], mean[j], cases[i].tolerance);
		for (size_t j = 0; j < 25; j++)
			assert_close(got.covariance[j], covariance[j], cases[i].tolerance);
		if (strcmp(cases[i].name, "ours") == 0) {
			const char *saved = ek_join(folder, "saved.npz");

			assert_ok(ek_gaussian_save(&got, saved));
			assert_ok(ek_file_read(&again, saved, 1 << 20));
			assert_int_equal(again.size, bytes.size);
			assert_memory_equal(again.data, bytes.data, bytes.size);
		}
		ek_gaussian_release(&got);
	}
	ek_buffer_release(&bytes);
	ek_buffer_release(&again);
	free(mean);
	free(covariance);
}

/*
 * A singular side: singular values, once what is rounding is cut off the covariance, to some last bits of the traces.
 * Full rank: the limit of the faster way, 1e-6, which is also the goal beside the peers.
 */
static void check_frechet(const cJSON *item)
{
	const char *name = ek_text(item, "name"), *kind = ek_text(item, "kind");
	const size_t d = (size_t)ek_number(item, "d");
	const uint64_t n = (uint64_t)ek_number(item, "n"), m = (uint64_t)ek_number(item, "m");
	const double exact = ek_number(item, "exact"), shift = ek_number(item, "shift");
	const int singular = n <= d || m <= d || strcmp(kind, "twice") == 0,
		  close = strcmp(name, "moved a little") == 0; /* 1e-9 is left of traces of 1 */
	const int decay = (int)ek_number(item, "decay");
	char seed[2][64];
	struct ek_features x, y;
	struct ek_gaussian a, b;
	double rows, gaussians, other_way;

	(void)snprintf(seed[0], sizeof seed[0], "%s x", name);
	(void)snprintf(seed[1], sizeof seed[1], "%s%s", name, ek_text(item, "y"));
	ek_features_make(&x, seed[0], n, d, decay, 0, kind);
	ek_features_make(&y, seed[1], m, d, decay, shift, kind);
	assert_ok(ek_frechet_of_rows(&rows, &x.rows, &y.rows));
	assert_ok(ek_gaussian_of(&a, &x.rows));
	assert_ok(ek_gaussian_of(&b, &y.rows));
	assert_ok(ek_frechet(&gaussians, &a, &b));
	assert_ok(ek_frechet(&other_way, &b, &a));
	print_message("%-28s relative error: rows %.1e, covariances %.1e, the other way %.1e\n", name,
	              fabs(rows / exact - 1), fabs(gaussians / exact - 1), fabs(other_way / exact - 1));
	check_relative(rows, exact, close ? 1e-5 : singular ? 1e-12 : 1e-6, name, "rows");
	check_relative(gaussians, exact, close ? 1e-5 : singular ? 1e-12 : 1e-6, name, "covariances");
	check_relative(other_way, exact, close ? 1e-5 : singular ? 1e-12 : 1e-6, name, "the other way");
	check_relative(rows, ek_number(item, "torch_fidelity"), close ? 1e-5 : 1e-6, name, "torch-fidelity");
	if (!cJSON_IsBool(ek_golden_member(item, "pytorch_fid")))
		check_relative(rows, ek_number(item, "pytorch_fid"), close ? 1e-5 : 1e-6, name, "pytorch-fid");
	ek_gaussian_release(&a);
	ek_gaussian_release(&b);
	ek_features_release(&x);
	ek_features_release(&y);
}

static void test_distances(void **state)
{
	const cJSON *item;
	int count = 0;

	cJSON_ArrayForEach(item, ek_golden_member(golden, "frechet"))
	{
		check_frechet(item);
		count++;
	}
	assert_int_equal(count, 14);
}

static void test_same_is_0(void **state)
{
	static const uint64_t counts[] = { 2, 10, 40 };

	for (size_t i = 0; i < 3; i++) {
		struct ek_features x, y;
		struct ek_gaussian a, b;
		double distance = 1;

		ek_features_make(&x, "same", counts[i], 16, 4, 0.25, "f4");
		ek_features_make(&y, "same", counts[i], 16, 4, 0.25, "f4");
		assert_ok(ek_frechet_of_rows(&distance, &x.rows, &y.rows));
		assert_true(distance == 0);
		assert_ok(ek_gaussian_of(&a, &x.rows));
		assert_ok(ek_gaussian_of(&b, &y.rows));
		distance = 1;
		assert_ok(ek_frechet(&distance, &a, &b));
		assert_true(distance == 0);
		ek_gaussian_release(&a);
		ek_gaussian_release(&b);
		ek_features_release(&x);
		ek_features_release(&y);
	}
}

static void test_threads(void **state)
{
	struct ek_features x, y;
	double one, two;

	ek_features_make(&x, "threads x", 1500, 300, 8, 0, "f4");
	ek_features_make(&y, "threads y", 1200, 300, 8, 0.25, "f4");
	ek_threads_set(1);
	assert_ok(ek_frechet_of_rows(&one, &x.rows, &y.rows));
	ek_threads_set(3);
	assert_ok(ek_frechet_of_rows(&two, &x.rows, &y.rows));
	ek_threads_set(0);
	assert_true(one > 0 && one == two);
	ek_features_release(&x);
	ek_features_release(&y);
}

static void test_infinity(void **state)
{
	const cJSON *item;
	int count = 0;

	cJSON_ArrayForEach(item, ek_golden_member(golden, "infinity"))
	{
		const size_t d = (size_t)ek_number(item, "d");
		const uint64_t n = (uint64_t)ek_number(item, "n"), m = (uint64_t)ek_number(item, "m");
		const int decay = (int)ek_number(item, "decay");
		struct ek_frechet_infinity got;
		struct ek_features x, y;

		ek_features_make(&x, "infinity x", n, d, decay, 0, "f4");
		ek_features_make(&y, "infinity y", m, d, decay, 0.25, "f4");
		assert_ok(ek_frechet_infinity(&got, &x.rows, &y.rows, (uint32_t)ek_number(item, "sizes"),
		                              (uint64_t)ek_number(item, "seed")));
		assert_int_equal(got.smallest, (int)ek_number(item, "smallest"));
		assert_int_equal(got.largest, m);
		check_relative(got.value, ek_number(item, "value"), 1e-10, "infinity", "value");
		check_relative(got.slope, ek_number(item, "slope"), 1e-10, "infinity", "slope");
		ek_features_release(&x);
		ek_features_release(&y);
		count++;
	}
	assert_int_equal(count, 2);
}

static void test_what_is_refused(void **state)
{
	static const float one_row[] = { 1, 2, 3 }, bad[] = { 1, 2, 3, 4, 5, 6, 7, (float)NAN, 9 };
	static double mean[2], negative[4] = { 1, 0, 0, -1 };
	const struct ek_gaussian no_covariance = { .d = 2, .mean = mean, .covariance = negative };
	struct ek_frechet_infinity infinity;
	struct ek_features x, y, other;
	struct ek_gaussian a, b;
	double distance;

	ek_features_copy(&x, one_row, 1, 3);
	ek_features_copy(&y, bad, 3, 3);
	ek_features_make(&other, "other", 5, 2, 1, 0, "f4");
	assert_fails(ek_gaussian_of(&a, &x.rows), EK_EDATA, "a covariance of 1 rows");
	ek_gaussian_release(&a);
	assert_fails(ek_gaussian_of(&a, &y.rows), EK_EDATA, "row 2 of the embeddings holds a number that is not");
	ek_gaussian_release(&a);
	assert_fails(ek_frechet_of_rows(&distance, &other.rows, &y.rows), EK_EDATA, "of 2 and of 3 dimensions");
	y.rows.count = 2;
	assert_ok(ek_gaussian_of(&a, &y.rows));
	assert_ok(ek_gaussian_of(&b, &other.rows));
	assert_fails(ek_frechet(&distance, &a, &b), EK_EDATA, "of 3 and of 2 dimensions");
	assert_fails(ek_frechet(&distance, &b, &no_covariance), EK_EDATA, "no covariance matrix: it has the eigenval");
	assert_fails(ek_frechet_of_rows(&distance, &y.rows, &x.rows), EK_EDATA, "a covariance of 1 rows");
	assert_fails(ek_frechet_infinity(&infinity, &y.rows, &y.rows, 15, 0), EK_EDATA, "2 generated rows, at least 4");
	assert_fails(ek_frechet_infinity(&infinity, &other.rows, &other.rows, 1, 0), EK_EUSAGE, "1 sizes");
	ek_gaussian_release(&a);
	ek_gaussian_release(&b);
	ek_features_release(&x);
	ek_features_release(&y);
	ek_features_release(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moments),   cmocka_unit_test(test_moments_of_many_rows),
		cmocka_unit_test(test_files),     cmocka_unit_test(test_distances),
		cmocka_unit_test(test_same_is_0), cmocka_unit_test(test_threads),
		cmocka_unit_test(test_infinity),  cmocka_unit_test(test_what_is_refused),
	};
	int failed;

	folder = ek_scratch();
	golden = ek_golden("quality");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	cJSON_Delete(golden);
	return failed;
}
