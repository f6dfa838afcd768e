/* Vector quantisation on the GPU; as in loss_cpu.c. */
#include "train/nn/ops/codebook_cuda.h"
#include "train/nn/ops/wide_cuda.h"

/* A block finds the codes of ROWS rows: each of its threads compares one with every CODES / EACH-th code. Tiles of rows
 * and codes go through shared memory, DEPTH features at a time. */
enum { ROWS = 16, CODES = 64, EACH = 4, LANES = CODES / EACH, DEPTH = 32, WHOLE_BLOCK = 1024 };

struct book {
	const float *codes; /* [count, n] */
	const float *squares;
	unsigned count, n;
};

/* Sums in double, as on the CPU. A warp for each code. */
static __global__ void square_codes(float *squares, const float *codes, unsigned count, unsigned n)
{
	const unsigned code = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
	double sum = 0;

	if (code >= count)
		return;
	for (unsigned j = lane; j < n; j += 32)
		sum += (double)codes[(size_t)code * n + j] * (double)codes[(size_t)code * n + j];
	for (int by = 16; by > 0; by /= 2)
		sum += __shfl_xor_sync(0xffffffffU, sum, by);
	if (lane == 0)
		squares[code] = (float)sum;
}

/* to [lines][DEPTH + 1] = features first … of lines from [count, n]; 0 where there are none. */
static __device__ inline void bring(float (*to)[DEPTH + 1], unsigned lines, const float *from, size_t line,
                                    size_t count, unsigned n, unsigned first)
{
	for (unsigned i = threadIdx.x; i < lines * DEPTH; i += ROWS * LANES) {
		const unsigned at = i / DEPTH, j = i % DEPTH;

		to[at][j] = line + at < count && first + j < n ? from[(line + at) * n + first + j] : 0;
	}
}

static __global__ void __launch_bounds__(ROWS *LANES)
	find_codes(int32_t *codes, const float *z, struct book book, size_t rows)
{
	__shared__ float a[ROWS][DEPTH + 1], b[CODES][DEPTH + 1];
	const unsigned row = threadIdx.x / LANES, lane = threadIdx.x % LANES;
	const size_t first = blockIdx.x * (size_t)ROWS;
	float least = INFINITY;
	unsigned best = 0;

	for (unsigned tile = 0; tile < book.count; tile += CODES) {
		float sums[EACH] = { 0 };

		for (unsigned at = 0; at < book.n; at += DEPTH) {
			__syncthreads();
			bring(a, ROWS, z, first, rows, book.n, at);
			bring(b, CODES, book.codes, tile, book.count, book.n, at);
			__syncthreads();
			for (unsigned j = 0; j < DEPTH; j++)
#pragma unroll
				for (int k = 0; k < EACH; k++)
					sums[k] += a[row][j] * b[lane + k * LANES][j];
		}
#pragma unroll
		for (int k = 0; k < EACH; k++) {
			const unsigned code = tile + lane + k * LANES;
			const float distance = code < book.count ? book.squares[code] - 2 * sums[k] : INFINITY;

			if (distance < least) {
				least = distance;
				best = code;
			}
		}
	}
	for (int by = LANES / 2; by > 0; by /= 2) {
		const float distance = __shfl_xor_sync(0xffffffffU, least, by);
		const unsigned code = __shfl_xor_sync(0xffffffffU, best, by);

		if (distance < least || (distance == least && code < best)) {
			least = distance;
			best = code;
		}
	}
	if (lane == 0 && first + row < rows)
		codes[first + row] = (int32_t)best;
}

/* A block for an image of `count` numbers: the rows of the codes, and the mean of the squared distances. */
static __global__ void __launch_bounds__(WHOLE_BLOCK)
	take_codes(float *out, float *loss, const int32_t *codes, const float *z, struct book book, size_t count,
                   float weight)
{
	__shared__ double room[32];
	const size_t first = blockIdx.x * count;
	double sum = 0;

	for (size_t i = first + threadIdx.x; i < first + count; i += WHOLE_BLOCK) {
		const float e = book.codes[(size_t)codes[i / book.n] * book.n + i % book.n];
		const double d = (double)z[i] - (double)e;

		out[i] = e;
		sum += d * d;
	}
	sum = ek_block_sum(sum, room);
	if (threadIdx.x == 0)
		loss[blockIdx.x] = (float)((double)weight * sum / (double)count);
}

