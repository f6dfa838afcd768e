/*
 * SiT and DiT (Peebles and Xie 2023; Ma et al. 2024): a transformer that sees an image or latent with noise, a time and
 * a label, and predicts what a flow or a diffusion model needs there. Tensor names, shapes and initialisation are those
 * of the public checkpoints, which are read unchanged; DiT checkpoints are SiT with a learned sigma and times 0 … 999.
 */
#ifndef EK_FLOW_SIT_H
#define EK_FLOW_SIT_H

#include "rebalance/base/json.h"
#include "rebalance/io/tensors.h"
#include "train/nn/net.h"

struct ek_sit_config {
	int depth, width, heads; /* blocks; features of a token, a multiple of 4 and of heads */
	int patch;               /* side of what one token covers */
	int side, channels;      /* of the image or latent; side is a multiple of patch */
	int classes;             /* labels 0 … classes - 1; 0 and 1 alike: no condition, every label is 0 */
	int learned_sigma;       /* 1: twice the channels come out, the second half is for the variance */
};

/* EK_EUSAGE naming what is out of range or does not fit. */
int ek_sit_config_check(const struct ek_sit_config *config);
/* Set depth, width, heads and patch by name, "SiT-S/2"; S, B, L or XL, any patch. EK_EUSAGE listing the names. */
int ek_sit_config_name(struct ek_sit_config *config, const char *name);
/* Keys of config.json: all members by their names. EK_EDATA naming what is missing or wrong; `where` starts it. */
int ek_sit_config_write(cJSON *object, const struct ek_sit_config *config);
int ek_sit_config_read(struct ek_sit_config *out, const cJSON *object, const char *where);

/* About how many multiply-adds the prediction for one image takes. */
double ek_sit_work(const struct ek_sit_config *config);
/* The label that stands for none: what guidance and label dropout take. */
int ek_sit_no_label(const struct ek_sit_config *config);
/* Channels of the prediction. */
int ek_sit_outputs(const struct ek_sit_config *config);
/* Numbers of an image: side · side · channels. */
size_t ek_sit_elements(const struct ek_sit_config *config);

/* Append the parameters. */
int ek_sit_params(struct ek_params *params, const struct ek_sit_config *config);

/*
 * Layers over the parameters of a table that has them. x: [side, side, channels]; t: [1, 1, 1]; labels: ids. Result:
 * the prediction [side, side, outputs], float32; a value or a negative code, as all layers. Each block is a segment.
 */
int ek_sit_build(struct ek_net *net, const struct ek_params *params, const struct ek_sit_config *config, int x, int t,
                 int labels);

/*
 * A weight file, .safetensors or .pt: the tensors alone, by the public names or by those of diffusers, whose
 * config.json lies beside, or several sets of them as in training checkpoints, "ema.", "model." and the optimizer's, of
 * which the average is taken if it is there.
 */

/* What network a file is for. heads comes from the named sizes, else it is width / 64. EK_EDATA: not a SiT or DiT. */
int ek_sit_file_config(struct ek_sit_config *out, const struct ek_tensor_file *file);
/* values: [params->size], out. EK_EDATA, naming the tensor: missing, unknown, of another shape, or not finite. */
int ek_sit_file_read(float *values, const struct ek_params *params, const struct ek_tensor_file *file);
/* The same for a network of other labels than the file's: every row of its table is the file's for no label, so that it
 * starts as the file's network without a condition. */
int ek_sit_file_read_relabelled(float *values, const struct ek_params *params, const struct ek_tensor_file *file);

#endif
