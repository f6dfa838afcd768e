/* What holds for whole networks that learn, whatever their layers: memory, threads, slices, errors. */

#include "rebalance/base/threads.h"
#include "tests/support/support.h"
#include "tests/train/nn/net_trial.h"
#include "tests/train/nn/reference.h"
#include "train/nn/bf16.h"
#include "train/nn/net_internal.h"

static const struct net_case *case_of(const char *name)
{
	for (int i = 0; i < net_case_count; i++)
		if (strcmp(net_cases[i].name, name) == 0)
			return &net_cases[i];
	fail_msg("no case %s", name);
	return NULL;
}

static const char *const blocks[] = { "transformer", "autoencoder" };

static void recomputing_takes_less_memory(void **state)
{
	for (int i = 0; i < 2; i++) {
		size_t bytes[3];

		for (enum ek_net_mode mode = EK_NET_FORWARD; mode <= EK_NET_RECOMPUTE; mode++) {
			struct net_trial t;

			net_trial_new(&t, case_of(blocks[i]), EK_NN_AUTO, mode, 0, 8);
			bytes[mode] = ek_net_state_bytes(t.s.net);
			net_trial_free(&t);
		}
		assert_true(bytes[EK_NET_FORWARD] < bytes[EK_NET_RECOMPUTE]);
		assert_true(bytes[EK_NET_RECOMPUTE] < bytes[EK_NET_TRAIN]);
	}
}

/* A product, what is added to it and the activation behind are one layer where only forward is wanted; and the result
 * lies where what was added lay, unless that is needed later. */
static void products_take_in_what_follows(void **state)
{
	static const struct {
		const char *name;
		int layers[2], shared;
	} wanted[] = { { "joined", { 5, 2 }, 1 },
		       { "joined, needed later", { 5, 2 }, 0 },
		       { "joined, an output", { 5, 4 }, 0 } };

	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		for (int train = 0; train < 2; train++) {
			struct net_trial t;
			int shared = 0;

			net_trial_new(&t, case_of(wanted[i].name), EK_NN_F32, train ? EK_NET_TRAIN : EK_NET_FORWARD, 0,
			              2);
			assert_int_equal(t.s.net->op_count, wanted[i].layers[!train]);
			for (int v = 1; v < t.s.net->value_count; v++)
				shared += t.s.net->values[v].shares > 0;
			assert_int_equal(shared, train ? 0 : wanted[i].shared);
			net_trial_free(&t);
		}
}

/* Slices of one net on several threads, each with a state and gradients of its own. */
enum { SLICES = 12 };

struct slices {
	struct net_trial *t;
	struct ek_net_state *states[SLICES]; /* of workers */
	float *results[SLICES];
};

static int run_slice(void *context, uint64_t i, int worker)
{
	struct slices *s = context;
	struct net_trial own = *s->t;

	own.gradients = ref_poisoned(own.s.params.size);
	assert_ok(ek_store_new(&own.store, &own.s.params));
	net_trial_run(&own, s->states[worker], s->results[i]);
	ek_store_free(own.store);
	free(own.gradients);
	return 0;
}

static void a_slice_is_the_same_bytes_whatever_runs_beside_it(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct net_trial t;
		struct slices s = { .t = &t };

		net_trial_new(&t, case_of(blocks[i]), EK_NN_AUTO, EK_NET_RECOMPUTE, 0, 3);
		for (int j = 0; j < SLICES; j++) {
			assert_ok(ek_net_state_new(&s.states[j], t.s.net));
			s.results[j] = ref_poisoned(t.count);
		}
		for (int threads = 1; threads <= 5; threads += 2) {
			ek_threads_set(threads);
			assert_ok(ek_parallel(SLICES, run_slice, &s));
			ek_threads_set(0);
			for (int j = 1; j < SLICES; j++)
				assert_memory_equal(s.results[0], s.results[j], t.count * sizeof(float));
		}
		for (int j = 0; j < SLICES; j++) {
			ek_net_state_free(s.states[j]);
			free(s.results[j]);
		}
		net_trial_free(&t);
	}
}

