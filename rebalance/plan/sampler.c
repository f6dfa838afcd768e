#include "rebalance/plan/sampler.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/plan/deck.h"

enum { BLOCK = EK_SAMPLER_BLOCK, FULL = 0, TAIL = 1, GRIDS = 2, DECK_TAG = 2, SHARE_BITS = 62 };
__extension__ typedef unsigned __int128 wide;

/* Where units lie on the slots of blocks of `size` positions: unit k begins at whole[k] + part[k] / 2^64 slots. */
struct grid {
	uint64_t size;
	uint32_t *whole; /* [units + 1] */
	uint64_t *part;  /* [units + 1] */
	uint32_t *cells; /* [size + 1] the first k with whole[k] >= slot */
	uint64_t shift;  /* of the offsets */
};

struct unit {
	uint64_t first, size; /* of its members */
	uint32_t high, low;   /* sides of its deck */
};

/* A unit with slots in the block at hand. */
struct run {
	uint32_t unit, slots;
};

struct ek_sampler {
	uint64_t length, full_blocks;
	uint32_t count, key[2];
	const uint32_t *members32;
	const int64_t *members64;
	struct unit *units;
	struct grid grids[GRIDS];
	/* The block at hand: run and number of the visit at each position. */
	uint64_t epoch, block;
	struct run *runs;
	uint16_t *order;
	uint64_t *visits;
	uint64_t *parts[2], *below[2], *next; /* by run: bounds, counts of offsets below them, the next visit */
	struct ek_deck_batch batch;
};

/* Shares as integers that sum to 2^62: what rounding leaves goes to the largest. */
static int cut_shares(uint64_t *out, const struct ek_sampler_units *units)
{
	const uint64_t whole = (uint64_t)1 << SHARE_BITS;
	double total = 0;
	uint64_t used = 0;
	uint32_t largest = 0;

	for (uint32_t k = 0; k < units->count; k++) {
		if (!(units->shares[k] >= 0) || !isfinite(units->shares[k]))
			return ek_fail(EK_EDATA, "the share of unit %" PRIu32 " is %g, not a number from 0 on", k,
			               units->shares[k]);
		if (units->shares[k] > 0 && units->sizes[k] == 0)
			return ek_fail(EK_EDATA, "unit %" PRIu32 " has a share, %g, but no image", k, units->shares[k]);
		total += units->shares[k];
		largest = units->shares[k] > units->shares[largest] ? k : largest;
	}
	if (!(fabs(total - 1) <= 1e-6))
		return ek_fail(EK_EDATA, "the shares of %" PRIu32 " units sum to %.9g, not to 1", units->count, total);
	for (uint32_t k = 0; k < units->count; k++)
		used += out[k] = (uint64_t)ldexp(units->shares[k] / total, SHARE_BITS);
	out[largest] += whole - used;
	return 0;
}

static int make_grid(struct grid *grid, const uint64_t *shares, uint32_t count, uint64_t size, uint64_t shift)
{
	uint64_t bound = 0;
	uint32_t k = 0;
	int rc;

	grid->size = size;
	grid->shift = shift;
	EK_TRY(ek_alloc(&grid->whole, (size_t)count + 1, sizeof *grid->whole));
	EK_TRY(ek_alloc(&grid->part, (size_t)count + 1, sizeof *grid->part));
	EK_TRY(ek_alloc(&grid->cells, (size_t)size + 1, sizeof *grid->cells));
	for (uint32_t i = 0; i <= count; i++) {
		const wide at = (wide)bound * size;

		grid->whole[i] = (uint32_t)(at >> SHARE_BITS);
		grid->part[i] = (uint64_t)(at << (64 - SHARE_BITS));
		bound += i < count ? shares[i] : 0;
	}
	for (uint64_t slot = 0; slot <= size; slot++) {
		while (grid->whole[k] < slot)
			k++;
		grid->cells[slot] = k;
	}
out:
	return rc;
}

static int make_units(struct ek_sampler *s, const struct ek_sampler_units *units)
{
	uint64_t first = 0;
	int rc;

	EK_TRY(ek_alloc(&s->units, units->count, sizeof *s->units));
	for (uint32_t k = 0; k < units->count; k++) {
		s->units[k] = (struct unit){ .first = first, .size = units->sizes[k] };
		if (units->sizes[k] > EK_DECK_LARGEST)
			return ek_fail(EK_EUSAGE, "unit %" PRIu32 " has %" PRIu64 " images, more than 2^52", k,
			               units->sizes[k]);
		if (units->sizes[k] > 0)
			ek_deck_sides(&s->units[k].high, &s->units[k].low, units->sizes[k]);
		first += units->sizes[k];
	}
out:
	return rc;
}

