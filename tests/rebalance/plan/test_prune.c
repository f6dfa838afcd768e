#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/npy.h"
#include "rebalance/plan/balance.h"
#include "rebalance/plan/prune.h"
#include "rebalance/plan/select.h"
#include "rebalance/plan/subset.h"
#include "tests/rebalance/plan/made_run.h"

struct data {
	uint64_t n;
	uint32_t k;
	int32_t *unit;
	float *distance;
	double *score;
	struct ek_run *run;
	char *scores; /* file */
};

static void load(struct data *d, const cJSON *one)
{
	size_t n;
	double *unit = ek_golden_doubles(one, "unit", &n), *distance = ek_golden_doubles(one, "distance", &n);

	*d = (struct data){ .n = n, .k = (uint32_t)cJSON_GetObjectItem(one, "k")->valueint };
	d->unit = calloc(n, sizeof *d->unit);
	d->distance = calloc(n, sizeof *d->distance);
	assert_non_null(d->unit);
	assert_non_null(d->distance);
	for (size_t i = 0; i < n; i++) {
		d->unit[i] = (int32_t)unit[i];
		d->distance[i] = (float)distance[i];
	}
	d->score = ek_golden_doubles(one, "score", &n);
	d->run =
		ek_make_run(&(struct ek_made_run){ .n = n, .k = d->k, .assignment = d->unit, .distance = d->distance });
	assert_ok(ek_run_file(&d->scores, d->run, "my-scores.npy"));
	assert_ok(ek_npy_write(d->scores, EK_F64, 1, &d->n, d->score));
	free(unit);
	free(distance);
}

static void unload(struct data *d)
{
	ek_run_close(d->run);
	free(d->unit);
	free(d->distance);
	free(d->score);
	free(d->scores);
}

static void open_array(struct ek_npy *array, const struct data *d, const char *subset, const char *name,
                       enum ek_dtype type, uint64_t count)
{
	char *path = NULL;

	assert_ok(ek_format(&path, "%s/subsets/%s/%s", ek_run_path(d->run), subset, name));
	assert_ok(ek_npy_open_as(array, path, type, 1, &count));
	free(path);
}

static void assert_kept(struct ek_selection *got, const struct data *d, const cJSON *ids)
{
	int64_t *kept = ek_kept_ids(got);
	const cJSON *id;
	uint64_t at = 0, distinct = 0;

	assert_int_equal(got->n, d->n);
	assert_int_equal(got->kept, cJSON_GetArraySize(ids));
	cJSON_ArrayForEach(id, ids) assert_int_equal(kept[at++], id->valueint);
	for (uint64_t i = 0; i < d->n; i++)
		distinct += ek_selection_decision(got, i) == EK_DECISION_KEPT;
	assert_int_equal(distinct, at);
	assert_int_equal(distinct, got->distinct);
	free(kept);
	ek_selection_release(got);
}

static void prune_as(const struct data *d, const cJSON *one)
{
	const char *method = cJSON_GetObjectItem(one, "method")->valuestring;
	const int exact = strcmp(cJSON_GetObjectItem(one, "rounding")->valuestring, "exact") == 0;
	struct ek_prune_options o = { .name = "x",
		                      .method = method,
		                      .by = cJSON_GetObjectItem(one, "by")->valuestring,
		                      .keep = { .fraction = cJSON_GetObjectItem(one, "keep")->valuedouble },
		                      .order = EK_PRUNE_NO_ORDER,
		                      .rounding = exact ? EK_PRUNE_EXACT : EK_PRUNE_FLOOR };
	struct ek_selection got;

	if (strcmp(method, "high") == 0 || strcmp(method, "low") == 0 || strcmp(method, "middle score") == 0) {
		o.order = method[0] == 'h' ? EK_PRUNE_HIGH : method[0] == 'l' ? EK_PRUNE_LOW : EK_PRUNE_MIDDLE;
		o.method = "score";
		o.scores = d->scores;
	}
	assert_ok(ek_prune_select(&got, d->run, &o));
	assert_kept(&got, d, cJSON_GetObjectItem(one, "ids"));
}

static void balance_as(const struct data *d, const cJSON *one)
{
	const struct ek_balance_options o = { .name = "x",
		                              .by = "cluster",
		                              .rule = cJSON_GetObjectItem(one, "rule")->valuestring,
		                              .smallest = 1,
		                              .max_repeat = 1,
		                              .min_size = (uint64_t)cJSON_GetObjectItem(one, "min_cluster")->valueint };
	struct ek_selection got;

	assert_ok(ek_balance_select(&got, d->run, &o));
	assert_kept(&got, d, cJSON_GetObjectItem(one, "ids"));
}

