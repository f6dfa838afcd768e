/* The network: names, shapes, results and every gradient against PyTorch in float64, weight files, recomputing. */
#include "tests/train/flow/golden_sit.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/memory.h"
#include "tests/train/nn/on_device.h"
#include "train/loop/params_file.h"
#include "train/nn/bf16.h"
#include "train/nn/net_internal.h"

static void names_and_shapes_are_the_public_ones(void **state)
{
	cJSON *golden = ek_golden("sit"), *model;
	int models = 0;

	(void)state;
	cJSON_ArrayForEach(model, cJSON_GetObjectItemCaseSensitive(golden, "models"))
	{
		const struct ek_sit_config config = golden_config(golden, model->string);
		struct ek_params params = { 0 };

		assert_ok(ek_sit_params(&params, &config));
		golden_check_shapes(&params, cJSON_GetObjectItemCaseSensitive(model, "tensors"));
		ek_params_release(&params);
		models++;
	}
	assert_int_equal(models, 3);
	cJSON_Delete(golden);
}

static void positions_are_the_public_ones(void **state)
{
	cJSON *golden = ek_golden("sit"), *digest;
	int count = 0;

	(void)state;
	cJSON_ArrayForEach(digest, cJSON_GetObjectItemCaseSensitive(golden, "pos_embed"))
	{
		const struct ek_sit_config config = golden_config(golden, digest->string);
		struct ek_params params = { 0 };
		const struct ek_param *p;
		float *values;

		assert_ok(ek_sit_params(&params, &config));
		values = golden_values(&params);
		p = &params.items[ek_params_find(&params, "pos_embed")];
		/* Both are roundings of the same number in double, of which libraries may differ in the last place. */
		assert_true(ek_digest_distance(digest, values + p->offset, p->count, 0x1p-24) <= 1);
		free(values);
		ek_params_release(&params);
		count++;
	}
	assert_int_equal(count, 2);
	cJSON_Delete(golden);
}

/* Sizes that are known: parameters of the public SiT-S/2 with 1000 classes, and FLOPs of its products. */
static void the_start_is_the_public_one(void **state)
{
	struct ek_sit_config config = { .side = 32, .channels = 4, .classes = 1000, .learned_sigma = 1 };
	static const struct {
		const char *name;
		double deviation;
	} cases[] = {
		{ "x_embedder.proj.weight", 0.0707 }, /* sqrt(6 / (16 + 384)) / sqrt(3) */
		{ "t_embedder.mlp.0.weight", 0.02 },
		{ "y_embedder.embedding_table.weight", 0.02 },
		{ "blocks.3.attn.qkv.weight", 0.03608 }, /* sqrt(2 / (384 + 1152)) */
		{ "blocks.3.mlp.fc2.weight", 0.03227 },  /* sqrt(2 / (384 + 1536)) */
		{ "blocks.3.mlp.fc1.bias", 0 },
		{ "blocks.11.adaLN_modulation.1.weight", 0 },
		{ "final_layer.adaLN_modulation.1.weight", 0 },
		{ "final_layer.linear.weight", 0 },
	};
	struct ek_params params = { 0 };
	float *values;

	(void)state;
	assert_ok(ek_sit_config_name(&config, "SiT-S/2"));
	assert_ok(ek_sit_params(&params, &config));
	assert_ok(ek_alloc_aligned(&values, params.size, sizeof *values));
	ek_params_initialise(&params, 3, values);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct ek_param *p = &params.items[ek_params_find(&params, cases[i].name)];
		double sum = 0, squares = 0, n = (double)p->count, deviation;

		for (size_t j = 0; j < p->count; j++) {
			sum += (double)values[p->offset + j];
			squares += (double)values[p->offset + j] * (double)values[p->offset + j];
		}
		deviation = sqrt(squares / n);
		/* Of n numbers: the mean's error is deviation / sqrt(n), that of the deviation less; 5 of them. */
		assert_true(fabs(deviation - cases[i].deviation) <=
		            5 * cases[i].deviation / sqrt(n) + 1e-4 * deviation);
		assert_true(fabs(sum / n) <= 5 * cases[i].deviation / sqrt(n));
	}
	free(values);
	ek_params_release(&params);
}

