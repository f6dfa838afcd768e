/* Scores of a run, without a command line: what they are, what is kept apart, what is stale, what is refused. */
#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/io/npy.h"
#include "rebalance/pipeline/outside.h"
#include "rebalance/pipeline/plans.h"
#include "rebalance/pipeline/score.h"

enum { N = 120, D = 8, CLASSES = 3, BROKEN = 7, WRONG = 40 };

static const char *path;
static struct ek_run *run;

/* Three classes that lie apart; one row is broken, and the label of another is wrong. */
static int set_up(void **state)
{
	const uint64_t shape[] = { N, D }, n = N;
	struct ek_buffer labels = { 0 };
	float x[N * D], distance[N];
	int32_t cluster[N];

	path = strdup(ek_join(ek_scratch(), "run"));
	assert_ok(ek_make_directories(ek_join(path, "clusters")));
	assert_ok(ek_make_directories(ek_join(path, "scores")));
	assert_ok(ek_buffer_text(&labels, "id,label\n"));
	for (int i = 0; i < N; i++) {
		const int class = i % CLASSES;

		for (int j = 0; j < D; j++)
			x[i * D + j] = (float)(j == class ? 3 : 0) + (float)((i * 37 + j * 101) % 64) / 64;
		cluster[i] = class;
		distance[i] = (float)i;
		if (i >= 3) /* the first ones have none */
			assert_ok(ek_buffer_printf(&labels, "%d,%c\n", i, "abc"[i == WRONG ? (class + 1) % 3 : class]));
	}
	x[BROKEN * D + 2] = (float)NAN;
	assert_ok(ek_npy_write(ek_join(path, "embeddings.npy"), EK_F32, 2, shape, x));
	assert_ok(ek_npy_write(ek_join(path, "clusters/assignment.npy"), EK_I32, 1, &n, cluster));
	assert_ok(ek_npy_write(ek_join(path, "clusters/distance.npy"), EK_F32, 1, &n, distance));
	assert_ok(ek_npy_write(ek_join(path, "scores/mine.npy"), EK_F32, 1, &n, distance));
	ek_write_file(ek_join(path, "run.json"), "{}", 2);
	ek_write_file(ek_join(path, "labels.csv"), labels.data, labels.size);
	ek_buffer_release(&labels);
	assert_ok(ek_run_open(&run, path, EK_RUN_WRITE));
	return 0;
}

static int tear_down(void **state)
{
	ek_run_close(run);
	free((char *)(uintptr_t)path);
	return 0;
}

static int score(int *made, const char *method, const char *name, const char *by, const char *labels)
{
	const struct ek_do_score_options o = { .method = method,
		                               .name = name,
		                               .by = by,
		                               .labels = labels,
		                               .epochs = strcmp(method, "distance") != 0 ? 5 : 0 };

	return ek_do_score(made, run, NULL, &o);
}

static const float *open_scores(struct ek_npy *array, const char *file)
{
	const uint64_t n = N;

	assert_ok(ek_npy_open_as(array, ek_join(path, file), EK_F32, 1, &n));
	return array->data;
}

static void what_is_broken_is_kept_apart_and_the_rest_scored(void **state)
{
	static const char *const methods[] = { "distance",     "probe-el2n",       "probe-grand",
		                               "probe-margin", "probe-forgetting", "probe-aum" };
	struct ek_npy array;
	cJSON *json = NULL;
	int made;

	for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
		const float *s;

		assert_ok(score(&made, methods[m], "s", NULL, NULL));
		assert_true(made);
		s = open_scores(&array, "scores/s.npy");
		for (int i = 0; i < N; i++)
			assert_int_equal(isnan(s[i]) != 0, i == BROKEN);
		ek_npy_close(&array);
		assert_int_equal(ek_file_exists(ek_join(path, "scores/s.error.npy")), m > 0);
		assert_ok(ek_json_load(&json, ek_join(path, "scores/s.json")));
		assert_int_equal(ek_json_number(json, "scored"), N - 1);
		assert_int_equal(ek_json_number(ek_json_member(json, "unscored")->child, "first"), BROKEN);
		cJSON_Delete(json);
		assert_ok(score(&made, methods[m], "s", NULL, NULL));
		assert_false(made);
	}
}

