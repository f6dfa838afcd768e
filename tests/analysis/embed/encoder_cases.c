#include "tests/analysis/embed/encoder_cases.h"

#include "analysis/embed/model.h"
#include "analysis/embed/preprocess.h"
#include "rebalance/base/file.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"
#include "train/nn/device.h"

enum { IMAGES = 3, BATCH = 2 };

static const struct {
	enum ek_nn_precision precision;
	const char *name;
	double least; /* cosine */
	/* Cosine after the mean over the images is taken away. Features of different images have cosines up to 0.984,
	 * so what tells them apart is at least sqrt(1 - 0.984) = 0.13 of their length, and an error of angle e becomes
	 * at most e / 0.13. */
	double least_centred;
} precisions[] = {
	/* Angles of 1e-4: 60 times what the rounding of float32 makes of some 50 layers in a row (1e-6.3 is measured, a
	 * few 2^-24 for each), and a hundredth of what another activation or other positions make. */
	{ EK_NN_F32, "float32", 1 - 5e-9, 1 - 3e-7 },
	/* The acceptance limit of features in bf16, acos 0.999. */
	{ EK_NN_BF16, "bfloat16", 0.999, 0.96 },
};

struct golden_case {
	const char *encoder;
	int side;
	size_t dimensions;
	const float *features; /* [IMAGES, dimensions] */
};

/* Images that are as large as the input: what is compared is the network. */
static void *make_images(const struct ek_preprocessing *p)
{
	const size_t pixels = (size_t)p->side * (size_t)p->side * 3, size = ek_preprocessed_size(p);
	struct ek_image image = { .width = (uint32_t)p->side, .height = (uint32_t)p->side };
	uint8_t *input = NULL;

	assert_ok(ek_alloc(&image.pixels, pixels, 1));
	assert_ok(ek_alloc_aligned(&input, IMAGES, size));
	for (int i = 0; i < IMAGES; i++) {
		ek_random_image(image.pixels, i, p->side, p->side);
		if (p->interpolation == EK_INTERPOLATION_TORCH)
			assert_ok(ek_preprocess(input + (size_t)i * size, &image, p));
		else
			memcpy(input + (size_t)i * size, image.pixels, pixels);
	}
	free(image.pixels);
	return input;
}

static void run_images(float *features, const struct ek_model *m, const uint8_t *input, size_t size, size_t dimensions)
{
	struct ek_model_state *state = NULL;

	assert_ok(ek_model_state_new(&state, m));
	for (int i = 0; i < IMAGES; i += BATCH)
		assert_ok(ek_model_run(m, state, input + (size_t)i * size, i + BATCH > IMAGES ? IMAGES - i : BATCH,
		                       features + (size_t)i * dimensions));
	ek_model_state_free(state);
}

static void centre(float *x, size_t dimensions)
{
	for (size_t j = 0; j < dimensions; j++) {
		double sum = 0;

		for (size_t i = 0; i < IMAGES; i++)
			sum += (double)x[i * dimensions + j];
		for (size_t i = 0; i < IMAGES; i++)
			x[i * dimensions + j] -= (float)(sum / IMAGES);
	}
}

static double least_cosine(const float *a, const float *b, size_t dimensions)
{
	double least = 1;

	for (size_t i = 0; i < IMAGES; i++) {
		const double c = ek_cosine(a + i * dimensions, b + i * dimensions, dimensions);

		if (!(c >= least))
			least = isnan(c) ? -1 : c;
	}
	return least;
}

