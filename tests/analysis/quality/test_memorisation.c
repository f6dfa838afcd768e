#include "tests/analysis/quality/made.h"
#include "tests/support/support.h"

#include "analysis/cluster/vector.h"
#include "analysis/quality/memorisation.h"
#include "analysis/quality/neighbours.h"
#include "analysis/quality/principal.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

/* As make_neighbours.py plants them: training, generated, held-out. */
static void plant(struct made sets[3], const cJSON *want)
{
	static const char *const counts[] = { "n", "m", "held" };
	const size_t d = (size_t)ek_golden_number(want, "d");
	const uint64_t copies = (uint64_t)ek_golden_number(want, "copies");

	for (int s = 0; s < 3; s++)
		made_init(&sets[s], "places", (uint64_t)s + 1, (uint64_t)ek_golden_number(want, counts[s]), d);
	for (uint64_t i = 0; i < copies * d; i++)
		sets[1].x[i] = (float)((double)sets[0].x[i] + made_bell(4, i) / 16);
	memcpy(sets[0].x + (sets[0].n - 1) * d, sets[0].x, d * sizeof(float));
}

static void unplant(struct made sets[3])
{
	for (int s = 0; s < 3; s++)
		made_release(&sets[s]);
}

/* Distances differ by the order of their float64 sums, shares and U by nothing; with principal components U may, too,
 * where two distances are alike to some 1e-6: there are none. */
static void check_golden(const cJSON *want)
{
	const char *const names[] = { "mean",  "median",    "held_out_mean", "held_out_median",
		                      "ratio", "authentic", "copied",        "held_out_copied",
		                      "c_t" };
	struct ek_memorisation got;
	struct made sets[3];
	double *nearest, *own;
	size_t count;

	plant(sets, want);
	assert_ok(ek_memorisation(&got, &sets[0].rows, &sets[1].rows, &sets[2].rows, 3));
	const double values[] = { got.mean,  got.median,    got.held_out_mean, got.held_out_median,
		                  got.ratio, got.authentic, got.copied_share,  got.held_out_copied,
		                  got.c_t };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		print_message("%s %.17g\n", names[i], values[i]);
		assert_close(values[i], ek_golden_number(want, names[i]), 1e-12);
	}
	nearest = ek_golden_doubles(want, "nearest", &count);
	own = ek_golden_doubles(want, "own", &count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(got.nearest[i], (uint32_t)nearest[i]);
		assert_close(got.own[i], own[i], 1e-12);
	}
	free(nearest);
	free(own);
	ek_memorisation_release(&got);
	unplant(sets);
}

static void measures_equal_scikit_learns(void **state)
{
	cJSON *golden = ek_golden("neighbours");
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(golden, "memorisation"), *want;
	int seen = 0;

	cJSON_ArrayForEach(want, list)
	{
		check_golden(want);
		seen++;
	}
	assert_int_equal(seen, 3);
	cJSON_Delete(golden);
}

static void threads_do_not_change_a_bit(void **state)
{
	struct made sets[3];
	struct ek_memorisation one, more;

	for (int s = 0; s < 3; s++)
		made_init(&sets[s], "places", (uint64_t)s + 20, 1500 - 400 * (uint64_t)s, 90);
	ek_threads_set(1);
	assert_ok(ek_memorisation(&one, &sets[0].rows, &sets[1].rows, &sets[2].rows, 3));
	for (int threads = 2; threads <= 3; threads++) {
		ek_threads_set(threads);
		assert_ok(ek_memorisation(&more, &sets[0].rows, &sets[1].rows, &sets[2].rows, 3));
		assert_memory_equal(more.nearest, one.nearest, sets[1].n * sizeof *one.nearest);
		assert_memory_equal(more.distance, one.distance, sets[1].n * sizeof *one.distance);
		assert_memory_equal(more.own, one.own, sets[1].n * sizeof *one.own);
		assert_memory_equal(more.copied, one.copied, sets[1].n);
		assert_true(more.mean == one.mean && more.c_t == one.c_t && more.ratio == one.ratio);
		ek_memorisation_release(&more);
	}
	ek_threads_set(0);
	ek_memorisation_release(&one);
	unplant(sets);
}

/* The rule from every distance, on few rows with duplicates. */
static void copied_is_the_rule(void **state)
{
	enum { N = 60, M = 50, D = 3 };
	struct ek_memorisation got;
	struct made x, y;
	uint64_t flagged = 0;

	made_init(&x, "lattice", 1, N, D);
	made_init(&y, "bell", 2, M, D);
	for (size_t i = 0; i < 8 * D; i++)
		y.x[i] = x.x[i]; /* the same as a training row */
	for (size_t i = 8 * D; i < (size_t)M * D; i++)
		y.x[i] = 3 + y.x[i] * 2;
	assert_ok(ek_memorisation(&got, &x.rows, &y.rows, NULL, 0));
	assert_true(isnan(got.ratio) && isnan(got.c_t) && isnan(got.held_out_copied) && isnan(got.held_out_mean));
	for (uint64_t j = 0; j < M; j++) {
		const float *nearest = x.x + got.nearest[j] * D;
		double others[6] = { 0 };
		int found = 0;

		for (uint64_t i = 0; i < N; i++) {
			const double distance = sqrt(ek_vector_distance2(nearest, x.x + i * D, D));
			int at = found < 5 ? found++ : 5;

			if (i == got.nearest[j]) {
				found -= at < 5;
				continue;
			}
			for (; at > 0 && others[at - 1] > distance; at--)
				others[at] = others[at - 1];
			others[at] = distance;
		}
		assert_true(got.own[j] == others[0]);
		assert_int_equal(got.copied[j], got.distance[j] == 0 || got.distance[j] < others[4] / 2);
		flagged += got.copied[j];
	}
	assert_true(flagged >= 8 && flagged < M);
	ek_memorisation_release(&got);
	made_release(&x);
	made_release(&y);
}

