/*
 * Norms where all is bfloat16 but perhaps the stream, which is STREAM's: types known, so that loads go out together.
 * Rows of a stripe go to warps in turn, the image's vectors lie in shared memory. In backward a warp has its next row
 * copied to shared memory while it works on this one, and a lane keeps its columns' sums to the end.
 */
#include "train/nn/ops/norm_cuda.h"

enum { MIXED_WARPS = 8, MIXED_BLOCKS = 3, NARROW_BLOCKS = 4 };

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

	NORM_OWN(j, k, m.n, { x[k] = floats_of(__ldcs((const STREAM *)m.x.x + (at + j) / VEC)); })
	if (GATED)
		NORM_OWN(j, k, m.n,
		         { branch[k] = __ldcs((const uint2 *)((const __nv_bfloat16 *)m.branch.x + at + j)); })
	NORM_OWN(j, k, m.n, {
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
	NORM_OWN(j, k, m.n, {
		const float d[4] = { x[k].x - mean, x[k].y - mean, x[k].z - mean, x[k].w - mean };

		squares += d[0] * d[0] + d[1] * d[1] + (d[2] * d[2] + d[3] * d[3]);
	})
	inverse = 1 / sqrtf(ek_warp_sum(squares) / (float)m.n + m.epsilon);
	if (threadIdx.x % 32 == 0)
		*(float2 *)(m.saved + 2 * row) = make_float2(mean, inverse);
	NORM_OWN(j, k, m.n, {
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
static __global__ void __launch_bounds__(NORM_WARPS * 32, mixed_blocks<STREAM, PARTS>) normalise_mixed(norm_pass m)
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
		for (size_t row = first + threadIdx.x / 32; row < last; row += NORM_WARPS)
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
static __device__ inline void fetch_row(mixed_row<STREAM> to, const norm_pass &m, const norm_gradients &g, size_t row)
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
                                            const norm_gradients &g, size_t row, float2 statistics,
                                            const float *weights, const float *gates)
{
	enum { VEC = 4 };
	const size_t at = row * m.n;
	float a = 0, b = 0;

	NORM_OWN(j, k, m.n, {
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
	NORM_OWN(j, k, m.n, {
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
static __device__ inline void give_sums(const norm_gradients &g, float *room, const column_sums<PARTS> &sums, size_t n)
{
	enum { VEC = 4 };
	float *own = room + threadIdx.x / 32 * 4 * n;

	NORM_OWN(j, k, n, {
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
	normalise_back_mixed(norm_pass m, norm_gradients g)
{
	extern __shared__ __align__(16) float shared[];
	const size_t warps = blockDim.x / 32, warp = threadIdx.x / 32, image = blockIdx.x / g.stripes;
	const size_t first = blockIdx.x % g.stripes * NORM_MIXED_STRIPE, last = image * m.v.rows;
	const size_t end = last + (first + NORM_MIXED_STRIPE < m.v.rows ? first + NORM_MIXED_STRIPE : m.v.rows);
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

int ek_cuda_norm_is_mixed(const norm_pass &m)
{
	const ek_cuda_view streams[2] = { m.x, m.stream }, bf16[2] = { m.branch, m.normal };
	const uintptr_t places = (uintptr_t)m.v.weight | (uintptr_t)m.v.bias | (uintptr_t)m.v.gate;

	return m.n % 8 == 0 && m.n <= 1152 && m.v.stride % 4 == 0 && places % 16 == 0 && m.v.weight != NULL &&
	       m.v.bias != NULL && is_all(streams, 2, m.x.bf16) && is_all(bf16, 2, 1);
}

template <typename STREAM, int PARTS> static int launch_mixed(const norm_pass &m)
{
	const size_t at_once = (size_t)ek_cuda_processors() * mixed_blocks<STREAM, PARTS>,
		     most = (m.rows + NORM_WARPS - 1) / NORM_WARPS;
	const unsigned blocks = (unsigned)(at_once < most ? at_once : most);
	const size_t room = 3 * m.n * sizeof(float);

	if (m.branch.x != NULL)
		normalise_mixed<STREAM, PARTS, 1><<<blocks, NORM_WARPS * 32, room, ek_cuda_stream()>>>(m);
	else
		normalise_mixed<STREAM, PARTS, 0><<<blocks, NORM_WARPS * 32, room, ek_cuda_stream()>>>(m);
	return ek_cuda_launched("a norm");
}

template <typename STREAM> static int run_mixed(const norm_pass &m)
{
	return m.n <= 384   ? launch_mixed<STREAM, 3>(m)
	       : m.n <= 768 ? launch_mixed<STREAM, 6>(m)
	                    : launch_mixed<STREAM, 9>(m);
}

template <typename STREAM, int PARTS>
static int launch_back_mixed(const norm_pass &m, const norm_gradients &g, size_t images, size_t warps)
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
static int run_back_mixed(const norm_pass &m, const norm_gradients &g, size_t images, size_t warps)
{
	return m.n <= 384   ? launch_back_mixed<STREAM, 3>(m, g, images, warps)
	       : m.n <= 768 ? launch_back_mixed<STREAM, 6>(m, g, images, warps)
	                    : launch_back_mixed<STREAM, 9>(m, g, images, warps);
}

size_t ek_cuda_norm_mixed_warps(const norm_pass &m, const norm_gradients &g)
{
	const ek_cuda_view streams[2] = { g.dstream, g.dx }, bf16[2] = { g.dnormal, g.dbranch };
	size_t warps = MIXED_WARPS;

	if (!ek_cuda_norm_is_mixed(m) || g.dnormal.x == NULL || !is_all(streams, 2, m.x.bf16) || !is_all(bf16, 2, 1))
		return 0;
	while (warps > 0 &&
	       (m.x.bf16 ? mixed_room<narrow>(m.n, warps) : mixed_room<wide>(m.n, warps)) > ek_cuda_shared_memory())
		warps--;
	return warps;
}

int ek_cuda_norm_mixed(const norm_pass &m)
{
	return m.x.bf16 ? run_mixed<narrow>(m) : run_mixed<wide>(m);
}

int ek_cuda_norm_back_mixed(const norm_pass &m, const norm_gradients &g, size_t images, size_t warps)
{
	return m.x.bf16 ? run_back_mixed<narrow>(m, g, images, warps) : run_back_mixed<wide>(m, g, images, warps);
}
