#include "tests/support/support.h"

#include <signal.h>
#include <sys/wait.h>

#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"

struct seen {
	int infos, warnings;
	char last[2048];
	struct ek_progress progress;
	int shown, finished;
};

static void take_message(void *context, enum ek_log_level level, const char *text)
{
	struct seen *seen = context;

	seen->infos += level == EK_LOG_INFO;
	seen->warnings += level == EK_LOG_WARNING;
	(void)snprintf(seen->last, sizeof seen->last, "%s", text);
}

static void take_progress(void *context, const struct ek_progress *progress)
{
	struct seen *seen = context;

	assert_true(progress->seconds >= 0);
	/* The count of what is done never goes back. */
	assert_true(progress->done >= seen->progress.done);
	seen->progress = *progress;
	seen->shown++;
	seen->finished += progress->finished;
}

static void listen(struct seen *seen)
{
	const struct ek_log_sink sink = { .message = take_message, .progress = take_progress, .context = seen };

	*seen = (struct seen){ 0 };
	ek_log_set_sink(&sink);
}

static void be_deaf(void)
{
	ek_log_set_sink(&(struct ek_log_sink){ 0 });
}

static void without_a_sink_nothing_happens(void **state)
{
	be_deaf();
	ek_info("%d", 1);
	ek_warn("%d", 2);
	ek_progress_begin("a", "b", 3);
	ek_progress_add(1);
	ek_progress_end();
}

static void messages_reach_the_sink_on_one_line(void **state)
{
	struct seen seen;
	char text[5000];

	listen(&seen);
	ek_info("%s is %d", "a\nb", 7);
	assert_string_equal(seen.last, "a\\x0ab is 7");
	ek_warn("careful");
	assert_string_equal(seen.last, "careful");
	assert_int_equal(seen.infos, 1);
	assert_int_equal(seen.warnings, 1);
	memset(text, '\x1b', sizeof text - 1);
	text[sizeof text - 1] = 0;
	ek_warn("%s", text);
	assert_true(strlen(seen.last) < 1024);
	be_deaf();
}

static int add_three(void *context, uint64_t i, int worker)
{
	ek_progress_add(3);
	return 0;
}

static void progress_adds_up_over_threads_and_is_shown_now_and_then(void **state)
{
	struct seen seen;

	listen(&seen);
	ek_threads_set(8);
	ek_progress_begin("Counting", "things", 30000);
	assert_ok(ek_parallel(10000, add_three, NULL));
	ek_progress_end();
	ek_threads_set(0);
	assert_int_equal(seen.progress.done, 30000);
	assert_int_equal(seen.progress.total, 30000);
	assert_true(isnan(seen.progress.left));
	assert_int_equal(seen.finished, 1);
	assert_string_equal(seen.progress.what, "Counting");
	assert_string_equal(seen.progress.unit, "things");
	/* The first, the last, and one for each 0.2 s that it took: far fewer than the calls. */
	assert_true(seen.shown >= 2 && seen.shown < 1000);

	seen.progress.done = 0;
	ek_progress_begin("Again", "things", 0);
	ek_progress_add(1);
	ek_progress_end();
	assert_int_equal(seen.progress.done, 1);
	be_deaf();
}

/* Of parts that do not tell themselves, as intervals of an evaluation, which come behind one that does. */
static void what_has_ended_is_not_told_again(void **state)
{
	struct seen seen;

	listen(&seen);
	ek_progress_begin("Counting", "things", 1);
	ek_progress_add(1);
	ek_progress_end();
	seen.shown = 0;
	(void)usleep(250000); /* longer than between two lines */
	ek_progress_add(1);
	ek_progress_end();
	assert_int_equal(seen.shown, 0);
	assert_int_equal(seen.progress.done, 1);
	be_deaf();
}

static void progress_says_where(void **state)
{
	struct seen seen;

	listen(&seen);
	ek_progress_begin("There", "things", 1);
	ek_progress_at("GPU 0");
	ek_progress_end();
	assert_string_equal(seen.progress.place, "GPU 0");
	ek_progress_begin("Here", "things", 1);
	ek_progress_end();
	assert_null(seen.progress.place);
	be_deaf();
}

