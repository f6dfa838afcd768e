/*
 * Layer norm, and its modulation by vectors, with the gate and the sum before it: forward a row a warp, kept in
 * registers; backward rows one after another, their features across a block. Both are normal · (base + weight) + bias,
 * with weight and bias from parameters or from an image's vector. Saved: mean and inverse deviation of each row.
 *
 * Backward adds up the gradients of weight, bias and gate over stripes of rows, then the stripes in order.
 */
#include "train/nn/ops/images_cuda.h"
#include "train/nn/ops/norm_cuda.h"

enum { STRIPE = 64, WIDEST = 2048 };

/* VEC numbers at i. */
template <int VEC> static __device__ inline void get_some(float out[VEC], const ek_cuda_view &v, size_t i)
{
	if constexpr (VEC == 4) {
		if (v.bf16) {
			const uint2 raw = *(const uint2 *)((const __nv_bfloat16 *)v.x + i);

			out[0] = __uint_as_float(raw.x << 16);
			out[1] = __uint_as_float(raw.x & 0xffff0000U);
			out[2] = __uint_as_float(raw.y << 16);
			out[3] = __uint_as_float(raw.y & 0xffff0000U);
		} else {
			const float4 raw = *(const float4 *)((const float *)v.x + i);

			out[0] = raw.x;
			out[1] = raw.y;
			out[2] = raw.z;
			out[3] = raw.w;
		}
	} else {
		out[0] = ek_get(v, i);
	}
}

template <int VEC> static __device__ inline void put_some(const ek_cuda_view &v, size_t i, float x[VEC])
{
	if constexpr (VEC == 4) {
		if (v.add) {
			float before[4];

			get_some<4>(before, v, i);
			for (int j = 0; j < 4; j++)
				x[j] += before[j];
		}
		if (v.bf16) {
			const __nv_bfloat162 low = __floats2bfloat162_rn(x[0], x[1]),
					     high = __floats2bfloat162_rn(x[2], x[3]);

			*(uint2 *)((__nv_bfloat16 *)v.x + i) =
				make_uint2(*(const unsigned *)&low, *(const unsigned *)&high);
		} else {
			*(float4 *)((float *)v.x + i) = make_float4(x[0], x[1], x[2], x[3]);
		}
	} else {
		ek_put(v, i, x[0]);
	}
}

/* VEC numbers at i as they lie, and what they are: zeros are 0 in either type. */
template <int VEC> static __device__ inline uint4 get_raw(const ek_cuda_view &v, size_t i)
{
	uint4 raw = {};

	if constexpr (VEC == 4) {
		if (v.bf16) {
			const uint2 pairs = *(const uint2 *)((const __nv_bfloat16 *)v.x + i);

			raw.x = pairs.x;
			raw.y = pairs.y;
		} else {
			raw = *(const uint4 *)((const float *)v.x + i);
		}
	} else {
		raw.x = v.bf16 ? ((const unsigned short *)v.x)[i] : ((const unsigned *)v.x)[i];
	}
	return raw;
}

template <int VEC> static __device__ inline void unpack(float out[VEC], uint4 raw, int bf16)
{
	if constexpr (VEC == 4) {
		out[0] = __uint_as_float(bf16 ? raw.x << 16 : raw.x);
		out[1] = __uint_as_float(bf16 ? raw.x & 0xffff0000U : raw.y);
		out[2] = __uint_as_float(bf16 ? raw.y << 16 : raw.z);
		out[3] = __uint_as_float(bf16 ? raw.y & 0xffff0000U : raw.w);
	} else {
		out[0] = __uint_as_float(bf16 ? raw.x << 16 : raw.x);
	}
}

template <int VEC> static __device__ inline void get_vector(float out[VEC], const float *x, size_t i)
{
	for (int j = 0; j < VEC; j++)
		out[j] = x != NULL ? x[i + j] : 0;
}

