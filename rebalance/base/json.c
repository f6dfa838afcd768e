#include "rebalance/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/locale.h"
#include "rebalance/base/utf8.h"

/* From 2^53 on a double may stand for a neighbour too: 2^53 + 1 reads as 2^53. */
static const double exact_limit = 9007199254740992.0;
enum { LARGEST_DOCUMENT = 1 << 30 };
static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Append `text` with null for NaN, Infinity and -Infinity outside of strings, as Python writes them. */
static int append_without_non_numbers(struct ek_buffer *out, const char *text, size_t size)
{
	static const char *const words[] = { "NaN", "-Infinity", "Infinity" };
	size_t from = 0;
	int quoted = 0, rc = 0;

	for (size_t i = 0; i < size; i++) {
		quoted ^= text[i] == '"';
		if (quoted && text[i] == '\\')
			i++;
		for (size_t w = 0; !quoted && w < sizeof words / sizeof *words; w++) {
			const size_t length = strlen(words[w]);

			if (size - i < length || memcmp(text + i, words[w], length) != 0)
				continue;
			EK_TRY(ek_buffer_append(out, text + from, i - from));
			EK_TRY(ek_buffer_text(out, "null"));
			from = i + length;
			i = from - 1;
			break;
		}
	}
	EK_TRY(ek_buffer_append(out, text + from, size - from));
out:
	return rc;
}

/* A second try at a text that Python wrote; NULL if it is no JSON for all that. */
static cJSON *parse_pythons(const char *text, size_t size)
{
	struct ek_buffer plain = { 0 };
	const char *end = NULL;
	cJSON *value = NULL;

	if (append_without_non_numbers(&plain, text, size) == 0 && plain.size != size)
		value = cJSON_ParseWithLengthOpts(plain.data, plain.size, &end, 0);
	if (value != NULL && strspn(end, " \t\r\n") != strlen(end)) {
		cJSON_Delete(value);
		value = NULL;
	}
	ek_buffer_release(&plain);
	return value;
}

int ek_json_parse(cJSON **out, const char *text, size_t size, const char *where)
{
	const char *end = NULL;
	cJSON *value = cJSON_ParseWithLengthOpts(text, size, &end, 0);

	*out = NULL;
	if (value == NULL && (*out = parse_pythons(text, size)) != NULL)
		return 0;
	if (value == NULL && size == 0)
		return ek_fail(EK_EDATA, "%s: not JSON: it is empty", where);
	if (value == NULL)
		return ek_fail(EK_EDATA, "%s: not JSON: wrong at byte %zu of %zu", where,
		               end != NULL ? (size_t)(end - text) : 0, size);
	while (end < text + size && memchr(" \t\r\n", *end, 4) != NULL)
		end++;
	if (end < text + size) {
		cJSON_Delete(value);
		return ek_fail(EK_EDATA, "%s: not JSON: more text after the value, at byte %zu", where,
		               (size_t)(end - text));
	}
	*out = value;
	return 0;
}

int ek_json_load(cJSON **out, const char *path)
{
	struct ek_buffer text = { 0 };
	int rc;

	*out = NULL;
	EK_TRY(ek_file_read(&text, path, LARGEST_DOCUMENT));
	EK_TRY(ek_json_parse(out, text.data, text.size, path));
out:
	ek_buffer_release(&text);
	return rc;
}

int ek_json_add_item(cJSON *parent, const char *name, cJSON *item)
{
	const int added = item != NULL && (name != NULL ? cJSON_AddItemToObject(parent, name, item)
	                                                : cJSON_AddItemToArray(parent, item));

	if (added)
		return 0;
	cJSON_Delete(item);
	return ek_fail(EK_ENOMEM, "no memory for JSON");
}

int ek_json_add_u64(cJSON *parent, const char *name, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	return ek_json_add_item(parent, name, cJSON_CreateRaw(text));
}

