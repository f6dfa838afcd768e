/*
 * The step "stability": does the same clustering come out again? RUN/clusters/stability.json (docs/files.md).
 *
 * The run's clusters are compared, by ARI and NMI, with k-means from 5 other seeds on the same embeddings, with half
 * and twice as many clusters, and with as many clusters on every other embedding of the run (embeddings-*.npy). Each
 * cluster's own stability is the mean over the seeds of its best Jaccard match (Hennig 2007). Up to 20,000 images all
 * are used, beyond that a subsample drawn by seed; the file tells how many.
 *
 * The skew of the clusters is compared with that of k-means on data without structure, too (null.h).
 *
 * Verdict by the mean ARI over all pairs among the run's clusters and the seeds': stable from 0.8, unstable below 0.5.
 */
#ifndef EK_CLUSTER_STABILITY_H
#define EK_CLUSTER_STABILITY_H

#include <stdint.h>

#include "rebalance/io/run.h"

struct ek_stability_options {
	int seeds;       /* 1 … 20 */
	uint64_t seed;   /* of the subsample; the clusterings use seed + 1, seed + 2, … */
	uint64_t images; /* at most; 0: all */
};
#define EK_STABILITY_OPTIONS_DEFAULT                                                                                   \
	{                                                                                                              \
		.seeds = 5, .images = 20000                                                                            \
	}

enum { EK_STABILITY_VERSION = 4 };
extern const char *const ek_stability_outputs[]; /* for ek_step */
/* The files it reads: `*inputs` ends with NULL, is one block with its names, and is freed with free(). */
int ek_stability_inputs(const char ***inputs, const struct ek_run *run);
/* `*out` = the options that change the result, as ek_step wants them; cJSON_Delete it. */
int ek_stability_options_json(cJSON **out, const struct ek_stability_options *options);

/* Measure and write. The run must be open for writing and clustered. Records nothing in run.json. The same bytes for
 * any number of threads. EK_EDATA (files missing, damaged or of different images), EK_EUSAGE, EK_EIO, EK_ENOMEM,
 * EK_EINTERRUPTED. */
int ek_stability(struct ek_run *run, const struct ek_stability_options *options);

#endif
