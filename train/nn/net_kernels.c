/* Compiled once per instruction set with EK_NET_KERNEL_TABLE naming the table it defines. */
#include "train/nn/net_kernels.h"

#include "train/nn/vector_inline.h"

extern const struct ek_net_kernels EK_NET_KERNEL_TABLE;

/* Runs the rest of its arguments for whole vectors, then for what is left, with v = how many lanes count. */
#define EACH(n, i, v, ...)                                                                                             \
	do {                                                                                                           \
		const size_t whole_ = (n) - (n) % LANES;                                                               \
                                                                                                                       \
		for (size_t i = 0; i < whole_; i += LANES) {                                                           \
			const size_t v = LANES;                                                                        \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
		if (whole_ < (n)) {                                                                                    \
			const size_t i = whole_, v = (n)-whole_;                                                       \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	} while (0)

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

	EACH(n, i, v, sum += get(x + i, v););
	*mean = sum_of(sum) / (float)n;
	EACH(n, i, v, const floats d = v == LANES ? load(x + i) - *mean : only(load_part(x + i, v, 0) - *mean, v);

	     squares += d * d;);
	*inverse = 1 / sqrtf(sum_of(squares) / (float)n + epsilon);
}

static void modulate(float *out, const struct ek_net_row *row, const float *shift)
{
	const struct ek_net_row r = *row; /* in registers: `out` might be where it lies */

	EACH(r.n, i, v, const floats normal = (get(r.x + i, v) - r.mean) * r.inverse;

	     put(out + i, normal * (get(r.scale + i, v) + r.base) + get(shift + i, v), v););
}

static void modulate_backward(float *dx, float *dscale, float *dshift, const float *dy, const struct ek_net_row *row,
                              float *scratch)
{
	const struct ek_net_row r = *row;
	floats sum = all(0), products = all(0);
	float a, b;

	EACH(r.n, i, v, const floats g = get(dy + i, v), normal = (get(r.x + i, v) - r.mean) * r.inverse;
	     const floats d = g * (get(r.scale + i, v) + r.base);

	     put(dscale + i, get(dscale + i, v) + g * normal, v); put(dshift + i, get(dshift + i, v) + g, v);
	     put(scratch + i, d, v); sum += d; products += d * normal;);
	a = sum_of(sum) / (float)r.n;
	b = sum_of(products) / (float)r.n;
	EACH(r.n, i, v, const floats normal = (get(r.x + i, v) - r.mean) * r.inverse;

	     put(dx + i, get(dx + i, v) + (get(scratch + i, v) - a - normal * b) * r.inverse, v););
}

static void gate(float *out, const float *x, const float *g, const float *branch, size_t n)
{
	EACH(n, i, v, put(out + i, get(x + i, v) + get(g + i, v) * get(branch + i, v), v););
}

static void gate_backward(float *dbranch, float *dgate, const float *dout, const float *g, const float *branch,
                          size_t n)
{
	EACH(n, i, v, const floats d = get(dout + i, v);

	     put(dgate + i, get(dgate + i, v) + d * get(branch + i, v), v); put(dbranch + i, d * get(g + i, v), v););
}

/*
 * 1 / (1 + 2^t). t = n + f with |f| <= 1/2, and 2^f by the polynomial of degree 6 whose relative error is least, 2e-9;
 * it costs less than exponential(), which is exact for large arguments, too: here they have been rounded before. NaN
 * stays; 0 above 2^127.5, where the power becomes infinite.
 */
static inline floats share(floats t)
{
	const float magic = 12582912; /* 1.5 · 2^23: adding it rounds to an integer in the low bits */
	const floats low = choose(t < all(-126), all(-126), t), cut = choose(low > all(128), all(128), low);
	const floats shifted = cut + magic, f = cut - (shifted - magic);
	const ints power = ((ints)shifted - (ints)all(magic) + 127) << 23;
	floats p = f * 1.53458124e-4F + 1.33999309e-3F;

	p = p * f + 9.61848907e-3F;
	p = p * f + 5.55032864e-2F;
	p = p * f + 2.40226462e-1F;
	p = p * f + 6.93147182e-1F;
	p = p * f + 1.0F;
	return 1 / (p * (floats)power + 1);
}

/* The gated units are x · sigmoid(g(x)) = x / (1 + 2^t): t = -g / ln 2, and the derivative of g. */
static inline floats gate_of(floats x, enum ek_nn_activation activation, floats *slope)
{
	const float c = 1.5957691216057308F, log2e = 1.4426950408889634F; /* c: 2 sqrt(2 / pi) */

	if (activation == EK_NN_GELU_TANH) {
		const floats square = x * x;

		*slope = square * (3 * 0.044715F * c) + c;
		return x * (square * (-0.044715F * c * log2e) + -c * log2e);
	}
	*slope = all(activation == EK_NN_QUICK_GELU ? 1.702F : 1);
	return x * (activation == EK_NN_QUICK_GELU ? -1.702F * log2e : -log2e);
}

/* What is not gated: x where it is above 0 and not above `top`, and `slope` of it below; `inside` at its derivative. */
static inline floats clipped(floats x, float slope, float top, floats inside, float above)
{
	const floats below = choose(x > all(0), inside, inside * slope);

	return choose(x >= all(top), all(above), below);
}

static void gelu(float *out, const float *x, const float *dy, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const float cdf = 0.5F * (1 + erff(x[i] * 0.70710678F));

		out[i] = dy != NULL ? dy[i] * (cdf + x[i] * 0.39894228F * expf(-0.5F * x[i] * x[i])) : x[i] * cdf;
	}
}

