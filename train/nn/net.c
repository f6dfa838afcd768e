#include "train/nn/net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "train/nn/net_internal.h"
#include "train/nn/store_internal.h"

int ek_net_new(struct ek_net **out, const struct ek_params *params, enum ek_nn_precision precision, int batch)
{
	struct ek_net *net = NULL;
	int rc;

	*out = NULL;
	if (batch < 1 || batch > EK_NET_BATCH_MAX)
		return ek_fail(EK_EUSAGE, "a slice of %d images: must be 1 to %d", batch, EK_NET_BATCH_MAX);
	if (precision == EK_NN_BF16 && !ek_device_has_bf16())
		return ek_fail(EK_ENOTSUP, "the %s has no bfloat16 products", ek_device()->name);
	EK_TRY(ek_alloc(&net, 1, sizeof *net));
	net->device = ek_device();
	net->params = net->table = params;
	net->type = ek_nn_precision_type(precision);
	net->batch = batch;
	EK_TRY(ek_alloc(&net->values, 1, sizeof *net->values));
	net->value_count = 1;
	*out = net;
	net = NULL;
out:
	ek_net_free(net);
	return rc;
}

void ek_net_free(struct ek_net *net)
{
	if (net == NULL)
		return;
	for (int i = 0; i < net->op_count; i++)
		net->device->unprepare(&net->ops[i]);
	free(net->ops);
	free(net->uses);
	free(net->values);
	free(net->steps);
	net->device->release(net->packed);
	net->device->release(net->own);
	for (int i = 0; i < net->constant_count; i++)
		net->device->release(net->constants_own[i]);
	free(net->constants_own);
	free(net);
}

/* In which order backward comes to the layers that take a parameter. */
static int count_uses(struct ek_net *net)
{
	int rc;

	EK_TRY(ek_alloc(&net->uses, (size_t)net->params->count, sizeof *net->uses));
	for (int i = net->op_count - 1; i >= 0; i--)
		for (int j = 0; j < EK_NET_PARAMETERS; j++)
			if (net->ops[i].backward && ek_net_learns(&net->ops[i], j))
				net->ops[i].before[j] = net->uses[net->ops[i].parameters[j]]++;
out:
	return rc;
}

static int prepare_op(struct ek_net *net, struct ek_net_op *op)
{
	const struct ek_net_code *code = net->device->codes[op->kind];
	int rc;

	EK_TRY(net->device->prepare(net, op));
	if (net->scratch < op->scratch)
		net->scratch = op->scratch;
	if (op->backward && !code->sparse && net->gradient_scratch < ek_net_gradient_offset(op, EK_NET_PARAMETERS))
		net->gradient_scratch = ek_net_gradient_offset(op, EK_NET_PARAMETERS);
	op->packed_offset = net->packed_bytes;
	net->packed_bytes += ek_net_align(op->packed);
	net->flops += op->flops / net->batch;
out:
	return rc;
}

static int has_output(const struct ek_net *net)
{
	for (int v = 1; v < net->value_count; v++)
		if (net->values[v].output)
			return 1;
	return 0;
}

/* Numbers of the host where the device can read them: `*own` is made at the first call. */
static int bring(const struct ek_net *net, float **own, const float *values, size_t count)
{
	void *memory;
	int rc = 0;

	if (*own == NULL) {
		EK_TRY(net->device->alloc(&memory, count * sizeof *values));
		*own = memory;
	}
	net->device->upload(*own, values, count * sizeof *values);
out:
	return rc;
}

static int copy_constants(struct ek_net *net)
{
	int rc = 0;

	for (int i = 0; i < net->op_count; i++) {
		struct ek_net_op *op = &net->ops[i];

		op->device_constants = op->constants;
		if (net->device->is_host || op->constants == NULL)
			continue;
		for (int j = 0; j < i; j++)
			if (net->ops[j].constants == op->constants)
				op->device_constants = net->ops[j].device_constants;
		if (op->device_constants != op->constants)
			continue;
		EK_TRY(ek_resize(&net->constants_own, (size_t)net->constant_count + 1, sizeof *net->constants_own));
		net->constants_own[net->constant_count++] = NULL;
		EK_TRY(bring(net, &net->constants_own[net->constant_count - 1], op->constants, op->table->size));
		op->device_constants = net->constants_own[net->constant_count - 1];
	}
out:
	return rc;
}

