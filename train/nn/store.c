#include "train/nn/store_internal.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { PIECE = 1 << 16 };

static int add_span(struct ek_store *s, size_t first, size_t end)
{
	int rc = 0;

	for (; first < end; first += PIECE) {
		const size_t count = end - first < PIECE ? end - first : PIECE;

		EK_TRY(ek_resize(&s->pieces, s->piece_count + 1, sizeof *s->pieces));
		s->pieces[s->piece_count++] = (struct ek_store_piece){ .first = first, .count = count };
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
	s->device = ek_device();
	s->params = params;
	for (int f = 0; f < EK_FAMILIES; f++) {
		void *family;

		EK_TRY(s->device->alloc(&family, params->size * sizeof(float)));
		s->families[f] = family;
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
		s->device->release(s->families[f]);
	s->device->release(s->attached);
	free(s->host);
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
	s->device->upload(s->families[family] + first, x, count * sizeof *x);
}

void ek_store_read(const struct ek_store *s, enum ek_family family, size_t first, size_t count, float *out)
{
	s->device->download(out, s->families[family] + first, count * sizeof *out);
}

int ek_store_view(struct ek_store *s, enum ek_family family, const float **out)
{
	int rc = 0;

	*out = s->families[family];
	if (s->device->is_host)
		return 0;
	if (s->host == NULL)
		EK_TRY(ek_alloc(&s->host, s->params->size, sizeof *s->host));
	ek_store_read(s, family, 0, s->params->size, s->host);
	*out = s->host;
out:
	return rc;
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
	s->device->zero(s->families[EK_GRADIENTS], s->params->size * sizeof(float));
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
	s->device->add(s->families[EK_GRADIENTS] + s->params->items[parameter].offset, x, count);
}

void ek_store_pass(struct ek_store *s, int parameter)
{
	(void)atomic_fetch_add_explicit(&s->turns[parameter], 1, memory_order_release);
}

int ek_store_begin_step(struct ek_store *s, const struct ek_adamw *adamw, uint64_t step)
{
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
		.gradient = 1,
		.inverse1 = (float)(1 / (1 - pow(adamw->beta1, (double)step))),
		.root2 = (float)(1 / sqrt(1 - pow(adamw->beta2, (double)step))),
	};
	return s->device->step(s, adamw->clip);
}

int ek_store_end_step(struct ek_store *s, uint64_t step, double *norm)
{
	double sum;
	int rc;

	EK_TRY(s->device->stepped(s, &sum));
	*norm = sqrt(sum);
	if (!isfinite(*norm)) {
		ek_store_clear_gradients(s);
		return ek_fail(EK_EDATA, "step %llu: the gradient is not finite", (unsigned long long)step);
	}
	begin_turns(s);
out:
	return rc;
}

int ek_store_step(struct ek_store *s, const struct ek_adamw *adamw, uint64_t step, double *norm)
{
	int rc;

	EK_TRY(ek_store_begin_step(s, adamw, step));
	rc = ek_store_end_step(s, step, norm);
out:
	return rc;
}