int ek_json_add_double(cJSON *parent, const char *name, double value)
{
	return ek_json_add_item(parent, name, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

int ek_json_add_string(cJSON *parent, const char *name, const char *value)
{
	const char *rest = value + ek_utf8_valid_prefix(value, strlen(value));
	struct ek_buffer valid = { 0 };
	int rc;

	if (*rest == 0)
		return ek_json_add_item(parent, name, cJSON_CreateString(value));
	EK_TRY(ek_buffer_append(&valid, value, (size_t)(rest - value)));
	while (*rest != 0) {
		const size_t size = ek_utf8_valid_prefix(rest, strlen(rest));

		EK_TRY(size > 0 ? ek_buffer_append(&valid, rest, size) : ek_buffer_text(&valid, replacement));
		rest += size > 0 ? size : 1;
	}
	EK_TRY(ek_json_add_item(parent, name, cJSON_CreateString(valid.data)));
out:
	ek_buffer_release(&valid);
	return rc;
}

int ek_json_add_bool(cJSON *parent, const char *name, int value)
{
	return ek_json_add_item(parent, name, cJSON_CreateBool(value));
}

int ek_json_add_null(cJSON *parent, const char *name)
{
	return ek_json_add_item(parent, name, cJSON_CreateNull());
}

int ek_json_add_none(cJSON *parent, const char *name, const char *why)
{
	cJSON *reasons = cJSON_GetObjectItemCaseSensitive(parent, "reasons");
	int rc;

	EK_TRY(ek_json_add_null(parent, name));
	if (reasons == NULL)
		EK_TRY(ek_json_add_object(&reasons, parent, "reasons"));
	EK_TRY(ek_json_add_string(reasons, name, why));
out:
	return rc;
}

int ek_json_add_object(cJSON **child, cJSON *parent, const char *name)
{
	*child = cJSON_CreateObject();
	return ek_json_add_item(parent, name, *child);
}

int ek_json_add_array(cJSON **child, cJSON *parent, const char *name)
{
	*child = cJSON_CreateArray();
	return ek_json_add_item(parent, name, *child);
}

uint64_t ek_whole(double x)
{
	return x > 0 && x < exact_limit ? (uint64_t)x : 0;
}

const cJSON *ek_json_object(const cJSON *item)
{
	return cJSON_IsObject(item) ? item : NULL;
}

const cJSON *ek_json_member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

double ek_json_number(const cJSON *object, const char *name)
{
	const cJSON *item = ek_json_member(object, name);

	if (cJSON_IsObject(item))
		item = ek_json_member(item, "value");
	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

const char *ek_json_text(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(ek_json_member(object, name));

	return text != NULL ? text : "";
}

static int get(const cJSON **item, const cJSON *object, const char *name, const char *where)
{
	*item = cJSON_GetObjectItemCaseSensitive(object, name);
	return *item != NULL ? 0 : ek_fail(EK_EDATA, "%s: \"%s\" is missing", where, name);
}

int ek_json_get_double(double *out, const cJSON *object, const char *name, const char *where)
{
	const cJSON *item;
	int rc = get(&item, object, name, where);

	if (rc < 0)
		return rc;
	if (!cJSON_IsNumber(item))
		return ek_fail(EK_EDATA, "%s: \"%s\" is not a number", where, name);
	*out = item->valuedouble;
	return 0;
}

int ek_json_get_u64(uint64_t *out, const cJSON *object, const char *name, const char *where)
{
	double value;
	int rc = ek_json_get_double(&value, object, name, where);

	if (rc < 0)
		return rc;
	if (!(value >= 0 && value < exact_limit) || value != floor(value))
		return ek_fail(EK_EDATA, "%s: \"%s\" is %.17g, not a whole number from 0 to 2^53 - 1", where, name,
		               value);
	*out = (uint64_t)value;
	return 0;
}

int ek_json_get_string(const char **out, const cJSON *object, const char *name, const char *where)
{
	const cJSON *item;
	int rc = get(&item, object, name, where);

	if (rc < 0)
		return rc;
	if (!cJSON_IsString(item))
		return ek_fail(EK_EDATA, "%s: \"%s\" is not a string", where, name);
	*out = item->valuestring;
	return 0;
}

/* The length of the run of ASCII that stands for itself. */
static size_t plain_run(const char *bytes, size_t size)
{
	size_t at = 0;

	while (at < size && bytes[at] >= 0x20 && bytes[at] < 0x7f && bytes[at] != '"' && bytes[at] != '\\')
		at++;
	return at;
}

int ek_json_append_string(struct ek_buffer *b, const char *bytes, size_t size)
{
	int rc;

	EK_TRY(ek_buffer_reserve(b, size + 2));
	EK_TRY(ek_buffer_append(b, "\"", 1));
	for (size_t at = 0; at < size;) {
		const size_t run = plain_run(bytes + at, size - at);
		const unsigned char c = (unsigned char)bytes[at];
		const size_t length = run > 0 ? run : ek_utf8_length(bytes + at, size - at);

		if (run > 0)
			EK_TRY(ek_buffer_append(b, bytes + at, run));
		else if (length == 0)
			EK_TRY(ek_buffer_text(b, replacement));
		else if (c == '"' || c == '\\')
			EK_TRY(ek_buffer_printf(b, "\\%c", c));
		else if (c == '\n')
			EK_TRY(ek_buffer_text(b, "\\n"));
		else if (c == '\t')
			EK_TRY(ek_buffer_text(b, "\\t"));
		else if (c < 0x20 || c == 0x7f)
			EK_TRY(ek_buffer_printf(b, "\\u%04x", c));
		else
			EK_TRY(ek_buffer_append(b, bytes + at, length));
		at += length > 0 ? length : 1;
	}
	EK_TRY(ek_buffer_append(b, "\"", 1));
out:
	return rc;
}

int ek_json_append_double(struct ek_buffer *b, double value)
{
	char text[32];

	if (!isfinite(value))
		return ek_buffer_text(b, "null");
	for (int digits = 15; digits <= 17; digits++) {
		(void)ek_snprintf(text, sizeof text, "%.*g", digits, value);
		if (ek_strtod(text, NULL) == value)
			break;
	}
	return ek_buffer_text(b, text);
}

static int append_indent(struct ek_buffer *b, int depth)
{
	int rc = ek_buffer_text(b, "\n");

	for (int i = 0; i < depth && rc == 0; i++)
		rc = ek_buffer_text(b, "\t");
	return rc;
}

static int append_value(struct ek_buffer *b, const cJSON *value, int depth);

/* An object has a line per member, as has an array of objects or arrays; other arrays are one line. */
static int append_members(struct ek_buffer *b, const cJSON *parent, int depth)
{
	const int is_object = cJSON_IsObject(parent);
	const int has_lines =
		parent->child != NULL && (is_object || cJSON_IsObject(parent->child) || cJSON_IsArray(parent->child));
	const cJSON *member;
	int rc;

	EK_TRY(ek_buffer_text(b, is_object ? "{" : "["));
	cJSON_ArrayForEach(member, parent)
	{
		if (member != parent->child)
			EK_TRY(ek_buffer_text(b, has_lines ? "," : ", "));
		if (has_lines)
			EK_TRY(append_indent(b, depth + 1));
		if (is_object) {
			EK_TRY(ek_json_append_string(b, member->string, strlen(member->string)));
			EK_TRY(ek_buffer_text(b, ": "));
		}
		EK_TRY(append_value(b, member, depth + 1));
	}
	if (has_lines)
		EK_TRY(append_indent(b, depth));
	EK_TRY(ek_buffer_text(b, is_object ? "}" : "]"));
out:
	return rc;
}

/* cJSON's own printer keeps 15 digits of many doubles that need 17. */
static int append_value(struct ek_buffer *b, const cJSON *value, int depth)
{
	if (cJSON_IsObject(value) || cJSON_IsArray(value))
		return append_members(b, value, depth);
	if (cJSON_IsString(value))
		return ek_json_append_string(b, value->valuestring, strlen(value->valuestring));
	if (cJSON_IsNumber(value))
		return ek_json_append_double(b, value->valuedouble);
	if (cJSON_IsRaw(value))
		return ek_buffer_text(b, value->valuestring);
	return ek_buffer_text(b, cJSON_IsNull(value) ? "null" : cJSON_IsTrue(value) ? "true" : "false");
}

int ek_json_save(const cJSON *value, const char *path)
{
	struct ek_buffer text = { 0 };
	int rc;

	EK_TRY(append_value(&text, value, 0));
	EK_TRY(ek_buffer_text(&text, "\n"));
	EK_TRY(ek_atomic_save(path, text.data, text.size));
out:
	ek_buffer_release(&text);
	return rc;
}
