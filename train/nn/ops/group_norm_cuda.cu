/*
 * Group norm on the GPU; as in norm_cpu.c. Saved, per image: factor [channels] and centre [channels], so that normal =
 * (x - centre) · factor.
 *
 * Images are cut into chunks of rows, a block each. A thread has the same V channels in every row that it sees; the
 * threads of a block stand in `lines` rows of `lanes`. What they find out about each channel goes to scratch, a chunk
 * at a time, and is put together for each image and group.
 */
#include "train/nn/ops/images_cuda.h"
#include "train/nn/ops/wide_cuda.h"

/* Rows of which a thread loads one and two numbers at once; blocks that fill a GPU several times; blocks beside each
 * other. */
enum { BATCH = 4, FEW = 3, BLOCKS = 1056, BESIDE = 3, FEWER = 2 };

struct cut {
	unsigned rows, n, groups;                    /* rows and channels of an image */
	unsigned lanes, lines, slices, chunks, each; /* each: rows of a chunk, but of the last */
};

static struct cut cut_of(const struct ek_net *net, const struct ek_net_op *op)
{
	const unsigned n = (unsigned)ek_net_channel_count(net, op->inputs[0]);
	const unsigned rows = (unsigned)(ek_net_rows(net, op->inputs[0]) / (size_t)net->batch);
	const unsigned wide = ek_net_in_type(net, op, 0) == EK_NN_FLOAT32 ? 4 : 8,
		       vectors = n % wide == 0 ? n / wide : n;
	struct cut c = { rows, n, (unsigned)op->of.group_norm.groups, vectors, 0, 0, 0, 0 };
	unsigned wanted;

	if (c.lanes > EK_THREADS)
		c.lanes = EK_THREADS;
	c.lines = EK_THREADS / c.lanes;
	c.slices = (vectors + c.lanes - 1) / c.lanes;
	wanted = BLOCKS / ((unsigned)net->batch * c.slices) + 1;
	c.each = (rows + wanted - 1) / wanted;
	c.each = (c.each + c.lines * BATCH - 1) / (c.lines * BATCH) * (c.lines * BATCH);
	c.chunks = (rows + c.each - 1) / c.each;
	return c;
}

/* Floats of what chunks found: two numbers of each channel; then, in backward, the same of each image, twice. */
static size_t found_count(const struct ek_net *net, const struct cut *c)
{
	return (size_t)net->batch * c->chunks * 2 * c->n;
}

/* The gradient of the bias of a convolution whose result nothing else takes: the sums of that of the input. */
static void take_bias(struct ek_net *net, struct ek_net_op *op)
{
	const int maker = net->values[op->inputs[0]].maker;
	struct ek_net_op *before = maker >= 0 ? &net->ops[maker] : NULL;

	if (before == NULL || before->kind != EK_NET_CONV || before->parameters[1] < 0 || !before->backward ||
	    !ek_net_learns(before, 1) || ek_cuda_uses_of(net, op->inputs[0]) != 1 || !op->backward || !op->wants[0] ||
	    op->adds[0])
		return;
	before->bias_apart = 1;
	op->bias_of = maker + 1;
}

static int prepare_group_norm(struct ek_net *net, struct ek_net_op *op)
{
	const struct cut c = cut_of(net, op);
	const size_t images = 2 * (size_t)net->batch * c.n;

	take_bias(net, op);
	op->saved = images * sizeof(float);
	op->scratch = (found_count(net, &c) + 2 * images) * sizeof(float);
	return 0;
}

/* Where a thread stands: its first channel, and the rows first, first + lines, … below end of image blockIdx.y. */
struct stand {
	unsigned channel, first, end, line;
	int idle;
};

template <int V> static __device__ inline struct stand stand_of(const struct cut &c)
{
	const unsigned line = threadIdx.x / c.lanes, vector = blockIdx.z * c.lanes + threadIdx.x % c.lanes;
	const unsigned first = blockIdx.x * c.each, end = min(first + c.each, c.rows);

	return { vector * V, first + line, end, line, line >= c.lines || vector * V >= c.n };
}

static __device__ inline size_t number_at(const struct cut &c, unsigned row, unsigned channel)
{
	return ((size_t)blockIdx.y * c.rows + row) * c.n + channel;
}

