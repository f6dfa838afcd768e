/* Encoder, decoder, losses and every gradient against diffusers in float64 (tests/golden/make_autoencoder.py). */
#include "tests/support/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/memory.h"
#include "tests/analysis/embed/random_weights.h"
#include "train/vae/autoencoder.h"

/*
 * Ours differs from the truth by rounding in another order than PyTorch's float32: by a number of the same size, of
 * which theirs is one draw. Both are sums of thousands of roundings, so of two such draws one is hardly ever more
 * than MARGIN times the other.
 */
static const double MARGIN = 4;

static double get(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	assert_true(cJSON_IsNumber(item));
	return item->valuedouble;
}

static struct ek_autoencoder_config config_of(const cJSON *model, int side)
{
	const cJSON *widths = cJSON_GetObjectItemCaseSensitive(model, "channels"), *width;
	const char *kind = cJSON_GetObjectItemCaseSensitive(model, "kind")->valuestring;
	struct ek_autoencoder_config c = { .kind = strcmp(kind, "vq") == 0 ? EK_AUTOENCODER_VQ : EK_AUTOENCODER_KL,
		                           .side = side,
		                           .channels = 3,
		                           .latent_channels = (int)get(model, "latent"),
		                           .blocks = (int)get(model, "blocks"),
		                           .attention = (int)get(model, "attention"),
		                           .groups = (int)get(model, "groups"),
		                           .scale = 1 };

	cJSON_ArrayForEach(width, widths)
	{
		c.widths[c.levels++] = width->valueint;
	}
	if (c.kind == EK_AUTOENCODER_VQ) {
		c.codes = (int)get(model, "codes");
		c.code_width = (int)get(model, "code_width");
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
		const cJSON *tensors = cJSON_GetObjectItemCaseSensitive(model, "tensors");
		const struct ek_autoencoder_config config = config_of(model, 64);
		struct ek_params params = { 0 };

		print_message("%s\n", model->string);
		assert_ok(ek_autoencoder_params(&params, &config));
		assert_int_equal(params.count, cJSON_GetArraySize(tensors));
		for (int i = 0; i < params.count; i++) {
			const cJSON *shape = cJSON_GetObjectItemCaseSensitive(tensors, params.items[i].name);

			assert_non_null(shape);
			assert_int_equal(params.items[i].rank, cJSON_GetArraySize(shape));
			for (int j = 0; j < params.items[i].rank; j++)
				assert_int_equal(params.items[i].dims[j], cJSON_GetArrayItem(shape, j)->valueint);
		}
		ek_params_release(&params);
		models++;
	}
	assert_int_equal(models, 7);
	cJSON_Delete(golden);
}

static float *random_values(const struct ek_params *params)
{
	float *values;

	assert_ok(ek_alloc_aligned(&values, params->size, sizeof *values));
	for (int i = 0; i < params->count; i++) {
		const struct ek_param *p = &params->items[i];
		uint64_t shape[EK_PARAM_MAX_RANK];

		for (int j = 0; j < p->rank; j++)
			shape[j] = (uint64_t)p->dims[j];
		ek_random_tensor(values + p->offset, p->name, shape, p->rank);
	}
	return values;
}

static void fill_input(float *out, const cJSON *c, const char *array)
{
	const cJSON *input;

	cJSON_ArrayForEach(input, cJSON_GetObjectItemCaseSensitive(c, "inputs"))
	{
		const cJSON *shape = cJSON_GetObjectItemCaseSensitive(input, "shape"), *dimension;
		size_t count = 1;

		if (strcmp(cJSON_GetObjectItemCaseSensitive(input, "array")->valuestring, array) != 0)
			continue;
		cJSON_ArrayForEach(dimension, shape)
		{
			count *= (size_t)dimension->valueint;
		}
		ek_random_units(out, cJSON_GetObjectItemCaseSensitive(input, "name")->valuestring, count);
		for (size_t i = 0; i < count; i++)
			out[i] = (float)get(input, "offset") + (float)get(input, "scale") * out[i];
		return;
	}
	fail_msg("no input %s", array);
}

/* The whole training network of a case. */
struct model {
	struct ek_autoencoder_config config;
	struct ek_params params;
	struct ek_net *net;
	struct ek_net_state *s;
	float *values, *gradients;
	int image, noise, encoded, latent, decoded, mse, other, codes;
};

static void add_latent(struct model *m, const cJSON *c)
{
	/* VQModel keeps VectorQuantizer's "legacy" form: beta weighs the codebook's part, not the encoder's. */
	const struct ek_net_quantise q = { .codebook = ek_autoencoder_codebook(&m->params),
		                           .commitment = 1,
		                           .codebook_weight =
		                                   m->config.kind == EK_AUTOENCODER_VQ ? (float)get(c, "beta") : 0 };

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

	*m = (struct model){ .config = config_of(cJSON_GetObjectItemCaseSensitive(models, name), side) };
	assert_ok(ek_autoencoder_params(&m->params, &m->config));
	m->values = random_values(&m->params);
	assert_ok(ek_alloc(&m->gradients, m->params.size, sizeof *m->gradients));
	assert_ok(ek_net_new(&m->net, NULL, &m->params, precision, batch));
	assert_ok(m->image = ek_net_input(m->net, (struct ek_net_shape){ side, side, 3 }));
	assert_ok(m->encoded = ek_autoencoder_encode(m->net, &m->params, &m->config, m->image));
	add_latent(m, c);
	assert_ok(m->decoded = ek_autoencoder_decode(m->net, &m->params, &m->config, m->latent));
	assert_ok(m->mse = ek_net_squared_error(m->net, m->decoded, m->image));
	for (const int *output = (const int[]){ m->encoded, m->latent, m->decoded, m->mse, m->other, 0 }; *output > 0;
	     output++)
		assert_ok(ek_net_output(m->net, *output));
	assert_ok(ek_net_finish(m->net, EK_NET_TRAIN));
	assert_ok(ek_net_load(m->net, m->values));
	assert_ok(ek_net_state_new(&m->s, m->net));
}

