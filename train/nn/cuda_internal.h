/*
 * CUDA as the files of train/nn that use it see it: one GPU, one stream for all work, and the libraries. Everything is
 * launched on the stream and nothing waits but ek_cuda_wait and copies to the host, so calls come back before the work
 * is done, and a fault of a kernel is reported by a later call. Internal to train/nn.
 */
#ifndef EK_NN_CUDA_INTERNAL_H
#define EK_NN_CUDA_INTERNAL_H

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <stddef.h>

#include "train/nn/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The stream of the GPU that was chosen (ek_cuda_choose), for work: progress says that some of it is there. */
cudaStream_t ek_cuda_stream(void);
/* Its multiprocessors, and the bytes of shared memory that a block may have. */
int ek_cuda_processors(void);
size_t ek_cuda_shared_memory(void);
/* Is it of compute capability 9.0, whose kernels (NAME_hopper.cu) run on no other? */
int ek_cuda_is_hopper(void);

/* Before a thread's first call of CUDA, and whenever it may be another thread: that GPU is the thread's. */
void ek_cuda_enter(void);

/* 0, or the message of a failed call: EK_ENOMEM, or EK_ENOTSUP. what: what was being done. */
int ek_cuda_check(cudaError_t error, const char *what);
/* After a launch: 0, or what is wrong with it or with something before it. */
int ek_cuda_launched(const char *what);
/* A fault of a function that cannot return one; the next ek_cuda_launched does. */
void ek_cuda_note(cudaError_t error);

/* pointwise_cuda.cu: x [count], float32, will be rounded to `to`, bfloat16; once ek_cuda_pack_all has been called. */
int ek_cuda_pack(void *to, const float *x, size_t count);
int ek_cuda_pack_all(void);

/* linear_cuda.cu: can_gate of the device. */
struct ek_net;
struct ek_net_op;
int ek_cuda_can_gate(const struct ek_net *net, const struct ek_net_op *product, const struct ek_net_op *modulation);

/* Memory of the GPU, for things made once: zeros, 256-aligned. */
int ek_cuda_alloc(void **out, size_t bytes);
void ek_cuda_release(void *memory);

/* A library of CUDA's by its file name, from where cuda.h says; NULL: it is not there. It stays. */
void *ek_cuda_open_library(const char *file);

/* cuBLASLt: its functions under their names without "cublasLt", a handle, and room for its kernels. */
#define EK_CUBLASLT(ROW)                                                                                               \
	ROW(Create)                                                                                                    \
	ROW(GetVersion)                                                                                                \
	ROW(Matmul)                                                                                                    \
	ROW(MatmulAlgoConfigGetAttribute)                                                                              \
	ROW(MatmulAlgoGetHeuristic)                                                                                    \
	ROW(MatmulDescCreate)                                                                                          \
	ROW(MatmulDescDestroy)                                                                                         \
	ROW(MatmulDescSetAttribute)                                                                                    \
	ROW(MatmulPreferenceCreate)                                                                                    \
	ROW(MatmulPreferenceDestroy)                                                                                   \
	ROW(MatmulPreferenceSetAttribute)                                                                              \
	ROW(MatrixLayoutCreate)                                                                                        \
	ROW(MatrixLayoutDestroy)                                                                                       \
	ROW(MatrixLayoutSetAttribute)

struct ek_cublaslt {
#define EK_CUDA_ROW(name) __typeof__(cublasLt##name) *name;
	EK_CUBLASLT(EK_CUDA_ROW)
#undef EK_CUDA_ROW
	cublasLtHandle_t handle;
	void *workspace;
	size_t workspace_bytes;
};
/* EK_ENOTSUP if it is not there. */
int ek_cuda_cublaslt(const struct ek_cublaslt **out);
int ek_cuda_cublaslt_check(cublasStatus_t status, const char *what);

/* What an operator keeps at op->prepared begins so; it is released with the net. */
struct ek_cuda_plan {
	void (*release)(struct ek_cuda_plan *plan);
};

#ifdef __cplusplus
}
#endif

#endif
