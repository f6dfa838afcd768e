#include "tests/support/support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "rebalance/base/threads.h"

static const int thread_counts[] = { 1, 2, 3, 16, 64 };
#define THREAD_COUNTS (sizeof thread_counts / sizeof *thread_counts)

enum { PIECES = 10000 };

struct sums {
	uint64_t *squares;       /* [PIECES] */
	atomic_int in_use[1024]; /* per worker */
	atomic_int overlaps, strangers;
};

static int square(void *context, uint64_t i, int worker)
{
	struct sums *s = context;

	if (worker < 0 || worker >= ek_threads())
		atomic_fetch_add(&s->strangers, 1);
	if (atomic_exchange(&s->in_use[worker], 1) != 0)
		atomic_fetch_add(&s->overlaps, 1);
	s->squares[i] += i * i + 1;
	atomic_store(&s->in_use[worker], 0);
	return 0;
}

static void every_piece_runs_once_whatever_the_threads(void **state)
{
	for (size_t t = 0; t < THREAD_COUNTS; t++) {
		struct sums *s = calloc(1, sizeof *s);

		assert_non_null(s);
		s->squares = calloc(PIECES, sizeof *s->squares);
		assert_non_null(s->squares);
		ek_threads_set(thread_counts[t]);
		assert_int_equal(ek_threads(), thread_counts[t]);
		assert_ok(ek_parallel(PIECES, square, s));
		for (uint64_t i = 0; i < PIECES; i++)
			assert_int_equal(s->squares[i], i * i + 1);
		assert_int_equal(atomic_load(&s->overlaps), 0);
		assert_int_equal(atomic_load(&s->strangers), 0);
		free(s->squares);
		free(s);
	}
	ek_threads_set(0);
}

static void processors_are_counted_once(void **state)
{
	const int before = ek_threads();
	cpu_set_t all, one;
	size_t first = 0;

	assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	assert_int_equal(ek_threads(), before);
	assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
	assert_int_equal(ek_threads(), before);
}

static int refuse_from_100(void *context, uint64_t i, int worker)
{
	atomic_int *ran = context;

	atomic_fetch_add(ran, 1);
	return i >= 100 ? ek_fail(EK_EDATA - (int)(i % 2), "piece %llu", (unsigned long long)i) : 0;
}

static void the_first_failure_stops_the_rest_and_reaches_the_caller(void **state)
{
	for (size_t t = 0; t < THREAD_COUNTS; t++) {
		const int threads = thread_counts[t];
		atomic_int ran = 0;
		char *end;
		long piece;

		ek_threads_set(threads);
		(void)ek_fail(EK_EIO, "an older failure");
		assert_int_equal(ek_parallel(PIECES, refuse_from_100, &ran), EK_EDATA);
		assert_memory_equal(ek_error_message(), "piece ", 6);
		piece = strtol(ek_error_message() + 6, &end, 10);
		/* Pieces start in order, so 100 is among those that ran, and it is the lowest that can fail. */
		assert_int_equal(piece, 100);
		assert_true(atomic_load(&ran) >= 101 && atomic_load(&ran) <= 100 + threads);
	}
	ek_threads_set(0);
}

struct meeting {
	atomic_int second_started, first_failed;
};

static void wait_for(atomic_int *flag)
{
	for (int i = 0; i < 5000 && !atomic_load(flag); i++)
		(void)usleep(1000);
}

/* Both pieces run at once; piece 0 fails first and piece 1 well after it. */
static int fail_in_turn(void *context, uint64_t i, int worker)
{
	struct meeting *m = context;

	if (i == 0) {
		wait_for(&m->second_started);
		atomic_store(&m->first_failed, 1);
		return ek_fail(EK_EDATA, "piece 0");
	}
	atomic_store(&m->second_started, 1);
	wait_for(&m->first_failed);
	(void)usleep(30000);
	return ek_fail(EK_EIO, "piece 1");
}

static void a_later_failure_of_a_higher_piece_does_not_hide_the_lower(void **state)
{
	struct meeting m = { 0, 0 };

	ek_threads_set(2);
	assert_fails(ek_parallel(2, fail_in_turn, &m), EK_EDATA, "piece 0");
	ek_threads_set(0);
}

static int never(void *context, uint64_t i, int worker)
{
	return EK_EUSAGE;
}

