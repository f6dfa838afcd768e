/* Parameters in weight files: what is read, under which names, and what is refused. */
#include "tests/support/support.h"

#include "rebalance/io/safetensors.h"
#include "train/loop/params_file.h"

static void make_table(struct ek_params *params)
{
	*params = (struct ek_params){ 0 };
	assert_ok(ek_params_add(params, "a.weight", 2, (const int64_t[]){ 2, 3 }, (struct ek_init){ 0 }));
	assert_ok(ek_params_add(params, "a.bias", 1, (const int64_t[]){ 2 }, (struct ek_init){ 0 }));
	assert_ok(ek_params_add(params, "b.weight", 4, (const int64_t[]){ 2, 2, 1, 1 }, (struct ek_init){ 0 }));
	assert_int_equal(params->size, 12);
}

static void make_values(float values[12])
{
	for (int i = 0; i < 12; i++)
		values[i] = (float)(i + 1) / 7;
}

struct part {
	const char *name;
	int dimensions;
	uint64_t shape[4];
};

/* The twelve values, cut into the tensors of a file. */
static const char *write_parts(const struct part *parts, size_t count, const float *values)
{
	const char *path = ek_join(ek_scratch(), "x.safetensors");
	struct ek_tensor_spec specs[8] = { { 0 } };
	struct ek_safetensors_writer *w;
	size_t size = 0;

	for (size_t i = 0; i < count; i++) {
		size_t elements = 1;

		specs[i] = (struct ek_tensor_spec){ .name = parts[i].name,
			                            .type = EK_F32,
			                            .dimensions = parts[i].dimensions };
		for (int j = 0; j < parts[i].dimensions; j++)
			elements *= specs[i].shape[j] = parts[i].shape[j];
		size += elements;
	}
	assert_true(size <= 12);
	assert_ok(ek_safetensors_writer_open(&w, path, specs, count, NULL));
	assert_ok(ek_safetensors_writer_append(w, values, size * sizeof *values));
	assert_ok(ek_safetensors_writer_commit(w));
	ek_safetensors_writer_free(w);
	return path;
}

static int read_file(float *values, const char *path, const struct ek_params_names *names)
{
	struct ek_tensor_file file;
	struct ek_params params;
	int rc;

	make_table(&params);
	assert_ok(ek_tensor_file_open(&file, path));
	rc = ek_params_read(values, &params, &file, names);
	ek_tensor_file_close(&file);
	ek_params_release(&params);
	return rc;
}

static int other_name(char *out, size_t size, const char *name, int attempt)
{
	if (name[0] != 'b' || attempt > 1)
		return 0;
	(void)snprintf(out, size, "%s%s", attempt == 0 ? "first." : "second.", name);
	return 1;
}

