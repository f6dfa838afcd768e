/* Weight files against what torch and the safetensors package wrote, and hostile ones. */
#include "tests/support/support.h"

#include "rebalance/io/safetensors.h"
#include "rebalance/io/tensors.h"

static const char *folder;

static const char *golden_file(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof path, "tests/golden/weights/%s", name);
	return path;
}

/* One element as a double, whatever its type. */
static double element(const struct ek_tensor *t, uint64_t at)
{
	const size_t size = ek_dtype_size(t->type);
	const uint8_t *from = (const uint8_t *)t->data + at * size;
	uint8_t bytes[8];
	uint64_t bits = 0;
	double wide;

	for (size_t i = 0; i < size; i++)
		bytes[i] = from[t->big_endian ? size - 1 - i : i];
	memcpy(&bits, bytes, size);
	if (t->type == EK_F64) {
		memcpy(&wide, &bits, sizeof wide);
		return wide;
	}
	if (ek_dtype_is_float(t->type)) {
		float value;

		ek_convert_f32(&value, 1, bytes, size, 1, t->type, 0);
		return (double)value;
	}
	if (ek_dtype_kind(t->type) == 'i' && size < 8 && (bits >> (8 * size - 1)) != 0)
		bits |= UINT64_MAX << 8 * size;
	return ek_dtype_kind(t->type) == 'i' ? (double)(int64_t)bits : (double)bits;
}

static void check_values(const struct ek_tensor *t, const cJSON *values)
{
	uint64_t index[EK_TENSOR_MAX_DIMENSIONS] = { 0 }, i = 0;
	const cJSON *value;
	float *converted;

	assert_int_equal(cJSON_GetArraySize(values), t->count);
	assert_ok(ek_alloc(&converted, t->count, sizeof *converted));
	if (ek_dtype_is_float(t->type))
		assert_ok(ek_tensor_to_f32(converted, t));
	else
		assert_fails(ek_tensor_to_f32(converted, t), EK_EDATA, ek_dtype_name(t->type));
	cJSON_ArrayForEach(value, values)
	{
		uint64_t at = 0;

		for (int d = 0; d < t->dimensions; d++)
			at += index[d] * t->strides[d];
		assert_true(element(t, at) == value->valuedouble);
		if (ek_dtype_is_float(t->type))
			assert_true(converted[i] == (float)value->valuedouble);
		i++;
		for (int d = t->dimensions; d-- > 0 && ++index[d] == t->shape[d];)
			index[d] = 0;
	}
	free(converted);
}

static void check_tensor(const struct ek_tensor_file *file, const cJSON *golden)
{
	const struct ek_tensor *t = ek_tensor_find(file, golden->string);
	const cJSON *shape = ek_golden_member(golden, "shape");

	if (t == NULL)
		fail_msg("%s: no tensor %s", file->path, golden->string);
	assert_string_equal(ek_dtype_name(t->type), ek_golden_member(golden, "type")->valuestring);
	assert_int_equal(t->dimensions, cJSON_GetArraySize(shape));
	for (int i = 0; i < t->dimensions; i++)
		assert_int_equal(t->shape[i], cJSON_GetArrayItem(shape, i)->valueint);
	assert_int_equal(t->contiguous, ek_golden_member(golden, "contiguous")->valueint);
	check_values(t, ek_golden_member(golden, "values"));
}

static void test_files_of_torch(void **state)
{
	cJSON *golden = ek_golden("weights");
	const cJSON *expected, *tensor;
	int files = 0;

	cJSON_ArrayForEach(expected, ek_golden_member(golden, "files"))
	{
		struct ek_tensor_file file;

		assert_ok(ek_tensor_file_open(&file, golden_file(expected->string)));
		assert_int_equal(file.count, cJSON_GetArraySize(expected));
		cJSON_ArrayForEach(tensor, expected)
		{
			check_tensor(&file, tensor);
		}
		ek_tensor_file_close(&file);
		files++;
	}
	assert_int_equal(files, 14);
	cJSON_Delete(golden);
}

