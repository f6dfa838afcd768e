#include "rebalance/base/log.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/base/locale.h"

static struct ek_log_sink sink;
static atomic_int interrupted; /* lock-free: a signal handler sets it */

static struct {
	pthread_mutex_t lock;
	const char *what, *unit; /* what NULL: nothing is being done that is told */
	uint64_t total;
	double limit, start, last_shown; /* limit 0: none */
	atomic_uint_fast64_t done;
	atomic_int whole; /* parts are not heard */
	_Atomic(const char *) place;
} progress = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const double show_every = 0.2; /* seconds */

void ek_log_set_sink(const struct ek_log_sink *s)
{
	sink = *s;
}

__attribute__((format(printf, 2, 0))) static void send_message(enum ek_log_level level, const char *format,
                                                               va_list args)
{
	char raw[1024], text[sizeof raw];

	if (sink.message == NULL)
		return;
	(void)ek_vsnprintf(raw, sizeof raw, format, args);
	ek_one_line(text, sizeof text, raw);
	sink.message(sink.context, level, text);
}

void ek_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	send_message(EK_LOG_INFO, format, args);
	va_end(args);
}

void ek_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	send_message(EK_LOG_WARNING, format, args);
	va_end(args);
}

double ek_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* To the nearer end. */
static double seconds_left(uint64_t done, double seconds)
{
	/* The first percent says little: preparations are in it. But it may be all that a limit leaves time for. */
	const uint64_t few = progress.limit > 0 ? 0 : progress.total / 100;
	double left = NAN;

	if (progress.total > done && done > few && seconds > 1)
		left = (double)(progress.total - done) * seconds / (double)done;
	return progress.limit > 0 ? fmin(left, fmax(progress.limit - seconds, 0)) : left;
}

static void show(int finished)
{
	const double now = ek_clock(), seconds = now - progress.start;
	const uint64_t done = atomic_load(&progress.done);

	if (progress.what == NULL || (!finished && now - progress.last_shown < show_every))
		return;
	progress.last_shown = now;
	sink.progress(sink.context, &(struct ek_progress){ .what = progress.what,
	                                                   .unit = progress.unit,
	                                                   .place = atomic_load(&progress.place),
	                                                   .done = done,
	                                                   .total = progress.total,
	                                                   .seconds = seconds,
	                                                   .left = seconds_left(done, seconds),
	                                                   .finished = finished });
}

static void begin(const char *what, const char *unit, uint64_t total)
{
	(void)pthread_mutex_lock(&progress.lock);
	progress.what = what;
	progress.unit = unit;
	progress.total = total;
	progress.limit = 0;
	progress.start = ek_clock();
	progress.last_shown = 0;
	atomic_store(&progress.done, 0);
	atomic_store(&progress.place, NULL);
	(void)pthread_mutex_unlock(&progress.lock);
}

static void add(uint64_t done)
{
	atomic_fetch_add(&progress.done, done);
	if (sink.progress == NULL || pthread_mutex_trylock(&progress.lock) != 0)
		return;
	show(0);
	(void)pthread_mutex_unlock(&progress.lock);
}

static void end(void)
{
	if (sink.progress == NULL)
		return;
	(void)pthread_mutex_lock(&progress.lock);
	show(1);
	progress.what = NULL;
	(void)pthread_mutex_unlock(&progress.lock);
}

void ek_progress_begin(const char *what, const char *unit, uint64_t total)
{
	if (!atomic_load(&progress.whole))
		begin(what, unit, total);
}

void ek_progress_limit(double seconds)
{
	(void)pthread_mutex_lock(&progress.lock);
	progress.limit = seconds;
	(void)pthread_mutex_unlock(&progress.lock);
}

void ek_progress_add(uint64_t done)
{
	if (!atomic_load(&progress.whole))
		add(done);
}

void ek_progress_end(void)
{
	if (!atomic_load(&progress.whole))
		end();
}

void ek_progress_at(const char *place)
{
	atomic_store(&progress.place, place);
}

void ek_progress_whole_begin(const char *what, const char *unit, uint64_t total)
{
	begin(what, unit, total);
	atomic_store(&progress.whole, 1);
}

void ek_progress_whole_add(uint64_t done)
{
	add(done);
}

void ek_progress_whole_end(void)
{
	atomic_store(&progress.whole, 0);
	end();
}

void ek_interrupt(void)
{
	atomic_store(&interrupted, 1);
}

int ek_check_interrupt(void)
{
	return atomic_load(&interrupted) ? ek_fail(EK_EINTERRUPTED, "interrupted; the same command goes on from here")
	                                 : 0;
}
