#include "tests/support/support.h"

#include "analysis/cluster/coordinates.h"
#include "analysis/cluster/null.h"
#include "analysis/cluster/populations.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "tests/analysis/cluster/planted.h"

static double distance2(const float *a, const float *b, size_t d)
{
	double sum = 0;

	for (size_t j = 0; j < d; j++)
		sum += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
	return sum;
}

/* n images of d dimensions whose variances fall. */
static float *normals(uint64_t n, size_t d)
{
	float *x = calloc(n * d, sizeof *x);

	assert_non_null(x);
	for (uint64_t i = 0; i < n * d; i++)
		x[i] = (float)(5 + ek_random_normal(1, 2, i) / (double)(1 + i % d));
	return x;
}

/* All components keep all distances; the first k have the largest variances. */
static void check_coordinates(uint64_t n, size_t d)
{
	float *x = normals(n, d), *y, *z;
	const struct ek_npy array = ek_rows_memory(x, n, d);
	struct ek_rows rows;
	size_t k, fewer;

	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_ok(ek_coordinates(&y, &k, &rows, 1000));
	assert_int_equal(k, n - 1 < d ? n - 1 : d);
	for (uint64_t i = 1; i < n; i++)
		assert_close(distance2(y, y + i * k, k), distance2(x, x + i * d, d), 1e-5 * distance2(x, x + i * d, d));
	assert_ok(ek_coordinates(&z, &fewer, &rows, 2));
	assert_int_equal(fewer, 2);
	for (uint64_t i = 0; i < n; i++)
		assert_close(z[i * 2], y[i * k], 1e-6 * (1 + fabs((double)y[i * k])));
	free(x);
	free(y);
	free(z);
}

static void coordinates_keep_distances(void **state)
{
	const float same[12] = { 0 };
	const struct ek_npy array = ek_rows_memory(same, 4, 3);
	struct ek_rows rows;
	float *y;
	size_t k;

	check_coordinates(12, 5);
	check_coordinates(600, 7);
	check_coordinates(9, 40);
	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_int_equal(ek_coordinates(&y, &k, &rows, 2), EK_EDATA);
}

/* Two groups on a line, each cut in the middle: four clusters, two populations. */
static void pieces_of_a_group_are_joined(void **state)
{
	enum { N = 2000, K = 4 };
	float x[N] = { 0 }, centroids[K] = { 0, 0, 0, 0 };
	int32_t assignment[N], population[K];
	uint64_t sizes[K] = { 0 };
	const struct ek_npy array = ek_rows_memory(x, N, 1);
	const struct ek_kmeans_result r = {
		.k = K, .n = N, .dimensions = 1, .assignment = assignment, .centroids = centroids, .sizes = sizes
	};
	double valley[K * K] = { 0 };
	struct ek_rows rows;
	uint32_t count;

	for (int i = 0; i < N; i++) {
		const int group = i % 2;

		x[i] = (float)ek_random_normal(3, 4, (uint64_t)i);
		assignment[i] = 2 * group + (x[i] > 0);
		x[i] += (float)(12 * group);
		centroids[assignment[i]] += x[i];
		sizes[assignment[i]]++;
	}
	for (int c = 0; c < K; c++)
		centroids[c] /= (float)sizes[c];
	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_ok(ek_populations_valleys(valley, &rows, &r));
	assert_true(valley[0 * K + 1] > 0.9);
	assert_true(valley[1 * K + 2] < 0.1);
	assert_close(valley[2 * K + 1], valley[1 * K + 2], 0);
	assert_ok(ek_populations_join(population, &count, valley, &r, 0.5));
	assert_int_equal(count, 2);
	assert_int_equal(population[0], 0);
	assert_int_equal(population[1], 0);
	assert_int_equal(population[2], 1);
	assert_int_equal(population[3], 1);
	/* Too few to say: with the nearest. */
	sizes[2] = 9;
	assert_ok(ek_populations_join(population, &count, valley, &r, 0));
	assert_int_equal(count, 1);
	sizes[2] = sizes[3];
	assert_ok(ek_populations_join(population, &count, valley, &r, INFINITY));
	assert_int_equal(count, 4);
}

