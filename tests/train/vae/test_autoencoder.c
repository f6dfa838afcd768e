/* Configurations and weight files of autoencoders. */
#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "train/vae/autoencoder.h"

static const char weights[] = "diffusion_pytorch_model.safetensors";

static const struct ek_autoencoder_config small_kl = { .kind = EK_AUTOENCODER_KL,
	                                               .side = 8,
	                                               .channels = 3,
	                                               .latent_channels = 2,
	                                               .levels = 2,
	                                               .widths = { 4, 8 },
	                                               .blocks = 1,
	                                               .attention = 1,
	                                               .groups = 2,
	                                               .scale = 0.75,
	                                               .shift = -0.5 };
static const struct ek_autoencoder_config small_vq = { .kind = EK_AUTOENCODER_VQ,
	                                               .side = 12,
	                                               .channels = 1,
	                                               .latent_channels = 3,
	                                               .levels = 3,
	                                               .widths = { 4, 4, 8 },
	                                               .blocks = 2,
	                                               .groups = 4,
	                                               .codes = 16,
	                                               .code_width = 2,
	                                               .scale = 1.25 };

static const struct ek_autoencoder_config small_direct = { .kind = EK_AUTOENCODER_KL,
	                                                   .side = 8,
	                                                   .channels = 3,
	                                                   .latent_channels = 2,
	                                                   .levels = 2,
	                                                   .widths = { 4, 8 },
	                                                   .blocks = 1,
	                                                   .groups = 2,
	                                                   .no_quant = 1,
	                                                   .no_post_quant = 1,
	                                                   .scale = 1 };

static void assert_same_config(const struct ek_autoencoder_config *a, const struct ek_autoencoder_config *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->side, b->side);
	assert_int_equal(a->channels, b->channels);
	assert_int_equal(a->latent_channels, b->latent_channels);
	assert_int_equal(a->levels, b->levels);
	assert_memory_equal(a->widths, b->widths, sizeof a->widths);
	assert_int_equal(a->blocks, b->blocks);
	assert_int_equal(a->attention, b->attention);
	assert_int_equal(a->groups, b->groups);
	assert_int_equal(a->codes, b->codes);
	assert_int_equal(a->code_width, b->code_width);
	assert_int_equal(a->no_quant, b->no_quant);
	assert_int_equal(a->no_post_quant, b->no_post_quant);
	assert_true(a->scale == b->scale && a->shift == b->shift);
}

/* config.json of stabilityai/sd-vae-ft-mse, and of CompVis/ldm-celebahq-256 (vqvae), as published. */
static const char sd_vae[] =
	"{\"_class_name\": \"AutoencoderKL\", \"_diffusers_version\": \"0.4.2\", \"act_fn\": \"silu\","
	"\"block_out_channels\": [128, 256, 512, 512], \"down_block_types\": [\"DownEncoderBlock2D\","
	"\"DownEncoderBlock2D\", \"DownEncoderBlock2D\", \"DownEncoderBlock2D\"], \"in_channels\": 3,"
	"\"latent_channels\": 4, \"layers_per_block\": 2, \"norm_num_groups\": 32, \"out_channels\": 3,"
	"\"sample_size\": 256, \"up_block_types\": [\"UpDecoderBlock2D\", \"UpDecoderBlock2D\","
	"\"UpDecoderBlock2D\", \"UpDecoderBlock2D\"]}";
/* Of black-forest-labs/FLUX.1-schnell's vae, as published. */
static const char flux[] =
	"{\"_class_name\": \"AutoencoderKL\", \"_diffusers_version\": \"0.30.0.dev0\", \"act_fn\": \"silu\","
	"\"block_out_channels\": [128, 256, 512, 512], \"down_block_types\": [\"DownEncoderBlock2D\","
	"\"DownEncoderBlock2D\", \"DownEncoderBlock2D\", \"DownEncoderBlock2D\"], \"force_upcast\": true,"
	"\"in_channels\": 3, \"latent_channels\": 16, \"latents_mean\": null, \"latents_std\": null,"
	"\"layers_per_block\": 2, \"mid_block_add_attention\": true, \"norm_num_groups\": 32, \"out_channels\": 3,"
	"\"sample_size\": 1024, \"scaling_factor\": 0.3611, \"shift_factor\": 0.1159, \"up_block_types\":"
	"[\"UpDecoderBlock2D\", \"UpDecoderBlock2D\", \"UpDecoderBlock2D\", \"UpDecoderBlock2D\"],"
	"\"use_post_quant_conv\": false, \"use_quant_conv\": false}";