static void place_on_host(struct ek_net *net, int v)
{
	net->values[v].host_offset = net->host_bytes;
	net->host_bytes += ek_net_align(net->values[v].bytes);
}

/* Where the host fills inputs and reads what is kept, and where inputs wait until they are wanted. */
static void place_what_moves(struct ek_net *net)
{
	if (net->device->is_host)
		return;
	for (int v = 1; v < net->value_count; v++)
		if (net->values[v].maker < 0)
			place_on_host(net, v);
	net->input_bytes = net->host_bytes;
	for (int v = 1; v < net->value_count; v++)
		if (net->values[v].maker >= 0 && net->values[v].kept)
			place_on_host(net, v);
	net->arrivals = net->arena;
	if (net->mode == EK_NET_TRAIN || net->mode == EK_NET_RECOMPUTE)
		net->arena += net->input_bytes;
}

int ek_net_finish(struct ek_net *net, enum ek_net_mode mode)
{
	void *packed;
	int rc;

	if (net->finished)
		return ek_fail(EK_EUSAGE, "the network is finished already");
	net->finished = -1;
	if (net->failed < 0)
		return net->failed;
	if (!has_output(net))
		return ek_fail(EK_EUSAGE, "the network has no output");
	net->mode = mode;
	for (int i = 0; i < net->op_count; i++)
		if (net->device->codes[net->ops[i].kind] == NULL ||
		    net->device->codes[net->ops[i].kind]->forward == NULL)
			return ek_fail(EK_ENOTSUP, "the %s lacks the layer %s", net->device->name,
			               ek_net_operators[net->ops[i].kind].name);
	if (mode == EK_NET_FORWARD)
		EK_TRY(ek_net_fuse(net));
	EK_TRY(ek_net_plan_gradients(net));
	EK_TRY(count_uses(net));
	if (mode == EK_NET_IMAGES)
		EK_TRY(ek_net_images_check(net));
	for (int i = 0; i < net->op_count; i++)
		EK_TRY(prepare_op(net, &net->ops[i]));
	EK_TRY(ek_net_plan(net));
	EK_TRY(copy_constants(net));
	place_what_moves(net);
	/* Zeros: the padding of packed forms is never written. */
	if (net->packed_bytes > 0) {
		EK_TRY(net->device->alloc(&packed, net->packed_bytes));
		net->packed = packed;
	}
	net->finished = 1;
out:
	return rc;
}

struct ek_net_shape ek_net_shape(const struct ek_net *net, int value)
{
	return net->values[value].shape;
}

int ek_net_batch(const struct ek_net *net)
{
	return net->batch;
}

enum ek_nn_type ek_net_type(const struct ek_net *net)
{
	return net->type;
}

size_t ek_net_elements(const struct ek_net *net, int value)
{
	const struct ek_net_shape s = net->values[value].shape;

	return (size_t)s.height * (size_t)s.width * (size_t)s.channels;
}

enum ek_nn_type ek_net_value_type(const struct ek_net *net, int value)
{
	return net->values[value].type;
}

size_t ek_net_state_bytes(const struct ek_net *net)
{
	return net->arena + ek_net_align(net->scratch) + net->gradient_scratch + ek_net_align(net->kernel_scratch);
}

size_t ek_net_weight_bytes(const struct ek_net *net)
{
	return net->packed_bytes;
}

double ek_net_flops(const struct ek_net *net)
{
	return net->flops;
}

static int load_op(void *context, uint64_t i, int worker)
{
	struct ek_net *net = context;
	struct ek_net_op *op = &net->ops[i];

	(void)worker;
	return net->device->codes[op->kind]->load != NULL ? net->device->codes[op->kind]->load(net, op) : 0;
}

/* values: the device's. */
static int load(struct ek_net *net, const float *values)
{
	int rc = 0;

	net->loaded = values;
	if (net->packed_bytes > 0)
		EK_TRY(ek_device_parallel((uint64_t)net->op_count, load_op, net));
	if (net->device->loaded != NULL)
		EK_TRY(net->device->loaded());
out:
	return rc;
}

