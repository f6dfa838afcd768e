/* Layers that sum over rows, pixels, channels or tokens. */
#include "tests/train/nn/reference_numbers.h"

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

static void linear_backward(struct ref_net *r, const struct ek_net_op *op)
{
	const int x = op->inputs[0], y = op->outputs[0];
	const size_t inputs = channels_of(r, x), outputs = channels_of(r, y), rows = rows_of(r, x);
	const number *w = parameter_of(r, op, 0), *dy = r->gradients[y];
	number *dw = parameter_gradient_of(r, op, 0);

	for (size_t i = 0; i < rows * inputs; i++) {
		struct sum s = { 0 };

		for (size_t o = 0; o < outputs; o++)
			sum_add(&s,
			        times(stored(dy[i / inputs * outputs + o], r->net->type), w[o * inputs + i % inputs]));
		give_gradient(r, x, i, sum_get(&s));
	}
	for (size_t i = 0; i < outputs * inputs; i++) {
		struct sum s = { 0 };

		for (size_t row = 0; row < rows; row++)
			sum_add(&s, times(stored(dy[row * outputs + i / inputs], r->net->type),
			                  r->values[x][row * inputs + i % inputs]));
		dw[i] = plus(dw[i], sum_get(&s));
	}
	for (size_t o = 0; o < outputs && op->parameters[1] >= 0; o++) {
		number *db = &parameter_gradient_of(r, op, 1)[o];
		struct sum s = { 0 };

		for (size_t row = 0; row < rows; row++)
			sum_add(&s, dy[row * outputs + o]);
		*db = plus(*db, sum_get(&s));
	}
}

const struct ref_layer ref_linear_layer = { linear_forward, linear_backward };

/* Calls back for every product of a convolution: places in y, x and the weights. */
struct convolution {
	struct ref_net *r;
	const struct ek_net_op *op;
	struct sum *sums;
	void (*product)(const struct convolution *c, size_t y, size_t x, size_t w);
};

static void every_product(const struct convolution *c)
{
	const struct ek_net_conv *k = &c->op->of.conv;
	const struct ek_net_shape in = shape_of(c->r, c->op->inputs[0]), out = shape_of(c->r, c->op->outputs[0]);
	const int depth = in.channels / k->groups;

	for (int place = 0; place < ek_net_batch(c->r->net) * out.height * out.width * out.channels; place++) {
		const int o = place % out.channels, column = place / out.channels % out.width;
		const int row = place / out.channels / out.width % out.height;
		const int image = place / out.channels / out.width / out.height;

		for (int tap = 0; tap < depth * k->kernel * k->kernel; tap++) {
			const int i = tap / k->kernel / k->kernel, ky = tap / k->kernel % k->kernel;
			const int y = row * k->stride - k->pad[0] + ky;
			const int x = column * k->stride - k->pad[2] + tap % k->kernel;

			if (y >= 0 && y < in.height && x >= 0 && x < in.width)
				c->product(c, (size_t)place,
				           (size_t)(((image * in.height + y) * in.width + x) * in.channels +
				                    o / (out.channels / k->groups) * depth + i),
				           (size_t)(o * depth * k->kernel * k->kernel + tap));
		}
	}
}

static void to_result(const struct convolution *c, size_t y, size_t x, size_t w)
{
	sum_add(&c->sums[y], times(c->r->values[c->op->inputs[0]][x], parameter_of(c->r, c->op, 0)[w]));
}

static number given(const struct convolution *c, size_t y)
{
	return stored(c->r->gradients[c->op->outputs[0]][y], c->r->net->type);
}

static void to_data(const struct convolution *c, size_t y, size_t x, size_t w)
{
	sum_add(&c->sums[x], times(given(c, y), parameter_of(c->r, c->op, 0)[w]));
}

static void to_weights(const struct convolution *c, size_t y, size_t x, size_t w)
{
	sum_add(&c->sums[w], times(given(c, y), c->r->values[c->op->inputs[0]][x]));
}

static void conv_forward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t count = count_of(r, op->outputs[0]), outputs = channels_of(r, op->outputs[0]);
	struct convolution c = { r, op, calloc(count, sizeof(struct sum)), to_result };

	every_product(&c);
	for (size_t i = 0; i < count; i++) {
		if (op->parameters[1] >= 0)
			sum_add(&c.sums[i], parameter_of(r, op, 1)[i % outputs]);
		give(r, op->outputs[0], i, sum_get(&c.sums[i]));
	}
	free(c.sums);
}

