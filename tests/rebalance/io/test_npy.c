/* .npy against files that NumPy wrote, damaged files, and the writer that goes on after a kill or a full disk. */
#include "tests/support/support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/io/npy.h"

static const char *folder;

static void check_rows(const struct ek_npy *array, const cJSON *rows)
{
	const size_t d = array->shape[1];
	float got[16];
	int at = 0;

	ek_npy_rows_f32(got, array, 0, array->shape[0]);
	for (uint64_t i = 0; i < array->shape[0]; i++) {
		float row[16];

		ek_npy_row_f32(row, array, i);
		assert_memory_equal(row, got + i * d, d * sizeof *row);
		for (size_t j = 0; j < d; j++) {
			const float want = (float)cJSON_GetArrayItem(rows, at++)->valuedouble;

			assert_memory_equal(&row[j], &want, sizeof want);
		}
	}
}

/* Read it, compare every fact, and write it again: C order files must have the bytes that NumPy wrote. */
static void check_case(const cJSON *golden)
{
	const char *path = ek_join(folder, "case.npy"), *again = ek_join(folder, "again.npy");
	const cJSON *shape = ek_golden_member(golden, "shape");
	struct ek_buffer text = { 0 };
	struct ek_npy array;
	uint8_t *file, *elements;
	const size_t size = ek_from_hex(&file, ek_golden_member(golden, "hex")->valuestring);
	const size_t bytes = ek_from_hex(&elements, ek_golden_member(golden, "c_order_hex")->valuestring);
	int plain;

	ek_write_file(path, file, size);
	assert_ok(ek_npy_open(&array, path));
	assert_string_equal(ek_dtype_name(array.type), ek_golden_member(golden, "type")->valuestring);
	assert_int_equal(array.dimensions, cJSON_GetArraySize(shape));
	for (int i = 0; i < array.dimensions; i++)
		assert_int_equal(array.shape[i], cJSON_GetArrayItem(shape, i)->valueint);
	assert_int_equal(array.fortran_order, ek_golden_member(golden, "fortran_order")->valueint);
	assert_int_equal(array.big_endian, ek_golden_member(golden, "big_endian")->valueint);
	if (cJSON_IsArray(ek_golden_member(golden, "rows")))
		check_rows(&array, ek_golden_member(golden, "rows"));

	plain = !array.fortran_order && !array.big_endian;
	if (plain && bytes > 0)
		assert_memory_equal(array.data, elements, bytes);
	assert_ok(ek_npy_write(again, array.type, array.dimensions, array.shape, elements));
	if (plain && file[6] == 1) {
		assert_ok(ek_file_read(&text, again, 1 << 20));
		assert_int_equal(text.size, size);
		assert_memory_equal(text.data, file, size);
	}
	ek_npy_close(&array);
	assert_ok(ek_npy_open(&array, again));
	ek_npy_close(&array);
	ek_buffer_release(&text);
	free(file);
	free(elements);
}

static void test_files_of_numpy(void **state)
{
	cJSON *golden = ek_golden("npy");
	const cJSON *item;
	int count = 0;

	cJSON_ArrayForEach(item, ek_golden_member(golden, "cases"))
	{
		check_case(item);
		count++;
	}
	assert_int_equal(count, 45);
	cJSON_Delete(golden);
}

static void test_halves(void **state)
{
	cJSON *golden = ek_golden("npy");
	size_t count, same;
	double *floats = ek_golden_doubles(golden, "floats", &count);
	double *halves = ek_golden_doubles(golden, "halves", &same);
	uint64_t hash = 0, finite = 0;

	assert_int_equal(count, same);
	for (size_t i = 0; i < count; i++) {
		const uint32_t bits = (uint32_t)floats[i];
		float value;

		memcpy(&value, &bits, sizeof value);
		assert_int_equal(ek_float_to_half(value), (uint16_t)halves[i]);
	}
	for (uint32_t h = 0; h < 65536; h++) {
		const float value = ek_half_to_float((uint16_t)h);
		uint32_t bits;

		if (isnan(value)) {
			assert_true(isnan(ek_half_to_float(ek_float_to_half(value))));
			continue;
		}
		assert_int_equal(ek_float_to_half(value), h);
		memcpy(&bits, &value, sizeof bits);
		if (isfinite(value))
			hash ^= bits * ++finite % (UINT64_C(1) << 40);
	}
	assert_true(isinf(ek_half_to_float(0x7c00)) && ek_half_to_float(0xfc00) < 0);
	assert_true((double)hash == ek_golden_member(golden, "half_hash")->valuedouble);
	free(floats);
	free(halves);
	cJSON_Delete(golden);
}

