/* Pooling, and the mean over all pixels, on the GPU; as pool_cpu.c. */
#include "train/nn/ops/wide_cuda.h"

struct pool {
	struct ek_net_shape in, out;
	int kind, kernel[2], stride[2], pad[2]; /* pad: before */
	unsigned pitch;                         /* numbers from pixel to pixel of what is made */
};

static struct pool pool_of(const struct ek_net *net, const struct ek_net_op *op)
{
	const struct ek_net_pool *p = &op->of.pool;

	return (struct pool){ net->values[op->inputs[0]].shape,
		              net->values[op->outputs[0]].shape,
		              (int)p->kind,
		              { p->kernel[0], p->kernel[1] },
		              { p->stride[0], p->stride[1] },
		              { p->pad[0], p->pad[2] },
		              (unsigned)ek_net_pitch(net, op->outputs[0]) };
}

/* The part of a window that lies in the image: first, and one past the last, row or column. */
struct span {
	int first, end;
};

__device__ static struct span span_of(const struct pool &p, int way, int place)
{
	const int first = place * p.stride[way] - p.pad[way], end = first + p.kernel[way];
	const int size = way == 0 ? p.in.height : p.in.width;

	return (struct span){ max(first, 0), min(end, size) };
}

__device__ static float share_of(const struct pool &p, struct span rows, struct span columns)
{
	const int inside = (rows.end - rows.first) * (columns.end - columns.first);

	return 1 / (float)(p.kind == EK_NET_POOL_AVERAGE_EXCLUSIVE ? inside : p.kernel[0] * p.kernel[1]);
}

/* Windows that hold a pixel: first, and one past the last. */
__device__ static struct span windows_of(const struct pool &p, int way, int pixel)
{
	const int from = pixel + p.pad[way] - p.kernel[way] + p.stride[way]; /* of the first: place · stride <= … */

	return (struct span){ max(from, 0) / p.stride[way],
		              min((pixel + p.pad[way]) / p.stride[way] + 1, way == 0 ? p.out.height : p.out.width) };
}

template <typename T, int V>
__global__ void __launch_bounds__(EK_THREADS) pool_windows(T *out, const T *x, struct pool p, unsigned count)
{
	const unsigned n = (unsigned)p.in.channels;
	float sum[V], v[V];

	EK_PLACE(i, count);
	const unsigned place = i / (n / V), channel = i % (n / V) * V;
	const struct span rows = span_of(p, 0, (int)(place / (unsigned)p.out.width));
	const struct span columns = span_of(p, 1, (int)(place % (unsigned)p.out.width));
	const float share = share_of(p, rows, columns);

	x += (size_t)blockIdx.y * (unsigned)p.in.height * (unsigned)p.in.width * n + channel;
#pragma unroll
	for (int k = 0; k < V; k++)
		sum[k] = p.kind == EK_NET_POOL_MAX ? -INFINITY : 0;
	for (int row = rows.first; row < rows.end; row++)
		for (int column = columns.first; column < columns.end; column++) {
			load<V>(v, x + (unsigned)(row * p.in.width + column) * (size_t)n);
#pragma unroll
			for (int k = 0; k < V; k++)
				if (p.kind != EK_NET_POOL_MAX)
					sum[k] += v[k];
				else if (!(v[k] <= sum[k])) /* NaN wins */
					sum[k] = v[k];
		}
	if (p.kind != EK_NET_POOL_MAX)
#pragma unroll
		for (int k = 0; k < V; k++)
			sum[k] *= share;
	store<V>(out + ((size_t)blockIdx.y * (count / (n / V)) + place) * p.pitch + channel, sum, 0);
}

/* The same of windows of 3 × 3 of stride 1: a thread has STRIP neighbours, and takes what they share once. */
enum { SIDE = 3, STRIP = 4 };

