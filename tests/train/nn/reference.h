/*
 * The twin: every operator of train/nn in plain C with double accumulators and no blocking.
 * Images are [channels, height, width] of one image, tokens [count, features]; all dense float32.
 */
#ifndef EK_TESTS_NN_REFERENCE_H
#define EK_TESTS_NN_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/layers.h"

double ref_activate(enum ek_nn_activation activation, double x);

/* out[m, n] = a[m, k] · b[n, k]^T */
void ref_matmul(double *out, const float *a, const float *b, size_t m, size_t n, size_t k);

/* As ek_nn_conv, `residual` being an image of the result's shape or NULL. */
void ref_conv(float *out, const float *x, struct ek_nn_shape in, const struct ek_nn_conv *conv, const float *residual);
void ref_pool(float *out, const float *x, struct ek_nn_shape in, const struct ek_nn_pool *pool);
void ref_global_average(float *out, const float *x, struct ek_nn_shape in);
/* As ek_nn_linear with its parts. */
void ref_linear(float *out, const float *x, struct ek_nn_shape in, const struct ek_nn_linear *linear,
                const float *residual);
void ref_layer_norm(float *out, const float *x, struct ek_nn_shape in, const struct ek_nn_layer_norm *norm);
void ref_attention(float *out, const float *qkv, struct ek_nn_shape in, int heads);
void ref_patches(float *out, const float *x, struct ek_nn_shape in, int side);

/* Round to bfloat16 and back, in place: what a bf16 graph makes of its inputs and weights. */
void ref_round_bf16(float *x, size_t count);

/* Deterministic standard normal values. */
void ref_fill(float *x, size_t count, uint64_t stream);
/* An array of `count` NaNs with a guard band of 64 after it (to be freed), and a check that the guard is whole
 * and no value is NaN. */
float *ref_poisoned(size_t count);
int ref_is_whole(const float *x, size_t count);

/* max|x| · the largest sum of |w| over one of `outputs` rows of w: no partial sum of a product is larger. */
double ref_bound(const float *x, size_t count, const float *w, size_t outputs, size_t per_output);

/*
 * Finish `g` (batch 2) with `value` as its output and run it on 2 images; returns the [2, output_size] results (to
 * be freed). Also runs the second image beside another first one, and the first image alone: their results must
 * be the same bytes. Frees g. Fails the test on errors.
 */
float *ref_run(struct ek_nn_graph *g, int value, const float *input, size_t input_size);

/* |got - want| <= absolute + relative · |want| everywhere, or the test fails and names the case. */
void ref_compare(const char *name, const float *got, const float *want, size_t count, double absolute, double relative);

/* A graph of batch 2 whose value `*tokens` has the input's [t, f] tokens (in the graph's type), and the order
 * that its input wants: turn [2, t, f] into what ek_nn_run takes. */
struct ek_nn_graph *ref_token_graph(int *tokens, enum ek_nn_precision precision, int t, int f);
float *ref_token_input(const float *tokens, int t, int f);

#endif
