#include "tests/support/support.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "rebalance/base/file.h"
#include "rebalance/base/guard.h"
#include "rebalance/base/lock.h"

static const char *root, *outside; /* a guarded folder, and one with the file "victim" */

static int setup(void **state)
{
	root = ek_join(ek_scratch(), "run");
	outside = ek_scratch();
	assert_ok(ek_make_directories(root));
	ek_write_file(ek_join(outside, "victim"), "precious", 8);
	assert_ok(ek_guard_begin(root));
	return 0;
}

static int teardown(void **state)
{
	struct ek_buffer text = { 0 };

	ek_guard_end(root);
	assert_ok(ek_file_read(&text, ek_join(outside, "victim"), 100));
	assert_string_equal(text.data, "precious");
	ek_buffer_release(&text);
	return 0;
}

static void link_to(const char *target, const char *name)
{
	assert_int_equal(symlink(target, ek_join(root, name)), 0);
}

static int write_whole(const char *path)
{
	struct ek_atomic_file file = { 0 };
	int rc;

	EK_TRY(ek_atomic_open(&file, path));
	EK_TRY(ek_atomic_write(&file, "new", 3));
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	return rc;
}

static void a_link_of_a_temporary_name_goes_itself(void **state)
{
	struct stat status;

	link_to(ek_join(outside, "victim"), "a.tmp");
	assert_ok(write_whole(ek_join(root, "a")));
	assert_int_equal(lstat(ek_join(root, "a"), &status), 0);
	assert_true(S_ISREG(status.st_mode));
	/* Nor does another name of the same file share what is written. */
	assert_int_equal(link(ek_join(outside, "victim"), ek_join(root, "b.tmp")), 0);
	assert_ok(write_whole(ek_join(root, "b")));
	/* A result that is a link is replaced, not what it leads to. */
	link_to(ek_join(outside, "victim"), "c");
	assert_ok(write_whole(ek_join(root, "c")));
	assert_int_equal(lstat(ek_join(root, "c"), &status), 0);
	assert_true(S_ISREG(status.st_mode));
}

static void nothing_is_written_through_a_link(void **state)
{
	const char *inside = ek_join(root, "clusters/victim");
	struct stat status;
	struct ek_lock lock;
	int fd;

	link_to(outside, "clusters");
	assert_fails(write_whole(inside), EK_EUSAGE, "clusters is a link");
	assert_fails(ek_remove(inside), EK_EUSAGE, "clusters is a link");
	assert_fails(ek_rename_synced(ek_join(root, "none"), inside), EK_EUSAGE, "clusters is a link");
	assert_fails(ek_lock_take(&lock, inside, "it"), EK_EUSAGE, "clusters is a link");
	assert_fails(ek_make_directories(ek_join(root, "clusters")), EK_EUSAGE, "clusters is a link");
	assert_fails(ek_make_directories(ek_join(root, "clusters/below")), EK_EUSAGE, "clusters is a link");
	assert_true(stat(ek_join(outside, "below"), &status) != 0);
	link_to(ek_join(outside, "victim"), ".lock");
	assert_fails(ek_lock_take(&lock, ek_join(root, ".lock"), "it"), EK_EUSAGE, ".lock is a link");
	assert_fails(ek_open_writable(&fd, ek_join(root, ".lock"), O_WRONLY | O_APPEND), EK_EUSAGE, ".lock is a link");
	/* The link is a file like any other to whoever removes it. */
	assert_ok(ek_remove(ek_join(root, ".lock")));
	assert_ok(ek_remove(ek_join(root, ".lock")));
	ek_write_file(ek_join(root, "file"), "", 0);
	assert_fails(write_whole(ek_join(root, "file/a")), EK_EUSAGE, "file is in the way");
}

static void the_guarded_folder_may_be_a_link(void **state)
{
	const char *link_name = ek_join(ek_scratch(), "link");

	assert_int_equal(symlink(root, link_name), 0);
	assert_ok(ek_guard_begin(link_name));
	assert_ok(ek_make_directories(ek_join(link_name, "a/b")));
	assert_ok(write_whole(ek_join(link_name, "a/b/c")));
	assert_true(ek_file_exists(ek_join(root, "a/b/c")));
	ek_guard_end(link_name);
}

/* A folder with a longer name, and one that is no longer guarded, are anybody's. */
static void others_are_not_guarded(void **state)
{
	char beside[4096];

	(void)snprintf(beside, sizeof beside, "%s-2", root);
	assert_ok(ek_make_directories(beside));
	assert_int_equal(symlink(outside, ek_join(beside, "a")), 0);
	assert_ok(write_whole(ek_join(beside, "a/b")));
	assert_ok(ek_guard_begin(root));
	ek_guard_end(root);
	link_to(outside, "a");
	assert_fails(write_whole(ek_join(root, "a/b")), EK_EUSAGE, "is a link");
	ek_guard_end(root);
	assert_ok(write_whole(ek_join(root, "a/b")));
	assert_ok(ek_guard_begin(root));
}

EK_TEST_MAIN(cmocka_unit_test_setup_teardown(a_link_of_a_temporary_name_goes_itself, setup, teardown),
             cmocka_unit_test_setup_teardown(nothing_is_written_through_a_link, setup, teardown),
             cmocka_unit_test_setup_teardown(the_guarded_folder_may_be_a_link, setup, teardown),
             cmocka_unit_test_setup_teardown(others_are_not_guarded, setup, teardown))
