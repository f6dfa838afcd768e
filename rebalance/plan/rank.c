#include "rebalance/plan/rank.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

/* A segment's entries and their scratch are 8 MiB: they fit a second-level cache, or nearly. */
enum {
	SEGMENT = 1 << 19,
	SAMPLES_PER_SEGMENT = 64,
	FEW = 64,
	SOME = 1 << 14,
	IMAGES_PER_STEP = 1 << 18,
	IMAGES_PER_PICK = 1 << 11
};

/* An entry is key << 32 | id, so that ties fall to the lower id. Entries of a segment come in the order of ids, and
 * every pass is stable, so only the key is sorted by. */
static void insertion_sort(uint64_t *entries, uint64_t count)
{
	for (uint64_t i = 1; i < count; i++) {
		const uint64_t entry = entries[i];
		uint64_t j = i;

		for (; j > 0 && entries[j - 1] > entry; j--)
			entries[j] = entries[j - 1];
		entries[j] = entry;
	}
}

/* The first entries to `to`, by one digit of the key. counts: of each value of the digit, lost. */
static void radix_pass(uint64_t *to, const uint64_t *from, uint64_t count, uint32_t *counts, int shift, uint32_t digits)
{
	uint32_t sum = 0;

	for (uint32_t d = 0; d < digits; d++) {
		const uint32_t here = counts[d];

		counts[d] = sum;
		sum += here;
	}
	for (uint64_t i = 0; i < count; i++)
		to[counts[from[i] >> shift & (digits - 1)]++] = from[i];
}

/* By `passes` digits that cover the 32 bits of the key; scratch: [count]. */
static void radix_sort(uint64_t *entries, uint64_t *scratch, uint64_t count, int bits, int passes)
{
	enum { MOST_PASSES = 4, MOST_DIGITS = 1 << 11 };
	const uint32_t digits = (uint32_t)1 << bits;
	uint32_t counts[MOST_PASSES * MOST_DIGITS];
	uint64_t *from = entries, *to = scratch;

	memset(counts, 0, (size_t)passes * digits * sizeof *counts);
	for (uint64_t i = 0; i < count; i++)
		for (int p = 0; p < passes; p++)
			counts[(uint32_t)p * digits + (entries[i] >> (32 + p * bits) & (digits - 1))]++;
	for (int p = 0; p < passes; p++) {
		uint32_t *of_pass = counts + (uint32_t)p * digits;
		const int shift = 32 + p * bits;
		uint64_t *swap;

		/* A digit that all share moves nothing. */
		if (of_pass[from[0] >> shift & (digits - 1)] == count)
			continue;
		radix_pass(to, from, count, of_pass, shift, digits);
		swap = from;
		from = to;
		to = swap;
	}
	if (from != entries)
		memcpy(entries, from, count * sizeof *entries);
}

static void sort_entries(uint64_t *entries, uint64_t *scratch, uint64_t count)
{
	if (count <= FEW)
		insertion_sort(entries, count);
	else if (count <= SOME)
		radix_sort(entries, scratch, count, 8, 4);
	else
		radix_sort(entries, scratch, count, 11, 3);
}

struct ranking {
	const struct ek_units *units;
	uint32_t *keys; /* [n] ranks where it is done */
	uint64_t *done; /* [n / 64] bits: its key is not there any more; NULL: each unit is one segment */
	uint64_t n, segment, segments, per_chunk;
	uint64_t *first;   /* [k + 1] the segments of unit u begin at first[u] */
	uint64_t *low;     /* [segments] the smallest entry that belongs to it */
	uint64_t *limit;   /* [k + 1] entries below are of the batch, unless they are done; of no unit, then of each */
	uint64_t *sizes;   /* [segments] */
	uint64_t *places;  /* [chunks, segments] entries of a chunk, then where the next one goes */
	uint64_t chunks;   /* of images */
	uint64_t from, to; /* the segments of the batch at hand */
	uint64_t *starts;  /* [segments + 1] of a segment in `entries` */
	uint64_t *entries, **scratch;
	uint64_t most, largest; /* entries of a batch, of a segment */
	uint64_t per_piece;
};

