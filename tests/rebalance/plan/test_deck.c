#include "tests/support/support.h"

#include "rebalance/base/random.h"
#include "rebalance/plan/deck.h"

static const uint32_t key[2] = { 0x1234567, 0x89abcdef };

/* Card `place` of deck number `deck`. */
static void set_card(struct ek_deck_batch *b, size_t i, uint64_t size, uint64_t place, uint32_t deck)
{
	b->size[i] = size;
	b->place[i] = place;
	ek_deck_sides(&b->high[i], &b->low[i], size);
	b->words[0][i] = deck;
	b->words[1][i] = b->words[2][i] = b->words[3][i] = 7;
}

/* The whole permutation of a deck of at most EK_DECK_BATCH cards. */
static void deal_all(uint64_t *cards, uint64_t size, uint32_t deck)
{
	static struct ek_deck_batch b;

	for (uint64_t i = 0; i < size; i++)
		set_card(&b, i, size, i, deck);
	ek_deck_shuffle(&b, size, key);
	memcpy(cards, b.place, size * sizeof *cards);
}

/* Chi-square with f degrees of freedom lies in f - 2 sqrt(f x) … f + 2 sqrt(f x) + 2 x but for a chance of 2 exp(-x)
 * (Laurent and Massart 2000); x = 23. */
static void assert_chi_square(double statistic, double f)
{
	print_message("chi-square %.1f with %.0f degrees of freedom\n", statistic, f);
	assert_true(statistic >= f - 2 * sqrt(f * 23));
	assert_true(statistic <= f + 2 * sqrt(f * 23) + 46);
}

static void a_rectangle_holds_its_deck_with_at_most_a_row_to_spare(void **state)
{
	static const uint64_t large[] = { 1u << 20,
		                          ((uint64_t)1 << 40) - 1,
		                          (uint64_t)1 << 40,
		                          ((uint64_t)1 << 40) + 1,
		                          EK_DECK_LARGEST - 1,
		                          EK_DECK_LARGEST };

	for (uint64_t size = 1; size < 5000; size++) {
		uint32_t high, low;

		ek_deck_sides(&high, &low, size);
		assert_true((uint64_t)high * low >= size && (uint64_t)high * low < size + high);
	}
	for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
		uint32_t high, low;

		ek_deck_sides(&high, &low, large[i]);
		assert_true((uint64_t)high * low >= large[i] && (uint64_t)high * low < large[i] + high);
	}
}

static void philox_in_bulk_is_philox(void **state)
{
	static uint32_t words[4][EK_DECK_BATCH];

	for (uint32_t i = 0; i < EK_DECK_BATCH; i++)
		for (uint32_t w = 0; w < 4; w++)
			words[w][i] = i * 77 + w * 0x10001;
	ek_deck_philox(words, EK_DECK_BATCH - 1, key);
	for (uint32_t i = 0; i < EK_DECK_BATCH - 1; i++) {
		const uint32_t counter[4] = { i * 77, i * 77 + 0x10001, i * 77 + 0x20002, i * 77 + 0x30003 };
		uint32_t want[4];

		ek_philox(want, counter, key);
		for (uint32_t w = 0; w < 4; w++)
			assert_int_equal(words[w][i], want[w]);
	}
	assert_int_equal(words[0][EK_DECK_BATCH - 1], (EK_DECK_BATCH - 1) * 77); /* beyond count: untouched */
}

static void every_deck_is_a_permutation(void **state)
{
	uint64_t cards[EK_DECK_BATCH];

	for (uint64_t size = 1; size <= EK_DECK_BATCH; size++)
		for (uint32_t deck = 0; deck < 20; deck++) {
			unsigned char seen[EK_DECK_BATCH] = { 0 };

			deal_all(cards, size, deck);
			for (uint64_t i = 0; i < size; i++) {
				assert_true(cards[i] < size);
				assert_int_equal(seen[cards[i]]++, 0);
			}
		}
}

static void large_decks_are_permutations_too(void **state)
{
	static const uint64_t sizes[] = { 1023, 1024, 1025, 65537, 100000 };
	static struct ek_deck_batch b;

	for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
		unsigned char *seen = calloc(sizes[n], 1);

		assert_non_null(seen);
		for (uint64_t first = 0; first < sizes[n]; first += EK_DECK_BATCH) {
			const uint64_t left = sizes[n] - first, count = left < EK_DECK_BATCH ? left : EK_DECK_BATCH;

			for (uint64_t i = 0; i < count; i++)
				set_card(&b, i, sizes[n], first + i, 3);
			ek_deck_shuffle(&b, count, key);
			for (uint64_t i = 0; i < count; i++) {
				assert_true(b.place[i] < sizes[n]);
				assert_int_equal(seen[b.place[i]]++, 0);
			}
		}
		free(seen);
	}
}

