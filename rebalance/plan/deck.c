#include "rebalance/plan/deck.h"
#include "rebalance/base/wide.h"

#include <assert.h>
#include <math.h>

enum { ROUNDS_LARGE = 8, ROUNDS_SMALL = 24, SMALL_DECK = 1024 };

void ek_deck_sides(uint32_t *high, uint32_t *low, uint64_t size)
{
	uint64_t side = (uint64_t)sqrt((double)size);

	assert(size >= 1 && size <= EK_DECK_LARGEST);
	while (side * side < size)
		side++;
	*high = (uint32_t)side;
	*low = (uint32_t)((size + side - 1) / side);
}

EK_WIDE void ek_deck_philox(uint32_t words[4][EK_DECK_BATCH], size_t count, const uint32_t key[2])
{
	uint32_t k0 = key[0], k1 = key[1];

	for (int round = 0; round < 10; round++) {
		for (size_t i = 0; i < count; i++) {
			const uint64_t p0 = (uint64_t)0xD2511F53u * words[0][i];
			const uint64_t p1 = (uint64_t)0xCD9E8D57u * words[2][i];

			words[0][i] = (uint32_t)(p1 >> 32) ^ words[1][i] ^ k0;
			words[1][i] = (uint32_t)p1;
			words[2][i] = (uint32_t)(p0 >> 32) ^ words[3][i] ^ k1;
			words[3][i] = (uint32_t)p0;
		}
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
}

/* A random number below `side` from x and two round keys: two multiplications whose halves are folded together. */
static inline uint32_t mix(uint32_t x, uint32_t first, uint32_t second, uint32_t side)
{
	const uint64_t p = (uint64_t)0xD2511F53u * (x ^ first);
	const uint64_t q = (uint64_t)0xCD9E8D57u * ((uint32_t)(p >> 32) ^ (uint32_t)p ^ second);

	return (uint32_t)((uint64_t)((uint32_t)(q >> 32) ^ (uint32_t)q) * side >> 32);
}

/* One round on `left`. Decks of at least `below` cards are left as they are. */
EK_WIDE static void turn(uint32_t *restrict left, const uint32_t *restrict right, const uint32_t *restrict side,
                         const struct ek_deck_batch *restrict b, size_t count, uint32_t round, uint64_t below)
{
	for (size_t i = 0; i < count; i++) {
		const uint32_t first = b->words[0][i] + round * b->words[1][i];
		const uint32_t second = b->words[2][i] + round * b->words[3][i];
		const uint32_t moved = left[i] + (b->size[i] < below ? mix(right[i], first, second, side[i]) : 0);

		left[i] = moved >= side[i] ? moved - side[i] : moved;
	}
}

/* The network once: place = l * low + r. */
static void permute(struct ek_deck_batch *b, size_t count)
{
	uint32_t left[EK_DECK_BATCH], right[EK_DECK_BATCH];
	uint32_t rounds = ROUNDS_LARGE;

	for (size_t i = 0; i < count; i++) {
		left[i] = (uint32_t)(b->place[i] / b->low[i]);
		right[i] = (uint32_t)(b->place[i] - (uint64_t)left[i] * b->low[i]);
		if (b->size[i] < SMALL_DECK)
			rounds = ROUNDS_SMALL;
	}
	for (uint32_t round = 0; round < rounds; round += 2) {
		const uint64_t below = round < ROUNDS_LARGE ? UINT64_MAX : SMALL_DECK;

		turn(left, right, b->high, b, count, round, below);
		turn(right, left, b->low, b, count, round + 1, below);
	}
	for (size_t i = 0; i < count; i++)
		b->place[i] = (uint64_t)left[i] * b->low[i] + right[i];
}

void ek_deck_shuffle(struct ek_deck_batch *b, size_t count, const uint32_t key[2])
{
	struct ek_deck_batch again;
	uint16_t origin[EK_DECK_BATCH];
	size_t walking = 0;

	ek_deck_philox(b->words, count, key);
	permute(b, count);
	for (size_t i = 0; i < count; i++)
		if (b->place[i] >= b->size[i])
			origin[walking++] = (uint16_t)i;
	while (walking > 0) {
		size_t left = 0;

		for (size_t i = 0; i < walking; i++) {
			again.size[i] = b->size[origin[i]];
			again.place[i] = b->place[origin[i]];
			again.high[i] = b->high[origin[i]];
			again.low[i] = b->low[origin[i]];
			for (int w = 0; w < 4; w++)
				again.words[w][i] = b->words[w][origin[i]];
		}
		permute(&again, walking);
		for (size_t i = 0; i < walking; i++) {
			b->place[origin[i]] = again.place[i];
			if (again.place[i] >= again.size[i])
				origin[left++] = origin[i];
		}
		walking = left;
	}
}
