/* Sampling, divergences, errors, and vector quantisation; all in float32 with sums in double. */
#include <math.h>

#include "rebalance/base/error.h"
#include "train/nn/ops/codebook_cpu.h"
#include "train/nn/ops/dnn_cpu.h"

enum { CHUNK = 1024 };
enum { LOWEST = -30, HIGHEST = 20 }; /* of the log variance, as diffusers */

static float cut(float logvar)
{
	return logvar < LOWEST ? LOWEST : logvar > HIGHEST ? HIGHEST : logvar;
}

static int inside(float logvar)
{
	return logvar >= LOWEST && logvar <= HIGHEST;
}

static int forward_sample(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t rows = ek_net_rows(s->net, op->inputs[1]), n = ek_net_channel_count(s->net, op->inputs[1]);
	const float *moments = ek_net_in(s, op, 0), *noise = ek_net_in(s, op, 1);
	float *out = ek_net_out(s, op, 0);

	for (size_t i = 0; i < rows; i++)
		for (size_t j = 0; j < n; j++)
			out[i * n + j] = moments[2 * i * n + j] +
			                 expf(0.5F * cut(moments[(2 * i + 1) * n + j])) * noise[i * n + j];
	return 0;
}

static void put(float *out, float x, int add)
{
	*out = add ? *out + x : x;
}

static int backward_sample(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t rows = ek_net_rows(s->net, op->inputs[1]), n = ek_net_channel_count(s->net, op->inputs[1]);
	const float *moments = ek_net_in(s, op, 0), *noise = ek_net_in(s, op, 1), *dy = ek_net_grad_out(s, op, 0);
	float *dm = ek_net_grad_in(s, op, 0), *dn = ek_net_grad_in(s, op, 1);

	for (size_t i = 0; i < rows; i++)
		for (size_t j = 0; j < n; j++) {
			const float d = dy[i * n + j], logvar = moments[(2 * i + 1) * n + j];
			const float deviation = expf(0.5F * cut(logvar));

			if (dm != NULL) {
				put(&dm[2 * i * n + j], d, op->adds[0]);
				put(&dm[(2 * i + 1) * n + j],
				    inside(logvar) ? 0.5F * deviation * noise[i * n + j] * d : 0, op->adds[0]);
			}
			if (dn != NULL)
				put(&dn[i * n + j], deviation * d, op->adds[1]);
		}
	return 0;
}

const struct ek_net_code ek_net_cpu_sample = {
	.forward = forward_sample,
	.backward = backward_sample,
};

static int forward_kl(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]) / 2, batch = (size_t)s->net->batch;
	const size_t rows = ek_net_rows(s->net, op->inputs[0]) / batch;
	const float *moments = ek_net_in(s, op, 0);
	float *out = ek_net_out(s, op, 0);

	for (size_t b = 0; b < batch; b++) {
		double sum = 0;

		for (size_t i = b * rows; i < (b + 1) * rows; i++)
			for (size_t j = 0; j < n; j++) {
				const double mean = (double)moments[2 * i * n + j];
				const double logvar = (double)cut(moments[(2 * i + 1) * n + j]);

				sum += mean * mean + exp(logvar) - 1 - logvar;
			}
		out[b] = (float)(0.5 * sum);
	}
	return 0;
}

static int backward_kl(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]) / 2, batch = (size_t)s->net->batch;
	const size_t rows = ek_net_rows(s->net, op->inputs[0]) / batch;
	const float *moments = ek_net_in(s, op, 0), *dy = ek_net_grad_out(s, op, 0);
	float *dm = ek_net_grad_in(s, op, 0);

	for (size_t i = 0; i < batch * rows; i++)
		for (size_t j = 0; j < n; j++) {
			const size_t mean = 2 * i * n + j, spread = mean + n;
			const float d = dy[i / rows];

			put(&dm[mean], moments[mean] * d, op->adds[0]);
			put(&dm[spread], inside(moments[spread]) ? 0.5F * (expf(moments[spread]) - 1) * d : 0,
			    op->adds[0]);
		}
	return 0;
}

const struct ek_net_code ek_net_cpu_kl = {
	.forward = forward_kl,
	.backward = backward_kl,
};

static int forward_error(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_net_elements(s->net, op->inputs[0]);
	const enum ek_nn_type left = ek_net_in_type(s->net, op, 0), right = ek_net_in_type(s->net, op, 1);
	float a[CHUNK], b[CHUNK], *out = ek_net_out(s, op, 0);

	for (size_t image = 0; image < (size_t)s->net->batch; image++) {
		double sum = 0;

		for (size_t i = 0, n; i < count; i += n) {
			const size_t first = image * count + i;
			const float *x, *y;

			n = count - i < CHUNK ? count - i : CHUNK;
			x = ek_net_load_floats(ek_net_in(s, op, 0), left, first, n, a);
			y = ek_net_load_floats(ek_net_in(s, op, 1), right, first, n, b);
			for (size_t j = 0; j < n; j++) {
				const double d = (double)x[j] - (double)y[j];

				sum += op->of.power == 2 ? d * d : fabs(d);
			}
		}
		out[image] = (float)(sum / (double)count);
	}
	return 0;
}