static void selections_equal_the_reference(void **state)
{
	cJSON *golden = ek_golden("plan");
	const cJSON *one, *wanted;
	int done = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "data"))
	{
		struct data d;

		load(&d, one);
		cJSON_ArrayForEach(wanted, cJSON_GetObjectItem(one, "cases"))
		{
			prune_as(&d, wanted);
			done++;
		}
		cJSON_ArrayForEach(wanted, cJSON_GetObjectItem(one, "balanced"))
		{
			balance_as(&d, wanted);
			done++;
		}
		unload(&d);
	}
	print_message("%d selections\n", done);
	assert_true(done > 500);
	cJSON_Delete(golden);
}

enum { N = 3000, K = 7 };

/* A run of N images in K - 1 clusters and an empty one, with ties. */
static void make_big(struct data *d)
{
	*d = (struct data){ .n = N, .k = K };
	d->unit = calloc(N, sizeof *d->unit);
	d->distance = calloc(N, sizeof *d->distance);
	assert_non_null(d->unit);
	assert_non_null(d->distance);
	for (int i = 0; i < N; i++) {
		const int c = i * 7919 % 64;

		d->unit[i] = c < 32 ? 0 : c < 48 ? 1 : c < 56 ? 2 : c < 60 ? 3 : c < 63 ? 4 : 6;
		d->distance[i] = (float)(i * 104729 % 1009) / 8;
	}
	d->run = ek_make_run(&(struct ek_made_run){ .n = N, .k = K, .assignment = d->unit, .distance = d->distance });
}

static void prune(const struct data *d, const char *name, const char *method, const char *by, double keep,
                  enum ek_prune_rounding rounding)
{
	const struct ek_prune_options o = { .name = name,
		                            .method = method,
		                            .by = by,
		                            .keep = { .fraction = keep },
		                            .order = EK_PRUNE_NO_ORDER,
		                            .rounding = rounding,
		                            .seed = 5 };
	int made;

	assert_ok(ek_prune(&made, d->run, &o, 0));
}

static void more_kept_holds_less_kept(void **state)
{
	static const char *const methods[] = { "furthest", "nearest", "random", "random-within" };
	struct data d;

	make_big(&d);
	for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
		struct ek_npy less, more;

		prune(&d, "less", methods[m], NULL, 0.3, EK_PRUNE_FLOOR);
		prune(&d, "more", methods[m], NULL, 0.5, EK_PRUNE_FLOOR);
		open_array(&less, &d, "less", "decision.npy", EK_U8, N);
		open_array(&more, &d, "more", "decision.npy", EK_U8, N);
		for (int i = 0; i < N; i++)
			assert_true(((const uint8_t *)less.data)[i] <= ((const uint8_t *)more.data)[i]);
		ek_npy_close(&less);
		ek_npy_close(&more);
	}
	unload(&d);
}

static void baselines_have_the_same_size_and_other_images(void **state)
{
	static const char *const names[] = { "p", "p-random", "p-random-within" };
	uint8_t *decisions[3];
	struct data d;

	make_big(&d);
	prune(&d, "p", "random", NULL, 0.25, EK_PRUNE_EXACT);
	for (int s = 0; s < 3; s++) {
		uint64_t of[K] = { 0 }, kept[K] = { 0 };
		struct ek_npy keep, decision;

		open_array(&keep, &d, names[s], "keep.npy", EK_I64, N / 4);
		for (int i = 1; i < N / 4; i++)
			assert_true(((const int64_t *)keep.data)[i] > ((const int64_t *)keep.data)[i - 1]);
		open_array(&decision, &d, names[s], "decision.npy", EK_U8, N);
		decisions[s] = malloc(N);
		assert_non_null(decisions[s]);
		memcpy(decisions[s], decision.data, N);
		for (int i = 0; i < N; i++) {
			of[d.unit[i]]++;
			kept[d.unit[i]] += decisions[s][i];
		}
		for (int u = 0; u < K && s == 2; u++)
			assert_true(fabs((double)kept[u] - 0.25 * (double)of[u]) < 1);
		ek_npy_close(&keep);
		ek_npy_close(&decision);
	}
	assert_memory_not_equal(decisions[0], decisions[1], N);
	assert_memory_not_equal(decisions[1], decisions[2], N);
	for (int s = 0; s < 3; s++)
		free(decisions[s]);
	unload(&d);
}

