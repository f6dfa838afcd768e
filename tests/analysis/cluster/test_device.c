/* k-means and near-duplicates on a GPU have the processor's bits. Skipped (77) without a GPU. */
#include "tests/analysis/cluster/near_cases.h"
#include "tests/support/support.h"

#include "analysis/cluster/kmeans.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "tests/train/nn/on_device.h"
#include "train/nn/device.h"
#include "train/nn/rows.h"
#include "train/nn/rows_cuda.h"

/* Rows about some points, `grid` 1: in whole numbers, so that many distances are equal. */
static float *make_rows(uint64_t n, size_t d, int points, double spread, int grid, double far)
{
	float *x = malloc(n * d * sizeof *x);

	assert_non_null(x);
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t p = ek_random_below(1, 1, i, (uint64_t)points);

		for (size_t j = 0; j < d; j++) {
			const double at = ek_random_normal(2, p, j), off = ek_random_normal(3, i, j) * spread;

			x[i * d + j] = (float)(far + (grid ? nearbyint(at + off) : at + off));
		}
	}
	return x;
}

static void compare(const struct ek_kmeans_result *a, const struct ek_kmeans_result *b)
{
	assert_int_equal(a->iterations, b->iterations);
	assert_int_equal(a->start, b->start);
	assert_memory_equal(a->assignment, b->assignment, a->n * sizeof *a->assignment);
	assert_memory_equal(a->distance, b->distance, a->n * sizeof *a->distance);
	assert_memory_equal(a->centroids, b->centroids, a->k * a->dimensions * sizeof *a->centroids);
	assert_memory_equal(&a->inertia, &b->inertia, sizeof a->inertia);
	if (a->iterations > 0)
		assert_memory_equal(a->objective, b->objective, (size_t)a->iterations * sizeof *a->objective);
}

struct wish {
	const char *name;
	uint64_t n;
	size_t d;
	uint32_t k;
	double spread, far;
	int grid, spherical, redo, start;
};

static const char *wanted = ""; /* part of a name */

static void check(const struct wish *w, const char *how)
{
	float *x = strstr(w->name, wanted) == NULL ? NULL : make_rows(w->n, w->d, 40, w->spread, w->grid, w->far);
	const struct ek_npy array = ek_rows_memory(x, w->n, w->d);
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result cpu = { 0 }, device = { 0 }, assigned = { 0 }, again = { 0 };
	struct ek_rows rows;

	if (x == NULL)
		return;
	print_message("%s, %s\n", w->name, how);
	assert_ok(ek_rows_of(&rows, &array, 0));
	o.k = w->k;
	o.iterations = 12;
	o.redo = w->redo > 0 ? w->redo : 1;
	o.spherical = w->spherical;
	o.start = w->start ? x : NULL;
	ek_nn_rows_choose(0);
	assert_ok(ek_kmeans(&cpu, &rows, &o));
	assert_ok(ek_kmeans_assign(&assigned, &rows, cpu.centroids, &o));
	ek_nn_rows_choose(1);
	o.screen = EK_SCREEN_DEVICE;
	assert_ok(ek_kmeans(&device, &rows, &o));
	assert_ok(ek_kmeans_assign(&again, &rows, cpu.centroids, &o));
	compare(&cpu, &device);
	compare(&assigned, &again);
	ek_nn_rows_choose(0);
	ek_kmeans_release(&cpu);
	ek_kmeans_release(&device);
	ek_kmeans_release(&assigned);
	ek_kmeans_release(&again);
	free(x);
}

static const struct wish wishes[] = {
	{ .name = "few centroids", .n = 3000, .d = 64, .k = 3, .spread = 1 },
	{ .name = "odd sizes", .n = 5003, .d = 101, .k = 301, .spread = 1 },
	{ .name = "more than one tile of centroids", .n = 4000, .d = 768, .k = 700, .spread = 0.7 },
	{ .name = "one cluster of several slices", .n = 20000, .d = 40, .k = 5, .spread = 2, .redo = 2 },
	{ .name = "whole numbers", .n = 6000, .d = 8, .k = 200, .spread = 1, .grid = 1 },
	{ .name = "unit rows", .n = 5000, .d = 96, .k = 150, .spread = 1, .spherical = 1 },
	{ .name = "far from 0", .n = 4000, .d = 48, .k = 60, .spread = 1, .far = 1000 },
	{ .name = "one in the thousands", .n = 4000, .d = 33, .k = 64, .spread = 3000 },
	{ .name = "given start", .n = 4096, .d = 128, .k = 256, .spread = 0.2, .start = 1 },
};
enum { WISHES = sizeof wishes / sizeof *wishes };

static void it_has_the_bits_of_the_processor(void **state)
{
	for (size_t i = 0; i < WISHES; i++)
		check(&wishes[i], "by its own kernels");
}

static void so_have_the_kernels_of_older_gpus(void **state)
{
	ek_rows_pretend(80);
	for (size_t i = 0; i < WISHES; i++)
		check(&wishes[i], "by those of older GPUs");
	ek_rows_pretend(0);
}

static void so_have_rows_that_pass_through(void **state)
{
	ek_nn_rows_limit(3 << 20);
	for (size_t i = 0; i < WISHES; i++)
		check(&wishes[i], "a block at a time");
	ek_nn_rows_limit(0);
}

static void squares_that_overflow(void **state)
{
	const struct wish w = { .name = "squares beyond float32", .n = 2000, .d = 20, .k = 30, .spread = 1e17 };

	check(&w, "measured");
}

static void so_have_duplicates(void **state)
{
	static const struct near_case cases[] = {
		{ .name = "copies", .n = 20011, .d = 64, .same = 3000 },
		{ .name = "many copies of one", .n = 12007, .d = 96, .same = 11000 },
		{ .name = "long rows", .n = 15013, .d = 768, .same = 1000 },
		{ .name = "all alike", .n = 12007, .d = 96, .same = 1000, .alike = 1 },
		{ .name = "all alike, near ones alone", .n = 20011, .d = 96, .same = 1000, .alike = 1, .near_only = 1 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		near_case_check(&cases[i]);
	ek_nn_rows_limit(8 << 20);
	near_case_check(&cases[0]);
	ek_nn_rows_limit(0);
}

/* Arguments: only tests of such names; only sets of such names. */
int main(int argc, char **argv)
{
	const int left = on_gpu();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_has_the_bits_of_the_processor),
		cmocka_unit_test(so_have_the_kernels_of_older_gpus),
		cmocka_unit_test(so_have_rows_that_pass_through),
		cmocka_unit_test(squares_that_overflow),
		cmocka_unit_test(so_have_duplicates),
	};

	ek_device_set(NULL); /* networks stay on the processor */
	cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
	wanted = argc > 2 ? argv[2] : "";
	return left != 0 ? left : cmocka_run_group_tests(tests, NULL, NULL);
}
