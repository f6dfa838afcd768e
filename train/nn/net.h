/*
 * A network that learns: built once from layers over a table of parameters (params.h), then run forward and backward
 * by many threads, each on its own slice of a batch; or forward only (EK_NET_FORWARD), where layers are joined: a
 * product takes in what is added to its result and the activation behind it.
 *
 * A value is, for each of the `batch` images of a slice, an array [height, width, channels], row-major and channels
 * last; tokens are height · width rows of channels features, a vector is 1 × 1 × features. Values are named by positive
 * numbers. Each layer function adds one layer and returns the number of its result or a negative code; a negative
 * number given as an input is returned as it is, so a chain of layers needs one check, at its end:
 *
 *     EK_TRY(ek_net_new(&net, &params, EK_NN_AUTO, 16));
 *     x = ek_net_input(net, (struct ek_net_shape){ 1, 1, 64 });
 *     y = ek_net_linear(net, x, &(struct ek_net_linear){ .weight = w, .bias = b, .outputs = 10 });
 *     EK_TRY(ek_net_output(net, y));
 *     EK_TRY(ek_net_finish(net, EK_NET_TRAIN));
 *     EK_TRY(ek_net_load_from(net, store, EK_VALUES));         after every step
 *     on each worker:
 *         ek_net_state_new(&s, net);
 *         fill ek_net_stage(s, x);
 *         ek_net_forward(s);
 *         ek_net_write_gradient(s, y, …) from ek_net_view(s, y);
 *         ek_net_backward(s, store, slice);                    adds to the store's gradients
 *
 * In a bf16 net products take bfloat16 and add up in float32; values between layers are bfloat16 unless a layer says
 * float32; sums, statistics and parameter gradients are float32. Master parameters are always float32.
 *
 * Every layer runs on the calling thread alone: a slice's results are the same bytes for any number of threads. They
 * may differ between sizes of slices and between processors: cut batches into slices by a fixed size.
 *
 * Errors: EK_EUSAGE for shapes that do not fit, EK_ENOMEM, EK_ENOTSUP with the layer's name if the back end lacks it.
 */
#ifndef EK_NN_NET_H
#define EK_NN_NET_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/activation.h"
#include "train/nn/device.h"
#include "train/nn/params.h"
#include "train/nn/store.h"
#include "train/nn/tensor.h"

struct ek_codebook;
struct ek_net;
struct ek_net_state;

struct ek_net_shape {
	int height, width, channels;
};

enum ek_net_mode {
	EK_NET_FORWARD,   /* for use only: memory of values is used again as soon as it can be */
	EK_NET_TRAIN,     /* forward and backward */
	EK_NET_RECOMPUTE, /* the same, but what lies within a segment is computed again when backward comes there */
	EK_NET_IMAGES     /* as TRAIN, and ek_net_backward_images */
};

enum { EK_NET_BATCH_MAX = 4096 };

/* On the chosen device (device.h). params must outlive the net. batch: images of a slice, 1 … EK_NET_BATCH_MAX. */
int ek_net_new(struct ek_net **out, const struct ek_params *params, enum ek_nn_precision precision, int batch);
void ek_net_free(struct ek_net *net);

/*
 * The parameters of layers that follow are those of this table, as constants: no gradient goes to them. values:
 * [params->size]. The net's own table and values NULL: what it is loaded with. params NULL: they learn again, as at the
 * start. Table and values must outlive the net and stay as they are when it is finished.
 */
int ek_net_constants(struct ek_net *net, const struct ek_params *params, const float *values);

/* The layers. Numbers of parameters are those of the table. */

/* float32 [batch, height, width, channels], filled by the caller before every forward. */
int ek_net_input(struct ek_net *net, struct ek_net_shape shape);
/* The same with a gradient, for ek_net_read_gradient after backward. */
int ek_net_input_with_gradient(struct ek_net *net, struct ek_net_shape shape);
/* int32 [batch]. */
int ek_net_input_ids(struct ek_net *net);
/* struct ek_net_key [batch]: what is random about each image is a function of it. */
struct ek_net_key {
	uint64_t seed, stream, position;
};
int ek_net_input_keys(struct ek_net *net);

/*
 * Images of bytes [batch, height, width, channels], uint8, each followed by what makes it a multiple of 4 bytes. Layers
 * see them as float32: byte · scale + shift of each channel, of which there are at most 4.
 */
