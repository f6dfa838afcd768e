/*
 * Linear layers by cuBLASLt: y [r, o] = x [r, i] · W^T + b; dx = dy · W; dW [o, i] += dy^T · x. To the library, whose
 * matrices lie column by column, each of them is its transpose. In a bf16 net W, and the bias of a bf16 result, are
 * packed as bfloat16 once a step.
 *
 * Where a GELU follows, the product makes it as well; and where the input is that of a GELU, the gradient that backward
 * makes is the one before it: two passes over the widest values fewer each. On Hopper large products in bf16 are
 * linear_hopper.cu's, but for those that add to something and for dW; the gradient of the bias before a GELU comes with
 * them. For sizes that are no multiples of 8 the library rounds a bf16 product before it adds to it: there the sum is
 * made here.
 */
#include <stdlib.h>

#include "train/nn/ops/images_cuda.h"
#include "train/nn/ops/linear_hopper.h"
#include "train/nn/ops/matmul_cuda.h"

enum { FORWARD, DATA, WEIGHTS, DIRECTION, PRODUCTS };
enum { CANDIDATES = 8, MANY_ROWS = 1 << 14 };
/* Gradients of images that are made: at most so many bytes at once, which the level-2 cache holds; and what a number
 * costs to write and read, as so many operations in bfloat16. */
enum { MADE_ROOM = 32 << 20 };
static const double made_cost = 1400;

typedef ek_matmul product; /* d [m, n] = or += a · b */

struct plan {
	ek_cuda_plan head;
	int apart;  /* bias, what is added, and activation are not the library's to do */
	int own[2]; /* FORWARD, DATA: linear_hopper.cu's */
	const ek_cublaslt *lt;
	product products[PRODUCTS];
};

struct sizes {
	size_t rows, inputs, outputs;
};

static sizes sizes_of(const ek_net *net, const ek_net_op *op)
{
	return { ek_net_rows(net, op->inputs[0]), ek_net_channel_count(net, op->inputs[0]),
		 (size_t)op->of.linear.outputs };
}

static void release(ek_cuda_plan *head)
{
	plan *p = (plan *)head;

	for (const product &q : p->products)
		ek_matmul_release(p->lt, q);
}

static cudaDataType_t type_of(int bf16)
{
	return bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

/* What a product is asked to be; bytes: to which each pointer is aligned. */
struct wish {
	size_t m, n, k;
	cublasOperation_t turn_a, turn_b;
	int bf16, result_bf16;
	cublasLtEpilogue_t epilogue;
	float beta;
	uint32_t a_bytes, d_bytes;
	int with_other;       /* the epilogue reads or writes another matrix like d */
	uint32_t b_bytes = 0; /* 0: the library's own */
	int32_t count = 1;    /* of products, whose matrices lie one behind the other */
};

/*
 * What the library would take first is not always the fastest of what it offers. For shapes of SiT and of encoders
 * these were, on an H200 with cuBLASLt 13.1 and 65,536 rows, by 1 to 23 %: a table, not a race at the start, so that
 * the same program gives the same bits. A library that does not offer one is asked for its first.
 */
struct tuned {
	int product;
	cublasLtEpilogue_t epilogue;
	size_t m, other; /* other: depth, or columns of the weights' gradient */
	uint32_t tile, split, swizzle, custom;
	uint16_t cluster;
};
static const tuned table[] = {
	{ FORWARD, CUBLASLT_EPILOGUE_BIAS, 384, 384, 20, 1, 0, 3, 5 },
	{ FORWARD, CUBLASLT_EPILOGUE_BIAS, 384, 1536, 20, 1, 0, 3, 5 },
	{ FORWARD, CUBLASLT_EPILOGUE_BIAS, 768, 768, 20, 1, 0, 1, 3 },
	{ WEIGHTS, CUBLASLT_EPILOGUE_DEFAULT, 384, 384, 20, 14, 0, 3, 2 },
	{ WEIGHTS, CUBLASLT_EPILOGUE_DEFAULT, 768, 2304, 20, 6, 0, 3, 5 },
	{ WEIGHTS, CUBLASLT_EPILOGUE_DEFAULT, 1152, 1152, 20, 3, 0, 3, 2 },
};

static int is_tuned(const ek_cublaslt *lt, const cublasLtMatmulAlgo_t &algorithm, const tuned &t)
{
	uint32_t tile = 0, split = 0, swizzle = 0, custom = 0;
	uint16_t cluster = 0;
	size_t written;
	int ok = 1;

#define GET(what, value)                                                                                               \
	ok &= lt->MatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_##what, &value, sizeof value,          \
	                                       &written) == CUBLAS_STATUS_SUCCESS
	GET(TILE_ID, tile);
	GET(SPLITK_NUM, split);
	GET(CTA_SWIZZLING, swizzle);
	GET(CUSTOM_OPTION, custom);
	GET(CLUSTER_SHAPE_ID, cluster);
#undef GET
	return ok && tile == t.tile && split == t.split && swizzle == t.swizzle && custom == t.custom &&
	       cluster == t.cluster;
}

