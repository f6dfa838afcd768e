/* The driver, and layers that treat each number on its own or move numbers. */
#include "tests/train/nn/reference_net.h"

#include "tests/support/support.h"
#include "tests/train/nn/reference_net_internal.h"

static double activate(double x, enum ek_nn_activation activation, double slope)
{
	return activation == EK_NN_RELU && x <= 0 ? slope * x : ref_activate(activation, x);
}

static double derivative(double x, enum ek_nn_activation activation, double slope)
{
	const double root = sqrt(2 / 3.14159265358979323846);
	double t;

	switch (activation) {
	case EK_NN_LINEAR:
		return 1;
	case EK_NN_RELU:
		return x > 0 ? 1 : slope;
	case EK_NN_RELU6:
		return x > 0 && x < 6;
	case EK_NN_GELU_ERF:
		return 0.5 * (1 + erf(x / sqrt(2))) + x * exp(-0.5 * x * x) * 0.5 * root;
	case EK_NN_GELU_TANH:
		t = tanh(root * (x + 0.044715 * x * x * x));
		return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x);
	default:
		t = activation == EK_NN_SILU ? 1 : 1.702;
		return 1 / (1 + exp(-t * x)) * (1 + t * x / (1 + exp(t * x)));
	}
}

/* The gated units are x · s(g): an error of g's last places changes s by |g s'| < 0.3 of them, the exponential adds 2
 * units and each product or sum one: below 16 |x| in all. */
number ref_activated(number x, enum ek_nn_activation activation, double slope)
{
	if (activation == EK_NN_LINEAR)
		return x;
	return function(x, activate(x.v, activation, slope), derivative(x.v, activation, slope), 16 * fabs(x.v));
}

/* The derivative is s + x s', both below 2. Its slope is a central difference: good to 1e-9 here. */
number ref_slope(number x, enum ek_nn_activation activation, double slope)
{
	const double h = 1e-5;
	double curvature;

	if (activation == EK_NN_LINEAR)
		return exact(1);
	if (activation == EK_NN_RELU || activation == EK_NN_RELU6)
		return exact(derivative(x.v, activation, slope));
	curvature = (derivative(x.v + h, activation, slope) - derivative(x.v - h, activation, slope)) / (2 * h);
	return function(x, derivative(x.v, activation, slope), curvature, 16 * 2);
}

static void activation_forward(struct ref_net *r, const struct ek_net_op *op)
{
	for (size_t i = 0; i < count_of(r, op->inputs[0]); i++)
		give(r, op->outputs[0], i,
		     ref_activated(r->values[op->inputs[0]][i], op->of.activation.activation,
		                   (double)op->of.activation.slope));
}

static void activation_backward(struct ref_net *r, const struct ek_net_op *op)
{
	for (size_t i = 0; i < count_of(r, op->inputs[0]); i++)
		give_gradient(r, op->inputs[0], i,
		              times(r->gradients[op->outputs[0]][i],
		                    ref_slope(r->values[op->inputs[0]][i], op->of.activation.activation,
		                              (double)op->of.activation.slope)));
}

/* Layers that give inputs and parameters times constants: out += factor · in. */
static void linear_forward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t image = count_of(r, op->inputs[0]) / (size_t)ek_net_batch(r->net);

	for (size_t i = 0; i < count_of(r, op->inputs[0]); i++) {
		number x = r->values[op->inputs[0]][i];

		if (op->kind == EK_NET_ADD)
			x = plus(x, r->values[op->inputs[1]][i]);
		if (op->kind == EK_NET_POSITIONS)
			x = plus(x, parameter_of(r, op, 0)[i % image]);
		if (op->kind == EK_NET_AFFINE)
			x = scaled(plus(x, exact((double)op->of.affine.shift)), (double)op->of.affine.scale);
		give(r, op->outputs[0], i, x);
	}
}