static const char ldm_vq[] =
	"{\"_class_name\": \"VQModel\", \"act_fn\": \"silu\", \"block_out_channels\": [128, 256, 512],"
	"\"down_block_types\": [\"DownEncoderBlock2D\", \"DownEncoderBlock2D\", \"DownEncoderBlock2D\"],"
	"\"in_channels\": 3, \"latent_channels\": 3, \"layers_per_block\": 2, \"num_vq_embeddings\": 8192,"
	"\"out_channels\": 3, \"sample_size\": 256, \"up_block_types\": [\"UpDecoderBlock2D\","
	"\"UpDecoderBlock2D\", \"UpDecoderBlock2D\"], \"vq_embed_dim\": null}";

static int read_text(struct ek_autoencoder_config *config, const char *text)
{
	cJSON *object;
	int rc;

	assert_ok(ek_json_parse(&object, text, strlen(text), "config.json"));
	rc = ek_autoencoder_config_read(config, object, "config.json");
	cJSON_Delete(object);
	return rc;
}

static void a_configuration_survives_json(void **state)
{
	const struct ek_autoencoder_config *configs[] = { &small_kl, &small_vq, &small_direct };

	for (int i = 0; i < 3; i++) {
		struct ek_autoencoder_config got;
		cJSON *object = cJSON_CreateObject();
		char *text;

		assert_ok(ek_autoencoder_config_write(object, configs[i]));
		assert_non_null(text = cJSON_Print(object));
		assert_ok(read_text(&got, text));
		assert_same_config(&got, configs[i]);
		free(text);
		cJSON_Delete(object);
	}
}

static void published_configurations_are_read(void **state)
{
	const struct ek_autoencoder_config kl = { .kind = EK_AUTOENCODER_KL,
		                                  .side = 256,
		                                  .channels = 3,
		                                  .latent_channels = 4,
		                                  .levels = 4,
		                                  .widths = { 128, 256, 512, 512 },
		                                  .blocks = 2,
		                                  .groups = 32,
		                                  .scale = 0.18215 };
	const struct ek_autoencoder_config vq = { .kind = EK_AUTOENCODER_VQ,
		                                  .side = 256,
		                                  .channels = 3,
		                                  .latent_channels = 3,
		                                  .levels = 3,
		                                  .widths = { 128, 256, 512 },
		                                  .blocks = 2,
		                                  .groups = 32,
		                                  .codes = 8192,
		                                  .code_width = 3,
		                                  .scale = 0.18215 };
	struct ek_autoencoder_config got, direct = kl;

	assert_ok(read_text(&got, sd_vae));
	assert_same_config(&got, &kl);
	direct.side = 1024;
	direct.latent_channels = 16;
	direct.no_quant = direct.no_post_quant = 1;
	direct.scale = 0.3611;
	direct.shift = 0.1159;
	assert_ok(read_text(&got, flux));
	assert_same_config(&got, &direct);
	assert_ok(read_text(&got, ldm_vq));
	assert_same_config(&got, &vq);
}

/* A word of sd_vae, what stands there instead, and what the message says. */
static const struct {
	const char *from, *to;
	int code;
	const char *message;
} bad_configs[] = {
	{ "\"AutoencoderKL\"", "\"AsymmetricAutoencoderKL\"", EK_ENOTSUP, "_class_name is AsymmetricAutoencoderKL" },
	{ "\"silu\"", "\"relu\"", EK_ENOTSUP, "act_fn is silu" },
	{ "[\"DownEncoderBlock2D\"", "[\"AttnDownEncoderBlock2D\"", EK_ENOTSUP, "has AttnDownEncoderBlock2D" },
	{ "[\"UpDecoderBlock2D\"", "[\"AttnUpDecoderBlock2D\"", EK_ENOTSUP, "lowest level alone" },
	{ "[128, 256, 512, 512]", "[128, 256]", EK_EDATA, "down_block_types is not a list as long" },
	{ "[128, 256, 512, 512]", "[]", EK_EDATA, "block_out_channels" },
	{ "[128, 256, 512, 512]", "[128, 256, 511, 512]", EK_EDATA, "config.json: autoencoder: width 511" },
	{ "\"sample_size\": 256", "\"sample_size\": 250", EK_EDATA, "side 250 is no multiple of 8" },
	{ "\"latent_channels\": 4", "\"latent_channels\": 2.5", EK_EDATA, "latent_channels" },
	{ "\"in_channels\": 3", "\"in_channels\": 1", EK_ENOTSUP, "differ" },
	{ "\"act_fn\": \"silu\"", "\"scaling_factor\": 0", EK_EDATA, "latent scale" },
	{ "\"AutoencoderKL\", \"_diffusers_version\": \"0.4.2\"", "\"VQModel\", \"use_quant_conv\": false", EK_ENOTSUP,
	  "VQModel does not know" },
};

