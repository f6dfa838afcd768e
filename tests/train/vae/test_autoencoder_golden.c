/* Encoder, decoder, losses and every gradient against diffusers in float64 (tests/golden/make_autoencoder.py). */
#include "tests/support/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/train/nn/on_device.h"
#include "train/nn/bf16.h"
#include "train/nn/net_internal.h"
#include "train/vae/autoencoder.h"

static struct ek_autoencoder_config config_of(const cJSON *model, int side)
{
	const cJSON *widths = cJSON_GetObjectItemCaseSensitive(model, "channels"), *width;
	const char *kind = cJSON_GetObjectItemCaseSensitive(model, "kind")->valuestring;
	struct ek_autoencoder_config c = { .kind = strcmp(kind, "vq") == 0 ? EK_AUTOENCODER_VQ : EK_AUTOENCODER_KL,
		                           .side = side,
		                           .channels = 3,
		                           .latent_channels = (int)golden_number(model, "latent"),
		                           .blocks = (int)golden_number(model, "blocks"),
		                           .attention = (int)golden_number(model, "attention"),
		                           .groups = (int)golden_number(model, "groups"),
		                           .scale = 1 };

	cJSON_ArrayForEach(width, widths)
	{
		c.widths[c.levels++] = width->valueint;
	}
	c.no_quant = cJSON_GetObjectItemCaseSensitive(model, "no_quant") != NULL;
	c.no_post_quant = cJSON_GetObjectItemCaseSensitive(model, "no_post_quant") != NULL;
	if (c.kind == EK_AUTOENCODER_VQ) {
		c.codes = (int)golden_number(model, "codes");
		c.code_width = (int)golden_number(model, "code_width");
	}
	return c;
}

static void names_and_shapes_are_those_of_diffusers(void **state)
{
	cJSON *golden = ek_golden("autoencoder"), *model;
	int models = 0;

	(void)state;
	cJSON_ArrayForEach(model, cJSON_GetObjectItemCaseSensitive(golden, "models"))
	{
		const struct ek_autoencoder_config config = config_of(model, 64);
		struct ek_params params = { 0 };

		print_message("%s\n", model->string);
		assert_ok(ek_autoencoder_params(&params, &config));
		golden_check_shapes(&params, cJSON_GetObjectItemCaseSensitive(model, "tensors"));
		ek_params_release(&params);
		models++;
	}
	assert_int_equal(models, 9);
	cJSON_Delete(golden);
}

static void fill_input(float *out, const cJSON *c, const char *array)
{
	size_t count;
	float *x = ek_digest_input(c, array, &count);

	memcpy(out, x, count * sizeof *x);
	free(x);
}

/* The whole training network of a case. */
struct model {
	struct ek_autoencoder_config config;
	struct ek_params params;
	struct ek_net *net;
	struct ek_net_state *s;
	struct ek_store *store;
	int image, noise, encoded, latent, decoded, mse, other, codes;
};

static void add_latent(struct model *m, const cJSON *c)
{
	/* VQModel keeps VectorQuantizer's "legacy" form: beta weighs the codebook's part, not the encoder's. */
	const struct ek_net_quantise q = { .codebook = ek_autoencoder_codebook(&m->params),
		                           .commitment = 1,
		                           .codebook_weight = m->config.kind == EK_AUTOENCODER_VQ
		                                                      ? (float)golden_number(c, "beta")
		                                                      : 0 };

	if (m->config.kind == EK_AUTOENCODER_VQ) {
		assert_ok(m->latent = ek_net_quantise(m->net, m->encoded, &q, &m->other, &m->codes));
		assert_ok(ek_net_output(m->net, m->codes));
		return;
	}
	assert_ok(m->noise = ek_net_input(m->net, ek_autoencoder_latent_shape(&m->config)));
	assert_ok(m->latent = ek_net_sample(m->net, m->encoded, m->noise));
	assert_ok(m->other = ek_net_kl(m->net, m->encoded));
}

static void model_make(struct model *m, const cJSON *c, const cJSON *models, enum ek_nn_precision precision)
{
	const cJSON *shape = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(c, "inputs"), 0), "shape");
	const int batch = cJSON_GetArrayItem(shape, 0)->valueint, side = cJSON_GetArrayItem(shape, 1)->valueint;
	const char *name = cJSON_GetObjectItemCaseSensitive(c, "model")->valuestring;
	float *values;

	*m = (struct model){ .config = config_of(cJSON_GetObjectItemCaseSensitive(models, name), side) };
	assert_ok(ek_autoencoder_params(&m->params, &m->config));
	values = golden_values(&m->params);
	assert_ok(ek_store_new(&m->store, &m->params));
	ek_store_write(m->store, EK_VALUES, 0, m->params.size, values);
	free(values);
	assert_ok(ek_net_new(&m->net, &m->params, precision, batch));
	assert_ok(m->image = ek_net_input(m->net, (struct ek_net_shape){ side, side, 3 }));
	assert_ok(m->encoded = ek_autoencoder_encode(m->net, &m->params, &m->config, m->image));
	add_latent(m, c);
	assert_ok(m->decoded = ek_autoencoder_decode(m->net, &m->params, &m->config, m->latent));
	assert_ok(m->mse = ek_net_squared_error(m->net, m->decoded, m->image));
	for (const int *output = (const int[]){ m->encoded, m->latent, m->decoded, m->mse, m->other, 0 }; *output > 0;
	     output++)
		assert_ok(ek_net_output(m->net, *output));
	assert_ok(ek_net_finish(m->net, EK_NET_TRAIN));
	assert_ok(ek_net_load_from(m->net, m->store, EK_VALUES));
	assert_ok(ek_net_state_new(&m->s, m->net));
}