/* Copies of images that are there five times are seen, though their own nearest is at 0; fresh ones are not. */
static void copies_of_duplicates_are_seen(void **state)
{
	enum { N = 400, D = 32, TIMES = 5, KINDS = 40 };
	struct ek_memorisation got;
	struct made x, y;

	made_init(&x, "bell", 1, N, D);
	made_init(&y, "bell", 2, 2 * KINDS, D);
	for (size_t i = 0; i < (size_t)KINDS * D; i++) {
		for (size_t copy = 1; copy < TIMES; copy++)
			x.x[copy * KINDS * D + i] = x.x[i];
		y.x[i] = x.x[i] + 0.05F * y.x[i];
	}
	assert_ok(ek_memorisation(&got, &x.rows, &y.rows, NULL, 0));
	for (size_t i = 0; i < KINDS; i++) {
		assert_true(got.copied[i] == 1 && got.own[i] == 0 && got.nearest[i] == i);
		assert_true(got.copied[KINDS + i] == 0);
	}
	assert_true(got.copied_share == 0.5);
	ek_memorisation_release(&got);
	made_release(&x);
	made_release(&y);
}

static void principal_components_span_what_varies(void **state)
{
	enum { N = 700, D = 150, K = 4 };
	struct ek_principal p;
	struct made x;
	float *out = calloc((size_t)N * K, sizeof *out);
	double variance[K] = { 0 };

	made_init(&x, "bell", 1, N, D);
	for (uint64_t i = 0; i < N; i++)
		for (size_t j = 0; j < D; j++)
			x.x[i * D + j] = 5 + x.x[i * D + j] * (j < K ? (float)(40 >> j) : 0.01F);
	assert_ok(ek_principal_of(&p, &x.rows, K));
	assert_int_equal(p.k, K);
	for (size_t c = 0; c < K; c++) {
		double norm = 0;

		for (size_t j = 0; j < D; j++)
			norm += p.axes[c * D + j] * p.axes[c * D + j];
		assert_close(norm, 1, 1e-12);
		/* The axes of 700 rows: 0.1 from those they were drawn along. */
		assert_true(fabs(p.axes[c * D + c]) > 0.99);
	}
	assert_ok(ek_principal_project(out, &p, &x.rows));
	for (uint64_t i = 0; i < N; i++)
		for (size_t c = 0; c < K; c++) {
			double want = 0;

			for (size_t j = 0; j < D; j++)
				want += ((double)x.x[i * D + j] - p.mean[j]) * p.axes[c * D + j];
			assert_close(out[i * K + c], want, 0x1p-23);
			variance[c] += want * want / N;
		}
	for (size_t c = 1; c < K; c++)
		assert_true(variance[c] < variance[c - 1]);
	ek_principal_release(&p);
	x.rows.count = 3;
	assert_ok(ek_principal_of(&p, &x.rows, 64));
	assert_int_equal(p.k, 2); /* three rows lie in a plane */
	ek_principal_release(&p);
	free(out);
	made_release(&x);
}

static void small_and_wrong_sets(void **state)
{
	struct ek_memorisation got;
	struct made x, y, narrow;
	double c_t = 0;

	made_init(&x, "alike", 1, 2, 3);
	made_init(&y, "bell", 2, 30, 3);
	made_init(&narrow, "bell", 2, 30, 2);
	assert_ok(ek_memorisation(&got, &x.rows, &y.rows, &y.rows, 0)); /* two rows, the same: one cell */
	assert_true(got.ratio == 1 && got.own[5] == 0 && got.copied_share == got.held_out_copied);
	assert_close(got.c_t, 0.5 / sqrt(30 * 30 * 61 / 12.0), 1e-12); /* U is nm/2 */
	ek_memorisation_release(&got);
	y.rows.count = 20;
	assert_ok(ek_c_t(&c_t, &x.rows, &y.rows, &y.rows, 0));
	assert_true(isnan(c_t));
	assert_fails(ek_c_t(&c_t, &x.rows, &y.rows, &narrow.rows, 0), EK_EDATA, "dimensions");
	assert_fails(ek_memorisation(&got, &x.rows, &narrow.rows, NULL, 0), EK_EDATA, "dimensions");
	ek_memorisation_release(&got);
	y.x[4] = NAN;
	assert_fails(ek_memorisation(&got, &x.rows, &y.rows, NULL, 0), EK_EDATA, "row 1");
	ek_memorisation_release(&got);
	x.rows.count = 1;
	assert_fails(ek_memorisation(&got, &x.rows, &y.rows, NULL, 0), EK_EDATA, "at least 2");
	ek_memorisation_release(&got);
	made_release(&x);
	made_release(&y);
	made_release(&narrow);
}

EK_TEST_MAIN(cmocka_unit_test(copied_is_the_rule), cmocka_unit_test(copies_of_duplicates_are_seen),
             cmocka_unit_test(measures_equal_scikit_learns), cmocka_unit_test(principal_components_span_what_varies),
             cmocka_unit_test(small_and_wrong_sets), cmocka_unit_test(threads_do_not_change_a_bit))