template <int VEC, int PARTS> static __global__ void __launch_bounds__(NORM_WARPS * 32) normalise(norm_pass m)
{
	const size_t row = (size_t)blockIdx.x * NORM_WARPS + threadIdx.x / 32, at = row * m.n;
	const size_t vector = row / m.v.rows * m.v.stride;
	float x[PARTS * VEC], sum = 0, squares = 0, mean, inverse;

	if (row >= m.rows)
		return;
	NORM_OWN(j, k, m.n, {
		float branch[VEC], gate[VEC];

		get_some<VEC>(x + k * VEC, m.x, at + j);
		if (m.stream.x != NULL) {
			get_some<VEC>(branch, m.branch, at + j);
			get_vector<VEC>(gate, m.v.gate, vector + j);
			for (int i = 0; i < VEC; i++)
				x[k * VEC + i] = x[k * VEC + i] + gate[i] * branch[i];
			put_some<VEC>(m.stream, at + j, x + k * VEC);
			if (m.stream.bf16)
				for (int i = 0; i < VEC; i++)
					x[k * VEC + i] = __bfloat162float(__float2bfloat16_rn(x[k * VEC + i]));
		}
		for (int i = 0; i < VEC; i++)
			sum += x[k * VEC + i];
	})
	if (m.normal.x == NULL)
		return;
	mean = ek_warp_sum(sum) / (float)m.n;
	NORM_OWN(j, k, m.n, {
		for (int i = 0; i < VEC; i++) {
			const float d = x[k * VEC + i] - mean;

			squares += d * d;
		}
	})
	inverse = 1 / sqrtf(ek_warp_sum(squares) / (float)m.n + m.epsilon);
	if (threadIdx.x % 32 == 0) {
		m.saved[2 * row] = mean;
		m.saved[2 * row + 1] = inverse;
	}
	NORM_OWN(j, k, m.n, {
		float weight[VEC], bias[VEC], y[VEC];

		get_vector<VEC>(weight, m.v.weight, vector + j);
		get_vector<VEC>(bias, m.v.bias, vector + j);
		for (int i = 0; i < VEC; i++)
			y[i] = (x[k * VEC + i] - mean) * inverse * (weight[i] + m.v.base) + bias[i];
		put_some<VEC>(m.normal, at + j, y);
	})
}

/* Some rows at a time, so that their sums over features take one barrier. A thread has VEC features of each. */
enum { ROWS = 3, MOST_WARPS = 32 };

/* sums [2 · ROWS] over the block, in every thread; a barrier parts two calls if `room` changes between them. */
static __device__ inline void add_up(float sums[2 * ROWS], float room[MOST_WARPS][2 * ROWS])
{
	const int warps = (int)blockDim.x / 32;

	for (int i = 0; i < 2 * ROWS; i++)
		sums[i] = ek_warp_sum(sums[i]);
	if (threadIdx.x % 32 == 0)
		for (int i = 0; i < 2 * ROWS; i++)
			room[threadIdx.x / 32][i] = sums[i];
	__syncthreads();
	for (int i = 0; i < 2 * ROWS; i++)
		sums[i] = 0;
	for (int w = 0; w < warps; w++)
		for (int i = 0; i < 2 * ROWS; i++)
			sums[i] += room[w][i];
}

