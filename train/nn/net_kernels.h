/*
 * Loops over rows of networks that learn, compiled once per instruction set and chosen at run time, as vector.h: the
 * same bits on every instruction set. Internal to train/nn.
 */
#ifndef EK_NN_NET_KERNELS_H
#define EK_NN_NET_KERNELS_H

#include <stddef.h>

#include "train/nn/activation.h"
#include "train/nn/store.h"
#include "train/nn/tensor.h"

/* A row and how it is normalised and modulated: (x - mean) inverse (base + scale) + shift. */
struct ek_net_row {
	const float *x, *scale; /* [n] */
	size_t n;
	float mean, inverse, base;
};

struct ek_net_kernels {
	/* Of a row: mean, and 1 / sqrt(variance + epsilon). */
	void (*statistics)(float *mean, float *inverse, const float *x, size_t n, float epsilon);
	void (*modulate)(float *out, const struct ek_net_row *row, const float *shift);
	/* Given dy of that: dx += …, dscale += …, dshift += …; scratch: [n] */
	void (*modulate_backward)(float *dx, float *dscale, float *dshift, const float *dy,
	                          const struct ek_net_row *row, float *scratch);
	/* out = x + gate · branch */
	void (*gate)(float *out, const float *x, const float *gate, const float *branch, size_t n);
	/* dbranch = dout · gate; dgate += dout · branch */
	void (*gate_backward)(float *dbranch, float *dgate, const float *dout, const float *gate, const float *branch,
	                      size_t n);
	/* x may be out. slope: of EK_NN_RELU below 0. */
	void (*activate)(float *out, const float *x, size_t n, enum ek_nn_activation activation, float slope);
	/* dx = dy · activation'(x); dx may be dy. */
	void (*activate_backward)(float *dx, const float *dy, const float *x, size_t n,
	                          enum ek_nn_activation activation, float slope);
	/* d = p · (d - sum p·d) · scale, in place: softmax with the scale of its input. */
	void (*softmax_backward)(float *d, const float *p, size_t n, float scale);
	/* out = x · a + b, all [n] */
	void (*affine)(float *out, const float *x, const float *a, const float *b, size_t n);
	/* sum += (x - centre)^2 */
	void (*add_squares)(float *sum, const float *x, const float *centre, size_t n);
	/* sum [n] += the rows of x [rows, n], in order */
	void (*add_rows)(float *sum, const float *x, size_t rows, size_t n);
	void (*add_rows_bf16)(float *sum, const ek_bf16 *x, size_t rows, size_t n);
	/* sum += x · y */
	void (*add_products)(float *sum, const float *x, const float *y, size_t n);
	/* AdamW and the average in one pass over [n]; see store.h. */
	void (*adamw)(float *values, float *average, float *m, float *v, const float *gradients, size_t n,
	              const struct ek_adamw_factors *f);
	/* Sum of squares in double, in a fixed order. */
	double (*sum_squares)(const float *x, size_t n);
	/* The same of x · y. */
	double (*sum_products)(const float *x, const float *y, size_t n);
};

const struct ek_net_kernels *ek_net_kernels(void);

#endif
