/*
 * Which images stand for a cluster: the nearest to its centroid (typical), some at random, the furthest (untypical).
 * One pass over all images, memory of clusters × pictures. No image is taken twice.
 */
#ifndef EK_REPORTS_PICKS_H
#define EK_REPORTS_PICKS_H

#include <stddef.h>
#include <stdint.h>

enum ek_pick_kind { EK_PICK_TYPICAL, EK_PICK_RANDOM, EK_PICK_UNTYPICAL, EK_PICK_KINDS };

struct ek_picks {
	size_t k, each;
	uint64_t *ids;   /* [k, 3, each] */
	uint8_t *counts; /* [k, 3] */
};

/* assignment: [n] in 0 … k-1 (others are ignored); distance: [n], NaN counts as furthest. each: 1 … 32.
 * Ties: lower id first. Random: the lowest of a counter-based hash of the id. */
int ek_picks_make(struct ek_picks *picks, const int32_t *assignment, const float *distance, uint64_t n, size_t k,
                  size_t each);
void ek_picks_release(struct ek_picks *picks);
/* The ids of one cluster and kind; `*count` of them. */
const uint64_t *ek_picks_of(const struct ek_picks *picks, size_t cluster, enum ek_pick_kind kind, size_t *count);

/* Up to `each` of every class by lot, as above. class: [n] in 0 … classes-1 (others are ignored); ids: [classes, each]
 * and counts: [classes], out. */
int ek_picks_sample(uint64_t *ids, uint8_t *counts, const int32_t *class, uint64_t n, size_t classes, size_t each);

#endif
