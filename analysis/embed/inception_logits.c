#include <stdlib.h>
#include <string.h>

#include "analysis/embed/inception.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/tensors.h"
#include "train/nn/matmul.h"

enum { TILE = 64, FEATURES = 2048 };

struct job {
	float *out;
	const struct ek_npy *features;
	const struct ek_nn_matmul *plan;
	const void *packed;
	float *rows, *logits; /* [threads, TILE, FEATURES], [threads, TILE, EK_INCEPTION_CLASSES] */
	uint8_t *scratch;     /* [threads, scratch_size] */
	size_t scratch_size;
};

static int multiply_tile(void *context, uint64_t tile, int worker)
{
	const struct job *job = context;
	const uint64_t first = tile * TILE, left = job->features->shape[0] - first, count = left < TILE ? left : TILE;
	float *rows = job->rows + (size_t)worker * TILE * FEATURES;
	float *logits = job->logits + (size_t)worker * TILE * EK_INCEPTION_CLASSES;
	int rc;

	/* What is left of another tile in the last rows influences none of these. */
	ek_npy_rows_f32(rows, job->features, first, count);
	EK_TRY(ek_nn_matmul_run(job->plan, logits, rows, job->packed,
	                        job->scratch + (size_t)worker * job->scratch_size));
	memcpy(job->out + first * EK_INCEPTION_CLASSES, logits, count * EK_INCEPTION_CLASSES * sizeof *logits);
out:
	return rc;
}

static int check_features(const struct ek_npy *features)
{
	if (features->dimensions == 2 && features->shape[1] == FEATURES && ek_dtype_is_float(features->type))
		return 0;
	return ek_fail(EK_EDATA, "logits are made of features [*, %d] of inception-fid, floating point", FEATURES);
}

/* fc.weight in the plan's order. */
static int pack_weights(void *packed, const struct ek_nn_matmul *plan, const char *path, uint8_t *scratch)
{
	struct ek_tensor_file file = { 0 };
	const struct ek_tensor *tensor;
	float *values = NULL;
	char *name = NULL;
	int rc;

	EK_TRY(ek_tensor_file_open(&file, path));
	EK_TRY(ek_format(&name, "%sfc.weight", ek_tensor_prefix(&file, "fc.weight")));
	EK_TRY(ek_tensor_get(&tensor, &file, name, 2, (const uint64_t[]){ EK_INCEPTION_CLASSES, FEATURES }));
	EK_TRY(ek_alloc_aligned(&values, tensor->count, sizeof *values));
	EK_TRY(ek_tensor_to_finite_f32(values, tensor, &file));
	EK_TRY(ek_nn_matmul_pack(plan, packed, values, scratch));
out:
	ek_tensor_file_close(&file);
	free(values);
	free(name);
	return rc;
}

int ek_inception_logits(float *out, const struct ek_npy *features, const char *weights)
{
	const size_t threads = (size_t)ek_threads();
	struct job job = { .out = out, .features = features };
	struct ek_nn_matmul *plan = NULL;
	void *packed = NULL;
	int rc;

	EK_TRY(check_features(features));
	EK_TRY(ek_nn_matmul_new(&plan, TILE, EK_INCEPTION_CLASSES, FEATURES, EK_NN_FLOAT32));
	job.scratch_size = (ek_nn_matmul_scratch_size(plan) + 63) / 64 * 64;
	EK_TRY(ek_alloc_aligned(&packed, ek_nn_matmul_packed_size(plan), 1));
	EK_TRY(ek_alloc_aligned(&job.scratch, threads, job.scratch_size));
	EK_TRY(ek_alloc_aligned(&job.rows, threads * TILE * FEATURES, sizeof *job.rows));
	EK_TRY(ek_alloc_aligned(&job.logits, threads * TILE * EK_INCEPTION_CLASSES, sizeof *job.logits));
	memset(job.rows, 0, threads * TILE * FEATURES * sizeof *job.rows);
	EK_TRY(pack_weights(packed, plan, weights, job.scratch));
	job.plan = plan;
	job.packed = packed;
	EK_TRY(ek_parallel((features->shape[0] + TILE - 1) / TILE, multiply_tile, &job));
out:
	ek_nn_matmul_free(plan);
	free(packed);
	free(job.scratch);
	free(job.rows);
	free(job.logits);
	return rc;
}
