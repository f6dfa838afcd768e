/* A product of cuBLASLt's as a layer keeps it. Internal to train/nn. */
#ifndef EK_NN_OPS_MATMUL_CUDA_H
#define EK_NN_OPS_MATMUL_CUDA_H

#include "train/nn/ops/op_cuda.h"

/* d = a · b + beta · d, column by column. What is not made yet is NULL. */
struct ek_matmul {
	cublasLtMatmulDesc_t what;
	cublasLtMatrixLayout_t a, b, d;
	cublasLtMatmulAlgo_t algorithm;
	float beta;
};

static inline void ek_matmul_release(const ek_cublaslt *lt, const ek_matmul &m)
{
	if (m.what != NULL)
		lt->MatmulDescDestroy(m.what);
	for (cublasLtMatrixLayout_t l : { m.a, m.b, m.d })
		if (l != NULL)
			lt->MatrixLayoutDestroy(l);
}

#endif
