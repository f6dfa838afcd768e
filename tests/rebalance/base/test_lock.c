/* Locks with flock and without it: flock is the test's own. */
#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/lock.h"
#include "rebalance/base/log.h"
#include "tests/support/support.h"

static int flock_error; /* 0: every lock can be had */
static int warnings;

int flock(int fd, int how)
{
	errno = flock_error;
	return flock_error == 0 ? 0 : -1;
}

static void count_warnings(void *context, enum ek_log_level level, const char *text)
{
	warnings += level == EK_LOG_WARNING;
	if (level == EK_LOG_WARNING)
		assert_non_null(strstr(text, "has no locks"));
}

/* The text of PATH.held, as the process that holds it wrote it. */
static const char *held_text(const char *path)
{
	static char text[512];
	struct ek_buffer read = { 0 };

	assert_ok(ek_file_read(&read, ek_join(path, "lock.held"), sizeof text - 1));
	(void)snprintf(text, sizeof text, "%s", read.data);
	ek_buffer_release(&read);
	return text;
}

static void put_held(const char *folder, const char *text)
{
	ek_write_file(ek_join(folder, "lock.held"), text, strlen(text));
}

static void without_locks_a_file_keeps_others_out(void **state)
{
	static const int errors[] = { ENOLCK, ENOSYS, EOPNOTSUPP };
	const struct ek_log_sink sink = { .message = count_warnings };
	const char *folder = ek_scratch(), *path = ek_join(folder, "lock");
	struct ek_lock lock, second;

	ek_log_set_sink(&sink);
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		flock_error = errors[i];
		assert_ok(ek_lock_take(&lock, path, "run"));
		assert_true(ek_lock_is_at(path));
		assert_fails(ek_lock_take(&second, path, "run"), EK_EUSAGE, "run is in use by process");
		assert_non_null(strstr(ek_error_message(), "remove"));
		assert_non_null(strstr(ek_error_message(), "lock.held"));
		/* Who has a lock after all does not pass by. */
		flock_error = 0;
		assert_fails(ek_lock_take(&second, path, "run"), EK_EUSAGE, "run is in use by process");
		ek_lock_release(&lock);
		assert_false(ek_file_exists(ek_join(folder, "lock.held")));
		assert_ok(ek_lock_take(&second, path, "run"));
		assert_false(ek_file_exists(ek_join(folder, "lock.held")));
		ek_lock_release(&second);
	}
	assert_int_equal(warnings, 1);
	ek_log_set_sink(&(struct ek_log_sink){ 0 });
}

static void a_lock_that_somebody_has_or_that_fails_is_no_missing_one(void **state)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "lock");
	struct ek_lock lock;

	flock_error = EWOULDBLOCK;
	ek_write_file(path, "evenkeel 12\n", 12);
	assert_fails(ek_lock_take(&lock, path, "run"), EK_EUSAGE, "run is in use by process 12");
	flock_error = EIO;
	assert_fails(ek_lock_take(&lock, path, "run"), EK_EIO, "cannot lock run");
	assert_int_equal(lock.fd, -1);
	assert_false(ek_file_exists(ek_join(folder, "lock.held")));
}

static void what_the_dead_hold_is_taken_over_what_others_hold_is_not(void **state)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "lock");
	char text[512], other[600];
	struct ek_lock lock;
	pid_t child;
	int status;

	flock_error = ENOLCK;
	if ((child = fork()) == 0) /* dies with the lock in its hand */
		_exit(ek_lock_take(&lock, path, "run") == 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	(void)snprintf(text, sizeof text, "%s", held_text(folder));
	assert_ok(ek_lock_take(&lock, path, "run"));
	assert_string_not_equal(held_text(folder), text);
	ek_lock_release(&lock);

	flock_error = 0; /* and by one that can lock */
	put_held(folder, text);
	assert_ok(ek_lock_take(&lock, path, "run"));
	assert_false(ek_file_exists(ek_join(folder, "lock.held")));
	ek_lock_release(&lock);

	flock_error = ENOLCK;
	(void)snprintf(other, sizeof other, "evenkeel far.%s", text + strlen("evenkeel "));
	put_held(folder, other);
	assert_fails(ek_lock_take(&lock, path, "run"), EK_EUSAGE, " of far.");
	assert_string_equal(held_text(folder), other);
	put_held(folder, ""); /* being made */
	assert_fails(ek_lock_take(&lock, path, "run"), EK_EUSAGE, "in use by another process");
	put_held(folder, "notes of somebody\n");
	assert_fails(ek_lock_take(&lock, path, "run"), EK_EUSAGE, "in use by another process");
	assert_string_equal(held_text(folder), "notes of somebody\n");
}

/* The id of a process that lives, but was started at another time: it is another one. */
static void an_id_used_again_is_not_its_owner(void **state)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "lock");
	char text[512];
	struct ek_lock lock, second;

	flock_error = ENOLCK;
	assert_ok(ek_lock_take(&lock, path, "run"));
	(void)snprintf(text, sizeof text, "%s", held_text(folder));
	ek_lock_release(&lock);
	(void)snprintf(strrchr(text, ' '), 4, " 1\n");
	put_held(folder, text);
	assert_ok(ek_lock_take(&lock, path, "run"));
	/* What somebody else put in its place is not ours to remove. */
	put_held(folder, "theirs\n");
	ek_lock_release(&lock);
	assert_string_equal(held_text(folder), "theirs\n");
	ek_lock_release(&lock);
	second = (struct ek_lock)EK_LOCK_NONE;
	ek_lock_release(&second);
}

EK_TEST_MAIN(cmocka_unit_test(without_locks_a_file_keeps_others_out),
             cmocka_unit_test(a_lock_that_somebody_has_or_that_fails_is_no_missing_one),
             cmocka_unit_test(what_the_dead_hold_is_taken_over_what_others_hold_is_not),
             cmocka_unit_test(an_id_used_again_is_not_its_owner))
