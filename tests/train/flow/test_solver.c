/* Samplers against the public formulas in float64 on a small model, SciPy's adaptive solver, diffusers' ancestral
 * sampling, and equations with known answers. */
#include "tests/train/flow/golden_sit.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "train/flow/solver.h"
#include "train/nn/net_internal.h"

/* The net as a model, with given noise. */
struct source {
	struct golden_net *net;
	const float *x, *noise; /* [count, elements], [steps, count, elements] */
	int count;
};

static int predict(void *context, const float *x, const float *t, const int32_t *labels, int count, float *out)
{
	const struct source *s = context;
	struct golden_net *g = s->net;
	const size_t n = (size_t)count;
	int rc;

	assert_int_equal(count, ek_net_batch(g->net));
	memcpy(ek_net_data(g->s, g->x), x, n * ek_net_elements(g->net, g->x) * sizeof *x);
	memcpy(ek_net_data(g->s, g->t), t, n * sizeof *t);
	memcpy(ek_net_data(g->s, g->labels), labels, n * sizeof *labels);
	EK_TRY(ek_net_forward(g->s));
	memcpy(out, ek_net_data(g->s, g->out), n * ek_net_elements(g->net, g->out) * sizeof *out);
out:
	return rc;
}

static void given_noise(void *context, int i, int step, double *out)
{
	const struct source *s = context;
	const size_t elements = ek_net_elements(s->net->net, s->net->x);
	const float *from = step == 0 ? s->x : s->noise + (size_t)(step - 1) * (size_t)s->count * elements;

	for (size_t j = 0; j < elements; j++)
		out[j] = (double)from[(size_t)i * elements + j];
}

static double optional(const cJSON *object, const char *name, double otherwise)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

static struct ek_solver_options options_of(const cJSON *c)
{
	static const char *const methods[] = { "euler", "heun", "dopri5", "sde" };
	const cJSON *g = cJSON_GetObjectItemCaseSensitive(c, "guidance");
	const cJSON *rk45 = cJSON_GetObjectItemCaseSensitive(c, "rk45");
	struct ek_solver_options o = { .solver = EK_SOLVER_ANCESTRAL,
		                       .steps = (int)golden_number(c, "steps"),
		                       .norm = 1 };

	o.guidance = (struct ek_guidance){ .scale = optional(g, "scale", 1),
		                           .channels = (int)optional(g, "guided_channels", 0),
		                           .low = optional(g, "low", 0),
		                           .high = optional(g, "high", 1) };
	if (!cJSON_HasObjectItem(c, "method"))
		return o;
	o.solver = EK_SOLVER_EULER;
	while (strcmp(methods[o.solver], golden_text(c, "method")) != 0)
		o.solver++;
	o.path = golden_path(c);
	o.prediction = golden_prediction(c);
	o.t0 = golden_number(c, "t0");
	o.t1 = golden_number(c, "t1");
	o.relative = optional(rk45, "rtol", 0);
	o.absolute = optional(rk45, "atol", 0);
	o.last_step = optional(c, "last_step_size", 0);
	if (o.solver == EK_SOLVER_SDE)
		o.form = strcmp(golden_text(c, "form"), "sigma") == 0 ? EK_SDE_SIGMA : EK_SDE_SBDM;
	return o;
}