int ek_net_load(struct ek_net *net, const float *values)
{
	int rc;

	if (net->device->is_host || values == NULL)
		return load(net, values);
	EK_TRY(bring(net, &net->own, values, net->params->size));
	EK_TRY(load(net, net->own));
out:
	return rc;
}

int ek_net_load_like(struct ek_net *net, const struct ek_net *of)
{
	return load(net, of->loaded);
}

int ek_net_load_from(struct ek_net *net, const struct ek_store *store, enum ek_family family)
{
	return load(net, ek_store_data(store, family));
}

/* arena: NULL: one of its own. */
static int state_new(struct ek_net_state **out, const struct ek_net *net, unsigned char *arena)
{
	struct ek_net_state *s = NULL;
	void *memory;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&s, 1, sizeof *s));
	s->net = net;
	s->shares = arena != NULL;
	s->arena = arena;
	if (arena == NULL) {
		EK_TRY(net->device->alloc(&memory, ek_net_state_bytes(net)));
		s->arena = memory;
	}
	if (net->host_bytes > 0) {
		EK_TRY(net->device->alloc_host(&memory, net->host_bytes));
		s->host = memory;
	}
	if (net->mode == EK_NET_IMAGES) {
		EK_TRY(net->device->alloc(&memory, 2 * (size_t)net->batch * sizeof *s->image_sums));
		s->image_sums = memory;
	}
	s->scratch = s->arena + net->arena;
	s->gradient_scratch = s->scratch + ek_net_align(net->scratch);
	s->kernel_scratch = s->gradient_scratch + net->gradient_scratch;
	EK_TRY(ek_alloc(&s->attached, (size_t)net->op_count, sizeof *s->attached));
	for (int i = 0; i < net->op_count; i++)
		EK_TRY(net->device->attach(s, &net->ops[i], &s->attached[i]));
	*out = s;
	s = NULL;
out:
	ek_net_state_free(s);
	return rc;
}

int ek_net_state_new(struct ek_net_state **out, const struct ek_net *net)
{
	return state_new(out, net, NULL);
}

int ek_net_state_share(struct ek_net_state **out, const struct ek_net *net, struct ek_net_state *of)
{
	*out = NULL;
	if (ek_net_state_bytes(net) > ek_net_state_bytes(of->net))
		return ek_fail(EK_EUSAGE, "a state of %zu bytes does not fit into one of %zu", ek_net_state_bytes(net),
		               ek_net_state_bytes(of->net));
	return state_new(out, net, of->arena);
}

void ek_net_state_free(struct ek_net_state *s)
{
	if (s == NULL)
		return;
	if (s->arrival != NULL)
		s->net->device->forget_arrival(s->arrival);
	if (s->recorded != NULL)
		s->net->device->forget(s->recorded);
	for (int i = 0; s->attached != NULL && i < s->net->op_count; i++)
		s->net->device->detach(s->attached[i]);
	free(s->attached);
	if (!s->shares)
		s->net->device->release(s->arena);
	s->net->device->release_host(s->host);
	s->net->device->release(s->image_sums);
	free(s);
}

void *ek_net_data(struct ek_net_state *s, int value)
{
	return s->arena + s->net->values[value].offset[0];
}

void *ek_net_stage(struct ek_net_state *s, int input)
{
	assert(s->net->values[input].maker < 0);
	if (s->sent == EK_NET_SENT)
		s->net->device->settle();
	else if (s->sent == EK_NET_SENT_AHEAD)
		s->net->device->arrived();
	if (s->sent != EK_NET_SENT_NOT) /* threads stage at once */
		s->sent = EK_NET_SENT_NOT;
	if (s->mark != 0)
		s->mark = 0;
	return s->net->device->is_host ? ek_net_data(s, input) : s->host + s->net->values[input].host_offset;
}

void ek_net_mark(struct ek_net_state *s, uint64_t mark)
{
	const struct ek_net *net = s->net;

	assert(mark != 0 && (net->mode == EK_NET_TRAIN || net->mode == EK_NET_RECOMPUTE));
	s->mark = mark;
	if (net->device->is_host)
		return;
	net->device->send(s->arena + net->arrivals, s->host, net->input_bytes);
	s->sent = EK_NET_SENT_AHEAD;
}