/* The last segment of from … to-1 whose low is not above the entry; without a branch on what cannot be foreseen. */
static uint64_t find_segment(const uint64_t *low, uint64_t from, uint64_t to, uint64_t entry)
{
	for (uint64_t count = to - from, half; count > 1; count -= half) {
		half = count / 2;
		from += low[from + half] <= entry ? half : 0;
	}
	return from;
}

struct sample {
	uint64_t entry;
	int32_t unit;
};

static int compare_samples(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return x->unit != y->unit ? (x->unit > y->unit) - (x->unit < y->unit)
	                          : (x->entry > y->entry) - (x->entry < y->entry);
}

/* Bounds within units of several segments, at even steps through a random sample of entries: so equal keys, which an
 * id tells apart, do no harm. Where the bounds lie changes only how even the work is. */
static int cut_units(struct ranking *r)
{
	const struct ek_units *units = r->units;
	const uint64_t count = r->n / r->segment * SAMPLES_PER_SEGMENT, stream = ek_random_stream("rank: sample");
	struct sample *samples = NULL;
	uint64_t used = 0, end;
	int rc;

	EK_TRY(ek_alloc(&samples, count, sizeof *samples));
	for (uint64_t s = 0; s < count; s++) {
		const uint64_t id = ek_random_below(0, stream, s, r->n);
		const int32_t u = units->unit[id];

		if (u >= 0 && r->first[u + 1] - r->first[u] > 1)
			samples[used++] = (struct sample){ (uint64_t)r->keys[id] << 32 | id, u };
	}
	ek_units_forget(units, 0, r->n);
	qsort(samples, used, sizeof *samples, compare_samples);
	for (uint64_t s = 0; s < used; s = end) {
		const uint64_t first = r->first[samples[s].unit], parts = r->first[samples[s].unit + 1] - first;

		for (end = s; end < used && samples[end].unit == samples[s].unit;)
			end++;
		for (uint64_t p = 1; p < parts; p++)
			r->low[first + p] = samples[s + p * (end - s) / parts].entry;
	}
out:
	free(samples);
	return rc;
}

static int make_segments(struct ranking *r)
{
	const struct ek_units *units = r->units;
	int rc;

	EK_TRY(ek_alloc(&r->first, (size_t)units->k + 1, sizeof *r->first));
	for (uint32_t u = 0; u < units->k; u++)
		r->first[u + 1] = r->first[u] + 1 + (units->sizes[u] > 0 ? (units->sizes[u] - 1) / r->segment : 0);
	r->segments = r->first[units->k];
	EK_TRY(ek_alloc(&r->low, r->segments, sizeof *r->low));
	EK_TRY(ek_alloc(&r->limit, (size_t)units->k + 1, sizeof *r->limit));
	EK_TRY(ek_alloc(&r->sizes, r->segments, sizeof *r->sizes));
	EK_TRY(ek_alloc(&r->starts, r->segments + 1, sizeof *r->starts));
	if (r->segments > units->k) {
		EK_TRY(ek_alloc(&r->done, r->n / 64 + 1, sizeof *r->done));
		EK_TRY(cut_units(r));
	}
	/* Counters of many tiny segments must not outweigh the images. */
	r->chunks = (uint64_t)ek_threads();
	if (r->chunks > 1 + r->n / (4 * r->segments))
		r->chunks = 1 + r->n / (4 * r->segments);
	r->per_chunk = (r->n / r->chunks / 64 + 1) * 64;
	EK_TRY(ek_alloc(&r->places, r->chunks * r->segments, sizeof *r->places));
out:
	return rc;
}