struct ek_net_pixels {
	struct ek_net_shape shape;
	float scale[4], shift[4];
};
int ek_net_input_pixels(struct ek_net *net, struct ek_net_shape shape);
int ek_net_pixels(struct ek_net *net, int input, const struct ek_net_pixels *pixels);
/* Bytes from one image to the next. */
size_t ek_net_pixels_stride(struct ek_net_shape shape);

/* float32, exact: 1: the result, and the operands as well, are float32 in a bf16 net, too. */

/* x·W^T + b for every row. weight: [outputs, inputs], or the first of neighbours that make it up; bias: -1 for none. */
struct ek_net_linear {
	int weight, bias, outputs;
	int float32, exact;
};
int ek_net_linear(struct ek_net *net, int x, const struct ek_net_linear *linear);

/* Cross-correlation as in PyTorch. weight: [outputs, inputs / groups, height, width]; bias: -1 for none. */
struct ek_net_conv {
	int weight, bias, outputs;
	int kernel[2]; /* height, width */
	int stride[2]; /* height, width; 0 means 1 */
	int pad[4];    /* top, bottom, left, right, zeros */
	int groups;    /* 0 means 1 */
	int float32, exact;
	int kept; /* 1: no linear layer, even of one pixel to one: the sums are those of convolutions */
};
int ek_net_conv(struct ek_net *net, int x, const struct ek_net_conv *conv);

/* Over the rows and channels of each group (Wu and He 2018), then the activation. weight, bias: [channels]. */
struct ek_net_group_norm {
	int weight, bias, groups;
	float epsilon;
	enum ek_nn_activation activation;
};
int ek_net_group_norm(struct ek_net *net, int x, const struct ek_net_group_norm *norm);

/* Over the channels of each row (Ba et al. 2016). weight, bias: [channels], or -1 for none. */
struct ek_net_layer_norm {
	int weight, bias;
	float epsilon;
	int float32; /* 1: the result is float32 in a bf16 net, too */
};
int ek_net_layer_norm(struct ek_net *net, int x, const struct ek_net_layer_norm *norm);

/*
 * What is added up from block to block, the stream, is float32; in a bf16 net bfloat16 for layers that are added after
 * this: half the bytes, and each sum is rounded.
 */
void ek_net_narrow_stream(struct ek_net *net);

/*
 * One pass of a DiT block: stream = x + gate · branch; normal = LayerNorm(stream) (1 + scale) + shift, the norm without
 * parameters. gate, shift and scale are features of `vector` [1, 1, …] starting at these numbers. `branch` 0: stream
 * is x. `normal` NULL: only the stream is wanted. x and stream are of the
 * stream's type.
 */
struct ek_net_modulate {
	int branch, vector;
	int gate, shift, scale;
	float epsilon;
};
int ek_net_modulate(struct ek_net *net, int x, const struct ek_net_modulate *modulate, int *stream, int *normal);

/* softmax(q·k^T / sqrt(d))·v. qkv: rows of [3, heads, d]; result: rows of [heads, d]. */
int ek_net_attention(struct ek_net *net, int qkv, int heads);
/* The same where row i sees rows 0 … i alone. On the CPU. */
int ek_net_causal_attention(struct ek_net *net, int qkv, int heads);

/* Each number on its own. EK_NN_LINEAR gives x back. slope: of a leaky ReLU, with EK_NN_RELU; 0 is the plain one. */
int ek_net_activation(struct ek_net *net, int x, enum ek_nn_activation activation);
int ek_net_leaky_relu(struct ek_net *net, int x, float slope);

/* a + b, shapes equal. float32 if `a` is. */
int ek_net_add(struct ek_net *net, int a, int b);
/* x + parameter [1, rows, channels]; the result is of the stream's type. */
int ek_net_positions(struct ek_net *net, int x, int parameter);
/* Row ids[i] of a parameter [count, features]; ids out of range are a programming error. float32. */
int ek_net_embedding(struct ek_net *net, int ids, int parameter);
/* t: [1, 1, 1]. cos, then sin, of t · scale · 10000^(-i / (features/2)), i < features/2. No gradient. */
int ek_net_times(struct ek_net *net, int t, int features, float scale);

