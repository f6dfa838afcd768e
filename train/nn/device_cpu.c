/* The CPU back end: its column of the operators. */
#include "train/nn/net_internal.h"

#define ROW(kind, column, name, needs) [EK_NET_##kind] = &ek_net_cpu_##column,

const struct ek_net_backend ek_net_cpu = {
	.name = "CPU",
	.codes = { EK_NET_OPERATORS(ROW) },
};