/* A block is a stripe of an image's rows. */
/* 112 registers: two blocks of the widest models on a multiprocessor. */
template <int VEC> static __global__ void __maxnreg__(112) normalise_backward(norm_pass m, norm_gradients g)
{
	__shared__ __align__(16) float room[2][MOST_WARPS][2 * ROWS];
	const size_t image = blockIdx.x / g.stripes, first = blockIdx.x % g.stripes * STRIPE;
	const size_t end = first + STRIPE < m.v.rows ? first + STRIPE : m.v.rows;
	const size_t j = (size_t)threadIdx.x * VEC, vector = image * m.v.stride + j;
	const int mine = j < m.n, gated = m.branch.x != NULL;
	float dweight[VEC] = {}, dbias[VEC] = {}, dgate[VEC] = {}, weight[VEC] = {}, gate[VEC] = {};

	if (mine) {
		get_vector<VEC>(weight, m.v.weight, vector);
		if (gated)
			get_vector<VEC>(gate, m.v.gate, vector);
	}
	for (int i = 0; i < VEC; i++)
		weight[i] += m.v.base;
	for (size_t r = first, turn = 0; r < end; r += ROWS, turn++) {
		const size_t row = image * m.v.rows + r, at = row * m.n + j;
		const int rows = end - r < ROWS ? (int)(end - r) : ROWS;
		uint4 raw_x[ROWS] = {}, raw_dy[ROWS] = {}, raw_dx[ROWS] = {}, raw_branch[ROWS] = {};
		float normal[ROWS][VEC] = {}, d[ROWS][VEC] = {}, sums[2 * ROWS] = {};
		float2 statistics[ROWS] = {};

		/* All that is read is under way before any of it is waited for. */
#pragma unroll
		for (int k = 0; k < ROWS; k++) {
			if (!mine || k >= rows)
				continue;
			if (g.dnormal.x != NULL) {
				statistics[k] = *(const float2 *)(m.saved + 2 * (row + k));
				raw_x[k] = get_raw<VEC>(m.stream.x != NULL ? m.stream : m.x, at + k * m.n);
				raw_dy[k] = get_raw<VEC>(g.dnormal, at + k * m.n);
			}
			if (g.dstream.x != NULL)
				raw_dx[k] = get_raw<VEC>(g.dstream, at + k * m.n);
			if (gated)
				raw_branch[k] = get_raw<VEC>(m.branch, at + k * m.n);
		}
#pragma unroll
		for (int k = 0; k < ROWS; k++) {
			float x[VEC], dy[VEC];

			if (!mine || k >= rows || g.dnormal.x == NULL)
				continue;
			unpack<VEC>(x, raw_x[k], m.stream.x != NULL ? m.stream.bf16 : m.x.bf16);
			unpack<VEC>(dy, raw_dy[k], g.dnormal.bf16);
			for (int i = 0; i < VEC; i++) {
				normal[k][i] = (x[i] - statistics[k].x) * statistics[k].y;
				dweight[i] += dy[i] * normal[k][i];
				dbias[i] += dy[i];
				d[k][i] = dy[i] * weight[i];
				sums[2 * k] += d[k][i];
				sums[2 * k + 1] += d[k][i] * normal[k][i];
			}
		}
		if (g.dnormal.x != NULL)
			add_up(sums, room[turn % 2]);
#pragma unroll
		for (int k = 0; k < ROWS; k++) {
			const float a = sums[2 * k] / (float)m.n, b = sums[2 * k + 1] / (float)m.n;
			float dx[VEC], branch[VEC], dbranch[VEC];

			if (!mine || k >= rows)
				continue;
			unpack<VEC>(dx, raw_dx[k], g.dstream.bf16);
			unpack<VEC>(branch, raw_branch[k], m.branch.bf16);
			for (int i = 0; i < VEC; i++) {
				dx[i] += (d[k][i] - a - normal[k][i] * b) * statistics[k].y;
				dgate[i] += dx[i] * branch[i];
				dbranch[i] = dx[i] * gate[i];
			}
			if (g.dbranch.x != NULL)
				put_some<VEC>(g.dbranch, at + k * m.n, dbranch);
			if (g.dx.x != NULL)
				put_some<VEC>(g.dx, at + k * m.n, dx);
		}
	}
	for (int i = 0; i < VEC && mine && g.parts != NULL; i++) {
		float *parts = g.parts + (size_t)blockIdx.x * 3 * m.n + j + i;

		parts[0] = dweight[i];
		parts[m.n] = dbias[i];
		parts[2 * m.n] = dgate[i];
	}
}

template <int VEC, int PARTS> static int launch(const norm_pass &m)
{
	normalise<VEC, PARTS>
		<<<(unsigned)((m.rows + NORM_WARPS - 1) / NORM_WARPS), NORM_WARPS * 32, 0, ek_cuda_stream()>>>(m);
	return ek_cuda_launched("a norm");
}