/* Do something to the images of a chunk, a step of them after the other. */
static int walk(struct ranking *r, uint64_t chunk, void (*step)(struct ranking *, uint64_t *, uint64_t, uint64_t))
{
	const uint64_t begin = chunk * r->per_chunk;
	const uint64_t end = begin + r->per_chunk < r->n ? begin + r->per_chunk : r->n;
	int rc = 0;

	for (uint64_t i = begin; i < end; i += IMAGES_PER_STEP) {
		const uint64_t after = end - i < IMAGES_PER_STEP ? end : i + IMAGES_PER_STEP;

		EK_TRY(ek_check_interrupt());
		step(r, r->places + chunk * r->segments, i, after);
		ek_units_forget(r->units, i, after);
	}
out:
	return rc;
}

static void count_step(struct ranking *r, uint64_t *counts, uint64_t begin, uint64_t end)
{
	for (uint64_t i = begin; i < end; i++) {
		const int32_t u = r->units->unit[i];

		if (u >= 0)
			counts[find_segment(r->low, r->first[u], r->first[u + 1], (uint64_t)r->keys[i] << 32 | i)]++;
		else
			r->keys[i] = EK_NO_RANK;
	}
}

static int count_chunk(void *context, uint64_t chunk, int worker)
{
	(void)worker;
	return walk(context, chunk, count_step);
}

/* The images from `begin` on that are of the batch: most are not, and which cannot be foreseen, so there is no branch.
 */
static size_t pick(uint32_t *picked, const struct ranking *r, uint64_t begin, uint64_t end)
{
	size_t count = 0;

	for (uint64_t i = begin; i < end; i++) {
		const int32_t u = r->units->unit[i];
		const uint64_t entry = (uint64_t)r->keys[i] << 32 | i;
		const uint64_t done = r->done != NULL ? r->done[i / 64] >> i % 64 & 1 : 0;

		picked[count] = (uint32_t)i;
		count += (entry < r->limit[(u < 0 ? -1 : u) + 1]) & !done;
	}
	return count;
}

/* An entry of the batch goes to its segment; one of a chunk stands behind those of the chunks before. */
static void place_step(struct ranking *r, uint64_t *places, uint64_t begin, uint64_t end)
{
	uint32_t picked[IMAGES_PER_PICK];

	for (uint64_t first = begin; first < end; first += IMAGES_PER_PICK) {
		const size_t count =
			pick(picked, r, first, end - first < IMAGES_PER_PICK ? end : first + IMAGES_PER_PICK);

		for (size_t p = 0; p < count; p++) {
			const uint32_t i = picked[p];
			const int32_t u = r->units->unit[i];
			const uint64_t entry = (uint64_t)r->keys[i] << 32 | i;

			if (r->done != NULL)
				r->done[i / 64] |= (uint64_t)1 << i % 64;
			r->entries[places[find_segment(r->low, r->first[u], r->first[u + 1], entry)]++] = entry;
		}
	}
}

static int place_chunk(void *context, uint64_t chunk, int worker)
{
	(void)worker;
	return walk(context, chunk, place_step);
}

static int sort_segment(struct ranking *r, uint64_t s, uint64_t rank, int worker)
{
	uint64_t *entries = r->entries + r->starts[s];
	int rc = 0;

	if (r->sizes[s] > FEW && r->scratch[worker] == NULL)
		EK_TRY(ek_alloc_aligned(&r->scratch[worker], r->largest, sizeof(uint64_t)));
	sort_entries(entries, r->scratch[worker], r->sizes[s]);
	for (uint64_t i = 0; i < r->sizes[s]; i++)
		r->keys[(uint32_t)entries[i]] = (uint32_t)(rank + i);
out:
	return rc;
}