static void run_case(const cJSON *models, const cJSON *c)
{
	const struct ek_solver_options o = options_of(c);
	const cJSON *digest = cJSON_GetObjectItemCaseSensitive(c, "result"), *labels, *rk45;
	const int sigma = o.solver == EK_SOLVER_ANCESTRAL;
	double distance, tolerance;
	struct golden_net g;
	struct source s = { .net = &g };
	struct ek_solver_model model = { .context = &s, .predict = predict, .noise = given_noise };
	uint64_t seeds[8] = { 0 }, evaluations;
	int32_t wanted[8];
	float *x, *noise = NULL, *out;
	size_t count;

	labels = cJSON_GetObjectItemCaseSensitive(c, "labels");
	s.count = cJSON_GetArraySize(labels);
	for (int i = 0; i < s.count; i++)
		wanted[i] = cJSON_GetArrayItem(labels, i)->valueint;
	golden_net_make(&g, models, sigma ? "small-sigma" : "small", s.count, EK_NN_F32, EK_NET_FORWARD);
	model.channels = (size_t)g.config.channels;
	model.pixels = (size_t)g.config.side * (size_t)g.config.side;
	model.outputs = (size_t)ek_sit_outputs(&g.config);
	model.no_label = ek_sit_no_label(&g.config);
	if (o.solver == EK_SOLVER_SDE || o.solver == EK_SOLVER_ANCESTRAL)
		noise = ek_digest_input(c, "noise", &count);
	x = ek_digest_input(c, "x", &count);
	s.x = x;
	s.noise = noise;
	assert_ok(ek_alloc(&out, count, sizeof *out));
	assert_ok(ek_solve(&o, &model, s.count, seeds, wanted, out, &evaluations));
	rk45 = cJSON_GetObjectItemCaseSensitive(c, "rk45");
	/*
	 * The adaptive solver ends within its tolerances of the solution; how far that is for this equation SciPy's run
	 * of the same method tells. Ours controls the error of each of the 3 samples, SciPy's that of all together: its
	 * steps may be too long for one sample by the fifth root of sqrt(3), ours not; so at most as far, and as many
	 * evaluations as steps shorter by that factor and the roundings of float32 make, within a half more.
	 */
	tolerance = rk45 != NULL ? golden_number(rk45, "error") : GOLDEN_MARGIN * ek_digest_deviation(digest, "f32");
	distance = ek_digest_distance(digest, out, count, tolerance);
	print_message("solver %d path %d prediction %d guidance %g: %.3g of %.3g, %d evaluations\n", o.solver, o.path,
	              o.prediction, o.guidance.scale, distance, tolerance, (int)evaluations);
	assert_true(distance <= 1);
	if (rk45 != NULL)
		assert_true((double)evaluations <=
		            1.5 * golden_number(rk45, "evaluations") * (o.guidance.scale != 1 ? 2 : 1));
	free(x);
	free(noise);
	free(out);
	golden_net_release(&g);
}

static void samples_equal_the_public_ones(void **state)
{
	cJSON *golden = ek_golden("sit"), *c;
	int count = 0;

	(void)state;
	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(golden, "samples"))
	{
		run_case(golden, c);
		count++;
	}
	assert_int_equal(count, 22);
	cJSON_Delete(golden);
}

static void ancestral_samples_equal_diffusers(void **state)
{
	cJSON *models = ek_golden("sit"), *golden = ek_golden("sit_sampling"), *c;
	int count = 0;

	(void)state;
	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(golden, "ancestral"))
	{
		struct ek_diffusion_step steps[16];

		ek_diffusion_schedule(steps, (int)golden_number(c, "steps"));
		for (int i = 0; i < (int)golden_number(c, "steps"); i++)
			assert_int_equal(steps[i].time,
			                 cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(c, "times"), i)->valueint);
		run_case(models, c);
		count++;
	}
	assert_int_equal(count, 2);
	cJSON_Delete(golden);
	cJSON_Delete(models);
}

/* Data normal with deviation S around M: the exact velocity of the linear path, and what one step of it does, are known
 * (x scaled and shifted), so samples come out with that mean and deviation. */
enum { SAMPLES = 512, ELEMENTS = 8 };
static const double MEAN = 0.6, SPREAD = 0.4;

static int exact(void *context, const float *x, const float *t, const int32_t *labels, int count, float *out)
{
	(void)context;
	for (int i = 0; i < count * ELEMENTS; i++) {
		const double at = (double)t[i / ELEMENTS], mean = MEAN * (labels[i / ELEMENTS] == 0 ? 1 : -1);
		const double variance = at * at * SPREAD * SPREAD + (1 - at) * (1 - at);
		const double slope = (at * SPREAD * SPREAD - (1 - at)) / variance;

		out[i] = (float)(mean + slope * ((double)x[i] - at * mean));
	}
	return 0;
}

