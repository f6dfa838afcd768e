#include "tests/support/support.h"

#include "rebalance/base/random.h"
#include "rebalance/plan/sampler.h"

/* Chi-square with f degrees of freedom lies in f - 2 sqrt(f x) … f + 2 sqrt(f x) + 2 x but for a chance of 2 exp(-x)
 * (Laurent and Massart 2000); x = 23. */
static void assert_chi_square(double statistic, double f)
{
	print_message("chi-square %.1f with %.0f degrees of freedom\n", statistic, f);
	assert_true(statistic >= f - 2 * sqrt(f * 23));
	assert_true(statistic <= f + 2 * sqrt(f * 23) + 46);
}

/* Units of several kinds: more images than visits, fewer, one image, none, a share too small for every block. */
static const uint64_t sizes[] = { 7000, 1000, 0, 100, 10, 1, 900 };
static const double shares[] = { 0.3, 0.3, 0, 0.199, 0.2, 0.0009, 0.0001 };
enum { UNITS = sizeof sizes / sizeof *sizes, IMAGES = 9011 };

static struct ek_sampler *make(uint64_t length, uint64_t seed)
{
	const struct ek_sampler_units units = { .count = UNITS, .sizes = sizes, .shares = shares };
	struct ek_sampler *s;

	assert_ok(ek_sampler_new(&s, &units, length, seed));
	return s;
}

static int64_t *draw(struct ek_sampler *s, uint64_t epoch, uint64_t first, uint64_t stride, uint64_t count)
{
	int64_t *ids = malloc((count + 1) * sizeof *ids);

	assert_non_null(ids);
	ids[count] = -77;
	assert_ok(ek_sampler_draw(s, epoch, first, stride, count, ids));
	assert_int_equal(ids[count], -77);
	return ids;
}

static uint32_t unit_of(int64_t id)
{
	uint32_t k = 0;

	assert_true(id >= 0 && id < IMAGES);
	for (int64_t end = (int64_t)sizes[0]; id >= end; end += (int64_t)sizes[k])
		k++;
	return k;
}

/* Any order, any piece, any world size, another sampler of the same seed: the same ids. */
static void a_position_is_all_that_matters(void **state)
{
	static const uint64_t worlds[] = { 1, 2, 7, 64 };
	const uint64_t length = 3 * EK_SAMPLER_BLOCK + 1234;
	struct ek_sampler *s = make(length, 5), *other = make(length, 5);
	int64_t *whole = draw(s, 3, 0, 1, length), one;

	free(draw(s, 4, 0, 1, length)); /* whatever was asked before */
	for (size_t w = 0; w < sizeof worlds / sizeof *worlds; w++)
		for (uint64_t rank = worlds[w]; rank-- > 0;) {
			const uint64_t count = (length - rank + worlds[w] - 1) / worlds[w];
			int64_t *part = draw(other, 3, rank, worlds[w], count);

			for (uint64_t j = 0; j < count; j++)
				assert_int_equal(part[j], whole[rank + j * worlds[w]]);
			free(part);
		}
	for (uint64_t i = 0; i < 2000; i++) {
		const uint64_t at = ek_random_below(1, 2, i, length);

		assert_ok(ek_sampler_draw(s, 3, at, 1, 1, &one));
		assert_int_equal(one, whole[at]);
	}
	for (uint64_t at = length; at-- > length - 300;) {
		assert_ok(ek_sampler_draw(s, 3, at, 99, 1, &one));
		assert_int_equal(one, whole[at]);
	}
	free(whole);
	ek_sampler_free(s);
	ek_sampler_free(other);
}

static void seeds_and_epochs_differ(void **state)
{
	const uint64_t length = 6000;
	struct ek_sampler *s = make(length, 1), *t = make(length, 2);
	int64_t *a = draw(s, 0, 0, 1, length), *b = draw(s, 1, 0, 1, length), *c = draw(t, 0, 0, 1, length);
	uint64_t same_epoch = 0, same_seed = 0;

	for (uint64_t i = 0; i < length; i++) {
		same_epoch += a[i] == b[i];
		same_seed += a[i] == c[i];
	}
	/* Chance: 0.2^2/10 + 0.199^2/100 + 0.3^2/1000 + … = 0.45 % of 6,000 is 27; 100 are 14 deviations away. */
	assert_true(same_epoch < 100 && same_seed < 100);
	free(a);
	free(b);
	free(c);
	ek_sampler_free(s);
	ek_sampler_free(t);
}