static void model_release(struct model *m)
{
	ek_net_state_free(m->s);
	ek_net_free(m->net);
	ek_params_release(&m->params);
	free(m->values);
	free(m->gradients);
}

static double mean(struct model *m, int value)
{
	const float *x = ek_net_data(m->s, value);
	double sum = 0;

	for (int i = 0; i < ek_net_batch(m->net); i++)
		sum += (double)x[i];
	return sum / ek_net_batch(m->net);
}

static void set_gradients(struct model *m, double other)
{
	const int values[] = { m->encoded, m->latent, m->decoded };
	const int batch = ek_net_batch(m->net);

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		memset(ek_net_gradient(m->s, values[i]), 0,
		       (size_t)batch * ek_net_elements(m->net, values[i]) * sizeof(float));
	for (int i = 0; i < batch; i++) {
		((float *)ek_net_gradient(m->s, m->mse))[i] = 1 / (float)batch;
		((float *)ek_net_gradient(m->s, m->other))[i] = (float)(other / batch);
	}
}

static void check_array(struct model *m, const cJSON *c, const char *name, int value, const char *type, double least)
{
	const cJSON *digest = cJSON_GetObjectItemCaseSensitive(c, name);
	const size_t count = (size_t)ek_net_batch(m->net) * ek_net_elements(m->net, value);
	const double tolerance = MARGIN * fmax(least, ek_digest_deviation(digest, type));
	const double distance = ek_digest_distance(digest, ek_net_data(m->s, value), count, tolerance);

	print_message("  %-8s %.3g of %.3g\n", name, distance, tolerance);
	assert_true(distance <= 1);
}

static void check_scalar(const cJSON *c, const char *name, double got, const char *type, double least)
{
	const cJSON *golden = cJSON_GetObjectItemCaseSensitive(c, name);
	const double want = get(golden, "value"), tolerance = MARGIN * fmax(least, get(golden, type));

	print_message("  %-8s %.9g, expected %.9g\n", name, got, want);
	assert_true(fabs(got - want) <= tolerance * fabs(want));
}

/* Some gradients are 0 in theory: what is left of terms of the size of other gradients that cancel. */
static void check_gradients(struct model *m, const cJSON *c, const char *type, double least)
{
	const cJSON *gradients = cJSON_GetObjectItemCaseSensitive(c, "gradients"), *digest;
	double worst = 0, largest = 0;
	int count = 0;

	cJSON_ArrayForEach(digest, gradients)
	{
		largest = fmax(largest, get(digest, "norm"));
	}
	cJSON_ArrayForEach(digest, gradients)
	{
		const struct ek_param *p = &m->params.items[ek_params_find(&m->params, digest->string)];
		const double unit = get(digest, "norm") > 0 ? 1 : largest;
		const double tolerance = MARGIN * fmax(least * unit, ek_digest_deviation(digest, type));
		const double distance = ek_digest_distance(digest, m->gradients + p->offset, p->count, tolerance);

		if (!(distance <= worst)) {
			worst = distance;
			print_message("  %s %.3g of %.3g\n", digest->string, distance, tolerance);
		}
		assert_true(distance <= 1);
		count++;
	}
	assert_int_equal(count, m->params.count);
}

static void check_codes(struct model *m, const cJSON *c)
{
	const cJSON *indices = cJSON_GetObjectItemCaseSensitive(c, "indices");
	const int32_t *codes = ek_net_data(m->s, m->codes);

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
	weight = vq ? 1 : get(c, "kl_weight");
	fill_input(ek_net_data(m.s, m.image), c, "x");
	if (!vq)
		fill_input(ek_net_data(m.s, m.noise), c, "noise");
	assert_ok(ek_net_forward(m.s));
	if (vq)
		check_codes(&m, c);
	check_array(&m, c, vq ? "latents" : "moments", m.encoded, type, 0);
	if (!vq)
		check_array(&m, c, "z", m.latent, type, 0);
	check_array(&m, c, "decoded", m.decoded, type, 0);
	check_scalar(c, "mse", mean(&m, m.mse), type, least);
	check_scalar(c, vq ? "quantizer_loss" : "kl", mean(&m, m.other), type, least);
	check_scalar(c, "loss", mean(&m, m.mse) + weight * mean(&m, m.other), type, least);
	set_gradients(&m, weight);
	assert_ok(ek_net_backward(m.s, m.gradients));
	check_gradients(&m, c, type, least);
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
	assert_int_equal(count, 5);
	cJSON_Delete(golden);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_shapes_are_those_of_diffusers),
		cmocka_unit_test(results_and_gradients_equal_diffusers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
