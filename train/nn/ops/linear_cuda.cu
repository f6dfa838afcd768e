/*
 * Linear layers by cuBLASLt: y [r, o] = x [r, i] · W^T + b; dx = dy · W; dW [o, i] += dy^T · x. To the library, whose
 * matrices lie column by column, each of them is its transpose. In a bf16 net W, and the bias of a bf16 result, are
 * packed as bfloat16 once a step.
 */
#include <stdlib.h>

#include "train/nn/ops/op_cuda.h"

enum { FORWARD, DATA, WEIGHTS, PRODUCTS, CANDIDATES = 1 };

/* d [m, n] = or += a · b, column by column. */
struct product {
	cublasLtMatmulDesc_t what;
	cublasLtMatrixLayout_t a, b, d;
	cublasLtMatmulAlgo_t algorithm;
	float beta;
};

struct plan {
	ek_cuda_plan head;
	const ek_cublaslt *lt;
	struct product products[PRODUCTS];
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

	for (product &q : p->products) {
		if (q.what != NULL)
			p->lt->MatmulDescDestroy(q.what);
		for (cublasLtMatrixLayout_t l : { q.a, q.b, q.d })
			if (l != NULL)
				p->lt->MatrixLayoutDestroy(l);
	}
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
};

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
	SET(MIN_ALIGNMENT_C_BYTES, w.d_bytes);
	SET(MIN_ALIGNMENT_D_BYTES, w.d_bytes);
#undef SET
	EK_TRY(ek_cuda_cublaslt_check(lt->MatmulAlgoGetHeuristic(lt->handle, q->what, q->a, q->b, q->d, q->d,
	                                                         preference, CANDIDATES, found, &count),
	                              "choosing an algorithm"));
	if (count == 0)
		EK_TRY(ek_fail(EK_ENOTSUP, "cuBLASLt has no algorithm for a product of %zu x %zu x %zu", w.m, w.n,
		               w.k));
	q->algorithm = found[0].algo;
out:
	if (preference != NULL)
		lt->MatmulPreferenceDestroy(preference);
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
#undef SET
#define LAYOUT(l, t, rows, columns)                                                                                    \
	EK_TRY(ek_cuda_cublaslt_check(lt->MatrixLayoutCreate(&l, t, rows, columns, (int64_t)(rows)), "a matrix"))
	LAYOUT(q->a, type, turned_a ? w.k : w.m, turned_a ? w.m : w.k);
	LAYOUT(q->b, type, turned_b ? w.n : w.k, turned_b ? w.k : w.n);
	LAYOUT(q->d, result, w.m, w.n);
#undef LAYOUT
	EK_TRY(choose(q, lt, w));
out:
	return rc;
}

