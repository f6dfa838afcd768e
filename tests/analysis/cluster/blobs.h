/* Made-up embeddings for the tests of this folder. */
#ifndef EK_TESTS_CLUSTER_BLOBS_H
#define EK_TESTS_CLUSTER_BLOBS_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/io/run.h"

/* n points [n, d] around k centres, to be freed; `spread` 1 overlaps, 0.05 does not. truth: [n] or NULL. */
float *ek_blobs(uint64_t n, size_t d, uint32_t k, double spread, double offset, int32_t *truth);

/* A new run directory, open for writing, that holds x [n, d] as embeddings.npy. */
struct ek_run *ek_blobs_run(const float *x, uint64_t n, size_t d);

#endif
