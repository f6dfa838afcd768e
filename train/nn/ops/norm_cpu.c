/* Layer norm with modulation and gate, layer norm with parameters, and group norm. */
#include <math.h>

#include "rebalance/base/error.h"
#include "train/nn/net_internal.h"

/* statistics: mean and inverse deviation. */
#define ROW(x, scale, base, n, statistics) ((struct ek_net_row){ x, scale, n, (statistics)[0], (statistics)[1], base })

/* Modulation. Saved: mean and inverse deviation of each row. Scratch: five rows. */

static int prepare_modulate(struct ek_net *net, struct ek_net_op *op)
{
	op->saved = 2 * sizeof(float) * ek_net_rows(net, op->inputs[0]);
	op->scratch = 5 * sizeof(float) * ek_net_channel_count(net, op->inputs[0]);
	return 0;
}

/* Which output is which: with a branch the stream comes first. */
static int normal_output(const struct ek_net_op *op)
{
	return op->inputs[1] > 0 ? 1 : 0;
}

static int forward_modulate(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_kernels *k = ek_net_kernels();
	const struct ek_net_modulate *m = &op->of.modulate;
	const size_t rows = ek_net_rows(s->net, op->inputs[0]), n = ek_net_channel_count(s->net, op->inputs[0]);
	const size_t per_image = rows / (size_t)s->net->batch, width = ek_net_channel_count(s->net, op->inputs[2]);
	const enum ek_nn_type of_stream = ek_net_in_type(s->net, op, 0);
	const float *vectors = ek_net_in(s, op, 2);
	const int y = normal_output(op);
	float *buffer = (float *)(void *)s->scratch, *saved = ek_net_saved(s, op);
	void *normal = op->outputs[y] > 0 ? ek_net_out(s, op, y) : NULL;
	void *stream = op->inputs[1] > 0 ? ek_net_out(s, op, 0) : NULL;

	for (size_t i = 0; i < rows; i++) {
		const float *row = ek_net_load_floats(ek_net_in(s, op, 0), of_stream, i * n, n, buffer + n);
		const float *vector = vectors + i / per_image * width;

		if (stream != NULL) {
			const float *branch = ek_net_load_floats(ek_net_in(s, op, 1), ek_net_in_type(s->net, op, 1),
			                                         i * n, n, buffer);
			float *sum = ek_net_floats_at(stream, of_stream, i * n, 0, buffer + 2 * n);

			k->gate(sum, row, vector + m->gate, branch, n);
			ek_net_store_floats(stream, of_stream, i * n, n, sum, 0);
			row = ek_net_load_floats(stream, of_stream, i * n, n, buffer + n);
		}
		if (normal != NULL) {
			const enum ek_nn_type type = ek_net_out_type(s->net, op, y);
			float *out = ek_net_floats_at(normal, type, i * n, 0, buffer);

			k->statistics(&saved[2 * i], &saved[2 * i + 1], row, n, m->epsilon);
			k->modulate(out, &ROW(row, vector + m->scale, 1, n, saved + 2 * i), vector + m->shift);
			ek_net_store_floats(normal, type, i * n, n, out, 0);
		}
	}
	return 0;
}

