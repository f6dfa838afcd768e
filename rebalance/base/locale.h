/*
 * Numbers are read and written with "." whatever locale the program around the library has set. Whatever prints or
 * reads a number that may have a fraction goes through here: ek_fail, ek_format, ek_buffer_printf and the JSON
 * functions do.
 */
#ifndef EK_BASE_LOCALE_H
#define EK_BASE_LOCALE_H

#include <locale.h>
#include <stdarg.h>
#include <stddef.h>

/* Put this thread into the locale "C", until ek_locale_leave of what it returns. */
locale_t ek_locale_enter(void);
void ek_locale_leave(locale_t before);

/* As snprintf, vsnprintf and strtod in the locale "C". */
int ek_snprintf(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int ek_vsnprintf(char *out, size_t size, const char *format, va_list args) __attribute__((format(printf, 3, 0)));
double ek_strtod(const char *text, char **end);

#endif
