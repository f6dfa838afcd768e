/* Noise, mixes, and the losses of generators. */
#include "rebalance/base/random.h"
#include "tests/train/nn/reference_net_internal.h"

static void nothing(struct ref_net *r, const struct ek_net_op *op)
{
	(void)r;
	(void)op;
}

static void noise_forward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t image = count_of(r, op->outputs[0]) / (size_t)ek_net_batch(r->net);

	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++) {
		const struct ek_net_key *k = &r->keys[i / image];

		give(r, op->outputs[0], i,
		     exact(ek_random_normal(k->seed, k->stream, k->position * image + i % image)));
	}
}

static void pixels_forward(struct ref_net *r, const struct ek_net_op *op)
{
	const struct ek_net_pixels *p = &op->of.pixels;
	const size_t image = count_of(r, op->outputs[0]) / (size_t)ek_net_batch(r->net);

	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++) {
		const size_t c = i % (size_t)p->shape.channels;
		const number byte = exact(r->pixels[i / image * ek_net_pixels_stride(p->shape) + i % image]);

		give(r, op->outputs[0], i, plus(times(byte, exact((double)p->scale[c])), exact((double)p->shift[c])));
	}
}

/* Factor j of the image that number i of a value is of. */
static number factor(const struct ref_net *r, const struct ek_net_op *op, int input, size_t b, size_t j)
{
	return r->values[op->inputs[input]][b * channels_of(r, op->inputs[input]) + (size_t)op->of.first + j];
}

static void mix_forward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t image = count_of(r, op->outputs[0]) / (size_t)ek_net_batch(r->net);

	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++)
		give(r, op->outputs[0], i,
		     plus(times(factor(r, op, 2, i / image, 0), r->values[op->inputs[0]][i]),
		          times(factor(r, op, 2, i / image, 1), r->values[op->inputs[1]][i])));
}

static void mix_backward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t image = count_of(r, op->outputs[0]) / (size_t)ek_net_batch(r->net);

	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++)
		for (size_t j = 0; j < 2; j++)
			give_gradient(r, op->inputs[j], i,
			              times(factor(r, op, 2, i / image, j), r->gradients[op->outputs[0]][i]));
}

/* Number i of the data, in the prediction. */
static size_t predicted(const struct ref_net *r, const struct ek_net_op *op, size_t i)
{
	const size_t n = channels_of(r, op->inputs[1]);

	return i / n * channels_of(r, op->inputs[0]) + i % n;
}

static void mix_error(struct ref_net *r, const struct ek_net_op *op, int back)
{
	const size_t count = count_of(r, op->inputs[1]), image = count / (size_t)ek_net_batch(r->net);
	struct sum s = { 0 };

	for (size_t i = 0; i < count; i++) {
		const size_t b = i / image, at = predicted(r, op, i);
		const number scale = factor(r, op, 3, b, 0), fa = factor(r, op, 3, b, 1), fb = factor(r, op, 3, b, 2);
		const number weight = factor(r, op, 3, b, 3);
		const number d =
			minus(minus(times(scale, r->values[op->inputs[0]][at]), times(fa, r->values[op->inputs[1]][i])),
		              times(fb, r->values[op->inputs[2]][i]));
		const number slope =
			scaled(times(times(d, weight), r->gradients[op->outputs[0]][b]), 2 / (double)image);

		sum_add(&s, times(d, d));
		if (back) {
			give_gradient(r, op->inputs[0], at, times(slope, scale));
			give_gradient(r, op->inputs[1], i, scaled(times(slope, fa), -1));
			give_gradient(r, op->inputs[2], i, scaled(times(slope, fb), -1));
		} else if (i % image == image - 1) {
			give(r, op->outputs[0], b, times(scaled(sum_get(&s), 1 / (double)image), weight));
			s = (struct sum){ 0 };
		}
	}
}

static void mix_error_forward(struct ref_net *r, const struct ek_net_op *op)
{
	mix_error(r, op, 0);
}

static void mix_error_backward(struct ref_net *r, const struct ek_net_op *op)
{
	mix_error(r, op, 1);
}

/* exp to 2 units. */
static number exponential(number x)
{
	return function(x, exp(x.v), exp(x.v), 2 * exp(x.v));
}

