#include "analysis/cluster/lbfgs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

enum { PAIRS = 10, HALVINGS = 40 };

struct state {
	size_t n;
	double *gradient, *direction, *next, *next_gradient; /* [n] */
	double *steps, *changes; /* [PAIRS, n] of x and of the gradient; pair i in place i % PAIRS */
	double scales[PAIRS];    /* 1 / (step · change) */
	size_t count;            /* pairs seen */
};

static double dot(const double *a, const double *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static void add(double *a, const double *b, double factor, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] += factor * b[i];
}

/* Minus the inverse Hessian that the pairs know times the gradient (the two-loop recursion). */
static void find_direction(struct state *s)
{
	const size_t known = s->count < PAIRS ? s->count : PAIRS;
	double alpha[PAIRS], scale = 1;

	for (size_t i = 0; i < s->n; i++)
		s->direction[i] = -s->gradient[i];
	for (size_t back = 1; back <= known; back++) {
		const size_t i = (s->count - back) % PAIRS;

		alpha[i] = s->scales[i] * dot(s->steps + i * s->n, s->direction, s->n);
		add(s->direction, s->changes + i * s->n, -alpha[i], s->n);
	}
	if (known > 0) {
		const size_t i = (s->count - 1) % PAIRS;
		const double *change = s->changes + i * s->n;

		scale = 1 / (s->scales[i] * dot(change, change, s->n));
	} else {
		scale = 1 / fmax(1, sqrt(dot(s->gradient, s->gradient, s->n)));
	}
	for (size_t i = 0; i < s->n; i++)
		s->direction[i] *= scale;
	for (size_t back = known; back > 0; back--) {
		const size_t i = (s->count - back) % PAIRS;
		const double beta = s->scales[i] * dot(s->changes + i * s->n, s->direction, s->n);

		add(s->direction, s->steps + i * s->n, alpha[i] - beta, s->n);
	}
}

static void keep_pair(struct state *s, const double *x)
{
	const size_t i = s->count % PAIRS;
	double *step = s->steps + i * s->n, *change = s->changes + i * s->n, product;

	for (size_t j = 0; j < s->n; j++) {
		step[j] = s->next[j] - x[j];
		change[j] = s->next_gradient[j] - s->gradient[j];
	}
	product = dot(step, change, s->n);
	if (!(product > 0))
		return;
	s->scales[i] = 1 / product;
	s->count++;
}

static int is_flat(const double *gradient, size_t n, double tolerance)
{
	for (size_t i = 0; i < n; i++)
		if (!(fabs(gradient[i]) <= tolerance))
			return 0;
	return 1;
}

static int init(struct state *s, size_t n)
{
	int rc;

	*s = (struct state){ .n = n };
	EK_TRY(ek_alloc(&s->gradient, n, sizeof *s->gradient));
	EK_TRY(ek_alloc(&s->direction, n, sizeof *s->direction));
	EK_TRY(ek_alloc(&s->next, n, sizeof *s->next));
	EK_TRY(ek_alloc(&s->next_gradient, n, sizeof *s->next_gradient));
	EK_TRY(ek_alloc(&s->steps, PAIRS * n, sizeof *s->steps));
	EK_TRY(ek_alloc(&s->changes, PAIRS * n, sizeof *s->changes));
out:
	return rc;
}

static void release(struct state *s)
{
	free(s->gradient);
	free(s->direction);
	free(s->next);
	free(s->next_gradient);
	free(s->steps);
	free(s->changes);
}

int ek_lbfgs(double *x, size_t n, double (*value)(void *context, const double *x, double *gradient), void *context,
             int rounds, double tolerance)
{
	struct state s;
	double now, then = 0;
	int rc;

	EK_TRY(init(&s, n));
	now = value(context, x, s.gradient);
	for (int r = 0; r < rounds && !is_flat(s.gradient, n, tolerance); r++) {
		double step = 1, slope;
		int tries = 0;

		EK_TRY(ek_check_interrupt());
		find_direction(&s);
		slope = dot(s.direction, s.gradient, n);
		for (; tries < HALVINGS; tries++, step /= 2) {
			memcpy(s.next, x, n * sizeof *x);
			add(s.next, s.direction, step, n);
			then = value(context, s.next, s.next_gradient);
			if (then <= now + 1e-4 * step * slope)
				break;
		}
		if (tries == HALVINGS || !(then < now))
			break;
		keep_pair(&s, x);
		memcpy(x, s.next, n * sizeof *x);
		memcpy(s.gradient, s.next_gradient, n * sizeof *x);
		now = then;
	}
out:
	release(&s);
	return rc;
}
