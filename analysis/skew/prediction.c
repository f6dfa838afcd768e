#include "analysis/skew/prediction.h"

#include <math.h>

enum { FEW = 5 };

/* The 97.5 % point of Student's t, by Cornish and Fisher's expansion (Abramowitz and Stegun 26.7.5): within 0.1 % from
 * 5 degrees of freedom on. */
static double student(double degrees)
{
	const double z = 1.959963984540054, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;

	return z + (z3 + z) / (4 * degrees) + (5 * z5 + 16 * z3 + 3 * z) / (96 * degrees * degrees) +
	       (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * degrees * degrees * degrees);
}

static double limit(double x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

static double width(struct ek_interval interval)
{
	return interval.high - interval.low;
}

/* The fewest of n … N labels, of which as large a share is in the group, with Wilson's interval half as wide. */
static uint64_t wilson_halved(uint64_t yes, uint64_t n, uint64_t N)
{
	const double share = (double)yes / (double)n, wanted = width(ek_wilson(yes, n)) / 2;
	uint64_t low = n, high = N;

	while (low < high) {
		const uint64_t middle = low + (high - low) / 2;

		if (width(ek_wilson((uint64_t)(share * (double)middle + 0.5), middle)) <= wanted)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* variance = rest / labels + fixed; a quarter of that at n labels. */
static uint64_t normal_halved(double rest, double fixed, uint64_t n, uint64_t N)
{
	const double left = (rest / (double)n + fixed) / 4 - fixed, labels = left > 0 ? ceil(rest / left) : (double)N;

	return labels < (double)N ? (uint64_t)labels : N;
}

void ek_prediction_share(struct ek_prediction *out, const double *f, const uint8_t *y, uint64_t n, double mean,
                         double variance, uint64_t N)
{
	const double count = (double)n;
	double yes = 0, sum = 0, product = 0, squares = 0, power, rest, fixed, half;

	for (uint64_t i = 0; i < n; i++) {
		yes += y[i];
		sum += f[i];
		squares += f[i] * f[i];
		product += y[i] * f[i];
	}
	*out = (struct ek_prediction){ yes / count, ek_wilson((uint64_t)yes, n), wilson_halved((uint64_t)yes, n, N) };
	if (n < 2 * FEW || yes < FEW || count - yes < FEW)
		return;
	product = (product - yes * sum / count) / (count - 1);
	squares = (squares - sum * sum / count) / (count - 1);
	power = squares > 0 ? limit(product / ((1 + count / (double)N) * squares)) : 0;
	rest = (yes - yes * yes / count) / (count - 1) - 2 * power * product + power * power * squares;
	fixed = power * power * variance / (double)N;
	out->share = (yes - power * sum) / count + power * mean;
	half = student(count - 1) * sqrt(rest / count + fixed);
	out->interval = (struct ek_interval){ limit(out->share - half), limit(out->share + half) };
	out->share = limit(out->share);
	out->halved = normal_halved(rest, fixed, n, N);
}
