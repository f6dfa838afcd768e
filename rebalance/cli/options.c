#include "rebalance/cli/options.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { LONGEST_NAME = 63, HELP_COLUMN = 30 };

static const char standard_word[] = "default";

/* Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t d[LONGEST_NAME + 2][LONGEST_NAME + 2];
	const size_t m = strlen(a), n = strlen(b);

	if (m > LONGEST_NAME || n > LONGEST_NAME)
		return SIZE_MAX;
	for (size_t i = 0; i <= m; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= n; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= m; i++) {
		for (size_t j = 1; j <= n; j++) {
			size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[m][n];
}

const char *ek_nearest_name(const char *word, const char *const *names)
{
	size_t best = strlen(word) / 3 + 2; /* farther than this is another word */
	const char *nearest = NULL;

	for (; *names != NULL; names++) {
		const size_t distance = edit_distance(word, *names);

		if (distance < best) {
			best = distance;
			nearest = *names;
		}
	}
	return nearest;
}

static struct ek_option *find(const struct ek_option_table *tables, const char *name, size_t length, char letter)
{
	for (; tables->title != NULL; tables++)
		for (struct ek_option *o = tables->options; o->name != NULL; o++)
			if (letter != 0 ? o->letter == letter
			                : strlen(o->name) == length && memcmp(o->name, name, length) == 0)
				return o;
	return NULL;
}

/* Only what run.json keeps needs taking back. */
static int is_negatable(const struct ek_option *o)
{
	return o->recorded && (o->kind == EK_KIND_FLAG || o->kind == EK_KIND_LIST);
}

/* "no-spherical": the option that it takes back. */
static struct ek_option *find_negated(const struct ek_option_table *tables, const char *name, size_t length)
{
	struct ek_option *o = length > 3 && memcmp(name, "no-", 3) == 0 ? find(tables, name + 3, length - 3, 0) : NULL;

	return o != NULL && is_negatable(o) ? o : NULL;
}

static int fail_unknown(const struct ek_option_table *tables, const char *name, size_t length)
{
	const char *names[256];
	size_t count = 0;
	char word[LONGEST_NAME + 1];
	const char *nearest;

	for (; tables->title != NULL; tables++)
		for (const struct ek_option *o = tables->options; o->name != NULL && count < 255; o++)
			names[count++] = o->name;
	names[count] = NULL;
	(void)snprintf(word, sizeof word, "%.*s", (int)(length < LONGEST_NAME ? length : LONGEST_NAME), name);
	nearest = ek_nearest_name(word, names);
	if (nearest != NULL)
		return ek_fail(EK_EUSAGE, "unknown option --%s; did you mean --%s?", word, nearest);
	return ek_fail(EK_EUSAGE, "unknown option --%s; --help lists the options", word);
}

static int keep(struct ek_arguments *arguments, char *text)
{
	int rc = ek_resize(&arguments->owned, (size_t)arguments->owned_count + 1, sizeof *arguments->owned);

	if (rc < 0)
		free(text);
	else
		arguments->owned[arguments->owned_count++] = text;
	return rc;
}

int ek_arguments_keep_path(const char **kept, struct ek_arguments *arguments, const char *path)
{
	char *absolute = NULL, *here = NULL;
	int rc;

	if (path[0] == '/')
		EK_TRY(ek_copy_string(&absolute, path));
	else if ((here = getcwd(NULL, 0)) == NULL)
		return ek_fail_errno("cannot tell the working directory");
	else
		EK_TRY(ek_format(&absolute, "%s/%s", here, path));
	EK_TRY(keep(arguments, absolute));
	*kept = absolute;
out:
	free(here);
	return rc;
}

static int set_path(struct ek_arguments *arguments, const struct ek_option *o, const char *value)
{
	if (value[0] == 0)
		return ek_fail(EK_EUSAGE, "--%s needs a name, not an empty one", o->name);
	return ek_arguments_keep_path(o->target, arguments, value);
}

