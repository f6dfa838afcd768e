#include "rebalance/io/table.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/locale.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/image.h"

enum { MAX_COLUMNS = 4096 };

const char *ek_plain_name(const char *name)
{
	while (name[0] == '.' && name[1] == '/')
		for (name += 2; *name == '/'; name++)
			;
	return name;
}

static const char *path_of(const struct ek_table *t)
{
	return t->kind == EK_TABLE_CSV ? t->csv.lines.path : t->jsonl.lines.path;
}

static int fail_at(const struct ek_table *t, uint64_t line, const char *found, const char *what)
{
	return ek_fail(EK_EDATA, "%s:%llu: %s%s%s%s", path_of(t), (unsigned long long)line, found,
	               *what != 0 ? " \"" : "", what, *what != 0 ? "\"" : "");
}

/* The length of the JSON number that `text` starts with, or 0. */
static size_t number_length(const char *text)
{
	static const char digits[] = "0123456789";
	const char *p = text + (*text == '-');
	size_t run = strspn(p, digits);

	if (run == 0 || (run > 1 && *p == '0'))
		return 0;
	p += run;
	if (*p == '.') {
		if ((run = strspn(p + 1, digits)) == 0)
			return 0;
		p += run + 1;
	}
	if (*p == 'e' || *p == 'E') {
		const char *exponent = p + 1 + (p[1] == '-' || p[1] == '+');

		if ((run = strspn(exponent, digits)) == 0)
			return 0;
		p = exponent + run;
	}
	return (size_t)(p - text);
}

/* "12" is a number, "012" a text; so are numbers that a double would change or not hold. */
static cJSON *field_value(const char *text)
{
	const size_t size = strlen(text);
	const double value =
		size > 0 && size <= 24 && number_length(text) == size ? ek_strtod(text, NULL) : (double)NAN;

	return fabs(value) < 9007199254740992.0 ? cJSON_CreateRaw(text) : cJSON_CreateString(text);
}

static int add_column(struct ek_table *t, const char *name, uint64_t line)
{
	int rc;

	if (t->column_count == MAX_COLUMNS)
		return fail_at(t, line, "more than 4096 columns", "");
	for (size_t i = 0; i < t->column_count; i++)
		if (strcmp(t->columns[i], name) == 0)
			return fail_at(t, line, "two columns are named", name);
	EK_TRY(ek_resize(&t->columns, t->column_count + 1, sizeof *t->columns));
	EK_TRY(ek_copy_string(&t->columns[t->column_count], name));
	t->column_count++;
out:
	return rc;
}

/* In the order of preference. */
static const char *const keys[] = { "file_name",  "filename",        "file",       "file_path", "filepath", "path",
	                            "image_path", "image_file_name", "image_name", "image_id",  "image",    "img_path",
	                            "img",        "image_file",      "image_index" };

/* "ImageID", "Image Index" and "image_id" are spellings of one name. */
static int is_spelling(const char *key, const char *name)
{
	while (*key != 0 || *name != 0) {
		key += strspn(key, "_");
		name += strspn(name, "_- ");
		if (tolower((unsigned char)*key) != tolower((unsigned char)*name))
			return 0;
		key += *key != 0;
		name += *name != 0;
	}
	return 1;
}

static int is_known_key(const char *name)
{
	for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
		if (is_spelling(keys[k], name))
			return 1;
	return 0;
}

static int is_key(const struct ek_table *t, const char *key, const char *name, int spelled)
{
	if (t->key_name != NULL)
		return strcmp(t->key_name, name) == 0;
	return spelled ? is_spelling(key, name) : strcmp(key, name) == 0;
}

/* Of the columns. */
static int find_key(struct ek_table *t)
{
	for (int spelled = 0; spelled < 2; spelled++)
		for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
			for (size_t i = 0; i < t->column_count; i++)
				if (is_key(t, keys[k], t->columns[i], spelled)) {
					t->key = i;
					return 0;
				}
	return ek_fail(EK_EDATA,
	               "%s:%llu: there is no column %s with the names of the files; the first column is \"%s\"",
	               path_of(t), (unsigned long long)t->csv.line, t->key_name != NULL ? t->key_name : "file_name",
	               t->columns[0]);
}

static int open_csv(struct ek_table *t, const char *path)
{
	int rc, row;

	EK_TRY(ek_csv_open(&t->csv, path));
	EK_TRY(ek_csv_guess_separator(&t->csv));
	EK_TRY(row = ek_csv_next(&t->csv));
	if (row == 0)
		return fail_at(t, 1, "empty; a header with a column file_name is expected", "");
	for (size_t i = 0; i < t->csv.count; i++)
		EK_TRY(add_column(t, ek_csv_field(&t->csv, i), t->csv.line));
	rc = find_key(t);
out:
	return rc;
}

/* The next word of a line that is separated by blanks; its size, 0 at the end. */
static size_t next_word(const char **p)
{
	*p += strspn(*p, " \t\r");
	return strcspn(*p, " \t\r");
}

