#include "train/nn/onednn_internal.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/net.h"

/* Declared here because the compiler's omp.h may belong to another OpenMP than the one oneDNN is linked to. */
extern void omp_set_num_threads(int count);
extern int omp_get_max_threads(void);

struct ek_dnn_kernel {
	dnnl_primitive_desc_t desc;
	dnnl_primitive_t primitive;
	enum ek_dnn_role role;
	struct ek_dnn_layout *layouts[EK_DNN_SLOT_COUNT];
	size_t scratch;
};

struct ek_dnn_call {
	const struct ek_dnn_kernel *kernel;
	dnnl_stream_t stream;
	dnnl_exec_arg_t args[EK_DNN_SLOT_COUNT];
	int count;
	int places[EK_DNN_SLOT_COUNT]; /* index into args + 1 */
};

dnnl_engine_t ek_dnn_engine;
static dnnl_status_t engine_status;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t making_lock = PTHREAD_MUTEX_INITIALIZER;

static void engine_start(void)
{
	engine_status = dnnl_engine_create(&ek_dnn_engine, dnnl_cpu, 0);
}

static int check(dnnl_status_t status, const char *what)
{
	if (status == dnnl_success)
		return 0;
	if (status == dnnl_out_of_memory)
		return ek_fail(EK_ENOMEM, "no memory for a %s", what);
	return ek_fail(EK_ENOTSUP, "oneDNN cannot do this %s: status %d", what, (int)status);
}

static int engine_get(void)
{
	(void)pthread_once(&engine_once, engine_start);
	return check(engine_status, "engine");
}

int ek_dnn_enter(void)
{
	const int before = omp_get_max_threads();

	if (before != 1)
		omp_set_num_threads(1);
	return before;
}

void ek_dnn_leave(int before)
{
	if (before != 1)
		omp_set_num_threads(before);
}

int ek_dnn_has_bf16(void)
{
	/* Each instruction set's value holds the bits of those it includes. */
	return ((unsigned)dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) ==
	       dnnl_cpu_isa_avx512_core_bf16;
}

static dnnl_data_type_t data_type(enum ek_nn_type type)
{
	return type == EK_NN_BFLOAT16 ? dnnl_bf16 : dnnl_f32;
}

static dnnl_format_tag_t tag_of(int rank, enum ek_dnn_order order)
{
	static const dnnl_format_tag_t plain[] = { dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde };

	assert(rank >= 1 && rank <= 5);
	switch (order) {
	case EK_DNN_ANY:
		return dnnl_format_tag_any;
	case EK_DNN_CHANNELS_LAST:
		return dnnl_acdb;
	case EK_DNN_PLAIN:
		break;
	}
	return plain[rank - 1];
}

/* Ends the making of a layout whose description gave `status`. */
static int layout_end(struct ek_dnn_layout **out, dnnl_status_t status)
{
	const int rc = check(status, "memory layout");

	if (rc < 0) {
		free(*out);
		*out = NULL;
	}
	return rc;
}

static int layout_from(struct ek_dnn_layout **out, desc_in desc)
{
	const int rc = ek_alloc(out, 1, sizeof **out);

	if (rc < 0)
		return rc;
#if DNNL_VERSION_MAJOR >= 3
	return layout_end(out, dnnl_memory_desc_clone(&(*out)->desc, desc));
#else
	(*out)->desc = *desc;
	return 0;
#endif
}

#if DNNL_VERSION_MAJOR >= 3
#define describe_by_tag dnnl_memory_desc_create_with_tag
#define describe_by_strides dnnl_memory_desc_create_with_strides
#else
#define describe_by_tag dnnl_memory_desc_init_by_tag
#define describe_by_strides dnnl_memory_desc_init_by_strides
#endif

int ek_dnn_layout_new(struct ek_dnn_layout **out, enum ek_nn_type type, int rank, const int64_t *dims,
                      enum ek_dnn_order order)
{
	const int rc = ek_alloc(out, 1, sizeof **out);

