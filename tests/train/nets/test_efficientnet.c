/* What is done to the weights of EfficientNet-Lite0 before they are rounded to bfloat16. */

#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"
#include "train/nets/efficientnet.h"
#include "train/nn/bf16.h"

enum { EXACT = 3 };

struct taken {
	struct ek_tensor_file file;
	struct ek_weights w;
	struct ek_efficientnet e;
};

static void take(struct taken *t, const char *path, int rounded)
{
	*t = (struct taken){ .e = { .stages = EK_EFFICIENTNET_STAGES, .exact = EXACT } };
	assert_ok(ek_tensor_file_open(&t->file, path));
	assert_ok(ek_weights_init(&t->w, &t->file));
	assert_ok(ek_efficientnet_take(&t->e, &t->w, rounded));
}

static void release(struct taken *t)
{
	ek_weights_release(&t->w);
	ek_tensor_file_close(&t->file);
}

static int load(void **state)
{
	static struct taken both[2]; /* as they are, rounded */
	const char *path = ek_join(ek_scratch(), "lite0.safetensors");
	cJSON *golden = ek_golden("encoders");
	const cJSON *networks = cJSON_GetObjectItemCaseSensitive(golden, "networks");

	assert_ok(ek_random_weights_write(path, cJSON_GetObjectItemCaseSensitive(networks, "efficientnet-lite0")));
	take(&both[0], path, 0);
	take(&both[1], path, 1);
	cJSON_Delete(golden);
	*state = both;
	return 0;
}

static int unload(void **state)
{
	struct taken *both = *state;

	release(&both[0]);
	release(&both[1]);
	return 0;
}

static double to_bf16(double x)
{
	float value = (float)x;
	ek_bf16 rounded;

	ek_bf16_from_float(&rounded, &value, 1);
	ek_bf16_to_float(&value, &rounded, 1);
	return (double)value;
}

/* The stem and the first blocks. */
static int is_exact(const char *name)
{
	return strncmp(name, "_conv_stem", 10) == 0 || strncmp(name, "_blocks.0.", 10) == 0 ||
	       strncmp(name, "_blocks.1.", 10) == 0 || strncmp(name, "_blocks.2.", 10) == 0;
}

static void exact_blocks_are_left_alone(void **state)
{
	const struct taken *both = *state;
	int kept = 0, changed = 0;

	for (int i = 0; i < both[0].w.params.count; i++) {
		const struct ek_param *p = &both[0].w.params.items[i];
		const int same = memcmp(ek_weights_values(&both[0].w, i), ek_weights_values(&both[1].w, i),
		                        p->count * sizeof(float)) == 0;

		kept += same && is_exact(p->name);
		changed += !same && !is_exact(p->name);
		if (is_exact(p->name))
			assert_true(same);
	}
	assert_int_equal(kept, 2 * (1 + 2 + 3 + 3));
	assert_true(changed > 0);
}

/* Rounded each on its own, nine weights' errors would add up; so the sum is off by the last one's alone. */
static void the_sum_of_a_depthwise_filter_stays(void **state)
{
	const struct taken *both = *state;
	double off = 0, off_alone = 0;
	int filters = 0;

	for (int i = 0; i < both[0].w.params.count; i++) {
		const struct ek_param *p = &both[0].w.params.items[i];
		const float *exact = ek_weights_values(&both[0].w, i), *rounded = ek_weights_values(&both[1].w, i);
		const size_t window = (size_t)(p->dims[2] * p->dims[3]);

		if (strstr(p->name, "_depthwise_conv.weight") == NULL || is_exact(p->name))
			continue;
		for (size_t o = 0; o < (size_t)p->dims[0]; o++, filters++) {
			double sum = 0, alone = 0;

			for (size_t j = o * window; j < (o + 1) * window; j++) {
				assert_true(to_bf16((double)rounded[j]) == (double)rounded[j]);
				sum += (double)rounded[j] - (double)exact[j];
				alone += to_bf16((double)exact[j]) - (double)exact[j];
			}
			off += fabs(sum);
			off_alone += fabs(alone);
		}
	}
	assert_true(filters > 5000);
	assert_true(off * 5 < off_alone);
}

/* The input of block 3 is what block 2 gives, of mean beta as its last norm has it, and the input of that, which is
 * added, has block 1's. */
static void the_bias_makes_up_for_rounded_weights(void **state)
{
	enum { INPUTS = 24 };
	struct taken *both = *state;
	const int weight = ek_params_find(&both[1].w.params, "_blocks.3._expand_conv.weight");
	const size_t outputs = (size_t)both[1].w.params.items[weight].dims[0];
	const float *w = ek_weights_values(&both[1].w, weight), *got = ek_weights_values(&both[1].w, weight + 1);
	const float *before = ek_weights_values(&both[0].w, weight + 1);
	float *beta[2];

	assert_ok(ek_weights_read(&beta[0], &both[1].w, "_blocks.1._bn2.bias", EK_SHAPE(INPUTS)));
	assert_ok(ek_weights_read(&beta[1], &both[1].w, "_blocks.2._bn2.bias", EK_SHAPE(INPUTS)));
	for (size_t o = 0; o < outputs; o++) {
		double want = (double)before[o];

		for (size_t i = 0; i < INPUTS; i++)
			want += ((double)w[o * INPUTS + i] - to_bf16((double)w[o * INPUTS + i])) *
			        ((double)beta[0][i] + (double)beta[1][i]);
		/* The sum of means and the bias are rounded to float32; what is added is below 2^-8 of sums of this. */
		assert_true(fabs((double)got[o] - want) <= 0x1p-22 * (fabs(want) + 1));
	}
	assert_true(memcmp(got, before, outputs * sizeof *got) != 0);
	free(beta[0]);
	free(beta[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_blocks_are_left_alone),
		cmocka_unit_test(the_sum_of_a_depthwise_filter_stays),
		cmocka_unit_test(the_bias_makes_up_for_rounded_weights),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
