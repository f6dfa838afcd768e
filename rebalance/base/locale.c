#include "rebalance/base/locale.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static locale_t plain;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* "C" is built into the C library: nothing is read, and it lives as long as the process. */
static void make(void)
{
	plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	assert(plain != (locale_t)0);
}

locale_t ek_locale_enter(void)
{
	(void)pthread_once(&once, make);
	return uselocale(plain);
}

void ek_locale_leave(locale_t before)
{
	(void)uselocale(before);
}

int ek_vsnprintf(char *out, size_t size, const char *format, va_list args)
{
	const locale_t before = ek_locale_enter();
	const int printed = vsnprintf(out, size, format, args);

	ek_locale_leave(before);
	return printed;
}

int ek_snprintf(char *out, size_t size, const char *format, ...)
{
	va_list args;
	int printed;

	va_start(args, format);
	printed = ek_vsnprintf(out, size, format, args);
	va_end(args);
	return printed;
}

double ek_strtod(const char *text, char **end)
{
	const locale_t before = ek_locale_enter();
	const double value = strtod(text, end);

	ek_locale_leave(before);
	return value;
}