/* Cards of decks of all sizes in one batch are those that each gets alone. */
static void grouping_does_not_matter(void **state)
{
	static struct ek_deck_batch together, alone;

	for (size_t i = 0; i < EK_DECK_BATCH; i++)
		set_card(&together, i, (uint64_t)1 << i % 53, 0, (uint32_t)i);
	ek_deck_shuffle(&together, EK_DECK_BATCH, key);
	for (size_t i = 0; i < EK_DECK_BATCH; i++) {
		set_card(&alone, 0, (uint64_t)1 << i % 53, 0, (uint32_t)i);
		ek_deck_shuffle(&alone, 1, key);
		assert_true(alone.place[0] == together.place[i]);
	}
}

/* The number of a permutation in lexicographic order. */
static size_t permutation_rank(const uint64_t *cards, size_t size)
{
	size_t rank = 0;

	for (size_t i = 0; i < size; i++) {
		size_t smaller = 0;

		for (size_t j = i + 1; j < size; j++)
			smaller += cards[j] < cards[i];
		rank = rank * (size - i) + smaller;
	}
	return rank;
}

/* All size! permutations of small decks come equally often. */
static void small_decks_have_all_permutations_equally_often(void **state)
{
	static const size_t factorial[] = { 1, 1, 2, 6, 24, 120, 720 };
	static uint32_t seen[720];

	for (size_t size = 2; size <= 6; size++) {
		const uint32_t decks = 200000;
		const double expected = (double)decks / (double)factorial[size];
		double statistic = 0;

		memset(seen, 0, sizeof seen);
		for (uint32_t deck = 0; deck < decks; deck++) {
			uint64_t cards[6];

			deal_all(cards, size, deck);
			seen[permutation_rank(cards, size)]++;
		}
		for (size_t i = 0; i < factorial[size]; i++)
			statistic += (seen[i] - expected) * (seen[i] - expected) / expected;
		assert_chi_square(statistic, (double)factorial[size] - 1);
	}
}

/* Where two cards go together: first and second card, neighbours and far ones, over many decks. */
static void pairs_of_cards_are_uniform(void **state)
{
	static const uint64_t sizes[] = { 7, 16, 17, 30, 1023, 1024, 5000, (uint64_t)1 << 40 };
	static struct ek_deck_batch b;
	enum { BINS = 7, DECKS = 100000 };

	for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
		const uint64_t size = sizes[n], seconds[] = { 1, size / 2, size - 1 };

		for (size_t s = 0; s < 3; s++) {
			double statistic = 0, edges[BINS + 1], cells = 0;
			uint32_t seen[BINS][BINS] = { { 0 } };

			for (int i = 0; i <= BINS; i++)
				edges[i] = ceil((double)size * i / BINS); /* bin i: edges[i] … edges[i+1]-1 */
			for (uint32_t deck = 0; deck < DECKS; deck++) {
				set_card(&b, 0, size, 0, deck);
				set_card(&b, 1, size, seconds[s], deck);
				ek_deck_shuffle(&b, 2, key);
				seen[b.place[0] * BINS / size][b.place[1] * BINS / size]++;
			}
			for (int i = 0; i < BINS; i++)
				for (int j = 0; j < BINS; j++) {
					const double first = edges[i + 1] - edges[i];
					const double second = edges[j + 1] - edges[j] - (i == j);
					const double expected =
						DECKS * first / (double)size * second / (double)(size - 1);

					assert_true(expected > 0 || seen[i][j] == 0);
					if (expected > 0) {
						statistic +=
							(seen[i][j] - expected) * (seen[i][j] - expected) / expected;
						cells++;
					}
				}
			assert_chi_square(statistic, cells - 1);
		}
	}
}

EK_TEST_MAIN(cmocka_unit_test(a_rectangle_holds_its_deck_with_at_most_a_row_to_spare),
             cmocka_unit_test(philox_in_bulk_is_philox), cmocka_unit_test(every_deck_is_a_permutation),
             cmocka_unit_test(large_decks_are_permutations_too), cmocka_unit_test(grouping_does_not_matter),
             cmocka_unit_test(small_decks_have_all_permutations_equally_often),
             cmocka_unit_test(pairs_of_cards_are_uniform))
