#include "train/nn/backend.h"

const struct ek_nn_backend ek_nn_cpu = {
	.name = "CPU",
	.plan = {
		[EK_NN_OP_IMAGE] = ek_nn_plan_image,
		[EK_NN_OP_CONV] = ek_nn_plan_conv,
		[EK_NN_OP_POOL] = ek_nn_plan_pool,
		[EK_NN_OP_GLOBAL_AVERAGE] = ek_nn_plan_global_average,
		[EK_NN_OP_LINEAR] = ek_nn_plan_linear,
		[EK_NN_OP_LAYER_NORM] = ek_nn_plan_layer_norm,
		[EK_NN_OP_ATTENTION] = ek_nn_plan_attention,
		[EK_NN_OP_PATCHES] = ek_nn_plan_patches,
		[EK_NN_OP_SEQUENCE] = ek_nn_plan_sequence,
		[EK_NN_OP_TAKE] = ek_nn_plan_take,
		[EK_NN_OP_MEAN] = ek_nn_plan_mean,
		[EK_NN_OP_CONCAT] = ek_nn_plan_concat,
	},
};