/* Over windows of an image; sizes round down, as in PyTorch (ceil_mode = False). */
enum ek_net_pool_kind {
	EK_NET_POOL_MAX,
	EK_NET_POOL_AVERAGE,          /* padding counts as zeros (count_include_pad) */
	EK_NET_POOL_AVERAGE_EXCLUSIVE /* the mean over pixels inside the image (count_include_pad = False) */
};
struct ek_net_pool {
	enum ek_net_pool_kind kind;
	int kernel[2]; /* height, width */
	int stride[2]; /* 0 means 1 */
	int pad[4];    /* top, bottom, left, right; each less than the kernel */
};
int ek_net_pool(struct ek_net *net, int x, const struct ek_net_pool *pool);
/* The mean of each channel over all pixels: [1, 1, channels] float32. */
int ek_net_average(struct ek_net *net, int x);

/* Side by side over the channels. values: [count], 2 … EK_NET_CONCAT_MAX of one height, width and type. */
enum { EK_NET_CONCAT_MAX = 6 };
int ek_net_concat(struct ek_net *net, const int *values, int count);

/* Rows first … first + count - 1, counted over height and width: [1, count, channels]. */
int ek_net_rows_of(struct ek_net *net, int x, int first, int count);
/* The rows of a parameter [count, channels] before those of x: [1, count + rows, channels]. The type is that of x. */
int ek_net_prepend(struct ek_net *net, int x, int parameter, int count);
/* [h·p, w·p, c] to [h, w, c·p·p]; inside a row: channel, row, column. A linear layer after it, with the weight
 * [outputs, c, p, p] of a convolution, is that convolution with stride p. In the net's type. */
int ek_net_patches(struct ek_net *net, int x, int p);

/* Each pixel twice in both directions. */
int ek_net_upsample(struct ek_net *net, int x);
/* [h, w, p·p·c] to [h·p, w·p, c]; inside a row: row, column, channel. */
int ek_net_unpatch(struct ek_net *net, int x, int p);
/* Channels first … first + count - 1. */
int ek_net_channels(struct ek_net *net, int x, int first, int count);

/* moments: [h, w, 2c], mean then log variance, which is cut to -30 … 20. */
/* mean + exp(log variance / 2) · noise; noise: float32 input [h, w, c]. float32. */
int ek_net_sample(struct ek_net *net, int moments, int noise);
/* Kullback–Leibler divergence from the standard normal, summed over an image: [1, 1, 1]. */
int ek_net_kl(struct ek_net *net, int moments);

/* Mean over an image of (a - b)^2, or |a - b|: [1, 1, 1] float32. Gradients reach a and b where they want them. */
int ek_net_squared_error(struct ek_net *net, int a, int b);
int ek_net_absolute_error(struct ek_net *net, int a, int b);

/*
 * Vector quantisation (van den Oord et al. 2017) of each row of z by the nearest row of a codebook [count, channels]
 * (the lower on a tie). result: those rows, whose gradient goes straight to z. loss: [1, 1, 1], mean over an image of
 * codebook_weight · (sg(z) - e)^2 + commitment · (z - sg(e))^2. codes: [h, w, 1] int32. All float32.
 */
struct ek_net_quantise {
	int codebook;
	float commitment, codebook_weight; /* 0.25 and 1 are usual; the latter 0 where averages move the codebook */
	struct ek_codebook *follows; /* notes z and codes in backward, its turn being the slice (codebook.h), or NULL */
};
int ek_net_quantise(struct ek_net *net, int z, const struct ek_net_quantise *q, int *loss, int *codes);

/*
 * Standard normal noise: number i of an image is ek_random_normal(seed, stream, position · elements + i) of
 * base/random.h, rounded to float32: Philox and Box-Muller, so the same integers on every device. No gradient.
 */
int ek_net_noise(struct ek_net *net, int keys, struct ek_net_shape shape);

/*
 * Sums with factors of each image: `factors` is float32 [1, 1, …], taken from `first` on, without a gradient. a, b and
 * the results are float32.
 *
 * mix: factors[0] a + factors[1] b, shapes equal.
 * mix error: factors[3] · mean over an image of (factors[0] prediction - factors[1] a - factors[2] b)^2: [1, 1, 1]. a
 * and b have the first channels of the prediction; to the rest of it goes a gradient of 0.
 */