static void conv_backward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t ins = count_of(r, op->inputs[0]), outputs = channels_of(r, op->outputs[0]);
	const size_t weights = outputs * channels_of(r, op->inputs[0]) / (size_t)op->of.conv.groups *
	                       (size_t)(op->of.conv.kernel * op->of.conv.kernel);
	struct convolution c = { r, op, calloc(ins + weights, sizeof(struct sum)), to_data };

	every_product(&c);
	for (size_t i = 0; i < ins; i++)
		give_gradient(r, op->inputs[0], i, sum_get(&c.sums[i]));
	c.sums += ins;
	c.product = to_weights;
	every_product(&c);
	for (size_t i = 0; i < weights; i++) {
		number *dw = &parameter_gradient_of(r, op, 0)[i];

		*dw = plus(*dw, sum_get(&c.sums[i]));
	}
	for (size_t i = 0; i < count_of(r, op->outputs[0]) && op->parameters[1] >= 0; i++) {
		number *db = &parameter_gradient_of(r, op, 1)[i % outputs];

		*db = plus(*db, r->gradients[op->outputs[0]][i]);
	}
	free(c.sums - ins);
}

const struct ref_layer ref_conv_layer = { conv_forward, conv_backward };

/*
 * Norms: a set of numbers x[i · stride + j], i < outer, j < inner. Fills normal [outer · inner], (x - mean) /
 * deviation, and returns 1 / deviation.
 */
struct set {
	const number *x;
	size_t outer, inner, stride;
};

static number normalise(const struct set *z, double epsilon, number *normal)
{
	const size_t count = z->outer * z->inner;
	struct sum sum = { 0 }, squares = { 0 };
	number mean, variance, root, factor;

	for (size_t i = 0; i < count; i++)
		sum_add(&sum, z->x[i / z->inner * z->stride + i % z->inner]);
	mean = scaled(sum_get(&sum), 1 / (double)count);
	for (size_t i = 0; i < count; i++) {
		normal[i] = minus(z->x[i / z->inner * z->stride + i % z->inner], mean);
		sum_add(&squares, times(normal[i], normal[i]));
	}
	variance = plus(scaled(sum_get(&squares), 1 / (double)count), exact(epsilon));
	root = function(variance, sqrt(variance.v), 0.5 / sqrt(variance.v), sqrt(variance.v));
	factor = inverse(root);
	for (size_t i = 0; i < count; i++)
		normal[i] = times(normal[i], factor);
	return factor;
}

/* In place: d, the gradient at `normal`, to that at x: factor (d - mean d - normal · mean of d · normal). */
static void normalise_backward(number *d, const number *normal, number factor, size_t count)
{
	struct sum sum = { 0 }, products = { 0 };
	number a, b;

	for (size_t i = 0; i < count; i++) {
		sum_add(&sum, d[i]);
		sum_add(&products, times(d[i], normal[i]));
	}
	a = scaled(sum_get(&sum), 1 / (double)count);
	b = scaled(sum_get(&products), 1 / (double)count);
	for (size_t i = 0; i < count; i++)
		d[i] = times(minus(minus(d[i], a), times(normal[i], b)), factor);
}

/* Group g of an image: rows × channels of the group. */
static struct set group_of(struct ref_net *r, const struct ek_net_op *op, size_t image, size_t g)
{
	const size_t n = channels_of(r, op->inputs[0]), each = n / (size_t)op->of.group_norm.groups;
	const size_t rows = rows_of(r, op->inputs[0]) / (size_t)ek_net_batch(r->net);

	return (struct set){ r->values[op->inputs[0]] + image * rows * n + g * each, rows, each, n };
}

static void group_norm(struct ref_net *r, const struct ek_net_op *op, int back)
{
	const struct ek_net_group_norm *norm = &op->of.group_norm;
	const size_t sets = (size_t)(ek_net_batch(r->net) * norm->groups), groups = (size_t)norm->groups;
	const number *w = parameter_of(r, op, 0), *bias = parameter_of(r, op, 1);
	number *normal = calloc(count_of(r, op->inputs[0]), sizeof *normal);
	number *d = calloc(count_of(r, op->inputs[0]), sizeof *d);

	for (size_t i = 0; i < sets; i++) {
		const struct set z = group_of(r, op, i / groups, i % groups);
		const number factor = normalise(&z, (double)norm->epsilon, normal);
		const size_t first = (size_t)(z.x - r->values[op->inputs[0]]);

		for (size_t j = 0; j < z.outer * z.inner; j++) {
			const size_t at = first + j / z.inner * z.stride + j % z.inner, channel = at % z.stride;
			number linear = plus(times(normal[j], w[channel]), bias[channel]);
			number *dw = &parameter_gradient_of(r, op, 0)[channel];
			number *db = &parameter_gradient_of(r, op, 1)[channel];

			/* It may be computed as x · (factor · w) + (bias - mean · (factor · w)), too. */
			linear.e += 4 * (fabs(z.x[at - first].v) + fabs(z.x[at - first].v - normal[j].v / factor.v)) *
			            fabs(factor.v * w[channel].v);
			if (!back) {
				give(r, op->outputs[0], at, ref_activated(linear, norm->activation, 0));
				continue;
			}
			d[j] = times(r->gradients[op->outputs[0]][at], ref_slope(linear, norm->activation, 0));
			*dw = plus(*dw, times(d[j], normal[j]));
			*db = plus(*db, d[j]);
			d[j] = times(d[j], w[channel]);
		}
		if (back)
			normalise_backward(d, normal, factor, z.outer * z.inner);
		for (size_t j = 0; back && j < z.outer * z.inner; j++)
			give_gradient(r, op->inputs[0], first + j / z.inner * z.stride + j % z.inner, d[j]);
	}
	free(normal);
	free(d);
}

