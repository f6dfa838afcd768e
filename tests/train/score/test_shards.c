/* Shards: every image is in one of them, sizes differ by one at most, and the seed says which. */
#include "tests/support/support.h"

#include "train/score/shards.h"

enum { IMAGES = 101, SHARDS = 7 };

static void are_disjoint_and_whole(void **unused)
{
	int64_t order[IMAGES], other[IMAGES], again[IMAGES];
	uint64_t first[SHARDS + 1];
	int seen[IMAGES] = { 0 }, in_place = 0;

	assert_ok(ek_shards(again, first, IMAGES, SHARDS, 2));
	assert_ok(ek_shards(other, first, IMAGES, SHARDS, 3));
	assert_ok(ek_shards(order, first, IMAGES, SHARDS, 2));
	assert_memory_equal(order, again, sizeof order);
	assert_memory_not_equal(order, other, sizeof order);
	assert_int_equal(first[0], 0);
	assert_int_equal(first[SHARDS], IMAGES);
	for (int s = 0; s < SHARDS; s++) {
		assert_in_range(first[s + 1] - first[s], IMAGES / SHARDS, IMAGES / SHARDS + 1);
		for (uint64_t i = first[s]; i < first[s + 1]; i++) {
			assert_false(seen[order[i]]++);
			in_place += order[i] == (int64_t)i;
			assert_true(i == first[s] || order[i - 1] < order[i]);
		}
	}
	assert_true(in_place < IMAGES / 4);
}

static void as_many_as_images(void **unused)
{
	int64_t order[3];
	uint64_t first[4];

	assert_ok(ek_shards(order, first, 3, 3, 0));
	for (uint64_t s = 0; s < 4; s++)
		assert_int_equal(first[s], s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(are_disjoint_and_whole),
		                            cmocka_unit_test(as_many_as_images) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
