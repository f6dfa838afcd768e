#include "tests/analysis/embed/random_weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/random.h"
#include "rebalance/io/safetensors.h"

enum { DIMENSIONS_MAX = 4, NAME_SIZE = 128 };

/* The upper 24 bits of SplitMix64's output function. */
static int32_t bits24(uint64_t stream, uint64_t i)
{
	uint64_t z = stream + (i + 1) * 0x9E3779B97F4A7C15u;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return (int32_t)((z ^ z >> 31) >> 40);
}

static int ends_with(const char *name, const char *end)
{
	const size_t length = strlen(name), size = strlen(end);

	return length >= size && strcmp(name + length - size, end) == 0;
}

static uint64_t product(const uint64_t *shape, int from, int to)
{
	uint64_t p = 1;

	for (int i = from; i < to; i++)
		p *= shape[i];
	return p;
}

static int is_token(const char *name)
{
	static const char *const ends[] = { "embedding",  "token",     "tokens",
		                            "embeddings", "pos_embed", "embedding.weight" };

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (ends_with(name, ends[i]))
			return strstr(name, "patch") == NULL;
	return 0;
}

static int contains(const char *name, const char *const *parts)
{
	for (; *parts != NULL; parts++)
		if (strstr(name, *parts) != NULL)
			return 1;
	return 0;
}

/* The middle and half width of a tensor's uniform distribution; 1 if its filters are brought to mean zero. */
static int distribution(float *offset, float *scale, const char *name, const uint64_t *shape, int dimensions)
{
	static const char *const attention[] = { ".query.", ".q_proj.", ".key.", ".k_proj.", NULL };
	static const char *const linear[] = { "layer", "projection", NULL };
	const uint64_t fan_in = product(shape, 1, dimensions);
	double gain;

	*offset = 0;
	*scale = 1;
	if (ends_with(name, "running_var")) {
		*offset = 1;
		*scale = 0.5f;
	} else if (ends_with(name, "lambda1") || ends_with(name, ".gamma")) {
		*offset = 0.5f;
		*scale = 0.25f;
	} else if (!is_token(name) && dimensions == 1) {
		*offset = ends_with(name, "weight") ? 1 : 0;
		*scale = 0.2f;
	} else if (!is_token(name)) {
		gain = contains(name, attention)       ? 1.5
		       : contains(name, linear)        ? 1.0
		       : strstr(name, "_conv") != NULL ? 1.2
		                                       : 1.5;
		*scale = (float)(gain * sqrt(3.0 / (double)fan_in));
		return fan_in > 8;
	}
	return 0;
}

static int64_t floor_mean(uint64_t stream, uint64_t first, uint64_t count)
{
	int64_t sum = 0, n = (int64_t)count;

	for (uint64_t i = first; i < first + count; i++)
		sum += bits24(stream, i) - (1 << 23);
	return sum / n - (sum % n < 0);
}

void ek_random_tensor(float *out, const char *name, const uint64_t *shape, int dimensions)
{
	const uint64_t stream = ek_random_stream(name), count = product(shape, 0, dimensions);
	const uint64_t fan_in = product(shape, 1, dimensions);
	float offset, scale;
	const int centred = distribution(&offset, &scale, name, shape, dimensions);
	int64_t mean = 0;

	for (uint64_t i = 0; i < count; i++) {
		if (centred && i % fan_in == 0)
			mean = floor_mean(stream, i, fan_in);
		out[i] = offset + scale * ((float)(bits24(stream, i) - (1 << 23) - mean) * 0x1p-23f);
	}
}

void ek_random_bits(int32_t *out, const char *name, size_t count)
{
	const uint64_t stream = ek_random_stream(name);

	for (size_t i = 0; i < count; i++)
		out[i] = bits24(stream, i);
}

void ek_random_units(float *out, const char *name, size_t count)
{
	const uint64_t stream = ek_random_stream(name);

	for (size_t i = 0; i < count; i++)
		out[i] = (float)(bits24(stream, i) - (1 << 23)) * 0x1p-23f;
}

static int shape_of(uint64_t *shape, const cJSON *list)
{
	const cJSON *item;
	int dimensions = 0;

	cJSON_ArrayForEach(item, list)
	{
		if (dimensions < DIMENSIONS_MAX)
			shape[dimensions++] = (uint64_t)item->valuedouble;
	}
	return dimensions;
}

/* The name with %d replaced by the layer; 0 if it is not repeated and this is not the first layer. */
static int name_in_layer(char name[NAME_SIZE], const char *text, int layer)
{
	const char *place = strstr(text, "%d");

	if (place != NULL)
		(void)snprintf(name, NAME_SIZE, "%.*s%d%s", (int)(place - text), text, layer, place + 2);
	else
		(void)snprintf(name, NAME_SIZE, "%s", text);
	return place != NULL || layer == 0;
}