static void other_configurations_are_refused(void **state)
{
	for (size_t i = 0; i < sizeof bad_configs / sizeof *bad_configs; i++) {
		const char *place = strstr(sd_vae, bad_configs[i].from);
		struct ek_autoencoder_config got;
		char *text;

		assert_non_null(place);
		assert_ok(ek_format(&text, "%.*s%s%s", (int)(place - sd_vae), sd_vae, bad_configs[i].to,
		                    place + strlen(bad_configs[i].from)));
		assert_fails(read_text(&got, text), bad_configs[i].code, bad_configs[i].message);
		free(text);
	}
}

static void make_model(struct ek_autoencoder *m, const struct ek_autoencoder_config *config)
{
	*m = (struct ek_autoencoder){ .config = *config };
	assert_ok(ek_autoencoder_params(&m->params, config));
	assert_ok(ek_alloc(&m->values, m->params.size, sizeof *m->values));
	ek_params_initialise(&m->params, 7, m->values);
}

static void a_saved_model_is_opened_again(void **state)
{
	const struct ek_autoencoder_config *configs[] = { &small_kl, &small_vq, &small_direct };

	for (int i = 0; i < 3; i++) {
		const char *folder = ek_scratch();
		struct ek_autoencoder m, got;

		make_model(&m, configs[i]);
		assert_ok(ek_autoencoder_save(folder, &m.config, m.values, NULL));
		assert_ok(ek_autoencoder_open(&got, folder));
		assert_same_config(&got.config, &m.config);
		assert_memory_equal(got.values, m.values, m.params.size * sizeof *m.values);
		ek_autoencoder_release(&m);
		ek_autoencoder_release(&got);
	}
}

static void a_pipelines_autoencoder_is_opened_by_whichever_name(void **state)
{
	static const char *const names[] = { weights, "diffusion_pytorch_model.fp16.safetensors" };
	const char *pipeline = ek_scratch(), *folder = ek_join(pipeline, "vae");
	struct ek_autoencoder m, got;

	make_model(&m, &small_kl);
	assert_ok(ek_make_directories(folder));
	ek_write_file(ek_join(pipeline, "model_index.json"), "{}", 2);
	assert_ok(ek_autoencoder_save(folder, &m.config, m.values, NULL));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rename(ek_join(folder, names[0]), ek_join(folder, names[i])), 0);
		assert_ok(ek_autoencoder_open(&got, pipeline));
		assert_memory_equal(got.values, m.values, m.params.size * sizeof *m.values);
		ek_autoencoder_release(&got);
	}
	ek_autoencoder_release(&m);
}

static void what_training_code_puts_before_names_is_seen_through(void **state)
{
	static const char *const before[] = { "module.", "_orig_mod.", "module._orig_mod.", "state_dict.module." };

	for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
		const char *folder = ek_scratch();
		struct ek_autoencoder m, got;

		make_model(&m, &small_kl);
		assert_ok(ek_autoencoder_save(folder, &m.config, m.values, NULL));
		ek_prefix_tensors(ek_join(folder, weights), before[i]);
		assert_ok(ek_autoencoder_open(&got, folder));
		assert_memory_equal(got.values, m.values, m.params.size * sizeof *m.values);
		ek_autoencoder_release(&m);
		ek_autoencoder_release(&got);
	}
}

