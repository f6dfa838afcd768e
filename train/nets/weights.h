/*
 * The weights of a published network: frozen parameters whose values are tensors of a file, taken by their published
 * names where the layers are built. A missing or misshapen tensor, a number that is not finite, and a tensor that
 * nothing takes, is EK_EDATA naming it and the file.
 *
 *     EK_TRY(ek_weights_init(&w, &file));
 *     EK_TRY(ek_net_new(&net, &w.params, EK_NN_AUTO, 16));
 *     EK_TRY(weight = ek_weights_take(&w, "fc.weight", EK_SHAPE(10, 64)));
 *     x = ek_net_linear(net, x, &(struct ek_net_linear){ .weight = weight, .bias = -1, .outputs = 10 });
 *     …
 *     EK_TRY(ek_weights_check_all_taken(&w, ignored));
 *     EK_TRY(ek_net_load(net, w.values));
 *
 * Functions that add a parameter return its number or a negative code.
 */
#ifndef EK_NETS_WEIGHTS_H
#define EK_NETS_WEIGHTS_H

#include "rebalance/io/tensors.h"
#include "train/nn/params.h"

struct ek_weights {
	const struct ek_tensor_file *file; /* not owned; not needed once all is taken */
	const char *prefix; /* of the names that are taken, "" at first; other tensors are not looked at */
	uint8_t *used;      /* [tensors of file] */
	struct ek_params params;
	float *values;   /* [params.size]; moves when a parameter is added */
	size_t capacity; /* of values */
};

int ek_weights_init(struct ek_weights *w, const struct ek_tensor_file *file);
void ek_weights_release(struct ek_weights *w);

/* 1 if the file has a tensor of this name behind the prefix. */
int ek_weights_has(const struct ek_weights *w, const char *name);
/* Choose the prefix that training code puts before the names ("state_dict.", …) so that this tensor is there; it stays
 * as it is if there is no such. */
void ek_weights_find_prefix(struct ek_weights *w, const char *name);

/* A dimension list: ended by a 0. */
#define EK_SHAPE(...) ((const int[]){ __VA_ARGS__, 0 })

/* A parameter of this shape whose values are those of the tensor `name`. */
int ek_weights_take(struct ek_weights *w, const char *name, const int *shape);
/* A parameter of this name and shape that is computed: zeros at first. */
int ek_weights_room(struct ek_weights *w, const char *name, const int *shape);
/* The values of a parameter, until the next one is added. */
float *ek_weights_values(const struct ek_weights *w, int parameter);
/* The values of a tensor that is no parameter: `*out`, to be freed. */
int ek_weights_read(float **out, struct ek_weights *w, const char *name, const int *shape);

/*
 * A convolution without bias and the batch norm after it, y = (W x - mean) / sqrt(variance + epsilon) gamma + beta, as
 * one convolution: its weight is the parameter returned, its bias the next one.
 *
 * conv, norm:  names in front of .weight and of .weight, .bias, .running_mean, .running_var
 * shape:       of the weight: outputs, inputs of a group, height, width
 * gamma, beta: [outputs], out, may be NULL: what the norm's results have as deviation and mean over the data that it
 *              was trained on
 */
struct ek_folded {
	const char *conv, *norm;
	int shape[4];
	double epsilon;
};
int ek_weights_fold(struct ek_weights *w, const struct ek_folded *folded, float *gamma, float *beta);

/* All was taken. A tensor nobody took is EK_EDATA unless its name matches one of `ignored`
 * (ek_tensor_name_matches). */
int ek_weights_check_all_taken(const struct ek_weights *w, const char *const *ignored);

#endif
