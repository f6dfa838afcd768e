/* EL2N, GraNd and MoSo of a small SiT against their definitions, with the loss and the gradient of every image and draw
 * worked out one by one in double. */
#include "tests/support/support.h"

#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "tests/train/nn/reference_net.h"
#include "train/flow/flow_task.h"
#include "train/score/moso.h"
#include "train/score/pass.h"

enum { IMAGES = 13, DRAWS = 4, SLICE = 8, SIDE = 4, CHANNELS = 3, ELEMENTS = SIDE * SIDE * CHANNELS };
static const struct ek_grid grid = { .draws = DRAWS, .seed = 9 };
static const int64_t ids[IMAGES] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

static int get(void *context, int worker, int64_t id, uint64_t position, float *sample, int32_t *label)
{
	for (int i = 0; i < ELEMENTS; i++)
		sample[i] = (float)((1 + (double)id / 5) *
		                    ek_random_normal(3, (uint64_t)id, (uint64_t)i)); /* some are harder */
	*label = (int32_t)(id % 3);
	return 0;
}

struct model {
	struct ek_flow_task *flow;
	struct ek_task task;
};

static void model_make(struct model *m, int slice, enum ek_flow_use use, enum ek_nn_precision precision)
{
	const struct ek_flow_source source = { .get = get };
	struct ek_flow_task_options o = { .model = { .depth = 2,
		                                     .width = 32,
		                                     .heads = 2,
		                                     .patch = 2,
		                                     .side = SIDE,
		                                     .channels = CHANNELS,
		                                     .classes = 3 },
		                          .precision = precision,
		                          .use = use,
		                          .slice = slice };

	assert_ok(ek_objective_init(&o.objective));
	assert_ok(ek_flow_task_new(&m->flow, &m->task, &o, &source));
}

/* Parameters of which none is 0, as a SiT's last layer is at first. */
static float *parameters(const struct ek_params *params)
{
	float *values;

	assert_ok(ek_alloc(&values, params->size, sizeof *values));
	ek_params_initialise(params, 1, values);
	for (size_t i = 0; i < params->size; i++)
		values[i] += 0.1F * (float)ek_random_normal(5, 0, i);
	return values;
}

/* What every image and draw comes to by itself. */
struct truth {
	size_t size;
	double loss[IMAGES][DRAWS], allowed[IMAGES][DRAWS];
	double *gradients[IMAGES][DRAWS]; /* [size] */
};

/* Inputs are made in the order data, keys, factors, time, label. */
static void work_out(struct truth *t, const struct model *one, const float *values, int image, int draw)
{
	const struct ek_task_net *n = one->task.nets;
	const struct ek_params *params = one->task.params;
	struct ek_net_state *s = n->runner.states[0];
	double loss;
	const struct ek_slice slice = {
		.position = (uint64_t)draw, .count = 1, .ids = ids + image, .losses = &loss, .grid = &grid
	};
	struct ref_net *r = ref_net_new(n->net, values);
	const float weight = 1;

	assert_int_equal(ek_net_shape(n->net, 3).channels, EK_OBJECTIVE_FACTORS);
	assert_ok(one->task.fill(one->task.context, 0, &slice, 1, s));
	ref_net_set(r->values[1], ek_net_stage(s, 1), ELEMENTS);
	r->keys = ek_net_stage(s, 2);
	ref_net_set(r->values[3], ek_net_stage(s, 3), EK_OBJECTIVE_FACTORS);
	ref_net_set(r->values[4], ek_net_stage(s, 4), 1);
	r->ids = ek_net_stage(s, 5);
	ref_net_forward(r);
	t->loss[image][draw] = r->values[n->loss]->v;
	t->allowed[image][draw] = ref_net_allowed(r->values[n->loss]);
	ref_net_set(r->gradients[n->learned], &weight, 1);
	ref_net_backward(r);
	assert_ok(ek_alloc(&t->gradients[image][draw], params->size, sizeof(double)));
	for (int p = 0; p < params->count; p++)
		for (size_t i = 0; !params->items[p].frozen && i < params->items[p].count; i++)
			t->gradients[image][draw][params->items[p].offset + i] =
				r->parameter_gradients[params->items[p].offset + i].v;
	ref_net_free(r);
}

static struct truth *truth_new(const float *values)
{
	struct model one;
	struct truth *t;

	assert_ok(ek_alloc(&t, 1, sizeof *t));
	model_make(&one, 1, EK_FLOW_LEARN, EK_NN_F32);
	t->size = one.task.params->size;
	for (int i = 0; i < IMAGES; i++)
		for (int d = 0; d < DRAWS; d++)
			work_out(t, &one, values, i, d);
	ek_flow_task_free(one.flow);
	return t;
}

