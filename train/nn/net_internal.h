/* What net.c, the layer functions and the back ends of networks that learn share. Internal to train/nn. */
#ifndef EK_NN_NET_INTERNAL_H
#define EK_NN_NET_INTERNAL_H

#include "train/nn/device_internal.h"
#include "train/nn/net.h"
#include "train/nn/net_kernels.h"
#include "train/nn/op.h"
#include "train/nn/vector.h"

enum { EK_NET_INPUTS = 6, EK_NET_OUTPUTS = 3, EK_NET_PARAMETERS = 2 };

/* One layer. Unused inputs, outputs: 0; unused parameters: -1. The second input of a product is added to its result,
 * which is multiplied before that with a gate if there is a third: features of a vector of the image. */
struct ek_net_op {
	enum ek_net_kind kind;
	int inputs[EK_NET_INPUTS], outputs[EK_NET_OUTPUTS], parameters[EK_NET_PARAMETERS];
	size_t counts[EK_NET_PARAMETERS]; /* numbers of each parameter and what follows it that the layer takes */
	union {
		struct ek_net_linear linear;
		struct ek_net_conv conv;
		struct ek_net_group_norm group_norm;
		struct ek_net_layer_norm layer_norm;
		struct ek_net_modulate modulate;
		struct ek_net_quantise quantise;
		struct ek_net_pool pool;
		struct {
			enum ek_nn_activation activation;
			float slope;
		} activation;
		struct {
			float scale, shift;
		} affine;
		struct ek_net_pixels pixels;
		int heads, p, first, power, sign;
	} of;
	enum ek_nn_activation then; /* of a product, set by fusing: applied to what it gives */
	int gate;                   /* of a product, set by fusing: the first of these features */
	int segment;
	const struct ek_params *table; /* of its parameters */
	const float *constants;        /* their values, the host's; NULL: those that the net is loaded with … */
	const float *device_constants; /* … and, set by finish, the device's */
	int frozen;                    /* its parameters get no gradient */
	/* Set by finish. */
	int wants[EK_NET_INPUTS];   /* the input's gradient is wanted, … */
	int adds[EK_NET_INPUTS];    /* … added to what is there, … */
	int aliased[EK_NET_INPUTS]; /* … or is in the same memory as that of the first output: nothing to do */
	int backward;               /* some gradient reaches this layer and is wanted of it */
	uint64_t before[EK_NET_PARAMETERS]; /* layers that backward comes to earlier and that take the same parameter */
	/* Set by prepare. */
	size_t saved;   /* bytes that forward leaves for backward */
	size_t scratch; /* bytes for the time of one call, without the kernels' own */
	size_t packed;  /* bytes of parameters in the kernels' form */
	double flops;
	void *prepared; /* the device's own */
	/* Values that another layer makes, made here as well, which may leave that layer nothing to do: a result, from
	 * this layer's on; a gradient, written when this layer's backward runs, which also reads that value. 0: none.
	 */
	int makes, makes_gradient;
	int idle[2]; /* forward, backward: another layer does it */
	/* A product's bias: its gradient is the sum of rows that the layer that takes the result makes; that one sums
	 * them up as it makes them. 1: so it is; and there, the number of the product, counted from 1. */
	int bias_apart, bias_of;
	/* Set by placing. */
	size_t saved_offset[2], packed_offset;
};

struct ek_net_value {
	struct ek_net_shape shape;
	enum ek_nn_type type;
	int ids;      /* int32 */
	int maker;    /* the layer that makes it, -1 for an input */
	int kept;     /* to the end */
	int output;   /* kept, its gradient given by the caller */
	int gradient; /* it has one */
	int grad_shares;
	int shares; /* the value whose memory this one takes over, 0: none */
	int within; /* of which it has the channels from `first` on, the others being others' */
	int first;
	size_t bytes;
	size_t offset[2]; /* in forward; in backward */
	size_t gradient_offset;
	size_t host_offset; /* of an input or what is kept, where the device's memory is not the host's */
};

struct ek_net_step {
	int op;
	int backward;
};

struct ek_net_code {
	/* Make kernels, set saved, scratch, packed, flops. NULL: nothing to prepare. */
	int (*prepare)(struct ek_net *net, struct ek_net_op *op);
	/* Parameters into the form of the kernels, at net->packed + op->packed_offset. NULL: not needed. */
	int (*load)(struct ek_net *net, struct ek_net_op *op);
	int (*forward)(struct ek_net_state *s, const struct ek_net_op *op);
	/* Writes, or adds to, the gradients of the wanted inputs; writes those of its parameters. */
	int (*backward)(struct ek_net_state *s, const struct ek_net_op *op);
	/* The gradient of the parameter is that of few of its rows: backward waits for its turn and adds to the sum. */
	int sparse;
	/* In mode EK_NET_IMAGES, before backward of the same step, which then makes no gradients of parameters: adds to
	 * the images' sums (below). NULL: there are no parameters, or it is not known how. */
	int (*images)(struct ek_net_state *s, const struct ek_net_op *op);
};

