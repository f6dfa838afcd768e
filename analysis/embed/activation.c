#include "analysis/embed/activation.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/json.h"
#include "rebalance/base/log.h"

static const struct {
	const char *name;
	enum ek_nn_activation activation;
} activations[] = {
	{ "gelu", EK_NN_GELU_ERF },
	{ "quick_gelu", EK_NN_QUICK_GELU },
	{ "gelu_new", EK_NN_GELU_TANH },
	{ "gelu_pytorch_tanh", EK_NN_GELU_TANH },
};
enum { ACTIVATIONS = sizeof activations / sizeof *activations };

/* "clip" of clip-vit-b32: what the model_type of its family starts with. */
static int is_family(const struct ek_encoder *encoder, const cJSON *config)
{
	const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "model_type"));

	return type == NULL || strncmp(type, encoder->name, strcspn(encoder->name, "-")) == 0;
}

static int take_hidden_act(const char **name, const struct ek_encoder *encoder, const cJSON *config, const char *where)
{
	const cJSON *vision = cJSON_GetObjectItemCaseSensitive(config, "vision_config");
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(cJSON_IsObject(vision) ? vision : config, "hidden_act");

	if (item == NULL || cJSON_IsNull(item) || !is_family(encoder, config))
		return 0;
	for (int i = 0; cJSON_IsString(item) && i < ACTIVATIONS; i++)
		if (strcmp(item->valuestring, activations[i].name) == 0) {
			*name = activations[i].name;
			return 0;
		}
	return ek_fail(EK_ENOTSUP, "%s: hidden_act is %s; gelu, quick_gelu and gelu_new are done here", where,
	               cJSON_IsString(item) ? item->valuestring : "no text");
}

static int take_quick_gelu(const char **name, const struct ek_encoder *encoder, const cJSON *config, const char *where)
{
	const cJSON *model = cJSON_GetObjectItemCaseSensitive(config, "model_cfg");

	(void)encoder;
	(void)where;
	if (cJSON_IsObject(model))
		*name = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(model, "quick_gelu")) ? "quick_gelu" : "gelu";
	return 0;
}

static const struct {
	const char *file;
	int (*take)(const char **name, const struct ek_encoder *encoder, const cJSON *config, const char *where);
} configs[] = { { "config.json", take_hidden_act }, { "open_clip_config.json", take_quick_gelu } };

int ek_activation_find(const char **name, int *said, const struct ek_encoder *encoder, const char *weights)
{
	const char *slash = strrchr(weights, '/');
	const int folder = slash != NULL ? (int)(slash - weights) + 1 : 0;
	const char *found = NULL;
	char *path = NULL;
	cJSON *config = NULL;
	int rc = 0;

	for (size_t i = 0; i < sizeof configs / sizeof *configs && found == NULL; i++) {
		free(path);
		EK_TRY(ek_format(&path, "%.*s%s", folder, weights, configs[i].file));
		if (!ek_file_exists(path))
			continue;
		EK_TRY(ek_json_load(&config, path));
		EK_TRY(configs[i].take(&found, encoder, config, path));
		cJSON_Delete(config);
		config = NULL;
	}
	*said = found != NULL;
	*name = found != NULL ? found : encoder->activation;
out:
	cJSON_Delete(config);
	free(path);
	return rc;
}

int ek_activation_choose(enum ek_nn_activation *out, const struct ek_encoder *encoder, const char *weights, int unsaid)
{
	const char *name;
	int said, rc;

	if ((rc = ek_activation_find(&name, &said, encoder, weights)) < 0)
		return rc;
	*out = EK_NN_LINEAR;
	for (int i = 0; i < ACTIVATIONS; i++)
		if (strcmp(activations[i].name, name) == 0)
			*out = activations[i].activation;
	if (!said && unsaid)
		ek_warn("%s does not say its activation and no open_clip_config.json or config.json is beside it: "
		        "taken for OpenAI's, with %s. If it is one of LAION's or others of open_clip, write "
		        "{\"hidden_act\": \"gelu\"} into a config.json beside it",
		        weights, name);
	return 0;
}
