/* Training an autoencoder for the images of a run (train/vae). */
#ifndef EK_PIPELINE_TRAIN_VAE_H
#define EK_PIPELINE_TRAIN_VAE_H

#include "rebalance/pipeline/steps.h"
#include "rebalance/pipeline/training.h"

/* Choices in the order of enum ek_autoencoder_kind, and of the error: 0 squared, 1 absolute. */
extern const struct ek_choice ek_vae_kinds[], ek_vae_errors[];

struct ek_train_vae_options {
	struct ek_training_options common;
	const char *widths;             /* of the levels, with commas */
	const char *perceptual_weights; /* file, or NULL: looked for */
	int kind, attention, averages, error;
	int64_t side; /* 0: that of most images */
	int64_t latent_channels, blocks, groups, codes, discriminator_start;
	double kl, commitment, perceptual, discriminator;
};
extern const struct ek_train_vae_options ek_train_vae_default;

/*
 * Train RUN/models/NAME, or go on where it was, and at the end write it as diffusers does, with all latents of the run.
 * The run must be open for writing; its list of images is brought up to date (`steps`: steps.h). Release the result in
 * any case. EK_EUSAGE: options that make no sense, or a model of this name that is another; EK_EDATA, EK_EIO,
 * EK_ENOMEM, EK_EINTERRUPTED: what was trained so far stays.
 */
int ek_do_train_vae(struct ek_training_result *out, struct ek_run *run, struct ek_steps_options *steps,
                    const struct ek_train_vae_options *options);

#endif