/* In the order of positions, over the ends of blocks and epochs: visit t of a unit is numbered t, and each pass over a
 * unit has all of its images once. */
static void assert_decks(uint64_t length, uint64_t first_epoch, uint64_t epochs)
{
	struct ek_sampler *s = make(length, 11);
	uint64_t visits[UNITS] = { 0 }, passes = 0;
	uint32_t *units = malloc(length * sizeof *units), *seen = calloc(IMAGES, sizeof *seen);
	uint64_t *numbers = malloc(length * sizeof *numbers);
	int started[UNITS] = { 0 };

	assert_true(units != NULL && numbers != NULL && seen != NULL);
	for (uint64_t e = first_epoch; e < first_epoch + epochs; e++) {
		int64_t *ids = draw(s, e, 0, 1, length);

		assert_ok(ek_sampler_visits(s, e, 0, 1, length, units, numbers));
		for (uint64_t i = 0; i < length; i++) {
			const uint32_t k = units[i];

			assert_int_equal(k, unit_of(ids[i]));
			if (!started[k]) {
				started[k] = 1;
				visits[k] = numbers[i];
			}
			assert_true(numbers[i] == visits[k]);
			if (visits[k]++ % sizes[k] == 0) {
				for (int64_t id = 0; id < IMAGES; id++)
					if (unit_of(id) == k)
						seen[id] = 0;
				passes++;
			}
			assert_int_equal(seen[ids[i]]++, 0);
		}
		free(ids);
	}
	print_message("%llu passes\n", (unsigned long long)passes);
	assert_true(passes > 100);
	free(units);
	free(numbers);
	free(seen);
	ek_sampler_free(s);
}

static void a_pass_has_each_image_once(void **state)
{
	assert_decks(IMAGES, 0, 4);               /* two full blocks and a tail */
	assert_decks(2 * EK_SAMPLER_BLOCK, 0, 3); /* no tail */
	assert_decks(100, 0, 100);                /* a tail only */
	assert_decks(IMAGES, 123456789012, 2);    /* far on */
}

/* Visits of a unit in the first t positions of all epochs: shares t, up to the discrepancy of the offsets. */
static void an_epoch_has_the_shares(void **state)
{
	const uint64_t length = 25 * EK_SAMPLER_BLOCK + 17;
	uint32_t *units = malloc(length * sizeof *units);

	assert_non_null(units);
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct ek_sampler *s = make(length, seed);
		uint64_t visits[UNITS] = { 0 };

		assert_ok(ek_sampler_visits(s, seed * 1000, 0, 1, length, units, NULL));
		for (uint64_t i = 0; i < length; i++)
			visits[units[i]]++;
		/* A run of N points of the van der Corput sequence is at most log2(N) + 2 dyadic pieces at either end,
		 * each off by less than 1, for two bounds; and the tail by 1. */
		for (int k = 0; k < UNITS; k++)
			assert_true(fabs((double)visits[k] - shares[k] * (double)length) < 2 * 2 * (log2(26) + 2) + 1);
		assert_int_equal(visits[2], 0);
		ek_sampler_free(s);
	}
	free(units);
}

static int unit_of_few(int image)
{
	return image < 6 ? 0 : image < 9 ? 1 : image < 11 ? 2 : 3;
}

/* Over all seeds, each position has each unit with its share, and each image of the unit alike; so have two successive
 * positions together, but for 1 / block: that adds less than SEEDS / block^2 * UNITS / min share to the statistic. */
