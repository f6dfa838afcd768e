/* SiT and DiT in weight files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/json.h"
#include "train/flow/sit.h"
#include "train/loop/params_file.h"

enum { NAME_SIZE = 96, HEAD_WIDTH = 64 };

static const char label_table[] = "y_embedder.embedding_table.weight", telltale[] = "x_embedder.proj.weight",
		  positions_name[] = "pos_embed";

/*
 * diffusers' names of a DiT (scripts/convert_dit_to_diffusers.py there): beginnings of ours and of theirs, of the whole
 * network and behind a block's number; the embedders of time and label are in every block, all the same.
 */
static const struct {
	const char *ours, *theirs;
} renamed[] = {
	{ "x_embedder.proj.", "pos_embed.proj." },
	{ "t_embedder.mlp.0.", "transformer_blocks.0.norm1.emb.timestep_embedder.linear_1." },
	{ "t_embedder.mlp.2.", "transformer_blocks.0.norm1.emb.timestep_embedder.linear_2." },
	{ "y_embedder.embedding_table.", "transformer_blocks.0.norm1.emb.class_embedder.embedding_table." },
	{ "final_layer.adaLN_modulation.1.", "proj_out_1." },
	{ "final_layer.linear.", "proj_out_2." },
}, renamed_in_block[] = {
	{ "adaLN_modulation.1.", "norm1.linear." },
	{ "attn.proj.", "attn1.to_out.0." },
	{ "mlp.fc1.", "ff.net.0.proj." },
	{ "mlp.fc2.", "ff.net.2." },
};
static const char *const repeated[] = { "*.norm1.emb.timestep_embedder.linear_1.weight",
	                                "*.norm1.emb.timestep_embedder.linear_1.bias",
	                                "*.norm1.emb.timestep_embedder.linear_2.weight",
	                                "*.norm1.emb.timestep_embedder.linear_2.bias",
	                                "*.norm1.emb.class_embedder.embedding_table.weight",
	                                "pos_embed.pos_embed",
	                                NULL };