static int open_celeba(struct ek_table *t)
{
	struct ek_buffer word = { 0 };
	const char *text;
	size_t size;
	int rc;

	EK_TRY(ek_lines_next(&t->jsonl.lines, &text, &size));
	t->promised = strtoull(text, NULL, 10);
	EK_TRY(ek_lines_next(&t->jsonl.lines, &text, &size));
	if (rc == 0) {
		rc = fail_at(t, 2, "the line with the names of the attributes is missing", "");
		goto out;
	}
	while ((size = next_word(&text)) > 0) {
		ek_buffer_clear(&word);
		EK_TRY(ek_buffer_append(&word, text, size));
		/* The list of boxes names the column of the files, too. */
		if (t->column_count > 0 || !is_known_key(word.data))
			EK_TRY(add_column(t, word.data, 2));
		text += size;
	}
	rc = 0;
out:
	ek_buffer_release(&word);
	return rc;
}

/* Does the line begin with the name of an image, and go on behind a blank? */
static int begins_with_image(const char *text)
{
	const size_t size = next_word(&text);
	struct ek_buffer word = { 0 };
	const int is_image = ek_buffer_append(&word, text, size) == 0 && size > 0 && ek_has_image_extension(word.data);

	ek_buffer_release(&word);
	text += size;
	return is_image && next_word(&text) > 0;
}

/* Without a header the values are called as the file is, and numbered if they are several. */
static int open_bare(struct ek_table *t, const char *path, const char *first)
{
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path, *dot = strrchr(base, '.');
	const int length = (int)(dot != NULL && dot > base ? (size_t)(dot - base) : strlen(base));
	char *name = NULL;
	size_t size, count = 0;
	int rc = 0;

	for (const char *p = first; (size = next_word(&p)) > 0; p += size)
		count++;
	t->is_bare = 1;
	for (size_t i = 1; i < count; i++) {
		EK_TRY(count == 2 ? ek_format(&name, "%.*s", length, base)
		                  : ek_format(&name, "%.*s_%zu", length, base, i));
		EK_TRY(add_column(t, name, 1));
		free(name);
		name = NULL;
	}
out:
	free(name);
	return rc;
}

/* Of a text that is no JSON, by its first line. */
static int tell_kind(struct ek_table *t, const char *path, const char *line)
{
	const size_t digits = strspn(line, "0123456789");
	const int is_count = digits > 0 && strspn(line + digits, " \t\r") == strlen(line + digits);

	t->kind = EK_TABLE_CELEBA;
	if (is_count)
		return 0;
	if (begins_with_image(line))
		return open_bare(t, path, line);
	t->kind = EK_TABLE_CSV;
	return 0;
}

int ek_table_open(struct ek_table *t, const char *path, const char *key)
{
	const char *text = "", *word;
	size_t size = 0;
	int rc;

	*t = (struct ek_table){ .kind = EK_TABLE_JSONL, .key_name = key };
	EK_TRY(ek_jsonl_open(&t->jsonl, path));
	do
		rc = ek_lines_next(&t->jsonl.lines, &text, &size);
	while (rc == 1 && strspn(text, " \t\r") == size);
	if (rc < 0)
		goto out;
	word = text + strspn(text, " \t");
	if (*word == '[') {
		rc = ek_fail(EK_EDATA, "%s: a JSON array; one object a line is expected (jq -c '.[]' makes that of it)",
		             path);
		goto out;
	}
	if (*word != '{')
		EK_TRY(tell_kind(t, path, word));
	ek_jsonl_seek(&t->jsonl, 0, 1);
	if (t->kind == EK_TABLE_CSV)
		EK_TRY(open_csv(t, path));
	else if (t->kind == EK_TABLE_CELEBA && !t->is_bare)
		EK_TRY(open_celeba(t));
out:
	if (rc < 0)
		ek_table_close(t);
	return rc;
}

static int set_name(struct ek_table *t, const char *name, size_t size)
{
	int rc;

	if (size == 0)
		return fail_at(t, t->line, "the name of the file is empty", "");
	ek_buffer_clear(&t->name);
	EK_TRY(ek_buffer_append(&t->name, name, size));
	/* As Windows writes it; JSON says which bytes it means. */
	for (char *at = t->name.data; t->kind != EK_TABLE_JSONL && memchr(name, '/', size) == NULL && *at != 0; at++)
		if (*at == '\\')
			*at = '/';
	name = ek_plain_name(t->name.data);
	memmove(t->name.data, name, strlen(name) + 1);
	t->name.size = strlen(t->name.data);
out:
	return rc;
}

static int add_field(cJSON *object, const char *column, const char *text)
{
	return *text != 0 ? ek_json_add_item(object, column, field_value(text)) : 0;
}

