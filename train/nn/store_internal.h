/* The store as networks see it. Internal to train/nn. */
#ifndef EK_NN_STORE_INTERNAL_H
#define EK_NN_STORE_INTERNAL_H

#include "train/nn/store.h"

/* A family where it lies, [params->size]. */
float *ek_store_data(const struct ek_store *s, enum ek_family family);

/* Wait until `turn` others have added to the gradient of a parameter. EK_EINTERRUPTED if one of them gave up. */
int ek_store_wait(struct ek_store *s, int parameter, uint64_t turn);
/* Add x [count] to the gradient of a parameter and what follows it. */
void ek_store_add(struct ek_store *s, int parameter, size_t count, const float *x);
/* Let the next one. */
void ek_store_pass(struct ek_store *s, int parameter);

#endif
