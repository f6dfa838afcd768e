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

/* A stream of its own for what is sent ahead, and when that is there, was read, and what is fetched is there. */
static struct {
	cudaStream_t stream;
	cudaEvent_t arrived, received, landed;
} ahead;

static void open_ahead(void)
{
	ek_cuda_enter();
	if (ahead.stream != NULL)
		return;
	ek_cuda_note(cudaStreamCreateWithFlags(&ahead.stream, cudaStreamNonBlocking));
	ek_cuda_note(cudaEventCreateWithFlags(&ahead.arrived, cudaEventDisableTiming));
	ek_cuda_note(cudaEventCreateWithFlags(&ahead.received, cudaEventDisableTiming));
	ek_cuda_note(cudaEventCreateWithFlags(&ahead.landed, cudaEventDisableTiming));
}

static void send(void *to, const void *host, size_t bytes)
{
	open_ahead();
	ek_cuda_note(cudaStreamWaitEvent(ahead.stream, ahead.received, 0));
	ek_cuda_note(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, ahead.stream));
	ek_cuda_note(cudaEventRecord(ahead.arrived, ahead.stream));
}

static void arrived(void)
{
	ek_cuda_enter();
	ek_cuda_note(cudaEventSynchronize(ahead.arrived));
}

static void receive(void)
{
	ek_cuda_enter();
	ek_cuda_note(cudaStreamWaitEvent(ek_cuda_stream(), ahead.arrived, 0));
}

static void received(void)
{
	ek_cuda_note(cudaEventRecord(ahead.received, ek_cuda_stream()));
}

static void fetch(void *host, const void *from, size_t bytes)
{
	open_ahead();
	ek_cuda_note(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, ek_cuda_stream()));
	ek_cuda_note(cudaEventRecord(ahead.landed, ek_cuda_stream()));
}

static void landed(void)
{
	ek_cuda_enter();
	ek_cuda_note(cudaEventSynchronize(ahead.landed));
}

static void bring(void **arrival, void *host, const void *from, size_t bytes)
{
	cudaEvent_t event = *arrival;

	ek_cuda_enter();
	if (event == NULL)
		ek_cuda_note(
			cudaEventCreateWithFlags(&event, (unsigned)cudaEventDisableTiming | cudaEventBlockingSync));
	*arrival = event;
	ek_cuda_note(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, ek_cuda_stream()));
	ek_cuda_note(cudaEventRecord(event, ek_cuda_stream()));
}

/* 1 after a fault, too: that is told by `check`. */
static int is_brought(void *arrival)
{
	ek_cuda_enter();
	if (cudaEventQuery(arrival) != cudaErrorNotReady)
		return 1;
	(void)cudaGetLastError(); /* which counts that as an error */
	return 0;
}

static void brought(void *arrival)
{
	ek_cuda_enter();
	ek_cuda_note(cudaEventSynchronize(arrival));
}

static void forget_arrival(void *arrival)
{
	brought(arrival);
	ek_cuda_note(cudaEventDestroy(arrival));
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

/*
 * Steps of a plan as one CUDA graph: recorded when they run for the second time with the same parameters and store (the
 * first makes what is made once), launched from then on. Where something cannot be recorded they run as they are.
 */
enum { RECORDINGS = 8 };

struct recording {
	int first, times, impossible;
	const float *loaded, *gradients;
	cudaGraphExec_t graph;
};

struct recordings {
	struct recording of[RECORDINGS];
	int count;
};

static void forget(void *recorded)
{
	struct recordings *all = recorded;

	ek_cuda_enter();
	for (int i = 0; i < all->count; i++)
		if (all->of[i].graph != NULL)
			ek_cuda_note(cudaGraphExecDestroy(all->of[i].graph));
	free(all);
}

/* Codebooks are told by the host whose turn it is, and images of a slice how many there are; nets with convolutions,
 * whose layers take longer than a launch, have not been recorded yet. */
static int is_recordable(const struct ek_net *net)
{
	for (int i = 0; i < net->op_count; i++)
		if (net->ops[i].kind == EK_NET_QUANTISE || net->ops[i].kind == EK_NET_CONV)
			return 0;
	return net->mode != EK_NET_IMAGES;
}

/* Or NULL: there is no room. */
static struct recording *recording_of(struct recordings *all, const struct ek_net_state *s, int first)
{
	const float *gradients = s->in_backward && s->store != NULL ? s->store->families[EK_GRADIENTS] : NULL;
	int i = 0;

	while (i < all->count &&
	       (all->of[i].first != first || all->of[i].loaded != s->net->loaded || all->of[i].gradients != gradients))
		i++;
	if (i == RECORDINGS)
		return NULL;
	if (i == all->count)
		all->of[all->count++] =
			(struct recording){ .first = first, .loaded = s->net->loaded, .gradients = gradients };
	return &all->of[i];
}

static int record(struct recording *r, struct ek_net_state *s, int end,
                  int (*steps)(struct ek_net_state *s, int first, int end))
{
	cudaGraph_t graph = NULL;
	int rc, ok;

	if (cudaStreamBeginCapture(ek_cuda_stream(), cudaStreamCaptureModeRelaxed) != cudaSuccess)
		return ek_cuda_launched("recording layers");
	rc = steps(s, r->first, end);
	ok = cudaStreamEndCapture(ek_cuda_stream(), &graph) == cudaSuccess && rc == 0 &&
	     cudaGraphInstantiate(&r->graph, graph, 0) == cudaSuccess;
	if (graph != NULL)
		ek_cuda_note(cudaGraphDestroy(graph));
	r->impossible = !ok;
	if (!ok)
		(void)cudaGetLastError();
	return rc;
}

static int run(struct ek_net_state *s, int first, int end, int (*steps)(struct ek_net_state *s, int first, int end))
{
	struct recording *r;
	struct recordings *all;
	int rc;

	if (!is_recordable(s->net))
		return steps(s, first, end);
	if (s->recorded == NULL) {
		EK_TRY(ek_alloc(&all, 1, sizeof *all));
		s->recorded = all;
	}
	r = recording_of(s->recorded, s, first);
	if (r == NULL || r->impossible || r->times++ == 0)
		return steps(s, first, end);
	if (r->graph == NULL)
		EK_TRY(record(r, s, end, steps));
	if (r->graph == NULL)
		return steps(s, first, end);
	ek_cuda_note(cudaGraphLaunch(r->graph, ek_cuda_stream()));
	rc = ek_cuda_launched("recorded layers");
out:
	return rc;
}

/* The store's pieces, and behind them the norm of its gradients. */
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
	upload(s->attached, pieces, s->piece_count * sizeof *pieces);
	EK_TRY(ek_cuda_wait());
out:
	free(pieces);
	return rc;
}

