/* The CPU: its memory, its column of the operators and of the store. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "train/nn/bf16.h"
#include "train/nn/ops/codebook_cpu.h"
#include "train/nn/ops/dnn_cpu.h"
#include "train/nn/samples_internal.h"
#include "train/nn/store_internal.h"

static int alloc(void **out, size_t bytes)
{
	unsigned char *memory;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc_aligned(&memory, 1, bytes));
	memset(memory, 0, bytes);
	*out = memory;
out:
	return rc;
}

static void settle(void)
{
}

static void copy(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
}

static void zero(void *to, size_t bytes)
{
	memset(to, 0, bytes);
}

static void add(float *sum, const float *x, size_t count)
{
	ek_nn_vector()->accumulate(sum, x, count);
}

static int measure_piece(void *context, uint64_t i, int worker)
{
	struct ek_store *s = context;
	struct ek_store_piece *p = &s->pieces[i];

	(void)worker;
	p->squares = ek_net_kernels()->sum_squares(s->families[EK_GRADIENTS] + p->first, p->count);
	return 0;
}

static int sum_squares(struct ek_store *s, double *sum)
{
	int rc;

	*sum = 0;
	EK_TRY(ek_parallel(s->piece_count, measure_piece, s));
	for (size_t i = 0; i < s->piece_count; i++)
		*sum += s->pieces[i].squares;
out:
	return rc;
}

static int update_piece(void *context, uint64_t i, int worker)
{
	struct ek_store *s = context;
	const struct ek_store_piece *p = &s->pieces[i];
	float *gradients = s->families[EK_GRADIENTS] + p->first;

	(void)worker;
	ek_net_kernels()->adamw(s->families[EK_VALUES] + p->first, s->families[EK_AVERAGE] + p->first,
	                        s->families[EK_FIRST] + p->first, s->families[EK_SECOND] + p->first, gradients,
	                        p->count, &s->factors);
	memset(gradients, 0, p->count * sizeof *gradients);
	return 0;
}

static int step(struct ek_store *s, double clip)
{
	int rc;

	EK_TRY(sum_squares(s, &s->squares));
	s->factors.gradient = ek_store_scale(sqrt(s->squares), clip);
	if (isfinite(s->squares))
		EK_TRY(ek_parallel(s->piece_count, update_piece, s));
out:
	return rc;
}

static int stepped(const struct ek_store *s, double *sum)
{
	*sum = s->squares;
	return 0;
}

#define ROW(kind, column, name, needs) [EK_NET_##kind] = &ek_net_cpu_##column,

const struct ek_device ek_device_cpu = {
	.name = "CPU",
	.is_host = 1,
	.has_bf16 = ek_nn_cpu_has_bf16,
	.available = ek_memory_available,
	.alloc = alloc,
	.release = free,
	.alloc_host = alloc,
	.release_host = free,
	.settle = settle,
	.upload = copy,
	.download = copy,
	.copy = copy,
	.zero = zero,
	.prepare = ek_cpu_prepare,
	.unprepare = ek_cpu_unprepare,
	.attach = ek_cpu_attach,
	.detach = ek_cpu_detach,
	.enter = ek_dnn_enter,
	.leave = ek_dnn_leave,
	.codes = { EK_NET_OPERATORS(ROW) },
	.add = add,
	.sum_squares = sum_squares,
	.step = step,
	.stepped = stepped,
	.move_codes = ek_cpu_move_codes,
	.move = ek_cpu_move,
	.normals = ek_cpu_normals,
};
