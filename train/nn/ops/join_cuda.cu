/* Layers that put values, or rows of them, together and apart, on the GPU; as join_cpu.c and the channels of
 * image_cpu.c. */
#include "train/nn/ops/images_cuda.h"
#include "train/nn/ops/wide_cuda.h"

/* Runs of `width` numbers, `step` apart, from `x` on. */
struct runs {
	size_t first, step;
};

/* Run r of `out` = or += that of `x`. */
template <typename T, int V, typename From>
__global__ void __launch_bounds__(EK_THREADS)
	copy_runs(T *out, struct runs to, const From *x, struct runs from, size_t count, unsigned width, int add)
{
	const size_t i = blockIdx.x * (size_t)EK_THREADS + threadIdx.x;
	const size_t run = i <= UINT32_MAX ? (unsigned)i / width : i / width, at = (i - run * width) * V;
	float v[V];

	if (i >= count)
		return;
	load<V>(v, x + from.first + run * from.step + at);
	store<V>(out + to.first + run * to.step + at, v, add);
}

/* The same numbers in all of them. */
static size_t vectors(size_t width, struct runs a, struct runs b)
{
	return width | a.first | a.step | b.first | b.step;
}

static int copy(void *out, struct runs to, const void *x, struct runs from, enum ek_nn_type type, size_t width,
                size_t count, int add)
{
	by_type(type, vectors(width, to, from), [&](auto zero, auto wide) {
		typedef decltype(zero) T;
		constexpr int V = decltype(wide)::value;
		const size_t places = count * width / V;

		EK_LAUNCH((copy_runs<T, V, T>), blocks_for(places, 1), EK_THREADS, 0, (T *)out, to, (const T *)x, from,
		          places, (unsigned)(width / V), add);
	});
	return ek_cuda_launched("copying rows");
}

static int zero_all(void *memory, size_t bytes)
{
	ek_cuda_note(cudaMemsetAsync(memory, 0, bytes, ek_cuda_stream()));
	return ek_cuda_launched("clearing");
}

static int forward_concat(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t rows = ek_net_rows(s->net, op->outputs[0]), all = ek_net_channel_count(s->net, op->outputs[0]);
	struct runs to = { 0, all };
	int rc = 0;

	for (int j = 0; j < EK_NET_CONCAT_MAX && op->inputs[j] > 0; j++) {
		const size_t n = ek_net_channel_count(s->net, op->inputs[j]);

		if (!s->net->values[op->inputs[j]].within) /* else it was made there */
			EK_TRY(copy(ek_net_out(s, op, 0), to, ek_net_in(s, op, j), { 0, n },
			            ek_net_out_type(s->net, op, 0), n, rows, 0));
		to.first += n;
	}
out:
	return rc;
}

static int backward_concat(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t rows = ek_net_rows(s->net, op->outputs[0]), all = ek_net_channel_count(s->net, op->outputs[0]);
	struct runs from = { 0, all };
	int rc = 0;

	for (int j = 0; j < EK_NET_CONCAT_MAX && op->inputs[j] > 0; j++) {
		const size_t n = ek_net_channel_count(s->net, op->inputs[j]);

		if (op->wants[j])
			EK_TRY(copy(ek_net_grad_in(s, op, j), { 0, n }, ek_net_grad_out(s, op, 0), from,
			            ek_net_out_type(s->net, op, 0), n, rows, op->adds[j]));
		from.first += n;
	}
out:
	return rc;
}

const struct ek_net_code ek_net_cuda_concat = { NULL, NULL, forward_concat, backward_concat, 0, NULL };

/* Parts of a value: `width` numbers of each run of `step` in the input, from `first` on. */
static int forward_part(struct ek_net_state *s, const struct ek_net_op *op, size_t first, size_t width, size_t step)
{
	return copy(ek_net_out(s, op, 0), { 0, width }, ek_net_in(s, op, 0), { first, step },
	            ek_net_in_type(s->net, op, 0), width,
	            (size_t)s->net->batch * ek_net_elements(s->net, op->inputs[0]) / step, 0);
}