int ek_sampler_new(struct ek_sampler **out, const struct ek_sampler_units *units, uint64_t length, uint64_t seed)
{
	const uint64_t stream = ek_random_stream("sampler"), key = ek_random_u64(seed, stream, 0);
	struct ek_sampler *s = NULL;
	uint64_t *shares = NULL;
	int rc;

	*out = NULL;
	assert(units->count > 0);
	if (length == 0 || length > EK_DECK_LARGEST)
		return ek_fail(EK_EUSAGE, "an epoch of %" PRIu64 " positions is not in 1 ... 2^52", length);
	EK_TRY(ek_alloc(&s, 1, sizeof *s));
	s->length = length;
	s->full_blocks = length / BLOCK;
	s->count = units->count;
	s->key[0] = (uint32_t)key;
	s->key[1] = (uint32_t)(key >> 32);
	s->block = UINT64_MAX;
	s->members32 = units->members_type == EK_U32 ? units->members : NULL;
	s->members64 = units->members_type == EK_I64 ? units->members : NULL;
	EK_TRY(ek_alloc(&shares, units->count, sizeof *shares));
	EK_TRY(cut_shares(shares, units));
	EK_TRY(make_units(s, units));
	EK_TRY(make_grid(&s->grids[FULL], shares, s->count, BLOCK, ek_random_u64(seed, stream, 1)));
	EK_TRY(make_grid(&s->grids[TAIL], shares, s->count, length % BLOCK, ek_random_u64(seed, stream, 2)));
	EK_TRY(ek_alloc(&s->runs, BLOCK, sizeof *s->runs));
	EK_TRY(ek_alloc(&s->order, BLOCK, sizeof *s->order));
	EK_TRY(ek_alloc(&s->visits, BLOCK, sizeof *s->visits));
	EK_TRY(ek_alloc(&s->next, BLOCK, sizeof *s->next));
	for (int i = 0; i < 2; i++) {
		EK_TRY(ek_alloc(&s->parts[i], BLOCK, sizeof *s->parts[i]));
		EK_TRY(ek_alloc(&s->below[i], BLOCK, sizeof *s->below[i]));
	}
out:
	free(shares);
	if (rc < 0)
		ek_sampler_free(s);
	else
		*out = s;
	return rc;
}

void ek_sampler_free(struct ek_sampler *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < GRIDS; i++) {
		free(s->grids[i].whole);
		free(s->grids[i].part);
		free(s->grids[i].cells);
	}
	for (int i = 0; i < 2; i++) {
		free(s->parts[i]);
		free(s->below[i]);
	}
	free(s->units);
	free(s->runs);
	free(s->order);
	free(s->visits);
	free(s->next);
	free(s);
}

uint64_t ek_sampler_length(const struct ek_sampler *s)
{
	return s->length;
}

static uint64_t reverse_bits(uint64_t x)
{
	x = (x >> 1 & 0x5555555555555555u) | (x & 0x5555555555555555u) << 1;
	x = (x >> 2 & 0x3333333333333333u) | (x & 0x3333333333333333u) << 2;
	x = (x >> 4 & 0x0f0f0f0f0f0f0f0fu) | (x & 0x0f0f0f0f0f0f0f0fu) << 4;
	return __builtin_bswap64(x);
}

/* The offset of block `index` of a grid, in 2^-64 slots. */
static uint64_t offset(const struct grid *grid, uint64_t index)
{
	return reverse_bits(index) ^ grid->shift;
}

/*
 * below[i] = how many of the first `index` offsets are below parts[i]. The numbers below `index` fall into one range
 * for each of its binary ones: the ones above it kept, this one 0, the j digits under it free. Reversed, the free
 * digits are the upper ones: in such a range the offsets are spaced by 2^-j and all end in the same digits.
 */
