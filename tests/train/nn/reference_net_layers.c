/* Layers that sum over rows, pixels or tokens. */
#include "tests/train/nn/reference_net_internal.h"

#include <stdlib.h>
#include <string.h>

static void linear_forward(struct ref_net *r, const struct ek_net_op *op)
{
	const int x = op->inputs[0], y = op->outputs[0];
	const size_t inputs = channels_of(r, x), outputs = channels_of(r, y);
	const number *w = parameter_of(r, op, 0);

	for (size_t i = 0; i < rows_of(r, x); i++)
		for (size_t o = 0; o < outputs; o++) {
			struct sum s = { 0 };

			for (size_t j = 0; j < inputs; j++)
				sum_add(&s, times(r->values[x][i * inputs + j], w[o * inputs + j]));
			if (op->parameters[1] >= 0)
				sum_add(&s, parameter_of(r, op, 1)[o]);
			give(r, y, i * outputs + o, sum_get(&s));
		}
}

/* The gradient of the result as products see it, in the type of the input. To be freed. */
static number *given_gradient(const struct ref_net *r, const struct ek_net_op *op)
{
	const size_t count = count_of(r, op->outputs[0]);
	number *given = calloc(count, sizeof *given);

	for (size_t i = 0; i < count; i++)
		given[i] = stored(r->gradients[op->outputs[0]][i], r->net->values[op->inputs[0]].type);
	return given;
}

static void linear_backward(struct ref_net *r, const struct ek_net_op *op)
{
	const int x = op->inputs[0], y = op->outputs[0];
	const size_t inputs = channels_of(r, x), outputs = channels_of(r, y), rows = rows_of(r, x);
	const number *w = parameter_of(r, op, 0), *dy = r->gradients[y];
	number *dw = parameter_gradient_of(r, op, 0), *given = given_gradient(r, op);

	for (size_t i = 0; i < rows * inputs; i++) {
		struct sum s = { 0 };

		for (size_t o = 0; o < outputs; o++)
			sum_add(&s, times(given[i / inputs * outputs + o], w[o * inputs + i % inputs]));
		give_gradient(r, x, i, sum_get(&s));
	}
	for (size_t i = 0; i < outputs * inputs; i++) {
		struct sum s = { 0 };

		for (size_t row = 0; row < rows; row++)
			sum_add(&s, times(given[row * outputs + i / inputs], r->values[x][row * inputs + i % inputs]));
		dw[i] = plus(dw[i], sum_get(&s));
	}
	free(given);
	for (size_t o = 0; o < outputs && op->parameters[1] >= 0; o++) {
		number *db = &parameter_gradient_of(r, op, 1)[o];
		struct sum s = { 0 };

		for (size_t row = 0; row < rows; row++)
			sum_add(&s, dy[row * outputs + o]);
		*db = plus(*db, sum_get(&s));
	}
}

const struct ref_layer ref_linear_layer = { linear_forward, linear_backward };

/* What a convolution multiplies, and where the products are summed up: arrays as the result, the input and the weights
 * are; one of the three is NULL. */
struct convolution {
	const number *y, *x, *w;
	struct sum *sums;
};

static inline void add_product(const struct convolution *c, size_t y, size_t x, size_t w)
{
	if (c->y == NULL)
		sum_add(&c->sums[y], times(c->x[x], c->w[w]));
	else if (c->x == NULL)
		sum_add(&c->sums[x], times(c->y[y], c->w[w]));
	else
		sum_add(&c->sums[w], times(c->y[y], c->x[x]));
}