static int sort_piece(void *context, uint64_t piece, int worker)
{
	struct ranking *r = context;
	const uint64_t from = r->from + piece * r->per_piece;
	const uint64_t to = r->to - from < r->per_piece ? r->to : from + r->per_piece;
	const uint64_t *first = r->first;
	uint64_t unit, rank = 0;
	int rc;

	EK_TRY(ek_check_interrupt());
	unit = find_segment(first, 0, r->units->k, from);
	for (uint64_t s = first[unit]; s < from; s++)
		rank += r->sizes[s];
	for (uint64_t s = from; s < to; s++) {
		if (s == first[unit + 1]) {
			unit++;
			rank = 0;
		}
		EK_TRY(sort_segment(r, s, rank, worker));
		rank += r->sizes[s];
	}
out:
	return rc;
}

/* As many segments as there is room for, one at least. */
static uint64_t end_of_batch(const struct ranking *r, uint64_t from, uint64_t room, uint64_t *total)
{
	uint64_t to = from;

	for (*total = 0; to < r->segments && (to == from || *total + r->sizes[to] <= room); to++)
		*total += r->sizes[to];
	return to;
}

static void size_batches(struct ranking *r, uint64_t room)
{
	uint64_t total;

	for (uint64_t c = 0; c < r->chunks; c++)
		for (uint64_t s = 0; s < r->segments; s++)
			r->sizes[s] += r->places[c * r->segments + s];
	for (uint64_t s = 0; s < r->segments; s++)
		r->largest = r->sizes[s] > r->largest ? r->sizes[s] : r->largest;
	for (uint64_t s = 0; s < r->segments; s = end_of_batch(r, s, room, &total)) {
		(void)end_of_batch(r, s, room, &total);
		r->most = total > r->most ? total : r->most;
	}
}

static int rank_batch(struct ranking *r)
{
	uint64_t at = 0;
	int rc;

	for (uint32_t u = 0; u < r->units->k; u++)
		r->limit[u + 1] = r->first[u] >= r->to || r->first[u + 1] <= r->from ? 0
		                  : r->first[u + 1] <= r->to                         ? UINT64_MAX
		                                                                     : r->low[r->to];
	for (uint64_t s = r->from; s < r->to; s++) {
		r->starts[s] = at;
		for (uint64_t c = 0; c < r->chunks; c++) {
			uint64_t *place = &r->places[c * r->segments + s];
			const uint64_t here = *place;

			*place = at;
			at += here;
		}
	}
	EK_TRY(ek_parallel(r->chunks, place_chunk, r));
	r->per_piece = 1 + (r->to - r->from) / 4096;
	EK_TRY(ek_parallel((r->to - r->from + r->per_piece - 1) / r->per_piece, sort_piece, r));
out:
	return rc;
}

static void release(struct ranking *r)
{
	for (int t = 0; r->scratch != NULL && t < ek_threads(); t++)
		free(r->scratch[t]);
	free(r->scratch);
	free(r->done);
	free(r->first);
	free(r->low);
	free(r->limit);
	free(r->sizes);
	free(r->starts);
	free(r->places);
	free(r->entries);
}

int ek_rank_in(uint32_t *ranks, const struct ek_units *units, uint64_t segment, uint64_t room)
{
	struct ranking r = { .units = units, .keys = ranks, .n = units->n, .segment = segment };
	uint64_t total;
	int rc;

	if (units->n > UINT32_MAX)
		return ek_fail(EK_ENOTSUP, "%" PRIu64 " images are more than can be put in order (4294967295)",
		               units->n);
	EK_TRY(make_segments(&r));
	EK_TRY(ek_parallel(r.chunks, count_chunk, &r));
	size_batches(&r, room);
	EK_TRY(ek_alloc_aligned(&r.entries, r.most, sizeof *r.entries));
	EK_TRY(ek_alloc(&r.scratch, (size_t)ek_threads(), sizeof *r.scratch));
	for (; r.to < r.segments; r.from = r.to) {
		r.to = end_of_batch(&r, r.from, room, &total);
		EK_TRY(rank_batch(&r));
	}
out:
	release(&r);
	return rc;
}

int ek_rank(uint32_t *ranks, const struct ek_units *units)
{
	return ek_rank_in(ranks, units, SEGMENT, EK_RANK_ROOM);
}
