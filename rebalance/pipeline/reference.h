/*
 * A reference set: images that have the shares that are wanted, though nobody says which. Every image of the run gets
 * the density ratio of the reference to the run (analysis/cluster/ratio.h) over the run's whitened components, with
 * views of the reference and of some images of the run where the components have views.
 */
#ifndef EK_PIPELINE_REFERENCE_H
#define EK_PIPELINE_REFERENCE_H

#include "rebalance/pipeline/features.h"
#include "rebalance/plan/image_weights.h"

struct ek_reference {
	struct ek_run *run;
	const char *dataset; /* as dataset.h takes it */
	char *place, *array; /* where its images are listed, and the file of the run with their features */
	struct ek_feature_maker maker;
	uint64_t seed;
};

/* Embed the reference as the run's images were, unless that is there and current. EK_EDATA: the embeddings are the
 * user's own. Release in any case. */
int ek_reference_open(struct ek_reference *out, struct ek_run *run, const char *dataset, uint64_t seed);
void ek_reference_release(struct ek_reference *reference);

/* As ek_weights_options.weigh; context: the reference. The components of the run have to be there. */
int ek_reference_weigh(void *context, double *w, const struct ek_image_input *in);

#endif
