/* The files of RUN/samples/NAME. */
#ifndef EK_PIPELINE_SAMPLES_H
#define EK_PIPELINE_SAMPLES_H

#include "rebalance/pipeline/generate_classes.h"

/* `*path` = FOLDER/images/000123.png, to be freed. */
int ek_samples_image(char **path, const char *folder, uint64_t i);
/* pixels: [side, side, 3]. Atomic. */
int ek_samples_write_image(const char *folder, uint64_t i, const uint8_t *pixels, uint32_t side);
/* samples.jsonl. seeds: [classes->count]. */
int ek_samples_write_list(const char *folder, const struct ek_classes *classes, const uint64_t *seeds,
                          const struct ek_flow_description *model);
/* sheet.png, from the images: a row a class, or the first of all. */
int ek_samples_write_sheet(const char *folder, const struct ek_classes *classes, uint32_t side);

#endif