static void no_pieces_are_no_work(void **state)
{
	assert_int_equal(ek_parallel(0, never, NULL), 0);
}

static void the_number_of_threads_stays_in_bounds(void **state)
{
	ek_threads_set(5000);
	assert_int_equal(ek_threads(), 1024);
	ek_threads_set(-3);
	assert_true(ek_threads() >= 1);
	ek_threads_set(0);
	assert_true(ek_threads() >= 1 && ek_threads() <= 1024);
}

/* Threads wait between jobs; a job of more, one of fewer, and one that another thread begins meanwhile. */
static void *square_elsewhere(void *context)
{
	return ek_parallel(PIECES, square, context) == 0 ? context : NULL;
}

static void jobs_of_two_threads_do_not_mix(void **state)
{
	struct sums *s = calloc(2, sizeof *s);

	assert_non_null(s);
	for (int i = 0; i < 2; i++)
		assert_non_null(s[i].squares = calloc(PIECES, sizeof *s->squares));
	for (int round = 1; round <= 50; round++) {
		pthread_t thread;
		void *other;

		ek_threads_set(1 + round * 7 % 5);
		assert_int_equal(pthread_create(&thread, NULL, square_elsewhere, &s[1]), 0);
		assert_ok(ek_parallel(PIECES, square, &s[0]));
		assert_int_equal(pthread_join(thread, &other), 0);
		assert_ptr_equal(other, &s[1]);
		for (uint64_t i = 0; i < 2 * PIECES; i++)
			assert_int_equal(s[i / PIECES].squares[i % PIECES],
			                 (uint64_t)round * ((i % PIECES) * (i % PIECES) + 1));
	}
	ek_threads_set(0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(atomic_load(&s[i].overlaps) + atomic_load(&s[i].strangers), 0);
		free(s[i].squares);
	}
	free(s);
}

static void a_child_process_has_threads_of_its_own(void **state)
{
	struct sums *s = calloc(1, sizeof *s);
	pid_t child;
	int status;

	assert_non_null(s);
	assert_non_null(s->squares = calloc(PIECES, sizeof *s->squares));
	ek_threads_set(3);
	assert_ok(ek_parallel(PIECES, square, s));
	if ((child = fork()) == 0)
		_exit(ek_parallel(PIECES, square, s) == 0 && s->squares[3] == 20 ? 7 : 1);
	assert_true(waitpid(child, &status, 0) == child);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_ok(ek_parallel(PIECES, square, s));
	assert_int_equal(s->squares[3], 20);
	ek_threads_set(0);
	free(s->squares);
	free(s);
}

static int fail_if_odd(void *context)
{
	int *number = context;

	*number += 1;
	return *number % 2 ? ek_fail(EK_EDATA, "%d is odd", *number) : 0;
}

static void work_beside_ends_with_its_code_and_its_message(void **state)
{
	struct ek_beside beside = { 0 };
	int number = 1;

	(void)state;
	assert_ok(ek_beside_end(&beside)); /* nothing was begun */
	assert_ok(ek_beside_begin(&beside, fail_if_odd, &number));
	while (!ek_beside_is_done(&beside))
		(void)usleep(1000);
	assert_ok(ek_beside_end(&beside));
	assert_int_equal(number, 2);
	assert_ok(ek_beside_begin(&beside, fail_if_odd, &number));
	assert_int_equal(ek_beside_end(&beside), EK_EDATA);
	assert_string_equal(ek_error_message(), "3 is odd");
	assert_ok(ek_beside_end(&beside));
}

EK_TEST_MAIN(cmocka_unit_test(work_beside_ends_with_its_code_and_its_message),
             cmocka_unit_test(processors_are_counted_once),
             cmocka_unit_test(every_piece_runs_once_whatever_the_threads),
             cmocka_unit_test(the_first_failure_stops_the_rest_and_reaches_the_caller),
             cmocka_unit_test(a_later_failure_of_a_higher_piece_does_not_hide_the_lower),
             cmocka_unit_test(jobs_of_two_threads_do_not_mix), cmocka_unit_test(a_child_process_has_threads_of_its_own),
             cmocka_unit_test(no_pieces_are_no_work), cmocka_unit_test(the_number_of_threads_stays_in_bounds))