static void linear_backward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t image = count_of(r, op->inputs[0]) / (size_t)ek_net_batch(r->net);

	for (size_t i = 0; i < count_of(r, op->inputs[0]); i++) {
		const number dy = r->gradients[op->outputs[0]][i];

		give_gradient(r, op->inputs[0], i,
		              op->kind == EK_NET_AFFINE ? scaled(dy, (double)op->of.affine.scale) : dy);
		if (op->kind == EK_NET_ADD)
			give_gradient(r, op->inputs[1], i, dy);
		if (op->kind == EK_NET_POSITIONS) {
			number *dp = &parameter_gradient_of(r, op, 0)[i % image];

			*dp = plus(*dp, dy);
		}
	}
}

static void embedding_forward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t n = channels_of(r, op->outputs[0]);

	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++)
		give(r, op->outputs[0], i, parameter_of(r, op, 0)[(size_t)r->ids[i / n] * n + i % n]);
}

static void embedding_backward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t n = channels_of(r, op->outputs[0]);

	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++) {
		number *dp = &parameter_gradient_of(r, op, 0)[(size_t)r->ids[i / n] * n + i % n];

		*dp = plus(*dp, r->gradients[op->outputs[0]][i]);
	}
}

/* Rate, its function, and two products round the angle. */
static void times_forward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t n = channels_of(r, op->outputs[0]), half = n / 2;

	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++) {
		const double rate = pow(10000, -(double)(i % n % half) / (double)half);
		number angle = scaled(r->values[op->inputs[0]][i / n], rate * (double)op->of.affine.scale);

		angle.e += 2 * fabs(angle.v);
		give(r, op->outputs[0], i,
		     i % n < half ? function(angle, cos(angle.v), sin(angle.v), 1)
		                  : function(angle, sin(angle.v), cos(angle.v), 1));
	}
}

static void nothing(struct ref_net *r, const struct ek_net_op *op)
{
}

/* The number of the input that number i of the output is, for layers that move. */
static size_t moved(const struct ref_net *r, const struct ek_net_op *op, size_t i)
{
	const struct ek_net_shape in = shape_of(r, op->inputs[0]), out = shape_of(r, op->outputs[0]);
	const int place = (int)i, p = op->of.p, image = place / (out.height * out.width * out.channels);
	int c = place % out.channels, x = place / out.channels % out.width;
	int y = place / out.channels / out.width % out.height;

	if (op->kind == EK_NET_UPSAMPLE) {
		x /= 2;
		y /= 2;
	} else if (op->kind == EK_NET_UNPATCH) {
		c += (y % p * p + x % p) * out.channels;
		x /= p;
		y /= p;
	} else {
		c += op->of.first;
	}
	return (size_t)(((image * in.height + y) * in.width + x) * in.channels + c);
}

static void move_forward(struct ref_net *r, const struct ek_net_op *op)
{
	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++)
		give(r, op->outputs[0], i, r->values[op->inputs[0]][moved(r, op, i)]);
}

static void move_backward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t ins = count_of(r, op->inputs[0]);
	struct sum *sums = calloc(ins, sizeof *sums);

	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++)
		sum_add(&sums[moved(r, op, i)], r->gradients[op->outputs[0]][i]);
	for (size_t i = 0; i < ins; i++)
		give_gradient(r, op->inputs[0], i, sum_get(&sums[i]));
	free(sums);
}

/* The log variance within its limits, and whether it is. */
static number log_variance(number x, int *inside)
{
	*inside = x.v >= -30 && x.v <= 20;
	return *inside ? x : exact(x.v < 0 ? -30 : 20);
}

static void sample(struct ref_net *r, const struct ek_net_op *op, int back)
{
	const size_t n = channels_of(r, op->inputs[1]);

	for (size_t i = 0; i < count_of(r, op->inputs[1]); i++) {
		const size_t at = i / n * 2 * n + i % n;
		const number noise = r->values[op->inputs[1]][i], dy = r->gradients[op->outputs[0]][i];
		int inside;
		const number half = scaled(log_variance(r->values[op->inputs[0]][at + n], &inside), 0.5);
		const number deviation = function(half, exp(half.v), exp(half.v), 2 * exp(half.v));

		if (!back) {
			give(r, op->outputs[0], i, plus(r->values[op->inputs[0]][at], times(deviation, noise)));
			continue;
		}
		give_gradient(r, op->inputs[0], at, dy);
		give_gradient(r, op->inputs[0], at + n,
		              inside ? scaled(times(times(deviation, noise), dy), 0.5) : exact(0));
		give_gradient(r, op->inputs[1], i, times(deviation, dy));
	}
}

