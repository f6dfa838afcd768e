#include "tests/support/support.h"

#include "analysis/cluster/probe.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "tests/analysis/cluster/groups_input.h"

enum { N = 36, VIEWS = 2, STRIDE = 5, K = 4, GROUPS = 3 };

struct data {
	float x[N * VIEWS * STRIDE];
	uint32_t group[N];
	struct ek_probe_rows rows;
};

static void make_data(struct data *d)
{
	for (uint32_t i = 0; i < N; i++)
		d->group[i] = i < 2 ? 2 : i % 3;
	for (size_t i = 0; i < N * VIEWS * STRIDE; i++) {
		d->x[i] = (float)(2 * ek_golden_u(1 + i));
		if (i % STRIDE == d->group[i / (VIEWS * STRIDE)])
			d->x[i] += 0.8F;
	}
	d->rows = (struct ek_probe_rows){ d->x, STRIDE, VIEWS, d->group, NULL, N, GROUPS };
}

/* The gradient ends below 1e-6, and the penalty's curvature is 1, so the parameters are that near to the optimum. */
static void a_fit_equals_scikit_learns(void **state)
{
	cJSON *golden = ek_golden("groups");
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(golden, "probe");
	struct ek_probe probe = { 0 };
	double out[GROUPS], prior[GROUPS], *w, *p, *q, *shares;
	float posterior[N * GROUPS];
	struct data d;
	size_t count;

	make_data(&d);
	w = ek_golden_doubles(want, "w", &count);
	p = ek_golden_doubles(want, "p", &count);
	q = ek_golden_doubles(want, "q", &count);
	shares = ek_golden_doubles(want, "prior", &count);
	assert_ok(ek_probe_fit(&probe, &d.rows, NULL, K, VIEWS, 0.3));
	for (size_t i = 0; i < GROUPS; i++)
		for (size_t j = 0; j < K; j++)
			assert_close(probe.w[i * (K + 1) + j], w[i * (K + 1) + j], 1e-5);
	for (size_t i = 0; i < N; i++) {
		ek_probe_predict(out, &probe, d.x + i * VIEWS * STRIDE);
		for (size_t g = 0; g < GROUPS; g++) {
			assert_close(out[g], p[i * GROUPS + g], 1e-5);
			posterior[i * GROUPS + g] = (float)out[g];
		}
	}
	assert_true(ek_probe_correct(posterior, prior, probe.train, 0, N, GROUPS) > 1);
	for (size_t g = 0; g < GROUPS; g++)
		assert_close(prior[g], shares[g], 1e-4); /* it ends where a round moves less than 1e-8 */
	for (size_t i = 0; i < N * GROUPS; i++)
		assert_close(posterior[i], q[i], 1e-4);
	/* As if so many rows of even shares had been seen besides: no share is below its part of those. */
	for (size_t i = 0; i < N; i++) {
		posterior[i * GROUPS] = 1e-6F;
		for (size_t g = 1; g < GROUPS; g++)
			posterior[i * GROUPS + g] = (1 - 1e-6F) / (GROUPS - 1);
	}
	(void)ek_probe_correct(posterior, prior, probe.train, 0.1, N, GROUPS);
	assert_close(prior[0], 0.1 / 1.1 / GROUPS, 1e-4);
	free(w);
	free(p);
	free(q);
	free(shares);
	ek_probe_release(&probe);
	cJSON_Delete(golden);
}

/* Groups that lie apart are told apart, and the same for any number of threads; noise is not believed. */
static void choosing_is_repeatable_and_noise_is_not_believed(void **state)
{
	struct ek_probe one = { 0 }, three = { 0 };
	struct ek_probe_choice choice, again;
	struct data d;
	double out[GROUPS];

	make_data(&d);
	ek_threads_set(1);
	assert_ok(ek_probe_choose(&one, &choice, &d.rows, 3));
	ek_threads_set(3);
	assert_ok(ek_probe_choose(&three, &again, &d.rows, 3));
	ek_threads_set(0);
	assert_memory_equal(&choice, &again, sizeof choice);
	assert_memory_equal(one.w, three.w, GROUPS * (one.k + 1) * sizeof *one.w);
	assert_int_equal(choice.folds, 5);
	assert_true(choice.accuracy > 0.5 && choice.log_loss < log(3));
	ek_probe_release(&three);
	ek_probe_release(&one);
	for (size_t i = 0; i < N * VIEWS * STRIDE; i++)
		d.x[i] = (float)ek_random_normal(1, 2, i);
	assert_ok(ek_probe_choose(&one, &choice, &d.rows, 3));
	ek_probe_predict(out, &one, d.x);
	assert_true(choice.log_loss > log(3) - 0.1);
	for (size_t g = 0; g < GROUPS; g++)
		assert_true(out[g] < 0.75);
	ek_probe_release(&one);
}

