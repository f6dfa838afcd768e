/* Layers about tokens: positions, embeddings, times. */
#include "train/nn/ops/images_cuda.h"

/* y = x + parameter, the same for each image. */
static __global__ void add_positions(ek_cuda_view y, ek_cuda_view x, const float *table, size_t image, size_t count)
{
	EK_CUDA_EACH(i, count)
	ek_put(y, i, ek_get(x, i) + table[i % image]);
}

/* The same by eights. */
static __global__ void add_positions_8(ek_cuda_view y, ek_cuda_view x, const float *table, size_t image, size_t count)
{
	const ek_cuda_view from = { const_cast<float *>(table), 0, 0 };

	EK_CUDA_EACH(k, count / 8)
	{
		float a[8], b[8];

		ek_get8(a, x, 8 * k);
		ek_get8(b, from, 8 * k % image);
		for (int j = 0; j < 8; j++)
			a[j] += b[j];
		ek_put8(y, 8 * k, a);
	}
}

static int forward_positions(ek_net_state *s, const ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->inputs[0]), image = ek_net_elements(s->net, op->inputs[0]);
	const float *table = ek_net_parameter(s, op, 0);
	const ek_cuda_view x = ek_cuda_input(s, op, 0);

	if (ek_cuda_by_eights(x, image) && (uintptr_t)table % 16 == 0) {
		add_positions_8<<<ek_cuda_blocks(count, 8), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
			ek_cuda_output(s, op, 0), x, table, image, count);
		return ek_cuda_launched("positions");
	}
	add_positions<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(ek_cuda_output(s, op, 0), x, table,
	                                                                             image, count);
	return ek_cuda_launched("positions");
}

static int prepare_positions(ek_net *net, ek_net_op *op)
{
	op->scratch = ek_cuda_add_rows_scratch((size_t)net->batch, ek_net_elements(net, op->inputs[0]));
	return 0;
}

static int backward_positions(ek_net_state *s, const ek_net_op *op)
{
	float *table = ek_net_parameter_gradient(s, op, 0);
	int rc = 0;

	if (table != NULL)
		EK_TRY(ek_cuda_add_rows(table, ek_cuda_grad_output(s, op, 0), (size_t)s->net->batch,
		                        ek_net_elements(s->net, op->inputs[0]), s->scratch));
	if (op->wants[0] && !op->aliased[0])
		EK_TRY(ek_cuda_copy(ek_cuda_grad_input(s, op, 0), ek_cuda_grad_output(s, op, 0),
		                    ek_cuda_numbers(s->net, op->inputs[0])));
out:
	return rc;
}

static int images_positions(ek_net_state *s, const ek_net_op *op)
{
	const size_t image = ek_net_elements(s->net, op->inputs[0]);
	const ek_image_rows rows = { ek_cuda_grad_output(s, op, 0), 0, image };

	return ek_cuda_image_sums(s, op, 0, rows, s->together, image);
}

const struct ek_net_code ek_net_cuda_positions = { prepare_positions,  NULL, forward_positions,
	                                           backward_positions, 1,    images_positions };

static __global__ void embed(float *y, const int32_t *ids, const float *table, size_t n, size_t count)
{
	EK_CUDA_EACH(i, count)
	y[i] = table[(size_t)ids[i / n] * n + i % n];
}

/* A block for each image: the first of an id adds up all of them, in order. */
static __global__ void embed_backward(float *table, const int32_t *ids, const float *dy, size_t n, int batch)
{
	const int first = blockIdx.x, id = ids[first];

	for (int b = 0; b < first; b++)
		if (ids[b] == id)
			return;
	for (size_t j = threadIdx.x; j < n; j += blockDim.x) {
		float sum = table[(size_t)id * n + j];

		for (int b = first; b < batch; b++)
			if (ids[b] == id)
				sum += dy[(size_t)b * n + j];
		table[(size_t)id * n + j] = sum;
	}
}

static int forward_embedding(ek_net_state *s, const ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->outputs[0]);

	embed<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		(float *)ek_net_out(s, op, 0), (const int32_t *)ek_net_in(s, op, 0), ek_net_parameter(s, op, 0),
		ek_net_channel_count(s->net, op->outputs[0]), count);
	return ek_cuda_launched("embedding");
}

static int backward_embedding(ek_net_state *s, const ek_net_op *op)
{
	float *table = ek_net_parameter_gradient(s, op, 0);

	if (table == NULL)
		return 0;
	embed_backward<<<(unsigned)s->net->batch, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		table, (const int32_t *)ek_net_in(s, op, 0), (const float *)ek_net_grad_out(s, op, 0),
		ek_net_channel_count(s->net, op->outputs[0]), s->net->batch);
	return ek_cuda_launched("embedding's gradient");
}

/* A block for each image: of its draws the first of an id adds up all of them. */
static __global__ void __launch_bounds__(EK_IMAGE_BLOCK)
	add_ids(double *sums, const int32_t *ids, const float *dy, size_t n, int together, const float *direction)
{
	__shared__ double room[32];
	double square = 0, product = 0;

	ids += (size_t)blockIdx.x * together;
	dy += (size_t)blockIdx.x * together * n;
	for (int first = 0; first < together; first++) {
		int before = 0;

		while (ids[before] != ids[first])
			before++;
		for (size_t j = threadIdx.x; j < n && before == first; j += EK_IMAGE_BLOCK) {
			float sum = 0;

			for (int b = first; b < together; b++)
				if (ids[b] == ids[first])
					sum += dy[b * n + j];
			square += (double)sum * (double)sum;
			if (direction != NULL)
				product += (double)sum * (double)direction[(size_t)ids[first] * n + j];
		}
	}
	square = ek_block_sum(square, room);
	product = ek_block_sum(product, room);
	if (threadIdx.x > 0)
		return;
	sums[blockIdx.x] += square;
	sums[gridDim.x + blockIdx.x] += product;
}

static int images_embedding(ek_net_state *s, const ek_net_op *op)
{
	add_ids<<<(unsigned)s->images, EK_IMAGE_BLOCK, 0, ek_cuda_stream()>>>(
		s->image_sums, (const int32_t *)ek_net_in(s, op, 0), (const float *)ek_net_grad_out(s, op, 0),
		ek_net_channel_count(s->net, op->outputs[0]), (int)s->together, ek_net_direction(s, op, 0));
	return ek_cuda_launched("the gradients of images");
}

const struct ek_net_code ek_net_cuda_embedding = {
	NULL, NULL, forward_embedding, backward_embedding, 1, images_embedding
};

static __global__ void embed_times(float *y, const float *t, size_t half, float scale, size_t count)
{
	EK_CUDA_EACH(k, count)
	{
		const size_t b = k / half, i = k % half;
		const float rate = (float)exp(-log(10000.0) * (double)i / (double)half);
		const float angle = t[b] * scale * rate;

		y[2 * b * half + i] = cosf(angle);
		y[(2 * b + 1) * half + i] = sinf(angle);
	}
}

static int forward_times(ek_net_state *s, const ek_net_op *op)
{
	const size_t half = ek_net_channel_count(s->net, op->outputs[0]) / 2, count = (size_t)s->net->batch * half;

	embed_times<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		(float *)ek_net_out(s, op, 0), (const float *)ek_net_in(s, op, 0), half, op->of.affine.scale, count);
	return ek_cuda_launched("times");
}

const struct ek_net_code ek_net_cuda_times = { NULL, NULL, forward_times, NULL, 0, NULL };
