/* What convolutions and linear layers share on the CPU: weights packed as the kernels like them, once a step, and the
 * way forward. Internal to train/nn. */
#ifndef EK_NN_OPS_PRODUCT_CPU_H
#define EK_NN_OPS_PRODUCT_CPU_H

#include "train/nn/ops/dnn_cpu.h"

/* Kernels of a product; DATA and what packs for it only where the input's gradient is wanted, UNPACK of convolutions.
 * Those from IMAGE on for the gradients of single images: that of the weights, of convolutions what unpacks it, of
 * linear layers the same added to what is there, and X X^T and dY dY^T where these are cheaper. */
enum {
	EK_PRODUCT_FORWARD,
	EK_PRODUCT_DATA,
	EK_PRODUCT_WEIGHTS,
	EK_PRODUCT_PACK_FORWARD,
	EK_PRODUCT_PACK_DATA,
	EK_PRODUCT_UNPACK,
	EK_PRODUCT_IMAGE,
	EK_PRODUCT_IMAGE_UNPACK,
	EK_PRODUCT_IMAGE_ADD = EK_PRODUCT_IMAGE_UNPACK,
	EK_PRODUCT_GRAM_INPUTS,
	EK_PRODUCT_GRAM_OUTPUTS
};

/* Bytes of the packed weights of kernel FORWARD or DATA, which lie in this order at op->packed_offset. */
size_t ek_product_packed_size(const struct ek_net_op *op, int kernel);

/* As in struct ek_net_code. */
int ek_product_load(struct ek_net *net, struct ek_net_op *op);
int ek_product_forward(struct ek_net_state *s, const struct ek_net_op *op);

#endif