static void few_images_are_learned_from(void **state)
{
	struct ek_probe probe = { 0 };
	struct ek_probe_choice choice;
	struct data d;

	make_data(&d);
	d.rows.images = 3; /* groups 2, 2, 2 */
	assert_fails(ek_probe_choose(&probe, &choice, &d.rows, 0), EK_EDATA, "group 0 has no labelled image");
	ek_probe_release(&probe);
	d.group[0] = 0;
	d.group[1] = 1;
	assert_ok(ek_probe_choose(&probe, &choice, &d.rows, 0));
	assert_int_equal(choice.folds, 0);
	ek_probe_release(&probe);
}

/* Unfolding is that of NumPy; rows that shall have these shares are weighed as SciPy finds by the dual. */
static void shares_are_unfolded(void **state)
{
	cJSON *golden = ek_golden("groups");
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(golden, "shares");
	static const int rounds[] = { 1, 4, 16 };
	double *told, *mean, *q, *raked, *unfolded, share[4];
	float rows[120];
	size_t count;

	told = ek_golden_doubles(want, "told", &count);
	mean = ek_golden_doubles(want, "mean", &count);
	q = ek_golden_doubles(want, "q", &count);
	raked = ek_golden_doubles(want, "raked", &count);
	assert_int_equal(count, 120);
	unfolded = ek_golden_doubles(want, "unfolded", &count);
	for (size_t r = 0; r < 3; r++) {
		ek_probe_unfold(share, told, mean, rounds[r], 4);
		for (size_t g = 0; g < 4; g++)
			assert_close(share[g], unfolded[r * 4 + g], 1e-12);
	}
	for (size_t i = 0; i < 120; i++)
		rows[i] = (float)q[i];
	ek_probe_rake(rows, share, 30, 4); /* of 16 rounds */
	for (size_t i = 0; i < 120; i++)
		assert_close(rows[i], raked[i], 1e-5);
	ek_probe_unfold(share, told, mean, 100000, 4); /* what the mean was made from */
	for (size_t g = 0; g < 4; g++)
		assert_close(share[g], 0.4 - 0.1 * (double)g, 1e-4);
	free(told);
	free(mean);
	free(q);
	free(raked);
	free(unfolded);
	cJSON_Delete(golden);
}

/* Rows that are sure of their groups cannot have other shares; a group that none is told to be has none. */
static void shares_out_of_reach_do_no_harm(void **state)
{
	static const double told[] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
	float rows[] = { 1, 0, 0, 0, 1, 0 };
	double share[3];

	ek_probe_unfold(share, told, (const double[]){ 0.75, 0.25, 0 }, 4, 3);
	assert_close(share[0], 0.75, 1e-12);
	assert_close(share[2], 0, 1e-12);
	ek_probe_rake(rows, share, 2, 3);
	for (size_t i = 0; i < 6; i++)
		assert_close(rows[i], i == 0 || i == 4, 1e-6);
}

/* By the probes that left an image out, without the shares that they learned from. */
static void what_left_out_images_are_told(void **state)
{
	double told[GROUPS * GROUPS], want[GROUPS * GROUPS] = { 0 };
	float x[N * STRIDE], q[N * GROUPS];
	struct ek_probe_choice choice;
	struct ek_probe probe;
	uint64_t ids[N], size[GROUPS] = { 0 };
	struct data d;

	make_data(&d);
	for (uint64_t i = 0; i < N; i++) {
		ids[i] = i;
		memcpy(x + i * STRIDE, d.x + i * VIEWS * STRIDE, STRIDE * sizeof *x);
		size[d.group[i]]++;
	}
	assert_ok(ek_probe_choose(&probe, &choice, &d.rows, 3));
	assert_ok(ek_probe_cross(q, &d.rows, ids, &choice, probe.temperature, x, N, STRIDE, 3));
	for (uint64_t i = 0; i < N; i++) {
		double p[GROUPS], sum = 0;

		for (size_t g = 0; g < GROUPS; g++)
			sum += p[g] = (double)q[i * GROUPS + g] * N / (double)size[g];
		for (size_t g = 0; g < GROUPS; g++)
			want[d.group[i] * GROUPS + g] += p[g] / sum / (double)size[d.group[i]];
	}
	assert_ok(ek_probe_told(told, &d.rows, &probe, &choice, 3));
	for (size_t i = 0; i < GROUPS * GROUPS; i++)
		assert_close(told[i], want[i], 1e-6);
	choice.folds = 0;
	assert_ok(ek_probe_told(told, &d.rows, &probe, &choice, 3));
	for (size_t i = 0; i < GROUPS * GROUPS; i++)
		assert_close(told[i], i % (GROUPS + 1) == 0, 0);
	ek_probe_release(&probe);
}

EK_TEST_MAIN(cmocka_unit_test(a_fit_equals_scikit_learns),
             cmocka_unit_test(choosing_is_repeatable_and_noise_is_not_believed),
             cmocka_unit_test(few_images_are_learned_from), cmocka_unit_test(shares_are_unfolded),
             cmocka_unit_test(shares_out_of_reach_do_no_harm), cmocka_unit_test(what_left_out_images_are_told))