static void check_damaged(const char *header, size_t elements, const char *message)
{
	const char *path = ek_join(folder, "damaged.npy");
	const size_t length = strlen(header);
	uint8_t file[512] = "\x93NUMPY\1\0";
	struct ek_npy array;

	file[8] = (uint8_t)length;
	file[9] = (uint8_t)(length >> 8);
	memcpy(file + 10, header, length);
	ek_write_file(path, file, 10 + length + elements);
	if (message == NULL)
		assert_ok(ek_npy_open(&array, path));
	else
		assert_fails(ek_npy_open(&array, path), EK_EDATA, message);
	ek_npy_close(&array);
}

static void test_headers(void **state)
{
	static const struct {
		const char *header;
		size_t elements;
		const char *message; /* NULL: it is fine */
	} cases[] = {
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 24, NULL },
		{ "{\"shape\":(2L,3L,),\"descr\":\"f4\",\"fortran_order\":True}\n", 24, NULL },
		{ "{'descr': '=f4', 'fortran_order': False, 'shape': (6,), }", 24, NULL },
		{ "{'descr': '|f4', 'fortran_order': False, 'shape': (6,), }", 24, "type '|f4'" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (6), }", 24, "not a tuple" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23, "23 bytes of elements" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 25, "says 24" },
		{ "{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }", 24, "type '<c8'" },
		{ "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", 24, "type '|O'" },
		{ "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (3,), }", 12, "records" },
		{ "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,), }", 12, "True or False" },
		{ "{'descr': '<f4', 'fortran_order': False, }", 12, "'shape'}" },
		{ "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 12, "'shape'}" },
		{ "{'descr': '<f4', 'other': 1, 'fortran_order': False, 'shape': (3,), }", 12, "'shape'}" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,3), }", 12, "4 dimensions" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }", 12, "not a size" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 0, "too large" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 0, "too large" },
		{ "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 9223372036854775807), }", 0, "too large" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), } x", 12, "'shape'}" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)", 12, "does not end" },
		{ "{'descr': '<f4", 12, "does not end" },
		{ "", 12, "not a dict" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_damaged(cases[i].header, cases[i].elements, cases[i].message);
}

/* Every shorter beginning of a file is refused, and so is every other version. */
static void test_truncated(void **state)
{
	const char *path = ek_join(folder, "whole.npy");
	const uint64_t shape[2] = { 2, 3 };
	const float data[6] = { 1, 2, 3, 4, 5, 6 };
	struct ek_buffer file = { 0 };
	struct ek_npy array;

	assert_ok(ek_npy_write(path, EK_F32, 2, shape, data));
	assert_ok(ek_file_read(&file, path, 1 << 20));
	assert_int_equal(file.size, 152);
	for (size_t size = 0; size < file.size; size++) {
		ek_write_file(path, file.data, size);
		assert_fails(ek_npy_open(&array, path), EK_EDATA, path);
	}
	file.data[6] = 4;
	ek_write_file(path, file.data, file.size);
	assert_fails(ek_npy_open(&array, path), EK_EDATA, "version 4.0");
	assert_fails(ek_npy_open(&array, ek_join(folder, "none.npy")), EK_EIO, "none.npy");
	ek_buffer_release(&file);
}

static void test_open_as(void **state)
{
	const char *path = ek_join(folder, "as.npy");
	const uint64_t shape[2] = { 2, 3 }, any[2] = { UINT64_MAX, 3 }, wrong[2] = { UINT64_MAX, 4 };
	const float data[6] = { 1, 2, 3, 4, 5, 6 };
	struct ek_npy array;

	assert_ok(ek_npy_write(path, EK_F32, 2, shape, data));
	assert_ok(ek_npy_open_as(&array, path, EK_F32, 2, any));
	assert_memory_equal(array.data, data, sizeof data);
	ek_npy_close(&array);
	assert_fails(ek_npy_open_as(&array, path, EK_F32, 2, wrong), EK_EDATA,
	             "float32 [2, 3], expected float32 [any, 4]");
	assert_fails(ek_npy_open_as(&array, path, EK_I32, 2, shape), EK_EDATA, "expected int32");
	assert_fails(ek_npy_open_as(&array, path, EK_F32, 1, shape), EK_EDATA, "expected float32 [2]");
	assert_fails(ek_npy_write(path, EK_BF16, 2, shape, data), EK_EUSAGE, "bfloat16");
	assert_fails(ek_npy_write(path, EK_F32, 5, shape, data), EK_EUSAGE, "5 dimensions");
}