/* Each slice with other gradients of its outputs, so that the order of the sum shows. */
static int learn_slice(void *context, uint64_t i, int worker)
{
	struct slices *s = context;
	const struct net_trial *t = s->t;
	struct ek_net_state *state = s->states[worker];

	net_trial_fill(t, state);
	assert_ok(ek_net_forward(state));
	for (int j = 0; j < t->s.output_count; j++) {
		const size_t n = (size_t)t->batch * ek_net_elements(t->s.net, t->s.outputs[j]);
		float *given = ref_poisoned(n);

		ref_fill(given, n, 400 + i);
		ek_net_write_gradient(state, t->s.outputs[j], given);
		free(given);
	}
	return ek_net_backward(state, t->store, i);
}

static void gradients_add_up_in_order_whatever_the_threads(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct net_trial t;
		struct slices s = { .t = &t };
		float *one, *other;

		net_trial_new(&t, case_of(blocks[i]), EK_NN_AUTO, EK_NET_RECOMPUTE, 0, 3);
		one = ref_poisoned(t.s.params.size);
		other = ref_poisoned(t.s.params.size);
		for (int j = 0; j < SLICES; j++)
			assert_ok(ek_net_state_new(&s.states[j], t.s.net));
		for (int threads = 1; threads <= 5; threads += 2) {
			ek_threads_set(threads);
			ek_store_clear_gradients(t.store);
			assert_ok(ek_parallel(SLICES, learn_slice, &s));
			ek_threads_set(0);
			ek_store_read(t.store, EK_GRADIENTS, 0, t.s.params.size, threads == 1 ? one : other);
			if (threads > 1)
				assert_memory_equal(one, other, t.s.params.size * sizeof *one);
		}
		for (int j = 0; j < SLICES; j++)
			ek_net_state_free(s.states[j]);
		free(one);
		free(other);
		net_trial_free(&t);
	}
}

/* Runs images first … first + batch - 1 of the large trial in the small one, adding to its gradients. */
static void run_part(struct net_trial *small, const struct net_trial *large, int first)
{
	struct ek_net_state *s;

	for (int i = 0; i < small->s.input_count; i++) {
		const size_t n = ek_net_elements(small->s.net, small->s.inputs[i]);

		memcpy(small->inputs[i], large->inputs[i] + (size_t)first * n,
		       (size_t)small->batch * n * sizeof(float));
	}
	memcpy(small->ids, large->ids + first, (size_t)small->batch * sizeof *small->ids);
	assert_ok(ek_net_state_new(&s, small->s.net));
	net_trial_fill(small, s);
	assert_ok(ek_net_forward(s));
	for (int i = 0; i < small->s.output_count; i++)
		ek_net_write_gradient(s, small->s.outputs[i],
		                      large->given[i] +
		                              (size_t)first * ek_net_elements(small->s.net, small->s.outputs[i]));
	assert_ok(ek_net_backward(s, small->store, (uint64_t)(first / small->batch)));
	ek_net_state_free(s);
}

static void gradients_add_up_over_slices(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct net_trial whole, part;
		double error = 0, norm = 0;

		net_trial_new(&whole, case_of(blocks[i]), EK_NN_F32, EK_NET_TRAIN, 0, 8);
		net_trial_new(&part, case_of(blocks[i]), EK_NN_F32, EK_NET_TRAIN, 0, 4);
		run_part(&whole, &whole, 0);
		run_part(&part, &whole, 0);
		run_part(&part, &whole, 4);
		ek_store_read(whole.store, EK_GRADIENTS, 0, whole.s.params.size, whole.gradients);
		ek_store_read(part.store, EK_GRADIENTS, 0, whole.s.params.size, part.gradients);
		for (size_t j = 0; j < whole.s.params.size; j++) {
			const double w = (double)whole.gradients[j], d = (double)part.gradients[j] - w;

			error += d * d;
			norm += w * w;
		}
		/* Each image's own gradient is computed alike; only sums over images, of 8 · 64 rows at most, are in
		 * another order: 2^9 roundings. */
		assert_true(norm > 0);
		assert_true(sqrt(error / norm) <= 0x1p9 * 0x1p-24);
		net_trial_free(&whole);
		net_trial_free(&part);
	}
}