/* All tensors of a network in order; entry i has its numbers from the entry `from[i]` of layer `layers[i]`, if any. */
struct list {
	struct ek_tensor_spec *specs;
	char **names; /* owned */
	const cJSON **from;
	int *layers;
	size_t count;
};

static int list_tensor(struct list *l, const cJSON *tensor, int layer)
{
	const cJSON *from = cJSON_GetObjectItemCaseSensitive(tensor, "from");
	const cJSON *shape = from != NULL ? cJSON_GetObjectItemCaseSensitive(tensor, "shape") : tensor;
	struct ek_tensor_spec *spec = &l->specs[l->count];
	char name[NAME_SIZE];
	int rc;

	if (!name_in_layer(name, tensor->string, layer))
		return 0;
	EK_TRY(ek_copy_string(&l->names[l->count], name));
	spec->name = l->names[l->count];
	spec->type = EK_F32;
	spec->dimensions = shape_of(spec->shape, shape);
	l->from[l->count] = from;
	l->layers[l->count++] = layer;
out:
	return rc;
}

static int list_network(struct list *l, const cJSON *network)
{
	const cJSON *tensors = cJSON_GetObjectItemCaseSensitive(network, "tensors"), *tensor;
	const int given = (int)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(network, "layers"));
	const int layers = given > 0 ? given : 1;
	const size_t most = (size_t)cJSON_GetArraySize(tensors) * (size_t)layers;
	int rc;

	EK_TRY(ek_alloc(&l->specs, most, sizeof *l->specs));
	EK_TRY(ek_alloc(&l->names, most, sizeof *l->names));
	EK_TRY(ek_alloc(&l->from, most, sizeof *l->from));
	EK_TRY(ek_alloc(&l->layers, most, sizeof *l->layers));
	for (int layer = 0; layer < layers; layer++)
		cJSON_ArrayForEach(tensor, tensors)
		{
			EK_TRY(list_tensor(l, tensor, layer));
		}
out:
	return rc;
}

static int write_numbers(struct ek_safetensors_writer *w, const char *name, const uint64_t *shape, int dimensions)
{
	const uint64_t count = product(shape, 0, dimensions);
	float *numbers = NULL;
	int rc;

	EK_TRY(ek_alloc(&numbers, count, sizeof *numbers));
	ek_random_tensor(numbers, name, shape, dimensions);
	EK_TRY(ek_safetensors_writer_append(w, numbers, count * sizeof *numbers));
out:
	free(numbers);
	return rc;
}

static int write_tensor(struct ek_safetensors_writer *w, const struct ek_tensor_spec *spec, const cJSON *from,
                        int layer)
{
	const cJSON *part;
	uint64_t shape[DIMENSIONS_MAX];
	char name[NAME_SIZE];
	int rc = 0;

	if (from == NULL)
		return write_numbers(w, spec->name, spec->shape, spec->dimensions);
	memcpy(shape, spec->shape, sizeof shape);
	shape[0] /= (uint64_t)cJSON_GetArraySize(from);
	cJSON_ArrayForEach(part, from)
	{
		(void)name_in_layer(name, part->valuestring, layer);
		EK_TRY(write_numbers(w, name, shape, spec->dimensions));
	}
out:
	return rc;
}

int ek_random_weights_write(const char *path, const cJSON *network)
{
	struct ek_safetensors_writer *w = NULL;
	struct list l = { 0 };
	int rc;

	EK_TRY(list_network(&l, network));
	EK_TRY(ek_safetensors_writer_open(&w, path, l.specs, l.count, NULL));
	for (size_t i = 0; i < l.count; i++)
		EK_TRY(write_tensor(w, &l.specs[i], l.from[i], l.layers[i]));
	EK_TRY(ek_safetensors_writer_commit(w));
out:
	ek_safetensors_writer_free(w);
	for (size_t i = 0; i < l.count; i++)
		free(l.names[i]);
	free(l.names);
	free(l.specs);
	free(l.from);
	free(l.layers);
	return rc;
}

void ek_random_image(uint8_t *out, int number, int width, int height)
{
	enum { COLOURS = 4096, CHANNELS = 3 };
	static const int blocks[] = { 64, 24, 8, 40 };
	const int block = blocks[number % 4];
	char name[NAME_SIZE];
	uint64_t stream;

	(void)snprintf(name, sizeof name, "image %d", number);
	stream = ek_random_stream(name);
	for (int y = 0; y < height; y++)
		for (int x = 0; x < width; x++)
			for (int c = 0; c < CHANNELS; c++) {
				const int index = ((y / block) * 61 + x / block) * CHANNELS + c;
				const int gradient = (x * (number % 3 + 1) + y * (c + 1)) * 127 /
				                     (CHANNELS * width + CHANNELS * height);

				*out++ = (uint8_t)((bits24(stream, (uint64_t)(index % (CHANNELS * COLOURS))) & 127) +
				                   gradient);
			}
}
