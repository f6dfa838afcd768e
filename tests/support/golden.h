/* Networks against golden files: weights by formula, names and shapes, results and gradients by their digests. */
#ifndef EK_TESTS_GOLDEN_H
#define EK_TESTS_GOLDEN_H

#include "tests/support/digest.h"
#include "train/nn/net.h"

/*
 * Ours differs from the truth by rounding in another order than PyTorch's float32: by a number of the same size, of
 * which theirs is one draw. Both are sums of thousands of roundings, so of two such draws one is hardly ever more than
 * this many times the other.
 */
#define GOLDEN_MARGIN 4.0

/* Members; the test fails if one is not there. */
double golden_number(const cJSON *object, const char *name);
const char *golden_text(const cJSON *object, const char *name);

/* Parameters by formula (tests/golden/random_weights.py), but for frozen ones, which start as they do; to be freed. */
float *golden_values(const struct ek_params *params);
/* The parameters are `tensors`, an object of shapes by name. */
void golden_check_shapes(const struct ek_params *params, const cJSON *tensors);

/* The digest c[name] of x, within MARGIN times the larger of its deviation in `type` and `least`. */
void golden_check(const cJSON *c, const char *name, const float *x, size_t count, const char *type, double least);
/* The same of a network's input or of what it keeps, wherever that lies. */
void golden_check_value(const cJSON *c, const char *name, struct ek_net_state *s, int value, const char *type,
                        double least);
/* All or some gradients of a store against the digests c["gradients"]. Returns how many there were. */
int golden_check_gradients(const cJSON *c, const struct ek_params *params, const struct ek_store *store,
                           const char *type, double least);
/* A family of the store, to be freed. */
float *golden_family(const struct ek_store *store, const struct ek_params *params, enum ek_family family);

#endif
