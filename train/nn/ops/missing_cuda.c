/* Operators that the GPU lacks: a network that has one is refused with its name (ek_net_finish). */
#include "train/nn/net_internal.h"

#define MISSING(column)                                                                                                \
	extern const struct ek_net_code ek_net_cuda_##column;                                                          \
	const struct ek_net_code ek_net_cuda_##column = { .forward = NULL };

MISSING(linear)
MISSING(layer_norm)
MISSING(modulate)
MISSING(attention)
MISSING(softmax)
MISSING(positions)
MISSING(embedding)
MISSING(times)
MISSING(mean)
MISSING(noise)
MISSING(mix)
MISSING(mix_error)
MISSING(diffusion)