static void sample_forward(struct ref_net *r, const struct ek_net_op *op)
{
	sample(r, op, 0);
}

static void sample_backward(struct ref_net *r, const struct ek_net_op *op)
{
	sample(r, op, 1);
}

static void kl(struct ref_net *r, const struct ek_net_op *op, int back)
{
	const size_t n = channels_of(r, op->inputs[0]) / 2, count = count_of(r, op->inputs[0]) / 2;
	const size_t image = count / (size_t)ek_net_batch(r->net);
	struct sum s = { 0 };

	for (size_t i = 0; i < count; i++) {
		const size_t at = i / n * 2 * n + i % n;
		const number mean = r->values[op->inputs[0]][at], dy = r->gradients[op->outputs[0]][i / image];
		int inside;
		const number spread = log_variance(r->values[op->inputs[0]][at + n], &inside);
		const number variance = function(spread, exp(spread.v), exp(spread.v), 2 * exp(spread.v));

		if (back) {
			give_gradient(r, op->inputs[0], at, times(mean, dy));
			give_gradient(r, op->inputs[0], at + n,
			              inside ? scaled(times(minus(variance, exact(1)), dy), 0.5) : exact(0));
			continue;
		}
		sum_add(&s, minus(minus(plus(times(mean, mean), variance), exact(1)), spread));
		if (i % image == image - 1) {
			give(r, op->outputs[0], i / image, scaled(sum_get(&s), 0.5));
			s = (struct sum){ 0 };
		}
	}
}

static void kl_forward(struct ref_net *r, const struct ek_net_op *op)
{
	kl(r, op, 0);
}

static void kl_backward(struct ref_net *r, const struct ek_net_op *op)
{
	kl(r, op, 1);
}

static void error(struct ref_net *r, const struct ek_net_op *op, int back)
{
	const size_t count = count_of(r, op->inputs[0]), image = count / (size_t)ek_net_batch(r->net);
	struct sum s = { 0 };

	for (size_t i = 0; i < count; i++) {
		const number d = minus(r->values[op->inputs[0]][i], r->values[op->inputs[1]][i]);
		const number sign = exact(d.v > 0 ? 1 : d.v < 0 ? -1 : 0);
		const number slope = op->of.power == 2 ? scaled(d, 2) : sign;
		const number dx = scaled(times(slope, r->gradients[op->outputs[0]][i / image]), 1 / (double)image);

		if (back) {
			give_gradient(r, op->inputs[0], i, dx);
			give_gradient(r, op->inputs[1], i, scaled(dx, -1));
			continue;
		}
		sum_add(&s, times(d, op->of.power == 2 ? d : sign));
		if (i % image == image - 1) {
			give(r, op->outputs[0], i / image, scaled(sum_get(&s), 1 / (double)image));
			s = (struct sum){ 0 };
		}
	}
}

static void error_forward(struct ref_net *r, const struct ek_net_op *op)
{
	error(r, op, 0);
}

static void error_backward(struct ref_net *r, const struct ek_net_op *op)
{
	error(r, op, 1);
}