template <typename T, int V>
__global__ void __launch_bounds__(EK_THREADS) pool_strips(T *out, const T *x, struct pool p, unsigned count)
{
	const unsigned n = (unsigned)p.in.channels, strips = (unsigned)(p.out.width + STRIP - 1) / STRIP;
	float sums[STRIP][V];

	EK_PLACE(i, count);
	const unsigned strip = i / (n / V), channel = i % (n / V) * V;
	const int made = (int)(strip / strips), from = (int)(strip % strips) * STRIP;
	const struct span rows = span_of(p, 0, made);

	x += (size_t)blockIdx.y * (unsigned)p.in.height * (unsigned)p.in.width * n + channel;
#pragma unroll
	for (int at = 0; at < STRIP; at++)
#pragma unroll
		for (int k = 0; k < V; k++)
			sums[at][k] = p.kind == EK_NET_POOL_MAX ? -INFINITY : 0;
	for (int row = rows.first; row < rows.end; row++)
#pragma unroll
		for (int c = 0; c < STRIP + SIDE - 1; c++) {
			const int column = from - p.pad[1] + c;
			float v[V];

			if ((unsigned)column >= (unsigned)p.in.width)
				continue;
			load<V>(v, x + (unsigned)(row * p.in.width + column) * (size_t)n);
#pragma unroll
			for (int at = max(c - SIDE + 1, 0); at <= min(c, STRIP - 1); at++)
#pragma unroll
				for (int k = 0; k < V; k++)
					if (p.kind != EK_NET_POOL_MAX)
						sums[at][k] += v[k];
					else if (!(v[k] <= sums[at][k])) /* NaN wins */
						sums[at][k] = v[k];
		}
	out += ((size_t)blockIdx.y * (unsigned)p.out.height + (unsigned)made) * (unsigned)p.out.width * p.pitch +
	       channel;
#pragma unroll
	for (int at = 0; at < STRIP; at++) {
		const struct span columns = span_of(p, 1, from + at);
		const float share = p.kind == EK_NET_POOL_MAX ? 1 : share_of(p, rows, columns);

		if (from + at >= p.out.width)
			return;
#pragma unroll
		for (int k = 0; k < V; k++)
			sums[at][k] *= share;
		store<V>(out + (unsigned)(from + at) * (size_t)p.pitch, sums[at], 0);
	}
}

static int has_strips(const struct pool &p)
{
	return p.kernel[0] == SIDE && p.kernel[1] == SIDE && p.stride[0] == 1 && p.stride[1] == 1;
}

static int forward_pool(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct pool p = pool_of(s->net, op);
	const size_t count = ek_net_elements(s->net, op->outputs[0]);

	by_type(ek_net_in_type(s->net, op, 0), (size_t)p.in.channels, [&](auto zero, auto width) {
		typedef decltype(zero) T;
		constexpr int V = decltype(width)::value;
		const size_t strips = (size_t)p.out.height * (unsigned)((p.out.width + STRIP - 1) / STRIP) *
		                      (unsigned)(p.in.channels / V);

		if (has_strips(p))
			EK_LAUNCH((pool_strips<T, V>), blocks_for(strips, s->net->batch), EK_THREADS, 0,
			          (T *)ek_net_out(s, op, 0), (const T *)ek_net_in(s, op, 0), p, (unsigned)strips);
		else
			EK_LAUNCH((pool_windows<T, V>), blocks_for(count / V, s->net->batch), EK_THREADS, 0,
			          (T *)ek_net_out(s, op, 0), (const T *)ek_net_in(s, op, 0), p, (unsigned)(count / V));
	});
	return ek_cuda_launched("pooling");
}

/* Is this pixel the first of the largest of its window? */
template <typename T>
__device__ static bool is_largest(const T *x, const struct pool &p, struct span rows, struct span columns, int pixel)
{
	int largest = -1;

	for (int row = rows.first; row < rows.end; row++)
		for (int column = columns.first; column < columns.end; column++) {
			const int place = row * p.in.width + column;

			if (largest < 0 ||
			    widened(x[place * (size_t)p.in.channels]) > widened(x[largest * (size_t)p.in.channels]))
				largest = place;
		}
	return largest == pixel;
}

/* The gradient of one number of the input, from all windows that hold it. */
template <typename T>
__global__ void __launch_bounds__(EK_THREADS)
	pool_gradient(T *dx, const T *x, const T *dy, struct pool p, unsigned count, int add)
{
	const unsigned n = (unsigned)p.in.channels;
	float sum = 0;

	EK_PLACE(i, count);
	const int pixel = (int)(i / n);
	const struct span down = windows_of(p, 0, pixel / p.in.width), along = windows_of(p, 1, pixel % p.in.width);

	x += (size_t)blockIdx.y * count + i % n;
	dy += (size_t)blockIdx.y * (unsigned)p.out.height * (unsigned)p.out.width * n + i % n;
	for (int row = down.first; row < down.end; row++)
		for (int column = along.first; column < along.end; column++) {
			const struct span rows = span_of(p, 0, row), columns = span_of(p, 1, column);
			const float d = widened(dy[(unsigned)(row * p.out.width + column) * (size_t)n]);

			if (p.kind != EK_NET_POOL_MAX)
				sum += share_of(p, rows, columns) * d;
			else if (is_largest(x, p, rows, columns, pixel))
				sum += d;
		}
	store<1>(dx + (size_t)blockIdx.y * count + i, &sum, add);
}

