#include "tests/support/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/analysis/embed/random_weights.h"

enum { PROBES = 4, FIRST = 4 };

static double number(const cJSON *object, const char *name)
{
	return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, name)); /* NaN if there is none */
}

double ek_digest_deviation(const cJSON *golden, const char *type)
{
	return number(golden, type);
}

static size_t elements(const cJSON *shape)
{
	const cJSON *dimension;
	size_t count = 1;

	cJSON_ArrayForEach(dimension, shape)
	{
		count *= (size_t)dimension->valuedouble;
	}
	return count;
}

static void further(double *distance, double difference, double bound)
{
	const double d = fabs(difference) / bound;

	if (!(d <= *distance))
		*distance = isnan(d) ? (double)INFINITY : d;
}

static double dot(const float *a, const float *b, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

double ek_digest_distance(const cJSON *golden, const float *x, size_t count, double tolerance)
{
	const double norm = number(golden, "norm"), bound = tolerance * (norm > 0 ? norm : 1);
	const cJSON *probes = cJSON_GetObjectItemCaseSensitive(golden, "probe");
	const cJSON *first = cJSON_GetObjectItemCaseSensitive(golden, "first");
	double distance = 0;
	float *u;

	if (count == 0 || elements(cJSON_GetObjectItemCaseSensitive(golden, "shape")) != count ||
	    cJSON_GetArraySize(probes) != PROBES)
		return (double)INFINITY;
	further(&distance, sqrt(dot(x, x, count)) - norm, bound);
	u = malloc(count * sizeof *u);
	assert_non_null(u);
	for (int k = 0; k < PROBES; k++) {
		char name[16];

		(void)snprintf(name, sizeof name, "probe %d", k);
		ek_random_units(u, name, count);
		further(&distance, dot(x, u, count) - cJSON_GetArrayItem(probes, k)->valuedouble, 3 * bound);
	}
	for (int i = 0; i < cJSON_GetArraySize(first); i++)
		further(&distance, (double)x[i] - cJSON_GetArrayItem(first, i)->valuedouble, bound);
	free(u);
	return distance;
}

float *ek_digest_input(const cJSON *golden, const char *array, size_t *count)
{
	const cJSON *input;

	cJSON_ArrayForEach(input, cJSON_GetObjectItemCaseSensitive(golden, "inputs"))
	{
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(input, "name");
		const float scale = (float)number(input, "scale"), offset = (float)number(input, "offset");
		float *out;

		if (strcmp(cJSON_GetObjectItemCaseSensitive(input, "array")->valuestring, array) != 0)
			continue;
		*count = elements(cJSON_GetObjectItemCaseSensitive(input, "shape"));
		out = malloc(*count * sizeof *out);
		assert_non_null(out);
		ek_random_units(out, name->valuestring, *count);
		for (size_t i = 0; i < *count; i++)
			out[i] = offset + scale * out[i];
		return out;
	}
	fail_msg("no input %s", array);
	return NULL;
}
