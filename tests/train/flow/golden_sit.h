/* Models, batches and tolerances of tests/golden/sit.json (make_sit.py says what is in it). */
#ifndef EK_TESTS_GOLDEN_SIT_H
#define EK_TESTS_GOLDEN_SIT_H

#include "tests/support/digest.h"
#include "train/flow/objective.h"
#include "train/flow/sit.h"

/*
 * Ours differs from the truth by rounding in another order than PyTorch's float32: by a number of the same size, of
 * which theirs is one draw. Both are sums of thousands of roundings, so of two such draws one is hardly ever more than
 * this many times the other.
 */
#define GOLDEN_MARGIN 4.0

double golden_number(const cJSON *object, const char *name);
const char *golden_text(const cJSON *object, const char *name);
struct ek_sit_config golden_config(const cJSON *golden, const char *model);
enum ek_path golden_path(const cJSON *c);
enum ek_prediction golden_prediction(const cJSON *c);

/* A model with the weights by formula, and one slice of it. */
struct golden_net {
	struct ek_sit_config config;
	struct ek_params params;
	float *values, *gradients; /* [params.size] */
	struct ek_net *net;
	struct ek_net_state *s;
	int x, t, labels, out;
};
void golden_net_make(struct golden_net *g, const cJSON *golden, const char *model, int batch,
                     enum ek_nn_precision precision, enum ek_net_mode mode);
void golden_net_release(struct golden_net *g);
/* The weights alone. */
float *golden_values(const struct ek_params *params);

/* x1, x0 [count, elements] and labels [count] of a case; t is there where the case has times. */
struct golden_batch {
	float *x1, *x0, *t;
	int32_t *labels;
	int count;
};
void golden_batch_make(struct golden_batch *b, const cJSON *c);
void golden_batch_release(struct golden_batch *b);

/* Mix, predict, compare: the net's input is filled, forward run, and the mean loss's gradient written. losses, parts:
 * [count], [count, 2]; parts may be NULL. t: [count]. Returns the mean loss. */
double golden_loss(struct golden_net *g, const struct golden_batch *b, const struct ek_objective *o, const double *t,
                   float *losses, double *parts);
/* The digest c[name] of x, within MARGIN times the larger of its deviation in `type` and `least`. */
void golden_check(const cJSON *c, const char *name, const float *x, size_t count, const char *type, double least);
/* All or some gradients against the digests c["gradients"]. Returns how many there were. */
int golden_check_gradients(const cJSON *c, const struct ek_params *params, const float *gradients, const char *type,
                           double least);

#endif
