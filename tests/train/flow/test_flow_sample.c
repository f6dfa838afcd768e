/* Sampling from a model over threads: the same sample whatever it is asked for with, going on, stopping. */
#include "tests/train/flow/golden_sit.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "tests/train/nn/fake_device.h"
#include "train/flow/flow_sample.h"
#include "train/nn/bf16.h"
#include "train/nn/device_internal.h"

enum { COUNT = 11, BATCH = 4 };

struct taken {
	float *samples;
	size_t elements;
	uint64_t next; /* samples come in order */
	int stop;
};

static int take(void *context, uint64_t first, int count, const float *samples)
{
	struct taken *t = context;

	assert_int_equal(first, t->next);
	t->next = first + (uint64_t)count;
	memcpy(t->samples + first * t->elements, samples, (size_t)count * t->elements * sizeof *samples);
	if (t->stop)
		ek_interrupt();
	return 0;
}

struct model {
	struct ek_sit_config config;
	struct ek_params params;
	float *values;
	size_t elements;
};

static void model_make(struct model *m)
{
	cJSON *golden = ek_golden("sit");

	*m = (struct model){ .config = golden_config(golden, "small-sigma") };
	m->elements = ek_sit_elements(&m->config);
	assert_ok(ek_sit_params(&m->params, &m->config));
	m->values = golden_values(&m->params);
	cJSON_Delete(golden);
}

static void model_release(struct model *m)
{
	ek_params_release(&m->params);
	free(m->values);
}

/* Samples first … count - 1 of those that seed and label i make, in reversed order if `turned`. Returns COUNT places.
 */
static float *samples_of(const struct model *m, const struct ek_solver_options *o, enum ek_nn_precision precision,
                         int threads, uint64_t first, uint64_t count, int turned)
{
	struct taken taken = { .elements = m->elements, .next = first };
	uint64_t seeds[COUNT];
	int32_t labels[COUNT];
	const struct ek_flow_samples wanted = {
		.count = count, .seeds = seeds, .labels = labels, .context = &taken, .take = take
	};
	struct ek_flow_sampler *s;

	for (int i = 0; i < COUNT; i++) {
		seeds[turned ? COUNT - 1 - i : i] = 100 + (uint64_t)i;
		labels[turned ? COUNT - 1 - i : i] = i % (m->config.classes + 1);
	}
	ek_threads_set(threads);
	assert_ok(ek_alloc(&taken.samples, COUNT * m->elements, sizeof(float)));
	assert_ok(ek_flow_sampler_new(&s, &m->config, &m->params, m->values, precision, BATCH, 1));
	assert_ok(ek_flow_sample(s, o, &wanted, first));
	assert_int_equal(taken.next, count);
	ek_flow_sampler_free(s);
	ek_threads_set(0);
	return taken.samples;
}

static void compare(const struct model *m, const float *whole, float *other, uint64_t first, uint64_t count, int turned)
{
	for (uint64_t i = first; i < count; i++)
		assert_memory_equal(whole + (turned ? COUNT - 1 - i : i) * m->elements, other + i * m->elements,
		                    m->elements * sizeof *whole);
	free(other);
}

static void a_sample_is_the_same_in_every_batch(void **state)
{
	struct model m;

	(void)state;
	model_make(&m);
	for (int i = 0; i < (ek_nn_cpu_has_bf16() ? 10 : 5); i++) {
		const struct ek_solver_options o = { .solver = (enum ek_solver)(i % 5),
			                             .steps = 5,
			                             .relative = 1e-3,
			                             .absolute = 1e-3,
			                             .norm = 1,
			                             .last_step = 0.04,
			                             .guidance = { .scale = 1.5, .channels = 3, .high = 0.7 } };
		const enum ek_nn_precision precision = i < 5 ? EK_NN_F32 : EK_NN_BF16;
		float *whole = samples_of(&m, &o, precision, 1, 0, COUNT, 0);

		compare(&m, whole, samples_of(&m, &o, precision, 3, 0, COUNT, 0), 0, COUNT, 0);
		compare(&m, whole, samples_of(&m, &o, precision, 2, 3, COUNT, 0), 3, COUNT, 0); /* going on */
		compare(&m, whole, samples_of(&m, &o, precision, 1, 0, 2, 0), 0, 2, 0);
		compare(&m, whole, samples_of(&m, &o, precision, 2, 0, COUNT, 1), 0, COUNT, 1); /* other neighbours */
		assert_memory_not_equal(whole, whole + 6 * m.elements, m.elements * sizeof *whole); /* same label */
		free(whole);
	}
	model_release(&m);
}

