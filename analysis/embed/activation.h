/*
 * Which activation the network of a weight file has: no tensor tells, and CLIP exists with two (OpenAI's with
 * quick_gelu, most of open_clip's, LAION's among them, with gelu).
 *
 * It is what a file beside it says, in this order: `hidden_act` of config.json (transformers; of its vision_config
 * where it has one), `quick_gelu` of open_clip_config.json (left out there means gelu); else what the encoder was
 * published with. A config.json whose model_type is of another family belongs to another file and is not looked at.
 */
#ifndef EK_EMBED_ACTIVATION_H
#define EK_EMBED_ACTIVATION_H

#include "analysis/embed/encoder.h"
#include "train/nn/activation.h"

/* `*name`: one of transformers' names, static. `*said`: 1 if a file says it. EK_EIO; EK_EDATA: such a file cannot be
 * read; EK_ENOTSUP: an activation that is not done here. */
int ek_activation_find(const char **name, int *said, const struct ek_encoder *encoder, const char *weights);

/* The activation itself. unsaid: 1: the tensors' names are those of files of either, so that a warning says which is
 * taken where no file says it. Otherwise as above. */
int ek_activation_choose(enum ek_nn_activation *out, const struct ek_encoder *encoder, const char *weights, int unsaid);

#endif