static void run_case(const cJSON *golden, const cJSON *c, enum ek_nn_precision precision, const char *type,
                     enum ek_net_mode mode)
{
	struct ek_objective *o;
	struct golden_batch b;
	struct golden_net g;
	double loss, t[8], tolerance, least;
	float losses[8];

	print_message("%s, %s\n", golden_text(c, "name"), type);
	golden_batch_make(&b, c);
	golden_net_make(&g, golden, golden_text(c, "model"), b.count, precision, mode);
	assert_ok(ek_alloc(&o, 1, sizeof *o));
	o->path = golden_path(c);
	o->prediction = golden_prediction(c);
	assert_ok(ek_objective_init(o));
	for (int i = 0; i < b.count; i++)
		t[i] = (double)b.t[i];
	loss = golden_loss(&g, &b, o, t, losses, NULL);
	least = ek_digest_deviation(cJSON_GetObjectItemCaseSensitive(c, "output"), type);
	golden_check_value(c, "x_t", g.s, g.x, type, 0x1p-24);
	golden_check_value(c, "output", g.s, g.out, type, 0);
	golden_check(c, "d_output", g.d_out, (size_t)b.count * ek_net_elements(g.net, g.out), type, 0);
	golden_check(c, "per_image", losses, (size_t)b.count, type, least);
	tolerance = GOLDEN_MARGIN * least;
	assert_close(loss / golden_number(cJSON_GetObjectItemCaseSensitive(c, "loss"), "value"), 1, tolerance);
	assert_ok(ek_net_backward(g.s, g.store, 0));
	assert_int_equal(golden_check_gradients(c, &g.params, g.store, type, 0), g.params.count - 1);
	free(o);
	golden_net_release(&g);
	golden_batch_release(&b);
}

/* The first three cases have all gradients; the small model, one with a learned sigma, and SiT-S/2. */
static void losses_and_gradients_equal_pytorch(void **state)
{
	cJSON *golden = ek_golden("sit");

	(void)state;
	for (int i = 0; i < 3; i++) {
		const cJSON *c = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(golden, "losses"), i);

		run_case(golden, c, EK_NN_F32, "f32", EK_NET_TRAIN);
		if (ek_nn_cpu_has_bf16())
			run_case(golden, c, EK_NN_BF16, "bf16", EK_NET_TRAIN);
	}
	cJSON_Delete(golden);
}

static void gradients_of(float *out, const cJSON *golden, enum ek_net_mode mode, enum ek_nn_precision precision)
{
	const cJSON *c = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(golden, "losses"), 0);
	struct golden_batch b;
	struct golden_net g;
	size_t bytes;

	golden_batch_make(&b, c);
	golden_net_make(&g, golden, "small", b.count, precision, mode);
	memcpy(ek_net_data(g.s, g.x), b.x1, (size_t)b.count * ek_net_elements(g.net, g.x) * sizeof(float));
	memcpy(ek_net_data(g.s, g.t), b.t, (size_t)b.count * sizeof(float));
	memcpy(ek_net_data(g.s, g.labels), b.labels, (size_t)b.count * sizeof(int32_t));
	bytes = (size_t)b.count * ek_net_elements(g.net, g.out) * sizeof(float);
	assert_ok(ek_net_forward(g.s));
	memcpy(ek_net_gradient(g.s, g.out), ek_net_data(g.s, g.out), bytes);
	assert_ok(ek_net_backward(g.s, g.store, 0));
	ek_store_read(g.store, EK_GRADIENTS, 0, g.params.size, out);
	golden_net_release(&g);
	golden_batch_release(&b);
}

static void recomputing_changes_nothing(void **state)
{
	cJSON *golden = ek_golden("sit");
	const struct ek_sit_config config = golden_config(golden, "small");
	struct ek_params params = { 0 };
	float *kept, *again;

	(void)state;
	assert_ok(ek_sit_params(&params, &config));
	assert_ok(ek_alloc(&kept, params.size, sizeof *kept));
	assert_ok(ek_alloc(&again, params.size, sizeof *again));
	for (int precision = 0; precision < (ek_nn_cpu_has_bf16() ? 2 : 1); precision++) {
		gradients_of(kept, golden, EK_NET_TRAIN, precision == 0 ? EK_NN_F32 : EK_NN_BF16);
		gradients_of(again, golden, EK_NET_RECOMPUTE, precision == 0 ? EK_NN_F32 : EK_NN_BF16);
		assert_memory_equal(kept, again, params.size * sizeof *kept);
	}
	free(kept);
	free(again);
	ek_params_release(&params);
	cJSON_Delete(golden);
}

