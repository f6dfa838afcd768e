/*
 * What a person sees while a command works: messages and progress on stderr. A bar only on a terminal; otherwise a
 * line every few seconds. NO_COLOR is honoured.
 */
#ifndef EK_CLI_TERMINAL_H
#define EK_CLI_TERMINAL_H

#include "rebalance/cli/options.h"

/* Take the messages and progress of the library; `quiet` keeps warnings only. tables: of the options that messages name
 * (options.h), until ek_terminal_end; or NULL. */
void ek_terminal_start(int quiet, struct ek_option_table *tables);
void ek_terminal_end(void);

/* Columns to write in: the terminal's, at most 100; 80 if stdout is not one. */
int ek_terminal_width(void);

/* Escape sequences for stdout, of one length, or "" where colour is not wanted. */
#define EK_BOLD "\033[1m"
#define EK_PLAIN "\033[0m"
const char *ek_bold(void);
const char *ek_plain(void);

/* One line on stderr, "evenkeel: " before it. */
void ek_terminal_error(const char *text);
/* Likewise, from a signal handler: "evenkeel: PATH what", in plain bytes. */
void ek_terminal_signal_error(const char *path, const char *what);

#endif
