#include "train/nn/params.h"

#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

static void tensors_lie_one_after_another(void **state)
{
	struct ek_params p = { 0 };

	assert_int_equal(ek_params_add(&p, "a", 2, (const int64_t[]){ 3, 5 }, (struct ek_init){ 0 }), 0);
	assert_int_equal(ek_params_add(&p, "b", 1, (const int64_t[]){ 7 }, (struct ek_init){ 0 }), 1);
	assert_int_equal(ek_params_add(&p, "c", 4, (const int64_t[]){ 2, 3, 1, 1 }, (struct ek_init){ 0 }), 2);
	assert_int_equal(p.size, 15 + 7 + 6);
	assert_int_equal(p.items[1].offset, 15);
	assert_int_equal(p.items[2].offset, 22);
	assert_int_equal(p.items[2].count, 6);
	assert_int_equal(ek_params_find(&p, "b"), 1);
	assert_int_equal(ek_params_find(&p, "d"), -1);
	assert_fails(ek_params_add(&p, "b", 1, (const int64_t[]){ 7 }, (struct ek_init){ 0 }), EK_EUSAGE,
	             "parameter b is there already");
	assert_fails(ek_params_add(&p, "d", 5, (const int64_t[]){ 1, 1, 1, 1, 1 }, (struct ek_init){ 0 }), EK_EUSAGE,
	             "parameter d has 5 dimensions");
	assert_fails(ek_params_add(&p, "d", 2, (const int64_t[]){ 3, 0 }, (struct ek_init){ 0 }), EK_EUSAGE,
	             "parameter d has a size out of range");
	assert_fails(ek_params_add(&p, "d", 2, (const int64_t[]){ INT64_MAX, 4 }, (struct ek_init){ 0 }), EK_EUSAGE,
	             "parameter d has a size out of range");
	assert_int_equal(p.count, 3);
	ek_params_release(&p);
	assert_int_equal(p.size, 0);
}

/* Mean, deviation and largest magnitude of a parameter's first values. */
struct moments {
	double mean, deviation, largest;
};

static struct moments moments_of(const struct ek_params *p, const float *values, int i)
{
	const float *x = values + p->items[i].offset;
	const double n = (double)p->items[i].count;
	struct moments m = { 0 };

	for (size_t j = 0; j < p->items[i].count; j++) {
		m.mean += (double)x[j] / n;
		m.deviation += (double)x[j] * (double)x[j] / n;
		m.largest = fmax(m.largest, fabs((double)x[j]));
	}
	m.deviation = sqrt(m.deviation - m.mean * m.mean);
	return m;
}

static void values_have_the_distributions_asked_for(void **state)
{
	const double fan = sqrt(6.0 / (9 * (20 + 50)));
	struct ek_params p = { 0 };
	float *values;
	struct moments m;

	ek_params_add(&p, "constant", 1, (const int64_t[]){ 100 }, (struct ek_init){ EK_INIT_CONSTANT, 0.3F });
	ek_params_add(&p, "normal", 1, (const int64_t[]){ 10000 }, (struct ek_init){ EK_INIT_NORMAL, 0.02F });
	ek_params_add(&p, "uniform", 1, (const int64_t[]){ 10000 }, (struct ek_init){ EK_INIT_UNIFORM, 0.5F });
	ek_params_add(&p, "xavier", 4, (const int64_t[]){ 50, 20, 3, 3 },
	              (struct ek_init){ EK_INIT_XAVIER_UNIFORM, 1 });
	values = ref_poisoned(p.size);
	ek_params_initialise(&p, 1, values);
	assert_true(ref_is_whole(values, p.size));
	m = moments_of(&p, values, 0);
	assert_true(m.largest == (double)0.3F);
	/* Of n draws the mean has a deviation of s / sqrt(n), the deviation one of s / sqrt(2n) or less: five of them.
	 */
	m = moments_of(&p, values, 1);
	assert_true(fabs(m.mean) < 5 * 0.02 / 100 && fabs(m.deviation - 0.02) < 5 * 0.02 / sqrt(2e4));
	m = moments_of(&p, values, 2);
	assert_true(m.largest <= 0.5 && m.largest > 0.499 && fabs(m.mean) < 5 * 0.29 / 100);
	m = moments_of(&p, values, 3);
	assert_true(m.largest <= fan * (1 + 0x1p-24) && m.largest > 0.999 * fan && fabs(m.mean) < 5 * 0.58 * fan / 94);
	free(values);
	ek_params_release(&p);
}

static void values_depend_on_seed_and_name_alone(void **state)
{
	const struct ek_init normal = { EK_INIT_NORMAL, 1 };
	struct ek_params p = { 0 }, other = { 0 };
	float first[20], again[20], moved[25];

	ek_params_add(&p, "a", 1, (const int64_t[]){ 10 }, normal);
	ek_params_add(&p, "b", 1, (const int64_t[]){ 10 }, normal);
	ek_params_add(&other, "first", 1, (const int64_t[]){ 5 }, normal);
	ek_params_add(&other, "b", 1, (const int64_t[]){ 10 }, normal);
	ek_params_add(&other, "a", 1, (const int64_t[]){ 10 }, normal);
	ek_params_initialise(&p, 1, first);
	ek_params_initialise(&p, 1, again);
	ek_params_initialise(&other, 1, moved);
	assert_memory_equal(first, again, sizeof first);
	assert_memory_equal(first, moved + 15, 10 * sizeof *first);
	assert_memory_equal(first + 10, moved + 5, 10 * sizeof *first);
	assert_memory_not_equal(first, first + 10, 10 * sizeof *first);
	ek_params_initialise(&p, 2, again);
	assert_memory_not_equal(first, again, sizeof first);
	ek_params_release(&p);
	ek_params_release(&other);
}

/* DiT's get_2d_sincos_pos_embed: the column first; of each, sines of p / 10000^(i / (d / 4)), then cosines. */
static void positions_are_those_of_dit(void **state)
{
	enum { SIDE = 3, D = 8 };
	struct ek_params p = { 0 };
	float values[SIDE * SIDE * D];

	ek_params_add(&p, "pos_embed", 3, (const int64_t[]){ 1, SIDE * SIDE, D },
	              (struct ek_init){ EK_INIT_POSITIONS, 0 });
	assert_int_equal(p.items[0].frozen, 1);
	ek_params_initialise(&p, 1, values);
	for (int t = 0; t < SIDE * SIDE; t++)
		for (int i = 0; i < D; i++) {
			const double place = i < D / 2 ? t % SIDE : t / SIDE;
			const double angle = place / (i % 2 == 0 ? 1 : 100); /* 10000^(1 / 2) */
			const double want = i % 4 < 2 ? sin(angle) : cos(angle);

			assert_close(values[t * D + i], want, 0x1p-24);
		}
	ek_params_release(&p);
}

EK_TEST_MAIN(cmocka_unit_test(tensors_lie_one_after_another), cmocka_unit_test(values_have_the_distributions_asked_for),
             cmocka_unit_test(values_depend_on_seed_and_name_alone), cmocka_unit_test(positions_are_those_of_dit))