/* By fours where everything lies so. */
static int run(const norm_pass &m, int fours)
{
	const size_t n = m.n;

	if (ek_cuda_norm_is_mixed(m) && m.normal.x != NULL)
		return ek_cuda_norm_mixed(m);
	if (fours && n <= 384)
		return launch<4, 3>(m);
	if (fours && n <= 768)
		return launch<4, 6>(m);
	if (fours && n <= 1152)
		return launch<4, 9>(m);
	if (fours)
		return launch<4, 16>(m);
	if (n <= 256)
		return launch<1, 8>(m);
	return launch<1, 32>(m);
}

static int run_backward_of_any(const norm_pass &m, const norm_gradients &g, size_t images, int fours)
{
	const unsigned blocks = (unsigned)(images * g.stripes),
		       threads = (unsigned)(m.n / (fours ? 4 : 1) + 31) / 32 * 32;

	if (fours)
		normalise_backward<4><<<blocks, threads, 0, ek_cuda_stream()>>>(m, g);
	else
		normalise_backward<1><<<blocks, threads, 0, ek_cuda_stream()>>>(m, g);
	return ek_cuda_launched("a norm's gradient");
}

static size_t stripes_of(size_t rows, size_t stripe)
{
	return (rows + stripe - 1) / stripe;
}

/* Sets g.stripes, and branch_parts to NULL where they are not made. */
static int run_backward(const norm_pass &m, norm_gradients &g, size_t images, int fours)
{
	size_t warps;

	/* What is there is added to as if the stream's gradient were given: the first norm of a net's. */
	if (m.stream.x == NULL && g.dstream.x == NULL && g.dx.add) {
		g.dstream = g.dx;
		g.dstream.add = g.dx.add = 0;
	}
	warps = ek_cuda_norm_mixed_warps(m, g);
	if (warps == 0)
		g.branch_parts = NULL;
	g.stripes = stripes_of(m.v.rows, warps > 0 ? (size_t)NORM_MIXED_STRIPE : (size_t)STRIPE);
	if (warps > 0)
		return ek_cuda_norm_back_mixed(m, g, images, warps);
	return run_backward_of_any(m, g, images, fours);
}
static int is_fours(size_t x)
{
	return x % 4 == 0;
}

static int check_width(const ek_net *net, const ek_net_op *op)
{
	const size_t n = ek_net_channel_count(net, op->inputs[0]), most = is_fours(n) ? WIDEST : WIDEST / 2;

	return n <= most ? 0
	                 : ek_fail(EK_ENOTSUP, "the GPU's %s takes up to %zu features, not %zu",
	                           ek_net_operators[op->kind].name, most, n);
}

/* Modulation. */

static size_t rows_of_image(const ek_net *net, const ek_net_op *op)
{
	return ek_net_rows(net, op->inputs[0]) / (size_t)net->batch;
}

/* Bytes of scratch: of the vectors' gradients, and behind them of that of the branch's bias. */
static size_t vector_parts(const ek_net *net, const ek_net_op *op)
{
	return (size_t)net->batch * stripes_of(rows_of_image(net, op), STRIPE) * 3 *
	       ek_net_channel_count(net, op->inputs[0]) * sizeof(float);
}

static size_t branch_parts(const ek_net *net, const ek_net_op *op)
{
	const size_t rows =
		ek_cuda_add_rows_scratch(ek_net_rows(net, op->inputs[0]), ek_net_channel_count(net, op->inputs[0]));

	if (op->bias_of == 0)
		return 0;
	return rows > vector_parts(net, op) ? rows : vector_parts(net, op);
}

static int prepare_modulate(ek_net *net, ek_net_op *op)
{
	const size_t n = ek_net_channel_count(net, op->inputs[0]);

	op->saved = 2 * sizeof(float) * ek_net_rows(net, op->inputs[0]);
	if (op->backward)
		op->scratch = vector_parts(net, op) + branch_parts(net, op);
	return check_width(net, op);
}

