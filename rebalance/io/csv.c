#include "rebalance/io/csv.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

enum state {
	START,
	PLAIN,
	QUOTED,
	CLOSED /* after a quote inside a quoted field: its end, or half of a doubled one */
};

/* What a line has most of outside of quotes; a comma, unless another is more frequent. */
static char guess_separator(const char *line, size_t size)
{
	static const char known[] = { ',', ';', '\t' };
	size_t counts[sizeof known] = { 0 }, best = 0;
	int quoted = 0;

	for (size_t i = 0; i < size; i++) {
		quoted ^= line[i] == '"';
		for (size_t k = 0; !quoted && k < sizeof known; k++)
			counts[k] += line[i] == known[k];
	}
	for (size_t k = 1; k < sizeof known; k++)
		if (counts[k] > counts[best])
			best = k;
	return known[best];
}

int ek_csv_open(struct ek_csv *csv, const char *path)
{
	*csv = (struct ek_csv){ .separator = ',' };
	return ek_lines_open(&csv->lines, path);
}

int ek_csv_guess_separator(struct ek_csv *csv)
{
	const char *line;
	size_t size;
	int rc;

	EK_TRY(ek_lines_next(&csv->lines, &line, &size));
	if (rc == 1)
		csv->separator = guess_separator(line, size);
	ek_csv_seek(csv, 0, 1);
	rc = 0;
out:
	return rc;
}

static int start_field(struct ek_csv *csv)
{
	int rc = 0;

	if (csv->count == csv->capacity) {
		const size_t capacity = csv->capacity > 0 ? csv->capacity * 2 : 16;

		EK_TRY(ek_resize(&csv->starts, capacity, sizeof *csv->starts));
		csv->capacity = capacity;
	}
	csv->starts[csv->count++] = csv->text.size;
out:
	return rc;
}

static int fail_at(const struct ek_csv *csv, const char *found)
{
	return ek_fail(EK_EDATA, "%s:%llu: %s", csv->lines.path, (unsigned long long)csv->lines.line, found);
}

/* Take one line into the record; `*state` is QUOTED after it if the record goes on. */
static int take_line(struct ek_csv *csv, enum state *state, const char *p, size_t size)
{
	const char *end = p + size;
	int rc = 0;

	for (; p < end; p++) {
		const char *run = p;

		/* Runs of ordinary bytes are copied whole. */
		while (p < end && *p != '"' && *p != 0 && (*state == QUOTED || (*p != csv->separator && *p != '\r')))
			p++;
		if (p > run && *state == CLOSED)
			return fail_at(csv, "text after a closing quote; a quote inside a quoted field is doubled");
		if (p > run && *state == START)
			*state = PLAIN;
		EK_TRY(ek_buffer_append(&csv->text, run, (size_t)(p - run)));
		if (p == end)
			break;
		if (*p == 0)
			return fail_at(csv, "a NUL byte: this is not a text file");
		if (*p == '\r') {
			if (strspn(p, "\r") == (size_t)(end - p))
				break;
			return fail_at(csv, "a carriage return inside a field that is not quoted");
		}
		if (*p == csv->separator) {
			EK_TRY(ek_buffer_append(&csv->text, "", 1));
			EK_TRY(start_field(csv));
			*state = START;
		} else if (*state == START) {
			*state = QUOTED;
		} else if (*state == QUOTED) {
			*state = CLOSED;
		} else {
			EK_TRY(ek_buffer_append(&csv->text, "\"", 1));
			*state = *state == CLOSED ? QUOTED : PLAIN;
		}
	}
	if (*state == QUOTED)
		EK_TRY(ek_buffer_append(&csv->text, "\n", 1));
out:
	return rc;
}

int ek_csv_next(struct ek_csv *csv)
{
	enum state state = START;
	const char *text;
	size_t size;
	int rc;

	do
		rc = ek_lines_next(&csv->lines, &text, &size);
	while (rc == 1 && strspn(text, "\r") == size);
	if (rc <= 0)
		return rc;
	csv->line = csv->lines.line;
	csv->offset = csv->lines.offset;
	csv->count = 0;
	ek_buffer_clear(&csv->text);
	EK_TRY(start_field(csv));
	for (;;) {
		EK_TRY(take_line(csv, &state, text, size));
		if (state != QUOTED)
			break;
		if (csv->text.size > EK_LINE_LIMIT)
			return ek_fail(EK_EDATA, "%s:%llu: a record of more than %zu bytes; is a quote missing?",
			               csv->lines.path, (unsigned long long)csv->line, EK_LINE_LIMIT);
		EK_TRY(ek_lines_next(&csv->lines, &text, &size));
		if (rc == 0)
			return ek_fail(EK_EDATA, "%s:%llu: a quoted field that never closes", csv->lines.path,
			               (unsigned long long)csv->line);
	}
	rc = 1;
out:
	return rc;
}

const char *ek_csv_field(const struct ek_csv *csv, size_t i)
{
	return csv->text.data != NULL ? csv->text.data + csv->starts[i] : "";
}

void ek_csv_seek(struct ek_csv *csv, uint64_t offset, uint64_t line)
{
	ek_lines_seek(&csv->lines, offset, line);
}

void ek_csv_close(struct ek_csv *csv)
{
	ek_lines_close(&csv->lines);
	ek_buffer_release(&csv->text);
	free(csv->starts);
	*csv = (struct ek_csv){ 0 };
}

int ek_csv_append(struct ek_buffer *b, const char *text)
{
	int rc;

	if (strpbrk(text, "\",\r\n") == NULL)
		return ek_buffer_text(b, text);
	EK_TRY(ek_buffer_text(b, "\""));
	for (; *text != 0; text++)
		EK_TRY(ek_buffer_printf(b, *text == '"' ? "\"\"" : "%c", *text));
	EK_TRY(ek_buffer_text(b, "\""));
out:
	return rc;
}
