#include "tests/support/support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "rebalance/base/file.h"
#include "rebalance/base/lock.h"

static void a_file_is_read_whole_up_to_a_limit(void **state)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "a");
	struct ek_buffer text = { 0 };

	ek_write_file(path, "12345", 5);
	assert_ok(ek_file_read(&text, path, 5));
	assert_ok(ek_file_read(&text, path, 5));
	assert_string_equal(text.data, "1234512345");
	assert_fails(ek_file_read(&text, path, 4), EK_EDATA, "larger than 4 bytes");
	assert_fails(ek_file_read(&text, ek_join(folder, "b"), 9), EK_EIO, "b: No such file");
	assert_fails(ek_file_read(&text, folder, 9), EK_EDATA, "not a regular file");
	ek_buffer_release(&text);
	ek_write_file(path, "", 0);
	ek_assert_holds(path, "");
}

/* Whoever opens a FIFO waits for a writer, and a device may never end. */
static void what_is_no_file_is_refused_at_once(void **state)
{
	const char *folder = ek_scratch(), *fifo = ek_join(folder, "fifo");
	struct ek_buffer text = { 0 };
	struct ek_map map;
	struct ek_lock lock;

	assert_int_equal(mkfifo(fifo, 0600), 0);
	(void)alarm(10);
	assert_fails(ek_file_read(&text, fifo, 9), EK_EDATA, "fifo: not a regular file");
	assert_fails(ek_map_open(&map, fifo), EK_EDATA, "fifo: not a regular file");
	assert_fails(ek_file_read(&text, "/dev/zero", 9), EK_EDATA, "/dev/zero: not a regular file");
	assert_fails(ek_lock_take(&lock, fifo, "it"), EK_EDATA, "fifo: not a regular file");
	assert_false(ek_lock_is_at(fifo));
	(void)alarm(0);
	ek_buffer_release(&text);
}

/* A link that leads to itself fails as a disk does: nobody knows what is behind it. */
static void what_cannot_be_told_is_not_taken_for_absence(void **state)
{
	const char *folder = ek_scratch(), *loop = ek_join(folder, "loop");
	glob_t found;

	assert_int_equal(symlink("loop", loop), 0);
	assert_fails(ek_file_exists(loop), EK_EIO, "loop: Too many levels");
	assert_int_equal(ek_file_exists(folder), 1);
	assert_int_equal(ek_file_exists(ek_join(folder, "none")), 0);
	assert_int_equal(ek_file_exists(ek_join(folder, "none/below")), 0);
	ek_write_file(ek_join(folder, "a*b"), "", 0);
	assert_int_equal(ek_file_exists(ek_join(folder, "a*b/below")), 0);
	assert_ok(ek_glob(&found, folder, "*b"));
	assert_int_equal(found.gl_pathc, 1);
	globfree(&found);
	assert_ok(ek_glob(&found, folder, "none/*"));
	assert_int_equal(found.gl_pathc, 0);
	globfree(&found);
	assert_fails(ek_glob(&found, loop, "*"), EK_EIO, "cannot list");
	globfree(&found);
}

static void a_part_is_read_or_its_lack_is_told(void **state)
{
	const char *path = ek_join(ek_scratch(), "a");
	char part[4];
	int fd;

	ek_write_file(path, "0123456789", 10);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(ek_file_read_at(fd, part, 4, 6, path));
	assert_memory_equal(part, "6789", 4);
	assert_fails(ek_file_read_at(fd, part, 4, 7, path), EK_EDATA, "ends 1 bytes too early, at byte 10");
	assert_int_equal(close(fd), 0);
	assert_fails(ek_file_read_at(fd, part, 1, 0, path), EK_EIO, "cannot read");
}

static void a_map_shows_the_bytes(void **state)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "a");
	struct ek_map map;
	const void *data;

	ek_write_file(path, "abc", 3);
	assert_ok(ek_map_open(&map, path));
	assert_int_equal(map.size, 3);
	assert_memory_equal(map.data, "abc", 3);
	assert_string_equal(ek_map_path_at(map.data + 2), path);
	assert_null(ek_map_path_at(map.data + 3));
	assert_null(ek_map_path_at(path));
	data = map.data;
	ek_map_close(&map);
	assert_null(map.data);
	assert_null(ek_map_path_at(data));
	ek_map_close(&map);
	ek_write_file(path, "", 0);
	assert_ok(ek_map_open(&map, path));
	assert_null(map.data);
	ek_map_close(&map);
	assert_fails(ek_map_open(&map, folder), EK_EDATA, "not a regular file");
	assert_fails(ek_map_open(&map, ek_join(folder, "b")), EK_EIO, "cannot open");
}

