/*
 * Samples that a solver moves, on the device or on the host: their places in double, the predictions of a network for
 * them in float32, and what is done with both, one pass over all numbers a step. Arrays are [count, pixels, channels],
 * predictions [count, pixels, outputs].
 */
#ifndef EK_NN_SAMPLES_H
#define EK_NN_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

struct ek_device;

struct ek_samples {
	const struct ek_device *device;
	size_t count, pixels, channels, outputs;
	double *x, *slope, *noise;
	float *place;          /* x, or where else a prediction is wanted, as a network takes it */
	float *with, *without; /* predictions there: with the label, and without, for guidance */
	uint64_t *seeds;
};

/* on_device: 1: on the chosen one (device.h), whose memory the arrays are. seeds: [count], copied. EK_ENOMEM. */
int ek_samples_init(struct ek_samples *s, int on_device, const uint64_t *seeds);
/* `= { 0 }` can be released. */
void ek_samples_release(struct ek_samples *s);
/* Numbers of all samples. */
size_t ek_samples_size(const struct ek_samples *s);
/* out, one of the arrays: ek_random_normal(seed, stream, step · numbers of a sample + …) for each sample. */
int ek_samples_normals(struct ek_samples *s, double *out, uint64_t stream, uint64_t step);
/* x to `out` on the host; waits for it. */
int ek_samples_read(const struct ek_samples *s, double *out);

enum ek_move_kind {
	EK_MOVE_NONE,  /* x as it is */
	EK_MOVE_ALONG, /* x += length slope(x) */
	EK_MOVE_TRY,   /* slope = slope(x); place = x + length slope */
	EK_MOVE_MEAN,  /* x += length (slope + slope(x + length slope)) / 2 */
	EK_MOVE_NOISY, /* x += slope(x) length + spread noise */
	EK_MOVE_BACK   /* a step of ancestral sampling (diffusion.h); the prediction is of the noise */
};

/* In all but TRY place = x afterwards. */
struct ek_move {
	enum ek_move_kind kind;
	/* Classifier-free guidance: without + guidance (with - without) in the first `guided` channels. */
	double guidance;
	size_t guided;
	double m, x; /* slope(x) = m prediction + x x */
	double length, spread;
	/* BACK: x1 = x / root - noise e; x = from_x1 x1 + from_x x, and noise, if spread is not 0, by a variance
	 * between these two ends: at 1, or as the second half of the outputs says. */
	double root, noise, from_x1, from_x, log_beta, log_posterior;
};

/* What a network predicts, guided; channel: of the first half of its outputs. */
#ifdef __CUDACC__
#define EK_SAMPLES_INLINE static __device__ inline
#else
#define EK_SAMPLES_INLINE static inline
#endif
EK_SAMPLES_INLINE double ek_move_prediction(const struct ek_move *move, float with, float without, size_t channel)
{
	if (channel >= move->guided)
		return (double)with;
	return (double)(float)((double)without + move->guidance * ((double)with - (double)without));
}

EK_SAMPLES_INLINE double ek_move_slope(const struct ek_move *move, double prediction, double x)
{
	return move->m * prediction + (move->x != 0 ? move->x * x : 0);
}

/* Takes the step, or starts it: the device works by itself. */
int ek_samples_move(struct ek_samples *s, const struct ek_move *move);

#endif
