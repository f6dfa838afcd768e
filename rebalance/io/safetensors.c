#include "rebalance/io/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { PREFIX = 8 };

static const char *const type_names[EK_DTYPE_COUNT] = {
	[EK_F16] = "F16", [EK_F32] = "F32", [EK_F64] = "F64", [EK_U8] = "U8",     [EK_I32] = "I32",
	[EK_U32] = "U32", [EK_I64] = "I64", [EK_U64] = "U64", [EK_BF16] = "BF16", [EK_BOOL] = "BOOL",
	[EK_I8] = "I8",   [EK_I16] = "I16", [EK_U16] = "U16",
};

/* Where a tensor lies, counted from the end of the header. */
struct extent {
	uint64_t start, end;
	const char *name;
};

static int by_place(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

/* One tensor after the other, from the end of the header to the end of the file. */
static int check_extents(struct extent *extents, size_t count, uint64_t size, const char *path)
{
	uint64_t at = 0;

	qsort(extents, count, sizeof *extents, by_place);
	for (size_t i = 0; i < count; at = extents[i++].end)
		if (extents[i].start != at)
			return ek_fail(EK_EDATA,
			               "%s: the tensor %s starts at byte %" PRIu64 " of the data, expected %" PRIu64,
			               path, extents[i].name, extents[i].start, at);
	return at == size
	               ? 0
	               : ek_fail(EK_EDATA, "%s: %" PRIu64 " bytes of data, its tensors have %" PRIu64, path, size, at);
}

static int parse_sizes(uint64_t *out, int *count, int limit, const cJSON *item, const char *name, const char *path)
{
	const cJSON *number;

	if (!cJSON_IsArray(item))
		return ek_fail(EK_EDATA, "%s: the shape or data_offsets of tensor %s are no list", path, name);
	*count = 0;
	cJSON_ArrayForEach(number, item)
	{
		const double value = cJSON_IsNumber(number) ? number->valuedouble : -1;

		if (*count == limit || !(value >= 0 && value <= 0x1p53) || value != (double)(uint64_t)value)
			return ek_fail(EK_EDATA,
			               "%s: the shape or data_offsets of tensor %s: expected at most %d whole numbers",
			               path, name, limit);
		out[(*count)++] = (uint64_t)value;
	}
	return 0;
}

static int parse_type(enum ek_dtype *type, const cJSON *tensor, const char *path)
{
	const char *name;
	int rc;

	if ((rc = ek_json_get_string(&name, tensor, "dtype", path)) < 0)
		return rc;
	for (*type = 0; *type < EK_DTYPE_COUNT; (*type)++)
		if (strcmp(name, type_names[*type]) == 0)
			return 0;
	return ek_fail(EK_ENOTSUP, "%s: the tensor %s has elements of type %s", path, tensor->string, name);
}

static int parse_tensor(struct ek_tensor_file *file, struct extent *extent, const cJSON *item, size_t data_at)
{
	const size_t size = file->map.size - data_at;
	struct ek_tensor tensor = { 0 };
	uint64_t offsets[2], count, bytes, step = 1;
	int pair, rc;

	EK_TRY(parse_type(&tensor.type, item, file->path));
	EK_TRY(parse_sizes(tensor.shape, &tensor.dimensions, EK_TENSOR_MAX_DIMENSIONS,
	                   cJSON_GetObjectItemCaseSensitive(item, "shape"), item->string, file->path));
	EK_TRY(parse_sizes(offsets, &pair, 2, cJSON_GetObjectItemCaseSensitive(item, "data_offsets"), item->string,
	                   file->path));
	if (pair != 2 || offsets[0] > offsets[1] || offsets[1] > size)
		return ek_fail(EK_EDATA, "%s: the data_offsets of tensor %s do not lie in the %zu bytes of data",
		               file->path, item->string, size);
	if (!ek_shape_size(&count, &bytes, tensor.type, tensor.dimensions, tensor.shape) ||
	    bytes != offsets[1] - offsets[0])
		return ek_fail(EK_EDATA, "%s: the tensor %s has %" PRIu64 " bytes, not as many as its shape says",
		               file->path, item->string, offsets[1] - offsets[0]);
	for (int i = tensor.dimensions; i-- > 0; step *= tensor.shape[i])
		tensor.strides[i] = step;
	tensor.data = file->map.data + data_at + offsets[0];
	*extent = (struct extent){ offsets[0], offsets[1], item->string };
	EK_TRY(ek_tensor_file_add(file, &tensor, item->string, strlen(item->string)));
out:
	return rc;
}

int ek_safetensors_read(struct ek_tensor_file *file)
{
	const uint8_t *bytes = file->map.data;
	const size_t size = file->map.size;
	struct extent *extents = NULL;
	cJSON *header = NULL;
	const cJSON *item;
	uint64_t length;
	size_t count = 0;
	int rc;

	file->format = EK_TENSORS_SAFETENSORS;
	if (size < PREFIX)
		return ek_fail(EK_EDATA, "%s: ends inside its header", file->path);
	memcpy(&length, bytes, sizeof length);
	if (length > EK_SAFETENSORS_MAX_HEADER || length > size - PREFIX)
		return ek_fail(EK_EDATA, "%s: a header of %" PRIu64 " bytes in a file of %zu", file->path, length,
		               size);
	EK_TRY(ek_json_parse(&header, (const char *)bytes + PREFIX, (size_t)length, file->path));
	if (!cJSON_IsObject(header)) {
		rc = ek_fail(EK_EDATA, "%s: its header is not a JSON object", file->path);
		goto out;
	}
	EK_TRY(ek_alloc(&extents, (size_t)cJSON_GetArraySize(header), sizeof *extents));
	cJSON_ArrayForEach(item, header)
	{
		if (strcmp(item->string, "__metadata__") == 0)
			continue;
		EK_TRY(parse_tensor(file, &extents[count++], item, PREFIX + (size_t)length));
	}
	EK_TRY(check_extents(extents, count, size - PREFIX - length, file->path));
	file->metadata = cJSON_DetachItemFromObjectCaseSensitive(header, "__metadata__");
out:
	free(extents);
	cJSON_Delete(header);
	return rc;
}

struct ek_safetensors_writer {
	struct ek_atomic_file file;
	char *path;
	uint64_t left; /* bytes to be appended */
};

static int format_metadata(struct ek_buffer *header, const cJSON *metadata)
{
	const cJSON *item;
	int rc = 0;

	if (metadata == NULL)
		return 0;
	EK_TRY(ek_buffer_text(header, "\"__metadata__\":{"));
	cJSON_ArrayForEach(item, metadata)
	{
		if (!cJSON_IsString(item))
			return ek_fail(EK_EUSAGE, "the metadata %s is not a string", item->string);
		EK_TRY(ek_buffer_text(header, item == metadata->child ? "" : ","));
		EK_TRY(ek_json_append_string(header, item->string, strlen(item->string)));
		EK_TRY(ek_buffer_text(header, ":"));
		EK_TRY(ek_json_append_string(header, item->valuestring, strlen(item->valuestring)));
	}
	EK_TRY(ek_buffer_text(header, "}"));
out:
	return rc;
}

static int format_tensor(struct ek_buffer *header, uint64_t *at, const struct ek_tensor_spec *t)
{
	uint64_t count, bytes;
	int rc;

	if (t->dimensions < 0 || t->dimensions > EK_TENSOR_MAX_DIMENSIONS ||
	    !ek_shape_size(&count, &bytes, t->type, t->dimensions, t->shape) || bytes > PTRDIFF_MAX - *at)
		return ek_fail(EK_EUSAGE, "the shape of tensor %s is too large", t->name);
	EK_TRY(ek_json_append_string(header, t->name, strlen(t->name)));
	EK_TRY(ek_buffer_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", type_names[t->type]));
	for (int i = 0; i < t->dimensions; i++)
		EK_TRY(ek_buffer_printf(header, i > 0 ? ",%" PRIu64 : "%" PRIu64, t->shape[i]));
	EK_TRY(ek_buffer_printf(header, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", *at, *at + bytes));
	*at += bytes;
out:
	return rc;
}

/* The header with its size before it, padded so that the data start at a multiple of 8. */
static int format_header(struct ek_buffer *header, uint64_t *data_size, const struct ek_tensor_spec *tensors,
                         size_t count, const cJSON *metadata)
{
	uint64_t length;
	int rc;

	EK_TRY(ek_buffer_append(header, "\0\0\0\0\0\0\0\0{", PREFIX + 1));
	EK_TRY(format_metadata(header, metadata));
	for (size_t i = 0; i < count; i++) {
		EK_TRY(ek_buffer_text(header, header->size > PREFIX + 1 ? "," : ""));
		EK_TRY(format_tensor(header, data_size, &tensors[i]));
	}
	EK_TRY(ek_buffer_text(header, "}"));
	EK_TRY(ek_buffer_printf(header, "%*s", (int)(-header->size & 7), ""));
	length = header->size - PREFIX;
	if (length > EK_SAFETENSORS_MAX_HEADER)
		return ek_fail(EK_EUSAGE, "a header of %" PRIu64 " bytes is too large", length);
	memcpy(header->data, &length, sizeof length);
out:
	return rc;
}

int ek_safetensors_writer_open(struct ek_safetensors_writer **out, const char *path,
                               const struct ek_tensor_spec *tensors, size_t count, const cJSON *metadata)
{
	struct ek_safetensors_writer *w = NULL;
	struct ek_buffer header = { 0 };
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&w, 1, sizeof *w));
	EK_TRY(ek_copy_string(&w->path, path));
	EK_TRY(format_header(&header, &w->left, tensors, count, metadata));
	EK_TRY(ek_atomic_open(&w->file, path));
	EK_TRY(ek_atomic_write(&w->file, header.data, header.size));
	*out = w;
	w = NULL;
out:
	ek_safetensors_writer_free(w);
	ek_buffer_release(&header);
	return rc;
}

int ek_safetensors_writer_append(struct ek_safetensors_writer *w, const void *bytes, size_t size)
{
	int rc;

	if (size > w->left)
		return ek_fail(EK_EUSAGE, "%s: %zu bytes more than its tensors have", w->path, size - (size_t)w->left);
	if ((rc = ek_atomic_write(&w->file, bytes, size)) == 0)
		w->left -= size;
	return rc;
}

int ek_safetensors_writer_commit(struct ek_safetensors_writer *w)
{
	if (w->left > 0)
		return ek_fail(EK_EUSAGE, "%s: %" PRIu64 " bytes of its tensors were not written", w->path, w->left);
	return ek_atomic_commit(&w->file);
}

void ek_safetensors_writer_free(struct ek_safetensors_writer *w)
{
	if (w == NULL)
		return;
	ek_atomic_discard(&w->file);
	free(w->path);
	free(w);
}