static void recomputing_takes_less_memory(void **state)
{
	struct ek_sit_config config = { .side = 32, .channels = 4, .classes = 10 };
	size_t bytes[2];

	(void)state;
	assert_ok(ek_sit_config_name(&config, "SiT-S/2"));
	for (int i = 0; i < 2; i++) {
		struct ek_params params = { 0 };
		struct ek_net *net;
		int x, t, labels, out;

		assert_ok(ek_sit_params(&params, &config));
		assert_ok(ek_net_new(&net, &params, EK_NN_AUTO, 8));
		x = ek_net_input(net, (struct ek_net_shape){ config.side, config.side, config.channels });
		t = ek_net_input(net, (struct ek_net_shape){ 1, 1, 1 });
		labels = ek_net_input_ids(net);
		assert_ok(out = ek_sit_build(net, &params, &config, x, t, labels));
		assert_ok(ek_net_output(net, out));
		assert_ok(ek_net_finish(net, i == 0 ? EK_NET_TRAIN : EK_NET_RECOMPUTE));
		bytes[i] = ek_net_state_bytes(net);
		/* performance.md: 36.3 GFLOP to train on one image, 3 times forward. */
		assert_close(3 * ek_net_flops(net) / 36.3e9, 1, 0.005);
		ek_net_free(net);
		ek_params_release(&params);
	}
	print_message("%zu MiB, recomputing %zu MiB\n", bytes[0] >> 20, bytes[1] >> 20);
	/* Twelve blocks' values against one block's and twelve streams; the room for a layer's gradient is in both. */
	assert_true(bytes[1] < bytes[0] / 3);
}

/* Also as training code names them. */
static void files_round_trip(void **state)
{
	static const char *const before[] = { "", "module.", "_orig_mod.", "ema.module.", "state_dict._orig_mod." };
	cJSON *golden = ek_golden("sit");
	const char *path = ek_join(ek_scratch(), "model.safetensors");

	(void)state;
	for (int i = 0; i < 5; i++) {
		const struct ek_sit_config config = golden_config(golden, i % 2 == 0 ? "small" : "small-sigma");
		struct ek_sit_config found;
		struct ek_params params = { 0 };
		struct ek_tensor_file file;
		float *values, *read;

		assert_ok(ek_sit_params(&params, &config));
		values = golden_values(&params);
		assert_ok(ek_alloc(&read, params.size, sizeof *read));
		assert_ok(ek_params_write(path, &params, values, NULL));
		ek_prefix_tensors(path, before[i]);
		assert_ok(ek_tensor_file_open(&file, path));
		assert_int_equal(file.count, params.count);
		assert_ok(ek_sit_file_config(&found, &file));
		found.heads = config.heads; /* which no tensor tells */
		assert_memory_equal(&found, &config, sizeof found);
		assert_ok(ek_sit_file_read(read, &params, &file));
		assert_memory_equal(read, values, params.size * sizeof *read);
		ek_tensor_file_close(&file);
		free(values);
		free(read);
		ek_params_release(&params);
	}
	cJSON_Delete(golden);
}