/* The gradient of the vectors is added up here; its features that no layer takes stay 0. */
static int backward_modulate(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_kernels *k = ek_net_kernels();
	const struct ek_net_modulate *m = &op->of.modulate;
	const struct ek_net *net = s->net;
	const size_t rows = ek_net_rows(net, op->inputs[0]), n = ek_net_channel_count(net, op->inputs[0]);
	const size_t per_image = rows / (size_t)net->batch, width = ek_net_channel_count(net, op->inputs[2]);
	const int y = normal_output(op), gated = op->inputs[1] > 0;
	const enum ek_nn_type of_stream = ek_net_in_type(net, op, 0);
	const void *x = gated ? ek_net_out(s, op, 0) : ek_net_in(s, op, 0);
	const float *vectors = ek_net_in(s, op, 2), *saved = ek_net_saved(s, op);
	const void *dnormal = ek_net_grad_out(s, op, y), *dstream = gated ? ek_net_grad_out(s, op, 0) : NULL;
	void *dx = ek_net_grad_in(s, op, 0), *dbranch = ek_net_grad_in(s, op, 1);
	float *buffer = (float *)(void *)s->scratch;
	float *dvectors = ek_net_grad_in(s, op, 2), *unused = buffer + 3 * n;

	if (dvectors != NULL && !op->adds[2])
		memset(dvectors, 0, (size_t)net->batch * width * sizeof *dvectors);
	for (size_t i = 0; i < rows; i++) {
		const float *vector = vectors + i / per_image * width;
		float *dvector = dvectors != NULL ? dvectors + i / per_image * width : NULL;
		/* The gradient of the stream. */
		float *row = op->aliased[0] ? ek_net_floats_at(dx, of_stream, i * n, 0, buffer + n) : buffer + n;

		if (op->aliased[0])
			(void)ek_net_load_floats(dx, of_stream, i * n, n, row);
		else if (dstream != NULL)
			ek_net_copy(row, EK_NN_FLOAT32, 0, dstream, of_stream, i * n, n, 0);
		else
			memset(row, 0, n * sizeof *row);
		if (dnormal != NULL)
			k->modulate_backward(row, dvector != NULL ? dvector + m->scale : unused,
			                     dvector != NULL ? dvector + m->shift : unused,
			                     ek_net_load_floats(dnormal, ek_net_out_type(net, op, y), i * n, n, buffer),
			                     &ROW(ek_net_load_floats(x, of_stream, i * n, n, buffer + 4 * n),
			                          vector + m->scale, 1, n, saved + 2 * i),
			                     buffer + 2 * n);
		if (dx != NULL)
			ek_net_store_floats(dx, of_stream, i * n, n, row, op->adds[0]);
		if (gated && (dbranch != NULL || dvector != NULL)) {
			const enum ek_nn_type type = ek_net_in_type(net, op, 1);
			const float *branch = ek_net_load_floats(ek_net_in(s, op, 1), type, i * n, n, buffer);

			k->gate_backward(buffer + 2 * n, dvector != NULL ? dvector + m->gate : unused, row,
			                 vector + m->gate, branch, n);
			if (dbranch != NULL)
				ek_net_store_floats(dbranch, type, i * n, n, buffer + 2 * n, op->adds[1]);
		}
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_modulate = {
	.prepare = prepare_modulate,
	.forward = forward_modulate,
	.backward = backward_modulate,
};

/* Layer norm: the same with parameters in place of the vector. Scratch: seven rows. */

static int prepare_layer_norm(struct ek_net *net, struct ek_net_op *op)
{
	op->saved = 2 * sizeof(float) * ek_net_rows(net, op->inputs[0]);
	op->scratch = 7 * sizeof(float) * ek_net_channel_count(net, op->inputs[0]);
	return 0;
}

/* The parameter, or zeros in `buffer`. */
static const float *parameter_or_zeros(const struct ek_net_state *s, const struct ek_net_op *op, int i, float *buffer)
{
	if (op->parameters[i] >= 0)
		return ek_net_parameter(s, op, i);
	memset(buffer, 0, ek_net_channel_count(s->net, op->inputs[0]) * sizeof *buffer);
	return buffer;
}

static int forward_layer_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_kernels *k = ek_net_kernels();
	const size_t rows = ek_net_rows(s->net, op->inputs[0]), n = ek_net_channel_count(s->net, op->inputs[0]);
	const enum ek_nn_type in = ek_net_in_type(s->net, op, 0), out = ek_net_out_type(s->net, op, 0);
	float *buffer = (float *)(void *)s->scratch, *saved = ek_net_saved(s, op);
	const float *weight = parameter_or_zeros(s, op, 0, buffer + 2 * n);
	const float *bias = parameter_or_zeros(s, op, 1, buffer + 3 * n), base = op->parameters[0] >= 0 ? 0 : 1;

	for (size_t i = 0; i < rows; i++) {
		const float *x = ek_net_load_floats(ek_net_in(s, op, 0), in, i * n, n, buffer);
		float *y = ek_net_floats_at(ek_net_out(s, op, 0), out, i * n, 0, buffer + n);

		k->statistics(&saved[2 * i], &saved[2 * i + 1], x, n, op->of.layer_norm.epsilon);
		k->modulate(y, &ROW(x, weight, base, n, saved + 2 * i), bias);
		ek_net_store_floats(ek_net_out(s, op, 0), out, i * n, n, y, 0);
	}
	return 0;
}

static int backward_layer_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_kernels *k = ek_net_kernels();
	const size_t rows = ek_net_rows(s->net, op->inputs[0]), n = ek_net_channel_count(s->net, op->inputs[0]);
	const enum ek_nn_type in = ek_net_in_type(s->net, op, 0), out = ek_net_out_type(s->net, op, 0);
	const float *saved = ek_net_saved(s, op);
	float *buffer = (float *)(void *)s->scratch, *dx = buffer + 4 * n;
	const float *weight = parameter_or_zeros(s, op, 0, buffer + 2 * n), base = op->parameters[0] >= 0 ? 0 : 1;
	float *dw = ek_net_parameter_sum(s, op, 0), *db = ek_net_parameter_sum(s, op, 1);

	for (size_t i = 0; i < rows; i++) {
		const float *x = ek_net_load_floats(ek_net_in(s, op, 0), in, i * n, n, buffer);
		const float *dy = ek_net_load_floats(ek_net_grad_out(s, op, 0), out, i * n, n, buffer + n);

		memset(dx, 0, n * sizeof *dx);
		k->modulate_backward(dx, dw != NULL ? dw : buffer + 5 * n, db != NULL ? db : buffer + 5 * n, dy,
		                     &ROW(x, weight, base, n, saved + 2 * i), buffer + 6 * n);
		if (op->wants[0])
			ek_net_store_floats(ek_net_grad_in(s, op, 0), in, i * n, n, dx, op->adds[0]);
	}
	return 0;
}

