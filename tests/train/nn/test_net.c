/* Every layer of net.h, and blocks of them, against the twin; and the twin against finite differences. */

#include "tests/support/support.h"
#include "tests/train/nn/net_twin.h"
#include "tests/train/nn/reference.h"
#include "train/nn/bf16.h"
#include "train/nn/net_internal.h"

enum { BATCH = NET_TWIN_BATCH };

static enum ek_nn_precision last_precision(void)
{
	return ek_nn_cpu_has_bf16() ? EK_NN_BF16 : EK_NN_F32;
}

static void layers_are_the_twin_in_every_mode(void **state)
{
	for (int i = 0; i < net_case_count; i++) {
		net_twin_run(&net_cases[i], EK_NN_F32, 0);
		if (last_precision() == EK_NN_BF16)
			net_twin_run(&net_cases[i], EK_NN_BF16, 0);
		if (last_precision() == EK_NN_BF16)
			net_twin_run(&net_cases[i], EK_NN_BF16, 1);
	}
}

/* The twin's sum of outputs times given gradients, with inputs and parameters moved by `step` along directions. */
struct probe {
	const struct net_trial *t;
	float *directions[NET_CASE_VALUES], *of_parameters;
};

static double twin_sum(const struct probe *p, double step)
{
	const struct net_trial *t = p->t;
	struct ref_net *r = ref_net_new(t->s.net, t->values);
	double sum = 0;

	r->ids = t->ids;
	r->keys = t->keys;
	r->pixels = t->pixels;
	for (int i = 0; i < t->s.input_count; i++) {
		const int x = t->s.inputs[i];

		ref_net_set(r->values[x], t->inputs[i], BATCH * ek_net_elements(t->s.net, x));
		for (size_t j = 0; j < BATCH * ek_net_elements(t->s.net, x) && t->s.net->values[x].gradient; j++)
			r->values[x][j].v += step * (double)p->directions[i][j];
	}
	for (size_t j = 0; j < t->s.params.size; j++)
		r->parameters[j].v += step * (double)p->of_parameters[j];
	ref_net_forward(r);
	for (int i = 0; i < t->s.output_count; i++)
		for (size_t j = 0; j < BATCH * ek_net_elements(t->s.net, t->s.outputs[i]); j++)
			sum += r->values[t->s.outputs[i]][j].v * (double)t->given[i][j];
	ref_net_free(r);
	return sum;
}

/* The same derivative by the twin's gradients, and the magnitude of its terms. */
static double twin_derivative(const struct probe *p, double *magnitude)
{
	const struct net_trial *t = p->t;
	struct ref_number *g = net_trial_reference(t), *end = g + t->outputs;
	double sum = 0;

	*magnitude = 0;
	for (int i = 0; i < t->s.input_count; i++)
		for (size_t j = 0;
		     j < BATCH * ek_net_elements(t->s.net, t->s.inputs[i]) && t->s.net->values[t->s.inputs[i]].gradient;
		     j++, end++) {
			sum += end->v * (double)p->directions[i][j];
			*magnitude += fabs(end->v * (double)p->directions[i][j]);
		}
	for (size_t j = 0; j < t->s.params.size; j++) {
		sum += (end[j].v - (double)t->start[j]) * (double)p->of_parameters[j];
		*magnitude += fabs(end[j].v * (double)p->of_parameters[j]);
	}
	free(g);
	return sum;
}

static void the_twins_gradients_are_derivatives(void **state)
{
	/* The central difference is off by h² f''' / 6 and by 2^-52 f / h: with h = 2^-16 both are near 1e-10 of the
	 * terms' magnitude, were f''' of the size of f'. Third derivatives of norms and blocks reach some hundreds. */
	const double h = 0x1p-16, tolerance = 1e-7;

	for (int i = 0; i < net_case_count; i++) {
		struct net_trial t;
		struct probe p = { &t, { NULL }, NULL };
		double magnitude, wanted, got;

		if (net_cases[i].flags & NET_CASE_KINKS)
			continue;
		net_trial_new(&t, &net_cases[i], EK_NN_F32, EK_NET_TRAIN, 0, BATCH);
		for (int j = 0; j < t.s.input_count; j++) {
			const size_t count = BATCH * ek_net_elements(t.s.net, t.s.inputs[j]);

			p.directions[j] = ref_poisoned(count);
			ref_fill(p.directions[j], count, (uint64_t)(400 + j));
		}
		p.of_parameters = ref_poisoned(t.s.params.size);
		ref_fill(p.of_parameters, t.s.params.size, 500);
		got = (twin_sum(&p, h) - twin_sum(&p, -h)) / (2 * h);
		wanted = twin_derivative(&p, &magnitude);
		assert_true(fabs(got) > 0);
		if (!(fabs(got - wanted) <= tolerance * magnitude))
			fail_msg("%s: the derivative is %.12g, not %.12g", net_cases[i].name, got, wanted);
		for (int j = 0; j < NET_CASE_VALUES; j++)
			free(p.directions[j]);
		free(p.of_parameters);
		net_trial_free(&t);
	}
}

static void comparing_catches_wrong_numbers(void **state)
{
	const struct ref_number x = { 1, 4, 0 }, y = { 1, 0, 1 };

	assert_true(ref_net_allowed(&x) == 0x1p-22);
	assert_true(ref_net_allowed(&y) == 0x1p-8);
	assert_true(net_twin_compare("", (float[]){ 1 + 0x1p-22F }, &x, 1) > 0.9);
	assert_false(net_twin_is_allowed(1 + 0x1p-21F, &x));
	assert_false(net_twin_is_allowed(NAN, &x));
}

EK_TEST_MAIN(cmocka_unit_test(comparing_catches_wrong_numbers), cmocka_unit_test(the_twins_gradients_are_derivatives),
             cmocka_unit_test(layers_are_the_twin_in_every_mode))