/* The mean of numbers, and the sum of squares of their distances from it; joined as Chan et al. (1979). */
struct spread {
	float count, mean, squares;
};

static __device__ inline void join(struct spread *a, struct spread b)
{
	const float count = a->count + b.count, off = b.mean - a->mean;

	if (b.count == 0)
		return;
	a->mean += off * (b.count / count);
	a->squares += b.squares + off * off * (a->count * b.count / count);
	a->count = count;
}

/* f(i, row) for MANY rows at a time, after load(i, row) of all of these. */
template <unsigned MANY, typename Load, typename F>
static __device__ inline void each_row(const struct stand &at, const struct cut &c, Load load, F f)
{
	for (unsigned row = at.first; row < at.end; row += c.lines * MANY) {
#pragma unroll
		for (unsigned i = 0; i < MANY; i++)
			if (row + i * c.lines < at.end)
				load(i, row + i * c.lines);
#pragma unroll
		for (unsigned i = 0; i < MANY; i++)
			if (row + i * c.lines < at.end)
				f(i, row + i * c.lines);
	}
}

/* found [images, chunks, 2, channels]: mean and squares. A thread adds up distances from the first number that it sees.
 */
template <typename T, int V>
static __global__ void __launch_bounds__(EK_THREADS, BESIDE) measure(float *found, const T *x, struct cut c)
{
	__shared__ float means[EK_THREADS * V], squares[EK_THREADS * V];
	const struct stand at = stand_of<V>(c);
	struct spread all[V] = {};

	if (!at.idle && at.first < at.end) {
		const float count = (float)((at.end - at.first + c.lines - 1) / c.lines);
		float start[V], sum[V] = {}, square[V] = {};
		pack<T, V> raw[BATCH];

		load<V>(start, x + number_at(c, at.first, at.channel));
		each_row<BATCH>(
			at, c,
			[&](unsigned i, unsigned row) {
				raw[i] = *(const pack<T, V> *)(x + number_at(c, row, at.channel));
			},
			[&](unsigned i, unsigned) {
#pragma unroll
				for (int j = 0; j < V; j++) {
					const float off = widened(raw[i].x[j]) - start[j];

					sum[j] += off;
					square[j] += off * off;
				}
			});
#pragma unroll
		for (int j = 0; j < V; j++)
			all[j] = { count, start[j] + sum[j] / count, square[j] - sum[j] * (sum[j] / count) };
	}
#pragma unroll
	for (int j = 0; j < V; j++) {
		means[threadIdx.x * V + j] = all[j].mean;
		squares[threadIdx.x * V + j] = all[j].squares;
	}
	__syncthreads();
	for (unsigned i = threadIdx.x; i < c.lanes * V; i += EK_THREADS) {
		const unsigned channel = blockIdx.z * c.lanes * V + i, rows = min(c.each, c.rows - blockIdx.x * c.each);
		float *to = found + ((size_t)blockIdx.y * c.chunks + blockIdx.x) * 2 * c.n + channel;
		struct spread total = {};

		if (channel >= c.n)
			continue;
		for (unsigned line = 0; line < c.lines && line < rows; line++) {
			const unsigned k = line * c.lanes * V + i;

			join(&total, { (float)((rows - line + c.lines - 1) / c.lines), means[k], squares[k] });
		}
		to[0] = total.mean;
		to[c.n] = total.squares;
	}
}

/* A block for group blockIdx.x of image blockIdx.y: saved [images, 2, channels]. */
static __global__ void __launch_bounds__(EK_THREADS)
	put_together(float *saved, const float *found, struct cut c, float epsilon)
{
	__shared__ double room[32];
	const unsigned width = c.n / c.groups, count = c.chunks * width;
	double sum = 0, squares = 0, mean;
	float factor;

	found += (size_t)blockIdx.y * c.chunks * 2 * c.n + blockIdx.x * width;
	saved += (size_t)blockIdx.y * 2 * c.n + blockIdx.x * width;
	for (unsigned i = threadIdx.x; i < count; i += EK_THREADS)
		sum += (double)min(c.each, c.rows - i / width * c.each) *
		       (double)found[(size_t)(i / width) * 2 * c.n + i % width];
	mean = ek_block_sum(sum, room) / ((double)c.rows * width);
	for (unsigned i = threadIdx.x; i < count; i += EK_THREADS) {
		const float *of = found + (size_t)(i / width) * 2 * c.n + i % width;
		const double off = (double)of[0] - mean;

		squares += (double)of[c.n] + off * off * (double)min(c.each, c.rows - i / width * c.each);
	}
	squares = ek_block_sum(squares, room) / ((double)c.rows * width);
	factor = (float)(1 / sqrt(squares + (double)epsilon));
	for (unsigned j = threadIdx.x; j < width; j += EK_THREADS) {
		saved[j] = factor;
		saved[c.n + j] = (float)mean;
	}
}

