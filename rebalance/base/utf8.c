#include "rebalance/base/utf8.h"

size_t ek_utf8_length(const char *bytes, size_t left)
{
	const unsigned char *p = (const unsigned char *)bytes;
	static const struct {
		unsigned char low, high, second_low, second_high;
		size_t length;
	} rows[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (left == 0 || p[0] < 0x80)
		return left > 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (p[0] < rows[i].low || p[0] > rows[i].high)
			continue;
		if (left < rows[i].length || p[1] < rows[i].second_low || p[1] > rows[i].second_high)
			return 0;
		for (size_t j = 2; j < rows[i].length; j++)
			if ((p[j] & 0xc0) != 0x80)
				return 0;
		return rows[i].length;
	}
	return 0;
}

size_t ek_utf8_valid_prefix(const char *bytes, size_t size)
{
	size_t at = 0, length;

	while ((length = ek_utf8_length(bytes + at, size - at)) > 0)
		at += length;
	return at;
}