static void results_do_not_depend_on_threads(void **state)
{
	static const char *const methods[] = { "furthest", "middle", "random" };
	static const int threads[] = { 1, 3, 8 };

	for (size_t m = 0; m < 3; m++) {
		struct ek_buffer first = { 0 };

		for (size_t t = 0; t < 3; t++) {
			struct ek_buffer bytes = { 0 };
			struct data d;

			ek_threads_set(threads[t]);
			make_big(&d);
			prune(&d, "p", methods[m], NULL, 0.4, EK_PRUNE_EXACT);
			assert_ok(ek_file_read(&bytes, ek_join(ek_run_path(d.run), "subsets/p/rank.npy"), 1 << 20));
			assert_ok(ek_file_read(&bytes, ek_join(ek_run_path(d.run), "subsets/p/keep.npy"), 1 << 20));
			assert_ok(ek_file_read(&bytes, ek_join(ek_run_path(d.run), "subsets/p/subset.json"), 1 << 20));
			if (t == 0)
				assert_ok(ek_buffer_append(&first, bytes.data, bytes.size));
			assert_int_equal(first.size, bytes.size);
			assert_memory_equal(first.data, bytes.data, bytes.size);
			ek_buffer_release(&bytes);
			unload(&d);
		}
		ek_buffer_release(&first);
	}
	ek_threads_set(0);
}

static void repeats_fill_up_to_the_cap(void **state)
{
	const struct ek_balance_options o = {
		.name = "b", .by = "cluster", .rule = "nearest", .total = 2400, .max_repeat = 3
	};
	uint64_t sizes[K] = { 0 }, kept[K] = { 0 }, times[N] = { 0 };
	struct ek_npy keep;
	struct data d;
	int made;

	make_big(&d);
	assert_ok(ek_balance(&made, d.run, &o, 0));
	open_array(&keep, &d, "b", "keep.npy", EK_I64, 2400);
	for (int i = 0; i < 2400; i++) {
		kept[d.unit[((const int64_t *)keep.data)[i]]]++;
		times[((const int64_t *)keep.data)[i]]++;
	}
	for (int i = 0; i < N; i++)
		sizes[d.unit[i]]++;
	/* Sizes are near 1500, 750, 375, 188, 141, 0, 47; three times the last is all it gives, the others share
	 * evenly. */
	assert_int_equal(kept[6], 3 * sizes[6]);
	for (int u = 0; u < 4; u++)
		assert_true(llabs((long long)kept[u] - (long long)kept[0]) <= 1);
	/* Whole passes, then the nearest once more. */
	for (int i = 0; i < N; i++) {
		const uint64_t pass = kept[d.unit[i]] / sizes[d.unit[i]];

		assert_true(times[i] == pass || times[i] == pass + 1);
		for (int j = 0; j < N; j++)
			assert_true(d.unit[i] != d.unit[j] || d.distance[i] >= d.distance[j] || times[i] >= times[j]);
	}
	ek_npy_close(&keep);
	unload(&d);
}

static void what_is_current_is_not_made_again(void **state)
{
	struct ek_prune_options o = {
		.name = "p", .method = "nearest", .keep = { .count = 10 }, .order = EK_PRUNE_NO_ORDER
	};
	struct data d;
	int made;

	make_big(&d);
	assert_fails(ek_plan_check(d.run, EK_SOURCE_SUBSET, "p"), EK_EUSAGE, "has no subset yet");
	assert_ok(ek_prune(&made, d.run, &o, 0));
	assert_true(made);
	assert_ok(ek_plan_check(d.run, EK_SOURCE_SUBSET, "p"));
	assert_ok(ek_plan_check(d.run, EK_SOURCE_SUBSET, "p-random"));
	assert_fails(ek_plan_check(d.run, EK_SOURCE_SUBSET, "q"), EK_EUSAGE, "only p, p-random, p-random-within");
	assert_ok(ek_prune(&made, d.run, &o, 0));
	assert_false(made);
	assert_ok(ek_prune(&made, d.run, &o, 1));
	assert_true(made);
	o.keep.count = 11;
	assert_ok(ek_prune(&made, d.run, &o, 0));
	assert_true(made);
	d.distance[0] += 1;
	assert_ok(ek_npy_write(ek_join(ek_run_path(d.run), "clusters/distance.npy"), EK_F32, 1, &d.n, d.distance));
	assert_fails(ek_plan_check(d.run, EK_SOURCE_SUBSET, "p"), EK_EDATA,
	             "clusters/distance.npy has changed since it was made");
	assert_ok(ek_prune(&made, d.run, &o, 0));
	assert_true(made);
	unload(&d);
}

