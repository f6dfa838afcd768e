/* Norms: of groups, of rows, and modulated. */
#include <stdlib.h>
#include <string.h>

#include "tests/train/nn/reference_net_internal.h"

/*
 * A set of numbers x[i · stride + j], i < outer, j < inner. Fills normal [outer · inner], (x - mean) /
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

static void layer_norm(struct ref_net *r, const struct ek_net_op *op, int back)
{
	const size_t n = channels_of(r, op->inputs[0]);
	const int weighted = op->parameters[0] >= 0, biased = op->parameters[1] >= 0;
	number *normal = calloc(n, sizeof *normal), *d = calloc(n, sizeof *d);

	for (size_t i = 0; i < rows_of(r, op->inputs[0]); i++) {
		const struct set row = { r->values[op->inputs[0]] + i * n, 1, n, n };
		const number factor = normalise(&row, (double)op->of.layer_norm.epsilon, normal);

		for (size_t j = 0; j < n; j++) {
			const number w = weighted ? parameter_of(r, op, 0)[j] : exact(1);
			const number b = biased ? parameter_of(r, op, 1)[j] : exact(0);
			const number dy = r->gradients[op->outputs[0]][i * n + j];
			number *dw = weighted && back ? &parameter_gradient_of(r, op, 0)[j] : NULL;
			number *db = biased && back ? &parameter_gradient_of(r, op, 1)[j] : NULL;

			if (!back)
				give(r, op->outputs[0], i * n + j, plus(times(normal[j], w), b));
			if (dw != NULL)
				*dw = plus(*dw, times(dy, normal[j]));
			if (db != NULL)
				*db = plus(*db, dy);
			d[j] = times(dy, w);
		}
		if (back)
			normalise_backward(d, normal, factor, n);
		for (size_t j = 0; back && j < n; j++)
			give_gradient(r, op->inputs[0], i * n + j, d[j]);
	}
	free(normal);
	free(d);
}

static void layer_norm_forward(struct ref_net *r, const struct ek_net_op *op)
{
	layer_norm(r, op, 0);
}

static void layer_norm_backward(struct ref_net *r, const struct ek_net_op *op)
{
	layer_norm(r, op, 1);
}

const struct ref_layer ref_layer_norm_layer = { layer_norm_forward, layer_norm_backward };