/* The same of a diffusion: the noise expected at x, and a variance as of the posterior (-1) or beta (1). */
static int exact_noise(void *context, const float *x, const float *t, const int32_t *labels, int count, float *out)
{
	static struct ek_diffusion_step steps[EK_DIFFUSION_STEPS];

	(void)context;
	ek_diffusion_schedule(steps, EK_DIFFUSION_STEPS);
	for (int i = 0; i < count * ELEMENTS; i++) {
		const double bar = steps[(int)t[i / ELEMENTS]].bar, mean = MEAN * (labels[i / ELEMENTS] == 0 ? 1 : -1);
		const double noise =
			((double)x[i] - sqrt(bar) * mean) * sqrt(1 - bar) / (bar * SPREAD * SPREAD + 1 - bar);

		out[2 * i] = (float)noise;
		out[2 * i + 1] = 1;
	}
	return 0;
}

static void check_normal(const struct ek_solver_options *o, int diffusion, double slack)
{
	const struct ek_solver_model model = { .pixels = ELEMENTS,
		                               .channels = 1,
		                               .outputs = diffusion ? 2 : 1,
		                               .no_label = 2,
		                               .predict = diffusion ? exact_noise : exact };
	const double n = SAMPLES / 2 * ELEMENTS;
	double sum[2] = { 0 }, squares[2] = { 0 };
	uint64_t seeds[SAMPLES];
	int32_t labels[SAMPLES];
	float *out;

	assert_ok(ek_alloc(&out, SAMPLES * ELEMENTS, sizeof *out));
	for (int i = 0; i < SAMPLES; i++) {
		seeds[i] = 1000 + (uint64_t)i;
		labels[i] = i % 2;
	}
	assert_ok(ek_solve(o, &model, SAMPLES, seeds, labels, out, NULL));
	for (int i = 0; i < SAMPLES * ELEMENTS; i++)
		sum[i / ELEMENTS % 2] += (double)out[i] / n;
	for (int i = 0; i < SAMPLES * ELEMENTS; i++)
		squares[i / ELEMENTS % 2] += pow((double)out[i] - sum[i / ELEMENTS % 2], 2) / n;
	for (int k = 0; k < 2; k++) {
		print_message("solver %d, label %d: mean %.4f, deviation %.4f\n", o->solver, k, sum[k],
		              sqrt(squares[k]));
		/* 5 standard errors of n numbers, and the solver's own error. */
		assert_true(fabs(sum[k] - MEAN * (k == 0 ? 1 : -1)) <= 5 * SPREAD / sqrt(n) + slack);
		assert_true(fabs(sqrt(squares[k]) - SPREAD) <= 5 * SPREAD / sqrt(2 * n) + slack);
	}
	free(out);
}

static void samples_of_a_known_flow_have_its_distribution(void **state)
{
	struct ek_solver_options o = { .solver = EK_SOLVER_HEUN, .steps = 50, .norm = 1, .guidance.scale = 1 };

	(void)state;
	check_normal(&o, 0, 0.002); /* (1/50)^2 times a few */
	o.solver = EK_SOLVER_DOPRI5;
	o.relative = o.absolute = 1e-4;
	check_normal(&o, 0, 0.001);
	o.solver = EK_SOLVER_SDE;
	for (o.form = EK_SDE_SIGMA; o.form <= EK_SDE_HUMP; o.form++) {
		o.steps = 1000;
		o.last_step = 0.001;
		if (o.form == EK_SDE_CONSTANT)
			o.norm = 0.2;
		else
			o.norm = 1;
		/* Of order 1 in the step of 0.001; SBDM starts with a drift of 1000. */
		check_normal(&o, 0, 0.02);
	}
	o.solver = EK_SOLVER_ANCESTRAL;
	check_normal(&o, 1, 0.005); /* of order 1 in beta, 0.02 at most */
}

