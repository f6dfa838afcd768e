/*
 * Attention, one image at a time: queries, keys and values of all heads are copied out of their rows so that the
 * products take dense matrices, one batch of them a call. Saved: the probabilities [batch, heads, t, t] in the net's
 * type; of causal attention those of later tokens are 0, so that backward is the same.
 */
#include <math.h>

#include "rebalance/base/error.h"
#include "train/nn/ops/dnn_cpu.h"

enum { SCORES, RESULT, D_VALUES, D_SHARES, D_QUERIES, D_KEYS };
enum { Q, K, V, QUERY_PARTS };

struct sizes {
	size_t heads, tokens, width; /* width: features of a head */
	size_t part;                 /* numbers of queries, keys or values of one image */
	size_t square;               /* numbers of scores of one image */
};

static struct sizes sizes_of(const struct ek_net *net, const struct ek_net_op *op)
{
	struct sizes z = { .heads = (size_t)op->of.heads,
		           .tokens = ek_net_rows(net, op->inputs[0]) / (size_t)net->batch };

	z.width = ek_net_channel_count(net, op->inputs[0]) / 3 / z.heads;
	z.part = z.heads * z.tokens * z.width;
	z.square = z.heads * z.tokens * z.tokens;
	return z;
}

/* [heads, rows, columns], or the transpose of each that lies as [columns, rows]. */
static int stack(struct ek_dnn_layout **out, enum ek_nn_type type, size_t heads, size_t rows, size_t columns,
                 int transposed)
{
	const int64_t h = (int64_t)heads, r = (int64_t)rows, c = (int64_t)columns;
	const int64_t dims[3] = { h, r, c }, turned[3] = { r * c, 1, r };

	return transposed ? ek_dnn_layout_strided(out, type, 3, dims, turned)
	                  : ek_dnn_layout_new(out, type, 3, dims, EK_DNN_PLAIN);
}

/* out [heads, m, n] = a [heads, m, k] · b [heads, k, n], a and b perhaps lying transposed. */
static int product(struct ek_dnn_kernel **out, enum ek_nn_type type, const struct sizes *z, size_t m, size_t n,
                   size_t k, int turn_a, int turn_b, enum ek_nn_type result)
{
	struct ek_dnn_layout *a = NULL, *b = NULL, *c = NULL;
	int rc;

	EK_TRY(stack(&a, type, z->heads, m, k, turn_a));
	EK_TRY(stack(&b, type, z->heads, k, n, turn_b));
	EK_TRY(stack(&c, result, z->heads, m, n, 0));
	EK_TRY(ek_dnn_matmul(out, a, b, NULL, c, NULL));
out:
	ek_dnn_layout_free(a);
	ek_dnn_layout_free(b);
	ek_dnn_layout_free(c);
	return rc;
}

/* Scratch: four parts and their gradients, then the scores in float32, a row of them, and in the net's type. */
struct scratch {
	unsigned char *part[2 * QUERY_PARTS + 2]; /* q, k, v, out; their gradients */
	float *scores, *row;
	unsigned char *rounded;
};

static size_t lay_out(struct scratch *out, unsigned char *memory, enum ek_nn_type type, const struct sizes *z)
{
	const size_t part = ek_net_align(z->part * ek_nn_type_size(type));
	const size_t floats = ek_net_align(z->square * sizeof(float)), row = ek_net_align(z->tokens * sizeof(float));

	for (int i = 0; out != NULL && i < 2 * QUERY_PARTS + 2; i++)
		out->part[i] = memory + (size_t)i * part;
	if (out != NULL) {
		out->scores = (float *)(void *)(memory + 8 * part);
		out->row = (float *)(void *)(memory + 8 * part + floats);
		out->rounded = memory + 8 * part + floats + row;
	}
	return 8 * part + floats + row + ek_net_align(z->square * ek_nn_type_size(type));
}

