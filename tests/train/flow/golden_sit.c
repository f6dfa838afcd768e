#include "tests/train/flow/golden_sit.h"

#include <stdlib.h>
#include <string.h>

#include "train/nn/net_internal.h"

struct ek_sit_config golden_config(const cJSON *golden, const char *model)
{
	const cJSON *m = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(golden, "models"), model);

	return (struct ek_sit_config){ .depth = (int)golden_number(m, "depth"),
		                       .width = (int)golden_number(m, "width"),
		                       .heads = (int)golden_number(m, "heads"),
		                       .patch = (int)golden_number(m, "patch"),
		                       .side = (int)golden_number(m, "size"),
		                       .channels = (int)golden_number(m, "channels"),
		                       .classes = (int)golden_number(m, "classes"),
		                       .learned_sigma = (int)golden_number(m, "learn_sigma") };
}

static int index_of(const char *text, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(text, names[i]) == 0)
			return i;
	fail_msg("unknown: %s", text);
	return 0;
}

enum ek_path golden_path(const cJSON *c)
{
	static const char *const names[] = { "linear", "gvp", "vp" };

	return (enum ek_path)index_of(golden_text(c, "path"), names, 3);
}

enum ek_prediction golden_prediction(const cJSON *c)
{
	static const char *const names[] = { "velocity", "noise", "score" };

	return (enum ek_prediction)index_of(golden_text(c, "prediction"), names, 3);
}

void golden_net_make(struct golden_net *g, const cJSON *golden, const char *model, int batch,
                     enum ek_nn_precision precision, enum ek_net_mode mode)
{
	float *values;

	*g = (struct golden_net){ .config = golden_config(golden, model) };
	assert_ok(ek_sit_params(&g->params, &g->config));
	values = golden_values(&g->params);
	assert_ok(ek_store_new(&g->store, &g->params));
	ek_store_write(g->store, EK_VALUES, 0, g->params.size, values);
	free(values);
	assert_ok(ek_net_new(&g->net, &g->params, precision, batch));
	g->x = ek_net_input(g->net, (struct ek_net_shape){ g->config.side, g->config.side, g->config.channels });
	g->t = ek_net_input(g->net, (struct ek_net_shape){ 1, 1, 1 });
	g->labels = ek_net_input_ids(g->net);
	assert_ok(g->out = ek_sit_build(g->net, &g->params, &g->config, g->x, g->t, g->labels));
	assert_ok(ek_net_output(g->net, g->out));
	assert_ok(ek_net_finish(g->net, mode));
	assert_ok(ek_net_load_from(g->net, g->store, EK_VALUES));
	assert_ok(ek_net_state_new(&g->s, g->net));
	assert_ok(ek_alloc(&g->d_out, (size_t)batch * ek_net_elements(g->net, g->out), sizeof *g->d_out));
}

void golden_net_release(struct golden_net *g)
{
	ek_net_state_free(g->s);
	ek_net_free(g->net);
	ek_params_release(&g->params);
	ek_store_free(g->store);
	free(g->d_out);
}

void golden_batch_make(struct golden_batch *b, const cJSON *c)
{
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(c, "labels");
	size_t count;

	*b = (struct golden_batch){ .count = cJSON_GetArraySize(labels) };
	b->x1 = ek_digest_input(c, "x1", &count);
	b->x0 = ek_digest_input(c, "x0", &count);
	if (!cJSON_HasObjectItem(c, "times"))
		b->t = ek_digest_input(c, "t", &count);
	assert_ok(ek_alloc(&b->labels, (size_t)b->count, sizeof *b->labels));
	for (int i = 0; i < b->count; i++)
		b->labels[i] = cJSON_GetArrayItem(labels, i)->valueint;
}

void golden_batch_release(struct golden_batch *b)
{
	free(b->x1);
	free(b->x0);
	free(b->t);
	free(b->labels);
}