static void add_products(const struct convolution *c, const struct ref_net *r, const struct ek_net_op *op)
{
	const struct ek_net_conv *k = &op->of.conv;
	const struct ek_net_shape in = shape_of(r, op->inputs[0]), out = shape_of(r, op->outputs[0]);
	const int depth = in.channels / k->groups, area = k->kernel[0] * k->kernel[1];

	for (int place = 0; place < ek_net_batch(r->net) * out.height * out.width * out.channels; place++) {
		const int o = place % out.channels, column = place / out.channels % out.width;
		const int row = place / out.channels / out.width % out.height;
		const int image = place / out.channels / out.width / out.height;

		for (int tap = 0; tap < area; tap++) {
			const int y = row * k->stride[0] - k->pad[0] + tap / k->kernel[1];
			const int x = column * k->stride[1] - k->pad[2] + tap % k->kernel[1];
			const int from = ((image * in.height + y) * in.width + x) * in.channels +
			                 o / (out.channels / k->groups) * depth;

			for (int i = 0; i < depth && y >= 0 && y < in.height && x >= 0 && x < in.width; i++)
				add_product(c, (size_t)place, (size_t)(from + i),
				            (size_t)((o * depth + i) * area + tap));
		}
	}
}

static void conv_forward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t count = count_of(r, op->outputs[0]), outputs = channels_of(r, op->outputs[0]);
	struct sum *sums = calloc(count, sizeof *sums);

	add_products(&(struct convolution){ NULL, r->values[op->inputs[0]], parameter_of(r, op, 0), sums }, r, op);
	for (size_t i = 0; i < count; i++) {
		if (op->parameters[1] >= 0)
			sum_add(&sums[i], parameter_of(r, op, 1)[i % outputs]);
		give(r, op->outputs[0], i, sum_get(&sums[i]));
	}
	free(sums);
}

static void conv_backward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t ins = count_of(r, op->inputs[0]), outputs = channels_of(r, op->outputs[0]);
	const size_t weights = outputs * channels_of(r, op->inputs[0]) / (size_t)op->of.conv.groups *
	                       (size_t)(op->of.conv.kernel[0] * op->of.conv.kernel[1]);
	struct sum *sums = calloc(ins + weights, sizeof *sums);
	number *given = given_gradient(r, op);

	add_products(&(struct convolution){ given, NULL, parameter_of(r, op, 0), sums }, r, op);
	add_products(&(struct convolution){ given, r->values[op->inputs[0]], NULL, sums + ins }, r, op);
	for (size_t i = 0; i < ins; i++)
		give_gradient(r, op->inputs[0], i, sum_get(&sums[i]));
	for (size_t i = 0; i < weights; i++) {
		number *dw = &parameter_gradient_of(r, op, 0)[i];

		*dw = plus(*dw, sum_get(&sums[ins + i]));
	}
	for (size_t i = 0; i < count_of(r, op->outputs[0]) && op->parameters[1] >= 0; i++) {
		number *db = &parameter_gradient_of(r, op, 1)[i % outputs];

		*db = plus(*db, r->gradients[op->outputs[0]][i]);
	}
	free(given);
	free(sums);
}

const struct ref_layer ref_conv_layer = { conv_forward, conv_backward };

/* In place. */
static void softmax(number *x, size_t count)
{
	struct sum total = { 0 };
	double top = -INFINITY;
	number inverted;

	for (size_t i = 0; i < count; i++)
		top = fmax(top, x[i].v);
	for (size_t i = 0; i < count; i++) {
		const double e = exp(x[i].v - top);

		x[i] = function(minus(x[i], exact(top)), e, e, 4 * e);
		sum_add(&total, x[i]);
	}
	inverted = inverse(sum_get(&total));
	for (size_t i = 0; i < count; i++)
		x[i] = times(x[i], inverted);
}

/* One head of one image; arrays [t, t] and [t, d]. */
struct head {
	size_t t, d, row, first; /* numbers of a row of qkv; first number of the head's queries */
	double scale;
	number *shares; /* softmax of the scores */
};

static struct head head_of(const struct ref_net *r, const struct ek_net_op *op, size_t i)
{
	const size_t heads = (size_t)op->of.heads, row = channels_of(r, op->inputs[0]);
	struct head h = { .t = rows_of(r, op->inputs[0]) / (size_t)ek_net_batch(r->net), .row = row };

