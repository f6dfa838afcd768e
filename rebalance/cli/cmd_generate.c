/* `evenkeel generate RUN`: samples of a generator. */
#include <inttypes.h>
#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/output.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/generate.h"
#include "rebalance/pipeline/training.h"
#include "rebalance/pipeline/plans.h"

enum { SHOWN = 24 };

static const struct ek_option rows[] = {
	{ .name = "model",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_generate_options, model),
	  .argument = "NAME|FILE",
	  .help = "RUN/models/NAME, made by train flow; its newest checkpoint is taken. Or a public SiT as it is, "
	          ".pt or .safetensors, also diffusers' (a DiT with --solver ancestral): --class takes its labels by "
	          "number" },
	{ .name = "autoencoder",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_generate_options, autoencoder),
	  .argument = "NAME|DIR",
	  .help = "with a FILE for latents: RUN/models/NAME, or a folder that diffusers wrote, which decodes them" },
	{ .name = "name",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_generate_options, name),
	  .argument = "NAME",
	  .check = ek_subset_check_name,
	  .help = "the files go to RUN/samples/NAME when all are made; the same command goes on where it was stopped" },
	{ .name = "count",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_generate_options, classes.count),
	  .argument = "N",
	  .low = 1,
	  .high = 1e9,
	  .help = "how many images; with --minority, of each class" },
	{ .name = "cluster",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_generate_options, classes.cluster),
	  .argument = "K,K,...",
	  .help = "of these clusters, as many of each, for a model of --condition cluster" },
	{ .name = "class",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_generate_options, classes.names),
	  .argument = "NAME,NAME,...",
	  .help = "of these classes of whatever the model is conditioned on" },
	{ .name = "minority",
	  .kind = EK_KIND_FLAG,
	  EK_FIELD(struct ek_generate_options, classes.minority),
	  .help = "of the small clusters that the audit found, --count of each" },
	{ .name = "equal",
	  .kind = EK_KIND_FLAG,
	  EK_FIELD(struct ek_generate_options, classes.equal),
	  .help = "as many of every class, however rare it is in the data" },
	{ .name = "shares",
	  .kind = EK_KIND_PATH,
	  EK_FIELD(struct ek_generate_options, classes.shares),
	  .argument = "FILE.csv",
	  .help = "classes and their shares, one \"class,share\" a line; without any of these, classes come as they "
	          "are in the data" },
	{ .name = "steps",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_generate_options, steps),
	  .argument = "N",
	  .low = 1,
	  .high = 100000,
	  .help = "of the solver" },
	{ .name = "solver",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  EK_FIELD(struct ek_generate_options, solver),
	  .choices = ek_generate_solvers,
	  .help = "how" },
	{ .name = "rtol",
	  .kind = EK_KIND_NUMBER,
	  EK_FIELD(struct ek_generate_options, relative),
	  .argument = "E",
	  .low = 1e-12,
	  .high = 1,
	  .needs = "solver=dopri5",
	  .help = "relative error of dopri5" },
	{ .name = "atol",
	  .kind = EK_KIND_NUMBER,
	  EK_FIELD(struct ek_generate_options, absolute),
	  .argument = "E",
	  .low = 1e-12,
	  .high = 1,
	  .needs = "solver=dopri5",
	  .help = "absolute error of dopri5" },
	{ .name = "guidance",
	  .kind = EK_KIND_NUMBER,
	  EK_FIELD(struct ek_generate_options, guidance),
	  .argument = "G",
	  .low = 0,
	  .high = 1000,
	  .help = "how far to go from what is likely for any class to what is likely for this one; 1: no guidance" },
	{ .name = "guidance-interval",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_generate_options, interval),
	  .argument = "A,B",
	  .needs = "guidance",
	  .help = "only at times from A to B, 0 being noise and 1 data" },
	{ .name = "guidance-channels",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_generate_options, guided_channels),
	  .argument = "N",
	  .zero = "all",
	  .low = 1,
	  .high = 64,
	  .needs = "guidance",
	  .help = "only the first channels; 3 is what the public SiT code does" },
	{ .name = "latents",
	  .kind = EK_KIND_FLAG,
	  EK_FIELD(struct ek_generate_options, latents),
	  .help = "keep what the model made before decoding, too: latents.npy" },
	{ .name = "batch",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_generate_options, batch),
	  .argument = "N",
	  .low = 1,
	  .high = 4096,
	  .help = "images that a thread makes at once" },
	{ .name = "precision",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  EK_FIELD(struct ek_generate_options, precision),
	  .choices = ek_precisions,
	  .help = "of matrix products" },
	{ .name = NULL },
};
const struct ek_own ek_generate_own = EK_OWN(ek_generate_default, rows);

static void print_classes(const struct ek_classes *c, const struct ek_flow_description *model)
{
	int shown = 0, more = 0;
	char count[32];

	if (model->classes == 0)
		return;
	(void)printf("\n  %12s  %s\n", "images", model->condition);
	for (int k = 0; k < c->classes; k++) {
		if (c->quotas[k] == 0)
			continue;
		if (shown++ < SHOWN)
			(void)printf("  %12s  %s\n", ek_text_count(count, c->quotas[k]), model->names[k]);
		else
			more++;
	}
	if (more > 0)
		(void)printf("  ... and %d more\n", more);
}

static int print(const struct ek_generated *g, const char *model, int json)
{
	char count[32];

	if (json)
		return ek_print_json(g->config);
	(void)printf("%s image%s of %s", ek_text_count(count, g->classes.count), ek_text_s(g->classes.count), model);
	if (!g->is_file)
		(void)printf(" (step %" PRIu64 ")", g->model_step);
	(void)printf("\n");
	print_classes(&g->classes, &g->model);
	(void)printf("\nsheet:  %s/sheet.png\nimages: %s/images\n", g->folder, g->folder);
	return 0;
}

static int generate(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_generate_options *o = i->settings.own;
	struct ek_generated generated;
	int rc;

	o->seed = i->settings.common.seed;
	o->force = i->settings.steps.force;
	EK_TRY(ek_do_generate(&generated, run, o));
	if (!i->settings.common.silent)
		EK_TRY(print(&generated, o->model, i->settings.common.json));
out:
	ek_generated_release(&generated);
	return rc;
}

int ek_cmd_generate(struct ek_invocation *i)
{
	const struct ek_generate_options *o = i->settings.own;

	if (o->model == NULL || o->name == NULL)
		return ek_fail(EK_EUSAGE, "generate needs %s; see evenkeel help generate",
		               o->model == NULL ? "--model NAME" : "--name NAME");
	return ek_command_on_run(i, EK_RUN_WRITE, generate);
}