static void activate(float *out, const float *x, size_t n, enum ek_nn_activation activation, float slope)
{
	const float top = activation == EK_NN_RELU6 ? 6 : INFINITY;

	switch (activation) {
	case EK_NN_SILU:
	case EK_NN_QUICK_GELU:
	case EK_NN_GELU_TANH:
		EACH(n, i, v, floats unused; const floats a = get(x + i, v);
		     put(out + i, a * share(gate_of(a, activation, &unused)), v););
		break;
	case EK_NN_RELU:
	case EK_NN_RELU6:
		EACH(n, i, v, const floats a = get(x + i, v); put(out + i, clipped(a, slope, top, a, top), v););
		break;
	case EK_NN_GELU_ERF:
		gelu(out, x, NULL, n);
		break;
	default:
		memmove(out, x, n * sizeof *out);
	}
}

static void activate_backward(float *dx, const float *dy, const float *x, size_t n, enum ek_nn_activation activation,
                              float slope)
{
	const float top = activation == EK_NN_RELU6 ? 6 : INFINITY;

	switch (activation) {
	case EK_NN_SILU:
	case EK_NN_QUICK_GELU:
	case EK_NN_GELU_TANH:
		EACH(n, i, v, floats inner; const floats a = get(x + i, v), s = share(gate_of(a, activation, &inner));
		     put(dx + i, get(dy + i, v) * (s + a * s * (1 - s) * inner), v););
		break;
	case EK_NN_RELU:
	case EK_NN_RELU6:
		EACH(n, i, v, put(dx + i, clipped(get(x + i, v), slope, top, get(dy + i, v), 0), v););
		break;
	case EK_NN_GELU_ERF:
		gelu(dx, x, dy, n);
		break;
	default:
		memmove(dx, dy, n * sizeof *dx);
	}
}

static void softmax_backward(float *d, const float *p, size_t n, float scale)
{
	floats sum = all(0);
	float dot;

	EACH(n, i, v, sum += get(d + i, v) * get(p + i, v););
	dot = sum_of(sum);
	EACH(n, i, v, put(d + i, get(p + i, v) * (get(d + i, v) - dot) * scale, v););
}

static void affine(float *out, const float *x, const float *a, const float *b, size_t n)
{
	EACH(n, i, v, put(out + i, get(x + i, v) * get(a + i, v) + get(b + i, v), v););
}

static void add_squares(float *sum, const float *x, const float *centre, size_t n)
{
	EACH(n, i, v, const floats d = get(x + i, v) - get(centre + i, v);

	     put(sum + i, get(sum + i, v) + d * d, v););
}

