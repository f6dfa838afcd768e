#include "analysis/embed/activation.h"
#include "tests/support/support.h"

/* Expected: what transformers and open_clip make of these files. */
static const struct {
	const char *encoder, *config, *open_clip, *name;
	int said;
} cases[] = {
	{ "clip-vit-b32", NULL, NULL, "quick_gelu", 0 },
	{ "dinov2-vits14", NULL, NULL, "gelu", 0 },
	/* laion/CLIP-ViT-B-32-laion2B-s34B-b79K, openai/clip-vit-base-patch32 */
	{ "clip-vit-b32", "{\"model_type\":\"clip\",\"vision_config\":{\"hidden_act\":\"gelu\"}}", NULL, "gelu", 1 },
	{ "clip-vit-b32", "{\"model_type\":\"clip\",\"vision_config\":{\"hidden_act\":\"quick_gelu\"}}", NULL,
	  "quick_gelu", 1 },
	{ "clip-vit-b32", "{\"model_type\":\"clip\",\"vision_config\":{}}", NULL, "quick_gelu", 0 },
	/* CLIPVisionModelWithProjection, and by hand */
	{ "clip-vit-l14", "{\"model_type\":\"clip_vision_model\",\"hidden_act\":\"gelu\"}", NULL, "gelu", 1 },
	{ "clip-vit-l14", "{\"hidden_act\":\"gelu_new\"}", NULL, "gelu_new", 1 },
	/* of another file in the same folder */
	{ "clip-vit-b32", "{\"model_type\":\"dinov2\",\"hidden_act\":\"gelu\"}", NULL, "quick_gelu", 0 },
	{ "dinov2-vits14-reg", "{\"model_type\":\"dinov2_with_registers\",\"hidden_act\":\"gelu\"}", NULL, "gelu", 1 },
	/* open_clip's, alone and beside timm's config.json */
	{ "clip-vit-b32", NULL, "{\"model_cfg\":{\"embed_dim\":512}}", "gelu", 1 },
	{ "clip-vit-b32", "{\"architecture\":\"vit_base_patch32_clip_quickgelu_224\"}",
	  "{\"model_cfg\":{\"quick_gelu\":true}}", "quick_gelu", 1 },
	{ "clip-vit-b32", "{\"hidden_act\":\"quick_gelu\"}", "{\"model_cfg\":{}}", "quick_gelu", 1 },
};

static void put(const char *path, const char *text)
{
	if (text != NULL)
		ek_write_file(path, text, strlen(text));
	else
		(void)remove(path);
}

static void a_file_beside_the_weights_says_it(void **state)
{
	const char *folder = ek_scratch(), *weights = ek_join(folder, "model.safetensors");

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct ek_encoder *encoder;
		const char *name = NULL;
		int said = -1;

		print_message("%s %s %s\n", cases[i].encoder, cases[i].config, cases[i].open_clip);
		put(ek_join(folder, "config.json"), cases[i].config);
		put(ek_join(folder, "open_clip_config.json"), cases[i].open_clip);
		assert_ok(ek_encoder_find(&encoder, cases[i].encoder));
		assert_ok(ek_activation_find(&name, &said, encoder, weights));
		assert_string_equal(name, cases[i].name);
		assert_int_equal(said, cases[i].said);
	}
}

static void what_is_not_known_is_refused(void **state)
{
	const char *folder = ek_scratch(), *weights = ek_join(folder, "model.safetensors"), *name;
	const struct ek_encoder *encoder;
	int said;

	assert_ok(ek_encoder_find(&encoder, "clip-vit-b32"));
	put(ek_join(folder, "config.json"), "{\"hidden_act\":\"relu\"}");
	assert_fails(ek_activation_find(&name, &said, encoder, weights), EK_ENOTSUP, "config.json: hidden_act is relu");
	put(ek_join(folder, "config.json"), "{\"hidden_act\":1}");
	assert_fails(ek_activation_find(&name, &said, encoder, weights), EK_ENOTSUP, "hidden_act is no text");
	put(ek_join(folder, "config.json"), "{\"hidden_act\"");
	assert_fails(ek_activation_find(&name, &said, encoder, weights), EK_EDATA, "config.json");
}

static void every_name_has_its_activation(void **state)
{
	static const struct {
		const char *config;
		enum ek_nn_activation activation;
	} rows[] = {
		{ "{\"hidden_act\":\"gelu\"}", EK_NN_GELU_ERF },
		{ "{\"hidden_act\":\"quick_gelu\"}", EK_NN_QUICK_GELU },
		{ "{\"hidden_act\":\"gelu_new\"}", EK_NN_GELU_TANH },
	};
	const char *folder = ek_scratch(), *weights = ek_join(folder, "model.safetensors");
	const struct ek_encoder *encoder;
	enum ek_nn_activation got;

	assert_ok(ek_encoder_find(&encoder, "clip-vit-b32"));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put(ek_join(folder, "config.json"), rows[i].config);
		assert_ok(ek_activation_choose(&got, encoder, weights, 1));
		assert_int_equal(got, rows[i].activation);
	}
}

EK_TEST_MAIN(cmocka_unit_test(a_file_beside_the_weights_says_it), cmocka_unit_test(what_is_not_known_is_refused),
             cmocka_unit_test(every_name_has_its_activation))