/* As the sums over rows in backward, of each image. */
static int images_layer_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_kernels *k = ek_net_kernels();
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]), rows = ek_net_image_rows(s, op->inputs[0]);
	const enum ek_nn_type in = ek_net_in_type(s->net, op, 0), out = ek_net_out_type(s->net, op, 0);
	const float *saved = ek_net_saved(s, op);
	float *buffer = (float *)(void *)s->scratch, *sums[2] = { buffer + 2 * n, buffer + 3 * n };
	float *zeros = buffer + 4 * n, *unused = buffer + 5 * n;

	memset(zeros, 0, 2 * n * sizeof *zeros);
	for (size_t i = 0; i < s->images * rows; i++) {
		const float *x = ek_net_load_floats(ek_net_in(s, op, 0), in, i * n, n, buffer);
		const float *dy = ek_net_load_floats(ek_net_grad_out(s, op, 0), out, i * n, n, buffer + n);

		if (i % rows == 0)
			memset(sums[0], 0, 2 * n * sizeof *buffer);
		k->modulate_backward(unused, sums[0], sums[1], dy, &ROW(x, zeros, 0, n, saved + 2 * i), buffer + 6 * n);
		for (int j = 0; j < 2 && i % rows == rows - 1; j++)
			if (ek_net_measures(s, op, j))
				ek_net_add_image(s, op, j, i / rows, sums[j], 0, n);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_layer_norm = {
	.prepare = prepare_layer_norm,
	.forward = forward_layer_norm,
	.backward = backward_layer_norm,
	.images = images_layer_norm,
};

/*
 * Group norm. Saved, per image: factor [channels] and centre [channels], so that normal = (x - centre) · factor.
 *
 * Few channels make short rows, so some rows at a time are taken as one long row, with factors and the like repeated
 * for each; sums over rows are folded at the end.
 */

enum { BLOCK = 1024, KEEP = 1 << 15 };

/* A number of rows that divides `rows`, as many as make a long row of at most BLOCK numbers. */
static size_t rows_of_block(size_t rows, size_t n)
{
	size_t r = BLOCK / n < 1 ? 1 : BLOCK / n < rows ? BLOCK / n : rows;

	while (rows % r != 0)
		r--;
	return r;
}

/* Backward keeps the gradients before the activation of an image of up to KEEP numbers; those of a larger one, which
 * would leave the cache, are computed twice. */
static int keeps(const struct ek_net *net, const struct ek_net_op *op)
{
	return op->of.group_norm.activation != EK_NN_LINEAR && ek_net_elements(net, op->inputs[0]) <= KEEP;
}

static int prepare_group_norm(struct ek_net *net, struct ek_net_op *op)
{
	const size_t n = ek_net_channel_count(net, op->inputs[0]), block = n > BLOCK ? n : BLOCK;

	op->saved = 2 * n * sizeof(float) * (size_t)net->batch;
	op->scratch = 10 * block * sizeof(float);
	if (keeps(net, op))
		op->scratch += ek_net_elements(net, op->inputs[0]) * sizeof(float);
	return 0;
}

/* x [n · r]: the first row, n numbers, in all r rows. */
static void repeat(float *x, size_t n, size_t r)
{
	for (size_t i = 1; i < r; i++)
		memcpy(x + i * n, x, n * sizeof *x);
}

/* out [n] = the sum of the r rows of x. */
static void fold(float *out, const float *x, size_t n, size_t r)
{
	memcpy(out, x, n * sizeof *out);
	for (size_t i = 1; i < r; i++)
		ek_nn_vector()->accumulate(out, x + i * n, n);
}

/* sums [channels] to the mean over each group, back at every channel. */
static void over_groups(float *sums, size_t n, size_t groups, double count)
{
	const size_t each = n / groups;

	for (size_t g = 0; g < groups; g++) {
		double sum = 0;

		for (size_t j = 0; j < each; j++)
			sum += (double)sums[g * each + j];
		for (size_t j = 0; j < each; j++)
			sums[g * each + j] = (float)(sum / count);
	}
}

/* Of one image: `blocks` blocks of m = n · r numbers each, the first at `first`. */
struct norm_image {
	const struct ek_net_state *s;
	const struct ek_net_op *op;
	const struct ek_net_kernels *k;
	size_t n, r, m, blocks, first;
	double count; /* numbers of a group */
	enum ek_nn_type in;
	float *buffers; /* [10, max(m, BLOCK)] */
};

static struct norm_image norm_image_of(struct ek_net_state *s, const struct ek_net_op *op, size_t image)
{
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]);
	const size_t rows = ek_net_rows(s->net, op->inputs[0]) / (size_t)s->net->batch, r = rows_of_block(rows, n);

	return (struct norm_image){ .s = s,
		                    .op = op,
		                    .k = ek_net_kernels(),
		                    .n = n,
		                    .r = r,
		                    .m = n * r,
		                    .blocks = rows / r,
		                    .first = image * rows * n,
		                    .count = (double)(rows * (n / (size_t)op->of.group_norm.groups)),
		                    .in = ek_net_in_type(s->net, op, 0),
		                    .buffers = (float *)(void *)s->scratch };
}

