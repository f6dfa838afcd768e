#include "reports/comparison.h"

#include "rebalance/base/file.h"
#include "tests/reports/evaluations.h"
#include "tests/support/support.h"

/* A run with nothing but evaluations. */
static const char *make_run(const struct ek_made_evaluation *made, size_t count)
{
	const char *folder = ek_scratch();

	ek_write_file(ek_join(folder, "run.json"), "{}", 2);
	for (size_t i = 0; i < count; i++)
		ek_make_evaluation(folder, &made[i]);
	return folder;
}

static int add(struct ek_comparison *c, const char *folder)
{
	struct ek_run *run = NULL;
	int rc;

	assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
	rc = ek_comparison_add(c, run, NULL);
	ek_run_close(run);
	return rc;
}

static const struct ek_comparison_row *row_of(const struct ek_comparison *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->rows[i].name, name) == 0)
			return &c->rows[i];
	fail_msg("no row %s", name);
	return NULL;
}

static void quantiles_are_scipys(void **state)
{
	cJSON *golden = ek_golden("comparison");
	size_t count;
	double *want = ek_golden_doubles(golden, "quantiles", &count);

	assert_int_equal(count, 30);
	for (size_t n = 1; n <= count; n++) {
		const struct ek_compared v = { .value = 1, .deviation = sqrt((double)n + 1), .seeds = n + 1 };
		double below, above;

		assert_int_equal(ek_comparison_reach(&below, &above, &v), 1);
		assert_close(below, want[n - 1], 1e-6); /* six decimals */
		assert_close(above, want[n - 1], 1e-6);
	}
	free(want);
	cJSON_Delete(golden);
}

static void verdicts_are_those_of_the_intervals(void **state)
{
	cJSON *golden = ek_golden("comparison");
	size_t count, beyond = 0;
	double *welch = ek_golden_doubles(golden, "welch", &count), *mover;

	assert_int_equal(count, 7 * 40);
	for (const double *w = welch; w < welch + count; w += 7) {
		const struct ek_compared a = { .value = w[0], .deviation = w[1], .seeds = (uint64_t)w[2] };
		const struct ek_compared b = { .value = w[3], .deviation = w[4], .seeds = (uint64_t)w[5] };
		const enum ek_difference want = w[6] > 0 ? EK_DIFFERENCE_BEYOND : EK_DIFFERENCE_WITHIN;

		beyond += want == EK_DIFFERENCE_BEYOND;
		assert_int_equal(ek_comparison_verdict(&a, &b), want);
		assert_int_equal(ek_comparison_verdict(&b, &a), want);
	}
	assert_true(beyond > 5 && beyond < 35);
	mover = ek_golden_doubles(golden, "intervals", &count);
	assert_int_equal(count, 7 * 40);
	for (const double *w = mover; w < mover + count; w += 7) {
		const struct ek_compared a = { .value = w[0], .low = w[1], .high = w[2] };
		const struct ek_compared b = { .value = w[3], .low = w[4], .high = w[5] };
		const enum ek_difference want = w[6] > 0 ? EK_DIFFERENCE_BEYOND : EK_DIFFERENCE_WITHIN;

		assert_int_equal(ek_comparison_verdict(&a, &b), want);
		assert_int_equal(ek_comparison_verdict(&b, &a), want);
	}
	free(welch);
	free(mover);
	cJSON_Delete(golden);
}

static void what_is_not_known_is_not_judged(void **state)
{
	const struct ek_compared bare = { .value = 1, .low = NAN, .high = NAN, .deviation = NAN };
	const struct ek_compared other = { .value = 2, .low = 1.9, .high = 2.1 }, none = { .value = NAN };
	const struct ek_compared still = { .value = 2, .deviation = 0, .seeds = 3 };
	const struct ek_compared moved = { .value = 2.5, .deviation = 0, .seeds = 3 };
	const struct ek_compared wide = { .value = 1, .low = 0.7, .high = 1.12 };
	const struct ek_compared narrow = { .value = 2, .low = 1.95, .high = 2.4 };
	double low, high;

	assert_int_equal(ek_comparison_verdict(&bare, &other), EK_DIFFERENCE_UNKNOWN);
	assert_int_equal(ek_comparison_verdict(&none, &other), EK_DIFFERENCE_NONE);
	assert_int_equal(ek_comparison_interval(&low, &high, &bare, &other), 0);
	assert_int_equal(ek_comparison_interval(&low, &high, &moved, &still), 1);
	assert_close(low, 0.5, 0);
	assert_close(high, 0.5, 0);
	/* d − √((a − l_a)² + (u_b − b)²) … d + √((u_a − a)² + (b − l_b)²) = −1 ∓ √(0.3² + 0.4²), √(0.12² + 0.05²). */
	assert_int_equal(ek_comparison_interval(&low, &high, &wide, &narrow), 1);
	assert_close(low, -1.5, 1e-12);
	assert_close(high, -0.87, 1e-12);
	/* No deviation at all: any difference is one. */
	assert_int_equal(ek_comparison_verdict(&still, &still), EK_DIFFERENCE_WITHIN);
	assert_int_equal(ek_comparison_verdict(&still, &moved), EK_DIFFERENCE_BEYOND);
}

