/*
 * Distances between two sets of rows, a tile at a time: nearest neighbours, radii, and what is built on them.
 * Distances are Euclidean. Every decision (which neighbour is nearer, is a point inside a ball) is the one that float64
 * distances between the float32 rows give, the lower index on a tie: float32 products screen, and what their proven
 * error bound leaves in doubt is measured again. So results are the same for any number of threads. Memory is some
 * tiles and O((N + M) k), however long the sets are.
 */
#ifndef EK_QUALITY_NEIGHBOURS_H
#define EK_QUALITY_NEIGHBOURS_H

#include "analysis/cluster/rows.h"

/*
 * The k nearest rows of `set` to every row of `queries`, nearest first.
 *
 * index:    [queries->count, k] out, rows of the view `set`; may be NULL
 * distance: [queries->count, k] float64 out; may be NULL
 * itself:   1: `queries` and `set` are the same view, and a row is not its own neighbour
 *
 * EK_EDATA: dimensions differ, fewer than k (itself: k + 1) rows, not finite. EK_EINTERRUPTED. Reports progress.
 */
int ek_neighbours(uint32_t *index, double *distance, const struct ek_rows *queries, const struct ek_rows *set, size_t k,
                  int itself);

/*
 * Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), realism (Kynkäänniemi).
 * X: N real rows; Y: M generated; r_k(a; S): distance of a to its k-th nearest in S, itself left out.
 *   precision = share of y inside the ball of some x (radius r_k(x; X));  recall = share of x inside that of some y
 *   density   = mean over y of the number of balls of X that hold it, / k
 *   coverage  = share of x whose ball holds some y
 *   realism y = max r_k(x)/|y - x| over the x with r below the median radius
 */
struct ek_fidelity {
	size_t k;
	int closed; /* 1: a point on the sphere is inside (the paper's <=); 0: not (prdc, dgm-eval) */
	uint64_t real, generated;
	double precision, recall, density, coverage;
	double coverage_expected; /* for equal distributions: 1 - prod_{t=1..k} (N-t)/(N+M-t) */
	double *radius;           /* [N] r_k of the real rows */
	uint8_t *covered;         /* [N] 1: some generated row is inside its ball */
	uint8_t *recalled;        /* [N] 1: it is inside the ball of a generated row */
	uint32_t *balls;          /* [M] how many balls of real rows hold it; 0: not precise */
	double *realism;          /* [M]; INFINITY where it equals a real row */
};

/* EK_EDATA: fewer than k + 1 rows on a side, dimensions differ, not finite. EK_EINTERRUPTED. Release in any case. */
int ek_fidelity(struct ek_fidelity *out, const struct ek_rows *real, const struct ek_rows *generated, size_t k,
                int closed);
void ek_fidelity_release(struct ek_fidelity *fidelity);

/* 1 - prod_{t=1..k} (n-t)/(n+m-t) */
double ek_coverage_expected(uint64_t n, uint64_t m, size_t k);

#endif