static struct book book_of(struct ek_net_state *s, const struct ek_net_op *op)
{
	return (struct book){ ek_net_parameter(s, op, 0), (const float *)(void *)s->scratch,
		              (unsigned)ek_net_parameter_of(op, 0)->dims[0],
		              (unsigned)ek_net_channel_count(s->net, op->inputs[0]) };
}

static int prepare_quantise(struct ek_net *net, struct ek_net_op *op)
{
	(void)net;
	op->scratch = (size_t)ek_net_parameter_of(op, 0)->dims[0] * sizeof(float);
	return 0;
}

static int forward_quantise(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct book book = book_of(s, op);
	const size_t rows = ek_net_rows(s->net, op->inputs[0]);
	const float *z = (const float *)ek_net_in(s, op, 0);
	int32_t *codes = (int32_t *)ek_net_out(s, op, 2);

	EK_LAUNCH(square_codes, (book.count + 7) / 8, 256, 0, (float *)(void *)s->scratch, book.codes, book.count,
	          book.n);
	EK_LAUNCH(find_codes, (unsigned)((rows + ROWS - 1) / ROWS), ROWS * LANES, 0, codes, z, book, rows);
	EK_LAUNCH(take_codes, (unsigned)s->net->batch, WHOLE_BLOCK, 0, (float *)ek_net_out(s, op, 0),
	          (float *)ek_net_out(s, op, 1), codes, z, book, ek_net_elements(s->net, op->inputs[0]),
	          op->of.quantise.commitment + op->of.quantise.codebook_weight);
	return ek_cuda_launched("finding codes");
}

/* dloss, dout: NULL: there is none. image: numbers of one. */
static __global__ void quantise_gradient(float *dz, const float *dout, const float *dloss, const int32_t *codes,
                                         const float *z, struct book book, size_t count, size_t image, float commitment,
                                         int add)
{
	EK_CUDA_EACH(i, count)
	{
		const float e = book.codes[(size_t)codes[i / book.n] * book.n + i % book.n];
		const float factor = dloss != NULL ? 2 * dloss[i / image] / (float)image : 0;
		const float d = commitment * (factor * (z[i] - e)) + (dout != NULL ? dout[i] : 0);

		dz[i] = add ? dz[i] + d : d;
	}
}

/* A warp for each code adds up the rows that have it, in order. */
static __global__ void book_gradient(float *dbook, const float *dloss, const int32_t *codes, const float *z,
                                     struct book book, size_t rows, size_t image, float weight)
{
	const unsigned code = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;

	if (code >= book.count)
		return;
	for (size_t first = 0; first < rows; first += 32) {
		const bool mine = first + lane < rows && codes[first + lane] == (int32_t)code;
		unsigned found = __ballot_sync(0xffffffffU, mine);

		for (; found != 0; found &= found - 1) {
			const size_t row = first + (unsigned)__ffs((int)found) - 1;
			const float factor = 2 * dloss[row * book.n / image] / (float)image;

			for (unsigned j = lane; j < book.n; j += 32) {
				const size_t at = (size_t)code * book.n + j;

				dbook[at] -= weight * (factor * (z[row * book.n + j] - book.codes[at]));
			}
		}
	}
}

static int backward_quantise(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct book book = book_of(s, op);
	const size_t image = ek_net_elements(s->net, op->inputs[0]), count = (size_t)s->net->batch * image;
	const float *z = (const float *)ek_net_in(s, op, 0), *dloss = (const float *)ek_net_grad_out(s, op, 1);
	const int32_t *codes = (const int32_t *)ek_net_out(s, op, 2);
	float *dbook = ek_net_parameter_gradient(s, op, 0);
	int rc = 0;

	if (op->of.quantise.follows != NULL)
		EK_TRY(ek_cuda_note_latents(op->of.quantise.follows, s->turn, z, codes));
	if (op->wants[0])
		EK_LAUNCH(quantise_gradient, ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, (float *)ek_net_grad_in(s, op, 0),
		          (const float *)ek_net_grad_out(s, op, 0), dloss, codes, z, book, count, image,
		          op->of.quantise.commitment, op->adds[0]);
	if (dbook != NULL && dloss != NULL)
		EK_LAUNCH(book_gradient, (book.count + 7) / 8, 256, 0, dbook, dloss, codes, z, book,
		          ek_net_rows(s->net, op->inputs[0]), image, op->of.quantise.codebook_weight);
	EK_TRY(ek_cuda_launched("quantising's gradient"));
out:
	return rc;
}

const struct ek_net_code ek_net_cuda_quantise = {
	prepare_quantise, NULL, forward_quantise, backward_quantise, 1, NULL
};
