#include "train/score/moso.h"

double ek_moso_short(const struct ek_moso_at *at, double product, double square)
{
	return at->rate * (product - square / (double)at->images);
}

double ek_moso_full(const struct ek_moso_at *at, double product, double square)
{
	const double n = (double)at->images, others = (n - 1) * (n - 1);

	return at->rate * ((2 * n - 3) / others * at->mean_square - square / others +
	                   (2 * n - 4) / others * (product - square / n));
}

double ek_moso_mean(float *mean, const double *sum, size_t size, uint64_t images)
{
	double square = 0;

	for (size_t i = 0; i < size; i++) {
		mean[i] = (float)(sum[i] / (double)images);
		square += (double)mean[i] * (double)mean[i];
	}
	return square;
}
