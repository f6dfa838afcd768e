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
	  EK_STRING(struct ek_generate_options, model, "NAME|FILE"),
	  .help = "RUN/models/NAME, made by train flow; its newest checkpoint is taken. Or a public SiT as it is, "
	          ".pt or .safetensors, also diffusers' (a DiT with --solver ancestral): --class takes its labels by "
	          "number" },
	{ .name = "autoencoder",
	  EK_STRING(struct ek_generate_options, autoencoder, "NAME|DIR"),
	  .help = "with a FILE for latents: RUN/models/NAME, or a folder that diffusers wrote, which decodes them" },
	{ .name = "name",
	  EK_STRING(struct ek_generate_options, name, "NAME"),
	  .check = ek_subset_check_name,
	  .help = "the files go to RUN/samples/NAME when all are made; the same command goes on where it was stopped" },
	{ .name = "count",
	  EK_INTEGER(struct ek_generate_options, classes.count, "N", 1, 1e9),
	  .help = "how many images; with --minority, of each class" },
	{ .name = "cluster",
	  EK_STRING(struct ek_generate_options, classes.cluster, "K,K,..."),
	  .help = "of these clusters, as many of each, for a model of --condition cluster" },
	{ .name = "class",
	  EK_STRING(struct ek_generate_options, classes.names, "NAME,NAME,..."),
	  .help = "of these classes of whatever the model is conditioned on" },
	{ .name = "minority",
	  EK_FLAG(struct ek_generate_options, classes.minority),
	  .help = "of the small clusters that the audit found, --count of each" },
	{ .name = "equal",
	  EK_FLAG(struct ek_generate_options, classes.equal),
	  .help = "as many of every class, however rare it is in the data" },
	{ .name = "shares",
	  EK_PATH(struct ek_generate_options, classes.shares, "FILE.csv"),
	  .help = "classes and their shares, one \"class,share\" a line; without any of these, classes come as they "
	          "are in the data" },
	{ .name = "steps", EK_INTEGER(struct ek_generate_options, steps, "N", 1, 100000), .help = "of the solver" },
	{ .name = "solver", EK_CHOICE(struct ek_generate_options, solver, "HOW", ek_generate_solvers), .help = "how" },
	{ .name = "rtol",
	  EK_NUMBER(struct ek_generate_options, relative, "E", 1e-12, 1),
	  .needs = "solver=dopri5",
	  .help = "relative error of dopri5" },
	{ .name = "atol",
	  EK_NUMBER(struct ek_generate_options, absolute, "E", 1e-12, 1),
	  .needs = "solver=dopri5",
	  .help = "absolute error of dopri5" },
	{ .name = "guidance",
	  EK_NUMBER(struct ek_generate_options, guidance, "G", 0, 1000),
	  .help = "how far to go from what is likely for any class to what is likely for this one; 1: no guidance" },
	{ .name = "guidance-interval",
	  EK_STRING(struct ek_generate_options, interval, "A,B"),
	  .needs = "guidance",
	  .help = "only at times from A to B, 0 being noise and 1 data" },
	{ .name = "guidance-channels",
	  EK_INTEGER(struct ek_generate_options, guided_channels, "N", 1, 64),
	  .zero = "all",
	  .needs = "guidance",
	  .help = "only the first channels; 3 is what the public SiT code does" },
	{ .name = "latents",
	  EK_FLAG(struct ek_generate_options, latents),
	  .help = "keep what the model made before decoding, too: latents.npy" },
	{ .name = "batch",
	  EK_INTEGER(struct ek_generate_options, batch, "N", 1, 4096),
	  .zero = "auto",
	  .help = "images made at once by a thread or by the GPU; auto: 16 by a thread, on a GPU as many as have "
	          "65,536 tokens; samples of this name that are there keep theirs" },
	{ .name = "precision",
	  EK_CHOICE(struct ek_generate_options, precision, "HOW", ek_precisions),
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