/* The table under the names of older files, attention as 1 x 1 convolutions. */
static void older_names_are_read(void **state)
{
	static const char *const parts[][2] = {
		{ "to_q.", "query." }, { "to_k.", "key." }, { "to_v.", "value." }, { "to_out.0.", "proj_attn." }
	};
	const char *folder = ek_scratch();
	struct ek_params old = { 0 };
	struct ek_autoencoder m, got;
	int renamed = 0;

	make_model(&m, &small_kl);
	for (int i = 0; i < m.params.count; i++) {
		const struct ek_param *p = &m.params.items[i];
		int64_t dims[4] = { 1, 1, 1, 1 };
		char name[256];
		int rank = p->rank;

		(void)snprintf(name, sizeof name, "%s", p->name);
		memcpy(dims, p->dims, (size_t)rank * sizeof *dims);
		for (size_t j = 0; j < 4; j++) {
			const char *place = strstr(p->name, parts[j][0]);

			if (place == NULL)
				continue;
			(void)snprintf(name, sizeof name, "%.*s%s%s", (int)(place - p->name), p->name, parts[j][1],
			               place + strlen(parts[j][0]));
			rank = rank == 2 ? 4 : 1;
			renamed++;
		}
		assert_ok(ek_params_add(&old, name, rank, dims, p->init));
	}
	assert_int_equal(renamed, 8 * 5); /* of the middle twice, of the lowest level 1 + 2 times */
	assert_ok(ek_autoencoder_save(folder, &m.config, m.values, NULL));
	assert_ok(ek_params_write(ek_join(folder, weights), &old, m.values, NULL));
	assert_ok(ek_autoencoder_open(&got, folder));
	assert_memory_equal(got.values, m.values, m.params.size * sizeof *m.values);
	ek_autoencoder_release(&got);
	ek_params_release(&old);
	ek_autoencoder_release(&m);
}

static void bad_files_are_refused(void **state)
{
	struct ek_autoencoder_config wider = small_kl;
	const char *folder = ek_scratch();
	struct ek_autoencoder m, got;

	make_model(&m, &small_kl);
	assert_fails(ek_autoencoder_open(&got, folder), EK_EIO, "config.json");
	wider.attention = 0;
	assert_ok(ek_autoencoder_save(folder, &wider, m.values, NULL));
	assert_ok(ek_params_write(ek_join(folder, weights), &m.params, m.values, NULL));
	assert_fails(ek_autoencoder_open(&got, folder), EK_EDATA, "the network has no tensor");
	m.values[3] = NAN;
	assert_ok(ek_autoencoder_save(folder, &m.config, m.values, NULL));
	assert_fails(ek_autoencoder_open(&got, folder), EK_EDATA,
	             "element 3 of tensor encoder.conv_in.weight is not a finite number");
	ek_autoencoder_release(&m);
}

/* Killed between its two files, what is there is one model: the weights know their scale. */
static void scale_goes_with_the_weights(void **unused)
{
	const char *folder = ek_scratch();
	struct ek_autoencoder m, read;
	cJSON *others = NULL;
	struct ek_buffer text = { 0 };
	static const char ours[] = "{\"identity\": \"x\", \"scaling_factor\": 7}";

	assert_ok(ek_json_parse(&others, ours, strlen(ours), "test"));
	make_model(&m, &small_kl);
	m.config.scale = 0.1234567890123456789;
	assert_ok(ek_autoencoder_save(folder, &m.config, m.values, others));
	assert_ok(ek_file_read(&text, ek_join(folder, "config.json"), 1 << 20));
	assert_non_null(strstr(text.data, "\"identity\""));
	assert_null(strstr(text.data, "\"scaling_factor\": 7"));
	ek_buffer_release(&text);
	assert_int_equal(rename(ek_join(folder, weights), ek_join(folder, "old")), 0);
	m.config.scale = 2;
	assert_ok(ek_autoencoder_save(folder, &m.config, m.values, NULL));
	assert_int_equal(rename(ek_join(folder, "old"), ek_join(folder, weights)), 0);
	assert_ok(ek_autoencoder_open(&read, folder));
	assert_true(read.config.scale == 0.1234567890123456789);
	ek_autoencoder_release(&read);
	ek_autoencoder_release(&m);
	cJSON_Delete(others);
}

EK_TEST_MAIN(cmocka_unit_test(a_configuration_survives_json), cmocka_unit_test(published_configurations_are_read),
             cmocka_unit_test(other_configurations_are_refused), cmocka_unit_test(a_saved_model_is_opened_again),
             cmocka_unit_test(a_pipelines_autoencoder_is_opened_by_whichever_name),
             cmocka_unit_test(what_training_code_puts_before_names_is_seen_through),
             cmocka_unit_test(scale_goes_with_the_weights), cmocka_unit_test(older_names_are_read),
             cmocka_unit_test(bad_files_are_refused))
