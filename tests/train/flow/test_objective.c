/* Paths, predictions, losses and their gradients against the formulas of the public SiT and DiT code in float64; what
 * is random. */
#include "tests/train/flow/golden_sit.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "tests/train/nn/on_device.h"
#include "train/nn/net_internal.h"

/* Sums and products of terms of one sign, a few dozen operations: each rounding is 2^-53 of the result. */
static const double FORMULA = 64 * 0x1p-53;

static void compare(const cJSON *golden, const char *name, int i, double got)
{
	const double want = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(golden, name), i)->valuedouble;

	if (!(fabs(got - want) <= FORMULA * fabs(want)))
		fail_msg("%s %s[%d] is %.17g, expected %.17g", golden->string, name, i, got, want);
}

static void paths_are_the_public_ones(void **state)
{
	static const char *const names[] = { "linear", "gvp", "vp" };
	cJSON *golden = ek_golden("sit");
	const cJSON *paths = cJSON_GetObjectItemCaseSensitive(golden, "paths");
	const cJSON *times = cJSON_GetObjectItemCaseSensitive(paths, "t");
	int checked = 0;

	(void)state;
	for (int path = 0; path < 3; path++)
		for (int i = 0; i < cJSON_GetArraySize(times); i++) {
			const cJSON *c = cJSON_GetObjectItemCaseSensitive(paths, names[path]);
			const struct ek_path_point p =
				ek_path_at((enum ek_path)path, cJSON_GetArrayItem(times, i)->valuedouble);
			const struct ek_path_linear score = ek_path_score(&p, EK_PREDICT_VELOCITY);

			compare(c, "alpha", i, p.alpha);
			compare(c, "d_alpha", i, p.d_alpha);
			compare(c, "sigma", i, p.sigma);
			compare(c, "d_sigma", i, p.d_sigma);
			compare(c, "ratio", i, p.ratio);
			compare(c, "variance", i, p.variance);
			compare(c, "score_v", i, score.m);
			compare(c, "score_x", i, score.x);
			compare(c, "noise_v", i, -p.sigma * score.m);
			compare(c, "noise_x", i, -p.sigma * score.x);
			checked++;
		}
	assert_int_equal(checked, 30);
	cJSON_Delete(golden);
}

/* From the exact velocity, noise or score of one x1 and x0, the velocity and the score. */
static void predictions_agree(void **state)
{
	const double x1 = 0.7, x0 = -1.3;

	(void)state;
	for (int path = 0; path < 3; path++)
		for (double t = 0.05; t < 0.99; t += 0.1) {
			const struct ek_path_point p = ek_path_at((enum ek_path)path, t);
			const double x = p.alpha * x1 + p.sigma * x0, v = p.d_alpha * x1 + p.d_sigma * x0;
			const double exact[] = { v, x0, -x0 / p.sigma, x1 };

			for (int i = 0; i < 4; i++) {
				const struct ek_path_linear to_v = ek_path_velocity(&p, (enum ek_prediction)i);
				const struct ek_path_linear to_s = ek_path_score(&p, (enum ek_prediction)i);
				/* Two terms that may cancel: a rounding of the larger. */
				const double size_v = fabs(to_v.m * exact[i]) + fabs(to_v.x * x);
				const double size_s = fabs(to_s.m * exact[i]) + fabs(to_s.x * x);

				assert_true(fabs(to_v.m * exact[i] + to_v.x * x - v) <= FORMULA * size_v);
				assert_true(fabs(to_s.m * exact[i] + to_s.x * x - exact[2]) <= FORMULA * size_s);
			}
		}
}

