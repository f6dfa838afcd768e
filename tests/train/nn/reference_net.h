/*
 * The twin of networks that learn: runs the layers of an ek_net one after another in double, forward and backward,
 * and works out beside every number how far float32 and bfloat16 may be from it.
 *
 * A number stands for what the network computes: v the exact value, and the network's |error| at most
 * e · 2^-24 + b · 2^-8, to first order, by the rules of running error analysis (Higham 2002, section 3.3): a sum or
 * product rounds once, by |v|; n numbers added up in any order by (n - 1) · the sum of their magnitudes; errors of
 * x pass through f as |f'| times. b is from roundings to bfloat16, e from those to float32.
 */
#ifndef EK_TESTS_NN_REFERENCE_NET_H
#define EK_TESTS_NN_REFERENCE_NET_H

#include "train/nn/net.h"

struct ref_number {
	double v, e, b;
};

struct ref_net {
	const struct ek_net *net;
	struct ref_number **values, **gradients; /* of each value; an array of batch · elements */
	struct ref_number *parameters, *parameter_gradients;
	struct ref_number *unwanted;   /* gradients of layers whose parameters are constants */
	const int32_t *ids;            /* [batch], by the caller */
	const struct ek_net_key *keys; /* likewise */
	const uint8_t *pixels;         /* likewise */
};

/* The network must be finished for training. parameters: [params->size]. Gradients are 0. */
struct ref_net *ref_net_new(const struct ek_net *net, const float *parameters);
void ref_net_free(struct ref_net *r);
/* An exact input, or gradient of an output. */
void ref_net_set(struct ref_number *out, const float *x, size_t count);
void ref_net_forward(struct ref_net *r);
/* Adds to the gradients. */
void ref_net_backward(struct ref_net *r);
/* The largest |error| of x. */
double ref_net_allowed(const struct ref_number *x);

#endif