static float *norm_buffer(const struct norm_image *g, int i)
{
	return g->buffers + (size_t)i * (g->m > BLOCK ? g->m : BLOCK);
}

static const float *norm_input(const struct norm_image *g, size_t block, float *buffer)
{
	return ek_net_load_floats(ek_net_in(g->s, g->op, 0), g->in, g->first + block * g->m, g->m, buffer);
}

static void norm_statistics(const struct norm_image *g, float *factor, float *centre)
{
	const size_t groups = (size_t)g->op->of.group_norm.groups;
	float *x = norm_buffer(g, 0), *sum = norm_buffer(g, 1), *centres = norm_buffer(g, 2);

	memset(sum, 0, g->m * sizeof *sum);
	for (size_t i = 0; i < g->blocks; i++)
		ek_nn_vector()->accumulate(sum, norm_input(g, i, x), g->m);
	fold(centre, sum, g->n, g->r);
	over_groups(centre, g->n, groups, g->count);
	memcpy(centres, centre, g->n * sizeof *centres);
	repeat(centres, g->n, g->r);
	memset(sum, 0, g->m * sizeof *sum);
	for (size_t i = 0; i < g->blocks; i++)
		g->k->add_squares(sum, norm_input(g, i, x), centres, g->m);
	fold(factor, sum, g->n, g->r);
	over_groups(factor, g->n, groups, g->count);
	for (size_t j = 0; j < g->n; j++)
		factor[j] = 1 / sqrtf(factor[j] + g->op->of.group_norm.epsilon);
}

