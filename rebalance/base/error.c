#include "rebalance/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rebalance/base/locale.h"

enum { MESSAGE_SIZE = 1024, REASON_SIZE = 96 };

static _Thread_local char message[MESSAGE_SIZE];

void ek_one_line(char *out, size_t size, const char *text)
{
	size_t at = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p != 0 && at + 5 <= size; p++) {
		if (*p < 0x20 || *p == 0x7f)
			at += (size_t)snprintf(out + at, size - at, "\\x%02x", *p);
		else
			out[at++] = (char)*p;
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
	return error == ENOMEM ? EK_ENOMEM : EK_EIO;
}

const char *ek_error_message(void)
{
	return message;
}
