/*
 * The nearest centroid of every row, exactly.
 *
 * Exactly: the smallest float64 distance as ek_vector_distance2 gives it, the lower index on a tie. So the answer has
 * the same bits for any number of threads, any processor, and any of the screens below.
 *
 * It is found by a screen: an approximate squared distance s of every row to every centroid, and proven bounds on its
 * error; only the centroids that the bounds cannot exclude are measured in float64. Rows and centroids are first moved
 * by the mean of the data. Let x^ and c^ be what the screen works on (the moved vectors, rounded), e_x and e_c the
 * norms of what rounding took away, so that | |x-c| - |x^-c^| | <= E = e_x + e_c; and let s differ from |x^-c^|^2 by
 * at most eps = gamma (|x^| + |c^|)^2, with gamma = (d + 8) u / (1 - (d + 8) u), u = 2^-24, whatever the order of
 * the float32 sums (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). If some centroid is at
 * most U away, a nearest one has s <= (U + E)^2 + eps.
 *
 * Between iterations rows whose nearest centroid cannot have changed are left out (Hamerly, "Making k-means even
 * faster", 2010): `lower` bounds the distance to every centroid but the own from below, and none came closer than by
 * the largest move. A row whose own centroid is no farther than before is still nearer to it than to any that has not
 * moved, so it is compared with those that moved only (Kaukoranta, Franti and Nevalainen, "A fast exact GLA based on
 * code vector activity detection", 2000).
 *
 * What rows become for the screen is kept, up to 1 GiB.
 */
#ifndef EK_CLUSTER_NEAREST_H
#define EK_CLUSTER_NEAREST_H

#include <stdint.h>

#include "analysis/cluster/rows.h"

enum ek_screen {
	EK_SCREEN_AUTO,     /* bfloat16 where the processor multiplies it in hardware and d >= 64, else FAISS */
	EK_SCREEN_FAISS,    /* FAISS's flat search, float32 */
	EK_SCREEN_BFLOAT16, /* products in bfloat16, sums in float32 */
	EK_SCREEN_NONE,     /* every distance in float64: for tests */
	EK_SCREEN_DEVICE /* on the device that was chosen, which has rows (train/nn/rows.h); there no row is skipped */
};

/* What is known of each row; arrays [rows], owned by the caller. */
struct ek_nearest_state {
	int32_t *assignment; /* a centroid's number, or -1 */
	double *distance2;   /* squared distance to it; infinity while there is none */
	float *lower;        /* lower bound on the distance to all others at the last search, 0 at first; NULL: do not
	                        skip */
	const double *moves; /* [k] how far each centroid has moved since the last search of all, at least, and 0 only
	                        if not at all; NULL: not known, `lower` is then not looked at */
};

struct ek_nearest;
struct ek_nn_rows;

/* `rows` and `mean` [d] float64 (ek_rows_mean) must outlive it. At most 2^31 - 1 rows (EK_ENOTSUP). */
int ek_nearest_new(struct ek_nearest **out, const struct ek_rows *rows, const double *mean, enum ek_screen screen);
void ek_nearest_free(struct ek_nearest *f);
/* The rows on the device; NULL: another screen. */
struct ek_nn_rows *ek_nearest_device(const struct ek_nearest *f);

/*
 * Look whether a centroid is nearer than the one a row has.
 *
 * centroids: [k, d] float32, numbered first … first + k - 1
 * state: a row whose assignment is one of these numbers gets its distance measured anew, any other keeps it.
 *        With `lower` the centroids must be all there are (first 0).
 * changed: rows whose assignment is another than before, out; may be NULL
 * EK_EINTERRUPTED leaves the state half done.
 */
int ek_nearest_search(struct ek_nearest *f, struct ek_nearest_state *state, const float *centroids, uint32_t k,
                      uint32_t first, uint64_t *changed);

#endif