int ek_net_mix(struct ek_net *net, int a, int b, int factors, int first);
struct ek_net_mix_error {
	int prediction, a, b, factors, first;
};
int ek_net_mix_error(struct ek_net *net, const struct ek_net_mix_error *error);

/*
 * The two terms of a diffusion's loss with a learned variance (Nichol and Dhariwal 2021; guided-diffusion), means over
 * an image: [1, 1, 1]. prediction: [h, w, 2c], the noise e and v; data, noise: [h, w, c]. Of the step's variance, with
 * l the logarithm of that of the posterior, factors[0] = reach, the distance of means to each unit of error in e;
 * factors[1] = exp(-l / 2); factors[2] = half of how far the upper end is above l; factors[3]: above 0.5 at step 0.
 *
 * result: (e - noise)^2. bound: bits, of which the gradient goes to v alone: the divergence of the normal distribution
 * with log variance l + factors[2] (1 + v) from the posterior, or at step 0 -log of the likelihood of the data in bins
 * of half width 1/255.
 */
struct ek_net_diffusion {
	int prediction, data, noise, factors, first;
};
int ek_net_diffusion(struct ek_net *net, const struct ek_net_diffusion *diffusion, int *bound);

/* Mean over an image of x, or of max(0, 1 - sign x), the hinge loss (Lim and Ye 2017), sign 1 or -1: [1, 1, 1] float32.
 */
int ek_net_mean(struct ek_net *net, int x);
int ek_net_hinge(struct ek_net *net, int x, int sign);

/* x, and no gradient comes back to it. */
int ek_net_detach(struct ek_net *net, int x);

/* A constant times x, without gradient to it: (x + shift) · scale, float32. */
int ek_net_affine(struct ek_net *net, int x, float scale, float shift);

/* What follows, up to the next mark, is computed again in backward in a net that recomputes. */
int ek_net_segment(struct ek_net *net);

/* Keep this value to the end; in training, its gradient is the caller's to fill before backward. */
int ek_net_output(struct ek_net *net, int value);
/* Keep this value to the end, to be read: its gradient is what layers give it. */
int ek_net_keep(struct ek_net *net, int value);

/* Generate code and lay out memory. The error of a layer whose result was to be an output comes back here, too;
 * EK_EUSAGE without any output. */
int ek_net_finish(struct ek_net *net, enum ek_net_mode mode);

struct ek_net_shape ek_net_shape(const struct ek_net *net, int value);
int ek_net_batch(const struct ek_net *net);
/* What its products take: EK_NN_FLOAT32 or EK_NN_BFLOAT16. */
enum ek_nn_type ek_net_type(const struct ek_net *net);
/* Numbers of one image of a value. */
size_t ek_net_elements(const struct ek_net *net, int value);
/* EK_NN_FLOAT32 or EK_NN_BFLOAT16: how the value lies. */
enum ek_nn_type ek_net_value_type(const struct ek_net *net, int value);
/* Bytes of one state, and of the net's own forms of the parameters. */
size_t ek_net_state_bytes(const struct ek_net *net);
size_t ek_net_weight_bytes(const struct ek_net *net);
/* Floating-point operations of the products of one image, forward: 2 for each multiplication. Backward is twice it. */
double ek_net_flops(const struct ek_net *net);

/* Take parameter values [params->size], or those of a store, into the forms that the layers want; they must stay until
 * the next call. Not while a state of the net runs. */
int ek_net_load(struct ek_net *net, const float *values);
int ek_net_load_from(struct ek_net *net, const struct ek_store *store, enum ek_family family);
/* Those that another net over the same table has, which must live as long. */
int ek_net_load_like(struct ek_net *net, const struct ek_net *of);

int ek_net_state_new(struct ek_net_state **out, const struct ek_net *net);
/* In the memory of another, which is of a net whose states are not smaller: one of them at a time, from filling inputs
 * to reading, or, on a device that is not the host, from forward to ek_net_bring. `of` must outlive it. */
int ek_net_state_share(struct ek_net_state **out, const struct ek_net *net, struct ek_net_state *of);
void ek_net_state_free(struct ek_net_state *s);

/* Where the host fills an input before forward, and where it reads an output, or what is kept, after it: [batch,
 * height, width, channels] of its type, aligned to 64 bytes, until forward or the next filling. The values may lie
 * elsewhere. */
