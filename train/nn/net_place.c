/* Gradients, the order of steps, and places in the arena. */
#include <limits.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/net_internal.h"

enum { ALIGNMENT = 64 };

size_t ek_net_align(size_t size)
{
	return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Something that lives from step `first` to step `last` and wants `bytes`; placing sets its offset. */
struct item {
	int first, last;
	size_t bytes;
	size_t *offset;
};

static int larger_first(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->first != y->first ? x->first - y->first : x->last - y->last;
}

/* The largest first, each at the lowest place that no item living at the same time overlaps. */
static int pack(size_t *arena, struct item *items, int count)
{
	*arena = 0;
	qsort(items, (size_t)count, sizeof *items, larger_first);
	for (int i = 0; i < count; i++) {
		const size_t bytes = ek_net_align(items[i].bytes);
		size_t place = 0;

		for (int j = 0; j < i; j++) {
			const size_t start = *items[j].offset, end = start + ek_net_align(items[j].bytes);

			if (items[i].first <= items[j].last && items[j].first <= items[i].last && place < end &&
			    start < place + bytes) {
				place = end;
				j = -1;
			}
		}
		*items[i].offset = place;
		if (*arena < place + bytes)
			*arena = place + bytes;
	}
	return *arena < SIZE_MAX / 2 ? 0 : ek_fail(EK_ENOMEM, "the network needs more memory than there can be");
}

/* Is there an input j through which a gradient may go? */
static int lets_through(const struct ek_net_op *op, int j)
{
	return op->inputs[j] > 0 && !(ek_net_operators[op->kind].needs >> EK_NET_STOPS >> j & 1);
}

static int trainable(const struct ek_net_op *op)
{
	for (int i = 0; i < EK_NET_PARAMETERS; i++)
		if (ek_net_learns(op, i))
			return 1;
	return 0;
}

/* Values that come from trainable parameters or inputs with a gradient, and lead to an output, have a gradient. */
static void find_gradients(struct ek_net *net, char *reaches)
{
	struct ek_net_value *values = net->values;

	/* Forward: what depends on something that learns. `gradient` holds it for inputs already. */
	for (int i = 0; i < net->op_count; i++) {
		const struct ek_net_op *op = &net->ops[i];
		int learns = trainable(op);

		for (int j = 0; j < EK_NET_INPUTS; j++)
			learns = learns || (lets_through(op, j) && values[op->inputs[j]].gradient);
		for (int j = 0; j < EK_NET_OUTPUTS; j++)
			if (op->outputs[j] > 0)
				values[op->outputs[j]].gradient = learns && !values[op->outputs[j]].ids;
	}
	/* Backward: what an output depends on. */
	for (int v = 1; v < net->value_count; v++)
		reaches[v] = (char)net->values[v].output;
	for (int i = net->op_count - 1; i >= 0; i--) {
		struct ek_net_op *op = &net->ops[i];
		int wanted = 0;

		for (int j = 0; j < EK_NET_OUTPUTS; j++)
			wanted = wanted || (op->outputs[j] > 0 && reaches[op->outputs[j]]);
		op->backward = wanted && values[op->outputs[0]].gradient;
		for (int j = 0; j < EK_NET_INPUTS; j++)
			if (lets_through(op, j) && wanted)
				reaches[op->inputs[j]] = 1;
	}
	for (int v = 1; v < net->value_count; v++)
		values[v].gradient = values[v].gradient && reaches[v];
}

/* The stream of a residual network: the gradient of x + branch is that of x. The first to write the gradient of x
 * takes over the memory, and adds nothing. */
static int passes_through(enum ek_net_kind kind)
{
	return kind == EK_NET_ADD || kind == EK_NET_POSITIONS || kind == EK_NET_MODULATE;
}

/* Backward goes through the layers from the last to the first: the first writer of a gradient sets, others add. */
static void find_writers(struct ek_net *net, char *written)
{
	for (int v = 1; v < net->value_count; v++)
		written[v] = (char)net->values[v].output;
	for (int i = net->op_count - 1; i >= 0; i--) {
		struct ek_net_op *op = &net->ops[i];

		if (!op->backward)
			continue;
		for (int j = 0; j < EK_NET_INPUTS; j++) {
			const int x = op->inputs[j], y = op->outputs[0];
			struct ek_net_value *v = &net->values[x];

			op->wants[j] = lets_through(op, j) && v->gradient;
			if (!op->wants[j])
				continue;
			op->adds[j] = written[x];
			op->aliased[j] = j == 0 && !written[x] && passes_through(op->kind) && v->maker >= 0 &&
			                 v->type == net->values[y].type && net->values[y].gradient &&
			                 (op->kind != EK_NET_MODULATE || op->inputs[1] > 0);
			if (op->aliased[j])
				v->grad_shares = y;
			written[x] = 1;
		}
	}
}

static void add_step(struct ek_net *net, int op, int backward)
{
	net->steps[net->step_count++] = (struct ek_net_step){ .op = op, .backward = backward };
}

/* The last segment is not: backward comes to it at once. */
static int is_recomputed(const struct ek_net *net, int segment)
{
	return net->mode == EK_NET_RECOMPUTE && segment > 0 && segment != net->ops[net->op_count - 1].segment;
}

static int order_steps(struct ek_net *net)
{
	int rc, end = net->op_count;

	EK_TRY(ek_alloc(&net->steps, 3 * (size_t)net->op_count + 1, sizeof *net->steps));
	for (int i = 0; i < net->op_count; i++)
		add_step(net, i, 0);
	while (net->mode != EK_NET_FORWARD && end > 0) {
		int start = end - 1;

		while (start > 0 && net->ops[start - 1].segment == net->ops[end - 1].segment)
			start--;
		if (is_recomputed(net, net->ops[start].segment))
			for (int i = start; i < end; i++)
				add_step(net, i, 0);
		for (int i = end - 1; i >= start; i--)
			if (net->ops[i].backward)
				add_step(net, i, 1);
		end = start;
	}
out:
	return rc;
}

/* When a value, a gradient or what a layer saved lives: in forward [0] and in backward [1]. */
struct life {
	int first, last;
};

static void use(struct life *l, int step)
{
	if (l->first < 0)
		l->first = step;
	if (l->last < step)
		l->last = step;
}

static int owner(const struct ek_net *net, int value)
{
	while (net->values[value].grad_shares > 0)
		value = net->values[value].grad_shares;
	return value;
}

/* The value whose memory this one has. */
static int holder(const struct ek_net *net, int value)
{
	while (net->values[value].shares > 0)
		value = net->values[value].shares;
	return value;
}

/* Of the memory that it shares. */
static size_t first_byte(const struct ek_net *net, int value)
{
	size_t first = 0;

	for (; net->values[value].shares > 0; value = net->values[value].shares)
		first += (size_t)net->values[value].first * ek_nn_type_size(net->values[value].type);
	return first;
}

struct lives {
	struct life (*values)[2], *gradients, (*saved)[2];
};

static void use_in_backward(const struct ek_net *net, const struct lives *l, int step, int op_number)
{
	const struct ek_net_op *op = &net->ops[op_number];
	const unsigned needs = ek_net_operators[op->kind].needs;

	for (int j = 0; j < EK_NET_INPUTS; j++) {
		if (op->inputs[j] == 0)
			continue;
		if (needs >> j & 1)
			use(&l->values[op->inputs[j]][1], step);
		if (op->wants[j])
			use(&l->gradients[owner(net, op->inputs[j])], step);
	}
	for (int j = 0; j < EK_NET_OUTPUTS; j++) {
		if (op->outputs[j] == 0)
			continue;
		if (needs & EK_NET_NEEDS_OUTPUT)
			use(&l->values[op->outputs[j]][1], step);
		if (net->values[op->outputs[j]].gradient)
			use(&l->gradients[owner(net, op->outputs[j])], step);
	}
	if (op->makes_gradient > 0) {
		use(&l->values[op->makes_gradient][1], step);
		use(&l->gradients[owner(net, op->makes_gradient)], step);
	}
	use(&l->saved[op_number][1], step);
}

static void find_lives(const struct ek_net *net, const struct lives *l)
{
	const int forward = net->op_count;

	for (int i = 0; i < net->step_count; i++) {
		const struct ek_net_op *op = &net->ops[net->steps[i].op];
		const int again = i >= forward;

		if (net->steps[i].backward) {
			use_in_backward(net, l, i, net->steps[i].op);
			continue;
		}
		for (int j = 0; j < EK_NET_INPUTS; j++)
			if (op->inputs[j] > 0)
				use(&l->values[holder(net, op->inputs[j])][again], i);
		for (int j = 0; j < EK_NET_OUTPUTS; j++)
			if (op->outputs[j] > 0)
				use(&l->values[holder(net, op->outputs[j])][again], i);
		if (op->makes > 0)
			use(&l->values[holder(net, op->makes)][again], i);
		use(&l->saved[net->steps[i].op][again], i);
	}
	for (int v = 1; v < net->value_count; v++) {
		struct life *value = l->values[holder(net, v)], *gradient = &l->gradients[owner(net, v)];

		if (net->values[v].maker < 0)
			value[0] = (struct life){ 0, INT_MAX };
		if (net->values[v].kept)
			use(&value[0], INT_MAX);
		/* Filled by the caller before backward begins. */
		if (net->values[v].output && net->values[v].gradient) {
			use(gradient, forward);
			gradient->first = forward;
		}
		if (net->values[v].maker < 0 && net->values[v].gradient)
			use(gradient, INT_MAX);
	}
}

/* Made again in backward, inside its segment, and used in no other? Then it need not be kept from forward. */
static int made_again(const struct ek_net *net, int value)
{
	const struct ek_net_value *v = &net->values[value];
	const int segment = v->maker >= 0 ? net->ops[v->maker].segment : 0;

	if (!is_recomputed(net, segment) || v->kept)
		return 0;
	for (int i = v->maker + 1; i < net->op_count; i++)
		for (int j = 0; j < EK_NET_INPUTS; j++)
			if (net->ops[i].inputs[j] == value && net->ops[i].segment != segment)
				return 0;
	return 1;
}

static void add_item(struct item *items, int *count, const struct life *l, size_t bytes, size_t *offset)
{
	if (l->first >= 0 && bytes > 0)
		items[(*count)++] =
			(struct item){ .first = l->first, .last = l->last, .bytes = bytes, .offset = offset };
}

/* One item if both lives are one, two if it is made again. */
static void add_twice(struct item *items, int *count, struct life *l, int again, size_t bytes, size_t *offset)
{
	if (again) {
		add_item(items, count, &l[0], bytes, &offset[0]);
		add_item(items, count, &l[1], bytes, &offset[1]);
		return;
	}
	if (l[1].first >= 0)
		use(&l[0], l[1].last);
	add_item(items, count, &l[0], bytes, &offset[0]);
}

static int place(struct ek_net *net, const struct lives *l)
{
	struct item *items = NULL;
	int count = 0, rc;

	EK_TRY(ek_alloc(&items, 3 * (size_t)net->value_count + 2 * (size_t)net->op_count, sizeof *items));
	for (int v = 1; v < net->value_count; v++) {
		struct ek_net_value *value = &net->values[v];

		add_twice(items, &count, l->values[v], made_again(net, v), value->bytes, value->offset);
		if (value->gradient && value->grad_shares == 0)
			add_item(items, &count, &l->gradients[v], value->bytes, &value->gradient_offset);
	}
	for (int i = 0; i < net->op_count; i++)
		add_twice(items, &count, l->saved[i], is_recomputed(net, net->ops[i].segment), net->ops[i].saved,
		          net->ops[i].saved_offset);
	EK_TRY(pack(&net->arena, items, count));
	for (int v = 1; v < net->value_count; v++) {
		if (net->values[v].shares > 0)
			net->values[v].offset[0] = net->values[holder(net, v)].offset[0] + first_byte(net, v);
		if (!made_again(net, v))
			net->values[v].offset[1] = net->values[v].offset[0];
		net->values[v].gradient_offset = net->values[owner(net, v)].gradient_offset;
	}
	for (int i = 0; i < net->op_count; i++)
		if (!is_recomputed(net, net->ops[i].segment))
			net->ops[i].saved_offset[1] = net->ops[i].saved_offset[0];
out:
	free(items);
	return rc;
}

int ek_net_plan_gradients(struct ek_net *net)
{
	char *marks = NULL;
	int rc = 0;

	if (net->mode == EK_NET_FORWARD) {
		for (int v = 1; v < net->value_count; v++)
			net->values[v].gradient = 0;
		return 0;
	}
	EK_TRY(ek_alloc(&marks, (size_t)net->value_count, 1));
	find_gradients(net, marks);
	find_writers(net, marks);
out:
	free(marks);
	return rc;
}

int ek_net_plan(struct ek_net *net)
{
	const size_t values = (size_t)net->value_count, ops = (size_t)net->op_count;
	struct lives l = { 0 };
	struct life *all = NULL;
	int rc;

	EK_TRY(ek_alloc(&all, 3 * values + 2 * ops, sizeof *all));
	for (size_t i = 0; i < 3 * values + 2 * ops; i++)
		all[i] = (struct life){ -1, -1 };
	l.values = (struct life(*)[2])(void *)all;
	l.gradients = all + 2 * values;
	l.saved = (struct life(*)[2])(void *)(all + 3 * values);
	EK_TRY(order_steps(net));
	find_lives(net, &l);
	EK_TRY(place(net, &l));
out:
	free(all);
	return rc;
}
