/* Text features against transformers' and open_clip's, of tests/golden/make_clip_tower.py: of small networks, and of
 * one as large as CLIP ViT-B/32's. */

#include "analysis/embed/clip_tokenizer.h"
#include "analysis/embed/clip_tower.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"

static size_t tokenize(int32_t **tokens, const cJSON *prompts)
{
	struct ek_clip_tokenizer *t = NULL;
	const cJSON *prompt;
	size_t count = 0;

	assert_ok(ek_alloc(tokens, (size_t)cJSON_GetArraySize(prompts) * EK_CLIP_CONTEXT, sizeof **tokens));
	assert_ok(ek_clip_tokenizer_new(&t));
	cJSON_ArrayForEach(prompt, prompts)
	{
		assert_ok(ek_clip_tokenize(*tokens + count++ * EK_CLIP_CONTEXT, NULL, t, prompt->valuestring,
		                           strlen(prompt->valuestring)));
	}
	ek_clip_tokenizer_free(t);
	return count;
}

static void write_case(const char *folder, const cJSON *item)
{
	char text[64];

	assert_ok(ek_random_weights_write(ek_join(folder, "model.safetensors"), ek_golden_member(item, "network")));
	(void)snprintf(text, sizeof text, "{\"hidden_act\": \"%s\"}",
	               ek_golden_member(item, "activation")->valuestring);
	ek_write_file(ek_join(folder, "config.json"), text, strlen(text));
}

/* |got - want| / |want| over all prompts. */
static double distance(const float *got, const cJSON *values, size_t features)
{
	const cJSON *row, *value;
	double difference = 0, norm = 0;
	size_t i = 0;

	cJSON_ArrayForEach(row, values)
	{
		assert_int_equal(cJSON_GetArraySize(row), features);
		cJSON_ArrayForEach(value, row)
		{
			const double d = (double)got[i++] - value->valuedouble;

			difference += d * d;
			norm += value->valuedouble * value->valuedouble;
		}
	}
	return sqrt(difference / norm);
}

/* Tolerance: f32 is one draw of the rounding of float32, whose order of sums is another here; 8 times it is still 1e3
 * times less than another activation makes. */
static void check(const cJSON *item, const int32_t *tokens, size_t count)
{
	const double f32 = ek_golden_member(item, "f32")->valuedouble;
	const double wrong = ek_golden_member(ek_golden_member(item, "others"), "activation")->valuedouble;
	const size_t features = (size_t)ek_golden_member(item, "features")->valueint;
	const char *folder = ek_scratch();
	struct ek_clip_tower *t = NULL;
	float *got = calloc(count, features * sizeof *got), *again = calloc(count, features * sizeof *again);
	double error;

	write_case(folder, item);
	assert_ok(ek_clip_tower_open(&t, ek_join(folder, "model.safetensors")));
	assert_int_equal(ek_clip_tower_features(t), features);
	assert_ok(ek_clip_tower_encode(t, got, tokens, count));
	error = distance(got, ek_golden_member(item, "values"), features);
	print_message("%s: %.2g, float32 elsewhere %.2g\n", ek_golden_member(item, "name")->valuestring, error, f32);
	assert_true(error <= 8 * f32);
	assert_true(8 * f32 < wrong / 100);
	ek_threads_set(1);
	assert_ok(ek_clip_tower_encode(t, again, tokens, count));
	ek_threads_set(0);
	assert_memory_equal(got, again, count * features * sizeof *got);
	ek_clip_tower_close(t);
	free(got);
	free(again);
}

static void text_features_are_those_of_others(void **state)
{
	cJSON *golden = ek_golden("clip_tower");
	const cJSON *item;
	int32_t *tokens = NULL;
	const size_t count = tokenize(&tokens, ek_golden_member(golden, "prompts"));

	assert_int_equal(cJSON_GetArraySize(ek_golden_member(golden, "cases")), 5);
	cJSON_ArrayForEach(item, ek_golden_member(golden, "cases")) check(item, tokens, count);
	free(tokens);
	cJSON_Delete(golden);
}

/* The first case without, or with another, of its tensors. */
static void refused(const cJSON *golden, const char *tensor, const int *shape, int dimensions, const char *message)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "model.safetensors");
	cJSON *item = cJSON_Duplicate(cJSON_GetArrayItem(ek_golden_member(golden, "cases"), 0), 1);
	cJSON *tensors = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(item, "network"), "tensors");
	const int32_t tokens[EK_CLIP_CONTEXT] = { EK_CLIP_START, EK_CLIP_END };
	struct ek_clip_tower *t = NULL;
	float features[32];
	int rc;

	cJSON_DeleteItemFromObjectCaseSensitive(tensors, tensor);
	if (shape != NULL)
		assert_true(cJSON_AddItemToObject(tensors, tensor, cJSON_CreateIntArray(shape, dimensions)));
	write_case(folder, item);
	if ((rc = ek_clip_tower_open(&t, path)) == 0)
		rc = ek_clip_tower_encode(t, features, tokens, 1);
	assert_fails(rc, EK_EDATA, message);
	assert_non_null(strstr(ek_error_message(), "model.safetensors"));
	ek_clip_tower_close(t);
	cJSON_Delete(item);
}

static void what_is_no_text_tower_is_told(void **state)
{
	static const char table[] = "text_model.embeddings.token_embedding.weight";
	cJSON *golden = ek_golden("clip_tower");

	refused(golden, table, NULL, 0, "has no text tower of CLIP's");
	refused(golden, table, (const int[]){ 30522, 128 }, 2, "has not the 49408 rows");
	refused(golden, "logit_scale", NULL, 0, "logit_scale");
	refused(golden, "text_projection.weight", NULL, 0, "text_projection.weight");
	refused(golden, "text_projection.weight", (const int[]){ 32, 64 }, 2, "text_projection.weight");
	refused(golden, "text_model.encoder.layers.%d.mlp.fc1.weight", NULL, 0, "layers.0.mlp.fc1.weight");
	refused(golden, "text_model.encoder.layers.%d.layer_norm1.weight", NULL, 0, "layers.0.layer_norm1.weight");
	refused(golden, "text_model.embeddings.position_embedding.weight", (const int[]){ 77, 100 }, 2,
	        "width 100 is no multiple of 64");
	cJSON_Delete(golden);
}

EK_TEST_MAIN(cmocka_unit_test(text_features_are_those_of_others), cmocka_unit_test(what_is_no_text_tower_is_told))