static uint64_t room;

static uint64_t so_much(void)
{
	return room;
}

/* What suffices for a batch does not for both predictions of each of its images, whose number the message has. */
static void memory_is_of_both_predictions(struct ek_device *device, const struct model *m)
{
	struct ek_flow_sampler *s;

	device->available = so_much;
	ek_device_set(device);
	for (uint64_t step = (uint64_t)1 << 29; step > 0; step /= 2) {
		room += step;
		if (ek_flow_sampler_new(&s, &m->config, &m->params, m->values, EK_NN_F32, BATCH, 0) == 0)
			room -= step;
		ek_flow_sampler_free(s);
	}
	room++;
	assert_fails(ek_flow_sampler_new(&s, &m->config, &m->params, m->values, EK_NN_F32, BATCH, 1), EK_ENOMEM,
	             "4 images at a time need");
	ek_device_set(NULL);
}

/* Every solver where the host has no way into the device's memory; then where both predictions that guidance wants are
 * made in one pass. */
static void samples_stay_on_the_device(void **state)
{
	struct ek_device by_itself = *fake_device();
	struct model m;

	(void)state;
	model_make(&m);
	for (int solver = EK_SOLVER_EULER; solver <= EK_SOLVER_ANCESTRAL; solver++) {
		const struct ek_solver_options o = { .solver = (enum ek_solver)solver,
			                             .steps = 5,
			                             .relative = 1e-3,
			                             .absolute = 1e-3,
			                             .norm = 1,
			                             .last_step = 0.04,
			                             .guidance = { .scale = 1.5, .channels = 3, .high = 0.7 } };
		float *whole = samples_of(&m, &o, EK_NN_F32, 1, 0, COUNT, 0), *there;

		for (int i = 0; i < 2; i++) {
			by_itself.one_at_a_time = i;
			ek_device_set(&by_itself);
			there = samples_of(&m, &o, EK_NN_F32, 1, 0, COUNT, 0);
			ek_device_set(NULL);
			compare(&m, whole, there, 0, COUNT, 0);
		}
		free(whole);
	}
	memory_is_of_both_predictions(&by_itself, &m);
	model_release(&m);
}

static void labels_out_of_range_are_refused(void **state)
{
	const struct ek_solver_options o = { .steps = 2, .guidance.scale = 1 };
	const uint64_t seed = 1;
	const int32_t label = 6;
	const struct ek_flow_samples wanted = { .count = 1, .seeds = &seed, .labels = &label, .take = take };
	struct ek_flow_sampler *s;
	struct model m;

	(void)state;
	model_make(&m);
	assert_ok(ek_flow_sampler_new(&s, &m.config, &m.params, m.values, EK_NN_F32, 1, 0));
	assert_fails(ek_flow_sample(s, &o, &wanted, 0), EK_EUSAGE, "label 6, the model knows 0 to 4");
	ek_flow_sampler_free(s);
	model_release(&m);
}

/* The last test: the wish to stop stays. */
static void stopping_keeps_what_was_taken(void **state)
{
	const struct ek_solver_options o = { .steps = 3, .guidance.scale = 1 };
	struct model m;
	struct taken taken = { .stop = 1 };
	uint64_t seeds[COUNT];
	int32_t labels[COUNT] = { 0 };
	const struct ek_flow_samples wanted = {
		.count = COUNT, .seeds = seeds, .labels = labels, .context = &taken, .take = take
	};
	struct ek_flow_sampler *s;
	float *whole;

	(void)state;
	model_make(&m);
	whole = samples_of(&m, &o, EK_NN_F32, 1, 0, COUNT, 0);
	taken.elements = m.elements;
	for (int i = 0; i < COUNT; i++) {
		seeds[i] = 100 + (uint64_t)i;
		labels[i] = i % (m.config.classes + 1);
	}
	assert_ok(ek_alloc(&taken.samples, COUNT * m.elements, sizeof(float)));
	ek_threads_set(1);
	assert_ok(ek_flow_sampler_new(&s, &m.config, &m.params, m.values, EK_NN_F32, BATCH, 0));
	assert_fails(ek_flow_sample(s, &o, &wanted, 0), EK_EINTERRUPTED, "interrupted");
	assert_int_equal(taken.next, BATCH);
	compare(&m, whole, taken.samples, 0, BATCH, 0);
	free(whole);
	ek_flow_sampler_free(s);
	model_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sample_is_the_same_in_every_batch),
		cmocka_unit_test(samples_stay_on_the_device),
		cmocka_unit_test(labels_out_of_range_are_refused),
		cmocka_unit_test(stopping_keeps_what_was_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