/* Which of `count` that the library offers. */
static int pick(const ek_cublaslt *lt, const wish &w, const cublasLtMatmulHeuristicResult_t *found, int count)
{
	const int which = w.turn_b == CUBLAS_OP_T ? WEIGHTS : w.turn_a == CUBLAS_OP_T ? FORWARD : DATA;
	const size_t rows = which == WEIGHTS ? w.k : w.n, other = which == WEIGHTS ? w.n : w.k;

	for (const tuned &t : table)
		if (w.bf16 && rows >= MANY_ROWS && t.product == which && t.epilogue == w.epilogue && t.m == w.m &&
		    t.other == other)
			for (int i = 0; i < count; i++)
				if (is_tuned(lt, found[i].algo, t))
					return i;
	return 0;
}

static int choose(product *q, const ek_cublaslt *lt, const wish &w)
{
	/* No sums whose order is that of arrival. */
	const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
	cublasLtMatmulPreference_t preference = NULL;
	cublasLtMatmulHeuristicResult_t found[CANDIDATES];
	int rc, count = 0;

	EK_TRY(ek_cuda_cublaslt_check(lt->MatmulPreferenceCreate(&preference), "a preference"));
#define SET(what, value)                                                                                               \
	EK_TRY(ek_cuda_cublaslt_check(                                                                                 \
		lt->MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_##what, &value, sizeof value),       \
		"a preference"))
	SET(MAX_WORKSPACE_BYTES, lt->workspace_bytes);
	SET(REDUCTION_SCHEME_MASK, reductions);
	SET(MIN_ALIGNMENT_A_BYTES, w.a_bytes);
	if (w.b_bytes > 0)
		SET(MIN_ALIGNMENT_B_BYTES, w.b_bytes);
	SET(MIN_ALIGNMENT_C_BYTES, w.d_bytes);
	SET(MIN_ALIGNMENT_D_BYTES, w.d_bytes);
#undef SET
	EK_TRY(ek_cuda_cublaslt_check(lt->MatmulAlgoGetHeuristic(lt->handle, q->what, q->a, q->b, q->d, q->d,
	                                                         preference, CANDIDATES, found, &count),
	                              "choosing an algorithm"));
	if (count == 0)
		EK_TRY(ek_fail(EK_ENOTSUP, "cuBLASLt has no algorithm for a product of %zu x %zu x %zu", w.m, w.n,
		               w.k));
	q->algorithm = found[pick(lt, w, found, count)].algo;
out:
	if (preference != NULL)
		lt->MatmulPreferenceDestroy(preference);
	return rc;
}

/* The matrix is the first of `count`, one behind the other. */
static int repeat(const ek_cublaslt *lt, cublasLtMatrixLayout_t l, int32_t count, int64_t numbers)
{
	int rc;

	EK_TRY(ek_cuda_cublaslt_check(
		lt->MatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), "a matrix"));
	EK_TRY(ek_cuda_cublaslt_check(
		lt->MatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &numbers, sizeof numbers),
		"a matrix"));
out:
	return rc;
}

