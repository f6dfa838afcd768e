/* One number of a sample, moved, on either device. Internal to train/nn. */
#ifndef EK_NN_SAMPLES_INTERNAL_H
#define EK_NN_SAMPLES_INTERNAL_H

#include <math.h>

#include "train/nn/samples.h"

EK_SAMPLES_INLINE double ek_move_back(const struct ek_move *move, double e, double v, double x, double noise)
{
	const double log_variance = (v + 1) / 2 * move->log_beta + (1 - v) / 2 * move->log_posterior;
	const double x1 = x / move->root - move->noise * e;
	const double mean = move->from_x1 * x1 + move->from_x * x;

	return move->spread != 0 ? mean + exp(log_variance / 2) * noise : mean;
}

/* Number i over all samples. */
EK_SAMPLES_INLINE void ek_move_number(const struct ek_samples *s, const struct ek_move *move, size_t i)
{
	const size_t channel = i % s->channels, at = i / s->channels * s->outputs + channel;
	const double m =
		move->kind != EK_MOVE_NONE ? ek_move_prediction(move, s->with[at], s->without[at], channel) : 0;
	double x = s->x[i], slope, place;

	switch (move->kind) {
	case EK_MOVE_ALONG:
		x += move->length * ek_move_slope(move, m, x);
		break;
	case EK_MOVE_TRY:
		slope = ek_move_slope(move, m, x);
		s->slope[i] = slope;
		s->place[i] = (float)(x + move->length * slope);
		return;
	case EK_MOVE_MEAN:
		place = x + move->length * s->slope[i];
		x += move->length * (s->slope[i] + ek_move_slope(move, m, place)) / 2;
		break;
	case EK_MOVE_NOISY:
		x += ek_move_slope(move, m, x) * move->length + (move->spread != 0 ? move->spread * s->noise[i] : 0);
		break;
	case EK_MOVE_BACK:
		x = ek_move_back(move, m, s->outputs > s->channels ? (double)s->with[at + s->channels] : 1, x,
		                 move->spread != 0 ? s->noise[i] : 0);
		break;
	case EK_MOVE_NONE:
	default:
		break;
	}
	s->x[i] = x;
	s->place[i] = (float)x;
}

/* Columns of the devices. */
int ek_cpu_move(const struct ek_samples *s, const struct ek_move *move);
int ek_cpu_normals(const struct ek_samples *s, double *out, uint64_t stream, uint64_t step);
int ek_cuda_move(const struct ek_samples *s, const struct ek_move *move);
int ek_cuda_normals(const struct ek_samples *s, double *out, uint64_t stream, uint64_t step);

#endif
