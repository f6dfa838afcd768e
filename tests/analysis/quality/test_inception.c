/* From images to the Fréchet distance, and logits, against pytorch-fid and torch-fidelity with the same random
 * weights. */

#include "analysis/embed/inception.h"
#include "analysis/embed/model.h"
#include "analysis/embed/preprocess.h"
#include "analysis/quality/gaussian.h"
#include "rebalance/base/file.h"
#include "rebalance/base/threads.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/analysis/quality/features.h"
#include "tests/support/support.h"

enum { D = 2048, CLASSES = EK_INCEPTION_CLASSES };

static cJSON *golden;
static struct ek_map blob;
static const char *weights;
static size_t images; /* of each of two sets */
static const float *want_features, *want_logits;

static void embed(float *features)
{
	const struct ek_encoder *encoder;
	struct ek_preprocessing p;
	struct ek_model *model = NULL;
	struct ek_model_state *state = NULL;
	struct ek_image image = { .width = (uint32_t)ek_number(golden, "width"),
		                  .height = (uint32_t)ek_number(golden, "height") };
	void *input = NULL;

	assert_ok(ek_encoder_find(&encoder, "inception-fid"));
	assert_ok(ek_encoder_preprocessing(&p, encoder, 0, 0));
	assert_ok(ek_alloc_aligned(&input, 1, ek_preprocessed_size(&p)));
	assert_ok(ek_alloc(&image.pixels, (size_t)image.width * image.height * 3, 1));
	assert_ok(ek_model_new(&model, encoder, &p, weights, EK_NN_F32, 1));
	assert_ok(ek_model_state_new(&state, model));
	for (size_t i = 0; i < 2 * images; i++) {
		ek_random_image(image.pixels, (int)i, (int)image.width, (int)image.height);
		assert_ok(ek_preprocess(input, &image, &p));
		assert_ok(ek_model_run(model, state, input, 1, features + i * D));
	}
	ek_model_state_free(state);
	ek_model_free(model);
	free(image.pixels);
	free(input);
}

static double distance_of(const float *features)
{
	struct ek_features x, y;
	double distance;

	ek_features_copy(&x, features, images, D);
	ek_features_copy(&y, features + images * D, images, D);
	assert_ok(ek_frechet_of_rows(&distance, &x.rows, &y.rows));
	ek_features_release(&x);
	ek_features_release(&y);
	return distance;
}

/* The limits of the acceptance: features 1e-4 of their length, the distance 1e-3. */
static void test_from_images_to_distance(void **state)
{
	const double want = ek_number(golden, "frechet");
	float *features = calloc(2 * images * D, sizeof *features);
	double worst = 0, of_theirs, of_ours;

	assert_true(ek_number(golden, "largest_cosine") < 0.997); /* images that are told apart */
	embed(features);
	for (size_t i = 0; i < 2 * images; i++) {
		double error = 0, norm = 0;

		for (size_t j = i * D; j < (i + 1) * D; j++) {
			const double want_j = (double)want_features[j];

			error += ((double)features[j] - want_j) * ((double)features[j] - want_j);
			norm += want_j * want_j;
		}
		assert_true(norm > 0 && error <= 1e-8 * norm);
		worst = fmax(worst, sqrt(error / norm));
	}
	of_theirs = distance_of(want_features);
	of_ours = distance_of(features);
	print_message("features %.1e; distance %.6f, relative error of their features %.1e, from the images on %.1e\n",
	              worst, of_ours, fabs(of_theirs / want - 1), fabs(of_ours / want - 1));
	/* torch-fidelity's own error where the covariance is singular. */
	assert_close(of_theirs, want, 1e-5);
	assert_true(fabs(of_ours - want) <= 1e-3 * want);
	free(features);
}

static void check_logits(const float *got, double tolerance)
{
	double error = 0, norm = 0;

	for (size_t i = 0; i < 2 * images * CLASSES; i++) {
		error += ((double)got[i] - (double)want_logits[i]) * ((double)got[i] - (double)want_logits[i]);
		norm += (double)want_logits[i] * (double)want_logits[i];
	}
	print_message("logits %.1e\n", sqrt(error / norm));
	assert_true(norm > 0 && error <= tolerance * tolerance * norm);
}

/* Sums of 2048 products in float32: sqrt(2048) 2^-24 = 2.7e-6 of the terms' size at most, and again for theirs. */
static void test_logits(void **state)
{
	const struct ek_npy array = ek_rows_memory(want_features, 2 * images, D);
	float *got = calloc(2 * images * CLASSES, sizeof *got);

	assert_ok(ek_inception_logits(got, &array, weights));
	check_logits(got, 5.4e-6);
	free(got);
}

/* More rows than a tile, on three threads: every copy of a row has the same logits. */
static void test_logits_of_many_rows(void **state)
{
	enum { ROWS = 200 };
	float *rows = calloc(ROWS * D, sizeof *rows), *got = calloc(ROWS * CLASSES, sizeof *got);
	const struct ek_npy array = ek_rows_memory(rows, ROWS, D);

	for (size_t i = 0; i < ROWS; i++)
		memcpy(rows + i * D, want_features + i % (2 * images) * D, D * sizeof *rows);
	ek_threads_set(3);
	assert_ok(ek_inception_logits(got, &array, weights));
	ek_threads_set(0);
	check_logits(got, 5.4e-6);
	for (size_t i = 2 * images; i < ROWS; i++)
		assert_memory_equal(got + i * CLASSES, got + i % (2 * images) * CLASSES, CLASSES * sizeof *got);
	free(rows);
	free(got);
}

static void test_what_is_refused(void **state)
{
	const struct ek_npy narrow = ek_rows_memory(want_features, 2, D - 1);
	const struct ek_npy array = ek_rows_memory(want_features, 1, D);
	const char *other = "tests/golden/weights/types.safetensors";
	float got[CLASSES];

	assert_fails(ek_inception_logits(got, &narrow, weights), EK_EDATA, "features [*, 2048]");
	assert_fails(ek_inception_logits(got, &array, other), EK_EDATA, "fc.weight");
	assert_fails(ek_inception_logits(got, &array, "absent.pth"), EK_EIO, "absent.pth");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_images_to_distance),
		cmocka_unit_test(test_logits),
		cmocka_unit_test(test_logits_of_many_rows),
		cmocka_unit_test(test_what_is_refused),
	};
	cJSON *encoders = ek_golden("encoders");
	const cJSON *networks = cJSON_GetObjectItemCaseSensitive(encoders, "networks");
	int failed;

	golden = ek_golden("inception");
	images = (size_t)ek_number(golden, "images");
	assert_ok(ek_map_open(&blob, "tests/golden/inception.bin"));
	assert_int_equal(blob.size, 2 * images * (D + CLASSES) * sizeof(float));
	want_features = (const float *)(const void *)blob.data;
	want_logits = want_features + 2 * images * D;
	weights = ek_join(ek_scratch(), "inception.safetensors");
	assert_ok(ek_random_weights_write(weights, cJSON_GetObjectItemCaseSensitive(networks, "inception-fid")));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)remove(weights);
	ek_map_close(&blob);
	cJSON_Delete(golden);
	cJSON_Delete(encoders);
	return failed;
}
