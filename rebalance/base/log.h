/*
 * Messages, progress and the wish to stop.
 *
 * The library prints nothing. Whoever runs it (the command line, a test, another program)
 * may set a sink that gets messages and progress; without one they are dropped.
 * The sink, and the stop flag, belong to the process; all functions are thread-safe.
 */
#ifndef EK_BASE_LOG_H
#define EK_BASE_LOG_H

#include <stdint.h>

enum ek_log_level { EK_LOG_INFO, EK_LOG_WARNING };

/* `done` of `total` units (0: not known) of the work `what`, `seconds` after its start. `unit` is a plural noun. */
struct ek_progress {
	const char *what, *unit;
	const char *place; /* "GPU 0" if some of it was done there, or NULL */
	uint64_t done, total;
	double seconds;
	double left; /* seconds to the end, as far as can be told; NaN if not */
	int finished;
};

struct ek_log_sink {
	/* One line without newline; control characters come as \xNN. */
	void (*message)(void *context, enum ek_log_level level, const char *text);
	/* Called a few times a second, and with `finished` 1 at the end. */
	void (*progress)(void *context, const struct ek_progress *progress);
	void *context;
};

/* Set before any work starts. */
void ek_log_set_sink(const struct ek_log_sink *sink);

void ek_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void ek_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Progress of one piece of work. One at a time. */
void ek_progress_begin(const char *what, const char *unit, uint64_t total);
/* After begin: the work ends `seconds` (> 0) after its start, however much is done by then. */
void ek_progress_limit(double seconds);
void ek_progress_add(uint64_t done); /* from any thread */
void ek_progress_end(void);
/* From any thread: something is done elsewhere than on the processor. `place` is kept. */
void ek_progress_at(const char *place);
/* The same for work made of parts that tell their own: between begin and end those are not heard. */
void ek_progress_whole_begin(const char *what, const char *unit, uint64_t total);
void ek_progress_whole_add(uint64_t done);
void ek_progress_whole_end(void);

/* Ask all work to stop soon with EK_EINTERRUPTED and its state saved. Async-signal-safe. */
void ek_interrupt(void);
/* 0, or EK_EINTERRUPTED with its message after ek_interrupt: long loops call it with EK_TRY. */
int ek_check_interrupt(void);

/* Seconds of a clock that never goes back. */
double ek_clock(void);

#endif
