/*
 * Weight files and images by formula, the same as tests/golden/random_weights.py makes: every number is a function of
 * a name and an index.
 */
#ifndef EK_TESTS_RANDOM_WEIGHTS_H
#define EK_TESTS_RANDOM_WEIGHTS_H

#include "rebalance/base/json.h"

/* Write a safetensors file with the tensors of a network of tests/golden/encoders.json: {"layers", "tensors": {NAME:
 * [shape]}}, names with %d once per layer. An entry {"shape": [], "from": [NAMES]} takes its numbers from tensors of
 * other names, stacked. */
int ek_random_weights_write(const char *path, const cJSON *network);

/* One tensor's numbers. shape: [dimensions]. out: [product of shape]. */
void ek_random_tensor(float *out, const char *name, const uint64_t *shape, int dimensions);

/* u in [-1, 1), as tests/golden/digests.py makes inputs. out: [count]. */
void ek_random_units(float *out, const char *name, size_t count);

/* Numbers of 24 bits, as tests/golden/random_weights.py's bits24. out: [count]. */
void ek_random_bits(int32_t *out, const char *name, size_t count);

/* Image `number` of this size. out: [height, width, 3]. */
void ek_random_image(uint8_t *out, int number, int width, int height);

#endif
