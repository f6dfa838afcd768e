/* The layers of net.h, and the twin, against PyTorch (tests/golden/make_train_ops.py), forward and backward. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/analysis/embed/random_weights.h"
#include "tests/support/golden.h"
#include "tests/train/nn/net_trial.h"
#include "tests/train/nn/on_device.h"
#include "tests/train/nn/reference.h"
#include "train/nn/net_internal.h"

enum { ARRAYS = 8, RANK = 4 };

/* An array of the golden file: an input, a parameter or an output of the network, or channels of one. */
struct array {
	const char *name;
	int input, output, parameter; /* index in the subject, or -1 */
	int first, channels;          /* of the input's */
};

struct golden {
	const cJSON *c;
	struct net_trial t;
	struct array arrays[ARRAYS];
	int count, batch;
	int scalar; /* the output is the mean over the images */
};

static const cJSON *entry_of(const cJSON *list, const char *name)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, list)
	{
		if (strcmp(golden_text(entry, "array"), name) == 0)
			return entry;
	}
	return NULL;
}

static const cJSON *input_entry(const struct golden *g, const char *name)
{
	return entry_of(cJSON_GetObjectItemCaseSensitive(g->c, "inputs"), name);
}

static int whole(const struct golden *g, const char *name)
{
	return (int)golden_number(g->c, name);
}

static int dims_of(const cJSON *entry, int64_t dims[RANK])
{
	const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape"), *item;
	int rank = 0;

	cJSON_ArrayForEach(item, shape)
	{
		assert_true(rank < RANK);
		dims[rank++] = (int64_t)item->valuedouble;
	}
	return rank;
}

static struct array *new_array(struct golden *g, const char *name)
{
	struct array *a = &g->arrays[g->count++];

	assert_true(g->count <= ARRAYS);
	*a = (struct array){ .name = name, .input = -1, .output = -1, .parameter = -1 };
	return a;
}

static void start_net(struct golden *g, int batch)
{
	g->batch = batch;
	assert_ok(ek_net_new(&g->t.s.net, &g->t.s.params, EK_NN_F32, batch));
}

/* An input made of `count` arrays [n, …, channels] side by side. The first names the batch. */
static int inputs(struct golden *g, int count, const char *const *names)
{
	struct ek_net_shape shape = { 1, 1, 0 };

	for (int i = 0; i < count; i++) {
		struct array *a = new_array(g, names[i]);
		int64_t dims[RANK];
		const int rank = dims_of(input_entry(g, names[i]), dims);

		if (g->t.s.net == NULL)
			start_net(g, (int)dims[0]);
		assert_int_equal(dims[0], g->batch);
		*a = (struct array){ names[i], g->t.s.input_count, -1, -1, shape.channels, (int)dims[rank - 1] };
		shape.channels += a->channels;
		shape.height = rank > 2 ? (int)dims[1] : 1;
		shape.width = rank > 3 ? (int)dims[2] : 1;
	}
	g->t.s.inputs[g->t.s.input_count] = ek_net_input_with_gradient(g->t.s.net, shape);
	return g->t.s.inputs[g->t.s.input_count++];
}

static int input(struct golden *g, const char *name)
{
	return inputs(g, 1, &name);
}

/* -1 if the case has none. */
static int parameter(struct golden *g, const char *name)
{
	const cJSON *entry = input_entry(g, name);
	int64_t dims[RANK];
	int p;

	if (entry == NULL)
		return -1;
	p = ek_params_add(&g->t.s.params, name, dims_of(entry, dims), dims, (struct ek_init){ 0 });
	assert_ok(p);
	new_array(g, name)->parameter = p;
	return p;
}

static int outputs_of(const struct golden *g, const char *parameter_name)
{
	int64_t dims[RANK];

	(void)dims_of(input_entry(g, parameter_name), dims);
	return (int)dims[0];
}

static void output(struct golden *g, const char *name, int value)
{
	assert_ok(ek_net_output(g->t.s.net, value));
	new_array(g, name)->output = g->t.s.output_count;
	g->t.s.outputs[g->t.s.output_count++] = value;
}

static void linear(struct golden *g)
{
	const int x = input(g, "x"), weight = parameter(g, "weight"), bias = parameter(g, "bias");

	output(g, "y",
	       ek_net_linear(
		       g->t.s.net, x,
		       &(struct ek_net_linear){ .weight = weight, .bias = bias, .outputs = outputs_of(g, "weight") }));
}

/* One number for both directions, or two. */
static void pair(int out[2], const cJSON *c, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(c, name);

	for (int i = 0; i < 2; i++) {
		const cJSON *one = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, i) : item;

		assert_true(cJSON_IsNumber(one));
		out[i] = one->valueint;
	}
}

