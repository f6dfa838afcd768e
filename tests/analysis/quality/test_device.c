/* Neighbours and counts on a GPU are the processor's, bit by bit. Skipped (77) without a GPU. */
#include "tests/support/support.h"

#include "analysis/quality/gaussian.h"
#include "analysis/quality/kernel.h"
#include "analysis/quality/neighbours.h"
#include "rebalance/base/random.h"
#include "tests/train/nn/on_device.h"
#include "train/nn/device.h"
#include "train/nn/moments.h"
#include "train/nn/rows.h"
#include "train/nn/rows_cuda.h"

struct set {
	float *x;
	struct ek_npy array;
	struct ek_rows rows;
};

/* `grid` 1: in whole numbers, so that many distances are equal, and many rows. */
static void make_set(struct set *s, uint64_t n, size_t d, uint64_t seed, double scale, int grid)
{
	s->x = malloc(n * d * sizeof *s->x);
	assert_non_null(s->x);
	for (uint64_t i = 0; i < n * d; i++) {
		const double value = scale * (ek_random_normal(seed, 1, i) + ek_random_normal(9, i % d, i / d % 7));

		s->x[i] = (float)(grid ? nearbyint(value) : value);
	}
	s->array = ek_rows_memory(s->x, n, d);
	assert_ok(ek_rows_of(&s->rows, &s->array, 0));
}

static const struct wish {
	const char *name;
	uint64_t n, m;
	size_t d, k;
	double scale;
	int grid;
} wishes[] = {
	{ "odd sizes", 3001, 2503, 150, 5, 1, 0 },
	{ "many dimensions", 1500, 1400, 2048, 5, 1, 0 },
	{ "whole numbers", 9000, 8000, 16, 3, 1.2, 1 },
	{ "many neighbours", 4000, 4100, 64, 50, 1, 0 },
	{ "fewer groups than neighbours", 1050, 2000000 / 1050, 600, 40, 1, 0 },
	{ "squares beyond float32", 1500, 1300, 600, 5, 1e16, 0 },
};
enum { WISHES = sizeof wishes / sizeof *wishes };
static const char *wanted = ""; /* part of a name */

static void compare_neighbours(const struct set *a, const struct set *b, size_t k, int itself)
{
	const size_t count = a->rows.count * k;
	uint32_t *index[2];
	double *distance[2];

	for (int i = 0; i < 2; i++) {
		index[i] = calloc(count, sizeof *index[i]);
		distance[i] = calloc(count, sizeof *distance[i]);
		assert_true(index[i] != NULL && distance[i] != NULL);
		ek_nn_rows_choose(i);
		assert_ok(ek_neighbours(index[i], distance[i], &a->rows, &b->rows, k, itself));
	}
	ek_nn_rows_choose(0);
	assert_memory_equal(index[0], index[1], count * sizeof *index[0]);
	assert_memory_equal(distance[0], distance[1], count * sizeof *distance[0]);
	for (int i = 0; i < 2; i++) {
		free(index[i]);
		free(distance[i]);
	}
}

static void compare_fidelity(const struct set *real, const struct set *generated, size_t k, int closed)
{
	struct ek_fidelity f[2];

	for (int i = 0; i < 2; i++) {
		ek_nn_rows_choose(i);
		assert_ok(ek_fidelity(&f[i], &real->rows, &generated->rows, k, closed));
	}
	ek_nn_rows_choose(0);
	print_message("precision %g recall %g density %g coverage %g\n", f[0].precision, f[0].recall, f[0].density,
	              f[0].coverage);
	assert_memory_equal(f[0].radius, f[1].radius, real->rows.count * sizeof *f[0].radius);
	assert_memory_equal(f[0].balls, f[1].balls, generated->rows.count * sizeof *f[0].balls);
	assert_memory_equal(f[0].covered, f[1].covered, real->rows.count);
	assert_memory_equal(f[0].recalled, f[1].recalled, real->rows.count);
	for (uint64_t j = 0; j < generated->rows.count; j++)
		assert_true(f[0].realism[j] == f[1].realism[j] || (isnan(f[0].realism[j]) && isnan(f[1].realism[j])));
	assert_true(f[0].density == f[1].density && f[0].coverage == f[1].coverage);
	ek_fidelity_release(&f[0]);
	ek_fidelity_release(&f[1]);
}

