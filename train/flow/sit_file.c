/* SiT and DiT in weight files. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "train/flow/sit.h"
#include "train/loop/params_file.h"

enum { NAME_SIZE = 96, HEAD_WIDTH = 64 };

static const char label_table[] = "y_embedder.embedding_table.weight";

/* The set of tensors to take: the average, or what training code calls its model, or those that are alone. */
static const char *prefix_of(const struct ek_tensor_file *file)
{
	static const char telltale[] = "x_embedder.proj.weight", average[] = "ema.";
	char name[NAME_SIZE];

	(void)snprintf(name, sizeof name, "%s%s", average, telltale);
	return ek_tensor_find(file, name) != NULL ? average : ek_tensor_prefix(file, telltale);
}

/* A tensor's shape, each at most INT_MAX / 8, by name behind the prefix. */
static int shape_of(const uint64_t **shape, const struct ek_tensor_file *file, const char *name, int dimensions)
{
	const uint64_t any[] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
	const struct ek_tensor *t;
	char full[NAME_SIZE];
	int rc;

	(void)snprintf(full, sizeof full, "%s%s", prefix_of(file), name);
	EK_TRY(ek_tensor_get(&t, file, full, dimensions, any));
	for (int i = 0; i < dimensions; i++)
		if (t->shape[i] == 0 || t->shape[i] > INT32_MAX / 8)
			return ek_fail(EK_EDATA, "%s: tensor %s has a size out of range", file->path, full);
	*shape = t->shape;
out:
	return rc;
}

static int count_blocks(const struct ek_tensor_file *file)
{
	char name[NAME_SIZE];
	int depth = 0;

	do
		(void)snprintf(name, sizeof name, "%sblocks.%d.attn.qkv.weight", prefix_of(file), depth);
	while (ek_tensor_find(file, name) != NULL && ++depth < 1 << 16);
	return depth;
}

static int heads_of(const struct ek_sit_config *config)
{
	static const char *const names[] = { "SiT-S/2", "SiT-B/2", "SiT-L/2", "SiT-XL/2" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct ek_sit_config named = { 0 };

		if (ek_sit_config_name(&named, names[i]) == 0 && named.depth == config->depth &&
		    named.width == config->width)
			return named.heads;
	}
	return config->width >= HEAD_WIDTH ? config->width / HEAD_WIDTH : 1;
}

int ek_sit_file_config(struct ek_sit_config *out, const struct ek_tensor_file *file)
{
	const uint64_t *patches = NULL, *positions = NULL, *table = NULL, *linear = NULL;
	struct ek_sit_config c = { 0 };
	int rc, outputs;

	EK_TRY(shape_of(&patches, file, "x_embedder.proj.weight", 4));
	EK_TRY(shape_of(&positions, file, "pos_embed", 3));
	EK_TRY(shape_of(&table, file, label_table, 2));
	EK_TRY(shape_of(&linear, file, "final_layer.linear.weight", 2));
	c.width = (int)patches[0];
	c.channels = (int)patches[1];
	c.patch = (int)patches[2];
	c.side = (int)lround(sqrt((double)positions[1])) * c.patch;
	c.classes = (int)table[0] - 1;
	c.depth = count_blocks(file);
	c.heads = heads_of(&c);
	outputs = (int)(linear[0] / (patches[2] * patches[2]));
	c.learned_sigma = outputs == 2 * c.channels;
	if (ek_sit_config_check(&c) < 0)
		return ek_fail(EK_EDATA,
		               "%s: a network of %d blocks, width %d, patch %d for side %d is not one of ours",
		               file->path, c.depth, c.width, c.patch, c.side);
	*out = c;
out:
	return rc;
}

int ek_sit_file_read(float *values, const struct ek_params *params, const struct ek_tensor_file *file)
{
	return ek_params_read(values, params, file, &(struct ek_params_names){ .prefix = prefix_of(file) });
}

/* The row that the file's network takes without a condition; a table of two is of one that has none, whose label is 0.
 */
static int unlabelled_row(float *row, const struct ek_tensor_file *file, uint64_t width)
{
	const uint64_t shape[] = { UINT64_MAX, width };
	const struct ek_tensor *t;
	struct ek_tensor one;
	char full[NAME_SIZE];
	int rc;

	(void)snprintf(full, sizeof full, "%s%s", prefix_of(file), label_table);
	EK_TRY(ek_tensor_get(&t, file, full, 2, shape));
	one = *t;
	one.shape[0] = 1;
	one.count = width;
	if (t->shape[0] > 2)
		one.data = (const uint8_t *)t->data + (t->shape[0] - 1) * t->strides[0] * ek_dtype_size(t->type);
	EK_TRY(ek_tensor_to_finite_f32(row, &one, file));
out:
	return rc;
}

int ek_sit_file_read_relabelled(float *values, const struct ek_params *params, const struct ek_tensor_file *file)
{
	const struct ek_params_names names = { .prefix = prefix_of(file), .left_out = label_table };
	const struct ek_param *table = &params->items[ek_params_find(params, label_table)];
	const size_t width = (size_t)table->dims[1];
	float *rows = values + table->offset;
	int rc;

	EK_TRY(ek_params_read(values, params, file, &names));
	EK_TRY(unlabelled_row(rows, file, width));
	for (int64_t i = 1; i < table->dims[0]; i++)
		memcpy(rows + (size_t)i * width, rows, width * sizeof *rows);
out:
	return rc;
}

int ek_sit_file_write(const char *path, const struct ek_params *params, const struct ek_sit_config *config,
                      const float *values)
{
	struct ek_params own = { 0 }, part = *params;
	cJSON *metadata = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_string(metadata, "format", "pt")); /* Python's readers ask for it */
	EK_TRY(ek_sit_params(&own, config));
	part.count = own.count;
	EK_TRY(ek_params_write(path, &part, values, metadata));
out:
	cJSON_Delete(metadata);
	ek_params_release(&own);
	return rc;
}
