#include "tests/support/support.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/vector.h"
#include "analysis/quality/neighbours.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

/*
 * The twin: every distance in float64, sorted. Ours must be equal to it in every bit, whatever the screen does.
 */
struct set {
	uint64_t n;
	size_t d;
	float *x;
	struct ek_npy array;
	struct ek_rows rows;
};

enum kind { NORMAL, LATTICE, ALIKE, FAR, CLUMPS, LINE, WILD, TINY };
static const struct {
	const char *name;
	uint64_t n, m;
	size_t d, k;
	enum kind kind;
} cases[] = {
	{ "one dimension", 301, 97, 1, 3, NORMAL },     { "few rows", 6, 7, 3, 5, NORMAL },
	{ "one more than k", 4, 4, 2, 3, NORMAL },      { "ties", 300, 200, 2, 5, LATTICE },
	{ "ties, many", 700, 650, 3, 4, LATTICE },      { "all equal", 40, 30, 5, 3, ALIKE },
	{ "far from the origin", 400, 300, 64, 5, FAR }, { "clumps", 900, 800, 33, 5, CLUMPS },
	{ "in order on a line", 2600, 1100, 7, 5, LINE }, { "several blocks", 4500, 2300, 17, 5, NORMAL },
	{ "beyond float32's squares", 200, 150, 4, 3, WILD }, { "products underflow", 150, 120, 4, 3, TINY },
	{ "large k", 700, 600, 9, 60, NORMAL },         { "wide", 130, 110, 1280, 5, NORMAL },
};

static float value_of(enum kind kind, uint64_t seed, uint64_t i, size_t j)
{
	const uint64_t at = i * 4096 + j;
	const float normal = (float)ek_random_normal(seed, 1, at);

	switch (kind) {
	case NORMAL:
		return normal;
	case LATTICE:
		return (float)ek_random_below(seed, 2, at, 9);
	case ALIKE:
		return 0.1F;
	case FAR:
		return 1000 + normal;
	case CLUMPS: /* ten places, almost no width: the screen knows nothing inside of one */
		return 10 * (float)ek_random_normal(1, 3, ek_random_below(seed, 4, i, 10) * 4096 + j) + 1e-4F * normal;
	case LINE: /* every row is nearer than all before */
		return (float)i + 1e-3F * normal;
	case WILD:
		return normal * (i % 3 == 0 ? 1e19F : i % 3 == 1 ? 1e3F : 1);
	default:
		return normal * 1e-24F;
	}
}

static void fill(struct set *s, enum kind kind, uint64_t seed, uint64_t n, size_t d)
{
	s->n = n;
	s->d = d;
	s->x = calloc(n * d, sizeof *s->x);
	assert_non_null(s->x);
	for (uint64_t i = 0; i < n; i++)
		for (size_t j = 0; j < d; j++)
			s->x[i * d + j] = value_of(kind, seed, i, j);
	s->array = ek_rows_memory(s->x, n, d);
	assert_ok(ek_rows_of(&s->rows, &s->array, 0));
}

struct neighbour {
	double distance2;
	uint32_t index;
};

static int nearer(const void *a, const void *b)
{
	const struct neighbour *x = a, *y = b;

	if (x->distance2 != y->distance2)
		return x->distance2 < y->distance2 ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static void twin_neighbours(uint32_t *index, double *distance, const struct set *queries, const struct set *set,
                            size_t k, int itself)
{
	struct neighbour *all = calloc(set->n, sizeof *all);

	assert_non_null(all);
	for (uint64_t i = 0; i < queries->n; i++) {
		uint64_t count = 0;

		for (uint64_t j = 0; j < set->n; j++)
			if (!itself || i != j)
				all[count++] = (struct neighbour){
					ek_vector_distance2(queries->x + i * set->d, set->x + j * set->d, set->d),
					(uint32_t)j
				};
		qsort(all, count, sizeof *all, nearer);
		for (size_t t = 0; t < k; t++) {
			index[i * k + t] = all[t].index;
			distance[i * k + t] = sqrt(all[t].distance2);
		}
	}
	free(all);
}

static void check_neighbours(const struct set *queries, const struct set *set, size_t k, int itself)
{
	const size_t size = queries->n * k;
	uint32_t *got = calloc(size, sizeof *got), *want = calloc(size, sizeof *want);
	double *distance = calloc(size, sizeof *distance), *wanted = calloc(size, sizeof *wanted);

	twin_neighbours(want, wanted, queries, set, k, itself);
	for (int threads = 1; threads <= 3; threads++) {
		ek_threads_set(threads);
		memset(got, 0xff, size * sizeof *got);
		memset(distance, 0xff, size * sizeof *distance); /* NaN */
		assert_ok(ek_neighbours(got, distance, &queries->rows, &set->rows, k, itself));
		assert_memory_equal(got, want, size * sizeof *got);
		assert_memory_equal(distance, wanted, size * sizeof *distance);
	}
	ek_threads_set(0);
	free(got);
	free(want);
	free(distance);
	free(wanted);
}

static void neighbours_are_those_of_every_distance(void **state)
{
	(void)state;
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		struct set x, y;

		print_message("%s\n", cases[c].name);
		fill(&x, cases[c].kind, 1, cases[c].n, cases[c].d);
		fill(&y, cases[c].kind, 2, cases[c].m, cases[c].d);
		check_neighbours(&x, &x, cases[c].k, 1);
		check_neighbours(&y, &x, cases[c].k, 0);
		check_neighbours(&x, &y, cases[c].k, 0);
		free(x.x);
		free(y.x);
	}
}