static void check(const struct golden_case *c, const char *weights, size_t mode)
{
	const struct ek_encoder *encoder;
	struct ek_preprocessing p;
	struct ek_model *model = NULL;
	const size_t size = IMAGES * c->dimensions * sizeof(float);
	float *got = calloc(1, size), *want = malloc(size);
	uint8_t *input;
	double cosine, centred;

	assert_ok(ek_encoder_find(&encoder, c->encoder));
	assert_ok(ek_encoder_preprocessing(&p, encoder, c->side, 0));
	assert_int_equal(ek_encoder_dimensions(encoder, &p), c->dimensions);
	input = make_images(&p);
	assert_ok(ek_model_new(&model, encoder, &p, weights, precisions[mode].precision, BATCH));
	run_images(got, model, input, ek_preprocessed_size(&p), c->dimensions);
	memcpy(want, c->features, size);
	cosine = least_cosine(got, want, c->dimensions);
	centre(got, c->dimensions);
	centre(want, c->dimensions);
	centred = least_cosine(got, want, c->dimensions);
	print_message("%-20s side %3d %-8s cosine 1 - %.1e, centred 1 - %.1e\n", c->encoder, c->side,
	              precisions[mode].name, 1 - cosine, 1 - centred);
	assert_true(cosine >= precisions[mode].least);
	assert_true(centred >= precisions[mode].least_centred);
	ek_model_free(model);
	free(input);
	free(got);
	free(want);
}

static const char *text(const cJSON *object, const char *name)
{
	const char *value = NULL;

	assert_ok(ek_json_get_string(&value, object, name, "encoders.json"));
	return value;
}

static uint64_t number(const cJSON *object, const char *name)
{
	uint64_t value = 0;

	assert_ok(ek_json_get_u64(&value, object, name, "encoders.json"));
	return value;
}

/* What the case has in a config.json beside the weights, or none. */
static void write_config(const char *weights, const cJSON *item)
{
	const cJSON *hidden_act = cJSON_GetObjectItemCaseSensitive(item, "hidden_act");
	char *path = NULL;
	cJSON *config;

	assert_ok(ek_format(&path, "%.*sconfig.json", (int)(strrchr(weights, '/') - weights) + 1, weights));
	(void)remove(path);
	if (hidden_act != NULL) {
		config = cJSON_CreateObject();
		assert_non_null(cJSON_AddStringToObject(config, "hidden_act", hidden_act->valuestring));
		assert_ok(ek_json_save(config, path));
		cJSON_Delete(config);
	}
	free(path);
}

static const char *network_of(const cJSON *item)
{
	const cJSON *network = cJSON_GetObjectItemCaseSensitive(item, "network");

	return network != NULL ? network->valuestring : text(item, "encoder");
}

void ek_check_encoder_with(const char *network, const char *kind, const char *weights)
{
	cJSON *golden = ek_golden("encoders");
	const cJSON *item;
	struct ek_map features;
	int checked = 0;

	assert_int_equal(number(golden, "images"), IMAGES);
	assert_ok(ek_map_open(&features, "tests/golden/encoders.bin"));
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(golden, "cases"))
	{
		const struct golden_case c = {
			.encoder = text(item, "encoder"),
			.side = (int)number(item, "side"),
			.dimensions = number(item, "dimensions"),
			.features = (const float *)(const void *)features.data + number(item, "offset"),
		};

		if (strcmp(network_of(item), network) != 0 || strcmp(text(item, "weights"), kind) != 0)
			continue;
		write_config(weights, item);
		assert_true((number(item, "offset") + IMAGES * c.dimensions) * sizeof(float) <= features.size);
		for (size_t mode = 0; mode < sizeof precisions / sizeof *precisions; mode++)
			if ((precisions[mode].precision != EK_NN_BF16 || ek_device_has_bf16()) &&
			    !(EK_WATCHED && checked >= 2 && (c.side > 100 || mode > 0))) {
				check(&c, weights, mode);
				checked++;
			}
	}
	assert_true(checked > 0);
	ek_map_close(&features);
	cJSON_Delete(golden);
}

void ek_check_encoder(const char *network)
{
	cJSON *golden = ek_golden("encoders");
	const cJSON *networks = cJSON_GetObjectItemCaseSensitive(golden, "networks");
	const char *path = ek_join(ek_scratch(), "model.safetensors");

	assert_ok(ek_random_weights_write(path, cJSON_GetObjectItemCaseSensitive(networks, network)));
	ek_check_encoder_with(network, "random", path);
	(void)remove(path);
	cJSON_Delete(golden);
}