static void mean(struct ref_net *r, const struct ek_net_op *op, int back)
{
	const size_t count = count_of(r, op->inputs[0]), image = count / (size_t)ek_net_batch(r->net);
	const double sign = op->of.sign;
	struct sum s = { 0 };

	for (size_t i = 0; i < count; i++) {
		const number x = r->values[op->inputs[0]][i], loss = minus(exact(1), scaled(x, sign));
		const number slope = scaled(r->gradients[op->outputs[0]][i / image], 1 / (double)image);

		if (back) {
			give_gradient(r, op->inputs[0], i,
			              op->of.sign == 0 ? slope
			              : loss.v > 0     ? scaled(slope, -sign)
			                               : exact(0));
			continue;
		}
		sum_add(&s, op->of.sign == 0 ? x : loss.v > 0 ? loss : exact(0));
		if (i % image == image - 1) {
			give(r, op->outputs[0], i / image, scaled(sum_get(&s), 1 / (double)image));
			s = (struct sum){ 0 };
		}
	}
}

static void mean_forward(struct ref_net *r, const struct ek_net_op *op)
{
	mean(r, op, 0);
}

static void mean_backward(struct ref_net *r, const struct ek_net_op *op)
{
	mean(r, op, 1);
}

static size_t nearest(const struct ref_net *r, const struct ek_net_op *op, const number *z)
{
	const size_t n = channels_of(r, op->inputs[0]), codes = ek_net_parameter_of(op, 0)->count / n;
	double least = INFINITY;
	size_t best = 0;

	for (size_t k = 0; k < codes; k++) {
		double d = 0;

		for (size_t j = 0; j < n; j++)
			d += (z[j].v - parameter_of(r, op, 0)[k * n + j].v) *
			     (z[j].v - parameter_of(r, op, 0)[k * n + j].v);
		if (d < least) {
			least = d;
			best = k;
		}
	}
	return best;
}

static void quantise(struct ref_net *r, const struct ek_net_op *op, int back)
{
	const struct ek_net_quantise *q = &op->of.quantise;
	const size_t n = channels_of(r, op->inputs[0]), count = count_of(r, op->inputs[0]);
	const size_t image = count / (size_t)ek_net_batch(r->net);
	const double weight = (double)q->commitment + (double)q->codebook_weight;
	size_t code = 0;
	struct sum s = { 0 };

	for (size_t i = 0; i < count; i++) {
		const number z = r->values[op->inputs[0]][i];
		number e, d, slope, *de;

		code = i % n == 0 ? nearest(r, op, &r->values[op->inputs[0]][i]) : code;
		e = parameter_of(r, op, 0)[code * n + i % n];
		d = minus(z, e);
		if (!back) {
			give(r, op->outputs[0], i, e);
			r->values[op->outputs[2]][i / n] = exact((double)code);
			sum_add(&s, times(d, d));
			if (i % image == image - 1) {
				give(r, op->outputs[1], i / image, scaled(sum_get(&s), weight / (double)image));
				s = (struct sum){ 0 };
			}
			continue;
		}
		slope = scaled(times(d, r->gradients[op->outputs[1]][i / image]), 2 / (double)image);
		de = &parameter_gradient_of(r, op, 0)[code * n + i % n];
		*de = minus(*de, scaled(slope, (double)q->codebook_weight));
		give_gradient(r, op->inputs[0], i,
		              plus(scaled(slope, (double)q->commitment), r->gradients[op->outputs[0]][i]));
	}
}

static void quantise_forward(struct ref_net *r, const struct ek_net_op *op)
{
	quantise(r, op, 0);
}

static void quantise_backward(struct ref_net *r, const struct ek_net_op *op)
{
	quantise(r, op, 1);
}

static const struct ref_layer pointwise = { activation_forward, activation_backward };
static const struct ref_layer sums = { linear_forward, linear_backward };
static const struct ref_layer embeddings = { embedding_forward, embedding_backward };
static const struct ref_layer time_features = { times_forward, nothing };
static const struct ref_layer moves = { move_forward, move_backward };
static const struct ref_layer samples = { sample_forward, sample_backward };
static const struct ref_layer divergences = { kl_forward, kl_backward };
static const struct ref_layer errors = { error_forward, error_backward };
static const struct ref_layer means = { mean_forward, mean_backward };
static const struct ref_layer stops = { linear_forward, nothing };
static const struct ref_layer quantisers = { quantise_forward, quantise_backward };

