#include "rebalance/plan/design.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/blas.h"
#include "analysis/cluster/pieces.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/text.h"

enum { BLOCK = 512, PIECE = 64, TEMPER_STEPS = 60 };

/* A round that gains so little of the logarithm of the determinant, or of the entropy, is the last. */
static const double least_gain = 1e-4;

struct design {
	const float *x;
	uint64_t n;
	size_t d, side;  /* side: of the matrix; d + 1 where rows have a leading 1 */
	const double *w; /* [n] sums to 1 */
	double *matrix;  /* [side, side] */
	double *axes;    /* [side, side] rows to multiply x by */
	double *factors; /* [side] of each squared product, or NULL: 1 */
	double *block;   /* [BLOCK, side] */
	double *room;    /* [threads, PIECE, 2 side] */
	double *value;   /* [n] sum of factor · product² */
	int unit;        /* rows are scaled to unit length */
};

static void read_row(double *out, const struct design *g, uint64_t i)
{
	const float *row = g->x + i * g->d;
	double *to = out + (g->side - g->d), norm = 0;

	if (g->side > g->d)
		out[0] = 1;
	for (size_t j = 0; j < g->d; j++) {
		to[j] = (double)row[j];
		norm += to[j] * to[j];
	}
	for (size_t j = 0; g->unit && norm > 0 && j < g->d; j++)
		to[j] /= sqrt(norm);
}

/* M, both triangles. */
static int sum_matrix(struct design *g)
{
	int rc = 0;

	memset(g->matrix, 0, g->side * g->side * sizeof *g->matrix);
	for (uint64_t first = 0; first < g->n; first += BLOCK) {
		const size_t count = (size_t)(g->n - first < BLOCK ? g->n - first : BLOCK);

		EK_TRY(ek_check_interrupt());
		for (size_t i = 0; i < count; i++) {
			const double root = sqrt(g->w[first + i]);

			read_row(g->block + i * g->side, g, first + i);
			for (size_t j = 0; j < g->side; j++)
				g->block[i * g->side + j] *= root;
		}
		EK_TRY(ek_blas_add_gram(g->matrix, g->block, count, g->side));
	}
	ek_blas_mirror(g->matrix, g->side);
out:
	return rc;
}

static int value_piece(void *context, uint64_t piece, int worker)
{
	const struct design *g = context;
	const uint64_t first = piece * PIECE, count = g->n - first < PIECE ? g->n - first : PIECE;
	double *x = g->room + (size_t)worker * PIECE * 2 * g->side, *y = x + PIECE * g->side;

	for (uint64_t i = 0; i < count; i++)
		read_row(x + i * g->side, g, first + i);
	ek_blas_multiply(y, x, (size_t)count, g->side, g->axes, g->side);
	for (uint64_t i = 0; i < count; i++) {
		double sum = 0;

		for (size_t j = 0; j < g->side; j++)
			sum += (g->factors != NULL ? g->factors[j] : 1) * y[i * g->side + j] * y[i * g->side + j];
		g->value[first + i] = sum;
	}
	return ek_check_interrupt();
}

static int find_values(struct design *g)
{
	return ek_pieces((g->n + PIECE - 1) / PIECE, value_piece, g, (double)g->n * (double)g->side * (double)g->side);
}

static int init(struct design *g, const float *x, uint64_t n, size_t d, int leading, double *value)
{
	int rc;

	*g = (struct design){ .x = x, .n = n, .d = d, .side = d + (size_t)leading, .unit = !leading, .value = value };
	EK_TRY(ek_alloc(&g->matrix, g->side * g->side, sizeof *g->matrix));
	EK_TRY(ek_alloc(&g->axes, g->side * g->side, sizeof *g->axes));
	EK_TRY(ek_alloc(&g->factors, g->side, sizeof *g->factors));
	EK_TRY(ek_alloc(&g->block, BLOCK * g->side, sizeof *g->block));
	EK_TRY(ek_alloc(&g->room, (size_t)ek_threads() * PIECE * 2 * g->side, sizeof *g->room));
	for (size_t j = 0; j < g->side; j++)
		g->factors[j] = 1;
out:
	return rc;
}

static void release(struct design *g)
{
	free(g->matrix);
	free(g->axes);
	free(g->factors);
	free(g->block);
	free(g->room);
}

