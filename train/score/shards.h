/* Disjoint shards of images: by chance, from a seed; their sizes differ by one at most. */
#ifndef EK_SCORE_SHARDS_H
#define EK_SCORE_SHARDS_H

#include <stdint.h>

/* order: [images], out: the ids, shard after shard, ascending in each; first: [shards + 1], out: where each begins.
 * images ≥ shards ≥ 1. EK_ENOMEM. */
int ek_shards(int64_t *order, uint64_t *first, uint64_t images, uint64_t shards, uint64_t seed);

#endif
