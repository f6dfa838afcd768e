// The kernels of rows_cuda.h but for the screen. Float64 sums are those of analysis/cluster/vector.c and kmeans_move.c,
// bit by bit: 32 lanes without fused multiply-add, folded in the same order.
#include <cuda_bf16.h>
#include <math_constants.h>

#include <cub/device/device_radix_sort.cuh>

#include "train/nn/rows_cuda.h"

namespace
{

constexpr float most_limit = 3e38F; // what fills up the columns has v infinite
constexpr unsigned ALL = 0xffffffffu;
constexpr int WARPS = 8; // of a block whose warps each have a row

__device__ double sum_of_lanes(double value)
{
	for (int lane : { 8, 16, 1, 2, 4 })
		value = __dadd_rn(value, __shfl_xor_sync(ALL, value, lane));
	return value;
}

// ek_vector_distance2, by a warp.
__device__ double distance2_of(const float *a, const float *b, size_t d)
{
	const size_t lane = threadIdx.x % 32, whole = d / 32 * 32;
	double sum = 0;

	for (size_t j = lane; j < whole; j += 32) {
		const double difference = __dsub_rn((double)a[j], (double)b[j]);

		sum = __dadd_rn(sum, __dmul_rn(difference, difference));
	}
	sum = sum_of_lanes(sum);
	for (size_t j = whole; j < d; j++) {
		const double difference = __dsub_rn((double)a[j], (double)b[j]);

		sum = __dadd_rn(sum, __dmul_rn(difference, difference));
	}
	return sum;
}

__device__ double beta_of(float norm, float error, const float *most, size_t d)
{
	const double x = norm, y = most[0], span = x + y;

	return 2 * ((double)error * y + x * (double)most[1]) + (double)(d + 64) * 0x1p-22 * span * span + 1e-30;
}

__device__ double warp_sum(double value)
{
	for (int lane = 16; lane > 0; lane /= 2)
		value += __shfl_xor_sync(ALL, value, lane);
	return value;
}

// A warp a row; a lane takes eight numbers at a time to their place in the tile.
__global__ void prepare(ek_rows_screened out, const float *x, const float *centre, uint64_t count, uint64_t filled,
                        size_t d, size_t chunks)
{
	const uint64_t row = (uint64_t)blockIdx.x * WARPS + threadIdx.x / 32;
	const size_t lane = threadIdx.x % 32, in = row % EK_ROWS_TILE;
	double h = 0, error = 0;

	if (row >= filled)
		return;
	for (size_t q = lane; q < chunks * 8; q += 32) {
		uint16_t *to = out.tiles + ((row / EK_ROWS_TILE * chunks + q / 8) * EK_ROWS_TILE + in) * EK_ROWS_DEPTH +
		               ((q % 8) ^ (in % 8)) * 8;
		alignas(16) __nv_bfloat16 rounded[8];

		for (size_t i = 0; i < 8; i++) {
			const size_t j = q * 8 + i;
			const float moved = row < count && j < d ? __fsub_rn(x[row * d + j], centre[j]) : 0;
			double lost;

			rounded[i] = __float2bfloat16_rn(moved);
			lost = (double)moved - (double)__bfloat162float(rounded[i]);
			h += (double)moved * moved;
			error += lost * lost;
		}
		*(uint4 *)to = *(const uint4 *)rounded;
	}
	h = warp_sum(h);
	error = warp_sum(error);
	if (lane != 0)
		return;
	if (row >= count) {
		out.h[row] = CUDART_INF_F;
		out.norm[row] = out.error[row] = 0;
		return;
	}
	error = sqrt(error) * (1 + 1e-6);
	out.h[row] = (float)h;
	out.error[row] = __double2float_ru(error);
	out.norm[row] = __double2float_ru(sqrt(h) * (1 + 1e-6) + error);
	if (!(h < 1e30))
		*out.overflow = 1;
	// Numbers of at least 0 are in the order of their bits. Few are larger than all before.
	if (out.norm[row] > *(volatile float *)&out.most[0])
		atomicMax((int *)&out.most[0], __float_as_int(out.norm[row]));
	if (out.error[row] > *(volatile float *)&out.most[1])
		atomicMax((int *)&out.most[1], __float_as_int(out.error[row]));
}

// The row's own centroid measured anew, and the limit of what may be nearer.
__global__ void refresh(ek_rows_search s)
{
	const uint64_t at = (uint64_t)blockIdx.x * WARPS + threadIdx.x / 32, row = s.first + at;
	const size_t lane = threadIdx.x % 32;
	int64_t own;
	double distance2, beta, limit;
	float least = CUDART_INF_F;

	if (at >= s.count) { // what fills up the last tile finds nothing
		if (lane == 0)
			s.limit[at] = -CUDART_INF_F;
		return;
	}
	own = (int64_t)s.assignment[row] - s.base;
	distance2 = s.distance2[row];
	if (s.assignment[row] >= 0 && own >= 0 && own < s.k)
		distance2 = distance2_of(s.x + at * s.d, s.centroids + own * s.d, s.d);
	for (int g = (int)lane; s.least != nullptr && g < s.groups; g += 32)
		least = fminf(least, s.least[at * s.groups + g]);
	for (int other = 16; other > 0; other /= 2)
		least = fminf(least, __shfl_xor_sync(ALL, least, other));
	if (lane != 0)
		return;
	beta = beta_of(s.norm[at], s.error[at], s.most, s.d);
	limit = fmin(distance2 + beta - (double)s.h[at], (double)least + 2 * beta);
	s.limit[at] = fminf(__double2float_ru(limit), most_limit);
	s.distance2[row] = distance2;
	s.found[at] = 0;
}

__global__ void resolve(ek_rows_search s)
{
	const uint64_t at = (uint64_t)blockIdx.x * WARPS + threadIdx.x / 32, row = s.first + at;
	const bool leader = threadIdx.x % 32 == 0;
	uint32_t count;
	int32_t before, best;
	double nearest;
	bool all;

	if (at >= s.count)
		return;
	all = s.all || s.found[at] > s.capacity;
	count = all ? s.k : s.found[at];
	before = best = s.assignment[row];
	nearest = s.distance2[row];
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t c = all ? i : s.table[at * s.capacity + i];
		const int32_t number = (int32_t)(s.base + c);
		double distance2;

		if (number == before)
			continue;
		distance2 = distance2_of(s.x + at * s.d, s.centroids + c * s.d, s.d);
		if (distance2 < nearest || (distance2 == nearest && number < best)) {
			nearest = distance2;
			best = number;
		}
	}
	if (best == before || !leader)
		return;
	s.assignment[row] = best;
	s.distance2[row] = nearest;
	atomicAdd(s.changed, 1ULL);
}

