#include "tests/support/golden.h"

#include <stdlib.h>

#include "rebalance/base/memory.h"
#include "tests/analysis/embed/random_weights.h"
#include "train/nn/net_internal.h"

double golden_number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsNumber(item))
		fail_msg("no number %s", name);
	return item->valuedouble;
}

const char *golden_text(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsString(item))
		fail_msg("no text %s", name);
	return item->valuestring;
}

float *golden_values(const struct ek_params *params)
{
	float *values;

	assert_ok(ek_alloc_aligned(&values, params->size, sizeof *values));
	ek_params_initialise(params, 0, values); /* for pos_embed, which is fixed */
	for (int i = 0; i < params->count; i++) {
		const struct ek_param *p = &params->items[i];
		uint64_t shape[EK_PARAM_MAX_RANK];

		for (int j = 0; j < p->rank; j++)
			shape[j] = (uint64_t)p->dims[j];
		if (!p->frozen)
			ek_random_tensor(values + p->offset, p->name, shape, p->rank);
	}
	return values;
}

void golden_check_shapes(const struct ek_params *params, const cJSON *tensors)
{
	assert_int_equal(params->count, cJSON_GetArraySize(tensors));
	for (int i = 0; i < params->count; i++) {
		const cJSON *shape = cJSON_GetObjectItemCaseSensitive(tensors, params->items[i].name);

		assert_non_null(shape);
		assert_int_equal(params->items[i].rank, cJSON_GetArraySize(shape));
		for (int j = 0; j < params->items[i].rank; j++)
			assert_int_equal(params->items[i].dims[j], cJSON_GetArrayItem(shape, j)->valueint);
	}
}

void golden_check(const cJSON *c, const char *name, const float *x, size_t count, const char *type, double least)
{
	const cJSON *digest = cJSON_GetObjectItemCaseSensitive(c, name);
	const double tolerance = GOLDEN_MARGIN * fmax(least, ek_digest_deviation(digest, type));
	const double distance = ek_digest_distance(digest, x, count, tolerance);

	print_message("  %-9s %.3g of %.3g\n", name, distance, tolerance);
	assert_true(distance <= 1);
}

void golden_check_value(const cJSON *c, const char *name, struct ek_net_state *s, int value, const char *type,
                        double least)
{
	const size_t count = (size_t)ek_net_batch(s->net) * ek_net_elements(s->net, value);
	float *x;

	assert_ok(ek_alloc(&x, count, sizeof *x));
	ek_net_read(s, value, x);
	golden_check(c, name, x, count, type, least);
	free(x);
}

float *golden_family(const struct ek_store *store, const struct ek_params *params, enum ek_family family)
{
	float *x;

	assert_ok(ek_alloc(&x, params->size, sizeof *x));
	ek_store_read(store, family, 0, params->size, x);
	return x;
}

int golden_check_gradients(const cJSON *c, const struct ek_params *params, const struct ek_store *store,
                           const char *type, double least)
{
	float *gradients = golden_family(store, params, EK_GRADIENTS);
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(c, "gradients"), *digest;
	double worst = 0, largest = 0;
	int count = 0;

	cJSON_ArrayForEach(digest, list)
	{
		largest = fmax(largest, golden_number(digest, "norm"));
	}
	cJSON_ArrayForEach(digest, list)
	{
		const struct ek_param *p = &params->items[ek_params_find(params, digest->string)];
		/* Some are 0 in theory: what is left of terms of the size of other gradients that cancel. */
		const double unit = golden_number(digest, "norm") > 0 ? 1 : largest;
		const double tolerance = GOLDEN_MARGIN * fmax(least * unit, ek_digest_deviation(digest, type));
		const double distance = ek_digest_distance(digest, gradients + p->offset, p->count, tolerance);

		if (!(distance <= worst)) {
			worst = distance;
			print_message("  %s %.3g of %.3g\n", digest->string, distance, tolerance);
		}
		assert_true(distance <= 1);
		count++;
	}
	free(gradients);
	return count;
}
