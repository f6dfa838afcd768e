#include "tests/train/flow/gradient_cases.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/memory.h"
#include "tests/train/flow/golden_sit.h"
#include "train/nn/bf16.h"

enum { SLICE = 8 };

/* The network of training, with noise and times from the batch. */
struct trial {
	struct ek_sit_config config;
	struct ek_objective objective;
	struct ek_params params;
	struct ek_store *store;
	struct ek_net *net;
	struct ek_net_state *s;
	struct golden_batch batch;
	int data, noise, factors, t, labels, loss;
};

static void start(struct trial *r, const cJSON *golden, const cJSON *c, enum ek_nn_precision precision)
{
	struct ek_net_shape shape;
	int parts[2];
	float *values;

	*r = (struct trial){ .config = golden_config(golden, golden_text(c, "model")) };
	golden_batch_make(&r->batch, c);
	assert_ok(ek_objective_init(&r->objective));
	assert_ok(ek_sit_params(&r->params, &r->config));
	assert_ok(ek_store_new(&r->store, &r->params));
	values = golden_values(&r->params);
	ek_store_write(r->store, EK_VALUES, 0, r->params.size, values);
	free(values);
	shape = (struct ek_net_shape){ r->config.side, r->config.side, r->config.channels };
	assert_ok(ek_net_new(&r->net, &r->params, precision, SLICE));
	r->data = ek_net_input(r->net, shape);
	r->noise = ek_net_input(r->net, shape);
	r->factors = ek_net_input(r->net, (struct ek_net_shape){ 1, 1, EK_OBJECTIVE_FACTORS });
	r->t = ek_net_input(r->net, (struct ek_net_shape){ 1, 1, 1 });
	r->labels = ek_net_input_ids(r->net);
	r->loss = ek_sit_build(r->net, &r->params, &r->config, ek_objective_mix(r->net, r->data, r->noise, r->factors),
	                       r->t, r->labels);
	r->loss = ek_objective_loss(r->net, &r->objective, r->loss, r->data, r->noise, r->factors, parts);
	assert_ok(ek_net_output(r->net, r->loss));
	assert_ok(ek_net_finish(r->net, EK_NET_IMAGES));
	assert_ok(ek_net_load_from(r->net, r->store, EK_VALUES));
	assert_ok(ek_net_state_new(&r->s, r->net));
}

static void end(struct trial *r)
{
	ek_net_state_free(r->s);
	ek_net_free(r->net);
	ek_store_free(r->store);
	ek_params_release(&r->params);
	golden_batch_release(&r->batch);
}

/* Images first … of the batch, the loss of each with this weight. */
static void forward(struct trial *r, int first, float weight)
{
	const size_t n = ek_sit_elements(&r->config), from = (size_t)first * n, bytes = SLICE * n * sizeof(float);
	float weights[SLICE];

	memcpy(ek_net_stage(r->s, r->data), r->batch.x1 + from, bytes);
	memcpy(ek_net_stage(r->s, r->noise), r->batch.x0 + from, bytes);
	memcpy(ek_net_stage(r->s, r->t), r->batch.t + first, SLICE * sizeof(float));
	memcpy(ek_net_stage(r->s, r->labels), r->batch.labels + first, SLICE * sizeof(int32_t));
	for (int i = 0; i < SLICE; i++) {
		ek_objective_factors(&r->objective, (double)r->batch.t[first + i],
		                     (float *)ek_net_stage(r->s, r->factors) + i * EK_OBJECTIVE_FACTORS);
		weights[i] = weight;
	}
	assert_ok(ek_net_forward(r->s));
	ek_net_write_gradient(r->s, r->loss, weights);
}

/* norms, products [images], out; products with the mean gradient of the images; or NULL. */
static void measure(struct trial *r, int images, double *norms, double *products)
{
	const struct ek_net_images what = { .direction = products != NULL ? r->store : NULL, .family = EK_GRADIENTS };

	for (int i = 0; products != NULL && i < images; i += SLICE) {
		forward(r, i, 1 / (float)images);
		assert_ok(ek_net_backward(r->s, r->store, (uint64_t)(i / SLICE)));
	}
	for (int i = 0; i < images; i += SLICE) {
		forward(r, i, 1);
		assert_ok(ek_net_backward_images(r->s, &what, norms + i, products != NULL ? products + i : NULL));
		for (int j = i; j < i + SLICE; j++)
			norms[j] = sqrt(norms[j]);
	}
}

static double at(const cJSON *c, const char *name, int i)
{
	return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(c, name), i)->valuedouble;
}

/* Spearman's, of numbers that are all different. */
static double rank_correlation(const double *x, const cJSON *c, const char *name, int count)
{
	double sum = 0;

	for (int i = 0; i < count; i++) {
		int difference = 0;

		for (int j = 0; j < count; j++)
			difference += (x[j] < x[i]) - (at(c, name, j) < at(c, name, i));
		sum += (double)difference * difference;
	}
	return 1 - 6 * sum / ((double)count * ((double)count * count - 1));
}

static double compare(const cJSON *c, const char *name, const double *got, const double *scale, int images)
{
	double most = 0;

	for (int i = 0; i < images; i++)
		most = fmax(most, fabs(got[i] - at(c, name, i)) / scale[i]);
	print_message("%s, %s of %d images: at most %.2g off\n", golden_text(c, "name"), name, images, most);
	return most;
}

static void run(const cJSON *golden, const cJSON *c, int images, enum ek_nn_precision precision)
{
	const int exact = cJSON_HasObjectItem(c, "products");
	double *norms, *products, *scale;
	struct trial r;

	assert_ok(ek_alloc(&norms, 3 * (size_t)images, sizeof *norms));
	products = norms + images;
	scale = products + images;
	start(&r, golden, c, precision);
	measure(&r, images, norms, exact ? products : NULL);
	if (precision == EK_NN_F32) {
		for (int i = 0; i < images; i++)
			scale[i] = at(c, "norms", i);
		assert_true(compare(c, "norms", norms, scale, images) <= 1e-4);
		if (exact) {
			double mean = 0;
			const float *g;

			assert_true(compare(c, "norms_f64", norms, scale, images) <= 1e-5);
			assert_ok(ek_store_view(r.store, EK_GRADIENTS, &g));
			for (size_t i = 0; i < r.params.size; i++)
				mean += (double)g[i] * (double)g[i];
			for (int i = 0; i < images; i++)
				scale[i] *= sqrt(mean);
			assert_true(compare(c, "products", products, scale, images) <= 1e-5);
		}
	} else {
		print_message("%s, bf16: rank correlation of norms %.6f\n", golden_text(c, "name"),
		              rank_correlation(norms, c, "norms", images));
		assert_true(rank_correlation(norms, c, "norms", images) >= 0.999);
		if (exact)
			assert_true(rank_correlation(products, c, "products", images) >= 0.999);
	}
	end(&r);
	free(norms);
}

void gradients_are_pytorchs(const char *model, int images)
{
	cJSON *golden = ek_golden("gradients");
	const cJSON *c;
	int found = 0;

	cJSON_ArrayForEach(
		c, cJSON_GetObjectItemCaseSensitive(golden, "cases")) if (strcmp(golden_text(c, "name"), model) == 0)
	{
		run(golden, c, images, EK_NN_F32);
		if ((ek_device_takes_batches() || ek_nn_cpu_has_bf16()) &&
		    images == cJSON_GetArraySize(cJSON_GetObjectItem(c, "norms")))
			run(golden, c, images, EK_NN_BF16);
		found++;
	}
	assert_int_equal(found, 1);
	cJSON_Delete(golden);
}