static void positions_are_fair_over_seeds(void **state)
{
	static const uint64_t few[] = { 6, 3, 2, 1 };
	static const double of[] = { 0.1, 0.4, 0.25, 0.25 };
	const struct ek_sampler_units units = { .count = 4, .sizes = few, .shares = of };
	const uint64_t length = EK_SAMPLER_BLOCK + 600, at[] = { 0, 1000, EK_SAMPLER_BLOCK + 333 };
	enum { SEEDS = 30000, N = 12 };
	static uint32_t single[3][N], pair[3][N][N];
	double weight[N];

	for (int i = 0; i < N; i++)
		weight[i] = i < 6 ? 0.1 / 6 : i < 9 ? 0.4 / 3 : i < 11 ? 0.125 : 0.25;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct ek_sampler *s;

		assert_ok(ek_sampler_new(&s, &units, length, seed));
		for (int p = 0; p < 3; p++) {
			int64_t ids[2];

			assert_ok(ek_sampler_draw(s, seed % 50, at[p], 1, 2, ids));
			single[p][ids[0]]++;
			pair[p][ids[0]][ids[1]]++;
		}
		ek_sampler_free(s);
	}
	for (int p = 0; p < 3; p++) {
		double one = 0, across = 0;
		uint32_t units_seen[4][4] = { { 0 } };

		for (int i = 0; i < N; i++) {
			const double expected = SEEDS * weight[i];

			one += (single[p][i] - expected) * (single[p][i] - expected) / expected;
			for (int j = 0; j < N; j++)
				units_seen[unit_of_few(i)][unit_of_few(j)] += pair[p][i][j];
		}
		assert_chi_square(one, N - 1);
		for (int i = 0; i < 4; i++)
			for (int j = 0; j < 4; j++) {
				const double expected = SEEDS * of[i] * of[j];

				across += (units_seen[i][j] - expected) * (units_seen[i][j] - expected) / expected;
			}
		assert_chi_square(across, 15);
	}
}

/* Along the positions of an epoch: successive units, and units a rank's stride apart, as a table of pairs. What is
 * drawn without replacement from a block of b has pairs that differ by (1 - share) / (b share) of themselves, which
 * adds at most positions * units / b^2 / min share to the expected statistic: here 400,000 * 5 / 4096^2 / 0.1 = 1.2.
 * The totals are closer to the shares than chance would have it, so the statistic has (units - 1)^2 degrees of freedom.
 */
static void successive_units_are_independent(void **state)
{
	static const uint64_t many[] = { 50, 60, 70, 80, 90 };
	static const double of[] = { 0.1, 0.15, 0.2, 0.25, 0.3 };
	static const uint64_t strides[] = { 1, 2, 8, 1000 };
	const struct ek_sampler_units units = { .count = 5, .sizes = many, .shares = of };
	enum { LENGTH = 400000 };
	uint32_t *drawn = malloc(LENGTH * sizeof *drawn);
	struct ek_sampler *s;

	assert_non_null(drawn);
	assert_ok(ek_sampler_new(&s, &units, LENGTH, 4));
	assert_ok(ek_sampler_visits(s, 2, 0, 1, LENGTH, drawn, NULL));
	for (size_t t = 0; t < sizeof strides / sizeof *strides; t++) {
		uint32_t seen[5][5] = { { 0 } };
		const uint64_t pairs = LENGTH - strides[t];
		double statistic = 0;

		for (uint64_t i = 0; i < pairs; i++)
			seen[drawn[i]][drawn[i + strides[t]]]++;
		for (int i = 0; i < 5; i++)
			for (int j = 0; j < 5; j++) {
				const double expected = (double)pairs * of[i] * of[j];

				statistic += (seen[i][j] - expected) * (seen[i][j] - expected) / expected;
			}
		assert_chi_square(statistic, 16);
	}
	free(drawn);
	ek_sampler_free(s);
}