static int set_integer(const struct ek_option *o, const char *value)
{
	char *end;
	long long number;

	if (o->zero != NULL && strcmp(value, o->zero) == 0) {
		*(int64_t *)o->target = 0;
		return 0;
	}
	if (o->standard != NULL && strcmp(value, standard_word) == 0) {
		*(int64_t *)o->target = -1;
		return 0;
	}
	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno != 0 || end == value || *end != 0 || (double)number < o->low || (double)number > o->high)
		return ek_fail(EK_EUSAGE, "--%s is \"%s\", not %s%sa whole number from %.0f to %.0f", o->name, value,
		               o->zero != NULL ? o->zero : "", o->zero != NULL ? " or " : "", o->low, o->high);
	*(int64_t *)o->target = number;
	return 0;
}

static int set_number(const struct ek_option *o, const char *value)
{
	char *end;
	const double number = strtod(value, &end);

	if (o->zero != NULL && strcmp(value, o->zero) == 0) {
		*(double *)o->target = 0;
		return 0;
	}
	if (end == value || *end != 0 || !(number >= o->low && number <= o->high))
		return ek_fail(EK_EUSAGE, "--%s is \"%s\", not %s%sa number from %g to %g", o->name, value,
		               o->zero != NULL ? o->zero : "", o->zero != NULL ? " or " : "", o->low, o->high);
	*(double *)o->target = number;
	return 0;
}

static int set_choice(const struct ek_option *o, const char *value)
{
	struct ek_buffer all = { 0 };
	int rc = 0;

	for (int i = 0; o->choices[i].name != NULL; i++) {
		if (strcmp(o->choices[i].name, value) == 0) {
			*(int *)o->target = i;
			goto out;
		}
		EK_TRY(ek_buffer_printf(&all, "%s%s", i > 0 ? ", " : "", o->choices[i].name));
	}
	rc = ek_fail(EK_EUSAGE, "--%s is \"%s\", not one of %s", o->name, value, all.data);
out:
	ek_buffer_release(&all);
	return rc;
}

static int add_to_list(const struct ek_option *o, const char *value)
{
	struct ek_list *list = o->target;
	const int rc = o->check != NULL ? o->check(value) : 0;

	if (rc < 0)
		return rc;
	if (list->count == EK_LIST_MAX)
		return ek_fail(EK_EUSAGE, "--%s is given more than %d times", o->name, EK_LIST_MAX);
	list->items[list->count++] = value;
	return 0;
}

static int set(struct ek_arguments *arguments, const struct ek_option *o, const char *value)
{
	switch (o->kind) {
	case EK_KIND_FLAG:
		*(int *)o->target = 1;
		return 0;
	case EK_KIND_INTEGER:
		return set_integer(o, value);
	case EK_KIND_NUMBER:
		return set_number(o, value);
	case EK_KIND_STRING:
		*(const char **)o->target = value;
		return o->check != NULL ? o->check(value) : 0;
	case EK_KIND_PATH:
		return set_path(arguments, o, value);
	case EK_KIND_CHOICE:
		return set_choice(o, value);
	case EK_KIND_LIST:
		return add_to_list(o, value);
	}
	return ek_fail(EK_EUSAGE, "--%s has no kind", o->name);
}

