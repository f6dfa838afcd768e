/* Processor time, where a machine's other work should not count. */
#ifndef EK_BENCH_CLOCK_H
#define EK_BENCH_CLOCK_H

#include <time.h>

/* Seconds by CLOCK_PROCESS_CPUTIME_ID, of all threads together, or CLOCK_THREAD_CPUTIME_ID, of this one. */
static inline double ek_bench_clock(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
