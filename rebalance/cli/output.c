#include "rebalance/cli/output.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/cli/terminal.h"

static const char escape = '\033';

/* What stdio has handed over and is not written yet: a part of a character. */
static struct ek_buffer left, tamed;

/* The bytes that are to be seen together before `*p` can be judged. */
static size_t wanted(const char *p)
{
	const unsigned char first = (unsigned char)*p;

	if (*p == escape)
		return strlen(EK_BOLD);
	return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
}

static int append_obeyed(struct ek_buffer *out, const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned code = *p;

	if (length == 1 && code < 0x20)
		return ek_buffer_printf(out, "\\x%02x", code);
	if (length == 2)
		code = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
	if (length == 3)
		code = (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
	return ek_buffer_printf(out, "\\u%04x", code);
}

/* Bytes of plain text at the start. */
static size_t plain_run(const char *text, size_t size)
{
	size_t at = 0;

	while (at < size && ((text[at] >= 0x20 && text[at] < 0x7f) || text[at] == '\n' || text[at] == '\t'))
		at++;
	return at;
}

/* One of the sequences of ek_bold and ek_plain. */
static int is_ours(const char *p)
{
	return *p == escape && (memcmp(p, EK_BOLD, strlen(EK_BOLD)) == 0 || memcmp(p, EK_PLAIN, strlen(EK_PLAIN)) == 0);
}

int ek_output_tame(struct ek_buffer *out, size_t *used, const char *text, size_t size)
{
	size_t length;
	int obeyed = 0, rc;

	EK_TRY(ek_buffer_reserve(out, size));
	for (*used = 0; *used < size; *used += length) {
		const char *p = text + *used;
		const size_t rest = size - *used;

		if ((length = plain_run(p, rest)) > 0) {
			EK_TRY(ek_buffer_append(out, p, length));
			continue;
		}
		if (wanted(p) > rest)
			break;
		length = ek_character(&obeyed, p, rest);
		if (is_ours(p))
			EK_TRY(ek_buffer_append(out, p, length = strlen(EK_BOLD)));
		else
			EK_TRY(obeyed ? append_obeyed(out, p, length) : ek_buffer_append(out, p, length));
	}
out:
	return rc;
}

/* 0 is stdio's word for failure. */
static ssize_t write_tamed(void *unused, const char *bytes, size_t size)
{
	size_t used;

	(void)unused;
	ek_buffer_clear(&tamed);
	if (ek_buffer_append(&left, bytes, size) < 0 || ek_output_tame(&tamed, &used, left.data, left.size) < 0 ||
	    ek_write_all(STDOUT_FILENO, tamed.data, tamed.size, "stdout") < 0)
		return 0;
	left.size -= used;
	memmove(left.data, left.data + used, left.size);
	return (ssize_t)size;
}

int ek_output_guard(void)
{
	FILE *guarded = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = write_tamed });

	if (guarded == NULL)
		return ek_fail(EK_ENOMEM, "no memory for the output");
	/* As stdio does it for a stream of its own. */
	if (isatty(STDOUT_FILENO))
		(void)setvbuf(guarded, NULL, _IOLBF, 0);
	stdout = guarded;
	return 0;
}

int ek_print_json(const cJSON *json)
{
	char *text = cJSON_Print(json);

	if (text == NULL)
		return ek_fail(EK_ENOMEM, "no memory for the result");
	(void)printf("%s\n", text);
	cJSON_free(text);
	return 0;
}
