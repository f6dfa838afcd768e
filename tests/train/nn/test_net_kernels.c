/* The loops of vector.h and net_kernels.h give the same bits on every instruction set that this processor has. */
#include "train/nn/net_kernels.h"

#include "tests/support/support.h"
#include "tests/train/nn/reference.h"
#include "train/nn/vector.h"

#if defined(__x86_64__)

extern const struct ek_nn_vector ek_nn_vector_base, ek_nn_vector_avx2, ek_nn_vector_avx512;
extern const struct ek_net_kernels ek_net_kernels_base, ek_net_kernels_avx2, ek_net_kernels_avx512;

enum { ARRAYS = 6, MOST = 777 };

/* Arrays of n numbers that a loop may read and write, and what it returns. */
struct room {
	float *x[ARRAYS];
	ek_bf16 *low;
	double value;
};

static void with_vector(const struct ek_nn_vector *k, struct room *r, size_t n)
{
	k->bf16_from_float(r->low, r->x[0], n);
	k->bf16_to_float(r->x[1], r->low, n);
	k->softmax(r->x[3], n, 0.7F);
	k->add(r->x[4], r->x[2], r->x[3], n);
	k->accumulate(r->x[5], r->x[4], n);
	k->scale(r->x[5], n, 0.3F);
}

static void with_rows(const struct ek_net_kernels *k, struct room *r, size_t n)
{
	struct ek_net_row row = { r->x[0], r->x[2], n, 0, 0, 1 };

	k->statistics(&row.mean, &row.inverse, r->x[0], n, 1e-6F);
	k->modulate(r->x[1], &row, r->x[3]);
	row.scale = r->x[3];
	k->modulate_backward(r->x[2], r->x[3], r->x[4], r->x[1], &row, r->x[5]);
	k->gate(r->x[1], r->x[0], r->x[2], r->x[3], n);
	k->gate_backward(r->x[4], r->x[5], r->x[1], r->x[2], r->x[3], n);
	k->softmax_backward(r->x[4], r->x[0], n, 0.3F);
	k->affine(r->x[1], r->x[0], r->x[2], r->x[3], n);
	k->add_squares(r->x[2], r->x[0], r->x[1], n);
	k->add_products(r->x[3], r->x[0], r->x[1], n);
	k->add_rows(r->x[5], r->x[0], 7, n / 7);
	for (size_t i = 0; i < n; i++)
		r->low[i] = (ek_bf16)(0x3f00 + i % 199);
	k->add_rows_bf16(r->x[5], r->low, 7, n / 7);
	r->value = k->sum_squares(r->x[5], n);
}

static void with_activations(const struct ek_net_kernels *k, struct room *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		r->x[0][i] *= 40;
	if (n > 4) {
		r->x[0][1] = 0;
		r->x[0][2] = 6;
		r->x[0][3] = -1e15F;
		r->x[0][4] = 1e15F;
	}
	for (enum ek_nn_activation a = EK_NN_LINEAR; a < EK_NN_ACTIVATION_COUNT; a++) {
		if (a == EK_NN_GELU_ERF) /* the C library's */
			continue;
		k->activate(r->x[1], r->x[0], n, a, 0.2F);
		k->activate_backward(r->x[2], r->x[5], r->x[0], n, a, 0.2F);
		k->add_squares(r->x[3], r->x[1], r->x[4], n);
		k->add_squares(r->x[4], r->x[2], r->x[1], n);
	}
}

static void with_adamw(const struct ek_net_kernels *k, struct room *r, size_t n)
{
	const struct ek_adamw_factors f = {
		0.01F, 0.999F, 1e-8F, 0.9F, 0.1F, 0.999F, 0.001F, 0.99F, 0.01F, 0.7F, 3, 30
	};

	for (size_t i = 0; i < n; i++)
		r->x[3][i] = fabsf(r->x[3][i]);
	k->adamw(r->x[0], r->x[1], r->x[2], r->x[3], r->x[4], n, &f);
	k->adamw(r->x[0], NULL, r->x[2], r->x[3], r->x[4], n, &f);
}