static void test_refused(void **state)
{
	cJSON *golden = ek_golden("weights");
	const cJSON *item;
	int files = 0;

	cJSON_ArrayForEach(item, ek_golden_member(golden, "refused"))
	{
		struct ek_tensor_file file;

		assert_fails(ek_tensor_file_open(&file, golden_file(item->string)), EK_EDATA, item->valuestring);
		files++;
	}
	assert_int_equal(files, 30);
	cJSON_Delete(golden);
}

static void test_formats(void **state)
{
	static const struct {
		const char *name;
		enum ek_tensor_format format;
	} cases[] = { { "views-zip.pt", EK_TENSORS_PYTORCH_ZIP },
		      { "views-stream.pt", EK_TENSORS_PYTORCH_STREAM },
		      { "types.safetensors", EK_TENSORS_SAFETENSORS } };
	const char *path = ek_join(folder, "old.tar");
	char tar[1024] = "sys_info";
	struct ek_tensor_file file;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_ok(ek_tensor_file_open(&file, golden_file(cases[i].name)));
		assert_int_equal(file.format, cases[i].format);
		ek_tensor_file_close(&file);
	}
	memcpy(tar + 257, "ustar", 5);
	ek_write_file(path, tar, sizeof tar);
	assert_fails(ek_tensor_file_open(&file, path), EK_ENOTSUP, "before 0.1.10");
	ek_write_file(path, "GIF89a", 6);
	assert_fails(ek_tensor_file_open(&file, path), EK_EDATA, "neither a safetensors");
	ek_write_file(path, "", 0);
	assert_fails(ek_tensor_file_open(&file, path), EK_EDATA, "neither a safetensors");
	assert_fails(ek_tensor_file_open(&file, ek_join(folder, "none.pt")), EK_EIO, "none.pt");
}

static void test_get(void **state)
{
	const uint64_t shape[3] = { 2, UINT64_MAX, 4 }, wrong[3] = { 2, UINT64_MAX, 5 };
	const struct ek_tensor *t;
	struct ek_tensor_file file;

	assert_ok(ek_tensor_file_open(&file, golden_file("types.safetensors")));
	assert_ok(ek_tensor_get(&t, &file, "matrix", 3, shape));
	assert_string_equal(t->name, "matrix");
	assert_fails(ek_tensor_get(&t, &file, "matrix", 3, wrong), EK_EDATA,
	             "matrix is [2, 3, 4], expected [2, any, 5]");
	assert_fails(ek_tensor_get(&t, &file, "matrix", 2, shape), EK_EDATA, "expected [2, any]");
	assert_fails(ek_tensor_get(&t, &file, "none", 3, shape), EK_EDATA, "the tensor none is missing");
	ek_tensor_file_close(&file);
}

/* Every beginning of a file is refused, or (only in a zip's padding) is read as the whole. */
static void check_truncated(const char *name)
{
	const char *path = ek_join(folder, "truncated");
	struct ek_buffer text = { 0 };
	struct ek_tensor_file file;

	assert_ok(ek_file_read(&text, golden_file(name), 1 << 20));
	for (size_t size = 0; size < text.size; size++) {
		ek_write_file(path, text.data, size);
		assert_fails(ek_tensor_file_open(&file, path), EK_EDATA, path);
	}
	ek_buffer_release(&text);
}

static void test_truncated(void **state)
{
	check_truncated("views-zip.pt");
	check_truncated("checkpoint-stream.pt");
	check_truncated("types.safetensors");
}

static void check_header(const char *header, size_t data, int code, const char *message)
{
	const char *path = ek_join(folder, "header.safetensors");
	const uint64_t length = strlen(header);
	struct ek_buffer text = { 0 };
	struct ek_tensor_file file;

	assert_ok(ek_buffer_append(&text, &length, sizeof length));
	assert_ok(ek_buffer_text(&text, header));
	for (size_t i = 0; i < data; i++)
		assert_ok(ek_buffer_append(&text, "x", 1));
	ek_write_file(path, text.data, text.size);
	if (code == 0) {
		assert_ok(ek_tensor_file_open(&file, path));
		ek_tensor_file_close(&file);
	} else {
		assert_fails(ek_tensor_file_open(&file, path), code, message);
	}
	ek_buffer_release(&text);
}

