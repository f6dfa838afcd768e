/* From the bytes of image files to the features that Pillow and PyTorch make of them, with the published weights. */

#include "analysis/embed/embed.h"
#include "analysis/embed/weight_files.h"
#include "rebalance/base/file.h"
#include "rebalance/io/scan.h"
#include "tests/support/support.h"
#include "train/nn/bf16.h"

/* Cosine: the acceptance limits of the features. */
static const struct {
	enum ek_nn_precision precision;
	const char *name;
	double least;
} precisions[] = {
	{ EK_NN_F32, "float32", 0.9999 },
	{ EK_NN_BF16, "bfloat16", 0.999 },
};

/* Embed the golden's images, in its order, and compare. */
static void check(const cJSON *golden, const char *weights, size_t mode)
{
	const cJSON *files = cJSON_GetObjectItemCaseSensitive(golden, "files"), *file;
	const struct ek_embed_options o = { .encoder = "efficientnet-lite0",
		                            .weights = weights,
		                            .input_size = cJSON_GetObjectItemCaseSensitive(golden, "side")->valueint,
		                            .precision = precisions[mode].precision,
		                            .storage = EK_F32 };
	const size_t dimensions = (size_t)cJSON_GetObjectItemCaseSensitive(golden, "dimensions")->valueint;
	const uint64_t shape[2] = { (uint64_t)cJSON_GetArraySize(files), dimensions };
	const char *folder = ek_scratch();
	struct ek_scan_options scan = EK_SCAN_OPTIONS_INIT;
	struct ek_run *run = NULL;
	struct ek_embed *e = NULL;
	struct ek_npy got;
	struct ek_map want;
	size_t i = 0;

	cJSON_ArrayForEach(file, files)
	{
		struct ek_buffer bytes = { 0 };

		assert_ok(ek_file_read(&bytes, ek_join("tests/golden/images", file->valuestring), 1 << 20));
		ek_write_file(ek_join(folder, file->valuestring), bytes.data, bytes.size);
		ek_buffer_release(&bytes);
	}
	scan.datasets = &folder;
	scan.dataset_count = 1;
	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_ok(ek_scan(run, &scan));
	assert_ok(ek_embed_prepare(&e, run, &o));
	assert_ok(ek_embed_run(e, run));
	assert_ok(ek_npy_open_as(&got, ek_join(ek_run_path(run), "embeddings.npy"), EK_F32, 2, shape));
	assert_ok(ek_map_open(&want, "tests/golden/features.bin"));
	assert_int_equal(want.size, shape[0] * dimensions * sizeof(float));
	cJSON_ArrayForEach(file, files)
	{
		const double cosine = ek_cosine((const float *)got.data + i * dimensions,
		                                (const float *)(const void *)want.data + i * dimensions, dimensions);

		print_message("%-20s %-8s cosine 1 - %.1e\n", file->valuestring, precisions[mode].name, 1 - cosine);
		assert_true(cosine >= precisions[mode].least);
		i++;
	}
	ek_map_close(&want);
	ek_npy_close(&got);
	ek_embed_free(e);
	ek_run_close(run);
}

static void features_of_files_equal_the_reference(void **state)
{
	const char *given = getenv("EVENKEEL_TEST_WEIGHTS");
	char *weights = NULL;
	cJSON *golden;

	if (ek_weight_file_find(&weights, "efficientnet-lite0", given) < 0) {
		print_message("skipped: %s\n", ek_error_message());
		skip();
	}
	golden = ek_golden("features");
	for (size_t mode = 0; mode < sizeof precisions / sizeof *precisions; mode++)
		if (precisions[mode].precision != EK_NN_BF16 || ek_nn_cpu_has_bf16())
			check(golden, weights, mode);
	cJSON_Delete(golden);
	free(weights);
}

EK_TEST_MAIN(cmocka_unit_test(features_of_files_equal_the_reference))
