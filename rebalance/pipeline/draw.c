#include "rebalance/pipeline/draw.h"

#include <inttypes.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/npy.h"
#include "rebalance/plan/source.h"
#include "rebalance/plan/subset.h"
#include "rebalance/plan/weights.h"
#include "rebalance/pipeline/about.h"

enum { CHUNK = 1 << 16 };

/* The positions of the epoch that are wanted: first, first + world, … */
struct positions {
	uint64_t first, count;
};

static int find_positions(struct positions *p, const struct ek_draw_options *o, uint64_t length)
{
	const uint64_t rank = (uint64_t)o->rank, world = (uint64_t)o->world, start = (uint64_t)o->start;
	uint64_t left;

	if (rank >= world)
		return ek_fail(EK_EUSAGE, "'rank' is %" PRIu64 ", not below the world of %" PRIu64, rank, world);
	p->first = start + (rank + world - start % world) % world;
	left = p->first < length ? (length - 1 - p->first) / world + 1 : 0;
	p->count = o->count > 0 ? (uint64_t)o->count : left;
	if (p->count > left)
		return ek_fail(EK_EUSAGE,
		               "'count' is %" PRIu64 ", more than the %" PRIu64 " positions left of the %" PRIu64
		               " of the epoch",
		               p->count, left, length);
	return 0;
}

static int write_ids(struct ek_sampler *sampler, const struct positions *p, const struct ek_draw_options *o)
{
	struct ek_atomic_file file = { 0 };
	struct ek_buffer header = { 0 };
	int64_t *ids = NULL;
	int rc;

	EK_TRY(ek_alloc(&ids, CHUNK, sizeof *ids));
	if (o->output != NULL) {
		EK_TRY(ek_npy_header(&header, EK_I64, 1, &p->count));
		EK_TRY(ek_atomic_open(&file, o->output));
		EK_TRY(ek_atomic_write(&file, header.data, header.size));
	}
	for (uint64_t done = 0; done < p->count; done += CHUNK) {
		const uint64_t count = p->count - done < CHUNK ? p->count - done : CHUNK;
		const uint64_t world = (uint64_t)o->world;

		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_sampler_draw(sampler, (uint64_t)o->epoch, p->first + done * world, world, count, ids));
		if (o->output != NULL)
			EK_TRY(ek_atomic_write(&file, ids, count * sizeof *ids));
		else
			o->take(o->context, ids, count);
		ek_progress_add(count);
	}
	if (o->output != NULL)
		EK_TRY(ek_atomic_commit(&file));
out:
	if (o->output != NULL)
		ek_atomic_discard(&file);
	ek_buffer_release(&header);
	free(ids);
	return rc;
}

int ek_do_draw(struct ek_drawn *out, struct ek_run *run, const struct ek_draw_options *o)
{
	const enum ek_source_kind kind = o->weights != NULL ? EK_SOURCE_WEIGHTS : EK_SOURCE_SUBSET;
	const char *name = o->weights != NULL ? o->weights : o->subset;
	struct ek_source source = { 0 };
	struct positions positions;
	int rc;

	*out = (struct ek_drawn){ 0 };
	if ((o->weights == NULL) == (o->subset == NULL))
		return ek_fail(EK_EUSAGE, "images are drawn either by weights or of a subset");
	if (o->output != NULL)
		EK_TRY(ek_about_check_output(o->output));
	EK_TRY(ek_plan_check(run, kind, name));
	EK_TRY(ek_source_open(&source, ek_run_path(run), kind, name, (uint64_t)o->seed));
	EK_TRY(find_positions(&positions, o, ek_sampler_length(source.sampler)));
	*out = (struct ek_drawn){ positions.count, ek_sampler_length(source.sampler) };
	ek_progress_begin("drawing", "ids", positions.count);
	rc = write_ids(source.sampler, &positions, o);
	ek_progress_end();
out:
	ek_source_release(&source);
	return rc;
}