static void run_case(const cJSON *golden, const cJSON *c, struct ek_objective *o, const double *t)
{
	const int diffusion = o->kind == EK_OBJECTIVE_DIFFUSION;
	double loss, least, parts[16];
	float losses[8], part[8];
	struct golden_batch b;
	struct golden_net g;
	size_t count;

	print_message("%s\n", golden_text(c, "name"));
	golden_batch_make(&b, c);
	golden_net_make(&g, golden, golden_text(c, "model"), b.count, EK_NN_F32, EK_NET_TRAIN);
	assert_ok(ek_objective_init(o));
	loss = golden_loss(&g, &b, o, t, losses, parts);
	count = (size_t)b.count * ek_net_elements(g.net, g.out);
	least = ek_digest_deviation(cJSON_GetObjectItemCaseSensitive(c, "output"), "f32");
	golden_check_value(c, "x_t", g.s, g.x, "f32", 0x1p-24);
	golden_check_value(c, "output", g.s, g.out, "f32", 0);
	golden_check(c, "d_output", g.d_out, count, "f32", least);
	golden_check(c, "per_image", losses, (size_t)b.count, "f32", least);
	for (int i = 0; diffusion && i < 2; i++) {
		for (int j = 0; j < b.count; j++)
			part[j] = (float)parts[2 * j + i];
		golden_check(c, i == 0 ? "mse" : "bound", part, (size_t)b.count, "f32", least);
	}
	assert_close(loss / golden_number(cJSON_GetObjectItemCaseSensitive(c, "loss"), "value"), 1,
	             GOLDEN_MARGIN * fmax(least, golden_number(cJSON_GetObjectItemCaseSensitive(c, "loss"), "f32")));
	assert_ok(ek_net_backward(g.s, g.store, 0));
	assert_true(golden_check_gradients(c, &g.params, g.store, "f32", least) >= (diffusion ? 31 : 3));
	golden_net_release(&g);
	golden_batch_release(&b);
}

static void losses_are_the_public_ones(void **state)
{
	static const char *const weights[] = { "none", "velocity", "likelihood" };
	cJSON *golden = ek_golden("sit"), *c;
	struct ek_objective *o;
	int count = 0;

	(void)state;
	assert_ok(ek_alloc(&o, 1, sizeof *o));
	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(golden, "losses"))
	{
		float *t;
		double times[8];
		size_t size;

		if (count++ < 3) /* those with all gradients are test_sit.c's */
			continue;
		*o = (struct ek_objective){ .path = golden_path(c), .prediction = golden_prediction(c) };
		while (strcmp(weights[o->weighting], golden_text(c, "weight")) != 0)
			o->weighting++;
		t = ek_digest_input(c, "t", &size);
		for (size_t i = 0; i < size; i++)
			times[i] = (double)t[i];
		run_case(golden, c, o, times);
		free(t);
	}
	assert_int_equal(count, 3 + 20);
	free(o);
	cJSON_Delete(golden);
}

/* Loss and gradient of a prediction of one image [1, 1, count]. */
static double loss_of(const struct ek_objective *o, double t, const float *prediction, const float *data,
                      const float *noise, int count, float *gradient)
{
	const float weight = 1;
	struct objective_net n;
	float loss;

	objective_net_make(&n, o, (struct ek_net_shape){ 1, 1, count }, count, 1);
	memcpy(ek_net_data(n.s, n.prediction), prediction, (size_t)count * sizeof *prediction);
	objective_net_run(&n, o, data, noise, &t);
	ek_net_read(n.s, n.loss, &loss);
	ek_net_write_gradient(n.s, n.loss, &weight);
	assert_ok(ek_net_backward(n.s, NULL, 0));
	ek_net_read_gradient(n.s, n.prediction, gradient);
	objective_net_release(&n);
	return (double)loss;
}

/* Data has no public counterpart: a prediction d of it is one of the noise, e = (x_t - alpha d) / sigma, and weighted
 * losses of the two are the same. Each loss is a sum of terms of one sign; e itself is rounded to float32. */
