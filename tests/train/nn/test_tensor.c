#include "tests/support/support.h"
#include "train/nn/bf16.h"
#include "train/nn/device.h"

static float from_bits(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof x);
	return x;
}

/* IEEE rounding to the upper 16 bits, ties to even: by hand. */
static const struct {
	uint32_t in;
	ek_bf16 want;
} roundings[] = {
	{ 0x3f800000, 0x3f80 }, { 0x3f807fff, 0x3f80 }, { 0x3f808000, 0x3f80 }, /* tie to even, down */
	{ 0x3f818000, 0x3f82 },                                                 /* tie to even, up */
	{ 0x3f808001, 0x3f81 }, { 0x80000000, 0x8000 }, { 0x7f7fffff, 0x7f80 }, /* above the largest: infinity */
	{ 0x7f800000, 0x7f80 }, { 0xff800000, 0xff80 }, { 0x7f800001, 0x7fc0 }, /* NaN stays NaN */
	{ 0xffc00000, 0xffc0 }, { 0x00000001, 0x0000 }, { 0x00018000, 0x0002 }, /* subnormal */
};

enum { ROUNDINGS = sizeof roundings / sizeof *roundings };

static void rounding_is_to_nearest_even(void **state)
{
	float in[ROUNDINGS], back[ROUNDINGS];
	ek_bf16 got[ROUNDINGS];

	for (size_t i = 0; i < ROUNDINGS; i++)
		in[i] = from_bits(roundings[i].in);
	ek_bf16_from_float(got, in, ROUNDINGS);
	ek_bf16_to_float(back, got, ROUNDINGS);
	for (size_t i = 0; i < ROUNDINGS; i++) {
		const uint32_t wide = (uint32_t)roundings[i].want << 16;

		print_message("%08x\n", (unsigned)roundings[i].in);
		assert_int_equal(got[i], roundings[i].want);
		assert_memory_equal(&back[i], &wide, sizeof wide);
	}
}

static void sizes_and_precisions_agree(void **state)
{
	assert_int_equal(ek_nn_type_size(EK_NN_FLOAT32), 4);
	assert_int_equal(ek_nn_type_size(EK_NN_BFLOAT16), 2);
	assert_int_equal(ek_nn_precision_type(EK_NN_F32), EK_NN_FLOAT32);
	assert_int_equal(ek_nn_precision_type(EK_NN_BF16), EK_NN_BFLOAT16);
	assert_int_equal(ek_nn_precision_type(EK_NN_AUTO), ek_nn_cpu_has_bf16() ? EK_NN_BFLOAT16 : EK_NN_FLOAT32);
}

EK_TEST_MAIN(cmocka_unit_test(rounding_is_to_nearest_even), cmocka_unit_test(sizes_and_precisions_agree))
