/* `evenkeel train vae RUN`: an autoencoder for the images of a run. */
#include "rebalance/base/error.h"
#include "rebalance/cli/training_options.h"
#include "rebalance/pipeline/train_vae.h"

static const struct ek_option rows[] = {
	{ .name = "kind",
	  EK_CHOICE(struct ek_train_vae_options, kind, "HOW", ek_vae_kinds),
	  .help = "what a latent is" },
	{ .name = "side",
	  EK_INTEGER(struct ek_train_vae_options, side, "S", 8, EK_PIXELS_SIDE_MAX),
	  .zero = "auto",
	  .help = "pixels: the shorter side of every image is resized to it, the middle is taken; auto: the shorter "
	          "side that most images have, at most 256" },
	{ .name = "widths",
	  EK_STRING(struct ek_train_vae_options, widths, "W,W,..."),
	  .help = "channels of each level; every level after the first halves the side. 128,256,512,512 is that of "
	          "Stable Diffusion" },
	{ .name = "latent-channels",
	  EK_INTEGER(struct ek_train_vae_options, latent_channels, "C", 1, 64),
	  .help = "of a latent" },
	{ .name = "blocks",
	  EK_INTEGER(struct ek_train_vae_options, blocks, "N", 1, 8),
	  .help = "residual blocks a level" },
	{ .name = "attention",
	  EK_FLAG(struct ek_train_vae_options, attention),
	  .help = "attention in the blocks of the lowest level, too, not only in the middle" },
	{ .name = "groups",
	  EK_INTEGER(struct ek_train_vae_options, groups, "G", 1, 256),
	  .help = "of every group norm" },
	{ .name = "codes",
	  EK_INTEGER(struct ek_train_vae_options, codes, "N", 2, 1 << 20),
	  .needs = "kind=vq from",
	  .help = "rows of the codebook (vq)" },
	{ .name = "error",
	  EK_CHOICE(struct ek_train_vae_options, error, "HOW", ek_vae_errors),
	  .help = "of the reconstruction" },
	{ .name = "kl",
	  EK_NUMBER(struct ek_train_vae_options, kl, "W", 0, 1e6),
	  .needs = "kind=kl",
	  .help = "weight of the divergence from the standard normal (kl)" },
	{ .name = "commitment",
	  EK_NUMBER(struct ek_train_vae_options, commitment, "W", 0, 1e6),
	  .needs = "kind=vq from",
	  .help = "weight that holds latents near their codes (vq)" },
	{ .name = "codebook-averages",
	  EK_FLAG(struct ek_train_vae_options, averages),
	  .needs = "kind=vq from",
	  .help = "codes are moving averages of their latents instead of learning from the loss (vq)" },
	{ .name = "perceptual",
	  EK_NUMBER(struct ek_train_vae_options, perceptual, "W", 0, 1e6),
	  .help = "weight of the difference of EfficientNet-Lite0's features; 0: none" },
	{ .name = "perceptual-weights",
	  EK_PATH(struct ek_train_vae_options, perceptual_weights, "FILE"),
	  .check = ek_check_weights,
	  .needs = "perceptual",
	  .help = "EfficientNet-Lite0's weights, if not where ./quickstart puts them" },
	{ .name = "discriminator",
	  EK_NUMBER(struct ek_train_vae_options, discriminator, "W", 0, 1e6),
	  .help = "weight of a patch discriminator's judgement; 0: none" },
	{ .name = "discriminator-start",
	  EK_INTEGER(struct ek_train_vae_options, discriminator_start, "N", 0, 1e12),
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
