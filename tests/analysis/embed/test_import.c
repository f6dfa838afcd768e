/* The user's own embeddings: every type and order gives the same rows; what cannot be used is refused by row. */
#include "tests/support/support.h"

#include <signal.h>
#include <sys/wait.h>

#include "analysis/embed/import.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/npy.h"

enum { ROWS = 5, WIDTH = 3, BIG_ROWS = 40000, BIG_WIDTH = 130 };

static float values[ROWS * WIDTH];
static const char *folder;

/* A new folder. */
static const char *fresh(void)
{
	static int next;
	char name[16];
	const char *path;

	(void)snprintf(name, sizeof name, "%d", next++);
	path = ek_join(folder, name);
	assert_ok(ek_make_directories(path));
	return path;
}

/* A new, empty run, or with a scan of `images` images (0: none). */
static struct ek_run *new_run(uint64_t images)
{
	static const char *const none[] = { NULL };
	cJSON *counts = cJSON_CreateObject(), *options = cJSON_CreateObject();
	const struct ek_step scan = {
		.name = "scan", .version = 1, .options = options, .inputs = none, .outputs = none
	};
	struct ek_run *run;

	assert_ok(ek_run_open(&run, ek_join(fresh(), "run"), EK_RUN_CREATE));
	assert_ok(ek_json_add_u64(counts, "images", images));
	if (images > 0)
		assert_ok(ek_run_record(run, &scan, 0, 0, counts));
	cJSON_Delete(counts);
	cJSON_Delete(options);
	return run;
}

static int import(struct ek_run *run, const char *path)
{
	struct ek_import *i = NULL;
	int rc;

	EK_TRY(ek_import_prepare(&i, run, path));
	EK_TRY(ek_import_run(i, run));
	EK_TRY(ek_run_record(run, ek_import_step(i), 0, 0, NULL));
out:
	ek_import_free(i);
	return rc;
}

/* The values as a .npy file of this type and order: one a user may have. */
static const char *write_source(char kind, int size, int big_endian, int fortran_order)
{
	static char path[512];
	struct ek_buffer file = { 0 };

	assert_ok(ek_buffer_append(&file, "\x93NUMPY\1\0\x76\0", 10));
	assert_ok(ek_buffer_printf(&file, "{'descr': '%c%c%d', 'fortran_order': %s, 'shape': (%d, %d), }",
	                           big_endian ? '>' : '<', kind, size, fortran_order ? "True" : "False", ROWS, WIDTH));
	while (file.size < 128)
		assert_ok(ek_buffer_append(&file, " ", 1));
	for (int at = 0; at < ROWS * WIDTH; at++) {
		const float value = values[fortran_order ? at % ROWS * WIDTH + at / ROWS : at];
		const double wide = (double)value;
		const uint16_t half = ek_float_to_half(value);
		char bytes[8];

		memcpy(bytes, size == 8 ? (const void *)&wide : size == 4 ? (const void *)&value : &half, (size_t)size);
		for (int i = 0; i < size; i++)
			assert_ok(ek_buffer_append(&file, &bytes[big_endian ? size - 1 - i : i], 1));
	}
	(void)snprintf(path, sizeof path, "%s/<b> own.npy", fresh());
	ek_write_file(path, file.data, file.size);
	ek_buffer_release(&file);
	return path;
}

