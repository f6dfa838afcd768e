/* Scores of one set alone: Vendi's and Inception's. */
#ifndef EK_QUALITY_DIVERSITY_H
#define EK_QUALITY_DIVERSITY_H

#include "analysis/cluster/rows.h"

/*
 * Vendi score (Friedman and Dieng 2023; Pasarkar and Dieng 2024 for other orders): with rows at unit length and l the
 * eigenvalues of X'X/n (those of XX'/n but for zeros), exp(-sum l ln l) at order 1, (sum l^q)^(1/(1-q)) at another,
 * 1/max l at infinity. 1 … n: an effective number of different images. l <= 1e-12 are left out. A row of zeros stays
 * one.
 *
 * weights: [count] >= 0, any sum > 0: rows count by their share of it; NULL: alike
 * order:   q >= 0, INFINITY too
 *
 * The smaller of n x n and d x d is solved; X'X is summed in blocks. Everything is in float64, lengths too, whatever
 * rows->unit says. EK_EDATA: not finite, a weight that is none, all weights 0 or all rows zeros. EK_EINTERRUPTED.
 */
int ek_vendi(double *out, const struct ek_rows *rows, const double *weights, double order);

struct ek_inception_score {
	double mean, std; /* over the splits, divisor `splits` */
	uint32_t splits;
};

/*
 * Inception score (Salimans et al. 2016): rows of logits [n, 1008] in a random order (a function of `seed`) cut into
 * `splits` parts, exp of the mean KL divergence of the softmax of a row from the part's mean softmax. Means nothing for
 * images unlike ImageNet's. EK_EDATA: fewer rows than splits, not finite.
 */
int ek_inception_score(struct ek_inception_score *out, const struct ek_rows *logits, uint32_t splits, uint64_t seed);

#endif
