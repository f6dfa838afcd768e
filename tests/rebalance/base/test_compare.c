#include "tests/support/support.h"

#include "rebalance/base/compare.h"

#define CHECK(name, type, ...)                                                                                         \
	static void name(void **state)                                                                                 \
	{                                                                                                              \
		const type values[] = { __VA_ARGS__ };                                                                 \
                                                                                                                       \
		for (int i = 0; i < 4; i++)                                                                            \
			for (int j = 0; j < 4; j++)                                                                    \
				assert_int_equal(ek_compare_##name(values + i, values + j), (i > j) - (i < j));        \
	}

/* Each beyond what a difference, an int or the next smaller type would tell apart. */
CHECK(doubles, double, -1e308, -4.9e-324, 0, 1e308)
CHECK(floats, float, -3e38f, 0, 1e-45f, 3e38f)
CHECK(u32, uint32_t, 0, 1, 1U << 31, UINT32_MAX)
CHECK(u64, uint64_t, 0, 1, UINT64_MAX - 1, UINT64_MAX)
CHECK(i64, int64_t, INT64_MIN, -1, 1, INT64_MAX)

static void texts(void **state)
{
	const char *const values[] = { "", "B", "a", "a\xc3\xa9" };

	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++) {
			const int order = ek_compare_texts(values + i, values + j);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
}

EK_TEST_MAIN(cmocka_unit_test(doubles), cmocka_unit_test(floats), cmocka_unit_test(u32), cmocka_unit_test(u64),
             cmocka_unit_test(i64), cmocka_unit_test(texts))