enum { ROWS = 2000, WIDTH = 33, BATCH = 7 };

static void fill(float *rows, uint64_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count * WIDTH; i++)
		rows[i] = (float)(first * WIDTH + i);
}

static void check_hash(const struct ek_npy_writer *w, const char *path, int is_known)
{
	uint64_t seen = 0, hash;

	assert_int_equal(ek_npy_writer_hash(&seen, w), is_known);
	assert_ok(ek_hash64_file(&hash, path));
	assert_true(seen == (is_known ? hash : 0));
}

static int write_some(const char *path, const char *key, uint64_t stop_after, uint64_t *done)
{
	const uint64_t shape[2] = { ROWS, WIDTH };
	struct ek_npy_writer *w = NULL;
	float rows[BATCH * WIDTH];
	int rc;

	EK_TRY(ek_npy_writer_open(&w, done, path, EK_F32, 2, shape, key));
	for (uint64_t i = *done; i < ROWS && i < stop_after; i += BATCH) {
		const uint64_t count = ROWS - i < BATCH ? ROWS - i : BATCH;

		fill(rows, i, count);
		EK_TRY(ek_npy_writer_append(w, rows, count));
		if (i % 3 == 0)
			EK_TRY(ek_npy_writer_sync(w));
	}
	if (stop_after >= ROWS) {
		EK_TRY(ek_npy_writer_commit(w));
		check_hash(w, path, *done == 0);
	}
out:
	ek_npy_writer_free(w);
	return rc;
}

static void assert_same_file(const char *path, const char *want)
{
	struct ek_buffer a = { 0 }, b = { 0 };

	assert_ok(ek_file_read(&a, path, 1 << 24));
	assert_ok(ek_file_read(&b, want, 1 << 24));
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.data, b.data, a.size);
	ek_buffer_release(&a);
	ek_buffer_release(&b);
}

static const char *write_reference(void)
{
	const char *path = ek_join(folder, "reference.npy");
	const uint64_t shape[2] = { ROWS, WIDTH };
	float *rows;

	assert_ok(ek_alloc(&rows, ROWS * WIDTH, sizeof *rows));
	fill(rows, 0, ROWS);
	assert_ok(ek_npy_write(path, EK_F32, 2, shape, rows));
	free(rows);
	return path;
}

static void test_writer_goes_on(void **state)
{
	const char *want = write_reference();
	char path[256], partial[300], key[300];
	struct ek_buffer text = { 0 };
	uint64_t done;

	(void)snprintf(path, sizeof path, "%s/grown.npy", folder);
	(void)snprintf(partial, sizeof partial, "%s.partial", path);
	(void)snprintf(key, sizeof key, "%s.partial.key", path);
	assert_ok(write_some(path, "a", 1000, &done));
	assert_int_equal(done, 0);
	assert_false(ek_file_exists(path));
	assert_ok(write_some(path, "a", 1500, &done));
	assert_in_range(done, 1000 - 3 * BATCH, 1000 + BATCH);
	/* A key that cannot be read is no reason to throw the rows away. */
	assert_int_equal(rename(key, ek_join(folder, "kept")), 0);
	assert_int_equal(symlink(key, key), 0);
	assert_fails(write_some(path, "a", 1500, &done), EK_EIO, "Too many levels");
	assert_int_equal(unlink(key), 0);
	assert_int_equal(rename(ek_join(folder, "kept"), key), 0);
	assert_ok(write_some(path, "a", 1500, &done));
	assert_true(done > 0);
	/* Another key, and a damaged key file, start anew. */
	assert_ok(write_some(path, "b", 700, &done));
	assert_int_equal(done, 0);
	ek_write_file(key, "700 b", 5);
	assert_ok(write_some(path, "b", 700, &done));
	assert_int_equal(done, 0);
	/* A partial file that lost its end does as well. */
	assert_ok(ek_file_read(&text, partial, 1 << 24));
	ek_write_file(partial, text.data, 1000);
	assert_ok(write_some(path, "b", 700, &done));
	assert_int_equal(done, 0);
	/* Bytes behind the synced rows (torn by a kill) are cut off. */
	text.size = 0;
	assert_ok(ek_file_read(&text, partial, 1 << 24));
	assert_ok(ek_buffer_append(&text, "torn", 4));
	ek_write_file(partial, text.data, text.size);
	assert_ok(write_some(path, "b", ROWS, &done));
	assert_true(done > 600);
	assert_same_file(path, want);
	assert_false(ek_file_exists(partial) || ek_file_exists(key));
	ek_buffer_release(&text);
}

