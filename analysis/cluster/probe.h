/*
 * A probe: which of G groups a row belongs to, learned from a few rows whose group is known.
 *
 * Multinomial logistic regression: minimises
 *	1/2 sum over groups |w_g|² + C sum over rows s_i ( ln sum over g exp(w_g · x_i + b_g) - (w_y · x_i + b_y) ),
 * scikit-learn's LogisticRegression with the L2 penalty; s_i: a row's weight. Probabilities are the softmax of the
 * logits over a temperature.
 *
 * How it is chosen (ek_probe_choose): C, and whether views are training rows, by the log loss of cross-validation on
 * the labelled images themselves (views of an image stay with it; only images as they are count), at the temperature
 * that suits each setting best (Guo, Pleiss, Sun, Weinberger 2017), then one fit on all. The probe keeps a temperature
 * of 1: images that are labelled because they teach much are harder to tell than images are, and what suits them would
 * make the probabilities of all too even (docs/recovery.md). What keeps them moderate is the penalty.
 *
 * Prior correction (Saerens, Latinne, Decaestecker 2002): labelled images need not come in the shares that all have.
 * prior <- mean over i of q_i, q_ig ∝ p_ig prior_g / train_g, to convergence; with `even` above 0, as if so many times
 * the rows were seen of even shares besides (the mode under a Dirichlet prior), since a few labels know a small group
 * too badly for its share to be driven down to nothing.
 */
#ifndef EK_CLUSTER_PROBE_H
#define EK_CLUSTER_PROBE_H

#include <stddef.h>
#include <stdint.h>

struct ek_probe {
	uint32_t groups;
	size_t k;      /* components that it looks at, the first ones of a row */
	double *w;     /* [groups, k + 1] the last of each is b */
	double *train; /* [groups] share of the rows that it learned from */
	double temperature;
};

/* Rows that it learns from: `views` rows of each image, the image as it is first. */
struct ek_probe_rows {
	const float *x; /* [images, views, stride] */
	size_t stride, views;
	const uint32_t *group; /* [images] */
	const double *weight;  /* [images] how much each counts; NULL: 1 */
	uint64_t images;
	uint32_t groups;
};

/* What was tried, and which was best. */
struct ek_probe_choice {
	double c;
	size_t k, views; /* of each image that were used: 1 or all */
	double log_loss; /* of left-out images, per image, at the best temperature */
	double accuracy; /* of left-out images */
	uint32_t folds;
};

/* Fit with these settings; temperature 1. Each image counts alike, so one of several rows has weight 1 / views of them.
 * `take`: [images] 1 for those to learn from, or NULL: all. EK_EDATA: a group without a row. Release in any case. */
int ek_probe_fit(struct ek_probe *probe, const struct ek_probe_rows *rows, const uint8_t *take, size_t k, size_t views,
                 double c);
void ek_probe_release(struct ek_probe *probe);

/* Choose and fit. folds of cross-validation: 5, or as many as the smallest group has images, at least 2; a group of one
 * image is always learned from. The same for any number of threads. */
int ek_probe_choose(struct ek_probe *probe, struct ek_probe_choice *choice, const struct ek_probe_rows *rows,
                    uint64_t seed);

/* out: [groups] probabilities of the row x [>= k]. */
void ek_probe_predict(double *out, const struct ek_probe *probe, const float *x);

/* q: [n, groups] of all rows x [n, stride]; on all threads. */
int ek_probe_predict_all(float *q, const struct ek_probe *probe, const float *x, uint64_t n, size_t stride);

/*
 * Cross-fitted probabilities: a labelled row's come from a probe that did not learn from it, all others' are the mean
 * of these probes' (Zrnic and Candès 2024). ids: [rows->images] which of the n rows each labelled image is, or n and
 * above: none of them. choice, temperature, seed: as ek_probe_choose left them. EK_EDATA: no group has two images.
 */
int ek_probe_cross(float *q, const struct ek_probe_rows *rows, const uint64_t *ids,
                   const struct ek_probe_choice *choice, double temperature, const float *x, uint64_t n, size_t stride,
                   uint64_t seed);

#define EK_PROBE_EVEN 0.1

/* q: [n, groups] probabilities under `train` on entry, under `prior` on return; prior: [groups] out. Returns how many
 * rounds it took. At most 256 groups. even: EK_PROBE_EVEN, or 0: none. */
int ek_probe_correct(float *q, double *prior, const double *train, double even, uint64_t n, uint32_t groups);

/* told: [groups, groups] row g: the mean probabilities of labelled images of group g, by probes that did not learn from
 * them, as if groups were equally frequent; where none can be left out, its own group for sure. choice, seed: as
 * ek_probe_choose left them. At most 256 groups, here and below. */
int ek_probe_told(double *told, const struct ek_probe_rows *rows, const struct ek_probe *probe,
                  const struct ek_probe_choice *choice, uint64_t seed);

/*
 * Shares of groups among rows whose mean probabilities are `mean`, as if groups were equally frequent: Bayesian
 * unfolding (D'Agostini 1995), share_g <- share_g sum over j of told_gj mean_j / sum over h of told_hj share_h, from
 * even shares. Endless rounds end where `told` maps the shares to the mean, which is what black box shift learning
 * solves for (Lipton, Wang, Smola 2018); fewer go less far from even.
 */
void ek_probe_unfold(double *share, const double *told, const double *mean, int rounds, uint32_t groups);

/* q: [n, groups] to q_ig w_g, of sum 1, whose mean is `share`; as near as the rows can be. */
void ek_probe_rake(float *q, const double *share, uint64_t n, uint32_t groups);

#endif
