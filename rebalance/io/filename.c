#include "rebalance/io/filename.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/utf8.h"

static int append_hex(struct ek_buffer *b, const char *bytes, size_t size)
{
	int rc;

	EK_TRY(ek_buffer_reserve(b, 2 * size));
	ek_hex(b->data + b->size, (const uint8_t *)bytes, size);
	b->size += 2 * size;
out:
	return rc;
}

int ek_filename_append(struct ek_buffer *b, const char *member, const char *name)
{
	const size_t size = strlen(name);
	int rc;

	EK_TRY(ek_buffer_printf(b, "\"%s\": ", member));
	EK_TRY(ek_json_append_string(b, name, size));
	if (ek_utf8_valid_prefix(name, size) == size)
		return 0;
	EK_TRY(ek_buffer_printf(b, ", \"%s_bytes\": \"", member));
	EK_TRY(append_hex(b, name, size));
	EK_TRY(ek_buffer_text(b, "\""));
out:
	return rc;
}

int ek_filename_add(cJSON *object, const char *member, const char *name)
{
	struct ek_buffer text = { 0 };
	cJSON *parsed = NULL, *child;
	int rc;

	EK_TRY(ek_buffer_text(&text, "{"));
	EK_TRY(ek_filename_append(&text, member, name));
	EK_TRY(ek_buffer_text(&text, "}"));
	EK_TRY(ek_json_parse(&parsed, text.data, text.size, "a file name"));
	while ((child = parsed->child) != NULL) {
		(void)cJSON_DetachItemViaPointer(parsed, child);
		if (!cJSON_AddItemToArray(object, child)) {
			cJSON_Delete(child);
			rc = ek_fail(EK_ENOMEM, "no memory for JSON");
			break;
		}
	}
out:
	cJSON_Delete(parsed);
	ek_buffer_release(&text);
	return rc;
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != 0 ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

int ek_filename_get(char **out, const cJSON *object, const char *member, const char *where)
{
	const char *text, *hex;
	char hex_member[64];
	size_t size;
	int rc, bad;

	*out = NULL;
	EK_TRY(ek_json_get_string(&text, object, member, where));
	(void)snprintf(hex_member, sizeof hex_member, "%s_bytes", member);
	if (cJSON_GetObjectItemCaseSensitive(object, hex_member) == NULL)
		return ek_copy_string(out, text);
	EK_TRY(ek_json_get_string(&hex, object, hex_member, where));
	size = strlen(hex) / 2;
	bad = size == 0 || strlen(hex) % 2 != 0;
	EK_TRY(ek_alloc(out, size + 1, 1));
	for (size_t i = 0; i < size; i++) {
		const int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		(*out)[i] = (char)(high * 16 + low);
		bad |= high < 0 || low < 0 || (*out)[i] == 0;
	}
	if (bad) {
		free(*out);
		*out = NULL;
		rc = ek_fail(EK_EDATA, "%s: \"%s\" is not a name in hex", where, hex_member);
	}
out:
	return rc;
}