static void rows_are_ordered_and_differ_from_the_natural_one(void **state)
{
	static const struct ek_made_evaluation made[] = {
		{ .name = "a", .method = "nearest", .keep = 0.1, .fd = 9, .seeds = 3, .deviation = 0.5 },
		{ .name = "b", .method = "nearest", .keep = 0.5, .fd = 6, .seeds = 3, .deviation = 0.5 },
		{ .name = "c", .weights = "inverse", .keep = 1, .fd = 5.5, .worst = 0.5, .seeds = 3, .deviation = 0.5 },
		{ .name = "d", .method = "furthest", .keep = 0.5, .fd = 7.5, .seeds = 3, .deviation = 0.5 },
		{ .name = "z", .keep = 1, .fd = 5, .worst = 0.25, .seeds = 3, .deviation = 0.5 },
	};
	static const char *const order[] = { "z", "c", "d", "b", "a" };
	struct ek_comparison c = { 0 };

	assert_ok(add(&c, make_run(made, 5)));
	assert_ok(ek_comparison_finish(&c, NULL));
	assert_int_equal(c.count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_string_equal(c.rows[i].name, order[i]);
		assert_ptr_equal(c.rows[i].baseline, &c.rows[0]);
		assert_null(c.rows[i].unlike);
	}
	assert_int_equal(c.rows[0].values[EK_CMP_FD].verdict, EK_DIFFERENCE_NONE);
	/* sqrt(2/3) 0.5 t(4) = 1.13 */
	assert_close(row_of(&c, "c")->values[EK_CMP_FD].difference, 0.5, 1e-12);
	assert_int_equal(row_of(&c, "c")->values[EK_CMP_FD].verdict, EK_DIFFERENCE_WITHIN);
	assert_int_equal(row_of(&c, "d")->values[EK_CMP_FD].verdict, EK_DIFFERENCE_BEYOND);
	assert_int_equal(row_of(&c, "a")->values[EK_CMP_FD].verdict, EK_DIFFERENCE_BEYOND);
	/* Neither seeds nor an interval; an interval; null. */
	assert_int_equal(row_of(&c, "a")->values[EK_CMP_NEAREST].verdict, EK_DIFFERENCE_UNKNOWN);
	assert_int_equal(row_of(&c, "a")->values[EK_CMP_COPIES].verdict, EK_DIFFERENCE_WITHIN);
	assert_int_equal(row_of(&c, "a")->values[EK_CMP_RATIO].verdict, EK_DIFFERENCE_NONE);
	assert_int_equal(row_of(&c, "z")->worst_cluster, 1);
	assert_string_equal(row_of(&c, "d")->label, "furthest 0.5");
	assert_string_equal(row_of(&c, "c")->label, "weighted: inverse");
	ek_comparison_release(&c);
}

static void unlike_is_not_compared(void **state)
{
	static const struct ek_made_evaluation made[] = {
		{ .name = "natural", .keep = 1, .fd = 5, .seeds = 3, .deviation = 0.1 },
		{ .name = "few", .method = "nearest", .keep = 0.5, .images = 300, .seeds = 3, .deviation = 0.1 },
		{ .name = "eyes", .method = "nearest", .keep = 0.5, .encoder = "clip", .seeds = 3, .deviation = 0.1 },
		{ .name = "aim",
		  .method = "nearest",
		  .keep = 0.5,
		  .fd = 9,
		  .target = 0.25,
		  .seeds = 3,
		  .deviation = 0.1 },
	};
	struct ek_comparison c = { 0 };
	const struct ek_comparison_row *row;

	assert_ok(add(&c, make_run(made, 4)));
	assert_ok(ek_comparison_finish(&c, NULL));
	assert_string_equal(row_of(&c, "few")->unlike, "300 generated images, not 900 generated images");
	assert_string_equal(row_of(&c, "eyes")->unlike, "FD by clip, not FD by pixels");
	assert_int_equal(row_of(&c, "few")->values[EK_CMP_FD].verdict, EK_DIFFERENCE_NONE);
	assert_true(isnan(row_of(&c, "few")->values[EK_CMP_FD].difference));
	/* Other target shares leave what does not depend on them. */
	row = row_of(&c, "aim");
	assert_null(row->unlike);
	assert_int_equal(row->values[EK_CMP_FD].verdict, EK_DIFFERENCE_BEYOND);
	assert_int_equal(row->values[EK_CMP_WORST].verdict, EK_DIFFERENCE_WITHIN);
	assert_int_equal(row->values[EK_CMP_MASS].verdict, EK_DIFFERENCE_UNLIKE);
	assert_true(isnan(row->values[EK_CMP_MASS].difference));
	ek_comparison_release(&c);
}

