#include "tests/support/support.h"

#include <sys/stat.h>

#include "rebalance/base/file.h"
#include "rebalance/io/folder.h"

static const char *const ours[] = { "config.json", "images/[0-9]*.png", NULL };

/* Write a set of one image into a new folder, and put it in its place. */
static int make(const char *path, const char *text)
{
	struct ek_folder folder = { 0 };
	int rc;

	EK_TRY(ek_folder_open(&folder, path, ours));
	EK_TRY(ek_folder_clear(&folder));
	assert_ok(ek_make_directories(ek_join(folder.fresh, "images")));
	ek_write_file(ek_join(folder.fresh, "config.json"), text, strlen(text));
	ek_write_file(ek_join(folder.fresh, "images/0.png"), text, strlen(text));
	EK_TRY(ek_folder_publish(&folder));
out:
	return ek_folder_release(&folder, rc);
}

static void a_folder_takes_the_place_of_the_old_one(void **state)
{
	const char *run = ek_scratch(), *path = ek_join(run, "set"), *fresh = ek_join(run, ".set.new");

	assert_ok(make(path, "one"));
	ek_write_file(ek_join(path, "images/1.png"), "surplus", 7);
	ek_write_file(ek_join(path, "config.json.tmp"), "half", 4);
	assert_ok(make(path, "two"));
	ek_assert_holds(ek_join(path, "config.json"), "two");
	ek_assert_holds(ek_join(path, "images/0.png"), "two");
	assert_false(ek_file_exists(ek_join(path, "images/1.png")));
	assert_false(ek_file_exists(fresh));
	/* What a kill left beside it. */
	assert_ok(ek_make_directories(ek_join(fresh, "images")));
	ek_write_file(ek_join(fresh, "images/7.png"), "old", 3);
	assert_ok(make(path, "three"));
	ek_assert_holds(ek_join(path, "images/0.png"), "three");
	assert_false(ek_file_exists(ek_join(path, "images/7.png")));
	assert_false(ek_file_exists(fresh));
}

/* What is not ours stays, with all the rest, until its owner has moved it. */
static void what_we_did_not_make_is_not_removed(void **state)
{
	static const char *const foreign[] = { "notes.txt", "images/my.png", "images/deep/0.png", "other/0.png",
		                               "config.json/0" };

	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		const char *run = ek_scratch(), *path = ek_join(run, "set"), *file = ek_join(path, foreign[i]);
		char folder[4096];

		if (i < 4)
			assert_ok(make(path, "one"));
		(void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(file, '/') - file), file);
		assert_ok(ek_make_directories(folder));
		ek_write_file(file, "mine", 4);
		assert_fails(make(path, "two"), EK_EUSAGE, "which evenkeel did not make");
		ek_assert_holds(file, "mine");
		if (i < 4)
			ek_assert_holds(ek_join(path, "images/0.png"), "one");
		assert_false(ek_file_exists(ek_join(run, ".set.new")));
		/* Nothing is blocked for ever. */
		assert_int_equal(rename(file, ek_join(run, "moved")), 0);
		while (strcmp(folder, path) != 0 && rmdir(folder) == 0)
			*strrchr(folder, '/') = 0;
		assert_ok(make(path, "two"));
	}
}

static void links_are_not_followed(void **state)
{
	const char *run = ek_scratch(), *outside = ek_scratch(), *path = ek_join(run, "set");
	const char *victim = ek_join(outside, "config.json");

	ek_write_file(victim, "precious", 8);
	assert_int_equal(symlink(outside, ek_join(run, ".set.new")), 0);
	assert_ok(make(path, "one"));
	assert_int_equal(unlink(ek_join(path, "config.json")), 0);
	assert_int_equal(symlink(victim, ek_join(path, "config.json")), 0);
	assert_ok(make(path, "two"));
	ek_assert_holds(victim, "precious");
	ek_assert_holds(ek_join(path, "config.json"), "two");
	assert_int_equal(symlink(outside, ek_join(run, "link")), 0);
	assert_fails(make(ek_join(run, "link"), "one"), EK_EUSAGE, "link is in the way");
	assert_fails(make(ek_join(path, "config.json"), "one"), EK_EUSAGE, "config.json is in the way");
	ek_assert_holds(victim, "precious");
}

static void a_folder_that_is_kept_can_be_gone_on_with(void **state)
{
	const char *path = ek_join(ek_scratch(), "set");
	struct ek_folder folder;

	assert_ok(ek_folder_open(&folder, path, ours));
	assert_ok(ek_folder_clear(&folder));
	ek_write_file(ek_join(folder.fresh, "config.json"), "begun", 5);
	ek_folder_keep(&folder);
	assert_ok(ek_folder_open(&folder, path, ours));
	ek_assert_holds(ek_join(folder.fresh, "config.json"), "begun");
	assert_ok(ek_folder_publish(&folder));
	assert_int_equal(ek_folder_release(&folder, 0), 0);
	ek_assert_holds(ek_join(path, "config.json"), "begun");
}

EK_TEST_MAIN(cmocka_unit_test(a_folder_takes_the_place_of_the_old_one),
             cmocka_unit_test(what_we_did_not_make_is_not_removed), cmocka_unit_test(links_are_not_followed),
             cmocka_unit_test(a_folder_that_is_kept_can_be_gone_on_with))
