/*
 * What a builder of a network needs: the graph it adds layers to and the weight file it takes tensors from by their
 * published names. A missing or misshapen tensor, and one that nothing takes, is EK_EDATA naming it and the file.
 *
 * Builders return the number of their last value or a negative code, like the layer functions of train/nn.
 */
#ifndef EK_EMBED_NETWORK_H
#define EK_EMBED_NETWORK_H

#include "rebalance/io/tensors.h"
#include "train/nn/layers.h"

struct ek_network {
	struct ek_nn_graph *graph;
	const struct ek_tensor_file *file;
	const char *prefix; /* of the names that are taken, "" at first; other tensors are then not looked at */
	uint8_t *used;      /* [tensors of file] */
	float **copies;     /* [copy_count] what the graph still points to */
	size_t copy_count;
};

/* Neither the graph nor the file become the network's. Release after ek_nn_graph_finish. */
int ek_network_init(struct ek_network *n, struct ek_nn_graph *graph, const struct ek_tensor_file *file);
void ek_network_release(struct ek_network *n);

/* 1 if the file has a tensor of this name behind the prefix. */
int ek_network_has(const struct ek_network *n, const char *name);
/* Take the prefix that training code put before the names (tensor.h), told by this tensor. */
void ek_network_find_prefix(struct ek_network *n, const char *name);

/* Take a tensor as float32. `shape`: its dimensions, ended by a 0. The array lives as long as the network.
 * EK_EDATA, also for a number that is not finite. */
int ek_network_take(const float **out, struct ek_network *n, const char *name, const int *shape);
/* "prefix" + "suffix". */
int ek_network_take_part(const float **out, struct ek_network *n, const char *prefix, const char *suffix,
                         const int *shape);

/* Zeroed room for `count` floats that lives as long as the network, for weights that are computed. */
int ek_network_room(float **out, struct ek_network *n, size_t count);

/* All was taken. A tensor nobody took is EK_EDATA unless its name starts or ends with one of `ignored`
 * (ends with NULL; "*x" means: ends with x). */
int ek_network_check_all_taken(const struct ek_network *n, const char *const *ignored);

/* A dimension list for ek_network_take. */
#define EK_SHAPE(...) ((const int[]){ __VA_ARGS__, 0 })

#endif
