#include "train/nn/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "train/nn/net_kernels.h"
#include "train/nn/vector.h"

enum { PIECE = 1 << 16 };

/* A part of the arrays without frozen parameters. */
struct piece {
	size_t first, count;
	double squares;
};

struct ek_optimizer {
	float *moments[2];
	struct piece *pieces;
	size_t piece_count;
	/* Of the step that runs. */
	float *const *gradients;
	int lanes;
	float *values, *average;
	struct ek_adamw_factors factors;
};

static int add_span(struct ek_optimizer *o, size_t first, size_t end)
{
	int rc = 0;

	for (; first < end; first += PIECE) {
		const size_t count = end - first < PIECE ? end - first : PIECE;

		EK_TRY(ek_resize(&o->pieces, o->piece_count + 1, sizeof *o->pieces));
		o->pieces[o->piece_count++] = (struct piece){ .first = first, .count = count };
	}
out:
	return rc;
}

static int cut(struct ek_optimizer *o, const struct ek_params *params)
{
	size_t start = 0;
	int rc = 0;

	for (int i = 0; i < params->count; i++) {
		const struct ek_param *p = &params->items[i];

		if (!p->frozen)
			continue;
		EK_TRY(add_span(o, start, p->offset));
		start = p->offset + p->count;
	}
	EK_TRY(add_span(o, start, params->size));
out:
	return rc;
}

int ek_optimizer_new(struct ek_optimizer **out, const struct ek_params *params)
{
	struct ek_optimizer *o = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&o, 1, sizeof *o));
	EK_TRY(ek_alloc(&o->moments[0], params->size, sizeof(float)));
	EK_TRY(ek_alloc(&o->moments[1], params->size, sizeof(float)));
	EK_TRY(cut(o, params));
	*out = o;
	o = NULL;
out:
	ek_optimizer_free(o);
	return rc;
}

void ek_optimizer_free(struct ek_optimizer *o)
{
	if (o == NULL)
		return;
	free(o->moments[0]);
	free(o->moments[1]);
	free(o->pieces);
	free(o);
}

float *ek_optimizer_moments(struct ek_optimizer *o, int which)
{
	return o->moments[which];
}

static int add_up(void *context, uint64_t i, int worker)
{
	struct ek_optimizer *o = context;
	struct piece *p = &o->pieces[i];
	float *sum = o->gradients[0] + p->first;

	(void)worker;
	for (int lane = 1; lane < o->lanes; lane++) {
		ek_nn_vector()->accumulate(sum, o->gradients[lane] + p->first, p->count);
		memset(o->gradients[lane] + p->first, 0, p->count * sizeof *sum);
	}
	p->squares = ek_net_kernels()->sum_squares(sum, p->count);
	return 0;
}

static int update(void *context, uint64_t i, int worker)
{
	struct ek_optimizer *o = context;
	const struct piece *p = &o->pieces[i];

	(void)worker;
	ek_net_kernels()->adamw(o->values + p->first, o->average != NULL ? o->average + p->first : NULL,
	                        o->moments[0] + p->first, o->moments[1] + p->first, o->gradients[0] + p->first,
	                        p->count, &o->factors);
	memset(o->gradients[0] + p->first, 0, p->count * sizeof(float));
	return 0;
}

static int forget(void *context, uint64_t i, int worker)
{
	struct ek_optimizer *o = context;

	(void)worker;
	memset(o->gradients[0] + o->pieces[i].first, 0, o->pieces[i].count * sizeof(float));
	return 0;
}

int ek_optimizer_step(struct ek_optimizer *o, const struct ek_adamw *adamw, float *const *gradients, int lanes,
                      uint64_t step, float *values, float *average, double *norm)
{
	double sum = 0, scale = 1;
	int rc;

	o->gradients = gradients;
	o->lanes = lanes;
	o->values = values;
	o->average = average;
	EK_TRY(ek_parallel(o->piece_count, add_up, o));
	for (size_t i = 0; i < o->piece_count; i++)
		sum += o->pieces[i].squares;
	*norm = sqrt(sum);
	if (!isfinite(*norm)) {
		EK_TRY(ek_parallel(o->piece_count, forget, o));
		return ek_fail(EK_EDATA, "step %llu: the gradient is not finite", (unsigned long long)step);
	}
	if (adamw->clip > 0)
		scale = fmin(1, adamw->clip / (*norm + 1e-6)); /* as torch.nn.utils.clip_grad_norm_ */
	o->factors = (struct ek_adamw_factors){
		.rate = (float)adamw->rate,
		.decay = (float)(1 - adamw->rate * adamw->decay),
		.epsilon = (float)adamw->epsilon,
		.beta1 = (float)adamw->beta1,
		.fresh1 = (float)(1 - adamw->beta1),
		.beta2 = (float)adamw->beta2,
		.fresh2 = (float)(1 - adamw->beta2),
		.average = (float)adamw->average,
		.fresh = (float)(1 - adamw->average),
		.gradient = (float)scale,
		.inverse1 = (float)(1 / (1 - pow(adamw->beta1, (double)step))),
		.root2 = (float)(1 / sqrt(1 - pow(adamw->beta2, (double)step))),
	};
	EK_TRY(ek_parallel(o->piece_count, update, o));
out:
	return rc;
}
