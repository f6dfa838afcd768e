#include "train/nn/store_internal.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
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

struct ek_store {
	const struct ek_params *params;
	float *families[EK_FAMILIES];
	atomic_ullong *turns; /* [params->count]: how many have added to the gradient of each */
	atomic_int given_up;
	struct piece *pieces;
	size_t piece_count;
	struct ek_adamw_factors factors; /* of the step that runs */
};

static int add_span(struct ek_store *s, size_t first, size_t end)
{
	int rc = 0;

	for (; first < end; first += PIECE) {
		const size_t count = end - first < PIECE ? end - first : PIECE;

		EK_TRY(ek_resize(&s->pieces, s->piece_count + 1, sizeof *s->pieces));
		s->pieces[s->piece_count++] = (struct piece){ .first = first, .count = count };
	}
out:
	return rc;
}

static int cut(struct ek_store *s)
{
	size_t start = 0;
	int rc = 0;

	for (int i = 0; i < s->params->count; i++) {
		const struct ek_param *p = &s->params->items[i];

		if (!p->frozen)
			continue;
		EK_TRY(add_span(s, start, p->offset));
		start = p->offset + p->count;
	}
	EK_TRY(add_span(s, start, s->params->size));
out:
	return rc;
}

int ek_store_new(struct ek_store **out, const struct ek_params *params)
{
	struct ek_store *s = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&s, 1, sizeof *s));
	s->params = params;
	for (int f = 0; f < EK_FAMILIES; f++) {
		EK_TRY(ek_alloc_aligned(&s->families[f], params->size, sizeof(float)));
		memset(s->families[f], 0, params->size * sizeof(float));
	}
	EK_TRY(ek_alloc(&s->turns, (size_t)params->count, sizeof *s->turns));
	EK_TRY(cut(s));
	*out = s;
	s = NULL;
out:
	ek_store_free(s);
	return rc;
}

void ek_store_free(struct ek_store *s)
{
	if (s == NULL)
		return;
	for (int f = 0; f < EK_FAMILIES; f++)
		free(s->families[f]);
	free(s->turns);
	free(s->pieces);
	free(s);
}

uint64_t ek_store_bytes(const struct ek_params *params)
{
	return (uint64_t)params->size * sizeof(float) * EK_FAMILIES;
}

void ek_store_write(struct ek_store *s, enum ek_family family, size_t first, size_t count, const float *x)
{
	memcpy(s->families[family] + first, x, count * sizeof *x);
}

void ek_store_read(const struct ek_store *s, enum ek_family family, size_t first, size_t count, float *out)
{
	memcpy(out, s->families[family] + first, count * sizeof *out);
}

int ek_store_view(const struct ek_store *s, enum ek_family family, const float **out)
{
	*out = s->families[family];
	return 0;
}

float *ek_store_data(const struct ek_store *s, enum ek_family family)
{
	return s->families[family];
}

static void begin_turns(struct ek_store *s)
{
	for (int i = 0; i < s->params->count; i++)
		atomic_store_explicit(&s->turns[i], 0, memory_order_relaxed);
	atomic_store(&s->given_up, 0);
}

void ek_store_clear_gradients(struct ek_store *s)
{
	memset(s->families[EK_GRADIENTS], 0, s->params->size * sizeof(float));
	begin_turns(s);
}

int ek_store_give_up(struct ek_store *s)
{
	return atomic_exchange(&s->given_up, 1) == 0;
}

int ek_store_wait(struct ek_store *s, int parameter, uint64_t turn)
{
	while (atomic_load_explicit(&s->turns[parameter], memory_order_acquire) < turn) {
		if (atomic_load_explicit(&s->given_up, memory_order_relaxed))
			return ek_fail(EK_EINTERRUPTED, "another slice of the batch failed");
		(void)sched_yield();
	}
	return 0;
}

void ek_store_add(struct ek_store *s, int parameter, size_t count, const float *x)
{
	ek_nn_vector()->accumulate(s->families[EK_GRADIENTS] + s->params->items[parameter].offset, x, count);
}

void ek_store_pass(struct ek_store *s, int parameter)
{
	(void)atomic_fetch_add_explicit(&s->turns[parameter], 1, memory_order_release);
}

static int measure(void *context, uint64_t i, int worker)
{
	struct ek_store *s = context;
	struct piece *p = &s->pieces[i];

	(void)worker;
	p->squares = ek_net_kernels()->sum_squares(s->families[EK_GRADIENTS] + p->first, p->count);
	return 0;
}

static int update(void *context, uint64_t i, int worker)
{
	struct ek_store *s = context;
	const struct piece *p = &s->pieces[i];
	float *gradients = s->families[EK_GRADIENTS] + p->first;

	(void)worker;
	ek_net_kernels()->adamw(s->families[EK_VALUES] + p->first, s->families[EK_AVERAGE] + p->first,
	                        s->families[EK_FIRST] + p->first, s->families[EK_SECOND] + p->first, gradients,
	                        p->count, &s->factors);
	memset(gradients, 0, p->count * sizeof *gradients);
	return 0;
}

int ek_store_step(struct ek_store *s, const struct ek_adamw *adamw, uint64_t step, double *norm)
{
	double sum = 0, scale = 1;
	int rc;

	EK_TRY(ek_parallel(s->piece_count, measure, s));
	for (size_t i = 0; i < s->piece_count; i++)
		sum += s->pieces[i].squares;
	*norm = sqrt(sum);
	if (!isfinite(*norm)) {
		ek_store_clear_gradients(s);
		return ek_fail(EK_EDATA, "step %llu: the gradient is not finite", (unsigned long long)step);
	}
	if (adamw->clip > 0)
		scale = fmin(1, adamw->clip / (*norm + 1e-6)); /* as torch.nn.utils.clip_grad_norm_ */
	s->factors = (struct ek_adamw_factors){
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
	EK_TRY(ek_parallel(s->piece_count, update, s));
	begin_turns(s);
out:
	return rc;
}
