/*
 * The run as what is generated is measured against: its frozen clusters, its training and its held-out images, and
 * which of them a model has seen.
 */
#ifndef EK_PIPELINE_FROZEN_H
#define EK_PIPELINE_FROZEN_H

#include "analysis/cluster/rows.h"
#include "rebalance/io/run.h"
#include "rebalance/plan/units.h"

struct ek_frozen {
	struct ek_npy assignment; /* of all images, held-out ones too: [n] int32 */
	struct ek_npy centroids;  /* [k, d] */
	uint32_t k;
	uint64_t images;
	int spherical, unit; /* how rows are compared with centroids */
	uint64_t *training;  /* [training_count] ids, rising: all that are not held out */
	uint64_t *held_out;  /* [held_out_count] */
	uint64_t *sizes;     /* [k] training images of each cluster */
	uint64_t training_count, held_out_count;
};

/* EK_EDATA: no clusters, or files that do not fit each other. Release in any case. */
int ek_frozen_open(struct ek_frozen *out, const struct ek_run *run);
void ek_frozen_release(struct ek_frozen *frozen);

/* The cluster of each row: assignment [rows->count]. EK_EDATA: of other dimensions than the centroids, or a row that is
 * not finite; `what` (a file) starts the message. */
int ek_frozen_assign(int32_t *assignment, const struct ek_frozen *frozen, const struct ek_rows *rows, const char *what);

/* What samples were made from, as RUN/samples and RUN/models say. All NULL, and all training images, where nothing
 * does. */
struct ek_seen {
	cJSON *samples, *model; /* their config.json, or NULL */
	const char *name, *subset, *weights;
	uint64_t *ids; /* [count] training images that the model saw, rising */
	uint64_t count;
};

/* samples: a name in RUN/samples, or NULL. A plan that was made again since the model was trained is warned of, and all
 * training images are taken. Release in any case. */
int ek_seen_open(struct ek_seen *out, const struct ek_run *run, const struct ek_frozen *frozen, const char *samples);
void ek_seen_release(struct ek_seen *seen);

#endif
