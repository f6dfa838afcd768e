/* What the code of operators asks of a net and its states: places, types, parameters, numbers as float32. */
#include <string.h>

#include "train/nn/net_internal.h"
#include "train/nn/store_internal.h"

size_t ek_net_rows(const struct ek_net *net, int value)
{
	const struct ek_net_shape s = net->values[value].shape;

	return (size_t)net->batch * (size_t)s.height * (size_t)s.width;
}

size_t ek_net_channel_count(const struct ek_net *net, int value)
{
	return (size_t)net->values[value].shape.channels;
}

void *ek_net_value_in(const struct ek_net_state *s, int value)
{
	return s->arena + s->net->values[value].offset[s->in_backward];
}

size_t ek_net_pitch(const struct ek_net *net, int value)
{
	const struct ek_net_value *v = &net->values[value];

	return ek_net_channel_count(net, v->within ? v->shares : value);
}

const void *ek_net_in(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	return ek_net_value_in(s, op->inputs[i]);
}

void *ek_net_out(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	return ek_net_value_in(s, op->outputs[i]);
}

void *ek_net_grad_in(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	return op->wants[i] ? s->arena + s->net->values[op->inputs[i]].gradient_offset : NULL;
}

const void *ek_net_grad_out(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	const int y = op->outputs[i];

	return y > 0 && s->net->values[y].gradient ? s->arena + s->net->values[y].gradient_offset : NULL;
}

void *ek_net_saved(const struct ek_net_state *s, const struct ek_net_op *op)
{
	return s->arena + op->saved_offset[s->in_backward];
}

enum ek_nn_type ek_net_in_type(const struct ek_net *net, const struct ek_net_op *op, int i)
{
	return net->values[op->inputs[i]].type;
}

enum ek_nn_type ek_net_out_type(const struct ek_net *net, const struct ek_net_op *op, int i)
{
	return net->values[op->outputs[i]].type;
}

const float *ek_net_parameter(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	return ek_net_loaded(s->net, op, i);
}

const struct ek_param *ek_net_parameter_of(const struct ek_net_op *op, int i)
{
	return &op->table->items[op->parameters[i]];
}

const float *ek_net_loaded(const struct ek_net *net, const struct ek_net_op *op, int i)
{
	return (op->constants != NULL ? op->device_constants : net->loaded) + ek_net_parameter_of(op, i)->offset;
}

int ek_net_learns(const struct ek_net_op *op, int i)
{
	return op->parameters[i] >= 0 && !op->frozen && !ek_net_parameter_of(op, i)->frozen;
}

int ek_net_wants(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	return s->store != NULL && ek_net_learns(op, i);
}

size_t ek_net_gradient_offset(const struct ek_net_op *op, int i)
{
	size_t offset = 0;

	while (i-- > 0)
		offset += ek_net_align(op->counts[i] * sizeof(float));
	return offset;
}

float *ek_net_parameter_gradient(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	if (!ek_net_wants(s, op, i))
		return NULL;
	if (s->net->device->codes[op->kind]->sparse)
		return ek_store_data(s->store, EK_GRADIENTS) + ek_net_parameter_of(op, i)->offset;
	return ek_net_image_room(s, op, i);
}

float *ek_net_image_room(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	return (float *)(void *)(s->gradient_scratch + ek_net_gradient_offset(op, i));
}

float *ek_net_parameter_sum(const struct ek_net_state *s, const struct ek_net_op *op, int i)
{
	float *gradient = ek_net_parameter_gradient(s, op, i);

	if (gradient != NULL)
		memset(gradient, 0, op->counts[i] * sizeof *gradient);
	return gradient;
}

const float *ek_net_load_floats(const void *x, enum ek_nn_type type, size_t first, size_t count, float *buffer)
{
	if (type == EK_NN_FLOAT32)
		return (const float *)x + first;
	ek_nn_vector()->bf16_to_float(buffer, (const ek_bf16 *)x + first, count);
	return buffer;
}

float *ek_net_floats_at(void *out, enum ek_nn_type type, size_t first, int add, float *buffer)
{
	return type == EK_NN_FLOAT32 && !add ? (float *)out + first : buffer;
}

static void add_bf16(ek_bf16 *out, const float *x, size_t count)
{
	float sum[256];

	for (size_t i = 0, n; i < count; i += n) {
		n = count - i < 256 ? count - i : 256;
		ek_nn_vector()->bf16_to_float(sum, out + i, n);
		ek_nn_vector()->accumulate(sum, x + i, n);
		ek_nn_vector()->bf16_from_float(out + i, sum, n);
	}
}

void ek_net_store_floats(void *out, enum ek_nn_type type, size_t first, size_t count, const float *x, int add)
{
	if (type == EK_NN_BFLOAT16 && add)
		add_bf16((ek_bf16 *)out + first, x, count);
	else if (type == EK_NN_BFLOAT16)
		ek_nn_vector()->bf16_from_float((ek_bf16 *)out + first, x, count);
	else if (add)
		ek_nn_vector()->accumulate((float *)out + first, x, count);
	else if ((float *)out + first != x)
		memcpy((float *)out + first, x, count * sizeof *x);
}

void ek_net_copy(void *out, enum ek_nn_type out_type, size_t to, const void *x, enum ek_nn_type type, size_t from,
                 size_t count, int add)
{
	const size_t size = ek_nn_type_size(type);
	float buffer[1024];

	if (!add && out_type == type) {
		memcpy((unsigned char *)out + to * size, (const unsigned char *)x + from * size, count * size);
		return;
	}
	for (size_t i = 0, n; i < count; i += n) {
		n = count - i < 1024 ? count - i : 1024;
		ek_net_store_floats(out, out_type, to + i, n, ek_net_load_floats(x, type, from + i, n, buffer), add);
	}
}

void ek_net_place_residual(const struct ek_net_state *s, const struct ek_net_op *op)
{
	if (op->inputs[1] > 0 && ek_net_in(s, op, 1) != ek_net_out(s, op, 0))
		memcpy(ek_net_out(s, op, 0), ek_net_in(s, op, 1), s->net->values[op->outputs[0]].bytes);
}

void ek_net_add_rows(float *sum, const void *x, enum ek_nn_type type, size_t rows, size_t columns)
{
	if (type == EK_NN_BFLOAT16)
		ek_net_kernels()->add_rows_bf16(sum, x, rows, columns);
	else
		ek_net_kernels()->add_rows(sum, x, rows, columns);
}
