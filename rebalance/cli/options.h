/*
 * Options: a command declares them once, in a table; parsing, ranges, --help, the record in run.json, shell completion
 * and the manual page come from it.
 */
#ifndef EK_CLI_OPTIONS_H
#define EK_CLI_OPTIONS_H

#include <stdio.h>

#include "rebalance/pipeline/option.h"

struct ek_option_table {
	const char *title; /* heading in --help */
	struct ek_option *options;
};

struct ek_arguments {
	const char **positional; /* borrowed from argv */
	int count;
	char **owned; /* strings that options point to */
	int owned_count;
};

/*
 * Parse argv[1…]: options anywhere, `--opt value` and `--opt=value`, "--" ends them; the rest is positional.
 * tables end with a NULL title. EK_EUSAGE: unknown option (with the nearest valid name), bad or missing value.
 */
int ek_options_parse(struct ek_arguments *arguments, const struct ek_option_table *tables, int argc, char **argv);
/* `*kept` = a copy of `text` that lives as long as the arguments. */
int ek_arguments_keep(const char **kept, struct ek_arguments *arguments, const char *text);
/* The same, made absolute. */
int ek_arguments_keep_path(const char **kept, struct ek_arguments *arguments, const char *path);
void ek_arguments_release(struct ek_arguments *arguments);

/* A new object with the recorded options of a table, as the user would write them. */
int ek_options_to_json(cJSON **out, const struct ek_option *options);
/* Give recorded options that the user did not give the value that `json` has. Values that do not fit are left alone:
 * the default then differs from the record, and the step is stale. */
int ek_options_from_json(struct ek_arguments *arguments, struct ek_option *options, const cJSON *json);

/* As ek_options_from_json, of all of `json`, strictly: EK_EDATA, beginning with `where`, names what is no recorded
 * option of the table or does not fit. Those set count as given. */
int ek_options_replay(struct ek_arguments *arguments, struct ek_option *options, const cJSON *json, const char *where);

/* The help text of the tables, wrapped at `width` columns. */
int ek_options_help(struct ek_buffer *out, const struct ek_option_table *tables, int width);
/* Append `text` wrapped at `width`, lines after the first indented; `column` is where the first line starts. */
int ek_wrap(struct ek_buffer *out, const char *text, int column, int indent, int width);

/* The name nearest to `word` by edit distance, or NULL if none is near. `names` ends with NULL. */
const char *ek_nearest_name(const char *word, const char *const *names);

#endif