static void runs_are_compared_only_where_their_images_are_known_to_be_the_same(void **state)
{
	static const struct ek_made_evaluation made[] = { { .name = "natural", .keep = 1 } },
					       others[] = { { .name = "w", .weights = "w", .keep = 1 } };
	struct ek_comparison c = { 0 };

	assert_ok(add(&c, make_run(made, 1)));
	assert_ok(add(&c, make_run(others, 1)));
	assert_ok(ek_comparison_finish(&c, NULL));
	assert_string_equal(row_of(&c, "w")->unlike, "the images of the runs are not the same");
	ek_comparison_release(&c);
	assert_ok(add(&c, make_run(others, 1)));
	assert_ok(ek_comparison_finish(&c, NULL));
	assert_string_equal(c.rows[0].unlike, "there is no evaluation of a model of all images as they come");
	ek_comparison_release(&c);
}

static void the_baseline_can_be_chosen(void **state)
{
	static const struct ek_made_evaluation made[] = {
		{ .name = "natural", .keep = 1, .fd = 5, .worst = 0.9, .seeds = 2, .deviation = 0.1 },
		{ .name = "half", .method = "nearest", .keep = 0.5, .fd = 6, .seeds = 2, .deviation = 0.1 },
	};
	struct ek_comparison c = { 0 };

	assert_ok(add(&c, make_run(made, 2)));
	assert_ok(ek_comparison_finish(&c, "half"));
	assert_close(row_of(&c, "natural")->values[EK_CMP_FD].difference, -1, 1e-12);
	assert_int_equal(row_of(&c, "natural")->worst_cluster, -1); /* both have 0.9 */
	ek_comparison_release(&c);
	assert_ok(add(&c, make_run(made, 2)));
	assert_fails(ek_comparison_finish(&c, "none"), EK_EUSAGE, "there is no evaluation none");
	ek_comparison_release(&c);
}

static void a_subset_says_what_it_is(void **state)
{
	static const struct ek_made_evaluation made[] = {
		{ .name = "natural", .keep = 1, .training_images = 1000 },
		{ .name = "even", .method = "smallest", .training_images = 250 },
		{ .name = "top", .method = "score:grand", .keep = 0.5 },
	};
	const char *folder = make_run(made, 3);
	struct ek_comparison c = { 0 };

	assert_ok(ek_make_directories(ek_join(folder, "subsets/even")));
	assert_ok(ek_make_directories(ek_join(folder, "subsets/top")));
	ek_write_file(ek_join(folder, "subsets/even/subset.json"), "{\"command\": \"balance\"}", 22);
	ek_write_file(ek_join(folder, "subsets/top/subset.json"), "{\"options\": {\"order\": \"high\"}}", 30);
	assert_ok(add(&c, folder));
	assert_ok(ek_comparison_finish(&c, NULL));
	assert_int_equal(row_of(&c, "even")->trained, EK_TRAINED_BALANCED);
	assert_close(row_of(&c, "even")->keep, 0.25, 1e-12); /* of the images that the natural model saw */
	assert_string_equal(row_of(&c, "top")->series, "score:grand high");
	ek_comparison_release(&c);
}

