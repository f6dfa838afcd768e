/*
 * Position embeddings of a ViT at another input size: torch's F.interpolate(mode="bicubic", align_corners=False) over
 * the grid of patches, given the new size (as transformers' interpolate_pos_encoding does; DINOv2's original code gives
 * a scale with an offset of 0.1 instead, which shifts the grid by less than 0.4 % of its side).
 */
#ifndef EK_EMBED_POSITION_H
#define EK_EMBED_POSITION_H

/*
 * in: [side, side, width] float32; out: [new_side, new_side, width] float32.
 * antialias 0: four taps, cubic with a = -0.75, indices clamped at the border.
 * antialias 1: torch's antialias=True: cubic with a = -0.5, support scaled by the reduction, weights normalised.
 * EK_ENOMEM.
 */
int ek_position_interpolate(float *out, int new_side, const float *in, int side, int width, int antialias);

#endif
