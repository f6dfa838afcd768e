#include "rebalance/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 1024 };

static _Thread_local char message[MESSAGE_SIZE];

/* Copy `raw` into the message, control characters as \xNN, so that it stays one line. */
static void set_message(const char *raw)
{
	size_t at = 0;

	for (const unsigned char *p = (const unsigned char *)raw; *p != 0 && at + 5 < MESSAGE_SIZE; p++) {
		if (*p < 0x20 || *p == 0x7f)
			at += (size_t)snprintf(message + at, MESSAGE_SIZE - at, "\\x%02x", *p);
		else
			message[at++] = (char)*p;
	}
	message[at] = 0;
}

int ek_fail(int code, const char *format, ...)
{
	char raw[MESSAGE_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(raw, sizeof raw, format, args);
	va_end(args);
	set_message(raw);
	return code;
}

int ek_fail_errno(const char *format, ...)
{
	const int error = errno;
	char raw[MESSAGE_SIZE];
	va_list args;
	int used;

	va_start(args, format);
	used = vsnprintf(raw, sizeof raw, format, args);
	va_end(args);
	if (used >= 0 && (size_t)used < sizeof raw)
		(void)snprintf(raw + used, sizeof raw - (size_t)used, ": %s", strerror(error));
	set_message(raw);
	return error == ENOMEM ? EK_ENOMEM : EK_EIO;
}

const char *ek_error_message(void)
{
	return message;
}
