/* Arithmetic of numbers with error bounds; see reference_net.h. */
#ifndef EK_TESTS_NN_REFERENCE_NET_INTERNAL_H
#define EK_TESTS_NN_REFERENCE_NET_INTERNAL_H

#include <math.h>

#include "tests/train/nn/reference.h"
#include "tests/train/nn/reference_net.h"
#include "train/nn/net_internal.h"

typedef struct ref_number number;

static inline number exact(double v)
{
	return (number){ v, 0, 0 };
}

static inline number plus(number x, number y)
{
	return (number){ x.v + y.v, x.e + y.e + fabs(x.v + y.v), x.b + y.b };
}

static inline number times(number x, number y)
{
	return (number){ x.v * y.v, fabs(x.v) * y.e + fabs(y.v) * x.e + fabs(x.v * y.v),
		         fabs(x.v) * y.b + fabs(y.v) * x.b };
}

/* The factor is rounded, too. */
static inline number scaled(number x, double factor)
{
	return times(x, (number){ factor, fabs(factor), 0 });
}

static inline number minus(number x, number y)
{
	return plus(x, (number){ -y.v, y.e, y.b });
}

/* f(x), its derivative there, and by how much computing f may be off itself. */
static inline number function(number x, double f, double slope, double off)
{
	return (number){ f, fabs(slope) * x.e + off, fabs(slope) * x.b };
}

static inline number inverse(number x)
{
	return function(x, 1 / x.v, 1 / (x.v * x.v), fabs(1 / x.v));
}

/* A sum in any order. */
struct sum {
	number total;
	double terms, magnitude;
};

static inline void sum_add(struct sum *s, number x)
{
	s->total = (number){ s->total.v + x.v, s->total.e + x.e, s->total.b + x.b };
	s->magnitude += fabs(x.v);
	s->terms++;
}

static inline number sum_get(const struct sum *s)
{
	number x = s->total;

	x.e += s->terms > 0 ? (s->terms - 1) * s->magnitude : 0;
	return x;
}

/* Stored in this type. An exact number may be one that the type has. */
static inline number stored(number x, enum ek_nn_type type)
{
	float rounded = (float)x.v;

	if (type == EK_NN_BFLOAT16)
		ref_round_bf16(&rounded, 1);
	if (x.e == 0 && x.b == 0 && (double)rounded == x.v)
		return x;
	if (type == EK_NN_BFLOAT16)
		x.b += fabs(x.v);
	else
		x.e += fabs(x.v);
	return x;
}

/* An activation, and its derivative; slope: of a leaky ReLU. */
number ref_activated(number x, enum ek_nn_activation activation, double slope);
number ref_slope(number x, enum ek_nn_activation activation, double slope);

/* The layers: reference_net.c, reference_net_*.c. */
struct ref_layer {
	void (*forward)(struct ref_net *r, const struct ek_net_op *op);
	void (*backward)(struct ref_net *r, const struct ek_net_op *op);
};
extern const struct ref_layer ref_linear_layer, ref_conv_layer, ref_group_norm_layer, ref_modulate_layer,
	ref_attention_layer, ref_layer_norm_layer, ref_noise_layer, ref_pixels_layer, ref_mix_layer,
	ref_mix_error_layer, ref_diffusion_layer, ref_join_layer, ref_pool_layer, ref_average_layer;

static inline struct ek_net_shape shape_of(const struct ref_net *r, int value)
{
	return ek_net_shape(r->net, value);
}

static inline size_t channels_of(const struct ref_net *r, int value)
{
	return (size_t)shape_of(r, value).channels;
}

static inline size_t rows_of(const struct ref_net *r, int value)
{
	return (size_t)ek_net_batch(r->net) * (size_t)(shape_of(r, value).height * shape_of(r, value).width);
}

static inline size_t count_of(const struct ref_net *r, int value)
{
	return rows_of(r, value) * channels_of(r, value);
}

/* Constants stand beside what learns: a layer that is frozen gives its gradients to nobody. */
static inline const number *parameter_of(const struct ref_net *r, const struct ek_net_op *op, int i)
{
	return r->parameters + ek_net_parameter_of(op, i)->offset;
}

static inline number *parameter_gradient_of(const struct ref_net *r, const struct ek_net_op *op, int i)
{
	return (op->frozen ? r->unwanted : r->parameter_gradients) + ek_net_parameter_of(op, i)->offset;
}

/* A result, in the type of its value. */
static inline void give(struct ref_net *r, int value, size_t i, number x)
{
	r->values[value][i] = stored(x, r->net->values[value].type);
}

/* Added to a gradient, each time in the type of its value. */
static inline void give_gradient(struct ref_net *r, int value, size_t i, number x)
{
	number *g = &r->gradients[value][i];
	const enum ek_nn_type type = r->net->values[value].type;

	*g = g->v == 0 && g->e == 0 && g->b == 0 ? stored(x, type) : stored(plus(*g, stored(x, type)), type);
}

#endif
