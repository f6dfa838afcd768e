#include "tests/train/flow/golden_sit.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/memory.h"

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
	*g = (struct golden_net){ .config = golden_config(golden, model) };
	assert_ok(ek_sit_params(&g->params, &g->config));
	g->values = golden_values(&g->params);
	assert_ok(ek_alloc(&g->gradients, g->params.size, sizeof *g->gradients));
	assert_ok(ek_net_new(&g->net, NULL, &g->params, precision, batch));
	g->x = ek_net_input(g->net, (struct ek_net_shape){ g->config.side, g->config.side, g->config.channels });
	g->t = ek_net_input(g->net, (struct ek_net_shape){ 1, 1, 1 });
	g->labels = ek_net_input_ids(g->net);
	assert_ok(g->out = ek_sit_build(g->net, &g->params, &g->config, g->x, g->t, g->labels));
	assert_ok(ek_net_output(g->net, g->out));
	assert_ok(ek_net_finish(g->net, mode));
	assert_ok(ek_net_load(g->net, g->values));
	assert_ok(ek_net_state_new(&g->s, g->net));
}

void golden_net_release(struct golden_net *g)
{
	ek_net_state_free(g->s);
	ek_net_free(g->net);
	ek_params_release(&g->params);
	free(g->values);
	free(g->gradients);
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

double golden_loss(struct golden_net *g, const struct golden_batch *b, const struct ek_objective *o, const double *t,
                   float *losses, double *parts)
{
	const size_t elements = ek_sit_elements(&g->config), out = ek_net_elements(g->net, g->out);
	float *x = ek_net_data(g->s, g->x), *times = ek_net_data(g->s, g->t);
	const float *prediction;
	double sum = 0;

	memcpy(ek_net_data(g->s, g->labels), b->labels, (size_t)b->count * sizeof *b->labels);
	for (int i = 0; i < b->count; i++) {
		const size_t at = (size_t)i * elements;

		times[i] = (float)t[i];
		ek_objective_mix(o, t[i], x + at, b->x1 + at, b->x0 + at, elements);
	}
	assert_ok(ek_net_forward(g->s));
	prediction = ek_net_data(g->s, g->out);
	for (int i = 0; i < b->count; i++) {
		const struct ek_objective_image image = { .x1 = b->x1 + (size_t)i * elements,
			                                  .noise = b->x0 + (size_t)i * elements,
			                                  .out = prediction + (size_t)i * out,
			                                  .gradient = (float *)ek_net_gradient(g->s, g->out) +
			                                              (size_t)i * out,
			                                  .pixels = elements / (size_t)g->config.channels,
			                                  .channels = (size_t)g->config.channels,
			                                  .weight = 1.0 / b->count };
		const double loss = ek_objective_loss(o, t[i], &image, (size_t)ek_sit_outputs(&g->config),
		                                      parts != NULL ? parts + 2 * i : NULL);

		losses[i] = (float)loss;
		sum += loss / b->count;
	}
	return sum;
}
