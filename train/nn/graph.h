/*
 * A network for inference: built once from layers, then run by many threads, each on its own batch.
 *
 * Values are named by positive numbers; 0 means none. A value is, per image of the batch, either an image
 * [channels, height, width] or tokens [count, features] (a vector is one token). Each layer function adds one
 * layer and returns the number of its result, or a negative code; a negative number given as an input is
 * returned as it is, so a chain of layers needs one check, at its end:
 *
 *     EK_TRY(ek_nn_graph_new(&g, EK_NN_AUTO, 16));
 *     x = ek_nn_image(g, &(struct ek_nn_image){ .channels = 3, .height = 224, .width = 224 });
 *     x = ek_nn_conv(g, x, &(struct ek_nn_conv){ … });
 *     x = ek_nn_global_average(g, x);
 *     EK_TRY(ek_nn_graph_finish(g, x));
 *     …
 *     on each worker:  ek_nn_state_new(&state, g);  ek_nn_run(g, state, images, count, features);
 *
 * Layers: conv.h, pool.h, linear.h, norm.h, attention.h, tokens.h, concat.h (layers.h has them all).
 * Arrays given to layers (weights, biases, statistics) are float32, belong to the caller and must live
 * until ek_nn_graph_finish returns; the graph keeps its own packed copies.
 *
 * Every operator runs on the calling thread alone, so an image's features are the same bytes for any number of
 * threads and whatever the other images of its batch are, at a given place in the batch. They may differ in the
 * last bits between places in the batch, batch sizes, processors and versions of oneDNN: cut a data set into
 * batches by index, not by what is ready.
 */
#ifndef EK_NN_GRAPH_H
#define EK_NN_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/activation.h"
#include "train/nn/tensor.h"

struct ek_nn_graph;
struct ek_nn_state;

/* Images have tokens 0; tokens have channels, height and width of 0. */
struct ek_nn_shape {
	int channels, height, width;
	int tokens, features;
};

enum ek_nn_pixels {
	EK_NN_PIXELS_F32_NCHW, /* float32 [count, channels, height, width] */
	EK_NN_PIXELS_U8_NHWC   /* uint8 [count, height, width, channels], as decoders give them */
};

struct ek_nn_image {
	int channels, height, width; /* 1 … 16384 each */
	enum ek_nn_pixels pixels;
	/* [channels] each: the network sees pixel · scale + shift, so scale = 1/(255 std) and
	 * shift = -mean/std for uint8; NULL: 1 and 0. */
	const float *scale, *shift;
};

/* An empty graph whose ek_nn_run takes up to `batch` images, 1 … 4096.
 * EK_EUSAGE; EK_ENOTSUP for BF16 without ek_nn_cpu_has_bf16. */
int ek_nn_graph_new(struct ek_nn_graph **out, enum ek_nn_precision precision, int batch);
void ek_nn_graph_free(struct ek_nn_graph *g);

/* The input, once per graph and first. */
int ek_nn_image(struct ek_nn_graph *g, const struct ek_nn_image *image);

/* Make `value` the output, choose memory formats, generate code and pack the weights (up to seconds).
 * Errors of layer calls come back here at the latest. EK_EUSAGE, EK_ENOMEM, EK_ENOTSUP. */
int ek_nn_graph_finish(struct ek_nn_graph *g, int value);

/* The shape of a value; `value` must be one that a layer function returned. */
struct ek_nn_shape ek_nn_graph_shape(const struct ek_nn_graph *g, int value);
/* After finish: floats per image of the output. */
size_t ek_nn_graph_output_size(const struct ek_nn_graph *g);
/* After finish: bytes of packed weights, and of one state's arena. */
size_t ek_nn_graph_weight_bytes(const struct ek_nn_graph *g);
size_t ek_nn_graph_state_bytes(const struct ek_nn_graph *g);
/* What the graph computes in: EK_NN_FLOAT32 or EK_NN_BFLOAT16. */
enum ek_nn_type ek_nn_graph_type(const struct ek_nn_graph *g);

/* What one thread needs to run a finished graph: all activations and scratch, in one arena.
 * The graph must outlive it. */
int ek_nn_state_new(struct ek_nn_state **out, const struct ek_nn_graph *g);
void ek_nn_state_free(struct ek_nn_state *s);

/*
 * Run `count` images, 1 … batch (the time is that of a full batch).
 * input:  [count, …] as the graph's ek_nn_image says, in
 * output: [count, output_size] float32, out; an image as [channels, height, width], tokens as
 *         [tokens, features]
 * Allocates nothing of ours. One call at a time per state.
 */
int ek_nn_run(const struct ek_nn_graph *g, struct ek_nn_state *s, const void *input, int count, float *output);

#endif
