/* The perceptual loss against PyTorch in float64 (tests/golden/make_perceptual.py). */
#include "tests/support/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/analysis/embed/random_weights.h"
#include "tests/train/vae/toy.h"
#include "train/vae/perceptual.h"

/* Rounding in another order than PyTorch's: as in test_autoencoder_golden.c. */
static const double MARGIN = 4;

static float *uniform(const char *what, int side)
{
	const size_t count = 2 * 3 * (size_t)side * (size_t)side;
	float *x = malloc(count * sizeof *x);
	char name[64];

	assert_non_null(x);
	(void)snprintf(name, sizeof name, "perceptual %s %d", what, side);
	ek_random_units(x, name, count);
	return x;
}

static void run_case(const cJSON *c, const char *file)
{
	const int side = cJSON_GetObjectItemCaseSensitive(c, "side")->valueint;
	const cJSON *golden = cJSON_GetObjectItemCaseSensitive(c, "gradient");
	const size_t count = 2 * 3 * (size_t)side * (size_t)side;
	const double least = ek_digest_deviation(golden, "f32");
	const float weights[2] = { 1, 2 };
	float *made = uniform("made", side), *wanted = uniform("wanted", side), losses[2], *gradient;
	struct ek_perceptual *p;
	size_t n;
	double *want = ek_golden_doubles(c, "losses", &n), distance;

	assert_int_equal(n, 2);
	gradient = calloc(count, sizeof *gradient);
	assert_non_null(gradient);
	assert_ok(ek_perceptual_new(&p, file, side, EK_NN_F32, 2));
	assert_ok(ek_perceptual_run(p, 0, made, wanted, losses, weights, gradient));
	distance = ek_digest_distance(golden, gradient, count, MARGIN * least);
	print_message("side %d: losses %.9g %.9g, expected %.9g %.9g; gradient %g of %g\n", side, (double)losses[0],
	              (double)losses[1], want[0], want[1], distance, MARGIN * least);
	for (int i = 0; i < 2; i++)
		assert_true(fabs((double)losses[i] - want[i]) <= MARGIN * least * want[i]);
	assert_true(distance <= 1);
	/* Gradients are added; without weights there are none; an image is no way from itself. */
	assert_ok(ek_perceptual_run(p, 0, made, wanted, losses, weights, gradient));
	assert_true(ek_digest_distance(golden, gradient, count, 0.5) > 1);
	memset(gradient, 0, count * sizeof *gradient);
	assert_ok(ek_perceptual_run(p, 0, made, made, losses, NULL, gradient));
	for (size_t i = 0; i < count; i++)
		assert_true(gradient[i] == 0);
	assert_true(losses[0] == 0 && losses[1] == 0);
	ek_perceptual_free(p);
	free(made);
	free(wanted);
	free(gradient);
	free(want);
}

static void losses_and_gradients_equal_pytorch(void **state)
{
	const char *file = ek_toy_perceptual_file();
	cJSON *golden = ek_golden("perceptual"), *c;
	int cases = 0;

	(void)state;
	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(golden, "cases"))
	{
		run_case(c, file);
		cases++;
	}
	assert_int_equal(cases, 2);
	cJSON_Delete(golden);
}

static void bad_files_are_refused(void **state)
{
	const char *path = ek_join(ek_scratch(), "weights");
	struct ek_perceptual *p;

	(void)state;
	assert_fails(ek_perceptual_new(&p, path, 16, EK_NN_F32, 2), EK_EIO, "weights");
	ek_write_file(path, "something", 9);
	assert_fails(ek_perceptual_new(&p, path, 16, EK_NN_F32, 2), EK_EDATA, "weights");
	assert_fails(ek_perceptual_new(&p, path, 7, EK_NN_F32, 2), EK_EUSAGE, "side 7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_and_gradients_equal_pytorch),
		cmocka_unit_test(bad_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
