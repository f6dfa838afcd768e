/*
 * Named tensors in the map of a file, for tensors.h and the readers of each format below it.
 */
#ifndef EK_IO_TENSOR_H
#define EK_IO_TENSOR_H

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

void ek_tensor_file_close(struct ek_tensor_file *file);

/* The tensor of this name, or NULL. */
const struct ek_tensor *ek_tensor_find(const struct ek_tensor_file *file, const char *name);

/* What training code puts before all names ("", "model.", "state_dict." …) where a tensor is called so and `name`; ""
 * if there is none. */
const char *ek_tensor_prefix(const struct ek_tensor_file *file, const char *name);

/* As ek_tensor_find, and EK_EDATA, naming file and tensor, if it is not there or its shape is another;
 * a wanted dimension of UINT64_MAX accepts any size. */
int ek_tensor_get(const struct ek_tensor **out, const struct ek_tensor_file *file, const char *name, int dimensions,
                  const uint64_t *shape);

/* A float16, bfloat16, float32 or float64 tensor as contiguous float32. out: [tensor->count].
 * EK_EDATA, naming the tensor, if its elements are of another type. */
int ek_tensor_to_f32(float *out, const struct ek_tensor *tensor);
/* The same of a tensor of `file`, and EK_EDATA, naming both, if a number is not finite. */
int ek_tensor_to_finite_f32(float *out, const struct ek_tensor *tensor, const struct ek_tensor_file *file);

/* 1 if a name starts, or, of a pattern written "*x", ends with one of `patterns`, which end with NULL. */
int ek_tensor_name_matches(const char *name, const char *const *patterns);

/* For the readers of each format (safetensors.h, pytorch.h): append a tensor whose name is the `length` bytes at
 * `name`; count and contiguous are worked out here, the rest is copied. EK_EDATA: a NUL in the name or a name, shape or
 * number of tensors beyond the limits above. */
int ek_tensor_file_add(struct ek_tensor_file *file, const struct ek_tensor *tensor, const char *name, size_t length);

#endif