static int backward_part(struct ek_net_state *s, const struct ek_net_op *op, size_t first, size_t width, size_t step)
{
	int rc = 0;

	if (!op->adds[0])
		EK_TRY(zero_all(ek_net_grad_in(s, op, 0), s->net->values[op->inputs[0]].bytes));
	EK_TRY(copy(ek_net_grad_in(s, op, 0), { first, step }, ek_net_grad_out(s, op, 0), { 0, width },
	            ek_net_in_type(s->net, op, 0), width,
	            (size_t)s->net->batch * ek_net_elements(s->net, op->inputs[0]) / step, op->adds[0]));
out:
	return rc;
}

static int forward_rows(struct ek_net_state *s, const struct ek_net_op *op)
{
	return forward_part(s, op, (size_t)op->of.first * ek_net_channel_count(s->net, op->inputs[0]),
	                    ek_net_elements(s->net, op->outputs[0]), ek_net_elements(s->net, op->inputs[0]));
}

static int backward_rows(struct ek_net_state *s, const struct ek_net_op *op)
{
	return backward_part(s, op, (size_t)op->of.first * ek_net_channel_count(s->net, op->inputs[0]),
	                     ek_net_elements(s->net, op->outputs[0]), ek_net_elements(s->net, op->inputs[0]));
}

const struct ek_net_code ek_net_cuda_rows = { NULL, NULL, forward_rows, backward_rows, 0, NULL };

static int forward_channels(struct ek_net_state *s, const struct ek_net_op *op)
{
	return forward_part(s, op, (size_t)op->of.first, ek_net_channel_count(s->net, op->outputs[0]),
	                    ek_net_channel_count(s->net, op->inputs[0]));
}

static int backward_channels(struct ek_net_state *s, const struct ek_net_op *op)
{
	return backward_part(s, op, (size_t)op->of.first, ek_net_channel_count(s->net, op->outputs[0]),
	                     ek_net_channel_count(s->net, op->inputs[0]));
}

const struct ek_net_code ek_net_cuda_channels = { NULL, NULL, forward_channels, backward_channels, 0, NULL };

static int forward_prepend(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t in = ek_net_elements(s->net, op->inputs[0]), out = ek_net_elements(s->net, op->outputs[0]);
	const size_t before = out - in, batch = (size_t)s->net->batch;
	const struct runs to = { 0, out }, from = { 0, 0 };
	int rc;

	by_type(type, vectors(before, to, from), [&](auto zero, auto wide) {
		typedef decltype(zero) T;
		constexpr int V = decltype(wide)::value;
		const size_t places = batch * before / V;

		EK_LAUNCH((copy_runs<T, V, float>), blocks_for(places, 1), EK_THREADS, 0, (T *)ek_net_out(s, op, 0), to,
		          ek_net_parameter(s, op, 0), from, places, (unsigned)(before / V), 0);
	});
	EK_TRY(ek_cuda_launched("putting rows before others"));
	EK_TRY(copy(ek_net_out(s, op, 0), { before, out }, ek_net_in(s, op, 0), { 0, in }, type, in, batch, 0));
out:
	return rc;
}

/* sum [count] += the first numbers of each run, in order. */
template <typename T>
__global__ void __launch_bounds__(EK_THREADS)
	add_runs(float *sum, const T *x, size_t step, unsigned runs, unsigned count)
{
	float all = 0;

	EK_PLACE(i, count);
	for (unsigned r = 0; r < runs; r++)
		all += widened(x[r * step + i]);
	sum[i] += all;
}

