#include "tests/analysis/embed/random_weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/random.h"

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
		gain = contains(name, attention) ? 1.5 : contains(name, linear) ? 1.0 : 1.5;
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

struct output {
	struct ek_buffer header;
	struct ek_atomic_file file;
	uint64_t offset;
	int describing; /* first the header is gathered, then the numbers are written */
};

static int put(struct output *o, const char *name, const uint64_t *shape, int dimensions)
{
	const uint64_t count = product(shape, 0, dimensions);
	float *numbers = NULL;
	int rc;

	if (!o->describing) {
		EK_TRY(ek_alloc(&numbers, count, sizeof *numbers));
		ek_random_tensor(numbers, name, shape, dimensions);
		EK_TRY(ek_atomic_write(&o->file, numbers, count * sizeof *numbers));
		goto out;
	}
	EK_TRY(ek_buffer_printf(&o->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", o->offset > 0 ? "," : "{",
	                        name));
	for (int i = 0; i < dimensions; i++)
		EK_TRY(ek_buffer_printf(&o->header, "%s%llu", i > 0 ? "," : "", (unsigned long long)shape[i]));
	EK_TRY(ek_buffer_printf(&o->header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)o->offset,
	                        (unsigned long long)(o->offset + count * sizeof *numbers)));
	o->offset += count * sizeof *numbers;
out:
	free(numbers);
	return rc;
}

static int put_all(struct output *o, const cJSON *network)
{
	const int layers = (int)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(network, "layers"));
	const cJSON *tensor;
	uint64_t shape[DIMENSIONS_MAX];
	char name[NAME_SIZE];
	int rc = 0;

	for (int layer = 0; layer == 0 || layer < layers; layer++)
		cJSON_ArrayForEach(tensor, cJSON_GetObjectItemCaseSensitive(network, "tensors"))
		{
			const int dimensions = shape_of(shape, tensor);

			if (name_in_layer(name, tensor->string, layer))
				EK_TRY(put(o, name, shape, dimensions));
		}
out:
	return rc;
}

int ek_random_weights_write(const char *path, const cJSON *network)
{
	struct output o = { .describing = 1 };
	uint64_t size;
	int rc;

	EK_TRY(put_all(&o, network));
	EK_TRY(ek_buffer_text(&o.header, "}"));
	size = o.header.size;
	EK_TRY(ek_atomic_open(&o.file, path));
	EK_TRY(ek_atomic_write(&o.file, &size, sizeof size));
	EK_TRY(ek_atomic_write(&o.file, o.header.data, o.header.size));
	o.describing = 0;
	EK_TRY(put_all(&o, network));
	EK_TRY(ek_atomic_commit(&o.file));
out:
	ek_atomic_discard(&o.file);
	ek_buffer_release(&o.header);
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