static void test_safetensors_headers(void **state)
{
#define T(name, type, shape, offsets)                                                                                  \
	"\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
	static const struct {
		const char *header;
		size_t data;
		int code;
		const char *message;
	} cases[] = {
		{ "{" T("a", "F32", "[2]", "[0,8]") "," T("b", "I8", "[3]", "[8,11]") "}  ", 11, 0, "" },
		{ "{" T("b", "I8", "[3]", "[8,11]") "," T("a", "F32", "[2]", "[0,8]") "}", 11, 0, "" },
		{ "{\"__metadata__\":{\"x\":\"y\"}," T("a", "F32", "[]", "[0,4]") "}", 4, 0, "" },
		{ "{" T("a", "F32", "[2]", "[0,8]") "}", 7, EK_EDATA, "do not lie in the 7 bytes" },
		{ "{" T("a", "F32", "[2]", "[0,8]") "}", 9, EK_EDATA, "9 bytes of data, its tensors have 8" },
		{ "{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[2]", "[4,12]") "}", 12, EK_EDATA,
		  "tensor b starts at byte 4" },
		{ "{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[1]", "[12,16]") "}", 16, EK_EDATA,
		  "tensor b starts at byte 12" },
		{ "{" T("a", "F32", "[3]", "[0,8]") "}", 8, EK_EDATA, "not as many as its shape says" },
		{ "{" T("a", "F32", "[4294967296,4294967296]", "[0,8]") "}", 8, EK_EDATA, "not as many" },
		{ "{" T("a", "F32", "[2]", "[8,0]") "}", 8, EK_EDATA, "do not lie" },
		{ "{" T("a", "F32", "[2]", "[-8,0]") "}", 8, EK_EDATA, "whole numbers" },
		{ "{" T("a", "F32", "[0.5]", "[0,8]") "}", 8, EK_EDATA, "whole numbers" },
		{ "{" T("a", "F32", "[1e400]", "[0,8]") "}", 8, EK_EDATA, "whole numbers" },
		{ "{" T("a", "F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]") "}", 8, EK_EDATA, "at most 8" },
		{ "{" T("a", "F32", "2", "[0,8]") "}", 8, EK_EDATA, "no list" },
		{ "{" T("a", "F32", "[2]", "[0]") "}", 8, EK_EDATA, "do not lie" },
		{ "{" T("a", "F8_E4M3", "[8]", "[0,8]") "}", 8, EK_ENOTSUP, "F8_E4M3" },
		{ "{" T("a", "I8", "[4]", "[0,4]") "," T("a", "I8", "[4]", "[4,8]") "}", 8, EK_EDATA,
		  "two tensors are called a" },
		{ "{\"a\":1}", 8, EK_EDATA, "dtype" },
		{ "{}", 0, EK_EDATA, "holds no tensor" },
		{ "{\"a\":", 0, EK_EDATA, "not JSON" },
	};
#undef T
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_header(cases[i].header, cases[i].data, cases[i].code, cases[i].message);
}

/* A header of these many bytes starts with the bytes that a pickle starts with. */
static void test_header_like_a_pickle(void **state)
{
	static const int lengths[] = { 0x80, 0x280, 0x380, 0x480, 0x580 };
	char header[0x581];

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		(void)snprintf(header, sizeof header, "%-*s", lengths[i],
		               "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}");
		check_header(header, 8, 0, "");
	}
}

static void test_header_size(void **state)
{
	const char *path = ek_join(folder, "size.safetensors");
	char bytes[16] = "\xff\xff\xff\xff\xff\xff\xff\xff{";
	struct ek_tensor_file file;

	ek_write_file(path, bytes, sizeof bytes);
	assert_fails(ek_tensor_file_open(&file, path), EK_EDATA, "a header of 18446744073709551615 bytes");
}