static void check_import(char kind, int size, int big_endian, int fortran_order)
{
	const char *path = write_source(kind, size, big_endian, fortran_order), *text;
	struct ek_run *run = new_run(ROWS);
	struct ek_npy result;
	float rows[ROWS * WIDTH];
	char *file, hex[17];
	uint64_t number;
	cJSON *o;

	assert_ok(import(run, path));
	assert_ok(ek_run_file(&file, run, "embeddings.npy"));
	assert_ok(ek_npy_open_as(&result, file, size == 2 ? EK_F16 : EK_F32, 2, (uint64_t[]){ ROWS, WIDTH }));
	ek_npy_rows_f32(rows, &result, 0, ROWS);
	assert_memory_equal(rows, values, sizeof rows);
	ek_npy_close(&result);
	free(file);

	assert_ok(ek_run_file(&file, run, "embeddings.json"));
	assert_ok(ek_json_load(&o, file));
	assert_ok(ek_json_get_string(&text, o, "encoder", file));
	assert_string_equal(text, "own:<b> own.npy");
	assert_ok(ek_json_get_string(&text, o, "dtype", file));
	assert_string_equal(text, size == 2 ? "float16" : "float32");
	assert_ok(ek_json_get_u64(&number, o, "images", file));
	assert_int_equal(number, ROWS);
	assert_ok(ek_json_get_u64(&number, o, "dimensions", file));
	assert_int_equal(number, WIDTH);
	assert_ok(ek_json_get_string(&text, o, "source", file));
	assert_string_equal(text, path);
	assert_ok(ek_hash64_file(&number, path));
	(void)snprintf(hex, sizeof hex, "%016llx", (unsigned long long)number);
	assert_ok(ek_json_get_string(&text, o, "xxh64", file));
	assert_string_equal(text, hex);
	cJSON_Delete(o);
	free(file);
	ek_run_close(run);
}

static void set_values(void)
{
	/* Halves hold these exactly. */
	for (int i = 0; i < ROWS * WIDTH; i++)
		values[i] = (float)(i - 4) / 8;
}

static void test_types_and_orders(void **state)
{
	set_values();
	for (int size = 2; size <= 8; size *= 2)
		check_import('f', size, size == 4, size != 4);
	check_import('f', 8, 1, 1);
	check_import('f', 4, 0, 0);
}

static void test_current(void **state)
{
	const char *path;
	struct ek_run *run = new_run(0);
	struct ek_import *i;
	const char *reason;
	int current;

	set_values();
	path = write_source('f', 4, 0, 0);
	assert_ok(import(run, path));
	assert_ok(ek_import_prepare(&i, run, path));
	assert_ok(ek_run_is_current(&current, &reason, run, ek_import_step(i)));
	assert_true(current);
	ek_import_free(i);
	values[0] = 9;
	path = write_source('f', 4, 0, 0);
	assert_ok(ek_import_prepare(&i, run, path));
	assert_ok(ek_run_is_current(&current, &reason, run, ek_import_step(i)));
	assert_false(current);
	ek_import_free(i);
	ek_run_close(run);
}

static void check_refused(uint64_t images, const char *path, const char *message)
{
	struct ek_run *run = new_run(images);
	char *file;

	assert_fails(import(run, path), EK_EDATA, message);
	assert_ok(ek_run_file(&file, run, "embeddings.npy"));
	assert_false(ek_file_exists(file));
	free(file);
	ek_run_close(run);
}

static void test_refused(void **state)
{
	static const struct {
		int at;
		float value;
		const char *message;
	} cases[] = { { 7, NAN, "row 2 is not a number in column 1" },
		      { 14, INFINITY, "row 4 is infinite in column 2" },
		      { 0, -INFINITY, "row 0 is infinite in column 0" } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		set_values();
		values[cases[i].at] = cases[i].value;
		check_refused(0, write_source('f', i == 0 ? 2 : 4, 0, 0), cases[i].message);
	}
	set_values();
	values[9] = values[10] = 0;
	values[11] = -0.0f;
	check_refused(ROWS, write_source('f', 8, 1, 1), "row 3 is all zero");
}

static void test_refused_shapes(void **state)
{
	const char *path = ek_join(fresh(), "x.npy");
	const double huge[2] = { 1, 1e300 };

	set_values();
	check_refused(6, write_source('f', 4, 0, 0), "5 rows, but the run has 6 images");
	check_refused(0, write_source('i', 4, 0, 0), "int32 of 2 dimensions, expected floating-point");
	assert_ok(ek_npy_write(path, EK_F64, 2, (uint64_t[]){ 1, 2 }, huge));
	check_refused(0, path, "row 0 is infinite in column 1");
	assert_ok(ek_npy_write(path, EK_F64, 1, (uint64_t[]){ 2 }, huge));
	check_refused(0, path, "of 1 dimensions");
	assert_ok(ek_npy_write(path, EK_F64, 2, (uint64_t[]){ 0, 2 }, huge));
	check_refused(0, path, "0 rows of 2 dimensions");
}

