/* Every architecture, in its smallest size; the larger ones are in test_encoders_large.c. */

#include "rebalance/base/file.h"
#include "tests/analysis/embed/encoder_cases.h"
#include "tests/support/support.h"
#include "tests/train/nn/fake_device.h"
#include "tests/train/nn/on_device.h"

static void efficientnet(void **state)
{
	ek_check_encoder("efficientnet-lite0");
}

static void inception(void **state)
{
	ek_check_encoder("inception-fid");
}

static void clip(void **state)
{
	ek_check_encoder("clip-vit-b32");
}

static void dinov2(void **state)
{
	ek_check_encoder("dinov2-vits14");
}

static void dinov2_with_registers(void **state)
{
	ek_check_encoder("dinov2-vits14-reg");
}

static void clip_by_openais_names(void **state)
{
	ek_check_encoder("clip-vit-b32 openai");
}

static void clip_of_open_clip(void **state)
{
	ek_check_encoder("clip-vit-b32 open_clip");
}

static void dinov2_by_facebookresearchs_names(void **state)
{
	ek_check_encoder("dinov2-vits14 facebook");
}

static void dinov2_by_timms_names(void **state)
{
	ek_check_encoder("dinov2-vits14 timm");
	ek_check_encoder("dinov2-vits14-reg timm");
}

/* The file that quickstart fetches, or the one named by EVENKEEL_TEST_WEIGHTS. */
static void efficientnet_with_the_published_weights(void **state)
{
	const char *given = getenv("EVENKEEL_TEST_WEIGHTS"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *path = NULL;

	if (given != NULL)
		assert_ok(ek_copy_string(&path, given));
	else
		assert_ok(ek_format(&path, "%s%s/evenkeel/efficientnet-lite0-57934424.pth",
		                    cache != NULL ? cache : home, cache != NULL ? "" : "/.cache"));
	if (!ek_file_exists(path)) {
		print_message("skipped: %s is not there\n", path);
		free(path);
		skip();
	}
	ek_check_encoder_with("efficientnet-lite0", "real", path);
	free(path);
}

/* Where the host has no way into the memory that the networks compute in. */
static void embedding_stays_on_the_device(void **state)
{
	const struct ek_device *before = ek_device();

	ek_device_set(fake_device());
	ek_check_encoder("efficientnet-lite0");
	ek_device_set(before);
}

int main(int argc, char **argv)
{
	const int left = on_device(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(embedding_stays_on_the_device),
		cmocka_unit_test(efficientnet),
		cmocka_unit_test(efficientnet_with_the_published_weights),
		cmocka_unit_test(inception),
		cmocka_unit_test(clip),
		cmocka_unit_test(dinov2),
		cmocka_unit_test(dinov2_with_registers),
		cmocka_unit_test(clip_by_openais_names),
		cmocka_unit_test(clip_of_open_clip),
		cmocka_unit_test(dinov2_by_facebookresearchs_names),
		cmocka_unit_test(dinov2_by_timms_names),
	};

	return left != 0 ? left : cmocka_run_group_tests(tests, NULL, NULL);
}