/* weight · normal + bias = scale · x + shift, of a thread's channels in image blockIdx.y. */
template <int V>
static __device__ inline void affine_of(float *scale, float *shift, const float *saved, const float *weight,
                                        const float *bias, const struct cut &c, unsigned channel)
{
	saved += (size_t)blockIdx.y * 2 * c.n + channel;
#pragma unroll
	for (int j = 0; j < V; j++) {
		scale[j] = saved[j] * weight[channel + j];
		shift[j] = bias[channel + j] - saved[c.n + j] * scale[j];
	}
}

/* SiLU and its derivative, to 2^-20: of what is rounded to bfloat16. */
static __device__ inline float quick_sigmoid(float x)
{
	return __fdividef(1, 1 + ek_power_of_2(-1.4426950F * x));
}

template <bool QUICK> static __device__ inline float softened(float x, enum ek_nn_activation activation)
{
	return QUICK ? x * quick_sigmoid(x) : activated(x, activation, 0);
}

template <bool QUICK> static __device__ inline float slope(float x, enum ek_nn_activation activation)
{
	const float s = QUICK ? quick_sigmoid(x) : 0;

	return QUICK ? s * (1 + x * (1 - s)) : derivative(x, activation, 0);
}

template <typename T, typename To, int V, bool QUICK>
static __global__ void __launch_bounds__(EK_THREADS, BESIDE)
	normalise(To *y, const T *x, const float *saved, const float *weight, const float *bias, struct cut c,
                  enum ek_nn_activation activation)
{
	const struct stand at = stand_of<V>(c);
	float scale[V], shift[V];
	pack<T, V> raw[BATCH];

	if (at.idle)
		return;
	affine_of<V>(scale, shift, saved, weight, bias, c, at.channel);
	each_row<BATCH>(
		at, c,
		[&](unsigned i, unsigned row) { raw[i] = *(const pack<T, V> *)(x + number_at(c, row, at.channel)); },
		[&](unsigned i, unsigned row) {
			float v[V];

#pragma unroll
			for (int j = 0; j < V; j++)
				v[j] = softened<QUICK>(widened(raw[i].x[j]) * scale[j] + shift[j], activation);
			store<V>(y + number_at(c, row, at.channel), v, 0);
		});
}

/* Calls f with numbers of both types, V, and whether the activation is SiLU in bfloat16. */
template <typename F> static void by_types(const struct ek_net *net, const struct ek_net_op *op, F f)
{
	by_type(ek_net_in_type(net, op, 0), ek_net_channel_count(net, op->inputs[0]), [&](auto zero, auto width) {
		if (ek_net_out_type(net, op, 0) != EK_NN_BFLOAT16)
			f(zero, float(), width, std::false_type());
		else if (op->of.group_norm.activation == EK_NN_SILU)
			f(zero, bf16(), width, std::true_type());
		else
			f(zero, bf16(), width, std::false_type());
	});
}