static void gradients_of_parameters_can_be_left_out(void **state)
{
	struct net_trial t;
	struct ek_net_state *s;
	float *got, *again;
	size_t n;

	net_trial_new(&t, case_of("autoencoder"), EK_NN_AUTO, EK_NET_TRAIN, 0, 2);
	assert_ok(ek_net_state_new(&s, t.s.net));
	n = 2 * ek_net_elements(t.s.net, t.s.inputs[0]);
	got = ref_poisoned(t.count);
	again = ref_poisoned(n);
	net_trial_run(&t, s, got);
	net_trial_fill(&t, s);
	assert_ok(ek_net_forward(s));
	for (int i = 0; i < t.s.output_count; i++)
		ek_net_write_gradient(s, t.s.outputs[i], t.given[i]);
	assert_ok(ek_net_backward(s, NULL, 0));
	ek_net_read_gradient(s, t.s.inputs[0], again);
	assert_memory_equal(again, got + t.outputs, n * sizeof *again);
	free(got);
	free(again);
	ek_net_state_free(s);
	net_trial_free(&t);
}

static void frozen_parameters_get_no_gradient(void **state)
{
	struct net_trial t = { 0 };
	struct ek_net_state *s;
	float *got;

	net_subject_new(&t.s, case_of("autoencoder"), EK_NN_AUTO, 0, 2);
	for (int i = 0; i < t.s.params.count; i += 2)
		t.s.params.items[i].frozen = 1;
	net_trial_start(&t, EK_NET_TRAIN, 2);
	assert_ok(ek_net_state_new(&s, t.s.net));
	got = ref_poisoned(t.count);
	net_trial_run(&t, s, got);
	for (int i = 0; i < t.s.params.count; i++) {
		const struct ek_param *p = &t.s.params.items[i];

		assert_int_equal(memcmp(t.start + p->offset, t.gradients + p->offset, p->count * sizeof(float)) == 0,
		                 i % 2 == 0);
	}
	free(got);
	ek_net_state_free(s);
	net_trial_free(&t);
}

/* One layer with the net's own parameters as constants, one with those of another table, and one that learns. */
static void constants_get_no_gradient_and_pass_it_on(void **state)
{
	const float own[2] = { 3, 5 }, other[2] = { 7, 11 };
	struct ek_params params = { 0 }, constants = { 0 };
	const int64_t dims[2] = { 1, 2 };
	const struct ek_net_linear layer = { 0, -1, 1, 1, 0 };
	struct ek_store *store;
	struct ek_net_state *s;
	struct ek_net *net;
	int x[3], y[3];
	float gradients[2];

	assert_ok(ek_params_add(&params, "w", 2, dims, (struct ek_init){ 0 }));
	assert_ok(ek_params_add(&constants, "w", 2, dims, (struct ek_init){ 0 }));
	assert_ok(ek_net_new(&net, &params, EK_NN_F32, 1));
	for (int i = 0; i < 3; i++) {
		assert_ok(ek_net_constants(net, i == 0 ? &params : i == 1 ? &constants : NULL, i == 1 ? other : NULL));
		x[i] = ek_net_input_with_gradient(net, (struct ek_net_shape){ 1, 1, 2 });
		assert_ok(ek_net_output(net, y[i] = ek_net_linear(net, x[i], &layer)));
	}
	assert_ok(ek_net_finish(net, EK_NET_TRAIN));
	assert_ok(ek_store_new(&store, &params));
	ek_store_write(store, EK_VALUES, 0, 2, own);
	assert_ok(ek_net_load_from(net, store, EK_VALUES));
	assert_ok(ek_net_state_new(&s, net));
	for (int i = 0; i < 3; i++)
		memcpy(ek_net_data(s, x[i]), (const float[]){ 1, 10 }, 2 * sizeof(float));
	assert_ok(ek_net_forward(s));
	for (int i = 0; i < 3; i++) {
		const float *w = i == 1 ? other : own;

		assert_true(*(float *)ek_net_data(s, y[i]) == w[0] + 10 * w[1]);
		*(float *)ek_net_gradient(s, y[i]) = (float)(2 << i);
	}
	assert_ok(ek_net_backward(s, store, 0));
	for (int i = 0; i < 3; i++) {
		const float *w = i == 1 ? other : own, *d = ek_net_gradient(s, x[i]);

		assert_true(d[0] == (float)(2 << i) * w[0] && d[1] == (float)(2 << i) * w[1]);
	}
	ek_store_read(store, EK_GRADIENTS, 0, 2, gradients);
	assert_true(gradients[0] == 8 && gradients[1] == 80); /* of the last alone */
	ek_net_state_free(s);
	ek_net_free(net);
	ek_store_free(store);
	ek_params_release(&params);
	ek_params_release(&constants);
}