static int backward_prepend(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t in = ek_net_elements(s->net, op->inputs[0]), out = ek_net_elements(s->net, op->outputs[0]);
	const size_t before = out - in, batch = (size_t)s->net->batch;
	float *rows = ek_net_parameter_gradient(s, op, 0);
	int rc = 0;

	if (rows != NULL) {
		by_type(type, 1, [&](auto zero, auto) {
			typedef decltype(zero) T;

			EK_LAUNCH(add_runs<T>, blocks_for(before, 1), EK_THREADS, 0, rows,
			          (const T *)ek_net_grad_out(s, op, 0), out, (unsigned)batch, (unsigned)before);
		});
		EK_TRY(ek_cuda_launched("the gradient of rows before others"));
	}
	if (op->wants[0])
		EK_TRY(copy(ek_net_grad_in(s, op, 0), { 0, in }, ek_net_grad_out(s, op, 0), { before, out }, type, in,
		            batch, op->adds[0]));
out:
	return rc;
}

static int images_prepend(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t out = ek_net_elements(s->net, op->outputs[0]);
	const ek_image_rows rows = { ek_cuda_grad_output(s, op, 0), 0, out };

	return ek_cuda_image_sums(s, op, 0, rows, s->together, out - ek_net_elements(s->net, op->inputs[0]));
}

const struct ek_net_code ek_net_cuda_prepend = { NULL, NULL, forward_prepend, backward_prepend, 1, images_prepend };

/* Patches. A thread has one number of the side that is written, in the order of memory. */

/* Where number i of an image [h·p, w·p, c] is among the patches [h, w, c, p, p]. */
__device__ static unsigned in_patches(unsigned i, unsigned wide, unsigned c, unsigned p)
{
	const unsigned pixel = i / c, row = pixel / (wide * p), column = pixel % (wide * p);

	return (((row / p * wide + column / p) * c + i % c) * p + row % p) * p + column % p;
}

/* Where number i of the patches is in the image. */
__device__ static unsigned in_image(unsigned i, unsigned wide, unsigned c, unsigned p)
{
	const unsigned column = i % p, row = i / p % p, channel = i / (p * p) % c, patch = i / (p * p * c);

	return ((patch / wide * p + row) * wide * p + patch % wide * p + column) * c + channel;
}

template <typename T, typename From>
__global__ void __launch_bounds__(EK_THREADS)
	turn(T *out, const From *x, unsigned count, unsigned wide, unsigned c, unsigned p, int back, int add)
{
	const size_t image = blockIdx.y * (size_t)count;
	float v;

	EK_PLACE(i, count);
	v = widened(x[image + (back ? in_patches(i, wide, c, p) : in_image(i, wide, c, p))]);
	store<1>(out + image + i, &v, add);
}

static int run_turn(struct ek_net_state *s, const struct ek_net_op *op, void *out, enum ek_nn_type type, const void *x,
                    enum ek_nn_type from, int back, int add)
{
	const size_t count = ek_net_elements(s->net, op->inputs[0]);

	by_type(type, 1, [&](auto zero, auto) {
		by_type(from, 1, [&](auto zero_from, auto) {
			typedef decltype(zero) T;
			typedef decltype(zero_from) From;

			EK_LAUNCH(
				(turn<T, From>), blocks_for(count, s->net->batch), EK_THREADS, 0, (T *)out,
				(const From *)x, (unsigned)count, (unsigned)s->net->values[op->outputs[0]].shape.width,
				(unsigned)s->net->values[op->inputs[0]].shape.channels, (unsigned)op->of.p, back, add);
		});
	});
	return ek_cuda_launched("cutting patches");
}

static int forward_patches(struct ek_net_state *s, const struct ek_net_op *op)
{
	return run_turn(s, op, ek_net_out(s, op, 0), ek_net_out_type(s->net, op, 0), ek_net_in(s, op, 0),
	                ek_net_in_type(s->net, op, 0), 0, 0);
}

static int backward_patches(struct ek_net_state *s, const struct ek_net_op *op)
{
	return run_turn(s, op, ek_net_grad_in(s, op, 0), ek_net_in_type(s->net, op, 0), ek_net_grad_out(s, op, 0),
	                ek_net_out_type(s->net, op, 0), 1, op->adds[0]);
}

const struct ek_net_code ek_net_cuda_patches = { NULL, NULL, forward_patches, backward_patches, 0, NULL };