void *ek_net_stage(struct ek_net_state *s, int input);
/* What has been staged for a net that learns may be marked by a number, not 0, which any further staging takes away
 * (0: none). It is then brought to where forward finds it while the device works. */
void ek_net_mark(struct ek_net_state *s, uint64_t mark);
uint64_t ek_net_marked(const struct ek_net_state *s);
const void *ek_net_view(struct ek_net_state *s, int value);
/* The same in two: between them the device can be given more to do, but no pass of this state. */
void ek_net_fetch(struct ek_net_state *s, int value);
const void *ek_net_fetched(struct ek_net_state *s, int value);
/* The same of one kept value of one state that only runs forward: it is brought before what the device is given next,
 * a pass of this state or of one that shares its memory, too. Is it there? `brought` waits until it is, and keeps no
 * processor busy. From filling inputs to that, the state is not used otherwise. */
void ek_net_bring(struct ek_net_state *s, int value);
int ek_net_is_brought(const struct ek_net_state *s);
const void *ek_net_brought(struct ek_net_state *s, int value);

/* A kept value, the gradient of an input with one, and that of an output to be given before backward, as float32
 * whatever the type. out, x: [batch · elements]. */
void ek_net_read(struct ek_net_state *s, int value, float *out);
void ek_net_read_gradient(struct ek_net_state *s, int value, float *out);
void ek_net_write_gradient(struct ek_net_state *s, int value, const float *x);

/* 0 into images `first` … of every input, for a slice that is not full. */
void ek_net_clear_inputs(struct ek_net_state *s, int first);

int ek_net_forward(struct ek_net_state *s);
/* The same, where an input is the `count` images x, in the device's memory, so many `times`, and the rest of it 0; and
 * images first … first + count - 1 of what is kept to `out`, in the device's memory. Nothing waits. */
int ek_net_forward_with(struct ek_net_state *s, int input, const void *x, int count, int times);
void ek_net_copy_out(struct ek_net_state *s, int value, int first, int count, void *out);
/*
 * Once after each forward. The gradients of parameters are added to those of `store`, which is over the net's table;
 * NULL: none are wanted, only those of inputs. Of the backwards of a step, on whatever threads, each has a turn, from 0
 * on without gaps, and adds after the one before it; those of lower turns have begun already, or run on other threads.
 */
int ek_net_backward(struct ek_net_state *s, struct ek_store *store, uint64_t turn);

/*
 * What the gradient of each image's own share of the loss is like, in place of the sum of them all: g_i, over the
 * parameters that learn, is what ek_net_backward would add for image i alone, with the gradients of outputs as given (1
 * for the loss's own gradient, 1/n for that of the mean of n). None of them is formed as a whole.
 *
 * squares[i] = |g_i|^2; products[i] = <g_i, direction>, exactly the derivative of the image's loss along the direction:
 * a linear layer of X [tokens, inputs] and dY [tokens, outputs], direction V, has the gradient dY^T X, of which
 * |dY^T X|^2 = sum of (X X^T) * (dY dY^T), and <dY^T X, V> = sum of dY * (X V^T): one product more a layer, as a
 * forward derivative would take, and no layer's derivative anew (Goodfellow 2015; Rochette et al. 2019). Sums over
 * parameters are in double, in a fixed order.
 */
struct ek_net_images {
	/* Neighbours of the slice that are draws of one image: its gradient is the sum of theirs. 0 and 1: each image
	 * is on its own. The batch must be a multiple. */
	int together;
	/* The direction: an array over the net's table, which stays as it is meanwhile. NULL: no products. */
	const struct ek_store *direction;
	enum ek_family family;
	/* [params->count]: not 0: this parameter counts; those that a layer takes as neighbours go by the first. NULL:
	 * all count. Backward ends with the last layer that has one. */
	const unsigned char *counts;
};

/*
 * Once after each forward, instead of ek_net_backward, of a net that was finished with EK_NET_IMAGES. squares,
 * products: [batch / together], out; products NULL without a direction. Gradients of inputs are not made. Any number of
 * states at once. Finishing such a net gives EK_ENOTSUP, naming the layer, if one with parameters cannot do it, or if
 * two layers share a parameter, whose gradients would have to be added up.
 */
int ek_net_backward_images(struct ek_net_state *s, const struct ek_net_images *what, double *squares, double *products);

#endif
