/* Compiled once per instruction set with EK_NET_KERNEL_TABLE naming the table it defines. */
#include "train/nn/net_kernels.h"

#include "train/nn/vector_inline.h"

extern const struct ek_net_kernels EK_NET_KERNEL_TABLE;

/* Runs BODY for whole vectors, then for the rest, with v = how many lanes count. */
#define EACH(n, i, v)                                                                                                  \
	for (size_t i = 0, v = (n) < LANES ? (n) : LANES; i < (n); i += LANES, v = (n)-i < LANES ? (n)-i : LANES)

static inline floats get(const float *x, size_t v)
{
	return v == LANES ? load(x) : load_part(x, v, 0);
}

static inline void put(float *out, floats x, size_t v)
{
	if (v == LANES)
		store(out, x);
	else
		memcpy(out, &x, v * sizeof *out);
}

/* Lanes beyond v are 0. */
static inline floats only(floats x, size_t v)
{
	floats out = all(0);

	memcpy(&out, &x, v * sizeof(float));
	return out;
}

static void statistics(float *mean, float *inverse, const float *x, size_t n, float epsilon)
{
	floats sum = all(0), squares = all(0);

	EACH(n, i, v)
	sum += get(x + i, v);
	*mean = sum_of(sum) / (float)n;
	EACH(n, i, v)
	{
		const floats d = v == LANES ? load(x + i) - *mean : only(load_part(x + i, v, 0) - *mean, v);

		squares += d * d;
	}
	*inverse = 1 / sqrtf(sum_of(squares) / (float)n + epsilon);
}

static void modulate(float *out, const float *x, float mean, float inverse, const float *scale, const float *shift,
                     size_t n)
{
	EACH(n, i, v)
	put(out + i, (get(x + i, v) - mean) * inverse * (get(scale + i, v) + 1) + get(shift + i, v), v);
}

static void modulate_backward(float *dx, float *dscale, float *dshift, const float *dy, const float *x, float mean,
                              float inverse, const float *scale, float *scratch, size_t n)
{
	floats sum = all(0), products = all(0);
	float a, b;

	EACH(n, i, v)
	{
		const floats g = get(dy + i, v), normal = (get(x + i, v) - mean) * inverse;
		const floats d = g * (get(scale + i, v) + 1);

		put(dscale + i, get(dscale + i, v) + g * normal, v);
		put(dshift + i, get(dshift + i, v) + g, v);
		put(scratch + i, d, v);
		sum += d;
		products += d * normal;
	}
	a = sum_of(sum) / (float)n;
	b = sum_of(products) / (float)n;
	EACH(n, i, v)
	{
		const floats normal = (get(x + i, v) - mean) * inverse;

		put(dx + i, get(dx + i, v) + (get(scratch + i, v) - a - normal * b) * inverse, v);
	}
}

static void gate(float *out, const float *x, const float *g, const float *branch, size_t n)
{
	EACH(n, i, v)
	put(out + i, get(x + i, v) + get(g + i, v) * get(branch + i, v), v);
}

static void gate_backward(float *dbranch, float *dgate, const float *dout, const float *g, const float *branch,
                          size_t n)
{
	EACH(n, i, v)
	{
		const floats d = get(dout + i, v);

		put(dgate + i, get(dgate + i, v) + d * get(branch + i, v), v);
		put(dbranch + i, d * get(g + i, v), v);
	}
}

static inline floats sigmoid(floats x)
{
	const floats e = exponential(choose(x > all(0), -x, x));

	return choose(x > all(0), all(1), e) / (e + 1);
}

static inline floats not_a_number_stays(floats y, floats x)
{
	return choose(x == x, y, x);
}

/* The gated units are x · sigmoid(g(x)): g, and its derivative. */
static inline floats gate_of(floats x, enum ek_nn_activation activation, floats *slope)
{
	if (activation == EK_NN_GELU_TANH) {
		const float c = 1.5957691216057308F; /* 2 sqrt(2 / pi) */
		const floats square = x * x;

		*slope = (square * (3 * 0.044715F) + 1) * c;
		return x * (square * 0.044715F + 1) * c;
	}
	*slope = all(activation == EK_NN_QUICK_GELU ? 1.702F : 1);
	return x * *slope;
}

static int gated(enum ek_nn_activation a)
{
	return a == EK_NN_SILU || a == EK_NN_QUICK_GELU || a == EK_NN_GELU_TANH;
}

