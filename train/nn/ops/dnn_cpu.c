#include "train/nn/ops/dnn_cpu.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

struct ek_dnn_kernel **ek_cpu_kernels(const struct ek_net_op *op)
{
	return op->prepared;
}

struct ek_dnn_call *const *ek_cpu_calls(const struct ek_net_state *s, const struct ek_net_op *op)
{
	return s->attached[op - s->net->ops];
}

int ek_cpu_images(struct ek_dnn_layout **out, const struct ek_net *net, int value, enum ek_nn_type type, int count)
{
	const struct ek_net_shape s = net->values[value].shape;
	const int64_t dims[4] = { count, s.channels, s.height, s.width };

	return ek_dnn_layout_new(out, type, 4, dims, EK_DNN_CHANNELS_LAST);
}

int ek_cpu_prepare(struct ek_net *net, struct ek_net_op *op)
{
	const struct ek_net_code *code = net->device->codes[op->kind];
	struct ek_dnn_kernel **kernels;
	int rc = 0;

	if (code->prepare == NULL)
		return 0;
	EK_TRY(ek_alloc(&kernels, EK_CPU_KERNELS, sizeof *kernels));
	op->prepared = kernels;
	EK_TRY(code->prepare(net, op));
	for (int k = 0; k < EK_CPU_KERNELS; k++)
		if (kernels[k] != NULL && net->kernel_scratch < ek_dnn_kernel_scratch(kernels[k]))
			net->kernel_scratch = ek_dnn_kernel_scratch(kernels[k]);
out:
	return rc;
}

void ek_cpu_unprepare(struct ek_net_op *op)
{
	for (int k = 0; op->prepared != NULL && k < EK_CPU_KERNELS; k++)
		ek_dnn_kernel_free(ek_cpu_kernels(op)[k]);
	free(op->prepared);
	op->prepared = NULL;
}

int ek_cpu_attach(struct ek_net_state *s, const struct ek_net_op *op, void **out)
{
	struct ek_dnn_call **calls;
	int rc = 0;

	if (op->prepared == NULL)
		return 0;
	EK_TRY(ek_alloc(&calls, EK_CPU_KERNELS, sizeof *calls));
	*out = calls;
	for (int k = 0; k < EK_CPU_KERNELS; k++)
		if (ek_cpu_kernels(op)[k] != NULL) {
			EK_TRY(ek_dnn_call_new(&calls[k], ek_cpu_kernels(op)[k]));
			ek_dnn_call_set(calls[k], EK_DNN_SCRATCH, s->kernel_scratch);
		}
out:
	return rc;
}

void ek_cpu_detach(void *attached)
{
	struct ek_dnn_call **calls = attached;

	for (int k = 0; calls != NULL && k < EK_CPU_KERNELS; k++)
		ek_dnn_call_free(calls[k]);
	free(calls);
}