static void truth_free(struct truth *t)
{
	for (int i = 0; i < IMAGES; i++)
		for (int d = 0; d < DRAWS; d++)
			free(t->gradients[i][d]);
	free(t);
}

static double product(const double *a, const double *b, size_t size)
{
	double sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += a[i] * b[i];
	return sum;
}

/* Spearman's rank correlation; there are no ties. */
static double rank_correlation(const double *a, const double *b)
{
	double squares = 0;

	for (int i = 0; i < IMAGES; i++) {
		int x = 0, y = 0;

		for (int j = 0; j < IMAGES; j++) {
			x += a[j] < a[i];
			y += b[j] < b[i];
		}
		squares += (x - y) * (x - y);
	}
	return 1 - 6 * squares / (IMAGES * ((double)IMAGES * IMAGES - 1));
}

static void el2n_is_the_mean_loss(void **unused)
{
	struct ek_score_sums sums[IMAGES], again[IMAGES];
	struct model m, judge;
	struct truth *t;
	float *values;

	model_make(&m, SLICE, EK_FLOW_LEARN, EK_NN_F32);
	model_make(&judge, SLICE - 1, EK_FLOW_JUDGE, EK_NN_F32);
	values = parameters(m.task.params);
	t = truth_new(values);
	assert_ok(ek_net_load(m.task.nets->net, values));
	assert_ok(ek_net_load(judge.task.nets->net, values));
	assert_ok(ek_score_images(&(struct ek_score_pass){ .task = &m.task, .grid = grid }, ids, IMAGES, sums));
	assert_ok(ek_score_images(&(struct ek_score_pass){ .task = &judge.task, .grid = grid }, ids, IMAGES, again));
	for (int i = 0; i < IMAGES; i++) {
		double first = 0, second = 0, allowed = 0;

		for (int d = 0; d < DRAWS; d++) {
			first += t->loss[i][d];
			second += t->loss[i][d] * t->loss[i][d];
			allowed += t->allowed[i][d];
		}
		assert_true(fabs(sums[i].first - first) <= allowed);
		/* A net for losses alone joins layers, and sums in another order. */
		assert_true(fabs(again[i].first - first) <= 2 * allowed);
		assert_close(sums[i].second / second, 1, 1e-4);
	}
	/* One by one, from the last to the first, they are the same. */
	for (int i = IMAGES - 1; i >= 0; i--) {
		assert_ok(ek_score_images(&(struct ek_score_pass){ .task = &m.task, .grid = grid }, ids + i, 1, again));
		assert_memory_equal(again, sums + i, sizeof *again);
	}
	truth_free(t);
	free(values);
	ek_flow_task_free(m.flow);
	ek_flow_task_free(judge.flow);
}

static void grand_is_the_mean_norm(void **unused)
{
	struct ek_score_sums sums[IMAGES], other[IMAGES];
	unsigned char *counts;
	struct model m;
	struct truth *t;
	float *values;

	model_make(&m, SLICE, EK_FLOW_IMAGES, EK_NN_F32);
	values = parameters(m.task.params);
	t = truth_new(values);
	assert_ok(ek_net_load(m.task.nets->net, values));
	assert_ok(ek_alloc(&counts, (size_t)m.task.params->count, 1));
	for (int p = 0; p < m.task.params->count; p++)
		counts[p] = strncmp(m.task.params->items[p].name, "final_layer.linear.", 19) == 0;
	for (int last = 0; last < 2; last++) {
		const struct ek_score_pass pass = {
			.task = &m.task, .grid = grid, .of = EK_SCORE_NORM, .counts = last ? counts : NULL
		};

		assert_ok(ek_score_images(&pass, ids, IMAGES, sums));
		for (int i = 0; i < IMAGES; i++) {
			double first = 0, second = 0;

			for (int d = 0; d < DRAWS; d++) {
				double square = 0;

				for (int p = 0; p < m.task.params->count; p++) {
					const double *g = t->gradients[i][d] + m.task.params->items[p].offset;

					if (!last || counts[p])
						square += product(g, g, m.task.params->items[p].count);
				}
				first += sqrt(square);
				second += square;
			}
			assert_close(sums[i].first / first, 1, 1e-4);
			assert_close(sums[i].second / second, 1, 1e-4);
		}
		ek_threads_set(1);
		assert_ok(ek_score_images(&pass, ids, IMAGES, other));
		ek_threads_set(0);
		assert_memory_equal(sums, other, sizeof sums);
	}
	free(counts);
	truth_free(t);
	free(values);
	ek_flow_task_free(m.flow);
}

