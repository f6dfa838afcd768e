#include "tests/analysis/cluster/blobs.h"
#include "tests/support/support.h"

#include "analysis/cluster/map.h"
#include "analysis/cluster/tsne.h"
#include "rebalance/base/threads.h"

static double distance(const double *xy, size_t a, size_t b)
{
	return hypot(xy[2 * a] - xy[2 * b], xy[2 * a + 1] - xy[2 * b + 1]);
}

static void planted_clusters_stay_together(void **state)
{
	enum { M = 600, D = 20, K = 6 };
	int32_t truth[M];
	float *x = ek_blobs(M, D, K, 0.2, 0, truth);
	double *xy = calloc(2 * M, sizeof *xy);
	size_t right = 0;

	assert_ok(ek_tsne(xy, x, M, D, 0));
	for (size_t i = 0; i < M; i++) {
		size_t nearest = i == 0;

		assert_true(xy[2 * i] >= 0 && xy[2 * i] <= 1 && xy[2 * i + 1] >= 0 && xy[2 * i + 1] <= 1);
		for (size_t j = 0; j < M; j++)
			if (j != i && distance(xy, i, j) < distance(xy, i, nearest))
				nearest = j;
		right += truth[nearest] == truth[i];
	}
	/* Clusters 5 deviations apart have all neighbours inside; a map drawn at random has 1 in 6. */
	assert_true(right >= M * 99 / 100);
	free(x);
	free(xy);
}

static void threads_do_not_change_a_bit(void **state)
{
	enum { M = 150, D = 9 };
	static const int threads[] = { 1, 2, 16 };
	float *x = ek_blobs(M, D, 4, 1, 0, NULL);
	double xy[3][2 * M];

	for (int t = 0; t < 3; t++) {
		ek_threads_set(threads[t]);
		assert_ok(ek_tsne(xy[t], x, M, D, 5));
		assert_memory_equal(xy[t], xy[0], sizeof xy[0]);
	}
	ek_threads_set(0);
	free(x);
}

static void few_and_equal_rows(void **state)
{
	static const float same[40 * 2];
	static const float three[] = { 0, 0, 1, 0, 4, 0 };
	double xy[80];

	for (size_t m = 1; m <= 40; m++) {
		assert_ok(ek_tsne(xy, same, m, 2, 0));
		for (size_t i = 0; i < 2 * m; i++)
			assert_true(xy[i] >= 0 && xy[i] <= 1);
	}
	assert_ok(ek_tsne(xy, three, 3, 2, 0)); /* on a line: the principal component keeps proportions */
	assert_close(fabs(xy[2] - xy[0]), 0.25, 1e-6);
	assert_close(fabs(xy[4] - xy[0]), 1, 1e-6);
}

static void every_cluster_is_on_the_map(void **state)
{
	enum { N = 20000, K = 50 };
	int32_t *assignment = calloc(N, sizeof *assignment);
	uint64_t ids[EK_MAP_MOST], shown[K] = { 0 };
	size_t count;

	for (int i = 0; i < N; i++) /* cluster 0 has nearly all, 1 … 48 a few, 49 none */
		assignment[i] = i % 100 == 0 ? 1 + i / 100 % 48 : 0;
	assert_ok(ek_map_choose(ids, &count, assignment, N, K, 0));
	assert_int_equal(count, EK_MAP_MOST);
	for (size_t i = 0; i < count; i++) {
		assert_true(ids[i] < N && (i == 0 || ids[i] > ids[i - 1]));
		shown[assignment[ids[i]]]++;
	}
	for (int c = 0; c < K - 1; c++)
		assert_true(shown[c] >= 4); /* they have 4 or 5 */
	assert_int_equal(shown[K - 1], 0);
	assert_ok(ek_map_choose(ids, &count, assignment, 300, K, 0));
	assert_int_equal(count, 300);
	free(assignment);
}

static void more_clusters_than_places(void **state)
{
	enum { N = 5000 };
	int32_t *assignment = calloc(N, sizeof *assignment);
	uint64_t ids[EK_MAP_MOST];
	size_t count;

	for (int i = 0; i < N; i++)
		assignment[i] = i;
	assert_ok(ek_map_choose(ids, &count, assignment, N, N, 0));
	assert_int_equal(count, EK_MAP_MOST);
	free(assignment);
}

EK_TEST_MAIN(cmocka_unit_test(planted_clusters_stay_together), cmocka_unit_test(threads_do_not_change_a_bit),
             cmocka_unit_test(few_and_equal_rows), cmocka_unit_test(every_cluster_is_on_the_map),
             cmocka_unit_test(more_clusters_than_places))
