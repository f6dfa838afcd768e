#include "rebalance/base/error.h"
#include "train/nn/ops/product_cpu.h"

/* y [r, o] = x [r, i] · W^T; dx = dy · W; dW [o, i] = dy^T · x. W is packed for the first two as the kernels like it:
 * once a step, where they would do so for each slice. */
struct shapes {
	int64_t rows, inputs, outputs;
};

static struct shapes shapes_of(const struct ek_net *net, const struct ek_net_op *op)
{
	return (struct shapes){ (int64_t)ek_net_rows(net, op->inputs[0]),
		                (int64_t)ek_net_channel_count(net, op->inputs[0]), op->of.linear.outputs };
}

/* A matrix [rows, columns], or the transpose of one that lies as [columns, rows]. */
static int matrix(struct ek_dnn_layout **out, enum ek_nn_type type, int64_t rows, int64_t columns, int transposed)
{
	const int64_t dims[2] = { rows, columns }, turned[2] = { 1, rows };

	return transposed ? ek_dnn_layout_strided(out, type, 2, dims, turned)
	                  : ek_dnn_layout_new(out, type, 2, dims, EK_DNN_PLAIN);
}

static int product(struct ek_dnn_kernel **out, struct ek_dnn_layout **l, int bias, int add, enum ek_nn_activation then)
{
	return ek_dnn_matmul(out, l[0], l[1], bias ? l[3] : NULL, l[2], &(struct ek_dnn_fusion){ add, then });
}

static void free_all(struct ek_dnn_layout **l)
{
	for (int i = 0; i < 4; i++) {
		ek_dnn_layout_free(l[i]);
		l[i] = NULL;
	}
}

/* A product whose second operand is W or, `turned`, W^T, packed; and the kernel that packs it. */
static int packed_product(const struct ek_net *net, struct ek_net_op *op, int kernel, int pack,
                          struct ek_dnn_layout **l, const struct shapes *s, int bias, int add, int turned)
{
	const int64_t dims[2] = { turned ? s->inputs : s->outputs, turned ? s->outputs : s->inputs };
	struct ek_dnn_layout *table = NULL;
	int rc;

	EK_TRY(ek_dnn_layout_new(&l[1], ek_net_in_type(net, op, 0), 2, dims, EK_DNN_ANY));
	EK_TRY(product(&ek_cpu_kernels(op)[kernel], l, bias, add, op->then));
	EK_TRY(matrix(&table, EK_NN_FLOAT32, dims[0], dims[1], turned));
	EK_TRY(ek_dnn_reorder(&ek_cpu_kernels(op)[pack], table,
	                      ek_dnn_kernel_layout(ek_cpu_kernels(op)[kernel], EK_DNN_WEIGHTS)));
out:
	ek_dnn_layout_free(table);
	return rc;
}

/* Of `rows` rows: dW [outputs, inputs] = dy^T · x. */
static int weights_product(struct ek_dnn_kernel **out, struct ek_dnn_layout **l, enum ek_nn_type type,
                           const struct shapes *s, int64_t rows, int add)
{
	int rc;

	free_all(l);
	EK_TRY(matrix(&l[0], type, s->outputs, rows, 1));
	EK_TRY(matrix(&l[1], type, rows, s->inputs, 0));
	EK_TRY(matrix(&l[2], EK_NN_FLOAT32, s->outputs, s->inputs, 0));
	EK_TRY(product(out, l, 0, add, EK_NN_LINEAR));
out:
	return rc;
}

/* x [rows, columns] · x^T */
static int gram_product(struct ek_dnn_kernel **out, struct ek_dnn_layout **l, enum ek_nn_type type, int64_t rows,
                        int64_t columns)
{
	int rc;

	free_all(l);
	EK_TRY(matrix(&l[0], type, rows, columns, 0));
	EK_TRY(matrix(&l[1], type, columns, rows, 1));
	EK_TRY(matrix(&l[2], EK_NN_FLOAT32, rows, rows, 0));
	EK_TRY(product(out, l, 0, 0, EK_NN_LINEAR));
out:
	return rc;
}