/* argv[*i] is an option; *i moves to its last word. */
static int parse_one(struct ek_arguments *arguments, const struct ek_option_table *tables, int argc, char **argv,
                     int *i)
{
	const char *word = argv[*i], *value = NULL;
	const int is_long = word[1] == '-';
	const char *name = word + (is_long ? 2 : 1);
	const size_t length = strcspn(name, "=");
	struct ek_option *o = is_long ? find(tables, name, length, 0) : find(tables, NULL, 0, word[1]);

	if (o == NULL && is_long && (o = find_negated(tables, name, length)) != NULL) {
		if (name[length] == '=')
			return ek_fail(EK_EUSAGE, "--no-%s takes no value", o->name);
		o->given = 1;
		if (o->kind == EK_KIND_LIST)
			((struct ek_list *)o->target)->count = 0;
		else
			*(int *)o->target = 0;
		return 0;
	}
	if (o == NULL && is_long)
		return fail_unknown(tables, name, length);
	if (o == NULL)
		return ek_fail(EK_EUSAGE, "unknown option -%c; --help lists the options", word[1]);
	if (is_long && name[length] == '=')
		value = name + length + 1;
	else if (!is_long && word[2] != 0)
		value = word + 2;
	if (o->kind == EK_KIND_FLAG && value != NULL)
		return ek_fail(EK_EUSAGE, "--%s takes no value", o->name);
	if (o->kind != EK_KIND_FLAG && value == NULL) {
		if (*i + 1 >= argc)
			return ek_fail(EK_EUSAGE, "--%s needs a value: %s", o->name, o->argument);
		value = argv[++*i];
	}
	o->given = 1;
	return set(arguments, o, value);
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

int ek_arguments_keep(const char **kept, struct ek_arguments *arguments, const char *text)
{
	char *copy;
	int rc;

	EK_TRY(ek_copy_string(&copy, text));
	EK_TRY(keep(arguments, copy));
	*kept = copy;
out:
	return rc;
}

void ek_arguments_release(struct ek_arguments *arguments)
{
	for (int i = 0; i < arguments->owned_count; i++)
		free(arguments->owned[i]);
	free(arguments->owned);
	free(arguments->positional);
	*arguments = (struct ek_arguments){ 0 };
}

static int add_list(cJSON *json, const struct ek_option *o)
{
	const struct ek_list *list = o->target;
	cJSON *array;
	int rc;

	EK_TRY(ek_json_add_array(&array, json, o->name));
	for (int i = 0; i < list->count; i++)
		EK_TRY(ek_json_add_string(array, NULL, list->items[i]));
out:
	return rc;
}

static int add_option(cJSON *json, const struct ek_option *o)
{
	const char *text;

	switch (o->kind) {
	case EK_KIND_FLAG:
		return ek_json_add_bool(json, o->name, *(const int *)o->target);
	case EK_KIND_INTEGER:
		if (o->zero != NULL && *(const int64_t *)o->target == 0)
			return ek_json_add_string(json, o->name, o->zero);
		if (o->standard != NULL && *(const int64_t *)o->target < 0)
			return ek_json_add_string(json, o->name, standard_word);
		return ek_json_add_double(json, o->name, (double)*(const int64_t *)o->target);
	case EK_KIND_NUMBER:
		if (o->zero != NULL && !(*(const double *)o->target > 0))
			return ek_json_add_string(json, o->name, o->zero);
		return ek_json_add_double(json, o->name, *(const double *)o->target);
	case EK_KIND_STRING:
	case EK_KIND_PATH:
		text = *(const char *const *)o->target;
		return text != NULL ? ek_json_add_string(json, o->name, text) : ek_json_add_null(json, o->name);
	case EK_KIND_CHOICE:
		return ek_json_add_string(json, o->name, o->choices[*(const int *)o->target].name);
	case EK_KIND_LIST:
		return add_list(json, o);
	}
	return ek_fail(EK_EUSAGE, "--%s has no kind", o->name);
}

int ek_options_to_json(cJSON **out, const struct ek_option *options)
{
	int rc = 0;

	if ((*out = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for options");
	for (; options->name != NULL; options++)
		if (options->recorded)
			EK_TRY(add_option(*out, options));
out:
	if (rc < 0) {
		cJSON_Delete(*out);
		*out = NULL;
	}
	return rc;
}

/* Is the option's record dropped because of another one that the user gave now? */
static int is_forgotten(const struct ek_option *options, const char *name)
{
	const size_t length = strlen(name);

	for (const struct ek_option *o = options; o->name != NULL; o++) {
		for (const char *at = o->given ? o->forgets : NULL; at != NULL && *at != 0; at += strspn(at, " ")) {
			const size_t word = strcspn(at, " ");

			if (word == length && memcmp(at, name, length) == 0)
				return 1;
			at += word;
		}
	}
	return 0;
}

static int set_list_from_json(struct ek_arguments *arguments, const struct ek_option *o, const cJSON *array)
{
	const cJSON *item;
	const char *text;
	int rc = 0;

	if (!cJSON_IsArray(array))
		return ek_fail(EK_EUSAGE, "--%s is no list of texts", o->name);
	((struct ek_list *)o->target)->count = 0;
	cJSON_ArrayForEach(item, array)
	{
		if (!cJSON_IsString(item))
			return ek_fail(EK_EUSAGE, "--%s is no list of texts", o->name);
		EK_TRY(ek_arguments_keep(&text, arguments, item->valuestring));
		EK_TRY(add_to_list(o, text));
	}
out:
	return rc;
}

/* What a record says, as if it were given on the command line. */
static int set_from_json(struct ek_arguments *arguments, const struct ek_option *o, const cJSON *item)
{
	struct ek_buffer number = { 0 };
	const char *text;
	int rc = 0;

	if (o->kind == EK_KIND_FLAG) {
		if (!cJSON_IsBool(item))
			return ek_fail(EK_EUSAGE, "--%s is neither true nor false", o->name);
		*(int *)o->target = cJSON_IsTrue(item);
		return 0;
	}
	if (o->kind == EK_KIND_LIST)
		return set_list_from_json(arguments, o, item);
	if (!cJSON_IsString(item) && !cJSON_IsNumber(item))
		return ek_fail(EK_EUSAGE, "--%s is neither a text nor a number", o->name);
	if (cJSON_IsNumber(item))
		EK_TRY(ek_json_append_double(&number, item->valuedouble));
	EK_TRY(ek_arguments_keep(&text, arguments, cJSON_IsString(item) ? item->valuestring : number.data));
	EK_TRY(set(arguments, o, text));
out:
	ek_buffer_release(&number);
	return rc;
}

int ek_options_from_json(struct ek_arguments *arguments, struct ek_option *options, const cJSON *json)
{
	int rc = 0;

	for (struct ek_option *o = options; o->name != NULL && rc != EK_ENOMEM; o++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, o->name);

		if (o->recorded && !o->given && item != NULL && !cJSON_IsNull(item) && !is_forgotten(options, o->name))
			rc = set_from_json(arguments, o, item);
	}
	return rc == EK_ENOMEM ? rc : 0;
}

static struct ek_option *find_recorded(struct ek_option *options, const char *name)
{
	for (; options->name != NULL; options++)
		if (options->recorded && strcmp(options->name, name) == 0)
			return options;
	return NULL;
}

static int fail_replay(const struct ek_option *options, const char *name, const char *where)
{
	const char *names[64];
	const char *nearest;
	size_t count = 0;

	for (; options->name != NULL && count < 63; options++)
		if (options->recorded)
			names[count++] = options->name;
	names[count] = NULL;
	nearest = ek_nearest_name(name, names);
	return nearest != NULL
	               ? ek_fail(EK_EDATA, "%s: unknown option \"%s\"; did you mean \"%s\"?", where, name, nearest)
	               : ek_fail(EK_EDATA, "%s: unknown option \"%s\"", where, name);
}

int ek_options_replay(struct ek_arguments *arguments, struct ek_option *options, const cJSON *json, const char *where)
{
	uint64_t replayed = 0; /* a table has fewer rows than bits */
	char message[1024];
	const cJSON *item;
	int rc = 0;

	if (!cJSON_IsObject(json))
		return ek_fail(EK_EDATA, "%s: options that are not an object", where);
	cJSON_ArrayForEach(item, json)
	{
		const struct ek_option *o = find_recorded(options, item->string);

		if (o == NULL)
			return fail_replay(options, item->string, where);
		if (o->given || cJSON_IsNull(item) || is_forgotten(options, o->name))
			continue;
		replayed |= UINT64_C(1) << (o - options);
		rc = set_from_json(arguments, o, item);
		if (rc == EK_ENOMEM)
			return rc;
		if (rc < 0) {
			ek_one_line(message, sizeof message, ek_error_message());
			return ek_fail(EK_EDATA, "%s: %s", where, message);
		}
	}
	/* Only now: what the file sets does not drop what else it sets. */
	for (int i = 0; options[i].name != NULL; i++)
		options[i].given |= (int)(replayed >> i & 1);
	return 0;
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

static int describe_default(struct ek_buffer *text, const struct ek_option *o)
{
	const char *word;

	switch (o->kind) {
	case EK_KIND_INTEGER:
		if (o->zero != NULL && *(const int64_t *)o->target == 0)
			return ek_buffer_printf(text, " (default %s)", o->zero);
		if (o->standard != NULL && *(const int64_t *)o->target < 0)
			return ek_buffer_printf(text, " (default: %s)", o->standard);
		return ek_buffer_printf(text, " (default %lld)", (long long)*(const int64_t *)o->target);
	case EK_KIND_NUMBER:
		if (o->zero != NULL && !(*(const double *)o->target > 0))
			return ek_buffer_printf(text, " (default %s)", o->zero);
		return ek_buffer_printf(text, " (default %g)", *(const double *)o->target);
	case EK_KIND_STRING:
	case EK_KIND_PATH:
		word = *(const char *const *)o->target;
		return word != NULL ? ek_buffer_printf(text, " (default %s)", word) : 0;
	case EK_KIND_CHOICE:
		return ek_buffer_printf(text, " (default %s)", o->choices[*(const int *)o->target].name);
	case EK_KIND_FLAG:
	case EK_KIND_LIST:
		break;
	}
	return 0;
}

static int help_one(struct ek_buffer *out, const struct ek_option *o, int width)
{
	struct ek_buffer text = { 0 };
	size_t start = out->size;
	int column, rc;

	assert(o->help != NULL && (o->kind == EK_KIND_FLAG || o->argument != NULL));
	EK_TRY(o->letter != 0 ? ek_buffer_printf(out, "  -%c, --", o->letter) : ek_buffer_text(out, "      --"));
	EK_TRY(ek_buffer_printf(out, "%s%s", is_negatable(o) ? "[no-]" : "", o->name));
	if (o->kind != EK_KIND_FLAG)
		EK_TRY(ek_buffer_printf(out, " %s", o->argument));
	column = (int)(out->size - start);
	if (column + 2 > HELP_COLUMN)
		EK_TRY(ek_buffer_printf(out, "\n%*s", HELP_COLUMN, ""));
	else
		EK_TRY(ek_buffer_printf(out, "%*s", HELP_COLUMN - column, ""));
	EK_TRY(ek_buffer_text(&text, o->help));
	EK_TRY(describe_default(&text, o));
	EK_TRY(ek_wrap(out, text.data, HELP_COLUMN, HELP_COLUMN, width));
	EK_TRY(ek_buffer_text(out, "\n"));
	for (const struct ek_choice *c = o->choices; c != NULL && c->name != NULL; c++) {
		EK_TRY(ek_buffer_printf(out, "%*s%-18s ", HELP_COLUMN + 2, "", c->name));
		EK_TRY(ek_wrap(out, c->help, HELP_COLUMN + 21, HELP_COLUMN + 21, width));
		EK_TRY(ek_buffer_text(out, "\n"));
	}
out:
	ek_buffer_release(&text);
	return rc;
}

int ek_options_help(struct ek_buffer *out, const struct ek_option_table *tables, int width)
{
	int rc = 0;

	for (; tables->title != NULL; tables++) {
		EK_TRY(ek_buffer_printf(out, "\n%s:\n", tables->title));
		for (const struct ek_option *o = tables->options; o->name != NULL; o++)
			EK_TRY(help_one(out, o, width));
	}
out:
	return rc;
}
