#include "rebalance/pipeline/group_words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/utf8.h"
#include "rebalance/io/lines.h"

/* Cut white space off both ends. */
static void trim(const char **text, size_t *size)
{
	while (*size > 0 && (**text == ' ' || **text == '\t')) {
		++*text;
		--*size;
	}
	while (*size > 0 && ((*text)[*size - 1] == ' ' || (*text)[*size - 1] == '\t'))
		--*size;
}

static int copy(char **out, const char *text, size_t size)
{
	int rc;

	EK_TRY(ek_alloc(out, size + 1, 1));
	memcpy(*out, text, size);
out:
	return rc;
}

/* A prompt with the name in the place of each {}. */
static int add_prompt(struct ek_group_word *row, const char *text, size_t size)
{
	struct ek_buffer prompt = { 0 };
	int rc;

	for (size_t i = 0; i < size; i++) {
		const int named = i + 1 < size && text[i] == '{' && text[i + 1] == '}';

		EK_TRY(named ? ek_buffer_text(&prompt, row->name) : ek_buffer_append(&prompt, text + i, 1));
		i += (size_t)named;
	}
	EK_TRY(ek_resize(&row->prompts, row->count + 1, sizeof *row->prompts));
	row->prompts[row->count++] = prompt.data;
	return 0;
out:
	ek_buffer_release(&prompt);
	return rc;
}

static int add_prompts(struct ek_group_word *row, const char *text, size_t size)
{
	int rc = 0;

	while (size > 0) {
		const char *end = memchr(text, ';', size), *part = text;
		size_t length = end != NULL ? (size_t)(end - text) : size;

		text += length + (end != NULL);
		size -= length + (end != NULL);
		trim(&part, &length);
		if (length > 0)
			EK_TRY(add_prompt(row, part, length));
	}
out:
	return rc;
}

static int check_line(const struct ek_lines *lines, const char *text, size_t size)
{
	const size_t valid = ek_utf8_valid_prefix(text, size);
	size_t length;

	if (size > EK_GROUP_WORDS_LINE_MAX)
		return ek_fail(EK_EDATA, "%s:%" PRIu64 ": the line has %zu bytes, expected up to %d", lines->path,
		               lines->line, size, EK_GROUP_WORDS_LINE_MAX);
	if (valid < size)
		return ek_fail(EK_EDATA, "%s:%" PRIu64 ": byte %zu is not UTF-8", lines->path, lines->line, valid + 1);
	for (size_t i = 0; i < size; i += length) {
		int obeyed;

		length = ek_character(&obeyed, text + i, size - i);
		if (obeyed && text[i] != '\t')
			return ek_fail(EK_EDATA, "%s:%" PRIu64 ": byte %zu is a control character", lines->path,
			               lines->line, i + 1);
	}
	return 0;
}

/* A new row behind the others, or, of "none of these", where it is kept. */
static int check_name(const struct ek_group_words *w, const struct ek_lines *lines, const char *name, size_t size)
{
	if (size == 0)
		return ek_fail(EK_EDATA, "%s:%" PRIu64 ": there is no name before the colon", lines->path, lines->line);
	if (size > EK_GROUP_WORDS_NAME_MAX)
		return ek_fail(EK_EDATA,
		               "%s:%" PRIu64 ": the name has %zu bytes, expected up to %d; prompts follow a colon",
		               lines->path, lines->line, size, EK_GROUP_WORDS_NAME_MAX);
	for (uint32_t g = 0; g < w->groups + (uint32_t)w->none; g++)
		if (strlen(w->rows[g].name) == size && memcmp(w->rows[g].name, name, size) == 0)
			return ek_fail(EK_EDATA, "%s:%" PRIu64 ": \"%s\" is there already, on line %" PRIu64,
			               lines->path, lines->line, w->rows[g].name, w->rows[g].line);
	return 0;
}

static int add_row(struct ek_group_words *w, const struct ek_lines *lines, const char *text, size_t size)
{
	const char *colon = memchr(text, ':', size), *name = text;
	size_t length = colon != NULL ? (size_t)(colon - text) : size;
	struct ek_group_word row = { .line = lines->line };
	const char *standard = EK_GROUP_WORDS_PROMPTS;
	int none, rc;

	trim(&name, &length);
	EK_TRY(check_name(w, lines, name, length));
	EK_TRY(copy(&row.name, name, length));
	none = strcmp(row.name, EK_GROUP_WORDS_NONE) == 0;
	if (!none && w->groups == EK_GROUP_WORDS_MOST) {
		rc = ek_fail(EK_EDATA, "%s:%" PRIu64 ": more than %d groups", lines->path, lines->line,
		             EK_GROUP_WORDS_MOST);
		goto out;
	}
	if (colon != NULL)
		EK_TRY(add_prompts(&row, colon + 1, size - (size_t)(colon + 1 - text)));
	if (none)
		standard = EK_GROUP_WORDS_NONE_PROMPTS;
	if (row.count == 0)
		EK_TRY(add_prompts(&row, standard, strlen(standard)));
	EK_TRY(ek_resize(&w->rows, (size_t)w->groups + 2, sizeof *w->rows));
	if (none) {
		w->rows[w->groups] = row;
		w->none = 1;
	} else {
		w->rows[w->groups + 1] = w->rows[w->groups]; /* "none of these", if it is there, stays last */
		w->rows[w->groups++] = row;
	}
	w->prompts += row.count;
	return 0;
out:
	free(row.name);
	for (size_t i = 0; i < row.count; i++)
		free(row.prompts[i]);
	free(row.prompts);
	return rc;
}

int ek_group_words_load(struct ek_group_words *out, const char *path)
{
	struct ek_lines lines = { 0 };
	const char *text;
	size_t size;
	int rc;

	*out = (struct ek_group_words){ 0 };
	EK_TRY(ek_alloc(&out->rows, 2, sizeof *out->rows));
	EK_TRY(ek_lines_open(&lines, path));
	while ((rc = ek_lines_next(&lines, &text, &size)) > 0) {
		size -= size > 0 && text[size - 1] == '\r';
		EK_TRY(check_line(&lines, text, size));
		trim(&text, &size);
		if (size > 0 && *text != '#')
			EK_TRY(add_row(out, &lines, text, size));
	}
	EK_TRY(rc);
	if (out->groups == 0 || out->groups + (uint32_t)out->none < 2)
		rc = ek_fail(EK_EDATA,
		             "%s names %u group%s; expected two, a line each, or one and \"" EK_GROUP_WORDS_NONE "\"",
		             path, out->groups, out->groups == 1 ? "" : "s");
out:
	ek_lines_close(&lines);
	return rc;
}

void ek_group_words_release(struct ek_group_words *w)
{
	for (uint32_t g = 0; w->rows != NULL && g < w->groups + (uint32_t)w->none; g++) {
		for (size_t i = 0; i < w->rows[g].count; i++)
			free(w->rows[g].prompts[i]);
		free(w->rows[g].prompts);
		free(w->rows[g].name);
	}
	free(w->rows);
	*w = (struct ek_group_words){ 0 };
}