static int begins(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* The block's number and what stands behind it. */
static int block_of(const char **rest, const char *name)
{
	int block, size = 0;

	if (sscanf(name, "blocks.%d.%n", &block, &size) != 1 || size == 0)
		return -1;
	*rest = name + size;
	return block;
}

static int diffusers_name(char *out, size_t size, const char *name, int attempt)
{
	const char *rest = NULL;
	const int block = block_of(&rest, name);

	for (size_t i = 0; attempt == 0 && block < 0 && i < sizeof renamed / sizeof *renamed; i++)
		if (begins(name, renamed[i].ours))
			return snprintf(out, size, "%s%s", renamed[i].theirs, name + strlen(renamed[i].ours)) > 0;
	for (size_t i = 0; attempt == 0 && block >= 0 && i < sizeof renamed_in_block / sizeof *renamed_in_block; i++)
		if (begins(rest, renamed_in_block[i].ours))
			return snprintf(out, size, "transformer_blocks.%d.%s%s", block, renamed_in_block[i].theirs,
			                rest + strlen(renamed_in_block[i].ours)) > 0;
	return 0;
}

static int diffusers_part(char *out, size_t size, const char *name, int number)
{
	static const char ours[] = "attn.qkv.", letters[] = "qkv";
	const char *rest = NULL;
	const int block = block_of(&rest, name);

	if (block < 0 || number >= (int)strlen(letters) || !begins(rest, ours))
		return 0;
	return snprintf(out, size, "transformer_blocks.%d.attn1.to_%c.%s", block, letters[number],
	                rest + strlen(ours)) > 0;
}

static int is_diffusers(const struct ek_tensor_file *file)
{
	return ek_tensor_find(file, "pos_embed.proj.weight") != NULL &&
	       ek_tensor_find(file, "transformer_blocks.0.attn1.to_q.weight") != NULL;
}

/* The set of tensors to take: the average, or what training code calls its model, or those that are alone. */
static const char *prefix_of(const struct ek_tensor_file *file)
{
	static const char average[] = "ema.";
	char name[NAME_SIZE];

	(void)snprintf(name, sizeof name, "%s%s", average, telltale);
	return ek_tensor_find(file, name) != NULL ? average : ek_tensor_prefix(file, telltale);
}

/* What a tensor of ours is called in the file. */
static void full_name(char out[NAME_SIZE], const struct ek_tensor_file *file, const char *name)
{
	if (!is_diffusers(file) || !diffusers_name(out, NAME_SIZE, name, 0))
		(void)snprintf(out, NAME_SIZE, "%s%s", prefix_of(file), name);
}

/* A tensor's shape, each at most INT_MAX / 8, by name behind the prefix. */
static int shape_of(const uint64_t **shape, const struct ek_tensor_file *file, const char *name, int dimensions)
{
	const uint64_t any[] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
	const struct ek_tensor *t;
	char full[NAME_SIZE];
	int rc;

	full_name(full, file, name);
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
		(void)snprintf(name, sizeof name,
		               is_diffusers(file) ? "%stransformer_blocks.%d.attn1.to_q.weight"
		                                  : "%sblocks.%d.attn.qkv.weight",
		               prefix_of(file), depth);
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

/* diffusers keeps no table of positions: config.json beside the weights says the side. */
static int side_beside(int *side, const struct ek_tensor_file *file)
{
	const char *slash = strrchr(file->path, '/');
	cJSON *config = NULL;
	char *path = NULL;
	uint64_t size = 0;
	int rc;

	EK_TRY(ek_format(&path, "%.*sconfig.json", slash != NULL ? (int)(slash - file->path) + 1 : 0, file->path));
	if (!ek_file_exists(path)) {
		rc = ek_fail(EK_EDATA, "%s is diffusers' and does not say its side: put their config.json beside it",
		             file->path);
		goto out;
	}
	EK_TRY(ek_json_load(&config, path));
	EK_TRY(ek_json_get_u64(&size, config, "sample_size", path));
	if (size == 0 || size > INT16_MAX)
		rc = ek_fail(EK_EDATA, "%s: sample_size %llu is out of range", path, (unsigned long long)size);
	*side = (int)size;
out:
	cJSON_Delete(config);
	free(path);
	return rc;
}

int ek_sit_file_config(struct ek_sit_config *out, const struct ek_tensor_file *file)
{
	const uint64_t *patches = NULL, *positions = NULL, *table = NULL, *linear = NULL;
	struct ek_sit_config c = { 0 };
	int rc, outputs;

	EK_TRY(shape_of(&patches, file, telltale, 4));
	if (is_diffusers(file)) {
		EK_TRY(side_beside(&c.side, file));
	} else {
		EK_TRY(shape_of(&positions, file, positions_name, 3));
		c.side = (int)lround(sqrt((double)positions[1])) * (int)patches[2];
	}
	EK_TRY(shape_of(&table, file, label_table, 2));
	EK_TRY(shape_of(&linear, file, "final_layer.linear.weight", 2));
	c.width = (int)patches[0];
	c.channels = (int)patches[1];
	c.patch = (int)patches[2];
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

/* The label table left out, or nothing; positions that the file does not have are computed. */
static int read_file(float *values, const struct ek_params *params, const struct ek_tensor_file *file,
                     const char *left_out)
{
	const int theirs = is_diffusers(file), table = ek_params_find(params, positions_name);
	const char *const without[] = { theirs ? positions_name : left_out, theirs ? left_out : NULL, NULL };
	struct ek_params_names names = { .prefix = prefix_of(file), .left_out = without };
	struct ek_params positions = *params;

	if (theirs) {
		positions.items += table;
		positions.count = 1;
		ek_params_initialise(&positions, 0, values);
		names.other = diffusers_name;
		names.part = diffusers_part;
		names.ignored = repeated;
	}
	return ek_params_read(values, params, file, &names);
}

int ek_sit_file_read(float *values, const struct ek_params *params, const struct ek_tensor_file *file)
{
	return read_file(values, params, file, NULL);
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

	full_name(full, file, label_table);
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
	const struct ek_param *table = &params->items[ek_params_find(params, label_table)];
	const size_t width = (size_t)table->dims[1];
	float *rows = values + table->offset;
	int rc;

	EK_TRY(read_file(values, params, file, label_table));
	EK_TRY(unlabelled_row(rows, file, width));
	for (int64_t i = 1; i < table->dims[0]; i++)
		memcpy(rows + (size_t)i * width, rows, width * sizeof *rows);
out:
	return rc;
}
