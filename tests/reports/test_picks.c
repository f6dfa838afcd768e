#include "reports/picks.h"
#include "tests/support/support.h"

static void typical_untypical_and_random_images_of_a_cluster(void **state)
{
	/* Cluster 0 has ids 0 … 9 at distances 9 … 0, and a NaN at id 12; cluster 1 has id 10; id 11 is in none. */
	const int32_t assignment[13] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, -1, 0 };
	const float distance[13] = { 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 3, 0, NAN };
	struct ek_picks picks;
	const uint64_t *ids;
	size_t count, seen[13] = { 0 };

	assert_ok(ek_picks_make(&picks, assignment, distance, 13, 3, 2));
	ids = ek_picks_of(&picks, 0, EK_PICK_TYPICAL, &count);
	assert_int_equal(count, 2);
	assert_int_equal(ids[0], 9);
	assert_int_equal(ids[1], 8);
	ids = ek_picks_of(&picks, 0, EK_PICK_UNTYPICAL, &count);
	assert_int_equal(count, 2);
	assert_int_equal(ids[0], 12);
	assert_int_equal(ids[1], 0);
	for (int kind = 0; kind < EK_PICK_KINDS; kind++) {
		ids = ek_picks_of(&picks, 0, (enum ek_pick_kind)kind, &count);
		assert_int_equal(count, 2);
		for (size_t i = 0; i < count; i++) {
			assert_int_equal(seen[ids[i]]++, 0);
			assert_int_equal(assignment[ids[i]], 0);
		}
	}
	ids = ek_picks_of(&picks, 1, EK_PICK_TYPICAL, &count);
	assert_int_equal(count, 1);
	assert_int_equal(ids[0], 10);
	(void)ek_picks_of(&picks, 1, EK_PICK_RANDOM, &count);
	assert_int_equal(count, 0);
	(void)ek_picks_of(&picks, 2, EK_PICK_TYPICAL, &count);
	assert_int_equal(count, 0);
	ek_picks_release(&picks);
}

static void ties_go_to_the_lower_id(void **state)
{
	const int32_t assignment[6] = { 0 };
	const float distance[6] = { 1, 1, 1, 1, 1, 1 };
	struct ek_picks picks;
	const uint64_t *ids;
	size_t count;

	assert_ok(ek_picks_make(&picks, assignment, distance, 6, 1, 1));
	ids = ek_picks_of(&picks, 0, EK_PICK_TYPICAL, &count);
	assert_int_equal(ids[0], 0);
	ids = ek_picks_of(&picks, 0, EK_PICK_UNTYPICAL, &count);
	assert_int_equal(ids[0], 1);
	ek_picks_release(&picks);
}

static void a_sample_of_every_class(void **state)
{
	/* Class 0 has 8 images, class 1 none, class 2 one; the others count for nothing. */
	const int32_t class[12] = { 0, 0, 0, 0, 2, 0, 0, 0, 0, -1, 3, 7 };
	uint64_t ids[9], again[9];
	uint8_t counts[3];

	assert_ok(ek_picks_sample(ids, counts, class, 12, 3, 3));
	assert_int_equal(counts[0], 3);
	assert_int_equal(counts[1], 0);
	assert_int_equal(counts[2], 1);
	assert_int_equal(ids[6], 4);
	assert_true(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(class[ids[i]], 0);
	/* By lot, but the same every time: fewer are the first of more. */
	assert_ok(ek_picks_sample(again, counts, class, 12, 3, 1));
	assert_int_equal(again[0], ids[0]);
}

EK_TEST_MAIN(cmocka_unit_test(typical_untypical_and_random_images_of_a_cluster),
             cmocka_unit_test(ties_go_to_the_lower_id), cmocka_unit_test(a_sample_of_every_class))
