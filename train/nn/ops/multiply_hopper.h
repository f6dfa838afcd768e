/*
 * Hopper's products of whole tiles in shared memory, by a group of four warps: wgmma. For files that are built for
 * sm_90a alone. Internal to train/nn.
 */
#ifndef EK_NN_OPS_MULTIPLY_HOPPER_H
#define EK_NN_OPS_MULTIPLY_HOPPER_H

#include "train/nn/ops/wide_cuda.h"

/* Of a tile of 128-byte rows in the order of their pieces that the instruction calls its 128-byte swizzle; eight rows
 * are 1,024 bytes. Turned: a row is what is added up; beyond its 64 numbers a tile goes on `apart` bytes further. */
static __device__ inline uint64_t describe(uint32_t address, unsigned apart = 16)
{
	return (uint64_t)((address & 0x3ffff) >> 4) | (uint64_t)(apart >> 4) << 16 | (uint64_t)(1024 >> 4) << 32 |
	       (uint64_t)1 << 62;
}

static __device__ inline uint64_t describe(const bf16 *tile, unsigned apart = 16)
{
	return describe((uint32_t)__cvta_generic_to_shared(tile), apart);
}

/* sums [64, COLUMNS] = sums · keep + a [64, 16] · b' [COLUMNS, 16], in the background. */
template <int COLUMNS, bool TURNED_A, bool TURNED_B = TURNED_A>
static __device__ void multiply_behind(float (&sums)[COLUMNS / 2], uint64_t a, uint64_t b, int keep);

#define EIGHT(a)                                                                                                       \
	"+f"(d[a]), "+f"(d[a + 1]), "+f"(d[a + 2]), "+f"(d[a + 3]), "+f"(d[a + 4]), "+f"(d[a + 5]), "+f"(d[a + 6]),    \
		"+f"(d[a + 7])
#define NAMES_16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define NAMES_32 NAMES_16 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define NAMES_48 NAMES_32 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define NAMES_64 NAMES_48 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define NAMES_80 NAMES_64 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define NAMES_96 NAMES_80 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define NAMES_112 NAMES_96 ", %48, %49, %50, %51, %52, %53, %54, %55"
#define NAMES_128 NAMES_112 ", %56, %57, %58, %59, %60, %61, %62, %63"
#define NAMES_144 NAMES_128 ", %64, %65, %66, %67, %68, %69, %70, %71"
#define NAMES_160 NAMES_144 ", %72, %73, %74, %75, %76, %77, %78, %79"
#define NAMES_176 NAMES_160 ", %80, %81, %82, %83, %84, %85, %86, %87"
#define NAMES_192 NAMES_176 ", %88, %89, %90, %91, %92, %93, %94, %95"
#define NAMES_208 NAMES_192 ", %96, %97, %98, %99, %100, %101, %102, %103"
#define NAMES_224 NAMES_208 ", %104, %105, %106, %107, %108, %109, %110, %111"
#define NAMES_240 NAMES_224 ", %112, %113, %114, %115, %116, %117, %118, %119"
#define NAMES_256 NAMES_240 ", %120, %121, %122, %123, %124, %125, %126, %127"
#define SUMS_16 EIGHT(0)
#define SUMS_32 SUMS_16, EIGHT(8)
#define SUMS_48 SUMS_32, EIGHT(16)
#define SUMS_64 SUMS_48, EIGHT(24)
#define SUMS_80 SUMS_64, EIGHT(32)
#define SUMS_96 SUMS_80, EIGHT(40)
#define SUMS_112 SUMS_96, EIGHT(48)
#define SUMS_128 SUMS_112, EIGHT(56)
#define SUMS_144 SUMS_128, EIGHT(64)
#define SUMS_160 SUMS_144, EIGHT(72)
#define SUMS_176 SUMS_160, EIGHT(80)
#define SUMS_192 SUMS_176, EIGHT(88)
#define SUMS_208 SUMS_192, EIGHT(96)
#define SUMS_224 SUMS_208, EIGHT(104)
#define SUMS_240 SUMS_224, EIGHT(112)
#define SUMS_256 SUMS_240, EIGHT(120)

#define MULTIPLY_TURNED(columns, a_name, b_name, keep_name, turned_a, turned_b, turn)                                  \
	template <>                                                                                                    \
	__device__ inline void multiply_behind<columns, turned_a, turned_b>(float(&d)[columns / 2], uint64_t a,        \
	                                                                    uint64_t b, int keep)                      \
	{                                                                                                              \
		asm volatile("{\n"                                                                                     \
		             ".reg .pred keep;\n"                                                                      \
		             "setp.ne.b32 keep, " keep_name ", 0;\n"                                                   \
		             "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" NAMES_##columns        \
		             "}, " a_name ", " b_name ", keep, 1, 1, " turn ";\n"                                      \
		             "}\n"                                                                                     \
		             : SUMS_##columns                                                                          \
		             : "l"(a), "l"(b), "r"(keep));                                                             \
	}
#define MULTIPLY(columns, a_name, b_name, keep_name)                                                                   \
	MULTIPLY_TURNED(columns, a_name, b_name, keep_name, false, false, "0, 0")                                      \
	MULTIPLY_TURNED(columns, a_name, b_name, keep_name, false, true, "0, 1")                                       \
	MULTIPLY_TURNED(columns, a_name, b_name, keep_name, true, true, "1, 1")

MULTIPLY(16, "%8", "%9", "%10")
MULTIPLY(32, "%16", "%17", "%18")
MULTIPLY(48, "%24", "%25", "%26")
MULTIPLY(64, "%32", "%33", "%34")
MULTIPLY(80, "%40", "%41", "%42")
MULTIPLY(96, "%48", "%49", "%50")
MULTIPLY(112, "%56", "%57", "%58")
MULTIPLY(128, "%64", "%65", "%66")
MULTIPLY(144, "%72", "%73", "%74")
MULTIPLY(160, "%80", "%81", "%82")
MULTIPLY(176, "%88", "%89", "%90")
MULTIPLY(192, "%96", "%97", "%98")
MULTIPLY(208, "%104", "%105", "%106")
MULTIPLY(224, "%112", "%113", "%114")
MULTIPLY(240, "%120", "%121", "%122")
MULTIPLY(256, "%128", "%129", "%130")

static __device__ inline void multiplied_from_here(void)
{
	asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

static __device__ inline void multiply_marked(void)
{
	asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* What this thread copied is there for the instruction, once a barrier is passed. */
static __device__ inline void show_copies(void)
{
	asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* The first multiple of 1,024 bytes. */
static __device__ inline bf16 *first_room(unsigned char *memory)
{
	return (bf16 *)(memory + (1024 - __cvta_generic_to_shared(memory) % 1024) % 1024);
}

/* Wait for all lots of products but the last LOTS. */
template <int LOTS> static __device__ inline void products_wait(void)
{
	asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LOTS) : "memory");
}

/* What was multiplied is in the sums from here on. */
template <int COUNT> static __device__ inline void settle_sums(float (&sums)[COUNT])
{
	products_wait<0>();
#pragma unroll
	for (int i = 0; i < COUNT; i++)
		asm volatile("" : "+f"(sums[i])::"memory");
}

/* The row that this lane names to store_matrices, for 16 rows of this warp's in its group of four and the first 16
 * columns of a tile as above; 16 i columns further on it is this ^ 32 i. */
static __device__ inline uint32_t row_of_lane(void)
{
	const uint32_t lane = threadIdx.x % 32, row = threadIdx.x % 128 / 32 * 16 + lane % 16;

	return row * 128 + (lane / 16 ^ lane % 8) * 16;
}

#endif
