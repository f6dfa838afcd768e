/* The perceptual loss against PyTorch in float64 (tests/golden/make_perceptual.py). */
#include "tests/support/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/analysis/embed/random_weights.h"
#include "tests/train/vae/toy.h"
#include "train/nn/net_internal.h"
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

/* A net of the loss alone, of two images. */
struct subject {
	struct ek_perceptual *perceptual;
	struct ek_params none;
	struct ek_net *net;
	struct ek_net_state *s;
	int made, wanted, loss;
};

static void subject_make(struct subject *x, const char *file, int side)
{
	const struct ek_net_shape image = { side, side, 3 };

	*x = (struct subject){ 0 };
	assert_ok(ek_perceptual_new(&x->perceptual, file));
	assert_ok(ek_net_new(&x->net, &x->none, EK_NN_F32, 2));
	x->made = ek_net_input_with_gradient(x->net, image);
	x->wanted = ek_net_input(x->net, image);
	assert_ok(x->loss = ek_perceptual_loss(x->perceptual, x->net, x->made, x->wanted));
	assert_ok(ek_net_output(x->net, x->loss));
	assert_ok(ek_net_finish(x->net, EK_NET_TRAIN));
	assert_ok(ek_net_load(x->net, NULL));
	assert_ok(ek_net_state_new(&x->s, x->net));
}

static void subject_release(struct subject *x)
{
	ek_net_state_free(x->s);
	ek_net_free(x->net);
	ek_perceptual_free(x->perceptual);
}

/* gradient: of the losses times `weights` [2]. */
static void run(struct subject *x, const float *made, const float *wanted, const float *weights, float *losses,
                float *gradient)
{
	const size_t bytes = 2 * ek_net_elements(x->net, x->made) * sizeof(float);

	memcpy(ek_net_data(x->s, x->made), made, bytes);
	memcpy(ek_net_data(x->s, x->wanted), wanted, bytes);
	assert_ok(ek_net_forward(x->s));
	ek_net_read(x->s, x->loss, losses);
	ek_net_write_gradient(x->s, x->loss, weights);
	assert_ok(ek_net_backward(x->s, NULL, 0));
	ek_net_read_gradient(x->s, x->made, gradient);
}

static void run_case(const cJSON *c, const char *file)
{
	const int side = cJSON_GetObjectItemCaseSensitive(c, "side")->valueint;
	const cJSON *golden = cJSON_GetObjectItemCaseSensitive(c, "gradient");
	const size_t count = 2 * 3 * (size_t)side * (size_t)side;
	const double least = ek_digest_deviation(golden, "f32");
	const float weights[2] = { 1, 2 };
	float *made = uniform("made", side), *wanted = uniform("wanted", side), losses[2], *gradient;
	struct subject x;
	size_t n;
	double *want = ek_golden_doubles(c, "losses", &n), distance;

	assert_int_equal(n, 2);
	gradient = calloc(count, sizeof *gradient);
	assert_non_null(gradient);
	subject_make(&x, file, side);
	run(&x, made, wanted, weights, losses, gradient);
	distance = ek_digest_distance(golden, gradient, count, MARGIN * least);
	print_message("side %d: losses %.9g %.9g, expected %.9g %.9g; gradient %g of %g\n", side, (double)losses[0],
	              (double)losses[1], want[0], want[1], distance, MARGIN * least);
	for (int i = 0; i < 2; i++)
		assert_true(fabs((double)losses[i] - want[i]) <= MARGIN * least * want[i]);
	assert_true(distance <= 1);
	/* An image is no way from itself. */
	run(&x, made, made, weights, losses, gradient);
	for (size_t i = 0; i < count; i++)
		assert_true(gradient[i] == 0);
	assert_true(losses[0] == 0 && losses[1] == 0);
	subject_release(&x);
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
	assert_fails(ek_perceptual_new(&p, path), EK_EIO, "weights");
	ek_write_file(path, "something", 9);
	assert_fails(ek_perceptual_new(&p, path), EK_EDATA, "weights");
}

static void small_images_are_refused(void **state)
{
	const struct ek_params none = { 0 };
	struct ek_perceptual *p;
	struct ek_net *net;
	int x;

	(void)state;
	assert_ok(ek_perceptual_new(&p, ek_toy_perceptual_file()));
	assert_ok(ek_net_new(&net, &none, EK_NN_F32, 2));
	x = ek_net_input(net, (struct ek_net_shape){ 7, 7, 3 });
	assert_fails(ek_perceptual_loss(p, net, x, x), EK_EUSAGE, "side 7");
	ek_net_free(net);
	ek_perceptual_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_and_gradients_equal_pytorch),
		cmocka_unit_test(bad_files_are_refused),
		cmocka_unit_test(small_images_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
