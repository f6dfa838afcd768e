/*
 * Vision transformers: CLIP's image encoder and DINOv2, with and without registers, by the names of
 *
 * - transformers' model.safetensors;
 * - OpenAI's CLIP and open_clip (a state dict; the text tower's tensors are not looked at);
 * - facebookresearch's DINOv2, told by its mask_token, which timm's files lack;
 * - timm's DINOv2, where the class token of a network with registers has its position added already.
 *
 * Positions at another side than the published one are resized as the code resizes them whose names they are.
 */
#ifndef EK_EMBED_VIT_H
#define EK_EMBED_VIT_H

#include "analysis/embed/encoder.h"
#include "train/nets/weights.h"
#include "train/nn/net.h"

/* One way of writing the tensors. */
struct ek_vit_names;
extern const struct ek_vit_names *const ek_vit_clip_names[], *const ek_vit_dinov2_names[];

/* encoder: one with a `vit`. Its activation is that of activation.h; where names are OpenAI's and no
 * file says it, a warning says which is taken. image: [side, side, 3], side a multiple of the patch.
 * Result, float32: CLIP's projected image embedding; DINOv2's class token after the last norm. */
int ek_vit_build(struct ek_net *net, struct ek_weights *w, int image, const struct ek_encoder *encoder);

#endif