static void count_below(uint64_t *restrict below, const uint64_t *restrict parts, size_t count, const struct grid *grid,
                        uint64_t index)
{
	for (size_t i = 0; i < count; i++)
		below[i] = 0;
	for (uint64_t rest = index; rest != 0; rest &= rest - 1) {
		const int j = __builtin_ctzll(rest);
		const uint64_t mask = UINT64_MAX >> j, end = offset(grid, rest & (rest - 1)) & mask;
		const int most = (63 - j) & 63; /* so that no shift is by 64 */

		for (size_t i = 0; i < count; i++)
			below[i] += (parts[i] >> 1 >> most) + (end < (parts[i] & mask));
	}
}

/* The first slot of unit k in a block with offset u. */
static uint64_t first_slot(const struct grid *grid, uint32_t k, uint64_t u)
{
	return grid->whole[k] + (u < grid->part[k]);
}

/* The unit of a slot: the last one that begins at it or before. */
static uint32_t unit_of_slot(const struct grid *grid, uint64_t slot, uint64_t u)
{
	uint32_t low = grid->cells[slot], high = grid->cells[slot + 1];

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (grid->part[middle] <= u)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

/* The units of a block, in the order of slots; returns how many. */
static size_t find_runs(struct ek_sampler *s, const struct grid *grid, uint64_t u)
{
	size_t count = 0;

	for (uint64_t slot = 0; slot < grid->size;) {
		const uint32_t k = unit_of_slot(grid, slot, u);
		const uint64_t end = first_slot(grid, k + 1, u);

		s->runs[count++] = (struct run){ k, (uint32_t)(end - slot) };
		slot = end;
	}
	return count;
}

/* next[i] += the visits of the unit of run i in the first `index` blocks of a grid. */
static void count_visits(struct ek_sampler *s, size_t runs, const struct grid *grid, uint64_t index)
{
	for (size_t i = 0; i < runs; i++) {
		s->parts[0][i] = grid->part[s->runs[i].unit];
		s->parts[1][i] = grid->part[s->runs[i].unit + 1];
	}
	for (int bound = 0; bound < 2; bound++)
		count_below(s->below[bound], s->parts[bound], runs, grid, index);
	for (size_t i = 0; i < runs; i++) {
		const uint32_t k = s->runs[i].unit;

		s->next[i] += index * (grid->whole[k + 1] - grid->whole[k]) + s->below[1][i] - s->below[0][i];
	}
}

/* Put the slots of a block on its positions, by Fisher and Yates; the bias of a choice is below 2^-20. */
static void shuffle(struct ek_sampler *s, size_t runs, int which, uint64_t index)
{
	const size_t size = s->grids[which].size, groups = (size + 3) / 4;
	uint32_t words[BLOCK], drawn[4][EK_DECK_BATCH];
	size_t at = 0;

	for (size_t i = 0; i < runs; i++)
		for (uint32_t slot = 0; slot < s->runs[i].slots; slot++)
			s->order[at++] = (uint16_t)i;
	for (size_t first = 0; first < groups; first += EK_DECK_BATCH) {
		const size_t count = groups - first < EK_DECK_BATCH ? groups - first : EK_DECK_BATCH;

		for (size_t i = 0; i < count; i++) {
			drawn[0][i] = (uint32_t)(first + i);
			drawn[1][i] = (uint32_t)index;
			drawn[2][i] = (uint32_t)(index >> 32);
			drawn[3][i] = (uint32_t)which;
		}
		ek_deck_philox(drawn, count, s->key);
		for (size_t i = 0; i < 4 * count; i++)
			words[4 * first + i] = drawn[i % 4][i / 4];
	}
	for (size_t left = size; left > 1; left--) {
		const size_t j = (size_t)((uint64_t)words[left - 1] * left >> 32);
		const uint16_t moved = s->order[j];

		s->order[j] = s->order[left - 1];
		s->order[left - 1] = moved;
	}
}

/* Lay out a block: which run, and which visit of its unit, is at each position. */
static void enter_block(struct ek_sampler *s, uint64_t epoch, uint64_t block)
{
	const int which = block < s->full_blocks ? FULL : TAIL;
	const uint64_t full_before = epoch * s->full_blocks + block, index = which == FULL ? full_before : epoch;
	const struct grid *grid = &s->grids[which];
	size_t runs;

	if (s->block == block && s->epoch == epoch)
		return;
	s->epoch = epoch;
	s->block = block;
	runs = find_runs(s, grid, offset(grid, index));
	for (size_t i = 0; i < runs; i++)
		s->next[i] = 0;
	count_visits(s, runs, &s->grids[FULL], full_before);
	count_visits(s, runs, &s->grids[TAIL], epoch);
	shuffle(s, runs, which, index);
	for (uint64_t i = 0; i < grid->size; i++)
		s->visits[i] = s->next[s->order[i]]++;
}

static int check_positions(const struct ek_sampler *s, uint64_t epoch, uint64_t first, uint64_t stride, uint64_t count)
{
	assert(stride >= 1);
	if (epoch >= ((uint64_t)1 << 60) / s->length)
		return ek_fail(EK_EUSAGE, "epoch %" PRIu64 " is beyond 2^60 positions", epoch);
	if (count > 0 && (first >= s->length || (s->length - 1 - first) / stride < count - 1))
		return ek_fail(EK_EUSAGE,
		               "%" PRIu64 " positions from %" PRIu64 " in steps of %" PRIu64 " go beyond the %" PRIu64
		               " of an epoch",
		               count, first, stride, s->length);
	return 0;
}

int ek_sampler_visits(struct ek_sampler *s, uint64_t epoch, uint64_t first, uint64_t stride, uint64_t count,
                      uint32_t *units, uint64_t *visits)
{
	const int rc = check_positions(s, epoch, first, stride, count);

	for (uint64_t j = 0; rc == 0 && j < count; j++) {
		const uint64_t position = first + j * stride, at = position % BLOCK;

		enter_block(s, epoch, position / BLOCK);
		if (units != NULL)
			units[j] = s->runs[s->order[at]].unit;
		if (visits != NULL)
			visits[j] = s->visits[at];
	}
	return rc;
}

/* Deal the cards of the batch: the ids of `count` visits of units. */
static void deal(struct ek_sampler *s, const uint32_t *units, const uint64_t *visits, size_t count, int64_t *ids)
{
	struct ek_deck_batch *b = &s->batch;
	uint64_t first[EK_DECK_BATCH];

	for (size_t i = 0; i < count; i++) {
		const struct unit *unit = &s->units[units[i]];
		const uint64_t pass = visits[i] / unit->size;

		first[i] = unit->first;
		b->size[i] = unit->size;
		b->place[i] = visits[i] - pass * unit->size;
		b->high[i] = unit->high;
		b->low[i] = unit->low;
		b->words[0][i] = (uint32_t)pass;
		b->words[1][i] = (uint32_t)(pass >> 32);
		b->words[2][i] = units[i];
		b->words[3][i] = DECK_TAG;
	}
	ek_deck_shuffle(b, count, s->key);
	if (s->members32 != NULL) {
		for (size_t i = 0; i < count; i++)
			__builtin_prefetch(&s->members32[first[i] + b->place[i]]);
		for (size_t i = 0; i < count; i++)
			ids[i] = s->members32[first[i] + b->place[i]];
	} else if (s->members64 != NULL) {
		for (size_t i = 0; i < count; i++)
			__builtin_prefetch(&s->members64[first[i] + b->place[i]]);
		for (size_t i = 0; i < count; i++)
			ids[i] = s->members64[first[i] + b->place[i]];
	} else {
		for (size_t i = 0; i < count; i++)
			ids[i] = (int64_t)(first[i] + b->place[i]);
	}
}

int ek_sampler_draw(struct ek_sampler *s, uint64_t epoch, uint64_t first, uint64_t stride, uint64_t count, int64_t *ids)
{
	uint32_t units[EK_DECK_BATCH] = { 0 };
	uint64_t visits[EK_DECK_BATCH];
	int rc = check_positions(s, epoch, first, stride, count);

	for (uint64_t done = 0; rc == 0 && done < count; done += EK_DECK_BATCH) {
		const size_t batch = count - done < EK_DECK_BATCH ? (size_t)(count - done) : EK_DECK_BATCH;

		if (s->count > 1) {
			EK_TRY(ek_sampler_visits(s, epoch, first + done * stride, stride, batch, units, visits));
		} else { /* one unit: every position is its next visit */
			for (size_t i = 0; i < batch; i++)
				visits[i] = epoch * s->length + first + (done + i) * stride;
		}
		deal(s, units, visits, batch, ids + done);
	}
out:
	return rc;
}
