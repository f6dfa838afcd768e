#include "reports/picks.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

static const char lot[] = "report pictures";

struct candidate {
	double key;
	uint64_t id;
};

/* Keep the `room` smallest in order; ids come in ascending order, so a tie stays behind. */
static void keep_smallest(struct candidate *best, size_t room, uint32_t *count, double key, uint64_t id)
{
	size_t at;

	if (*count == room) {
		if (key >= best[room - 1].key)
			return;
		--*count;
	}
	for (at = *count; at > 0 && best[at - 1].key > key; at--)
		best[at] = best[at - 1];
	best[at] = (struct candidate){ key, id };
	++*count;
}

static int is_taken(const struct ek_picks *p, size_t cluster, uint64_t id)
{
	for (size_t kind = 0; kind < EK_PICK_KINDS; kind++)
		for (size_t i = 0; i < p->counts[cluster * EK_PICK_KINDS + kind]; i++)
			if (p->ids[(cluster * EK_PICK_KINDS + kind) * p->each + i] == id)
				return 1;
	return 0;
}

/* Room for candidates: later kinds lose those that earlier ones took. */
static size_t room_of(const struct ek_picks *p)
{
	return 3 * p->each;
}

static void choose(struct ek_picks *p, const struct candidate *best, const uint32_t *counts)
{
	static const enum ek_pick_kind order[] = { EK_PICK_TYPICAL, EK_PICK_UNTYPICAL, EK_PICK_RANDOM };
	const size_t room = room_of(p);

	for (size_t cluster = 0; cluster < p->k; cluster++)
		for (size_t o = 0; o < EK_PICK_KINDS; o++) {
			const size_t slot = cluster * EK_PICK_KINDS + order[o];

			for (size_t i = 0; i < counts[slot] && p->counts[slot] < p->each; i++)
				if (!is_taken(p, cluster, best[slot * room + i].id))
					p->ids[slot * p->each + p->counts[slot]++] = best[slot * room + i].id;
		}
}

int ek_picks_make(struct ek_picks *p, const int32_t *assignment, const float *distance, uint64_t n, size_t k,
                  size_t each)
{
	const uint64_t stream = ek_random_stream(lot);
	struct candidate *best = NULL;
	uint32_t *counts = NULL;
	int rc = 0;

	assert(each >= 1 && each <= 32);
	*p = (struct ek_picks){ .k = k, .each = each };
	EK_TRY(ek_alloc(&p->ids, k * EK_PICK_KINDS, each * sizeof *p->ids));
	EK_TRY(ek_alloc(&p->counts, k, EK_PICK_KINDS));
	EK_TRY(ek_alloc(&best, k * EK_PICK_KINDS, room_of(p) * sizeof *best));
	EK_TRY(ek_alloc(&counts, k * EK_PICK_KINDS, sizeof *counts));
	for (uint64_t id = 0; id < n; id++) {
		const double d = isnan(distance[id]) ? INFINITY : (double)distance[id];
		const double keys[EK_PICK_KINDS] = { d, ek_random_double(0, stream, id), -d };

		if (assignment[id] < 0 || (size_t)assignment[id] >= k)
			continue;
		for (size_t kind = 0; kind < EK_PICK_KINDS; kind++) {
			const size_t slot = (size_t)assignment[id] * EK_PICK_KINDS + kind;
			keep_smallest(best + slot * room_of(p), room_of(p), &counts[slot], keys[kind], id);
		}
	}
	choose(p, best, counts);
out:
	free(best);
	free(counts);
	if (rc < 0)
		ek_picks_release(p);
	return rc;
}

void ek_picks_release(struct ek_picks *p)
{
	free(p->ids);
	free(p->counts);
	*p = (struct ek_picks){ 0 };
}

const uint64_t *ek_picks_of(const struct ek_picks *p, size_t cluster, enum ek_pick_kind kind, size_t *count)
{
	const size_t slot = cluster * EK_PICK_KINDS + kind;

	*count = p->ids == NULL ? 0 : p->counts[slot];
	return p->ids == NULL ? NULL : p->ids + slot * p->each;
}

int ek_picks_sample(uint64_t *ids, uint8_t *counts, const int32_t *class, uint64_t n, size_t classes, size_t each)
{
	const uint64_t stream = ek_random_stream(lot);
	struct candidate *best = NULL;
	uint32_t *found = NULL;
	int rc = 0;

	assert(each >= 1 && each <= 32);
	EK_TRY(ek_alloc(&best, classes, each * sizeof *best));
	EK_TRY(ek_alloc(&found, classes, sizeof *found));
	for (uint64_t id = 0; id < n; id++)
		if (class[id] >= 0 && (size_t) class[id] < classes)
			keep_smallest(best + (size_t) class[id] * each, each, &found[class[id]],
			              ek_random_double(0, stream, id), id);
	for (size_t c = 0; c < classes; c++) {
		counts[c] = (uint8_t)found[c];
		for (size_t i = 0; i < found[c]; i++)
			ids[c * each + i] = best[c * each + i].id;
	}
out:
	free(best);
	free(found);
	return rc;
}
