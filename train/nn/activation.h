/* The functions that layers apply to each number. */
#ifndef EK_NN_ACTIVATION_H
#define EK_NN_ACTIVATION_H

/* GELU_ERF is PyTorch's default; QUICK_GELU is x·sigmoid(1.702 x). */
enum ek_nn_activation {
	EK_NN_LINEAR, /* none */
	EK_NN_RELU,
	EK_NN_RELU6,
	EK_NN_GELU_ERF,
	EK_NN_GELU_TANH,
	EK_NN_QUICK_GELU,
	EK_NN_SILU,
	EK_NN_ACTIVATION_COUNT
};

#endif