/* The norm, the GPU's, and on its way to the host, where it is when `measured` is. */
static struct ek_cuda_norm *host_norm;
static cudaEvent_t measured;

static int measure(struct ek_store *s, double clip, struct ek_cuda_norm **norm)
{
	struct ek_cuda_piece *pieces;
	void *memory;
	int rc;

	EK_TRY(bring_pieces(s));
	if (host_norm == NULL) {
		EK_TRY(ek_cuda_check(cudaEventCreateWithFlags(&measured, cudaEventDisableTiming), "making an event"));
		EK_TRY(alloc_host(&memory, sizeof *host_norm));
		host_norm = memory;
	}
	pieces = s->attached;
	*norm = (struct ek_cuda_norm *)(void *)&pieces[s->piece_count];
	EK_TRY(ek_cuda_sum_squares(*norm, pieces, s->piece_count, s->families[EK_GRADIENTS], clip));
	ek_cuda_note(cudaMemcpyAsync(host_norm, *norm, sizeof **norm, cudaMemcpyDeviceToHost, ek_cuda_stream()));
	ek_cuda_note(cudaEventRecord(measured, ek_cuda_stream()));
out:
	return rc;
}

static int read_norm(double *sum)
{
	ek_cuda_note(cudaEventSynchronize(measured));
	*sum = host_norm->squares;
	return ek_cuda_launched("the step");
}

static int sum_squares(struct ek_store *s, double *sum)
{
	struct ek_cuda_norm *norm;
	int rc;

	EK_TRY(measure(s, 0, &norm));
	rc = read_norm(sum);
out:
	return rc;
}

static int step(struct ek_store *s, double clip)
{
	struct ek_cuda_norm *norm;
	int rc;

	EK_TRY(measure(s, clip, &norm));
	rc = ek_cuda_adamw(s->families, s->attached, s->piece_count, &s->factors, norm);
out:
	return rc;
}

/* The host waits for the norm alone, not for the step. */
static int stepped(const struct ek_store *s, double *sum)
{
	(void)s;
	return read_norm(sum);
}

#define DECLARE(kind, column, name, needs) extern const struct ek_net_code ek_net_cuda_##column;
EK_NET_OPERATORS(DECLARE)
/* Not there yet: text towers, which have it, are small. */
const struct ek_net_code ek_net_cuda_causal = { NULL };
#define ROW(kind, column, name, needs) [EK_NET_##kind] = &ek_net_cuda_##column,

const struct ek_device ek_device_cuda = {
	.name = "GPU",
	.has_parts = 1,
	.can_gate = ek_cuda_can_gate,
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
	.send = send,
	.arrived = arrived,
	.receive = receive,
	.received = received,
	.fetch = fetch,
	.landed = landed,
	.bring = bring,
	.is_brought = is_brought,
	.brought = brought,
	.forget_arrival = forget_arrival,
	.copy = copy,
	.zero = zero,
	.check = check,
	.prepare = prepare,
	.unprepare = unprepare,
	.attach = attach,
	.detach = detach,
	.enter = enter,
	.leave = leave,
	.run = run,
	.forget = forget,
	.loaded = ek_cuda_pack_all,
	.codes = { EK_NET_OPERATORS(ROW) },
	.add = ek_cuda_accumulate,
	.sum_squares = sum_squares,
	.step = step,
	.stepped = stepped,
	.move_codes = ek_cuda_move_codes,
	.move = ek_cuda_move,
	.normals = ek_cuda_normals,
};