void objective_net_make(struct objective_net *n, const struct ek_objective *o, struct ek_net_shape data, int outputs,
                        int batch)
{
	struct ek_net_shape prediction = data;

	prediction.channels = outputs;
	*n = (struct objective_net){ 0 };
	assert_ok(ek_net_new(&n->net, &n->none, EK_NN_F32, batch));
	n->prediction = ek_net_input_with_gradient(n->net, prediction);
	n->data = ek_net_input(n->net, data);
	n->noise = ek_net_input(n->net, data);
	n->factors = ek_net_input(n->net, (struct ek_net_shape){ 1, 1, EK_OBJECTIVE_FACTORS });
	n->x = ek_objective_mix(n->net, n->data, n->noise, n->factors);
	n->loss = ek_objective_loss(n->net, o, n->prediction, n->data, n->noise, n->factors, n->parts);
	assert_ok(ek_net_keep(n->net, n->x));
	assert_ok(ek_net_output(n->net, n->loss));
	for (int i = 0; n->parts[0] > 0 && i < 2; i++)
		assert_ok(ek_net_keep(n->net, n->parts[i]));
	assert_ok(ek_net_finish(n->net, EK_NET_TRAIN));
	assert_ok(ek_net_load(n->net, NULL));
	assert_ok(ek_net_state_new(&n->s, n->net));
}

void objective_net_release(struct objective_net *n)
{
	ek_net_state_free(n->s);
	ek_net_free(n->net);
}

void objective_net_run(struct objective_net *n, const struct ek_objective *o, const float *data, const float *noise,
                       const double *t)
{
	const size_t batch = (size_t)ek_net_batch(n->net), count = batch * ek_net_elements(n->net, n->data);

	memcpy(ek_net_stage(n->s, n->data), data, count * sizeof *data);
	memcpy(ek_net_stage(n->s, n->noise), noise, count * sizeof *noise);
	for (size_t i = 0; i < batch; i++)
		ek_objective_factors(o, t[i], (float *)ek_net_stage(n->s, n->factors) + i * EK_OBJECTIVE_FACTORS);
	assert_ok(ek_net_forward(n->s));
}

double golden_loss(struct golden_net *g, const struct golden_batch *b, const struct ek_objective *o, const double *t,
                   float *losses, double *parts)
{
	const size_t count = (size_t)b->count * ek_net_elements(g->net, g->out);
	float *times = ek_net_stage(g->s, g->t), weights[8];
	struct objective_net n;
	double sum = 0;

	objective_net_make(&n, o, ek_net_shape(g->net, g->x), ek_sit_outputs(&g->config), b->count);
	memset(ek_net_stage(n.s, n.prediction), 0, count * sizeof(float));
	objective_net_run(&n, o, b->x1, b->x0, t);
	memcpy(ek_net_stage(g->s, g->labels), b->labels, (size_t)b->count * sizeof *b->labels);
	ek_net_read(n.s, n.x, ek_net_stage(g->s, g->x));
	for (int i = 0; i < b->count; i++)
		times[i] = (float)t[i];
	assert_ok(ek_net_forward(g->s));
	ek_net_read(g->s, g->out, ek_net_stage(n.s, n.prediction));
	assert_ok(ek_net_forward(n.s));
	ek_net_read(n.s, n.loss, losses);
	for (int i = 0; i < b->count; i++) {
		weights[i] = 1 / (float)b->count;
		sum += (double)losses[i] / b->count;
		for (int j = 0; parts != NULL && n.parts[0] > 0 && j < 2; j++)
			parts[2 * i + j] = (double)((const float *)ek_net_view(n.s, n.parts[j]))[i];
	}
	ek_net_write_gradient(n.s, n.loss, weights);
	assert_ok(ek_net_backward(n.s, NULL, 0));
	ek_net_read_gradient(n.s, n.prediction, g->d_out);
	ek_net_write_gradient(g->s, g->out, g->d_out);
	objective_net_release(&n);
	return sum;
}
