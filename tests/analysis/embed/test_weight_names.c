/* Which tensors an encoder takes, and what it says of others. */

#include "analysis/embed/model.h"
#include "analysis/embed/preprocess.h"
#include "rebalance/base/memory.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"

static cJSON *network_of(const char *encoder)
{
	cJSON *golden = ek_golden("encoders");
	cJSON *network =
		cJSON_DetachItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(golden, "networks"), encoder);

	assert_non_null(network);
	cJSON_Delete(golden);
	return network;
}

static int try_model(const char *name, const char *weights)
{
	const struct ek_encoder *encoder;
	struct ek_preprocessing p;
	struct ek_model *model = NULL;
	int rc;

	assert_ok(ek_encoder_find(&encoder, name));
	assert_ok(ek_encoder_preprocessing(&p, encoder, 0, 32));
	rc = ek_model_new(&model, encoder, &p, weights, EK_NN_F32, 1);
	assert_true((rc == 0) == (model != NULL));
	ek_model_free(model);
	return rc;
}

static void the_wrong_tensors_are_named(void **state)
{
	const char *path = ek_join(ek_scratch(), "model.safetensors");
	cJSON *network = network_of("efficientnet-lite0");
	cJSON *tensors = cJSON_GetObjectItemCaseSensitive(network, "tensors");
	cJSON *taken;

	taken = cJSON_DetachItemFromObjectCaseSensitive(tensors, "_blocks.7._bn1.running_var");
	assert_ok(ek_random_weights_write(path, network));
	assert_fails(try_model("efficientnet-lite0", path), EK_EDATA, "_blocks.7._bn1.running_var");
	assert_non_null(strstr(ek_error_message(), "model.safetensors"));

	assert_true(cJSON_AddItemToObject(tensors, "_blocks.7._bn1.running_vary", taken));
	assert_true(cJSON_AddItemToObject(tensors, "_blocks.7._bn1.running_var", cJSON_Duplicate(taken, 1)));
	assert_ok(ek_random_weights_write(path, network));
	assert_fails(try_model("efficientnet-lite0", path), EK_EDATA, "no tensor _blocks.7._bn1.running_vary");

	cJSON_DeleteItemFromObject(tensors, "_blocks.7._bn1.running_vary");
	assert_ok(ek_random_weights_write(path, network));
	assert_ok(try_model("efficientnet-lite0", path));

	cJSON_SetNumberValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(tensors, "_conv_head.weight"), 0),
	                     1281);
	assert_ok(ek_random_weights_write(path, network));
	assert_fails(try_model("efficientnet-lite0", path), EK_EDATA, "_conv_head.weight");
	cJSON_Delete(network);
}

static void another_networks_file_is_refused(void **state)
{
	const char *path = ek_join(ek_scratch(), "model.safetensors");
	cJSON *network = network_of("efficientnet-lite0");

	assert_ok(ek_random_weights_write(path, network));
	assert_fails(try_model("inception-fid", path), EK_EDATA, "Conv2d_1a_3x3.conv.weight");
	assert_fails(try_model("dinov2-vits14", path), EK_EDATA, "embeddings.position_embeddings");
	cJSON_Delete(network);
}