/* The cumulative normal distribution by tanh, and its density: of the argument's error, and 8 units of 1, or 16 of the
 * density's largest value. */
static number cumulative(number z, number *density)
{
	const double root = sqrt(2 / acos(-1.0)), inner = 1 + 3 * 0.044715 * z.v * z.v;
	const double t = tanh(root * (z.v + 0.044715 * z.v * z.v * z.v)), d = 0.5 * (1 - t * t) * root * inner;
	const double bend = 0.5 * root * (1 - t * t) * (6 * 0.044715 * z.v - 2 * t * root * inner * inner);

	*density = function(z, d, bend, 16);
	return function(z, 0.5 * (1 + t), d, 8);
}

/* The bound's term of one number, and its derivative by the log variance. */
static number bound(number distance, number data, number deviation, number above, int first, number *slope)
{
	const number root = exponential(scaled(above, -0.5)), scale = times(deviation, root), bin = exact(1.0 / 255);
	const number high = times(scale, plus(distance, bin)), low = times(scale, minus(distance, bin));
	const number step = times(distance, scale), square = times(step, step);
	const number ratio = exponential(scaled(above, -1));
	number densities[2], upper = cumulative(high, &densities[0]), lower = cumulative(low, &densities[1]), p;

	if (!first) {
		*slope = scaled(minus(minus(exact(1), ratio), square), 0.5);
		return scaled(plus(plus(minus(above, exact(1)), ratio), square), 0.5);
	}
	if (data.v < -0.999)
		lower = densities[1] = exact(0);
	if (data.v > 0.999) {
		upper = exact(1);
		densities[0] = exact(0);
	}
	p = minus(upper, lower);
	*slope = times(scaled(minus(times(densities[0], high), times(densities[1], low)), 0.5), inverse(p));
	return function(p, -log(p.v), 1 / p.v, 2 * fabs(log(p.v)));
}

static void diffusion(struct ref_net *r, const struct ek_net_op *op, int back)
{
	const size_t count = count_of(r, op->inputs[1]), image = count / (size_t)ek_net_batch(r->net);
	const size_t n = channels_of(r, op->inputs[1]);
	struct sum errors = { 0 }, bounds = { 0 };

	for (size_t i = 0; i < count; i++) {
		const size_t b = i / image, at = predicted(r, op, i);
		const number *p = &r->values[op->inputs[0]][at], spread = factor(r, op, 3, b, 2);
		const number e = minus(p[0], r->values[op->inputs[2]][i]);
		number slope, term;

		term = bound(times(factor(r, op, 3, b, 0), e), r->values[op->inputs[1]][i], factor(r, op, 3, b, 1),
		             times(spread, plus(exact(1), p[n])), factor(r, op, 3, b, 3).v > 0.5, &slope);
		sum_add(&errors, times(e, e));
		sum_add(&bounds, term);
		if (back) {
			give_gradient(r, op->inputs[0], at,
			              scaled(times(e, r->gradients[op->outputs[0]][b]), 2 / (double)image));
			give_gradient(r, op->inputs[0], at + n,
			              scaled(times(times(slope, spread), r->gradients[op->outputs[1]][b]),
			                     1 / (double)image / log(2)));
		} else if (i % image == image - 1) {
			give(r, op->outputs[0], b, scaled(sum_get(&errors), 1 / (double)image));
			give(r, op->outputs[1], b, scaled(sum_get(&bounds), 1 / (double)image / log(2)));
			errors = bounds = (struct sum){ 0 };
		}
	}
}

static void diffusion_forward(struct ref_net *r, const struct ek_net_op *op)
{
	diffusion(r, op, 0);
}

static void diffusion_backward(struct ref_net *r, const struct ek_net_op *op)
{
	diffusion(r, op, 1);
}

const struct ref_layer ref_pixels_layer = { pixels_forward, nothing };
const struct ref_layer ref_noise_layer = { noise_forward, nothing };
const struct ref_layer ref_mix_layer = { mix_forward, mix_backward };
const struct ref_layer ref_mix_error_layer = { mix_error_forward, mix_error_backward };
const struct ref_layer ref_diffusion_layer = { diffusion_forward, diffusion_backward };
