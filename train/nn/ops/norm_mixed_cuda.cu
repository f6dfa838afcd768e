/*
 * Norms where all is bfloat16 but perhaps the stream, which is STREAM's: types known, so that loads go out together.
 * Rows of a stripe go to warps in turn, the image's vectors lie in shared memory. A warp's next row is on its way while
 * it works on this one: in forward to registers, in backward to shared memory, and there a lane keeps its columns' sums
 * to the end.
 */
#include "train/nn/ops/norm_cuda.h"

enum { MIXED_WARPS = 8, FORWARD_WARPS = 4 };

/* Rows of a block in forward, and blocks on a multiprocessor at least: what was fastest of 16 to 128, and of 2 to 8. */
template <int GATED> static constexpr int forward_stripe = GATED ? 16 : 32;
template <int PARTS, int GATED> static constexpr int forward_blocks = PARTS > 3 ? 4 : GATED ? 6 : 8;

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

/* What forward has of a row in a lane's registers, as it lies: 16 bytes of the stream at a time. */
template <typename STREAM> struct mixed_types;
template <> struct mixed_types<wide> {
	typedef float4 piece;
	typedef uint2 half;
};
template <> struct mixed_types<narrow> {
	typedef uint4 piece, half;
};

template <typename STREAM, int PARTS> struct raw_row {
	typename mixed_types<STREAM>::piece x[PARTS];
	typename mixed_types<STREAM>::half branch[PARTS];
};

static __device__ inline void unpack(float (&out)[4], float4 raw)
{
	*(float4 *)out = raw;
}

static __device__ inline void unpack(float (&out)[4], uint2 raw)
{
	unpack4(out, raw);
}

static __device__ inline void unpack(float (&out)[8], uint4 raw)
{
	unpack4(out, make_uint2(raw.x, raw.y));
	unpack4(out + 4, make_uint2(raw.z, raw.w));
}

static __device__ inline void pack(float4 *out, const float (&x)[4])
{
	*out = *(const float4 *)x;
}

static __device__ inline void pack(uint2 *out, const float (&x)[4])
{
	*out = pack4(x);
}

static __device__ inline void pack(uint4 *out, const float (&x)[8])
{
	const uint2 low = pack4(x), high = pack4(x + 4);

	*out = make_uint4(low.x, low.y, high.x, high.y);
}

template <int VEC> static __device__ inline void get_shared(float (&out)[VEC], const float *x)
{
#pragma unroll
	for (int i = 0; i < VEC; i += 4)
		*(float4 *)(out + i) = *(const float4 *)(x + i);
}

/* The sum over LANES neighbours, in each of them. */
template <int LANES> static __device__ inline float lanes_sum(float x)
{
#pragma unroll
	for (int step = LANES / 2; step > 0; step /= 2)
		x += __shfl_xor_sync(0xffffffffU, x, step);
	return x;
}

