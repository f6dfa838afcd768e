/* Models in files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "train/vae/autoencoder.h"

static const char safetensors[] = "diffusion_pytorch_model.safetensors";
static const char scale_name[] = "scaling_factor";

void ek_autoencoder_release(struct ek_autoencoder *model)
{
	ek_params_release(&model->params);
	free(model->values);
	*model = (struct ek_autoencoder){ 0 };
}

/* Attention blocks before diffusers 0.15. */
static int old_name(char *out, size_t size, const char *name, int attempt)
{
	static const char *const parts[][2] = {
		{ ".to_q.", ".query." }, { ".to_k.", ".key." }, { ".to_v.", ".value." }, { ".to_out.0.", ".proj_attn." }
	};

	for (size_t i = 0; attempt == 0 && i < sizeof parts / sizeof *parts; i++) {
		const char *place = strstr(name, parts[i][0]);

		if (place == NULL)
			continue;
		(void)snprintf(out, size, "%.*s%s%s", (int)(place - name), name, parts[i][1],
		               place + strlen(parts[i][0]));
		return 1;
	}
	return 0;
}

/* `*scale` = that of the file, if it says so. */
static int read_weights(float *values, double *scale, const struct ek_params *params, const char *weights)
{
	struct ek_params_names names = { .other = old_name };
	struct ek_tensor_file file = { 0 };
	const char *text;
	int rc;

	EK_TRY(ek_tensor_file_open(&file, weights));
	names.prefix = ek_tensor_prefix(&file, "decoder.conv_in.weight");
	EK_TRY(ek_params_read(values, params, &file, &names));
	text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file.metadata, scale_name));
	if (text != NULL && strtod(text, NULL) > 0)
		*scale = strtod(text, NULL);
out:
	ek_tensor_file_close(&file);
	return rc;
}

static int read_config(struct ek_autoencoder_config *config, const char *folder)
{
	char *path = NULL;
	cJSON *object = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/config.json", folder));
	EK_TRY(ek_json_load(&object, path));
	EK_TRY(ek_autoencoder_config_read(config, object, path));
out:
	cJSON_Delete(object);
	free(path);
	return rc;
}

/* `*out` = the folder, or the vae/ of a whole pipeline. */
static int find_folder(char **out, const char *folder)
{
	char *index = NULL;
	int rc;

	EK_TRY(ek_format(&index, "%s/model_index.json", folder));
	EK_TRY(ek_file_exists(index));
	EK_TRY(rc == 1 ? ek_format(out, "%s/vae", folder) : ek_copy_string(out, folder));
out:
	free(index);
	return rc;
}

/* `*out` = the first of the names that diffusers gives that is there, or the usual one. */
static int find_weights(char **out, const char *folder)
{
	static const char *const others[] = { "diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.bin",
		                              "diffusion_pytorch_model.fp16.bin" };
	int rc;

	EK_TRY(ek_format(out, "%s/%s", folder, safetensors));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		char *other;

		EK_TRY(ek_file_exists(*out));
		if (rc == 1)
			break;
		EK_TRY(ek_format(&other, "%s/%s", folder, others[i]));
		if (ek_file_exists(other) == 1) {
			free(*out);
			*out = other;
		} else {
			free(other);
		}
	}
	rc = 0;
out:
	return rc;
}

int ek_autoencoder_open(struct ek_autoencoder *model, const char *given)
{
	struct ek_autoencoder m = { 0 };
	char *folder = NULL, *path = NULL;
	int rc;

	EK_TRY(find_folder(&folder, given));
	EK_TRY(read_config(&m.config, folder));
	EK_TRY(ek_autoencoder_params(&m.params, &m.config));
	EK_TRY(ek_alloc_aligned(&m.values, m.params.size, sizeof *m.values));
	EK_TRY(find_weights(&path, folder));
	EK_TRY(read_weights(m.values, &m.config.scale, &m.params, path));
	*model = m;
	m = (struct ek_autoencoder){ 0 };
out:
	free(path);
	free(folder);
	ek_autoencoder_release(&m);
	return rc;
}

static int save_config(const char *path, const struct ek_autoencoder_config *config, const cJSON *others)
{
	cJSON *object = cJSON_CreateObject();
	const cJSON *item;
	int rc;

	EK_TRY(ek_autoencoder_config_write(object, config));
	cJSON_ArrayForEach(item, others)
	{
		if (cJSON_GetObjectItemCaseSensitive(object, item->string) == NULL)
			EK_TRY(ek_json_add_item(object, item->string, cJSON_Duplicate(item, 1)));
	}
	EK_TRY(ek_json_save(object, path));
out:
	cJSON_Delete(object);
	return rc;
}

int ek_autoencoder_save(const char *folder, const struct ek_autoencoder_config *config, const float *values,
                        const cJSON *others)
{
	struct ek_params params = { 0 };
	char *path = NULL, *config_path = NULL, scale[32];
	cJSON *metadata = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_string(metadata, "format", "pt")); /* Python's readers ask for it */
	(void)snprintf(scale, sizeof scale, "%.17g", config->scale);
	EK_TRY(ek_json_add_string(metadata, scale_name, scale));
	EK_TRY(ek_autoencoder_params(&params, config));
	EK_TRY(ek_format(&path, "%s/%s", folder, safetensors));
	EK_TRY(ek_format(&config_path, "%s/config.json", folder));
	EK_TRY(save_config(config_path, config, others));
	EK_TRY(ek_params_write(path, &params, values, metadata));
out:
	cJSON_Delete(metadata);
	ek_params_release(&params);
	free(path);
	free(config_path);
	return rc;
}
