/*
 * Schemes: how often an image of each unit is to be shown, from the sizes of units (definitions.md, section 7).
 *
 *	inverse              w = 1 / n: every unit alike
 *	sqrt                 w = n^(-1/2)
 *	alpha=A              w = n^(-A): 0 as it is, 1 inverse; temperature T is A = 1 - 1/T
 *	effective-number=B   w = (1 - B) / (1 - B^n), B in [0, 1), or "auto" for 1 - 1/(all images) (Cui et al. 2019)
 *	repeat-factor=T      w = max(1, sqrt(T / (n / all images))) (LVIS: Gupta, Dollar, Girshick 2019)
 *	target=FILE          w = target share / (n / all images) (target.h)
 *	design               each image by the D-optimal design over its components (design.h)
 *	vendi                each image by the weights of the largest Vendi score (design.h)
 *	tree                 each image by the tree of clusters that it lies in (image_weights.h)
 *	blend                tree and design together (image_weights.h)
 *	reweigh=A,B          w = p(a) p(b) / p(a, b), by which the attributes A and B become independent (Kamiran and
 *	                     Calders 2012; AIF360's Reweighing)
 */
#ifndef EK_PLAN_SCHEMES_H
#define EK_PLAN_SCHEMES_H

#include "rebalance/plan/image_weights.h"

struct ek_scheme_row;

struct ek_scheme {
	const struct ek_scheme_row *row;
	double number;    /* what follows "=", or NAN where it is "auto" */
	const char *text; /* likewise, as text; points into what was parsed */
};

/* EK_EUSAGE: an unknown scheme, a value that is missing, not a number or out of range. `text` must stay. */
int ek_scheme_parse(struct ek_scheme *scheme, const char *text);

/* The names of all schemes: the i-th, or NULL behind the last. */
const char *ek_scheme_name(size_t i);

/* The units that a scheme is about: `by`, or of reweigh=A,B "A×B"; to be freed. EK_EUSAGE: reweigh with `by`.
 * by: NULL: not asked, "cluster". */
int ek_scheme_units(char **out, const struct ek_scheme *scheme, const char *by);

/* The file the scheme reads beside the run, or NULL. */
const char *ek_scheme_file(const struct ek_scheme *scheme);

/*
 * visits: [units->k] expected visits of an image of each unit in an epoch of units->total positions: w over its mean
 * over images; 0 for an empty unit. run: where reweigh finds its attributes; NULL is fine for others.
 * EK_EDATA, EK_ENOMEM, and what ek_target_load and ek_units_load return.
 */
int ek_scheme_visits(double *visits, const struct ek_scheme *scheme, const struct ek_units *units,
                     const struct ek_run *run, int normalise);

/* 1: it weighs single images, not units. */
int ek_scheme_is_of_images(const struct ek_scheme *scheme);
/* w: [in->count] relative weights of such a scheme. As image_weights.h. */
int ek_scheme_weigh_images(double *w, const struct ek_scheme *scheme, const struct ek_image_input *in);

/*
 * Limit visits to `cap` by water-filling: min(cap, lambda visits), with lambda so that their mean over images is 1
 * again. EK_EUSAGE: cap below what can be met, images / images of units with a share (1 if all have one).
 */
int ek_scheme_cap(double *visits, const uint64_t *sizes, uint32_t k, double cap);

#endif
