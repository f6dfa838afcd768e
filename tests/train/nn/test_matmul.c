#include <pthread.h>

#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "tests/support/support.h"
#include "tests/train/nn/reference.h"
#include "train/nn/bf16.h"
#include "train/nn/device.h"
#include "train/nn/matmul.h"

static const struct {
	size_t m, n, k;
} cases[] = {
	{ 1, 1, 1 },     { 5, 7, 11 },    { 13, 11, 7 },      { 7, 1, 13 },       { 1, 13, 5 },
	{ 64, 24, 384 }, { 33, 100, 37 }, { 128, 257, 1280 }, { 256, 1000, 384 },
};

struct product {
	float *a, *b; /* rounded to the type */
	void *a_typed, *b_typed;
	void *packed, *scratch;
	struct ek_nn_matmul *plan;
};

static void *typed(const float *x, size_t count, enum ek_nn_type type)
{
	void *out;

	assert_ok(ek_alloc_aligned(&out, count, ek_nn_type_size(type)));
	if (type == EK_NN_BFLOAT16)
		ek_bf16_from_float(out, x, count);
	else
		memcpy(out, x, count * sizeof *x);
	return out;
}

static void product_init(struct product *p, size_t m, size_t n, size_t k, enum ek_nn_type type)
{
	assert_ok(ek_alloc(&p->a, m * k, sizeof *p->a));
	assert_ok(ek_alloc(&p->b, n * k, sizeof *p->b));
	ref_fill(p->a, m * k, 1);
	ref_fill(p->b, n * k, 2);
	if (type == EK_NN_BFLOAT16) {
		ref_round_bf16(p->a, m * k);
		ref_round_bf16(p->b, n * k);
	}
	p->a_typed = typed(p->a, m * k, type);
	p->b_typed = typed(p->b, n * k, type);
	assert_ok(ek_nn_matmul_new(&p->plan, m, n, k, type));
	assert_ok(ek_alloc_aligned(&p->packed, 1, ek_nn_matmul_packed_size(p->plan)));
	assert_ok(ek_alloc_aligned(&p->scratch, 1, ek_nn_matmul_scratch_size(p->plan)));
	assert_ok(ek_nn_matmul_pack(p->plan, p->packed, p->b_typed, p->scratch));
}

static void product_release(struct product *p)
{
	ek_nn_matmul_free(p->plan);
	free(p->a);
	free(p->b);
	free(p->a_typed);
	free(p->b_typed);
	free(p->packed);
	free(p->scratch);
}

static void products_equal_the_reference(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (enum ek_nn_type type = EK_NN_FLOAT32; type <= ek_nn_precision_type(EK_NN_AUTO); type++) {
			const size_t m = cases[i].m, n = cases[i].n, k = cases[i].k;
			float *got = ref_poisoned(m * n);
			double *want;
			struct product p;

			print_message("%zu x %zu x %zu, type %d\n", m, n, k, (int)type);
			product_init(&p, m, n, k, type);
			assert_ok(ek_alloc(&want, m * n, sizeof *want));
			assert_ok(ek_nn_matmul_run(p.plan, got, p.a_typed, p.packed, p.scratch));
			assert_true(ref_is_whole(got, m * n));
			ref_matmul(want, p.a, p.b, m, n, k);
			/* Products of the (already rounded) inputs are summed in float32: each of k additions errs
			 * by at most 2^-24 of the partial sum, which stays below sum |a||b| <= |a|_2 |b|_2; norms of
			 * normal vectors are below 2 sqrt(k) for k >= 1 with our seed (|x| < 5 for k = 1). */
			for (size_t j = 0; j < m * n; j++) {
				const double tolerance = (double)(k + 1) * 0x1p-24 * (4 * (double)k + 25);

				if (!(fabs((double)got[j] - want[j]) <= tolerance))
					fail_msg("%zu: %g, not %g", j, (double)got[j], want[j]);
			}
			product_release(&p);
			free(got);
			free(want);
		}
}

struct tiles {
	const struct product *p;
	float *out;
	void *scratch[8];
	size_t rows, n, k, tile;
};

static int one_tile(void *context, uint64_t i, int worker)
{
	const struct tiles *t = context;
	const float *a = t->p->a_typed;

	return ek_nn_matmul_run(t->p->plan, t->out + i * t->tile * t->n, a + i * t->tile * t->k, t->p->packed,
	                        t->scratch[worker]);
}

/* 20 tiles on 1, 2 and 5 threads: the same bytes, equal to one tile after the other with a fresh plan. */
static void threads_give_the_same_bytes(void **state)
{
	enum { TILE = 64, TILES = 20, N = 100, K = 96 };
	const int threads[] = { 1, 2, 5 };
	float *a, *out[3];
	struct product p;

	product_init(&p, TILE, N, K, EK_NN_FLOAT32);
	assert_ok(ek_alloc(&a, (size_t)TILES * TILE * K, sizeof *a));
	ref_fill(a, (size_t)TILES * TILE * K, 3);
	free(p.a_typed);
	p.a_typed = a;
	for (int i = 0; i < 3; i++) {
		struct tiles t = { .p = &p, .n = N, .k = K, .tile = TILE };

		out[i] = ref_poisoned((size_t)TILES * TILE * N);
		t.out = out[i];
		for (int w = 0; w < 8; w++)
			assert_ok(ek_alloc_aligned(&t.scratch[w], 1, ek_nn_matmul_scratch_size(p.plan)));
		ek_threads_set(threads[i]);
		assert_ok(ek_parallel(TILES, one_tile, &t));
		assert_true(ref_is_whole(out[i], (size_t)TILES * TILE * N));
		assert_memory_equal(out[0], out[i], (size_t)TILES * TILE * N * sizeof(float));
		for (int w = 0; w < 8; w++)
			free(t.scratch[w]);
	}
	ek_threads_set(0);
	for (int i = 0; i < 3; i++)
		free(out[i]);
	product_release(&p);
}

static void *make_plans(void *context)
{
	struct ek_nn_matmul *plan;

	(void)context;
	for (size_t n = 300; n < 340; n++) {
		if (ek_nn_matmul_new(&plan, 24, n, 40, EK_NN_FLOAT32) < 0)
			return context;
		ek_nn_matmul_free(plan);
	}
	return NULL;
}

/* The same ones: what is made once is kept. The thread sanitizer looks. */
static void threads_make_plans_at_once(void **state)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_plans, threads), 0);
	for (int i = 0; i < 4; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
}

static void bad_sizes_are_refused(void **state)
{
	struct ek_nn_matmul *plan;

	assert_fails(ek_nn_matmul_new(&plan, 0, 3, 4, EK_NN_FLOAT32), EK_EUSAGE, "[0, 4]");
	assert_null(plan);
	assert_fails(ek_nn_matmul_new(&plan, 3, 3, (size_t)1 << 31, EK_NN_FLOAT32), EK_EUSAGE, "2147483648");
	ek_nn_matmul_free(NULL);
}

EK_TEST_MAIN(cmocka_unit_test(products_equal_the_reference), cmocka_unit_test(threads_give_the_same_bytes),
             cmocka_unit_test(threads_make_plans_at_once), cmocka_unit_test(bad_sizes_are_refused))
