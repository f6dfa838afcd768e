/*
 * Joining layers, where only forward is wanted: the sum of a product and another value, and the activation of a
 * product, are made by the product itself before it stores its result. The joined layer stands where the last of its
 * parts stood; the result lies where what was added lay, if nobody needs that any more. On devices that can, a product
 * makes the sum that ends a branch as well, gate and all, and the norm of it stays; and what is made to be put side by
 * side with others is made there.
 */
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/net_internal.h"

static const enum ek_net_kind part_of_another = EK_NET_KIND_COUNT;

static int is_used(const struct ek_net_op *op, int value)
{
	int times = 0;

	for (int j = 0; j < EK_NET_INPUTS; j++)
		times += op->inputs[j] == value;
	return times;
}

/* The layer that makes this value, a product that nothing was joined to yet, if layer `user` alone uses it. */
static struct ek_net_op *product_for(struct ek_net *net, int value, int user)
{
	const int maker = net->values[value].maker;
	struct ek_net_op *op = maker >= 0 ? &net->ops[maker] : NULL;
	int used = net->values[value].kept;

	if (op == NULL || (op->kind != EK_NET_LINEAR && op->kind != EK_NET_CONV) || op->then != EK_NN_LINEAR)
		return NULL;
	for (int i = maker + 1; i < net->op_count && used < 2; i++)
		if (net->ops[i].kind != part_of_another)
			used += is_used(&net->ops[i], value) * (i == user ? 1 : 2);
	return used == 1 ? op : NULL;
}

/* The layer `user` becomes the product with what `user` did to its result. */
static void join(struct ek_net *net, struct ek_net_op *product, int user, int residual, enum ek_nn_activation then)
{
	struct ek_net_op joined = *product;

	product->kind = part_of_another;
	net->values[product->outputs[0]].maker = user; /* nobody's, but not an input */
	joined.outputs[0] = net->ops[user].outputs[0];
	joined.then = then;
	if (residual > 0)
		joined.inputs[1] = residual;
	net->ops[user] = joined;
}

static void join_sum(struct ek_net *net, int user)
{
	const struct ek_net_op op = net->ops[user];
	const struct ek_net_value *values = net->values;

	for (int j = 0; j < 2; j++) {
		const int residual = op.inputs[1 - j];
		struct ek_net_op *product = product_for(net, op.inputs[j], user);

		if (product != NULL && product->inputs[1] == 0 && values[residual].type == values[op.outputs[0]].type) {
			join(net, product, user, residual, EK_NN_LINEAR);
			return;
		}
	}
}

static void join_activation(struct ek_net *net, int user)
{
	const struct ek_net_op op = net->ops[user];
	struct ek_net_op *product = product_for(net, op.inputs[0], user);

	if (product != NULL && !(op.of.activation.slope > 0))
		join(net, product, user, 0, op.of.activation.activation);
}

/* The product makes the sum of x and what it gives, times the gate; `user` is left the norm of it, if that is wanted.
 */
static void join_gate(struct ek_net *net, int user)
{
	struct ek_net_op *op = &net->ops[user], *product = NULL;
	const struct ek_net_value *values = net->values;

	if (op->inputs[1] > 0 && net->device->can_gate != NULL)
		product = product_for(net, op->inputs[1], user);
	if (product == NULL || product->inputs[1] > 0 || values[op->inputs[0]].maker > product - net->ops ||
	    values[op->inputs[2]].maker > product - net->ops || !net->device->can_gate(net, product, op))
		return;
	product->inputs[1] = op->inputs[0];
	product->inputs[2] = op->inputs[2];
	product->gate = op->of.modulate.gate;
	product->outputs[0] = op->outputs[0];
	net->values[op->outputs[0]].maker = (int)(product - net->ops);
	op->inputs[0] = op->outputs[0];
	op->inputs[1] = 0;
	op->outputs[0] = op->outputs[1];
	op->outputs[1] = 0;
	if (op->outputs[0] == 0)
		op->kind = part_of_another;
}

/* Takes out the layers that are part of others. numbers: [op_count], room. */
static void close_up(struct ek_net *net, int *numbers)
{
	int count = 0;

	for (int i = 0; i < net->op_count; i++) {
		numbers[i] = count;
		if (net->ops[i].kind != part_of_another)
			net->ops[count++] = net->ops[i];
	}
	for (int v = 1; v < net->value_count; v++)
		if (net->values[v].maker >= 0)
			net->values[v].maker = numbers[net->values[v].maker];
	net->op_count = count;
}

/* The result of layer i takes over the memory of what is added to it. */
static void share_memory(struct ek_net *net, int i)
{
	const struct ek_net_op *op = &net->ops[i];
	const int residual = op->inputs[1];
	int used = net->values[residual].kept || net->values[residual].maker < 0 || op->inputs[0] == residual;

	for (int k = i + 1; k < net->op_count; k++)
		used = used || is_used(&net->ops[k], residual);
	if (!used)
		net->values[op->outputs[0]].shares = residual;
}

/* Is this value of a layer that can write a part, and is it used once? */
static int may_be_part(const struct ek_net *net, int value)
{
	const struct ek_net_value *v = &net->values[value];
	const struct ek_net_op *op = v->maker >= 0 ? &net->ops[v->maker] : NULL;
	int used = 0;

	if (op == NULL || v->kept || v->shares > 0)
		return 0;
	for (int k = 0; k < net->op_count; k++)
		used += is_used(&net->ops[k], value);
	return used == 1 &&
	       (op->kind == EK_NET_POOL || (op->kind == EK_NET_CONV && op->of.conv.groups == 1 && op->inputs[1] == 0));
}

/* The parts of what layer i puts side by side; all of them begin at a multiple of PART channels. */
static void share_parts(struct ek_net *net, int i)
{
	enum { PART = 8 };
	const struct ek_net_op *op = &net->ops[i];
	const int joined = op->outputs[0], all = net->values[joined].shape.channels;
	int first = 0;

	for (int j = 0; j < EK_NET_CONCAT_MAX && op->inputs[j] > 0; j++) {
		struct ek_net_value *v = &net->values[op->inputs[j]];

		if ((first | all | v->shape.channels) % PART == 0 && v->type == net->values[joined].type &&
		    may_be_part(net, op->inputs[j])) {
			v->shares = joined;
			v->within = 1;
			v->first = first;
		}
		first += v->shape.channels;
	}
}

int ek_net_fuse(struct ek_net *net)
{
	int *numbers = NULL, rc;

	EK_TRY(ek_alloc(&numbers, (size_t)net->op_count, sizeof *numbers));
	for (int i = 0; i < net->op_count; i++)
		if (net->ops[i].kind == EK_NET_ADD)
			join_sum(net, i);
		else if (net->ops[i].kind == EK_NET_ACTIVATION)
			join_activation(net, i);
		else if (net->ops[i].kind == EK_NET_MODULATE)
			join_gate(net, i);
	close_up(net, numbers);
	for (int i = 0; i < net->op_count; i++)
		if ((net->ops[i].kind == EK_NET_LINEAR || net->ops[i].kind == EK_NET_CONV) && net->ops[i].inputs[1] > 0)
			share_memory(net, i);
	for (int i = 0; i < net->op_count; i++)
		if (net->ops[i].kind == EK_NET_CONCAT && net->device->has_parts)
			share_parts(net, i);
out:
	free(numbers);
	return rc;
}
