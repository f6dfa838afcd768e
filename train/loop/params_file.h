/*
 * The values of a parameter table (train/nn/params.h) in a weight file, by name.
 *
 * To read or write only the first `n` parameters of a table, pass a copy of the struct with `count` = n.
 */
#ifndef EK_LOOP_PARAMS_FILE_H
#define EK_LOOP_PARAMS_FILE_H

#include "rebalance/base/json.h"
#include "rebalance/io/tensors.h"
#include "train/nn/params.h"

/* Where a file may say otherwise than the table. All members may be NULL. */
struct ek_params_names {
	const char
		*prefix; /* of the tensors' names: "ema." takes "ema.X" for X and does not look at tensors without it */
	/* Other names that tensor `name` of the table goes by in public files: write number `attempt` (0, 1, …) to
	 * out[size] and return 1, or return 0 if there is none. They are looked for in turn, after `name` itself. */
	int (*other)(char *out, size_t size, const char *name, int attempt);
	/* A tensor of the table that a public file has in parts along the first dimension: write the name of part
	 * `number` (0, 1, …) to out[size] and return 1, or return 0 if there is none, or no more. Asked where no name
	 * of the whole is there. */
	int (*part)(char *out, size_t size, const char *name, int number);
	/* What may be in the file and not in the table, without the prefix: names that start so, or, written "*x", end
	 * in x. Ends with NULL. */
	const char *const *ignored;
	/* Parameters that are not read; their tensors may have any shape, or not be there. Ends with NULL. */
	const char *const *left_out;
};

/*
 * Read every parameter of the table. Element types: float16, bfloat16, float32, float64. A shape may have, or lack,
 * dimensions of 1 at its end (a linear layer kept as a 1 × 1 convolution).
 *
 * values: [params->size], out; names: NULL, the table's own names.
 * EK_EDATA, naming file and tensor: one is missing, has another shape, holds a number that is not finite, or is in the
 * file and nowhere in the table.
 */
int ek_params_read(float *values, const struct ek_params *params, const struct ek_tensor_file *file,
                   const struct ek_params_names *names);

/* Write them all as float32 to a safetensors file, atomically. metadata: NULL, or an object of strings. EK_EIO. */
int ek_params_write(const char *path, const struct ek_params *params, const float *values, const cJSON *metadata);

#endif
