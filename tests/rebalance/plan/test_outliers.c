/* A thousand images, 700, 250 and 50 alike, and a handful of outliers: weights without labels show the small population
 * more often, and do not spend themselves on the handful. */
#include "tests/support/support.h"

#include "analysis/cluster/found.h"
#include "rebalance/base/random.h"
#include "rebalance/plan/design.h"
#include "rebalance/plan/image_weights.h"

enum { IMAGES = 1000, ODD = 5, ALL = IMAGES + ODD, D = 16, SMALL = 50 };

/* far: how far outliers lie from all; together: they are five views of one thing. */
static float *make(double far, int together)
{
	float *x = malloc(sizeof *x * ALL * D);

	assert_non_null(x);
	for (uint64_t i = 0; i < ALL; i++) {
		const size_t group = i < 700 ? 0 : i < 950 ? 1 : 2;

		for (size_t j = 0; j < D; j++) {
			const double noise = ek_random_normal(7, 1, i * D + j);

			if (i < IMAGES)
				x[i * D + j] = (float)(noise + (j == group ? 8 : 0));
			else
				x[i * D + j] = (float)(together ? far * ek_random_normal(7, 2, j) / 4 + noise
				                                : far * ek_random_normal(7, 2, i * D + j) / 4);
		}
	}
	return x;
}

struct shares {
	double odd, small, most;
};

static struct shares shares_of(const double *w)
{
	struct shares s = { 0 };
	double all = 0;

	for (size_t i = 0; i < ALL; i++) {
		all += w[i];
		s.odd += i >= IMAGES ? w[i] : 0;
		s.small += i >= IMAGES - SMALL && i < IMAGES ? w[i] : 0;
		s.most = fmax(s.most, w[i]);
	}
	s.odd /= all;
	s.small /= all;
	s.most *= ALL / all;
	return s;
}

/* As `weights` does it unless told otherwise: tempered to an effective sample of half of the images. The small
 * population is shown twice as often at least, the handful, half a hundredth of the images, is not what is shown, and
 * none of it over and over. */
static void check(double *w)
{
	struct shares s;

	(void)ek_weights_temper(w, ALL, 0.5);
	s = shares_of(w);
	assert_true(s.small > 1.8 * SMALL / ALL);
	assert_true(s.odd < 0.08 && s.odd < s.small);
	assert_true(s.most < 15);
}

/* Scattered, or five views of one thing; near, or as far as a picture of noise is from photographs. */
static void do_not_drain_the_sampler(void **state)
{
	double w[ALL];

	for (int together = 0; together < 2; together++)
		for (double far = 20; far < 300; far *= 5) {
			float *x = make(far, together);

			assert_ok(ek_tree_weights(w, x, ALL, D, 0));
			check(w);
			assert_ok(ek_blend_weights(w, x, ALL, D, 0));
			check(w);
			assert_ok(ek_design_weights(w, x, ALL, D, 100));
			check(w);
			assert_ok(ek_vendi_weights(w, x, ALL, D, 100));
			check(w);
			free(x);
		}
}

/* And they make no group, by which every group would be shown alike: 200 times each. */
static void are_no_group(void **state)
{
	static const uint32_t asked[] = { 0, 3 };

	for (int together = 0; together < 2; together++)
		for (size_t a = 0; a < 2; a++) {
			float *x = make(100, together);
			struct ek_found found;

			assert_ok(ek_found_build(&found, x, ALL, D, asked[a], 0));
			assert_int_equal(found.groups, 3);
			assert_in_range(found.sizes[0], 700, 705);
			assert_in_range(found.sizes[1], 250, 255);
			assert_in_range(found.sizes[2], SMALL, SMALL + ODD);
			assert_true(found.outliers >= ODD);
			ek_found_release(&found);
			free(x);
		}
}

EK_TEST_MAIN(cmocka_unit_test(do_not_drain_the_sampler), cmocka_unit_test(are_no_group))
