/*
 * Weight files: named tensors in place, in a read-only map of the file. The kind is told by content:
 *
 * - safetensors;
 * - PyTorch's zip form (.pt, .pth since 1.6);
 * - PyTorch's stream form (before 1.6, and _use_new_zipfile_serialization=False).
 *
 * Nothing in a file is ever run. A PyTorch checkpoint's pickle is interpreted for tensors and plain values only; a
 * class or function beyond those (pickle.h lists them) is EK_EDATA with its name. Nested dicts and lists give names
 * joined by '.': the `ema` of a SiT checkpoint gives "ema.blocks.0.attn.qkv.weight" …; values that are not tensors are
 * left out.
 */
#ifndef EK_IO_TENSORS_H
#define EK_IO_TENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/file.h"
#include "rebalance/base/json.h"
#include "rebalance/io/dtype.h"

enum { EK_TENSOR_MAX_DIMENSIONS = 8, EK_TENSOR_MAX_NAME = 1023, EK_TENSOR_MAX_COUNT = 1 << 20 };

struct ek_tensor {
	char *name; /* owned by the file */
	enum ek_dtype type;
	int dimensions; /* 0 … 8 */
	uint64_t shape[EK_TENSOR_MAX_DIMENSIONS];
	uint64_t strides[EK_TENSOR_MAX_DIMENSIONS]; /* in elements */
	uint64_t count;                             /* elements: the product of shape */
	int contiguous;                             /* row-major without gaps */
	int big_endian;                             /* 1: elements need swapping */
	const void *data; /* the first element, in the map; aligned to nothing in particular */
};

enum ek_tensor_format { EK_TENSORS_SAFETENSORS, EK_TENSORS_PYTORCH_ZIP, EK_TENSORS_PYTORCH_STREAM };

struct ek_tensor_file {
	enum ek_tensor_format format;
	char *path;                /* owned */
	struct ek_tensor *tensors; /* [count], owned, by name in the order of strcmp; no name twice */
	size_t count;
	cJSON *metadata; /* of safetensors: an object, or NULL */
	struct ek_map map;
};

/* Map a file and list its tensors; every tensor's bytes are checked to lie in the file.
 * EK_EIO, EK_EDATA (damaged, hostile, or not a weight file; names the file and what was found), EK_ENOTSUP. */
int ek_tensor_file_open(struct ek_tensor_file *file, const char *path);
void ek_tensor_file_close(struct ek_tensor_file *file);

/* The tensor of this name, or NULL. */
const struct ek_tensor *ek_tensor_find(const struct ek_tensor_file *file, const char *name);

/* As ek_tensor_find, and EK_EDATA, naming file and tensor, if it is not there or its shape is another;
 * a wanted dimension of UINT64_MAX accepts any size. */
int ek_tensor_get(const struct ek_tensor **out, const struct ek_tensor_file *file, const char *name, int dimensions,
                  const uint64_t *shape);

/* A float16, bfloat16, float32 or float64 tensor as contiguous float32. out: [tensor->count].
 * EK_EDATA, naming the tensor, if its elements are of another type. */
int ek_tensor_to_f32(float *out, const struct ek_tensor *tensor);

/* For the readers of each format (safetensors.h, pytorch.h): append a tensor whose name is the `length` bytes at
 * `name`; count and contiguous are worked out here, the rest is copied. EK_EDATA: a NUL in the name or a name, shape or
 * number of tensors beyond the limits above. */
int ek_tensor_file_add(struct ek_tensor_file *file, const struct ek_tensor *tensor, const char *name, size_t length);

#endif
