#include "analysis/embed/encoder.h"
#include "tests/support/support.h"

static void side_follows_the_images(void **state)
{
	/* Expected: the rule of encoder.h, by hand. */
	static const struct {
		const char *encoder;
		int asked;
		uint32_t median;
		int side, resize;
	} cases[] = {
		{ "efficientnet-lite0", 0, 0, 224, 256 },
		{ "efficientnet-lite0", 0, 8, 96, 96 },
		{ "efficientnet-lite0", 0, 28, 128, 128 },
		{ "efficientnet-lite0", 0, 32, 128, 128 },
		{ "efficientnet-lite0", 0, 33, 160, 160 },
		{ "efficientnet-lite0", 0, 48, 192, 192 },
		{ "efficientnet-lite0", 0, 49, 224, 224 },
		{ "efficientnet-lite0", 0, 223, 224, 224 },
		{ "efficientnet-lite0", 0, 224, 224, 256 },
		{ "efficientnet-lite0", 96, 500, 96, 109 },
		{ "efficientnet-lite0", 224, 32, 224, 224 },
		{ "clip-vit-b32", 0, 32, 224, 224 },
		{ "dinov2-vits14", 0, 32, 224, 256 },
		{ "dinov2-vits14-reg", 266, 0, 266, 304 },
		{ "inception-fid", 0, 32, 299, 299 },
		{ "pixels", 0, 500, 16, 16 },
		{ "pixels", 32, 500, 32, 32 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct ek_encoder *e;
		struct ek_preprocessing p;

		print_message("%s asked %d median %u\n", cases[i].encoder, cases[i].asked, cases[i].median);
		assert_ok(ek_encoder_find(&e, cases[i].encoder));
		assert_ok(ek_encoder_preprocessing(&p, e, cases[i].asked, cases[i].median));
		assert_int_equal(p.side, cases[i].side);
		assert_int_equal(p.resize, cases[i].resize);
	}
}

static void impossible_choices_are_refused(void **state)
{
	const struct ek_encoder *e;
	struct ek_preprocessing p;

	assert_fails(ek_encoder_find(&e, "resnet50"), EK_EUSAGE,
	             "no encoder \"resnet50\"; there are efficientnet-lite0, clip");
	assert_ok(ek_encoder_find(&e, "dinov2-vits14"));
	assert_fails(ek_encoder_preprocessing(&p, e, 225, 0), EK_EUSAGE, "multiples of 14, not 225");
	assert_fails(ek_encoder_preprocessing(&p, e, 5000 * 14, 0), EK_EUSAGE,
	             "dinov2-vits14 takes input sides from 14 to");
	assert_fails(ek_encoder_preprocessing(&p, e, -14, 0), EK_EUSAGE, "not -14");
	assert_ok(ek_encoder_find(&e, "inception-fid"));
	assert_fails(ek_encoder_preprocessing(&p, e, 224, 0), EK_EUSAGE, "side 299 only, not 224");
}

static void rows_are_whole(void **state)
{
	struct ek_preprocessing p;

	for (const struct ek_encoder *e = ek_encoders; e->name != NULL; e++) {
		assert_true(strlen(e->summary) > 0);
		assert_ok(ek_encoder_preprocessing(&p, e, 0, 0));
		assert_int_equal(p.side, e->side);
		assert_true(p.resize >= p.side);
		assert_true(ek_encoder_dimensions(e, &p) > 0);
		for (int c = 0; c < 3; c++)
			assert_true(p.deviation[c] > 0);
	}
}

EK_TEST_MAIN(cmocka_unit_test(side_follows_the_images), cmocka_unit_test(impossible_choices_are_refused),
             cmocka_unit_test(rows_are_whole))