/* {"model", "ema", "opt", "args"} of the public training code: the average is taken. */
static void training_checkpoints_are_read(void **state)
{
	cJSON *golden = ek_golden("sit_sampling"), *tensor;
	const cJSON *file_golden = cJSON_GetObjectItemCaseSensitive(golden, "file");
	const cJSON *c = cJSON_GetObjectItemCaseSensitive(file_golden, "config");
	struct ek_params params = { 0 };
	struct ek_tensor_file file;
	struct ek_sit_config config;
	float *values;
	int count = 0;

	(void)state;
	assert_ok(ek_tensor_file_open(&file, "tests/golden/sit-training.pt"));
	assert_ok(ek_sit_file_config(&config, &file));
	assert_int_equal(config.width, (int)golden_number(c, "width"));
	assert_int_equal(config.depth, (int)golden_number(c, "depth"));
	assert_int_equal(config.patch, (int)golden_number(c, "patch"));
	assert_int_equal(config.side, (int)golden_number(c, "size"));
	assert_int_equal(config.channels, (int)golden_number(c, "channels"));
	assert_int_equal(config.classes, (int)golden_number(c, "classes"));
	assert_int_equal(config.learned_sigma, (int)golden_number(c, "learn_sigma"));
	config.heads = (int)golden_number(c, "heads");
	assert_ok(ek_sit_params(&params, &config));
	assert_ok(ek_alloc(&values, params.size, sizeof *values));
	assert_ok(ek_sit_file_read(values, &params, &file));
	cJSON_ArrayForEach(tensor, cJSON_GetObjectItemCaseSensitive(file_golden, "ema"))
	{
		const struct ek_param *p = &params.items[ek_params_find(&params, tensor->string)];
		double squares = 0;

		for (size_t i = 0; i < p->count; i++)
			squares += (double)values[p->offset + i] * (double)values[p->offset + i];
		assert_close(sqrt(squares), cJSON_GetArrayItem(tensor, 0)->valuedouble, 1e-12);
		assert_true((double)values[p->offset] == cJSON_GetArrayItem(tensor, 1)->valuedouble);
		count++;
	}
	assert_int_equal(count, params.count);
	ek_tensor_file_close(&file);
	free(values);
	ek_params_release(&params);
	cJSON_Delete(golden);
}

/* Rows of `config`'s table after reading a file of `from`, whose values are `values`: all are its row `row`. */
static void check_relabelled(const struct ek_sit_config *from, int classes, int row)
{
	const char *path = ek_join(ek_scratch(), "model.safetensors"), *table = "y_embedder.embedding_table.weight";
	struct ek_sit_config config = *from;
	struct ek_params old = { 0 }, new = { 0 };
	struct ek_tensor_file file;
	float *values, *read;

	config.classes = classes;
	assert_ok(ek_sit_params(&old, from));
	assert_ok(ek_sit_params(&new, &config));
	values = golden_values(&old);
	assert_ok(ek_alloc(&read, new.size, sizeof *read));
	assert_ok(ek_params_write(path, &old, values, NULL));
	assert_ok(ek_tensor_file_open(&file, path));
	assert_fails(ek_sit_file_read(read, &new, &file), EK_EDATA, "embedding_table");
	assert_ok(ek_sit_file_read_relabelled(read, &new, &file));
	assert_int_equal(old.count, new.count);
	for (int i = 0; i < new.count; i++) {
		const struct ek_param *a = &old.items[i], *b = &new.items[i];
		const size_t width = (size_t)from->width;

		if (strcmp(a->name, table) != 0) {
			assert_memory_equal(read + b->offset, values + a->offset, a->count * sizeof *read);
			continue;
		}
		assert_int_equal(b->dims[0], classes + 1);
		for (size_t j = 0; j < (size_t)b->dims[0]; j++)
			assert_memory_equal(read + b->offset + j * width, values + a->offset + (size_t)row * width,
			                    width * sizeof *read);
	}
	ek_tensor_file_close(&file);
	free(values);
	free(read);
	ek_params_release(&old);
	ek_params_release(&new);
}

static void other_labels_start_as_none(void **state)
{
	cJSON *golden = ek_golden("sit");
	struct ek_sit_config config = golden_config(golden, "small");

	(void)state;
	assert_true(config.classes > 1);
	check_relabelled(&config, config.classes + 7, config.classes);
	check_relabelled(&config, 2, config.classes);
	config.classes = 1; /* learned without a condition: by label 0 */
	check_relabelled(&config, 5, 0);
	cJSON_Delete(golden);
}

/* Read the file of one network as another. */
static void read_as(const char *path, const struct ek_sit_config *config, const char *message)
{
	struct ek_params params = { 0 };
	struct ek_tensor_file file;
	float *values;

	assert_ok(ek_sit_params(&params, config));
	assert_ok(ek_alloc(&values, params.size, sizeof *values));
	assert_ok(ek_tensor_file_open(&file, path));
	assert_fails(ek_sit_file_read(values, &params, &file), EK_EDATA, message);
	ek_tensor_file_close(&file);
	free(values);
	ek_params_release(&params);
}