/* Of two natural models the one that was made as this one was; what differs is told. */
static void the_baseline_was_made_alike(void **state)
{
	static const struct ek_made_evaluation made[] = {
		{ .name = "first", .keep = 1, .of_generated = "\"samples\": [\"short\"], " },
		{ .name = "second", .keep = 1, .of_generated = "\"samples\": [\"long\"], " },
		{ .name = "half", .method = "middle", .keep = 0.5, .of_generated = "\"samples\": [\"long\"], " },
		{ .name = "other",
		  .method = "middle",
		  .keep = 0.5,
		  .of_generated = "\"samples\": [\"longer\"], \"guidance\": 2, " },
		{ .name = "third",
		  .model = "wide",
		  .method = "middle",
		  .keep = 0.5,
		  .of_generated = "\"samples\": [\"long\"], " },
	};
	static const struct {
		const char *folder, *text;
	} configs[] = { { "samples/short", "{\"model_step\": 10}" },
		        { "samples/long", "{\"model_step\": 20}" },
		        { "samples/longer", "{\"model_step\": 30}" },
		        { "models/m", "{\"model\": {\"width\": 8}}" },
		        { "models/wide", "{\"model\": {\"width\": 9}}" } };
	const char *folder = make_run(made, 5);
	struct ek_comparison c = { 0 };

	for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
		char path[4096];

		(void)snprintf(path, sizeof path, "%s/%s", folder, configs[i].folder);
		assert_ok(ek_make_directories(path));
		ek_write_file(ek_join(path, "config.json"), configs[i].text, strlen(configs[i].text));
	}
	assert_ok(add(&c, folder));
	assert_ok(ek_comparison_finish(&c, NULL));
	assert_ptr_equal(row_of(&c, "half")->baseline, row_of(&c, "second"));
	assert_null(row_of(&c, "half")->note);
	assert_true(ek_comparison_together(row_of(&c, "half"), row_of(&c, "second")));
	assert_string_equal(row_of(&c, "other")->note,
	                    "trained for 30 steps, not 10: not comparable as two ways to choose images");
	assert_false(ek_comparison_together(row_of(&c, "other"), row_of(&c, "half")));
	assert_string_equal(row_of(&c, "third")->note, "another network");
	ek_comparison_release(&c);
}

static void methods_have_inverses(void **state)
{
	static const char *const pairs[][2] = {
		{ "furthest", "nearest" }, { "nearest", "furthest" },         { "ssp-easy", "ssp-hard" },
		{ "middle", NULL },        { "score:a high", "score:a low" }, { "not-nearest", NULL },
	};
	char *inverse;

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		assert_ok(ek_comparison_inverse(&inverse, pairs[i][0]));
		if (pairs[i][1] == NULL)
			assert_null(inverse);
		else
			assert_string_equal(inverse, pairs[i][1]);
		free(inverse);
	}
	assert_true(ek_comparison_is_random("random-within"));
	assert_false(ek_comparison_is_random("randomly"));
}

static void damage_is_named(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "{\"generated\": {\"images\": 3", "evaluations/x.json" },
		{ "[]", "evaluations/x.json is no evaluation" },
		{ "{\"generated\": {}, \"reference\": {\"images\": 1}, \"encoder\": {}, \"k\": 5}", "\"images\"" },
		{ "{\"generated\": {\"images\": 1}, \"reference\": {\"images\": 1}, \"encoder\": {}}", "\"k\"" },
		{ "{\"generated\": {\"images\": 1}, \"reference\": {\"images\": 1}, \"encoder\": {}, \"k\": 5, "
		  "\"memorisation\": {\"nearest_train\": {\"median\": \"far\"}}}",
		  "x.json: memorisation.nearest_train.median is no number" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *folder = make_run(NULL, 0);
		struct ek_comparison c = { 0 };
		struct ek_run *run = NULL;
		size_t odd;

		assert_ok(ek_make_directories(ek_join(folder, "evaluations")));
		ek_write_file(ek_join(folder, "evaluations/x.json"), cases[i].text, strlen(cases[i].text));
		assert_fails(add(&c, folder), EK_EDATA, cases[i].message);
		ek_comparison_release(&c);
		/* A page leaves it out. */
		assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
		assert_ok(ek_comparison_add(&c, run, &odd));
		ek_run_close(run);
		assert_int_equal(c.count, 0);
		assert_int_equal(odd, 1);
		ek_comparison_release(&c);
	}
}

EK_TEST_MAIN(cmocka_unit_test(quantiles_are_scipys), cmocka_unit_test(verdicts_are_those_of_the_intervals),
             cmocka_unit_test(what_is_not_known_is_not_judged),
             cmocka_unit_test(rows_are_ordered_and_differ_from_the_natural_one),
             cmocka_unit_test(unlike_is_not_compared),
             cmocka_unit_test(runs_are_compared_only_where_their_images_are_known_to_be_the_same),
             cmocka_unit_test(the_baseline_can_be_chosen), cmocka_unit_test(a_subset_says_what_it_is),
             cmocka_unit_test(the_baseline_was_made_alike), cmocka_unit_test(methods_have_inverses),
             cmocka_unit_test(damage_is_named))
