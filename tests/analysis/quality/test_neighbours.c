#include "tests/analysis/quality/made.h"
#include "tests/support/support.h"

#include "analysis/cluster/vector.h"
#include "analysis/quality/neighbours.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

/*
 * The twin: every distance in float64, in order. Ours must be equal to it in every bit, whatever the screen does.
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
	{ "one dimension", 301, 97, 1, 3, NORMAL },
	{ "few rows", 6, 7, 3, 5, NORMAL },
	{ "one more than k", 4, 4, 2, 3, NORMAL },
	{ "ties", 300, 200, 2, 5, LATTICE },
	{ "ties, many", 2300, 1100, 3, 4, LATTICE },
	{ "all equal", 40, 30, 5, 3, ALIKE },
	{ "far from the origin", 400, 300, 64, 5, FAR },
	{ "clumps", 900, 800, 33, 5, CLUMPS },
	{ "in order on a line", 2600, 1100, 7, 5, LINE },
	{ "several blocks", 4200, 1100, 5, 5, NORMAL },
	{ "beyond float32's squares", 200, 150, 4, 3, WILD },
	{ "products underflow", 150, 120, 4, 3, TINY },
	{ "large k", 700, 600, 9, 60, NORMAL },
	{ "wide", 130, 110, 1280, 5, NORMAL },
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

static void twin_neighbours(uint32_t *index, double *distance, const struct set *queries, const struct set *set,
                            size_t k, int itself)
{
	for (uint64_t i = 0; i < queries->n; i++) {
		uint32_t *who = index + i * k;
		double *best = distance + i * k;
		size_t found = 0;

		for (uint64_t j = 0; j < set->n; j++) {
			const double d2 = ek_vector_distance2(queries->x + i * set->d, set->x + j * set->d, set->d);
			size_t at = found;

			if (itself && i == j)
				continue;
			while (at > 0 && d2 < best[at - 1])
				at--;
			found += found < k;
			for (size_t t = found - 1; t > at; t--) {
				best[t] = best[t - 1];
				who[t] = who[t - 1];
			}
			if (at < k) {
				best[at] = d2;
				who[at] = (uint32_t)j;
			}
		}
		for (size_t t = 0; t < k; t++)
			best[t] = sqrt(best[t]);
	}
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

static double median(const double *x, uint64_t n)
{
	double *sorted = calloc(n, sizeof *sorted), result;

	assert_non_null(sorted);
	memcpy(sorted, x, n * sizeof *x);
	qsort(sorted, n, sizeof *sorted, ek_compare_doubles);
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
			const double distance = sqrt(ek_vector_distance2(x->x + i * x->d, y->x + j * x->d, x->d));

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

static const char *text(const cJSON *object, const char *name)
{
	const char *value;

	assert_ok(ek_json_get_string(&value, object, name, "golden"));
	return value;
}

static void check_shares(const struct ek_fidelity *got, const cJSON *want)
{
	/* Counts by counts: both divide the same integers. */
	assert_close(got->precision, ek_golden_number(want, "precision"), 1e-15);
	assert_close(got->recall, ek_golden_number(want, "recall"), 1e-15);
	assert_close(got->density, ek_golden_number(want, "density"), 1e-15);
	assert_close(got->coverage, ek_golden_number(want, "coverage"), 1e-15);
}

/* Distances differ by the order of their float64 sums: d 2^-53 of them. */
static void check_arrays(const struct ek_fidelity *got, const cJSON *want)
{
	double *radius, *realism, mean = 0, infinite = 0, nan = 0;
	size_t count, finite = 0;

	radius = ek_golden_doubles(want, "radius", &count);
	for (size_t i = 0; i < count; i++)
		assert_close(got->radius[i], radius[i], 1e-12);
	for (uint64_t i = 0; i < got->real; i++)
		mean += got->radius[i] / (double)got->real;
	assert_close(mean, ek_golden_number(want, "radius_mean"), 1e-12);
	realism = ek_golden_doubles(want, "realism", &count);
	for (uint64_t j = 0; j < got->generated; j++) {
		infinite += isinf(got->realism[j]);
		nan += isnan(got->realism[j]);
		if (isfinite(got->realism[j]) && finite < count)
			assert_close(got->realism[j], realism[finite++], 1e-12);
	}
	assert_int_equal(finite, count);
	assert_true(infinite == ek_golden_number(want, "realism_infinite") &&
	            nan == ek_golden_number(want, "realism_nan"));
	free(radius);
	free(realism);
}