static void a_wrong_label_is_found_and_unlabelled_images_are_not_judged(void **state)
{
	struct ek_buffer text = { 0 };
	struct ek_npy array;
	const float *s;
	int made;

	assert_ok(score(&made, "label-errors", "labels", NULL, ek_join(path, "labels.csv")));
	assert_ok(ek_file_read(&text, ek_join(path, "scores/labels.csv"), 1 << 20));
	assert_non_null(strstr(text.data, "id,label,suggested,probability,probability_of_label,quality\n40,c,b,"));
	s = open_scores(&array, "scores/labels.npy");
	for (int i = 0; i < N; i++) {
		assert_int_equal(isnan(s[i]) != 0, i < 3 || i == BROKEN);
		assert_true(i == WRONG || isnan(s[i]) || s[i] > s[WRONG]);
	}
	ek_npy_close(&array);
	ek_buffer_release(&text);
	/* Another method of the same name leaves no table of the one before. */
	assert_ok(score(&made, "probe-aum", "labels", NULL, ek_join(path, "labels.csv")));
	assert_false(ek_file_exists(ek_join(path, "scores/labels.csv")));
	assert_true(ek_file_exists(ek_join(path, "scores/labels.error.npy")));
}

/* Of the images of a class that have a score: how many are kept, and how many of the others lie above and below all
 * that are kept. */
static void count_kept(uint64_t counts[3], const float *score, const uint8_t *decision, int class)
{
	float least = INFINITY, most = -INFINITY;

	memset(counts, 0, 3 * sizeof *counts);
	for (int i = 0; i < N; i++)
		if (i % CLASSES == class && decision[i] == EK_DECISION_KEPT) {
			least = fminf(least, score[i]);
			most = fmaxf(most, score[i]);
			counts[0]++;
		}
	for (int i = 0; i < N; i++)
		if (i % CLASSES == class && decision[i] == EK_DECISION_REMOVED) {
			counts[1] += score[i] >= most;
			counts[2] += score[i] <= least;
		}
}

/* Of scores that are made on the way, the ends and the middle are kept, of each class the same part; the image without
 * a score is in no part. */
static void plans_keep_the_ends_and_the_middle_of_each_class(void **state)
{
	static const struct {
		enum ek_prune_order order;
		uint64_t above[2], below[2]; /* least and most */
	} orders[] = { { EK_PRUNE_HIGH, { 0, 0 }, { 19, 20 } },
		       { EK_PRUNE_LOW, { 19, 20 }, { 0, 0 } },
		       { EK_PRUNE_MIDDLE, { 9, 10 }, { 9, 11 } } };
	struct ek_do_prune_options o = EK_DO_PRUNE_DEFAULT;
	struct ek_npy scores, decisions;
	const float *score_of;
	uint64_t counts[3];
	int made;

	o.plan.method = "score:probe-margin";
	o.plan.name = "p";
	o.plan.by = "cluster";
	o.keep = "0.5";
	for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
		o.plan.order = orders[k].order;
		assert_ok(ek_do_prune(&made, run, NULL, &o));
		score_of = open_scores(&scores, "scores/probe-margin.npy");
		assert_ok(ek_npy_open(&decisions, ek_join(path, "subsets/p/decision.npy")));
		assert_int_equal(((const uint8_t *)decisions.data)[BROKEN], EK_DECISION_NO_VALUE);
		for (int class = 0; class < CLASSES; class ++) {
			count_kept(counts, score_of, decisions.data, class);
			assert_int_equal(counts[0], 20);
			assert_in_range(counts[1], orders[k].above[0], orders[k].above[1]);
			assert_in_range(counts[2], orders[k].below[0], orders[k].below[1]);
		}
		ek_npy_close(&scores);
		ek_npy_close(&decisions);
	}
}

