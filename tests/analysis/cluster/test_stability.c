#include "tests/analysis/cluster/blobs.h"
#include "tests/support/support.h"

#include "analysis/cluster/cluster.h"
#include "analysis/cluster/stability.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/npy.h"

enum { N = 900, D = 10 };

static struct ek_run *clustered(uint32_t planted, double spread, uint32_t k)
{
	struct ek_cluster_options o = EK_CLUSTER_OPTIONS_DEFAULT;
	float *x = ek_blobs(N, D, planted, spread, 0, NULL);
	struct ek_run *run = ek_blobs_run(x, N, D);

	o.clusters = k;
	assert_ok(ek_cluster(run, &o));
	free(x);
	return run;
}

static cJSON *measured(struct ek_run *run, const struct ek_stability_options *o)
{
	cJSON *json = NULL;

	assert_ok(ek_stability(run, o));
	assert_ok(ek_json_load(&json, ek_join(ek_run_path(run), "clusters/stability.json")));
	return json;
}

static void separate_clusters_are_stable(void **state)
{
	const struct ek_stability_options o = EK_STABILITY_OPTIONS_DEFAULT;
	struct ek_run *run = clustered(6, 0.1, 6);
	cJSON *json = measured(run, &o);
	const cJSON *row;

	assert_string_equal(cJSON_GetObjectItemCaseSensitive(json, "verdict")->valuestring, "stable");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "seeds")), 5);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "k_variants")), 2);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "clusters")), 6);
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(json, "clusters"))
		assert_close(ek_golden_number(row, "jaccard"), 1, 1e-12);
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(json, "seeds"))
		assert_close(ek_golden_number(row, "ari"), 1, 1e-12);
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(json, "k_variants"))
		assert_true(ek_golden_number(row, "ari") < 0.95);
	cJSON_Delete(json);
	ek_run_close(run);
}

static void one_cloud_cut_in_many_is_not(void **state)
{
	struct ek_stability_options o = EK_STABILITY_OPTIONS_DEFAULT;
	struct ek_run *run = clustered(1, 1, 12);
	cJSON *json;

	o.images = 600;
	json = measured(run, &o);
	assert_string_equal(cJSON_GetObjectItemCaseSensitive(json, "verdict")->valuestring, "unstable");
	assert_true(ek_golden_number(json, "images") == 600);
	assert_true(ek_golden_number(json, "of") == N);
	cJSON_Delete(json);
	ek_run_close(run);
}

static void other_encoders_are_found(void **state)
{
	static const char name[] = "{\"encoder\": \"pixels\"}";
	const struct ek_stability_options o = EK_STABILITY_OPTIONS_DEFAULT;
	const uint64_t shape[] = { N, 3 }, wrong[] = { 5, 3 };
	struct ek_run *run = clustered(6, 0.1, 6);
	float *x = ek_blobs(N, 3, 6, 0.01, 0, NULL);
	const char *path = ek_run_path(run), **inputs;
	const cJSON *row;
	cJSON *json;

	assert_ok(ek_npy_write(ek_join(path, "embeddings-pixels.npy"), EK_F32, 2, shape, x));
	ek_write_file(ek_join(path, "embeddings-pixels.json"), name, sizeof name - 1);
	json = measured(run, &o);
	row = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "encoders"), 0);
	assert_string_equal(cJSON_GetObjectItemCaseSensitive(row, "encoder")->valuestring, "pixels");
	assert_close(ek_golden_number(row, "ari"), 1, 1e-12); /* other coordinates of the same six kinds */
	cJSON_Delete(json);
	assert_ok(ek_stability_inputs(&inputs, run));
	assert_string_equal(inputs[0], "embeddings.npy");
	assert_string_equal(inputs[3], "embeddings-pixels.npy");
	assert_null(inputs[4]);
	free(inputs);
	assert_ok(ek_npy_write(ek_join(path, "embeddings-pixels.npy"), EK_F32, 2, wrong, x));
	assert_fails(ek_stability(run, &o), EK_EDATA, "5 rows");
	ek_run_close(run);
	free(x);
}

static void where_fewer_images_differ_there_are_fewer_clusters(void **state)
{
	const struct ek_stability_options o = EK_STABILITY_OPTIONS_DEFAULT;
	const uint64_t shape[] = { N, 1 };
	struct ek_run *run = clustered(6, 0.1, 6);
	float *x = NULL;
	const cJSON *row;
	cJSON *json;

	assert_ok(ek_alloc(&x, N, sizeof *x)); /* another encoder tells only two kinds apart */
	for (int i = 0; i < N; i++)
		x[i] = (float)(i % 2);
	assert_ok(ek_npy_write(ek_join(ek_run_path(run), "embeddings-plain.npy"), EK_F32, 2, shape, x));
	json = measured(run, &o);
	row = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "encoders"), 0);
	assert_true(ek_golden_number(row, "ari") < 0.9);
	cJSON_Delete(json);
	ek_run_close(run);
	free(x);
}

static void threads_do_not_change_a_byte(void **state)
{
	static const int threads[] = { 1, 2, 16 };
	const struct ek_stability_options o = EK_STABILITY_OPTIONS_DEFAULT;
	struct ek_run *run = clustered(5, 1, 7);
	struct ek_buffer want = { 0 }, got = { 0 };

	for (int t = 0; t < 3; t++) {
		ek_threads_set(threads[t]);
		assert_ok(ek_stability(run, &o));
		ek_buffer_clear(&got);
		assert_ok(ek_file_read(&got, ek_join(ek_run_path(run), "clusters/stability.json"), SIZE_MAX / 4));
		if (t == 0)
			assert_ok(ek_buffer_append(&want, got.data, got.size));
		assert_int_equal(got.size, want.size);
		assert_memory_equal(got.data, want.data, want.size);
	}
	ek_threads_set(0);
	ek_buffer_release(&want);
	ek_buffer_release(&got);
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(separate_clusters_are_stable), cmocka_unit_test(one_cloud_cut_in_many_is_not),
             cmocka_unit_test(other_encoders_are_found),
             cmocka_unit_test(where_fewer_images_differ_there_are_fewer_clusters),
             cmocka_unit_test(threads_do_not_change_a_byte))