static int forward_group_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct cut c = cut_of(s->net, op);
	const dim3 blocks(c.chunks, (unsigned)s->net->batch, c.slices);
	float *saved = (float *)ek_net_saved(s, op), *found = (float *)(void *)s->scratch;

	by_types(s->net, op, [&](auto zero, auto zero_to, auto width, auto quick) {
		typedef decltype(zero) T;
		typedef decltype(zero_to) To;
		constexpr int V = decltype(width)::value;
		constexpr bool QUICK = decltype(quick)::value;

		EK_LAUNCH((measure<T, V>), blocks, EK_THREADS, 0, found, (const T *)ek_net_in(s, op, 0), c);
		EK_LAUNCH(put_together, dim3(c.groups, (unsigned)s->net->batch), EK_THREADS, 0, saved, found, c,
		          op->of.group_norm.epsilon);
		EK_LAUNCH((normalise<T, To, V, QUICK>), blocks, EK_THREADS, 0, (To *)ek_net_out(s, op, 0),
		          (const T *)ek_net_in(s, op, 0), saved, ek_net_parameter(s, op, 0), ek_net_parameter(s, op, 1),
		          c, op->of.group_norm.activation);
	});
	return ek_cuda_launched("group norm");
}

/* d [V]: the gradient at weight · normal + bias, before the activation; v [V]: what was normalised */
template <bool QUICK, int V, typename T, typename To>
static __device__ inline void before_activation(float *d, float *v, const pack<To, V> &dy, const pack<T, V> &x,
                                                const float *scale, const float *shift,
                                                enum ek_nn_activation activation)
{
#pragma unroll
	for (int j = 0; j < V; j++) {
		d[j] = widened(dy.x[j]);
		v[j] = widened(x.x[j]);
		if (QUICK || activation != EK_NN_LINEAR)
			d[j] *= slope<QUICK>(v[j] * scale[j] + shift[j], activation);
	}
}

/* found [images, chunks, 2, channels]: sums of d, and of d · normal. */
template <typename T, typename To, int V, bool QUICK>
static __global__ void __launch_bounds__(EK_THREADS, FEWER)
	add_up(float *found, const To *dy, const T *x, const float *saved, const float *weight, const float *bias,
               struct cut c, enum ek_nn_activation activation)
{
	__shared__ float sums[EK_THREADS * V], products[EK_THREADS * V];
	const struct stand at = stand_of<V>(c);
	float sum[V] = { 0 }, product[V] = { 0 };

	if (!at.idle) {
		const float *of = saved + (size_t)blockIdx.y * 2 * c.n + at.channel;
		float scale[V], shift[V], centre[V];
		pack<To, V> given[FEW];
		pack<T, V> raw[FEW];

		affine_of<V>(scale, shift, saved, weight, bias, c, at.channel);
		load<V>(centre, of + c.n);
		each_row<FEW>(
			at, c,
			[&](unsigned i, unsigned row) {
				given[i] = *(const pack<To, V> *)(dy + number_at(c, row, at.channel));
				raw[i] = *(const pack<T, V> *)(x + number_at(c, row, at.channel));
			},
			[&](unsigned i, unsigned) {
				float d[V], v[V];

				before_activation<QUICK, V>(d, v, given[i], raw[i], scale, shift, activation);
#pragma unroll
				for (int j = 0; j < V; j++) {
					sum[j] += d[j];
					product[j] += d[j] * (v[j] - centre[j]);
				}
			});
#pragma unroll
		for (int j = 0; j < V; j++)
			product[j] *= of[j];
	}
#pragma unroll
	for (int j = 0; j < V; j++) {
		sums[threadIdx.x * V + j] = sum[j];
		products[threadIdx.x * V + j] = product[j];
	}
	__syncthreads();
	for (unsigned i = threadIdx.x; i < c.lanes * V; i += EK_THREADS) {
		const unsigned channel = blockIdx.z * c.lanes * V + i;
		float *to = found + ((size_t)blockIdx.y * c.chunks + blockIdx.x) * 2 * c.n + channel, total[2] = { 0 };

		if (channel >= c.n)
			continue;
		for (unsigned line = 0; line < c.lines; line++) {
			total[0] += sums[line * c.lanes * V + i];
			total[1] += products[line * c.lanes * V + i];
		}
		to[0] = total[0];
		to[c.n] = total[1];
	}
}

/*
 * A block for a group of an image: sums of its channels over chunks, totals [images, 2, channels], and with those over
 * the group what dx = scale · d + a · x + b is made of: ends [images, 2, channels], a and b.
 */
