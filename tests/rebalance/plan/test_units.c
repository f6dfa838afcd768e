#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/plan/units.h"
#include "tests/rebalance/plan/made_run.h"

static const int32_t assignment[] = { 2, 0, 0, 2, 4, 0, 2, 2 };
static const char *const rows[] = { ", \"label\": \"cat\", \"size\": 3, \"a*b\": \"x\"",
	                            ", \"label\": \"dog\", \"size\": 1",
	                            ", \"label\": \"cat\", \"size\": 1",
	                            ", \"label\": \"cat\", \"size\": 3, \"held_out\": true",
	                            ", \"label\": \"dog\"",
	                            ", \"label\": \"dog\", \"size\": 3, \"note\": \"\\\"held_out\\\": true\"",
	                            ", \"size\": 1, \"held_out\": false",
	                            ", \"label\": \"dog\", \"size\": 1" };
static const struct ek_made_run whole = { .n = 8, .k = 6, .assignment = assignment, .rows = rows, .held_out = 1 };

static void check(const struct ek_made_run *made, const char *by, uint32_t k, const int32_t *want, const char *names)
{
	struct ek_run *run = ek_make_run(made);
	struct ek_units units;
	uint64_t total = 0, sizes[8] = { 0 };
	char all[256] = "", number[16];

	assert_ok(ek_units_load(&units, run, by));
	assert_string_equal(units.by, by);
	assert_int_equal(units.n, made->n);
	assert_int_equal(units.k, k);
	assert_int_equal(units.held_out, made->held_out);
	assert_memory_equal(units.unit, want, made->n * sizeof *want);
	for (uint64_t i = 0; i < made->n; i++)
		if (want[i] >= 0) {
			sizes[want[i]]++;
			total++;
		}
	assert_int_equal(units.total, total);
	assert_memory_equal(units.sizes, sizes, k * sizeof *sizes);
	for (uint32_t i = 0; i < k; i++) {
		uint32_t found;

		strncat(all, ek_unit_name(number, &units, i), 32);
		strncat(all, "|", 2);
		assert_ok(ek_unit_find(&found, &units, ek_unit_name(number, &units, i), "test"));
		assert_int_equal(found, i);
	}
	assert_string_equal(all, names);
	ek_units_release(&units);
	ek_run_close(run);
}

static void images_fall_into_units(void **state)
{
	static const int32_t clusters[] = { 2, 0, 0, -2, 4, 0, 2, 2 }, all[] = { 0, 0, 0, -2, 0, 0, 0, 0 };
	static const int32_t labels[] = { 0, 1, 0, -2, 1, 1, -1, 1 }, starred[] = { 0, -1, -1, -2, -1, -1, -1, -1 };
	static const int32_t both[] = { 1, 2, 0, -2, -1, 3, -1, 2 }, mixed[] = { 2, 1, 0, -2, 4, 1, -1, 3 };

	check(&whole, "cluster", 6, clusters, "0|1|2|3|4|5|");
	check(&whole, "all", 1, all, "all|");
	check(&whole, "label", 2, labels, "cat|dog|");
	check(&whole, "a*b", 1, starred, "x|");
	check(&whole, "label*size", 4, both, "cat×1|cat×3|dog×1|dog×3|");
	check(&whole, "label×size", 4, both, "cat×1|cat×3|dog×1|dog×3|");
	check(&whole, "cluster×label", 5, mixed, "0×cat|0×dog|2×cat|2×dog|4×dog|");
}

static void an_assignment_alone_is_enough(void **state)
{
	const struct ek_made_run alone = { .n = 8, .assignment = assignment };
	static const int32_t all[8] = { 0 };

	check(&alone, "cluster", 5, assignment, "0|1|2|3|4|");
	check(&alone, "all", 1, all, "all|");
}

static void check_failure(const struct ek_made_run *made, const char *by, int code, const char *text)
{
	struct ek_run *run = ek_make_run(made);
	struct ek_units units;

	assert_fails(ek_units_load(&units, run, by), code, text);
	ek_units_release(&units);
	ek_run_close(run);
}

