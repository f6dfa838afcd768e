#include "rebalance/cli/terminal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rebalance/base/log.h"
#include "rebalance/base/text.h"

enum { BAR_WIDTH = 24, LONGEST_LINE = 100, SHORTEST_LINE = 40 };
static const double line_every = 5; /* seconds between lines where there is no terminal */

static struct {
	int quiet, is_terminal, bar_shown;
	double last_line;
} terminal;

static int wants_colour(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && (no == NULL || no[0] == 0) && (term == NULL || strcmp(term, "dumb") != 0);
}

int ek_terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return 80;
	return size.ws_col > LONGEST_LINE ? LONGEST_LINE : size.ws_col < SHORTEST_LINE ? SHORTEST_LINE : size.ws_col;
}

const char *ek_bold(void)
{
	return wants_colour(STDOUT_FILENO) ? EK_BOLD : "";
}

const char *ek_plain(void)
{
	return wants_colour(STDOUT_FILENO) ? EK_PLAIN : "";
}

static void clear_bar(void)
{
	if (terminal.bar_shown)
		(void)fputs("\r\033[K", stderr);
	terminal.bar_shown = 0;
}

/* Names from the data stay one line, and cannot steer the terminal: the text comes as ek_one_line makes it. */
static void show_message(void *context, enum ek_log_level level, const char *text)
{
	struct ek_buffer named = { 0 };

	if (level == EK_LOG_INFO && terminal.quiet)
		return;
	if (context != NULL && ek_options_name(&named, text, context) == 0)
		text = named.data;
	flockfile(stderr);
	clear_bar();
	(void)fprintf(stderr, "%s%s\n", level == EK_LOG_WARNING ? "warning: " : "", text);
	funlockfile(stderr);
	ek_buffer_release(&named);
}

/* How much of the name of a unit, a plural in s, is written behind a count. */
static int unit_length(const struct ek_progress *p, uint64_t count)
{
	return (int)strlen(p->unit) - (count == 1);
}

/* "embedding  12,000 of 50,000 images, 830/s, 46 s left" */
static void describe(char *line, size_t size, const struct ek_progress *p)
{
	char count[32], of[32], rate[32], left[32];
	const double speed = p->seconds > 0 ? (double)p->done / p->seconds : 0;
	int at = snprintf(line, size, "%-19s %s", p->what, ek_text_count(count, p->done));

	if (p->total > 0 && (size_t)at < size)
		at += snprintf(line + at, size - (size_t)at, " of %s", ek_text_count(of, p->total));
	if ((size_t)at < size)
		at += snprintf(line + at, size - (size_t)at, " %.*s", unit_length(p, p->total > 0 ? p->total : p->done),
		               p->unit);
	if (speed > 0 && p->seconds > 1 && (size_t)at < size)
		at += snprintf(line + at, size - (size_t)at, ", %s/s", ek_text_rate(rate, speed));
	if (!isnan(p->left) && (size_t)at < size)
		(void)snprintf(line + at, size - (size_t)at, ", %s left", ek_text_duration(left, p->left));
}

/* A line longer than the terminal would wrap, and then not be cleared. */
static void show_bar(const char *line, const struct ek_progress *p)
{
	struct winsize size;
	const int columns =
		ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : LONGEST_LINE;
	char bar[BAR_WIDTH + 1];
	const double counted = p->total > 0 ? (double)p->done / (double)p->total : 0;
	/* The same, unless a limit in time is nearer. */
	const double share = isnan(p->left) ? counted : p->seconds / (p->seconds + p->left);
	const int full = share >= 1 ? BAR_WIDTH : (int)(share * BAR_WIDTH);

	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < full ? '#' : '.';
	bar[BAR_WIDTH] = 0;
	if ((p->total > 0 || !isnan(p->left)) && (int)strlen(line) + BAR_WIDTH + 3 < columns)
		(void)fprintf(stderr, "\r\033[K%s [%s]", line, bar);
	else
		(void)fprintf(stderr, "\r\033[K%.*s", columns - 1, line);
	terminal.bar_shown = 1;
}

static void show_progress(void *context, const struct ek_progress *p)
{
	char line[256], took[32], count[32];
	const double now = ek_clock();

	(void)context;
	if (terminal.quiet)
		return;
	if (p->finished) {
		clear_bar();
		if (p->done > 0)
			(void)fprintf(stderr, "%-19s %s %.*s in %s%s%s\n", p->what, ek_text_count(count, p->done),
			              unit_length(p, p->done), p->unit, ek_text_duration(took, p->seconds),
			              p->place != NULL ? " on " : "", p->place != NULL ? p->place : "");
		terminal.last_line = 0;
		return;
	}
	if (!terminal.is_terminal && (p->seconds < line_every || now - terminal.last_line < line_every))
		return;
	terminal.last_line = now;
	describe(line, sizeof line, p);
	flockfile(stderr);
	if (terminal.is_terminal)
		show_bar(line, p);
	else
		(void)fprintf(stderr, "%s\n", line);
	funlockfile(stderr);
}

void ek_terminal_start(int quiet, struct ek_option_table *tables)
{
	const struct ek_log_sink sink = { show_message, show_progress, tables };

	terminal.quiet = quiet;
	terminal.is_terminal = isatty(STDERR_FILENO);
	ek_log_set_sink(&sink);
}

void ek_terminal_end(void)
{
	const struct ek_log_sink sink = { show_message, show_progress, NULL };

	ek_log_set_sink(&sink);
}

void ek_terminal_error(const char *text)
{
	clear_bar();
	(void)fprintf(stderr, "evenkeel: %s\n", text);
}

void ek_terminal_signal_error(const char *path, const char *what)
{
	char line[1024];
	const char *const parts[] = { terminal.bar_shown ? "\r\033[K" : "", "evenkeel: ", path, " ", what, "\n" };
	size_t size = 0;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		for (const char *at = parts[i]; *at != 0 && size < sizeof line; at++)
			line[size++] = parts[i] == path && ((unsigned char)*at < 0x20 || *at == 0x7f) ? '?' : *at;
	line[sizeof line - 1] = '\n';
	if (write(STDERR_FILENO, line, size) < 0)
		return; /* there is nobody to tell */
}