/* Whatever is kept, results and gradients are the same, and it is there at the end as the twin has it. */
static void values_can_be_kept(void **state)
{
	for (enum ek_net_mode mode = EK_NET_FORWARD; mode <= EK_NET_RECOMPUTE; mode++) {
		struct net_trial t[2] = { 0 };
		struct ek_net_state *s[2];
		struct ref_net *twin;
		float *got[2];

		for (int i = 0; i < 2; i++) {
			net_subject_new(&t[i].s, case_of("autoencoder"), EK_NN_F32, 0, 2);
			for (int v = 1; i == 1 && v < t[i].s.net->value_count; v++)
				assert_ok(ek_net_keep(t[i].s.net, v));
			net_trial_start(&t[i], mode, 2);
			assert_ok(ek_net_state_new(&s[i], t[i].s.net));
			got[i] = ref_poisoned(t[i].count);
			net_trial_run(&t[i], s[i], got[i]);
		}
		assert_memory_equal(got[0], got[1],
		                    (mode == EK_NET_FORWARD ? t[0].outputs : t[0].count) * sizeof **got);
		twin = ref_net_new(t[1].s.net, t[1].values);
		for (int i = 0; i < t[1].s.input_count; i++)
			ref_net_set(twin->values[t[1].s.inputs[i]], t[1].inputs[i],
			            2 * ek_net_elements(t[1].s.net, t[1].s.inputs[i]));
		ref_net_forward(twin);
		for (int v = 1; v < t[1].s.net->value_count; v++)
			for (size_t j = 0; j < 2 * ek_net_elements(t[1].s.net, v); j++)
				assert_true(fabs((double)((const float *)ek_net_view(s[1], v))[j] -
				                 twin->values[v][j].v) <= ref_net_allowed(&twin->values[v][j]));
		ref_net_free(twin);
		for (int i = 0; i < 2; i++) {
			ek_net_state_free(s[i]);
			free(got[i]);
			net_trial_free(&t[i]);
		}
	}
}

/* One net after the other in the same memory: each gives what it gives alone, a larger one is refused. */
static void states_can_share_memory(void **state)
{
	struct net_trial large, small;
	struct ek_net_state *first, *second, *alone, *refused;
	float *got[2], *want;

	net_trial_new(&large, case_of("autoencoder"), EK_NN_AUTO, EK_NET_TRAIN, 0, 8);
	net_trial_new(&small, case_of("transformer"), EK_NN_AUTO, EK_NET_TRAIN, 0, 2);
	assert_true(ek_net_state_bytes(small.s.net) < ek_net_state_bytes(large.s.net));
	assert_ok(ek_net_state_new(&alone, small.s.net));
	assert_fails(ek_net_state_share(&refused, large.s.net, alone), EK_EUSAGE, "does not fit");
	assert_null(refused);
	want = ref_poisoned(small.count);
	net_trial_run(&small, alone, want);
	assert_ok(ek_net_state_new(&first, large.s.net));
	assert_ok(ek_net_state_share(&second, small.s.net, first));
	got[0] = ref_poisoned(large.count);
	got[1] = ref_poisoned(small.count);
	for (int i = 0; i < 2; i++) {
		net_trial_run(&large, first, got[0]);
		net_trial_run(&small, second, got[1]);
		assert_memory_equal(got[1], want, small.count * sizeof *want);
	}
	ek_net_state_free(second);
	ek_net_state_free(first);
	ek_net_state_free(alone);
	free(got[0]);
	free(got[1]);
	free(want);
	net_trial_free(&large);
	net_trial_free(&small);
}

static void a_device_that_lacks_a_layer_says_so(void **state)
{
	for (int i = 0; i < EK_NET_KIND_COUNT; i++) {
		struct ek_device lacking = ek_device_cpu;
		int found = 0;

		lacking.name = "test";
		lacking.codes[i] = NULL;
		for (int j = 0; j < net_case_count && !found; j++) {
			struct net_subject s;
			char text[64];

			ek_device_set(&lacking);
			net_subject_new(&s, &net_cases[j], EK_NN_AUTO, 1, 2);
			for (int k = 0; k < s.net->op_count; k++)
				found |= (int)s.net->ops[k].kind == i;
			(void)snprintf(text, sizeof text, "the test lacks the layer %s", ek_net_operators[i].name);
			if (found)
				assert_fails(ek_net_finish(s.net, EK_NET_TRAIN), EK_ENOTSUP, text);
			net_subject_free(&s);
			ek_device_set(NULL);
		}
		assert_true(found || (i == EK_NET_CAST && !ek_nn_cpu_has_bf16()));
	}
}

