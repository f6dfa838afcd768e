/* A run of small images, embedded by the encoder without weights. */
#ifndef EK_TESTS_EMBEDDED_RUN_H
#define EK_TESTS_EMBEDDED_RUN_H

#include "analysis/embed/embed.h"
#include "rebalance/io/run.h"

/* FOLDER/NNN.png for i = NNN: each is another. */
void ek_write_image(const char *folder, int i);
/* A fresh folder of `count` such images, as ek_scratch. */
const char *ek_make_images(int count);
/* A fresh run of the images in `folder`; the caller frees the encoder and closes the run. */
struct ek_run *ek_embedded_run(struct ek_embed **e, const char *folder);

#endif
