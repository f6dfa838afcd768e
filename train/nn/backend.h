/*
 * What graph.c, the layers and the back ends share. Internal to train/nn.
 *
 * The layer functions (conv.c, …) check arguments, give the result its shape and append a layer. At finish the
 * back end's plan function of each layer, in order, chooses how its result lies in memory and appends steps;
 * graph.c then places all values in one arena. A state binds the steps to its arena and runs them in order.
 */
#ifndef EK_NN_BACKEND_H
#define EK_NN_BACKEND_H

#include "train/nn/layers.h"
#include "train/nn/onednn.h"

enum ek_nn_op {
	EK_NN_OP_IMAGE,
	EK_NN_OP_CONV,
	EK_NN_OP_POOL,
	EK_NN_OP_GLOBAL_AVERAGE,
	EK_NN_OP_LINEAR,
	EK_NN_OP_LAYER_NORM,
	EK_NN_OP_ATTENTION,
	EK_NN_OP_PATCHES,
	EK_NN_OP_SEQUENCE,
	EK_NN_OP_TAKE,
	EK_NN_OP_MEAN,
	EK_NN_OP_CONCAT,
	EK_NN_OP_COUNT
};

struct ek_nn_layer {
	enum ek_nn_op op;
	int inputs[EK_NN_CONCAT_MAX], input_count;
	int residual; /* a value, 0: none */
	int output;
	union {
		struct ek_nn_image image;
		struct ek_nn_conv conv;
		struct ek_nn_pool pool;
		struct ek_nn_linear linear;
		struct ek_nn_layer_norm layer_norm;
		struct ek_nn_sequence sequence;
		int heads;
		int side;
		struct {
			int first, count;
		} range;
	} of;
};

struct ek_nn_value {
	struct ek_nn_shape shape;
	int last_layer;  /* the last layer that uses it, INT_MAX for the output */
	int wants_float; /* a layer that uses it computes in float32 */
	/* Chosen by the plan. Images are [batch, c, h, w], tokens [batch · t, f] and always row-major. */
	enum ek_nn_type type;
	struct ek_dnn_layout *layout;
	int converted_from; /* the value this is another layout of, 0: none */
	int shares;         /* the value whose memory this takes over, 0: none */
	/* Where it lies in the arena, and the steps it lives in. */
	size_t bytes, offset;
	int first_step, last_step;
};

enum { EK_NN_STEP_KERNELS = 2 };

struct ek_nn_state;
struct ek_nn_step {
	int inputs[EK_NN_CONCAT_MAX], input_count;
	int output;
	struct ek_dnn_kernel *kernels[EK_NN_STEP_KERNELS];
	void *weights, *bias; /* constants in the form the step wants; owned */
	size_t scratch;       /* bytes, without what the kernels want */
	int numbers[4];       /* parameters of the step's own code */
	float epsilon;
	/* The step's own code; NULL: run kernels[0]. */
	int (*run)(const struct ek_nn_graph *g, const struct ek_nn_step *step, struct ek_nn_state *s,
	           struct ek_dnn_call *const *calls);
};

