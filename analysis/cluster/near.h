/*
 * Near-duplicates: pairs of rows whose cosine is above 1 - eps, for a list of eps in one pass (SemDeDup, Abbas et al.
 * 2023).
 *
 * Rows are taken in an order, cut into segments; a row is compared with the rows of its segment that come earlier.
 * Every pair is screened with float32 products and, where the bound on their error (near_scan.c) leaves a doubt,
 * decided by the cosine in float64: so the answer has the same bits for any number of threads and any processor. Few
 * pairs are in doubt even where nearly all are near. Memory is O(n · number of eps) and some tiles, whatever the number
 * of pairs. Large segments are compared on a GPU where one was chosen (train/nn/rows.h), with the same results.
 *
 * Where only near-duplicates are asked for, rows of a large segment are first screened in 32 numbers instead of all
 * (near_screen.c), which excludes most pairs.
 */
#ifndef EK_CLUSTER_NEAR_H
#define EK_CLUSTER_NEAR_H

#include "analysis/cluster/rows.h"

enum { EK_NEAR_MOST_EPS = 16 };

struct ek_near_eps {
	double eps;
	uint64_t pairs;             /* with cosine > 1 - eps */
	uint64_t one_pass_removed;  /* rows with such an earlier row */
	uint64_t greedy_removed;    /* rows with such an earlier row that was itself kept */
	uint64_t groups;            /* connected components of two or more */
	uint64_t component_removed; /* all but one of each */
};

struct ek_near {
	uint64_t n;
	float *similarity; /* [n] largest cosine to an earlier row; -1 if there is none, or it is not near */
	int64_t *partner;  /* [n] that row, the earliest of equals; -1 if there is none */
	size_t eps_count;
	struct ek_near_eps eps[EK_NEAR_MOST_EPS];
	uint32_t *component; /* [eps_count, n] the lowest row of each row's component */
	uint32_t *kept;      /* [n] bit e: greedy keeps the row at eps e */
	float *weakest;      /* [eps_count, n] the smallest cosine of the row's pairs with earlier rows; 2: no pair */
};

/*
 * rows:   unit must be 1
 * order:  [n] the rows, each once; segments: [segment_count + 1] their bounds in it, from 0 to n
 * eps:    [eps_count] in (0, 2), any order, at most EK_NEAR_MOST_EPS
 * near_only: 1: a row's similarity and partner are those of its near-duplicates at the largest eps alone, which is much
 *            less work in large segments; 0: of all rows
 * Release with ek_near_release, also after a failure. EK_EUSAGE, EK_ENOMEM, EK_EINTERRUPTED.
 * A row of zeros has cosine 0 to all others.
 */
int ek_near_find(struct ek_near *out, const struct ek_rows *rows, const uint32_t *order, const uint64_t *segments,
                 size_t segment_count, const double *eps, size_t eps_count, int near_only);
void ek_near_release(struct ek_near *near);

#endif