/* scale, shift [m]: weight · normal + bias = scale · x + shift. */
static void norm_affine(const struct norm_image *g, const float *factor, const float *centre, float *scale,
                        float *shift)
{
	const float *weight = ek_net_parameter(g->s, g->op, 0), *bias = ek_net_parameter(g->s, g->op, 1);

	for (size_t j = 0; j < g->n; j++) {
		scale[j] = factor[j] * weight[j];
		shift[j] = bias[j] - centre[j] * scale[j];
	}
	repeat(scale, g->n, g->r);
	repeat(shift, g->n, g->r);
}

static int forward_group_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_activation activation = op->of.group_norm.activation;
	const enum ek_nn_type out = ek_net_out_type(s->net, op, 0);

	for (size_t image = 0; image < (size_t)s->net->batch; image++) {
		const struct norm_image g = norm_image_of(s, op, image);
		float *factor = (float *)ek_net_saved(s, op) + 2 * g.n * image, *centre = factor + g.n;
		float *scale = norm_buffer(&g, 3), *shift = norm_buffer(&g, 4);

		norm_statistics(&g, factor, centre);
		norm_affine(&g, factor, centre, scale, shift);
		for (size_t i = 0; i < g.blocks; i++) {
			const size_t at = g.first + i * g.m;
			float *y = ek_net_floats_at(ek_net_out(s, op, 0), out, at, 0, norm_buffer(&g, 1));

			g.k->affine(y, norm_input(&g, i, norm_buffer(&g, 0)), scale, shift, g.m);
			if (activation != EK_NN_LINEAR)
				g.k->activate(y, y, g.m, activation, 0);
			ek_net_store_floats(ek_net_out(s, op, 0), out, at, g.m, y, 0);
		}
	}
	return 0;
}

/* The gradient at weight · normal + bias, before the activation, of a block; in `buffer`, or where it is. */
static const float *before_activation(const struct norm_image *g, size_t block, const float *x, const float *scale,
                                      const float *shift, float *buffer)
{
	float *linear = norm_buffer(g, 5);
	const float *dy = ek_net_load_floats(ek_net_grad_out(g->s, g->op, 0), ek_net_out_type(g->s->net, g->op, 0),
	                                     g->first + block * g->m, g->m, buffer);

	if (g->op->of.group_norm.activation == EK_NN_LINEAR)
		return dy;
	g->k->affine(linear, x, scale, shift, g->m);
	g->k->activate_backward(buffer, dy, linear, g->m, g->op->of.group_norm.activation, 0);
	return buffer;
}

/* dx = factor · (weight d - mean of that - normal · mean of (normal · that)), from the sums over rows [n]. */
static void norm_input_gradient(const struct norm_image *g, const float *factor, const float *centre, const float *kept,
                                float *sum, float *products)
{
	const float *weight = ek_net_parameter(g->s, g->op, 0), *scale = norm_buffer(g, 3), *shift = norm_buffer(g, 4);
	const size_t groups = (size_t)g->op->of.group_norm.groups;
	float *dx = norm_buffer(g, 1), *a = norm_buffer(g, 6), *b = norm_buffer(g, 7);

	for (size_t j = 0; j < g->n; j++) {
		sum[j] *= weight[j];
		products[j] *= weight[j];
	}
	over_groups(sum, g->n, groups, g->count);
	over_groups(products, g->n, groups, g->count);
	/* dx = scale · d + a · x + b */
	for (size_t j = 0; j < g->n; j++) {
		a[j] = -factor[j] * factor[j] * products[j];
		b[j] = -factor[j] * sum[j] - a[j] * centre[j];
	}
	repeat(a, g->n, g->r);
	repeat(b, g->n, g->r);
	for (size_t i = 0; i < g->blocks; i++) {
		const float *x = norm_input(g, i, norm_buffer(g, 0));
		const float *d =
			kept != NULL ? kept + i * g->m : before_activation(g, i, x, scale, shift, norm_buffer(g, 2));

		g->k->affine(dx, x, a, b, g->m);
		g->k->add_products(dx, d, scale, g->m);
		ek_net_store_floats(ek_net_grad_in(g->s, g->op, 0), g->in, g->first + i * g->m, g->m, dx,
		                    g->op->adds[0]);
	}
}

