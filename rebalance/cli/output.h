/*
 * stdout, so that nothing that comes from a file or a name can steer a terminal: whatever is printed goes through here,
 * as text and as JSON.
 */
#ifndef EK_CLI_OUTPUT_H
#define EK_CLI_OUTPUT_H

#include "rebalance/base/json.h"

/* From now on all that is printed to stdout is tamed. Call once, before anything is. EK_ENOMEM. */
int ek_output_guard(void);

/* Append `text` to `out`, but for a part of a character at its end; `*used` = the bytes before that. Newlines, tabs and
 * the two sequences of ek_bold and ek_plain stay; what else a terminal would obey (error.h) comes as \xNN below U+0020,
 * which JSON has no such character of, and as \uNNNN, which is the same in JSON. EK_ENOMEM. */
int ek_output_tame(struct ek_buffer *out, size_t *used, const char *text, size_t size);

/* A document on stdout: the result of --json. EK_ENOMEM. */
int ek_print_json(const cJSON *json);

#endif
