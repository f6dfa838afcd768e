#include "tests/support/support.h"

#include "rebalance/base/compare.h"
#include "rebalance/base/random.h"
#include "rebalance/io/names.h"

/* `count` names of 1 to 12 letters, many of them alike, come back as qsort sorts them. */
static void check_order(size_t count, size_t memory)
{
	char **want = calloc(count + 1, sizeof *want);
	struct ek_names *names;
	const char *bytes;
	size_t size;

	assert_non_null(want);
	assert_ok(ek_names_new(&names, memory));
	for (size_t i = 0; i < count; i++) {
		const size_t letters = 1 + (size_t)ek_random_below(1, 2, i, 12);

		assert_ok(ek_alloc(&want[i], letters + 1, 1));
		for (size_t j = 0; j < letters; j++)
			want[i][j] = (char)(1 + ek_random_below(1, 3 + j, i, 255));
		assert_ok(ek_names_add(names, want[i], letters));
	}
	qsort(want, count, sizeof *want, ek_compare_texts);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(ek_names_next(names, &bytes, &size), 1);
		assert_int_equal(size, strlen(want[i]));
		assert_string_equal(bytes, want[i]);
		free(want[i]);
	}
	assert_int_equal(ek_names_next(names, &bytes, &size), 0);
	assert_int_equal(ek_names_next(names, &bytes, &size), 0);
	ek_names_free(names);
	free(want);
}

static void names_come_in_byte_order_from_memory_and_from_disk(void **state)
{
	check_order(0, 0);
	check_order(1, 0);
	check_order(5000, 0);
	check_order(1, 1);
	check_order(300, 1); /* a run for each name */
	check_order(5000, 1000);
	check_order(100000, 100000);
}

static void names_of_any_length_and_bytes_are_kept(void **state)
{
	struct ek_names *names;
	const char *bytes;
	size_t size;
	char *longest;

	assert_ok(ek_alloc(&longest, UINT16_MAX, 1));
	memset(longest, 'x', UINT16_MAX);
	assert_ok(ek_names_new(&names, 64));
	assert_ok(ek_names_add(names, longest, UINT16_MAX));
	assert_ok(ek_names_add(names, "a\0b", 3));
	assert_ok(ek_names_add(names, "a", 1));
	assert_ok(ek_names_add(names, "", 0));
	assert_int_equal(ek_names_next(names, &bytes, &size), 1);
	assert_int_equal(size, 0);
	assert_int_equal(ek_names_next(names, &bytes, &size), 1);
	assert_int_equal(size, 1);
	assert_int_equal(ek_names_next(names, &bytes, &size), 1);
	assert_int_equal(size, 3);
	assert_memory_equal(bytes, "a\0b", 3);
	assert_int_equal(ek_names_next(names, &bytes, &size), 1);
	assert_int_equal(size, UINT16_MAX);
	assert_memory_equal(bytes, longest, size);
	assert_int_equal(ek_names_next(names, &bytes, &size), 0);
	ek_names_free(names);
	free(longest);
}

EK_TEST_MAIN(cmocka_unit_test(names_come_in_byte_order_from_memory_and_from_disk),
             cmocka_unit_test(names_of_any_length_and_bytes_are_kept))
