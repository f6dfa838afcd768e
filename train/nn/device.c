#include "train/nn/device_internal.h"

#include "rebalance/base/threads.h"

static const struct ek_device *chosen = &ek_device_cpu;

const struct ek_device *ek_device(void)
{
	return chosen;
}

void ek_device_set(const struct ek_device *device)
{
	chosen = device != NULL ? device : &ek_device_cpu;
}

int ek_device_has_bf16(void)
{
	return chosen->has_bf16();
}

enum ek_nn_type ek_nn_precision_type(enum ek_nn_precision precision)
{
	if (precision == EK_NN_AUTO)
		return ek_device_has_bf16() ? EK_NN_BFLOAT16 : EK_NN_FLOAT32;
	return precision == EK_NN_BF16 ? EK_NN_BFLOAT16 : EK_NN_FLOAT32;
}

int ek_device_workers(void)
{
	return chosen->one_at_a_time ? 1 : ek_threads();
}

int ek_device_takes_batches(void)
{
	return chosen->one_at_a_time;
}

int ek_device_parallel(uint64_t count, int (*piece)(void *context, uint64_t i, int worker), void *context)
{
	int rc = 0;

	if (!chosen->one_at_a_time)
		return ek_parallel(count, piece, context);
	for (uint64_t i = 0; i < count && rc == 0; i++)
		rc = piece(context, i, 0);
	return rc;
}

int ek_device_fault(void)
{
	return chosen->check != NULL ? chosen->check() : 0;
}

uint64_t ek_device_available(void)
{
	return chosen->available();
}
