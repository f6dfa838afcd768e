/* Gradients of convolutions. oneDNN wants to know the forward convolution they belong to. */
#include <stddef.h>

#include "rebalance/base/error.h"
#include "train/nn/onednn_internal.h"

struct window {
	dnnl_dims_t strides, low, high;
};

static struct window window_of(const int stride[2], const int pad[4])
{
	return (struct window){ { stride[0], stride[1] }, { pad[0], pad[2] }, { pad[1], pad[3] } };
}

/* As described so far: the forward convolution, left in `*forward` also on failure. */
static dnnl_status_t describe_forward(dnnl_primitive_desc_t *forward, const struct ek_dnn_making *m, desc_in x,
                                      desc_in weights, desc_in y, const struct window *w)
{
#if DNNL_VERSION_MAJOR >= 3
	return dnnl_convolution_forward_primitive_desc_create(forward, ek_dnn_engine, dnnl_forward_training,
	                                                      dnnl_convolution_direct, x, weights, NULL, y, w->strides,
	                                                      NULL, w->low, w->high, m->attr);
#else
	dnnl_convolution_desc_t d;
	const dnnl_status_t status = dnnl_convolution_forward_desc_init(
		&d, dnnl_forward_training, dnnl_convolution_direct, x, weights, NULL, y, w->strides, w->low, w->high);

	return status == dnnl_success ? dnnl_primitive_desc_create(forward, &d, m->attr, ek_dnn_engine, NULL) : status;
#endif
}

static dnnl_status_t describe_backward(struct ek_dnn_making *m, dnnl_primitive_desc_t forward, desc_in x,
                                       desc_in weights, desc_in y, const struct window *w)
{
	const int data = m->role == EK_DNN_DATA_GRADIENT;
#if DNNL_VERSION_MAJOR >= 3
	return data ? dnnl_convolution_backward_data_primitive_desc_create(
			      &m->desc, ek_dnn_engine, dnnl_convolution_direct, x, weights, y, w->strides, NULL, w->low,
			      w->high, forward, m->attr)
	            : dnnl_convolution_backward_weights_primitive_desc_create(
			      &m->desc, ek_dnn_engine, dnnl_convolution_direct, x, weights, NULL, y, w->strides, NULL,
			      w->low, w->high, forward, m->attr);
#else
	dnnl_convolution_desc_t d;
	const dnnl_status_t status =
		data ? dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, x, weights, y, w->strides,
	                                                        w->low, w->high)
		     : dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, x, weights, NULL, y,
	                                                           w->strides, w->low, w->high);

	return status == dnnl_success ? dnnl_primitive_desc_create(&m->desc, &d, m->attr, ek_dnn_engine, forward)
	                              : status;
#endif
}

static int make(struct ek_dnn_kernel **out, enum ek_dnn_role role, const struct ek_dnn_layout *x,
                const struct ek_dnn_layout *weights, const struct ek_dnn_layout *any, const struct ek_dnn_layout *y,
                const int stride[2], const int pad[4])
{
	const struct window w = window_of(stride, pad);
	dnnl_primitive_desc_t forward = NULL;
	struct ek_dnn_making m;
	const int rc = ek_dnn_making_begin(&m, NULL);

	m.role = role;
	if (rc == 0) {
		m.status = describe_forward(&forward, &m, DESC(x), DESC(any), DESC(y), &w);
		if (m.status == dnnl_success)
			m.status = describe_backward(&m, forward, DESC(x), DESC(weights), DESC(y), &w);
		if (forward != NULL)
			(void)dnnl_primitive_desc_destroy(forward);
	}
	return ek_dnn_making_end(out, &m, rc, "gradient of a convolution");
}

int ek_dnn_convolution_data(struct ek_dnn_kernel **out, const struct ek_dnn_layout *dx,
                            const struct ek_dnn_layout *weights, const struct ek_dnn_layout *dy, const int stride[2],
                            const int pad[4])
{
	return make(out, EK_DNN_DATA_GRADIENT, dx, weights, weights, dy, stride, pad);
}

int ek_dnn_convolution_weights(struct ek_dnn_kernel **out, const struct ek_dnn_layout *x,
                               const struct ek_dnn_layout *dw, const struct ek_dnn_layout *weights,
                               const struct ek_dnn_layout *dy, const int stride[2], const int pad[4])
{
	return make(out, EK_DNN_WEIGHT_GRADIENT, x, dw, weights, dy, stride, pad);
}
