/*
 * The operators of networks (net.h): one row each. A device has a column of them (net_internal.h); each file of ops/ is
 * some operators on one device. Internal to train/nn.
 */
#ifndef EK_NN_OP_H
#define EK_NN_OP_H

/* What backward reads beside the gradients of the outputs: bit i: input i; of the first output: bit 8. From bit 16 on:
 * inputs through which no gradient goes. */
enum { EK_NET_NEEDS_OUTPUT = 1u << 8, EK_NET_STOPS = 16 };

/* ROW(kind, column, name, needs): EK_NET_kind, ek_net_cpu_column */
// clang-format off
#define EK_NET_OPERATORS(ROW) \
	ROW(LINEAR,     linear,     "linear",      1) \
	ROW(CONV,       conv,       "convolution", 1) \
	ROW(GROUP_NORM, group_norm, "group norm",  1) \
	ROW(LAYER_NORM, layer_norm, "layer norm",  1) \
	ROW(MODULATE,   modulate,   "modulate",    7 | EK_NET_NEEDS_OUTPUT) \
	ROW(ATTENTION,  attention,  "attention",   1 | EK_NET_NEEDS_OUTPUT) \
	ROW(CAUSAL,     causal,     "causal attention", 1 | EK_NET_NEEDS_OUTPUT) \
	ROW(ACTIVATION, activation, "activation",  1) \
	ROW(ADD,        add,        "add",         0) \
	ROW(POSITIONS,  positions,  "positions",   0) \
	ROW(EMBEDDING,  embedding,  "embedding",   1) \
	ROW(TIMES,      times,      "times",       1u << EK_NET_STOPS) \
	ROW(POOL,       pool,       "pooling",     1) \
	ROW(AVERAGE,    average,    "average",     0) \
	ROW(CONCAT,     concat,     "concatenation", 0) \
	ROW(ROWS,       rows,       "rows",        0) \
	ROW(PREPEND,    prepend,    "prepend",     0) \
	ROW(PATCHES,    patches,    "patches",     0) \
	ROW(UPSAMPLE,   upsample,   "upsample",    0) \
	ROW(UNPATCH,    unpatch,    "unpatch",     0) \
	ROW(CHANNELS,   channels,   "channels",    0) \
	ROW(SAMPLE,     sample,     "sample",      3) \
	ROW(KL,         kl,         "kl",          1) \
	ROW(ERROR,      error,      "error",       3) \
	ROW(MEAN,       mean,       "mean",        1) \
	ROW(DETACH,     detach,     "detach",      1u << EK_NET_STOPS) \
	ROW(NOISE,      noise,      "noise",       1u << EK_NET_STOPS) \
	ROW(PIXELS,     pixels,     "pixels",      1u << EK_NET_STOPS) \
	ROW(MIX,        mix,        "mix",         4 | 4u << EK_NET_STOPS) \
	ROW(MIX_ERROR,  mix_error,  "mix error",   15 | 8u << EK_NET_STOPS) \
	ROW(DIFFUSION,  diffusion,  "diffusion",   15 | 14u << EK_NET_STOPS) \
	ROW(QUANTISE,   quantise,   "quantise",    1 | EK_NET_NEEDS_OUTPUT) \
	ROW(AFFINE,     affine,     "affine",      0) \
	ROW(CAST,       cast,       "cast",        0)

#define EK_NET_KIND(kind, column, name, needs) EK_NET_##kind,
enum ek_net_kind { EK_NET_OPERATORS(EK_NET_KIND) EK_NET_KIND_COUNT };
// clang-format on

struct ek_net_operator {
	const char *name;
	unsigned needs;
};
extern const struct ek_net_operator ek_net_operators[EK_NET_KIND_COUNT];

#endif
