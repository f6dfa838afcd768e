/* The table of cases on a device whose memory the host cannot reach: the CPU's bytes, and no pointer of the device's in
 * the host's hands. */
#include <signal.h>
#include <sys/wait.h>

#include "tests/support/support.h"
#include "tests/train/nn/fake_device.h"
#include "tests/train/nn/net_images.h"
#include "tests/train/nn/net_trial.h"
#include "tests/train/nn/reference.h"
#include "train/nn/bf16.h"
#include "train/nn/net_internal.h"
#include "train/nn/store_internal.h"

static float *results_on(const struct ek_device *device, const struct net_case *c, enum ek_nn_precision precision,
                         enum ek_net_mode mode, size_t *count)
{
	struct net_trial t;
	struct ek_net_state *s;
	float *got;

	ek_device_set(device);
	net_trial_new(&t, c, precision, mode, 0, 3);
	assert_ok(ek_net_state_new(&s, t.s.net));
	*count = mode == EK_NET_FORWARD ? t.outputs : t.count;
	got = ref_poisoned(t.count);
	net_trial_run(&t, s, got);
	ek_net_state_free(s);
	net_trial_free(&t);
	ek_device_set(NULL);
	return got;
}

static void every_case_is_the_same(void **state)
{
	for (int i = 0; i < net_case_count; i++)
		for (enum ek_net_mode mode = EK_NET_FORWARD; mode <= EK_NET_RECOMPUTE; mode++)
			for (int bf16 = 0; bf16 <= ek_nn_cpu_has_bf16(); bf16++) {
				const enum ek_nn_precision precision = bf16 ? EK_NN_BF16 : EK_NN_F32;
				size_t count;
				float *want = results_on(NULL, &net_cases[i], precision, mode, &count);
				float *got = results_on(fake_device(), &net_cases[i], precision, mode, &count);

				assert_memory_equal(want, got, count * sizeof *want);
				free(want);
				free(got);
			}
}

static void gradients_of_images_are_the_same(void **state)
{
	for (int i = 0; i < net_case_count; i++)
		for (int together = 1; together <= 2; together++) {
			double want[2 * NET_IMAGES], got[2 * NET_IMAGES];
			int told;

			told = net_images_of(&net_cases[i], EK_NN_F32, together, want);
			ek_device_set(fake_device());
			assert_int_equal(net_images_of(&net_cases[i], EK_NN_F32, together, got), told);
			ek_device_set(NULL);
			if (told)
				assert_memory_equal(want, got, sizeof want);
		}
}

/* What the others rest on. */
static void the_host_cannot_reach_its_memory(void **state)
{
	struct ek_params params = { 0 };
	struct ek_store *store;
	pid_t child;
	int status;

	ek_device_set(fake_device());
	assert_true(ek_params_add(&params, "w", 1, (const int64_t[]){ 9 }, (struct ek_init){ 0 }) == 0);
	assert_ok(ek_store_new(&store, &params));
	if ((child = fork()) == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		_exit(ek_store_data(store, EK_VALUES)[0] == 0 ? 1 : 2);
	}
	assert_true(waitpid(child, &status, 0) == child);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) <= 2);
	ek_store_free(store);
	ek_params_release(&params);
	ek_device_set(NULL);
}

EK_TEST_MAIN(cmocka_unit_test(the_host_cannot_reach_its_memory), cmocka_unit_test(every_case_is_the_same),
             cmocka_unit_test(gradients_of_images_are_the_same))