/* Names of the original release of DINOv2 and what they are made from. */
static const struct {
	const char *theirs, *ours[3];
} original[] = {
	{ "cls_token", { "embeddings.cls_token" } },
	{ "mask_token", { "embeddings.mask_token" } },
	{ "register_tokens", { "embeddings.register_tokens" } },
	{ "pos_embed", { "embeddings.position_embeddings" } },
	{ "patch_embed.proj.weight", { "embeddings.patch_embeddings.projection.weight" } },
	{ "patch_embed.proj.bias", { "embeddings.patch_embeddings.projection.bias" } },
	{ "blocks.%d.norm1.weight", { "encoder.layer.%d.norm1.weight" } },
	{ "blocks.%d.norm1.bias", { "encoder.layer.%d.norm1.bias" } },
	{ "blocks.%d.attn.qkv.weight",
	  { "encoder.layer.%d.attention.attention.query.weight", "encoder.layer.%d.attention.attention.key.weight",
	    "encoder.layer.%d.attention.attention.value.weight" } },
	{ "blocks.%d.attn.qkv.bias",
	  { "encoder.layer.%d.attention.attention.query.bias", "encoder.layer.%d.attention.attention.key.bias",
	    "encoder.layer.%d.attention.attention.value.bias" } },
	{ "blocks.%d.attn.proj.weight", { "encoder.layer.%d.attention.output.dense.weight" } },
	{ "blocks.%d.attn.proj.bias", { "encoder.layer.%d.attention.output.dense.bias" } },
	{ "blocks.%d.ls1.gamma", { "encoder.layer.%d.layer_scale1.lambda1" } },
	{ "blocks.%d.norm2.weight", { "encoder.layer.%d.norm2.weight" } },
	{ "blocks.%d.norm2.bias", { "encoder.layer.%d.norm2.bias" } },
	{ "blocks.%d.mlp.fc1.weight", { "encoder.layer.%d.mlp.fc1.weight" } },
	{ "blocks.%d.mlp.fc1.bias", { "encoder.layer.%d.mlp.fc1.bias" } },
	{ "blocks.%d.mlp.fc2.weight", { "encoder.layer.%d.mlp.fc2.weight" } },
	{ "blocks.%d.mlp.fc2.bias", { "encoder.layer.%d.mlp.fc2.bias" } },
	{ "blocks.%d.ls2.gamma", { "encoder.layer.%d.layer_scale2.lambda1" } },
	{ "norm.weight", { "layernorm.weight" } },
	{ "norm.bias", { "layernorm.bias" } },
};

static cJSON *renamed(const cJSON *network)
{
	const cJSON *tensors = cJSON_GetObjectItemCaseSensitive(network, "tensors");
	cJSON *copy = cJSON_CreateObject(), *list = cJSON_AddObjectToObject(copy, "tensors");

	assert_non_null(cJSON_AddNumberToObject(
		copy, "layers", cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(network, "layers"))));
	for (size_t i = 0; i < sizeof original / sizeof *original; i++) {
		const int parts = original[i].ours[1] != NULL ? 3 : 1;
		cJSON *entry = cJSON_AddObjectToObject(list, original[i].theirs), *first;
		const cJSON *shape = cJSON_GetObjectItemCaseSensitive(tensors, original[i].ours[0]);

		assert_non_null(shape);
		assert_true(cJSON_AddItemToObject(entry, "shape", cJSON_Duplicate(shape, 1)));
		first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(entry, "shape"), 0);
		cJSON_SetNumberValue(first, first->valuedouble * parts);
		assert_true(cJSON_AddItemToObject(
			entry, "from", cJSON_CreateStringArray((const char *const *)original[i].ours, parts)));
	}
	return copy;
}

static void embed_one(float *features, size_t dimensions, const char *name, const char *weights)
{
	const struct ek_encoder *encoder;
	struct ek_preprocessing p;
	struct ek_model *model = NULL;
	struct ek_model_state *s = NULL;
	uint8_t *input = NULL;

	assert_ok(ek_encoder_find(&encoder, name));
	assert_ok(ek_encoder_preprocessing(&p, encoder, 98, 0));
	assert_int_equal(ek_encoder_dimensions(encoder, &p), dimensions);
	assert_ok(ek_alloc_aligned(&input, 1, ek_preprocessed_size(&p)));
	ek_random_image(input, 0, p.side, p.side);
	assert_ok(ek_model_new(&model, encoder, &p, weights, EK_NN_F32, 1));
	assert_ok(ek_model_state_new(&s, model));
	assert_ok(ek_model_run(model, s, input, 1, features));
	ek_model_state_free(s);
	ek_model_free(model);
	free(input);
}