static size_t tokens_of(const struct ek_net *net, const struct ek_net_op *op)
{
	return ek_net_rows(net, op->inputs[0]) / (size_t)net->batch;
}

/* x x^T of an image is symmetric: it is made by blocks of so many rows, those on and below the diagonal. */
static int64_t gram_side(int64_t tokens)
{
	const int64_t least = 64, most = 4;

	for (int64_t blocks = most; blocks > 1; blocks--)
		if (tokens % blocks == 0 && tokens / blocks >= least)
			return tokens / blocks;
	return tokens;
}

/* Whether the two products of blocks take more operations than the gradient itself. */
static int makes_gradient(const struct shapes *s, int64_t tokens)
{
	return (tokens + gram_side(tokens)) / 2 * (s->inputs + s->outputs) >= s->inputs * s->outputs;
}

/* Scratch behind dy: of vectors, inputs and dy as floats; of tokens, the two products of two blocks of an image. */
static int prepare_images(struct ek_net *net, struct ek_net_op *op, struct ek_dnn_layout **l, const struct shapes *s)
{
	const enum ek_nn_type type = ek_net_in_type(net, op, 0);
	const int64_t tokens = (int64_t)tokens_of(net, op), side = gram_side(tokens);
	struct ek_dnn_kernel **kernels = ek_cpu_kernels(op);
	int rc = 0;

	op->scratch = ek_net_align(op->scratch);
	if (tokens == 1) {
		op->scratch += (size_t)(s->rows * (s->inputs + s->outputs)) * sizeof(float);
		return 0;
	}
	EK_TRY(weights_product(&kernels[EK_PRODUCT_IMAGE], l, type, s, tokens, 0));
	EK_TRY(weights_product(&kernels[EK_PRODUCT_IMAGE_ADD], l, type, s, tokens, 1));
	if (makes_gradient(s, tokens))
		return 0;
	op->scratch += 2 * (size_t)(side * side) * sizeof(float);
	EK_TRY(gram_product(&kernels[EK_PRODUCT_GRAM_INPUTS], l, type, side, s->inputs));
	EK_TRY(gram_product(&kernels[EK_PRODUCT_GRAM_OUTPUTS], l, type, side, s->outputs));
out:
	return rc;
}

static int prepare(struct ek_net *net, struct ek_net_op *op)
{
	const struct shapes s = shapes_of(net, op);
	const enum ek_nn_type type = ek_net_in_type(net, op, 0), result = ek_net_out_type(net, op, 0);
	struct ek_dnn_layout *l[4] = { 0 };
	int rc;

	op->flops = 2.0 * (double)s.rows * (double)s.inputs * (double)s.outputs;
	EK_TRY(matrix(&l[0], type, s.rows, s.inputs, 0));
	EK_TRY(matrix(&l[2], result, s.rows, s.outputs, 0));
	EK_TRY(matrix(&l[3], EK_NN_FLOAT32, 1, s.outputs, 0));
	EK_TRY(packed_product(net, op, EK_PRODUCT_FORWARD, EK_PRODUCT_PACK_FORWARD, l, &s, op->parameters[1] >= 0,
	                      op->inputs[1] > 0, 1));
	op->packed = ek_product_packed_size(op, EK_PRODUCT_FORWARD);
	if (!op->backward)
		goto out;
	if (result != type)
		op->scratch = (size_t)(s.rows * s.outputs) * ek_nn_type_size(type);
	if (op->wants[0]) {
		free_all(l);
		EK_TRY(matrix(&l[0], type, s.rows, s.outputs, 0));
		EK_TRY(matrix(&l[2], type, s.rows, s.inputs, 0));
		EK_TRY(packed_product(net, op, EK_PRODUCT_DATA, EK_PRODUCT_PACK_DATA, l, &s, 0, op->adds[0], 0));
		op->packed += ek_product_packed_size(op, EK_PRODUCT_DATA);
	}
	EK_TRY(weights_product(&ek_cpu_kernels(op)[EK_PRODUCT_WEIGHTS], l, type, &s, s.rows, 0));
	if (net->mode == EK_NET_IMAGES)
		EK_TRY(prepare_images(net, op, l, &s));
out:
	free_all(l);
	return rc;
}

