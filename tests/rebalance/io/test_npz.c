/* .npz against files that NumPy wrote: read, written again to the same bytes, damaged, and beyond 4 GiB. */
#include "tests/support/support.h"

#include <fcntl.h>

#include "rebalance/base/file.h"
#include "rebalance/io/npz.h"

enum { MOST_ARRAYS = 4 };

static const char *folder;

static void check_array(const struct ek_npy *array, const cJSON *golden)
{
	const cJSON *shape = ek_golden_member(golden, "shape");
	uint8_t *elements;
	const size_t bytes = ek_from_hex(&elements, ek_golden_member(golden, "hex")->valuestring);

	assert_string_equal(ek_dtype_name(array->type), ek_golden_member(golden, "type")->valuestring);
	assert_int_equal(array->dimensions, cJSON_GetArraySize(shape));
	for (int i = 0; i < array->dimensions; i++)
		assert_int_equal(array->shape[i], cJSON_GetArrayItem(shape, i)->valueint);
	assert_int_equal(array->fortran_order, ek_golden_member(golden, "fortran_order")->valueint);
	if (bytes > 0)
		assert_memory_equal(array->data, elements, bytes);
	/* Elements are there however often they were passed. */
	if (array->dimensions > 0)
		ek_npy_forget(array, 0, array->shape[0]);
	if (bytes > 0)
		assert_memory_equal(array->data, elements, bytes);
	free(elements);
}

static void check_written_again(const struct ek_npz_member *members, size_t count, const uint8_t *want, size_t size)
{
	const char *path = ek_join(folder, "again.npz");
	struct ek_buffer got = { 0 };

	assert_ok(ek_npz_write(path, members, count));
	assert_ok(ek_file_read(&got, path, 1 << 20));
	assert_int_equal(got.size, size);
	assert_memory_equal(got.data, want, size);
	ek_buffer_release(&got);
}

static void check_case(const cJSON *golden)
{
	const char *path = ek_join(folder, "case.npz");
	const cJSON *arrays = ek_golden_member(golden, "arrays"), *item;
	struct ek_npz_member members[MOST_ARRAYS];
	struct ek_npz npz;
	uint8_t *file;
	const size_t size = ek_from_hex(&file, ek_golden_member(golden, "hex")->valuestring);
	size_t count = 0;
	int c_order = 1;

	ek_write_file(path, file, size);
	assert_ok(ek_npz_open(&npz, path));
	cJSON_ArrayForEach(item, arrays)
	{
		const char *name = ek_golden_member(item, "name")->valuestring;
		struct ek_npy array, same;

		assert_true(ek_npz_has(&npz, name));
		assert_ok(ek_npz_array(&array, &npz, name));
		check_array(&array, item);
		assert_ok(ek_npz_array(&same, &npz, name));
		assert_ptr_equal(same.data, array.data);
		members[count] = (struct ek_npz_member){
			.name = name, .type = array.type, .dimensions = array.dimensions, .data = array.data
		};
		memcpy(members[count++].shape, array.shape, sizeof array.shape);
		c_order &= !array.fortran_order;
	}
	assert_false(ek_npz_has(&npz, "absent"));
	if (ek_golden_member(golden, "stored")->valueint && c_order)
		check_written_again(members, count, file, size);
	ek_npz_close(&npz);
	free(file);
}

static void test_files_of_numpy(void **state)
{
	cJSON *golden = ek_golden("npz");
	const cJSON *item;
	int count = 0;

	cJSON_ArrayForEach(item, ek_golden_member(golden, "cases"))
	{
		check_case(item);
		count++;
	}
	assert_int_equal(count, 12);
	cJSON_Delete(golden);
}

static void test_what_cannot_be_read(void **state)
{
	cJSON *golden = ek_golden("npz");
	const char *path = ek_join(folder, "odd.npz");
	struct ek_npz npz;
	struct ek_npy array;
	uint8_t *file;
	const size_t size = ek_from_hex(&file, ek_golden_member(golden, "odd")->valuestring);

	ek_write_file(path, file, size);
	assert_ok(ek_npz_open(&npz, path));
	assert_ok(ek_npz_array(&array, &npz, "folder/plain"));
	assert_int_equal(array.shape[0], 5);
	assert_fails(ek_npz_array(&array, &npz, "packed"), EK_EDATA, "odd.npz/packed.npy: encrypted, or neither");
	assert_fails(ek_npz_array(&array, &npz, "text"), EK_EDATA, "odd.npz/text.npy: not a .npy file");
	assert_fails(ek_npz_array(&array, &npz, "mu"), EK_EDATA,
	             "odd.npz: there is no array 'mu' in it, but folder/plain.npy, packed.npy, text.npy, text.txt");
	assert_null(array.data);
	ek_npz_close(&npz);
	assert_fails(ek_npz_open(&npz, ek_join(folder, "absent.npz")), EK_EIO, "absent.npz");
	ek_write_file(path, "\x93NUMPY", 6);
	assert_fails(ek_npz_open(&npz, path), EK_EDATA, "odd.npz: damaged zip file");
	ek_write_file(path, "", 0);
	assert_fails(ek_npz_open(&npz, path), EK_EDATA, "odd.npz: damaged zip file");
	free(file);
	cJSON_Delete(golden);
}

