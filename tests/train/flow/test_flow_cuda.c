/* Twenty training steps on a GPU beside the CPU's. Skipped where no GPU can be used. */

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "tests/support/support.h"
#include "tests/train/nn/on_device.h"
#include "train/flow/flow_task.h"
#include "train/nn/bf16.h"

enum { STEPS = 20, BATCH = 32, SIDE = 16, CHANNELS = 4 };
static int once; /* a step of few images, for a sanitizer, which compares nothing */

static int get(void *context, int worker, int64_t id, uint64_t position, float *sample, int32_t *label)
{
	for (int i = 0; i < SIDE * SIDE * CHANNELS; i++)
		sample[i] = (float)ek_random_normal(3, (uint64_t)id, (uint64_t)i);
	*label = (int32_t)(id % 5);
	return 0;
}

/* Losses of STEPS steps on a device; returns the values after them, to be freed. */
static float *train(const struct ek_device *device, enum ek_nn_precision precision, int diffusion, double *curve,
                    size_t *size)
{
	const struct ek_flow_source source = { .get = get };
	struct ek_flow_task_options *o = calloc(1, sizeof *o);
	struct ek_flow_task *flow;
	struct ek_store *store;
	struct ek_task task;
	int64_t ids[BATCH];
	float weights[BATCH], *values;
	double losses[BATCH], parts[2 * BATCH], norm;
	const int steps = once ? 1 : STEPS, count = once ? 4 : BATCH;

	assert_non_null(o);
	ek_device_set(device);
	o->model = (struct ek_sit_config){ .depth = 3,
		                           .width = 192,
		                           .heads = 3,
		                           .patch = 2,
		                           .side = SIDE,
		                           .channels = CHANNELS,
		                           .classes = 5,
		                           .learned_sigma = diffusion };
	o->objective.kind = diffusion ? EK_OBJECTIVE_DIFFUSION : EK_OBJECTIVE_FLOW;
	o->precision = precision;
	o->slice = count;
	o->seed = 5;
	o->drop = 0.1;
	assert_ok(ek_objective_init(&o->objective));
	assert_ok(ek_flow_task_new(&flow, &task, o, &source));
	assert_ok(ek_store_new(&store, task.params));
	*size = task.params->size;
	values = calloc(*size, sizeof *values);
	assert_non_null(values);
	ek_params_initialise(task.params, 1, values);
	ek_store_write(store, EK_VALUES, 0, *size, values);
	assert_ok(ek_task_load(&task, store, EK_VALUES));
	for (uint64_t step = 0; step < (uint64_t)steps; step++) {
		const struct ek_adamw adamw = {
			.rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .average = 0.9, .clip = 1
		};
		const struct ek_slice slice = {
			.step = step, .count = count, .ids = ids, .weights = weights, .losses = losses, .parts = parts
		};

		for (int i = 0; i < count; i++) {
			ids[i] = i; /* the same images, times and noise over and over: the loss must fall */
			weights[i] = 1.0F / (float)count;
		}
		assert_ok(ek_task_learn(&task, 0, &slice, store));
		curve[step] = 0;
		for (int i = 0; i < count; i++)
			curve[step] += losses[i] / count;
		assert_ok(ek_store_step(store, &adamw, step + 1, &norm));
		assert_ok(ek_task_load(&task, store, EK_VALUES));
	}
	ek_store_read(store, EK_VALUES, 0, *size, values);
	ek_store_free(store);
	ek_flow_task_free(flow);
	free(o);
	return values;
}

/* Each step's rounding moves what later steps start from; the curves stay together as far as a step's own error, some
 * hundred roundings in a chain of sixty layers, grows over twenty of them. */
static void compare(int diffusion, enum ek_nn_precision precision, double allowed)
{
	const struct ek_device *gpu = ek_device();
	double cpu_curve[STEPS], curve[STEPS], again[STEPS], most = 0;
	size_t size;
	float *want, *got, *second;

	got = train(gpu, precision, diffusion, curve, &size);
	if (once) {
		free(got);
		return;
	}
	want = train(NULL, precision, diffusion, cpu_curve, &size);
	second = train(gpu, precision, diffusion, again, &size);
	for (int i = 0; i < STEPS; i++)
		most = fmax(most, fabs(curve[i] / cpu_curve[i] - 1));
	print_message("%s in %s: loss %.6f to %.6f on the CPU, to %.6f on the GPU; off by at most %.2g\n",
	              diffusion ? "diffusion" : "flow", precision == EK_NN_BF16 ? "bf16" : "float32", cpu_curve[0],
	              cpu_curve[STEPS - 1], curve[STEPS - 1], most);
	assert_true(cpu_curve[STEPS - 1] < cpu_curve[0]);
	assert_true(most <= allowed);
	assert_memory_equal(curve, again, sizeof curve);
	assert_memory_equal(got, second, size * sizeof *got);
	free(want);
	free(got);
	free(second);
}

static void flow_in_float32(void **state)
{
	compare(0, EK_NN_F32, 1e-4);
}

static void flow_in_bf16(void **state)
{
	if (!once && !ek_nn_cpu_has_bf16())
		skip();
	compare(0, EK_NN_BF16, 1e-2);
}

static void diffusion_in_float32(void **state)
{
	compare(1, EK_NN_F32, 1e-4);
}

/* Arguments: only tests of such names; "once": only that a step of them runs. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flow_in_float32),
		cmocka_unit_test(flow_in_bf16),
		cmocka_unit_test(diffusion_in_float32),
	};
	const int left = on_gpu();

	cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
	once = argc > 2 && strcmp(argv[2], "once") == 0;
	return left != 0 ? left : cmocka_run_group_tests(tests, NULL, NULL);
}
