#include "rebalance/io/tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

int ek_tensor_file_add(struct ek_tensor_file *file, const struct ek_tensor *tensor, const char *name, size_t length)
{
	struct ek_tensor added = *tensor;
	uint64_t bytes, step = 1;
	int rc;

	if (length > EK_TENSOR_MAX_NAME || memchr(name, 0, length) != NULL)
		return ek_fail(EK_EDATA, "%s: a tensor has a name of %zu bytes, or one with a NUL", file->path, length);
	if (file->count == EK_TENSOR_MAX_COUNT)
		return ek_fail(EK_EDATA, "%s: more than %d tensors", file->path, EK_TENSOR_MAX_COUNT);
	if (!ek_shape_size(&added.count, &bytes, added.type, added.dimensions, added.shape))
		return ek_fail(EK_EDATA, "%s: the shape of tensor %.*s is too large", file->path, (int)length, name);
	added.contiguous = 1;
	for (int i = added.dimensions; i-- > 0; step *= added.shape[i])
		added.contiguous &= added.count == 0 || added.shape[i] == 1 || added.strides[i] == step;
	/* The room doubles at each power of two. */
	if ((file->count & (file->count - 1)) == 0 &&
	    (rc = ek_resize(&file->tensors, file->count > 0 ? 2 * file->count : 1, sizeof *file->tensors)) < 0)
		return rc;
	if ((rc = ek_format(&added.name, "%.*s", (int)length, name)) < 0)
		return rc;
	file->tensors[file->count++] = added;
	return 0;
}

void ek_tensor_file_close(struct ek_tensor_file *file)
{
	for (size_t i = 0; i < file->count; i++)
		free(file->tensors[i].name);
	free(file->tensors);
	free(file->path);
	cJSON_Delete(file->metadata);
	ek_map_close(&file->map);
	*file = (struct ek_tensor_file){ 0 };
}

static int compare_name(const void *name, const void *tensor)
{
	return strcmp(name, ((const struct ek_tensor *)tensor)->name);
}

const struct ek_tensor *ek_tensor_find(const struct ek_tensor_file *file, const char *name)
{
	return file->count > 0 ? bsearch(name, file->tensors, file->count, sizeof *file->tensors, compare_name) : NULL;
}

const char *ek_tensor_prefix(const struct ek_tensor_file *file, const char *name)
{
	static const char *const prefixes[] = { "", "model.", "state_dict.", "state_dict.model.", "model_state_dict." };
	char full[EK_TENSOR_MAX_NAME + 1];

	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		(void)snprintf(full, sizeof full, "%s%s", prefixes[i], name);
		if (ek_tensor_find(file, full) != NULL)
			return prefixes[i];
	}
	return "";
}

static int append_shape(struct ek_buffer *text, int dimensions, const uint64_t *shape)
{
	int rc;

	EK_TRY(ek_buffer_text(text, "["));
	for (int i = 0; i < dimensions; i++) {
		EK_TRY(ek_buffer_text(text, i > 0 ? ", " : ""));
		if (shape[i] == UINT64_MAX)
			EK_TRY(ek_buffer_text(text, "any"));
		else
			EK_TRY(ek_buffer_printf(text, "%llu", (unsigned long long)shape[i]));
	}
	EK_TRY(ek_buffer_text(text, "]"));
out:
	return rc;
}

int ek_tensor_get(const struct ek_tensor **out, const struct ek_tensor_file *file, const char *name, int dimensions,
                  const uint64_t *shape)
{
	const struct ek_tensor *t = ek_tensor_find(file, name);
	struct ek_buffer found = { 0 }, wanted = { 0 };
	int same, rc;

	if (t == NULL)
		return ek_fail(EK_EDATA, "%s: the tensor %s is missing among its %zu", file->path, name, file->count);
	*out = t;
	same = t->dimensions == dimensions;
	for (int i = 0; same && i < dimensions; i++)
		same = shape[i] == UINT64_MAX || shape[i] == t->shape[i];
	if (same)
		return 0;
	EK_TRY(append_shape(&found, t->dimensions, t->shape));
	EK_TRY(append_shape(&wanted, dimensions, shape));
	rc = ek_fail(EK_EDATA, "%s: the tensor %s is %s, expected %s", file->path, name, found.data, wanted.data);
out:
	ek_buffer_release(&found);
	ek_buffer_release(&wanted);
	return rc;
}

/* Dimension `i` and all after it, from element `data` on; returns where the output goes on. */
static float *convert(float *out, const struct ek_tensor *t, int i, const uint8_t *data)
{
	const size_t size = ek_dtype_size(t->type);

	if (i + 1 >= t->dimensions) {
		const size_t count = t->dimensions > 0 ? t->shape[i] : 1;

		ek_convert_f32(out, 1, data, (t->dimensions > 0 ? t->strides[i] : 1) * size, count, t->type,
		               t->big_endian);
		return out + count;
	}
	for (uint64_t j = 0; j < t->shape[i]; j++)
		out = convert(out, t, i + 1, data + j * t->strides[i] * size);
	return out;
}

int ek_tensor_to_f32(float *out, const struct ek_tensor *tensor)
{
	if (!ek_dtype_is_float(tensor->type))
		return ek_fail(EK_EDATA, "the tensor %s holds %s, expected floating point", tensor->name,
		               ek_dtype_name(tensor->type));
	if (tensor->contiguous)
		ek_convert_f32(out, 1, tensor->data, ek_dtype_size(tensor->type), tensor->count, tensor->type,
		               tensor->big_endian);
	else
		(void)convert(out, tensor, 0, tensor->data);
	return 0;
}

int ek_tensor_to_finite_f32(float *out, const struct ek_tensor *tensor, const struct ek_tensor_file *file)
{
	int bad = 0, rc;

	EK_TRY(ek_tensor_to_f32(out, tensor));
	for (uint64_t i = 0; i < tensor->count; i++)
		bad |= !isfinite(out[i]);
	for (uint64_t i = 0; bad && i < tensor->count; i++)
		if (!isfinite(out[i]))
			return ek_fail(EK_EDATA, "%s: element %llu of tensor %s is not a finite number", file->path,
			               (unsigned long long)i, tensor->name);
out:
	return rc;
}

int ek_tensor_name_matches(const char *name, const char *const *patterns)
{
	const size_t length = strlen(name);

	for (; *patterns != NULL; patterns++) {
		const int ends = **patterns == '*';
		const size_t size = strlen(*patterns + ends);

		if (length >= size && strncmp(ends ? name + length - size : name, *patterns + ends, size) == 0)
			return 1;
	}
	return 0;
}