/* More units than positions of a block, most of them in few blocks only. */
static void many_units_have_their_shares_and_decks(void **state)
{
	enum { MANY = 30000, EPOCHS = 6, LENGTH = 50000 };
	uint64_t *many = malloc(MANY * sizeof *many), *visits = calloc(MANY, sizeof *visits), *numbers, images = 0;
	double *of = malloc(MANY * sizeof *of), total = 0;
	uint32_t *drawn = malloc(LENGTH * sizeof *drawn);
	struct ek_sampler_units units = { .count = MANY, .sizes = many, .shares = of };
	struct ek_sampler *s;

	numbers = malloc(LENGTH * sizeof *numbers);
	assert_true(many != NULL && visits != NULL && of != NULL && drawn != NULL && numbers != NULL);
	for (uint64_t k = 0; k < MANY; k++) {
		many[k] = ek_random_below(1, 2, k, 4);
		of[k] = many[k] > 0 ? ek_random_double(1, 3, k) : 0;
		images += many[k];
		total += of[k];
	}
	for (uint64_t k = 0; k < MANY; k++)
		of[k] /= total;
	assert_ok(ek_sampler_new(&s, &units, LENGTH, 9));
	for (uint64_t e = 0; e < EPOCHS; e++) {
		assert_ok(ek_sampler_visits(s, e, 0, 1, LENGTH, drawn, numbers));
		for (uint64_t i = 0; i < LENGTH; i++)
			assert_true(numbers[i] == visits[drawn[i]]++);
	}
	for (uint64_t k = 0; k < MANY; k++)
		assert_true(fabs((double)visits[k] - of[k] * EPOCHS * LENGTH) < 2 * (log2(EPOCHS * 13) + 2) + 2);
	ek_sampler_free(s);
	free(many);
	free(visits);
	free(numbers);
	free(of);
	free(drawn);
}

static void a_subset_is_one_deck(void **state)
{
	const int64_t keep[] = { 90, 5, 5, 5, 17, 1234567890123 };
	const uint64_t count = 6;
	const double whole = 1;
	const struct ek_sampler_units units = {
		.count = 1, .sizes = &count, .shares = &whole, .members = keep, .members_type = EK_I64
	};
	uint32_t orders[720] = { 0 };
	struct ek_sampler *s;
	double statistic = 0;

	assert_ok(ek_sampler_new(&s, &units, count, 1));
	for (uint64_t e = 0; e < 60000; e++) {
		int64_t ids[6];
		uint64_t number;
		int fives = 0, first = 0;

		assert_ok(ek_sampler_draw(s, e, 0, 1, count, ids));
		for (int i = 0; i < 6; i++) {
			fives += ids[i] == 5;
			first = ids[i] == 90 ? i : first;
		}
		assert_int_equal(fives, 3);
		orders[first]++;
		assert_ok(ek_sampler_visits(s, e, 2, 1, 1, NULL, &number)); /* the long way gives the same */
		assert_true(number == e * 6 + 2);
	}
	for (int i = 0; i < 6; i++)
		statistic += (orders[i] - 10000.0) * (orders[i] - 10000.0) / 10000;
	assert_chi_square(statistic, 5);
	ek_sampler_free(s);
}

static void members_are_ids(void **state)
{
	static const uint64_t two[] = { 3, 2 };
	static const double half[] = { 0.5, 0.5 };
	static const uint32_t members[] = { 4000000000, 1, 2, 30, 31 };
	struct ek_sampler_units units = { .count = 2, .sizes = two, .shares = half };
	struct ek_sampler *s, *plain;
	int64_t ids[600], places[600];

	assert_ok(ek_sampler_new(&plain, &units, 600, 3));
	units.members = members;
	units.members_type = EK_U32;
	assert_ok(ek_sampler_new(&s, &units, 600, 3));
	assert_ok(ek_sampler_draw(s, 0, 0, 1, 600, ids));
	assert_ok(ek_sampler_draw(plain, 0, 0, 1, 600, places));
	for (int i = 0; i < 600; i++)
		assert_true(ids[i] == members[places[i]]);
	ek_sampler_free(s);
	ek_sampler_free(plain);
}

