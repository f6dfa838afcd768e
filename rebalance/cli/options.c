#include "rebalance/cli/options.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { LONGEST_NAME = 63, HELP_COLUMN = 30 };

/* A row, and the table that it is in. */
struct found {
	const struct ek_option *option;
	const struct ek_option_table *table;
};

static int find(struct found *found, const struct ek_option_table *tables, const char *name, size_t length, char letter)
{
	for (; tables->title != NULL; tables++)
		for (const struct ek_option *o = tables->rows; o->name != NULL; o++)
			if (letter != 0 ? o->letter == letter
			                : strlen(o->name) == length && memcmp(o->name, name, length) == 0) {
				*found = (struct found){ o, tables };
				return 1;
			}
	return 0;
}

/* "no-spherical": the option that it takes back. */
static int find_negated(struct found *found, const struct ek_option_table *tables, const char *name, size_t length)
{
	return length > 3 && memcmp(name, "no-", 3) == 0 && find(found, tables, name + 3, length - 3, 0) &&
	       ek_option_is_negatable(found->option);
}

static int fail_unknown(const struct ek_option_table *tables, const char *name, size_t length)
{
	const char *names[256];
	size_t count = 0;
	char word[LONGEST_NAME + 1];
	const char *nearest;

	for (; tables->title != NULL; tables++)
		for (const struct ek_option *o = tables->rows; o->name != NULL && count < 255; o++)
			names[count++] = o->name;
	names[count] = NULL;
	(void)snprintf(word, sizeof word, "%.*s", (int)(length < LONGEST_NAME ? length : LONGEST_NAME), name);
	nearest = ek_nearest_name(word, names);
	if (nearest != NULL)
		return ek_fail(EK_EUSAGE, "unknown option --%s; did you mean --%s?", word, nearest);
	return ek_fail(EK_EUSAGE, "unknown option --%s; --help lists the options", word);
}

/* argv[*i] is an option; *i moves to its last word. */
static int parse_one(struct ek_arguments *arguments, const struct ek_option_table *tables, int argc, char **argv,
                     int *i)
{
	const char *word = argv[*i], *value = NULL;
	const int is_long = word[1] == '-';
	const char *name = word + (is_long ? 2 : 1);
	const size_t length = strcspn(name, "=");
	struct found f = { 0 };

	if (!find(&f, tables, is_long ? name : NULL, length, is_long ? 0 : word[1])) {
		if (!is_long)
			return ek_fail(EK_EUSAGE, "unknown option -%c; --help lists the options", word[1]);
		if (!find_negated(&f, tables, name, length))
			return fail_unknown(tables, name, length);
		if (name[length] == '=')
			return ek_fail(EK_EUSAGE, "--no-%s takes no value", f.option->name);
		ek_option_unset(f.option, f.table->values);
		*f.table->given |= UINT64_C(1) << (f.option - f.table->rows);
		return 0;
	}
	if (is_long && name[length] == '=')
		value = name + length + 1;
	else if (!is_long && word[2] != 0)
		value = word + 2;
	if (f.option->kind == EK_KIND_FLAG && value != NULL)
		return ek_fail(EK_EUSAGE, "--%s takes no value", f.option->name);
	if (f.option->kind != EK_KIND_FLAG && value == NULL) {
		if (*i + 1 >= argc)
			return ek_fail(EK_EUSAGE, "--%s needs a value: %s", f.option->name, f.option->argument);
		value = argv[++*i];
	}
	*f.table->given |= UINT64_C(1) << (f.option - f.table->rows);
	return ek_option_set(&arguments->strings, f.option, f.table->values, value);
}

int ek_options_name(struct ek_buffer *out, const char *text, const struct ek_option_table *tables)
{
	struct found f;
	int rc = ek_buffer_text(out, "");

	while (rc == 0 && *text != 0) {
		const size_t plain = strcspn(text, "'"), length = text[plain] != 0 ? strcspn(text + plain + 1, "'") : 0;
		const int is_name =
			length > 0 && text[plain + 1 + length] != 0 && find(&f, tables, text + plain + 1, length, 0);

		EK_TRY(ek_buffer_append(out, text, plain));
		text += plain;
		if (is_name)
			EK_TRY(ek_buffer_printf(out, "--%.*s", (int)length, text + 1));
		else
			EK_TRY(ek_buffer_append(out, text, *text != 0));
		text += is_name ? length + 2 : *text != 0;
	}
out:
	return rc;
}

int ek_options_name_error(int rc, const struct ek_option_table *tables)
{
	struct ek_buffer message = { 0 };

	if (rc < 0 && ek_options_name(&message, ek_error_message(), tables) == 0)
		rc = ek_fail(rc, "%s", message.data);
	ek_buffer_release(&message);
	return rc;
}