static void directories_are_made_with_their_parents(void **state)
{
	const char *folder = ek_scratch();

	assert_ok(ek_make_directories(ek_join(folder, "a/b//c/")));
	assert_true(ek_file_exists(ek_join(folder, "a/b/c")));
	assert_ok(ek_make_directories(ek_join(folder, "a/b/c")));
	assert_ok(ek_make_directories("/"));
	assert_ok(ek_make_directories("."));
	ek_write_file(ek_join(folder, "f"), "", 0);
	assert_fails(ek_make_directories(ek_join(folder, "f")), EK_EIO, "is not a directory");
	assert_fails(ek_make_directories(ek_join(folder, "f/g")), EK_EIO, "cannot make the directory");
	assert_fails(ek_make_directories(""), EK_EIO, "cannot make the directory");
	assert_false(ek_file_exists(ek_join(folder, "g")));
}

static void new_directories_can_be_taken_back(void **state)
{
	const char *folder = ek_scratch(), *a = ek_join(folder, "a"), *deep = ek_join(a, "b//c/");
	size_t there;

	assert_ok(ek_make_new_directories(&there, deep));
	assert_int_equal(there, strlen(folder));
	ek_unmake_directories(deep, there);
	assert_int_equal(ek_file_exists(a), 0);
	assert_int_equal(ek_file_exists(folder), 1);
	/* One that was there, and one that is not empty. */
	assert_ok(ek_make_directories(a));
	assert_ok(ek_make_new_directories(&there, deep));
	assert_int_equal(there, strlen(a));
	ek_write_file(ek_join(a, "b/file"), "", 0);
	ek_unmake_directories(deep, there);
	assert_int_equal(ek_file_exists(ek_join(a, "b/c")), 0);
	assert_int_equal(ek_file_exists(ek_join(a, "b/file")), 1);
	assert_ok(ek_make_new_directories(&there, a));
	assert_int_equal(there, strlen(a));
	/* Where not all can be made, none is left. */
	ek_write_file(ek_join(folder, "f"), "", 0);
	assert_fails(ek_make_new_directories(&there, ek_join(folder, "x/../f/g")), EK_EIO, "cannot make the directory");
	assert_int_equal(ek_file_exists(ek_join(folder, "x")), 0);
}

static int write_atomically(const char *path, const char *text, size_t times)
{
	struct ek_atomic_file f = { 0 };
	int rc;

	EK_TRY(ek_atomic_open(&f, path));
	for (size_t i = 0; i < times; i++)
		EK_TRY(ek_atomic_write(&f, text, strlen(text)));
	EK_TRY(ek_atomic_commit(&f));
out:
	ek_atomic_discard(&f);
	return rc;
}

static void an_atomic_write_replaces_only_when_committed(void **state)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "a"), *temporary = ek_join(folder, "a.tmp");
	struct ek_atomic_file f = { 0 };

	ek_atomic_discard(&f);
	assert_ok(write_atomically(path, "first", 1));
	ek_assert_holds(path, "first");
	assert_ok(ek_atomic_open(&f, path));
	assert_ok(ek_atomic_write(&f, "second", 6));
	ek_assert_holds(path, "first");
	ek_atomic_discard(&f);
	ek_assert_holds(path, "first");
	assert_false(ek_file_exists(temporary));
	/* What a killed writer left behind is in nobody's way. */
	ek_write_file(temporary, "half of a much longer text", 26);
	assert_ok(write_atomically(path, "third", 1));
	ek_assert_holds(path, "third");
	assert_false(ek_file_exists(temporary));
	assert_fails(ek_atomic_open(&f, ek_join(folder, "none/a")), EK_EIO, "none/a: No such file");
	ek_atomic_discard(&f);
	/* A device or folder is not replaced, nor what has no name; nothing is left beside it. */
	assert_int_equal(symlink("/dev/null", ek_join(folder, "device")), 0);
	assert_fails(ek_atomic_open(&f, ek_join(folder, "device")), EK_EUSAGE, "device is there and is not a regular");
	assert_int_equal(ek_file_exists(ek_join(folder, "device.tmp")), 0);
	assert_fails(write_atomically(folder, "x", 1), EK_EUSAGE, "is there and is not a regular file");
	assert_fails(ek_atomic_open(&f, ""), EK_EUSAGE, "has no name");
}

