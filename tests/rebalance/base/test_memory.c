#include "tests/support/support.h"

#include "rebalance/base/memory.h"

static void memory_is_zeroed_and_never_null(void **state)
{
	uint64_t *numbers;
	char *nothing;

	assert_ok(ek_alloc(&numbers, 1000, sizeof *numbers));
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(numbers[i], 0);
	free(numbers);
	assert_ok(ek_alloc(&nothing, 0, 8));
	assert_non_null(nothing);
	free(nothing);
}

static void sizes_that_overflow_are_refused_by_name(void **state)
{
	static char here;
	char *p = &here;

	assert_fails(ek_alloc(&p, SIZE_MAX / 2, 4), EK_ENOMEM, "items of 4 bytes");
	assert_null(p);
	p = &here;
	assert_fails(ek_alloc_aligned(&p, SIZE_MAX, SIZE_MAX), EK_ENOMEM, "items of");
	assert_null(p);
	/* PTRDIFF_MAX + 1 bytes fit size_t, and no object may be that large. */
	assert_fails(ek_alloc(&p, (size_t)1 << 60, 8), EK_ENOMEM, "items of 8 bytes");
	p = &here;
	assert_fails(ek_resize(&p, SIZE_MAX, 2), EK_ENOMEM, "items of 2 bytes");
	assert_ptr_equal(p, &here);
}

static void aligned_blocks_are_aligned(void **state)
{
	for (size_t size = 0; size < 300; size += 37) {
		unsigned char *p;

		assert_ok(ek_alloc_aligned(&p, size, 1));
		assert_int_equal((uintptr_t)p % 64, 0);
		memset(p, 1, size);
		free(p);
	}
}

static void resizing_keeps_what_was_there(void **state)
{
	int *p = NULL;

	assert_ok(ek_resize(&p, 3, sizeof *p));
	for (int i = 0; i < 3; i++)
		p[i] = i;
	assert_ok(ek_resize(&p, 100000, sizeof *p));
	assert_int_equal(p[2], 2);
	assert_ok(ek_resize(&p, 0, sizeof *p));
	assert_non_null(p);
	free(p);
}

static void strings_are_copied_and_formatted(void **state)
{
	char *copy, *made;

	assert_ok(ek_copy_string(&copy, ""));
	assert_string_equal(copy, "");
	assert_ok(ek_format(&made, "%s/%05d", "a", 42));
	assert_string_equal(made, "a/00042");
	free(copy);
	free(made);
}

static void a_buffer_is_always_a_string(void **state)
{
	struct ek_buffer b = { 0 };
	const char *data;

	ek_buffer_clear(&b);
	assert_ok(ek_buffer_append(&b, NULL, 0));
	assert_string_equal(b.data, "");
	assert_ok(ek_buffer_append(&b, "a\0b", 3));
	assert_ok(ek_buffer_text(&b, "cd"));
	assert_int_equal(b.size, 5);
	assert_memory_equal(b.data, "a\0bcd", 6);
	ek_buffer_clear(&b);
	for (int i = 0; i < 1000; i++) {
		assert_ok(ek_buffer_printf(&b, "%d,", i));
		assert_int_equal(b.data[b.size], 0);
		assert_true(b.size < b.capacity);
	}
	assert_int_equal(b.size, 10 * 2 + 90 * 3 + 900 * 4);
	assert_non_null(strstr(b.data, "998,999,"));
	assert_ok(ek_buffer_reserve(&b, 100000));
	data = b.data;
	for (int i = 0; i < 100000; i++)
		assert_ok(ek_buffer_append(&b, "x", 1));
	assert_ptr_equal(data, b.data);
	assert_fails(ek_buffer_reserve(&b, SIZE_MAX), EK_ENOMEM, "no memory");
	assert_fails(ek_buffer_reserve(&b, PTRDIFF_MAX), EK_ENOMEM, "no memory");
	ek_buffer_release(&b);
	assert_null(b.data);
	ek_buffer_release(&b);
}

static void the_peak_follows_what_is_used(void **state)
{
	enum { BLOCK = 64 << 20 };
	const uint64_t before = ek_memory_peak();
	volatile char *p;

	assert_true(before > 0);
	assert_ok(ek_alloc(&p, BLOCK, 1));
	for (size_t i = 0; i < BLOCK; i += 4096)
		p[i] = 1;
	/* The block is resident beside at least half of what was there. */
	assert_true(ek_memory_peak() >= BLOCK + before / 2);
	free((void *)(uintptr_t)p);
}

/* Linux gives a new program the ru_maxrss of the one that started it. */
static void the_peak_is_of_this_program_alone(void **state)
{
	enum { BLOCK = 256 << 20 };
	unsigned long long peak = 0;
	char *block, path[4096];
	char *command = NULL;
	const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	FILE *child;

	assert_true(length > 0);
	path[length] = 0;
	assert_ok(ek_alloc(&block, BLOCK, 1));
	memset(block, 1, BLOCK);
	assert_ok(ek_format(&command, "exec '%s' peak", path));
	child = popen(command, "r");
	assert_non_null(child);
	assert_int_equal(fscanf(child, "%llu", &peak), 1);
	assert_int_equal(pclose(child), 0);
	assert_in_range(peak, 1, BLOCK - 1);
	assert_true(ek_memory_peak() >= BLOCK);
	free(command);
	free(block);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_and_never_null),
		cmocka_unit_test(sizes_that_overflow_are_refused_by_name),
		cmocka_unit_test(aligned_blocks_are_aligned),
		cmocka_unit_test(resizing_keeps_what_was_there),
		cmocka_unit_test(strings_are_copied_and_formatted),
		cmocka_unit_test(a_buffer_is_always_a_string),
		cmocka_unit_test(the_peak_follows_what_is_used),
		cmocka_unit_test(the_peak_is_of_this_program_alone),
	};

	if (argc == 2 && strcmp(argv[1], "peak") == 0)
		return printf("%llu\n", (unsigned long long)ek_memory_peak()) < 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