static int next_csv(struct ek_table *t, cJSON *object)
{
	struct ek_csv *csv = &t->csv;
	int rc;

	if ((rc = ek_csv_next(csv)) <= 0)
		return rc;
	t->line = csv->line;
	t->offset = csv->offset;
	if (csv->count != t->column_count)
		return ek_fail(EK_EDATA, "%s:%llu: %zu fields, the header has %zu", path_of(t),
		               (unsigned long long)t->line, csv->count, t->column_count);
	EK_TRY(set_name(t, ek_csv_field(csv, t->key), strlen(ek_csv_field(csv, t->key))));
	for (size_t i = 0; object != NULL && i < csv->count; i++)
		if (i != t->key)
			EK_TRY(add_field(object, t->columns[i], ek_csv_field(csv, i)));
	rc = 1;
out:
	return rc;
}

static int next_celeba(struct ek_table *t, cJSON *object)
{
	struct ek_buffer word = { 0 };
	const char *text;
	size_t size, fields = 0;
	int rc;

	do
		rc = ek_lines_next(&t->jsonl.lines, &text, &size);
	while (rc == 1 && strspn(text, " \t\r") == size);
	if (rc <= 0)
		return rc;
	t->line = t->jsonl.lines.line;
	t->offset = t->jsonl.lines.offset;
	size = next_word(&text);
	EK_TRY(set_name(t, text, size));
	text += size;
	for (; (size = next_word(&text)) > 0; text += size, fields++) {
		if (object == NULL || fields >= t->column_count)
			continue;
		ek_buffer_clear(&word);
		EK_TRY(ek_buffer_append(&word, text, size));
		EK_TRY(add_field(object, t->columns[fields], word.data));
	}
	if (fields != t->column_count)
		rc = ek_fail(EK_EDATA, "%s:%llu: %zu values, line %s %zu", path_of(t), (unsigned long long)t->line,
		             fields, t->is_bare ? "1 has" : "2 names", t->column_count);
	else
		rc = 1;
out:
	ek_buffer_release(&word);
	return rc;
}

/* The key's member, a text or a whole number, out of a row. */
static int take_key(struct ek_table *t, cJSON *object, const char *where)
{
	const char *key = t->key_name;
	char *name = NULL, bytes[64];
	uint64_t number;
	int rc;

	for (size_t k = 0; key == NULL && k < sizeof keys / sizeof *keys; k++)
		if (cJSON_GetObjectItemCaseSensitive(object, keys[k]) != NULL)
			key = keys[k];
	key = key != NULL ? key : "file_name";
	if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(object, key))) {
		EK_TRY(ek_json_get_u64(&number, object, key, where));
		EK_TRY(ek_format(&name, "%llu", (unsigned long long)number));
	} else {
		EK_TRY(ek_filename_get(&name, object, key, where));
	}
	EK_TRY(set_name(t, name, strlen(name)));
	cJSON_DeleteItemFromObjectCaseSensitive(object, key);
	(void)snprintf(bytes, sizeof bytes, "%s_bytes", key);
	cJSON_DeleteItemFromObjectCaseSensitive(object, bytes);
out:
	free(name);
	return rc;
}

static int next_jsonl(struct ek_table *t, cJSON **attributes)
{
	cJSON *object = NULL;
	char where[512];
	const cJSON *member, *other;
	int rc, members = 0;

	if ((rc = ek_jsonl_next(&t->jsonl, &object)) <= 0)
		return rc;
	t->line = t->jsonl.lines.line;
	t->offset = t->jsonl.lines.offset;
	cJSON_ArrayForEach(member, object)
	{
		if (++members > MAX_COLUMNS) {
			rc = fail_at(t, t->line, "more than 4096 members", "");
			goto out;
		}
		for (other = object->child; other != member; other = other->next)
			if (strcmp(other->string, member->string) == 0) {
				rc = fail_at(t, t->line, "two members are named", member->string);
				goto out;
			}
	}
	(void)snprintf(where, sizeof where, "%s:%llu", path_of(t), (unsigned long long)t->line);
	EK_TRY(take_key(t, object, where));
	if (attributes != NULL) {
		*attributes = object;
		object = NULL;
	}
	rc = 1;
out:
	cJSON_Delete(object);
	return rc;
}

int ek_table_next(struct ek_table *t, cJSON **attributes)
{
	cJSON *object = NULL;
	int rc;

	if (attributes != NULL)
		*attributes = NULL;
	if (t->kind == EK_TABLE_JSONL)
		return next_jsonl(t, attributes);
	if (attributes != NULL && (object = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
	rc = t->kind == EK_TABLE_CSV ? next_csv(t, object) : next_celeba(t, object);
	if (rc == 1 && attributes != NULL)
		*attributes = object;
	else
		cJSON_Delete(object);
	return rc;
}

void ek_table_seek(struct ek_table *t, uint64_t offset, uint64_t line)
{
	if (t->kind == EK_TABLE_CSV)
		ek_csv_seek(&t->csv, offset, line);
	else
		ek_jsonl_seek(&t->jsonl, offset, line);
}

void ek_table_close(struct ek_table *t)
{
	for (size_t i = 0; i < t->column_count; i++)
		free(t->columns[i]);
	free(t->columns);
	ek_csv_close(&t->csv);
	ek_jsonl_close(&t->jsonl);
	ek_buffer_release(&t->name);
	*t = (struct ek_table){ 0 };
}