static void large_and_small_pieces_keep_their_order(void **state)
{
	enum { LARGE = 700001 };
	const char *path = ek_join(ek_scratch(), "a");
	struct ek_atomic_file f = { 0 };
	struct ek_buffer want = { 0 }, got = { 0 };
	char *large = malloc(LARGE);

	assert_non_null(large);
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)(i % 251);
	assert_ok(ek_atomic_open(&f, path));
	for (size_t i = 0; i < 40; i++) {
		const size_t size = i * 7919 * i % LARGE;

		assert_ok(ek_atomic_write(&f, large, size));
		assert_ok(ek_buffer_append(&want, large, size));
	}
	assert_ok(ek_atomic_commit(&f));
	ek_atomic_discard(&f);
	assert_ok(ek_file_read(&got, path, SIZE_MAX / 2));
	assert_int_equal(got.size, want.size);
	assert_memory_equal(got.data, want.data, want.size);
	ek_buffer_release(&want);
	ek_buffer_release(&got);
	free(large);
}

/* A full disk, played by a limit on the size of files: the old file stays and nothing is left lying about. */
static void a_full_disk_keeps_the_old_file(void **state)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "a");
	struct rlimit was, small;
	int rc;

	assert_ok(write_atomically(path, "old", 1));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = 1000000;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rc = write_atomically(path, "0123456789", 100001);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_fails(rc, EK_EIO, "cannot write");
	assert_non_null(strstr(ek_error_message(), path));
	ek_assert_holds(path, "old");
	assert_false(ek_file_exists(ek_join(folder, "a.tmp")));
	assert_ok(write_atomically(path, "0123456789", 10));
}

static void write_for_ever(const char *path)
{
	char text[] = "version 0\n";

	for (int i = 0;; i++) {
		text[8] = (char)('0' + i % 10);
		if (write_atomically(path, text, 20000) < 0)
			_exit(1);
	}
}

/* Whenever the writer is killed, the file is one whole version. */
static void a_kill_leaves_a_whole_file(void **state)
{
	const char *path = ek_join(ek_scratch(), "a");

	assert_ok(write_atomically(path, "version 9\n", 20000));
	for (int round = 0; round < 20; round++) {
		struct ek_buffer text = { 0 };
		const pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0)
			write_for_ever(path);
		(void)usleep((useconds_t)(round * 1371 % 17000));
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		assert_ok(ek_file_read(&text, path, 1 << 20));
		assert_int_equal(text.size, 200000);
		for (size_t i = 10; i < text.size; i += 10)
			assert_memory_equal(text.data + i, text.data, 10);
		ek_buffer_release(&text);
	}
}

static void a_rename_across_nothing_is_told(void **state)
{
	const char *folder = ek_scratch(), *from = ek_join(folder, "from");

	ek_write_file(from, "x", 1);
	assert_ok(ek_rename_synced(from, ek_join(folder, "to")));
	ek_assert_holds(ek_join(folder, "to"), "x");
	assert_fails(ek_rename_synced(from, ek_join(folder, "to")), EK_EIO, "cannot sync");
	assert_fails(ek_rename_synced(ek_join(folder, "to"), ek_join(folder, "no/to")), EK_EIO, "cannot rename");
	ek_assert_holds(ek_join(folder, "to"), "x");
}

EK_TEST_MAIN(cmocka_unit_test(a_file_is_read_whole_up_to_a_limit), cmocka_unit_test(what_is_no_file_is_refused_at_once),
             cmocka_unit_test(what_cannot_be_told_is_not_taken_for_absence),
             cmocka_unit_test(a_part_is_read_or_its_lack_is_told), cmocka_unit_test(a_map_shows_the_bytes),
             cmocka_unit_test(directories_are_made_with_their_parents),
             cmocka_unit_test(new_directories_can_be_taken_back),
             cmocka_unit_test(an_atomic_write_replaces_only_when_committed),
             cmocka_unit_test(large_and_small_pieces_keep_their_order),
             cmocka_unit_test(a_full_disk_keeps_the_old_file), cmocka_unit_test(a_kill_leaves_a_whole_file),
             cmocka_unit_test(a_rename_across_nothing_is_told))
