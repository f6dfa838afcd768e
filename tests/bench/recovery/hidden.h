/*
 * Images whose groups are known and hidden from what is measured, with a skew that is planted or was there; features of
 * theirs and of their views, whitened on these images alone.
 */
#ifndef EK_BENCH_HIDDEN_H
#define EK_BENCH_HIDDEN_H

#include "analysis/cluster/components.h"
#include "rebalance/io/npy.h"

enum { EK_HIDDEN_GROUPS = 64 }; /* at most */

struct ek_hidden {
	struct ek_npy features, hidden; /* [images, views, d], [images] */
	uint64_t n;                     /* images that are left */
	uint64_t *ids, order;
	int planted;     /* a skew: else all images as they are */
	uint32_t *group; /* [n] */
	uint32_t groups;
	size_t views, d, k;
	float *raw; /* [n, d] */
	float *x;   /* [n, k] noise-whitened */
	float *p;   /* [n, k] whitened by spread */
	struct ek_components noise, spread;
	double label_worth; /* ESS of weights by the true labels */
};

/* features, groups: as bench_recovery takes them. ratio above 1 plants a skew: of the groups, in an order drawn by
 * `order`, the first has `largest` images and the last largest / ratio, falling geometrically. Release in any case. */
int ek_hidden_open(struct ek_hidden *h, const char *features, const char *groups, double ratio, uint64_t order,
                   double largest);
void ek_hidden_release(struct ek_hidden *h);

/* share: [groups] under weights [n], or as they are with NULL */
void ek_hidden_shares(double *share, const struct ek_hidden *h, const double *w);
/* Normalised entropy. */
double ek_hidden_entropy(const double *share, uint32_t groups);

/* out: [n], all numbers of images in an order of the seed and the name. */
int ek_hidden_shuffle(uint64_t *out, const struct ek_hidden *h, uint64_t seed, const char *name);
/* numbers: [n], all images in some order; only `each` of every group stay, the first. Returns how many these are. */
uint64_t ek_hidden_first(uint64_t *numbers, const struct ek_hidden *h, uint64_t each);

/* Noise-whitened components of all views of these images, to out [count, views, k]. */
int ek_hidden_views(float *out, const struct ek_hidden *h, const uint64_t *numbers, uint64_t count);

/* numbers: [n] out, `*count` images that somebody labels who works with the page of `label`, the groups being named
 * beforehand: `budget` images in the page's order, a sheet after the other; then, `each` above 0, sheets of searches
 * for groups with fewer labels, of which only the images of the group are labelled, until all have `each` labels or
 * 60 images a group were looked at. What was passed over for one group comes again for another that has no label, which
 * the page spares people. looked: at how many images. */
int ek_hidden_page(uint64_t *numbers, uint64_t *count, uint64_t *looked, const struct ek_hidden *h, uint64_t budget,
                   uint64_t each);

#endif
