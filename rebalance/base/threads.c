#include "rebalance/base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { MAX_THREADS = 1024 };

static atomic_int chosen, found;

static int count_processors(void)
{
	cpu_set_t set;
	/* The set is too small for machines of more than 1024 processors. */
	const long count =
		sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);

	return count < 1 ? 1 : count > MAX_THREADS ? MAX_THREADS : (int)count;
}

int ek_threads(void)
{
	const int set = atomic_load(&chosen);
	int known = atomic_load(&found);

	if (set > 0)
		return set;
	if (known == 0) {
		const int count = count_processors();

		/* The first to ask decides; `known` is what it found. */
		if (atomic_compare_exchange_strong(&found, &known, count))
			known = count;
	}
	return known;
}

void ek_threads_set(int count)
{
	atomic_store(&chosen, count < 0 ? 0 : count > MAX_THREADS ? MAX_THREADS : count);
}

struct job {
	uint64_t count;
	int (*piece)(void *, uint64_t, int);
	void *context;
	atomic_uint_fast64_t next;
	atomic_int stop;
	pthread_mutex_t lock; /* guards the three below */
	uint64_t failed_piece;
	int rc;
	char *message;
};

static void note_failure(struct job *job, uint64_t i, int rc)
{
	atomic_store(&job->stop, 1);
	(void)pthread_mutex_lock(&job->lock);
	if (job->rc == 0 || i < job->failed_piece) {
		job->rc = rc;
		job->failed_piece = i;
		free(job->message);
		(void)ek_copy_string(&job->message, ek_error_message());
	}
	(void)pthread_mutex_unlock(&job->lock);
}

static void work(struct job *job, int worker)
{
	while (!atomic_load(&job->stop)) {
		const uint64_t i = atomic_fetch_add(&job->next, 1);
		int rc;

		if (i >= job->count)
			break;
		if ((rc = job->piece(job->context, i, worker)) < 0)
			note_failure(job, i, rc);
	}
}

/* Threads that wait for jobs: what they keep, and what their cores' caches hold, serves the next one. A worker's number
 * is always the same thread's. Whoever waits, for a job or for its end, looks for a moment before it sleeps: jobs that
 * follow each other closely, as the steps of an iteration do, take less time than waking sixteen threads. */
static struct pool {
	pthread_mutex_t lock; /* guards taken, size, sleeping, and what is slept for */
	pthread_cond_t begun, ended;
	int taken;                 /* a job runs */
	int size;                  /* threads there are; the caller's is beside them */
	int sleeping;              /* of them */
	struct job *job;           /* written before `call` */
	atomic_uint_fast64_t call; /* jobs begun so far · CALL + the threads that take part in this one */
	atomic_int busy;           /* of those, at work */
} pool;
enum { CALL = 2 * MAX_THREADS };
static const struct pool empty_pool = { .lock = PTHREAD_MUTEX_INITIALIZER,
	                                .begun = PTHREAD_COND_INITIALIZER,
	                                .ended = PTHREAD_COND_INITIALIZER };

/* A child process has none of its parent's threads. */
static void forget_pool(void)
{
	pool = empty_pool;
}

static void make_pool(void)
{
	forget_pool();
	(void)pthread_atfork(NULL, NULL, forget_pool);
}

/* Looks before it sleeps: some ten microseconds, at most fifty. */
enum { LOOKS = 1000 };

static void pause_thread(void)
{
#if defined __x86_64__
	__builtin_ia32_pause();
#endif
}

/* Wait for another call than `seen`, and return it. */
static uint64_t next_call(uint64_t seen)
{
	uint64_t call = seen;

	for (int i = 0; i < LOOKS && (call = atomic_load(&pool.call)) == seen; i++)
		pause_thread();
	if (call != seen)
		return call;
	(void)pthread_mutex_lock(&pool.lock);
	pool.sleeping++;
	while ((call = atomic_load(&pool.call)) == seen)
		(void)pthread_cond_wait(&pool.begun, &pool.lock);
	pool.sleeping--;
	(void)pthread_mutex_unlock(&pool.lock);
	return call;
}

struct place {
	uint64_t seen; /* the call before the thread began */
	int number;
};