/* With gbar and g of the truth; returns |gbar|^2. */
static double moso_by_definition(const struct truth *t, double *shorter, double *full, double rate)
{
	const double n = IMAGES;
	double *mean, *g, mean_square;

	assert_ok(ek_alloc(&mean, t->size, sizeof *mean));
	assert_ok(ek_alloc(&g, t->size, sizeof *g));
	for (int i = 0; i < IMAGES; i++)
		for (int d = 0; d < DRAWS; d++)
			for (size_t k = 0; k < t->size; k++)
				mean[k] += t->gradients[i][d][k] / (IMAGES * DRAWS);
	mean_square = product(mean, mean, t->size);
	for (int i = 0; i < IMAGES; i++) {
		double inner = 0;

		memset(g, 0, t->size * sizeof *g);
		for (int d = 0; d < DRAWS; d++)
			for (size_t k = 0; k < t->size; k++)
				g[k] += t->gradients[i][d][k] / DRAWS;
		for (size_t k = 0; k < t->size; k++)
			inner += (mean[k] - g[k] / n) * g[k];
		shorter[i] = rate * inner;
		full[i] = rate *
		          ((2 * n - 3) / ((n - 1) * (n - 1)) * mean_square -
		           product(g, g, t->size) / ((n - 1) * (n - 1)) + (2 * n - 4) / ((n - 1) * (n - 1)) * inner);
	}
	free(mean);
	free(g);
	return mean_square;
}

static void moso_is_as_defined(void **unused)
{
	const double rate = 0.25;
	double shorter[IMAGES], full[IMAGES], got_short[IMAGES], got_full[IMAGES], *sum, scale = 0, products = 0;
	struct ek_score_sums sums[IMAGES];
	struct ek_store *store;
	struct model m;
	struct truth *t;
	float *values, *mean;

	for (int bf16 = 0; bf16 < 2; bf16++) {
		struct ek_moso_at at = { .images = IMAGES, .rate = rate };
		struct ek_score_pass pass = { .grid = grid, .of = EK_SCORE_MOSO };
		double mean_square;

		model_make(&m, SLICE, EK_FLOW_IMAGES, bf16 ? EK_NN_BF16 : EK_NN_F32);
		values = parameters(m.task.params);
		t = truth_new(values);
		mean_square = moso_by_definition(t, shorter, full, rate);
		assert_ok(ek_store_new(&store, m.task.params));
		assert_ok(ek_net_load(m.task.nets->net, values));
		assert_ok(ek_alloc(&sum, m.task.params->size, sizeof *sum));
		assert_ok(ek_alloc(&mean, m.task.params->size, sizeof *mean));
		pass.task = &m.task;
		assert_ok(ek_score_gradient(&pass, ids, IMAGES, store, sum));
		at.mean_square = ek_moso_mean(mean, sum, m.task.params->size, IMAGES);
		assert_close(at.mean_square / mean_square, 1, bf16 ? 0.05 : 1e-4);
		ek_store_write(store, EK_FIRST, 0, m.task.params->size, mean);
		pass.direction = store;
		assert_ok(ek_score_images(&pass, ids, IMAGES, sums));
		products = scale = 0;
		for (int i = 0; i < IMAGES; i++) {
			got_short[i] = ek_moso_short(&at, sums[i].first, sums[i].second);
			got_full[i] = ek_moso_full(&at, sums[i].first, sums[i].second);
			products += sums[i].first / IMAGES;
			scale = fmax(scale, fabs(shorter[i]));
		}
		for (int i = 0; i < IMAGES && !bf16; i++) {
			assert_true(fabs(got_short[i] - shorter[i]) <= 1e-4 * scale);
			assert_true(fabs(got_full[i] - full[i]) <= 1e-4 * scale);
		}
		/* The mean of <gbar, g> is |gbar|^2. */
		assert_close(products / at.mean_square, 1, bf16 ? 0.02 : 1e-4);
		assert_true(rank_correlation(got_short, shorter) >= 0.999 - 0.01 * bf16);
		assert_true(rank_correlation(got_full, full) >= 0.999 - 0.01 * bf16);
		free(sum);
		free(mean);
		ek_store_free(store);
		truth_free(t);
		free(values);
		ek_flow_task_free(m.flow);
	}
}

EK_TEST_MAIN(cmocka_unit_test(el2n_is_the_mean_loss), cmocka_unit_test(grand_is_the_mean_norm),
             cmocka_unit_test(moso_is_as_defined))