static const struct ref_layer *const layers[EK_NET_KIND_COUNT] = {
	[EK_NET_LINEAR] = &ref_linear_layer,
	[EK_NET_CONV] = &ref_conv_layer,
	[EK_NET_GROUP_NORM] = &ref_group_norm_layer,
	[EK_NET_LAYER_NORM] = &ref_layer_norm_layer,
	[EK_NET_MODULATE] = &ref_modulate_layer,
	[EK_NET_ATTENTION] = &ref_attention_layer,
	[EK_NET_CAUSAL] = &ref_attention_layer,
	[EK_NET_ACTIVATION] = &pointwise,
	[EK_NET_ADD] = &sums,
	[EK_NET_POSITIONS] = &sums,
	[EK_NET_EMBEDDING] = &embeddings,
	[EK_NET_TIMES] = &time_features,
	[EK_NET_POOL] = &ref_pool_layer,
	[EK_NET_AVERAGE] = &ref_average_layer,
	[EK_NET_CONCAT] = &ref_join_layer,
	[EK_NET_ROWS] = &ref_join_layer,
	[EK_NET_PREPEND] = &ref_join_layer,
	[EK_NET_PATCHES] = &ref_join_layer,
	[EK_NET_UPSAMPLE] = &moves,
	[EK_NET_UNPATCH] = &moves,
	[EK_NET_CHANNELS] = &moves,
	[EK_NET_SAMPLE] = &samples,
	[EK_NET_KL] = &divergences,
	[EK_NET_ERROR] = &errors,
	[EK_NET_MEAN] = &means,
	[EK_NET_DETACH] = &stops,
	[EK_NET_NOISE] = &ref_noise_layer,
	[EK_NET_PIXELS] = &ref_pixels_layer,
	[EK_NET_MIX] = &ref_mix_layer,
	[EK_NET_MIX_ERROR] = &ref_mix_error_layer,
	[EK_NET_DIFFUSION] = &ref_diffusion_layer,
	[EK_NET_QUANTISE] = &quantisers,
	[EK_NET_AFFINE] = &sums,
	[EK_NET_CAST] = &sums,
};

struct ref_net *ref_net_new(const struct ek_net *net, const float *parameters)
{
	struct ref_net *r = calloc(1, sizeof *r);

	r->net = net;
	r->values = calloc((size_t)net->value_count, sizeof *r->values);
	r->gradients = calloc((size_t)net->value_count, sizeof *r->gradients);
	for (int v = 1; v < net->value_count; v++) {
		r->values[v] = calloc(count_of(r, v), sizeof **r->values);
		r->gradients[v] = calloc(count_of(r, v), sizeof **r->gradients);
	}
	r->parameters = calloc(net->params->size + 1, sizeof *r->parameters);
	r->parameter_gradients = calloc(net->params->size + 1, sizeof *r->parameter_gradients);
	r->unwanted = calloc(net->params->size + 1, sizeof *r->unwanted);
	ref_net_set(r->parameters, parameters, net->params->size);
	return r;
}

void ref_net_free(struct ref_net *r)
{
	for (int v = 1; v < r->net->value_count; v++) {
		free(r->values[v]);
		free(r->gradients[v]);
	}
	free(r->values);
	free(r->gradients);
	free(r->parameters);
	free(r->parameter_gradients);
	free(r->unwanted);
	free(r);
}

void ref_net_set(struct ref_number *out, const float *x, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = exact((double)x[i]);
}

void ref_net_forward(struct ref_net *r)
{
	for (int i = 0; i < r->net->op_count; i++)
		layers[r->net->ops[i].kind]->forward(r, &r->net->ops[i]);
}

void ref_net_backward(struct ref_net *r)
{
	for (int i = r->net->op_count - 1; i >= 0; i--)
		layers[r->net->ops[i].kind]->backward(r, &r->net->ops[i]);
}

double ref_net_allowed(const struct ref_number *x)
{
	return x->e * 0x1p-24 + x->b * 0x1p-8;
}