/* 2^40 images: distinct, spread evenly, as quick as few. */
static void a_trillion_images_are_no_more_work(void **state)
{
	static const uint64_t large[] = { ((uint64_t)1 << 40) - 1000, 1000 };
	static const double of[] = { 0.5, 0.5 };
	const struct ek_sampler_units units = { .count = 2, .sizes = large, .shares = of };
	const uint64_t length = (uint64_t)1 << 40, first = length - 200000;
	enum { COUNT = 200000 };
	int64_t *ids = malloc(COUNT * sizeof *ids);
	uint32_t bins[100] = { 0 }, rare[1000] = { 0 };
	double statistic = 0, drawn = 0;
	struct ek_sampler *s;

	assert_non_null(ids);
	assert_ok(ek_sampler_new(&s, &units, length, 8));
	assert_ok(ek_sampler_draw(s, 300, first, 1, COUNT, ids));
	for (int i = 0; i < COUNT; i++) {
		assert_true(ids[i] >= 0 && (uint64_t)ids[i] < length);
		if ((uint64_t)ids[i] >= large[0])
			rare[(uint64_t)ids[i] - large[0]]++;
		else
			bins[(uint64_t)ids[i] / (large[0] / 100 + 1)]++;
	}
	for (int i = 0; i < 100; i++)
		drawn += bins[i];
	for (int i = 0; i < 100; i++)
		statistic += (bins[i] - drawn / 100) * (bins[i] - drawn / 100) / (drawn / 100);
	assert_chi_square(statistic, 99);
	for (int i = 0; i < 1000; i++)
		assert_true(rare[i] >= 99 && rare[i] <= 101); /* 100,000 visits, in whole passes but for the ends */
	free(ids);
	ek_sampler_free(s);
}

static void bad_input_is_refused(void **state)
{
	static const uint64_t two[] = { 10, 0 };
	static const double to_empty[] = { 0.5, 0.5 }, short_of[] = { 0.9, 0 }, negative[] = { 1.5, -0.5 },
			    nan[] = { (double)NAN, 0 }, good[] = { 1, 0 };
	struct ek_sampler_units units = { .count = 2, .sizes = two };
	struct ek_sampler *s;
	int64_t id;

	units.shares = to_empty;
	assert_fails(ek_sampler_new(&s, &units, 5, 0), EK_EDATA, "unit 1 has a share, 0.5, but no image");
	assert_null(s);
	units.shares = short_of;
	assert_fails(ek_sampler_new(&s, &units, 5, 0), EK_EDATA, "sum to 0.9, not to 1");
	units.shares = negative;
	assert_fails(ek_sampler_new(&s, &units, 5, 0), EK_EDATA, "unit 1 is -0.5");
	units.shares = nan;
	assert_fails(ek_sampler_new(&s, &units, 5, 0), EK_EDATA, "unit 0 is nan");
	units.shares = good;
	assert_fails(ek_sampler_new(&s, &units, 0, 0), EK_EUSAGE, "epoch of 0 positions");
	assert_ok(ek_sampler_new(&s, &units, 5, 0));
	assert_true(ek_sampler_length(s) == 5);
	assert_fails(ek_sampler_draw(s, 0, 5, 1, 1, &id), EK_EUSAGE, "beyond the 5 of an epoch");
	assert_fails(ek_sampler_draw(s, 0, 3, 2, 2, &id), EK_EUSAGE, "beyond the 5 of an epoch");
	assert_fails(ek_sampler_draw(s, 0, 1, UINT64_MAX, UINT64_MAX, &id), EK_EUSAGE, "beyond the 5 of an epoch");
	assert_fails(ek_sampler_draw(s, UINT64_MAX, 0, 1, 1, &id), EK_EUSAGE, "beyond 2^60");
	assert_ok(ek_sampler_draw(s, 0, 4, UINT64_MAX, 1, &id));
	assert_ok(ek_sampler_draw(s, 0, 99, 1, 0, &id));
	ek_sampler_free(s);
	ek_sampler_free(NULL);
}

EK_TEST_MAIN(cmocka_unit_test(a_position_is_all_that_matters), cmocka_unit_test(seeds_and_epochs_differ),
             cmocka_unit_test(a_pass_has_each_image_once), cmocka_unit_test(an_epoch_has_the_shares),
             cmocka_unit_test(positions_are_fair_over_seeds), cmocka_unit_test(successive_units_are_independent),
             cmocka_unit_test(many_units_have_their_shares_and_decks), cmocka_unit_test(a_subset_is_one_deck),
             cmocka_unit_test(members_are_ids), cmocka_unit_test(a_trillion_images_are_no_more_work),
             cmocka_unit_test(bad_input_is_refused))
