/* Scores of a linear probe against NumPy, label errors against cleanlab (tests/golden/make_scores.py). */
#include "tests/support/support.h"

#include "analysis/cluster/label_errors.h"
#include "analysis/cluster/probe_scores.h"
#include "rebalance/base/threads.h"
#include "tests/analysis/cluster/groups_input.h"

enum { N = 300, D = 6, CLASSES = 3 };

static const struct ek_probe_score_options options = { .seeds = 2, .epochs = 7, .early = 3, .rate = 4, .seed = 5 };

struct input {
	float x[N * D];
	uint32_t label[N];
	struct ek_npy array;
	struct ek_rows rows;
	struct ek_softmax_data data;
};

static void make_input(struct input *in)
{
	for (uint32_t i = 0; i < N; i++) {
		in->label[i] = i % CLASSES;
		for (uint32_t j = 0; j < D; j++)
			in->x[i * D + j] = (float)(2 * ek_golden_u(1 + i * D + j) + (j == in->label[i] ? 0.75 : 0));
		if (i % 11 == 0)
			in->label[i] = (in->label[i] + 1) % CLASSES;
	}
	in->array = ek_rows_memory(in->x, N, D);
	assert_ok(ek_rows_of(&in->rows, &in->array, 0));
	assert_ok(ek_softmax_data_of(&in->data, &in->rows, in->label, CLASSES));
}

static void check(const cJSON *golden, const char *name, const float *score, const float *error, double tolerance)
{
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(golden, name);
	size_t count;
	double *scores = ek_golden_doubles(want, "score", &count);
	double *errors = ek_golden_doubles(want, "error", &count);

	assert_int_equal(count, N);
	for (size_t i = 0; i < N; i++) {
		assert_close(score[i], scores[i], tolerance);
		assert_close(error[i], errors[i], tolerance);
	}
	free(scores);
	free(errors);
}

/*
 * Ours rounds to float32 (2^-24) at each of some 9 roundings of 21 steps on numbers below 8: 1e-5 of the largest. The
 * nearest margin to 0 that NumPy met is larger, so the same visits are right and forgetting is the same number.
 */
static void scores_equal_numpys(void **state)
{
	static const char *const names[] = { "el2n", "grand", "forgetting", "margin", "aum" };
	cJSON *golden = ek_golden("scores");
	const cJSON *probe = cJSON_GetObjectItemCaseSensitive(golden, "probe");
	float score[N], error[N];
	struct input in;
	double accuracy;

	make_input(&in);
	assert_true(ek_json_number(probe, "nearest_tie") > 1e-5);
	for (int which = EK_PROBE_EL2N; which <= EK_PROBE_AUM; which++) {
		assert_ok(ek_probe_scores(score, error, &accuracy, (enum ek_probe_score)which, &in.data, &options));
		check(probe, names[which], score, error, which == EK_PROBE_FORGETTING ? 1e-6 : 1e-5);
		assert_true(accuracy > 0.6 && accuracy < 0.9);
	}
	ek_softmax_data_release(&in.data);
	cJSON_Delete(golden);
}

static void scores_do_not_depend_on_threads(void **state)
{
	float score[2][N], error[2][N];
	struct input in;
	double accuracy;

	make_input(&in);
	for (int t = 0; t < 2; t++) {
		ek_threads_set(t == 0 ? 1 : 3);
		assert_ok(ek_probe_scores(score[t], error[t], &accuracy, EK_PROBE_AUM, &in.data, &options));
	}
	ek_threads_set(0);
	assert_memory_equal(score[0], score[1], sizeof score[0]);
	assert_memory_equal(error[0], error[1], sizeof error[0]);
	ek_softmax_data_release(&in.data);
}

/* One seed has no standard error; a constant feature says nothing. */
static void one_seed_and_a_constant_feature(void **state)
{
	struct ek_probe_score_options one = options;
	float score[N], error[N];
	struct input in;
	double accuracy;

	make_input(&in);
	ek_softmax_data_release(&in.data);
	for (size_t i = 0; i < N; i++)
		in.x[i * D + 5] = 0.1F;
	assert_ok(ek_softmax_data_of(&in.data, &in.rows, in.label, CLASSES));
	assert_true(in.data.scale[5] == 0);
	one.seeds = 1;
	assert_ok(ek_probe_scores(score, error, &accuracy, EK_PROBE_MARGIN, &in.data, &one));
	for (size_t i = 0; i < N; i++)
		assert_true(isfinite(score[i]) && isnan(error[i]));
	ek_softmax_data_release(&in.data);
}

struct labels {
	uint64_t n;
	uint32_t classes;
	float *p;
	uint32_t *label;
};