/* A net with an image [4, 6, 8], vectors [1, 1, 8] and [1, 1, 9], ids, and parameters of 8, 8 × 8 and 2 × 8 × 3 × 3
 * numbers. */
struct wrong {
	struct ek_params params;
	struct ek_net *net;
	int image, vector, wide, ids, small, square, kernel;
};

static void wrong_start(struct wrong *w)
{
	*w = (struct wrong){ 0 };
	assert_ok(w->kernel = ek_params_add(&w->params, "kernel", 4, (const int64_t[]){ 2, 8, 3, 3 },
	                                    (struct ek_init){ 0 }));
	assert_ok(w->square = ek_params_add(&w->params, "square", 2, (const int64_t[]){ 8, 8 }, (struct ek_init){ 0 }));
	assert_ok(w->small = ek_params_add(&w->params, "small", 1, (const int64_t[]){ 8 }, (struct ek_init){ 0 }));
	assert_ok(ek_net_new(&w->net, &w->params, EK_NN_F32, 2));
	assert_ok(w->image = ek_net_input(w->net, (struct ek_net_shape){ 4, 6, 8 }));
	assert_ok(w->vector = ek_net_input(w->net, (struct ek_net_shape){ 1, 1, 8 }));
	assert_ok(w->wide = ek_net_input(w->net, (struct ek_net_shape){ 1, 1, 9 }));
	assert_ok(w->ids = ek_net_input_ids(w->net));
}

static void wrong_end(struct wrong *w)
{
	ek_net_free(w->net);
	ek_params_release(&w->params);
}

#define REFUSED(call, text) assert_fails((call), EK_EUSAGE, (text))

static void products_that_do_not_fit_are_refused(void **state)
{
	struct wrong w;

	wrong_start(&w);
	REFUSED(ek_net_input(w.net, (struct ek_net_shape){ 0, 1, 1 }), "0 x 1 x 1");
	REFUSED(ek_net_linear(w.net, 99, &(struct ek_net_linear){ .outputs = 1 }), "linear: 99 is no value");
	REFUSED(ek_net_linear(w.net, w.ids, &(struct ek_net_linear){ .outputs = 1 }), "linear: wants numbers");
	REFUSED(ek_net_linear(w.net, w.image, &(struct ek_net_linear){ .weight = 7, .outputs = 8 }),
	        "linear: 7 is no parameter");
	REFUSED(ek_net_linear(w.net, w.image, &(struct ek_net_linear){ .weight = w.square, .outputs = 10 }),
	        "the parameter square is too small");
	REFUSED(ek_net_linear(w.net, w.image, &(struct ek_net_linear){ .weight = w.square, .outputs = 0 }),
	        "linear: 0 outputs");
	REFUSED(ek_net_linear(w.net, w.image,
	                      &(struct ek_net_linear){ .weight = w.kernel, .bias = w.small, .outputs = 16 }),
	        "the parameter small is too small");
	REFUSED(ek_net_conv(w.net, w.image, &(struct ek_net_conv){ .kernel = { 3, 3 }, .outputs = 3, .groups = 2 }),
	        "8 to 3 channels in 2 groups");
	REFUSED(ek_net_conv(w.net, w.image,
	                    &(struct ek_net_conv){ .kernel = { 3, 3 }, .outputs = 2, .pad = { 0, -1 } }),
	        "a pad of -1");
	REFUSED(ek_net_conv(w.net, w.image, &(struct ek_net_conv){ .kernel = { 5, 5 }, .outputs = 2 }),
	        "kernel is too small");
	REFUSED(ek_net_conv(w.net, w.vector, &(struct ek_net_conv){ .kernel = { 3, 3 }, .outputs = 2, .bias = -1 }),
	        "0 x 0 x 2");
	REFUSED(ek_net_conv(w.net, w.image, &(struct ek_net_conv){ .kernel = { 3, 0 }, .outputs = 2 }),
	        "a kernel of 3 x 0, stride 1 x 1");
	REFUSED(ek_net_conv(w.net, w.image,
	                    &(struct ek_net_conv){ .kernel = { 3, 1 }, .stride = { -1, 2 }, .outputs = 2 }),
	        "a kernel of 3 x 1, stride -1 x 2");
	REFUSED(ek_net_conv(w.net, w.image, &(struct ek_net_conv){ .kernel = { 2, 7 }, .outputs = 2 }),
	        "kernel is too small");
	REFUSED(ek_net_conv(w.net, w.image, &(struct ek_net_conv){ .kernel = { 1, 7 }, .outputs = 2, .bias = -1 }),
	        "4 x 0 x 2");
	wrong_end(&w);
}