struct ek_net {
	const struct ek_device *device;
	const struct ek_params *params;
	enum ek_nn_type type, stream; /* stream: of modulate and positions */
	enum ek_net_mode mode;
	/* For layers that are added. */
	const struct ek_params *table;
	const float *constants;
	int frozen;
	int batch, segment, finished;
	int failed; /* the code of the first value that could not be made an output */
	struct ek_net_op *ops;
	uint64_t *uses;              /* [params->count]: layers with backward that take a parameter */
	struct ek_net_value *values; /* values[0] is unused */
	struct ek_net_step *steps;
	int op_count, value_count, step_count;
	size_t arena, scratch, gradient_scratch, kernel_scratch, packed_bytes;
	double flops;
	size_t host_bytes;
	const float *loaded;   /* parameter values, the device's */
	float *own;            /* those that the host gave, copied to the device if its memory is another */
	float **constants_own; /* [constant_count], the same of constants */
	int constant_count;
	unsigned char *packed;
	size_t input_bytes; /* of host_bytes, the inputs', which come first */
	size_t arrivals;    /* where inputs lie in the arena that are brought ahead */
};

struct ek_net_state {
	const struct ek_net *net;
	unsigned char *arena, *scratch, *gradient_scratch, *kernel_scratch;
	unsigned char *host;    /* what is staged and viewed, if the device's memory is not the host's */
	int shares;             /* the arena is another's */
	void **attached;        /* [op_count]: what the device keeps of each layer in this state */
	struct ek_store *store; /* in backward: for the gradients of parameters, or NULL; and this slice's turn */
	uint64_t turn;
	int in_backward;
	enum { EK_NET_SENT_NOT, EK_NET_SENT, EK_NET_SENT_AHEAD } sent; /* is what was staged on its way? */
	void *arrival; /* the device's, of what ek_net_bring brings, or NULL */
	/* ek_net_backward_images: the device's sums of squares, then of products, [2, batch]; what is wanted, NULL
	 * otherwise; images of the batch that are one, and how many there are then. */
	double *image_sums;
	const struct ek_net_images *measure;
	size_t together, images;
	uint64_t mark;  /* of what is staged */
	void *recorded; /* the device's: steps that it has recorded to run them again as one */
};

/* net_fuse.c: joins layers of a net that only runs forward. */
int ek_net_fuse(struct ek_net *net);

/* net_place.c */

/* Which gradients there are, and who writes them first. */
int ek_net_plan_gradients(struct ek_net *net);
/* The order of steps, and where everything lies; after the layers are prepared. */
int ek_net_plan(struct ek_net *net);

/* net_images.c */

/* EK_ENOTSUP if a layer of a finished net cannot say what the images' gradients are like. */
int ek_net_images_check(const struct ek_net *net);

/* For `images` of a device. Is parameter i of the layer to be measured? */
int ek_net_measures(const struct ek_net_state *s, const struct ek_net_op *op, int i);
/* The direction at this parameter, the device's; NULL: no products are wanted. */
const float *ek_net_direction(const struct ek_net_state *s, const struct ek_net_op *op, int i);
/* Rows of a value that are one image's. */
size_t ek_net_image_rows(const struct ek_net_state *s, int value);
/* Room for an image's gradient of the parameter, of backward's scratch. */
float *ek_net_image_room(const struct ek_net_state *s, const struct ek_net_op *op, int i);
/* On the host: `gradient` [count] is that of an image, from number `first` of parameter i on. */
void ek_net_add_image(struct ek_net_state *s, const struct ek_net_op *op, int i, size_t image, const float *gradient,
                      size_t first, size_t count);
/* The same of a bias, parameter 1, if it is measured: the sum of the rows of the output's gradient. */
void ek_net_add_image_bias(struct ek_net_state *s, const struct ek_net_op *op, size_t image);

/* For layer functions. */

int ek_net_check_value(const struct ek_net *net, int x, const char *what);
/* A value of numbers, not of ids. */
int ek_net_check_floats(const struct ek_net *net, int x, const char *what);
int ek_net_check_same(const struct ek_net *net, int a, int b, const char *what);
int ek_net_same_shape(struct ek_net_shape a, struct ek_net_shape b);
/* A parameter with `count` elements from there on. */
int ek_net_check_parameter(const struct ek_net *net, int p, size_t count, const char *what);
/* Append a layer; its outputs are new values of these shapes and types. Returns the first output's number. */
int ek_net_op_add(struct ek_net *net, const struct ek_net_op *op, int outputs, const struct ek_net_shape *shapes,
                  const enum ek_nn_type *types, int *numbers);
