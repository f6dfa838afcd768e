#include "tests/train/nn/net_twin.h"

#include "tests/support/support.h"
#include "tests/train/nn/reference.h"
#include "train/nn/net_internal.h"

int net_twin_is_allowed(float got, const struct ref_number *want)
{
	return fabs((double)got - want->v) <= ref_net_allowed(want);
}

double net_twin_compare(const char *name, const float *got, const struct ref_number *want, size_t count)
{
	double most = 0;

	for (size_t i = 0; i < count; i++) {
		const double allowed = ref_net_allowed(&want[i]), error = fabs((double)got[i] - want[i].v);

		if (!net_twin_is_allowed(got[i], &want[i]))
			fail_msg("%s: result %zu of %zu is %.9g, not %.9g (allowed %g)", name, i, count, (double)got[i],
			         want[i].v, allowed);
		if (allowed > 0)
			most = fmax(most, error / allowed);
	}
	return most;
}

/*
 * Blocks: bounds for the worst case multiply from layer to layer beyond any use, errors in practice do not. On the way
 * forward and back a gradient passes up to sixty layers, each of which adds roundings of its own and passes earlier
 * ones on about as they are. In float32 that is 2^8 units at 4 a layer if all have the same sign; in bf16, with one
 * rounding a layer and signs at random, sqrt(60), and 2^4 units with a factor of 2.
 */
static void compare_norms(const char *name, const float *got, const struct ref_number *want, size_t count, double most)
{
	double error = 0, norm = 0;

	for (size_t i = 0; i < count; i++) {
		error += ((double)got[i] - want[i].v) * ((double)got[i] - want[i].v);
		norm += want[i].v * want[i].v;
	}
	if (!(error <= most * most * norm))
		fail_msg("%s: results are off by %g of their norm (allowed %g)", name, sqrt(error / norm), most);
}

static void compare_all(const struct net_trial *t, const struct net_case *c, const float *got,
                        const struct ref_number *want, int bf16)
{
	print_message("%s, %s: %.2g of what is allowed\n", c->name, bf16 ? "bf16" : "float32",
	              net_twin_compare(c->name, got, want, t->count));
	if (c->flags & NET_CASE_COMPOSED) {
		const double most = bf16 ? 0x1p4 * 0x1p-8 : 0x1p8 * 0x1p-24;
		const size_t rest = t->count - t->s.params.size;

		compare_norms(c->name, got, want, t->outputs, most);
		compare_norms(c->name, got + t->outputs, want + t->outputs, rest - t->outputs, most);
		for (int i = 0; i < t->s.params.count; i++)
			compare_norms(c->name, got + rest + t->s.params.items[i].offset,
			              want + rest + t->s.params.items[i].offset, t->s.params.items[i].count, most);
	}
}

/* Forward alone, where layers are joined and so round less often than the twin allows for. */
static void run_forward(const struct net_case *c, enum ek_nn_precision precision, int low,
                        const struct ref_number *want)
{
	struct net_trial t;
	struct ek_net_state *s;
	float *got;

	net_trial_new(&t, c, precision, EK_NET_FORWARD, low, NET_TWIN_BATCH);
	assert_ok(ek_net_state_new(&s, t.s.net));
	got = ref_poisoned(t.count);
	net_trial_run(&t, s, got);
	(void)net_twin_compare(c->name, got, want, t.outputs);
	if (c->flags & NET_CASE_COMPOSED)
		compare_norms(c->name, got, want, t.outputs,
		              precision == EK_NN_BF16 ? 0x1p4 * 0x1p-8 : 0x1p8 * 0x1p-24);
	free(got);
	ek_net_state_free(s);
	net_trial_free(&t);
}

void net_twin_run(const struct net_case *c, enum ek_nn_precision precision, int low)
{
	struct ref_number *want = NULL;
	float *first = NULL;

	for (enum ek_net_mode mode = EK_NET_TRAIN; mode <= EK_NET_RECOMPUTE; mode++) {
		struct net_trial t;
		struct ek_net_state *s;
		float *got, *again;

		net_trial_new(&t, c, precision, mode, low, NET_TWIN_BATCH);
		assert_ok(ek_net_state_new(&s, t.s.net));
		got = ref_poisoned(t.count);
		net_trial_run(&t, s, got);
		assert_true(ref_is_whole(got, t.count));
		again = ref_poisoned(t.count);
		net_trial_run(&t, s, again);
		assert_memory_equal(again, got, t.count * sizeof *got);
		free(again);
		if (first == NULL) {
			want = net_trial_reference(&t);
			compare_all(&t, c, got, want, precision == EK_NN_BF16);
			first = got;
		} else {
			assert_memory_equal(got, first, t.count * sizeof *got);
			free(got);
		}
		ek_net_state_free(s);
		net_trial_free(&t);
	}
	run_forward(c, precision, low, want);
	free(first);
	free(want);
}
