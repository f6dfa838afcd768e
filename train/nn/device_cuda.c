/* A GPU: its memory, its column of the operators and of the store. */
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/cuda_internal.h"
#include "train/nn/net_internal.h"
#include "train/nn/ops/codebook_cuda.h"
#include "train/nn/samples_internal.h"
#include "train/nn/store_cuda.h"
#include "train/nn/store_internal.h"

static int alloc_host(void **out, size_t bytes)
{
	ek_cuda_enter();
	return ek_cuda_check(cudaMallocHost(out, bytes > 0 ? bytes : 1), "taking memory that does not move");
}

static void release_host(void *memory)
{
	ek_cuda_enter();
	if (memory != NULL)
		ek_cuda_note(cudaFreeHost(memory));
}

static cudaEvent_t uploaded;

static void upload(void *to, const void *host, size_t bytes)
{
	ek_cuda_enter();
	if (uploaded == NULL)
		ek_cuda_note(cudaEventCreateWithFlags(&uploaded, cudaEventDisableTiming));
	ek_cuda_note(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, ek_cuda_stream()));
	ek_cuda_note(cudaEventRecord(uploaded, ek_cuda_stream()));
}

static void settle(void)
{
	ek_cuda_enter();
	if (uploaded != NULL)
		ek_cuda_note(cudaEventSynchronize(uploaded));
}

static void download(void *host, const void *from, size_t bytes)
{
	ek_cuda_enter();
	ek_cuda_note(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, ek_cuda_stream()));
	ek_cuda_note(cudaStreamSynchronize(ek_cuda_stream()));
}

static void copy(void *to, const void *from, size_t bytes)
{
	ek_cuda_enter();
	ek_cuda_note(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, ek_cuda_stream()));
}

static void zero(void *to, size_t bytes)
{
	ek_cuda_enter();
	ek_cuda_note(cudaMemsetAsync(to, 0, bytes, ek_cuda_stream()));
}

static int check(void)
{
	return ek_cuda_launched("its work");
}

static int has_bf16(void)
{
	return 1;
}

static uint64_t available(void)
{
	size_t total = 0, free_bytes = 0;

	ek_cuda_enter();
	ek_cuda_note(cudaMemGetInfo(&free_bytes, &total));
	return free_bytes;
}

static int prepare(struct ek_net *net, struct ek_net_op *op)
{
	const struct ek_net_code *code = net->device->codes[op->kind];

	ek_cuda_enter();
	return code->prepare != NULL ? code->prepare(net, op) : 0;
}

static void unprepare(struct ek_net_op *op)
{
	struct ek_cuda_plan *plan = op->prepared;

	if (plan != NULL && plan->release != NULL)
		plan->release(plan);
	free(plan);
	op->prepared = NULL;
}

static int attach(struct ek_net_state *s, const struct ek_net_op *op, void **out)
{
	(void)s;
	(void)op;
	*out = NULL;
	return 0;
}

static void detach(void *attached)
{
	(void)attached;
}

static int enter(void)
{
	ek_cuda_enter();
	return 0;
}

static void leave(int before)
{
	(void)before;
}

/* The store's pieces, and behind them the sum of their squares. */
static int bring_pieces(struct ek_store *s)
{
	struct ek_cuda_piece *pieces = NULL;
	int rc = 0;

	if (s->attached != NULL)
		return 0;
	EK_TRY(ek_alloc(&pieces, s->piece_count + 1, sizeof *pieces));
	for (size_t i = 0; i < s->piece_count; i++)
		pieces[i] = (struct ek_cuda_piece){ s->pieces[i].first, s->pieces[i].count, 0 };
	EK_TRY(ek_cuda_alloc(&s->attached, (s->piece_count + 1) * sizeof *pieces));
	upload(s->attached, pieces, (s->piece_count + 1) * sizeof *pieces);
	EK_TRY(ek_cuda_wait());
out:
	free(pieces);
	return rc;
}

static int sum_squares(struct ek_store *s, double *sum)
{
	struct ek_cuda_piece *pieces;
	double *total;
	int rc;

	EK_TRY(bring_pieces(s));
	pieces = s->attached;
	total = &pieces[s->piece_count].squares;
	EK_TRY(ek_cuda_sum_squares(total, pieces, s->piece_count, s->families[EK_GRADIENTS]));
	download(sum, total, sizeof *sum);
	EK_TRY(ek_cuda_launched("the step"));
out:
	return rc;
}

static int update(struct ek_store *s)
{
	return ek_cuda_adamw(s->families, s->attached, s->piece_count, &s->factors);
}

#define DECLARE(kind, column, name, needs) extern const struct ek_net_code ek_net_cuda_##column;
EK_NET_OPERATORS(DECLARE)
/* Not there yet: text towers, which have it, are small. */
const struct ek_net_code ek_net_cuda_causal = { NULL };
#define ROW(kind, column, name, needs) [EK_NET_##kind] = &ek_net_cuda_##column,

const struct ek_device ek_device_cuda = {
	.name = "GPU",
	.one_at_a_time = 1,
	.has_bf16 = has_bf16,
	.available = available,
	.alloc = ek_cuda_alloc,
	.release = ek_cuda_release,
	.alloc_host = alloc_host,
	.release_host = release_host,
	.settle = settle,
	.upload = upload,
	.download = download,
	.copy = copy,
	.zero = zero,
	.check = check,
	.prepare = prepare,
	.unprepare = unprepare,
	.attach = attach,
	.detach = detach,
	.enter = enter,
	.leave = leave,
	.codes = { EK_NET_OPERATORS(ROW) },
	.add = ek_cuda_accumulate,
	.sum_squares = sum_squares,
	.update = update,
	.move_codes = ek_cuda_move_codes,
	.move = ek_cuda_move,
	.normals = ek_cuda_normals,
};
