/*
 * Autoencoders of images as in latent diffusion (Rombach et al. 2022), with diffusers' architecture and names
 * (AutoencoderKL, VQModel): residual blocks of two group norms and convolutions, halved by convolutions of stride 2,
 * doubled by repeating pixels, one head of attention in the middle.
 *
 * An image is [side, side, channels] in -1 … 1, channels last. With f = 2^(levels - 1), its latent is
 * [side / f, side / f, c]: for KL the encoder gives moments, c means and c logarithms of variances, and the decoder
 * takes a sample; for VQ the encoder gives c = code_width numbers, and the decoder takes the nearest rows of the
 * codebook. What a generator sees is (latent - shift) · scale.
 */
#ifndef EK_VAE_AUTOENCODER_H
#define EK_VAE_AUTOENCODER_H

#include "rebalance/base/json.h"
#include "train/loop/params_file.h"
#include "train/nn/net.h"

enum ek_autoencoder_kind { EK_AUTOENCODER_KL, EK_AUTOENCODER_VQ };
enum { EK_AUTOENCODER_MAX_LEVELS = 8 };

struct ek_autoencoder_config {
	enum ek_autoencoder_kind kind;
	int side;                              /* of images; a multiple of f */
	int channels;                          /* of images: 1 … 4 */
	int latent_channels;                   /* of what the encoder gives, half of it for KL */
	int levels;                            /* 1 … 8 */
	int widths[EK_AUTOENCODER_MAX_LEVELS]; /* channels of each level, multiples of groups */
	int blocks;                            /* residual blocks a level, 1 … 8; one more going up */
	int attention;                         /* 1: in all blocks of the lowest level, too */
	int groups;                            /* of every group norm */
	int codes, code_width;                 /* of the codebook; VQ */
	int no_quant, no_post_quant;           /* 1: without the 1 x 1 convolution at this end of the latent; KL */
	double scale, shift;                   /* of latents */
};

/* EK_EUSAGE naming what is out of range or does not fit. */
int ek_autoencoder_config_check(const struct ek_autoencoder_config *config);
/* Add diffusers' keys of config.json to an object, so that diffusers loads the model. */
int ek_autoencoder_config_write(cJSON *object, const struct ek_autoencoder_config *config);
/* From diffusers' config.json; `where` starts messages. EK_EDATA; EK_ENOTSUP: an architecture beyond this one. */
int ek_autoencoder_config_read(struct ek_autoencoder_config *out, const cJSON *object, const char *where);

int ek_autoencoder_factor(const struct ek_autoencoder_config *config); /* f */
/* About so many multiply-adds to encode and decode an image: those of the residual blocks. */
double ek_autoencoder_work(const struct ek_autoencoder_config *config);
/* Of a latent, and of what the encoder gives. */
struct ek_net_shape ek_autoencoder_latent_shape(const struct ek_autoencoder_config *config);
struct ek_net_shape ek_autoencoder_encoded_shape(const struct ek_autoencoder_config *config);

/* Append the parameters, with PyTorch's initialisation. */
int ek_autoencoder_params(struct ek_params *params, const struct ek_autoencoder_config *config);
/* Layers over parameters of a table that has them. image: [side, side, channels]; result: moments (KL) or the latent
 * before quantisation (VQ), float32. A value or a negative code, as all layers. */
int ek_autoencoder_encode(struct ek_net *net, const struct ek_params *params,
                          const struct ek_autoencoder_config *config, int image);
/* latent: a sample (KL) or rows of the codebook (VQ); result: an image, float32. */
int ek_autoencoder_decode(struct ek_net *net, const struct ek_params *params,
                          const struct ek_autoencoder_config *config, int latent);
/* The number of the codebook's parameter [codes, code_width], "quantize.embedding.weight". */
int ek_autoencoder_codebook(const struct ek_params *params);

/* A model with its weights. */
struct ek_autoencoder {
	struct ek_autoencoder_config config;
	struct ek_params params;
	float *values; /* [params.size], owned */
};
void ek_autoencoder_release(struct ek_autoencoder *model);

/* Open a model as diffusers keeps it: FOLDER/config.json and FOLDER/diffusion_pytorch_model.safetensors (or
 * .bin, .fp16.safetensors, .fp16.bin), with its names, new or old (query, key, value, proj_attn); FOLDER may be a whole
 * pipeline with its autoencoder in vae/. Release it. EK_EIO, EK_EDATA as ek_params_read, EK_ENOTSUP. */
int ek_autoencoder_open(struct ek_autoencoder *model, const char *folder);
/* The same files, written; the folder must exist. `others` (may be NULL): an object of what else config.json shall say.
 * The scale is in the weights' metadata, too, which is what ek_autoencoder_open believes: whenever the writing stops,
 * what is there is the old model or the new one. */
int ek_autoencoder_save(const char *folder, const struct ek_autoencoder_config *config, const float *values,
                        const cJSON *others);

#endif