static norm_pass modulation_of(const ek_net_state *s, const ek_net_op *op)
{
	const struct ek_net_modulate *k = &op->of.modulate;
	const float *vector = (const float *)ek_net_in(s, op, 2);
	const int gated = op->inputs[1] > 0, y = gated ? 1 : 0;
	norm_pass m = {};

	m.x = ek_cuda_input(s, op, 0);
	m.v = { vector + k->scale,
		vector + k->shift,
		vector + k->gate,
		1,
		ek_net_channel_count(s->net, op->inputs[2]),
		rows_of_image(s->net, op) };
	if (gated) {
		m.branch = ek_cuda_input(s, op, 1);
		m.stream = ek_cuda_output(s, op, 0);
	}
	if (op->outputs[y] > 0)
		m.normal = ek_cuda_output(s, op, y);
	m.saved = (float *)ek_net_saved(s, op);
	m.rows = ek_net_rows(s->net, op->inputs[0]);
	m.n = ek_net_channel_count(s->net, op->inputs[0]);
	m.epsilon = k->epsilon;
	return m;
}

static int forward_modulate(ek_net_state *s, const ek_net_op *op)
{
	const norm_pass m = modulation_of(s, op);

	return run(m, is_fours(m.n));
}

/* The gradients of scale, shift and gate, from the stripes; features of the vectors that are none of them are left. */
static __global__ void add_vectors(ek_cuda_view dv, const float *parts, struct ek_net_modulate k, int gated, int normal,
                                   size_t stripes, size_t n, size_t width)
{
	const int firsts[3] = { k.scale, k.shift, k.gate };
	const int which = (int)blockIdx.y;
	const size_t image = blockIdx.z;

	if (!(which == 2 ? gated : normal))
		return;
	for (size_t j = (size_t)blockIdx.x * blockDim.x + threadIdx.x; j < n; j += (size_t)gridDim.x * blockDim.x) {
		float sum = 0;

		for (size_t stripe = 0; stripe < stripes; stripe++)
			sum += parts[((image * stripes + stripe) * 3 + which) * n + j];
		ek_put(dv, image * width + firsts[which] + j, sum);
	}
}

static int backward_modulate(ek_net_state *s, const ek_net_op *op)
{
	const norm_pass m = modulation_of(s, op);
	const int gated = op->inputs[1] > 0, y = gated ? 1 : 0;
	const size_t batch = (size_t)s->net->batch;
	float *bias = ek_cuda_bias_of(s, op);
	unsigned char *behind = s->scratch + vector_parts(s->net, op);
	norm_gradients g = {};
	int rc;

	if (op->outputs[y] > 0)
		g.dnormal = ek_cuda_grad_output(s, op, y);
	if (gated)
		g.dstream = ek_cuda_grad_output(s, op, 0);
	if (op->wants[0])
		g.dx = ek_cuda_grad_input(s, op, 0);
	if (gated && op->wants[1])
		g.dbranch = ek_cuda_grad_input(s, op, 1);
	g.parts = op->wants[2] ? (float *)(void *)s->scratch : NULL;
	g.branch_parts = bias != NULL ? (float *)(void *)behind : NULL;
	EK_TRY(run_backward(m, g, batch, is_fours(m.n)));
	if (bias != NULL)
		EK_TRY(g.branch_parts != NULL ? ek_cuda_add_parts(bias, g.branch_parts, batch * g.stripes, m.n)
		                              : ek_cuda_add_rows(bias, g.dbranch, m.rows, m.n, behind));
	if (op->wants[2]) {
		ek_cuda_view dv = ek_cuda_grad_input(s, op, 2);

		/* The first to write makes all features 0, so that the others, and this one, add. */
		if (!dv.add)
			ek_cuda_note(cudaMemsetAsync(dv.x, 0, batch * m.v.stride * sizeof(float), ek_cuda_stream()));
		dv.add = 1;
		add_vectors<<<dim3((unsigned)((m.n + EK_CUDA_BLOCK - 1) / EK_CUDA_BLOCK), 3, (unsigned)batch),
		              EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(dv, g.parts, op->of.modulate, gated,
		                                                    g.dnormal.x != NULL, g.stripes, m.n, m.v.stride);
		EK_TRY(ek_cuda_launched("modulate's gradient"));
	}
out:
	return rc;
}

