/* Backward of each image's own gradient: what it is like, without it. */
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/net_internal.h"
#include "train/nn/store_internal.h"

static int takes(const struct ek_net_op *op, int i)
{
	return op->backward && ek_net_learns(op, i);
}

/* The numbers of the table that a layer takes as parameter i. */
static size_t end_of(const struct ek_net_op *op, int i)
{
	const struct ek_param *p = ek_net_parameter_of(op, i);

	return p->offset + (op->counts[i] > 0 ? op->counts[i] : p->count);
}

static int overlap(const struct ek_net_op *a, int i, const struct ek_net_op *b, int j)
{
	return takes(a, i) && takes(b, j) && ek_net_parameter_of(a, i)->offset < end_of(b, j) &&
	       ek_net_parameter_of(b, j)->offset < end_of(a, i);
}

static int check_parameter(const struct ek_net *net, const struct ek_net_op *op, int i)
{
	const char *name = ek_net_operators[op->kind].name;

	if (net->device->codes[op->kind]->images == NULL)
		return ek_fail(EK_ENOTSUP, "the %s cannot tell the gradients of single images of the layer %s",
		               net->device->name, name);
	for (const struct ek_net_op *other = net->ops; other <= op; other++)
		for (int j = 0; j < (other == op ? i : EK_NET_PARAMETERS); j++)
			if (overlap(op, i, other, j))
				return ek_fail(EK_ENOTSUP,
				               "the layer %s shares the parameter %s with another: the gradients of "
				               "single images cannot be told",
				               name, ek_net_parameter_of(op, i)->name);
	return 0;
}

int ek_net_images_check(const struct ek_net *net)
{
	int rc = 0;

	for (int k = 0; k < net->op_count; k++) {
		const struct ek_net_op *op = &net->ops[k];

		for (int i = 0; i < EK_NET_PARAMETERS; i++)
			if (takes(op, i))
				EK_TRY(check_parameter(net, op, i));
		if (op->kind == EK_NET_QUANTISE && op->of.quantise.follows != NULL)
			EK_TRY(ek_fail(EK_ENOTSUP, "a codebook that follows cannot tell the gradients of images"));
	}
out:
	return rc;
}

int ek_net_measures(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	return takes(op, i) && (s->measure->counts == NULL || s->measure->counts[op->parameters[i]]);
}

const float *ek_net_direction(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	if (s->measure->direction == NULL)
		return NULL;
	return ek_store_data(s->measure->direction, s->measure->family) + ek_net_parameter_of(op, i)->offset;
}

size_t ek_net_image_rows(const struct ek_net_state *s, int value)
{
	return ek_net_rows(s->net, value) / s->images;
}

void ek_net_add_image(struct ek_net_state *s, const struct ek_net_op *op, int i, size_t image, const float *gradient,
                      size_t first, size_t count)
{
	const float *direction = ek_net_direction(s, op, i);

	s->image_sums[image] += ek_net_kernels()->sum_squares(gradient, count);
	if (direction != NULL)
		s->image_sums[s->images + image] += ek_net_kernels()->sum_products(gradient, direction + first, count);
}

void ek_net_add_image_bias(struct ek_net_state *s, const struct ek_net_op *op, size_t image)
{
	const enum ek_nn_type type = ek_net_out_type(s->net, op, 0);
	const size_t rows = ek_net_image_rows(s, op->outputs[0]), n = ek_net_channel_count(s->net, op->outputs[0]);
	float *sum;

	if (!ek_net_measures(s, op, 1))
		return;
	sum = ek_net_image_room(s, op, 1);
	memset(sum, 0, n * sizeof *sum);
	ek_net_add_rows(sum,
	                (const unsigned char *)ek_net_grad_out(s, op, 0) + image * rows * n * ek_nn_type_size(type),
	                type, rows, n);
	ek_net_add_image(s, op, 1, image, sum, 0, n);
}

static int measures_any(const struct ek_net_state *s, const struct ek_net_op *op)
{
	for (int i = 0; i < EK_NET_PARAMETERS; i++)
		if (ek_net_measures(s, op, i))
			return 1;
	return 0;
}

static int run(struct ek_net_state *s)
{
	const struct ek_net *net = s->net;
	const int before = net->device->enter();
	int rc = 0, last = net->step_count - 1;

	while (last >= net->op_count && !measures_any(s, &net->ops[net->steps[last].op]))
		last--;
	for (int i = net->op_count; i <= last; i++) {
		const struct ek_net_op *op = &net->ops[net->steps[i].op];

		if (measures_any(s, op))
			EK_TRY(net->device->codes[op->kind]->images(s, op));
		if (i < last && !op->idle[1])
			EK_TRY(net->device->codes[op->kind]->backward(s, op));
	}
out:
	net->device->leave(before);
	return rc;
}

static int take(struct ek_net_state *s, double *squares, double *products)
{
	double *sums;
	int rc;

	EK_TRY(ek_alloc(&sums, 2 * s->images, sizeof *sums));
	s->net->device->download(sums, s->image_sums, 2 * s->images * sizeof *sums);
	memcpy(squares, sums, s->images * sizeof *sums);
	if (products != NULL)
		memcpy(products, sums + s->images, s->images * sizeof *sums);
	free(sums);
out:
	return rc;
}

int ek_net_backward_images(struct ek_net_state *s, const struct ek_net_images *what, double *squares, double *products)
{
	const int together = what->together > 0 ? what->together : 1;
	int rc;

	if (s->net->mode != EK_NET_IMAGES || s->net->batch % together != 0)
		return ek_fail(EK_EUSAGE, "a slice of %d images, %d together, of a network %s gradients of images",
		               s->net->batch, together, s->net->mode == EK_NET_IMAGES ? "with" : "without");
	s->together = (size_t)together;
	s->images = (size_t)s->net->batch / s->together;
	s->measure = what;
	s->store = NULL;
	s->net->device->zero(s->image_sums, 2 * s->images * sizeof *s->image_sums);
	s->in_backward = 1;
	rc = run(s);
	s->in_backward = 0;
	s->measure = NULL;
	EK_TRY(rc);
	EK_TRY(take(s, squares, what->direction != NULL ? products : NULL));
out:
	return rc;
}
