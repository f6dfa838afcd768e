#include "analysis/skew/inequality.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

const char *const ek_inequality_names[EK_INEQUALITY_MEASURES] = {
	"gini",
	"gini_normalised",
	"normalised_entropy",
	"kl_to_uniform",
	"d0",
	"d1",
	"d2",
	"dinf",
	"imbalance_ratio",
	"top_share",
	"cv",
	"chi_square",
	"effect_size",
	"tail_count",
	"tail_share",
};

__extension__ typedef unsigned __int128 wide;

static uint64_t sum_of(const uint64_t *sizes, size_t k)
{
	uint64_t n = 0;

	for (size_t i = 0; i < k; i++)
		n += sizes[i];
	return n;
}

size_t ek_top_units(size_t k)
{
	return k < 10 ? 1 : k / 10;
}

int ek_in_tail(uint64_t size, uint64_t n, size_t k)
{
	return (wide)size * k * 2 < n;
}

int ek_datalab_flag(const uint64_t *sizes, size_t k)
{
	uint64_t smallest = UINT64_MAX;

	for (size_t i = 0; i < k; i++)
		smallest = sizes[i] < smallest ? sizes[i] : smallest;
	return (wide)smallest * k * 10 < sum_of(sizes, k);
}

/* `n_` are the sizes in ascending order, the first `empty` of them 0. */
static void measure_ranked(double *value, const double *n_, size_t k, size_t empty)
{
	const double units = (double)k;
	double n = 0, ranked = 0, entropy = 0, squares = 0, excess = 0, divergence = 0, top = 0, tail = 0;
	size_t tail_count = 0;

	for (size_t i = 0; i < k; i++)
		n += n_[i];
	for (size_t i = 0; i < k; i++) {
		const double size = n_[i], p = size / n, beyond = p * units - 1;

		ranked += (2 * (double)(i + 1) - units - 1) * size;
		squares += p * p;
		excess += beyond * beyond;
		if (n_[i] > 0) {
			entropy -= p * log(p);
			divergence += p * log(p * units);
		}
		if (2 * units * size < n) {
			tail_count++;
			tail += size;
		}
	}
	for (size_t i = k - ek_top_units(k); i < k; i++)
		top += n_[i];

	value[EK_GINI] = ranked / (units * n);
	value[EK_GINI_NORMALISED] = k > 1 ? ranked / ((units - 1) * n) : 0;
	value[EK_NORMALISED_ENTROPY] = k > 1 ? fmin(entropy / log(units), 1) : 1;
	value[EK_KL_TO_UNIFORM] = fmax(divergence, 0);
	value[EK_HILL_0] = (double)(k - empty);
	value[EK_HILL_1] = exp(entropy);
	value[EK_HILL_2] = 1 / squares;
	value[EK_HILL_INFINITY] = n / n_[k - 1];
	value[EK_IMBALANCE_RATIO] = n_[k - 1] / n_[empty];
	value[EK_TOP_SHARE] = top / n;
	value[EK_CV] = value[EK_EFFECT_SIZE] = sqrt(excess / units);
	value[EK_CHI_SQUARE] = n * (excess / units);
	value[EK_TAIL_COUNT] = (double)tail_count;
	value[EK_TAIL_SHARE] = tail / n;
}

int ek_inequality_expected(struct ek_inequality *out, double *sizes, size_t k)
{
	size_t empty = 0;

	assert(k > 0);
	qsort(sizes, k, sizeof *sizes, ek_compare_doubles);
	while (empty < k && sizes[empty] == 0)
		empty++;
	if (empty == k)
		return ek_fail(EK_EDATA, "all %zu units are empty", k);
	measure_ranked(out->value, sizes, k, empty);
	return 0;
}

int ek_inequality_measure(struct ek_inequality *out, const uint64_t *sizes, size_t k)
{
	double *copy = NULL;
	int rc;

	assert(k > 0);
	EK_TRY(ek_alloc(&copy, k, sizeof *copy));
	for (size_t i = 0; i < k; i++)
		copy[i] = (double)sizes[i];
	EK_TRY(ek_inequality_expected(out, copy, k));
out:
	free(copy);
	return rc;
}
