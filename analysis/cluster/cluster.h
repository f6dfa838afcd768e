/*
 * The step "cluster": RUN/embeddings.npy to RUN/clusters/ (docs/files.md has the files).
 */
#ifndef EK_CLUSTER_CLUSTER_H
#define EK_CLUSTER_CLUSTER_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/cluster/choose.h"
#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/rows.h"
#include "rebalance/io/run.h"

enum ek_normalise {
	/* Unit for DINOv2, as the paper has it; none for other encoders. On EfficientNet-Lite0 features (side 128) of
	 * 4,168 CIFAR-10 images, 24 clusters, mean NMI with the labels over 5 seeds: none 0.362, l2 0.369, spherical
	 * 0.365. */
	EK_NORMALISE_AUTO,
	EK_NORMALISE_NONE, /* embeddings as they are */
	EK_NORMALISE_UNIT  /* each divided by its Euclidean norm */
};
/* "auto", "none", "l2": by number. */
extern const char *const ek_normalise_names[];

struct ek_cluster_options {
	uint32_t clusters; /* K >= 1; 0: chosen by stability (choose.h) */
	int iterations;    /* at most */
	double tolerance;  /* kmeans.h */
	int redo;          /* starts */
	uint64_t seed;
	int spherical;
	uint64_t subsample;        /* images to train on; 0: all */
	const uint32_t *hierarchy; /* [levels] clusters of each level, falling; instead of `clusters` */
	size_t levels;             /* 0: none */
	int resample;              /* with levels: times each is refitted (hierarchy.h) */
	enum ek_normalise normalise;
	const struct ek_choice_of_k *choice; /* how `clusters` was chosen, to be written down, borrowed; or NULL */
};
#define EK_CLUSTER_OPTIONS_DEFAULT                                                                                     \
	{                                                                                                              \
		.clusters = 24, .iterations = 100, .tolerance = 1e-6, .redo = 3                                        \
	}

enum { EK_CLUSTER_VERSION = 1 };
extern const char *const ek_cluster_inputs[], *const ek_cluster_outputs[]; /* for ek_step */

/* `*out` = the options that change the result, as ek_step wants them; cJSON_Delete it. */
int ek_cluster_options_json(cJSON **out, const struct ek_cluster_options *options);

/*
 * The settings of the run's own clustering, to cluster some of its images again: iterations, tolerance, starts, seed,
 * spherical, subsample and the scaling, as run.json records them; the defaults for clusters from elsewhere. The number
 * of clusters is not looked at. EK_EDATA: a damaged record.
 */
int ek_cluster_settings(struct ek_kmeans_options *out, enum ek_normalise *normalise, const struct ek_run *run);

/*
 * Cluster all images of the run, draw the map, and write assignment, distance, centroids, clusters.json and map.json.
 * With levels the clusters are those of the first (finest) level.
 *
 * The run must be open for writing. Records nothing in run.json. The same bytes for any number of threads. EK_EDATA:
 * no embeddings, damaged ones, fewer distinct images than clusters; EK_EUSAGE, EK_EIO, EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_cluster(struct ek_run *run, const struct ek_cluster_options *options);

/* The most clusters that can be made so of the run's images, counted up to those wanted (`clusters`, or the first of
 * `hierarchy`): as many as images differ among those trained on. EK_EDATA: no embeddings, damaged ones; EK_EIO,
 * EK_ENOMEM, EK_EINTERRUPTED. */
int ek_cluster_most(uint32_t *most, const struct ek_run *run, const struct ek_cluster_options *options);

/* The default number of clusters for the run's images (choose.h). Of the options seed, spherical and normalise are
 * looked at. Errors as ek_cluster_most. */
int ek_cluster_choose(struct ek_choice_of_k *choice, const struct ek_run *run,
                      const struct ek_cluster_options *options);

/* The embeddings of a run, mapped, as rows ready to be clustered. Release `array` with ek_npy_close. `file` is
 * "embeddings.npy" or another with the same number of rows and a .json beside it that may name the encoder. */
int ek_cluster_rows(struct ek_rows *rows, struct ek_npy *array, const struct ek_run *run, const char *file,
                    enum ek_normalise normalise);
/* What was done to the embeddings when the run was clustered, as clusters/clusters.json says; EK_NORMALISE_AUTO if it
 * is not there or does not say. EK_EDATA, EK_EIO. */
int ek_cluster_normalise(enum ek_normalise *out, const struct ek_run *run);
/* `*out` = the encoder that the .json beside `file` names, or "own"; to be freed. */
int ek_cluster_encoder(char **out, const struct ek_run *run, const char *file);

#endif
