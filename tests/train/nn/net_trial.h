/* Runs a case of net_cases.h in the network and in the twin, on the same numbers. */
#ifndef EK_TESTS_NN_NET_TRIAL_H
#define EK_TESTS_NN_NET_TRIAL_H

#include "tests/train/nn/net_cases.h"
#include "tests/train/nn/reference_net.h"

/*
 * Every number is one that bfloat16 has, so that both precisions start from the same. Results, in one array: outputs,
 * gradients of inputs, gradients of parameters; those of parameters are added to what is there.
 */
struct net_trial {
	struct net_subject s;
	struct ek_store *store;
	float *values, *start, *gradients;                       /* of parameters: start + what backward adds */
	float *inputs[NET_CASE_VALUES], *given[NET_CASE_VALUES]; /* given: gradients of outputs */
	int32_t *ids;
	struct ek_net_key *keys;
	uint8_t *pixels;
	size_t outputs, count; /* numbers of the outputs; of all results */
	int batch;
};

/* low: as in net_subject. */
void net_trial_new(struct net_trial *t, const struct net_case *c, enum ek_nn_precision precision, enum ek_net_mode mode,
                   int low, int batch);
/* The same for a subject, t->s, that was built in another way. */
void net_trial_start(struct net_trial *t, enum ek_net_mode mode, int batch);
void net_trial_free(struct net_trial *t);

/* Fills a state's inputs, everything else being NaN before. */
void net_trial_fill(const struct net_trial *t, struct ek_net_state *state);
/* results: [t->count], or [t->outputs] in mode FORWARD, the rest is not touched. */
void net_trial_run(struct net_trial *t, struct ek_net_state *state, float *results);
/* The twin's results (to be freed). */
struct ref_number *net_trial_reference(const struct net_trial *t);

#endif