uint64_t ek_net_marked(const struct ek_net_state *s)
{
	return s->mark;
}

const void *ek_net_view(struct ek_net_state *s, int value)
{
	const struct ek_net_value *v = &s->net->values[value];

	assert(v->kept || v->maker < 0);
	if (s->net->device->is_host)
		return ek_net_data(s, value);
	if (v->maker >= 0)
		s->net->device->download(s->host + v->host_offset, ek_net_data(s, value), v->bytes);
	return s->host + v->host_offset;
}

void ek_net_fetch(struct ek_net_state *s, int value)
{
	const struct ek_net_value *v = &s->net->values[value];

	assert(v->kept || v->maker < 0);
	if (!s->net->device->is_host && v->maker >= 0)
		s->net->device->fetch(s->host + v->host_offset, ek_net_data(s, value), v->bytes);
}

const void *ek_net_fetched(struct ek_net_state *s, int value)
{
	if (s->net->device->is_host)
		return ek_net_data(s, value);
	s->net->device->landed();
	return s->host + s->net->values[value].host_offset;
}

void ek_net_bring(struct ek_net_state *s, int value)
{
	const struct ek_device *device = s->net->device;
	const struct ek_net_value *v = &s->net->values[value];

	assert(v->kept && v->maker >= 0);
	if (device->is_host)
		return;
	if (device->bring != NULL)
		device->bring(&s->arrival, s->host + v->host_offset, ek_net_data(s, value), v->bytes);
	else
		device->download(s->host + v->host_offset, ek_net_data(s, value), v->bytes);
}

int ek_net_is_brought(const struct ek_net_state *s)
{
	const struct ek_device *device = s->net->device;

	return device->is_host || device->bring == NULL || device->is_brought(s->arrival);
}

const void *ek_net_brought(struct ek_net_state *s, int value)
{
	const struct ek_device *device = s->net->device;

	if (device->is_host)
		return ek_net_data(s, value);
	if (device->bring != NULL)
		device->brought(s->arrival);
	s->sent = EK_NET_SENT_NOT; /* that was before */
	return s->host + s->net->values[value].host_offset;
}

void *ek_net_gradient(struct ek_net_state *s, int value)
{
	return s->net->values[value].gradient ? s->arena + s->net->values[value].gradient_offset : NULL;
}

static size_t slice_elements(const struct ek_net_state *s, int value)
{
	return (size_t)s->net->batch * ek_net_elements(s->net, value);
}

static void read_floats(float *out, const void *x, enum ek_nn_type type, size_t count)
{
	if (type == EK_NN_BFLOAT16)
		ek_nn_vector()->bf16_to_float(out, x, count);
	else
		memcpy(out, x, count * sizeof *out);
}

void ek_net_read(struct ek_net_state *s, int value, float *out)
{
	read_floats(out, ek_net_view(s, value), s->net->values[value].type, slice_elements(s, value));
}

/* The host's place for the gradient of an output or of an input: where it is, or that of the value itself. */
static void *gradient_on_host(struct ek_net_state *s, int value)
{
	return s->net->device->is_host ? ek_net_gradient(s, value) : s->host + s->net->values[value].host_offset;
}

void ek_net_read_gradient(struct ek_net_state *s, int value, float *out)
{
	const struct ek_net_value *v = &s->net->values[value];

	if (!s->net->device->is_host)
		s->net->device->download(gradient_on_host(s, value), ek_net_gradient(s, value), v->bytes);
	read_floats(out, gradient_on_host(s, value), v->type, slice_elements(s, value));
}

void ek_net_write_gradient(struct ek_net_state *s, int value, const float *x)
{
	const struct ek_net_value *v = &s->net->values[value];

	ek_net_store_floats(gradient_on_host(s, value), v->type, 0, slice_elements(s, value), x, 0);
	if (!s->net->device->is_host)
		s->net->device->upload(ek_net_gradient(s, value), gradient_on_host(s, value), v->bytes);
}

void ek_net_clear_inputs(struct ek_net_state *s, int first)
{
	for (int v = 1; v < s->net->value_count; v++) {
		const size_t image = s->net->values[v].bytes / (size_t)s->net->batch;

		if (s->net->values[v].maker < 0)
			memset((unsigned char *)ek_net_stage(s, v) + (size_t)first * image, 0,
			       (size_t)(s->net->batch - first) * image);
	}
}