static void make_labels(struct labels *l, const cJSON *c)
{
	const uint64_t start = (uint64_t)ek_json_number(c, "start"), wrong = (uint64_t)ek_json_number(c, "wrong");

	l->n = (uint64_t)ek_json_number(c, "n");
	l->classes = (uint32_t)ek_json_number(c, "classes");
	assert_ok(ek_alloc(&l->p, l->n * l->classes, sizeof *l->p));
	assert_ok(ek_alloc(&l->label, l->n, sizeof *l->label));
	for (uint64_t i = 0; i < l->n; i++) {
		const uint32_t true_class = (uint32_t)(i * 7 % l->classes);
		double a[16], total = 0;

		for (uint32_t k = 0; k < l->classes; k++) {
			const double v = ek_golden_u(start + i * l->classes + k) + 0.5;

			a[k] = v * v + (k == true_class ? 0.75 : 0);
			total += a[k];
		}
		for (uint32_t k = 0; k < l->classes; k++)
			l->p[i * l->classes + k] = (float)(a[k] / total);
		l->label[i] = true_class;
		if (i % wrong == 0)
			l->label[i] = (uint32_t)((true_class + 1 + i / wrong % (l->classes - 1)) % l->classes);
	}
}

static void check_issues(const struct labels *l, const cJSON *c, const char *name, enum ek_label_filter filter,
                         const uint64_t *joint)
{
	uint8_t *is_error;
	size_t count, at = 0;
	double *want = ek_golden_doubles(cJSON_GetObjectItemCaseSensitive(c, "issues"), name, &count);

	assert_ok(ek_alloc(&is_error, l->n, 1));
	assert_ok(ek_label_errors_find(is_error, filter, l->p, l->label, l->n, l->classes, joint));
	for (uint64_t i = 0; i < l->n; i++)
		if (is_error[i]) {
			assert_true(at < count);
			assert_int_equal(i, (uint64_t)want[at++]);
		}
	assert_int_equal(at, count);
	free(is_error);
	free(want);
}

/* Counts and choices are whole numbers; a quality is one subtraction of float32 numbers below 1. */
static void label_errors_equal_cleanlabs(void **state)
{
	cJSON *golden = ek_golden("scores");
	const cJSON *c;

	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(golden, "labels"))
	{
		struct labels l;
		uint64_t *joint;
		size_t count;
		double *want, *confidence, *margin;

		make_labels(&l, c);
		want = ek_golden_doubles(c, "joint", &count);
		confidence = ek_golden_doubles(c, "self_confidence", &count);
		margin = ek_golden_doubles(c, "normalized_margin", &count);
		assert_int_equal(count, l.n);
		assert_ok(ek_alloc(&joint, (size_t)l.classes * l.classes, sizeof *joint));
		assert_ok(ek_label_errors_joint(joint, l.p, l.label, l.n, l.classes));
		for (size_t k = 0; k < (size_t)l.classes * l.classes; k++)
			assert_int_equal(joint[k], (uint64_t)want[k]);
		check_issues(&l, c, "prune_by_noise_rate", EK_LABEL_BY_NOISE_RATE, joint);
		check_issues(&l, c, "prune_by_class", EK_LABEL_BY_CLASS, joint);
		check_issues(&l, c, "both", EK_LABEL_BY_BOTH, joint);
		check_issues(&l, c, "confident_learning", EK_LABEL_CONFIDENT, joint);
		for (uint64_t i = 0; i < l.n; i++) {
			const float *p = l.p + i * l.classes;

			assert_close(ek_label_errors_quality(EK_LABEL_SELF_CONFIDENCE, p, l.classes, l.label[i]),
			             confidence[i], 1e-7);
			assert_close(ek_label_errors_quality(EK_LABEL_NORMALISED_MARGIN, p, l.classes, l.label[i]),
			             margin[i], 1e-7);
		}
		free(l.p);
		free(l.label);
		free(joint);
		free(want);
		free(confidence);
		free(margin);
	}
	cJSON_Delete(golden);
}

/* Each row is judged by a probe that did not see it: a label that no feature tells of is not learned by heart. */
static void cross_validation_does_not_see_the_row(void **state)
{
	const struct ek_softmax_options o = { .epochs = 20, .rate = 16, .seed = 1 };
	float *p[2];
	struct input in;
	double accuracy;
	uint64_t right = 0;

	make_input(&in);
	for (int t = 0; t < 2; t++) {
		ek_threads_set(t == 0 ? 1 : 3);
		assert_ok(ek_alloc(&p[t], (size_t)N * CLASSES, sizeof *p[t]));
		assert_ok(ek_label_errors_cross(p[t], &accuracy, &in.data, 4, &o));
	}
	ek_threads_set(0);
	assert_memory_equal(p[0], p[1], (size_t)N * CLASSES * sizeof *p[0]);
	assert_true(accuracy > 0.55 && accuracy < 0.9);
	/* Of the labels that were changed the probes say the one before. */
	for (uint64_t i = 0; i < N; i += 11)
		right += ek_label_errors_suggest(p[0] + i * CLASSES, CLASSES) == i % CLASSES;
	assert_true(right >= 15); /* of 28: a third would be chance */
	for (uint64_t i = 0; i < N; i++) {
		float sum = 0;

		for (uint32_t c = 0; c < CLASSES; c++)
			sum += p[0][i * CLASSES + c];
		assert_close(sum, 1, 1e-6);
	}
	free(p[0]);
	free(p[1]);
	ek_softmax_data_release(&in.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(scores_equal_numpys),
		                            cmocka_unit_test(scores_do_not_depend_on_threads),
		                            cmocka_unit_test(one_seed_and_a_constant_feature),
		                            cmocka_unit_test(label_errors_equal_cleanlabs),
		                            cmocka_unit_test(cross_validation_does_not_see_the_row) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