	if (rc < 0)
		return rc;
	return layout_end(out, describe_by_tag(&(*out)->desc, rank, dims, data_type(type), tag_of(rank, order)));
}

int ek_dnn_layout_strided(struct ek_dnn_layout **out, enum ek_nn_type type, int rank, const int64_t *dims,
                          const int64_t *strides)
{
	const int rc = ek_alloc(out, 1, sizeof **out);

	if (rc < 0)
		return rc;
	return layout_end(out, describe_by_strides(&(*out)->desc, rank, dims, data_type(type), strides));
}

void ek_dnn_layout_free(struct ek_dnn_layout *layout)
{
	if (layout == NULL)
		return;
#if DNNL_VERSION_MAJOR >= 3
	(void)dnnl_memory_desc_destroy(layout->desc);
#endif
	free(layout);
}

size_t ek_dnn_layout_size(const struct ek_dnn_layout *layout)
{
	return dnnl_memory_desc_get_size(DESC(layout));
}

static int argument_of(enum ek_dnn_role role, int slot)
{
	static const int arguments[][EK_DNN_RESULT + 1] = {
		[EK_DNN_FORWARD] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST },
		[EK_DNN_DATA_GRADIENT] = { DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DIFF_SRC },
		[EK_DNN_WEIGHT_GRADIENT] = { DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_BIAS,
		                             DNNL_ARG_DIFF_WEIGHTS },
	};

	if (slot == EK_DNN_SCRATCH)
		return DNNL_ARG_SCRATCHPAD;
	return arguments[role][slot];
}

static const struct {
	dnnl_alg_kind_t kind;
	float alpha, beta;
} activations[EK_NN_ACTIVATION_COUNT] = {
	[EK_NN_RELU] = { dnnl_eltwise_relu, 0, 0 },
	[EK_NN_RELU6] = { dnnl_eltwise_clip, 0, 6 },
	[EK_NN_GELU_ERF] = { dnnl_eltwise_gelu_erf, 0, 0 },
	[EK_NN_GELU_TANH] = { dnnl_eltwise_gelu_tanh, 0, 0 },
	[EK_NN_QUICK_GELU] = { dnnl_eltwise_swish, 1.702F, 0 },
	[EK_NN_SILU] = { dnnl_eltwise_swish, 1, 0 },
};

static dnnl_status_t append_fusion(dnnl_post_ops_t post, const struct ek_dnn_fusion *f)
{
	dnnl_status_t status = dnnl_success;

	if (f->add_result)
#if DNNL_VERSION_MAJOR >= 3
		status = dnnl_post_ops_append_sum(post, 1, 0, dnnl_data_type_undef);
#else
		status = dnnl_post_ops_append_sum(post, 1);
#endif
	if (status == dnnl_success && f->activation != EK_NN_LINEAR)
#if DNNL_VERSION_MAJOR >= 3
		status =
			dnnl_post_ops_append_eltwise(post, activations[f->activation].kind,
		                                     activations[f->activation].alpha, activations[f->activation].beta);
#else
		status =
			dnnl_post_ops_append_eltwise(post, 1, activations[f->activation].kind,
		                                     activations[f->activation].alpha, activations[f->activation].beta);
#endif
	return status;
}

/* Attributes of every kernel: scratch memory from the caller, and the fused operations. */
static int attributes_new(dnnl_primitive_attr_t *out, const struct ek_dnn_fusion *fusion)
{
	dnnl_post_ops_t post = NULL;
	int rc;

	*out = NULL;
	EK_TRY(engine_get());
	EK_TRY(check(dnnl_primitive_attr_create(out), "attribute"));
	EK_TRY(check(dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user), "attribute"));
	if (fusion != NULL) {
		EK_TRY(check(dnnl_post_ops_create(&post), "fusion"));
		EK_TRY(check(append_fusion(post, fusion), "fusion"));
		EK_TRY(check(dnnl_primitive_attr_set_post_ops(*out, post), "fusion"));
	}
