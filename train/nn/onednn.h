/*
 * The only file pair that knows oneDNN, versions 2.x and 3.x: memory layouts, kernels and calls.
 * Internal to train/nn; other modules use matmul.h and net.h.
 *
 * All kernels are made for, and run on, one thread: the calling one (ek_dnn_enter). Errors: EK_ENOMEM;
 * EK_ENOTSUP with oneDNN's status if it has no kernel for a case.
 */
#ifndef EK_NN_ONEDNN_H
#define EK_NN_ONEDNN_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/activation.h"
#include "train/nn/tensor.h"

/* oneDNN's OpenMP build takes the number of threads from the calling thread's OpenMP setting. Between enter
 * and leave it is 1; `leave` takes what `enter` gave. */
int ek_dnn_enter(void);
void ek_dnn_leave(int before);

/* 1 if oneDNN may use bfloat16 instructions here (processor, operating system, ONEDNN_MAX_CPU_ISA). */
int ek_dnn_has_bf16(void);

/* How an array lies in memory: type, dimensions and order. Immutable. */
struct ek_dnn_layout;

enum ek_dnn_order {
	EK_DNN_ANY,          /* whatever the kernel likes best */
	EK_DNN_PLAIN,        /* row-major */
	EK_DNN_CHANNELS_LAST /* [n, c, h, w] with c innermost */
};

/* dims: [rank], rank 1 … 5. */
int ek_dnn_layout_new(struct ek_dnn_layout **out, enum ek_nn_type type, int rank, const int64_t *dims,
                      enum ek_dnn_order order);
/* strides: [rank], in elements. */
int ek_dnn_layout_strided(struct ek_dnn_layout **out, enum ek_nn_type type, int rank, const int64_t *dims,
                          const int64_t *strides);
void ek_dnn_layout_free(struct ek_dnn_layout *layout);
size_t ek_dnn_layout_size(const struct ek_dnn_layout *layout); /* bytes, padding included */

/* Generated code for one shape; immutable, shared by threads. */
struct ek_dnn_kernel;

/* Arguments of a kernel. */
enum ek_dnn_slot { EK_DNN_SOURCE, EK_DNN_WEIGHTS, EK_DNN_BIAS, EK_DNN_RESULT, EK_DNN_SCRATCH, EK_DNN_SLOT_COUNT };

/* What happens to x·W + bias before it is stored: the old content of the result is added (residual),
 * then the activation. */
struct ek_dnn_fusion {
	int add_result;
	enum ek_nn_activation activation;
};

/* [m, k] · [k, n] + bias [1, n] or NULL. Layouts may be ANY; what they became: ek_dnn_kernel_layout. */
int ek_dnn_matmul(struct ek_dnn_kernel **out, const struct ek_dnn_layout *x, const struct ek_dnn_layout *weights,
                  const struct ek_dnn_layout *bias, const struct ek_dnn_layout *result,
                  const struct ek_dnn_fusion *fusion);
/* stride: height, width; pad: top, bottom, left, right. weights: [o, i, h, w], or grouped [g, o/g, i/g, h, w]. */
int ek_dnn_convolution(struct ek_dnn_kernel **out, const struct ek_dnn_layout *x, const struct ek_dnn_layout *weights,
                       const struct ek_dnn_layout *bias, const struct ek_dnn_layout *result, const int stride[2],
                       const int pad[4], const struct ek_dnn_fusion *fusion);
/* The gradients of a convolution of these shapes. data: SOURCE dy, WEIGHTS, RESULT dx. weights: SOURCE x,
 * WEIGHTS dy, RESULT dW (`dw`, float32; `weights` are those of the forward convolution). */
int ek_dnn_convolution_data(struct ek_dnn_kernel **out, const struct ek_dnn_layout *dx,
                            const struct ek_dnn_layout *weights, const struct ek_dnn_layout *dy, const int stride[2],
                            const int pad[4]);
int ek_dnn_convolution_weights(struct ek_dnn_kernel **out, const struct ek_dnn_layout *x,
                               const struct ek_dnn_layout *dw, const struct ek_dnn_layout *weights,
                               const struct ek_dnn_layout *dy, const int stride[2], const int pad[4]);
/* kind: enum ek_net_pool_kind. */
int ek_dnn_pooling(struct ek_dnn_kernel **out, int kind, const struct ek_dnn_layout *x,
                   const struct ek_dnn_layout *result, const int kernel[2], const int stride[2], const int pad[4]);
/* Copy with change of layout and type. */
int ek_dnn_reorder(struct ek_dnn_kernel **out, const struct ek_dnn_layout *from, const struct ek_dnn_layout *to);
void ek_dnn_kernel_free(struct ek_dnn_kernel *kernel);

/* The layout a kernel wants in a slot; owned by the kernel; NULL if it has no such argument. */
const struct ek_dnn_layout *ek_dnn_kernel_layout(const struct ek_dnn_kernel *kernel, int slot);
/* Bytes of scratch one call needs. */
size_t ek_dnn_kernel_scratch(const struct ek_dnn_kernel *kernel);

/* A kernel with places for its arguments, for use by one thread; the kernel must outlive it. */
struct ek_dnn_call;
int ek_dnn_call_new(struct ek_dnn_call **out, const struct ek_dnn_kernel *kernel);
void ek_dnn_call_free(struct ek_dnn_call *call);
/* A slot the kernel does not have is ignored. `data` aligned to 64 bytes is fastest. */
void ek_dnn_call_set(struct ek_dnn_call *call, int slot, void *data);
/* Run it to its end; between ek_dnn_enter and ek_dnn_leave. */
int ek_dnn_call_run(struct ek_dnn_call *call);

/* oneDNN's memory objects are not const, and it does not write to sources: the same pointer for ek_dnn_call_set. */
void *ek_dnn_source(const void *data);

/* A call of its own, made, run and freed: for kernels that are long or rare. weights: NULL if it has none;
 * scratch: [ek_dnn_kernel_scratch] bytes, or NULL to allocate it. Needs no ek_dnn_enter. */
int ek_dnn_once(const struct ek_dnn_kernel *kernel, const void *source, const void *weights, void *result,
                void *scratch);

#endif
