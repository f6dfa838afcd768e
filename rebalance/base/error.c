#include "rebalance/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rebalance/base/locale.h"
#include "rebalance/base/utf8.h"

enum { MESSAGE_SIZE = 1024, REASON_SIZE = 96 };

static _Thread_local char message[MESSAGE_SIZE];
static _Thread_local int number;

size_t ek_character(int *obeyed, const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;
	const size_t wanted = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc2 ? 2 : 1;
	const size_t length = wanted <= size && ek_utf8_valid_prefix(text, wanted) == wanted ? wanted : 1;

	*obeyed = 0;
	if (length == 1)
		*obeyed = *p < 0x20 || (*p >= 0x7f && *p < 0xa0);
	else if (length == 2)
		*obeyed = p[0] == 0xc2 && p[1] < 0xa0;
	else if (length == 3 && p[0] == 0xe2)
		*obeyed = (p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) ||
		          (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
	return length;
}

void ek_one_line(char *out, size_t size, const char *text)
{
	size_t left = strlen(text), at = 0, length;
	int obeyed;

	for (; left > 0; text += length, left -= length) {
		length = ek_character(&obeyed, text, left);
		if (at + (obeyed ? 4 * length : length) >= size)
			break;
		for (size_t i = 0; i < length; i++)
			if (obeyed)
				at += (size_t)snprintf(out + at, size - at, "\\x%02x", (unsigned char)text[i]);
			else
				out[at++] = text[i];
	}
	out[at] = 0;
}

int ek_fail(int code, const char *format, ...)
{
	char raw[MESSAGE_SIZE];
	va_list args;

	va_start(args, format);
	(void)ek_vsnprintf(raw, sizeof raw, format, args);
	va_end(args);
	ek_one_line(message, sizeof message, raw);
	number = 0;
	return code;
}

int ek_fail_errno(const char *format, ...)
{
	const int error = errno;
	char raw[MESSAGE_SIZE];
	va_list args;

	/* The reason is kept whole, however long a path is. */
	va_start(args, format);
	(void)ek_vsnprintf(raw, sizeof raw - REASON_SIZE, format, args);
	va_end(args);
	(void)ek_snprintf(raw + strlen(raw), REASON_SIZE, ": %s", strerror(error));
	ek_one_line(message, sizeof message, raw);
	number = error;
	return error == ENOMEM ? EK_ENOMEM : EK_EIO;
}

const char *ek_error_message(void)
{
	return message;
}

int ek_error_number(void)
{
	return number;
}