static void wrong_tensors_are_named(void **state)
{
	cJSON *golden = ek_golden("sit");
	const struct ek_sit_config small = golden_config(golden, "small");
	struct ek_sit_config other = small;
	const char *path = ek_join(ek_scratch(), "model.safetensors");
	struct ek_params params = { 0 };
	struct ek_tensor_file file;
	float *values;

	(void)state;
	assert_ok(ek_sit_params(&params, &small));
	values = golden_values(&params);
	assert_ok(ek_params_write(path, &params, values, NULL));
	other.depth = 3;
	read_as(path, &other, "blocks.2.attn.qkv.weight is missing");
	other.depth = 1;
	read_as(path, &other, "the network has no tensor blocks.1.");
	other.depth = small.depth;
	other.classes = 7;
	read_as(path, &other, "y_embedder.embedding_table.weight is [6, 48], should be [8, 48]");
	values[params.items[ek_params_find(&params, "blocks.1.mlp.fc1.bias")].offset + 5] = (float)NAN;
	assert_ok(ek_params_write(path, &params, values, NULL));
	read_as(path, &small, "element 5 of tensor blocks.1.mlp.fc1.bias is not a finite number");
	params.items[0].name[0] = 'y'; /* yet another network */
	assert_ok(ek_params_write(path, &params, values, NULL));
	assert_ok(ek_tensor_file_open(&file, path));
	assert_fails(ek_sit_file_config(&other, &file), EK_EDATA, "x_embedder.proj.weight");
	ek_tensor_file_close(&file);
	free(values);
	ek_params_release(&params);
	cJSON_Delete(golden);
}

static void configurations(void **state)
{
	struct ek_sit_config c = { .side = 32, .channels = 4, .classes = 1000 }, read;
	cJSON *object = cJSON_CreateObject();

	(void)state;
	assert_ok(ek_sit_config_name(&c, "SiT-XL/2"));
	assert_int_equal(c.depth * 1000000 + c.width * 100 + c.heads, 28115216);
	assert_ok(ek_sit_config_check(&c));
	assert_ok(ek_sit_config_write(object, &c));
	assert_ok(ek_sit_config_read(&read, object, "here"));
	assert_memory_equal(&read, &c, sizeof c);
	cJSON_DeleteItemFromObject(object, "heads");
	assert_fails(ek_sit_config_read(&read, object, "here"), EK_EDATA, "heads");
	assert_fails(ek_sit_config_name(&c, "SiT-M/2"), EK_EUSAGE, "SiT-S");
	assert_fails(ek_sit_config_name(&c, "SiT-S/2x"), EK_EUSAGE, "SiT-S/2x");
	assert_fails(ek_sit_config_name(&c, "SiT-S/0"), EK_EUSAGE, "SiT-S/0");
	c.side = 33;
	assert_fails(ek_sit_config_check(&c), EK_EUSAGE, "side 33");
	c.side = 32;
	c.heads = 5;
	assert_fails(ek_sit_config_check(&c), EK_EUSAGE, "5 heads");
	c.heads = 16;
	c.depth = 0;
	assert_fails(ek_sit_config_check(&c), EK_EUSAGE, "depth is 0");
	cJSON_Delete(object);
}

int main(int argc, char **argv)
{
	const int left = on_device(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_shapes_are_the_public_ones),
		cmocka_unit_test(positions_are_the_public_ones),
		cmocka_unit_test(the_start_is_the_public_one),
		cmocka_unit_test(losses_and_gradients_equal_pytorch),
		cmocka_unit_test(recomputing_changes_nothing),
		cmocka_unit_test(recomputing_takes_less_memory),
		cmocka_unit_test(files_round_trip),
		cmocka_unit_test(training_checkpoints_are_read),
		cmocka_unit_test(wrong_tensors_are_named),
		cmocka_unit_test(other_labels_start_as_none),
		cmocka_unit_test(configurations),
	};

	return left != 0 ? left : cmocka_run_group_tests(tests, NULL, NULL);
}
