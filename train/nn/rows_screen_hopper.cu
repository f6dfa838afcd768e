// The screen of rows_cuda.h on Hopper: products by wgmma, two groups of 64 rows by EK_ROWS_COLUMNS columns a block; a
// third group has the copy engine bring whole tiles. Built for sm_90a alone.
#include "train/nn/ops/multiply_hopper.h"
#include "train/nn/rows_screen.cuh"

namespace
{

constexpr int GROUP = 128, THREADS = 3 * GROUP, STAGES = 4, CONSUMER_WARPS = 8;
constexpr int TILE_BYTES = EK_ROWS_TILE * EK_ROWS_DEPTH * 2, STAGE_BYTES = 3 * TILE_BYTES;
constexpr int SHARED_BYTES = STAGES * STAGE_BYTES + 1024 + 2 * STAGES * 8; // tiles begin at multiples of 1,024

__device__ void barrier_init(uint32_t barrier, int count)
{
	asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count));
}

__device__ void barrier_expect(uint32_t barrier, int bytes)
{
	asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

__device__ void barrier_arrive(uint32_t barrier)
{
	asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ void barrier_wait(uint32_t barrier, int parity)
{
	asm volatile("{\n"
	             ".reg .pred done;\n"
	             "again:\n"
	             "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
	             "@!done bra again;\n"
	             "}\n" ::"r"(barrier),
	             "r"(parity)
	             : "memory");
}

__device__ void copy_tile(uint32_t to, const char *from, uint32_t barrier)
{
	asm volatile(
		"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
		"l"(from), "r"(TILE_BYTES), "r"(barrier)
		: "memory");
}

struct ring {
	uint32_t room, full, empty; // full, empty: [STAGES] barriers
	int stage, phase;
};

__device__ void turn(ring &r)
{
	r.stage = r.stage + 1 < STAGES ? r.stage + 1 : 0;
	r.phase ^= r.stage == 0;
}

// One thread.
__device__ void produce(const ek_rows_screen &s, ring r)
{
	for (int i = blockIdx.x; i < s.row_tiles * s.splits; i += gridDim.x) {
		const ek_rows_item item = ek_rows_item_of(s, i);
		const char *rows = (const char *)s.rows + (uint64_t)item.tile * s.chunks * TILE_BYTES;

		for (int c = item.begin; c < item.end; c++) {
			const char *columns = (const char *)s.columns + (uint64_t)(2 * c) * s.chunks * TILE_BYTES;

			for (int k = 0; k < s.chunks; k++, turn(r)) {
				const uint32_t to = r.room + r.stage * STAGE_BYTES, full = r.full + 8 * r.stage;

				barrier_wait(r.empty + 8 * r.stage, r.phase ^ 1);
				barrier_expect(full, STAGE_BYTES);
				copy_tile(to, rows + (uint64_t)k * TILE_BYTES, full);
				copy_tile(to + TILE_BYTES, columns + (uint64_t)k * TILE_BYTES, full);
				copy_tile(to + 2 * TILE_BYTES, columns + (uint64_t)(s.chunks + k) * TILE_BYTES, full);
			}
		}
	}
}

template <ek_rows_mode MODE, bool SELF> __device__ void consume(const ek_rows_screen &s, ring r, int group)
{
	const int thread = threadIdx.x % GROUP, row = group * 64 + thread / 32 * 16 + thread % 32 / 4;

	for (int i = blockIdx.x; i < s.row_tiles * s.splits; i += gridDim.x) {
		const ek_rows_item item = ek_rows_item_of(s, i);
		const ek_rows_pair pair = ek_rows_pair_of<MODE>(s, item.tile * EK_ROWS_TILE + row);

		for (int c = item.begin; c < item.end; c++) {
			float d[EK_ROWS_PART];
			int before = -1; // the stage whose products may still run

			for (int k = 0; k < s.chunks; k++, turn(r)) {
				const uint32_t room = r.room + r.stage * STAGE_BYTES;
				const uint64_t a = describe(room + group * 64 * 128), b = describe(room + TILE_BYTES);

				barrier_wait(r.full + 8 * r.stage, r.phase);
				multiplied_from_here();
#pragma unroll
				for (int deep = 0; deep < EK_ROWS_DEPTH / 16; deep++)
					multiply_behind<EK_ROWS_COLUMNS, false>(d, a + 2 * deep, b + 2 * deep,
					                                        k + deep > 0);
				multiply_marked();
				if (before >= 0) {
					products_wait<1>();
					if (thread % 32 == 0)
						barrier_arrive(r.empty + 8 * before);
				}
				before = r.stage;
			}
			settle_sums(d);
			if (thread % 32 == 0)
				barrier_arrive(r.empty + 8 * before);
			ek_rows_take<MODE, SELF>(s, pair, d, c * EK_ROWS_COLUMNS);
		}
	}
}

template <ek_rows_mode MODE, bool SELF> __global__ void __launch_bounds__(THREADS, 1) screen(ek_rows_screen s)
{
	extern __shared__ char memory[];
	ring r = {};

	r.room = ((uint32_t)__cvta_generic_to_shared(memory) + 1023) / 1024 * 1024;
	r.full = r.room + STAGES * STAGE_BYTES;
	r.empty = r.full + 8 * STAGES;
	if (threadIdx.x == 0) {
		for (int i = 0; i < STAGES; i++) {
			barrier_init(r.full + 8 * i, 1);
			barrier_init(r.empty + 8 * i, CONSUMER_WARPS);
		}
		asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
		show_copies();
	}
	__syncthreads();
	if (threadIdx.x / GROUP == 2) {
		asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
		if (threadIdx.x == 2 * GROUP)
			produce(s, r);
	} else {
		asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
		consume<MODE, SELF>(s, r, threadIdx.x / GROUP);
	}
}

} // namespace

cudaError_t ek_rows_screen_hopper(const ek_rows_screen *s, int processors, cudaStream_t stream)
{
	const int items = s->row_tiles * s->splits;
	void (*kernel)(ek_rows_screen) = nullptr;
	cudaError_t error;

	EK_ROWS_KERNEL(kernel, screen, s);
	error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, SHARED_BYTES);
	if (error == cudaSuccess)
		kernel<<<(items < processors ? items : processors), THREADS, SHARED_BYTES, stream>>>(*s);
	return error != cudaSuccess ? error : cudaGetLastError();
}
