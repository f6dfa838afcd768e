#include "tests/train/nn/net_trial.h"

#include "tests/support/support.h"
#include "tests/train/nn/reference.h"
#include "train/nn/net_internal.h"

static size_t numbers(const struct net_trial *t, int value)
{
	return (size_t)t->batch * ek_net_elements(t->s.net, value);
}

static int has_gradient(const struct net_trial *t, int value)
{
	return t->s.net->values[value].gradient;
}

static float *random_numbers(size_t count, uint64_t stream)
{
	float *x = ref_poisoned(count);

	ref_fill(x, count, stream);
	ref_round_bf16(x, count);
	return x;
}

void net_trial_new(struct net_trial *t, const struct net_case *c, enum ek_nn_precision precision, enum ek_net_mode mode,
                   int low, int batch)
{
	*t = (struct net_trial){ 0 };
	net_subject_new(&t->s, c, precision, low, batch);
	net_trial_start(t, mode, batch);
}

void net_trial_start(struct net_trial *t, enum ek_net_mode mode, int batch)
{
	t->batch = batch;
	assert_ok(ek_net_finish(t->s.net, mode));
	t->values = ref_poisoned(t->s.params.size);
	ek_params_initialise(&t->s.params, 5, t->values);
	ref_round_bf16(t->values, t->s.params.size);
	t->start = random_numbers(t->s.params.size, 300);
	t->gradients = ref_poisoned(t->s.params.size);
	assert_ok(ek_store_new(&t->store, &t->s.params));
	for (int i = 0; i < t->s.output_count; i++) {
		t->given[i] = random_numbers(numbers(t, t->s.outputs[i]), (uint64_t)(100 + i));
		t->outputs += numbers(t, t->s.outputs[i]);
	}
	t->count = t->outputs + t->s.params.size;
	for (int i = 0; i < t->s.input_count; i++) {
		t->inputs[i] = random_numbers(numbers(t, t->s.inputs[i]), (uint64_t)(200 + i));
		if (has_gradient(t, t->s.inputs[i]))
			t->count += numbers(t, t->s.inputs[i]);
	}
	t->ids = calloc((size_t)batch, sizeof *t->ids);
	assert_non_null(t->ids);
	for (int i = 0; i < batch && t->s.id_count > 0; i++)
		t->ids[i] = 2 * i % t->s.id_count;
	t->keys = calloc((size_t)batch, sizeof *t->keys);
	assert_non_null(t->keys);
	for (int i = 0; i < batch; i++)
		t->keys[i] = (struct ek_net_key){ 7, UINT64_MAX / 3, ((uint64_t)i << 40) + 3 };
	if (t->s.pixels > 0) {
		const size_t count = numbers(t, t->s.pixels) * sizeof(int32_t);

		t->pixels = malloc(count);
		assert_non_null(t->pixels);
		for (size_t i = 0; i < count; i++)
			t->pixels[i] = (uint8_t)(i * 37 % 256);
	}
	assert_ok(ek_net_load(t->s.net, t->values));
}

void net_trial_free(struct net_trial *t)
{
	for (int i = 0; i < NET_CASE_VALUES; i++) {
		free(t->inputs[i]);
		free(t->given[i]);
	}
	free(t->ids);
	free(t->keys);
	free(t->pixels);
	free(t->values);
	free(t->start);
	free(t->gradients);
	ek_store_free(t->store);
	net_subject_free(&t->s);
}

void net_trial_fill(const struct net_trial *t, struct ek_net_state *state)
{
	const size_t bytes = ek_net_state_bytes(t->s.net);
	unsigned char *poison = malloc(bytes);

	assert_non_null(poison);
	memset(poison, 0xff, bytes);
	t->s.net->device->upload(state->arena, poison, bytes);
	free(poison);
	for (int i = 0; i < t->s.input_count; i++)
		memcpy(ek_net_stage(state, t->s.inputs[i]), t->inputs[i], numbers(t, t->s.inputs[i]) * sizeof(float));
	if (t->s.ids > 0)
		memcpy(ek_net_stage(state, t->s.ids), t->ids, (size_t)t->batch * sizeof *t->ids);
	if (t->s.keys > 0)
		memcpy(ek_net_stage(state, t->s.keys), t->keys, (size_t)t->batch * sizeof *t->keys);
	if (t->s.pixels > 0)
		memcpy(ek_net_stage(state, t->s.pixels), t->pixels, numbers(t, t->s.pixels) * sizeof(int32_t));
}

void net_trial_run(struct net_trial *t, struct ek_net_state *state, float *results)
{
	net_trial_fill(t, state);
	assert_ok(ek_net_forward(state));
	for (int i = 0; i < t->s.output_count; i++) {
		ek_net_read(state, t->s.outputs[i], results);
		results += numbers(t, t->s.outputs[i]);
	}
	if (t->s.net->mode == EK_NET_FORWARD)
		return;
	for (int i = 0; i < t->s.output_count; i++)
		if (has_gradient(t, t->s.outputs[i]))
			ek_net_write_gradient(state, t->s.outputs[i], t->given[i]);
	ek_store_clear_gradients(t->store);
	ek_store_write(t->store, EK_GRADIENTS, 0, t->s.params.size, t->start);
	assert_ok(ek_net_backward(state, t->store, 0));
	ek_store_read(t->store, EK_GRADIENTS, 0, t->s.params.size, t->gradients);
	assert_true(ref_is_whole(t->gradients, t->s.params.size));
	for (int i = 0; i < t->s.input_count; i++)
		if (has_gradient(t, t->s.inputs[i])) {
			ek_net_read_gradient(state, t->s.inputs[i], results);
			results += numbers(t, t->s.inputs[i]);
		}
	memcpy(results, t->gradients, t->s.params.size * sizeof *results);
}

static struct ref_number *append(struct ref_number *to, const struct ref_number *from, size_t count)
{
	memcpy(to, from, count * sizeof *to);
	return to + count;
}

struct ref_number *net_trial_reference(const struct net_trial *t)
{
	struct ref_number *results = calloc(t->count, sizeof *results), *end = results;
	struct ref_net *r = ref_net_new(t->s.net, t->values);

	assert_non_null(results);
	r->ids = t->ids;
	r->keys = t->keys;
	r->pixels = t->pixels;
	for (int i = 0; i < t->s.input_count; i++)
		ref_net_set(r->values[t->s.inputs[i]], t->inputs[i], numbers(t, t->s.inputs[i]));
	ref_net_forward(r);
	for (int i = 0; i < t->s.output_count; i++) {
		end = append(end, r->values[t->s.outputs[i]], numbers(t, t->s.outputs[i]));
		ref_net_set(r->gradients[t->s.outputs[i]], t->given[i], numbers(t, t->s.outputs[i]));
	}
	ref_net_set(r->parameter_gradients, t->start, t->s.params.size);
	ref_net_backward(r);
	for (int i = 0; i < t->s.input_count; i++)
		if (has_gradient(t, t->s.inputs[i]))
			end = append(end, r->gradients[t->s.inputs[i]], numbers(t, t->s.inputs[i]));
	end = append(end, r->parameter_gradients, t->s.params.size);
	assert_int_equal(end - results, t->count);
	ref_net_free(r);
	return results;
}