out:
	if (post != NULL)
		(void)dnnl_post_ops_destroy(post);
	if (rc < 0 && *out != NULL) {
		(void)dnnl_primitive_attr_destroy(*out);
		*out = NULL;
	}
	return rc;
}

/* Takes `desc` (also on failure); `status` is that of its creation. */
static int kernel_from(struct ek_dnn_kernel **out, dnnl_status_t status, dnnl_primitive_desc_t desc,
                       enum ek_dnn_role role, const char *what)
{
	struct ek_dnn_kernel *k = NULL;
	int rc;

	*out = NULL;
	EK_TRY(check(status, what));
	if ((rc = ek_alloc(&k, 1, sizeof *k)) < 0) {
		(void)dnnl_primitive_desc_destroy(desc);
		goto out;
	}
	k->desc = desc;
	k->role = role;
	EK_TRY(check(dnnl_primitive_create(&k->primitive, k->desc), what));
	for (int slot = 0; slot < EK_DNN_SLOT_COUNT; slot++) {
		const desc_in d =
			dnnl_primitive_desc_query_md(k->desc, dnnl_query_exec_arg_md, argument_of(role, slot));

		if (d != NULL && dnnl_memory_desc_get_size(d) > 0)
			EK_TRY(layout_from(&k->layouts[slot], d));
	}
	if (k->layouts[EK_DNN_SCRATCH] != NULL)
		k->scratch = ek_dnn_layout_size(k->layouts[EK_DNN_SCRATCH]);
	*out = k;
	k = NULL;
out:
	ek_dnn_kernel_free(k);
	return rc;
}

void ek_dnn_kernel_free(struct ek_dnn_kernel *kernel)
{
	if (kernel == NULL)
		return;
	for (int slot = 0; slot < EK_DNN_SLOT_COUNT; slot++)
		ek_dnn_layout_free(kernel->layouts[slot]);
	if (kernel->primitive != NULL)
		(void)dnnl_primitive_destroy(kernel->primitive);
	if (kernel->desc != NULL)
		(void)dnnl_primitive_desc_destroy(kernel->desc);
	free(kernel);
}

int ek_dnn_making_begin(struct ek_dnn_making *m, const struct ek_dnn_fusion *fusion)
{
	(void)pthread_mutex_lock(&making_lock);
	*m = (struct ek_dnn_making){ .before = ek_dnn_enter() };
	return attributes_new(&m->attr, fusion);
}

int ek_dnn_making_end(struct ek_dnn_kernel **out, struct ek_dnn_making *m, int rc, const char *what)
{
	*out = NULL;
	if (rc == 0)
		rc = kernel_from(out, m->status, m->desc, m->role, what);
	if (m->attr != NULL)
		(void)dnnl_primitive_attr_destroy(m->attr);
	ek_dnn_leave(m->before);
	(void)pthread_mutex_unlock(&making_lock);
	return rc;
}

int ek_dnn_matmul(struct ek_dnn_kernel **out, const struct ek_dnn_layout *x, const struct ek_dnn_layout *weights,
                  const struct ek_dnn_layout *bias, const struct ek_dnn_layout *result,
                  const struct ek_dnn_fusion *fusion)
{
	const desc_in b = bias != NULL ? DESC(bias) : NULL;
	struct ek_dnn_making m;
	const int rc = ek_dnn_making_begin(&m, fusion);

	if (rc == 0) {
#if DNNL_VERSION_MAJOR >= 3
		m.status = dnnl_matmul_primitive_desc_create(&m.desc, ek_dnn_engine, DESC(x), DESC(weights), b,
		                                             DESC(result), m.attr);
#else
		dnnl_matmul_desc_t d;

		m.status = dnnl_matmul_desc_init(&d, DESC(x), DESC(weights), b, DESC(result));
		if (m.status == dnnl_success)
			m.status = dnnl_primitive_desc_create(&m.desc, &d, m.attr, ek_dnn_engine, NULL);
#endif
	}
	return ek_dnn_making_end(out, &m, rc, "matrix product");
}

