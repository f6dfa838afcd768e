/*
 * The evaluations of a run, as the report needs them: RUN/evaluations/NAME.json (docs/files.md), in the order of their
 * names. Internal to reports/.
 */
#ifndef EK_REPORTS_EVALUATIONS_H
#define EK_REPORTS_EVALUATIONS_H

#include "reports/models.h"
#include "reports/sample_sets.h"

struct ek_evaluation {
	char *name;
	cJSON *json;
	char *stale;        /* why it would come out otherwise now, or NULL */
	const cJSON **rows; /* [k] what it says of each cluster; NULL: it counts other clusters than the run has now */
	size_t *sets;       /* [set_count] the sample sets it is of that are still there */
	size_t set_count;
	/* Some generated images that lie in each cluster: [k, each] of keys (ek_sample_key); NULL: not known. */
	size_t each;
	uint64_t *keys;
	uint8_t *counts; /* [k] */
};

struct ek_evaluations {
	struct ek_evaluation *items;
	size_t count;
};

/* An evaluation whose document is damaged is not there, but in `left_out` (ek_leave_out). Release in any case. */
int ek_evaluations_load(struct ek_evaluations *evaluations, struct ek_buffer *left_out, struct ek_run *run,
                        const struct ek_sample_sets *sets, size_t k);
void ek_evaluations_release(struct ek_evaluations *evaluations);

/* Choose the first `each` generated images that lie in each cluster, by samples/NAME/assignment.npy; where it is not
 * there, none, nor where it is damaged: then it is in `left_out` (ek_leave_out). */
int ek_evaluation_draw(struct ek_evaluation *e, struct ek_buffer *left_out, const struct ek_run *run,
                       const struct ek_sample_sets *sets, size_t k, size_t each);

/* The picture of a sample among those of ek_pictures. */
uint64_t ek_sample_key(size_t set, uint64_t i);
size_t ek_sample_key_set(uint64_t key);
uint64_t ek_sample_key_sample(uint64_t key);

/* A generated image that lies as near to a training image as training images do to each other. */
struct ek_copy {
	size_t set;
	uint64_t sample, image;
	double distance, own; /* to it, and from it to its nearest other training image */
};
/* The i-th of "copies" whose sample set is there and whose image is one of the run's `images`; 0: there is none. */
int ek_evaluation_copy(struct ek_copy *copy, const struct ek_evaluation *e, const struct ek_sample_sets *sets,
                       uint64_t images, size_t i);

/* Why a measure is null: of a row of per_cluster (may be NULL) or of the document; NULL where no reason is given. */
const char *ek_evaluation_reason(const struct ek_evaluation *e, const cJSON *row, const char *measure);

#endif
