/* Shapes, and diffusers' config.json. */
#include <string.h>

#include "rebalance/base/error.h"
#include "train/vae/autoencoder.h"

enum { SIDE_MAX = 4096, WIDTH_MAX = 4096, CODES_MAX = 1 << 20 };

static const char *const classes[] = { "AutoencoderKL", "VQModel" };
static const char *const plain_blocks[] = { "DownEncoderBlock2D", "UpDecoderBlock2D" };
static const char *const attention_blocks[] = { "AttnDownEncoderBlock2D", "AttnUpDecoderBlock2D" };
static const char *const block_keys[] = { "down_block_types", "up_block_types" };

int ek_autoencoder_factor(const struct ek_autoencoder_config *config)
{
	return 1 << (config->levels - 1);
}

double ek_autoencoder_work(const struct ek_autoencoder_config *c)
{
	const int taps = 9, convolutions = 2 * (c->blocks + c->blocks + 1); /* of a level, on both ways */
	double sum = 0;

	for (int i = 0; i < c->levels; i++) {
		const double side = c->side >> i, width = c->widths[i];

		sum += convolutions * taps * side * side * width * width;
	}
	return sum;
}

struct ek_net_shape ek_autoencoder_latent_shape(const struct ek_autoencoder_config *config)
{
	const int side = config->side / ek_autoencoder_factor(config);

	return (struct ek_net_shape){ side, side,
		                      config->kind == EK_AUTOENCODER_KL ? config->latent_channels
		                                                        : config->code_width };
}

struct ek_net_shape ek_autoencoder_encoded_shape(const struct ek_autoencoder_config *config)
{
	struct ek_net_shape s = ek_autoencoder_latent_shape(config);

	s.channels *= config->kind == EK_AUTOENCODER_KL ? 2 : 1;
	return s;
}

static int check(int value, int low, int high, const char *what)
{
	return value >= low && value <= high
	               ? 0
	               : ek_fail(EK_EUSAGE, "autoencoder: %s is %d, must be %d to %d", what, value, low, high);
}

int ek_autoencoder_config_check(const struct ek_autoencoder_config *c)
{
	int rc;

	EK_TRY(check(c->levels, 1, EK_AUTOENCODER_MAX_LEVELS, "number of levels"));
	EK_TRY(check(c->side, 1, SIDE_MAX, "side of images"));
	EK_TRY(check(c->channels, 1, 4, "number of image channels"));
	EK_TRY(check(c->latent_channels, 1, WIDTH_MAX, "number of latent channels"));
	EK_TRY(check(c->blocks, 1, 8, "number of blocks a level"));
	EK_TRY(check(c->groups, 1, WIDTH_MAX, "number of norm groups"));
	for (int i = 0; i < c->levels; i++) {
		EK_TRY(check(c->widths[i], 1, WIDTH_MAX, "width of a level"));
		if (c->widths[i] % c->groups != 0)
			return ek_fail(EK_EUSAGE, "autoencoder: width %d is no multiple of the %d norm groups",
			               c->widths[i], c->groups);
	}
	if (c->side % ek_autoencoder_factor(c) != 0)
		return ek_fail(EK_EUSAGE, "autoencoder: side %d is no multiple of %d, by which %d levels reduce it",
		               c->side, ek_autoencoder_factor(c), c->levels);
	if (c->kind == EK_AUTOENCODER_VQ) {
		EK_TRY(check(c->codes, 1, CODES_MAX, "number of codes"));
		EK_TRY(check(c->code_width, 1, WIDTH_MAX, "width of codes"));
	}
	if (!(c->scale > 0) || !(c->scale < 1e30) || !(c->shift > -1e30 && c->shift < 1e30))
		rc = ek_fail(EK_EUSAGE, "autoencoder: latent scale %g or shift %g out of range", c->scale, c->shift);
out:
	return rc;
}

static int add_int(cJSON *object, const char *name, int value)
{
	return ek_json_add_u64(object, name, (uint64_t)value);
}