/* Ten images between two groups: too few to show a valley, and no bridge. */
static void a_handful_is_no_bridge(void **state)
{
	enum { EACH = 1000, FEW = 10, N = 2 * EACH + FEW, K = 3 };
	static float x[N];
	static int32_t assignment[N];
	float centroids[K] = { 0, 12, 7 };
	uint64_t sizes[K] = { EACH, EACH, FEW };
	const struct ek_npy array = ek_rows_memory(x, N, 1);
	const struct ek_kmeans_result r = {
		.k = K, .n = N, .dimensions = 1, .assignment = assignment, .centroids = centroids, .sizes = sizes
	};
	double valley[K * K] = { 0 };
	int32_t population[K];
	struct ek_rows rows;
	uint32_t count;

	for (int i = 0; i < N; i++) {
		assignment[i] = i / EACH;
		x[i] = centroids[assignment[i]] + (float)ek_random_normal(3, 5, (uint64_t)i);
	}
	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_ok(ek_populations_valleys(valley, &rows, &r));
	assert_true(valley[0 * K + 1] < 0.1);
	assert_true(isnan(valley[0 * K + 2]) && isnan(valley[1 * K + 2]));
	assert_ok(ek_populations_join(population, &count, valley, &r, 0.5));
	assert_int_equal(count, 2);
	assert_int_equal(population[2], population[1]); /* the nearest */
}

/* 95 and 5 in a hundred, far apart in every dimension. */
static float *two_populations(uint64_t n, size_t d)
{
	float *x = normals(n, d);

	for (uint64_t i = 0; i < n; i++)
		for (size_t j = 0; j < d && i % 20 == 0; j++)
			x[i * d + j] += 12;
	return x;
}

static void two_populations_stand_apart(void **state)
{
	enum { N = 1000, D = 10 };
	float *x = two_populations(N, D);
	const struct ek_npy array = ek_rows_memory(x, N, D);
	const int threads = ek_threads();
	struct ek_null null, other;
	struct ek_rows rows;

	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_ok(ek_null_measure(&null, &rows, 4, 5));
	assert_int_equal(null.images, 500);
	assert_int_equal(null.components, D);
	assert_int_equal(null.count, 2);
	assert_true(null.agreement > 0.95);
	assert_close(null.shares[1], 0.05, 1e-12);
	assert_close(null.populations.observed, 0.45, 0.02);
	assert_int_equal(ek_finding_of(null.agreement, null.count, null.populations.excess, null.populations.interval),
	                 EK_FINDING_VERY);
	ek_threads_set(threads == 1 ? 3 : 1);
	assert_ok(ek_null_measure(&other, &rows, 4, 5));
	ek_threads_set(threads);
	assert_memory_equal(&other.populations, &null.populations, sizeof null.populations);
	assert_memory_equal(&other.clusters, &null.clusters, sizeof null.clusters);
	free(x);
}

/* In many dimensions that all vary alike, k-means' centroids lie where the noise of their own images is: only other
 * images tell that nothing lies between pieces of one group. */
static void noise_in_many_dimensions_hides_no_population(void **state)
{
	enum { N = 2000, D = 128 };
	float *x = calloc((size_t)N * D, sizeof *x);
	const struct ek_npy array = ek_rows_memory(x, N, D);
	struct ek_null null;
	struct ek_rows rows;

	assert_non_null(x);
	for (uint64_t i = 0; i < (uint64_t)N * D; i++)
		x[i] = (float)(ek_random_normal(1, 2, i) + (i / D % 20 == 0 ? 15 / sqrt(D) : 0));
	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_ok(ek_null_measure(&null, &rows, 4, 5));
	assert_int_equal(null.count, 2);
	assert_close(null.shares[1], 0.05, 0.01);
	assert_close(null.populations.permuted, 0, 0.01);
	assert_true(ek_finding_of(null.agreement, null.count, null.populations.excess, null.populations.interval) >=
	            EK_FINDING_CLEARLY);
	free(x);
}

static void too_few_images_have_no_null(void **state)
{
	float *x = normals(7, 3);
	const struct ek_npy array = ek_rows_memory(x, 7, 3);
	struct ek_null null;
	struct ek_rows rows;

	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_int_equal(ek_null_measure(&null, &rows, 2, 0), EK_EDATA);
	free(x);
}

