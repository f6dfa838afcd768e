/* Small images and models that tests of train/vae share. */
#ifndef EK_TESTS_VAE_TOY_H
#define EK_TESTS_VAE_TOY_H

#include "tests/support/support.h"
#include "train/vae/vae_task.h"

enum { TOY_SIDE = 16, TOY_SIZE = TOY_SIDE * TOY_SIDE * 3, TOY_IMAGES = 40 };

/* [TOY_IMAGES]: blocks of colour with a gradient. The first `count` are given out; others fail. */
struct ek_toy_images {
	uint8_t pixels[TOY_IMAGES][TOY_SIZE];
	int count;
};
void ek_toy_images_make(struct ek_toy_images *t);
struct ek_vae_images ek_toy_images_of(struct ek_toy_images *t);

/* 16 x 16 x 3 to 8 x 8 x 4, or 8 x 8 codes of width 4. */
struct ek_autoencoder_config ek_toy_config(enum ek_autoencoder_kind kind);
/* Batches of 8 in slices of 2, float32, no flips; VQ with a codebook that learns from the loss. */
struct ek_vae_options ek_toy_options(enum ek_autoencoder_kind kind);

/* A model with its first values. */
void ek_toy_model(struct ek_autoencoder *m, enum ek_autoencoder_kind kind);

/* A file of EfficientNet-Lite0's first stages with random weights; its path. */
const char *ek_toy_perceptual_file(void);

#endif
