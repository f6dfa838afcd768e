#include "tests/analysis/cluster/blobs.h"
#include "tests/support/support.h"

#include "analysis/cluster/hierarchy.h"
#include "analysis/cluster/vector.h"

enum { N = 1200, D = 6 };

static const uint32_t sizes[] = { 40, 8, 2 };

static struct ek_rows view(struct ek_npy *array, const float *x)
{
	struct ek_rows rows;

	*array = ek_rows_memory(x, N, D);
	assert_ok(ek_rows_of(&rows, array, 0));
	return rows;
}

static void each_level_clusters_the_centroids_below(void **state)
{
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_hierarchy h;
	struct ek_npy array;
	float *x = ek_blobs(N, D, 8, 0.3, 0, NULL);
	const struct ek_rows rows = view(&array, x);

	for (int resample = 0; resample < 3; resample += 2) {
		assert_ok(ek_hierarchy_build(&h, &rows, sizes, 3, resample, &o));
		assert_int_equal(h.count, 3);
		assert_int_equal(h.levels[0].n, N);
		for (size_t l = 1; l < 3; l++) {
			const struct ek_kmeans_result *below = &h.levels[l - 1], *level = &h.levels[l];

			assert_int_equal(level->n, sizes[l - 1]);
			for (uint32_t c = 0; c < below->k; c++)
				for (uint32_t p = 0; p < level->k; p++)
					assert_true(ek_vector_distance2(
							    below->centroids + c * D,
							    level->centroids + (size_t)level->assignment[c] * D,
							    D) <= ek_vector_distance2(below->centroids + c * D,
					                                              level->centroids + p * D, D));
		}
		ek_hierarchy_release(&h);
	}
	free(x);
}

static void resampling_trains_on_fewer(void **state)
{
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_hierarchy plain, resampled;
	struct ek_npy array;
	float *x = ek_blobs(N, D, 8, 0.3, 0, NULL);
	const struct ek_rows rows = view(&array, x);

	assert_ok(ek_hierarchy_build(&plain, &rows, sizes, 1, 0, &o));
	assert_ok(ek_hierarchy_build(&resampled, &rows, sizes, 1, 3, &o));
	assert_int_equal(plain.levels[0].trained, N);
	assert_true(resampled.levels[0].trained <= N / 2); /* N / 2K of each of K */
	assert_int_equal(resampled.levels[0].n, N);
	ek_hierarchy_release(&plain);
	ek_hierarchy_release(&resampled);
	free(x);
}

static void levels_must_fall(void **state)
{
	static const uint32_t wrong[] = { 4, 4 };
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_hierarchy h;
	struct ek_npy array;
	float *x = ek_blobs(N, D, 8, 0.3, 0, NULL);
	const struct ek_rows rows = view(&array, x);

	assert_fails(ek_hierarchy_build(&h, &rows, wrong, 2, 0, &o), EK_EUSAGE, "fewer and fewer");
	ek_hierarchy_release(&h);
	free(x);
}

EK_TEST_MAIN(cmocka_unit_test(each_level_clusters_the_centroids_below), cmocka_unit_test(resampling_trains_on_fewer),
             cmocka_unit_test(levels_must_fall))
