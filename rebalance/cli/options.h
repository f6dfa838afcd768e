/* The words of a command line, by tables of options (rebalance/pipeline/option.h): parsing and --help. */
#ifndef EK_CLI_OPTIONS_H
#define EK_CLI_OPTIONS_H

#include "rebalance/pipeline/option.h"

struct ek_arguments {
	const char **positional; /* borrowed from argv */
	int count;
	struct ek_strings strings; /* that options point to */
};

/*
 * Parse argv[1…]: options anywhere, `--opt value` and `--opt=value`, "--" ends them; the rest is positional.
 * tables end with a NULL title. EK_EUSAGE: unknown option (with the nearest valid name), bad or missing value.
 */
int ek_options_parse(struct ek_arguments *arguments, const struct ek_option_table *tables, int argc, char **argv);
void ek_arguments_release(struct ek_arguments *arguments);

/* Append `text`, in which 'NAME' is --NAME where that is an option of the tables: the library names options so. */
int ek_options_name(struct ek_buffer *out, const char *text, const struct ek_option_table *tables);
/* The same of the message of an error, where `rc`, which is returned, is one. */
int ek_options_name_error(int rc, const struct ek_option_table *tables);

/* The help text of the tables, wrapped at `width` columns; it may name options of `all`. */
int ek_options_help(struct ek_buffer *out, const struct ek_option_table *tables, const struct ek_option_table *all,
                    int width);
/* Append " (default VALUE)" by the values of the option's table, where it has one to be told. */
int ek_option_default(struct ek_buffer *text, const struct ek_option *option, const void *values);
/* Append `text` wrapped at `width`, lines after the first indented; `column` is where the first line starts. */
int ek_wrap(struct ek_buffer *out, const char *text, int column, int indent, int width);

#endif
