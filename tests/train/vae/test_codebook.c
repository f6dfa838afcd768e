/* How codes follow latents, worked out by hand. */
#include "tests/support/support.h"

#include <string.h>

#include "train/vae/codebook.h"

/* Two slices of three latents of one number; three codes. */
static const struct ek_codebook_options options = {
	.codes = 3, .width = 1, .slices = 2, .rows = 3, .decay = 0.5, .averages = 1
};
static const float latents[2][3] = { { 1, 2, 3 }, { 10, 12, 14 } };
static const int32_t nearest[2][3] = { { 0, 0, 0 }, { 0, 1, 1 } };

/* float32 of numbers of this size, after a few operations. */
#define TOLERANCE 1e-6

static void note(struct ek_codebook *c)
{
	ek_codebook_note(c, 1, latents[1], nearest[1]); /* in any order */
	ek_codebook_note(c, 0, latents[0], nearest[0]);
}

static void codes_are_averages_of_their_latents(void **state)
{
	float codes[3] = { 0, 10, 20 }, average[3] = { 5, 5, 5 };
	struct ek_codebook c;

	(void)state;
	assert_ok(ek_codebook_init(&c, &options));
	note(&c);
	ek_codebook_step(&c, 0, codes, average);
	/* Even use is 2. Code 0: use (2 + 4) / 2, total (0 + 16) / 2; code 1: (2 + 2) / 2, (20 + 26) / 2. */
	assert_close(codes[0], 8.0 / 3, TOLERANCE);
	assert_close(codes[1], 23.0 / 2, TOLERANCE);
	assert_close(codes[2], 20, 0);
	assert_memory_equal(codes, average, sizeof codes);
	note(&c);
	ek_codebook_step(&c, 1, codes, NULL);
	/* (3 + 4) / 2 and (8 + 16) / 2; (2 + 2) / 2 and (23 + 26) / 2. */
	assert_close(codes[0], 12 / 3.5, TOLERANCE);
	assert_close(codes[1], 24.5 / 2, TOLERANCE);
	assert_close(codes[2], 20, 0);
	/* Shares 4/6 and 2/6. */
	assert_close(ek_codebook_perplexity(&c), exp(-(2.0 / 3) * log(2.0 / 3) - (1.0 / 3) * log(1.0 / 3)), TOLERANCE);
	assert_close(ek_codebook_used(&c), 2.0 / 3, TOLERANCE);
	ek_codebook_release(&c);
}

static int is_latent(float x)
{
	for (int i = 0; i < 6; i++)
		if (latents[i / 3][i % 3] == x)
			return 1;
	return 0;
}

/* The use of code 2 halves each step; below a tenth of even use, after 4 steps, it becomes a latent. */
static void unused_codes_start_again(void **state)
{
	struct ek_codebook_options o = options;
	float codes[3] = { 0, 10, 20 }, average[3] = { 0, 10, 20 };
	struct ek_codebook c;

	(void)state;
	o.revive = 0.1;
	for (o.averages = 0; o.averages < 2; o.averages++) {
		codes[2] = average[2] = 20;
		assert_ok(ek_codebook_init(&c, &o));
		for (uint64_t step = 0; step < 4; step++) {
			assert_true(codes[2] == 20);
			note(&c);
			ek_codebook_step(&c, step, codes, average);
		}
		assert_true(is_latent(codes[2]) && average[2] == codes[2]);
		if (!o.averages)
			assert_true(codes[0] == 0 && codes[1] == 10);
		ek_codebook_release(&c);
	}
}

static void codes_can_start_from_latents(void **state)
{
	struct ek_codebook_options o = options;
	float codes[3] = { 0.5F, 0.5F, 0.5F }, before[3];
	struct ek_codebook c;

	(void)state;
	o.from_data = 1;
	o.averages = 0;
	assert_ok(ek_codebook_init(&c, &o));
	note(&c);
	ek_codebook_step(&c, 0, codes, NULL);
	for (int k = 0; k < 3; k++)
		assert_true(is_latent(codes[k]));
	memcpy(before, codes, sizeof codes);
	note(&c);
	ek_codebook_step(&c, 1, codes, NULL);
	assert_memory_equal(codes, before, sizeof codes);
	ek_codebook_release(&c);
}

/* A checkpoint's state in another codebook goes on the same. */
static void the_state_is_all_there_is(void **state)
{
	float codes[2][3] = { { 0, 10, 20 } };
	struct ek_codebook c[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_ok(ek_codebook_init(&c[i], &options));
	note(&c[0]);
	ek_codebook_step(&c[0], 0, codes[0], NULL);
	memcpy(codes[1], codes[0], sizeof codes[0]);
	memcpy(c[1].state, c[0].state, c[0].state_count * sizeof(float));
	for (int i = 0; i < 2; i++) {
		note(&c[i]);
		ek_codebook_step(&c[i], 1, codes[i], NULL);
	}
	assert_memory_equal(codes[0], codes[1], sizeof codes[0]);
	assert_memory_equal(c[0].state, c[1].state, c[0].state_count * sizeof(float));
	for (int i = 0; i < 2; i++)
		ek_codebook_release(&c[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_are_averages_of_their_latents),
		cmocka_unit_test(unused_codes_start_again),
		cmocka_unit_test(codes_can_start_from_latents),
		cmocka_unit_test(the_state_is_all_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