static void the_loss_of_data_is_that_of_the_noise_it_amounts_to(void **state)
{
	enum { COUNT = 12 };
	float x1[COUNT], noise[COUNT], data[COUNT], other[COUNT], gradient[2][COUNT];
	struct ek_objective *o;

	(void)state;
	assert_ok(ek_alloc(&o, 1, sizeof *o));
	for (int i = 0; i < COUNT; i++) {
		x1[i] = (float)ek_random_normal(1, 1, (uint64_t)i);
		noise[i] = (float)ek_random_normal(1, 2, (uint64_t)i);
		data[i] = (float)ek_random_normal(1, 3, (uint64_t)i);
	}
	for (int path = 0; path < 3; path++)
		for (double t = 0.15; t < 0.9; t += 0.2) {
			const struct ek_path_point p = ek_path_at((enum ek_path)path, t);
			double plain = 0;

			for (int i = 0; i < COUNT; i++) {
				const double x = p.alpha * (double)x1[i] + p.sigma * (double)noise[i];

				other[i] = (float)((x - p.alpha * (double)data[i]) / p.sigma);
				plain += ((double)data[i] - (double)x1[i]) * ((double)data[i] - (double)x1[i]) / COUNT;
			}
			for (int weighting = 0; weighting < 3; weighting++) {
				double losses[2];

				for (int i = 0; i < 2; i++) {
					*o = (struct ek_objective){ .path = (enum ek_path)path,
						                    .prediction =
						                            i == 0 ? EK_PREDICT_DATA : EK_PREDICT_NOISE,
						                    .weighting = (enum ek_weighting)weighting };
					assert_ok(ek_objective_init(o));
					losses[i] = loss_of(o, t, i == 0 ? data : other, x1, noise, COUNT, gradient[i]);
				}
				if (weighting == EK_WEIGHT_NONE) {
					/* The loss is float32. */
					assert_close(losses[0] / plain, 1, 0x1p-24);
					continue;
				}
				assert_close(losses[0] / losses[1], 1, 0x1p-20);
				/* de/dd = -alpha / sigma */
				for (int i = 0; i < COUNT; i++)
					assert_close((double)gradient[0][i] * p.sigma / p.alpha /
					                     (double)gradient[1][i],
					             -1, 0x1p-16);
			}
		}
	free(o);
}

static void the_diffusion_objective_is_the_public_one(void **state)
{
	cJSON *golden = ek_golden("sit");
	const cJSON *c = cJSON_GetObjectItemCaseSensitive(golden, "diffusion");
	const cJSON *times = cJSON_GetObjectItemCaseSensitive(c, "times");
	struct ek_objective *o;
	double t[8];

	(void)state;
	assert_ok(ek_alloc(&o, 1, sizeof *o));
	o->kind = EK_OBJECTIVE_DIFFUSION;
	for (int i = 0; i < cJSON_GetArraySize(times); i++)
		t[i] = cJSON_GetArrayItem(times, i)->valuedouble;
	run_case(golden, c, o, t);
	free(o);
	cJSON_Delete(golden);
}

/* Fewer steps: the noise at each is that of the whole schedule at its time, and the betas multiply up to it. */
static void schedules_keep_the_noise_of_their_times(void **state)
{
	static const int counts[] = { 2, 10, 250, 999, 1000 };
	static struct ek_diffusion_step whole[EK_DIFFUSION_STEPS], steps[EK_DIFFUSION_STEPS];

	(void)state;
	ek_diffusion_schedule(whole, EK_DIFFUSION_STEPS);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		double bar = 1;

		ek_diffusion_schedule(steps, counts[i]);
		assert_int_equal(steps[0].time, 0);
		assert_int_equal(steps[counts[i] - 1].time, EK_DIFFUSION_STEPS - 1);
		for (int j = 0; j < counts[i]; j++) {
			assert_true(j == 0 || steps[j].time > steps[j - 1].time);
			assert_true(steps[j].bar == whole[steps[j].time].bar);
			/* 1000 products, and betas of 1e-4 worked out from numbers near 1 */
			bar *= 1 - exp(steps[j].log_beta);
			assert_close(bar / steps[j].bar, 1, 1e-11);
		}
	}
	assert_int_equal(whole[999].time, 999);
	assert_close(exp(whole[999].log_beta), 0.02, 1e-12);
	assert_close(exp(whole[0].log_beta), 1e-4, 1e-12);
}

enum { DRAWS = 20000 };

static void check_moments(const double *x, double mean, double variance)
{
	double sum = 0, squares = 0;

	for (int i = 0; i < DRAWS; i++)
		sum += x[i] / DRAWS;
	for (int i = 0; i < DRAWS; i++)
		squares += (x[i] - mean) * (x[i] - mean) / DRAWS;
	/* 5 standard errors; the fourth moment of these is below 3 variance^2. */
	assert_true(fabs(sum - mean) <= 5 * sqrt(variance / DRAWS));
	assert_true(fabs(squares - variance) <= 5 * sqrt(2.0 / DRAWS) * variance);
}

