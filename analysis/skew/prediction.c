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

void ek_prediction_share(double *share, struct ek_interval *interval, const double *f, const uint8_t *y, uint64_t n,
                         double mean, double variance, uint64_t N)
{
	const double count = (double)n;
	double yes = 0, sum = 0, product = 0, squares = 0, power, rest, half;

	for (uint64_t i = 0; i < n; i++) {
		yes += y[i];
		sum += f[i];
		squares += f[i] * f[i];
		product += y[i] * f[i];
	}
	*interval = ek_wilson((uint64_t)yes, n);
	*share = yes / count;
	if (n < 2 * FEW || yes < FEW || count - yes < FEW)
		return;
	product = (product - yes * sum / count) / (count - 1);
	squares = (squares - sum * sum / count) / (count - 1);
	power = squares > 0 ? limit(product / ((1 + count / (double)N) * squares)) : 0;
	rest = (yes - yes * yes / count) / (count - 1) - 2 * power * product + power * power * squares;
	*share = (yes - power * sum) / count + power * mean;
	half = student(count - 1) * sqrt(rest / count + power * power * variance / (double)N);
	*interval = (struct ek_interval){ limit(*share - half), limit(*share + half) };
	*share = limit(*share);
}
