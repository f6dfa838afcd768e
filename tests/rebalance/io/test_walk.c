#include "tests/support/support.h"

#include <sys/stat.h>

#include "rebalance/io/names.h"
#include "rebalance/io/walk.h"

/* So many files in FOLDER/many that their names do not fit into EK_NAMES_MEMORY; their number. */
static int fill(const char *folder)
{
	enum { NAME = 250 };
	const int count = EK_NAMES_MEMORY / NAME + 1;
	char path[512], padding[NAME + 1];

	(void)snprintf(path, sizeof path, "%s/many", folder);
	assert_int_equal(mkdir(path, 0777), 0);
	memset(padding, 'x', NAME);
	padding[NAME - 6] = 0;
	for (int i = 0; i < count; i++) {
		(void)snprintf(path, sizeof path, "%s/many/%06d%s", folder, i, padding);
		ek_write_file(path, "", 0);
	}
	return count;
}

/* Walk to the end: what the last ek_walk_next gave, and how many files and unreadable folders came before. */
static int walk_all(const char *folder, int *files, int *unreadable)
{
	const struct ek_patterns all = { 0 };
	struct ek_walk_entry entry;
	struct ek_walk *walk;
	int rc;

	*files = *unreadable = 0;
	assert_ok(ek_walk_open(&walk, folder, &all));
	while ((rc = ek_walk_next(walk, &entry)) > 0) {
		*files += entry.kind == EK_WALK_FILE;
		*unreadable += entry.kind == EK_WALK_UNREADABLE;
	}
	ek_walk_close(walk);
	return rc;
}

static void a_folder_is_not_passed_over_for_want_of_temporary_space(void **state)
{
	const char *folder = ek_scratch();
	const int count = fill(folder);
	int files, unreadable;

	assert_ok(walk_all(folder, &files, &unreadable));
	assert_int_equal(files, count);
	assert_int_equal(setenv("TMPDIR", ek_join(folder, "none"), 1), 0);
	assert_fails(walk_all(folder, &files, &unreadable), EK_EIO, "temporary");
	assert_int_equal(unreadable, 0);
}

/* /proc has links to every folder of the machine. */
static void what_the_kernel_tells_is_no_data_set(void **state)
{
	static const char *const kernels[] = { "/proc", "/proc/self", "/sys" };
	const struct ek_patterns all = { 0 };
	const char *folder = ek_scratch();
	struct ek_walk_entry entry;
	struct ek_walk *walk;

	for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
		assert_fails(ek_walk_open(&walk, kernels[i], &all), EK_EUSAGE, "what the kernel tells of the machine");
	assert_int_equal(symlink("/proc/self", ek_join(folder, "a")), 0);
	assert_ok(ek_walk_open(&walk, folder, &all));
	assert_int_equal(ek_walk_next(walk, &entry), 1);
	assert_int_equal(entry.kind, EK_WALK_ENTER);
	assert_int_equal(ek_walk_next(walk, &entry), 1);
	assert_int_equal(entry.kind, EK_WALK_LEFT_OUT);
	assert_int_equal(entry.left_out, EK_LEFT_SYSTEM);
	assert_string_equal(entry.path, "a");
	assert_int_equal(ek_walk_next(walk, &entry), 1);
	assert_int_equal(entry.kind, EK_WALK_LEAVE);
	assert_int_equal(ek_walk_next(walk, &entry), 0);
	ek_walk_close(walk);
}

EK_TEST_MAIN(cmocka_unit_test(what_the_kernel_tells_is_no_data_set),
             cmocka_unit_test(a_folder_is_not_passed_over_for_want_of_temporary_space))
