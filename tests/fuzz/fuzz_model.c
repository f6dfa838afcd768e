/* Any bytes as a model's config.json, of a generator and of an autoencoder: what is read describes a network that can
 * be laid out, and is described as it was read. */

#include "rebalance/pipeline/flow_model.h"
#include "tests/support/support.h"
#include "train/vae/autoencoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Through text, as a file. */
static cJSON *reread(cJSON *json)
{
	char *text = cJSON_PrintUnformatted(json);
	cJSON *again;

	assert_non_null(text);
	assert_ok(ek_json_parse(&again, text, strlen(text), "back"));
	cJSON_free(text);
	cJSON_Delete(json);
	return again;
}

static void read_generator(const cJSON *config)
{
	struct ek_flow_description d = { 0 }, back = { 0 };
	struct ek_params params = { 0 };
	cJSON *again = NULL;

	if (ek_flow_read(&d, config, "fuzz") == 0) {
		(void)ek_sit_params(&params, &d.model);
		assert_ok(ek_flow_describe(&again, &d));
		again = reread(again);
		assert_ok(ek_flow_read(&back, again, "back"));
		if (memcmp(&d.model, &back.model, sizeof d.model) != 0 || d.classes != back.classes)
			abort();
	}
	ek_params_release(&params);
	free((void *)(uintptr_t)d.names);
	free((void *)(uintptr_t)back.names);
	cJSON_Delete(again);
}

static void read_autoencoder(const cJSON *config)
{
	struct ek_autoencoder_config c, back;
	struct ek_params params = { 0 };
	cJSON *again;

	if (ek_autoencoder_config_read(&c, config, "fuzz") < 0)
		return;
	(void)ek_autoencoder_params(&params, &c);
	ek_params_release(&params);
	again = cJSON_CreateObject();
	assert_ok(ek_autoencoder_config_write(again, &c));
	again = reread(again);
	assert_ok(ek_autoencoder_config_read(&back, again, "back"));
	cJSON_Delete(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	cJSON *config;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	if (ek_json_parse(&config, text, size, "fuzz") == 0) {
		read_generator(config);
		read_autoencoder(config);
		cJSON_Delete(config);
	}
	free(text);
	return 0;
}