static int make(product *q, const ek_cublaslt *lt, const wish &w)
{
	const int turned_a = w.turn_a == CUBLAS_OP_T, turned_b = w.turn_b == CUBLAS_OP_T;
	const cudaDataType_t type = type_of(w.bf16), result = type_of(w.result_bf16);
	int rc;

	q->beta = w.beta;
	EK_TRY(ek_cuda_cublaslt_check(lt->MatmulDescCreate(&q->what, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a product"));
#define SET(what_, value)                                                                                              \
	EK_TRY(ek_cuda_cublaslt_check(                                                                                 \
		lt->MatmulDescSetAttribute(q->what, CUBLASLT_MATMUL_DESC_##what_, &value, sizeof value), "a product"))
	SET(TRANSA, w.turn_a);
	SET(TRANSB, w.turn_b);
	SET(EPILOGUE, w.epilogue);
	if (w.with_other) {
		const int64_t rows = (int64_t)w.m;

		SET(EPILOGUE_AUX_LD, rows);
		SET(EPILOGUE_AUX_DATA_TYPE, result);
	}
#undef SET
#define LAYOUT(l, t, rows, columns)                                                                                    \
	EK_TRY(ek_cuda_cublaslt_check(lt->MatrixLayoutCreate(&l, t, rows, columns, (int64_t)(rows)), "a matrix"))
	LAYOUT(q->a, type, turned_a ? w.k : w.m, turned_a ? w.m : w.k);
	LAYOUT(q->b, type, turned_b ? w.n : w.k, turned_b ? w.k : w.n);
	LAYOUT(q->d, result, w.m, w.n);
#undef LAYOUT
	if (w.count > 1) {
		EK_TRY(repeat(lt, q->a, w.count, (int64_t)(w.m * w.k)));
		EK_TRY(repeat(lt, q->b, w.count, (int64_t)(w.n * w.k)));
		EK_TRY(repeat(lt, q->d, w.count, (int64_t)(w.m * w.n)));
	}
	EK_TRY(choose(q, lt, w));
out:
	return rc;
}

/* c: what is added, or NULL: d itself. */
static int multiply(const ek_cublaslt *lt, const product *q, const void *a, const void *b, const void *c, void *d)
{
	const float alpha = 1;

	return ek_cuda_cublaslt_check(lt->Matmul(lt->handle, q->what, &alpha, a, q->a, b, q->b, &q->beta,
	                                         c != NULL ? c : d, q->d, d, q->d, &q->algorithm, lt->workspace,
	                                         lt->workspace_bytes, ek_cuda_stream()),
	                              "a product");
}

/* other: of the epilogue. */
static int run(const plan *p, int which, const void *a, const void *b, const void *c, void *d, const void *bias,
               const void *other)
{
	const product *q = &p->products[which];
	int rc = 0;

	if (bias != NULL)
		EK_TRY(ek_cuda_cublaslt_check(
			p->lt->MatmulDescSetAttribute(q->what, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
			"a bias"));
	if (other != NULL)
		EK_TRY(ek_cuda_cublaslt_check(p->lt->MatmulDescSetAttribute(q->what,
		                                                            CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER,
		                                                            &other, sizeof other),
		                              "what the epilogue takes"));
	EK_TRY(multiply(p->lt, q, a, b, c, d));
out:
	return rc;
}

/* To how many bytes something at this place of an aligned array is aligned. */
static uint32_t alignment(size_t offset)
{
	const size_t lowest = offset & (~offset + 1);

	return offset == 0 || lowest > 64 ? 64 : (uint32_t)lowest;
}

static uint32_t parameter_alignment(const ek_net_op *op, int i)
{
	return alignment(ek_net_parameter_of(op, i)->offset * sizeof(float));
}

static int is_bf16(const ek_net *net, const ek_net_op *op)
{
	return ek_net_in_type(net, op, 0) == EK_NN_BFLOAT16;
}

static int gives_bf16(const ek_net *net, const ek_net_op *op)
{
	return ek_net_out_type(net, op, 0) == EK_NN_BFLOAT16;
}

/* What the library does to the result by itself; `done`: the activation is among it. */
static cublasLtEpilogue_t epilogue(const ek_net_op *op, int apart, int *done)
{
	const int bias = op->parameters[1] >= 0;

	*done = 1;
	if (!apart && op->makes > 0)
		return bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
	if (!apart && op->then == EK_NN_RELU)
		return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
	if (!apart && op->then == EK_NN_GELU_TANH)
		return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
	*done = op->then == EK_NN_LINEAR;
	return bias && !apart ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

static int is_gelu(const ek_net_op *op)
{
	return op->kind == EK_NET_ACTIVATION && op->of.activation.activation == EK_NN_GELU_TANH;
}

/* The GELU of the result, if it is the next layer, made here: both of its values in bf16. */
static void take_next(ek_net *net, ek_net_op *op)
{
	ek_net_op *next = op + 1;

	if (op == net->ops + net->op_count - 1 || !is_gelu(next) || next->inputs[0] != op->outputs[0] ||
	    next->segment != op->segment || net->mode == EK_NET_FORWARD)
		return;
	op->makes = next->outputs[0];
	next->idle[0] = 1;
}

/* The gradient through the GELU whose result the input is, if nothing else takes that. */
static void take_previous(ek_net *net, ek_net_op *op)
{
	const int maker = net->values[op->inputs[0]].maker;
	ek_net_op *before = maker >= 0 ? &net->ops[maker] : NULL;

	if (before == NULL || !is_gelu(before) || ek_cuda_uses_of(net, op->inputs[0]) > 1 ||
	    before->segment != op->segment || !op->backward || !op->wants[0] || op->adds[0] || !before->wants[0] ||
	    before->adds[0])
		return;
	op->makes_gradient = before->inputs[0];
	before->idle[1] = 1;
}

/* Does the layer that takes the result, and nothing else, give the gradient of the bias as it makes that of the result?
 * Attention does, and a branch's modulation. */
static void leave_bias(ek_net *net, ek_net_op *op)
{
	if (op->parameters[1] < 0 || !op->backward || !ek_net_learns(op, 1) ||
	    ek_cuda_uses_of(net, op->outputs[0]) != 1)
		return;
	for (ek_net_op *user = op + 1; user < net->ops + net->op_count; user++)
		if ((user->kind == EK_NET_ATTENTION && user->inputs[0] == op->outputs[0]) ||
		    (user->kind == EK_NET_MODULATE && user->inputs[1] == op->outputs[0])) {
			op->bias_apart = 1;
			user->bias_of = (int)(op - net->ops) + 1;
		}
}

/* The same of a layer behind a GELU whose gradient is made here: for the bias of the product before that. */
static void take_bias(ek_net *net, ek_net_op *op)
{
	const int maker = net->values[op->makes_gradient].maker;
	ek_net_op *before = maker >= 0 ? &net->ops[maker] : NULL;

	if (before == NULL || before->kind != EK_NET_LINEAR || before->parameters[1] < 0 || !before->backward ||
	    !ek_net_learns(before, 1) || ek_cuda_uses_of(net, op->makes_gradient) != 1)
		return;
	before->bias_apart = 1;
	op->bias_of = maker + 1;
}

/* Which products are our own; all numbers are bfloat16. */
static void take_own(ek_net *net, ek_net_op *op, plan *p)
{
	const sizes z = sizes_of(net, op);
	const int gelu = op->makes > 0 || op->then == EK_NN_GELU_TANH, slope = op->makes_gradient > 0;

	p->own[FORWARD] = (gelu || op->then == EK_NN_LINEAR) && op->parameters[1] >= 0 && op->inputs[1] == 0 &&
	                  ek_cuda_has_linear(z.rows, z.outputs, gelu);
	p->own[DATA] = op->backward && op->wants[0] && !op->adds[0] && ek_cuda_has_linear(z.rows, z.inputs, slope);
	if (p->own[DATA] && slope)
		take_bias(net, op);
}

/* y [rows, n] = x + bias + added. */
static __global__ void finish(ek_cuda_view y, const float *x, const float *bias, ek_cuda_view added, size_t n,
                              size_t count)
{
	EK_CUDA_EACH(i, count)
	ek_put(y, i, x[i] + (bias != NULL ? bias[i % n] : 0) + (added.x != NULL ? ek_get(added, i) : 0));
}

/* In an own product, and there a tile of rows is one image's. */
int ek_cuda_can_gate(const ek_net *net, const ek_net_op *product, const ek_net_op *modulation)
{
	const sizes z = sizes_of(net, product);

	return product->kind == EK_NET_LINEAR && is_bf16(net, product) && gives_bf16(net, product) &&
	       ek_net_out_type(net, modulation, 0) == EK_NN_BFLOAT16 && product->parameters[1] >= 0 &&
	       ek_cuda_has_gated(z.rows, z.rows / (size_t)net->batch, z.inputs, z.outputs) &&
	       modulation->of.modulate.gate % 4 == 0 && ek_net_channel_count(net, modulation->inputs[2]) % 4 == 0;
}

static size_t packed_weights(const ek_net *net, const ek_net_op *op)
{
	return is_bf16(net, op) ? ek_net_align(op->counts[0] * sizeof(ek_bf16)) : 0;
}

/*
 * Whether the gradients of images of so many rows are made, and their squares and products taken from them: where both
 * grams, and a product with the direction for which they are no help, take longer; in float32 always, since there are
 * no grams of such.
 */
static int makes(const sizes &z, int bf16, size_t rows, int with_products)
{
	const double numbers = (double)z.inputs * (double)z.outputs, r = (double)rows;
	const double grams = r * r * (double)(z.inputs + z.outputs) + (with_products ? 2 * r * numbers : 0);

	return !bf16 || z.inputs % 8 != 0 || z.outputs % 8 != 0 || grams > (2 * r + made_cost) * numbers;
}

/* Images whose gradients are made at once. */
static size_t made_at_once(const sizes &z, size_t images)
{
	const size_t room = MADE_ROOM / (z.inputs * z.outputs * sizeof(float));

	return room < 1 ? 1 : room < images ? room : images;
}

static size_t made_parts(const sizes &z, size_t images)
{
	return ek_net_align(images * ek_cuda_made_parts(z.inputs * z.outputs, z.outputs) * 2 * sizeof(double));
}

/* Scratch for making them, however many are together. */
static size_t made_scratch(const ek_net *net, const sizes &z, int bf16)
{
	size_t most = 0;

	for (int together = 1; together <= net->batch; together++) {
		const size_t images = (size_t)(net->batch / together);
		const size_t needed =
			made_parts(z, images) + made_at_once(z, images) * z.inputs * z.outputs * sizeof(float);

		if (net->batch % together == 0 && makes(z, bf16, z.rows / images, 1) && needed > most)
			most = needed;
	}
	return most;
}

/* Scratch, behind dy where it is rounded: the parts of sums; then the direction as the product takes it, and x times
 * it; or gradients of images. */
static int prepare_images(ek_net *net, ek_net_op *op, plan *p)
{
	const sizes z = sizes_of(net, op);
	const int bf16 = is_bf16(net, op);
	const size_t rounded = bf16 != gives_bf16(net, op) ? ek_net_align(z.rows * z.outputs * sizeof(ek_bf16)) : 0;
	const size_t parts = ek_cuda_images_scratch(net->batch, z.rows / (size_t)net->batch, z.inputs, z.outputs, 1);
	const size_t products = packed_weights(net, op) + z.rows * z.outputs * sizeof(float);
	const size_t made = z.rows > (size_t)net->batch ? made_scratch(net, z, bf16) : 0;
	int rc;

	for (size_t bytes : { parts, products, made })
		if (op->scratch < rounded + bytes)
			op->scratch = rounded + bytes;
	EK_TRY(make(&p->products[DIRECTION], p->lt,
	            { z.outputs, z.rows, z.inputs, CUBLAS_OP_T, CUBLAS_OP_N, bf16, 0, CUBLASLT_EPILOGUE_DEFAULT, 0,
	              bf16 ? 64 : parameter_alignment(op, 0), 64, 0 }));
out:
	return rc;
}

static int prepare(ek_net *net, ek_net_op *op)
{
	const sizes z = sizes_of(net, op);
	const int bf16 = is_bf16(net, op), result = gives_bf16(net, op);
	const uint32_t of_weights = bf16 ? 64 : parameter_alignment(op, 0);
	plan *p = (plan *)calloc(1, sizeof *p);
	size_t backward_scratch;
	int rc, unused, added;

	if (p == NULL)
		return ek_fail(EK_ENOMEM, "out of memory");
	p->head.release = release;
	op->prepared = p;
	p->apart = result && (z.inputs % 8 != 0 || z.outputs % 8 != 0);
	p->own[FORWARD] = op->inputs[2] > 0;
	if (bf16 && result && !p->apart && !p->own[FORWARD]) {
		take_next(net, op);
		take_previous(net, op);
		take_own(net, op, p);
	}
	leave_bias(net, op);
	op->flops = 2.0 * (double)z.rows * (double)z.inputs * (double)z.outputs;
	op->packed = packed_weights(net, op);
	if (result && op->parameters[1] >= 0)
		op->packed += ek_net_align(z.outputs * sizeof(ek_bf16));
	if (p->apart)
		op->scratch = z.rows * z.outputs * sizeof(float);
	added = !p->apart && op->inputs[1] > 0;
	EK_TRY(ek_cuda_cublaslt(&p->lt));
	if (!p->own[FORWARD])
		EK_TRY(make(&p->products[FORWARD], p->lt,
		            { z.outputs, z.rows, z.inputs, CUBLAS_OP_T, CUBLAS_OP_N, bf16, result && !p->apart,
		              epilogue(op, p->apart, &unused), added ? 1.0F : 0.0F, of_weights, 64, op->makes > 0 }));
	if (!op->backward)
		goto out;
	backward_scratch = ek_cuda_add_rows_scratch(z.rows, z.outputs);
	if (op->bias_of > 0 && backward_scratch < ek_linear_parts(z.rows) * z.inputs * sizeof(float))
		backward_scratch = ek_linear_parts(z.rows) * z.inputs * sizeof(float);
	if (result != bf16)
		backward_scratch += ek_net_align(z.rows * z.outputs * sizeof(ek_bf16));
	if (op->scratch < backward_scratch)
		op->scratch = backward_scratch;
	if (op->wants[0] && !p->own[DATA])
		EK_TRY(make(&p->products[DATA], p->lt,
		            { z.inputs, z.rows, z.outputs, CUBLAS_OP_N, CUBLAS_OP_N, bf16, bf16,
		              op->makes_gradient > 0 ? CUBLASLT_EPILOGUE_DGELU : CUBLASLT_EPILOGUE_DEFAULT,
		              op->adds[0] ? 1.0F : 0.0F, of_weights, 64, op->makes_gradient > 0 }));
	EK_TRY(make(&p->products[WEIGHTS], p->lt,
	            { z.inputs, z.outputs, z.rows, CUBLAS_OP_N, CUBLAS_OP_T, bf16, 0, CUBLASLT_EPILOGUE_DEFAULT, 1, 64,
	              parameter_alignment(op, 0), 0 }));
	if (net->mode == EK_NET_IMAGES)
		EK_TRY(prepare_images(net, op, p));
out:
	return rc;
}

static int load(ek_net *net, ek_net_op *op)
{
	unsigned char *packed = net->packed + op->packed_offset;
	int rc = 0;

	if (is_bf16(net, op))
		EK_TRY(ek_cuda_pack(packed, ek_net_loaded(net, op, 0), op->counts[0]));
	if (gives_bf16(net, op) && op->parameters[1] >= 0)
		EK_TRY(ek_cuda_pack(packed + packed_weights(net, op), ek_net_loaded(net, op, 1), op->counts[1]));
out:
	return rc;
}

static const void *weights_of(const ek_net_state *s, const ek_net_op *op)
{
	return is_bf16(s->net, op) ? (const void *)(s->net->packed + op->packed_offset) : ek_net_parameter(s, op, 0);
}

static const void *bias_of(const ek_net_state *s, const ek_net_op *op)
{
	if (op->parameters[1] < 0)
		return NULL;
	return gives_bf16(s->net, op) ? (const void *)(s->net->packed + op->packed_offset + packed_weights(s->net, op))
	                              : ek_net_parameter(s, op, 1);
}

/* The product alone, then what is added to it. */
static int forward_apart(ek_net_state *s, const ek_net_op *op)
{
	const sizes z = sizes_of(s->net, op);
	const size_t count = z.rows * z.outputs;
	float *product = (float *)(void *)s->scratch;
	ek_cuda_view added = {};
	int rc;

	if (op->inputs[1] > 0)
		added = ek_cuda_input(s, op, 1);
	EK_TRY(run((const plan *)op->prepared, FORWARD, weights_of(s, op), ek_net_in(s, op, 0), NULL, product, NULL,
	           NULL));
	finish<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		ek_cuda_output(s, op, 0), product, op->parameters[1] >= 0 ? ek_net_parameter(s, op, 1) : NULL, added,
		z.outputs, count);
	EK_TRY(ek_cuda_launched("a product"));
out:
	return rc;
}

/* An activation that the library does not know: with little to add up, a pass over the result is worth more than the
 * library's faster products. */
enum { DENSE_INPUTS = 512 };

static int is_dense(const ek_net_state *s, const ek_net_op *op, const plan *p)
{
	return !p->apart && is_bf16(s->net, op) && gives_bf16(s->net, op) && op->inputs[1] == 0 && op->makes == 0 &&
	       sizes_of(s->net, op).inputs <= DENSE_INPUTS && ek_cuda_is_hopper();
}

static int forward_dense(ek_net_state *s, const ek_net_op *op)
{
	const sizes z = sizes_of(s->net, op);

	return ek_cuda_dense(ek_cuda_output(s, op, 0), ek_net_in(s, op, 0), weights_of(s, op),
	                     op->parameters[1] >= 0 ? ek_net_parameter(s, op, 1) : NULL, z.rows, (int)z.inputs,
	                     (int)z.outputs, op->then);
}

static int forward_own(ek_net_state *s, const ek_net_op *op)
{
	const sizes z = sizes_of(s->net, op);
	ek_linear_product p = {
		ek_net_in(s, op, 0), weights_of(s, op), ek_net_out(s, op, 0), NULL, bias_of(s, op), NULL, z.rows,
		(int)z.inputs,       (int)z.outputs
	};

	if (op->makes > 0) {
		p.before = p.y;
		p.y = ek_net_value_in(s, op->makes);
	}
	return op->makes > 0 || op->then == EK_NN_GELU_TANH ? ek_cuda_linear_gelu(p) : ek_cuda_linear_forward(p);
}

static int forward_gated(ek_net_state *s, const ek_net_op *op)
{
	const sizes z = sizes_of(s->net, op);
	const float *vectors = (const float *)ek_net_in(s, op, 2);

	return ek_cuda_linear_gated({ ek_net_in(s, op, 0), weights_of(s, op), ek_net_out(s, op, 0),
	                              const_cast<void *>(ek_net_in(s, op, 1)), bias_of(s, op), NULL, z.rows,
	                              (int)z.inputs, (int)z.outputs, vectors + op->gate,
	                              ek_net_channel_count(s->net, op->inputs[2]), z.rows / (size_t)s->net->batch });
}

/* The gradient of the input; or of what the GELU was of, and that of the bias before it. */
static int backward_own(ek_net_state *s, const ek_net_op *op, const void *dy, unsigned char *scratch)
{
	const sizes z = sizes_of(s->net, op);
	float *bias = ek_cuda_bias_of(s, op), *parts = bias != NULL ? (float *)(void *)scratch : NULL;
	ek_linear_product p = {
		dy,           weights_of(s, op), ek_net_grad_in(s, op, 0), NULL, NULL, parts, z.rows, (int)z.outputs,
		(int)z.inputs
	};
	int rc;

	if (op->makes_gradient > 0) {
		p.y = ek_net_gradient(s, op->makes_gradient);
		p.before = ek_net_value_in(s, op->makes_gradient);
	}
	EK_TRY(ek_cuda_linear_backward(p));
	if (bias != NULL)
		EK_TRY(ek_cuda_add_parts(bias, parts, ek_linear_parts(z.rows), z.inputs));
out:
	return rc;
}

static int forward(ek_net_state *s, const ek_net_op *op)
{
	const plan *p = (const plan *)op->prepared;
	void *y = ek_net_out(s, op, 0), *other = NULL;
	int rc, done;

	if (p->own[FORWARD])
		return op->inputs[2] > 0 ? forward_gated(s, op) : forward_own(s, op);
	(void)epilogue(op, p->apart, &done);
	if (!done && is_dense(s, op, p))
		return forward_dense(s, op);
	if (op->makes > 0) {
		other = y;
		y = ek_net_value_in(s, op->makes);
	}
	EK_TRY(p->apart ? forward_apart(s, op)
	                : run(p, FORWARD, weights_of(s, op), ek_net_in(s, op, 0),
	                      op->inputs[1] > 0 ? ek_net_in(s, op, 1) : NULL, y, bias_of(s, op), other));
	if (!done)
		EK_TRY(ek_cuda_activate(ek_cuda_output(s, op, 0), ek_cuda_output(s, op, 0),
		                        ek_cuda_numbers(s->net, op->outputs[0]), op->then, 0));
out:
	return rc;
}

static int backward(ek_net_state *s, const ek_net_op *op)
{
	const plan *p = (const plan *)op->prepared;
	const sizes z = sizes_of(s->net, op);
	const int bf16 = is_bf16(s->net, op), through = op->makes_gradient > 0;
	float *dw = ek_net_parameter_gradient(s, op, 0);
	float *db = op->bias_apart ? NULL : ek_net_parameter_gradient(s, op, 1);
	const ek_cuda_view given = ek_cuda_grad_output(s, op, 0);
	const size_t rounded = bf16 != given.bf16 ? ek_net_align(z.rows * z.outputs * sizeof(ek_bf16)) : 0;
	const void *dy = given.x;
	int rc = 0;

	if (rounded > 0) {
		EK_TRY(ek_cuda_copy({ s->scratch, 1, 0 }, given, z.rows * z.outputs));
		dy = s->scratch;
	}
	if (p->own[DATA])
		EK_TRY(backward_own(s, op, dy, s->scratch + rounded));
	else if (op->wants[0])
		EK_TRY(run(p, DATA, weights_of(s, op), dy, NULL,
		           through ? ek_net_gradient(s, op->makes_gradient) : ek_net_grad_in(s, op, 0), NULL,
		           through ? ek_net_value_in(s, op->makes_gradient) : NULL));
	if (dw != NULL)
		EK_TRY(run(p, WEIGHTS, ek_net_in(s, op, 0), dy, NULL, dw, NULL, NULL));
	if (db != NULL)
		EK_TRY(ek_cuda_add_rows(db, given, z.rows, z.outputs, s->scratch + rounded));
out:
	return rc;
}

static int image_squares(ek_net_state *s, const ek_net_op *op, const ek_image_product *p, void *scratch)
{
	if (ek_net_rows(s->net, op->inputs[0]) == (size_t)s->net->batch)
		return ek_cuda_image_vectors(s, p);
	return ek_cuda_has_gram(p) ? ek_cuda_image_gram(s, p, scratch) : ek_cuda_image_weights(s, p, scratch);
}

/* dy^T x of `count` images one behind the other. */
static int plan_gradients(product *q, const ek_cublaslt *lt, const sizes &z, const ek_image_product *p, size_t count)
{
	const size_t rows = (size_t)p->rows, size = p->x.bf16 ? sizeof(ek_bf16) : sizeof(float);

	ek_matmul_release(lt, *q);
	*q = {};
	return make(q, lt,
	            { z.inputs, z.outputs, rows, CUBLAS_OP_N, CUBLAS_OP_T, p->x.bf16, 0, CUBLASLT_EPILOGUE_DEFAULT, 0,
	              alignment(rows * z.inputs * size), alignment(z.inputs * z.outputs * sizeof(float)), 0,
	              alignment(rows * z.outputs * size), (int32_t)count });
}

/* Gradients of the weights, to `made`, so many images at a time; what they come to, to the parts. */
static int make_gradients(ek_net_state *s, const ek_net_op *op, const ek_image_product *p, const ek_image_made *m,
                          float *made)
{
	const ek_cublaslt *lt = ((const plan *)op->prepared)->lt;
	const sizes z = sizes_of(s->net, op);
	const size_t most = made_at_once(z, s->images), size = p->x.bf16 ? sizeof(ek_bf16) : sizeof(float);
	product q = {};
	int rc = 0;

	for (size_t first = 0, planned = 0, count; first < s->images; first += count) {
		const size_t row = first * (size_t)p->rows;

		count = s->images - first < most ? s->images - first : most;
		if (count != planned)
			EK_TRY(plan_gradients(&q, lt, z, p, count));
		planned = count;
		EK_TRY(multiply(lt, &q, (const char *)p->x.x + row * z.inputs * size,
		                (const char *)p->dy.x + row * z.outputs * size, NULL, made));
		EK_TRY(ek_cuda_made_weights(m, made, ek_net_direction(s, op, 0), first, count));
	}
out:
	ek_matmul_release(lt, q);
	return rc;
}

/* All that is measured of a layer. */
static int image_gradients(ek_net_state *s, const ek_net_op *op, const ek_image_product *p, unsigned char *scratch)
{
	const sizes z = sizes_of(s->net, op);
	const int bias = ek_net_measures(s, op, 1);
	const ek_image_made m = { z.inputs * z.outputs, bias ? z.outputs : 0, (double *)(void *)scratch };
	int rc;

	EK_TRY(make_gradients(s, op, p, &m, (float *)(void *)(scratch + made_parts(z, s->images))));
	if (bias)
		EK_TRY(ek_cuda_made_bias(&m, ek_cuda_grad_output(s, op, 0), (size_t)p->rows, ek_net_direction(s, op, 1),
		                         s->images));
	EK_TRY(ek_cuda_made_sums(s, &m));
out:
	return rc;
}

/* dy times x V^T, and times the direction of the bias. */
static int image_products(ek_net_state *s, const ek_net_op *op, const ek_image_product *p, unsigned char *scratch)
{
	const float *direction = ek_net_direction(s, op, 0);
	float *made = (float *)(void *)(scratch + packed_weights(s->net, op));
	const void *weights = direction;
	int rc = 0;

	if (is_bf16(s->net, op)) {
		EK_TRY(ek_cuda_copy({ scratch, 1, 0 }, ek_cuda_floats(direction), op->counts[0]));
		weights = scratch;
	}
	EK_TRY(run((const plan *)op->prepared, DIRECTION, weights, ek_net_in(s, op, 0), NULL, made, NULL, NULL));
	EK_TRY(ek_cuda_image_dot(s, ek_cuda_grad_output(s, op, 0), ek_cuda_floats(made),
	                         p->with_bias ? ek_net_direction(s, op, 1) : NULL, (size_t)p->rows,
	                         (size_t)p->outputs));
out:
	return rc;
}

/* The bias goes with the weights where their gradients are made, or their squares are grams of the gradient as it is
 * given. */
static int image_weights(ek_net_state *s, const ek_net_op *op, int *with_bias)
{
	const sizes z = sizes_of(s->net, op);
	const int bf16 = is_bf16(s->net, op), tokens = z.rows > (size_t)s->net->batch;
	const int products = s->measure->direction != NULL;
	ek_image_product p = {};
	unsigned char *scratch = s->scratch;
	int rc = 0;

	p.x = ek_cuda_input(s, op, 0);
	p.dy = ek_cuda_grad_output(s, op, 0);
	p.rows = (int)(z.rows / s->images);
	p.inputs = (int)z.inputs;
	p.outputs = (int)z.outputs;
	p.groups = 1;
	p.with_bias = bf16 && p.dy.bf16 && tokens && ek_cuda_has_gram(&p) && ek_net_measures(s, op, 1);
	if (bf16 != p.dy.bf16) {
		EK_TRY(ek_cuda_copy({ scratch, 1, 0 }, p.dy, z.rows * z.outputs));
		p.dy = { scratch, 1, 0 };
		scratch += ek_net_align(z.rows * z.outputs * sizeof(ek_bf16));
	}
	*with_bias = tokens && makes(z, bf16, (size_t)p.rows, products);
	if (*with_bias) {
		EK_TRY(image_gradients(s, op, &p, scratch));
		goto out;
	}
	*with_bias = p.with_bias;
	EK_TRY(image_squares(s, op, &p, scratch));
	if (products)
		EK_TRY(image_products(s, op, &p, scratch));
out:
	return rc;
}

static int images(ek_net_state *s, const ek_net_op *op)
{
	int with_bias = 0, rc = 0;

	if (ek_net_measures(s, op, 0))
		EK_TRY(image_weights(s, op, &with_bias));
	if (!with_bias)
		EK_TRY(ek_cuda_image_bias(s, op));
out:
	return rc;
}

const struct ek_net_code ek_net_cuda_linear = { prepare, load, forward, backward, 1, images };