/* c: what is added, or NULL: d itself. */
static int run(const plan *p, int which, const void *a, const void *b, const void *c, void *d, const void *bias)
{
	const product *q = &p->products[which];
	const float alpha = 1;
	int rc = 0;

	if (bias != NULL)
		EK_TRY(ek_cuda_cublaslt_check(
			p->lt->MatmulDescSetAttribute(q->what, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
			"a bias"));
	EK_TRY(ek_cuda_cublaslt_check(p->lt->Matmul(p->lt->handle, q->what, &alpha, a, q->a, b, q->b, &q->beta,
	                                            c != NULL ? c : d, q->d, d, q->d, &q->algorithm, p->lt->workspace,
	                                            p->lt->workspace_bytes, ek_cuda_stream()),
	                              "a product"));
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
static cublasLtEpilogue_t epilogue(const ek_net_op *op, int *done)
{
	const int bias = op->parameters[1] >= 0;

	*done = 1;
	if (op->then == EK_NN_RELU)
		return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
	if (op->then == EK_NN_GELU_TANH)
		return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
	*done = op->then == EK_NN_LINEAR;
	return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

static size_t packed_weights(const ek_net *net, const ek_net_op *op)
{
	return is_bf16(net, op) ? ek_net_align(op->counts[0] * sizeof(ek_bf16)) : 0;
}

static int prepare(ek_net *net, ek_net_op *op)
{
	const sizes z = sizes_of(net, op);
	const int bf16 = is_bf16(net, op), result = gives_bf16(net, op);
	const uint32_t of_weights = bf16 ? 64 : parameter_alignment(op, 0);
	plan *p = (plan *)calloc(1, sizeof *p);
	int rc, unused;

	if (p == NULL)
		return ek_fail(EK_ENOMEM, "out of memory");
	p->head.release = release;
	op->prepared = p;
	op->flops = 2.0 * (double)z.rows * (double)z.inputs * (double)z.outputs;
	op->packed = packed_weights(net, op);
	if (result && op->parameters[1] >= 0)
		op->packed += ek_net_align(z.outputs * sizeof(ek_bf16));
	EK_TRY(ek_cuda_cublaslt(&p->lt));
	EK_TRY(make(&p->products[FORWARD], p->lt,
	            { z.outputs, z.rows, z.inputs, CUBLAS_OP_T, CUBLAS_OP_N, bf16, result, epilogue(op, &unused),
	              op->inputs[1] > 0 ? 1.0F : 0.0F, of_weights, 64 }));
	if (!op->backward)
		goto out;
	if (result != bf16)
		op->scratch = ek_net_align(z.rows * z.outputs * sizeof(ek_bf16));
	op->scratch += ek_cuda_add_rows_scratch(z.rows, z.outputs);
	if (op->wants[0])
		EK_TRY(make(&p->products[DATA], p->lt,
		            { z.inputs, z.rows, z.outputs, CUBLAS_OP_N, CUBLAS_OP_N, bf16, bf16,
		              CUBLASLT_EPILOGUE_DEFAULT, op->adds[0] ? 1.0F : 0.0F, of_weights, 64 }));
	EK_TRY(make(&p->products[WEIGHTS], p->lt,
	            { z.inputs, z.outputs, z.rows, CUBLAS_OP_N, CUBLAS_OP_T, bf16, 0, CUBLASLT_EPILOGUE_DEFAULT, 1, 64,
	              parameter_alignment(op, 0) }));
out:
	return rc;
}

static int load(ek_net *net, ek_net_op *op)
{
	unsigned char *packed = net->packed + op->packed_offset;
	int rc = 0;

	if (is_bf16(net, op))
		EK_TRY(ek_cuda_copy({ packed, 1, 0 }, ek_cuda_floats(ek_net_loaded(net, op, 0)), op->counts[0]));
	if (gives_bf16(net, op) && op->parameters[1] >= 0)
		EK_TRY(ek_cuda_copy({ packed + packed_weights(net, op), 1, 0 },
		                    ek_cuda_floats(ek_net_loaded(net, op, 1)), op->counts[1]));
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

static int forward(ek_net_state *s, const ek_net_op *op)
{
	int rc, done;

	(void)epilogue(op, &done);
	EK_TRY(run((const plan *)op->prepared, FORWARD, weights_of(s, op), ek_net_in(s, op, 0),
	           op->inputs[1] > 0 ? ek_net_in(s, op, 1) : NULL, ek_net_out(s, op, 0), bias_of(s, op)));
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
	const int bf16 = is_bf16(s->net, op);
	float *dw = ek_net_parameter_gradient(s, op, 0), *db = ek_net_parameter_gradient(s, op, 1);
	const ek_cuda_view given = ek_cuda_grad_output(s, op, 0);
	const size_t rounded = bf16 != given.bf16 ? ek_net_align(z.rows * z.outputs * sizeof(ek_bf16)) : 0;
	const void *dy = given.x;
	int rc = 0;

	if (rounded > 0) {
		EK_TRY(ek_cuda_copy({ s->scratch, 1, 0 }, given, z.rows * z.outputs));
		dy = s->scratch;
	}
	if (op->wants[0])
		EK_TRY(run(p, DATA, weights_of(s, op), dy, NULL, ek_net_grad_in(s, op, 0), NULL));
	if (dw != NULL)
		EK_TRY(run(p, WEIGHTS, ek_net_in(s, op, 0), dy, NULL, dw, NULL));
	if (db != NULL)
		EK_TRY(ek_cuda_add_rows(db, given, z.rows, z.outputs, s->scratch + rounded));
out:
	return rc;
}

const struct ek_net_code ek_net_cuda_linear = { prepare, load, forward, backward, 1 };
