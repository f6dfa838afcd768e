#include "rebalance/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

enum { SIZE = 32 };

const char *ek_text_s(uint64_t count)
{
	return count == 1 ? "" : "s";
}

const char *ek_text_count(char out[32], uint64_t count)
{
	char digits[24];
	const int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
	int at = 0;

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = 0;
	return out;
}

static double number_of(const cJSON *item)
{
	const double x = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;

	return fabs(x) < 1e-12 ? 0 : x; /* what rounding leaves of nothing */
}

/* Three digits say what there is to say; "8,220" says it to people, 8.22e+03 does not. */
static const char *three_digits(char out[32], double x)
{
	(void)snprintf(out, SIZE, "%.3g", x);
	if (x >= 999.5 && x < 1e15)
		(void)ek_text_count(out, (uint64_t)(strtod(out, NULL) + 0.5));
	return out;
}

const char *ek_text_measure(char out[96], const cJSON *measure)
{
	const cJSON *ends = cJSON_GetObjectItemCaseSensitive(measure, "ci95");
	const double corrected = number_of(cJSON_GetObjectItemCaseSensitive(measure, "corrected"));
	const double low = number_of(cJSON_GetArrayItem(ends, 0)), high = number_of(cJSON_GetArrayItem(ends, 1));
	const double value =
		number_of(cJSON_IsObject(measure) ? cJSON_GetObjectItemCaseSensitive(measure, "value") : measure);
	char plain[SIZE], other[SIZE], from[SIZE], to[SIZE], beside[SIZE + 16] = "";

	(void)three_digits(plain, value);
	(void)three_digits(other, corrected);
	(void)three_digits(from, low);
	if (!isnan(corrected) && strcmp(plain, other) != 0)
		(void)snprintf(beside, sizeof beside, ", corrected %s", other);
	if (isnan(low))
		(void)snprintf(out, 96, "%s", plain);
	else if (isnan(high))
		(void)snprintf(out, 96, "%.20s%.32s (at least %.20s)", plain, beside, from);
	else
		(void)snprintf(out, 96, "%.20s%.32s (%.18s to %.18s)", plain, beside, from, three_digits(to, high));
	return out;
}

const char *ek_text_duration(char out[32], double seconds)
{
	const uint64_t whole = seconds > 0 && seconds < 1e15 ? (uint64_t)(seconds + 0.5) : 0;

	if (seconds < 9.95)
		(void)snprintf(out, SIZE, "%.1f s", seconds);
	else if (whole < 60)
		(void)snprintf(out, SIZE, "%" PRIu64 " s", whole);
	else if (whole < 3600)
		(void)snprintf(out, SIZE, "%" PRIu64 " min %" PRIu64 " s", whole / 60, whole % 60);
	else
		(void)snprintf(out, SIZE, "%" PRIu64 " h %" PRIu64 " min", whole / 3600, whole % 3600 / 60);
	return out;
}

const char *ek_text_rate(char out[32], double per_second)
{
	if (per_second < 10)
		(void)snprintf(out, SIZE, "%.2g", per_second);
	else
		(void)ek_text_count(out, (uint64_t)(per_second + 0.5));
	return out;
}

const char *ek_text_bytes(char out[32], uint64_t bytes)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB", "PB" };
	double value = (double)bytes / 1000;
	size_t unit = 0;

	if (bytes < 1000) {
		(void)snprintf(out, SIZE, "%" PRIu64 " bytes", bytes);
		return out;
	}
	while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
		value /= 1000;
		unit++;
	}
	(void)snprintf(out, SIZE, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

const char *ek_text_percent(char out[32], double share)
{
	/* No image of a billion is what a sum of probabilities leaves of none. */
	const double percent = share > 1e-9 ? 100 * share : 0;

	(void)snprintf(out, SIZE, percent >= 9.95 ? "%.0f %%" : percent >= 0.995 ? "%.1f %%" : "%.2g %%", percent);
	return out;
}

const char *ek_text_mostly(char out[256], const cJSON *texts, const char *before, const char *after)
{
	const cJSON *item;
	char all[192] = "";
	size_t used = 0;

	cJSON_ArrayForEach(item, texts)
	{
		const char *text = cJSON_GetStringValue(item);

		if (text == NULL || used + 1 >= sizeof all)
			continue;
		used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", used > 0 ? ", " : "", text);
		used = used < sizeof all ? used : sizeof all - 1;
	}
	out[0] = 0;
	if (used > 0) {
		char line[192];

		ek_one_line(line, sizeof line, all);
		(void)snprintf(out, 256, "%s%s%s", before, line, after);
	}
	return out;
}

const char *ek_text_plain(char out[256], const char *text)
{
	ek_one_line(out, 256, text);
	return out;
}
