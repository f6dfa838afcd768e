/*
 * Position embeddings of a ViT at another input size: torch's F.interpolate(mode="bicubic", align_corners=False) over
 * the grid of patches, in the ways that published code calls it.
 */
#ifndef EK_EMBED_POSITION_H
#define EK_EMBED_POSITION_H

enum ek_position_rule {
	/* Given the new size; four taps, cubic with a = -0.75, indices clamped at the border: transformers. */
	EK_POSITION_SIZE,
	/* Given the scale (new_side + 0.1) / side, else the same: facebookresearch's DINOv2 without registers. */
	EK_POSITION_OFFSET,
	/* Given the new size, antialias=True: cubic with a = -0.5, support scaled by the reduction, weights normalised:
	 * DINOv2 with registers, timm, open_clip. */
	EK_POSITION_ANTIALIAS
};

/* in: [side, side, width] float32; out: [new_side, new_side, width] float32. EK_ENOMEM. */
int ek_position_interpolate(float *out, int new_side, const float *in, int side, int width, enum ek_position_rule rule);

#endif
