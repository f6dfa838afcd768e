/* `evenkeel train vae RUN`: an autoencoder for the images of a run. */
#include "rebalance/base/error.h"
#include "rebalance/cli/training_options.h"
#include "rebalance/pipeline/train_vae.h"

static const struct ek_option rows[] = {
	{ .name = "kind",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  EK_FIELD(struct ek_train_vae_options, kind),
	  .choices = ek_vae_kinds,
	  .help = "what a latent is" },
	{ .name = "side",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_vae_options, side),
	  .argument = "S",
	  .zero = "auto",
	  .low = 8,
	  .high = EK_PIXELS_SIDE_MAX,
	  .help = "pixels: the shorter side of every image is resized to it, the middle is taken; auto: the shorter "
	          "side that most images have, at most 256" },
	{ .name = "widths",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_train_vae_options, widths),
	  .argument = "W,W,...",
	  .help = "channels of each level; every level after the first halves the side. 128,256,512,512 is that of "
	          "Stable Diffusion" },
	{ .name = "latent-channels",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_vae_options, latent_channels),
	  .argument = "C",
	  .low = 1,
	  .high = 64,
	  .help = "of a latent" },
	{ .name = "blocks",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_vae_options, blocks),
	  .argument = "N",
	  .low = 1,
	  .high = 8,
	  .help = "residual blocks a level" },
	{ .name = "attention",
	  .kind = EK_KIND_FLAG,
	  EK_FIELD(struct ek_train_vae_options, attention),
	  .help = "attention in the blocks of the lowest level, too, not only in the middle" },
	{ .name = "groups",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_vae_options, groups),
	  .argument = "G",
	  .low = 1,
	  .high = 256,
	  .help = "of every group norm" },
	{ .name = "codes",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_vae_options, codes),
	  .argument = "N",
	  .low = 2,
	  .high = 1 << 20,
	  .needs = "kind=vq from",
	  .help = "rows of the codebook (vq)" },
	{ .name = "error",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  EK_FIELD(struct ek_train_vae_options, error),
	  .choices = ek_vae_errors,
	  .help = "of the reconstruction" },
	{ .name = "kl",
	  .kind = EK_KIND_NUMBER,
	  EK_FIELD(struct ek_train_vae_options, kl),
	  .argument = "W",
	  .low = 0,
	  .high = 1e6,
	  .needs = "kind=kl",
	  .help = "weight of the divergence from the standard normal (kl)" },
	{ .name = "commitment",
	  .kind = EK_KIND_NUMBER,
	  EK_FIELD(struct ek_train_vae_options, commitment),
	  .argument = "W",
	  .low = 0,
	  .high = 1e6,
	  .needs = "kind=vq from",
	  .help = "weight that holds latents near their codes (vq)" },
	{ .name = "codebook-averages",
	  .kind = EK_KIND_FLAG,
	  EK_FIELD(struct ek_train_vae_options, averages),
	  .needs = "kind=vq from",
	  .help = "codes are moving averages of their latents instead of learning from the loss (vq)" },
	{ .name = "perceptual",
	  .kind = EK_KIND_NUMBER,
	  EK_FIELD(struct ek_train_vae_options, perceptual),
	  .argument = "W",
	  .low = 0,
	  .high = 1e6,
	  .help = "weight of the difference of EfficientNet-Lite0's features; 0: none" },
	{ .name = "perceptual-weights",
	  .kind = EK_KIND_PATH,
	  EK_FIELD(struct ek_train_vae_options, perceptual_weights),
	  .argument = "FILE",
	  .needs = "perceptual",
	  .help = "EfficientNet-Lite0's weights, if not where ./quickstart puts them" },
	{ .name = "discriminator",
	  .kind = EK_KIND_NUMBER,
	  EK_FIELD(struct ek_train_vae_options, discriminator),
	  .argument = "W",
	  .low = 0,
	  .high = 1e6,
	  .help = "weight of a patch discriminator's judgement; 0: none" },
	{ .name = "discriminator-start",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_train_vae_options, discriminator_start),
	  .argument = "N",
	  .low = 0,
	  .high = 1e12,
	  .needs = "discriminator",
	  .help = "the step from which the discriminator takes part" },
	EK_TRAINING_FLIP_ROW("mirror half of the images"),
	EK_TRAINING_FROM_ROW(
		"DIR",
		"start from a model that diffusers wrote (config.json and weights), which also sets the architecture"),
	{ .name = NULL },
};
const struct ek_own ek_train_vae_own = { .rows = { ek_training_first, rows, ek_training_last },
	                                 .size = sizeof ek_train_vae_default,
	                                 .defaults = &ek_train_vae_default };

static int train(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_train_vae_options *o = i->settings.own;
	struct ek_training_result result;
	int rc;

	o->common.seed = i->settings.common.seed;
	o->common.force = i->settings.steps.force;
	EK_TRY(ek_do_train_vae(&result, run, &i->settings.steps, o));
	if (!i->settings.common.silent)
		EK_TRY(ek_training_print(&result, o->common.name, i->settings.common.json));
out:
	ek_training_result_release(&result);
	return rc;
}

int ek_cmd_train_vae(struct ek_invocation *i)
{
	const struct ek_train_vae_options *o = i->settings.own;

	if (o->common.name == NULL)
		return ek_fail(EK_EUSAGE, "train vae needs --name NAME; see evenkeel help train vae");
	return ek_command_on_run(i, EK_RUN_WRITE, train);
}