static int prepare(struct ek_net *net, struct ek_net_op *op)
{
	const struct sizes z = sizes_of(net, op);
	const enum ek_nn_type t = net->type, f = EK_NN_FLOAT32;
	int rc;

	op->flops = 4.0 * (double)net->batch * (double)(z.square * z.width);
	op->saved = (size_t)net->batch * z.square * ek_nn_type_size(t);
	op->scratch = lay_out(NULL, NULL, t, &z);
	EK_TRY(product(&ek_cpu_kernels(op)[SCORES], t, &z, z.tokens, z.tokens, z.width, 0, 1, f));
	EK_TRY(product(&ek_cpu_kernels(op)[RESULT], t, &z, z.tokens, z.width, z.tokens, 0, 0, t));
	if (!op->backward)
		goto out;
	EK_TRY(product(&ek_cpu_kernels(op)[D_VALUES], t, &z, z.tokens, z.width, z.tokens, 1, 0, t));
	EK_TRY(product(&ek_cpu_kernels(op)[D_SHARES], t, &z, z.tokens, z.tokens, z.width, 0, 1, f));
	EK_TRY(product(&ek_cpu_kernels(op)[D_QUERIES], t, &z, z.tokens, z.width, z.tokens, 0, 0, t));
	EK_TRY(product(&ek_cpu_kernels(op)[D_KEYS], t, &z, z.tokens, z.width, z.tokens, 1, 0, t));
out:
	return rc;
}

/* `count` runs of `bytes`, `to` and `from` bytes apart. Pieces of a fixed size are moves, not calls. */
static void copy_runs(unsigned char *out, size_t to, const unsigned char *x, size_t from, size_t bytes, size_t count)
{
	enum { PIECE = 64 };
	const size_t whole = bytes - bytes % PIECE;

	for (size_t i = 0; i < count; i++, out += to, x += from) {
		for (size_t j = 0; j < whole; j += PIECE)
			memcpy(out + j, x + j, PIECE);
		if (whole < bytes)
			memcpy(out + whole, x + whole, bytes - whole);
	}
}

/* Between rows of [parts, heads, width] and [heads, tokens, width] of one part. */
static void gather(unsigned char *out, const unsigned char *rows, size_t row, size_t first, const struct sizes *z,
                   size_t size)
{
	const size_t bytes = z->width * size;

	for (size_t h = 0; h < z->heads; h++)
		copy_runs(out + h * z->tokens * bytes, bytes, rows + (first + h * z->width) * size, row * size, bytes,
		          z->tokens);
}

static void scatter(void *rows, enum ek_nn_type type, size_t row, size_t first, const struct sizes *z, const void *x,
                    int add)
{
	const size_t size = ek_nn_type_size(type), bytes = z->width * size;
	float buffer[1024];

	for (size_t h = 0; h < z->heads && !add; h++)
		copy_runs((unsigned char *)rows + (first + h * z->width) * size, row * size,
		          (const unsigned char *)x + h * z->tokens * bytes, bytes, bytes, z->tokens);
	for (size_t i = 0; i < z->heads * z->tokens && add; i++) {
		const size_t to = i % z->tokens * row + first + i / z->tokens * z->width;

		for (size_t j = 0, n; j < z->width; j += n) {
			n = z->width - j < 1024 ? z->width - j : 1024;
			ek_net_store_floats(rows, type, to + j, n,
			                    ek_net_load_floats(x, type, i * z->width + j, n, buffer), 1);
		}
	}
}

static int run(struct ek_dnn_call *call, void *a, void *b, void *out)
{
	ek_dnn_call_set(call, EK_DNN_SOURCE, a);
	ek_dnn_call_set(call, EK_DNN_WEIGHTS, b);
	ek_dnn_call_set(call, EK_DNN_RESULT, out);
	return ek_dnn_call_run(call);
}

static void gather_parts(const struct ek_net_state *s, const struct ek_net_op *op, const struct sizes *z,
                         const struct scratch *m, size_t image)
{
	const size_t size = ek_nn_type_size(s->net->type), features = z->heads * z->width;
	const unsigned char *qkv = ek_net_in(s, op, 0);

	for (size_t part = 0; part < QUERY_PARTS; part++)
		gather(m->part[part], qkv + image * 3 * z->part * size, 3 * features, part * features, z, size);
}

