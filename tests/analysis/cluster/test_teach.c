#include "tests/support/support.h"

#include "analysis/cluster/teach.h"
#include "rebalance/base/random.h"

enum { COUNT = 60, D = 8, MOST = 12 };

/* Three groups of 30, 20 and 10 rows about axes 0, 1 and 2. */
static int group_of(size_t i)
{
	return i < 30 ? 0 : i < 50 ? 1 : 2;
}

static void make(float *x)
{
	for (size_t i = 0; i < COUNT; i++)
		for (size_t j = 0; j < D; j++)
			x[i * D + j] = (float)(0.2 * ek_random_normal(1, 1, i * D + j) +
			                       (j == (size_t)group_of(i) ? 1.0 : 0.0));
	ek_teach_prepare(x, COUNT, D);
}

static void rows_are_of_unit_length(void **state)
{
	float x[COUNT * D];

	make(x);
	for (size_t i = 0; i < COUNT; i++) {
		double squares = 0;

		for (size_t j = 0; j < D; j++)
			squares += (double)x[i * D + j] * x[i * D + j];
		/* Each square's factor is rounded to 2^-24. */
		assert_true(squares > 1 - 2.0 * D * 0x1p-24 && squares < 1 + 2.0 * D * 0x1p-24);
	}
}

static void without_two_groups_typical_rows_come_in_their_order(void **state)
{
	struct ek_teach_pick picks[MOST];
	uint32_t typical[COUNT];
	int32_t said[COUNT];
	float x[COUNT * D];
	size_t found;

	make(x);
	for (size_t i = 0; i < COUNT; i++) {
		typical[i] = (uint32_t)(COUNT - 1 - i);
		said[i] = EK_TEACH_OPEN;
	}
	said[59] = 0;
	said[57] = EK_TEACH_LEFT;
	assert_ok(ek_teach(picks, MOST, &found, x, COUNT, D, said, 1, typical));
	assert_int_equal(found, MOST);
	assert_int_equal(picks[0].row, 58);
	assert_int_equal(picks[1].row, 56);
	assert_int_equal(picks[0].group, -1);
}

/* With a label each: the groups are told apart, the smallest gets as many rows as the others, none comes twice, and
 * none that is labelled. */
static void groups_get_rows_in_turn_and_hard_ones_between(void **state)
{
	struct ek_teach_pick picks[MOST];
	uint32_t typical[COUNT];
	int32_t said[COUNT];
	float x[COUNT * D];
	int asked[3] = { 0 };
	size_t found, right = 0;

	make(x);
	for (size_t i = 0; i < COUNT; i++) {
		typical[i] = (uint32_t)i;
		said[i] = EK_TEACH_OPEN;
	}
	said[0] = 0;
	said[30] = 1;
	said[50] = 2;
	assert_ok(ek_teach(picks, MOST, &found, x, COUNT, D, said, 3, typical));
	assert_int_equal(found, MOST);
	for (size_t i = 0; i < found; i++) {
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(picks[i].row, picks[j].row);
		assert_int_equal(said[picks[i].row], EK_TEACH_OPEN);
		assert_true(picks[i].sure > 0 && picks[i].sure <= 1);
		right += picks[i].group == group_of(picks[i].row);
		if (i % 2 == 0)
			asked[picks[i].group]++;
	}
	assert_int_equal(asked[0], 2);
	assert_int_equal(asked[1], 2);
	assert_int_equal(asked[2], 2);
	assert_true(right >= found - 2); /* the hard ones may be mistaken */
	/* A group more that nobody has met: one of three is unlike the others, as its rows are. */
	said[50] = EK_TEACH_OPEN;
	assert_ok(ek_teach(picks, MOST, &found, x, COUNT, D, said, 3, typical));
	right = 0;
	for (size_t i = 0; i < found; i++)
		right += i % 3 == 0 && group_of(picks[i].row) == 2;
	assert_true(right >= 3); /* of four */
	said[50] = 2;
	/* Nothing left: nothing found. */
	for (size_t i = 0; i < COUNT; i++)
		said[i] = group_of(i);
	assert_ok(ek_teach(picks, MOST, &found, x, COUNT, D, said, 3, typical));
	assert_int_equal(found, 0);
}