/* dy in the type of the input: where it is, or in scratch. */
static const void *typed_gradient(const struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct shapes d = shapes_of(s->net, op);
	const void *dy = ek_net_grad_out(s, op, 0);

	if (ek_net_out_type(s->net, op, 0) == ek_net_in_type(s->net, op, 0))
		return dy;
	ek_nn_vector()->bf16_from_float((ek_bf16 *)(void *)s->scratch, dy, (size_t)(d.rows * d.outputs));
	return s->scratch;
}

static int run(struct ek_dnn_call *call, const void *source, const void *weights, void *result)
{
	ek_dnn_call_set(call, EK_DNN_SOURCE, ek_dnn_source(source));
	ek_dnn_call_set(call, EK_DNN_WEIGHTS, ek_dnn_source(weights));
	ek_dnn_call_set(call, EK_DNN_RESULT, result);
	return ek_dnn_call_run(call);
}

static int backward(struct ek_net_state *s, const struct ek_net_op *op)
{
	struct ek_dnn_call *const *calls = ek_cpu_calls(s, op);
	const struct shapes d = shapes_of(s->net, op);
	float *dw = ek_net_parameter_gradient(s, op, 0), *db = ek_net_parameter_sum(s, op, 1);
	const void *dy = typed_gradient(s, op);
	int rc = 0;

	if (op->wants[0])
		EK_TRY(run(calls[EK_PRODUCT_DATA], dy,
		           s->net->packed + op->packed_offset + ek_product_packed_size(op, EK_PRODUCT_FORWARD),
		           ek_net_grad_in(s, op, 0)));
	if (dw != NULL)
		EK_TRY(run(calls[EK_PRODUCT_WEIGHTS], dy, ek_net_in(s, op, 0), dw));
	if (db != NULL)
		ek_net_add_rows(db, ek_net_grad_out(s, op, 0), ek_net_out_type(s->net, op, 0), (size_t)d.rows,
		                (size_t)d.outputs);
out:
	return rc;
}

/* Behind dy in scratch. */
static float *image_scratch(const struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct shapes d = shapes_of(s->net, op);
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t before =
		type != ek_net_out_type(s->net, op, 0) ? (size_t)(d.rows * d.outputs) * ek_nn_type_size(type) : 0;

	return (float *)(void *)(s->scratch + ek_net_align(before));
}

/* One token a draw, x and dy vectors: the square is the sum over pairs of draws of (x · x') (dy · dy'); a row of the
 * direction is read once for the slice. */
static void images_of_vectors(struct ek_net_state *s, const struct ek_net_op *op, const void *dy)
{
	const struct ek_net_kernels *k = ek_net_kernels();
	const size_t inputs = ek_net_channel_count(s->net, op->inputs[0]), outputs = (size_t)op->of.linear.outputs;
	const size_t rows = ek_net_rows(s->net, op->inputs[0]);
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const float *x = ek_net_load_floats(ek_net_in(s, op, 0), type, 0, rows * inputs, image_scratch(s, op));
	const float *g = ek_net_load_floats(dy, type, 0, rows * outputs, image_scratch(s, op) + rows * inputs);
	const float *direction = ek_net_direction(s, op, 0);

	for (size_t i = 0; i < rows; i++)
		for (size_t j = i / s->together * s->together; j <= i; j++)
			s->image_sums[i / s->together] += (j < i ? 2 : 1) *
			                                  k->sum_products(x + i * inputs, x + j * inputs, inputs) *
			                                  k->sum_products(g + i * outputs, g + j * outputs, outputs);
	for (size_t o = 0; direction != NULL && o < outputs; o++)
		for (size_t i = 0; i < rows; i++)
			s->image_sums[s->images + i / s->together] +=
				(double)g[i * outputs + o] *
				k->sum_products(direction + o * inputs, x + i * inputs, inputs);
}