/* As NORM_OWN, of rows of which LANES lanes have one each. */
#define NORM_LANES(j, k, n, ...)                                                                                       \
	_Pragma("unroll") for (int k = 0; k < PARTS; k++)                                                              \
	{                                                                                                              \
		const int j = (k * LANES + (int)(threadIdx.x % LANES)) * VEC;                                          \
                                                                                                                       \
		if (j < (int)(n)) {                                                                                    \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}

template <typename STREAM, int LANES, int PARTS, int GATED>
static __device__ inline void load_row(raw_row<STREAM, PARTS> &r, const norm_pass &m, size_t row)
{
	typedef mixed_types<STREAM> types;
	constexpr int VEC = sizeof(types::half) / sizeof(__nv_bfloat16);
	const size_t at = row * m.n;

	NORM_LANES(j, k, m.n, { r.x[k] = __ldcs((const typename types::piece *)m.x.x + (at + j) / VEC); })
	if (GATED)
		NORM_LANES(j, k, m.n,
		           { r.branch[k] = __ldcs((const typename types::half *)m.branch.x + (at + j) / VEC); })
}

/* By vectors in shared memory: weight, base added, bias, gate. here: there is such a row. */
template <typename STREAM, int LANES, int PARTS, int GATED>
static __device__ inline void normalise_row(const raw_row<STREAM, PARTS> &r, const norm_pass &m, size_t row,
                                            const float *vectors, bool here)
{
	typedef mixed_types<STREAM> types;
	constexpr int VEC = sizeof(types::half) / sizeof(__nv_bfloat16);
	const size_t at = row * m.n;
	float x[PARTS][VEC] = {}, sum = 0, squares = 0, inverse;

	NORM_LANES(j, k, m.n, {
		unpack(x[k], r.x[k]);
		if (GATED) {
			typename types::piece stream;
			float gate[VEC], branch[VEC];

			get_shared(gate, vectors + 2 * m.n + j);
			unpack(branch, r.branch[k]);
			for (int i = 0; i < VEC; i++)
				x[k][i] += gate[i] * branch[i];
			pack(&stream, x[k]);
			if (here)
				((typename types::piece *)m.stream.x)[(at + j) / VEC] = stream;
			unpack(x[k], stream); /* the numbers as they lie there */
		}
		for (int i = 0; i < VEC; i++)
			sum += x[k][i];
	})
	const float mean = lanes_sum<LANES>(sum) / (float)m.n;
	NORM_LANES(j, k, m.n, {
		for (int i = 0; i < VEC; i++) {
			x[k][i] -= mean;
			squares += x[k][i] * x[k][i];
		}
	})
	inverse = 1 / sqrtf(lanes_sum<LANES>(squares) / (float)m.n + m.epsilon);
	if (!here)
		return;
	if (threadIdx.x % LANES == 0)
		*(float2 *)(m.saved + 2 * row) = make_float2(mean, inverse);
	NORM_LANES(j, k, m.n, {
		typename types::half normal;
		float weight[VEC], bias[VEC];

		get_shared(weight, vectors + j);
		get_shared(bias, vectors + m.n + j);
		for (int i = 0; i < VEC; i++)
			x[k][i] = x[k][i] * inverse * weight[i] + bias[i];
		pack(&normal, x[k]);
		if (GATED)
			((typename types::half *)m.normal.x)[(at + j) / VEC] = normal;
		else
			__stcs((typename types::half *)m.normal.x + (at + j) / VEC, normal);
	})
}

/* A block has a stripe of an image's rows; of each warp the next ones are on their way while it works at some. */
template <typename STREAM, int LANES, int PARTS, int GATED>
static __global__ void __launch_bounds__(FORWARD_WARPS * 32, forward_blocks<PARTS, GATED>)
	normalise_mixed(const __grid_constant__ norm_pass m, int stripes)
{
	extern __shared__ __align__(16) float shared[];
	constexpr int STEP = FORWARD_WARPS * 32 / LANES, STRIPE = forward_stripe<GATED>;
	const int image = (int)blockIdx.x / stripes, first = (int)blockIdx.x % stripes * STRIPE;
	const int end = min(first + STRIPE, (int)m.v.rows);
	const size_t before = image * m.v.rows, vector = image * m.v.stride;
	int row = first + (int)threadIdx.x / LANES;
	raw_row<STREAM, PARTS> next = {};

	if (row < end)
		load_row<STREAM, LANES, PARTS, GATED>(next, m, before + row);
	for (int j = (int)threadIdx.x * 4; j < (int)m.n; j += FORWARD_WARPS * 32 * 4) {
		const float4 weight = *(const float4 *)(m.v.weight + vector + j);

		*(float4 *)(shared + j) =
			make_float4(weight.x + m.v.base, weight.y + m.v.base, weight.z + m.v.base, weight.w + m.v.base);
		*(float4 *)(shared + m.n + j) = *(const float4 *)(m.v.bias + vector + j);
		if (GATED)
			*(float4 *)(shared + 2 * m.n + j) = *(const float4 *)(m.v.gate + vector + j);
	}
	__syncthreads();
	/* All lanes of a warp, for their sums. */
	for (; row - (int)threadIdx.x % 32 / LANES < end; row += STEP) {
		const raw_row<STREAM, PARTS> now = next;

		if (row + STEP < end)
			load_row<STREAM, LANES, PARTS, GATED>(next, m, before + row + STEP);
		normalise_row<STREAM, LANES, PARTS, GATED>(now, m, before + row, shared, row < end);
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

template <typename STREAM, int LANES, int PARTS, int GATED> static int launch_mixed(const norm_pass &m)
{
	const size_t stripes = (m.v.rows + forward_stripe<GATED> - 1) / forward_stripe<GATED>;

	normalise_mixed<STREAM, LANES, PARTS, GATED><<<(unsigned)(m.rows / m.v.rows * stripes), FORWARD_WARPS * 32,
	                                               3 * m.n * sizeof(float), ek_cuda_stream()>>>(m, (int)stripes);
	return ek_cuda_launched("a norm");
}

template <typename STREAM, int LANES, int PARTS> static int run_gated(const norm_pass &m)
{
	return m.branch.x != NULL ? launch_mixed<STREAM, LANES, PARTS, 1>(m) : launch_mixed<STREAM, LANES, PARTS, 0>(m);
}

static int run_mixed(const norm_pass &m)
{
	if (m.x.bf16)
		return m.n <= 384   ? run_gated<narrow, 16, 3>(m)
		       : m.n <= 768 ? run_gated<narrow, 32, 3>(m)
		                    : run_gated<narrow, 32, 5>(m);
	return m.n <= 384   ? run_gated<wide, 32, 3>(m)
	       : m.n <= 768 ? run_gated<wide, 32, 6>(m)
	                    : run_gated<wide, 32, 9>(m);
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
	return run_mixed(m);
}

int ek_cuda_norm_back_mixed(const norm_pass &m, const norm_gradients &g, size_t images, size_t warps)
{
	return m.x.bf16 ? run_back_mixed<narrow>(m, g, images, warps) : run_back_mixed<wide>(m, g, images, warps);
}