int ek_options_parse(struct ek_arguments *arguments, const struct ek_option_table *tables, int argc, char **argv)
{
	int only_positional = 0, rc;

	EK_TRY(ek_alloc(&arguments->positional, (size_t)argc, sizeof *arguments->positional));
	for (int i = 1; i < argc; i++) {
		if (!only_positional && strcmp(argv[i], "--") == 0) {
			only_positional = 1;
		} else if (!only_positional && argv[i][0] == '-' && argv[i][1] != 0) {
			EK_TRY(parse_one(arguments, tables, argc, argv, &i));
		} else {
			arguments->positional[arguments->count++] = argv[i];
		}
	}
out:
	return rc;
}

void ek_arguments_release(struct ek_arguments *arguments)
{
	ek_strings_release(&arguments->strings);
	free(arguments->positional);
	*arguments = (struct ek_arguments){ 0 };
}

int ek_wrap(struct ek_buffer *out, const char *text, int column, int indent, int width)
{
	int at = column, rc = 0;

	while (*text != 0) {
		const size_t word = strcspn(text, " ");

		if (at > indent && at + 1 + (int)word > width) {
			EK_TRY(ek_buffer_printf(out, "\n%*s", indent, ""));
			at = indent;
		} else if (at > column || (at > indent && column < indent)) {
			EK_TRY(ek_buffer_text(out, " "));
			at++;
		}
		EK_TRY(ek_buffer_append(out, text, word));
		at += (int)word;
		text += word + strspn(text + word, " ");
	}
out:
	return rc;
}

int ek_option_default(struct ek_buffer *text, const struct ek_option *o, const void *values)
{
	const void *field = ek_option_field(o, values);
	const char *word;

	switch (o->kind) {
	case EK_KIND_INTEGER:
		if (o->zero != NULL && *(const int64_t *)field == 0)
			return ek_buffer_printf(text, " (default %s)", o->zero);
		if (o->standard != NULL && *(const int64_t *)field < 0)
			return ek_buffer_printf(text, " (default: %s)", o->standard);
		return ek_buffer_printf(text, " (default %lld)", (long long)*(const int64_t *)field);
	case EK_KIND_NUMBER:
		if (o->zero != NULL && !(*(const double *)field > 0))
			return ek_buffer_printf(text, " (default %s)", o->zero);
		return ek_buffer_printf(text, " (default %g)", *(const double *)field);
	case EK_KIND_STRING:
	case EK_KIND_PATH:
		word = *(const char *const *)field;
		return word != NULL ? ek_buffer_printf(text, " (default %s)", word) : 0;
	case EK_KIND_CHOICE:
		return ek_buffer_printf(text, " (default %s)", ek_option_choice(o, *(const int *)field).name);
	case EK_KIND_FLAG:
	case EK_KIND_LIST:
		break;
	}
	return 0;
}

static int help_one(struct ek_buffer *out, const struct ek_option_table *all, const struct ek_option *o,
                    const void *values, int width)
{
	struct ek_choice c;
	struct ek_buffer text = { 0 };
	size_t start = out->size;
	int column, rc;

	assert(o->help != NULL && (o->kind == EK_KIND_FLAG || o->argument != NULL));
	EK_TRY(o->letter != 0 ? ek_buffer_printf(out, "  -%c, --", o->letter) : ek_buffer_text(out, "      --"));
	EK_TRY(ek_buffer_printf(out, "%s%s", ek_option_is_negatable(o) ? "[no-]" : "", o->name));
	if (o->kind != EK_KIND_FLAG)
		EK_TRY(ek_buffer_printf(out, " %s", o->argument));
	column = (int)(out->size - start);
	if (column + 2 > HELP_COLUMN)
		EK_TRY(ek_buffer_printf(out, "\n%*s", HELP_COLUMN, ""));
	else
		EK_TRY(ek_buffer_printf(out, "%*s", HELP_COLUMN - column, ""));
	EK_TRY(ek_options_name(&text, o->help, all));
	EK_TRY(ek_option_default(&text, o, values));
	EK_TRY(ek_wrap(out, text.data, HELP_COLUMN, HELP_COLUMN, width));
	EK_TRY(ek_buffer_text(out, "\n"));
	for (int i = 0; o->choices != NULL && (c = ek_option_choice(o, i)).name != NULL; i++) {
		EK_TRY(ek_buffer_printf(out, "%*s%-18s ", HELP_COLUMN + 2, "", c.name));
		ek_buffer_clear(&text);
		EK_TRY(ek_options_name(&text, c.help, all));
		EK_TRY(ek_wrap(out, text.data, HELP_COLUMN + 21, HELP_COLUMN + 21, width));
		EK_TRY(ek_buffer_text(out, "\n"));
	}
out:
	ek_buffer_release(&text);
	return rc;
}

int ek_options_help(struct ek_buffer *out, const struct ek_option_table *tables, const struct ek_option_table *all,
                    int width)
{
	int rc = 0;

	for (; tables->title != NULL; tables++) {
		if (*tables->title != 0)
			EK_TRY(ek_buffer_printf(out, "\n%s:\n", tables->title));
		for (const struct ek_option *o = tables->rows; o->name != NULL; o++)
			EK_TRY(help_one(out, all, o, tables->values, width));
	}
out:
	return rc;
}