static int backward_error(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_net_elements(s->net, op->inputs[0]);
	const enum ek_nn_type types[2] = { ek_net_in_type(s->net, op, 0), ek_net_in_type(s->net, op, 1) };
	const float *dy = ek_net_grad_out(s, op, 0);
	float a[CHUNK], b[CHUNK], d[CHUNK];

	for (size_t first = 0, n; first < (size_t)s->net->batch * count; first += n) {
		const size_t rest = count - first % count;
		const float factor = dy[first / count] / (float)count;
		const float *x, *y;

		n = rest < CHUNK ? rest : CHUNK;
		x = ek_net_load_floats(ek_net_in(s, op, 0), types[0], first, n, a);
		y = ek_net_load_floats(ek_net_in(s, op, 1), types[1], first, n, b);
		for (size_t j = 0; j < n; j++) {
			const float e = x[j] - y[j];

			d[j] = factor * (op->of.power == 2 ? 2 * e : e > 0 ? 1 : e < 0 ? -1 : 0);
		}
		if (op->wants[0])
			ek_net_store_floats(ek_net_grad_in(s, op, 0), types[0], first, n, d, op->adds[0]);
		ek_nn_vector()->scale(d, n, -1);
		if (op->wants[1])
			ek_net_store_floats(ek_net_grad_in(s, op, 1), types[1], first, n, d, op->adds[1]);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_error = {
	.forward = forward_error,
	.backward = backward_error,
};

/* The mean, or with a sign how far numbers are short of it. */
static int forward_mean(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_net_elements(s->net, op->inputs[0]);
	const double sign = op->of.sign;
	float in[CHUNK], *out = ek_net_out(s, op, 0);

	for (size_t image = 0; image < (size_t)s->net->batch; image++) {
		double sum = 0;

		for (size_t i = 0, n; i < count; i += n) {
			const float *x;

			n = count - i < CHUNK ? count - i : CHUNK;
			x = ek_net_load_floats(ek_net_in(s, op, 0), ek_net_in_type(s->net, op, 0), image * count + i, n,
			                       in);
			for (size_t j = 0; j < n; j++)
				sum += op->of.sign == 0 ? (double)x[j] : fmax(0, 1 - sign * (double)x[j]);
		}
		out[image] = (float)(sum / (double)count);
	}
	return 0;
}

static int backward_mean(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_net_elements(s->net, op->inputs[0]);
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const float *dy = ek_net_grad_out(s, op, 0), sign = (float)op->of.sign;
	float in[CHUNK], d[CHUNK];

	for (size_t first = 0, n; first < (size_t)s->net->batch * count; first += n) {
		const size_t rest = count - first % count;
		const float slope = dy[first / count] / (float)count;
		const float *x;

		n = rest < CHUNK ? rest : CHUNK;
		x = ek_net_load_floats(ek_net_in(s, op, 0), type, first, n, in);
		for (size_t j = 0; j < n; j++)
			d[j] = op->of.sign == 0 ? slope : 1 - sign * x[j] > 0 ? -sign * slope : 0;
		ek_net_store_floats(ek_net_grad_in(s, op, 0), type, first, n, d, op->adds[0]);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_mean = {
	.forward = forward_mean,
	.backward = backward_mean,
};

/* The nearest code of each row: products in tiles find candidates' distances |e|^2 - 2 z·e in float32. */
enum { TILE = 64 };

static int prepare_quantise(struct ek_net *net, struct ek_net_op *op)
{
	const int64_t codes = ek_net_parameter_of(op, 0)->dims[0];
	const int64_t n = (int64_t)ek_net_channel_count(net, op->inputs[0]);
	const int64_t rows[2] = { TILE, n }, book[2] = { n, codes }, turned[2] = { 1, n }, scores[2] = { TILE, codes };
	struct ek_dnn_layout *x = NULL, *w = NULL, *y = NULL;
	int rc;

	op->scratch = ek_net_align((size_t)(TILE * n) * sizeof(float)) + (size_t)((TILE + 1) * codes) * sizeof(float);
	EK_TRY(ek_dnn_layout_new(&x, EK_NN_FLOAT32, 2, rows, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_layout_strided(&w, EK_NN_FLOAT32, 2, book, turned));
	EK_TRY(ek_dnn_layout_new(&y, EK_NN_FLOAT32, 2, scores, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_matmul(&ek_cpu_kernels(op)[0], x, w, NULL, y, NULL));
out:
	ek_dnn_layout_free(x);
	ek_dnn_layout_free(w);
	ek_dnn_layout_free(y);
	return rc;
}

static int find_codes(struct ek_net_state *s, const struct ek_net_op *op, int32_t *codes)
{
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]), rows = ek_net_rows(s->net, op->inputs[0]);
	const size_t count = (size_t)ek_net_parameter_of(op, 0)->dims[0];
	const float *book = ek_net_parameter(s, op, 0), *z = ek_net_in(s, op, 0);
	float *tile = (float *)(void *)s->scratch;
	float *scores = (float *)(void *)(s->scratch + ek_net_align(TILE * n * sizeof(float)));
	float *squares = scores + TILE * count;
	struct ek_dnn_call *call = ek_cpu_calls(s, op)[0];
	int rc = 0;

	for (size_t k = 0; k < count; k++)
		squares[k] = (float)ek_net_kernels()->sum_squares(book + k * n, n);
	memset(tile, 0, TILE * n * sizeof *tile);
	ek_dnn_call_set(call, EK_DNN_SOURCE, tile);
	ek_dnn_call_set(call, EK_DNN_WEIGHTS, ek_dnn_source(book));
	ek_dnn_call_set(call, EK_DNN_RESULT, scores);
	for (size_t first = 0; first < rows; first += TILE) {
		const size_t here = rows - first < TILE ? rows - first : TILE;

		memcpy(tile, z + first * n, here * n * sizeof *tile);
		EK_TRY(ek_dnn_call_run(call));
		for (size_t i = 0; i < here; i++) {
			const float *row = scores + i * count;
			float least = INFINITY;

			codes[first + i] = 0;
			for (size_t k = 0; k < count; k++)
				if (squares[k] - 2 * row[k] < least) {
					least = squares[k] - 2 * row[k];
					codes[first + i] = (int32_t)k;
				}
		}
	}
out:
	return rc;
}

static int forward_quantise(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_quantise *q = &op->of.quantise;
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]), batch = (size_t)s->net->batch;
	const size_t rows = ek_net_rows(s->net, op->inputs[0]) / batch;
	const float *book = ek_net_parameter(s, op, 0), *z = ek_net_in(s, op, 0);
	float *out = ek_net_out(s, op, 0), *loss = ek_net_out(s, op, 1);
	int32_t *codes = ek_net_out(s, op, 2);
	int rc;

	EK_TRY(find_codes(s, op, codes));
	for (size_t b = 0; b < batch; b++) {
		double sum = 0;

		for (size_t i = b * rows; i < (b + 1) * rows; i++) {
			const float *e = book + (size_t)codes[i] * n;

			memcpy(out + i * n, e, n * sizeof *out);
			for (size_t j = 0; j < n; j++)
				sum += ((double)z[i * n + j] - (double)e[j]) * ((double)z[i * n + j] - (double)e[j]);
		}
		loss[b] = (float)((double)(q->commitment + q->codebook_weight) * sum / (double)(rows * n));
	}
out:
	return rc;
}

static int backward_quantise(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_quantise *q = &op->of.quantise;
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]), batch = (size_t)s->net->batch;
	const size_t rows = ek_net_rows(s->net, op->inputs[0]) / batch;
	const float *book = ek_net_parameter(s, op, 0), *z = ek_net_in(s, op, 0);
	const float *dout = ek_net_grad_out(s, op, 0), *dloss = ek_net_grad_out(s, op, 1);
	const int32_t *codes = ek_net_out(s, op, 2);
	float *dz = ek_net_grad_in(s, op, 0), *dbook = ek_net_parameter_gradient(s, op, 0);

	if (q->follows != NULL)
		ek_cpu_note_latents(q->follows, s->turn, z, codes);
	for (size_t i = 0; i < batch * rows; i++) {
		const float factor = dloss != NULL ? 2 * dloss[i / rows] / (float)(rows * n) : 0;
		const size_t code = (size_t)codes[i] * n;

		for (size_t j = 0; j < n; j++) {
			const float d = factor * (z[i * n + j] - book[code + j]);

			if (dz != NULL)
				put(&dz[i * n + j], q->commitment * d + (dout != NULL ? dout[i * n + j] : 0),
				    op->adds[0]);
			if (dbook != NULL)
				dbook[code + j] -= q->codebook_weight * d;
		}
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_quantise = {
	.prepare = prepare_quantise,
	.forward = forward_quantise,
	.backward = backward_quantise,
	.sparse = 1,
};
