#include "tests/support/support.h"

#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "rebalance/plan/order.h"

/* More than a piece of work has (order.c). */
enum { N = 300000 };

struct numbers {
	enum ek_dtype type;
	const void *data;
	double value[N]; /* the same, or numbers of their order */
};

static double *sorted_by;

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return sorted_by[x] != sorted_by[y] ? (sorted_by[x] > sorted_by[y]) - (sorted_by[x] < sorted_by[y])
	                                    : (x > y) - (x < y);
}

/* The order by keys is that of the numbers, ties by id, both ways. */
static void assert_order(struct numbers *numbers)
{
	/* Wide numbers are sorted in windows that are the smaller the more threads there are. */
	static const int threads[] = { 1, 3, 512 };
	static uint32_t keys[N], want[N];
	static int32_t unit[N];
	uint64_t size = N;
	const struct ek_npy array = { .type = numbers->type, .dimensions = 1, .shape = { N }, .data = numbers->data };
	const struct ek_units units = { .n = N, .k = 1, .unit = unit, .sizes = &size, .total = N };

	for (int falling = 0; falling < 2; falling++) {
		struct ek_order order;

		for (uint32_t i = 0; i < N; i++) {
			numbers->value[i] *= falling ? -1 : 1;
			want[i] = i;
		}
		sorted_by = numbers->value;
		qsort(want, N, sizeof *want, compare);
		for (size_t t = 0; t < 3; t++) {
			ek_threads_set(threads[t]);
			assert_ok(ek_order_keys(keys, &array, falling, &units, "x"));
			assert_ok(ek_order_make(&order, &units, keys));
			assert_memory_equal(order.ids, want, sizeof want);
			ek_order_release(&order);
		}
	}
	ek_threads_set(0);
}

static double uniform(uint64_t i)
{
	return ek_random_double(1, 2, i) - 0.5;
}

static void keys_sort_as_the_numbers(void **state)
{
	static struct numbers numbers;
	static double wide[N];
	static float narrow[N];
	static int64_t whole[N];
	static int16_t small[N];

	/* Doubles that 32 bits cannot tell apart, then such as float32 holds. */
	for (uint64_t i = 0; i < N; i++)
		numbers.value[i] = wide[i] = i % 3 == 0 ? 1 + uniform(i) * 1e-12 : uniform(i / 2);
	numbers.type = EK_F64;
	numbers.data = wide;
	assert_order(&numbers);
	/* Many of the same, at either end, too. */
	for (uint64_t i = 0; i < N; i++)
		numbers.value[i] = wide[i] = i % 3 == 0 ? 0.1 : i % 7 == 0 ? -0.7 : i % 11 == 0 ? 0.7 : uniform(i / 2);
	assert_order(&numbers);
	for (uint64_t i = 0; i < N; i++)
		numbers.value[i] = wide[i] = narrow[i] = (float)uniform(i / 2);
	assert_order(&numbers);
	numbers.type = EK_F32;
	numbers.data = narrow;
	for (uint64_t i = 0; i < N; i++)
		numbers.value[i] = (double)narrow[i];
	assert_order(&numbers);
	/* Whole numbers: within 2^32 of each other, far apart, and few bits. */
	numbers.type = EK_I64;
	numbers.data = whole;
	for (uint64_t i = 0; i < N; i++)
		numbers.value[i] =
			(double)(whole[i] = -(int64_t)(ek_random_u64(3, 4, i / 2) >> 33) - ((int64_t)1 << 40));
	assert_order(&numbers);
	for (uint64_t i = 0; i < N; i++)
		numbers.value[i] =
			(double)(whole[i] = (int64_t)(ek_random_u64(3, 4, i / 2) >> 12) - ((int64_t)1 << 50));
	assert_order(&numbers);
	numbers.type = EK_I16;
	numbers.data = small;
	for (uint64_t i = 0; i < N; i++)
		numbers.value[i] = small[i] = (int16_t)(ek_random_u64(5, 6, i) >> 48);
	assert_order(&numbers);
}

/* The first NaN is named for any threads; one outside of all units is nobody's fault. */
static void numbers_that_are_none_are_named(void **state)
{
	static double wide[N];
	static float narrow[N];
	static uint32_t keys[N];
	static int32_t unit[N];
	uint64_t size = N - 1;
	struct ek_npy array = { .type = EK_F64, .dimensions = 1, .shape = { N }, .data = wide };
	const struct ek_units units = { .n = N, .k = 1, .unit = unit, .sizes = &size, .total = N - 1 };

	unit[5] = EK_UNIT_NONE;
	wide[5] = NAN;
	narrow[5] = NAN;
	for (int threads = 1; threads < 4; threads++) {
		ek_threads_set(threads);
		for (int type = 0; type < 2; type++) {
			array.type = type == 0 ? EK_F64 : EK_F32;
			array.data = type == 0 ? (const void *)wide : narrow;
			narrow[270000] = narrow[290000] = 1;
			wide[270000] = wide[290000] = 1;
			assert_ok(ek_order_keys(keys, &array, 0, &units, "x"));
			narrow[270000] = narrow[290000] = NAN;
			wide[270000] = wide[290000] = NAN;
			assert_fails(ek_order_keys(keys, &array, 0, &units, "x"), EK_EDATA, "x: row 270000 is not");
		}
	}
	ek_threads_set(0);
}

EK_TEST_MAIN(cmocka_unit_test(keys_sort_as_the_numbers), cmocka_unit_test(numbers_that_are_none_are_named))
