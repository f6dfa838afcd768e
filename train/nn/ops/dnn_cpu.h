/* oneDNN's kernels behind the CPU's operators: what an operator prepared, and its calls in a state. Internal to
 * train/nn. */
#ifndef EK_NN_OPS_DNN_CPU_H
#define EK_NN_OPS_DNN_CPU_H

#include "train/nn/net_internal.h"
#include "train/nn/onednn.h"

enum { EK_CPU_KERNELS = 10 };

/* The kernels of a layer, NULL where it has none. */
struct ek_dnn_kernel **ek_cpu_kernels(const struct ek_net_op *op);
/* The calls of a layer in this state, with the kernels' scratch set. */
struct ek_dnn_call *const *ek_cpu_calls(const struct ek_net_state *s, const struct ek_net_op *op);
/* `count` images like those of a value, of this type, as oneDNN sees them. */
int ek_cpu_images(struct ek_dnn_layout **out, const struct ek_net *net, int value, enum ek_nn_type type, int count);

/* The device's (device_internal.h). */
int ek_cpu_prepare(struct ek_net *net, struct ek_net_op *op);
void ek_cpu_unprepare(struct ek_net_op *op);
int ek_cpu_attach(struct ek_net_state *s, const struct ek_net_op *op, void **out);
void ek_cpu_detach(void *calls);

#endif