static void conv(struct golden *g)
{
	const int x = input(g, "x"), weight = parameter(g, "weight"), bias = parameter(g, "bias");
	struct ek_net_conv c = {
		.weight = weight, .bias = bias, .outputs = outputs_of(g, "weight"), .groups = whole(g, "groups")
	};

	pair(c.kernel, g->c, "kernel");
	pair(c.stride, g->c, "stride");
	for (int i = 0; i < 4; i++)
		c.pad[i] = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(g->c, "pad"), i)->valueint;
	output(g, "y", ek_net_conv(g->t.s.net, x, &c));
}

static void group_norm(struct golden *g)
{
	const int x = input(g, "x"), weight = parameter(g, "weight"), bias = parameter(g, "bias");

	output(g, "y",
	       ek_net_group_norm(g->t.s.net, x,
	                         &(struct ek_net_group_norm){ .weight = weight,
	                                                      .bias = bias,
	                                                      .groups = whole(g, "groups"),
	                                                      .epsilon = (float)golden_number(g->c, "eps"),
	                                                      0 }));
}

static void layer_norm(struct golden *g)
{
	const int x = input(g, "x"), weight = parameter(g, "weight"), bias = parameter(g, "bias");

	output(g, "y",
	       ek_net_layer_norm(g->t.s.net, x,
	                         &(struct ek_net_layer_norm){ weight, bias, (float)golden_number(g->c, "eps"), 0 }));
}

static void modulate(struct golden *g)
{
	const int x = input(g, "x"), vector = inputs(g, 2, (const char *[]){ "shift", "scale" });
	int normal;

	assert_ok(ek_net_modulate(g->t.s.net, x,
	                          &(struct ek_net_modulate){ .vector = vector,
	                                                     .scale = ek_net_shape(g->t.s.net, x).channels,
	                                                     .epsilon = (float)golden_number(g->c, "eps") },
	                          NULL, &normal));
	output(g, "y", normal);
}

static void gated_residual(struct golden *g)
{
	const int x = input(g, "x"), branch = input(g, "branch"), gate = input(g, "gate");
	int stream;

	assert_ok(ek_net_modulate(g->t.s.net, x, &(struct ek_net_modulate){ .branch = branch, .vector = gate }, &stream,
	                          NULL));
	output(g, "y", stream);
}

static void attention(struct golden *g)
{
	const int x = input(g, "x");

	output(g, "y", ek_net_attention(g->t.s.net, x, whole(g, "heads")));
}

static void activation(struct golden *g)
{
	static const char *const names[EK_NN_ACTIVATION_COUNT] = { "",          "relu",       "relu6", "gelu",
		                                                   "gelu_tanh", "quick_gelu", "silu" };
	const char *name = golden_text(g->c, "op");
	const int x = input(g, "x");
	int kind = EK_NN_ACTIVATION_COUNT - 1;

	while (kind > 0 && strcmp(names[kind], name) != 0)
		kind--;
	output(g, "y",
	       kind > 0 ? ek_net_activation(g->t.s.net, x, (enum ek_nn_activation)kind)
	                : ek_net_leaky_relu(g->t.s.net, x, 0.2F));
}

static void upsample(struct golden *g)
{
	const int x = input(g, "x");

	output(g, "y", ek_net_upsample(g->t.s.net, x));
}

static void average_pool(struct golden *g)
{
	const struct ek_net_pool half = { .kind = EK_NET_POOL_AVERAGE, .kernel = { 2, 2 }, .stride = { 2, 2 } };
	const int x = input(g, "x");

	output(g, "y", ek_net_pool(g->t.s.net, x, &half));
}

static void embedding(struct golden *g)
{
	int64_t dims[RANK];

	(void)dims_of(input_entry(g, "labels"), dims);
	start_net(g, (int)dims[0]);
	g->t.s.ids = ek_net_input_ids(g->t.s.net);
	g->t.s.id_count = outputs_of(g, "weight");
	output(g, "y", ek_net_embedding(g->t.s.net, g->t.s.ids, parameter(g, "weight")));
}

static void error(struct golden *g)
{
	const int x = input(g, "x"), target = input(g, "target");
	const int squared = strcmp(golden_text(g->c, "op"), "mse") == 0;

	g->scalar = 1;
	output(g, "loss",
	       squared ? ek_net_squared_error(g->t.s.net, x, target) : ek_net_absolute_error(g->t.s.net, x, target));
}

static void kl(struct golden *g)
{
	output(g, "kl", ek_net_kl(g->t.s.net, inputs(g, 2, (const char *[]){ "mean", "logvar" })));
}

static void sample(struct golden *g)
{
	const int moments = inputs(g, 2, (const char *[]){ "mean", "logvar" });

	output(g, "z", ek_net_sample(g->t.s.net, moments, input(g, "noise")));
}