/* A layer of one or two inputs, one output and no parameters; number_of: what it keeps in of.p. */
int ek_net_simple(struct ek_net *net, enum ek_net_kind kind, int a, int b, int number_of, struct ek_net_shape shape,
                  enum ek_nn_type type);
/* Places of a window over `size` pixels; 0 if it does not fit. */
int ek_net_window(int size, int low, int high, int kernel, int stride);
/* x, or a copy of it in this type. */
int ek_net_cast(struct ek_net *net, int x, enum ek_nn_type type);

/* An input or output where it lies, and the gradient of an output or of an input with one. */
void *ek_net_data(struct ek_net_state *s, int value);
void *ek_net_gradient(struct ek_net_state *s, int value);

/* For devices. */

size_t ek_net_rows(const struct ek_net *net, int value);        /* of a whole slice */
void *ek_net_value_in(const struct ek_net_state *s, int value); /* where a value lies now */
size_t ek_net_channel_count(const struct ek_net *net, int value);
/* Numbers from pixel to pixel: its channels, or those of what it lies within. */
size_t ek_net_pitch(const struct ek_net *net, int value);
const void *ek_net_in(const struct ek_net_state *s, const struct ek_net_op *op, int i);
void *ek_net_out(const struct ek_net_state *s, const struct ek_net_op *op, int i);
/* The gradient of an input (out of one), of an output (in). NULL if there is none. */
void *ek_net_grad_in(const struct ek_net_state *s, const struct ek_net_op *op, int i);
const void *ek_net_grad_out(const struct ek_net_state *s, const struct ek_net_op *op, int i);
void *ek_net_saved(const struct ek_net_state *s, const struct ek_net_op *op);
enum ek_nn_type ek_net_in_type(const struct ek_net *net, const struct ek_net_op *op, int i);
enum ek_nn_type ek_net_out_type(const struct ek_net *net, const struct ek_net_op *op, int i);
/* The values of parameter i of a layer. */
const float *ek_net_parameter(const struct ek_net_state *s, const struct ek_net_op *op, int i);
/* Does this pass want its gradient? */
int ek_net_wants(const struct ek_net_state *s, const struct ek_net_op *op, int i);
/* Where a slice's gradient of it is in the scratch. */
size_t ek_net_gradient_offset(const struct ek_net_op *op, int i);
/* Where this slice's gradient of it goes, or NULL if that is not wanted: to be written, or 0 already. */
float *ek_net_parameter_gradient(const struct ek_net_state *s, const struct ek_net_op *op, int i);
float *ek_net_parameter_sum(const struct ek_net_state *s, const struct ek_net_op *op, int i);
/* Parameter i of a layer. */
const struct ek_param *ek_net_parameter_of(const struct ek_net_op *op, int i);
/* The same values, for load. */
const float *ek_net_loaded(const struct ek_net *net, const struct ek_net_op *op, int i);
/* Does it learn? */
int ek_net_learns(const struct ek_net_op *op, int i);
size_t ek_net_align(size_t size);
/* Prepare for forward: where a residual is not in its place yet, it is copied there. */
void ek_net_place_residual(const struct ek_net_state *s, const struct ek_net_op *op);

/* x [count] from element `first` of an array of `type` as float32: in `buffer`, or where it is. */
const float *ek_net_load_floats(const void *x, enum ek_nn_type type, size_t first, size_t count, float *buffer);
/* Write, or add, floats to elements first … of an array of `type`. `x` may be where they go already. */
void ek_net_store_floats(void *out, enum ek_nn_type type, size_t first, size_t count, const float *x, int add);
/* Where to compute `count` results that go to `first` of `out`: there, or in `buffer`. */
float *ek_net_floats_at(void *out, enum ek_nn_type type, size_t first, int add, float *buffer);

/* out[to …] = or += x[from …], `count` numbers. */
void ek_net_copy(void *out, enum ek_nn_type out_type, size_t to, const void *x, enum ek_nn_type type, size_t from,
                 size_t count, int add);

/* sum [columns] += the rows of x [rows, columns] of `type`, in order. */
void ek_net_add_rows(float *sum, const void *x, enum ek_nn_type type, size_t rows, size_t columns);

#define EK_NET_DECLARE(kind, column, name, needs) extern const struct ek_net_code ek_net_cpu_##column;
EK_NET_OPERATORS(EK_NET_DECLARE)

#endif