static void add_products(float *sum, const float *x, const float *y, size_t n)
{
	EACH(n, i, v, put(sum + i, get(sum + i, v) + get(x + i, v) * get(y + i, v), v););
}

typedef uint16_t halves __attribute__((vector_size(LANES * sizeof(uint16_t))));

static inline floats widened(const ek_bf16 *x, size_t v)
{
	halves h = { 0 };

	memcpy(&h, x, v * sizeof *x);
	return (floats)(__builtin_convertvector(h, ints) << 16);
}

/* Four vectors of columns at a time stay in registers down all rows. */
#define ADD_ROWS(sum, rows, n, get_)                                                                                   \
	do {                                                                                                           \
		size_t j = 0;                                                                                          \
                                                                                                                       \
		for (; j + 4 * LANES <= (n); j += 4 * LANES) {                                                         \
			floats a = load((sum) + j), b = load((sum) + j + LANES), c = load((sum) + j + 2 * LANES),      \
			       d = load((sum) + j + 3 * LANES);                                                        \
                                                                                                                       \
			for (size_t i = 0; i < (rows); i++) {                                                          \
				a += get_(x + i * (n) + j, LANES);                                                     \
				b += get_(x + i * (n) + j + LANES, LANES);                                             \
				c += get_(x + i * (n) + j + 2 * LANES, LANES);                                         \
				d += get_(x + i * (n) + j + 3 * LANES, LANES);                                         \
			}                                                                                              \
			store((sum) + j, a);                                                                           \
			store((sum) + j + LANES, b);                                                                   \
			store((sum) + j + 2 * LANES, c);                                                               \
			store((sum) + j + 3 * LANES, d);                                                               \
		}                                                                                                      \
		for (; j < (n); j += LANES) {                                                                          \
			const size_t v = (n)-j < LANES ? (n)-j : LANES;                                                \
			floats a = get((sum) + j, v);                                                                  \
                                                                                                                       \
			for (size_t i = 0; i < (rows); i++)                                                            \
				a += get_(x + i * (n) + j, v);                                                         \
			put((sum) + j, a, v);                                                                          \
		}                                                                                                      \
	} while (0)

static void add_rows(float *sum, const float *x, size_t rows, size_t n)
{
	ADD_ROWS(sum, rows, n, get);
}

static void add_rows_bf16(float *sum, const ek_bf16 *x, size_t rows, size_t n)
{
	ADD_ROWS(sum, rows, n, widened);
}

/* In an array, which compilers turn into vector instructions; a subscripted vector they do not. */
static inline floats root(floats x)
{
	float each[LANES];

	memcpy(each, &x, sizeof each);
	for (int i = 0; i < LANES; i++)
		each[i] = sqrtf(each[i]);
	return load(each);
}

static void adamw(float *values, float *average, float *m, float *v2, const float *gradients, size_t n,
                  const struct ek_adamw_factors *f)
{
	EACH(n, i, v, const floats g = get(gradients + i, v) * f->gradient;
	     const floats first = get(m + i, v) * f->beta1 + g * f->fresh1;
	     const floats second = get(v2 + i, v) * f->beta2 + g * g * f->fresh2; floats w = get(values + i, v);

	     w *= f->decay; w -= first * (f->rate * f->inverse1) / (root(second) * f->root2 + f->epsilon);
	     put(m + i, first, v); put(v2 + i, second, v); put(values + i, w, v);
	     if (average != NULL) put(average + i, get(average + i, v) * f->average + w * f->fresh, v););
}

static double sum_products(const float *x, const float *y, size_t n)
{
	double sums[LANES] = { 0 }, sum = 0;
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			sums[j] += (double)x[i + j] * (double)y[i + j];
	for (; i < n; i++)
		sum += (double)x[i] * (double)y[i];
	for (size_t j = 0; j < LANES; j++)
		sum += sums[j];
	return sum;
}

static double sum_squares(const float *x, size_t n)
{
	return sum_products(x, x, n);
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
	.add_rows = add_rows,
	.add_rows_bf16 = add_rows_bf16,
	.add_products = add_products,
	.adamw = adamw,
	.sum_squares = sum_squares,
	.sum_products = sum_products,
};
