/*
 * Threads. Work is cut into numbered pieces that do not depend on each other; results go to places
 * given by the piece's number, so they are the same for any number of threads.
 */
#ifndef EK_BASE_THREADS_H
#define EK_BASE_THREADS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* The number of threads to use: what was set, else the processors this process may use. ≥ 1. The processors are counted
 * once, so that scratch space for so many workers suffices even if the process is given more meanwhile. */
int ek_threads(void);
/* Set it; 0 goes back to the default. At most 1024. */
void ek_threads_set(int count);

/*
 * Run piece(context, i, worker) for i in 0 … count-1 on at most ek_threads() threads, in any order;
 * worker is in 0 … ek_threads()-1 and no two pieces run at the same time with the same worker number
 * (for scratch space). The caller's thread is worker 0.
 *
 * A piece returns 0 or a negative code. After a failure no new piece starts; the return value and the
 * caller's error message are those of the failed piece with the lowest number that ran.
 *
 * The threads wait for the next call, and a worker's number is always the same thread's. A call while another runs,
 * from within one of its pieces, too, has the caller's thread alone.
 */
int ek_parallel(uint64_t count, int (*piece)(void *context, uint64_t i, int worker), void *context);

/* A piece of work on a thread of its own, while the caller's goes on. Zeroed at first; one may be begun again when it
 * was ended. Only the work touches what it was given, until it is ended. */
struct ek_beside {
	pthread_t thread;
	int (*piece)(void *context);
	void *context;
	int begun, rc;
	atomic_int done;
	char message[512]; /* of a failure: messages are a thread's own */
};

/* EK_ENOMEM: no thread can be made. */
int ek_beside_begin(struct ek_beside *b, int (*piece)(void *context), void *context);
/* Has what was begun come to its end, so that ek_beside_end need not wait? */
int ek_beside_is_done(const struct ek_beside *b);
/* Wait for it; what it returned, with its message. 0 where nothing was begun. */
int ek_beside_end(struct ek_beside *b);

#endif