int ek_dnn_convolution(struct ek_dnn_kernel **out, const struct ek_dnn_layout *x, const struct ek_dnn_layout *weights,
                       const struct ek_dnn_layout *bias, const struct ek_dnn_layout *result, const int stride[2],
                       const int pad[4], const struct ek_dnn_fusion *fusion)
{
	const desc_in b = bias != NULL ? DESC(bias) : NULL;
	const dnnl_dims_t strides = { stride[0], stride[1] }, low = { pad[0], pad[2] }, high = { pad[1], pad[3] };
	struct ek_dnn_making m;
	const int rc = ek_dnn_making_begin(&m, fusion);

	if (rc == 0) {
#if DNNL_VERSION_MAJOR >= 3
		m.status = dnnl_convolution_forward_primitive_desc_create(
			&m.desc, ek_dnn_engine, dnnl_forward_inference, dnnl_convolution_direct, DESC(x), DESC(weights),
			b, DESC(result), strides, NULL, low, high, m.attr);
#else
		dnnl_convolution_desc_t d;

		m.status =
			dnnl_convolution_forward_desc_init(&d, dnnl_forward_inference, dnnl_convolution_direct, DESC(x),
		                                           DESC(weights), b, DESC(result), strides, low, high);
		if (m.status == dnnl_success)
			m.status = dnnl_primitive_desc_create(&m.desc, &d, m.attr, ek_dnn_engine, NULL);
#endif
	}
	return ek_dnn_making_end(out, &m, rc, "convolution");
}

int ek_dnn_pooling(struct ek_dnn_kernel **out, int kind, const struct ek_dnn_layout *x,
                   const struct ek_dnn_layout *result, const int kernel[2], const int stride[2], const int pad[4])
{
	static const dnnl_alg_kind_t kinds[] = { [EK_NET_POOL_MAX] = dnnl_pooling_max,
		                                 [EK_NET_POOL_AVERAGE] = dnnl_pooling_avg_include_padding,
		                                 [EK_NET_POOL_AVERAGE_EXCLUSIVE] = dnnl_pooling_avg_exclude_padding };
	const dnnl_dims_t strides = { stride[0], stride[1] }, sizes = { kernel[0], kernel[1] };
	const dnnl_dims_t low = { pad[0], pad[2] }, high = { pad[1], pad[3] };
	struct ek_dnn_making m;
	const int rc = ek_dnn_making_begin(&m, NULL);

	if (rc == 0) {
#if DNNL_VERSION_MAJOR >= 3
		const dnnl_dims_t dilation = { 0, 0 };

		m.status = dnnl_pooling_forward_primitive_desc_create(&m.desc, ek_dnn_engine, dnnl_forward_inference,
		                                                      kinds[kind], DESC(x), DESC(result), strides,
		                                                      sizes, dilation, low, high, m.attr);
#else
		dnnl_pooling_desc_t d;

		m.status = dnnl_pooling_forward_desc_init(&d, dnnl_forward_inference, kinds[kind], DESC(x),
		                                          DESC(result), strides, sizes, low, high);
		if (m.status == dnnl_success)
			m.status = dnnl_primitive_desc_create(&m.desc, &d, m.attr, ek_dnn_engine, NULL);
#endif
	}
	return ek_dnn_making_end(out, &m, rc, "pooling");
}

int ek_dnn_reorder(struct ek_dnn_kernel **out, const struct ek_dnn_layout *from, const struct ek_dnn_layout *to)
{
	struct ek_dnn_making m;
	const int rc = ek_dnn_making_begin(&m, NULL);

	if (rc == 0)
		m.status = dnnl_reorder_primitive_desc_create(&m.desc, DESC(from), ek_dnn_engine, DESC(to),
		                                              ek_dnn_engine, m.attr);
	return ek_dnn_making_end(out, &m, rc, "change of layout");
}