static void words_follow_the_evidence(void **state)
{
	static const struct ek_interval above = { 0.01, 0.9 }, around = { -0.01, 0.9 };

	assert_int_equal(ek_finding_of(1, 1, 0, above), EK_FINDING_ONE);
	assert_int_equal(ek_finding_of(0.79, 3, 0.5, above), EK_FINDING_UNSTABLE);
	assert_int_equal(ek_finding_of((double)NAN, (double)NAN, (double)NAN, above), EK_FINDING_UNSTABLE);
	assert_int_equal(ek_finding_of(0.9, 3, 0.5, around), EK_FINDING_ALIKE);
	assert_int_equal(ek_finding_of(0.9, 3, 0.14, above), EK_FINDING_ALIKE);
	assert_int_equal(ek_finding_of(0.9, 3, 0.16, above), EK_FINDING_SOMEWHAT);
	assert_int_equal(ek_finding_of(0.9, 3, 0.31, above), EK_FINDING_CLEARLY);
	assert_int_equal(ek_finding_of(0.9, 3, 0.46, above), EK_FINDING_VERY);
	for (int f = 0; f < EK_FINDINGS; f++)
		assert_int_equal(ek_finding_reasons[f] == NULL, f >= EK_FINDING_SOMEWHAT);
}

/* The whole table, 100 seeds of each, is study_planted.c. */
static void words_follow_what_was_planted(void **state)
{
	static const struct {
		struct ek_planted planted;
		enum ek_finding least, most;
	} cases[] = {
		{ { "one class", EK_PLANTED_GAUSSIAN, -0.73, 0, 1, 1, 1000 }, EK_FINDING_UNSTABLE, EK_FINDING_ALIKE },
		{ { "faces", EK_PLANTED_GAUSSIAN, -1.06, 0, 1, 1, 40 }, EK_FINDING_UNSTABLE, EK_FINDING_ALIKE },
		{ { "heavy tails", EK_PLANTED_LAPLACE, -0.73, 0, 1, 1, 1000 }, EK_FINDING_UNSTABLE, EK_FINDING_ALIKE },
		{ { "one-sided", EK_PLANTED_EXPONENTIAL, -0.73, 0, 1, 1, 150 }, EK_FINDING_UNSTABLE, EK_FINDING_ALIKE },
		{ { "odd images", EK_PLANTED_HEAVY, -0.73, 0, 1, 1, 1000 }, EK_FINDING_UNSTABLE, EK_FINDING_ALIKE },
		{ { "1:1", EK_PLANTED_GAUSSIAN, -0.73, 3, 10, 1, 3000 }, EK_FINDING_ALIKE, EK_FINDING_ALIKE },
		{ { "3:1", EK_PLANTED_GAUSSIAN, -0.73, 3, 10, 3, 3000 }, EK_FINDING_ALIKE, EK_FINDING_SOMEWHAT },
		{ { "10:1", EK_PLANTED_GAUSSIAN, -0.73, 3, 10, 10, 3000 }, EK_FINDING_SOMEWHAT, EK_FINDING_CLEARLY },
		{ { "100:1", EK_PLANTED_GAUSSIAN, -0.73, 3, 10, 100, 3000 }, EK_FINDING_CLEARLY, EK_FINDING_VERY },
		{ { "CIFAR", EK_PLANTED_GAUSSIAN, -0.73, 0.2, 10, 100, 2000 }, EK_FINDING_UNSTABLE, EK_FINDING_ALIKE },
	};
	struct ek_planted_finding f;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (uint64_t seed = 1; seed <= 2; seed++) {
			ek_planted_find(&f, &cases[i].planted, seed);
			if (f.finding < cases[i].least || f.finding > cases[i].most)
				fail_msg("%s, seed %d: %s (finding %d, %u populations, agreement %.2f, excess %.2f)",
				         cases[i].planted.name, (int)seed, ek_finding_words[f.finding], (int)f.finding,
				         f.populations, f.agreement, f.excess);
		}
}

/* Ten groups, the smallest with twenty images, each of the large ones in many pieces: judged by no more images than are
 * in a part, some two pieces would join two of the large groups in most parts. */
static void pieces_of_large_groups_are_told_apart(void **state)
{
	static const struct ek_planted planted = { "100:1", EK_PLANTED_GAUSSIAN, -0.73, 1, 10, 100, 5000 };
	struct ek_planted_finding f;

	ek_planted_find(&f, &planted, 3);
	assert_true(f.agreement > 0.85);
	assert_int_equal(f.finding, EK_FINDING_VERY);
}

EK_TEST_MAIN(cmocka_unit_test(coordinates_keep_distances), cmocka_unit_test(pieces_of_a_group_are_joined),
             cmocka_unit_test(a_handful_is_no_bridge), cmocka_unit_test(two_populations_stand_apart),
             cmocka_unit_test(noise_in_many_dimensions_hides_no_population),
             cmocka_unit_test(too_few_images_have_no_null), cmocka_unit_test(words_follow_the_evidence),
             cmocka_unit_test(words_follow_what_was_planted), cmocka_unit_test(pieces_of_large_groups_are_told_apart))
