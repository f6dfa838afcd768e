#include "tests/train/nn/reference.h"

#include "rebalance/base/random.h"
#include "tests/support/support.h"

enum { GUARD = 64 };

double ref_activate(enum ek_nn_activation activation, double x)
{
	switch (activation) {
	case EK_NN_RELU:
		return x > 0 ? x : 0;
	case EK_NN_RELU6:
		return x > 6 ? 6 : x > 0 ? x : 0;
	case EK_NN_GELU_ERF:
		return 0.5 * x * (1 + erf(x / sqrt(2)));
	case EK_NN_GELU_TANH:
		return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
	case EK_NN_QUICK_GELU:
		return x / (1 + exp(-1.702 * x));
	case EK_NN_SILU:
		return x / (1 + exp(-x));
	default:
		return x;
	}
}

void ref_matmul(double *out, const float *a, const float *b, size_t m, size_t n, size_t k)
{
	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < n; j++) {
			double sum = 0;

			for (size_t l = 0; l < k; l++)
				sum += (double)a[i * k + l] * (double)b[j * k + l];
			out[i * n + j] = sum;
		}
}

void ref_round_bf16(float *x, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t bits;

		memcpy(&bits, &x[i], sizeof bits);
		/* To the nearest, ties to even. */
		bits = isnan(x[i]) ? bits | 0x400000U : bits + 0x7fffU + ((bits >> 16) & 1U);
		bits &= 0xffff0000U;
		memcpy(&x[i], &bits, sizeof bits);
	}
}

void ref_fill(float *x, size_t count, uint64_t stream)
{
	for (size_t i = 0; i < count; i++)
		x[i] = (float)ek_random_normal(7, stream, i);
}

static const uint32_t guard_bits = 0x7fc0beefU, poison_bits = 0x7fc00001U;

float *ref_poisoned(size_t count)
{
	float *x = malloc((count + GUARD) * sizeof *x);

	for (size_t i = 0; x != NULL && i < count + GUARD; i++)
		memcpy(&x[i], i < count ? &poison_bits : &guard_bits, sizeof *x);
	return x;
}

int ref_is_whole(const float *x, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (isnan(x[i]))
			return 0;
	for (size_t i = count; i < count + GUARD; i++)
		if (memcmp(&x[i], &guard_bits, sizeof *x) != 0)
			return 0;
	return 1;
}

void ref_compare(const char *name, const float *got, const float *want, size_t count, double absolute, double relative)
{
	for (size_t i = 0; i < count; i++) {
		const double difference = fabs((double)got[i] - (double)want[i]);

		if (!(difference <= absolute + relative * fabs((double)want[i])))
			fail_msg("%s: value %zu is %.9g, not %.9g (allowed %g and %g of it)", name, i, (double)got[i],
			         (double)want[i], absolute, relative);
	}
}
