/* What other passes over a run's images need of a prepared embedding. Internal to this folder. */
#ifndef EK_EMBED_EMBED_INTERNAL_H
#define EK_EMBED_EMBED_INTERNAL_H

#include "analysis/embed/embed.h"
#include "analysis/embed/model.h"

const struct ek_preprocessing *ek_embed_preprocessing(const struct ek_embed *e);
/* The network with its weights; `*dimensions`: features of an image, `*batch`: images of a run, what suits the device
 * or as many as its memory suffices for. */
int ek_embed_model(struct ek_model **model, size_t *dimensions, int *batch, const struct ek_embed *e);

#endif
