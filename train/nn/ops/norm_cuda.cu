/*
 * Layer norm, and its modulation by vectors, with the gate and the sum before it: forward a row a warp, kept in
 * registers; backward rows one after another, their features across a block. Both are normal · (base + weight) + bias,
 * with weight and bias from parameters or from an image's vector. Saved: mean and inverse deviation of each row.
 *
 * Backward adds up the gradients of weight, bias and gate over stripes of rows, then the stripes in order.
 */
#include "train/nn/ops/images_cuda.h"

enum { WARPS = 8, STRIPE = 64, WIDEST = 2048 };

/* What a row is multiplied with and added to, from vectors [images, stride], or one for all (stride 0), NULL: 0. */
struct vectors {
	const float *weight, *bias, *gate;
	float base;
	size_t stride, rows; /* rows of an image */
};

struct norm_pass {
	ek_cuda_view x, branch, stream, normal; /* stream: x + gate · branch, NULL: x; normal NULL: not wanted */
	vectors v;
	float *saved;
	size_t rows, n;
	float epsilon;
};

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

/* Runs its last argument for each VEC numbers j … of a row that are this lane's, number k of PARTS. */
#define OWN(j, k, n, ...)                                                                                              \
	_Pragma("unroll") for (int k = 0; k < PARTS; k++)                                                              \
	{                                                                                                              \
		const size_t j = (size_t)(k * 32 + (int)(threadIdx.x % 32)) * VEC;                                     \
                                                                                                                       \
		if (j < (n)) {                                                                                         \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}

template <int VEC, int PARTS> static __global__ void __launch_bounds__(WARPS * 32) normalise(norm_pass m)
{
	const size_t row = (size_t)blockIdx.x * WARPS + threadIdx.x / 32, at = row * m.n;
	const size_t vector = row / m.v.rows * m.v.stride;
	float x[PARTS * VEC], sum = 0, squares = 0, mean, inverse;

	if (row >= m.rows)
		return;
	OWN(j, k, m.n, {
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
	OWN(j, k, m.n, {
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
	OWN(j, k, m.n, {
		float weight[VEC], bias[VEC], y[VEC];

		get_vector<VEC>(weight, m.v.weight, vector + j);
		get_vector<VEC>(bias, m.v.bias, vector + j);
		for (int i = 0; i < VEC; i++)
			y[i] = (x[k * VEC + i] - mean) * inverse * (weight[i] + m.v.base) + bias[i];
		put_some<VEC>(m.normal, at + j, y);
	})
}

struct gradients {
	ek_cuda_view dnormal, dstream, dx, dbranch; /* given: dnormal, dstream; NULL: none */
	float *parts;                               /* [stripes, 3, n]: weight, bias, gate; NULL: not wanted */
	float *branch_parts;                        /* [stripes, n]: dbranch; NULL: not wanted */
	size_t stripes;                             /* of an image */
};

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
template <int VEC> static __global__ void __maxnreg__(112) normalise_backward(norm_pass m, gradients g)
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

/*
 * The same where all is bfloat16 but perhaps the stream, which is STREAM's: types known, so that loads go out together.
 * Rows of a stripe go to warps in turn, the image's vectors lie in shared memory. In backward a warp has its
 * next row copied to shared memory while it works on this one, and a lane keeps its columns' sums to the end.
 */
enum { MIXED_WARPS = 8, MIXED_STRIPE = 128, MIXED_BLOCKS = 3, NARROW_BLOCKS = 4 };

static __device__ inline void unpack4(float out[4], uint2 raw)
{
	out[0] = __uint_as_float(raw.x << 16);
	out[1] = __uint_as_float(raw.x & 0xffff0000U);
	out[2] = __uint_as_float(raw.y << 16);
	out[3] = __uint_as_float(raw.y & 0xffff0000U);
}

static __device__ inline uint2 pack4(const float x[4])
{
	return make_uint2(ek_pair(x[0], x[1]), ek_pair(x[2], x[3]));
}

/* Four numbers of a stream as they lie. */
typedef float4 wide;
typedef uint2 narrow;

static __device__ inline float4 floats_of(wide x)
{
	return x;
}

static __device__ inline float4 floats_of(narrow x)
{
	float four[4];

	unpack4(four, x);
	return make_float4(four[0], four[1], four[2], four[3]);
}

/* The number as it lies there. */
static __device__ inline float4 put_four(wide *to, float4 x)
{
	*to = x;
	return x;
}

static __device__ inline float4 put_four(narrow *to, float4 x)
{
	const narrow low = make_uint2(ek_pair(x.x, x.y), ek_pair(x.z, x.w));

	*to = low;
	return floats_of(low);
}

/* One row, by vectors in shared memory: weight, base added, bias, gate. */
template <typename STREAM, int PARTS, int GATED>
static __device__ inline void normalise_row(const norm_pass &m, size_t row, const float *vectors)
{
	enum { VEC = 4 };
	const float *weights = vectors, *biases = vectors + m.n, *gates = vectors + 2 * m.n;
	const size_t at = row * m.n;
	float4 x[PARTS] = {};
	uint2 branch[PARTS] = {};
	float sum = 0, squares = 0, mean, inverse;

	OWN(j, k, m.n, { x[k] = floats_of(__ldcs((const STREAM *)m.x.x + (at + j) / VEC)); })
	if (GATED)
		OWN(j, k, m.n, { branch[k] = __ldcs((const uint2 *)((const __nv_bfloat16 *)m.branch.x + at + j)); })
	OWN(j, k, m.n, {
		if (GATED) {
			const float4 gate = *(const float4 *)(gates + j);
			float b[4];

			unpack4(b, branch[k]);
			x[k].x += gate.x * b[0];
			x[k].y += gate.y * b[1];
			x[k].z += gate.z * b[2];
			x[k].w += gate.w * b[3];
			x[k] = put_four((STREAM *)m.stream.x + (at + j) / VEC, x[k]);
		}
		sum += x[k].x + x[k].y + (x[k].z + x[k].w);
	})
	mean = ek_warp_sum(sum) / (float)m.n;
	OWN(j, k, m.n, {
		const float d[4] = { x[k].x - mean, x[k].y - mean, x[k].z - mean, x[k].w - mean };

		squares += d[0] * d[0] + d[1] * d[1] + (d[2] * d[2] + d[3] * d[3]);
	})
	inverse = 1 / sqrtf(ek_warp_sum(squares) / (float)m.n + m.epsilon);
	if (threadIdx.x % 32 == 0)
		*(float2 *)(m.saved + 2 * row) = make_float2(mean, inverse);
	OWN(j, k, m.n, {
		const float4 weight = *(const float4 *)(weights + j), bias = *(const float4 *)(biases + j);
		const float y[4] = { (x[k].x - mean) * inverse * weight.x + bias.x,
			             (x[k].y - mean) * inverse * weight.y + bias.y,
			             (x[k].z - mean) * inverse * weight.z + bias.z,
			             (x[k].w - mean) * inverse * weight.w + bias.w };

		*(uint2 *)((__nv_bfloat16 *)m.normal.x + at + j) = pack4(y);
	})
}

/* As many blocks as run at a time, each an equal share of all rows, image after image: an image's vectors come once. */
template <typename STREAM, int PARTS>
static constexpr int mixed_blocks = sizeof(STREAM) == sizeof(narrow) && PARTS <= 3 ? NARROW_BLOCKS : MIXED_BLOCKS;

template <typename STREAM, int PARTS, int GATED>
static __global__ void __launch_bounds__(WARPS * 32, mixed_blocks<STREAM, PARTS>) normalise_mixed(norm_pass m)
{
	extern __shared__ __align__(16) float shared[];
	const size_t end = (blockIdx.x + 1) * m.rows / gridDim.x;

	for (size_t first = blockIdx.x * m.rows / gridDim.x, last; first < end; first = last) {
		const size_t image = first / m.v.rows, vector = image * m.v.stride;

		last = (image + 1) * m.v.rows < end ? (image + 1) * m.v.rows : end;
		__syncthreads(); /* the vectors before have been read */
		for (size_t j = threadIdx.x; j < m.n; j += blockDim.x) {
			shared[j] = m.v.weight[vector + j] + m.v.base;
			shared[m.n + j] = m.v.bias[vector + j];
			if (GATED)
				shared[2 * m.n + j] = m.v.gate[vector + j];
		}
		__syncthreads();
		for (size_t row = first + threadIdx.x / 32; row < last; row += WARPS)
			normalise_row<STREAM, PARTS, GATED>(m, row, shared);
	}
}

/* The next row's `bytes` [a multiple of 16] are on their way past the first cache, 16 a lane at a time. */
template <int CHUNKS> static __device__ inline void copy_row(void *shared, const void *x, size_t bytes)
{
#pragma unroll
	for (int k = 0; k < CHUNKS; k++) {
		const size_t at = (size_t)(k * 32 + (int)(threadIdx.x % 32)) * 16;

		if (at < bytes)
			asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
					     (unsigned)__cvta_generic_to_shared((char *)shared + at)),
			             "l"((const char *)x + at)
			             : "memory");
	}
}

/* A row in shared memory, by fours: x, the stream's gradient, the norm's, the branch. */
template <typename STREAM> struct mixed_row {
	STREAM *x, *dstream;
	uint2 *dnormal, *branch;
};

/* Bytes of it. */
template <typename STREAM> static __host__ __device__ constexpr size_t row_bytes(size_t n)
{
	return (2 * sizeof(STREAM) + 2 * sizeof(uint2)) * n / 4;
}

template <typename STREAM> static __device__ inline mixed_row<STREAM> row_at(char *place, size_t n)
{
	STREAM *x = (STREAM *)place;
	uint2 *rest = (uint2 *)(x + n / 2);

	return { x, x + n / 4, rest, rest + n / 4 };
}

template <typename STREAM, int PARTS>
static __device__ inline void fetch_row(mixed_row<STREAM> to, const norm_pass &m, const gradients &g, size_t row)
{
	constexpr int HALVES = (PARTS + 1) / 2, CHUNKS = sizeof(STREAM) == 16 ? PARTS : HALVES;
	const STREAM *x = (const STREAM *)(m.stream.x != NULL ? m.stream.x : m.x.x);
	const size_t at = row * m.n / 4, bytes = m.n / 4 * sizeof(STREAM), halves = m.n / 4 * sizeof(uint2);

	copy_row<CHUNKS>(to.x, x + at, bytes);
	copy_row<HALVES>(to.dnormal, (const uint2 *)g.dnormal.x + at, halves);
	if (g.dstream.x != NULL)
		copy_row<CHUNKS>(to.dstream, (const STREAM *)g.dstream.x + at, bytes);
	if (m.branch.x != NULL)
		copy_row<HALVES>(to.branch, (const uint2 *)m.branch.x + at, halves);
}

/* Of a lane's columns. */
template <int PARTS> struct column_sums {
	float weight[PARTS * 4], bias[PARTS * 4], gate[PARTS * 4], branch[PARTS * 4];
};

template <typename STREAM, int PARTS>
static __device__ inline void norm_row_back(column_sums<PARTS> &sums, const mixed_row<STREAM> &r, const norm_pass &m,
                                            const gradients &g, size_t row, float2 statistics, const float *weights,
                                            const float *gates)
{
	enum { VEC = 4 };
	const size_t at = row * m.n;
	float a = 0, b = 0;

	OWN(j, k, m.n, {
		const float4 x = floats_of(r.x[j / VEC]), weight = *(const float4 *)(weights + j);
		const float xs[4] = { x.x, x.y, x.z, x.w }, ws[4] = { weight.x, weight.y, weight.z, weight.w };
		float dy[4];

		unpack4(dy, r.dnormal[j / VEC]);
		for (int i = 0; i < 4; i++) {
			const float normal = (xs[i] - statistics.x) * statistics.y, d = dy[i] * ws[i];

			sums.weight[4 * k + i] += dy[i] * normal;
			sums.bias[4 * k + i] += dy[i];
			a += d;
			b += d * normal;
		}
	})
	a = ek_warp_sum(a) / (float)m.n;
	b = ek_warp_sum(b) / (float)m.n;
	OWN(j, k, m.n, {
		const float4 x = floats_of(r.x[j / VEC]), weight = *(const float4 *)(weights + j);
		const float xs[4] = { x.x, x.y, x.z, x.w }, ws[4] = { weight.x, weight.y, weight.z, weight.w };
		float dy[4], dx[4] = {}, branch[4] = {}, dbranch[4];

		unpack4(dy, r.dnormal[j / VEC]);
		if (g.dstream.x != NULL)
			*(float4 *)dx = floats_of(r.dstream[j / VEC]);
		for (int i = 0; i < 4; i++)
			dx[i] += (dy[i] * ws[i] - a - (xs[i] - statistics.x) * statistics.y * b) * statistics.y;
		if (m.branch.x != NULL) {
			const float4 gate = *(const float4 *)(gates + j);
			const float gs[4] = { gate.x, gate.y, gate.z, gate.w };

			unpack4(branch, r.branch[j / VEC]);
			for (int i = 0; i < 4; i++) {
				sums.gate[4 * k + i] += dx[i] * branch[i];
				dbranch[i] = dx[i] * gs[i];
				sums.branch[4 * k + i] += dbranch[i];
			}
			if (g.dbranch.x != NULL)
				*(uint2 *)((__nv_bfloat16 *)g.dbranch.x + at + j) = pack4(dbranch);
		}
		if (g.dx.x != NULL)
			put_four((STREAM *)g.dx.x + (at + j) / VEC, make_float4(dx[0], dx[1], dx[2], dx[3]));
	})
}

/* The block's sums, from those of its lanes, in the order of its warps. */
template <int PARTS>
static __device__ inline void give_sums(const gradients &g, float *room, const column_sums<PARTS> &sums, size_t n)
{
	enum { VEC = 4 };
	float *own = room + threadIdx.x / 32 * 4 * n;

	OWN(j, k, n, {
		*(float4 *)(own + j) = *(const float4 *)(sums.weight + 4 * k);
		*(float4 *)(own + n + j) = *(const float4 *)(sums.bias + 4 * k);
		*(float4 *)(own + 2 * n + j) = *(const float4 *)(sums.gate + 4 * k);
		*(float4 *)(own + 3 * n + j) = *(const float4 *)(sums.branch + 4 * k);
	})
	__syncthreads();
	for (size_t i = threadIdx.x; i < 4 * n; i += blockDim.x) {
		float sum = 0;

		for (size_t warp = 0; warp < blockDim.x / 32; warp++)
			sum += room[warp * 4 * n + i];
		if (i < 3 * n && g.parts != NULL)
			g.parts[(size_t)blockIdx.x * 3 * n + i] = sum;
		if (i >= 3 * n && g.branch_parts != NULL)
			g.branch_parts[(size_t)blockIdx.x * n + i - 3 * n] = sum;
	}
}

/* Bytes of shared memory of `warps`. */
template <typename STREAM> static size_t mixed_room(size_t n, size_t warps)
{
	return 2 * n * sizeof(float) + warps * 2 * row_bytes<STREAM>(n);
}

template <typename STREAM, int PARTS>
static __global__ void __launch_bounds__(MIXED_WARPS * 32, PARTS <= 3 ? 2 : 1)
	normalise_back_mixed(norm_pass m, gradients g)
{
	extern __shared__ __align__(16) float shared[];
	const size_t warps = blockDim.x / 32, warp = threadIdx.x / 32, image = blockIdx.x / g.stripes;
	const size_t first = blockIdx.x % g.stripes * MIXED_STRIPE, last = image * m.v.rows;
	const size_t end = last + (first + MIXED_STRIPE < m.v.rows ? first + MIXED_STRIPE : m.v.rows);
	float *weights = shared, *gates = shared + m.n, *room = shared + 2 * m.n;
	char *own = (char *)room + warp * 2 * row_bytes<STREAM>(m.n);
	column_sums<PARTS> sums = {};
	float2 next = {};
	size_t row = last + first + warp;

	for (size_t j = threadIdx.x; j < m.n; j += blockDim.x) {
		weights[j] = m.v.base + m.v.weight[image * m.v.stride + j];
		gates[j] = m.branch.x != NULL ? m.v.gate[image * m.v.stride + j] : 0;
	}
	if (row < end) {
		fetch_row<STREAM, PARTS>(row_at<STREAM>(own, m.n), m, g, row);
		next = *(const float2 *)(m.saved + 2 * row);
	}
	asm volatile("cp.async.commit_group;");
	__syncthreads();
	for (int turn = 0; row < end; row += warps, turn ^= 1) {
		const float2 statistics = next;

		__syncwarp(); /* the place of the next row has been read */
		if (row + warps < end) {
			fetch_row<STREAM, PARTS>(row_at<STREAM>(own + (turn ^ 1) * row_bytes<STREAM>(m.n), m.n), m, g,
			                         row + warps);
			next = *(const float2 *)(m.saved + 2 * (row + warps));
		}
		asm volatile("cp.async.commit_group;");
		asm volatile("cp.async.wait_group 1;" ::: "memory");
		__syncwarp();
		norm_row_back<STREAM, PARTS>(sums, row_at<STREAM>(own + turn * row_bytes<STREAM>(m.n), m.n), m, g, row,
		                             statistics, weights, gates);
	}
	__syncthreads();
	if (g.parts != NULL || g.branch_parts != NULL)
		give_sums<PARTS>(g, room, sums, m.n);
}

/* Is what there is of these all of the type, and not added to? */
static int is_all(const ek_cuda_view *views, int count, int bf16)
{
	for (int i = 0; i < count; i++)
		if (views[i].x != NULL && (views[i].bf16 != bf16 || views[i].add))
			return 0;
	return 1;
}

static int is_mixed(const norm_pass &m)
{
	const ek_cuda_view streams[2] = { m.x, m.stream }, bf16[2] = { m.branch, m.normal };
	const uintptr_t places = (uintptr_t)m.v.weight | (uintptr_t)m.v.bias | (uintptr_t)m.v.gate;

	return m.n % 8 == 0 && m.n <= 1152 && m.v.stride % 4 == 0 && places % 16 == 0 && m.v.weight != NULL &&
	       m.v.bias != NULL && is_all(streams, 2, m.x.bf16) && is_all(bf16, 2, 1);
}

template <typename STREAM, int PARTS> static int launch_mixed(const norm_pass &m)
{
	const size_t at_once = (size_t)ek_cuda_processors() * mixed_blocks<STREAM, PARTS>,
		     most = (m.rows + WARPS - 1) / WARPS;
	const unsigned blocks = (unsigned)(at_once < most ? at_once : most);
	const size_t room = 3 * m.n * sizeof(float);

	if (m.branch.x != NULL)
		normalise_mixed<STREAM, PARTS, 1><<<blocks, WARPS * 32, room, ek_cuda_stream()>>>(m);
	else
		normalise_mixed<STREAM, PARTS, 0><<<blocks, WARPS * 32, room, ek_cuda_stream()>>>(m);
	return ek_cuda_launched("a norm");
}

template <typename STREAM> static int run_mixed(const norm_pass &m)
{
	return m.n <= 384   ? launch_mixed<STREAM, 3>(m)
	       : m.n <= 768 ? launch_mixed<STREAM, 6>(m)
	                    : launch_mixed<STREAM, 9>(m);
}

template <typename STREAM, int PARTS>
static int launch_back_mixed(const norm_pass &m, const gradients &g, size_t images, size_t warps)
{
	const size_t room = mixed_room<STREAM>(m.n, warps);
	int rc;

	EK_TRY(ek_cuda_check(cudaFuncSetAttribute(normalise_back_mixed<STREAM, PARTS>,
	                                          cudaFuncAttributeMaxDynamicSharedMemorySize, (int)room),
	                     "a norm's gradient"));
	normalise_back_mixed<STREAM, PARTS>
		<<<(unsigned)(images * g.stripes), (unsigned)warps * 32, room, ek_cuda_stream()>>>(m, g);
	EK_TRY(ek_cuda_launched("a norm's gradient"));
out:
	return rc;
}

template <typename STREAM>
static int run_back_mixed(const norm_pass &m, const gradients &g, size_t images, size_t warps)
{
	return m.n <= 384   ? launch_back_mixed<STREAM, 3>(m, g, images, warps)
	       : m.n <= 768 ? launch_back_mixed<STREAM, 6>(m, g, images, warps)
	                    : launch_back_mixed<STREAM, 9>(m, g, images, warps);
}

/* How many warps' rows fit, or 0: not of these types. */
static size_t mixed_warps(const norm_pass &m, const gradients &g)
{
	const ek_cuda_view streams[2] = { g.dstream, g.dx }, bf16[2] = { g.dnormal, g.dbranch };
	size_t warps = MIXED_WARPS;

	if (!is_mixed(m) || g.dnormal.x == NULL || !is_all(streams, 2, m.x.bf16) || !is_all(bf16, 2, 1))
		return 0;
	while (warps > 0 &&
	       (m.x.bf16 ? mixed_room<narrow>(m.n, warps) : mixed_room<wide>(m.n, warps)) > ek_cuda_shared_memory())
		warps--;
	return warps;
}

template <int VEC, int PARTS> static int launch(const norm_pass &m)
{
	normalise<VEC, PARTS><<<(unsigned)((m.rows + WARPS - 1) / WARPS), WARPS * 32, 0, ek_cuda_stream()>>>(m);
	return ek_cuda_launched("a norm");
}

/* By fours where everything lies so. */
static int run(const norm_pass &m, int fours)
{
	const size_t n = m.n;

	if (is_mixed(m) && m.normal.x != NULL)
		return m.x.bf16 ? run_mixed<narrow>(m) : run_mixed<wide>(m);
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

static int run_backward_of_any(const norm_pass &m, const gradients &g, size_t images, int fours)
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
static int run_backward(const norm_pass &m, gradients &g, size_t images, int fours)
{
	size_t warps;

	/* What is there is added to as if the stream's gradient were given: the first norm of a net's. */
	if (m.stream.x == NULL && g.dstream.x == NULL && g.dx.add) {
		g.dstream = g.dx;
		g.dstream.add = g.dx.add = 0;
	}
	warps = mixed_warps(m, g);
	if (warps == 0)
		g.branch_parts = NULL;
	g.stripes = stripes_of(m.v.rows, warps > 0 ? (size_t)MIXED_STRIPE : (size_t)STRIPE);
	if (warps > 0)
		return m.x.bf16 ? run_back_mixed<narrow>(m, g, images, warps)
		                : run_back_mixed<wide>(m, g, images, warps);
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
	gradients g = {};
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
	gradients g = {};
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