/* By x x^T and dy dy^T of an image. */
static int image_by_grams(struct ek_net_state *s, const struct ek_net_op *op, const unsigned char *x,
                          const unsigned char *dy, size_t image)
{
	struct ek_dnn_call *const *calls = ek_cpu_calls(s, op);
	const struct shapes d = shapes_of(s->net, op);
	const size_t tokens = tokens_of(s->net, op), size = ek_nn_type_size(ek_net_in_type(s->net, op, 0));
	const size_t side = (size_t)gram_side((int64_t)tokens), count = side * side;
	const size_t block_x = side * (size_t)d.inputs * size, block_dy = side * (size_t)d.outputs * size;
	float *grams = image_scratch(s, op);
	int rc = 0;

	for (size_t i = 0; i < tokens / side; i++)
		for (size_t j = 0; j <= i; j++) {
			EK_TRY(run(calls[EK_PRODUCT_GRAM_INPUTS], x + i * block_x, x + j * block_x, grams));
			EK_TRY(run(calls[EK_PRODUCT_GRAM_OUTPUTS], dy + i * block_dy, dy + j * block_dy,
			           grams + count));
			s->image_sums[image] +=
				(j < i ? 2 : 1) * ek_net_kernels()->sum_products(grams, grams + count, count);
		}
out:
	return rc;
}

/* So, or by its gradient. */
static int image_of_tokens(struct ek_net_state *s, const struct ek_net_op *op, const unsigned char *dy, size_t image)
{
	struct ek_dnn_call *const *calls = ek_cpu_calls(s, op);
	const struct shapes d = shapes_of(s->net, op);
	const size_t tokens = tokens_of(s->net, op), size = ek_nn_type_size(ek_net_in_type(s->net, op, 0));
	const size_t row_x = (size_t)d.inputs * size, row_dy = (size_t)d.outputs * size;
	const unsigned char *x = ek_net_in(s, op, 0);
	float *dw = ek_net_image_room(s, op, 0);
	int rc = 0;

	x += image * s->together * tokens * row_x;
	dy += image * s->together * tokens * row_dy;
	if (calls[EK_PRODUCT_GRAM_INPUTS] != NULL && s->together == 1 && s->measure->direction == NULL)
		return image_by_grams(s, op, x, dy, image);
	for (size_t i = 0; i < s->together; i++)
		EK_TRY(run(calls[i == 0 ? EK_PRODUCT_IMAGE : EK_PRODUCT_IMAGE_ADD], dy + i * tokens * row_dy,
		           x + i * tokens * row_x, dw));
	ek_net_add_image(s, op, 0, image, dw, 0, op->counts[0]);
out:
	return rc;
}

static int images(struct ek_net_state *s, const struct ek_net_op *op)
{
	const int weight = ek_net_measures(s, op, 0), vectors = tokens_of(s->net, op) == 1;
	const void *dy = weight ? typed_gradient(s, op) : NULL;
	int rc = 0;

	if (weight && vectors)
		images_of_vectors(s, op, dy);
	for (size_t i = 0; i < s->images; i++) {
		if (weight && !vectors)
			EK_TRY(image_of_tokens(s, op, dy, i));
		ek_net_add_image_bias(s, op, i);
	}
out:
	return rc;
}

const struct ek_net_code ek_net_cpu_linear = {
	.prepare = prepare,
	.load = ek_product_load,
	.forward = ek_product_forward,
	.backward = backward,
	.images = images,
};