	h.d = row / 3 / heads;
	h.first = i / heads * h.t * row + i % heads * h.d;
	h.scale = 1 / sqrt((double)h.d);
	h.shares = calloc(h.t * h.t, sizeof *h.shares);
	for (size_t a = 0; a < h.t; a++) {
		const number *q = r->values[op->inputs[0]] + h.first + a * row;
		number *shares = h.shares + a * h.t;

		const size_t seen = op->kind == EK_NET_CAUSAL ? a + 1 : h.t;

		for (size_t b = 0; b < seen; b++) {
			const number *k = r->values[op->inputs[0]] + h.first + b * row + row / 3;
			struct sum s = { 0 };

			for (size_t j = 0; j < h.d; j++)
				sum_add(&s, times(q[j], k[j]));
			shares[b] = scaled(sum_get(&s), h.scale);
		}
		softmax(shares, seen);
		for (size_t b = 0; b < h.t; b++)
			shares[b] = stored(shares[b], r->net->type);
	}
	return h;
}

static void attention_forward(struct ref_net *r, const struct ek_net_op *op)
{
	for (size_t i = 0; i < (size_t)(ek_net_batch(r->net) * op->of.heads); i++) {
		const struct head h = head_of(r, op, i);
		const number *v = r->values[op->inputs[0]] + h.first + h.row / 3 * 2;
		const size_t heads = (size_t)op->of.heads, out = i / heads * h.t * h.row / 3 + i % heads * h.d;

		for (size_t a = 0; a < h.t; a++)
			for (size_t j = 0; j < h.d; j++) {
				struct sum s = { 0 };

				for (size_t b = 0; b < h.t; b++)
					sum_add(&s, times(h.shares[a * h.t + b], v[b * h.row + j]));
				give(r, op->outputs[0], out + a * h.row / 3 + j, sum_get(&s));
			}
		free(h.shares);
	}
}

/* The gradient of the scores, in place of the shares. */
static void scores_gradient(struct ref_net *r, const struct head *h, const number *v, const number *dout, number *ds)
{
	for (size_t a = 0; a < h->t; a++) {
		struct sum dot = { 0 };

		for (size_t b = 0; b < h->t; b++) {
			struct sum s = { 0 };

			for (size_t j = 0; j < h->d; j++)
				sum_add(&s, times(dout[a * h->row / 3 + j], v[b * h->row + j]));
			ds[a * h->t + b] = sum_get(&s);
			sum_add(&dot, times(h->shares[a * h->t + b], sum_get(&s)));
		}
		for (size_t b = 0; b < h->t; b++)
			ds[a * h->t + b] =
				stored(scaled(times(h->shares[a * h->t + b], minus(ds[a * h->t + b], sum_get(&dot))),
			                      h->scale),
			               r->net->type);
	}
}

static void attention_backward(struct ref_net *r, const struct ek_net_op *op)
{
	for (size_t i = 0; i < (size_t)(ek_net_batch(r->net) * op->of.heads); i++) {
		const struct head h = head_of(r, op, i);
		const size_t heads = (size_t)op->of.heads, third = h.row / 3;
		const number *q = r->values[op->inputs[0]] + h.first, *k = q + third, *v = k + third;
		const number *dout = r->gradients[op->outputs[0]] + i / heads * h.t * third + i % heads * h.d;
		number *ds = calloc(h.t * h.t, sizeof *ds);

		scores_gradient(r, &h, v, dout, ds);
		for (size_t a = 0; a < h.t; a++)
			for (size_t j = 0; j < h.d; j++) {
				struct sum dq = { 0 }, dk = { 0 }, dv = { 0 };

				for (size_t b = 0; b < h.t; b++) {
					sum_add(&dq, times(ds[a * h.t + b], k[b * h.row + j]));
					sum_add(&dk, times(ds[b * h.t + a], q[b * h.row + j]));
					sum_add(&dv, times(h.shares[b * h.t + a], dout[b * third + j]));
				}
				give_gradient(r, op->inputs[0], h.first + a * h.row + j, sum_get(&dq));
				give_gradient(r, op->inputs[0], h.first + a * h.row + third + j, sum_get(&dk));
				give_gradient(r, op->inputs[0], h.first + a * h.row + 2 * third + j, sum_get(&dv));
			}
		free(h.shares);
		free(ds);
	}
}

const struct ref_layer ref_attention_layer = { attention_forward, attention_backward };