/* Killed between the rename and the end of the commit: everything is there, and the same call ends it. */
static void test_writer_killed_in_commit(void **state)
{
	const char *want = write_reference();
	char path[256], key[300], line[64];
	uint64_t done;

	(void)snprintf(path, sizeof path, "%s/renamed.npy", folder);
	(void)snprintf(key, sizeof key, "%s.partial.key", path);
	assert_ok(write_some(path, "k", ROWS, &done));
	(void)snprintf(line, sizeof line, "%d k\n", ROWS);
	ek_write_file(key, line, strlen(line));
	assert_ok(write_some(path, "k", ROWS, &done));
	assert_int_equal(done, ROWS);
	assert_same_file(path, want);
	assert_false(ek_file_exists(key));
}

static void test_writer_killed_at_any_moment(void **state)
{
	const char *want = write_reference();
	char path[256];
	uint64_t done, killed = 0;

	(void)snprintf(path, sizeof path, "%s/killed.npy", folder);
	for (useconds_t wait_for = 200;; wait_for += 900) {
		const pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0)
			_exit(write_some(path, "k", ROWS, &done) == 0 ? 0 : 1);
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
	assert_same_file(path, want);
}

/* A file size limit stands for a full disk: the write fails half-way, and with room again it goes on. */
static void test_writer_without_room(void **state)
{
	const char *want = write_reference();
	const uint64_t shape[2] = { ROWS, WIDTH };
	struct rlimit limit, small;
	struct ek_npy_writer *w;
	float *rows;
	char path[256];
	uint64_t done;

	(void)snprintf(path, sizeof path, "%s/full.npy", folder);
	assert_ok(ek_alloc(&rows, ROWS * WIDTH, sizeof *rows));
	fill(rows, 0, ROWS);
	assert_ok(ek_npy_writer_open(&w, &done, path, EK_F32, 2, shape, "k"));
	assert_ok(ek_npy_writer_append(w, rows, 100));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	small = (struct rlimit){ .rlim_cur = 20001, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_fails(ek_npy_writer_append(w, rows + 100 * WIDTH, 100), EK_EIO, "full.npy.partial");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_fails(ek_npy_writer_commit(w), EK_EUSAGE, "100 of 2000");
	assert_fails(ek_npy_writer_append(w, rows, ROWS), EK_EUSAGE, "more than its 2000");
	assert_ok(ek_npy_writer_sync(w));
	ek_npy_writer_free(w);
	assert_ok(write_some(path, "k", ROWS, &done));
	assert_int_equal(done, 100);
	assert_same_file(path, want);
	free(rows);
}

/* The rows that were synced are vouched for, not those that were appended meanwhile. */
static void test_writer_syncs_some(void **state)
{
	const char *want = write_reference();
	const uint64_t shape[2] = { ROWS, WIDTH };
	struct ek_npy_writer *w;
	char path[4200];
	float rows[BATCH * WIDTH];
	uint64_t done;

	(void)snprintf(path, sizeof path, "%s/some.npy", folder);
	assert_ok(ek_npy_writer_open(&w, &done, path, EK_F32, 2, shape, "k"));
	for (uint64_t i = 0; i < 3; i++) {
		fill(rows, i * BATCH, BATCH);
		assert_ok(ek_npy_writer_append(w, rows, BATCH));
	}
	assert_ok(ek_npy_writer_sync_rows(w, 2 * BATCH));
	ek_npy_writer_free(w);
	assert_ok(write_some(path, "k", ROWS, &done));
	assert_int_equal(done, 2 * BATCH);
	assert_same_file(path, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_of_numpy),
		cmocka_unit_test(test_halves),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_open_as),
		cmocka_unit_test(test_writer_goes_on),
		cmocka_unit_test(test_writer_syncs_some),
		cmocka_unit_test(test_writer_killed_in_commit),
		cmocka_unit_test(test_writer_killed_at_any_moment),
		cmocka_unit_test(test_writer_without_room),
	};

	folder = ek_scratch();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