/* Any set of samples, in any order, gives the same ones; the adaptive solver, too. */
static void a_sample_does_not_depend_on_others(void **state)
{
	const struct ek_solver_model model = {
		.pixels = ELEMENTS, .channels = 1, .outputs = 1, .no_label = 2, .predict = exact
	};
	const uint64_t seeds[] = { 5, 77, 3, 9 }, turned[] = { 9, 77 };
	const int32_t labels[] = { 0, 1, 0, 1 }, turned_labels[] = { 1, 1 };
	float all[4 * ELEMENTS], some[2 * ELEMENTS];

	(void)state;
	for (int solver = EK_SOLVER_EULER; solver <= EK_SOLVER_SDE; solver++) {
		const struct ek_solver_options o = { .solver = (enum ek_solver)solver,
			                             .steps = 7,
			                             .relative = 1e-5,
			                             .absolute = 1e-5,
			                             .norm = 1,
			                             .last_step = 0.04,
			                             .guidance = { .scale = 2, .high = 0.5 } };

		assert_ok(ek_solve(&o, &model, 4, seeds, labels, all, NULL));
		assert_ok(ek_solve(&o, &model, 2, turned, turned_labels, some, NULL));
		assert_memory_equal(some, all + 3 * ELEMENTS, ELEMENTS * sizeof *all);
		assert_memory_equal(some + ELEMENTS, all + ELEMENTS, ELEMENTS * sizeof *all);
		assert_memory_not_equal(all, all + 2 * ELEMENTS, ELEMENTS * sizeof *all); /* other seeds */
	}
}

static int broken(void *context, const float *x, const float *t, const int32_t *labels, int count, float *out)
{
	(void)context;
	(void)x;
	(void)labels;
	for (int i = 0; i < count * ELEMENTS; i++)
		out[i] = t[0] > 0.5f ? (float)NAN : 1;
	return 0;
}

static void faults_are_told(void **state)
{
	struct ek_solver_model model = { .pixels = ELEMENTS, .channels = 1, .outputs = 1, .predict = broken };
	struct ek_solver_options o = { .steps = 10, .relative = 1e-3, .absolute = 1e-3, .guidance.scale = 1 };
	const uint64_t seed = 42;
	const int32_t label = 0;
	float out[ELEMENTS];

	(void)state;
	for (o.solver = EK_SOLVER_EULER; o.solver <= EK_SOLVER_DOPRI5; o.solver++)
		assert_fails(ek_solve(&o, &model, 1, &seed, &label, out, NULL), EK_EDATA, "seed 42");
	o = (struct ek_solver_options){ .guidance.scale = 1 };
	assert_fails(ek_solver_check(&o), EK_EUSAGE, "0 sampling steps");
	o.solver = EK_SOLVER_ANCESTRAL;
	o.steps = 1001;
	assert_fails(ek_solver_check(&o), EK_EUSAGE, "2 to 1000");
	o = (struct ek_solver_options){ .steps = 5, .t0 = 0.6, .t1 = 0.5, .guidance.scale = 1 };
	assert_fails(ek_solver_check(&o), EK_EUSAGE, "from t 0.6 to 0.5");
	o = (struct ek_solver_options){ .steps = 5, .guidance.scale = (double)INFINITY };
	assert_fails(ek_solver_check(&o), EK_EUSAGE, "guidance");
	o = (struct ek_solver_options){ .solver = EK_SOLVER_DOPRI5, .relative = 1e-3, .guidance.scale = 1 };
	assert_fails(ek_solver_check(&o), EK_EUSAGE, "tolerances");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_equal_the_public_ones),
		cmocka_unit_test(ancestral_samples_equal_diffusers),
		cmocka_unit_test(samples_of_a_known_flow_have_its_distribution),
		cmocka_unit_test(a_sample_does_not_depend_on_others),
		cmocka_unit_test(faults_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
