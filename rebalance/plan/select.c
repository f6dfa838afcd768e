#include "rebalance/plan/select.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

const char *const ek_decision_reasons[EK_DECISION_COUNT] = { "removed by the rule", "kept", "held out for evaluation",
	                                                     "no value to be counted by" };

static uint64_t skip_of(uint64_t size, uint64_t take, double keep)
{
	const uint64_t skip = keep > 0 ? (uint64_t)((1 - keep) / 2 * (double)size) : (size - take) / 2;

	return skip < size - take ? skip : size - take;
}

static void decide_unit(struct ek_selection *s, uint32_t *copies, const uint32_t *ids, uint64_t size, uint64_t quota,
                        uint64_t skip)
{
	const uint64_t whole = size > 0 ? quota / size : 0, rest = size > 0 ? quota % size : 0;

	for (uint64_t r = 0; r < size; r++) {
		const uint32_t id = ids[r];
		const uint64_t times = whole + (r >= skip && r - skip < rest);

		s->rank[id] = (uint32_t)r;
		copies[id] = (uint32_t)times;
		s->decision[id] = times > 0 ? EK_DECISION_KEPT : EK_DECISION_REMOVED;
		s->kept += times;
		s->largest_repeat = times > s->largest_repeat ? times : s->largest_repeat;
	}
}

static int list_kept(struct ek_selection *s, const uint32_t *copies)
{
	uint64_t at = 0;
	int rc;

	EK_TRY(ek_alloc_aligned(&s->keep, s->kept, sizeof *s->keep));
	for (uint64_t i = 0; i < s->n; i++) {
		for (uint32_t c = 0; c < copies[i]; c++)
			s->keep[at++] = (int64_t)i;
		s->distinct += copies[i] > 0;
		s->counts[s->decision[i]]++;
	}
out:
	return rc;
}

int ek_select(struct ek_selection *out, const struct ek_units *units, const struct ek_order *order,
              const uint64_t *quota, int middle, double keep)
{
	uint32_t *copies = NULL;
	int rc;

	*out = (struct ek_selection){ .n = units->n };
	EK_TRY(ek_alloc(&copies, units->n, sizeof *copies));
	EK_TRY(ek_alloc(&out->decision, units->n, sizeof *out->decision));
	EK_TRY(ek_alloc_aligned(&out->rank, units->n, sizeof *out->rank));
	for (uint64_t i = 0; i < units->n; i++) {
		out->rank[i] = EK_NO_RANK;
		if (units->unit[i] < 0)
			out->decision[i] =
				units->unit[i] == EK_UNIT_HELD_OUT ? EK_DECISION_HELD_OUT : EK_DECISION_NO_VALUE;
	}
	for (uint32_t u = 0; u < units->k; u++) {
		const uint64_t size = units->sizes[u];

		if (size > 0 && quota[u] / size > UINT32_MAX - 1) {
			rc = ek_fail(EK_EUSAGE, "an image cannot be repeated %llu times",
			             (unsigned long long)(quota[u] / size));
			goto out;
		}
		decide_unit(out, copies, order->ids + order->start[u], size, quota[u],
		            middle && size > 0 ? skip_of(size, quota[u] % size, keep) : 0);
		if (u % 4096 == 0)
			EK_TRY(ek_check_interrupt());
	}
	EK_TRY(list_kept(out, copies));
out:
	free(copies);
	return rc;
}

void ek_selection_release(struct ek_selection *s)
{
	free(s->decision);
	free(s->rank);
	free(s->keep);
	*s = (struct ek_selection){ 0 };
}