/* What each file gives: NULL, all values, or the message that refuses it. */
static const struct {
	const char *what;
	struct part parts[4];
	struct ek_params_names names;
	const char *message;
} cases[] = {
	{ "as the table",
	  { { "a.weight", 2, { 2, 3 } }, { "a.bias", 1, { 2 } }, { "b.weight", 4, { 2, 2, 1, 1 } } },
	  { 0 },
	  NULL },
	{ "dimensions of 1 at the end",
	  { { "a.weight", 4, { 2, 3, 1, 1 } }, { "a.bias", 1, { 2 } }, { "b.weight", 2, { 2, 2 } } },
	  { 0 },
	  NULL },
	{ "a prefix",
	  { { "ema.a.weight", 2, { 2, 3 } },
	    { "ema.a.bias", 1, { 2 } },
	    { "ema.b.weight", 2, { 2, 2 } },
	    { "other", 1, { 0 } } },
	  { .prefix = "ema." },
	  NULL },
	{ "another name",
	  { { "a.weight", 2, { 2, 3 } }, { "a.bias", 1, { 2 } }, { "second.b.weight", 2, { 2, 2 } } },
	  { .other = other_name },
	  NULL },
	{ "ignored",
	  { { "a.weight", 2, { 2, 3 } },
	    { "a.bias", 1, { 2 } },
	    { "b.weight", 2, { 2, 2 } },
	    { "n.tracked", 1, { 0 } } },
	  { .ignored = (const char *const[]){ "m.", "*.tracked", NULL } },
	  NULL },
	{ "missing",
	  { { "a.weight", 2, { 2, 3 } }, { "b.weight", 2, { 2, 2 } } },
	  { 0 },
	  "x.safetensors: tensor a.bias is missing" },
	{ "missing with a prefix",
	  { { "a.weight", 2, { 2, 3 } }, { "a.bias", 1, { 2 } }, { "b.weight", 2, { 2, 2 } } },
	  { .prefix = "ema." },
	  "tensor ema.a.weight is missing" },
	{ "too many",
	  { { "a.weight", 2, { 2, 3 } }, { "a.bias", 1, { 2 } }, { "b.weight", 2, { 2, 2 } }, { "c", 1, { 0 } } },
	  { .ignored = (const char *const[]){ "m.", "*.tracked", NULL } },
	  "the network has no tensor c" },
	{ "turned",
	  { { "a.weight", 2, { 3, 2 } }, { "a.bias", 1, { 2 } }, { "b.weight", 2, { 2, 2 } } },
	  { 0 },
	  "tensor a.weight is [3, 2], should be [2, 3]" },
	{ "a 1 elsewhere",
	  { { "a.weight", 3, { 1, 2, 3 } }, { "a.bias", 1, { 2 } }, { "b.weight", 2, { 2, 2 } } },
	  { 0 },
	  "tensor a.weight is [1, 2, 3], should be [2, 3]" },
};

static void each_file_is_read_or_refused(void **state)
{
	float values[12], got[12];

	make_values(values);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t count = 0;
		const char *path;

		print_message("%s\n", cases[i].what);
		while (count < 4 && cases[i].parts[count].name != NULL)
			count++;
		path = write_parts(cases[i].parts, count, values);
		for (int j = 0; j < 12; j++)
			got[j] = NAN;
		if (cases[i].message != NULL) {
			assert_fails(read_file(got, path, &cases[i].names), EK_EDATA, cases[i].message);
			continue;
		}
		assert_ok(read_file(got, path, &cases[i].names));
		assert_memory_equal(got, values, sizeof got);
	}
}

static void numbers_that_are_not_finite_are_refused(void **state)
{
	static const struct part parts[] = { { "a.weight", 2, { 2, 3 } },
		                             { "a.bias", 1, { 2 } },
		                             { "b.weight", 2, { 2, 2 } } };
	float values[12], got[12];

	make_values(values);
	values[7] = INFINITY;
	assert_fails(read_file(got, write_parts(parts, 3, values), NULL), EK_EDATA,
	             "element 1 of tensor a.bias is not a finite number");
	values[7] = NAN;
	assert_fails(read_file(got, write_parts(parts, 3, values), NULL), EK_EDATA,
	             "element 1 of tensor a.bias is not a finite number");
}

static void what_is_written_is_read_again(void **state)
{
	const char *path = ek_join(ek_scratch(), "y.safetensors");
	float values[12], got[12];
	struct ek_params params;

	make_values(values);
	make_table(&params);
	assert_ok(ek_params_write(path, &params, values, NULL));
	assert_ok(read_file(got, path, NULL));
	assert_memory_equal(got, values, sizeof got);
	params.count = 1;
	assert_ok(ek_params_write(path, &params, values, NULL));
	assert_fails(read_file(got, path, NULL), EK_EDATA, "tensor a.bias is missing");
	params.count = 3;
	ek_params_release(&params);
}

EK_TEST_MAIN(cmocka_unit_test(each_file_is_read_or_refused), cmocka_unit_test(numbers_that_are_not_finite_are_refused),
             cmocka_unit_test(what_is_written_is_read_again))
