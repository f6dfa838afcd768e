/* Products and eigenvalues of matrices whose results are known. */

#include "analysis/quality/block.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "tests/support/support.h"

/* min(i, j): its inverse is the second difference, so that its eigenvalues are 1 / (4 sin^2((2 k - 1) pi / (4 n + 2))).
 */
static double *make_minimum(size_t n)
{
	double *a = NULL;

	assert_ok(ek_alloc_aligned(&a, n * n, sizeof *a));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			a[i * n + j] = (double)(i < j ? i : j) + 1;
	return a;
}

static void check_eigenvalues(double *values, size_t n)
{
	static const double pi = 3.14159265358979323846;

	for (size_t i = 0; i < n; i++) {
		const double s = sin((double)(2 * (n - i) - 1) * pi / (double)(4 * n + 2)), want = 1 / (4 * s * s);

		/* The algorithm's bound: n 2^-53 of the largest; and the formula's own roundings. */
		if (!(fabs(values[i] - want) <= (double)(n + 4) * 0x1p-53 * values[n - 1]))
			fail_msg("eigenvalue %zu of %zu: %.17g, expected %.17g", i, n, values[i], want);
	}
}

static void test_eigenvalues(void **state)
{
	/* Whole and broken panels, one row left, the last width below the band's. */
	static const size_t sizes[] = { 1, 2, 40, 511, 512, 513, 545, 700, 769 };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		double *a = make_minimum(sizes[i]), *values = calloc(sizes[i], sizeof *values);

		assert_ok(ek_block_eigen(values, a, sizes[i], 0));
		check_eigenvalues(values, sizes[i]);
		free(a);
		free(values);
	}
}

static void test_eigenvalues_by_bands(void **state)
{
	static const size_t sizes[] = { 33, 34, 64, 65, 255, 257, 300 };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		double *a = make_minimum(sizes[i]), *values = calloc(sizes[i], sizeof *values);

		assert_ok(ek_block_eigenvalues(values, a, sizes[i]));
		check_eigenvalues(values, sizes[i]);
		free(a);
		free(values);
	}
}

static void test_threads(void **state)
{
	enum { N = 1030 };
	double *a = make_minimum(N), *b = make_minimum(N), *values = calloc(2 * N, sizeof *values);

	ek_threads_set(1);
	assert_ok(ek_block_eigen(values, a, N, 0));
	ek_threads_set(3);
	assert_ok(ek_block_eigen(values + N, b, N, 0));
	ek_threads_set(0);
	assert_memory_equal(values, values + N, N * sizeof *values);
	free(a);
	free(b);
	free(values);
}

static void test_vectors(void **state)
{
	enum { N = 60 };
	double *a = make_minimum(N), *v = make_minimum(N), values[N];

	assert_ok(ek_block_eigen(values, v, N, 1));
	check_eigenvalues(values, N);
	for (size_t i = 0; i < N; i++)
		for (size_t j = 0; j < N; j++) {
			double sum = 0;

			for (size_t k = 0; k < N; k++)
				sum += a[j * N + k] * v[i * N + k];
			assert_close(sum, values[i] * v[i * N + j], N * 0x1p-53 * values[N - 1]);
		}
	free(a);
	free(v);
}

static double value(size_t i, size_t j)
{
	return (double)((i * 7 + j * 5) % 11) - 5;
}

/* Whole numbers, so that every sum is exact. */
static void check_multiply(size_t rows, size_t columns, size_t k, int triangular)
{
	double *a = calloc(rows * k, sizeof *a), *b = calloc(columns * k, sizeof *b);
	double *out = malloc(rows * columns * sizeof *out), *gram = malloc(rows * rows * sizeof *gram);

	for (size_t i = 0; i < rows * k; i++)
		a[i] = triangular && i % k < i / k ? 0 : value(i / k, i % k);
	for (size_t i = 0; i < columns * k; i++)
		b[i] = triangular && i % k < i / k ? 0 : value(i % k, i / k);
	memset(out, 0xff, rows * columns * sizeof *out);
	memset(gram, 0xff, rows * rows * sizeof *gram);
	assert_ok(ek_block_multiply(out, a, rows, b, columns, k, triangular));
	assert_ok(ek_block_gram(gram, a, rows, k));
	for (size_t i = 0; i < rows; i++) {
		for (size_t j = 0; j < columns; j++) {
			double sum = 0;

			for (size_t l = 0; l < k; l++)
				sum += a[i * k + l] * b[j * k + l];
			assert_true(out[i * columns + j] == sum);
		}
		for (size_t j = 0; j < rows; j++) {
			double sum = 0;

			for (size_t l = 0; l < k; l++)
				sum += a[i * k + l] * a[j * k + l];
			assert_true(gram[i * rows + j] == sum);
		}
	}
	free(a);
	free(b);
	free(out);
	free(gram);
}

static void test_products(void **state)
{
	check_multiply(1, 1, 1, 0);
	check_multiply(3, 200, 5, 0);
	check_multiply(300, 130, 40, 0);
	check_multiply(128, 256, 129, 0);
	check_multiply(300, 290, 300, 1);
}

EK_TEST_MAIN(cmocka_unit_test(test_eigenvalues), cmocka_unit_test(test_eigenvalues_by_bands),
             cmocka_unit_test(test_threads), cmocka_unit_test(test_vectors), cmocka_unit_test(test_products))
