/* `evenkeel draw RUN`: the order in which a trainer visits images. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/cli/command.h"
#include "rebalance/plan/source.h"
#include "rebalance/plan/subset.h"
#include "rebalance/plan/weights.h"

enum { CHUNK = 1 << 16 };

static struct {
	const char *weights, *subset, *output;
	int64_t epoch, rank, world, start, count;
} wanted; /* what the options point to */

void ek_draw_own_options(struct ek_settings *settings)
{
	static const double largest = 4503599627370496.0; /* 2^52 */
	const struct ek_option options[] = {
		{ .name = "weights",
		  .kind = EK_KIND_STRING,
		  .target = &wanted.weights,
		  .argument = "NAME",
		  .help = "draw by RUN/weights/NAME" },
		{ .name = "subset",
		  .kind = EK_KIND_STRING,
		  .target = &wanted.subset,
		  .argument = "NAME",
		  .help = "or every image of RUN/subsets/NAME once an epoch, shuffled" },
		{ .name = "epoch",
		  .kind = EK_KIND_INTEGER,
		  .target = &wanted.epoch,
		  .argument = "E",
		  .low = 0,
		  .high = largest,
		  .help = "which epoch, from 0 on" },
		{ .name = "rank",
		  .kind = EK_KIND_INTEGER,
		  .target = &wanted.rank,
		  .argument = "R",
		  .low = 0,
		  .high = largest,
		  .help = "which of the processes of a training, from 0 on; it takes positions R, R + W, R + 2 W, "
		          "..." },
		{ .name = "world",
		  .kind = EK_KIND_INTEGER,
		  .target = &wanted.world,
		  .argument = "W",
		  .low = 1,
		  .high = largest,
		  .help = "how many processes there are" },
		{ .name = "start",
		  .kind = EK_KIND_INTEGER,
		  .target = &wanted.start,
		  .argument = "P",
		  .low = 0,
		  .high = largest,
		  .help = "begin at this position of the epoch (counted over all processes)" },
		{ .name = "count",
		  .kind = EK_KIND_INTEGER,
		  .target = &wanted.count,
		  .argument = "N",
		  .low = 1,
		  .high = largest,
		  .zero = "all",
		  .help = "how many ids; all: to the end of the epoch" },
		{ .name = "output",
		  .letter = 'o',
		  .kind = EK_KIND_STRING,
		  .target = &wanted.output,
		  .argument = "FILE.npy",
		  .help = "write int64 ids there; without it they are printed, one a line" },
		{ .name = NULL },
	};

	wanted.weights = wanted.subset = wanted.output = NULL;
	wanted.epoch = wanted.rank = wanted.start = wanted.count = 0;
	wanted.world = 1;
	ek_settings_fill(settings->own_options, options);
}

/* The positions of the epoch that are wanted: first, first + world, … */
struct positions {
	uint64_t first, count;
};

static int find_positions(struct positions *p, uint64_t length)
{
	const uint64_t rank = (uint64_t)wanted.rank, world = (uint64_t)wanted.world, start = (uint64_t)wanted.start;
	uint64_t left;

	if (rank >= world)
		return ek_fail(EK_EUSAGE, "--rank %" PRIu64 " is not below --world %" PRIu64, rank, world);
	p->first = start + (rank + world - start % world) % world;
	left = p->first < length ? (length - 1 - p->first) / world + 1 : 0;
	p->count = wanted.count > 0 ? (uint64_t)wanted.count : left;
	if (p->count > left)
		return ek_fail(EK_EUSAGE,
		               "--count %" PRIu64 " is more than the %" PRIu64 " positions left of the %" PRIu64
		               " of the epoch",
		               p->count, left, length);
	return 0;
}

static int write_ids(struct ek_sampler *sampler, const struct positions *p)
{
	struct ek_atomic_file file = { 0 };
	struct ek_buffer header = { 0 };
	int64_t *ids = NULL;
	int rc;

	EK_TRY(ek_alloc(&ids, CHUNK, sizeof *ids));
	if (wanted.output != NULL) {
		EK_TRY(ek_npy_header(&header, EK_I64, 1, &p->count));
		EK_TRY(ek_atomic_open(&file, wanted.output));
		EK_TRY(ek_atomic_write(&file, header.data, header.size));
	}
	for (uint64_t done = 0; done < p->count; done += CHUNK) {
		const uint64_t count = p->count - done < CHUNK ? p->count - done : CHUNK;
		const uint64_t world = (uint64_t)wanted.world;

		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_sampler_draw(sampler, (uint64_t)wanted.epoch, p->first + done * world, world, count, ids));
		if (wanted.output != NULL)
			EK_TRY(ek_atomic_write(&file, ids, count * sizeof *ids));
		for (uint64_t i = 0; i < count && wanted.output == NULL; i++)
			(void)printf("%" PRId64 "\n", ids[i]);
		ek_progress_add(count);
	}
	if (wanted.output != NULL)
		EK_TRY(ek_atomic_commit(&file));
out:
	if (wanted.output != NULL)
		ek_atomic_discard(&file);
	ek_buffer_release(&header);
	free(ids);
	return rc;
}

static int check_arguments(const struct ek_invocation *i)
{
	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE, "draw takes one run directory, not %d words; see evenkeel help draw",
		               i->arguments.count);
	if ((wanted.weights == NULL) == (wanted.subset == NULL))
		return ek_fail(EK_EUSAGE, "draw needs either --weights NAME or --subset NAME");
	return 0;
}

int ek_cmd_draw(struct ek_invocation *i)
{
	const enum ek_source_kind kind = wanted.weights != NULL ? EK_SOURCE_WEIGHTS : EK_SOURCE_SUBSET;
	const uint64_t seed = (uint64_t)i->settings.common.seed;
	struct ek_source source = { 0 };
	struct positions positions;
	struct ek_run *run = NULL;
	int rc;

	EK_TRY(check_arguments(i));
	EK_TRY(ek_run_open(&run, i->arguments.positional[0], EK_RUN_READ));
	EK_TRY(kind == EK_SOURCE_WEIGHTS ? ek_weights_check(run, wanted.weights) : ek_subset_check(run, wanted.subset));
	EK_TRY(ek_source_open(&source, ek_run_path(run), kind,
	                      kind == EK_SOURCE_WEIGHTS ? wanted.weights : wanted.subset, seed));
	EK_TRY(find_positions(&positions, ek_sampler_length(source.sampler)));
	ek_progress_begin("drawing", "ids", positions.count);
	rc = write_ids(source.sampler, &positions);
	ek_progress_end();
	EK_TRY(rc);
	if (wanted.output != NULL)
		(void)printf("%s: %" PRIu64 " of the %" PRIu64 " ids of epoch %" PRId64 "\n", wanted.output,
		             positions.count, ek_sampler_length(source.sampler), wanted.epoch);
out:
	ek_source_release(&source);
	ek_run_close(run);
	return rc;
}
