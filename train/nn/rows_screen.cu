// The screen of rows_cuda.h on any GPU from compute capability 8.0 on: products by mma.sync, rows by cp.async.
#include "train/nn/rows_screen.cuh"

namespace
{

constexpr int THREADS = 256, STAGES = 3;
constexpr int TILE_BYTES = EK_ROWS_TILE * EK_ROWS_DEPTH * 2, STAGE_BYTES = 3 * TILE_BYTES;

__device__ void copy_16(uint32_t to, const void *from)
{
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from));
}

// The tile of rows and the two of columns of one depth.
__device__ void load(const ek_rows_screen &s, uint32_t room, int tile, int columns, int chunk)
{
	const char *const from[3] = {
		(const char *)s.rows + ((uint64_t)tile * s.chunks + chunk) * TILE_BYTES,
		(const char *)s.columns + ((uint64_t)(2 * columns) * s.chunks + chunk) * TILE_BYTES,
		(const char *)s.columns + ((uint64_t)(2 * columns + 1) * s.chunks + chunk) * TILE_BYTES,
	};

	for (int t = 0; t < 3; t++)
		for (int at = threadIdx.x * 16; at < TILE_BYTES; at += THREADS * 16)
			copy_16(room + t * TILE_BYTES + at, from[t] + at);
}

__device__ void load_matrix(uint32_t (&out)[4], uint32_t tile, int row, int piece)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
	             : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
	             : "r"(tile + row * 128 + ((piece ^ (row & 7)) << 4)));
}

__device__ void multiply(float *d, const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
	asm volatile(
		"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
		"{%0, %1, %2, %3};"
		: "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ void multiply_stage(float (&d)[EK_ROWS_PART], uint32_t room)
{
	const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

#pragma unroll
	for (int k = 0; k < EK_ROWS_DEPTH / 16; k++) {
		uint32_t a[4];

		load_matrix(a, room, 16 * warp + lane % 16, 2 * k + lane / 16);
#pragma unroll
		for (int n = 0; n < EK_ROWS_COLUMNS / 16; n++) {
			uint32_t b[4];

			load_matrix(b, room + TILE_BYTES, 16 * n + lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2);
			multiply(d + 8 * n, a, b[0], b[1]);
			multiply(d + 8 * n + 4, a, b[2], b[3]);
		}
	}
}

template <ek_rows_mode MODE, bool SELF> __global__ void __launch_bounds__(THREADS, 1) screen(ek_rows_screen s)
{
	extern __shared__ __align__(1024) char memory[];
	const uint32_t room = (uint32_t)__cvta_generic_to_shared(memory);
	const int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;

	for (int i = blockIdx.x; i < s.row_tiles * s.splits; i += gridDim.x) {
		const ek_rows_item item = ek_rows_item_of(s, i);
		const ek_rows_pair pair = ek_rows_pair_of<MODE>(s, item.tile * EK_ROWS_TILE + row);
		const int steps = (item.end - item.begin) * s.chunks;
		float d[EK_ROWS_PART] = {};

		for (int step = 0; step < STAGES - 1; step++) {
			if (step < steps)
				load(s, room + step * STAGE_BYTES, item.tile, item.begin + step / s.chunks,
				     step % s.chunks);
			asm volatile("cp.async.commit_group;");
		}
		for (int step = 0; step < steps; step++) {
			const int next = step + STAGES - 1;

			asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2));
			__syncthreads();
			if (next < steps)
				load(s, room + next % STAGES * STAGE_BYTES, item.tile, item.begin + next / s.chunks,
				     next % s.chunks);
			asm volatile("cp.async.commit_group;");
			multiply_stage(d, room + step % STAGES * STAGE_BYTES);
			if ((step + 1) % s.chunks != 0)
				continue;
			ek_rows_take<MODE, SELF>(s, pair, d, (item.begin + step / s.chunks) * EK_ROWS_COLUMNS);
#pragma unroll
			for (float &value : d)
				value = 0;
		}
		__syncthreads();
	}
}

} // namespace

cudaError_t ek_rows_screen_run(const ek_rows_screen *s, int architecture, int processors, cudaStream_t stream)
{
	const int items = s->row_tiles * s->splits, bytes = STAGES * STAGE_BYTES;
	void (*kernel)(ek_rows_screen) = nullptr;
	cudaError_t error;

	if (architecture == 90)
		return ek_rows_screen_hopper(s, processors, stream);
	EK_ROWS_KERNEL(kernel, screen, s);
	error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
	if (error == cudaSuccess)
		kernel<<<(items < processors ? items : processors), THREADS, bytes, stream>>>(*s);
	return error != cudaSuccess ? error : cudaGetLastError();
}