static void both_namings_of_dinov2_give_the_same_features(void **state)
{
	enum { DIMENSIONS = 384 };
	static float published[DIMENSIONS], original_names[DIMENSIONS];
	const char *folder = ek_scratch();
	const char *a = ek_join(folder, "model.safetensors"), *b = ek_join(folder, "original.safetensors");
	cJSON *network = network_of("dinov2-vits14-reg"), *other = renamed(network);

	assert_ok(ek_random_weights_write(a, network));
	assert_ok(ek_random_weights_write(b, other));
	embed_one(published, DIMENSIONS, "dinov2-vits14-reg", a);
	embed_one(original_names, DIMENSIONS, "dinov2-vits14-reg", b);
	assert_memory_equal(published, original_names, sizeof published);
	/* Registers make another network. */
	assert_fails(try_model("dinov2-vits14", a), EK_EDATA, "embeddings.register_tokens");
	cJSON_Delete(network);
	cJSON_Delete(other);
}

/* As training code saves it: {"epoch", "state_dict": {"module.…"}, "optimizer"}. */
static void a_prefix_of_training_code_is_seen_through(void **state)
{
	enum { DIMENSIONS = 384 };
	static float plain[DIMENSIONS], prefixed[DIMENSIONS];
	const char *folder = ek_scratch();
	const char *a = ek_join(folder, "plain.safetensors"), *b = ek_join(folder, "prefixed.safetensors");
	cJSON *network = network_of("dinov2-vits14-reg"), *other = cJSON_Duplicate(network, 1), *tensor, *entry;
	cJSON *list = cJSON_CreateObject();

	cJSON_ArrayForEach(tensor, cJSON_GetObjectItemCaseSensitive(other, "tensors"))
	{
		char name[256];

		(void)snprintf(name, sizeof name, "state_dict.module.%s", tensor->string);
		entry = cJSON_AddObjectToObject(list, name);
		assert_true(cJSON_AddItemToObject(entry, "shape", cJSON_Duplicate(tensor, 1)));
		assert_true(cJSON_AddItemToObject(entry, "from",
		                                  cJSON_CreateStringArray((const char *const[]){ tensor->string }, 1)));
	}
	assert_true(cJSON_AddItemToObject(list, "optimizer.state.0.exp_avg",
	                                  cJSON_CreateIntArray((const int[]){ 3, 2 }, 2)));
	assert_true(cJSON_ReplaceItemInObjectCaseSensitive(other, "tensors", list));
	assert_ok(ek_random_weights_write(a, network));
	assert_ok(ek_random_weights_write(b, other));
	embed_one(plain, DIMENSIONS, "dinov2-vits14-reg", a);
	embed_one(prefixed, DIMENSIONS, "dinov2-vits14-reg", b);
	assert_memory_equal(plain, prefixed, sizeof plain);
	/* What lies behind the prefix and is nobody's is still named. */
	assert_true(cJSON_AddItemToObject(list, "state_dict.module.head.weight",
	                                  cJSON_CreateIntArray((const int[]){ 3, 2 }, 2)));
	assert_ok(ek_random_weights_write(b, other));
	assert_fails(try_model("dinov2-vits14-reg", b), EK_EDATA, "no tensor state_dict.head.weight");
	cJSON_Delete(network);
	cJSON_Delete(other);
}

static void every_family_sees_through_a_prefix(void **state)
{
	static const char *const encoders[] = { "efficientnet-lite0", "inception-fid", "dinov2-vits14" };

	for (size_t i = 0; i < 3; i++) {
		const char *path = ek_join(ek_scratch(), "model.safetensors");
		cJSON *network = network_of(encoders[i]);

		assert_ok(ek_random_weights_write(path, network));
		ek_prefix_tensors(path, "module._orig_mod.");
		assert_ok(try_model(encoders[i], path));
		ek_prefix_tensors(path, "state_dict.");
		assert_ok(try_model(encoders[i], path));
		cJSON_Delete(network);
	}
}

EK_TEST_MAIN(cmocka_unit_test(the_wrong_tensors_are_named), cmocka_unit_test(another_networks_file_is_refused),
             cmocka_unit_test(both_namings_of_dinov2_give_the_same_features),
             cmocka_unit_test(a_prefix_of_training_code_is_seen_through),
             cmocka_unit_test(every_family_sees_through_a_prefix))