static void *serve(void *argument)
{
	struct place *place = argument;
	const int number = place->number;
	uint64_t call = place->seen;

	free(place);
	for (;;) {
		call = next_call(call);
		/* One that takes no part may see a later call than it woke for; of one in which it does, none is after
		 * it before it is done. */
		if (number > (int)(call % CALL))
			continue;
		work(pool.job, number);
		if (atomic_fetch_sub(&pool.busy, 1) == 1) {
			(void)pthread_mutex_lock(&pool.lock);
			(void)pthread_cond_signal(&pool.ended);
			(void)pthread_mutex_unlock(&pool.lock);
		}
	}
	return NULL;
}

/* Up to `count` threads, with the lock held. Fewer than asked for is slower, not wrong. */
static void grow(int count)
{
	sigset_t all, before;
	pthread_attr_t detached;

	if (pool.size >= count || pthread_attr_init(&detached) != 0)
		return;
	(void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	/* Signals from outside are for the thread that waits for them. */
	(void)sigfillset(&all);
	for (const int *fault = (const int[]){ SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, 0 }; *fault != 0; fault++)
		(void)sigdelset(&all, *fault);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	while (pool.size < count) {
		struct place *place = malloc(sizeof *place);
		pthread_t thread;

		if (place == NULL)
			break;
		*place = (struct place){ atomic_load(&pool.call), pool.size + 1 };
		if (pthread_create(&thread, &detached, serve, place) != 0) {
			free(place);
			break;
		}
		pool.size++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&detached);
}

/* Have up to `others` threads of the pool begin, with the lock held. */
static void call_threads(struct job *job, int others)
{
	const uint64_t jobs = atomic_load(&pool.call) / CALL + 1;

	grow(others);
	others = others < pool.size ? others : pool.size;
	pool.job = job;
	atomic_store(&pool.busy, others);
	atomic_store(&pool.call, jobs * CALL + (uint64_t)others);
	if (pool.sleeping > 0)
		(void)pthread_cond_broadcast(&pool.begun);
}

static void wait_for_threads(void)
{
	for (int i = 0; i < LOOKS && atomic_load(&pool.busy) > 0; i++)
		pause_thread();
	(void)pthread_mutex_lock(&pool.lock);
	while (atomic_load(&pool.busy) > 0)
		(void)pthread_cond_wait(&pool.ended, &pool.lock);
	pool.taken = 0;
	(void)pthread_mutex_unlock(&pool.lock);
}

/* On this thread and `others` of the pool; on this one alone where the pool works for another. */
static void run(struct job *job, int others)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int mine;

	(void)pthread_once(&once, make_pool);
	(void)pthread_mutex_lock(&pool.lock);
	mine = !pool.taken && others > 0;
	if (mine) {
		pool.taken = 1;
		call_threads(job, others);
	}
	(void)pthread_mutex_unlock(&pool.lock);
	work(job, 0);
	if (mine)
		wait_for_threads();
}

int ek_parallel(uint64_t count, int (*piece)(void *context, uint64_t i, int worker), void *context)
{
	struct job job = { .count = count, .piece = piece, .context = context, .lock = PTHREAD_MUTEX_INITIALIZER };
	const int threads = ek_threads();

	run(&job, count < (uint64_t)threads ? (int)count - 1 : threads - 1);
	if (job.rc < 0)
		(void)ek_fail(job.rc, "%s", job.message != NULL ? job.message : "no memory");
	free(job.message);
	(void)pthread_mutex_destroy(&job.lock);
	return job.rc;
}

static void *work_beside(void *context)
{
	struct ek_beside *b = context;

	b->rc = b->piece(b->context);
	if (b->rc < 0)
		(void)snprintf(b->message, sizeof b->message, "%s", ek_error_message());
	atomic_store(&b->done, 1);
	return NULL;
}

int ek_beside_begin(struct ek_beside *b, int (*piece)(void *context), void *context)
{
	*b = (struct ek_beside){ .piece = piece, .context = context };
	if (pthread_create(&b->thread, NULL, work_beside, b) != 0)
		return ek_fail(EK_ENOMEM, "no thread can be made");
	b->begun = 1;
	return 0;
}

int ek_beside_is_done(const struct ek_beside *b)
{
	return atomic_load(&b->done);
}

int ek_beside_end(struct ek_beside *b)
{
	if (!b->begun)
		return 0;
	(void)pthread_join(b->thread, NULL);
	b->begun = 0;
	return b->rc < 0 ? ek_fail(b->rc, "%s", b->message) : b->rc;
}
