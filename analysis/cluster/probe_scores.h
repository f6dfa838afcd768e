/*
 * Scores of images for those who train classifiers, by a linear probe of the embeddings (softmax.h) that learns for a
 * few epochs, from several seeds: seconds, where the papers train whole networks. Of row i with label y, logits z and
 * p = softmax(z):
 *
 *  el2n        |p - onehot(y)|, Euclidean, after `early` epochs (Paul, Ganguli, Dziugaite 2021)
 *  grand       the norm of the gradient of the loss by W and b, likewise: |p - onehot(y)| sqrt(|x|² + 1)
 *  forgetting  how often it was classified rightly at one visit and wrongly at the next (Toneva and others 2019); what
 *              was never right has the number of epochs, the most
 *  margin      z_y less the largest other logit, after all epochs
 *  aum         the mean of that margin over the visits of all epochs (Pleiss and others 2020)
 *
 * A visit is when its batch is learned from, before the step.
 */
#ifndef EK_CLUSTER_PROBE_SCORES_H
#define EK_CLUSTER_PROBE_SCORES_H

#include "analysis/cluster/softmax.h"

enum ek_probe_score { EK_PROBE_EL2N, EK_PROBE_GRAND, EK_PROBE_FORGETTING, EK_PROBE_MARGIN, EK_PROBE_AUM };

struct ek_probe_score_options {
	uint32_t seeds, epochs;
	uint32_t early; /* el2n, grand: after so many epochs, 1 … epochs */
	double rate;
	uint64_t seed; /* the seeds are seed, seed + 1 … */
};

/*
 * score, error: [data->rows->count] the mean over the seeds and its standard error (NaN for one seed). `*accuracy`: the
 * share of rows that were classified rightly at their last visit, the mean over the seeds (el2n and grand stop early).
 * The same bytes for any number of threads: seeds run side by side. EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_probe_scores(float *score, float *error, double *accuracy, enum ek_probe_score which,
                    const struct ek_softmax_data *data, const struct ek_probe_score_options *options);

#endif
