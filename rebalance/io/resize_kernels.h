/*
 * The two inner loops of resize.c, compiled for several instruction sets; all give the same bytes.
 *
 * Weights are fixed-point with EK_RESIZE_BITS fraction bits; a sum is rounded and clipped to a byte.
 */
#ifndef EK_IO_RESIZE_KERNELS_H
#define EK_IO_RESIZE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { EK_RESIZE_BITS = 32 - 8 - 2, EK_RESIZE_BLOCK = 16 };

/* Output i is the sum over j < size of weights[i * size + j] × input[first[i] + j]: as many terms for every output,
 * some with weight 0, because a loop that always goes round as often is foreseen by the processor. */
struct ek_taps {
	size_t count, size; /* outputs; inputs of each, ≥ 1 */
	size_t *first;      /* [count] */
	int32_t *weights;   /* [count, size] */
	size_t begin, end;  /* the inputs that are used at all */
};

struct ek_resize_kernels {
	const char *name;
	/*
	 * 16 rows at a time. The rows are turned so that the same byte of all of them lies side by side, weighted
	 * as whole vectors, and turned back.
	 * out: 16 rows of out_bytes (a multiple of 16, at least 3 × taps->count; what is beyond comes from `result`).
	 * in: 16 rows of in_bytes, from input taps->begin on.
	 * turned: [in_bytes rounded up to 16, 16] scratch. result: [out_bytes, 16] scratch.
	 */
	void (*horizontal)(uint8_t *const *out, const uint8_t *const *in, size_t in_bytes, size_t out_bytes,
	                   uint8_t *turned, uint8_t *result, const struct ek_taps *taps);
	/* out: [bytes] = weighted sum of `count` rows of `in`, which are `stride` bytes apart. */
	void (*vertical)(uint8_t *out, const uint8_t *in, size_t stride, size_t bytes, const int32_t *weights,
	                 size_t count);
};

/* The best for this processor. */
const struct ek_resize_kernels *ek_resize_kernels(void);
/* All that this processor can run, best first, for tests; ends with NULL. */
const struct ek_resize_kernels *const *ek_resize_kernels_all(void);

#endif
