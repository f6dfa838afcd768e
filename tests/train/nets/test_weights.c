/* Parameters taken from a file: values, names, what is refused; and batch norms folded into convolutions. */

#include "rebalance/io/safetensors.h"
#include "tests/support/support.h"
#include "train/nets/weights.h"

/* A convolution and its norm, a tensor with a number that is none, and one that nobody takes. */
static const struct ek_tensor_spec specs[] = {
	{ "m.a.weight", EK_F32, 4, { 2, 2, 1, 1 } },
	{ "m.n.weight", EK_F32, 1, { 2 } },
	{ "m.n.bias", EK_F32, 1, { 2 } },
	{ "m.n.running_mean", EK_F32, 1, { 2 } },
	{ "m.n.running_var", EK_F32, 1, { 2 } },
	{ "m.broken", EK_F32, 1, { 2 } },
	{ "m.n.num_batches_tracked", EK_F32, 1, { 1 } },
};
enum { TENSORS = sizeof specs / sizeof *specs };

static const float numbers[] = {
	1,     -2,    3, 4, /* a.weight */
	2,     -0.5F,       /* gamma */
	0.25F, 1,           /* beta */
	5,     -3,          /* mean */
	3.75F, 0.75F,       /* variance: with an epsilon of 0.25, deviations 2 and 1 */
	1,     NAN,         /* broken */
	7,                  /* counted batches */
};

struct opened {
	struct ek_tensor_file file;
	struct ek_weights w;
};

static int load(void **state)
{
	static struct opened o;
	const char *path = ek_join(ek_scratch(), "w.safetensors");
	struct ek_safetensors_writer *writer;

	assert_ok(ek_safetensors_writer_open(&writer, path, specs, TENSORS, NULL));
	assert_ok(ek_safetensors_writer_append(writer, numbers, sizeof numbers));
	assert_ok(ek_safetensors_writer_commit(writer));
	ek_safetensors_writer_free(writer);
	assert_ok(ek_tensor_file_open(&o.file, path));
	assert_ok(ek_weights_init(&o.w, &o.file));
	o.w.prefix = "m.";
	*state = &o;
	return 0;
}

static int unload(void **state)
{
	struct opened *o = *state;

	ek_weights_release(&o->w);
	ek_tensor_file_close(&o->file);
	return 0;
}

static void a_batch_norm_is_folded_into_its_convolution(void **state)
{
	/* s = gamma / deviation: 1 and -0.5; bias = beta - mean · s */
	static const float weights[] = { 1, -2, -1.5F, -2 }, biases[] = { 0.25F - 5, 1 - 1.5F };
	const struct ek_folded folded = { "a", "n", { 2, 2, 1, 1 }, 0.25 };
	struct ek_weights *w = &((struct opened *)*state)->w;
	float gamma[2], beta[2];
	int weight;

	assert_ok(weight = ek_weights_fold(w, &folded, gamma, beta));
	assert_memory_equal(ek_weights_values(w, weight), weights, sizeof weights);
	assert_memory_equal(ek_weights_values(w, weight + 1), biases, sizeof biases);
	assert_memory_equal(gamma, numbers + 4, sizeof gamma);
	assert_memory_equal(beta, numbers + 6, sizeof beta);
	assert_string_equal(w->params.items[weight].name, "a.weight");
	assert_true(w->params.items[weight].frozen && w->params.items[weight + 1].frozen);
}

static void values_stay_when_parameters_are_added(void **state)
{
	struct ek_weights *w = &((struct opened *)*state)->w;
	const int taken = ek_weights_take(w, "n.running_var", EK_SHAPE(2));
	int room;

	assert_ok(taken);
	assert_ok(room = ek_weights_room(w, "room", EK_SHAPE(300, 70)));
	for (size_t i = 0; i < (size_t)300 * 70; i++)
		assert_true(ek_weights_values(w, room)[i] == 0);
	assert_memory_equal(ek_weights_values(w, taken), numbers + 10, 2 * sizeof(float));
}

static void what_does_not_fit_is_refused(void **state)
{
	static const char *const some[] = { "*.num_batches_tracked", NULL }, *const all[] = { "bro", "*tracked", NULL };
	struct ek_weights *w = &((struct opened *)*state)->w;
	float *x;

	assert_true(ek_weights_has(w, "broken"));
	assert_false(ek_weights_has(w, "m.broken"));
	assert_fails(ek_weights_take(w, "b.weight", EK_SHAPE(2)), EK_EDATA, "m.b.weight");
	assert_fails(ek_weights_check_all_taken(w, some), EK_EDATA, "no tensor m.broken");
	assert_ok(ek_weights_check_all_taken(w, all));
	assert_fails(ek_weights_take(w, "n.bias", EK_SHAPE(3)), EK_EDATA, "m.n.bias");
	assert_fails(ek_weights_read(&x, w, "broken", EK_SHAPE(2)), EK_EDATA,
	             "element 1 of tensor m.broken is not a finite number");
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_norm_is_folded_into_its_convolution),
		cmocka_unit_test(values_stay_when_parameters_are_added),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
