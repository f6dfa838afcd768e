/* How many clusters, and the sentence that says why. */
#include "analysis/cluster/choose.h"
#include "tests/analysis/cluster/blobs.h"
#include "tests/support/support.h"

enum { D = 8 };
static const char apart[] = " How stable the clusters themselves are is measured apart.";

/* Of n points around k centres; quick: the default number. */
static void choose(struct ek_choice_of_k *out, int quick, uint64_t n, uint32_t k, double spread)
{
	float *x = ek_blobs(n, D, k, spread, 0, NULL);
	struct ek_npy array = ek_rows_memory(x, n, D);
	struct ek_rows rows;

	assert_ok(ek_rows_of(&rows, &array, 0));
	assert_ok((quick ? ek_choose_default_k : ek_choose_k)(out, &rows, 0, 3));
	free(x);
}

static void begins(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", text, with);
}

static void ends(const char *text, const char *with)
{
	if (strlen(text) < strlen(with) || strcmp(text + strlen(text) - strlen(with), with) != 0)
		fail_msg("\"%s\" does not end with \"%s\"", text, with);
}

static void groups_that_are_far_apart_are_found(void **state)
{
	struct ek_choice_of_k c;

	choose(&c, 0, 600, 8, 0.05);
	assert_int_equal(c.chosen, 8);
	assert_string_equal(
		c.reason,
		"8 is the largest number of clusters that 5 seeds agree on at least 95 % as well as on the best "
		"number: mean agreement (ARI) 1.00, best 1.00, over 600 images.");
	choose(&c, 1, 600, 8, 0.05);
	assert_int_equal(c.chosen, 8);
	begins(c.reason,
	       "8 is the largest number of clusters, up to 16, on which 4 quick clusterings of 600 images agree "
	       "well: mean ARI 1.00.");
	ends(c.reason, apart);
}

/* It is not said that they agree. */
static void where_there_are_none_it_is_said(void **state)
{
	struct ek_choice_of_k c;
	char text[128];

	choose(&c, 1, 3000, 1, 1);
	(void)snprintf(text, sizeof text, "clusterings of 2,000 images agree well; %u does best: mean ARI 0.",
	               c.chosen);
	begins(c.reason, "On no number of clusters up to 24 do 4 quick ");
	assert_non_null(strstr(c.reason, text));
	ends(c.reason, apart);
}

static void too_few_are_not_compared(void **state)
{
	struct ek_choice_of_k c;

	for (int quick = 0; quick < 2; quick++) {
		choose(&c, quick, 100, 8, 1);
		assert_int_equal(c.chosen, 4);
		assert_string_equal(c.reason, "Too few different images to compare numbers of clusters: 100 in all.");
		choose(&c, quick, 600, 1, 0); /* all alike */
		assert_int_equal(c.chosen, 1);
		assert_string_equal(c.reason, "Too few different images to compare numbers of clusters: 600 in all.");
	}
}

EK_TEST_MAIN(cmocka_unit_test(groups_that_are_far_apart_are_found), cmocka_unit_test(where_there_are_none_it_is_said),
             cmocka_unit_test(too_few_are_not_compared))
