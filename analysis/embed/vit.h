/*
 * Vision transformers: CLIP's image encoder and DINOv2, with and without registers.
 * Names: Hugging Face's model.safetensors, and for DINOv2 also the original .pth.
 */
#ifndef EK_EMBED_VIT_H
#define EK_EMBED_VIT_H

#include "analysis/embed/network.h"

/* encoder: one of encoder.h's names of the family. image: [3, side, side], side a multiple of the patch.
 * Result: one token: CLIP's projected image embedding; DINOv2's class token after the last norm. */
int ek_vit_build(struct ek_network *n, int image, const char *encoder);

#endif