static void scores_follow_labels_and_embeddings(void **state)
{
	static const char other[] = "id,label\n0,a\n1,b\n2,a\n3,b\n";
	const char *table = ek_join(path, "few.csv");
	float row[N * D] = { 0 };
	const uint64_t shape[] = { N, D };
	const char *reason;
	int made, unchanged;

	ek_write_file(table, other, sizeof other - 3);
	assert_ok(score(&made, "probe-el2n", "few", NULL, table));
	assert_true(made);
	assert_ok(ek_outside_check(run));
	assert_ok(ek_run_is_unchanged(&unchanged, &reason, run, "scores few", 1));
	assert_true(unchanged);
	ek_write_file(table, other, sizeof other - 1);
	assert_ok(ek_outside_check(run));
	assert_ok(ek_run_is_unchanged(&unchanged, &reason, run, "scores few", 1));
	assert_false(unchanged);
	assert_non_null(strstr(reason, "few.csv changed"));
	assert_ok(score(&made, "probe-el2n", "few", NULL, table));
	assert_true(made);
	assert_ok(score(&made, "distance", "d", "cluster", NULL));
	for (int i = 0; i < N * D; i++)
		row[i] = (float)(i % 11);
	assert_ok(ek_npy_write(ek_join(path, "embeddings.npy"), EK_F32, 2, shape, row));
	assert_ok(score(&made, "distance", "d", "cluster", NULL));
	assert_true(made);
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct ek_do_score_options o = { .method = "probe-aum", .name = "x" };
	const uint64_t shape[] = { N - 1, D };
	float row[N * D] = { 0 };
	int made;

	assert_fails(score(&made, "probe-amu", "x", NULL, NULL), EK_EUSAGE, "not one of distance, probe-el2n");
	assert_fails(score(&made, "probe-aum", "../x", NULL, NULL), EK_EUSAGE, "../x");
	assert_fails(score(&made, "probe-aum", "x.error", NULL, NULL), EK_EUSAGE, "errors of x");
	assert_fails(score(&made, "probe-aum", "mine", NULL, NULL), EK_EUSAGE, "scores/mine.npy is there");
	assert_fails(score(&made, "label-errors", "x", NULL, NULL), EK_EUSAGE, "needs labels");
	assert_fails(score(&made, "probe-aum", "x", "all", NULL), EK_EDATA, "only one class has images");
	assert_fails(score(&made, "probe-aum", "x", "colour", NULL), EK_EUSAGE, "colour");
	assert_fails(score(&made, "probe-aum", "x", NULL, ek_join(path, "none.csv")), EK_EIO, "none.csv");
	o.folds = 3;
	assert_fails(ek_do_score(&made, run, NULL, &o), EK_EUSAGE, "'folds' is not of the method probe-aum");
	o = (struct ek_do_score_options){ .method = "probe-el2n", .name = "x", .epochs = 4, .early = 5 };
	assert_fails(ek_do_score(&made, run, NULL, &o), EK_EUSAGE, "after the last of 4 epochs");
	assert_ok(ek_npy_write(ek_join(path, "embeddings.npy"), EK_F32, 2, shape, row));
	assert_fails(score(&made, "probe-aum", "x", NULL, NULL), EK_EDATA, "not of one run");
	assert_false(ek_file_exists(ek_join(path, "scores/x.npy")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_broken_is_kept_apart_and_the_rest_scored),
		cmocka_unit_test(a_wrong_label_is_found_and_unlabelled_images_are_not_judged),
		cmocka_unit_test(plans_keep_the_ends_and_the_middle_of_each_class),
		cmocka_unit_test(scores_follow_labels_and_embeddings),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
