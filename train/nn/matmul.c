#include "train/nn/matmul.h"

#include <limits.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/onednn.h"

struct ek_nn_matmul {
	struct ek_dnn_kernel *product, *pack;
	size_t scratch;
};

int ek_nn_matmul_new(struct ek_nn_matmul **out, size_t m, size_t n, size_t k, enum ek_nn_type type)
{
	const int64_t a_dims[2] = { (int64_t)m, (int64_t)k }, b_dims[2] = { (int64_t)k, (int64_t)n };
	const int64_t out_dims[2] = { (int64_t)m, (int64_t)n }, transposed[2] = { 1, (int64_t)k };
	struct ek_dnn_layout *a = NULL, *b = NULL, *given = NULL, *result = NULL;
	struct ek_nn_matmul *plan = NULL;
	int rc;

	*out = NULL;
	if (m < 1 || n < 1 || k < 1 || m > INT_MAX || n > INT_MAX || k > INT_MAX)
		return ek_fail(EK_EUSAGE, "matrix product of [%zu, %zu] and [%zu, %zu]: each must be 1 to 2147483647",
		               m, k, n, k);
	EK_TRY(ek_alloc(&plan, 1, sizeof *plan));
	EK_TRY(ek_dnn_layout_new(&a, type, 2, a_dims, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_layout_new(&b, type, 2, b_dims, EK_DNN_ANY));
	EK_TRY(ek_dnn_layout_strided(&given, type, 2, b_dims, transposed));
	EK_TRY(ek_dnn_layout_new(&result, EK_NN_FLOAT32, 2, out_dims, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_matmul(&plan->product, a, b, NULL, result, NULL));
	EK_TRY(ek_dnn_reorder(&plan->pack, given, ek_dnn_kernel_layout(plan->product, EK_DNN_WEIGHTS)));
	plan->scratch = ek_dnn_kernel_scratch(plan->product);
	if (plan->scratch < ek_dnn_kernel_scratch(plan->pack))
		plan->scratch = ek_dnn_kernel_scratch(plan->pack);
	*out = plan;
	plan = NULL;
out:
	ek_dnn_layout_free(a);
	ek_dnn_layout_free(b);
	ek_dnn_layout_free(given);
	ek_dnn_layout_free(result);
	ek_nn_matmul_free(plan);
	return rc;
}

void ek_nn_matmul_free(struct ek_nn_matmul *plan)
{
	if (plan == NULL)
		return;
	ek_dnn_kernel_free(plan->product);
	ek_dnn_kernel_free(plan->pack);
	free(plan);
}

size_t ek_nn_matmul_packed_size(const struct ek_nn_matmul *plan)
{
	return ek_dnn_layout_size(ek_dnn_kernel_layout(plan->product, EK_DNN_WEIGHTS));
}

size_t ek_nn_matmul_scratch_size(const struct ek_nn_matmul *plan)
{
	return plan->scratch;
}

int ek_nn_matmul_pack(const struct ek_nn_matmul *plan, void *packed, const void *b, void *scratch)
{
	return ek_dnn_once(plan->pack, b, NULL, packed, scratch);
}

int ek_nn_matmul_run(const struct ek_nn_matmul *plan, float *out, const void *a, const void *packed, void *scratch)
{
	return ek_dnn_once(plan->product, a, packed, out, scratch);
}
