/* `evenkeel draw RUN`: the order in which a trainer visits images. */
#include <inttypes.h>
#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/base/text.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/output.h"
#include "rebalance/pipeline/draw.h"

#define LARGEST 4503599627370496.0 /* 2^52 */

static const struct ek_option rows[] = {
	{ .name = "weights", EK_STRING(struct ek_draw_options, weights, "NAME"), .help = "draw by RUN/weights/NAME" },
	{ .name = "subset",
	  EK_STRING(struct ek_draw_options, subset, "NAME"),
	  .help = "or every image of RUN/subsets/NAME once an epoch, shuffled" },
	{ .name = "epoch",
	  EK_INTEGER(struct ek_draw_options, epoch, "E", 0, LARGEST),
	  .help = "which epoch, from 0 on" },
	{ .name = "rank",
	  EK_INTEGER(struct ek_draw_options, rank, "R", 0, LARGEST),
	  .help = "which of the processes of a training, from 0 on; it takes positions R, R + W, R + 2 W, ..." },
	{ .name = "world",
	  EK_INTEGER(struct ek_draw_options, world, "W", 1, LARGEST),
	  .help = "how many processes there are" },
	{ .name = "start",
	  EK_INTEGER(struct ek_draw_options, start, "P", 0, LARGEST),
	  .help = "begin at this position of the epoch (counted over all processes)" },
	{ .name = "count",
	  EK_INTEGER(struct ek_draw_options, count, "N", 1, LARGEST),
	  .zero = "all",
	  .help = "how many ids; all: to the end of the epoch" },
	{ .name = "output",
	  .letter = 'o',
	  EK_STRING(struct ek_draw_options, output, "FILE.npy"),
	  .help = "write int64 ids there; without it they are printed, one a line" },
	{ .name = NULL },
};
static const struct ek_draw_options defaults = { .world = 1 };
const struct ek_own ek_draw_own = EK_OWN(defaults, rows);

static void print_ids(void *context, const int64_t *ids, uint64_t count)
{
	(void)context;
	for (uint64_t i = 0; i < count; i++)
		(void)printf("%" PRId64 "\n", ids[i]);
}

/* context: what goes before the next one. */
static void print_json_ids(void *context, const int64_t *ids, uint64_t count)
{
	const char **before = context;

	for (uint64_t i = 0; i < count; i++) {
		(void)printf("%s%" PRId64, *before, ids[i]);
		*before = ", ";
	}
}

static int print_written(const struct ek_draw_options *o, const struct ek_drawn *drawn)
{
	cJSON *json = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_string(json, "output", o->output));
	EK_TRY(ek_json_add_double(json, "epoch", (double)o->epoch));
	EK_TRY(ek_json_add_u64(json, "length", drawn->length));
	EK_TRY(ek_json_add_u64(json, "count", drawn->count));
	EK_TRY(ek_print_json(json));
out:
	cJSON_Delete(json);
	return rc;
}

static int draw(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_draw_options *o = i->settings.own;
	const int json = i->settings.common.json;
	const char *before = "{\"ids\": [";
	struct ek_drawn drawn;
	int rc;

	o->seed = i->settings.common.seed;
	o->take = json ? print_json_ids : print_ids;
	o->context = &before;
	EK_TRY(ek_do_draw(&drawn, run, o));
	if (json && o->output != NULL)
		EK_TRY(print_written(o, &drawn));
	else if (json)
		(void)printf("%s], \"epoch\": %" PRId64 ", \"length\": %" PRIu64 ", \"count\": %" PRIu64 "}\n",
		             drawn.count > 0 ? "" : before, o->epoch, drawn.length, drawn.count);
	else if (o->output != NULL)
		(void)printf("%s: %" PRIu64 " of the %" PRIu64 " id%s of epoch %" PRId64 "\n", o->output, drawn.count,
		             drawn.length, ek_text_s(drawn.length), o->epoch);
out:
	return rc;
}

int ek_cmd_draw(struct ek_invocation *i)
{
	const struct ek_draw_options *o = i->settings.own;

	if ((o->weights == NULL) == (o->subset == NULL))
		return ek_fail(EK_EUSAGE, "draw needs either --weights NAME or --subset NAME");
	return ek_command_on_run(i, EK_RUN_READ, draw);
}
