#include "rebalance/base/compare.h"

#include <stdint.h>
#include <string.h>

#define COMPARE(name, type)                                                                                            \
	int name(const void *a, const void *b)                                                                         \
	{                                                                                                              \
		const type x = *(const type *)a, y = *(const type *)b;                                                 \
                                                                                                                       \
		return (x > y) - (x < y);                                                                              \
	}

COMPARE(ek_compare_doubles, double)
COMPARE(ek_compare_floats, float)
COMPARE(ek_compare_u32, uint32_t)
COMPARE(ek_compare_u64, uint64_t)
COMPARE(ek_compare_i64, int64_t)

int ek_compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}
