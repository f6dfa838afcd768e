#include "rebalance/io/jsonl.h"

#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/text.h"

int ek_jsonl_open(struct ek_jsonl *jsonl, const char *path)
{
	return ek_lines_open(&jsonl->lines, path);
}

static int next_text(struct ek_jsonl *jsonl, const char **text, size_t *size)
{
	int rc;

	do
		rc = ek_lines_next(&jsonl->lines, text, size);
	while (rc == 1 && strspn(*text, " \t\r") == *size);
	return rc;
}

int ek_jsonl_next(struct ek_jsonl *jsonl, cJSON **object)
{
	const struct ek_lines *lines = &jsonl->lines;
	char where[512];
	const char *text;
	size_t size;
	int rc;

	*object = NULL;
	if ((rc = next_text(jsonl, &text, &size)) <= 0)
		return rc;
	(void)snprintf(where, sizeof where, "%s:%llu", lines->path, (unsigned long long)lines->line);
	/* cJSON would take it for the end of the text. */
	if (memchr(text, 0, size) != NULL)
		return ek_fail(EK_EDATA, "%s: not JSON: a NUL byte", where);
	EK_TRY(ek_json_parse(object, text, size, where));
	if (!cJSON_IsObject(*object)) {
		cJSON_Delete(*object);
		*object = NULL;
		return ek_fail(EK_EDATA, "%s: not a JSON object", where);
	}
	rc = 1;
out:
	return rc;
}

int ek_jsonl_skip(struct ek_jsonl *jsonl, uint64_t count)
{
	const char *text;
	size_t size;
	int rc;

	for (; count > 0; count--)
		if ((rc = next_text(jsonl, &text, &size)) <= 0)
			return rc < 0 ? rc
			              : ek_fail(EK_EDATA, "%s: ends after line %llu, %llu line%s too early",
			                        jsonl->lines.path, (unsigned long long)jsonl->lines.line,
			                        (unsigned long long)count, ek_text_s(count));
	return 0;
}

void ek_jsonl_seek(struct ek_jsonl *jsonl, uint64_t offset, uint64_t line)
{
	ek_lines_seek(&jsonl->lines, offset, line);
}

void ek_jsonl_close(struct ek_jsonl *jsonl)
{
	ek_lines_close(&jsonl->lines);
}