static int backward_pool(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct pool p = pool_of(s->net, op);
	const size_t count = ek_net_elements(s->net, op->inputs[0]);

	by_type(ek_net_in_type(s->net, op, 0), 1, [&](auto zero, auto) {
		typedef decltype(zero) T;

		EK_LAUNCH(pool_gradient<T>, blocks_for(count, s->net->batch), EK_THREADS, 0,
		          (T *)ek_net_grad_in(s, op, 0), (const T *)ek_net_in(s, op, 0),
		          (const T *)ek_net_grad_out(s, op, 0), p, (unsigned)count, op->adds[0]);
	});
	return ek_cuda_launched("pooling");
}

const struct ek_net_code ek_net_cuda_pool = { NULL, NULL, forward_pool, backward_pool, 0, NULL };

/* Eight threads have V channels: each adds every eighth row, and the first adds up the eight. */
enum { LINES = 8, LINE = EK_THREADS / LINES };

template <typename T, int V>
__global__ void __launch_bounds__(EK_THREADS) average_rows(float *out, const T *x, unsigned rows, unsigned n)
{
	__shared__ float sums[LINES][LINE * V + 1];
	const unsigned line = threadIdx.x / LINE, at = threadIdx.x % LINE, channel = (blockIdx.x * LINE + at) * V;
	float sum[V] = { 0 }, v[V];

	x += (size_t)blockIdx.y * rows * n + channel;
	for (unsigned row = line; row < rows && channel < n; row += LINES) {
		load<V>(v, x + row * (size_t)n);
#pragma unroll
		for (int k = 0; k < V; k++)
			sum[k] += v[k];
	}
#pragma unroll
	for (int k = 0; k < V; k++)
		sums[line][at * V + k] = sum[k];
	__syncthreads();
	for (unsigned i = threadIdx.x; i < LINE * V; i += EK_THREADS) {
		const unsigned to = blockIdx.x * LINE * V + i;
		float all = 0;

		for (int k = 0; k < LINES; k++)
			all += sums[k][i];
		if (to < n)
			out[(size_t)blockIdx.y * n + to] = all * (1 / (float)rows);
	}
}

static int forward_average(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]);
	const size_t rows = ek_net_elements(s->net, op->inputs[0]) / n;

	by_type(ek_net_in_type(s->net, op, 0), n, [&](auto zero, auto width) {
		typedef decltype(zero) T;
		constexpr int V = decltype(width)::value;
		const size_t each = LINE * V;

		EK_LAUNCH((average_rows<T, V>), dim3((unsigned)((n + each - 1) / each), (unsigned)s->net->batch),
		          EK_THREADS, 0, (float *)ek_net_out(s, op, 0), (const T *)ek_net_in(s, op, 0), (unsigned)rows,
		          (unsigned)n);
	});
	return ek_cuda_launched("the mean over pixels");
}

template <typename T, int V>
__global__ void __launch_bounds__(EK_THREADS)
	average_gradient(T *dx, const float *dy, float share, unsigned n, unsigned count, int add)
{
	float v[V];

	EK_PLACE(i, count);
	load<V>(v, dy + (size_t)blockIdx.y * n + i % (n / V) * V);
#pragma unroll
	for (int k = 0; k < V; k++)
		v[k] *= share;
	store<V>(dx + (size_t)blockIdx.y * (count * V) + i * (size_t)V, v, add);
}

static int backward_average(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]), count = ek_net_elements(s->net, op->inputs[0]);

	by_type(ek_net_in_type(s->net, op, 0), n, [&](auto zero, auto width) {
		typedef decltype(zero) T;
		constexpr int V = decltype(width)::value;

		EK_LAUNCH((average_gradient<T, V>), blocks_for(count / V, s->net->batch), EK_THREADS, 0,
		          (T *)ek_net_grad_in(s, op, 0), (const float *)ek_net_grad_out(s, op, 0),
		          1 / (float)(count / n), (unsigned)n, (unsigned)(count / V), op->adds[0]);
	});
	return ek_cuda_launched("the mean over pixels");
}

const struct ek_net_code ek_net_cuda_average = { NULL, NULL, forward_average, backward_average, 0, NULL };
