/*
 * A source of images for a trainer: RUN/weights/NAME or RUN/subsets/NAME, mapped, with its sampler.
 *
 * Opening reads weights.json (as long as there are units) and maps members.npy or keep.npy: no pass over the images.
 */
#ifndef EK_PLAN_SOURCE_H
#define EK_PLAN_SOURCE_H

#include "rebalance/io/npy.h"
#include "rebalance/plan/sampler.h"

enum ek_source_kind { EK_SOURCE_WEIGHTS, EK_SOURCE_SUBSET };

struct ek_source {
	struct ek_sampler *sampler; /* owned; an epoch has as many positions as there are images in it */
	struct ek_npy members;      /* what it deals from: members.npy or keep.npy */
};

/* folder: the run directory. EK_EDATA: the files do not fit each other, or the subset is empty; EK_EIO: there are none;
 * EK_EUSAGE: no such name. Release in any case. */
int ek_source_open(struct ek_source *source, const char *folder, enum ek_source_kind kind, const char *name,
                   uint64_t seed);
void ek_source_release(struct ek_source *source);

#endif