/* noise: [images, count], out: that of positions 0 … */
static void noise_of(float *noise, int images, int count, uint64_t seed)
{
	struct ek_params none = { 0 };
	struct ek_net *net;
	struct ek_net_state *s;
	int keys, x;

	assert_ok(ek_net_new(&net, &none, EK_NN_F32, images));
	keys = ek_net_input_keys(net);
	assert_ok(ek_net_output(net, x = ek_net_noise(net, keys, (struct ek_net_shape){ 1, 1, count })));
	assert_ok(ek_net_finish(net, EK_NET_FORWARD));
	assert_ok(ek_net_state_new(&s, net));
	for (int i = 0; i < images; i++)
		((struct ek_net_key *)ek_net_data(s, keys))[i] = ek_objective_key(seed, (uint64_t)i);
	assert_ok(ek_net_forward(s));
	ek_net_read(s, x, noise);
	ek_net_state_free(s);
	ek_net_free(net);
}

static void times_noise_and_drops_have_their_distributions(void **state)
{
	struct ek_objective *o;
	double *x;
	float *noise;
	int drops = 0;

	(void)state;
	assert_ok(ek_alloc(&o, 1, sizeof *o));
	assert_ok(ek_alloc(&x, DRAWS, sizeof *x));
	assert_ok(ek_alloc(&noise, DRAWS, sizeof *noise));
	assert_ok(ek_objective_init(o));
	for (int i = 0; i < DRAWS; i++)
		x[i] = ek_objective_time(o, 1, (uint64_t)i);
	check_moments(x, 0.5, 1.0 / 12);
	*o = (struct ek_objective){ .times = EK_TIMES_LOGIT_NORMAL, .times_mean = 0.5, .times_deviation = 0.8 };
	assert_ok(ek_objective_init(o));
	for (int i = 0; i < DRAWS; i++) {
		const double t = ek_objective_time(o, 1, (uint64_t)i);

		x[i] = log(t / (1 - t));
	}
	check_moments(x, 0.5, 0.64);
	o->kind = EK_OBJECTIVE_DIFFUSION;
	for (int i = 0; i < DRAWS; i++) {
		x[i] = ek_objective_time(o, 1, (uint64_t)i);
		assert_true(x[i] == floor(x[i]) && x[i] >= 0 && x[i] < EK_DIFFUSION_STEPS);
	}
	check_moments(x, 499.5, (1e6 - 1) / 12);
	noise_of(noise, DRAWS / 10, 10, 2);
	for (int i = 0; i < DRAWS; i++)
		x[i] = (double)noise[i];
	check_moments(x, 0, 1);
	assert_true(noise[0] != noise[10]);
	for (int i = 0; i < DRAWS; i++)
		drops += ek_objective_drops(0.1, 3, (uint64_t)i);
	assert_true(fabs(drops - 0.1 * DRAWS) <= 5 * sqrt(0.09 * DRAWS));
	assert_false(ek_objective_drops(0, 3, 1));
	assert_true(ek_objective_drops(1, 3, 1));
	*o = (struct ek_objective){ .times = EK_TIMES_LOGIT_NORMAL };
	assert_fails(ek_objective_init(o), EK_EUSAGE, "deviation");
	free(o);
	free(x);
	free(noise);
}

int main(int argc, char **argv)
{
	const int left = on_device(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_the_public_ones),
		cmocka_unit_test(predictions_agree),
		cmocka_unit_test(losses_are_the_public_ones),
		cmocka_unit_test(the_loss_of_data_is_that_of_the_noise_it_amounts_to),
		cmocka_unit_test(the_diffusion_objective_is_the_public_one),
		cmocka_unit_test(schedules_keep_the_noise_of_their_times),
		cmocka_unit_test(times_noise_and_drops_have_their_distributions),
	};

	return left != 0 ? left : cmocka_run_group_tests(tests, NULL, NULL);
}
