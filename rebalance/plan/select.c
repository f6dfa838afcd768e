#include "rebalance/plan/select.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

const char *const ek_decision_reasons[EK_DECISION_COUNT] = { "removed by the rule", "kept", "held out for evaluation",
	                                                     "no value to be counted by" };

static uint64_t skip_of(uint64_t size, uint64_t take, double keep)
{
	const uint64_t skip = keep > 0 ? (uint64_t)((1 - keep) / 2 * (double)size) : (size - take) / 2;

	return skip < size - take ? skip : size - take;
}

static int take_unit(struct ek_selection *s, uint32_t unit, uint64_t quota, int middle, double keep)
{
	const uint64_t size = s->units.sizes[unit];
	struct ek_take *take = &s->takes[unit];

	if (size == 0)
		return 0;
	if (quota / size > UINT32_MAX - 1)
		return ek_fail(EK_EUSAGE, "an image cannot be repeated %llu times", (unsigned long long)(quota / size));
	take->whole = (uint32_t)(quota / size);
	take->rest = (uint32_t)(quota % size);
	take->skip = middle ? (uint32_t)skip_of(size, take->rest, keep) : 0;
	s->kept += quota;
	s->distinct += quota < size ? quota : size;
	if (take->whole + (uint64_t)(take->rest > 0) > s->largest_repeat)
		s->largest_repeat = take->whole + (uint64_t)(take->rest > 0);
	return 0;
}

int ek_select(struct ek_selection *out, struct ek_units *units, uint32_t **keys, const uint64_t *quota, int middle,
              double keep)
{
	int rc;

	*out = (struct ek_selection){ .n = units->n, .units = *units, .rank = *keys };
	*units = (struct ek_units){ 0 };
	*keys = NULL;
	EK_TRY(ek_rank(out->rank, &out->units));
	EK_TRY(ek_alloc(&out->takes, out->units.k, sizeof *out->takes));
	for (uint32_t u = 0; u < out->units.k; u++)
		EK_TRY(take_unit(out, u, quota[u], middle, keep));
	out->counts[EK_DECISION_KEPT] = out->distinct;
	out->counts[EK_DECISION_REMOVED] = out->units.total - out->distinct;
	out->counts[EK_DECISION_HELD_OUT] = out->units.held_out;
	out->counts[EK_DECISION_NO_VALUE] = out->n - out->units.total - out->units.held_out;
out:
	return rc;
}

void ek_selection_release(struct ek_selection *s)
{
	ek_units_release(&s->units);
	free(s->takes);
	free(s->rank);
	*s = (struct ek_selection){ 0 };
}
