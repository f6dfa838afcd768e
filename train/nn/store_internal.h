/* The store as networks and devices see it. Internal to train/nn. */
#ifndef EK_NN_STORE_INTERNAL_H
#define EK_NN_STORE_INTERNAL_H

#include <stdatomic.h>

#include "train/nn/device_internal.h"
#include "train/nn/store.h"

/* A part of the arrays without frozen parameters. */
struct ek_store_piece {
	size_t first, count;
	double squares;
};

struct ek_store {
	const struct ek_device *device;
	const struct ek_params *params;
	float *families[EK_FAMILIES]; /* the device's, [params->size] */
	float *host;          /* a copy of a family that is viewed, where the device's memory is not the host's */
	atomic_ullong *turns; /* [params->count]: how many have added to the gradient of each */
	atomic_int given_up;
	struct ek_store_piece *pieces;
	size_t piece_count;
	void *attached; /* the device's memory about this store, or NULL: made when it is wanted, released with it */
	struct ek_adamw_factors factors; /* of the step that runs */
	double squares;                  /* of its gradients, where the host takes it */
};

/* What gradients of this norm are multiplied with, as torch.nn.utils.clip_grad_norm_ does. */
static inline float ek_store_scale(double norm, double clip)
{
	return clip > 0 && clip < norm + 1e-6 ? (float)(clip / (norm + 1e-6)) : 1;
}

/* A family where it lies, [params->size]. */
float *ek_store_data(const struct ek_store *s, enum ek_family family);

/* Wait until `turn` others have added to the gradient of a parameter. EK_EINTERRUPTED if one of them gave up. */
int ek_store_wait(struct ek_store *s, int parameter, uint64_t turn);
/* Add x [count], the device's, to the gradient of a parameter and what follows it. */
void ek_store_add(struct ek_store *s, int parameter, size_t count, const float *x);
/* Let the next one. */
void ek_store_pass(struct ek_store *s, int parameter);

#endif
