/*
 * Networks that the tests of train/nn/net.h run: each layer alone, in several sizes, and blocks of models. A case
 * builds its network; whoever runs it finds parameters, inputs and outputs in the subject.
 */
#ifndef EK_TESTS_NN_NET_CASES_H
#define EK_TESTS_NN_NET_CASES_H

#include "train/nn/net.h"

enum { NET_CASE_NUMBERS = 9, NET_CASE_VALUES = 8 };

struct net_subject {
	struct ek_params params; /* their `init` says how to fill them */
	struct ek_net *net;
	int inputs[NET_CASE_VALUES], outputs[NET_CASE_VALUES];
	int input_count, output_count;
	int ids, id_count; /* an input of ids below id_count; 0: none */
	int keys;          /* an input of keys; 0: none */
	int pixels;        /* an input of bytes; 0: none */
	int codes;         /* an output of ids; 0: none */
	int low;           /* 1: layers see inputs in the net's own type */
};

enum {
	NET_CASE_KINKS = 1,    /* not differentiable everywhere, or with a gradient that is not the derivative */
	NET_CASE_COMPOSED = 2, /* more than one layer that computes */
	NET_CASE_CPU = 4,      /* with a layer that no other device has */
	NET_CASE_ROWS = 8,     /* one input, one output, rows by themselves: equal images have equal results */
};

struct net_case {
	const char *name;
	/* Returns 0 or a negative code. n: the case's numbers. */
	int (*build)(struct net_subject *s, const int *n);
	int n[NET_CASE_NUMBERS];
	unsigned flags;
};

extern const struct net_case net_cases[];
extern const int net_case_count;

/* Builds the case without finishing it; fails the test on errors. */
void net_subject_new(struct net_subject *s, const struct net_case *c, enum ek_nn_precision precision, int low,
                     int batch);
void net_subject_free(struct net_subject *s);

#endif
