/*
 * Attention with its matrices, for one head of some images at a time. Scores are float32, probabilities and the
 * gradients of scores of the net's type; backward makes the scores again. To the library, whose matrices lie column by
 * column, each of them is its transpose.
 */
#include <math_constants.h>
#include <stdlib.h>

#include "train/nn/ops/attention_wide_cuda.h"
#include "train/nn/ops/matmul_cuda.h"

/* Products of [tokens, width] and [tokens, tokens]. scores, slopes: of queries and keys, of the result's gradient and
 * values. */
enum { SCORES, SLOPES, RESULT, VALUES, QUERIES, KEYS, PRODUCTS };

enum { ROOM = 256 << 20 }; /* bytes of the scores of the images of a call, unless one image has more */

typedef ek_matmul product;

struct plan {
	ek_cuda_plan head;
	const ek_cublaslt *lt;
	product products[PRODUCTS];
	int images; /* of a call */
};

struct sizes {
	size_t tokens, features, width;
	int heads, bf16;
};

static sizes sizes_of(const ek_net *net, const ek_net_op *op)
{
	sizes z;

	z.heads = op->of.heads;
	z.tokens = ek_net_rows(net, op->inputs[0]) / (size_t)net->batch;
	z.features = ek_net_channel_count(net, op->outputs[0]);
	z.width = z.features / (size_t)z.heads;
	z.bf16 = ek_net_in_type(net, op, 0) == EK_NN_BFLOAT16;
	return z;
}

static void release(ek_cuda_plan *head)
{
	plan *p = (plan *)head;

	for (const product &q : p->products)
		ek_matmul_release(p->lt, q);
}

/* One of each image: a matrix as the library sees it, [rows, columns], `stride` numbers from column to column. */
struct matrix {
	size_t rows, columns, stride;
	int bf16;
};

static int set_images(const plan *p, const product &q, int images)
{
	const int32_t count = images;
	int rc = 0;

	for (cublasLtMatrixLayout_t l : { q.a, q.b, q.d })
		EK_TRY(ek_cuda_cublaslt_check(
			p->lt->MatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
			"a number of matrices"));
out:
	return rc;
}

static int make_layout(cublasLtMatrixLayout_t *out, const plan *p, const matrix &m, size_t tokens)
{
	/* From image to image: as many rows of numbers as there are tokens. */
	const int64_t apart = (int64_t)(tokens * m.stride);
	int rc;

	EK_TRY(ek_cuda_cublaslt_check(
		p->lt->MatrixLayoutCreate(out, m.bf16 ? CUDA_R_16BF : CUDA_R_32F, m.rows, m.columns, (int64_t)m.stride),
		"a matrix"));
	EK_TRY(ek_cuda_cublaslt_check(p->lt->MatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
	                                                              &apart, sizeof apart),
	                              "a matrix"));
out:
	return rc;
}

/* To so many bytes all matrices are aligned: heads begin a width apart, images rows of features. */
static uint32_t alignment(const sizes &z)
{
	const size_t bytes = (z.width | z.tokens) * (z.bf16 ? sizeof(ek_bf16) : sizeof(float));
	const size_t lowest = bytes & (~bytes + 1);

	return lowest > 64 ? 64 : (uint32_t)lowest;
}

static int choose(plan *p, product *q, const sizes &z)
{
	/* No sums whose order is that of arrival. */
	const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, aligned = alignment(z);
	cublasLtMatmulPreference_t preference = NULL;
	cublasLtMatmulHeuristicResult_t found;
	int rc, count = 0;

	EK_TRY(ek_cuda_cublaslt_check(p->lt->MatmulPreferenceCreate(&preference), "a preference"));
#define SET(what, value)                                                                                               \
	EK_TRY(ek_cuda_cublaslt_check(                                                                                 \
		p->lt->MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_##what, &value, sizeof value),    \
		"a preference"))
	SET(MAX_WORKSPACE_BYTES, p->lt->workspace_bytes);
	SET(REDUCTION_SCHEME_MASK, reductions);
	SET(MIN_ALIGNMENT_A_BYTES, aligned);
	SET(MIN_ALIGNMENT_B_BYTES, aligned);
	SET(MIN_ALIGNMENT_C_BYTES, aligned);
	SET(MIN_ALIGNMENT_D_BYTES, aligned);
#undef SET
	EK_TRY(ek_cuda_cublaslt_check(p->lt->MatmulAlgoGetHeuristic(p->lt->handle, q->what, q->a, q->b, q->d, q->d,
	                                                            preference, 1, &found, &count),
	                              "choosing an algorithm"));
	if (count == 0)
		EK_TRY(ek_fail(EK_ENOTSUP, "cuBLASLt has no algorithm for attention of %zu tokens and %zu features",
		               z.tokens, z.width));
	q->algorithm = found.algo;
out:
	if (preference != NULL)
		p->lt->MatmulPreferenceDestroy(preference);
	return rc;
}