const struct ek_net_code ek_net_cuda_modulate = {
	prepare_modulate, NULL, forward_modulate, backward_modulate, 0, NULL
};

/* Layer norm: all rows are one image's. */

static int prepare_layer_norm(ek_net *net, ek_net_op *op)
{
	const size_t rows = ek_net_rows(net, op->inputs[0]), n = ek_net_channel_count(net, op->inputs[0]);

	op->saved = 2 * sizeof(float) * rows;
	if (op->backward)
		op->scratch = stripes_of(rows, STRIPE) * 3 * n * sizeof(float);
	return check_width(net, op);
}

static norm_pass layer_norm_of(const ek_net_state *s, const ek_net_op *op)
{
	norm_pass m = {};

	m.x = ek_cuda_input(s, op, 0);
	m.normal = ek_cuda_output(s, op, 0);
	m.rows = ek_net_rows(s->net, op->inputs[0]);
	m.v = { op->parameters[0] >= 0 ? ek_net_parameter(s, op, 0) : NULL,
		op->parameters[1] >= 0 ? ek_net_parameter(s, op, 1) : NULL,
		NULL,
		op->parameters[0] >= 0 ? 0.0F : 1.0F,
		0,
		m.rows };
	m.saved = (float *)ek_net_saved(s, op);
	m.n = ek_net_channel_count(s->net, op->inputs[0]);
	m.epsilon = op->of.layer_norm.epsilon;
	return m;
}

static int forward_layer_norm(ek_net_state *s, const ek_net_op *op)
{
	const norm_pass m = layer_norm_of(s, op);

	return run(m, is_fours(m.n));
}

/* sum [n] += part `which` of all stripes, in order. */
static __global__ void add_stripes(float *sum, const float *parts, int which, size_t stripes, size_t n)
{
	EK_CUDA_EACH(j, n)
	{
		float all = 0;

		for (size_t i = 0; i < stripes; i++)
			all += parts[(i * 3 + which) * n + j];
		sum[j] += all;
	}
}

static int backward_layer_norm(ek_net_state *s, const ek_net_op *op)
{
	const norm_pass m = layer_norm_of(s, op);
	float *sums[2] = { ek_net_parameter_gradient(s, op, 0), ek_net_parameter_gradient(s, op, 1) };
	norm_gradients g = {};
	int rc;

	g.dnormal = ek_cuda_grad_output(s, op, 0);
	if (op->wants[0])
		g.dx = ek_cuda_grad_input(s, op, 0);
	g.parts = sums[0] != NULL || sums[1] != NULL ? (float *)(void *)s->scratch : NULL;
	EK_TRY(run_backward(m, g, 1, is_fours(m.n)));
	for (int i = 0; i < 2; i++)
		if (sums[i] != NULL)
			add_stripes<<<ek_cuda_blocks(m.n), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(sums[i], g.parts, i,
			                                                                         g.stripes, m.n);
	EK_TRY(ek_cuda_launched("layer norm's gradient"));
out:
	return rc;
}

/* dy times the normal. saved: mean and inverse deviation of each row. */
struct weight_rows {
	ek_cuda_view dy, x;
	const float *saved;
	size_t n;

	__device__ float operator()(size_t row, size_t column) const
	{
		const float normal = (ek_get(x, row * n + column) - saved[2 * row]) * saved[2 * row + 1];

		return ek_get(dy, row * n + column) * normal;
	}
};

static int images_layer_norm(ek_net_state *s, const ek_net_op *op)
{
	const norm_pass m = layer_norm_of(s, op);
	const weight_rows weights = { ek_cuda_grad_output(s, op, 0), m.x, m.saved, m.n };
	int rc;

	EK_TRY(ek_cuda_image_sums(s, op, 0, weights, m.rows / s->images, m.n));
	EK_TRY(ek_cuda_image_bias(s, op));
out:
	return rc;
}

const struct ek_net_code ek_net_cuda_layer_norm = { prepare_layer_norm,  NULL, forward_layer_norm,
	                                            backward_layer_norm, 1,    images_layer_norm };
