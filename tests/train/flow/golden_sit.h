/* Models and batches of tests/golden/sit.json (make_sit.py says what is in it). */
#ifndef EK_TESTS_GOLDEN_SIT_H
#define EK_TESTS_GOLDEN_SIT_H

#include "tests/support/golden.h"
#include "train/flow/objective.h"
#include "train/flow/sit.h"

struct ek_sit_config golden_config(const cJSON *golden, const char *model);
enum ek_path golden_path(const cJSON *c);
enum ek_prediction golden_prediction(const cJSON *c);

/* A model with the weights by formula, and one slice of it. */
struct golden_net {
	struct ek_sit_config config;
	struct ek_params params;
	struct ek_store *store;
	struct ek_net *net;
	struct ek_net_state *s;
	int x, t, labels, out;
	float *d_out; /* [batch, elements]: the gradient of `out` that golden_loss gave */
};
void golden_net_make(struct golden_net *g, const cJSON *golden, const char *model, int batch,
                     enum ek_nn_precision precision, enum ek_net_mode mode);
void golden_net_release(struct golden_net *g);

/* x1, x0 [count, elements] and labels [count] of a case; t is there where the case has times. */
struct golden_batch {
	float *x1, *x0, *t;
	int32_t *labels;
	int count;
};
void golden_batch_make(struct golden_batch *b, const cJSON *c);
void golden_batch_release(struct golden_batch *b);

/* The objective alone: data, noise and factors come from the caller, the prediction, too. */
struct objective_net {
	struct ek_params none;
	struct ek_net *net;
	struct ek_net_state *s;
	int prediction, data, noise, factors, x, loss, parts[2];
};
void objective_net_make(struct objective_net *n, const struct ek_objective *o, struct ek_net_shape data, int outputs,
                        int batch);
void objective_net_release(struct objective_net *n);
/* Forward of what is filled in, the prediction being there already. data, noise: [batch, elements]; t: [batch]. */
void objective_net_run(struct objective_net *n, const struct ek_objective *o, const float *data, const float *noise,
                       const double *t);

/* Mix, predict, compare: the net's input is filled, forward run, and the mean loss's gradient written. losses, parts:
 * [count], [count, 2]; parts may be NULL. t: [count]. Returns the mean loss. */
double golden_loss(struct golden_net *g, const struct golden_batch *b, const struct ek_objective *o, const double *t,
                   float *losses, double *parts);

#endif
