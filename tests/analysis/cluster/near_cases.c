#include "tests/analysis/cluster/near_cases.h"

#include "analysis/cluster/near.h"
#include "rebalance/base/random.h"
#include "tests/support/support.h"
#include "train/nn/rows.h"

/* Copies are exact, a little longer or shorter, or a little off. */
static float *make_rows(const struct near_case *c)
{
	float *x = calloc(c->n * c->d, sizeof *x);

	assert_non_null(x);
	for (uint64_t i = 0; i < c->n; i++) {
		const int copy = i > 0 && ek_random_below(1, 1, i, c->n) < c->same;
		const uint64_t of = i % 3 == 0 ? 0 : ek_random_below(2, 1, i, i > 0 ? i : 1);

		for (size_t j = 0; j < c->d; j++) {
			float *y = x + i * c->d + j;

			if (!copy && c->alike)
				*y = (float)(ek_random_normal(5, 0, j) +
				             0.02 * (double)(i % 9) * ek_random_normal(3, i, j));
			else if (!copy)
				*y = (float)(1 + ek_random_normal(3, i, j));
			else if (i % 4 == 0)
				*y = x[of * c->d + j];
			else if (i % 4 == 1)
				*y = x[of * c->d + j] * (float)(i % 7 + 2);
			else
				*y = x[of * c->d + j] + (float)(0.1 * (double)(i % 4) * ek_random_normal(4, i, j));
		}
	}
	if (c->zero)
		memset(x + c->n / 3 * c->d, 0, c->d * sizeof *x);
	return x;
}

void near_case_check(const struct near_case *c)
{
	static const double eps[] = { 0.001, 0.03, 0.01 };
	enum { EPS = sizeof eps / sizeof *eps };
	const uint64_t segments[] = { 0, c->n / 10, c->n };
	float *x = make_rows(c);
	uint32_t *order = calloc(c->n, sizeof *order);
	const struct ek_npy array = ek_rows_memory(x, c->n, c->d);
	struct ek_rows rows;
	struct ek_near near[2];

	print_message("%s: %d rows\n", c->name, (int)c->n);
	for (uint32_t i = 0; i < c->n; i++)
		order[i] = (uint32_t)((uint64_t)i * 10007 % c->n);
	assert_ok(ek_rows_of(&rows, &array, 1));
	for (int there = 0; there < 2; there++) {
		ek_nn_rows_choose(there);
		assert_ok(ek_near_find(&near[there], &rows, order, segments, 2, eps, EPS, c->near_only));
	}
	ek_nn_rows_choose(0);
	assert_memory_equal(near[0].similarity, near[1].similarity, c->n * sizeof(float));
	assert_memory_equal(near[0].partner, near[1].partner, c->n * sizeof(int64_t));
	assert_memory_equal(near[0].eps, near[1].eps, sizeof near[0].eps);
	assert_memory_equal(near[0].kept, near[1].kept, c->n * sizeof(uint32_t));
	assert_memory_equal(near[0].component, near[1].component, EPS * c->n * sizeof(uint32_t));
	assert_memory_equal(near[0].weakest, near[1].weakest, EPS * c->n * sizeof(float));
	for (int e = 0; e < EPS; e++)
		assert_true(near[0].eps[e].pairs > (c->alike ? c->n * c->n / 100 : c->same / 4));
	ek_near_release(&near[0]);
	ek_near_release(&near[1]);
	free(x);
	free(order);
}