__global__ void count_up(uint32_t *out, uint64_t n)
{
	const uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		out[i] = (uint32_t)i;
}

__device__ uint64_t first_not_below(const int32_t *sorted, uint64_t n, int32_t value)
{
	uint64_t low = 0, high = n;

	while (low < high) {
		const uint64_t middle = (low + high) / 2;

		if (sorted[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

__global__ void find_offsets(ek_rows_sums s)
{
	const uint32_t c = blockIdx.x * blockDim.x + threadIdx.x;

	if (c <= s.k)
		s.offsets[c] = (uint32_t)first_not_below(s.sorted, s.n, (int32_t)c);
}

__device__ uint32_t slices_of(const ek_rows_sums &s, uint32_t c)
{
	return (s.offsets[c + 1] - s.offsets[c] + EK_ROWS_SLICE - 1) / EK_ROWS_SLICE;
}

// One block: the running sum of slices over clusters.
__global__ void number_slices(ek_rows_sums s)
{
	__shared__ uint32_t totals[1024];
	const uint32_t each = (s.k + 1023) / 1024, begin = threadIdx.x * each;
	const uint32_t end = begin + each < s.k ? begin + each : s.k;
	uint32_t total = 0, before = 0;

	for (uint32_t c = begin; c < end; c++)
		total += slices_of(s, c);
	totals[threadIdx.x] = total;
	__syncthreads();
	for (uint32_t i = 0; i < threadIdx.x; i++)
		before += totals[i];
	for (uint32_t c = begin; c < end; c++) {
		s.slice_first[c] = before;
		before += slices_of(s, c);
	}
	if (threadIdx.x == 1023)
		s.slice_first[s.k] = before;
}

__device__ uint32_t lower_row(const uint32_t *order, uint32_t begin, uint32_t end, uint64_t row)
{
	while (begin < end) {
		const uint32_t middle = begin + (end - begin) / 2;

		if (order[middle] < row)
			begin = middle + 1;
		else
			end = middle;
	}
	return begin;
}

// A block a slice by 256 dimensions; a thread goes through the rows in order.
__global__ void __launch_bounds__(256) sum_slices(ek_rows_sums s, const float *x, uint64_t first, uint64_t count)
{
	enum { EIGHT = 8 };
	uint32_t low = 0, high = s.k, start, end, begin, stop;

	if (blockIdx.x >= s.slice_first[s.k])
		return;
	// The cluster that has this slice: the last that begins at it or before, and is not empty.
	while (high - low > 1) {
		const uint32_t middle = (low + high) / 2;

		if (s.slice_first[middle] <= blockIdx.x)
			low = middle;
		else
			high = middle;
	}
	start = s.offsets[low] + (blockIdx.x - s.slice_first[low]) * EK_ROWS_SLICE;
	end = s.offsets[low + 1] - start < EK_ROWS_SLICE ? s.offsets[low + 1] : start + EK_ROWS_SLICE;
	begin = lower_row(s.order, start, end, first);
	stop = lower_row(s.order, begin, end, first + count);
	if (const size_t j = blockIdx.y * blockDim.x + threadIdx.x; j < s.d) {
		double *out = s.sums + (size_t)blockIdx.x * s.d + j, sum = begin > start ? *out : 0;
		uint32_t i = begin;

		for (; i + EIGHT <= stop; i += EIGHT) {
			float value[EIGHT];

#pragma unroll
			for (int r = 0; r < EIGHT; r++)
				value[r] = x[(s.order[i + r] - first) * s.d + j];
#pragma unroll
			for (int r = 0; r < EIGHT; r++)
				sum = __dadd_rn(sum, (double)value[r]);
		}
		for (; i < stop; i++)
			sum = __dadd_rn(sum, (double)x[(s.order[i] - first) * s.d + j]);
		*out = sum;
	}
}

// A block a cluster.
__global__ void take_means(ek_rows_sums s, float *centroids, const float *before, int unit)
{
	const uint32_t c = blockIdx.x, begin = s.slice_first[c], end = s.slice_first[c + 1];
	const double size = (double)(s.offsets[c + 1] - s.offsets[c]);
	double *sum = s.sums + (size_t)begin * s.d;
	__shared__ double norm;
	bool moves = begin < end;

	for (size_t j = threadIdx.x; moves && j < s.d; j += blockDim.x) {
		double total = sum[j];

		for (uint32_t i = 1; i < end - begin; i++)
			total = __dadd_rn(total, sum[i * s.d + j]);
		sum[j] = __ddiv_rn(total, size);
	}
	if (unit && moves) {
		__syncthreads();
		if (threadIdx.x == 0) {
			norm = 0;
			for (size_t j = 0; j < s.d; j++)
				norm = __dadd_rn(norm, __dmul_rn(sum[j], sum[j]));
			norm = __dsqrt_rn(norm);
		}
		__syncthreads();
		moves = norm > 0;
	}
	for (size_t j = threadIdx.x; j < s.d; j += blockDim.x)
		centroids[c * s.d + j] =
			!moves ? before[c * s.d + j] : (float)(unit ? __ddiv_rn(sum[j], norm) : sum[j]);
}

struct placed {
	float value;
	int place;
};

__device__ bool is_after(placed a, placed b)
{
	return a.value > b.value || (a.value == b.value && a.place > b.place);
}

// A warp a row: the k-th smallest, one after the other.
__global__ void find_limits(float *limit, const float *least, int groups, size_t k, const float *norm,
                            const float *error, const float *most, uint64_t rows, size_t d)
{
	const uint64_t row = (uint64_t)blockIdx.x * WARPS + threadIdx.x / 32;
	const int lane = threadIdx.x % 32;
	placed last = { -CUDART_INF_F, -1 };

	if (row >= rows) {
		if (lane == 0)
			limit[row] = -CUDART_INF_F;
		return;
	}
	for (size_t turn = 0; turn < k && turn < (size_t)groups; turn++) {
		placed next = { CUDART_INF_F, groups };

		for (int g = lane; g < groups; g += 32) {
			const placed here = { least[row * groups + g], g };

			if (is_after(here, last) && is_after(next, here))
				next = here;
		}
		for (int other = 16; other > 0; other /= 2) {
			const placed theirs = { __shfl_xor_sync(ALL, next.value, other),
				                __shfl_xor_sync(ALL, next.place, other) };

			if (is_after(next, theirs))
				next = theirs;
		}
		last = next;
	}
	if (k > (size_t)groups)
		last.value = CUDART_INF_F;
	if (lane == 0)
		limit[row] = fminf(__double2float_ru((double)last.value + 2 * beta_of(norm[row], error[row], most, d)),
		                   most_limit);
}

__global__ void find_offsets_of_balls(float *low, float *high, const float *h, const float *norm, const float *error,
                                      const float *most, uint64_t rows, size_t d)
{
	const uint64_t row = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
	double beta;

	if (row >= rows) {
		low[row] = -CUDART_INF_F;
		high[row] = 0;
		return;
	}
	beta = beta_of(norm[row], error[row], most, d);
	low[row] = __double2float_ru(beta - (double)h[row]);
	high[row] = __double2float_ru(beta + (double)h[row]);
}

__global__ void find_factors(float *factor, const float *least, int groups, uint64_t rows)
{
	const uint64_t row = (uint64_t)blockIdx.x * WARPS + threadIdx.x / 32;
	float smallest = CUDART_INF_F;

	if (row >= rows)
		return;
	for (int g = threadIdx.x % 32; g < groups; g += 32)
		smallest = fminf(smallest, least[row * groups + g]);
	for (int other = 16; other > 0; other /= 2)
		smallest = fminf(smallest, __shfl_xor_sync(ALL, smallest, other));
	if (threadIdx.x % 32 == 0)
		factor[row] = smallest < CUDART_INF_F ? smallest * (1 + 1e-5F) : 0;
}

// A block a row, a warp a candidate.
__global__ void measure(double *distance2, uint32_t *index, const float *x, const float *y, const uint32_t *table,
                        const uint32_t *found, const uint64_t *offsets, uint32_t capacity, uint32_t base, size_t d)
{
	const uint64_t row = blockIdx.x;

	if (found[row] > capacity)
		return;
	for (uint32_t i = threadIdx.x / 32; i < found[row]; i += blockDim.x / 32) {
		const uint32_t column = table[row * capacity + i];
		const double value = distance2_of(x + row * d, y + (size_t)column * d, d);

		if (threadIdx.x % 32 == 0) {
			distance2[offsets[row] + i] = value;
			index[offsets[row] + i] = base + column;
		}
	}
}

__global__ void measure_all(double *distance2, const float *x, const float *y, uint64_t columns, size_t d)
{
	const uint64_t column = (uint64_t)blockIdx.x * WARPS + threadIdx.x / 32;
	double value;

	if (column >= columns)
		return;
	value = distance2_of(x, y + column * d, d);
	if (threadIdx.x % 32 == 0)
		distance2[column] = value;
}

unsigned blocks_of(uint64_t rows)
{
	return (unsigned)((rows + WARPS - 1) / WARPS);
}

uint64_t whole_tiles(uint64_t rows)
{
	return (rows + EK_ROWS_TILE - 1) / EK_ROWS_TILE * EK_ROWS_TILE;
}

} // namespace

size_t ek_rows_chunks(size_t d)
{
	return (d + EK_ROWS_DEPTH - 1) / EK_ROWS_DEPTH;
}

void ek_rows_prepare(const ek_rows_screened *out, const float *x, const float *centre, uint64_t count, uint64_t filled,
                     size_t d, cudaStream_t stream)
{
	prepare<<<blocks_of(filled), 32 * WARPS, 0, stream>>>(*out, x, centre, count, filled, d, ek_rows_chunks(d));
}

void ek_rows_refresh(const ek_rows_search *s, cudaStream_t stream)
{
	refresh<<<blocks_of(whole_tiles(s->count)), 32 * WARPS, 0, stream>>>(*s);
}

void ek_rows_resolve(const ek_rows_search *s, cudaStream_t stream)
{
	resolve<<<blocks_of(s->count), 32 * WARPS, 0, stream>>>(*s);
}

size_t ek_rows_sort_room(uint64_t n)
{
	size_t bytes = 0;

	(void)cub::DeviceRadixSort::SortPairs(nullptr, bytes, (const int32_t *)nullptr, (int32_t *)nullptr,
	                                      (const uint32_t *)nullptr, (uint32_t *)nullptr, (int)n);
	return bytes;
}

cudaError_t ek_rows_sort(const ek_rows_sums *s, cudaStream_t stream)
{
	size_t room = s->room_bytes;
	int bits = 1;
	cudaError_t error;

	while (bits < 31 && (s->k - 1) >> bits != 0)
		bits++;
	count_up<<<(unsigned)((s->n + 255) / 256), 256, 0, stream>>>(s->identity, s->n);
	error = cub::DeviceRadixSort::SortPairs(s->room, room, s->assignment, s->sorted, (const uint32_t *)s->identity,
	                                        s->order, (int)s->n, 0, bits, stream);
	find_offsets<<<s->k / 256 + 1, 256, 0, stream>>>(*s);
	number_slices<<<1, 1024, 0, stream>>>(*s);
	return error;
}

void ek_rows_sum(const ek_rows_sums *s, const float *x, uint64_t first, uint64_t count, cudaStream_t stream)
{
	const dim3 blocks((unsigned)(s->k + s->n / EK_ROWS_SLICE + 1), (unsigned)((s->d + 255) / 256));

	sum_slices<<<blocks, 256, 0, stream>>>(*s, x, first, count);
}

void ek_rows_means(const ek_rows_sums *s, float *centroids, const float *before, int unit, cudaStream_t stream)
{
	take_means<<<s->k, 256, 0, stream>>>(*s, centroids, before, unit);
}

void ek_rows_limits(float *limit, const float *least, int groups, size_t k, const float *norm, const float *error,
                    const float *most, uint64_t rows, size_t d, cudaStream_t stream)
{
	find_limits<<<blocks_of(whole_tiles(rows)), 32 * WARPS, 0, stream>>>(limit, least, groups, k, norm, error, most,
	                                                                     rows, d);
}

void ek_rows_offsets(float *low, float *high, const float *h, const float *norm, const float *error, const float *most,
                     uint64_t rows, size_t d, cudaStream_t stream)
{
	find_offsets_of_balls<<<(unsigned)(whole_tiles(rows) / EK_ROWS_TILE), EK_ROWS_TILE, 0, stream>>>(
		low, high, h, norm, error, most, rows, d);
}

void ek_rows_factors(float *factor, const float *least, int groups, uint64_t rows, cudaStream_t stream)
{
	find_factors<<<blocks_of(rows), 32 * WARPS, 0, stream>>>(factor, least, groups, rows);
}

void ek_rows_measure(double *distance2, uint32_t *index, const float *x, const float *y, const uint32_t *table,
                     const uint32_t *found, const uint64_t *offsets, uint32_t capacity, uint32_t base, uint64_t rows,
                     size_t d, cudaStream_t stream)
{
	measure<<<(unsigned)rows, 128, 0, stream>>>(distance2, index, x, y, table, found, offsets, capacity, base, d);
}

void ek_rows_measure_all(double *distance2, const float *x, const float *y, uint64_t columns, size_t d,
                         cudaStream_t stream)
{
	measure_all<<<blocks_of(columns), 32 * WARPS, 0, stream>>>(distance2, x, y, columns, d);
}