static const cJSON *case_of(const cJSON *golden, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item,
	                   ek_golden_member(golden, "cases")) if (strcmp(ek_golden_member(item, "name")->valuestring,
	                                                                 name) == 0) return item;
	fail_msg("no case %s", name);
	return NULL;
}

/* 1 if the array is there and reads; a file that does not is EK_EDATA. */
static int reads(const uint8_t *file, size_t size, const char *name)
{
	const char *path = ek_join(folder, "damaged.npz");
	struct ek_npz npz;
	struct ek_npy array;
	int rc;

	ek_write_file(path, file, size);
	if ((rc = ek_npz_open(&npz, path)) == 0) {
		rc = ek_npz_array(&array, &npz, name);
		ek_npz_close(&npz);
	}
	assert_true(rc == 0 || rc == EK_EDATA);
	return rc == 0;
}

/* No beginning of a file is taken for it; no byte of deflated elements can change unnoticed. */
static void test_damaged(void **state)
{
	static const char *const names[] = { "gaussian", "gaussian-deflated" };
	cJSON *golden = ek_golden("npz");

	for (int deflated = 0; deflated < 2; deflated++) {
		uint8_t *file;
		const size_t size =
			ek_from_hex(&file, ek_golden_member(case_of(golden, names[deflated]), "hex")->valuestring);
		const size_t first = 30 + strlen("mu.npy") + 20;

		assert_true(reads(file, size, "mu"));
		for (size_t cut = 0; cut < size; cut++)
			assert_false(reads(file, cut, "mu"));
		/* Twenty bytes into the member, past where its dictionary starts. */
		for (size_t at = first; deflated && at < first + 20; at++) {
			file[at] ^= 0x10;
			assert_false(reads(file, size, "mu"));
			file[at] ^= 0x10;
		}
		free(file);
	}
	cJSON_Delete(golden);
}

/* The directory says 4 GiB - 2: refused before any memory is asked for. */
static void test_size_beyond_deflate(void **state)
{
	static const uint8_t entry[] = { 'P', 'K', 1, 2 };
	cJSON *golden = ek_golden("npz");
	const char *path = ek_join(folder, "bomb.npz");
	struct ek_npz npz;
	struct ek_npy array;
	uint8_t *file, *directory;
	const size_t size = ek_from_hex(&file, ek_golden_member(case_of(golden, "zeros-deflated"), "hex")->valuestring);

	directory = memmem(file, size, entry, sizeof entry);
	assert_non_null(directory);
	memcpy(directory + 24, "\xfe\xff\xff\xff", 4);
	ek_write_file(path, file, size);
	assert_ok(ek_npz_open(&npz, path));
	assert_fails(ek_npz_array(&array, &npz, "z"), EK_EDATA, "larger than it can be");
	memcpy(directory + 24, "\x01\x00\x00\x00", 4); /* and one that says too little */
	ek_npz_close(&npz);
	ek_write_file(path, file, size);
	assert_ok(ek_npz_open(&npz, path));
	assert_fails(ek_npz_array(&array, &npz, "z"), EK_EDATA, "does not hold what its directory says");
	ek_npz_close(&npz);
	free(file);
	cJSON_Delete(golden);
}

/* The file that NumPy wrote, zeros as holes. */
static void write_large(const char *path, const cJSON *large)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const cJSON *piece;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)ek_golden_member(large, "size")->valuedouble), 0);
	cJSON_ArrayForEach(piece, ek_golden_member(large, "pieces"))
	{
		uint8_t *bytes;
		const size_t size = ek_from_hex(&bytes, ek_golden_member(piece, "hex")->valuestring);

		assert_int_equal(
			pwrite(fd, bytes, size, (off_t)ek_golden_member(piece, "end")->valuedouble - (off_t)size),
			size);
		free(bytes);
	}
	assert_int_equal(close(fd), 0);
}

static void test_beyond_4_gib(void **state)
{
	cJSON *golden = ek_golden("npz");
	const cJSON *large = ek_golden_member(golden, "large");
	const char *path = ek_join(folder, "large.npz"), *names[] = { "first", "second" };
	const uint64_t rows = (uint64_t)ek_golden_member(large, "rows")->valuedouble;
	struct ek_npz npz;
	struct ek_npy array;
	float last;

	write_large(path, large);
	assert_ok(ek_npz_open(&npz, path));
	for (int i = 0; i < 2; i++) {
		assert_ok(ek_npz_array(&array, &npz, names[i]));
		assert_int_equal(array.shape[0], rows);
		ek_npy_row_f32(&last, &array, rows - 1);
		assert_true(last == 1.5f + (float)i);
		ek_npy_row_f32(&last, &array, rows - 2);
		assert_true(last == 0);
	}
	assert_ok(ek_npz_array(&array, &npz, "small"));
	assert_int_equal(array.shape[0], 5);
	ek_npz_close(&npz);
	assert_int_equal(remove(path), 0);
	cJSON_Delete(golden);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_of_numpy), cmocka_unit_test(test_what_cannot_be_read),
		cmocka_unit_test(test_damaged),        cmocka_unit_test(test_size_beyond_deflate),
		cmocka_unit_test(test_beyond_4_gib),
	};

	folder = ek_scratch();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
