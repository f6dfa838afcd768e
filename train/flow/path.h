/*
 * The paths of flow matching (Albergo and Vanden-Eijnden 2023; Ma et al. 2024, SiT), and what a network can predict on
 * them: x_t = alpha(t) x1 + sigma(t) x0 with x1 data, x0 standard normal noise, noise at t = 0 and data at t = 1.
 * Formulas are those of the public SiT code. Everything here is a pure function in double.
 */
#ifndef EK_FLOW_PATH_H
#define EK_FLOW_PATH_H

enum ek_path {
	EK_PATH_LINEAR, /* alpha = t, sigma = 1 - t */
	EK_PATH_GVP,    /* sine and cosine of t pi / 2 */
	EK_PATH_VP      /* variance preserving, beta from 0.1 to 20 */
};
enum ek_prediction {
	EK_PREDICT_VELOCITY, /* v = E[d_alpha x1 + d_sigma x0 | x_t] */
	EK_PREDICT_NOISE,    /* e = E[x0 | x_t] */
	EK_PREDICT_SCORE,    /* s = the gradient of the log density, -e / sigma */
	EK_PREDICT_DATA      /* E[x1 | x_t]; not in the public code */
};

/* The path at a time. d_: the derivative by t. */
struct ek_path_point {
	double alpha, d_alpha, sigma, d_sigma;
	double ratio;    /* d_alpha / alpha; infinite at t = 0 but for VP */
	double variance; /* ratio sigma^2 - sigma d_sigma */
};
struct ek_path_point ek_path_at(enum ek_path path, double t);

/* Velocity and score are linear in the prediction m and the place x: m_factor m + x_factor x. */
struct ek_path_linear {
	double m, x;
};
struct ek_path_linear ek_path_velocity(const struct ek_path_point *p, enum ek_prediction prediction);
/* Not where sigma is 0. */
struct ek_path_linear ek_path_score(const struct ek_path_point *p, enum ek_prediction prediction);

/*
 * The times that are safe to train on (epsilon 1e-5 for VP, 1e-3 for a prediction of noise, score or data, else all)
 * and, with `sampling`, to sample by an ODE (1e-3 for VP, too).
 */
void ek_path_interval(double *t0, double *t1, enum ek_path path, enum ek_prediction prediction, int sampling);

#endif