/* value = x' M^-1 x; `*measure` = ln det M. */
static int measure_design(struct design *g, double *measure)
{
	int rc;

	EK_TRY(sum_matrix(g));
	if ((rc = ek_blas_whiten(g->matrix, g->side, measure)) == EK_EDATA)
		rc = ek_fail(EK_EDATA, "%" PRIu64 " image%s not differ in each of %zu component%s", g->n,
		             g->n == 1 ? " does" : "s do", g->d, ek_text_s(g->d));
	EK_TRY(rc);
	memcpy(g->axes, g->matrix, g->side * g->side * sizeof *g->axes);
	EK_TRY(find_values(g));
out:
	return rc;
}

/* value = -x' ln(M) x; `*measure` = the entropy of M. */
static int measure_vendi(struct design *g, double *measure)
{
	double sum = 0;
	int rc;

	EK_TRY(sum_matrix(g));
	EK_TRY(ek_blas_eigen(g->factors, g->axes, g->side, g->matrix, NULL, g->side));
	for (size_t j = 0; j < g->side; j++) {
		const double value = fmax(g->factors[j], 1e-12);

		sum -= value * log(value);
		g->factors[j] = -log(value);
	}
	*measure = sum;
	EK_TRY(find_values(g));
out:
	return rc;
}

static void scale(double *w, uint64_t n, double to)
{
	double sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += w[i];
	for (uint64_t i = 0; i < n; i++)
		w[i] *= to / sum;
}

static int improve(double *w, const float *x, uint64_t n, size_t d, int rounds, int design)
{
	double *value = NULL, measure, before = -INFINITY;
	struct design g = { 0 };
	int rc;

	EK_TRY(ek_alloc(&value, n, sizeof *value));
	EK_TRY(init(&g, x, n, d, design, value));
	for (uint64_t i = 0; i < n; i++)
		w[i] = 1 / (double)n;
	g.w = w;
	ek_progress_begin(design ? "design" : "Vendi weights", "rounds", (uint64_t)rounds);
	for (int r = 0; r < rounds; r++) {
		EK_TRY(design ? measure_design(&g, &measure) : measure_vendi(&g, &measure));
		for (uint64_t i = 0; i < n; i++)
			w[i] *= design ? value[i] / (double)(d + 1) : exp(value[i]);
		scale(w, n, 1);
		ek_progress_add(1);
		if (measure - before < least_gain)
			break;
		before = measure;
	}
	scale(w, n, (double)n);
out:
	ek_progress_end();
	release(&g);
	free(value);
	return rc;
}

int ek_design_weights(double *w, const float *x, uint64_t n, size_t d, int rounds)
{
	return improve(w, x, n, d, rounds, 1);
}

int ek_vendi_weights(double *w, const float *x, uint64_t n, size_t d, int rounds)
{
	return improve(w, x, n, d, rounds, 0);
}

int ek_design_leverage(double *out, const float *x, uint64_t n, size_t d)
{
	struct design g = { 0 };
	double *w = NULL, measure;
	int rc;

	EK_TRY(ek_alloc(&w, n, sizeof *w));
	EK_TRY(init(&g, x, n, d, 1, out));
	for (uint64_t i = 0; i < n; i++)
		w[i] = 1 / (double)n;
	g.w = w;
	EK_TRY(measure_design(&g, &measure));
	for (uint64_t i = 0; i < n; i++)
		out[i] -= 1;
out:
	release(&g);
	free(w);
	return rc;
}

double ek_weights_worth(const double *w, uint64_t n)
{
	double sum = 0, squares = 0;

	for (uint64_t i = 0; i < n; i++) {
		sum += w[i];
		squares += w[i] * w[i];
	}
	return sum * sum / squares / (double)n;
}

/* Of w^a, without making it. */
static double worth_of_power(const double *w, uint64_t n, double a)
{
	double sum = 0, squares = 0;

	for (uint64_t i = 0; i < n; i++) {
		const double x = pow(w[i], a);

		sum += x;
		squares += x * x;
	}
	return sum * sum / squares / (double)n;
}

double ek_weights_temper(double *w, uint64_t n, double share)
{
	double low = 0, high = 1, most = 0;

	for (uint64_t i = 0; i < n; i++)
		most = fmax(most, w[i]);
	for (uint64_t i = 0; i < n; i++) /* so that no power overflows, and a weight of 0 stays a weight */
		w[i] = fmax(w[i] / most, 0x1p-500);
	if (worth_of_power(w, n, 1) >= share)
		low = 1;
	for (int s = 0; low < 1 && s < TEMPER_STEPS; s++) {
		const double middle = (low + high) / 2;

		*(worth_of_power(w, n, middle) >= share ? &low : &high) = middle;
	}
	for (uint64_t i = 0; i < n; i++)
		w[i] = pow(w[i], low);
	scale(w, n, (double)n);
	return low;
}
