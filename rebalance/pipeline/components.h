/*
 * The step `components`: RUN/components, the whitened components of the run's embeddings
 * (analysis/cluster/components.h), with views of every image embedded on the way. Views are not kept; a stopped step
 * goes on where it was (RUN/components/partial.npy), and the bytes are the same for any number of threads.
 */
#ifndef EK_PIPELINE_COMPONENTS_H
#define EK_PIPELINE_COMPONENTS_H

#include "analysis/embed/embed.h"
#include "rebalance/io/run.h"

struct ek_make_components {
	struct ek_embed *embed; /* prepared, of the run's encoder; NULL: there are no images to make views of */
	int views;              /* of each image, itself among them; 1: none, whitened by spread */
	uint64_t seed;
	int keep_every_block; /* 1: keep the sums after every block of images, not now and then (for tests) */
};

extern const char *const ek_components_inputs[], *const ek_components_outputs[];
enum { EK_COMPONENTS_VERSION = 2 };

/* The options as run.json keeps them, to be freed. */
int ek_make_components_json(cJSON **out, const struct ek_make_components *o);
/* Of the components that the run has: `*views` of each image, itself among them; `*seed` of them, unless there is one.
 */
int ek_components_views(size_t *views, uint64_t *seed, const struct ek_run *run);
/* EK_EDATA, EK_EIO, EK_ENOMEM, EK_EINTERRUPTED. */
int ek_make_components(struct ek_run *run, const struct ek_make_components *o);

#endif
