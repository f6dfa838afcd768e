#include "rebalance/base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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

struct worker {
	struct job *job;
	pthread_t thread;
	int number;
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

static void *work(void *argument)
{
	const struct worker *w = argument;
	struct job *job = w->job;

	while (!atomic_load(&job->stop)) {
		const uint64_t i = atomic_fetch_add(&job->next, 1);
		int rc;

		if (i >= job->count)
			break;
		if ((rc = job->piece(job->context, i, w->number)) < 0)
			note_failure(job, i, rc);
	}
	return NULL;
}

int ek_parallel(uint64_t count, int (*piece)(void *context, uint64_t i, int worker), void *context)
{
	struct job job = { .count = count, .piece = piece, .context = context, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct worker workers[MAX_THREADS];
	int wanted = ek_threads(), started = 1;

	if ((uint64_t)wanted > count)
		wanted = count > 0 ? (int)count : 1;
	for (int i = 0; i < wanted; i++)
		workers[i] = (struct worker){ .job = &job, .number = i };
	/* Fewer threads than asked for is slower, not wrong. */
	while (started < wanted && pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0)
		started++;
	(void)work(&workers[0]);
	for (int i = 1; i < started; i++)
		(void)pthread_join(workers[i].thread, NULL);
	if (job.rc < 0)
		(void)ek_fail(job.rc, "%s", job.message != NULL ? job.message : "no memory");
	free(job.message);
	(void)pthread_mutex_destroy(&job.lock);
	return job.rc;
}