static void model_release(struct model *m)
{
	ek_net_state_free(m->s);
	ek_net_free(m->net);
	ek_params_release(&m->params);
	ek_store_free(m->store);
}

static double mean(struct model *m, int value)
{
	const float *x = ek_net_view(m->s, value);
	double sum = 0;

	for (int i = 0; i < ek_net_batch(m->net); i++)
		sum += (double)x[i];
	return sum / ek_net_batch(m->net);
}

static void set_gradients(struct model *m, double other)
{
	const int values[] = { m->encoded, m->latent, m->decoded };
	const int scalars[] = { m->mse, m->other };
	const size_t batch = (size_t)ek_net_batch(m->net);
	const double weights[] = { 1, other };

	for (int i = 0; i < 3; i++) {
		float *zeros = calloc(batch * ek_net_elements(m->net, values[i]), sizeof *zeros);

		assert_non_null(zeros);
		ek_net_write_gradient(m->s, values[i], zeros);
		free(zeros);
	}
	for (int i = 0; i < 2; i++) {
		float each[8];

		assert_true(batch <= sizeof each / sizeof *each);
		for (size_t j = 0; j < batch; j++)
			each[j] = (float)(weights[i] / (double)batch);
		ek_net_write_gradient(m->s, scalars[i], each);
	}
}

static void check_result(struct model *m, const cJSON *c, const char *name, int value, const char *type)
{
	golden_check_value(c, name, m->s, value, type, 0);
}

static void check_scalar(const cJSON *c, const char *name, double got, const char *type, double least)
{
	const cJSON *golden = cJSON_GetObjectItemCaseSensitive(c, name);
	const double want = golden_number(golden, "value");
	const double tolerance = GOLDEN_MARGIN * fmax(least, golden_number(golden, type));

	print_message("  %-8s %.9g, expected %.9g\n", name, got, want);
	assert_true(fabs(got - want) <= tolerance * fabs(want));
}

static void check_codes(struct model *m, const cJSON *c)
{
	const cJSON *indices = cJSON_GetObjectItemCaseSensitive(c, "indices");
	const int32_t *codes = ek_net_view(m->s, m->codes);

	for (int i = 0; i < cJSON_GetArraySize(indices); i++)
		assert_int_equal(codes[i], cJSON_GetArrayItem(indices, i)->valueint);
}

static void run_case(const cJSON *c, const cJSON *models, enum ek_nn_precision precision, const char *type)
{
	const double least = ek_digest_deviation(cJSON_GetObjectItemCaseSensitive(c, "decoded"), type);
	struct model m;
	double weight;
	int vq;

	print_message("%s %s\n", c->child->valuestring, type);
	model_make(&m, c, models, precision);
	vq = m.config.kind == EK_AUTOENCODER_VQ;
	weight = vq ? 1 : golden_number(c, "kl_weight");
	fill_input(ek_net_stage(m.s, m.image), c, "x");
	if (!vq)
		fill_input(ek_net_stage(m.s, m.noise), c, "noise");
	assert_ok(ek_net_forward(m.s));
	if (vq)
		check_codes(&m, c);
	check_result(&m, c, vq ? "latents" : "moments", m.encoded, type);
	if (!vq)
		check_result(&m, c, "z", m.latent, type);
	check_result(&m, c, "decoded", m.decoded, type);
	check_scalar(c, "mse", mean(&m, m.mse), type, least);
	check_scalar(c, vq ? "quantizer_loss" : "kl", mean(&m, m.other), type, least);
	check_scalar(c, "loss", mean(&m, m.mse) + weight * mean(&m, m.other), type, least);
	set_gradients(&m, weight);
	assert_ok(ek_net_backward(m.s, m.store, 0));
	assert_int_equal(golden_check_gradients(c, &m.params, m.store, type, least), m.params.count);
	model_release(&m);
}

static void results_and_gradients_equal_diffusers(void **state)
{
	cJSON *golden = ek_golden("autoencoder"), *c;
	const cJSON *models = cJSON_GetObjectItemCaseSensitive(golden, "models");
	int count = 0;

	(void)state;
	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(golden, "cases"))
	{
		run_case(c, models, EK_NN_F32, "f32");
		if (ek_nn_cpu_has_bf16() && cJSON_HasObjectItem(cJSON_GetObjectItemCaseSensitive(c, "loss"), "bf16"))
			run_case(c, models, EK_NN_BF16, "bf16");
		count++;
	}
	assert_int_equal(count, 7);
	cJSON_Delete(golden);
}

int main(int argc, char **argv)
{
	const int left = on_device(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_shapes_are_those_of_diffusers),
		cmocka_unit_test(results_and_gradients_equal_diffusers),
	};

	return left != 0 ? left : cmocka_run_group_tests(tests, NULL, NULL);
}