static int write_blocks(cJSON *object, const struct ek_autoencoder_config *c)
{
	cJSON *list;
	int rc;

	for (int up = 0; up < 2; up++) {
		EK_TRY(ek_json_add_array(&list, object, block_keys[up]));
		for (int i = 0; i < c->levels; i++) {
			const int lowest = i == (up ? 0 : c->levels - 1);

			EK_TRY(ek_json_add_string(list, NULL,
			                          lowest && c->attention ? attention_blocks[up] : plain_blocks[up]));
		}
	}
	EK_TRY(ek_json_add_array(&list, object, "block_out_channels"));
	for (int i = 0; i < c->levels; i++)
		EK_TRY(add_int(list, NULL, c->widths[i]));
out:
	return rc;
}

int ek_autoencoder_config_write(cJSON *object, const struct ek_autoencoder_config *c)
{
	int rc;

	EK_TRY(ek_json_add_string(object, "_class_name", classes[c->kind]));
	EK_TRY(ek_json_add_string(object, "act_fn", "silu"));
	EK_TRY(write_blocks(object, c));
	EK_TRY(add_int(object, "in_channels", c->channels));
	EK_TRY(add_int(object, "out_channels", c->channels));
	EK_TRY(add_int(object, "latent_channels", c->latent_channels));
	EK_TRY(add_int(object, "layers_per_block", c->blocks));
	EK_TRY(add_int(object, "norm_num_groups", c->groups));
	EK_TRY(add_int(object, "sample_size", c->side));
	EK_TRY(ek_json_add_double(object, "scaling_factor", c->scale));
	if (c->kind == EK_AUTOENCODER_KL) {
		EK_TRY(ek_json_add_double(object, "shift_factor", c->shift));
		if (c->no_quant)
			EK_TRY(ek_json_add_bool(object, "use_quant_conv", 0));
		if (c->no_post_quant)
			EK_TRY(ek_json_add_bool(object, "use_post_quant_conv", 0));
	} else {
		EK_TRY(add_int(object, "num_vq_embeddings", c->codes));
		EK_TRY(add_int(object, "vq_embed_dim", c->code_width));
	}
out:
	return rc;
}

/* A whole number; where it is missing or null, `otherwise`. */
static int get_int(int *out, const cJSON *object, const char *name, int otherwise, const char *where)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
	uint64_t value;
	int rc = 0;

	*out = otherwise;
	if (item == NULL || cJSON_IsNull(item))
		return 0;
	EK_TRY(ek_json_get_u64(&value, object, name, where));
	if (value > CODES_MAX)
		return ek_fail(EK_EDATA, "%s: %s is %llu, must be at most %d", where, name, (unsigned long long)value,
		               CODES_MAX);
	*out = (int)value;
out:
	return rc;
}

static int get_double(double *out, const cJSON *object, const char *name, double otherwise, const char *where)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	*out = otherwise;
	return item == NULL || cJSON_IsNull(item) ? 0 : ek_json_get_double(out, object, name, where);
}

/* EK_ENOTSUP if a key is there and has another value than the one that is done here. */
static int only(const cJSON *object, const char *name, const char *text, int truth, const char *where)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (item == NULL || cJSON_IsNull(item))
		return 0;
	if (text != NULL ? cJSON_IsString(item) && strcmp(item->valuestring, text) == 0
	                 : cJSON_IsBool(item) && cJSON_IsTrue(item) == truth)
		return 0;
	return ek_fail(EK_ENOTSUP, "%s: an autoencoder is read only if %s is %s", where, name,
	               text != NULL ? text
	               : truth      ? "true"
	                            : "false");
}

static int is_false(const cJSON *object, const char *name)
{
	return cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(object, name));
}

static int read_class(struct ek_autoencoder_config *c, const cJSON *object, const char *where)
{
	const char *name;
	int rc;

	EK_TRY(ek_json_get_string(&name, object, "_class_name", where));
	for (int i = 0; i < 2; i++)
		if (strcmp(name, classes[i]) == 0) {
			c->kind = (enum ek_autoencoder_kind)i;
			return 0;
		}
	rc = ek_fail(EK_ENOTSUP, "%s: _class_name is %s, must be %s or %s", where, name, classes[0], classes[1]);
out:
	return rc;
}

