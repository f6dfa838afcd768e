#include "tests/analysis/cluster/blobs.h"
#include "tests/support/support.h"

#include "analysis/cluster/cluster.h"
#include "analysis/cluster/kmeans.h"
#include "rebalance/base/threads.h"

enum { N = 800, D = 12, K = 8 };

static cJSON *load(const struct ek_run *run, const char *name)
{
	cJSON *json = NULL;

	assert_ok(ek_json_load(&json, ek_join(ek_run_path(run), name)));
	return json;
}

static void files_agree_with_k_means(void **state)
{
	const uint64_t any1[] = { N }, any2[] = { K, D };
	struct ek_cluster_options o = EK_CLUSTER_OPTIONS_DEFAULT;
	struct ek_kmeans_options ko = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result want;
	struct ek_npy assignment, distance, centroids, array;
	struct ek_rows rows;
	float *x = ek_blobs(N, D, K, 0.3, 0, NULL);
	struct ek_run *run = ek_blobs_run(x, N, D);
	const cJSON *item;
	cJSON *json, *map;
	double total = 0;
	int count = 0;

	o.clusters = ko.k = K;
	ko.redo = o.redo;
	assert_ok(ek_cluster(run, &o));
	array = ek_rows_memory(x, N, D);
	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_ok(ek_kmeans(&want, &rows, &ko));
	assert_ok(ek_npy_open_as(&assignment, ek_join(ek_run_path(run), "clusters/assignment.npy"), EK_I32, 1, any1));
	assert_ok(ek_npy_open_as(&distance, ek_join(ek_run_path(run), "clusters/distance.npy"), EK_F32, 1, any1));
	assert_ok(ek_npy_open_as(&centroids, ek_join(ek_run_path(run), "clusters/centroids.npy"), EK_F32, 2, any2));
	assert_memory_equal(assignment.data, want.assignment, N * sizeof(int32_t));
	assert_memory_equal(distance.data, want.distance, N * sizeof(float));
	assert_memory_equal(centroids.data, want.centroids, K * D * sizeof(float));
	json = load(run, "clusters/clusters.json");
	assert_true(ek_golden_number(json, "k") == K && ek_golden_number(json, "images") == N &&
	            ek_golden_number(json, "subsample") == N);
	assert_close(ek_golden_number(json, "inertia"), want.inertia, 1e-15);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "sizes")) total += item->valuedouble;
	assert_true(total == N);
	assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "auto")));
	assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "hierarchy")));
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "nearest_center"))
		assert_int_not_equal(item->valueint, count++);
	assert_int_equal(count, K);
	map = load(run, "clusters/map.json");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(map, "ids")), N);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(map, "y")), N);
	cJSON_Delete(json);
	cJSON_Delete(map);
	ek_npy_close(&assignment);
	ek_npy_close(&distance);
	ek_npy_close(&centroids);
	ek_kmeans_release(&want);
	ek_run_close(run);
	free(x);
}

static void auto_finds_the_planted_number(void **state)
{
	struct ek_cluster_options o = EK_CLUSTER_OPTIONS_DEFAULT;
	float *x = ek_blobs(N, D, K, 0.15, 0, NULL);
	struct ek_run *run = ek_blobs_run(x, N, D);
	const cJSON *automatic;
	cJSON *json;

	o.clusters = 0;
	assert_ok(ek_cluster(run, &o));
	json = load(run, "clusters/clusters.json");
	automatic = cJSON_GetObjectItemCaseSensitive(json, "auto");
	assert_true(ek_golden_number(automatic, "chosen") == K);
	assert_true(ek_golden_number(json, "k") == K);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(automatic, "curve")), 6);
	cJSON_Delete(json);
	ek_run_close(run);
	free(x);
}