static void wait_until(double time)
{
	while (ek_clock() < time)
		(void)usleep(1000);
}

/* What the end of work on `total` steps says, `done` of them in the first second and a bit; limit 0: none. */
static double left_after(struct seen *seen, uint64_t total, uint64_t done, double limit)
{
	const double start = ek_clock();

	seen->progress.done = 0;
	ek_progress_begin("Working", "steps", total);
	if (limit > 0)
		ek_progress_limit(limit);
	wait_until(start + 1.01);
	ek_progress_add(done);
	assert_int_equal(seen->progress.done, done);
	ek_progress_end();
	return seen->progress.left;
}

static void parts_of_a_whole_are_not_heard(void **state)
{
	struct seen seen;

	listen(&seen);
	ek_progress_whole_begin("all", "parts", 2);
	for (int i = 0; i < 2; i++) {
		ek_progress_begin("a part", "things", 1000);
		ek_progress_add(1000);
		ek_progress_end();
		assert_int_equal(seen.finished, 0);
		ek_progress_whole_add(1);
	}
	ek_progress_whole_end();
	assert_int_equal(seen.finished, 1);
	assert_int_equal(seen.progress.done, 2);
	assert_string_equal(seen.progress.what, "all");
	ek_progress_begin("a part", "things", 3);
	ek_progress_add(3);
	ek_progress_end();
	assert_int_equal(seen.finished, 2);
	assert_string_equal(seen.progress.what, "a part");
	be_deaf();
}

static void what_is_left_goes_to_the_nearer_end(void **state)
{
	struct seen seen;
	double left;

	listen(&seen);
	left = left_after(&seen, 300, 100, 0);
	assert_close(left, 2 * seen.progress.seconds, 1e-12);
	left = left_after(&seen, 300, 100, 1e6);
	assert_close(left, 2 * seen.progress.seconds, 1e-12);
	left = left_after(&seen, 1000000000, 100, 1e6);
	assert_close(left, 1e6 - seen.progress.seconds, 1e-12);
	left = left_after(&seen, 0, 100, 1e6);
	assert_close(left, 1e6 - seen.progress.seconds, 1e-12);
	/* Past a limit; and without one, the first percent says nothing. */
	assert_true(left_after(&seen, 1000, 1, 0.5) <= 0);
	assert_true(isnan(left_after(&seen, 1000, 10, 0)));
	be_deaf();
}

static void on_signal(int number)
{
	ek_interrupt();
}

static int check_piece(void *context, uint64_t i, int worker)
{
	return ek_check_interrupt();
}

/* The wish to stop cannot be taken back, so a child process has it. */
static void a_signal_interrupts_work(void **state)
{
	int status;
	pid_t child;

	assert_ok(ek_check_interrupt());
	if ((child = fork()) == 0) {
		int before = ek_check_interrupt();

		(void)signal(SIGUSR1, on_signal);
		(void)raise(SIGUSR1);
		_exit(before == 0 && ek_check_interrupt() == EK_EINTERRUPTED &&
		                      ek_parallel(5, check_piece, NULL) == EK_EINTERRUPTED &&
		                      strstr(ek_error_message(), "interrupted") != NULL
		              ? 0
		              : 1);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_ok(ek_check_interrupt());
}

static void the_clock_never_goes_back(void **state)
{
	double last = ek_clock();

	for (int i = 0; i < 100000; i++) {
		const double now = ek_clock();

		assert_true(now >= last);
		last = now;
	}
}

EK_TEST_MAIN(cmocka_unit_test(without_a_sink_nothing_happens), cmocka_unit_test(messages_reach_the_sink_on_one_line),
             cmocka_unit_test(progress_adds_up_over_threads_and_is_shown_now_and_then),
             cmocka_unit_test(what_has_ended_is_not_told_again), cmocka_unit_test(progress_says_where),
             cmocka_unit_test(parts_of_a_whole_are_not_heard), cmocka_unit_test(what_is_left_goes_to_the_nearer_end),
             cmocka_unit_test(a_signal_interrupts_work), cmocka_unit_test(the_clock_never_goes_back))
