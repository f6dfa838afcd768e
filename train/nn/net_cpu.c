/* The CPU back end: the table of its layers. */
#include "train/nn/net_internal.h"

const struct ek_net_backend ek_net_cpu = {
	.name = "CPU",
	.codes = {
		[EK_NET_LINEAR] = &ek_net_cpu_linear,
		[EK_NET_CONV] = &ek_net_cpu_conv,
		[EK_NET_GROUP_NORM] = &ek_net_cpu_group_norm,
		[EK_NET_LAYER_NORM] = &ek_net_cpu_layer_norm,
		[EK_NET_MODULATE] = &ek_net_cpu_modulate,
		[EK_NET_ATTENTION] = &ek_net_cpu_attention,
		[EK_NET_ACTIVATION] = &ek_net_cpu_activation,
		[EK_NET_SOFTMAX] = &ek_net_cpu_softmax,
		[EK_NET_ADD] = &ek_net_cpu_add,
		[EK_NET_POSITIONS] = &ek_net_cpu_positions,
		[EK_NET_EMBEDDING] = &ek_net_cpu_embedding,
		[EK_NET_TIMES] = &ek_net_cpu_times,
		[EK_NET_UPSAMPLE] = &ek_net_cpu_upsample,
		[EK_NET_HALVE] = &ek_net_cpu_halve,
		[EK_NET_UNPATCH] = &ek_net_cpu_unpatch,
		[EK_NET_CHANNELS] = &ek_net_cpu_channels,
		[EK_NET_SAMPLE] = &ek_net_cpu_sample,
		[EK_NET_KL] = &ek_net_cpu_kl,
		[EK_NET_ERROR] = &ek_net_cpu_error,
		[EK_NET_QUANTISE] = &ek_net_cpu_quantise,
		[EK_NET_AFFINE] = &ek_net_cpu_affine,
		[EK_NET_CAST] = &ek_net_cpu_cast,
	},
};
