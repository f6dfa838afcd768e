/*
 * Decks: random permutations of 0 … size-1 that are computed, not stored. Where card number `place` of a deck lies is a
 * pure function of the deck's key, in constant time, so a shuffle of 2^40 images needs no memory and no start.
 *
 * The permutation is a Feistel network on the rectangle of `high` × `low` cells that holds `size` of them (Black and
 * Rogaway 2002, "Ciphers with arbitrary finite domains"): cell (l, r) becomes (l + F(r), r), then (l, r + F'(l)), and
 * so on, sums modulo the sides, round keys from one Philox block; a cell outside the deck is sent through again until
 * it lies inside (cycle walking; sides near sqrt(size) leave at most one row outside). A round forgets how two cards
 * lay to each other but for a chance of 1 / side, so pairs are uniform but for about side^(-rounds / 2): 24 rounds for
 * decks below 1024 cards and 8 above keep that under 10^-6 (tests/rebalance/plan/test_deck.c counts permutations).
 *
 * Work is done for many cards at a time, in vector registers; results do not depend on how cards are grouped.
 */
#ifndef EK_PLAN_DECK_H
#define EK_PLAN_DECK_H

#include <stddef.h>
#include <stdint.h>

enum { EK_DECK_BATCH = 256 };
#define EK_DECK_LARGEST ((uint64_t)1 << 52)

/* The first `count` of each array are in use, count <= EK_DECK_BATCH. */
struct ek_deck_batch {
	uint64_t size[EK_DECK_BATCH];  /* cards of the deck, 1 … EK_DECK_LARGEST */
	uint64_t place[EK_DECK_BATCH]; /* 0 … size-1; in and out */
	uint32_t high[EK_DECK_BATCH], low[EK_DECK_BATCH];
	uint32_t words[4][EK_DECK_BATCH]; /* in: which deck it is (any 128 bits); lost */
};

/* The sides of a deck's rectangle. */
void ek_deck_sides(uint32_t *high, uint32_t *low, uint64_t size);

/* place[i] = the card that lies at place[i] in the deck that key and words[.][i] name. */
void ek_deck_shuffle(struct ek_deck_batch *batch, size_t count, const uint32_t key[2]);

/* words[.][i] = Philox4x32-10 of the counter words[.][i], as ek_philox; each array has `count` <= EK_DECK_BATCH. */
void ek_deck_philox(uint32_t words[4][EK_DECK_BATCH], size_t count, const uint32_t key[2]);

#endif