static void check_golden(const cJSON *want)
{
	const size_t k = (size_t)ek_golden_number(want, "k"), d = (size_t)ek_golden_number(want, "d");
	const char *kind = text(want, "kind");
	struct ek_fidelity got;
	struct made x, y;
	uint32_t *index;
	double *nearest;
	size_t count;

	print_message("%s\n", text(want, "name"));
	made_init(&x, kind, 1, (uint64_t)ek_golden_number(want, "n"), d);
	made_init(&y, kind, 2, (uint64_t)ek_golden_number(want, "m"), d);
	if (strcmp(kind, "twice") == 0)
		memcpy(y.x, x.x, y.n / 4 * d * sizeof *y.x);
	assert_ok(ek_fidelity(&got, &x.rows, &y.rows, k, 0));
	check_shares(&got, cJSON_GetObjectItemCaseSensitive(want, "open"));
	check_arrays(&got, want);
	assert_close(got.coverage_expected, ek_golden_number(want, "coverage_expected"), 1e-14);
	ek_fidelity_release(&got);
	assert_ok(ek_fidelity(&got, &x.rows, &y.rows, k, 1));
	check_shares(&got, cJSON_GetObjectItemCaseSensitive(want, "closed"));
	ek_fidelity_release(&got);
	index = calloc(y.n * k, sizeof *index);
	assert_ok(ek_neighbours(index, NULL, &y.rows, &x.rows, k, 0));
	nearest = ek_golden_doubles(want, "nearest", &count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(index[i], (uint32_t)nearest[i]);
	free(index);
	free(nearest);
	made_release(&x);
	made_release(&y);
}

static void counts_equal_prdcs(void **state)
{
	cJSON *golden = ek_golden("neighbours");
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(golden, "fidelity"), *want;
	int seen = 0;

	cJSON_ArrayForEach(want, list)
	{
		check_golden(want);
		seen++;
	}
	assert_int_equal(seen, 11);
	cJSON_Delete(golden);
}

/* A view of some rows, scaled to unit length, is as those rows alone. */
static void views_are_looked_through(void **state)
{
	enum { N = 90, D = 40, K = 4, SOME = 60 };
	uint32_t got[SOME * K], want[SOME * K];
	double distance[SOME * K], wanted[SOME * K];
	uint64_t ids[SOME];
	float alone[SOME * D] = { 0 };
	struct ek_npy array = ek_rows_memory(alone, SOME, D);
	struct ek_rows rows;
	struct made x;

	made_init(&x, "bell", 5, N, D);
	for (uint64_t i = 0; i < SOME; i++)
		ids[i] = (i * 7 + 3) % N;
	x.rows.unit = 1;
	x.rows.ids = ids;
	x.rows.count = SOME;
	for (uint64_t i = 0; i < SOME; i++)
		ek_rows_read(alone + i * D, &x.rows, i);
	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_ok(ek_neighbours(want, wanted, &rows, &rows, K, 1));
	assert_ok(ek_neighbours(got, distance, &x.rows, &x.rows, K, 1));
	assert_memory_equal(got, want, sizeof got);
	assert_memory_equal(distance, wanted, sizeof distance);
	made_release(&x);
}

static void what_cannot_be_compared_is_refused(void **state)
{
	struct made x, y, few;
	struct ek_fidelity f;
	double distance[6 * 6];

	made_init(&x, "bell", 1, 6, 3);
	made_init(&y, "bell", 1, 6, 4);
	made_init(&few, "bell", 2, 5, 3);
	assert_fails(ek_neighbours(NULL, distance, &x.rows, &x.rows, 0, 1), EK_EUSAGE, "at least 1");
	assert_fails(ek_neighbours(NULL, distance, &x.rows, &x.rows, 6, 1), EK_EDATA, "6 images are too few");
	assert_ok(ek_neighbours(NULL, distance, &x.rows, &x.rows, 6, 0));
	assert_fails(ek_neighbours(NULL, distance, &x.rows, &x.rows, 7, 0), EK_EDATA, "too few");
	assert_fails(ek_neighbours(NULL, distance, &x.rows, &y.rows, 1, 0), EK_EDATA, "3 and of 4 dimensions");
	assert_fails(ek_fidelity(&f, &x.rows, &y.rows, 2, 0), EK_EDATA, "dimensions");
	ek_fidelity_release(&f);
	assert_fails(ek_fidelity(&f, &x.rows, &few.rows, 5, 0), EK_EDATA, "5 images are too few");
	ek_fidelity_release(&f);
	few.x[7] = NAN;
	assert_fails(ek_fidelity(&f, &x.rows, &few.rows, 2, 0), EK_EDATA, "row 2");
	ek_fidelity_release(&f);
	few.x[7] = INFINITY;
	assert_fails(ek_neighbours(NULL, distance, &few.rows, &x.rows, 2, 0), EK_EDATA, "row 2");
	made_release(&x);
	made_release(&y);
	made_release(&few);
}

/* By hand: n = m = 4, k = 2: 1 - 3/7 2/6; all images are neighbours: 1. */
static void expected_coverage_is_the_formula(void **state)
{
	assert_close(ek_coverage_expected(4, 4, 2), 1 - 3.0 / 7 * 2 / 6, 1e-15);
	assert_close(ek_coverage_expected(100, 1, 1), 1 / 100.0, 1e-14);
	assert_true(ek_coverage_expected(3, 5, 3) == 1);
}

static uint64_t reported, announced;

static void stop_late(void *context, const struct ek_progress *progress)
{
	if (progress->finished) {
		reported = progress->done;
		announced = progress->total;
	}
}

/* Last, because an interrupt stays. */
static void progress_comes_to_its_end_and_work_can_be_stopped(void **state)
{
	const struct ek_log_sink sink = { .progress = stop_late };
	struct ek_fidelity f;
	double *distance;
	struct made x;

	made_init(&x, "bell", 1, 5000, 2);
	distance = calloc(x.n, sizeof *distance);
	ek_log_set_sink(&sink);
	assert_ok(ek_neighbours(NULL, distance, &x.rows, &x.rows, 1, 1));
	assert_int_equal(announced, 2048 + 4096 + 5000);
	assert_int_equal(reported, announced);
	assert_ok(ek_fidelity(&f, &x.rows, &x.rows, 1, 0));
	assert_int_equal(announced, 3 * 5000);
	assert_int_equal(reported, announced);
	ek_fidelity_release(&f);
	ek_interrupt();
	assert_fails(ek_neighbours(NULL, distance, &x.rows, &x.rows, 1, 1), EK_EINTERRUPTED, "");
	assert_fails(ek_fidelity(&f, &x.rows, &x.rows, 1, 0), EK_EINTERRUPTED, "");
	ek_fidelity_release(&f);
	ek_log_set_sink(&(struct ek_log_sink){ 0 });
	free(distance);
	made_release(&x);
}

EK_TEST_MAIN(cmocka_unit_test(counts_equal_prdcs), cmocka_unit_test(expected_coverage_is_the_formula),
             cmocka_unit_test(fidelity_is_that_of_every_distance),
             cmocka_unit_test(neighbours_are_those_of_every_distance), cmocka_unit_test(views_are_looked_through),
             cmocka_unit_test(what_cannot_be_compared_is_refused),
             cmocka_unit_test(progress_comes_to_its_end_and_work_can_be_stopped))
