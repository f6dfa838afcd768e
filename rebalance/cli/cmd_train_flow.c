/* `evenkeel train flow RUN`: a generator of images like those of a run. */
#include "rebalance/base/error.h"
#include "rebalance/cli/training_options.h"
#include "rebalance/pipeline/train_flow.h"

static const struct ek_option rows[] = {
	{ .name = "autoencoder",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_train_flow_options, autoencoder),
	  .argument = "NAME|DIR",
	  .help = "work in the latents of RUN/models/NAME, or of a model in a folder that diffusers wrote" },
	{ .name = "space",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  EK_FIELD(struct ek_train_flow_options, space),
	  .choices = ek_flow_spaces,
	  .help = "where to work" },
	{ .name = "side",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_flow_options, side),
	  .argument = "S",
	  .zero = "auto",
	  .low = 8,
	  .high = EK_PIXELS_SIDE_MAX,
	  .help = "pixels of an image; auto: the autoencoder's, or 32" },
	{ .name = "model",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_train_flow_options, model),
	  .argument = "SiT-S/2",
	  .help = "the network: SiT-S, B, L or XL with its patch; --width and the like change parts of it" },
	{ .name = "width",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_flow_options, width),
	  .argument = "W",
	  .zero = "auto",
	  .low = 8,
	  .high = 8192,
	  .help = "features of a token" },
	{ .name = "depth",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_flow_options, depth),
	  .argument = "N",
	  .zero = "auto",
	  .low = 1,
	  .high = 256,
	  .help = "blocks" },
	{ .name = "heads",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_flow_options, heads),
	  .argument = "N",
	  .zero = "auto",
	  .low = 1,
	  .high = 256,
	  .help = "heads of attention; auto: one for each 64 features, or the model's" },
	{ .name = "patch",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_flow_options, patch),
	  .argument = "P",
	  .zero = "auto",
	  .low = 1,
	  .high = 64,
	  .help = "side of what one token covers" },
	{ .name = "condition",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_train_flow_options, condition),
	  .argument = "none|cluster|group|label|ATTRIBUTE",
	  .help = "what the network is told of each image" },
	{ .name = "drop",
	  .kind = EK_KIND_NUMBER,
	  EK_FIELD(struct ek_train_flow_options, drop),
	  .argument = "P",
	  .low = 0,
	  .high = 1,
	  .needs = "condition",
	  .help = "chance that it is not told, which guidance needs" },
	{ .name = "objective",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  EK_FIELD(struct ek_train_flow_options, objective),
	  .choices = ek_flow_objectives,
	  .help = "what it learns" },
	{ .name = "path",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  EK_FIELD(struct ek_train_flow_options, path),
	  .choices = ek_flow_paths,
	  .needs = "objective=flow",
	  .help = "from noise to data" },
	{ .name = "prediction",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  EK_FIELD(struct ek_train_flow_options, prediction),
	  .choices = ek_flow_predictions,
	  .needs = "objective=flow",
	  .help = "what the network gives on it" },
	{ .name = "loss",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  EK_FIELD(struct ek_train_flow_options, weighting),
	  .choices = ek_flow_weightings,
	  .needs = "prediction=noise prediction=score",
	  .help = "how the loss of a prediction of noise or score is weighted along the path" },
	{ .name = "times",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  EK_FIELD(struct ek_train_flow_options, times),
	  .choices = ek_flow_times,
	  .needs = "objective=flow",
	  .help = "which times are trained on" },
	{ .name = "log-losses",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_flow_options, log_losses),
	  .argument = "N",
	  .zero = "never",
	  .low = 1,
	  .high = 1e9,
	  .help = "write the loss of every image to losses.npy each N steps, which the scores forgetting and "
	          "forgetting-count are of" },
	{ .name = "draws",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_flow_options, draws),
	  .argument = "N",
	  .low = 1,
	  .high = EK_GRID_DRAWS_MAX,
	  .needs = "log-losses",
	  .help = "with --log-losses: pairs of a time and a noise, the same for every image, that a loss is the mean "
	          "over" },
	EK_TRAINING_FLIP_ROW("mirror half of the images (pixel space)"),
	EK_TRAINING_FROM_ROW("FILE", "start from the weights of a SiT or DiT (.pt or .safetensors), which also sets "
	                             "the network; where it knows another number of classes than --condition has, each "
	                             "row of its table of labels starts as that for no class"),
	{ .name = NULL },
};
const struct ek_own ek_train_flow_own = { .rows = { ek_training_first, rows, ek_training_last },
	                                  .size = sizeof ek_train_flow_default,
	                                  .defaults = &ek_train_flow_default };

static int train(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_train_flow_options *o = i->settings.own;
	struct ek_training_result result;
	int rc;

	o->common.seed = i->settings.common.seed;
	o->common.force = i->settings.steps.force;
	EK_TRY(ek_do_train_flow(&result, run, &i->settings.steps, o));
	if (!i->settings.common.silent)
		EK_TRY(ek_training_print(&result, o->common.name, i->settings.common.json));
out:
	ek_training_result_release(&result);
	return rc;
}

int ek_cmd_train_flow(struct ek_invocation *i)
{
	const struct ek_train_flow_options *o = i->settings.own;

	if (o->common.name == NULL)
		return ek_fail(EK_EUSAGE, "train flow needs --name NAME; see evenkeel help train flow");
	return ek_command_on_run(i, EK_RUN_WRITE, train);
}
