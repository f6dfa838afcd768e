/* What the files that speak oneDNN share. Nothing else includes this. */
#ifndef EK_NN_ONEDNN_INTERNAL_H
#define EK_NN_ONEDNN_INTERNAL_H

#include <oneapi/dnnl/dnnl.h>

#include "train/nn/onednn.h"

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t desc_in;
#define DESC(layout) ((layout)->desc)
#else
typedef const dnnl_memory_desc_t *desc_in;
#define DESC(layout) (&(layout)->desc)
#endif

struct ek_dnn_layout {
	dnnl_memory_desc_t desc;
};

/* What the arguments of a kernel are. */
enum ek_dnn_role { EK_DNN_FORWARD, EK_DNN_DATA_GRADIENT, EK_DNN_WEIGHT_GRADIENT };

/* What the makers of kernels have in common: begin, then (if that gave 0) describe, then end, always. Another thread's
 * begin waits for the end: what oneDNN makes it keeps, and hands to whoever asks for the same. */
struct ek_dnn_making {
	dnnl_primitive_attr_t attr;
	dnnl_primitive_desc_t desc;
	dnnl_status_t status;
	enum ek_dnn_role role;
	int before;
};

int ek_dnn_making_begin(struct ek_dnn_making *m, const struct ek_dnn_fusion *fusion);
int ek_dnn_making_end(struct ek_dnn_kernel **out, struct ek_dnn_making *m, int rc, const char *what);

extern dnnl_engine_t ek_dnn_engine;

#endif