/* What is not gated, one at a time: the value, or with `derivative` its slope. */
static inline float plain(float x, enum ek_nn_activation activation, float slope, int derivative)
{
	switch (activation) {
	case EK_NN_RELU:
		return derivative ? (x > 0 ? 1 : slope) : x > 0 ? x : x * slope;
	case EK_NN_RELU6:
		return derivative ? (x > 0 && x < 6 ? 1 : 0) : x < 0 ? 0 : x > 6 ? 6 : x;
	case EK_NN_GELU_ERF: {
		const float cdf = 0.5F * (1 + erff(x * 0.70710678F));

		return derivative ? cdf + x * 0.39894228F * expf(-0.5F * x * x) : x * cdf;
	}
	default:
		return derivative ? 1 : x;
	}
}

static void activate(float *out, const float *x, size_t n, enum ek_nn_activation activation, float slope)
{
	floats unused;

	if (!gated(activation)) {
		for (size_t i = 0; i < n; i++)
			out[i] = plain(x[i], activation, slope, 0);
		return;
	}
	EACH(n, i, v)
	{
		const floats a = get(x + i, v);

		put(out + i, not_a_number_stays(a * sigmoid(gate_of(a, activation, &unused)), a), v);
	}
}

static void activate_backward(float *dx, const float *dy, const float *x, size_t n, enum ek_nn_activation activation,
                              float slope)
{
	if (!gated(activation)) {
		for (size_t i = 0; i < n; i++)
			dx[i] = dy[i] * plain(x[i], activation, slope, 1);
		return;
	}
	EACH(n, i, v)
	{
		const floats a = get(x + i, v);
		floats inner;
		const floats s = sigmoid(gate_of(a, activation, &inner));

		put(dx + i, not_a_number_stays(get(dy + i, v) * (s + a * s * (1 - s) * inner), a), v);
	}
}

static void softmax_backward(float *d, const float *p, size_t n, float scale)
{
	floats sum = all(0);
	float dot;

	EACH(n, i, v)
	sum += get(d + i, v) * get(p + i, v);
	dot = sum_of(sum);
	EACH(n, i, v)
	put(d + i, get(p + i, v) * (get(d + i, v) - dot) * scale, v);
}

static void affine(float *out, const float *x, const float *a, const float *b, size_t n)
{
	EACH(n, i, v)
	put(out + i, get(x + i, v) * get(a + i, v) + get(b + i, v), v);
}

static void add_squares(float *sum, const float *x, const float *centre, size_t n)
{
	EACH(n, i, v)
	{
		const floats d = get(x + i, v) - get(centre + i, v);

		put(sum + i, get(sum + i, v) + d * d, v);
	}
}

static void add_products(float *sum, const float *x, const float *y, size_t n)
{
	EACH(n, i, v)
	put(sum + i, get(sum + i, v) + get(x + i, v) * get(y + i, v), v);
}

static inline floats root(floats x)
{
	for (int i = 0; i < LANES; i++)
		x[i] = sqrtf(x[i]);
	return x;
}

static void adamw(float *values, float *average, float *m, float *v2, const float *gradients, size_t n,
                  const struct ek_adamw_factors *f)
{
	EACH(n, i, v)
	{
		const floats g = get(gradients + i, v) * f->gradient;
		const floats first = get(m + i, v) * f->beta1 + g * f->fresh1;
		const floats second = get(v2 + i, v) * f->beta2 + g * g * f->fresh2;
		floats w = get(values + i, v);

		w *= f->decay;
		w -= first * (f->rate * f->inverse1) / (root(second) * f->root2 + f->epsilon);
		put(m + i, first, v);
		put(v2 + i, second, v);
		put(values + i, w, v);
		if (average != NULL)
			put(average + i, get(average + i, v) * f->average + w * f->fresh, v);
	}
}

static double sum_squares(const float *x, size_t n)
{
	double sums[LANES] = { 0 }, sum = 0;
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			sums[j] += (double)x[i + j] * (double)x[i + j];
	for (; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	for (size_t j = 0; j < LANES; j++)
		sum += sums[j];
	return sum;
}

const struct ek_net_kernels EK_NET_KERNEL_TABLE = {
	.statistics = statistics,
	.modulate = modulate,
	.modulate_backward = modulate_backward,
	.gate = gate,
	.gate_backward = gate_backward,
	.activate = activate,
	.activate_backward = activate_backward,
	.softmax_backward = softmax_backward,
	.affine = affine,
	.add_squares = add_squares,
	.add_products = add_products,
	.adamw = adamw,
	.sum_squares = sum_squares,
};