/* An image without a score is left out, half of the others is kept, and the document says so. */
static void check_dropped(struct data *d, const struct ek_prune_options *o, uint64_t id)
{
	cJSON *json = NULL;
	struct ek_npy decision;
	char *path;
	int made;

	assert_ok(ek_prune(&made, d->run, o, 0));
	assert_true(made);
	assert_ok(ek_run_file(&path, d->run, "subsets/p/decision.npy"));
	assert_ok(ek_npy_open(&decision, path));
	for (uint64_t i = 0; i < d->n; i++)
		assert_int_equal(((const uint8_t *)decision.data)[i] == EK_DECISION_NO_VALUE, i == id);
	ek_npy_close(&decision);
	free(path);
	assert_ok(ek_run_file(&path, d->run, "subsets/p/subset.json"));
	assert_ok(ek_json_load(&json, path));
	assert_int_equal(ek_json_number(json, "without_score"), 1);
	assert_int_equal(ek_json_number(json, "without_value"), 1);
	assert_int_equal(ek_json_number(json, "images_after"), d->n / 2);
	cJSON_Delete(json);
	free(path);
}

static void bad_scores_are_named(void **state)
{
	struct ek_prune_options o = {
		.name = "p", .method = "score", .keep = { .fraction = 0.5 }, .order = EK_PRUNE_HIGH
	};
	const uint64_t wrong = N - 1;
	double scores[N] = { 0 };
	float narrow[N] = { 0 };
	struct data d;
	char *path;
	int made;

	make_big(&d);
	assert_ok(ek_run_file(&path, d.run, "s.npy"));
	assert_fails(ek_prune(&made, d.run, &o, 0), EK_EUSAGE, "needs either 'scores' FILE.npy or a name");
	o.scores = path;
	scores[42] = narrow[43] = NAN;
	assert_ok(ek_npy_write(path, EK_F64, 1, &d.n, scores));
	check_dropped(&d, &o, 42);
	assert_ok(ek_npy_write(path, EK_F32, 1, &d.n, narrow));
	check_dropped(&d, &o, 43);
	for (int i = 0; i < N; i++)
		narrow[i] = NAN;
	assert_ok(ek_npy_write(path, EK_F32, 1, &d.n, narrow));
	assert_fails(ek_prune(&made, d.run, &o, 0), EK_EDATA, "no image has a score");
	assert_ok(ek_npy_write(path, EK_F32, 1, &wrong, narrow));
	assert_fails(ek_prune(&made, d.run, &o, 0), EK_EDATA, "expected 1 of 3000");
	o.order = EK_PRUNE_NO_ORDER;
	assert_fails(ek_prune(&made, d.run, &o, 0), EK_EUSAGE, "needs 'order'");
	o.scores = NULL;
	o.order = EK_PRUNE_LOW;
	o.method = "score:mine";
	assert_fails(ek_prune(&made, d.run, &o, 0), EK_EUSAGE, "scores/mine.npy is not there");
	o.method = "score:../mine";
	assert_fails(ek_prune(&made, d.run, &o, 0), EK_EUSAGE, "the name");
	o.method = "nearest";
	assert_fails(ek_prune(&made, d.run, &o, 0), EK_EUSAGE, "'order' is of 'method' score");
	free(path);
	unload(&d);
}

static void keeps_are_fractions_or_counts(void **state)
{
	static const char *const bad[] = {
		"0", "-1", "1.5", "nan", "0x", "", "5 of", "0 images", "inf", "1e3", "0.5 "
	};
	struct ek_keep keep;

	assert_ok(ek_keep_parse(&keep, "1"));
	assert_true(keep.fraction == 1 && keep.count == 0);
	assert_ok(ek_keep_parse(&keep, "0.25"));
	assert_true(keep.fraction == 0.25);
	assert_ok(ek_keep_parse(&keep, "1e-3"));
	assert_true(keep.fraction == 1e-3);
	assert_ok(ek_keep_parse(&keep, "2"));
	assert_true(keep.fraction == 0 && keep.count == 2);
	assert_ok(ek_keep_parse(&keep, "1 images"));
	assert_true(keep.fraction == 0 && keep.count == 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_fails(ek_keep_parse(&keep, bad[i]), EK_EUSAGE, "not a fraction");
}

EK_TEST_MAIN(cmocka_unit_test(selections_equal_the_reference), cmocka_unit_test(more_kept_holds_less_kept),
             cmocka_unit_test(baselines_have_the_same_size_and_other_images),
             cmocka_unit_test(results_do_not_depend_on_threads), cmocka_unit_test(repeats_fill_up_to_the_cap),
             cmocka_unit_test(what_is_current_is_not_made_again), cmocka_unit_test(bad_scores_are_named),
             cmocka_unit_test(keeps_are_fractions_or_counts))