static int forward(struct ek_net_state *s, const struct ek_net_op *op)
{
	struct ek_dnn_call *const *calls = ek_cpu_calls(s, op);
	const struct sizes z = sizes_of(s->net, op);
	const enum ek_nn_type type = s->net->type;
	const size_t size = ek_nn_type_size(type);
	const float scale = (float)(1 / sqrt((double)z.width));
	unsigned char *saved = ek_net_saved(s, op), *out = ek_net_out(s, op, 0);
	struct scratch m;
	int rc = 0;

	(void)lay_out(&m, s->scratch, type, &z);
	for (size_t image = 0; image < (size_t)s->net->batch; image++) {
		unsigned char *shares = saved + image * z.square * size;

		gather_parts(s, op, &z, &m, image);
		EK_TRY(run(calls[SCORES], m.part[Q], m.part[K], m.scores));
		for (size_t row = 0; row < z.heads * z.tokens; row++) {
			const size_t seen = op->kind == EK_NET_CAUSAL ? row % z.tokens + 1 : z.tokens;

			ek_nn_vector()->softmax(m.scores + row * z.tokens, seen, scale);
			memset(m.scores + row * z.tokens + seen, 0, (z.tokens - seen) * sizeof *m.scores);
		}
		ek_net_store_floats(shares, type, 0, z.square, m.scores, 0);
		EK_TRY(run(calls[RESULT], shares, m.part[V], m.part[3]));
		scatter(out + image * z.part * size, type, z.heads * z.width, 0, &z, m.part[3], 0);
	}
out:
	return rc;
}

/* d scores = shares (d shares - sum of shares · d shares) scale */
static void through_softmax(const struct scratch *m, enum ek_nn_type type, const unsigned char *shares,
                            const struct sizes *z)
{
	const float scale = (float)(1 / sqrt((double)z->width));

	for (size_t row = 0; row < z->heads * z->tokens; row++)
		ek_net_kernels()->softmax_backward(m->scores + row * z->tokens,
		                                   ek_net_load_floats(shares, type, row * z->tokens, z->tokens, m->row),
		                                   z->tokens, scale);
}

static int backward(struct ek_net_state *s, const struct ek_net_op *op)
{
	struct ek_dnn_call *const *calls = ek_cpu_calls(s, op);
	const struct sizes z = sizes_of(s->net, op);
	const enum ek_nn_type type = s->net->type;
	const size_t size = ek_nn_type_size(type), features = z.heads * z.width;
	const unsigned char *dout = ek_net_grad_out(s, op, 0);
	unsigned char *saved = ek_net_saved(s, op), *dqkv = ek_net_grad_in(s, op, 0);
	struct scratch m;
	int rc = 0;

	(void)lay_out(&m, s->scratch, type, &z);
	for (size_t image = 0; image < (size_t)s->net->batch; image++) {
		unsigned char *shares = saved + image * z.square * size;

		gather_parts(s, op, &z, &m, image);
		gather(m.part[3], dout + image * z.part * size, features, 0, &z, size);
		EK_TRY(run(calls[D_VALUES], shares, m.part[3], m.part[4 + V]));
		EK_TRY(run(calls[D_SHARES], m.part[3], m.part[V], m.scores));
		through_softmax(&m, type, shares, &z);
		ek_net_store_floats(m.rounded, type, 0, z.square, m.scores, 0);
		EK_TRY(run(calls[D_QUERIES], m.rounded, m.part[K], m.part[4 + Q]));
		EK_TRY(run(calls[D_KEYS], m.rounded, m.part[Q], m.part[4 + K]));
		for (size_t part = 0; part < QUERY_PARTS; part++)
			scatter(dqkv + image * 3 * z.part * size, type, 3 * features, part * features, &z,
			        m.part[4 + part], op->adds[0]);
	}
out:
	return rc;
}

const struct ek_net_code ek_net_cpu_attention = {
	.prepare = prepare,
	.forward = forward,
	.backward = backward,
};

const struct ek_net_code ek_net_cpu_causal = {
	.prepare = prepare,
	.forward = forward,
	.backward = backward,
};
