/* Forgetting of a recorded log of losses, as NumPy has it. */
#include "tests/support/support.h"

#include "rebalance/base/memory.h"
#include "train/score/forgetting.h"

struct log {
	cJSON *golden;
	uint64_t checks, images;
	float *losses;
	double *out;
};

static struct log log_open(void)
{
	struct log l = { .golden = ek_golden("forgetting") };
	size_t count;
	double *losses = ek_golden_doubles(l.golden, "losses", &count);

	l.checks = (uint64_t)cJSON_GetObjectItemCaseSensitive(l.golden, "checks")->valuedouble;
	l.images = (uint64_t)cJSON_GetObjectItemCaseSensitive(l.golden, "images")->valuedouble;
	assert_int_equal(count, l.checks * l.images);
	assert_ok(ek_alloc(&l.losses, count, sizeof *l.losses));
	assert_ok(ek_alloc(&l.out, l.images, sizeof *l.out));
	for (size_t i = 0; i < count; i++)
		l.losses[i] = (float)losses[i];
	free(losses);
	return l;
}

static void log_close(struct log *l)
{
	cJSON_Delete(l->golden);
	free(l->losses);
	free(l->out);
}

static void assert_golden(const struct log *l, const char *name)
{
	size_t count;
	double *want = ek_golden_doubles(l->golden, name, &count);

	assert_int_equal(count, l->images);
	for (size_t i = 0; i < count; i++)
		assert_true(l->out[i] == want[i]);
	free(want);
}

static void equals_numpy(void **unused)
{
	struct log l = log_open();
	double threshold;

	ek_forgetting_rate(l.out, l.losses, l.checks, l.images);
	assert_golden(&l, "rate");
	assert_ok(ek_forgetting_threshold(&threshold, l.losses, l.checks, l.images));
	assert_true(threshold == cJSON_GetObjectItemCaseSensitive(l.golden, "threshold")->valuedouble);
	ek_forgetting_count(l.out, l.losses, l.checks, l.images, threshold);
	assert_golden(&l, "count");
	log_close(&l);
}

static void one_nan_is_one_image(void **unused)
{
	struct log l = log_open();
	double threshold, *whole;

	assert_ok(ek_alloc(&whole, l.images, sizeof *whole));
	ek_forgetting_rate(whole, l.losses, l.checks, l.images);
	l.losses[3 * l.images + 2] = NAN;
	ek_forgetting_rate(l.out, l.losses, l.checks, l.images);
	for (uint64_t i = 0; i < l.images; i++)
		assert_true(i == 2 ? isnan(l.out[i]) : l.out[i] == whole[i]);
	l.losses[(l.checks - 1) * l.images + 3] = NAN;
	assert_ok(ek_forgetting_threshold(&threshold, l.losses, l.checks, l.images));
	ek_forgetting_count(l.out, l.losses, l.checks, l.images, threshold);
	for (uint64_t i = 0; i < l.images; i++)
		assert_true(isnan(l.out[i]) == (i == 2 || i == 3));
	free(whole);
	log_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(equals_numpy), cmocka_unit_test(one_nan_is_one_image) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