static void check_all(const char *how)
{
	for (size_t i = 0; i < WISHES; i++) {
		const struct wish *w = &wishes[i];
		struct set real, generated;

		if (strstr(w->name, wanted) == NULL)
			continue;
		print_message("%s, %s\n", w->name, how);
		make_set(&real, w->n, w->d, 4, w->scale, w->grid);
		make_set(&generated, w->m, w->d, 5, w->scale * 0.9, w->grid);
		memcpy(generated.x, real.x, 3 * w->d * sizeof *real.x); /* copies */
		compare_neighbours(&generated, &real, w->k, 0);
		compare_neighbours(&real, &real, w->k, 1);
		compare_fidelity(&real, &generated, w->k, 0);
		compare_fidelity(&real, &generated, w->k, 1);
		free(real.x);
		free(generated.x);
	}
}

static void they_are_those_of_the_processor(void **state)
{
	check_all("by its own kernels");
}

static void by_the_kernels_of_older_gpus(void **state)
{
	ek_rows_pretend(80);
	check_all("by those of older GPUs");
	ek_rows_pretend(0);
}

static void a_block_at_a_time(void **state)
{
	ek_nn_rows_limit(6 << 20);
	check_all("a block at a time");
	ek_nn_rows_limit(0);
}

/* Sums in another order: what rounding does to them. */
static void check_moments(uint64_t n, uint64_t m, size_t d)
{
	const struct ek_kid_options options = { .subsets = 7, .subset_size = d, .seed = 3 };
	struct ek_gaussian a[3], b[3];
	struct ek_kid kid[3];
	double distance[3], equal[3];
	struct set x, y;

	make_set(&x, n, d, 4, 1, 0);
	make_set(&y, m, d, 5, 0.9, 0);
	for (int i = 0; i < 3; i++) { /* on the processor, and twice on the GPU */
		ek_nn_rows_choose(i > 0);
		assert_ok(ek_gaussian_of(&a[i], &x.rows));
		assert_ok(ek_gaussian_of(&b[i], &y.rows));
		assert_ok(ek_frechet(&distance[i], &a[i], &b[i]));
		assert_ok(ek_frechet_of_rows(&equal[i], &x.rows, &y.rows));
		assert_ok(ek_kid(&kid[i], &x.rows, &y.rows, &options));
	}
	ek_nn_rows_choose(0);
	print_message("Frechet %.15g, %.15g; kernel %.15g, %.15g; cuSOLVER %d\n", distance[0], distance[1], kid[0].mean,
	              kid[1].mean, ek_nn_solver_there());
	/* n terms of up to some 20, each off by 2^-53 of the sum so far at most. */
	for (size_t i = 0; i < d * d; i++)
		assert_true(fabs(a[0].covariance[i] - a[1].covariance[i]) <= (double)n * 20 * 0x1p-53);
	assert_close(distance[1], distance[0], 1e-9);
	assert_close(equal[1], equal[0], 1e-9);
	assert_close(kid[1].mean, kid[0].mean, 1e-9);
	assert_close(kid[1].std, kid[0].std, 1e-9);
	assert_memory_equal(a[1].covariance, a[2].covariance, sizeof(double) * d * d);
	assert_true(distance[1] == distance[2] && equal[1] == equal[2] && kid[1].mean == kid[2].mean);
	for (int i = 0; i < 3; i++) {
		ek_gaussian_release(&a[i]);
		ek_gaussian_release(&b[i]);
	}
	free(x.x);
	free(y.x);
}

static void moments_differ_by_rounding(void **state)
{
	check_moments(3001, 2777, 700);
}

static void those_of_few_rows_do(void **state)
{
	check_moments(203, 187, 77);
}

/* Arguments: only tests of such names; only sets of such names. */
int main(int argc, char **argv)
{
	const int left = on_gpu();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_those_of_the_processor),
		cmocka_unit_test(by_the_kernels_of_older_gpus),
		cmocka_unit_test(a_block_at_a_time),
		cmocka_unit_test(moments_differ_by_rounding),
		cmocka_unit_test(those_of_few_rows_do),
	};

	ek_device_set(NULL); /* networks stay on the processor */
	cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
	wanted = argc > 2 ? argv[2] : "";
	return left != 0 ? left : cmocka_run_group_tests(tests, NULL, NULL);
}
