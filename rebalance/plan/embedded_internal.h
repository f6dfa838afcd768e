/* What the methods of embedded.h share. */
#ifndef EK_PLAN_EMBEDDED_INTERNAL_H
#define EK_PLAN_EMBEDDED_INTERNAL_H

#include "analysis/cluster/cluster.h"
#include "analysis/cluster/near.h"
#include "rebalance/plan/embedded.h"

/* The embeddings of the run; EK_EDATA if they are not as many as images. Release `array`. */
int ek_embedded_rows(struct ek_rows *rows, struct ek_npy *array, const struct ek_run *run, const struct ek_units *units,
                     enum ek_normalise normalise);

/* How far each image is from the direction of its centroid. */
struct ek_prototypes {
	struct ek_rows rows;          /* all embeddings; borrowed */
	const struct ek_units *units; /* images in none are not measured */
	const int32_t *assignment;    /* [n] */
	const float *centroids;       /* [k, d] */
	uint64_t k;
	const char *where; /* the assignment, for messages */
	double *norms;     /* [k] of the centroids; owned */
	float *difficulty; /* [n] 1 - cosine; owned */
	float *room;       /* [threads, d] owned */
};
/* The members before `norms` are the caller's. EK_EDATA, EK_ENOMEM, EK_EINTERRUPTED. Release in any case. */
int ek_prototypes_measure(struct ek_prototypes *p);
void ek_prototypes_release(struct ek_prototypes *p);

/* The images that are in a unit, each with its cosine to the most similar earlier one of its unit. */
struct ek_dedup {
	struct ek_npy array;
	struct ek_rows rows;
	uint64_t *ids;      /* [units->total] */
	uint64_t *segments; /* [units->k + 1] */
	uint32_t *order;    /* [units->total] */
	struct ek_near near;
	size_t at;         /* place of the eps asked for in near.eps */
	float *similarity; /* [units->n] */
};
/* `eps`: counted beside ek_duplicates_eps; 0: none. The counts go to options->report. Release in any
 * case. */
int ek_dedup_find(struct ek_dedup *d, const struct ek_run *run, const struct ek_units *units,
                  const struct ek_embedded_options *options);
void ek_dedup_release(struct ek_dedup *d);

/* Keys from values [units->n]. */
int ek_embedded_keys(uint32_t *keys, const float *values, int falling, const struct ek_units *units);
uint64_t ek_embedded_total(const uint64_t *quota, uint32_t k);
/* Divide the sum of `quota` by one order of all images, each unit first given its floor: `share` of an even part. */
int ek_embedded_divide(uint64_t *quota, const uint32_t *keys, const struct ek_units *units, double share);

/* Set kept [units->n] to `value` for the first quota[u] images of every unit u. */
int ek_embedded_mark(uint8_t *kept, uint8_t value, const uint32_t *keys, const uint64_t *quota,
                     const struct ek_units *units);
/* Make keys those of the order by tier [units->n] first, highest tier first, then by the keys there are; and quota the
 * images of the highest tier `top` in each unit. */
int ek_embedded_tiers(uint32_t *keys, uint64_t *quota, const uint8_t *tier, uint8_t top, const struct ek_units *units);

#endif