static struct room room_new(size_t n)
{
	struct room r = { .low = calloc(MOST, sizeof *r.low) };

	for (int i = 0; i < ARRAYS; i++) {
		r.x[i] = ref_poisoned(n);
		ref_fill(r.x[i], n, (uint64_t)i);
	}
	return r;
}

/* The same bytes, and nothing written beyond the end. Frees b. */
static void compare(const char *name, const struct room *a, struct room *b, size_t n)
{
	for (int i = 0; i < ARRAYS; i++) {
		for (size_t j = 0; j < n; j++)
			if (memcmp(&a->x[i][j], &b->x[i][j], sizeof(float)) != 0)
				fail_msg("%s, %zu numbers: %zu of array %d is %.9g and %.9g", name, n, j, i,
				         (double)a->x[i][j], (double)b->x[i][j]);
		assert_true(ref_is_whole(b->x[i], n));
		free(b->x[i]);
	}
	assert_memory_equal(a->low, b->low, MOST * sizeof *a->low);
	assert_memory_equal(&a->value, &b->value, sizeof a->value);
	free(b->low);
}

static const struct {
	const char *name;
	void (*run)(const struct ek_net_kernels *k, struct room *r, size_t n);
} groups[] = { { "rows", with_rows }, { "activations", with_activations }, { "adamw", with_adamw } };

static void every_instruction_set_gives_the_same_bits(void **state)
{
	const struct ek_nn_vector *vectors[] = { &ek_nn_vector_base, &ek_nn_vector_avx2, &ek_nn_vector_avx512 };
	const struct ek_net_kernels *kernels[] = { &ek_net_kernels_base, &ek_net_kernels_avx2, &ek_net_kernels_avx512 };
	const size_t sizes[] = { 1, 5, 7, 11, 13, 16, 48, 64, 77, 512, MOST };
	int sets = 1;

	sets += ek_nn_vector() != &ek_nn_vector_base;
	sets += ek_nn_vector() == &ek_nn_vector_avx512;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (size_t g = 0; g <= sizeof groups / sizeof *groups; g++) {
			struct room first = room_new(sizes[i]), none = room_new(sizes[i]);

			for (int set = 0; set < sets; set++) {
				struct room r = set == 0 ? first : room_new(sizes[i]);

				if (g < sizeof groups / sizeof *groups)
					groups[g].run(kernels[set], &r, sizes[i]);
				else
					with_vector(vectors[set], &r, sizes[i]);
				if (set == 0)
					first = r;
				else
					compare(g < sizeof groups / sizeof *groups ? groups[g].name : "vector", &first,
					        &r, sizes[i]);
			}
			/* They did something. */
			assert_memory_not_equal(first.x[1], none.x[1], sizes[i] * sizeof(float));
			compare("itself", &first, &first, sizes[i]);
			compare("itself", &none, &none, sizes[i]);
		}
}

#else
static void every_instruction_set_gives_the_same_bits(void **state)
{
	(void)state; /* there is one only */
}
#endif

/* Numbers whose exponentials overflow, and whose difference does. */
static void softmax_takes_any_finite_numbers(void **state)
{
	static const float rows[][3] = { { 1000, 1000, 998 }, { -1000, -1001, -1e30F }, { 3e38F, -3e38F, 3e38F } };

	for (int i = 0; i < 3; i++) {
		double parts[3], sum = 0;
		float got[3];

		memcpy(got, rows[i], sizeof got);
		ek_nn_vector()->softmax(got, 3, 1);
		for (int j = 0; j < 3; j++)
			sum += parts[j] = exp((double)rows[i][j] - (double)rows[i][0]);
		/* The exponential, their sum, its inverse and the product round: 2 + 2 + 1 + 1 units. */
		for (int j = 0; j < 3; j++)
			assert_true(fabs((double)got[j] - parts[j] / sum) <= 6 * 0x1p-24 * parts[j] / sum);
	}
}

EK_TEST_MAIN(cmocka_unit_test(every_instruction_set_gives_the_same_bits),
             cmocka_unit_test(softmax_takes_any_finite_numbers))
