/*
 * CLIP's text tower (Radford et al. 2021): a causal transformer over the tokens of clip_tokenizer.h, whose row at the
 * end token, after the last norm, is projected into the space of the image features. Read from the weight file that
 * CLIP's image encoder (vit.h) reads, by the names of transformers, or of OpenAI's code and open_clip, those of its
 * CustomTextCLIP among them; sizes follow the tensors, heads are of 64 features, as in all published ones.
 *
 * Float32 on the CPU: a few hundred prompts are seconds of work. A chosen GPU is EK_ENOTSUP.
 */
#ifndef EK_EMBED_CLIP_TOWER_H
#define EK_EMBED_CLIP_TOWER_H

#include <stddef.h>
#include <stdint.h>

struct ek_clip_tower;

/* Open a weight file. EK_EIO; EK_EDATA: no weight file, no text tower in it, one of another vocabulary or shape. */
int ek_clip_tower_open(struct ek_clip_tower **out, const char *weights);
void ek_clip_tower_close(struct ek_clip_tower *t);

/* Features of a text, as many as an image has. */
int ek_clip_tower_features(const struct ek_clip_tower *t);
/* What cosines are multiplied by before softmax: e to the file's logit_scale, 100 in OpenAI's. */
double ek_clip_tower_scale(const struct ek_clip_tower *t);

/*
 * tokens:   [count, EK_CLIP_CONTEXT] as ek_clip_tokenize makes them
 * features: [count, features], out, not normalised
 *
 * The same bytes for any number of threads. EK_EDATA: a tensor is missing or misshapen, or a number is not finite;
 * EK_ENOMEM, EK_ENOTSUP, EK_EINTERRUPTED.
 */
int ek_clip_tower_encode(struct ek_clip_tower *t, float *features, const int32_t *tokens, size_t count);

#endif