static void norms_that_do_not_fit_are_refused(void **state)
{
	struct wrong w;
	int a = 1, b = 1;

	wrong_start(&w);
	REFUSED(ek_net_group_norm(w.net, w.image, &(struct ek_net_group_norm){ .groups = 3 }),
	        "8 channels in 3 groups");
	REFUSED(ek_net_group_norm(w.net, w.image, &(struct ek_net_group_norm){ .groups = 2, .weight = -1 }),
	        "group norm: -1 is no parameter");
	REFUSED(ek_net_layer_norm(w.net, w.ids, &(struct ek_net_layer_norm){ .weight = w.small, .bias = w.small }),
	        "layer norm: wants numbers");
	REFUSED(ek_net_layer_norm(w.net, w.image, &(struct ek_net_layer_norm){ .weight = -2, .bias = w.small }),
	        "layer norm: -2 is no parameter");
	REFUSED(ek_net_layer_norm(w.net, w.wide, &(struct ek_net_layer_norm){ .weight = -1, .bias = w.small }),
	        "the parameter small is too small");
	REFUSED(ek_net_modulate(w.net, w.image, &(struct ek_net_modulate){ .vector = w.vector }, &a, NULL),
	        "nothing is wanted");
	assert_int_equal(a, EK_EUSAGE);
	REFUSED(ek_net_modulate(w.net, w.image, &(struct ek_net_modulate){ .vector = w.vector, .scale = 1 }, NULL, &b),
	        "8 features from 1 on are not in the vector");
	assert_int_equal(b, EK_EUSAGE);
	REFUSED(ek_net_modulate(w.net, w.image, &(struct ek_net_modulate){ .vector = w.image }, NULL, &b),
	        "the vector is the value");
	REFUSED(ek_net_modulate(w.net, w.image, &(struct ek_net_modulate){ w.vector, w.vector, 0, 0, 0, 0 }, &a, &b),
	        "modulate: the shapes differ");
	REFUSED(ek_net_attention(w.net, w.image, 2), "8 features are not 3 x 2 heads");
	wrong_end(&w);
}

static void layers_that_do_not_fit_are_refused(void **state)
{
	struct wrong w;
	int a = 1, b = 1;

	wrong_start(&w);
	REFUSED(ek_net_activation(w.net, w.ids, EK_NN_SILU), "activation: wants numbers");
	REFUSED(ek_net_add(w.net, w.image, w.vector), "add: the shapes differ");
	REFUSED(ek_net_positions(w.net, w.image, w.square), "the parameter square is too small");
	REFUSED(ek_net_embedding(w.net, w.vector, w.square), "wants ids and a parameter");
	REFUSED(ek_net_embedding(w.net, w.ids, w.small), "wants ids and a parameter");
	REFUSED(ek_net_times(w.net, w.vector, 4, 1), "wants one number");
	REFUSED(ek_net_upsample(w.net, w.ids), "upsample: wants numbers");
	REFUSED(ek_net_upsample(w.net, 99), "upsample: 99 is no value");
	REFUSED(ek_net_unpatch(w.net, w.image, 3), "8 features are not patches of side 3");
	REFUSED(ek_net_patches(w.net, w.image, 3), "pixels are not squares of side 3");
	REFUSED(ek_net_rows_of(w.net, w.vector, 1, 1), "rows: 1 from 1 on of 1");
	REFUSED(ek_net_prepend(w.net, w.image, w.small, 0), "prepend: 0 rows");
	REFUSED(ek_net_prepend(w.net, w.image, w.small, 9), "the parameter small is too small");
	REFUSED(ek_net_average(w.net, w.ids), "average: wants numbers");
	REFUSED(ek_net_concat(w.net, &w.image, 1), "concatenation of 1 values: must be 2 to 6");
	REFUSED(ek_net_concat(w.net, (int[]){ w.image, w.vector }, 2), "concatenation: height, width or type differ");
	REFUSED(ek_net_pool(w.net, w.image, &(struct ek_net_pool){ .kernel = { 3, 0 } }), "kernel must be 1 or more");
	REFUSED(ek_net_pool(w.net, w.image, &(struct ek_net_pool){ .kernel = { 3, 3 }, .pad = { 3 } }),
	        "padding 0 or more and below it");
	REFUSED(ek_net_pool(w.net, w.vector, &(struct ek_net_pool){ .kernel = { 2, 1 } }), "sizes out of range");
	REFUSED(ek_net_channels(w.net, w.image, 5, 4), "4 from 5 on of 8");
	REFUSED(ek_net_sample(w.net, w.image, w.image), "twice the channels");
	REFUSED(ek_net_kl(w.net, w.ids), "kl: wants numbers");
	REFUSED(ek_net_squared_error(w.net, w.image, w.vector), "error: the shapes differ");
	REFUSED(ek_net_quantise(w.net, w.image, &(struct ek_net_quantise){ .codebook = w.small }, &a, &b),
	        "the codebook must be [codes, 8]");
	assert_true(a == EK_EUSAGE && b == EK_EUSAGE);
	REFUSED(ek_net_affine(w.net, 0, 1, 0), "affine: 0 is no value");
	wrong_end(&w);
}

