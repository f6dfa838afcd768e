/* How codes follow latents, worked out by hand, on the CPU, where the host cannot reach what is computed, and
 * on a GPU if there is one. */
#include "tests/support/support.h"

#include "tests/train/nn/fake_device.h"
#include "train/nn/codebook_internal.h"
#include "train/nn/cuda.h"
#include "train/nn/device_internal.h"
#include "train/nn/net.h"

enum { CODES = 3, STATE = EK_CODEBOOK_HEAD + 2 * CODES };

/* Two slices of three latents of one number; three codes. */
static const struct ek_codebook_options options = {
	.codes = CODES, .width = 1, .slices = 2, .rows = 3, .decay = 0.5, .averages = 1
};
static const float latents[] = { 1, 2, 3, 10, 12, 14 };
static const int32_t nearest[] = { 0, 0, 0, 0, 1, 1 };

/* float32 of numbers of this size, after a few operations. */
#define TOLERANCE 1e-6

struct book {
	struct ek_params params;
	struct ek_store *store;
	struct ek_codebook *c;
	float codes[CODES], average[CODES]; /* after a step */
};

static void open_book(struct book *b, const struct ek_codebook_options *o, const float *codes)
{
	const int64_t dims[2] = { CODES, 1 };

	*b = (struct book){ 0 };
	assert_true(ek_params_add(&b->params, "other", 1, dims, (struct ek_init){ 0 }) == 0);
	assert_true(ek_params_add(&b->params, "codes", 2, dims, (struct ek_init){ 0 }) == 1);
	assert_ok(ek_store_new(&b->store, &b->params));
	assert_ok(ek_codebook_new(&b->c, o));
	b->c->options.parameter = 1;
	ek_store_write(b->store, EK_VALUES, CODES, CODES, codes);
	memcpy(b->codes, codes, sizeof b->codes);
}

static void close_book(struct book *b)
{
	ek_codebook_free(b->c);
	ek_store_free(b->store);
	ek_params_release(&b->params);
}

static void take_step(struct book *b, uint64_t step)
{
	const float none[CODES] = { 0 };
	float other[CODES];

	ek_device()->upload(b->c->latents, latents, sizeof latents);
	ek_device()->upload(b->c->nearest, nearest, sizeof nearest);
	assert_ok(ek_codebook_step(b->c, b->store, step));
	ek_store_read(b->store, EK_VALUES, CODES, CODES, b->codes);
	ek_store_read(b->store, EK_AVERAGE, CODES, CODES, b->average);
	ek_store_read(b->store, EK_VALUES, 0, CODES, other);
	assert_memory_equal(other, none, sizeof none);
}

static void codes_are_averages_of_their_latents(void **state)
{
	struct book b;

	open_book(&b, &options, (const float[]){ 0, 10, 20 });
	take_step(&b, 0);
	/* Even use is 2. Code 0: use (2 + 4) / 2, total (0 + 16) / 2; code 1: (2 + 2) / 2, (20 + 26) / 2. */
	assert_close(b.codes[0], 8.0 / 3, TOLERANCE);
	assert_close(b.codes[1], 23.0 / 2, TOLERANCE);
	assert_close(b.codes[2], 20, 0);
	assert_memory_equal(b.codes, b.average, sizeof b.codes);
	take_step(&b, 1);
	/* (3 + 4) / 2 and (8 + 16) / 2; (2 + 2) / 2 and (23 + 26) / 2. */
	assert_close(b.codes[0], 12 / 3.5, TOLERANCE);
	assert_close(b.codes[1], 24.5 / 2, TOLERANCE);
	assert_close(b.codes[2], 20, 0);
	/* Shares 4/6 and 2/6. */
	assert_close(ek_codebook_perplexity(b.c), exp(-(2.0 / 3) * log(2.0 / 3) - (1.0 / 3) * log(1.0 / 3)), TOLERANCE);
	assert_close(ek_codebook_used(b.c), 2.0 / 3, TOLERANCE);
	close_book(&b);
}

static int is_latent(float x)
{
	for (int i = 0; i < 6; i++)
		if (latents[i] == x)
			return 1;
	return 0;
}

/* The use of code 2 halves each step; below a tenth of even use, after 4 steps, it becomes a latent. */
static void unused_codes_start_again(void **state)
{
	struct ek_codebook_options o = options;
	struct book b;

	o.revive = 0.1;
	for (o.averages = 0; o.averages < 2; o.averages++) {
		open_book(&b, &o, (const float[]){ 0, 10, 20 });
		for (uint64_t step = 0; step < 4; step++) {
			assert_true(b.codes[2] == 20);
			take_step(&b, step);
		}
		assert_true(is_latent(b.codes[2]) && b.average[2] == b.codes[2]);
		if (!o.averages)
			assert_true(b.codes[0] == 0 && b.codes[1] == 10);
		close_book(&b);
	}
}

