/*
 * Images that `evaluate` measures, from wherever they are: a run's samples, a data set, embeddings; in the space of the
 * run's clusters and in that of the measures, with the cluster of each.
 */
#ifndef EK_PIPELINE_MEASURED_H
#define EK_PIPELINE_MEASURED_H

#include "rebalance/pipeline/features.h"
#include "rebalance/pipeline/frozen.h"

/* In which spaces: of the run's embeddings, and of another encoder that measures, or NULL. */
struct ek_spaces {
	struct ek_run *run;
	const struct ek_frozen *frozen;
	const struct ek_feature_maker *own, *other;
};

struct ek_measured {
	char *name;                    /* in RUN/samples, or NULL */
	char *path;                    /* where else it is, absolute, or NULL */
	struct ek_features own, other; /* `other` only where another encoder measures */
	const struct ek_rows *rows;    /* those that are measured, of one of them */
	int32_t *cluster;              /* [rows->count] */
	char hash[17];                 /* of what is not in the run: changes with it; "" */
};

/* A run's samples of this name. */
int ek_measured_samples(struct ek_measured *out, const struct ek_spaces *spaces, const char *name);
/* Can others be measured against what lies at `path`, as far as shows without a run and before any image is read?
 * EK_EUSAGE, EK_EDATA, EK_EIO. */
int ek_measured_check(const char *path);
/* A data set, or embeddings (.npy, or .npz with a table arr_0). path: absolute. EK_EUSAGE: embeddings cannot be
 * measured by another encoder. */
int ek_measured_path(struct ek_measured *out, const struct ek_spaces *spaces, const char *path);
void ek_measured_release(struct ek_measured *measured);

/* Is what ek_measured_path measured when its `hash` was `hash` still that? `*reason`, to be freed, says why not; NULL:
 * it is, or it is away, or run.json does not say how it was embedded. */
int ek_measured_path_changed(char **reason, const struct ek_run *run, const char *path, const char *hash);

/* All rows of `count` sets after each other in a file of RUN/cache, float32, and their clusters in `*cluster`, to be
 * freed. Release `pooled` and remove its file with ek_pooled_release. */
int ek_pooled_open(struct ek_features *pooled, int32_t **cluster, const struct ek_run *run,
                   const struct ek_measured *sets, size_t count);
void ek_pooled_release(struct ek_features *pooled);

#endif