/* A failed layer passes through the rest of its chain and comes back at its end and from finish. */
static void a_failure_comes_back_at_the_end_of_its_chain(void **state)
{
	struct wrong w;
	int a;

	wrong_start(&w);
	a = ek_net_upsample(w.net, ek_net_activation(w.net, ek_net_unpatch(w.net, w.image, 3), EK_NN_SILU));
	assert_int_equal(a, EK_EUSAGE);
	assert_int_equal(ek_net_output(w.net, a), EK_EUSAGE);
	REFUSED(ek_net_finish(w.net, EK_NET_TRAIN), "8 features are not patches of side 3");
	REFUSED(ek_net_finish(w.net, EK_NET_TRAIN), "finished already");
	REFUSED(ek_net_upsample(w.net, w.image), "the network is finished");
	ek_net_free(w.net);
	assert_ok(ek_net_new(&w.net, &w.params, EK_NN_F32, 1));
	REFUSED(ek_net_finish(w.net, EK_NET_TRAIN), "no output");
	ek_net_free(w.net);
	REFUSED(ek_net_new(&w.net, &w.params, EK_NN_F32, 0), "a slice of 0 images");
	wrong_end(&w);
}

static void flops_are_those_of_the_products(void **state)
{
	struct net_subject s;

	net_subject_new(&s, case_of("linear, wide"), EK_NN_F32, 0, 5);
	assert_ok(ek_net_finish(s.net, EK_NET_TRAIN));
	assert_true(ek_net_flops(s.net) == 2.0 * 64 * 192 * 384);
	net_subject_free(&s);
	net_subject_new(&s, case_of("attention, 64 tokens"), EK_NN_F32, 0, 5);
	assert_ok(ek_net_finish(s.net, EK_NET_TRAIN));
	assert_true(ek_net_flops(s.net) == 2.0 * 2 * 64 * 64 * 96);
	net_subject_free(&s);
}

EK_TEST_MAIN(cmocka_unit_test(recomputing_takes_less_memory), cmocka_unit_test(products_take_in_what_follows),
             cmocka_unit_test(a_slice_is_the_same_bytes_whatever_runs_beside_it),
             cmocka_unit_test(gradients_add_up_in_order_whatever_the_threads),
             cmocka_unit_test(gradients_add_up_over_slices), cmocka_unit_test(gradients_of_parameters_can_be_left_out),
             cmocka_unit_test(frozen_parameters_get_no_gradient),
             cmocka_unit_test(constants_get_no_gradient_and_pass_it_on), cmocka_unit_test(values_can_be_kept),
             cmocka_unit_test(states_can_share_memory), cmocka_unit_test(a_device_that_lacks_a_layer_says_so),
             cmocka_unit_test(products_that_do_not_fit_are_refused),
             cmocka_unit_test(norms_that_do_not_fit_are_refused), cmocka_unit_test(layers_that_do_not_fit_are_refused),
             cmocka_unit_test(a_failure_comes_back_at_the_end_of_its_chain),
             cmocka_unit_test(flops_are_those_of_the_products))