/* Many pieces, in Fortran order. */
static char *write_big(uint64_t bad_row, uint64_t other_bad_row)
{
	const uint64_t shape[2] = { BIG_WIDTH, BIG_ROWS };
	float *data;
	char *path;
	FILE *f;

	assert_ok(ek_alloc(&data, BIG_ROWS * BIG_WIDTH, sizeof *data));
	for (uint64_t j = 0; j < BIG_WIDTH; j++)
		for (uint64_t i = 0; i < BIG_ROWS; i++)
			data[j * BIG_ROWS + i] =
				i == bad_row || i == other_bad_row ? 0 : (float)(i * BIG_WIDTH + j + 1);
	assert_ok(ek_format(&path, "%s/big.npy", fresh()));
	assert_ok(ek_npy_write(path, EK_F32, 2, shape, data));
	free(data);
	/* The transposed array has the same bytes under another header. */
	f = fopen(path, "r+b");
	assert_non_null(f);
	assert_int_equal(fseek(f, 10, SEEK_SET), 0);
	assert_true(fprintf(f, "{'descr': '<f4', 'fortran_order': True, 'shape': (%d, %d), }         ", BIG_ROWS,
	                    BIG_WIDTH) > 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

static void assert_big_result(const char *file)
{
	struct ek_npy result;
	const float *rows;

	assert_ok(ek_npy_open_as(&result, file, EK_F32, 2, (uint64_t[]){ BIG_ROWS, BIG_WIDTH }));
	rows = result.data;
	for (uint64_t i = 0; i < (uint64_t)BIG_ROWS * BIG_WIDTH; i++)
		if (rows[i] != (float)(i + 1))
			fail_msg("element %llu is %g", (unsigned long long)i, (double)rows[i]);
	ek_npy_close(&result);
}

static void test_any_number_of_threads(void **state)
{
	char *good = write_big(UINT64_MAX, UINT64_MAX), *bad = write_big(30011, 39999), *file;

	for (int threads = 1; threads <= 16; threads *= 4) {
		struct ek_run *run = new_run(0);

		ek_threads_set(threads);
		assert_fails(import(run, bad), EK_EDATA, "row 30011 is all zero");
		assert_ok(import(run, good));
		assert_ok(ek_run_file(&file, run, "embeddings.npy"));
		assert_big_result(file);
		free(file);
		ek_run_close(run);
	}
	ek_threads_set(0);
	free(good);
	free(bad);
}

static void test_killed(void **state)
{
	char *source = write_big(UINT64_MAX, UINT64_MAX), *file, path[256];
	struct ek_run *run = new_run(0);
	int killed = 0;

	(void)snprintf(path, sizeof path, "%s", ek_run_path(run));
	assert_ok(ek_run_file(&file, run, "embeddings.npy"));
	ek_write_file(ek_join(path, "run.json"), "{}", 2);
	ek_run_close(run);
	for (useconds_t wait_for = 1000;; wait_for += 9000) {
		const pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0)
			_exit(ek_run_open(&run, path, EK_RUN_WRITE) < 0 || import(run, source) < 0);
		(void)usleep(wait_for);
		(void)kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			break;
		}
		killed++;
	}
	assert_true(killed > 0);
	assert_big_result(file);
	free(file);
	free(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types_and_orders), cmocka_unit_test(test_current),
		cmocka_unit_test(test_refused),          cmocka_unit_test(test_refused_shapes),
		cmocka_unit_test(test_killed),           cmocka_unit_test(test_any_number_of_threads),
	};

	folder = ek_scratch();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
