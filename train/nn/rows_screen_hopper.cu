// The screen of rows_cuda.h on Hopper: products by wgmma, two groups of 64 rows by EK_ROWS_COLUMNS columns a block; a
// third group has the copy engine bring whole tiles. Built for sm_90a alone.
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

// Of a tile of 128-byte rows in the swizzle of that width; eight rows are 1,024 bytes.
__device__ uint64_t describe(uint32_t address)
{
	return (uint64_t)((address & 0x3ffff) >> 4) | (uint64_t)1 << 16 | (uint64_t)(1024 >> 4) << 32 |
	       (uint64_t)1 << 62;
}

// d = d keep + a b', 64 rows by 256 columns, 16 deep.
__device__ void multiply(float (&d)[EK_ROWS_PART], uint64_t a, uint64_t b, int keep)
{
	asm volatile("{\n"
	             ".reg .pred keep;\n"
	             "setp.ne.b32 keep, %130, 0;\n"
	             "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
	             "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
	             "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
	             "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
	             "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
	             "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
	             "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
	             "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
	             "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
	             "%128, %129, keep, 1, 1, 0, 0;\n"
	             "}\n"
	             : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
	               "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]),
	               "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]),
	               "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]),
	               "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]),
	               "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]), "+f"(d[42]),
	               "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), "+f"(d[48]), "+f"(d[49]),
	               "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]), "+f"(d[56]),
	               "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63]),
	               "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67]), "+f"(d[68]), "+f"(d[69]), "+f"(d[70]),
	               "+f"(d[71]), "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75]), "+f"(d[76]), "+f"(d[77]),
	               "+f"(d[78]), "+f"(d[79]), "+f"(d[80]), "+f"(d[81]), "+f"(d[82]), "+f"(d[83]), "+f"(d[84]),
	               "+f"(d[85]), "+f"(d[86]), "+f"(d[87]), "+f"(d[88]), "+f"(d[89]), "+f"(d[90]), "+f"(d[91]),
	               "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95]), "+f"(d[96]), "+f"(d[97]), "+f"(d[98]),
	               "+f"(d[99]), "+f"(d[100]), "+f"(d[101]), "+f"(d[102]), "+f"(d[103]), "+f"(d[104]), "+f"(d[105]),
	               "+f"(d[106]), "+f"(d[107]), "+f"(d[108]), "+f"(d[109]), "+f"(d[110]), "+f"(d[111]), "+f"(d[112]),
	               "+f"(d[113]), "+f"(d[114]), "+f"(d[115]), "+f"(d[116]), "+f"(d[117]), "+f"(d[118]), "+f"(d[119]),
	               "+f"(d[120]), "+f"(d[121]), "+f"(d[122]), "+f"(d[123]), "+f"(d[124]), "+f"(d[125]), "+f"(d[126]),
	               "+f"(d[127])
	             : "l"(a), "l"(b), "r"(keep));
}

// What was multiplied is in d from here on.
__device__ void settle(float (&d)[EK_ROWS_PART])
{
	asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
	for (float &value : d)
		asm volatile("" : "+f"(value)::"memory");
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
				asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
				for (int deep = 0; deep < EK_ROWS_DEPTH / 16; deep++)
					multiply(d, a + 2 * deep, b + 2 * deep, k + deep > 0);
				asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
				if (before >= 0) {
					asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
					if (thread % 32 == 0)
						barrier_arrive(r.empty + 8 * before);
				}
				before = r.stage;
			}
			settle(d);
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
		asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
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