static void quantise(struct golden *g)
{
	const int z = input(g, "z");
	const float beta = (float)golden_number(g->c, "beta");
	struct ek_net_quantise q = { parameter(g, "codebook"), beta, 1, NULL };
	int y, loss, codes;

	if (whole(g, "legacy"))
		q = (struct ek_net_quantise){ q.codebook, 1, beta, NULL };
	y = ek_net_quantise(g->t.s.net, z, &q, &loss, &codes);
	output(g, "quantized", y);
	g->scalar = 2;
	output(g, "loss", loss);
	assert_ok(ek_net_output(g->t.s.net, codes));
}

/* NULL: no layer of its own. */
static const struct {
	const char *op;
	void (*build)(struct golden *g);
} ops[] = {
	{ "linear", linear },
	{ "conv", conv },
	{ "group_norm", group_norm },
	{ "layer_norm", layer_norm },
	{ "modulate", modulate },
	{ "gated_residual", gated_residual },
	{ "attention", attention },
	{ "silu", activation },
	{ "gelu", activation },
	{ "gelu_tanh", activation },
	{ "quick_gelu", activation },
	{ "relu", activation },
	{ "relu6", activation },
	{ "leaky_relu", activation },
	{ "upsample2", upsample },
	{ "average_pool2", average_pool },
	{ "embedding", embedding },
	{ "mse", error },
	{ "l1", error },
	{ "gaussian_kl", kl },
	{ "gaussian_sample", sample },
	{ "vq", quantise },
	{ "hinge_discriminator", NULL },
	{ "hinge_generator", NULL },
	{ "adamw", NULL }, /* test_optimizer.c */
};

/* 1 / images where the golden output is a mean over them. */
static float share_of(const struct golden *g, const struct array *a)
{
	return g->scalar > 0 && a->output == g->scalar - 1 ? 1 / (float)g->batch : 1;
}

/* bits mod count; the unit numbers are (bits - 2^23) 2^-23. */
static void fill_ids(struct net_trial *t, const struct golden *g)
{
	const cJSON *labels = input_entry(g, "labels");
	float *units = ref_poisoned((size_t)g->batch);

	if (labels != NULL)
		ek_random_units(units, golden_text(labels, "name"), (size_t)g->batch);
	for (int i = 0; i < g->batch && labels != NULL; i++)
		t->ids[i] = (int32_t)((units[i] + 1) * 0x1p23F) % t->s.id_count;
	free(units);
}

static void fill(struct net_trial *t, const struct golden *g)
{
	memset(t->start, 0, t->s.params.size * sizeof *t->start);
	for (int i = 0; i < g->count; i++) {
		const struct array *a = &g->arrays[i];
		char given[32] = "";
		size_t count;
		float *x;

		(void)snprintf(given, sizeof given, "%s%s", a->output >= 0 ? "d" : "", a->name);
		x = ek_digest_input(g->c, given, &count);
		if (a->parameter >= 0)
			memcpy(t->values + t->s.params.items[a->parameter].offset, x, count * sizeof *x);
		if (a->output >= 0)
			for (size_t j = 0; j < count * (share_of(g, a) < 1 ? (size_t)g->batch : 1); j++)
				t->given[a->output][j] = x[j % count] * share_of(g, a);
		for (size_t j = 0; a->input >= 0 && j < count; j++) {
			const size_t n = (size_t)a->channels;
			const int channels = ek_net_shape(t->s.net, t->s.inputs[a->input]).channels;

			t->inputs[a->input][j / n * (size_t)channels + (size_t)a->first + j % n] = x[j];
		}
		free(x);
	}
	fill_ids(t, g);
	assert_ok(ek_net_load(t->s.net, t->values));
}

/* Where the results of an array start among those of the trial: its value, or its gradient. */
static size_t place_of(const struct net_trial *t, const struct array *a)
{
	size_t place = a->output >= 0 ? 0 : t->outputs;

	for (int i = 0; i < a->output; i++)
		place += (size_t)t->batch * ek_net_elements(t->s.net, t->s.outputs[i]);
	for (int i = 0; i < (a->parameter >= 0 ? t->s.input_count : a->input); i++)
		place += (size_t)t->batch * ek_net_elements(t->s.net, t->s.inputs[i]);
	return place + (a->parameter >= 0 ? t->s.params.items[a->parameter].offset : 0);
}

