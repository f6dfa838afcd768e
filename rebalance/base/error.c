#include "rebalance/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rebalance/base/locale.h"

enum { MESSAGE_SIZE = 1024, REASON_SIZE = 96 };

static _Thread_local char message[MESSAGE_SIZE];

/* Terminals obey U+0080 to U+009F, too: c2 80 to c2 9f. */
static int is_control(const unsigned char *p, unsigned char before)
{
	return *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) ||
	       (before == 0xc2 && *p >= 0x80 && *p < 0xa0);
}

void ek_one_line(char *out, size_t size, const char *text)
{
	unsigned char before = 0;
	size_t at = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p != 0 && at + 5 <= size; before = *p++) {
		if (is_control(p, before))
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
