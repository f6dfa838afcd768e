/* The gradients of single images, of every layer and of blocks of them, against the twin's. */
#include "rebalance/base/error.h"
#include "tests/support/support.h"
#include "tests/train/nn/net_images.h"
#include "train/nn/bf16.h"
#include "train/nn/net_internal.h"

static void gradients_of_images_are_the_twins(void **state)
{
	for (int i = 0; i < net_case_count; i++)
		for (int together = 1; together <= 2; together++) {
			net_images_run(&net_cases[i], EK_NN_F32, 0, together);
			if (ek_nn_cpu_has_bf16())
				net_images_run(&net_cases[i], EK_NN_BF16, together == 1, together);
		}
}

static void what_cannot_be_told_is_refused(void **state)
{
	const struct ek_net_images what = { .together = 3 };
	const struct ek_net_linear layer = { .weight = 0, .bias = -1, .outputs = 3 };
	struct ek_params params = { 0 };
	struct ek_net *net;
	struct ek_net_state *s;
	double squares[4];
	int x;

	assert_true(ek_params_add(&params, "twice", 2, (const int64_t[]){ 3, 3 }, (struct ek_init){ 0 }) == 0);
	for (int layers = 2; layers > 0; layers--) {
		assert_ok(ek_net_new(&net, &params, EK_NN_F32, 4));
		x = ek_net_input(net, (struct ek_net_shape){ 1, 5, 3 });
		for (int i = 0; i < layers; i++)
			x = ek_net_linear(net, x, &layer);
		assert_ok(ek_net_output(net, x));
		if (layers == 2) {
			assert_int_equal(ek_net_finish(net, EK_NET_IMAGES), EK_ENOTSUP);
			assert_non_null(strstr(ek_error_message(), "linear shares the parameter twice"));
		} else {
			assert_ok(ek_net_finish(net, EK_NET_IMAGES));
			assert_ok(ek_net_state_new(&s, net));
			assert_int_equal(ek_net_backward_images(s, &what, squares, NULL), EK_EUSAGE);
			ek_net_state_free(s);
		}
		ek_net_free(net);
	}
	ek_params_release(&params);
}

EK_TEST_MAIN(cmocka_unit_test(what_cannot_be_told_is_refused), cmocka_unit_test(gradients_of_images_are_the_twins))
