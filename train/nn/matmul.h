/*
 * Matrix products for code that tiles its own loops (k-means, neighbour search).
 *
 * A plan is made once per shape (milliseconds: code is generated) and then used from any number of
 * threads at once, each call running on the calling thread alone. So a product's bytes depend on its
 * shape and data, not on how many threads run; parallelism is over tiles, by ek_parallel.
 *
 *     EK_TRY(ek_nn_matmul_new(&plan, 512, 1000, 384, EK_NN_BFLOAT16));
 *     EK_TRY(ek_alloc_aligned(&packed, 1, ek_nn_matmul_packed_size(plan)));
 *     EK_TRY(ek_nn_matmul_pack(plan, packed, centroids, scratch));     once per set of centroids
 *     EK_TRY(ek_nn_matmul_run(plan, out, rows, packed, scratch));      once per tile, on every worker
 *
 * A rest of fewer rows than m takes a second plan, or is filled up to m rows (rows do not
 * influence each other, and a row's result does not depend on what is in the others).
 */
#ifndef EK_NN_MATMUL_H
#define EK_NN_MATMUL_H

#include <stddef.h>

#include "train/nn/tensor.h"

struct ek_nn_matmul;

/*
 * `*out` = a plan for out[m, n] = a[m, k] · b[n, k]^T, all dense and row-major, out float32,
 * a and b of `type`, sums in float32. m, n, k: 1 … 2^31-1.
 * EK_EUSAGE for a size out of range, EK_ENOMEM, EK_ENOTSUP if oneDNN has no kernel.
 */
int ek_nn_matmul_new(struct ek_nn_matmul **out, size_t m, size_t n, size_t k, enum ek_nn_type type);
void ek_nn_matmul_free(struct ek_nn_matmul *plan);

/* Bytes of b in the plan's own order (at least n·k elements; padded). It may differ between plans of different m: pack
 * b for the plan that uses it. */
size_t ek_nn_matmul_packed_size(const struct ek_nn_matmul *plan);

/* Bytes of scratch each concurrent call needs (may be 0), aligned to 64 as ek_alloc_aligned gives. */
size_t ek_nn_matmul_scratch_size(const struct ek_nn_matmul *plan);

/* Bring b [n, k] of the plan's type into the plan's order: packed [packed_size bytes, aligned to 64], out.
 * scratch: [scratch_size bytes]; not shared with another running call. */
int ek_nn_matmul_pack(const struct ek_nn_matmul *plan, void *packed, const void *b, void *scratch);

/* out [m, n] float32 = a [m, k] · b^T; every element is written. Thread-safe with separate scratch. */
int ek_nn_matmul_run(const struct ek_nn_matmul *plan, float *out, const void *a, const void *packed, void *scratch);

#endif
