/* Codebooks on the GPU; as codebook_cpu.c: sums in double, in the order of the batch. */
#include "train/nn/ops/op_cuda.h"

#include "train/nn/ops/codebook_cuda.h"
#include "train/nn/ops/random_cuda.h"

extern "C" {
#include "rebalance/base/random.h"
}

/* Of struct ek_codebook, for kernels. */
struct book {
	unsigned codes, width, vectors;
	int averages, from_data;
	double decay, least;          /* least average use */
	uint64_t seed, stream, first; /* of what restarts: numbers first + code */
	float *state, *use_average, *totals;
	const float *latents;
	const int32_t *nearest;
	double *use, *sum;
};

extern "C" int ek_cuda_note_latents(struct ek_codebook *c, uint64_t slice, const float *latents, const int32_t *nearest)
{
	const size_t rows = (size_t)c->options.rows, width = (size_t)c->options.width, first = (size_t)slice * rows;

	ek_cuda_note(cudaMemcpyAsync(c->latents + first * width, latents, rows * width * sizeof *latents,
	                             cudaMemcpyDeviceToDevice, ek_cuda_stream()));
	ek_cuda_note(cudaMemcpyAsync(c->nearest + first, nearest, rows * sizeof *nearest, cudaMemcpyDeviceToDevice,
	                             ek_cuda_stream()));
	return ek_cuda_launched("noting latents");
}

/* A warp for each code adds up the latents that are nearest to it. */
static __global__ void count_latents(struct book b)
{
	const unsigned code = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
	double use = 0;

	if (code >= b.codes)
		return;
	for (unsigned j = lane; j < b.width; j += 32)
		b.sum[(size_t)code * b.width + j] = 0;
	for (unsigned first = 0; first < b.vectors; first += 32) {
		const bool mine = first + lane < b.vectors && b.nearest[first + lane] == (int32_t)code;
		unsigned found = __ballot_sync(0xffffffffU, mine);

		use += __popc(found);
		for (; found != 0; found &= found - 1) {
			const size_t row = first + (unsigned)__ffs((int)found) - 1;

			for (unsigned j = lane; j < b.width; j += 32)
				b.sum[(size_t)code * b.width + j] += (double)b.latents[row * b.width + j];
		}
	}
	if (lane == 0)
		b.use[code] = use;
}

/* A thread for each code: begin, follow and restart of codebook_cpu.c. */
static __global__ void move_codes(struct book b, float *codes, float *average)
{
	const int begins = b.state[EK_CODEBOOK_BEGUN] == 0;
	const float even = (float)((double)b.vectors / b.codes);

	EK_CUDA_EACH(k, b.codes)
	{
		float use = begins ? even : b.use_average[k];
		int restarts;

		use = (float)(b.decay * (double)use + (1 - b.decay) * b.use[k]);
		restarts = (begins && b.from_data) || (double)use < b.least;
		for (size_t j = k * b.width; j < (k + 1) * b.width; j++) {
			if (b.averages) {
				const float total = begins ? even * codes[j] : b.totals[j];

				b.totals[j] = (float)(b.decay * (double)total + (1 - b.decay) * b.sum[j]);
				if (b.use[k] > 0)
					codes[j] = b.totals[j] / use;
				average[j] = codes[j];
			}
			if (restarts) {
				const uint64_t at = ek_cuda_below(b.seed, b.stream, b.first + k, b.vectors);

				codes[j] = average[j] = b.latents[at * b.width + j - k * b.width];
				if (b.averages)
					b.totals[j] = even * codes[j];
			}
		}
		b.use_average[k] = restarts ? even : use;
	}
}

/* One block. */
static __global__ void measure_use(struct book b)
{
	__shared__ double shared[32];
	double entropy = 0, used = 0;

	for (unsigned k = threadIdx.x; k < b.codes; k += blockDim.x) {
		const double share = b.use[k] / (double)b.vectors;

		used += b.use[k] > 0;
		entropy -= share > 0 ? share * log(share) : 0;
	}
	entropy = ek_block_sum(entropy, shared);
	used = ek_block_sum(used, shared);
	if (threadIdx.x == 0) {
		b.state[EK_CODEBOOK_BEGUN] = 1;
		b.state[EK_CODEBOOK_PERPLEXITY] = (float)exp(entropy);
		b.state[EK_CODEBOOK_USED] = (float)(used / (double)b.codes);
	}
}

extern "C" int ek_cuda_move_codes(struct ek_codebook *c, uint64_t step, float *codes, float *average)
{
	const struct ek_codebook_options *o = &c->options;
	struct book b = {};

	ek_cuda_enter();
	b.codes = (unsigned)o->codes;
	b.width = (unsigned)o->width;
	b.vectors = (unsigned)ek_codebook_vectors(c);
	b.averages = o->averages;
	b.from_data = o->from_data;
	b.decay = o->decay;
	b.least = o->revive * (double)b.vectors / o->codes;
	b.seed = o->seed;
	b.stream = ek_random_stream("codebook");
	b.first = step * (uint64_t)o->codes;
	b.state = c->state;
	b.use_average = c->state + EK_CODEBOOK_HEAD;
	b.totals = b.use_average + o->codes;
	b.latents = c->latents;
	b.nearest = c->nearest;
	b.use = c->use;
	b.sum = c->sum;
	count_latents<<<(b.codes + 7) / 8, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(b);
	move_codes<<<ek_cuda_blocks(b.codes), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(b, codes, average);
	measure_use<<<1, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(b);
	return ek_cuda_launched("moving codes");
}
