#include "train/nn/op.h"

#define ROW(kind, column, name, needs) [EK_NET_##kind] = { name, needs },

const struct ek_net_operator ek_net_operators[EK_NET_KIND_COUNT] = { EK_NET_OPERATORS(ROW) };