static __global__ void __launch_bounds__(EK_THREADS)
	make_ends(float *ends, float *totals, const float *found, const float *saved, const float *weight, struct cut c)
{
	__shared__ double room[32];
	__shared__ float parts[2][EK_THREADS];
	const unsigned width = c.n / c.groups, first = blockIdx.x * width;
	const unsigned lanes = min(width, (unsigned)EK_THREADS), lines = EK_THREADS / lanes, line = threadIdx.x / lanes;
	const double count = (double)c.rows * width;
	double sum = 0, product = 0;

	found += (size_t)blockIdx.y * c.chunks * 2 * c.n + first;
	totals += (size_t)blockIdx.y * 2 * c.n + first;
	ends += (size_t)blockIdx.y * 2 * c.n + first;
	saved += (size_t)blockIdx.y * 2 * c.n + first;
	for (unsigned start = 0; start < width; start += lanes) {
		const unsigned j = start + threadIdx.x % lanes;
		float total[2] = {};

		for (unsigned i = line; i < c.chunks && line < lines && j < width; i += lines) {
			total[0] += found[(size_t)i * 2 * c.n + j];
			total[1] += found[(size_t)i * 2 * c.n + c.n + j];
		}
		__syncthreads();
		parts[0][threadIdx.x] = total[0];
		parts[1][threadIdx.x] = total[1];
		__syncthreads();
		if (line > 0 || j >= width)
			continue;
		for (unsigned i = 1; i < lines; i++) {
			total[0] += parts[0][i * lanes + threadIdx.x];
			total[1] += parts[1][i * lanes + threadIdx.x];
		}
		totals[j] = total[0];
		totals[c.n + j] = total[1];
		sum += (double)(total[0] * weight[first + j]);
		product += (double)(total[1] * weight[first + j]);
	}
	sum = ek_block_sum(sum, room) / count;
	product = ek_block_sum(product, room) / count;
	for (unsigned j = threadIdx.x; j < width; j += EK_THREADS) {
		const float a = -saved[j] * saved[j] * (float)product;

		ends[j] = a;
		ends[c.n + j] = -saved[j] * (float)sum - a * saved[c.n + j];
	}
}

/* dw, db [n] += those of the images, in order; NULL: not wanted. */
static __global__ void add_images(float *dw, float *db, const float *totals, unsigned images, unsigned n)
{
	EK_CUDA_EACH(j, n)
	{
		float sum[2] = { 0 };

		for (unsigned i = 0; i < images; i++) {
			sum[0] += totals[(size_t)i * 2 * n + j];
			sum[1] += totals[(size_t)i * 2 * n + n + j];
		}
		if (db != NULL)
			db[j] += sum[0];
		if (dw != NULL)
			dw[j] += sum[1];
	}
}

/* sums: NULL, or [images, chunks, channels] of what is written. */
template <typename T, typename To, int V, bool QUICK>
static __global__ void __launch_bounds__(EK_THREADS, FEWER)
	to_input(T *dx, float *sums, const To *dy, const T *x, const float *saved, const float *ends,
                 const float *weight, const float *bias, struct cut c, enum ek_nn_activation activation, int add)
{
	__shared__ float shared[EK_THREADS * V];
	const struct stand at = stand_of<V>(c);
	float scale[V], shift[V], a[V], b[V], sum[V] = {};
	pack<To, V> given[FEW];
	pack<T, V> raw[FEW];

	if (!at.idle) {
		affine_of<V>(scale, shift, saved, weight, bias, c, at.channel);
		load<V>(a, ends + (size_t)blockIdx.y * 2 * c.n + at.channel);
		load<V>(b, ends + (size_t)blockIdx.y * 2 * c.n + c.n + at.channel);
		each_row<FEW>(
			at, c,
			[&](unsigned i, unsigned row) {
				given[i] = *(const pack<To, V> *)(dy + number_at(c, row, at.channel));
				raw[i] = *(const pack<T, V> *)(x + number_at(c, row, at.channel));
			},
			[&](unsigned i, unsigned row) {
				float d[V], v[V];

				before_activation<QUICK, V>(d, v, given[i], raw[i], scale, shift, activation);
#pragma unroll
				for (int j = 0; j < V; j++) {
					v[j] = scale[j] * d[j] + (a[j] * v[j] + b[j]);
					sum[j] += v[j];
				}
				store<V>(dx + number_at(c, row, at.channel), v, add);
			});
	}
	if (sums == NULL)
		return;
#pragma unroll
	for (int j = 0; j < V; j++)
		shared[threadIdx.x * V + j] = sum[j];
	__syncthreads();
	for (unsigned i = threadIdx.x; i < c.lanes * V; i += EK_THREADS) {
		const unsigned channel = blockIdx.z * c.lanes * V + i;
		float total = 0;

		for (unsigned line = 0; line < c.lines; line++)
			total += shared[line * c.lanes * V + i];
		if (channel < c.n)
			sums[((size_t)blockIdx.y * c.chunks + blockIdx.x) * c.n + channel] = total;
	}
}

