#include "train/loop/params_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/safetensors.h"

enum { NAME_SIZE = EK_TENSOR_MAX_NAME + 1, SHAPE_SIZE = 128 };

static const char *prefix_of(const struct ek_params_names *names)
{
	return names != NULL && names->prefix != NULL ? names->prefix : "";
}

static const struct ek_tensor *find(const struct ek_tensor_file *file, const char *name,
                                    const struct ek_params_names *names)
{
	char full[NAME_SIZE], other[NAME_SIZE];
	const struct ek_tensor *t;

	(void)snprintf(full, sizeof full, "%s%s", prefix_of(names), name);
	t = ek_tensor_find(file, full);
	for (int i = 0; t == NULL && names != NULL && names->other != NULL; i++) {
		if (!names->other(other, sizeof other, name, i))
			break;
		(void)snprintf(full, sizeof full, "%s%.*s", prefix_of(names), NAME_SIZE - 1, other);
		t = ek_tensor_find(file, full);
	}
	return t;
}

static int same_shape(const struct ek_param *p, const struct ek_tensor *t)
{
	for (int i = 0; i < p->rank || i < t->dimensions; i++)
		if ((i < p->rank ? (uint64_t)p->dims[i] : 1) != (i < t->dimensions ? t->shape[i] : 1))
			return 0;
	return 1;
}

static const char *shape_text(char out[SHAPE_SIZE], int count, const uint64_t *shape)
{
	int size = snprintf(out, SHAPE_SIZE, "[");

	for (int i = 0; i < count && size < SHAPE_SIZE; i++)
		size += snprintf(out + size, (size_t)(SHAPE_SIZE - size), "%s%llu", i > 0 ? ", " : "",
		                 (unsigned long long)shape[i]);
	if (size < SHAPE_SIZE)
		(void)snprintf(out + size, (size_t)(SHAPE_SIZE - size), "]");
	return out;
}

static int misshapen(const struct ek_tensor_file *file, const struct ek_param *p, const struct ek_tensor *t)
{
	char found[SHAPE_SIZE], wanted[SHAPE_SIZE];
	uint64_t shape[EK_PARAM_MAX_RANK];

	for (int i = 0; i < p->rank; i++)
		shape[i] = (uint64_t)p->dims[i];
	return ek_fail(EK_EDATA, "%s: tensor %s is %s, should be %s", file->path, t->name,
	               shape_text(found, t->dimensions, t->shape), shape_text(wanted, p->rank, shape));
}

static int read_one(float *out, const struct ek_tensor_file *file, const struct ek_param *p, const struct ek_tensor *t)
{
	if (!same_shape(p, t))
		return misshapen(file, p, t);
	return ek_tensor_to_finite_f32(out, t, file);
}

/* A parameter that the file has in parts, one after another; 0 if it has not. */
static int read_parts(float *out, const struct ek_tensor_file *file, const struct ek_param *p, unsigned char *taken,
                      const struct ek_params_names *names)
{
	char name[NAME_SIZE], full[NAME_SIZE];
	struct ek_param part = *p;
	int64_t rows = 0;
	int rc = 0;

	for (int i = 0; names->part(name, sizeof name, p->name, i); i++) {
		const struct ek_tensor *t;

		(void)snprintf(full, sizeof full, "%s%.*s", prefix_of(names), NAME_SIZE - 1, name);
		if ((t = ek_tensor_find(file, full)) == NULL && i == 0)
			return 0;
		if (t == NULL)
			return ek_fail(EK_EDATA, "%s: tensor %s is missing", file->path, full);
		part.dims[0] = t->dimensions > 0 && t->shape[0] <= (uint64_t)(p->dims[0] - rows) ? (int64_t)t->shape[0]
		                                                                                 : p->dims[0] - rows;
		EK_TRY(read_one(out, file, &part, t));
		taken[t - file->tensors] = 1;
		out += t->count;
		rows += part.dims[0];
	}
	if (rows > 0 && rows != p->dims[0])
		return ek_fail(EK_EDATA, "%s: the parts of %s are of %lld rows together, should be of %lld", file->path,
		               p->name, (long long)rows, (long long)p->dims[0]);
	rc = rows > 0;
out:
	return rc;
}

static int check_all_taken(const struct ek_tensor_file *file, const unsigned char *taken,
                           const struct ek_params_names *names)
{
	const char *prefix = prefix_of(names);
	static const char *const none[] = { NULL };
	const char *const *ignored = names != NULL && names->ignored != NULL ? names->ignored : none;
	const size_t size = strlen(prefix);

	for (size_t i = 0; i < file->count; i++) {
		const char *name = file->tensors[i].name;

		if (!taken[i] && strncmp(name, prefix, size) == 0 && !ek_tensor_name_matches(name + size, ignored))
			return ek_fail(EK_EDATA,
			               "%s: the network has no tensor %s: this file belongs to another network",
			               file->path, name);
	}
	return 0;
}

int ek_params_read(float *values, const struct ek_params *params, const struct ek_tensor_file *file,
                   const struct ek_params_names *names)
{
	unsigned char *taken = NULL;
	int rc;

	EK_TRY(ek_alloc(&taken, file->count, 1));
	for (int i = 0; i < params->count; i++) {
		const struct ek_param *p = &params->items[i];
		const struct ek_tensor *t = find(file, p->name, names);
		const int left_out =
			names != NULL && names->left_out != NULL && ek_tensor_name_matches(p->name, names->left_out);

		if (t == NULL && left_out)
			continue;
		if (t == NULL && names != NULL && names->part != NULL) {
			const int found = read_parts(values + p->offset, file, p, taken, names);

			if (found > 0)
				continue;
			EK_TRY(found);
		}
		if (t == NULL) {
			rc = ek_fail(EK_EDATA, "%s: tensor %s%s is missing", file->path, prefix_of(names), p->name);
			goto out;
		}
		taken[t - file->tensors] = 1;
		if (!left_out)
			EK_TRY(read_one(values + p->offset, file, p, t));
	}
	EK_TRY(check_all_taken(file, taken, names));
out:
	free(taken);
	return rc;
}

int ek_params_write(const char *path, const struct ek_params *params, const float *values, const cJSON *metadata)
{
	struct ek_safetensors_writer *w = NULL;
	struct ek_tensor_spec *specs = NULL;
	int rc;

	EK_TRY(ek_alloc(&specs, (size_t)params->count, sizeof *specs));
	for (int i = 0; i < params->count; i++) {
		const struct ek_param *p = &params->items[i];

		specs[i] = (struct ek_tensor_spec){ .name = p->name, .type = EK_F32, .dimensions = p->rank };
		for (int j = 0; j < p->rank; j++)
			specs[i].shape[j] = (uint64_t)p->dims[j];
	}
	EK_TRY(ek_safetensors_writer_open(&w, path, specs, (size_t)params->count, metadata));
	for (int i = 0; i < params->count; i++)
		EK_TRY(ek_safetensors_writer_append(w, values + params->items[i].offset,
		                                    params->items[i].count * sizeof *values));
	EK_TRY(ek_safetensors_writer_commit(w));
out:
	ek_safetensors_writer_free(w);
	free(specs);
	return rc;
}
