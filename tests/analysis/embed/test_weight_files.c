/* Where weight files are found, what is said when they are not, and the one that is at hand against torch.load. */
#include "tests/support/support.h"

#include "analysis/embed/encoder.h"
#include "analysis/embed/weight_files.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/io/tensors.h"

static const char *home;
static char *real_weights; /* NULL: not on this machine */

static void set(const char *name, const char *value)
{
	assert_int_equal(value != NULL ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void clear_environment(const char *folder)
{
	set("HOME", folder);
	set("XDG_CACHE_HOME", NULL);
	set("HF_HOME", NULL);
	set("HF_HUB_CACHE", NULL);
	set("TORCH_HOME", NULL);
}

static const char *put(const char *root, const char *folder, const char *name)
{
	const char *directory = ek_join(root, folder), *path = ek_join(directory, name);

	assert_ok(ek_make_directories(directory));
	ek_write_file(path, "x", 1);
	return path;
}

static void assert_found(const char *encoder, const char *want)
{
	char *path;

	assert_ok(ek_weight_file_find(&path, encoder, NULL));
	assert_string_equal(path, want);
	free(path);
}

static void test_table(void **state)
{
	for (const struct ek_encoder *e = ek_encoders; e->name != NULL; e++) {
		assert_int_equal(e->files != NULL, e->build != NULL);
		for (const struct ek_weight_file *f = e->files; f != NULL && f->file != NULL; f++) {
			assert_true((f->hugging_face != NULL) != (f->published != NULL));
			assert_true(f->megabytes > 0);
		}
	}
}

static void test_missing(void **state)
{
	const char *empty = ek_scratch();
	char *path;

	clear_environment(empty);
	assert_fails(ek_weight_file_find(&path, "clip-vit-b32", NULL), EK_EDATA,
	             "clip-vit-base-patch32.safetensors (605 MB, published as model.safetensors at "
	             "https://huggingface.co/openai/clip-vit-base-patch32)");
	assert_null(path);
	assert_non_null(
		strstr(ek_error_message(), ek_join(empty, ".cache/evenkeel/clip-vit-base-patch32.safetensors")));
	assert_non_null(
		strstr(ek_error_message(),
	               ek_join(empty, ".cache/huggingface/hub/models--openai--clip-vit-base-patch32/snapshots")));
	assert_fails(ek_weight_file_find(&path, "inception-fid", NULL), EK_EDATA,
	             ek_join(empty, ".cache/torch/hub/checkpoints/pt_inception-2015-12-05-6726825d.pth"));
	/* The longest of all messages still ends with the last place. */
	assert_fails(ek_weight_file_find(&path, "dinov2-vitl14-reg", NULL), EK_EDATA,
	             "checkpoints/dinov2_vitl14_reg4_pretrain.pth");
	assert_fails(ek_weight_file_find(&path, "pixels", NULL), EK_EUSAGE, "pixels");
	assert_fails(ek_weight_file_find(&path, "clip-vit-b32", ek_join(empty, "none")), EK_EDATA, "none is not there");
	set("HOME", NULL);
	assert_fails(ek_weight_file_find(&path, "clip-vit-b32", NULL), EK_EDATA, "HOME is not set");
}

static void test_places(void **state)
{
	const char *snapshots = ".cache/huggingface/hub/models--facebook--dinov2-small/snapshots";
	const char *path;
	char *given;

	clear_environment(home);
	/* From the last place that is looked at to the first. */
	path = put(home, ".cache/torch/hub/checkpoints", "dinov2_vits14_pretrain.pth");
	assert_found("dinov2-vits14", path);
	path = put(ek_join(home, snapshots), "aaaa", "model.safetensors");
	assert_found("dinov2-vits14", path);
	path = put(ek_join(home, snapshots), "bbbb", "model.safetensors");
	assert_found("dinov2-vits14",
	             ek_join(home, ".cache/huggingface/hub/models--facebook--dinov2-small/snapshots/aaaa/"
	                           "model.safetensors"));
	ek_write_file(put(home, ".cache/huggingface/hub/models--facebook--dinov2-small/refs", "main"), "bbbb\n", 5);
	assert_found("dinov2-vits14", path);
	path = put(home, ".cache/evenkeel", "dinov2-small.safetensors");
	assert_found("dinov2-vits14", path);
	assert_ok(ek_weight_file_find(&given, "dinov2-vits14", path));
	free(given);
	/* The variables move each cache. */
	set("XDG_CACHE_HOME", "relative");
	assert_found("dinov2-vits14", path);
	set("XDG_CACHE_HOME", ek_join(home, "xdg"));
	path = put(home, "xdg/evenkeel", "dinov2-small.safetensors");
	assert_found("dinov2-vits14", path);
	set("HF_HOME", ek_join(home, "hf"));
	path = put(home, "hf/hub/models--facebook--dinov2-base/snapshots/c", "model.safetensors");
	assert_found("dinov2-vitb14", path);
	set("HF_HUB_CACHE", ek_join(home, "hub"));
	path = put(home, "hub/models--facebook--dinov2-base/snapshots/c", "model.safetensors");
	assert_found("dinov2-vitb14", path);
	set("TORCH_HOME", ek_join(home, "torch"));
	path = put(home, "torch/hub/checkpoints", "pt_inception-2015-12-05-6726825d.pth");
	assert_found("inception-fid", path);
}

static void test_hash(void **state)
{
	const char *right = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db";

	assert_ok(ek_weight_file_check("/a/efficientnet-lite0-57934424.pth", right));
	assert_ok(ek_weight_file_check("mine.pth", "00"));
	assert_ok(ek_weight_file_check("dinov2-small.safetensors", "00"));
	assert_fails(ek_weight_file_check("efficientnet-lite0-57934424.pth", "57934425"), EK_EDATA, "fetch it again");
}

/* Sums in double of float32 values: ours add in the same precision, in another order than torch. The difference of two
 * orders is at most 2 n 2^-53 times the sum of magnitudes. */
static void check_sums(const struct ek_tensor *t, const cJSON *golden)
{
	double sum = 0, absolute = 0, weighted = 0, most, tolerance;
	float *values;

	assert_ok(ek_alloc(&values, t->count, sizeof *values));
	assert_ok(ek_tensor_to_f32(values, t));
	for (uint64_t i = 0; i < t->count; i++) {
		sum += (double)values[i];
		absolute += fabs((double)values[i]);
		weighted += (double)values[i] * (double)(i + 1);
	}
	free(values);
	assert_ok(ek_json_get_double(&most, golden, "absolute", t->name));
	tolerance = 2 * (double)t->count * 0x1p-53 * most;
	assert_true(fabs(absolute - most) <= tolerance);
	assert_ok(ek_json_get_double(&most, golden, "sum", t->name));
	assert_true(fabs(sum - most) <= tolerance);
	assert_ok(ek_json_get_double(&most, golden, "weighted", t->name));
	assert_true(fabs(weighted - most) <= tolerance * (double)t->count);
}

static void test_efficientnet(void **state)
{
	cJSON *golden;
	const cJSON *tensors, *item;
	struct ek_tensor_file file;
	uint8_t digest[EK_SHA256_SIZE];
	char hex[EK_SHA256_HEX];

	if (real_weights == NULL)
		skip();
	golden = ek_golden("efficientnet_file");
	assert_ok(ek_sha256_file(digest, real_weights));
	ek_hex(hex, digest, sizeof digest);
	assert_ok(ek_weight_file_check(real_weights, hex));
	assert_ok(ek_tensor_file_open(&file, real_weights));
	tensors = cJSON_GetObjectItemCaseSensitive(golden, "tensors");
	assert_int_equal(file.count, cJSON_GetArraySize(tensors));
	cJSON_ArrayForEach(item, tensors)
	{
		const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
		const struct ek_tensor *t = ek_tensor_find(&file, item->string);
		const char *type;

		assert_non_null(t);
		assert_int_equal(t->dimensions, cJSON_GetArraySize(shape));
		for (int i = 0; i < t->dimensions; i++)
			assert_int_equal(t->shape[i], cJSON_GetArrayItem(shape, i)->valueint);
		assert_ok(ek_json_get_string(&type, item, "type", item->string));
		assert_string_equal(ek_dtype_name(t->type), type);
		if (ek_dtype_is_float(t->type))
			check_sums(t, item);
	}
	ek_tensor_file_close(&file);
	cJSON_Delete(golden);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table), cmocka_unit_test(test_missing),      cmocka_unit_test(test_places),
		cmocka_unit_test(test_hash),  cmocka_unit_test(test_efficientnet),
	};
	int rc;

	(void)ek_weight_file_find(&real_weights, "efficientnet-lite0", NULL);
	home = ek_scratch();
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	free(real_weights);
	return rc;
}