static int make(plan *p, int which, const sizes &z, cublasOperation_t turn_a, cublasOperation_t turn_b, const matrix &a,
                const matrix &b, const matrix &d, float beta)
{
	product *q = &p->products[which];
	int rc;

	q->beta = beta;
	EK_TRY(ek_cuda_cublaslt_check(p->lt->MatmulDescCreate(&q->what, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a product"));
	EK_TRY(ek_cuda_cublaslt_check(
		p->lt->MatmulDescSetAttribute(q->what, CUBLASLT_MATMUL_DESC_TRANSA, &turn_a, sizeof turn_a),
		"a product"));
	EK_TRY(ek_cuda_cublaslt_check(
		p->lt->MatmulDescSetAttribute(q->what, CUBLASLT_MATMUL_DESC_TRANSB, &turn_b, sizeof turn_b),
		"a product"));
	EK_TRY(make_layout(&q->a, p, a, z.tokens));
	EK_TRY(make_layout(&q->b, p, b, z.tokens));
	EK_TRY(make_layout(&q->d, p, d, z.tokens));
	EK_TRY(set_images(p, *q, p->images));
	EK_TRY(choose(p, q, z));
out:
	return rc;
}

static int make_products(plan *p, const sizes &z, int backward, int adds)
{
	/* Queries, keys, values and their gradients; results and theirs; scores; probabilities. */
	const matrix in = { z.width, z.tokens, 3 * z.features, z.bf16 },
		     out = { z.width, z.tokens, z.features, z.bf16 };
	const matrix scores = { z.tokens, z.tokens, z.tokens, 0 }, shares = { z.tokens, z.tokens, z.tokens, z.bf16 };
	const float beta = adds ? 1 : 0;
	int rc;

	EK_TRY(make(p, SCORES, z, CUBLAS_OP_T, CUBLAS_OP_N, in, in, scores, 0));
	EK_TRY(make(p, RESULT, z, CUBLAS_OP_N, CUBLAS_OP_N, in, shares, out, 0));
	if (!backward)
		goto out;
	EK_TRY(make(p, SLOPES, z, CUBLAS_OP_T, CUBLAS_OP_N, in, out, scores, 0));
	EK_TRY(make(p, VALUES, z, CUBLAS_OP_N, CUBLAS_OP_T, out, shares, in, beta));
	EK_TRY(make(p, QUERIES, z, CUBLAS_OP_N, CUBLAS_OP_N, in, shares, in, beta));
	EK_TRY(make(p, KEYS, z, CUBLAS_OP_N, CUBLAS_OP_T, in, shares, in, beta));
out:
	return rc;
}

static size_t scores_of(const sizes &z, int images)
{
	return ek_net_align((size_t)images * z.tokens * z.tokens * sizeof(float));
}

int ek_cuda_wide_attention_prepare(ek_net *net, ek_net_op *op)
{
	const sizes z = sizes_of(net, op);
	const size_t most = ROOM / scores_of(z, 1);
	plan *p = (plan *)calloc(1, sizeof *p);
	int rc;

	if (p == NULL)
		return ek_fail(EK_ENOMEM, "out of memory");
	p->head.release = release;
	op->prepared = p;
	p->images = most < 1 ? 1 : most < (size_t)net->batch ? (int)most : net->batch;
	op->flops = 4.0 * net->batch * z.heads * (double)z.tokens * (double)z.tokens * (double)z.width;
	op->scratch = 2 * scores_of(z, p->images); /* scores, probabilities */
	if (op->backward)
		op->scratch *= 2;
	EK_TRY(ek_cuda_cublaslt(&p->lt));
	rc = make_products(p, z, op->backward, op->adds[0]);
out:
	return rc;
}

static int run(const plan *p, int which, int images, const void *a, const void *b, void *d)
{
	const product &q = p->products[which];
	const float alpha = 1;
	int rc;

	EK_TRY(set_images(p, q, images));
	EK_TRY(ek_cuda_cublaslt_check(p->lt->Matmul(p->lt->handle, q.what, &alpha, a, q.a, b, q.b, &q.beta, d, q.d, d,
	                                            q.d, &q.algorithm, p->lt->workspace, p->lt->workspace_bytes,
	                                            ek_cuda_stream()),
	                              "attention"));
out:
	return rc;
}

/* The largest of a block's numbers, in every thread; shared: [32]. */
static __device__ float block_most(float x, float *shared)
{
	for (int step = 16; step > 0; step /= 2)
		x = fmaxf(x, __shfl_xor_sync(0xffffffffU, x, step));
	__syncthreads();
	if (threadIdx.x % 32 == 0)
		shared[threadIdx.x / 32] = x;
	__syncthreads();
	for (unsigned i = 0; i < blockDim.x / 32; i++)
		x = fmaxf(x, shared[i]);
	return x;
}

/* Probabilities of the scores of a row; and where there are slopes, the gradients of probabilities, those of the
 * scores, to `shares_slopes`. A block a row. */
static __global__ void soften(ek_cuda_view shares, const float *scores, ek_cuda_view shares_slopes, const float *slopes,
                              int tokens, float scale)
{
	__shared__ float shared[32];
	const size_t row = (size_t)blockIdx.x * (size_t)tokens;
	float most = -CUDART_INF_F, sum = 0, through = 0;

	for (int i = (int)threadIdx.x; i < tokens; i += (int)blockDim.x)
		most = fmaxf(most, scores[row + i]);
	most = block_most(most, shared);
	for (int i = (int)threadIdx.x; i < tokens; i += (int)blockDim.x) {
		const float share = expf((scores[row + i] - most) * scale);

		sum += share;
		if (slopes != NULL)
			through += share * slopes[row + i];
	}
	sum = ek_block_sum(sum, shared);
	through = ek_block_sum(through, shared) / sum;
	for (int i = (int)threadIdx.x; i < tokens; i += (int)blockDim.x) {
		const float share = expf((scores[row + i] - most) * scale) / sum;

		ek_put(shares, row + i, share);
		if (slopes != NULL)
			ek_put(shares_slopes, row + i, share * (slopes[row + i] - through) * scale);
	}
}

/* What a call of some images and one head works on. */
struct call {
	const plan *p;
	sizes z;
	int images, head;
	size_t first; /* image */
};

/* The head's part, 0 … 2, of `parts` parts of rows of features. */
static void *part_of(const call &c, void *x, int part, int parts)
{
	const size_t row = c.z.features * (size_t)parts;
	const size_t at = c.first * c.z.tokens * row + (size_t)part * c.z.features + (size_t)c.head * c.z.width;

	return (unsigned char *)x + at * (c.z.bf16 ? sizeof(ek_bf16) : sizeof(float));
}

static int soften_all(const call &c, void *shares, const float *scores, void *shares_slopes, const float *slopes)
{
	const int tokens = (int)c.z.tokens;

	soften<<<(unsigned)(c.images * tokens), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		{ shares, c.z.bf16, 0 }, scores, { shares_slopes, c.z.bf16, 0 }, slopes, tokens,
		(float)(1 / sqrt((double)c.z.width)));
	return ek_cuda_launched("attention");
}

static int call_forward(ek_net_state *s, const ek_net_op *op, const call &c)
{
	void *qkv = const_cast<void *>(ek_net_in(s, op, 0)), *shares = s->scratch + scores_of(c.z, c.p->images);
	float *scores = (float *)(void *)s->scratch;
	int rc;

	EK_TRY(run(c.p, SCORES, c.images, part_of(c, qkv, 1, 3), part_of(c, qkv, 0, 3), scores));
	EK_TRY(soften_all(c, shares, scores, NULL, NULL));
	EK_TRY(run(c.p, RESULT, c.images, part_of(c, qkv, 2, 3), shares, part_of(c, ek_net_out(s, op, 0), 0, 1)));
out:
	return rc;
}

static int call_backward(ek_net_state *s, const ek_net_op *op, const call &c)
{
	const size_t room = scores_of(c.z, c.p->images);
	void *qkv = const_cast<void *>(ek_net_in(s, op, 0)), *dqkv = ek_net_grad_in(s, op, 0);
	void *dy = part_of(c, const_cast<void *>(ek_net_grad_out(s, op, 0)), 0, 1);
	float *scores = (float *)(void *)s->scratch, *slopes = (float *)(void *)(s->scratch + room);
	void *shares = s->scratch + 2 * room, *shares_slopes = s->scratch + 3 * room;
	int rc;

	EK_TRY(run(c.p, SCORES, c.images, part_of(c, qkv, 1, 3), part_of(c, qkv, 0, 3), scores));
	EK_TRY(run(c.p, SLOPES, c.images, part_of(c, qkv, 2, 3), dy, slopes));
	EK_TRY(soften_all(c, shares, scores, shares_slopes, slopes));
	EK_TRY(run(c.p, VALUES, c.images, dy, shares, part_of(c, dqkv, 2, 3)));
	EK_TRY(run(c.p, QUERIES, c.images, part_of(c, qkv, 1, 3), shares_slopes, part_of(c, dqkv, 0, 3)));
	EK_TRY(run(c.p, KEYS, c.images, part_of(c, qkv, 0, 3), shares_slopes, part_of(c, dqkv, 1, 3)));
out:
	return rc;
}

static int each_call(ek_net_state *s, const ek_net_op *op,
                     int (*work)(ek_net_state *s, const ek_net_op *op, const call &c))
{
	call c = { (const plan *)op->prepared, sizes_of(s->net, op), 0, 0, 0 };
	int rc = 0;

	for (; c.first < (size_t)s->net->batch; c.first += (size_t)c.images) {
		const size_t left = (size_t)s->net->batch - c.first;

		c.images = left < (size_t)c.p->images ? (int)left : c.p->images;
		for (c.head = 0; c.head < c.z.heads; c.head++)
			EK_TRY(work(s, op, c));
	}
out:
	return rc;
}

int ek_cuda_wide_attention_forward(ek_net_state *s, const ek_net_op *op)
{
	return each_call(s, op, call_forward);
}

int ek_cuda_wide_attention_backward(ek_net_state *s, const ek_net_op *op)
{
	return each_call(s, op, call_backward);
}