static void codes_can_start_from_latents(void **state)
{
	struct ek_codebook_options o = options;
	float before[CODES];
	struct book b;

	o.from_data = 1;
	o.averages = 0;
	open_book(&b, &o, (const float[]){ 0.5F, 0.5F, 0.5F });
	take_step(&b, 0);
	for (int k = 0; k < CODES; k++)
		assert_true(is_latent(b.codes[k]));
	memcpy(before, b.codes, sizeof before);
	take_step(&b, 1);
	assert_memory_equal(b.codes, before, sizeof before);
	close_book(&b);
}

/* Each slice has its place, by its turn. Nearest to 0, 10 and 20 are three and three. */
static void a_network_notes_its_slices(void **state)
{
	struct ek_net_quantise q = { .codebook = 1, .commitment = 1 };
	struct ek_net_state *s;
	struct ek_net *net;
	struct book b;
	int z, loss, codes;

	open_book(&b, &options, (const float[]){ 0, 10, 20 });
	q.follows = b.c;
	assert_ok(ek_net_new(&net, &b.params, EK_NN_F32, 1));
	assert_ok(z = ek_net_input_with_gradient(net, (struct ek_net_shape){ 1, 3, 1 }));
	assert_ok(ek_net_quantise(net, z, &q, &loss, &codes));
	assert_ok(ek_net_output(net, loss));
	assert_ok(ek_net_finish(net, EK_NET_TRAIN));
	assert_ok(ek_net_load_from(net, b.store, EK_VALUES));
	assert_ok(ek_net_state_new(&s, net));
	for (int slice = 0; slice < 2; slice++) {
		memcpy(ek_net_stage(s, z), latents + 3 * slice, 3 * sizeof *latents);
		assert_ok(ek_net_forward(s));
		ek_net_write_gradient(s, loss, (const float[]){ 1 });
		assert_ok(ek_net_backward(s, b.store, (uint64_t)slice));
	}
	assert_ok(ek_codebook_step(b.c, b.store, 0));
	ek_store_read(b.store, EK_VALUES, CODES, CODES, b.codes);
	/* Even use is 2. Code 0: use (2 + 3) / 2, total (0 + 6) / 2; code 1: (2 + 3) / 2, (20 + 36) / 2. */
	assert_close(b.codes[0], 3 / 2.5, TOLERANCE);
	assert_close(b.codes[1], 28 / 2.5, 10 * TOLERANCE);
	assert_close(b.codes[2], 20, 0);
	assert_close(ek_codebook_perplexity(b.c), 2, TOLERANCE);
	ek_net_state_free(s);
	ek_net_free(net);
	close_book(&b);
}

/* A checkpoint's state in another codebook, with its codes, goes on the same. */
static void the_state_is_all_there_is(void **state)
{
	float saved[2][STATE];
	struct book b[2];

	open_book(&b[0], &options, (const float[]){ 0, 10, 20 });
	take_step(&b[0], 0);
	assert_int_equal(ek_codebook_state_count(b[0].c), STATE);
	ek_codebook_read(b[0].c, saved[0]);
	open_book(&b[1], &options, b[0].codes);
	ek_codebook_write(b[1].c, saved[0]);
	assert_true(ek_codebook_perplexity(b[0].c) == ek_codebook_perplexity(b[1].c));
	for (int i = 0; i < 2; i++) {
		take_step(&b[i], 1);
		ek_codebook_read(b[i].c, saved[i]);
	}
	assert_memory_equal(b[0].codes, b[1].codes, sizeof b[0].codes);
	assert_memory_equal(saved[0], saved[1], sizeof saved[0]);
	for (int i = 0; i < 2; i++)
		close_book(&b[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_are_averages_of_their_latents), cmocka_unit_test(unused_codes_start_again),
		cmocka_unit_test(codes_can_start_from_latents),        cmocka_unit_test(a_network_notes_its_slices),
		cmocka_unit_test(the_state_is_all_there_is),
	};
	const struct ek_device *gpu;
	int failed = cmocka_run_group_tests_name("CPU", tests, NULL, NULL);

	ek_device_set(fake_device());
	failed += cmocka_run_group_tests_name("fake device", tests, NULL, NULL);
	if (ek_cuda_choose(&gpu, 0) == 0) {
		ek_device_set(gpu);
		failed += cmocka_run_group_tests_name("GPU", tests, NULL, NULL);
	}
	return failed;
}
