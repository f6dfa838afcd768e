#include "train/nn/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

enum { MAX_COUNT = 1 << 16 };

void ek_params_release(struct ek_params *params)
{
	for (int i = 0; i < params->count; i++)
		free(params->items[i].name);
	free(params->items);
	*params = (struct ek_params){ 0 };
}

int ek_params_find(const struct ek_params *params, const char *name)
{
	for (int i = 0; i < params->count; i++)
		if (strcmp(params->items[i].name, name) == 0)
			return i;
	return -1;
}

static int count_of(size_t *count, const char *name, int rank, const int64_t *dims)
{
	*count = 1;
	if (rank < 1 || rank > EK_PARAM_MAX_RANK)
		return ek_fail(EK_EUSAGE, "parameter %s has %d dimensions: must be 1 to %d", name, rank,
		               EK_PARAM_MAX_RANK);
	for (int i = 0; i < rank; i++)
		if (dims[i] < 1 || __builtin_mul_overflow(*count, (size_t)dims[i], count) || *count > SIZE_MAX / 64)
			return ek_fail(EK_EUSAGE, "parameter %s has a size out of range", name);
	return 0;
}

int ek_params_add(struct ek_params *params, const char *name, int rank, const int64_t *dims, struct ek_init init)
{
	struct ek_param p = { .rank = rank, .init = init, .offset = params->size };
	int rc;

	EK_TRY(count_of(&p.count, name, rank, dims));
	if (params->count == MAX_COUNT || ek_params_find(params, name) >= 0)
		return ek_fail(EK_EUSAGE, "parameter %s is there already, or is one too many", name);
	memcpy(p.dims, dims, (size_t)rank * sizeof *dims);
	p.frozen = init.kind == EK_INIT_POSITIONS;
	EK_TRY(ek_resize(&params->items, (size_t)params->count + 1, sizeof *params->items));
	EK_TRY(ek_copy_string(&p.name, name));
	params->items[params->count] = p;
	params->size += p.count;
	rc = params->count++;
out:
	return rc;
}

/* [tokens, features]: the first half of the features encodes the column, the second the row; each is sines, then
 * cosines, of index / 10000^(i / (features / 4)). */
static void fill_positions(const struct ek_param *p, float *values)
{
	const size_t features = (size_t)p->dims[p->rank - 1], tokens = p->count / features, quarter = features / 4;
	const size_t side = (size_t)lround(sqrt((double)tokens));

	memset(values, 0, p->count * sizeof *values);
	for (size_t t = 0; t < tokens; t++)
		for (size_t i = 0; i < 2 * quarter; i++) {
			const double rate = pow(10000, -(double)(i % quarter) / (double)quarter);
			const double angle = (double)(i < quarter ? t % side : t / side) * rate;
			float *sine = values + t * features + i / quarter * 2 * quarter + i % quarter;

			sine[0] = (float)sin(angle);
			sine[quarter] = (float)cos(angle);
		}
}

static double xavier(const struct ek_param *p)
{
	const double field = (double)p->count / (double)(p->dims[0] * p->dims[1]);

	return sqrt(6 / (field * (double)(p->dims[0] + p->dims[1])));
}

static void fill(const struct ek_param *p, uint64_t seed, float *values)
{
	const uint64_t stream = ek_random_stream(p->name);
	const double scale = p->init.scale;

	switch (p->init.kind) {
	case EK_INIT_CONSTANT:
		for (size_t i = 0; i < p->count; i++)
			values[i] = p->init.scale;
		break;
	case EK_INIT_NORMAL:
		for (size_t i = 0; i < p->count; i++)
			values[i] = (float)(scale * ek_random_normal(seed, stream, i));
		break;
	case EK_INIT_UNIFORM:
	case EK_INIT_XAVIER_UNIFORM: {
		const double width = p->init.kind == EK_INIT_UNIFORM ? scale : scale * xavier(p);

		for (size_t i = 0; i < p->count; i++)
			values[i] = (float)(width * (2 * ek_random_double(seed, stream, i) - 1));
		break;
	}
	case EK_INIT_POSITIONS:
		fill_positions(p, values);
		break;
	}
}

void ek_params_initialise(const struct ek_params *params, uint64_t seed, float *values)
{
	for (int i = 0; i < params->count; i++)
		fill(&params->items[i], seed, values + params->items[i].offset);
}