/* `*attention`: the list is plain blocks but for the lowest level. */
static int read_block_types(int *attention, const cJSON *object, int up, int levels, const char *where)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, block_keys[up]), *item;
	int i = 0;

	*attention = 0;
	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != levels)
		return ek_fail(EK_EDATA, "%s: %s is not a list as long as block_out_channels", where, block_keys[up]);
	cJSON_ArrayForEach(item, list)
	{
		const int lowest = i++ == (up ? 0 : levels - 1);
		const char *name = cJSON_IsString(item) ? item->valuestring : "?";

		if (lowest && strcmp(name, attention_blocks[up]) == 0)
			*attention = 1;
		else if (strcmp(name, plain_blocks[up]) != 0)
			return ek_fail(EK_ENOTSUP, "%s: %s has %s, must be %s, or at the lowest level %s", where,
			               block_keys[up], name, plain_blocks[up], attention_blocks[up]);
	}
	return 0;
}

static int read_blocks(struct ek_autoencoder_config *c, const cJSON *object, const char *where)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "block_out_channels"), *item;
	int up, rc;

	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) < 1 ||
	    cJSON_GetArraySize(list) > EK_AUTOENCODER_MAX_LEVELS)
		return ek_fail(EK_EDATA, "%s: block_out_channels is not a list of 1 to %d numbers", where,
		               EK_AUTOENCODER_MAX_LEVELS);
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsNumber(item) || item->valuedouble < 1 || item->valuedouble > WIDTH_MAX)
			return ek_fail(EK_EDATA, "%s: block_out_channels has something other than 1 to %d", where,
			               WIDTH_MAX);
		c->widths[c->levels++] = (int)item->valuedouble;
	}
	EK_TRY(read_block_types(&c->attention, object, 0, c->levels, where));
	EK_TRY(read_block_types(&up, object, 1, c->levels, where));
	if (up != c->attention)
		rc = ek_fail(EK_ENOTSUP, "%s: attention in the encoder's or decoder's lowest level alone", where);
out:
	return rc;
}

int ek_autoencoder_config_read(struct ek_autoencoder_config *out, const cJSON *object, const char *where)
{
	struct ek_autoencoder_config c = { 0 };
	int rc, channels;

	EK_TRY(read_class(&c, object, where));
	EK_TRY(read_blocks(&c, object, where));
	EK_TRY(get_int(&c.channels, object, "in_channels", 3, where));
	EK_TRY(get_int(&channels, object, "out_channels", 3, where));
	if (channels != c.channels)
		return ek_fail(EK_ENOTSUP, "%s: in_channels and out_channels differ", where);
	EK_TRY(get_int(&c.latent_channels, object, "latent_channels", c.kind == EK_AUTOENCODER_KL ? 4 : 3, where));
	EK_TRY(get_int(&c.blocks, object, "layers_per_block", 1, where));
	EK_TRY(get_int(&c.groups, object, "norm_num_groups", 32, where));
	EK_TRY(get_int(&c.side, object, "sample_size", 32, where));
	if (c.kind == EK_AUTOENCODER_VQ) {
		EK_TRY(get_int(&c.codes, object, "num_vq_embeddings", 256, where));
		EK_TRY(get_int(&c.code_width, object, "vq_embed_dim", c.latent_channels, where));
	}
	EK_TRY(get_double(&c.scale, object, "scaling_factor", 0.18215, where));
	EK_TRY(get_double(&c.shift, object, "shift_factor", 0, where));
	EK_TRY(only(object, "act_fn", "silu", 0, where));
	EK_TRY(only(object, "norm_type", "group", 0, where));
	EK_TRY(only(object, "mid_block_add_attention", NULL, 1, where));
	c.no_quant = is_false(object, "use_quant_conv");
	c.no_post_quant = is_false(object, "use_post_quant_conv");
	if (c.kind == EK_AUTOENCODER_VQ && (c.no_quant || c.no_post_quant))
		return ek_fail(EK_ENOTSUP, "%s: use_quant_conv is false, which VQModel does not know", where);
	EK_TRY(only(object, "lookup_from_codebook", NULL, 0, where));
	if (ek_autoencoder_config_check(&c) < 0) {
		rc = ek_fail(EK_EDATA, "%s: %s", where, ek_error_message());
		goto out;
	}
	*out = c;
out:
	return rc;
}
