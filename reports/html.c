#include "reports/html.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/json.h"
#include "rebalance/base/locale.h"
#include "rebalance/base/utf8.h"

/* Narrow no-break space, between a number and its unit. */
#define NARROW "\xe2\x80\xaf"
#define EN_DASH "\xe2\x80\x93"
#define MINUS "\xe2\x88\x92"

void ek_html_release(struct ek_html *h)
{
	ek_buffer_release(&h->text);
	h->rc = 0;
}

void ek_html_raw(struct ek_html *h, const void *bytes, size_t size)
{
	if (h->rc == 0)
		h->rc = ek_buffer_append(&h->text, bytes, size);
}

static const char *reference(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* `size` bytes of valid UTF-8. */
static void escape(struct ek_html *h, const char *text, size_t size)
{
	for (size_t i = 0, start = 0; i <= size; i++) {
		char hex[5];
		const char *instead = NULL;

		if (i < size) {
			const unsigned char c = (unsigned char)text[i];

			if ((instead = reference(text[i])) == NULL && (c < 0x20 || c == 0x7f)) {
				(void)snprintf(hex, sizeof hex, "\\x%02x", c);
				instead = hex;
			}
			if (instead == NULL)
				continue;
		}
		ek_html_raw(h, text + start, i - start);
		if (instead != NULL)
			ek_html_raw(h, instead, strlen(instead));
		start = i + 1;
	}
}

void ek_html_text(struct ek_html *h, const char *text, size_t size)
{
	while (size > 0) {
		const size_t valid = ek_utf8_valid_prefix(text, size);

		escape(h, text, valid);
		if (valid == size)
			return;
		ek_html_raw(h, "\xef\xbf\xbd", 3);
		text += valid + 1;
		size -= valid + 1;
	}
}

/* One conversion: `spec` is "%…" with its letter last. */
static void convert(struct ek_html *h, const char *spec, size_t size, va_list *arguments)
{
	char format[16], out[400];
	const char letter = spec[size - 1];
	const int is_long = size > 2 && (spec[size - 2] == 'l' || spec[size - 2] == 'z');
	int n = 0;

	assert(size < sizeof format);
	memcpy(format, spec, size);
	format[size] = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (letter == 's') {
		const char *text = va_arg(*arguments, const char *);
		ek_html_text(h, text, strlen(text));
	} else if (letter == 'd' && !is_long) {
		n = snprintf(out, sizeof out, format, va_arg(*arguments, int));
	} else if (letter == 'u' && is_long) {
		n = snprintf(out, sizeof out, format, va_arg(*arguments, unsigned long));
	} else if (letter == 'f' || letter == 'g') {
		n = snprintf(out, sizeof out, format, va_arg(*arguments, double));
	} else {
		assert(letter == '%');
		out[n++] = '%';
	}
#pragma GCC diagnostic pop
	assert(n >= 0 && (size_t)n < sizeof out);
	ek_html_raw(h, out, (size_t)n);
}

void ek_html(struct ek_html *h, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	while (*format != 0) {
		const size_t plain = strcspn(format, "%");

		ek_html_raw(h, format, plain);
		format += plain;
		if (*format == '%') {
			const size_t size = 1 + strcspn(format + 1, "sdufg%") + 1;

			convert(h, format, size, &arguments);
			format += size;
		}
	}
	va_end(arguments);
}

void ek_html_base64(struct ek_html *h, const void *bytes, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *b = bytes;

	if (h->rc == 0)
		h->rc = ek_buffer_reserve(&h->text, size / 3 * 4 + 4);
	for (size_t i = 0; i < size; i += 3) {
		const unsigned bits = (unsigned)b[i] << 16 | (i + 1 < size ? (unsigned)b[i + 1] << 8 : 0) |
		                      (i + 2 < size ? b[i + 2] : 0);
		const char four[4] = { digits[bits >> 18], digits[bits >> 12 & 63],
			               i + 1 < size ? digits[bits >> 6 & 63] : '=',
			               i + 2 < size ? digits[bits & 63] : '=' };
		ek_html_raw(h, four, 4);
	}
}

/* Put commas between the thousands of the digits at the start of `number`, and a minus for its sign. */
static struct ek_words with_commas(const char *number)
{
	struct ek_words w = { "" };
	const size_t sign = number[0] == '-', digits = strspn(number + sign, "0123456789");
	size_t out = sign > 0 ? sizeof MINUS - 1 : 0;

	memcpy(w.s, MINUS, out);
	for (size_t i = sign; number[i] != 0 && out + 2 < sizeof w.s; i++) {
		if (i > sign && i < sign + digits && (sign + digits - i) % 3 == 0)
			w.s[out++] = ',';
		w.s[out++] = number[i];
	}
	return w;
}

struct ek_words ek_count(uint64_t n)
{
	char number[24];

	(void)snprintf(number, sizeof number, "%" PRIu64, n);
	return with_commas(number);
}

struct ek_words ek_decimal(double x, int places)
{
	char number[48];

	if (!isfinite(x) || fabs(x) > 1e30)
		return (struct ek_words){ EN_DASH };
	(void)ek_snprintf(number, sizeof number, "%.*f", places, x);
	return with_commas(number + (*number == '-' && strspn(number, "-0.") == strlen(number))); /* no -0.00 */
}

/* Decimal places that leave two or three figures of a percentage. */
static int places_of(double percent)
{
	return percent < 0.995 ? 2 : 1;
}

struct ek_words ek_percent(double share)
{
	struct ek_words w;
	const double percent = 100 * share;

	if (percent > 0 && percent < 0.005)
		return (struct ek_words){ "<" NARROW "0.01" NARROW "%" };
	(void)snprintf(w.s, sizeof w.s, "%.40s" NARROW "%%",
	               ek_decimal(percent, percent == 0 || percent == 100 ? 0 : places_of(percent)).s);
	return w;
}

struct ek_words ek_percent_whole(double share)
{
	struct ek_words w;

	if (share < 0.015)
		return ek_percent(share);
	(void)snprintf(w.s, sizeof w.s, "%.40s" NARROW "%%", ek_decimal(100 * share, 0).s);
	return w;
}

struct ek_words ek_percent_range(double low, double high)
{
	struct ek_words w;
	const int places = places_of(100 * low);

	(void)snprintf(w.s, sizeof w.s, "%.24s" EN_DASH "%.24s" NARROW "%%", ek_decimal(100 * low, places).s,
	               ek_decimal(100 * high, places).s);
	return w;
}

struct ek_words ek_duration(double seconds)
{
	struct ek_words w;
	const double whole = floor(seconds + 0.5);

	if (!isfinite(seconds) || seconds < 0)
		return (struct ek_words){ EN_DASH };
	if (seconds < 99.5)
		(void)ek_snprintf(w.s, sizeof w.s, "%.*f" NARROW "s", seconds < 9.95 ? 1 : 0, seconds);
	else if (whole < 3600)
		(void)ek_snprintf(w.s, sizeof w.s, "%.0f" NARROW "min %.0f" NARROW "s", floor(whole / 60),
		                  fmod(whole, 60));
	else
		(void)snprintf(w.s, sizeof w.s, "%.24s" NARROW "h %.0f" NARROW "min",
		               ek_decimal(floor(whole / 3600), 0).s, floor(fmod(whole, 3600) / 60));
	return w;
}

struct ek_words ek_bytes(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB", "PB", "EB" };
	struct ek_words w;
	double x = (double)bytes;
	size_t unit = 0;

	while (x >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
		x /= 1000;
		unit++;
	}
	(void)ek_snprintf(w.s, sizeof w.s, "%.*f" NARROW "%s", unit > 0 && x < 9.95 ? 1 : 0, x, units[unit]);
	return w;
}