static int wait_turn(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	const int p = op->parameters[i];

	if (s->net->device->one_at_a_time) /* slices come in their order */
		return 0;
	return ek_store_wait(s->store, p, s->turn * s->net->uses[p] + op->before[i]);
}

/* A layer's gradients, and when it is this slice's turn their parameters' part added to the sum over slices. */
static int backward(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_code *code = s->net->device->codes[op->kind];
	int rc;

	if (code->sparse && ek_net_wants(s, op, 0))
		EK_TRY(wait_turn(s, op, 0));
	EK_TRY(code->backward(s, op));
	for (int i = 0; i < EK_NET_PARAMETERS; i++) {
		if (!ek_net_wants(s, op, i))
			continue;
		if (!code->sparse) {
			EK_TRY(wait_turn(s, op, i));
			ek_store_add(s->store, op->parameters[i], op->counts[i], ek_net_parameter_gradient(s, op, i));
		}
		ek_store_pass(s->store, op->parameters[i]);
	}
out:
	return rc;
}

static int run_steps(struct ek_net_state *s, int first, int end)
{
	const struct ek_net *net = s->net;
	int rc = 0;

	for (int i = first; i < end; i++) {
		const struct ek_net_op *op = &net->ops[net->steps[i].op];

		if (op->idle[net->steps[i].backward])
			continue;
		EK_TRY(net->steps[i].backward ? backward(s, op) : net->device->codes[op->kind]->forward(s, op));
	}
out:
	return rc;
}

static int run(struct ek_net_state *s, int first, int end)
{
	const struct ek_device *device = s->net->device;
	const int before = device->enter();
	const int rc = device->run != NULL ? device->run(s, first, end, run_steps) : run_steps(s, first, end);

	device->leave(before);
	return rc;
}

/* given: an input that is there already, or 0. */
static void bring_inputs(struct ek_net_state *s, int given)
{
	const struct ek_device *device = s->net->device;
	const int there = s->mark != 0;

	if (there)
		device->receive();
	for (int v = 1; v < s->net->value_count; v++) {
		const struct ek_net_value *input = &s->net->values[v];

		if (input->maker >= 0 || v == given)
			continue;
		if (there)
			device->copy(ek_net_data(s, v), s->arena + s->net->arrivals + input->host_offset, input->bytes);
		else
			device->upload(ek_net_data(s, v), s->host + input->host_offset, input->bytes);
	}
	if (there)
		device->received();
	else
		s->sent = EK_NET_SENT;
}

static int forward(struct ek_net_state *s, int given)
{
	s->in_backward = 0;
	if (!s->net->device->is_host)
		bring_inputs(s, given);
	return run(s, 0, s->net->op_count);
}

int ek_net_forward(struct ek_net_state *s)
{
	return forward(s, 0);
}

int ek_net_forward_with(struct ek_net_state *s, int input, const void *x, int count, int times)
{
	const struct ek_net_value *v = &s->net->values[input];
	const size_t bytes = v->bytes / (size_t)s->net->batch * (size_t)count, all = bytes * (size_t)times;
	unsigned char *to = ek_net_data(s, input);

	assert(v->maker < 0 && all <= v->bytes);
	for (size_t at = 0; at < all; at += bytes)
		s->net->device->copy(to + at, x, bytes);
	if (all < v->bytes)
		s->net->device->zero(to + all, v->bytes - all);
	return forward(s, input);
}

void ek_net_copy_out(struct ek_net_state *s, int value, int first, int count, void *out)
{
	const struct ek_net_value *v = &s->net->values[value];
	const size_t image = v->bytes / (size_t)s->net->batch;

	assert(v->kept);
	s->net->device->copy(out, (unsigned char *)ek_net_data(s, value) + (size_t)first * image,
	                     (size_t)count * image);
}

int ek_net_backward(struct ek_net_state *s, struct ek_store *store, uint64_t turn)
{
	int rc;

	s->in_backward = 1;
	s->store = store;
	s->turn = turn;
	rc = run(s, s->net->op_count, s->net->step_count);
	s->in_backward = 0;
	return rc;
}
