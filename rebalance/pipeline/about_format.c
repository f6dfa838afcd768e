#include "rebalance/pipeline/about_format.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/json.h"
#include "rebalance/base/text.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/tensors.h"

static int describe_npy(struct ek_buffer *text, const char *path)
{
	struct ek_npy array;
	int rc;

	EK_TRY(ek_npy_open(&array, path));
	EK_TRY(ek_buffer_printf(text, "a NumPy array, %s [", ek_dtype_name(array.type)));
	for (int i = 0; i < array.dimensions; i++)
		EK_TRY(ek_buffer_printf(text, "%s%llu", i > 0 ? ", " : "", (unsigned long long)array.shape[i]));
	EK_TRY(ek_buffer_printf(text, "]%s%s", array.fortran_order ? ", column-major" : "",
	                        array.big_endian ? ", big-endian" : ""));
	ek_npy_close(&array);
out:
	return rc;
}

static int count_lines(struct ek_buffer *text, const char *path, const char *what)
{
	struct ek_map map;
	uint64_t lines = 0;
	char count[32];
	int has_nul, rc;

	EK_TRY(ek_map_open(&map, path));
	for (size_t i = 0; i < map.size; i++)
		lines += map.data[i] == '\n';
	has_nul = map.size > 0 && memchr(map.data, 0, map.size) != NULL;
	ek_map_close(&map);
	EK_TRY(ek_buffer_printf(text, "%s %s%s", ek_text_count(count, lines), what,
	                        has_nul ? ", damaged: there are NUL bytes among them" : ""));
out:
	return rc;
}

static int describe_jsonl(struct ek_buffer *text, const char *path)
{
	return count_lines(text, path, "JSON lines");
}

static int describe_text(struct ek_buffer *text, const char *path)
{
	return count_lines(text, path, "lines of text");
}

static int describe_csv(struct ek_buffer *text, const char *path)
{
	return count_lines(text, path, "lines of comma-separated values");
}

static int describe_json(struct ek_buffer *text, const char *path)
{
	cJSON *value;
	const cJSON *item;
	int rc, first = 1;

	EK_TRY(ek_json_load(&value, path));
	rc = ek_buffer_text(text, "a JSON document with ");
	cJSON_ArrayForEach(item, value)
	{
		if (rc == 0 && item->string != NULL)
			rc = ek_buffer_printf(text, "%s%s", first ? "" : ", ", item->string);
		first = 0;
	}
	cJSON_Delete(value);
out:
	return rc;
}

static int describe_tensors(struct ek_buffer *text, const char *path)
{
	static const char *const formats[] = { "safetensors", "PyTorch, zip form", "PyTorch, stream form" };
	struct ek_tensor_file file;
	uint64_t numbers = 0;
	char count[32];
	int rc;

	EK_TRY(ek_tensor_file_open(&file, path));
	for (size_t i = 0; i < file.count; i++)
		numbers += file.tensors[i].count;
	rc = ek_buffer_printf(text, "a weight file (%s) of %zu tensors, %s numbers", formats[file.format], file.count,
	                      ek_text_count(count, numbers));
	ek_tensor_file_close(&file);
out:
	return rc;
}

static const struct {
	const char *suffix;
	int (*describe)(struct ek_buffer *text, const char *path);
} kinds[] = {
	{ ".npy", describe_npy },     { ".jsonl", describe_jsonl }, { ".json", describe_json },
	{ ".csv", describe_csv },     { ".txt", describe_text },    { ".safetensors", describe_tensors },
	{ ".pth", describe_tensors }, { ".pt", describe_tensors },
};

int ek_about_format(struct ek_buffer *text, const char *path)
{
	const size_t length = strlen(path);
	int rc = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && text->size == 0; i++) {
		const size_t tail = strlen(kinds[i].suffix);

		if (length > tail && strcmp(path + length - tail, kinds[i].suffix) == 0)
			EK_TRY(kinds[i].describe(text, path));
	}
out:
	return rc;
}