/* Of the rarest group, by one labelled row and without any; what was passed over does not come again, and draws what is
 * like it down. */
static void a_group_is_searched_for(void **state)
{
	struct ek_teach_pick picks[MOST];
	uint8_t passed[COUNT] = { 0 };
	int32_t said[COUNT];
	float x[COUNT * D];
	size_t found, right = 0, rank = COUNT;

	make(x);
	for (size_t i = 0; i < COUNT; i++)
		said[i] = i < 3 ? 0 : i >= 30 && i < 33 ? 1 : EK_TEACH_OPEN;
	assert_ok(ek_teach_search(picks, MOST, &found, x, COUNT, D, said, 3, 2, passed));
	assert_int_equal(found, MOST);
	for (size_t i = 0; i < found; i++) {
		right += group_of(picks[i].row) == 2;
		assert_true(picks[i].group == 0 || picks[i].group == 1);
		assert_int_equal(said[picks[i].row], EK_TEACH_OPEN);
	}
	assert_true(right >= 7); /* two of twelve by chance */
	/* What is like a row that was passed over comes later. */
	for (size_t i = 50; i < 55; i++)
		passed[i] = 1;
	assert_ok(ek_teach_search(picks, MOST, &found, x, COUNT, D, said, 3, 2, passed));
	for (size_t i = 0; i < found; i++)
		assert_false(group_of(picks[i].row) == 2);
	memset(passed, 0, sizeof passed);
	said[50] = 2;
	assert_ok(ek_teach_search(picks, MOST, &found, x, COUNT, D, said, 3, 2, passed));
	right = 0;
	for (size_t i = 0; i < found; i++)
		right += group_of(picks[i].row) == 2;
	assert_int_equal(right, 9);
	assert_int_equal(picks[0].group, 2);
	passed[picks[0].row] = 1;
	for (size_t i = 3; i < 20; i++)
		passed[i] = 1;
	assert_ok(ek_teach_search(picks, MOST, &found, x, COUNT, D, said, 3, 2, passed));
	for (size_t i = 0; i < found; i++) {
		assert_false(passed[picks[i].row]);
		if (picks[i].row >= 20 && picks[i].row < 30 && rank == COUNT)
			rank = i;
	}
	assert_true(rank >= 8);
	/* Without a label anything may be asked about; labelled all, nothing. */
	for (size_t i = 0; i < COUNT; i++)
		said[i] = EK_TEACH_OPEN;
	assert_ok(ek_teach_search(picks, MOST, &found, x, COUNT, D, said, 3, 2, passed));
	assert_int_equal(found, MOST);
	for (size_t i = 0; i < COUNT; i++)
		said[i] = group_of(i);
	assert_ok(ek_teach_search(picks, MOST, &found, x, COUNT, D, said, 3, 2, passed));
	assert_int_equal(found, 0);
}

static void typical_rows_come_a_cluster_at_a_time(void **state)
{
	static const int32_t cluster[] = { 1, 0, 1, 0, 1 };
	static const float distance[] = { 3, 2, 1, 2, 0.5F };
	static const uint32_t want[] = { 1, 4, 3, 2, 0 };
	uint32_t typical[5];

	assert_ok(ek_teach_typical(typical, cluster, distance, 5));
	assert_memory_equal(typical, want, sizeof want);
}

EK_TEST_MAIN(cmocka_unit_test(rows_are_of_unit_length), cmocka_unit_test(typical_rows_come_a_cluster_at_a_time),
             cmocka_unit_test(without_two_groups_typical_rows_come_in_their_order),
             cmocka_unit_test(a_group_is_searched_for), cmocka_unit_test(groups_get_rows_in_turn_and_hard_ones_between))