static void what_is_wrong_is_named(void **state)
{
	struct ek_made_run made = whole;
	const struct ek_made_run alone = { .n = 8, .assignment = assignment };

	check_failure(&whole, "labels", EK_EUSAGE, "no attribute \"labels\"; there is: cluster, all, label, size, a*b");
	check_failure(&whole, "label*", EK_EUSAGE, "no attribute \"\"");
	check_failure(&alone, "label", EK_EUSAGE, "there is: cluster, all");
	check_failure(&whole, "label×cluster×label×cluster", EK_EUSAGE, "clusters twice");
	check_failure(&whole, "size×size×size×size×size×size×size×size×size", EK_EUSAGE, "more than 8");
	made.k = 4;
	check_failure(&made, "cluster", EK_EDATA, "image 4 is in cluster 4, expected 0 to 3");
	made.k = 6;
	made.held_out = 2;
	check_failure(&made, "label", EK_EDATA, "1 held out, expected");
	made.assignment = NULL;
	check_failure(&made, "cluster", EK_EIO, "assignment.npy");
}

static void unknown_units_are_named(void **state)
{
	struct ek_run *run = ek_make_run(&whole);
	struct ek_units units;
	uint32_t k;

	assert_ok(ek_units_load(&units, run, "cluster"));
	assert_fails(ek_unit_find(&k, &units, "6", "t.csv:3"), EK_EDATA,
	             "t.csv:3: there is no cluster \"6\", only 0 to 5");
	assert_fails(ek_unit_find(&k, &units, "-1", "t"), EK_EDATA, "only 0 to 5");
	assert_fails(ek_unit_find(&k, &units, "", "t"), EK_EDATA, "only 0 to 5");
	ek_units_release(&units);
	assert_ok(ek_units_load(&units, run, "label"));
	assert_fails(ek_unit_find(&k, &units, "cow", "t"), EK_EDATA, "there is no label \"cow\", only cat, dog");
	ek_units_release(&units);
	ek_run_close(run);
}

/* By label: of 8 images one is held out, one has no label; cat 2, dog 4. */
static void what_is_moved_and_left_out_is_told(void **state)
{
	static const double same[] = { 1, 2 }, even[] = { 2, 2 }, near[] = { 1.01, 1.99 }, one[] = { 0, 3 };
	struct ek_run *run = ek_make_run(&whole);
	struct ek_units units;
	cJSON *json = cJSON_CreateObject();
	char *text;

	assert_ok(ek_units_load(&units, run, "label"));
	assert_int_equal(ek_units_without_value(&units), 1);
	assert_close(ek_units_moved(&units, same), 0, 1e-15);
	assert_close(ek_units_moved(&units, even), 1.0 / 6, 1e-15);
	assert_close(ek_units_moved(&units, one), 1.0 / 3, 1e-15);
	assert_ok(ek_units_add(json, &units, NULL));
	text = cJSON_PrintUnformatted(json);
	assert_string_equal(text, "{\"without_value\":1}");
	free(text);
	cJSON_Delete(json);
	json = cJSON_CreateObject();
	/* 0.01 of 3: a third of a hundredth. */
	assert_ok(ek_units_add(json, &units, near));
	assert_close(cJSON_GetObjectItem(json, "moved")->valuedouble, 0.01 / 3, 1e-12);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "changes_little")));
	cJSON_Delete(json);
	json = cJSON_CreateObject();
	assert_ok(ek_units_add(json, &units, even));
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "changes_little")));
	cJSON_Delete(json);
	ek_units_release(&units);
	assert_ok(ek_units_load(&units, run, "cluster"));
	assert_int_equal(ek_units_without_value(&units), 0);
	ek_units_release(&units);
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(images_fall_into_units), cmocka_unit_test(an_assignment_alone_is_enough),
             cmocka_unit_test(what_is_wrong_is_named), cmocka_unit_test(unknown_units_are_named),
             cmocka_unit_test(what_is_moved_and_left_out_is_told))