const struct ek_dnn_layout *ek_dnn_kernel_layout(const struct ek_dnn_kernel *kernel, int slot)
{
	assert(slot >= 0 && slot < EK_DNN_SLOT_COUNT);
	return kernel->layouts[slot];
}

size_t ek_dnn_kernel_scratch(const struct ek_dnn_kernel *kernel)
{
	return kernel->scratch;
}

int ek_dnn_call_new(struct ek_dnn_call **out, const struct ek_dnn_kernel *kernel)
{
	struct ek_dnn_call *call = NULL;
	int rc;

	*out = NULL;
	EK_TRY(engine_get());
	EK_TRY(ek_alloc(&call, 1, sizeof *call));
	call->kernel = kernel;
	EK_TRY(check(dnnl_stream_create(&call->stream, ek_dnn_engine, dnnl_stream_default_flags), "stream"));
	for (int slot = 0; slot < EK_DNN_SLOT_COUNT; slot++) {
		dnnl_exec_arg_t *a = &call->args[call->count];

		if (kernel->layouts[slot] == NULL)
			continue;
		a->arg = argument_of(kernel->role, slot);
		EK_TRY(check(
			dnnl_memory_create(&a->memory, DESC(kernel->layouts[slot]), ek_dnn_engine, DNNL_MEMORY_NONE),
			"memory object"));
		call->places[slot] = ++call->count;
	}
	*out = call;
	call = NULL;
out:
	ek_dnn_call_free(call);
	return rc;
}

void ek_dnn_call_free(struct ek_dnn_call *call)
{
	if (call == NULL)
		return;
	for (int i = 0; i < call->count; i++)
		(void)dnnl_memory_destroy(call->args[i].memory);
	if (call->stream != NULL)
		(void)dnnl_stream_destroy(call->stream);
	free(call);
}

void ek_dnn_call_set(struct ek_dnn_call *call, int slot, void *data)
{
	const int place = call->places[slot];

	if (place > 0) {
		const dnnl_status_t status = dnnl_memory_set_data_handle(call->args[place - 1].memory, data);

		assert(status == dnnl_success);
		(void)status;
	}
}

int ek_dnn_call_run(struct ek_dnn_call *call)
{
	int rc;

	EK_TRY(check(dnnl_primitive_execute(call->kernel->primitive, call->stream, call->count, call->args), "call"));
	EK_TRY(check(dnnl_stream_wait(call->stream), "call"));
out:
	return rc;
}

/* oneDNN's memory objects are not const; it does not write to sources and weights. */
void *ek_dnn_source(const void *data)
{
	void *pointer;

	memcpy(&pointer, &data, sizeof pointer);
	return pointer;
}

int ek_dnn_once(const struct ek_dnn_kernel *kernel, const void *source, const void *weights, void *result,
                void *scratch)
{
	const int before = ek_dnn_enter();
	struct ek_dnn_call *call = NULL;
	void *own = NULL;
	int rc;

	if (scratch == NULL)
		EK_TRY(ek_alloc_aligned(&own, 1, kernel->scratch));
	EK_TRY(ek_dnn_call_new(&call, kernel));
	ek_dnn_call_set(call, EK_DNN_SOURCE, ek_dnn_source(source));
	ek_dnn_call_set(call, EK_DNN_WEIGHTS, ek_dnn_source(weights));
	ek_dnn_call_set(call, EK_DNN_RESULT, result);
	ek_dnn_call_set(call, EK_DNN_SCRATCH, scratch != NULL ? scratch : own);
	EK_TRY(ek_dnn_call_run(call));
out:
	ek_dnn_call_free(call);
	free(own);
	ek_dnn_leave(before);
	return rc;
}