struct verdict {
	double precision, recall, density, coverage;
	double *realism;
	uint8_t *covered, *recalled;
	uint32_t *balls;
};

static double *radii(const struct set *s, size_t k)
{
	uint32_t *index = calloc(s->n * k, sizeof *index);
	double *distance = calloc(s->n * k, sizeof *distance), *radius = calloc(s->n, sizeof *radius);

	assert_true(index != NULL && distance != NULL && radius != NULL);
	twin_neighbours(index, distance, s, s, k, 1);
	for (uint64_t i = 0; i < s->n; i++)
		radius[i] = distance[i * k + k - 1];
	free(index);
	free(distance);
	return radius;
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(const double *x, uint64_t n)
{
	double *sorted = calloc(n, sizeof *sorted), result;

	assert_non_null(sorted);
	memcpy(sorted, x, n * sizeof *x);
	qsort(sorted, n, sizeof *sorted, ascending);
	result = n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	free(sorted);
	return result;
}

static void twin_fidelity(struct verdict *v, const struct set *x, const struct set *y, size_t k, int closed)
{
	double *rx = radii(x, k), *ry = radii(y, k), middle = median(rx, x->n);
	uint64_t balls = 0;

	*v = (struct verdict){ .realism = calloc(y->n, sizeof *v->realism),
		               .covered = calloc(x->n, 1),
		               .recalled = calloc(x->n, 1),
		               .balls = calloc(y->n, sizeof *v->balls) };
	for (uint64_t j = 0; j < y->n; j++) {
		v->realism[j] = -1;
		for (uint64_t i = 0; i < x->n; i++) {
			const double distance =
				sqrt(ek_vector_distance2(x->x + i * x->d, y->x + j * x->d, x->d));

			if (closed ? distance <= rx[i] : distance < rx[i]) {
				v->covered[i] = 1;
				v->balls[j]++;
			}
			if (closed ? distance <= ry[j] : distance < ry[j])
				v->recalled[i] = 1;
			if (rx[i] < middle)
				v->realism[j] = fmax(v->realism[j], distance > 0 ? rx[i] / distance : INFINITY);
		}
		balls += v->balls[j];
		v->precision += v->balls[j] > 0;
	}
	v->precision /= (double)y->n;
	v->density = (double)balls / ((double)k * (double)y->n);
	for (uint64_t i = 0; i < x->n; i++) {
		v->recall += v->recalled[i];
		v->coverage += v->covered[i];
	}
	v->recall /= (double)x->n;
	v->coverage /= (double)x->n;
	free(rx);
	free(ry);
}

static void check_fidelity(const struct set *x, const struct set *y, size_t k, int closed)
{
	struct verdict want;

	twin_fidelity(&want, x, y, k, closed);
	for (int threads = 1; threads <= 3; threads++) {
		struct ek_fidelity got;

		ek_threads_set(threads);
		assert_ok(ek_fidelity(&got, &x->rows, &y->rows, k, closed));
		assert_memory_equal(got.covered, want.covered, x->n);
		assert_memory_equal(got.recalled, want.recalled, x->n);
		assert_memory_equal(got.balls, want.balls, y->n * sizeof *want.balls);
		for (uint64_t j = 0; j < y->n; j++)
			assert_true(want.realism[j] < 0 ? isnan(got.realism[j]) : got.realism[j] == want.realism[j]);
		assert_true(got.precision == want.precision && got.recall == want.recall);
		assert_true(got.density == want.density && got.coverage == want.coverage);
		ek_fidelity_release(&got);
	}
	ek_threads_set(0);
	free(want.realism);
	free(want.covered);
	free(want.recalled);
	free(want.balls);
}

static void fidelity_is_that_of_every_distance(void **state)
{
	(void)state;
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		struct set x, y;

		print_message("%s\n", cases[c].name);
		fill(&x, cases[c].kind, 1, cases[c].n, cases[c].d);
		fill(&y, cases[c].kind, 2, cases[c].m, cases[c].d);
		check_fidelity(&x, &y, cases[c].k, 0);
		check_fidelity(&y, &x, cases[c].k, 1);
		free(x.x);
		free(y.x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fidelity_is_that_of_every_distance),
		cmocka_unit_test(neighbours_are_those_of_every_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