static void check_array(const struct golden *g, const struct net_trial *t, const struct array *a, const float *golden,
                        const struct ref_number *twin, const float *got)
{
	const char *name = golden_text(g->c, "name");
	const cJSON *results = cJSON_GetObjectItemCaseSensitive(g->c, "outputs"), *entry;
	const size_t place = place_of(t, a), n = (size_t)a->channels;
	const size_t stride = a->input >= 0 ? (size_t)ek_net_shape(t->s.net, t->s.inputs[a->input]).channels : 0;
	char wanted[32];
	int64_t dims[RANK];
	size_t count = 1;

	(void)snprintf(wanted, sizeof wanted, "%s%s", a->output >= 0 ? "" : "d", a->name);
	entry = entry_of(results, wanted);
	if (entry == NULL) { /* an input that PyTorch was not asked about */
		assert_true(strcmp(a->name, "target") == 0 || strcmp(a->name, "noise") == 0);
		return;
	}
	for (int i = dims_of(entry, dims) - 1; i >= 0; i--)
		count *= (size_t)dims[i];
	for (size_t i = 0; i < count; i++) {
		const size_t at = place + (a->input >= 0 ? i / n * stride + (size_t)a->first + i % n : i);
		const double want = (double)golden[(size_t)golden_number(entry, "at") + i];
		double exact = 0, value = 0, allowed = 0;
		const int images = share_of(g, a) < 1 ? g->batch : 1;

		for (int j = 0; j < images; j++) {
			exact += twin[at + (size_t)j].v / images;
			value += (double)got[at + (size_t)j] / images;
			allowed += ref_net_allowed(&twin[at + (size_t)j]) / images;
		}
		/* The golden number is rounded to float32; the gradient given to a mean was divided in float32. */
		if (!(fabs(exact - want) <= 0x1p-23 * fabs(want) + 1e-9))
			fail_msg("%s %s %zu: the twin has %.12g, PyTorch %.12g", name, wanted, i, exact, want);
		if (!(fabs(value - want) <= allowed + 0x1p-23 * fabs(want)))
			fail_msg("%s %s %zu: %.9g, PyTorch has %.9g (allowed %g)", name, wanted, i, value, want,
			         allowed);
	}
}

static void check_codes(const struct golden *g, const struct net_trial *t, struct ek_net_state *s, const float *golden)
{
	const cJSON *entry = entry_of(cJSON_GetObjectItemCaseSensitive(g->c, "outputs"), "index");
	const int32_t *codes = ek_net_view(s, t->s.outputs[1] + 1);

	for (size_t i = 0; i < (size_t)t->batch * ek_net_elements(t->s.net, t->s.outputs[1] + 1); i++)
		assert_int_equal(codes[i], (int)golden[(size_t)golden_number(entry, "at") + i]);
}

static void check_case(const cJSON *c, void (*build)(struct golden *g), const float *golden)
{
	struct golden g = { .c = c };
	struct net_trial *t = &g.t;
	struct ek_net_state *s;
	struct ref_number *twin;
	float *got;

	build(&g);
	net_trial_start(t, EK_NET_TRAIN, g.batch);
	fill(t, &g);
	assert_ok(ek_net_state_new(&s, t->s.net));
	got = ref_poisoned(t->count);
	net_trial_run(t, s, got);
	twin = net_trial_reference(t);
	for (int i = 0; i < g.count; i++)
		check_array(&g, t, &g.arrays[i], golden, twin, got);
	if (build == quantise)
		check_codes(&g, t, s, golden);
	free(twin);
	free(got);
	ek_net_state_free(s);
	net_trial_free(t);
}

static void layers_are_pytorchs(void **state)
{
	cJSON *file = ek_golden("train_ops");
	const cJSON *c;
	const size_t count = (size_t)golden_number(file, "numbers");
	float *golden = ref_poisoned(count);
	FILE *binary = fopen("tests/golden/train_ops.bin", "rb");
	int checked = 0;

	(void)state;
	assert_non_null(binary);
	assert_int_equal(fread(golden, sizeof *golden, count, binary), count);
	(void)fclose(binary);
	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(file, "cases"))
	{
		size_t op = 0;

		while (op < sizeof ops / sizeof *ops && strcmp(ops[op].op, golden_text(c, "op")) != 0)
			op++;
		assert_true(op < sizeof ops / sizeof *ops);
		if (ops[op].build == NULL)
			continue;
		check_case(c, ops[op].build, golden);
		checked++;
	}
	assert_int_equal(checked, 18 + 6 + 4 + 4 + 4 + 4 + 2 + 2 + 2 + 2 + 2 + 2 + 2 + 7 + 2);
	free(golden);
	cJSON_Delete(file);
}

int main(int argc, char **argv)
{
	const int left = on_device(argc, argv);
	const struct CMUnitTest tests[] = { cmocka_unit_test(layers_are_pytorchs) };

	return left != 0 ? left : cmocka_run_group_tests(tests, NULL, NULL);
}
