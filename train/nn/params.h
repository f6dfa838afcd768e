/*
 * Parameters of networks that learn: a table of named tensors laid one after another in one float32 array, so that an
 * optimizer, a checkpoint and the sum over threads each walk one array. The table holds no values; whoever trains
 * keeps arrays of `size` floats (values, gradients, moments, averages) with the table's offsets.
 */
#ifndef EK_NN_PARAMS_H
#define EK_NN_PARAMS_H

#include <stddef.h>
#include <stdint.h>

enum { EK_PARAM_MAX_RANK = 4 };

/* How a parameter starts. Fans as in PyTorch: inputs = dims[1] · receptive field, outputs = dims[0] · receptive field.
 */
enum ek_init_kind {
	EK_INIT_CONSTANT,       /* scale */
	EK_INIT_NORMAL,         /* standard deviation scale */
	EK_INIT_UNIFORM,        /* in ±scale */
	EK_INIT_XAVIER_UNIFORM, /* in ±scale · sqrt(6 / (inputs + outputs)); rank ≥ 2 */
	EK_INIT_POSITIONS       /* not trained: the 2-D sine/cosine table of DiT, [1, tokens, features], square */
};

struct ek_init {
	enum ek_init_kind kind;
	float scale;
};

struct ek_param {
	char *name; /* owned */
	int rank;
	int64_t dims[EK_PARAM_MAX_RANK]; /* row-major; linear [outputs, inputs], convolution [outputs, inputs, kh, kw]
	                                  */
	struct ek_init init;
	int frozen; /* 1: gets no gradient and no update */
	size_t offset, count;
};

struct ek_params {
	struct ek_param *items;
	int count;
	size_t size; /* floats in all */
};
/* `= { 0 }` is an empty table. */
void ek_params_release(struct ek_params *params);

/* Append a parameter; returns its number, or EK_EUSAGE (a rank or size out of range, a name there is already),
 * EK_ENOMEM. Parameters added one after another are neighbours in memory; a layer may take several as one. */
int ek_params_add(struct ek_params *params, const char *name, int rank, const int64_t *dims, struct ek_init init);

/* The number of the parameter of this name, or -1. */
int ek_params_find(const struct ek_params *params, const char *name);

/* values: [size], out. A pure function of seed and the parameters' names. */
void ek_params_initialise(const struct ek_params *params, uint64_t seed, float *values);

#endif
