/* What other passes over a run's images need of a prepared embedding. Internal to this folder. */
#ifndef EK_EMBED_EMBED_INTERNAL_H
#define EK_EMBED_EMBED_INTERNAL_H

#include "analysis/embed/embed.h"
#include "analysis/embed/model.h"

const struct ek_preprocessing *ek_embed_preprocessing(const struct ek_embed *e);
/* The network with its weights, for runs of `batch` images; `*dimensions`: features of one. */
int ek_embed_model(struct ek_model **model, size_t *dimensions, const struct ek_embed *e, int batch);

#endif