static void test_writer(void **state)
{
	const char *path = ek_join(folder, "written.safetensors");
	const struct ek_tensor_spec specs[] = { { "b.weight", EK_F32, 2, { 2, 3 } },
		                                { "a \"q\"", EK_U8, 1, { 5 } },
		                                { "empty", EK_BF16, 2, { 0, 4 } },
		                                { "scalar", EK_F64, 0, { 0 } } };
	const float matrix[6] = { 1, 2, 3, 4, 5, 6 };
	const double scalar = -0.1;
	struct ek_safetensors_writer *w;
	struct ek_tensor_file file;
	float back[6];
	cJSON *metadata = cJSON_CreateObject();

	assert_ok(ek_json_add_string(metadata, "format", "pt"));
	assert_ok(ek_safetensors_writer_open(&w, path, specs, 4, metadata));
	assert_ok(ek_safetensors_writer_append(w, matrix, 10));
	assert_ok(ek_safetensors_writer_append(w, (const char *)matrix + 10, sizeof matrix - 10));
	assert_ok(ek_safetensors_writer_append(w, "hello", 5));
	assert_fails(ek_safetensors_writer_commit(w), EK_EUSAGE, "8 bytes of its tensors were not written");
	assert_fails(ek_safetensors_writer_append(w, matrix, 9), EK_EUSAGE, "1 bytes more");
	assert_ok(ek_safetensors_writer_append(w, &scalar, sizeof scalar));
	assert_false(ek_file_exists(path));
	assert_ok(ek_safetensors_writer_commit(w));
	ek_safetensors_writer_free(w);
	cJSON_Delete(metadata);

	assert_ok(ek_tensor_file_open(&file, path));
	assert_int_equal(file.count, 4);
	assert_ok(ek_tensor_to_f32(back, ek_tensor_find(&file, "b.weight")));
	assert_memory_equal(back, matrix, sizeof matrix);
	assert_memory_equal(ek_tensor_find(&file, "a \"q\"")->data, "hello", 5);
	assert_int_equal(ek_tensor_find(&file, "empty")->count, 0);
	assert_memory_equal(ek_tensor_find(&file, "scalar")->data, &scalar, sizeof scalar);
	ek_tensor_file_close(&file);
	/* Dropped before the commit: nothing is left. */
	assert_ok(ek_safetensors_writer_open(&w, ek_join(folder, "dropped"), specs, 4, NULL));
	ek_safetensors_writer_free(w);
	assert_false(ek_file_exists(ek_join(folder, "dropped")) || ek_file_exists(ek_join(folder, "dropped.tmp")));
}

/* Wrappers are no part of a name; a tensor may still be called so itself. */
static void test_wrapped_names(void **state)
{
	static const char *const names[][2] = {
		{ "module.a.weight", "a.weight" },
		{ "_orig_mod.a", "a" },
		{ "ema.module._orig_mod.a", "ema.a" },
		{ "a.module.weight", "a.weight" },
		{ "a.modules.b", "a.modules.b" },
		{ "a.module", "a.module" },
		{ "submodule.a", "submodule.a" },
		{ "module", "module" },
		{ "module..a", ".a" },
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct ek_tensor_spec spec = { names[i][0], EK_F32, 1, { 1 } };
		const char *path = ek_join(folder, "wrapped.safetensors");
		struct ek_safetensors_writer *w;
		struct ek_tensor_file file;

		assert_ok(ek_safetensors_writer_open(&w, path, &spec, 1, NULL));
		assert_ok(ek_safetensors_writer_append(w, &(float){ 1 }, sizeof(float)));
		assert_ok(ek_safetensors_writer_commit(w));
		ek_safetensors_writer_free(w);
		assert_ok(ek_tensor_file_open(&file, path));
		assert_string_equal(file.tensors[0].name, names[i][1]);
		ek_tensor_file_close(&file);
	}
	check_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
	             "\"module.a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
	             2, EK_EDATA, "two tensors are called a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_of_torch),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_safetensors_headers),
		cmocka_unit_test(test_header_size),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_header_like_a_pickle),
		cmocka_unit_test(test_wrapped_names),
	};

	folder = ek_scratch();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
