/* `evenkeel train flow RUN`: a generator of images like those of a run. */
#include "rebalance/base/error.h"
#include "rebalance/cli/training_options.h"
#include "rebalance/pipeline/train_flow.h"

static const struct ek_option rows[] = {
	{ .name = "autoencoder",
	  EK_STRING(struct ek_train_flow_options, autoencoder, "NAME|DIR"),
	  .help = "work in the latents of RUN/models/NAME, or of a model in a folder that diffusers wrote" },
	{ .name = "space",
	  EK_CHOICE(struct ek_train_flow_options, space, "HOW", ek_flow_spaces),
	  .help = "where to work" },
	{ .name = "side",
	  EK_INTEGER(struct ek_train_flow_options, side, "S", 8, EK_PIXELS_SIDE_MAX),
	  .zero = "auto",
	  .help = "pixels of an image; auto: the autoencoder's, or 32" },
	{ .name = "model",
	  EK_STRING(struct ek_train_flow_options, model, "SiT-S/2"),
	  .help = "the network: SiT-S, B, L or XL with its patch; --width and the like change parts of it" },
	{ .name = "width",
	  EK_INTEGER(struct ek_train_flow_options, width, "W", 8, 8192),
	  .zero = "auto",
	  .help = "features of a token" },
	{ .name = "depth",
	  EK_INTEGER(struct ek_train_flow_options, depth, "N", 1, 256),
	  .zero = "auto",
	  .help = "blocks" },
	{ .name = "heads",
	  EK_INTEGER(struct ek_train_flow_options, heads, "N", 1, 256),
	  .zero = "auto",
	  .help = "heads of attention; auto: one for each 64 features, or the model's" },
	{ .name = "patch",
	  EK_INTEGER(struct ek_train_flow_options, patch, "P", 1, 64),
	  .zero = "auto",
	  .help = "side of what one token covers" },
	{ .name = "condition",
	  EK_STRING(struct ek_train_flow_options, condition, "none|cluster|group|label|ATTRIBUTE"),
	  .help = "what the network is told of each image" },
	{ .name = "drop",
	  EK_NUMBER(struct ek_train_flow_options, drop, "P", 0, 1),
	  .needs = "condition",
	  .help = "chance that it is not told, which guidance needs" },
	{ .name = "objective",
	  EK_CHOICE(struct ek_train_flow_options, objective, "HOW", ek_flow_objectives),
	  .help = "what it learns" },
	{ .name = "path",
	  EK_CHOICE(struct ek_train_flow_options, path, "HOW", ek_flow_paths),
	  .needs = "objective=flow",
	  .help = "from noise to data" },
	{ .name = "prediction",
	  EK_CHOICE(struct ek_train_flow_options, prediction, "HOW", ek_flow_predictions),
	  .needs = "objective=flow",
	  .help = "what the network gives on it" },
	{ .name = "loss",
	  EK_CHOICE(struct ek_train_flow_options, weighting, "HOW", ek_flow_weightings),
	  .needs = "prediction=noise prediction=score",
	  .help = "how the loss of a prediction of noise or score is weighted along the path" },
	{ .name = "times",
	  EK_CHOICE(struct ek_train_flow_options, times, "HOW", ek_flow_times),
	  .needs = "objective=flow",
	  .help = "which times are trained on" },
	{ .name = "log-losses",
	  EK_INTEGER(struct ek_train_flow_options, log_losses, "N", 1, 1e9),
	  .zero = "never",
	  .help = "write the loss of every image to losses.npy each N steps, which the scores forgetting and "
	          "forgetting-count are of" },
	{ .name = "draws",
	  EK_INTEGER(struct ek_train_flow_options, draws, "N", 1, EK_GRID_DRAWS_MAX),
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