/* What backward needs to know: totals and ends. */
struct knowledge {
	float *totals, *ends;
};

static struct knowledge find_sums(const struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct cut c = cut_of(s->net, op);
	const unsigned images = (unsigned)s->net->batch;
	const float *saved = (const float *)ek_net_saved(s, op), *weight = ek_net_parameter(s, op, 0);
	float *found = (float *)(void *)s->scratch, *totals = found + found_count(s->net, &c);
	float *ends = totals + 2 * (size_t)images * c.n;

	by_types(s->net, op, [&](auto zero, auto zero_to, auto width, auto quick) {
		typedef decltype(zero) T;
		typedef decltype(zero_to) To;
		constexpr int V = decltype(width)::value;
		constexpr bool QUICK = decltype(quick)::value;

		EK_LAUNCH((add_up<T, To, V, QUICK>), dim3(c.chunks, images, c.slices), EK_THREADS, 0, found,
		          (const To *)ek_net_grad_out(s, op, 0), (const T *)ek_net_in(s, op, 0), saved, weight,
		          ek_net_parameter(s, op, 1), c, op->of.group_norm.activation);
	});
	EK_LAUNCH(make_ends, dim3(c.groups, images), EK_THREADS, 0, ends, totals, found, saved, weight, c);
	return { totals, ends };
}

static int backward_group_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct cut c = cut_of(s->net, op);
	const unsigned images = (unsigned)s->net->batch;
	const struct knowledge k = find_sums(s, op);
	float *dw = ek_net_parameter_gradient(s, op, 0), *db = ek_net_parameter_gradient(s, op, 1);
	float *of = ek_cuda_bias_of(s, op),
	      *sums = of != NULL ? (float *)(void *)s->scratch : NULL; /* what was found is not needed any more */
	int rc = 0;

	if (dw != NULL || db != NULL)
		EK_LAUNCH(add_images, ek_cuda_blocks(c.n), EK_CUDA_BLOCK, 0, dw, db, k.totals, images, c.n);
	by_types(s->net, op, [&](auto zero, auto zero_to, auto width, auto quick) {
		typedef decltype(zero) T;
		typedef decltype(zero_to) To;
		constexpr int V = decltype(width)::value;
		constexpr bool QUICK = decltype(quick)::value;

		if (op->wants[0])
			EK_LAUNCH((to_input<T, To, V, QUICK>), dim3(c.chunks, images, c.slices), EK_THREADS, 0,
			          (T *)ek_net_grad_in(s, op, 0), sums, (const To *)ek_net_grad_out(s, op, 0),
			          (const T *)ek_net_in(s, op, 0), (const float *)ek_net_saved(s, op), k.ends,
			          ek_net_parameter(s, op, 0), ek_net_parameter(s, op, 1), c,
			          op->of.group_norm.activation, op->adds[0]);
	});
	if (of != NULL)
		EK_TRY(ek_cuda_add_parts(of, sums, (size_t)images * c.chunks, c.n));
	EK_TRY(ek_cuda_launched("group norm's gradient"));
out:
	return rc;
}

static int images_group_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]);
	const float *totals = find_sums(s, op).totals;
	int rc;

	EK_TRY(ek_cuda_launched("group norm's gradient"));
	for (int i = 0; i < 2; i++)
		EK_TRY(ek_cuda_image_sums(s, op, i, ek_image_rows{ ek_cuda_floats(totals), i == 0 ? n : 0, 2 * n },
		                          s->together, n));
out:
	return rc;
}

const struct ek_net_code ek_net_cuda_group_norm = { prepare_group_norm,  NULL, forward_group_norm,
	                                            backward_group_norm, 1,    images_group_norm };