static void group_norm_forward(struct ref_net *r, const struct ek_net_op *op)
{
	group_norm(r, op, 0);
}

static void group_norm_backward(struct ref_net *r, const struct ek_net_op *op)
{
	group_norm(r, op, 1);
}

const struct ref_layer ref_group_norm_layer = { group_norm_forward, group_norm_backward };

static const number *vector_of(const struct ref_net *r, const struct ek_net_op *op, size_t row, int first)
{
	const size_t per_image = rows_of(r, op->inputs[0]) / (size_t)ek_net_batch(r->net);

	return r->values[op->inputs[2]] + row / per_image * channels_of(r, op->inputs[2]) + first;
}

static void modulate_forward(struct ref_net *r, const struct ek_net_op *op)
{
	const struct ek_net_modulate *m = &op->of.modulate;
	const int gated = op->inputs[1] > 0, out = op->outputs[gated];
	const size_t n = channels_of(r, op->inputs[0]);
	number *normal = calloc(n, sizeof *normal);

	for (size_t i = 0; i < rows_of(r, op->inputs[0]); i++) {
		const number *x = r->values[op->inputs[0]] + i * n;

		for (size_t j = 0; gated && j < n; j++)
			give(r, op->outputs[0], i * n + j,
			     plus(x[j], times(vector_of(r, op, i, m->gate)[j], r->values[op->inputs[1]][i * n + j])));
		if (gated)
			x = r->values[op->outputs[0]] + i * n;
		if (out == 0)
			continue;
		(void)normalise(&(struct set){ x, 1, n, n }, (double)m->epsilon, normal);
		for (size_t j = 0; j < n; j++)
			give(r, out, i * n + j,
			     plus(times(normal[j], plus(vector_of(r, op, i, m->scale)[j], exact(1))),
			          vector_of(r, op, i, m->shift)[j]));
	}
	free(normal);
}

static void modulate_backward(struct ref_net *r, const struct ek_net_op *op)
{
	const struct ek_net_modulate *m = &op->of.modulate;
	const int gated = op->inputs[1] > 0, out = op->outputs[gated];
	const size_t n = channels_of(r, op->inputs[0]), width = channels_of(r, op->inputs[2]);
	const size_t per_image = rows_of(r, op->inputs[0]) / (size_t)ek_net_batch(r->net);
	number *normal = calloc(n, sizeof *normal), *d = calloc(n, sizeof *d), factor;

	for (size_t i = 0; i < rows_of(r, op->inputs[0]); i++) {
		const size_t vector = i / per_image * width;
		const number *x = r->values[gated ? op->outputs[0] : op->inputs[0]] + i * n;

		memset(d, 0, n * sizeof *d);
		if (out > 0) {
			factor = normalise(&(struct set){ x, 1, n, n }, (double)m->epsilon, normal);
			for (size_t j = 0; j < n; j++) {
				const number dy = r->gradients[out][i * n + j];

				give_gradient(r, op->inputs[2], vector + (size_t)m->shift + j, dy);
				give_gradient(r, op->inputs[2], vector + (size_t)m->scale + j, times(dy, normal[j]));
				d[j] = times(dy, plus(vector_of(r, op, i, m->scale)[j], exact(1)));
			}
			normalise_backward(d, normal, factor, n);
		}
		for (size_t j = 0; j < n; j++) {
			if (gated) {
				d[j] = plus(d[j], r->gradients[op->outputs[0]][i * n + j]);
				give_gradient(r, op->inputs[1], i * n + j,
				              times(d[j], vector_of(r, op, i, m->gate)[j]));
				give_gradient(r, op->inputs[2], vector + (size_t)m->gate + j,
				              times(d[j], r->values[op->inputs[1]][i * n + j]));
			}
			give_gradient(r, op->inputs[0], i * n + j, d[j]);
		}
	}
	free(normal);
	free(d);
}

const struct ref_layer ref_modulate_layer = { modulate_forward, modulate_backward };

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
		number *shares = h.shares + a * h.t, inverted;
		struct sum total = { 0 };
		double top = -INFINITY;

		for (size_t b = 0; b < h.t; b++) {
			const number *k = r->values[op->inputs[0]] + h.first + b * row + row / 3;
			struct sum s = { 0 };

			for (size_t j = 0; j < h.d; j++)
				sum_add(&s, times(q[j], k[j]));
			shares[b] = scaled(sum_get(&s), h.scale);
			top = fmax(top, shares[b].v);
		}
		for (size_t b = 0; b < h.t; b++) {
			const double e = exp(shares[b].v - top);

			shares[b] = function(minus(shares[b], exact(top)), e, e, 4 * e);
			sum_add(&total, shares[b]);
		}
		inverted = inverse(sum_get(&total));
		for (size_t b = 0; b < h.t; b++)
			shares[b] = stored(times(shares[b], inverted), r->net->type);
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