/* Of an image: the gradients of bias (buffer 8) and weight (buffer 9), and those before the activation where they are
 * kept, or NULL. Buffers 3 and 4: scale and shift. */
static float *norm_sums(const struct norm_image *g, const float *factor, const float *centre)
{
	float *scale = norm_buffer(g, 3), *shift = norm_buffer(g, 4), *normal = norm_buffer(g, 5);
	float *sums = norm_buffer(g, 6), *products = norm_buffer(g, 7);
	float *kept = keeps(g->s->net, g->op) ? norm_buffer(g, 10) : NULL;
	float *factors = norm_buffer(g, 8), *offsets = norm_buffer(g, 9); /* in the loop over blocks */

	norm_affine(g, factor, centre, scale, shift);
	for (size_t j = 0; j < g->n; j++) {
		factors[j] = factor[j];
		offsets[j] = -centre[j] * factor[j];
	}
	repeat(factors, g->n, g->r);
	repeat(offsets, g->n, g->r);
	memset(sums, 0, g->m * sizeof *sums);
	memset(products, 0, g->m * sizeof *products);
	for (size_t i = 0; i < g->blocks; i++) {
		const float *x = norm_input(g, i, norm_buffer(g, 0));
		const float *d =
			before_activation(g, i, x, scale, shift, kept != NULL ? kept + i * g->m : norm_buffer(g, 2));

		ek_nn_vector()->accumulate(sums, d, g->m);
		g->k->affine(normal, x, factors, offsets, g->m);
		g->k->add_products(products, d, normal, g->m);
	}
	fold(norm_buffer(g, 8), sums, g->n, g->r);
	fold(norm_buffer(g, 9), products, g->n, g->r);
	return kept;
}

static const float *norm_factors(const struct norm_image *g, size_t image)
{
	return (const float *)ek_net_saved(g->s, g->op) + 2 * g->n * image;
}

static int backward_group_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	float *dw = ek_net_parameter_sum(s, op, 0), *db = ek_net_parameter_sum(s, op, 1);

	for (size_t image = 0; image < (size_t)s->net->batch; image++) {
		const struct norm_image g = norm_image_of(s, op, image);
		const float *factor = norm_factors(&g, image), *centre = factor + g.n;
		const float *kept = norm_sums(&g, factor, centre);
		float *sum = norm_buffer(&g, 8), *product = norm_buffer(&g, 9);

		if (dw != NULL)
			ek_nn_vector()->accumulate(dw, product, g.n);
		if (db != NULL)
			ek_nn_vector()->accumulate(db, sum, g.n);
		if (op->wants[0])
			norm_input_gradient(&g, factor, centre, kept, sum, product);
	}
	return 0;
}

static int images_group_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	float *gradients[2] = { ek_net_image_room(s, op, 0), ek_net_image_room(s, op, 1) };

	for (size_t image = 0; image < (size_t)s->net->batch; image++) {
		const struct norm_image g = norm_image_of(s, op, image);
		const float *factor = norm_factors(&g, image);

		(void)norm_sums(&g, factor, factor + g.n);
		for (int i = 0; i < 2; i++) {
			if (image % s->together == 0)
				memset(gradients[i], 0, g.n * sizeof *gradients[i]);
			ek_nn_vector()->accumulate(gradients[i], norm_buffer(&g, 9 - i), g.n);
			if (image % s->together == s->together - 1 && ek_net_measures(s, op, i))
				ek_net_add_image(s, op, i, image / s->together, gradients[i], 0, g.n);
		}
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_group_norm = {
	.prepare = prepare_group_norm,
	.forward = forward_group_norm,
	.backward = backward_group_norm,
	.images = images_group_norm,
};