static void hierarchy_is_written(void **state)
{
	static const uint32_t levels[] = { 30, 5 };
	struct ek_cluster_options o = EK_CLUSTER_OPTIONS_DEFAULT;
	float *x = ek_blobs(N, D, K, 0.3, 0, NULL);
	struct ek_run *run = ek_blobs_run(x, N, D);
	const cJSON *parents, *item;
	cJSON *json;

	o.hierarchy = levels;
	o.levels = 2;
	assert_ok(ek_cluster(run, &o));
	json = load(run, "clusters/clusters.json");
	assert_true(ek_golden_number(json, "k") == 30);
	parents = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "hierarchy"), "parents");
	assert_int_equal(cJSON_GetArraySize(parents), 1);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetArrayItem(parents, 0)), 30);
	cJSON_ArrayForEach(item, cJSON_GetArrayItem(parents, 0)) assert_in_range(item->valueint, 0, 4);
	cJSON_Delete(json);
	ek_run_close(run);
	free(x);
}

static void threads_do_not_change_a_byte(void **state)
{
	static const int threads[] = { 1, 2, 16 };
	struct ek_cluster_options o = EK_CLUSTER_OPTIONS_DEFAULT;
	struct ek_buffer want = { 0 }, got = { 0 };
	float *x = ek_blobs(N, D, K, 1, 0, NULL);
	struct ek_run *run = ek_blobs_run(x, N, D);

	o.clusters = 0;
	for (int t = 0; t < 3; t++) {
		ek_threads_set(threads[t]);
		assert_ok(ek_cluster(run, &o));
		ek_buffer_clear(&got);
		for (int f = 0; ek_cluster_outputs[f] != NULL; f++)
			assert_ok(ek_file_read(&got, ek_join(ek_run_path(run), ek_cluster_outputs[f]), SIZE_MAX / 4));
		if (t == 0)
			assert_ok(ek_buffer_append(&want, got.data, got.size));
		assert_int_equal(got.size, want.size);
		assert_memory_equal(got.data, want.data, want.size);
	}
	ek_threads_set(0);
	ek_buffer_release(&want);
	ek_buffer_release(&got);
	ek_run_close(run);
	free(x);
}

static void unit_length_by_encoder(void **state)
{
	static const char dino[] = "{\"encoder\": \"dinov2-vits14\"}";
	static const float x[] = { 3, 4, 6, 8 };
	struct ek_run *run = ek_blobs_run(x, 2, 2);
	struct ek_npy array;
	struct ek_rows rows;
	float row[2];

	assert_ok(ek_cluster_rows(&rows, &array, run, "embeddings.npy", EK_NORMALISE_AUTO));
	ek_rows_read(row, &rows, 1);
	assert_true(row[0] == 6.0f && row[1] == 8.0f);
	ek_npy_close(&array);
	ek_write_file(ek_join(ek_run_path(run), "embeddings.json"), dino, sizeof dino - 1);
	assert_ok(ek_cluster_rows(&rows, &array, run, "embeddings.npy", EK_NORMALISE_AUTO));
	ek_rows_read(row, &rows, 1);
	assert_true(row[0] == 0.6f && row[1] == 0.8f);
	ek_npy_close(&array);
	ek_run_close(run);
}

static void options_are_told(void **state)
{
	struct ek_cluster_options o = EK_CLUSTER_OPTIONS_DEFAULT;
	cJSON *a, *b;

	assert_ok(ek_cluster_options_json(&a, &o));
	o.clusters = 0;
	assert_ok(ek_cluster_options_json(&b, &o));
	assert_false(cJSON_Compare(a, b, 1));
	assert_string_equal(cJSON_GetObjectItemCaseSensitive(b, "clusters")->valuestring, "auto");
	cJSON_Delete(a);
	cJSON_Delete(b);
}

static void no_embeddings(void **state)
{
	struct ek_cluster_options o = EK_CLUSTER_OPTIONS_DEFAULT;
	struct ek_run *run;

	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_fails(ek_cluster(run, &o), EK_EIO, "embeddings.npy");
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(files_agree_with_k_means), cmocka_unit_test(auto_finds_the_planted_number),
             cmocka_unit_test(hierarchy_is_written), cmocka_unit_test(threads_do_not_change_a_byte),
             cmocka_unit_test(unit_length_by_encoder), cmocka_unit_test(options_are_told),
             cmocka_unit_test(no_embeddings))