struct ek_nn_backend {
	const char *name;
	/* NULL: the back end does not have it. */
	int (*plan[EK_NN_OP_COUNT])(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
};

extern const struct ek_nn_backend ek_nn_cpu;

struct ek_nn_graph {
	const struct ek_nn_backend *backend;
	enum ek_nn_type type;
	int batch;
	struct ek_nn_layer *layers;
	struct ek_nn_value *values; /* values[0] is unused */
	struct ek_nn_step *steps;
	int layer_count, value_count, step_count;
	int planning; /* index of the layer being planned */
	int output;   /* 0 until finished, -1 if that failed */
	size_t arena, scratch, weight_bytes;
};

struct ek_nn_state {
	const struct ek_nn_graph *graph;
	unsigned char *arena, *scratch;
	struct ek_dnn_call *(*calls)[EK_NN_STEP_KERNELS]; /* [step_count] */
	const void *input;
	int count;
};

/* plan.c: plan all layers, make `value` the output, and place everything in the arena. */
int ek_nn_plan(struct ek_nn_graph *g, int value);
/* The value whose memory this one has. */
int ek_nn_owner(const struct ek_nn_graph *g, int value);
/* A new value; its number or EK_ENOMEM. */
int ek_nn_value_add(struct ek_nn_graph *g, struct ek_nn_shape shape);
/* Bytes of a step's scratch: its own first, then one region that its kernels use in turn. */
size_t ek_nn_step_scratch(const struct ek_nn_step *step);

/* For layer functions. */

/* 0, `x` itself if negative, or EK_EUSAGE if it is no value of g, or if g is finished. */
int ek_nn_check_value(const struct ek_nn_graph *g, int x, const char *what);
/* The same, and it is an image (tokens) as well. */
int ek_nn_check_image(const struct ek_nn_graph *g, int x, const char *what);
int ek_nn_check_tokens(const struct ek_nn_graph *g, int x, const char *what);
/* EK_EUSAGE if a residual (0: none) has another shape. */
int ek_nn_check_residual(const struct ek_nn_graph *g, int residual, struct ek_nn_shape shape, const char *what);
/* Append a layer whose result has `shape`; returns its number or a negative code. */
int ek_nn_layer_add(struct ek_nn_graph *g, const struct ek_nn_layer *layer, struct ek_nn_shape shape);
/* Outputs of a window sliding over `size` pixels; 0 or less if it does not fit. */
int ek_nn_window_count(int size, int pad_low, int pad_high, int kernel, int stride);
/* 0 means 1. */
int ek_nn_at_least_one(int x);

/* For plan functions. */

/* A plain layout of a value for the graph's batch, of the given type; order as for ek_dnn_layout_new. */
int ek_nn_value_layout(struct ek_dnn_layout **out, const struct ek_nn_graph *g, int value, enum ek_nn_type type,
                       enum ek_dnn_order order);
/* The value has this layout and type from now on (the layout is copied). */
int ek_nn_value_settle(struct ek_nn_graph *g, int value, enum ek_nn_type type, const struct ek_dnn_layout *layout);
/* As settle with a layout made by ek_nn_value_layout. */
int ek_nn_value_settle_order(struct ek_nn_graph *g, int value, enum ek_nn_type type, enum ek_dnn_order order);
/* `*out` = a value with the content of `value` in this layout: itself, an earlier conversion, or a new one. */
int ek_nn_convert(int *out, struct ek_nn_graph *g, int value, enum ek_nn_type type, const struct ek_dnn_layout *layout);
int ek_nn_convert_order(int *out, struct ek_nn_graph *g, int value, enum ek_nn_type type, enum ek_dnn_order order);
/* `value`, already settled, is added onto the residual in place: it takes over the residual's memory where
 * nobody needs that later, else the memory of a copy. */
int ek_nn_share_residual(struct ek_nn_graph *g, int value, int residual);
/* Append a copy of the step; takes its kernels, weights and bias, also on failure. */
int ek_nn_step_add(struct ek_nn_graph *g, const struct ek_nn_step *step);
/* `*out` = [kernel's layout of `slot`] made from float32 data of layout `from`. */
int ek_nn_pack(void **out, struct ek_nn_graph *g, const float *data, const struct ek_dnn_layout *from,
               const struct ek_dnn_kernel *kernel, int slot);

/* `*out` = a copy of data [count] float32, or if NULL, `count` times `fill`. */
int ek_nn_constants(void **out, struct ek_nn_graph *g, const float *data, size_t count, float fill);
/* Free what a step owns; one that was not handed to ek_nn_step_add. */
void ek_nn_step_release(struct ek_nn_step *step);

/* A convolution or a linear layer on the CPU: what its kernel is made of. Start with the types. */
struct ek_nn_product {
	struct ek_dnn_layout *x, *weights, *bias, *result; /* as the kernel was asked for */
	struct ek_dnn_layout *weights_given;               /* how weight_values lie */
	float *weight_values, *bias_values;                /* with everything folded in */
	struct ek_dnn_kernel *kernel;
	enum ek_nn_type operand_type; /* of input and weights */
	enum ek_nn_type type;         /* of the result */
};
/* Pack the weights, convert the input to what the kernel wants, settle the result, append the step. */
int ek_nn_product_add(struct ek_nn_graph *g, const struct ek_nn_layer *layer, struct ek_nn_product *p);
void ek_nn_product_release(struct ek_nn_product *p);

/* For steps. */

/* `size` rounded up to a whole number of cache lines. */
size_t ek_nn_align(size_t size);

void *ek_nn_data(const struct ek_nn_state *s, int value);

/* out [batch, f] = the mean of tokens of x. numbers: first token, tokens, tokens of x, f. */
int ek_nn_run_mean(const struct ek_nn_graph *g, const struct ek_nn_step *step, struct ek_nn_state *s,
                   struct ek_dnn_call *const *calls);

int ek_nn_plan_image(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_conv(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_pool(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_global_average(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_linear(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_layer_norm(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_attention(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_patches(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_sequence(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_take(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_mean(struct ek_nn_graph *g, const struct ek_nn_layer *layer);
int ek_nn_plan_concat(struct ek_nn_graph *g, const struct ek_nn_layer *layer);

#endif
