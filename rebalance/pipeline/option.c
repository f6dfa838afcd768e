#include "rebalance/pipeline/option.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { LONGEST_NAME = 63 };

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

void *ek_option_field(const struct ek_option *o, const void *values)
{
	return (void *)((uintptr_t)values + o->offset);
}

struct ek_choice ek_option_choice(const struct ek_option *o, int i)
{
	struct ek_choice choice;

	memcpy(&choice, (const char *)o->choices + (size_t)i * (o->choice_size > 0 ? o->choice_size : sizeof choice),
	       sizeof choice);
	return choice;
}

const struct ek_option *ek_option_find(const struct ek_option_table *table, const char *name)
{
	for (const struct ek_option *o = table->rows; o->name != NULL; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

static int is_given(const struct ek_option_table *table, const struct ek_option *o)
{
	return (int)(*table->given >> (o - table->rows) & 1);
}

int ek_option_is_given(const struct ek_option_table *table, const char *name)
{
	const struct ek_option *o = ek_option_find(table, name);

	return o != NULL && is_given(table, o);
}

int ek_option_is_negatable(const struct ek_option *o)
{
	return o->recorded && (o->kind == EK_KIND_FLAG || o->kind == EK_KIND_LIST);
}

static int keep(struct ek_strings *strings, char *text)
{
	int rc = ek_resize(&strings->items, (size_t)strings->count + 1, sizeof *strings->items);

	if (rc < 0)
		free(text);
	else
		strings->items[strings->count++] = text;
	return rc;
}

int ek_strings_keep_path(const char **kept, struct ek_strings *strings, const char *path)
{
	char *absolute = NULL, *here = NULL;
	int rc;

	if (path[0] == '/')
		EK_TRY(ek_copy_string(&absolute, path));
	else if ((here = getcwd(NULL, 0)) == NULL)
		return ek_fail_errno("cannot tell the working directory");
	else
		EK_TRY(ek_format(&absolute, "%s/%s", here, path));
	EK_TRY(keep(strings, absolute));
	*kept = absolute;
out:
	free(here);
	return rc;
}

static int set_path(struct ek_strings *strings, const struct ek_option *o, void *field, const char *value)
{
	if (value[0] == 0)
		return ek_fail(EK_EUSAGE, "'%s' needs a name, not an empty one", o->name);
	return ek_strings_keep_path(field, strings, value);
}

static int set_integer(const struct ek_option *o, void *field, const char *value)
{
	char *end;
	long long number;

	if (o->zero != NULL && strcmp(value, o->zero) == 0) {
		*(int64_t *)field = 0;
		return 0;
	}
	if (o->standard != NULL && strcmp(value, standard_word) == 0) {
		*(int64_t *)field = -1;
		return 0;
	}
	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno != 0 || end == value || *end != 0 || (double)number < o->low || (double)number > o->high)
		return ek_fail(EK_EUSAGE, "'%s' is \"%s\", not %s%sa whole number from %.0f to %.0f", o->name, value,
		               o->zero != NULL ? o->zero : "", o->zero != NULL ? " or " : "", o->low, o->high);
	*(int64_t *)field = number;
	return 0;
}

static int set_number(const struct ek_option *o, void *field, const char *value)
{
	char *end;
	const double number = strtod(value, &end);

	if (o->zero != NULL && strcmp(value, o->zero) == 0) {
		*(double *)field = 0;
		return 0;
	}
	if (end == value || *end != 0 || !(number >= o->low && number <= o->high))
		return ek_fail(EK_EUSAGE, "'%s' is \"%s\", not %s%sa number from %g to %g", o->name, value,
		               o->zero != NULL ? o->zero : "", o->zero != NULL ? " or " : "", o->low, o->high);
	*(double *)field = number;
	return 0;
}

static int set_choice(const struct ek_option *o, void *field, const char *value)
{
	struct ek_buffer all = { 0 };
	const char *name;
	int rc = 0;

	for (int i = 0; (name = ek_option_choice(o, i).name) != NULL; i++) {
		if (strcmp(name, value) == 0) {
			*(int *)field = i;
			goto out;
		}
		EK_TRY(ek_buffer_printf(&all, "%s%s", i > 0 ? ", " : "", name));
	}
	rc = ek_fail(EK_EUSAGE, "'%s' is \"%s\", not one of %s", o->name, value, all.data);
out:
	ek_buffer_release(&all);
	return rc;
}

static int add_to_list(const struct ek_option *o, void *field, const char *value)
{
	struct ek_list *list = field;
	const int rc = o->check != NULL ? o->check(value) : 0;

	if (rc < 0)
		return rc;
	if (list->count == EK_LIST_MAX)
		return ek_fail(EK_EUSAGE, "'%s' is given more than %d times", o->name, EK_LIST_MAX);
	list->items[list->count++] = value;
	return 0;
}

int ek_option_set(struct ek_strings *strings, const struct ek_option *o, void *values, const char *text)
{
	void *field = ek_option_field(o, values);

	switch (o->kind) {
	case EK_KIND_FLAG:
		*(int *)field = 1;
		return 0;
	case EK_KIND_INTEGER:
		return set_integer(o, field, text);
	case EK_KIND_NUMBER:
		return set_number(o, field, text);
	case EK_KIND_STRING:
		*(const char **)field = text;
		return o->check != NULL ? o->check(text) : 0;
	case EK_KIND_PATH:
		return set_path(strings, o, field, text);
	case EK_KIND_CHOICE:
		return set_choice(o, field, text);
	case EK_KIND_LIST:
		return add_to_list(o, field, text);
	}
	return ek_fail(EK_EUSAGE, "'%s' has no kind", o->name);
}

int ek_option_is_set(const struct ek_option *o, const void *values)
{
	const void *field = ek_option_field(o, values);

	switch (o->held) {
	case EK_HOLDS_INT:
		return *(const int *)field != 0;
	case EK_HOLDS_INT64:
		return *(const int64_t *)field != 0;
	case EK_HOLDS_DOUBLE:
		return fpclassify(*(const double *)field) != FP_ZERO;
	case EK_HOLDS_TEXT:
		return *(const char *const *)field != NULL;
	case EK_HOLDS_LIST:
		return ((const struct ek_list *)field)->count > 0;
	}
	return 0;
}

void ek_option_unset(const struct ek_option *o, void *values)
{
	void *field = ek_option_field(o, values);

	switch (o->held) {
	case EK_HOLDS_INT:
		*(int *)field = 0;
		break;
	case EK_HOLDS_INT64:
		*(int64_t *)field = 0;
		break;
	case EK_HOLDS_DOUBLE:
		*(double *)field = 0;
		break;
	case EK_HOLDS_TEXT:
		*(const char **)field = NULL;
		break;
	case EK_HOLDS_LIST:
		((struct ek_list *)field)->count = 0;
		break;
	}
}

/* Is the option, "NAME" or "NAME=WORD" of [length], there? */
static int is_there(const struct ek_option_table *table, const char *name, size_t length)
{
	const size_t first = strcspn(name, "= "), rest = length - first;
	const char *text = NULL;

	for (const struct ek_option *o = table->rows; o->name != NULL; o++) {
		const void *field = ek_option_field(o, table->values);

		if (strlen(o->name) != first || memcmp(o->name, name, first) != 0)
			continue;
		if (o->held == EK_HOLDS_TEXT)
			text = *(const char *const *)field;
		else if (o->kind == EK_KIND_CHOICE && rest > 0)
			text = ek_option_choice(o, *(const int *)field).name;
		if (rest == 0)
			return text != NULL ? strcmp(text, "none") != 0 : is_given(table, o);
		return text != NULL && memmem(text, strlen(text), name + first + 1, rest - 1) != NULL;
	}
	return 0;
}

static int fail_needs(const struct ek_option *o)
{
	struct ek_buffer all = { 0 };
	int rc = 0;

	for (const char *at = o->needs; *at != 0; at += strspn(at, " ")) {
		const size_t length = strcspn(at, " "), first = strcspn(at, "= ");

		EK_TRY(ek_buffer_printf(&all, "%s'%.*s'%s%.*s", all.size > 0 ? " or " : "", (int)first, at,
		                        first < length ? " " : "", first < length ? (int)(length - first - 1) : 0,
		                        at + first + (first < length)));
		at += length;
	}
	rc = ek_fail(EK_EUSAGE, "'%s' goes with %s", o->name, all.data);
out:
	ek_buffer_release(&all);
	return rc;
}

int ek_option_check_file(const struct ek_option *o, const void *values)
{
	const char *path = *(const char *const *)ek_option_field(o, values);
	struct stat status;

	if (stat(path, &status) != 0)
		return ek_fail_errno("'%s' is %s, which cannot be read", o->name, path);
	if (!S_ISREG(status.st_mode))
		return ek_fail(EK_EDATA, "'%s' is %s, not a regular file", o->name, path);
	return o->check != NULL ? o->check(path) : 0;
}

int ek_options_check(const struct ek_option_table *table)
{
	for (const struct ek_option *o = table->rows; o->name != NULL; o++) {
		int found = o->needs == NULL, rc;
		const int may_be_none = o->kind == EK_KIND_FLAG || o->held == EK_HOLDS_TEXT || o->held == EK_HOLDS_LIST;

		if (!is_given(table, o) || (may_be_none && !ek_option_is_set(o, table->values)))
			continue;
		for (const char *at = o->needs; !found && *at != 0; at += strspn(at, " ")) {
			const size_t length = strcspn(at, " ");

			found = is_there(table, at, length);
			at += length;
		}
		if (!found)
			return fail_needs(o);
		if (o->excludes != NULL && ek_option_is_given(table, o->excludes))
			return ek_fail(EK_EUSAGE, "give either '%s' or '%s'", o->excludes, o->name);
		if (o->kind == EK_KIND_PATH && o->check != NULL && (rc = ek_option_check_file(o, table->values)) < 0)
			return rc;
	}
	return 0;
}

void ek_strings_release(struct ek_strings *strings)
{
	for (int i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
	*strings = (struct ek_strings){ 0 };
}

int ek_strings_keep(const char **kept, struct ek_strings *strings, const char *text)
{
	char *copy;
	int rc;

	EK_TRY(ek_copy_string(&copy, text));
	EK_TRY(keep(strings, copy));
	*kept = copy;
out:
	return rc;
}

static int add_list(cJSON *json, const struct ek_option *o, const struct ek_list *list)
{
	cJSON *array;
	int rc;

	EK_TRY(ek_json_add_array(&array, json, o->name));
	for (int i = 0; i < list->count; i++)
		EK_TRY(ek_json_add_string(array, NULL, list->items[i]));
out:
	return rc;
}

static int add_option(cJSON *json, const struct ek_option *o, const void *values)
{
	const void *field = ek_option_field(o, values);
	const char *text;

	switch (o->kind) {
	case EK_KIND_FLAG:
		return ek_json_add_bool(json, o->name, *(const int *)field);
	case EK_KIND_INTEGER:
		if (o->zero != NULL && *(const int64_t *)field == 0)
			return ek_json_add_string(json, o->name, o->zero);
		if (o->standard != NULL && *(const int64_t *)field < 0)
			return ek_json_add_string(json, o->name, standard_word);
		return ek_json_add_double(json, o->name, (double)*(const int64_t *)field);
	case EK_KIND_NUMBER:
		if (o->zero != NULL && !(*(const double *)field > 0))
			return ek_json_add_string(json, o->name, o->zero);
		return ek_json_add_double(json, o->name, *(const double *)field);
	case EK_KIND_STRING:
	case EK_KIND_PATH:
		text = *(const char *const *)field;
		return text != NULL ? ek_json_add_string(json, o->name, text) : ek_json_add_null(json, o->name);
	case EK_KIND_CHOICE:
		return ek_json_add_string(json, o->name, ek_option_choice(o, *(const int *)field).name);
	case EK_KIND_LIST:
		return add_list(json, o, field);
	}
	return ek_fail(EK_EUSAGE, "'%s' has no kind", o->name);
}

int ek_options_to_json(cJSON **out, const struct ek_option *rows, const void *values)
{
	int rc = 0;

	if ((*out = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for options");
	for (; rows->name != NULL; rows++)
		if (rows->recorded)
			EK_TRY(add_option(*out, rows, values));
out:
	if (rc < 0) {
		cJSON_Delete(*out);
		*out = NULL;
	}
	return rc;
}

/* Is the option's record dropped because of another one that the user gave now? */
static int is_forgotten(const struct ek_option_table *table, const char *name)
{
	const size_t length = strlen(name);

	for (const struct ek_option *o = table->rows; o->name != NULL; o++) {
		for (const char *at = is_given(table, o) ? o->forgets : NULL; at != NULL && *at != 0;
		     at += strspn(at, " ")) {
			const size_t word = strcspn(at, " ");

			if (word == length && memcmp(at, name, length) == 0)
				return 1;
			at += word;
		}
	}
	return 0;
}

static int set_list_from_json(struct ek_strings *strings, const struct ek_option *o, struct ek_list *list,
                              const cJSON *array)
{
	const cJSON *item;
	const char *text;
	int rc = 0;

	if (!cJSON_IsArray(array))
		return ek_fail(EK_EUSAGE, "'%s' is no list of texts", o->name);
	list->count = 0;
	cJSON_ArrayForEach(item, array)
	{
		if (!cJSON_IsString(item))
			return ek_fail(EK_EUSAGE, "'%s' is no list of texts", o->name);
		EK_TRY(ek_strings_keep(&text, strings, item->valuestring));
		EK_TRY(add_to_list(o, list, text));
	}
out:
	return rc;
}

/* What a record says, as if it were given on the command line. */
static int set_from_json(struct ek_strings *strings, const struct ek_option *o, void *values, const cJSON *item)
{
	struct ek_buffer number = { 0 };
	const char *text;
	int rc = 0;

	if (o->kind == EK_KIND_FLAG) {
		if (!cJSON_IsBool(item))
			return ek_fail(EK_EUSAGE, "'%s' is neither true nor false", o->name);
		*(int *)ek_option_field(o, values) = cJSON_IsTrue(item);
		return 0;
	}
	if (o->kind == EK_KIND_LIST)
		return set_list_from_json(strings, o, ek_option_field(o, values), item);
	if (!cJSON_IsString(item) && !cJSON_IsNumber(item))
		return ek_fail(EK_EUSAGE, "'%s' is neither a text nor a number", o->name);
	if (cJSON_IsNumber(item))
		EK_TRY(ek_json_append_double(&number, item->valuedouble));
	EK_TRY(ek_strings_keep(&text, strings, cJSON_IsString(item) ? item->valuestring : number.data));
	EK_TRY(ek_option_set(strings, o, values, text));
out:
	ek_buffer_release(&number);
	return rc;
}

int ek_options_from_json(struct ek_strings *strings, const struct ek_option_table *table, const cJSON *json)
{
	int rc = 0;

	for (const struct ek_option *o = table->rows; o->name != NULL && rc != EK_ENOMEM; o++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, o->name);

		if (o->recorded && !is_given(table, o) && item != NULL && !cJSON_IsNull(item) &&
		    !is_forgotten(table, o->name))
			rc = set_from_json(strings, o, table->values, item);
	}
	return rc == EK_ENOMEM ? rc : 0;
}

static int fail_replay(const struct ek_option *rows, const char *name, const char *where)
{
	const char *names[64];
	const char *nearest;
	size_t count = 0;

	for (; rows->name != NULL && count < 63; rows++)
		if (rows->recorded)
			names[count++] = rows->name;
	names[count] = NULL;
	nearest = ek_nearest_name(name, names);
	return nearest != NULL
	               ? ek_fail(EK_EDATA, "%s: unknown option \"%s\"; did you mean \"%s\"?", where, name, nearest)
	               : ek_fail(EK_EDATA, "%s: unknown option \"%s\"", where, name);
}

int ek_options_replay(struct ek_strings *strings, const struct ek_option_table *table, const cJSON *json,
                      const char *where)
{
	uint64_t replayed = 0;
	char message[1024];
	const cJSON *item;
	int rc = 0;

	if (!cJSON_IsObject(json))
		return ek_fail(EK_EDATA, "%s: options that are not an object", where);
	cJSON_ArrayForEach(item, json)
	{
		const struct ek_option *o = ek_option_find(table, item->string);

		if (o == NULL || !o->recorded)
			return fail_replay(table->rows, item->string, where);
		if (is_given(table, o) || cJSON_IsNull(item) || is_forgotten(table, o->name))
			continue;
		replayed |= UINT64_C(1) << (o - table->rows);
		rc = set_from_json(strings, o, table->values, item);
		if (rc == EK_ENOMEM)
			return rc;
		if (rc < 0) {
			ek_one_line(message, sizeof message, ek_error_message());
			return ek_fail(EK_EDATA, "%s: %s", where, message);
		}
	}
	*table->given |= replayed; /* only now: what the file sets does not drop what else it sets */
	return 0;
}
