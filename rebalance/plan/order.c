#include "rebalance/plan/order.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, PASSES = 3, FEW = 96, IMAGES_PER_PIECE = 1 << 18 };

/* An entry is key << 32 | id, so that ties fall to the lower id. Entries of a unit come in the order of ids, and every
 * pass is stable, so only the key is sorted by. */
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

static int compare_entries(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* scratch: [count] */
static void radix_sort(uint64_t *entries, uint64_t *scratch, uint64_t count)
{
	uint64_t counts[PASSES][DIGITS] = { { 0 } };
	uint64_t *from = entries, *to = scratch;

	for (uint64_t i = 0; i < count; i++)
		for (int p = 0; p < PASSES; p++)
			counts[p][entries[i] >> (32 + p * DIGIT_BITS) & (DIGITS - 1)]++;
	for (int p = 0; p < PASSES; p++) {
		const int shift = 32 + p * DIGIT_BITS;
		uint64_t sum = 0, *swap;

		/* A digit that all share moves nothing. */
		if (counts[p][from[0] >> shift & (DIGITS - 1)] == count)
			continue;
		for (int d = 0; d < DIGITS; d++) {
			const uint64_t here = counts[p][d];

			counts[p][d] = sum;
			sum += here;
		}
		for (uint64_t i = 0; i < count; i++)
			to[counts[p][from[i] >> shift & (DIGITS - 1)]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	if (from != entries)
		memcpy(entries, from, count * sizeof *entries);
}

struct sorting {
	const struct ek_order *order;
	uint64_t *entries;
	uint64_t **scratch; /* [threads], made when needed: [largest] */
	uint64_t largest;
	uint32_t k, units_per_piece;
};

static int sort_unit(struct sorting *s, uint32_t unit, int worker)
{
	const uint64_t start = s->order->start[unit], count = s->order->start[unit + 1] - start;
	uint64_t *entries = s->entries + start;
	int rc = 0;

	if (count <= FEW) {
		insertion_sort(entries, count);
	} else if (count < DIGITS / 2) {
		qsort(entries, count, sizeof *entries, compare_entries);
	} else {
		if (s->scratch[worker] == NULL)
			EK_TRY(ek_alloc_aligned(&s->scratch[worker], s->largest, sizeof(uint64_t)));
		radix_sort(entries, s->scratch[worker], count);
	}
	for (uint64_t i = 0; i < count; i++)
		s->order->ids[start + i] = (uint32_t)entries[i];
out:
	return rc;
}

static int sort_piece(void *context, uint64_t piece, int worker)
{
	struct sorting *s = context;
	const uint64_t first = piece * s->units_per_piece, after = first + s->units_per_piece;
	int rc = 0;

	EK_TRY(ek_check_interrupt());
	for (uint64_t u = first; u < after && u < s->k; u++)
		EK_TRY(sort_unit(s, (uint32_t)u, worker));
out:
	return rc;
}

/* Entries by unit, in the order of ids. */
static int distribute(struct sorting *s, const struct ek_units *units, const uint32_t *keys)
{
	uint64_t *at = NULL;
	int rc;

	EK_TRY(ek_alloc(&at, units->k, sizeof *at));
	for (uint32_t u = 0; u < units->k; u++) {
		at[u] = s->order->start[u];
		s->order->start[u + 1] = s->order->start[u] + units->sizes[u];
		s->largest = units->sizes[u] > s->largest ? units->sizes[u] : s->largest;
	}
	for (uint64_t i = 0; i < units->n; i++) {
		if (units->unit[i] >= 0)
			s->entries[at[units->unit[i]]++] = (uint64_t)keys[i] << 32 | i;
		if (i % IMAGES_PER_PIECE == 0)
			EK_TRY(ek_check_interrupt());
	}
out:
	free(at);
	return rc;
}

int ek_order_make(struct ek_order *order, const struct ek_units *units, const uint32_t *keys)
{
	struct sorting s = { .order = order, .k = units->k };
	int rc;

	*order = (struct ek_order){ 0 };
	if (units->n > UINT32_MAX)
		return ek_fail(EK_ENOTSUP, "%" PRIu64 " images are more than can be put in order (4294967295)",
		               units->n);
	EK_TRY(ek_alloc(&order->start, (size_t)units->k + 1, sizeof *order->start));
	EK_TRY(ek_alloc_aligned(&order->ids, units->total, sizeof *order->ids));
	EK_TRY(ek_alloc_aligned(&s.entries, units->total, sizeof *s.entries));
	EK_TRY(ek_alloc(&s.scratch, (size_t)ek_threads(), sizeof *s.scratch));
	EK_TRY(distribute(&s, units, keys));
	s.units_per_piece = 1 + units->k / 4096;
	EK_TRY(ek_parallel((units->k + s.units_per_piece - 1) / s.units_per_piece, sort_piece, &s));
out:
	for (int t = 0; s.scratch != NULL && t < ek_threads(); t++)
		free(s.scratch[t]);
	free(s.scratch);
	free(s.entries);
	return rc;
}

void ek_order_release(struct ek_order *order)
{
	free(order->ids);
	free(order->start);
	*order = (struct ek_order){ 0 };
}

/* Numbers as unsigned integers of the same order; -0 as 0. */
static uint32_t key_of_float(float value)
{
	uint32_t bits;

	value += 0.0f;
	memcpy(&bits, &value, sizeof bits);
	return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static uint64_t key_of_double(double value)
{
	uint64_t bits;

	value += 0.0;
	memcpy(&bits, &value, sizeof bits);
	return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static int not_a_number(const char *path, uint64_t id)
{
	return ek_fail(EK_EDATA, "%s: row %" PRIu64 " is not a number (NaN)", path, id);
}

static int keys_of_floats(uint32_t *keys, const float *values, uint32_t flip, const struct ek_units *units,
                          const char *path)
{
	int rc = 0;

	for (uint64_t i = 0; i < units->n; i++) {
		if (i % IMAGES_PER_PIECE == 0)
			EK_TRY(ek_check_interrupt());
		if (isnan(values[i]) && units->unit[i] >= 0)
			return not_a_number(path, i);
		keys[i] = key_of_float(values[i]) ^ flip;
	}
out:
	return rc;
}

/* One element as a 64-bit key; 0 with *nan set for what is none. */
static uint64_t wide_key(const struct ek_npy *array, uint64_t i, int *nan)
{
	const char *at = (const char *)array->data + i * ek_dtype_size(array->type);
	uint64_t bits = 0;
	double value;
	float single;

	*nan = 0;
	switch (array->type) {
	case EK_F64:
		memcpy(&value, at, sizeof value);
		*nan = isnan(value);
		return key_of_double(value);
	case EK_F32:
	case EK_F16:
	case EK_BF16:
		ek_convert_f32(&single, 1, at, ek_dtype_size(array->type), 1, array->type, 0);
		*nan = isnan(single);
		return key_of_float(single);
	default:
		break;
	}
	memcpy(&bits, at, ek_dtype_size(array->type));
	if (ek_dtype_kind(array->type) == 'i') {
		const int shift = 64 - 8 * (int)ek_dtype_size(array->type);

		/* Sign-extend, then move the smallest to 0. */
		bits = (uint64_t)((int64_t)(bits << shift) >> shift) ^ (uint64_t)1 << 63;
	}
	return bits;
}

struct wide {
	uint64_t key, id;
};

static int compare_wide(const void *a, const void *b)
{
	const struct wide *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

/* Numbers that do not fit 32 bits: their place among the distinct ones does. */
static int keys_of_wide(uint32_t *keys, const struct ek_npy *array, int falling, const struct ek_units *units,
                        const char *path)
{
	struct wide *all = NULL;
	uint64_t count = 0;
	uint32_t place = 0;
	int rc, nan;

	EK_TRY(ek_alloc_aligned(&all, units->n, sizeof *all));
	for (uint64_t i = 0; i < units->n; i++) {
		const uint64_t key = wide_key(array, i, &nan);

		if (i % IMAGES_PER_PIECE == 0)
			EK_TRY(ek_check_interrupt());
		if (units->unit[i] < 0)
			continue;
		if (nan) {
			rc = not_a_number(path, i);
			goto out;
		}
		all[count++] = (struct wide){ falling ? ~key : key, i };
	}
	qsort(all, count, sizeof *all, compare_wide);
	for (uint64_t i = 0; i < count; i++) {
		place += i > 0 && all[i].key != all[i - 1].key;
		keys[all[i].id] = place;
	}
out:
	free(all);
	return rc;
}

int ek_order_keys(uint32_t *keys, const struct ek_npy *array, int falling, const struct ek_units *units,
                  const char *path)
{
	if (array->dimensions != 1 || array->shape[0] != units->n)
		return ek_fail(EK_EDATA,
		               "%s: %d dimensions, the first of %" PRIu64 "; expected 1 of %" PRIu64
		               ", one number for each image",
		               path, array->dimensions, array->dimensions > 0 ? array->shape[0] : 0, units->n);
	if (array->big_endian)
		return ek_fail(EK_EDATA, "%s: big-endian numbers are not taken here", path);
	if (array->type == EK_F32 && (uintptr_t)array->data % sizeof(float) == 0)
		return keys_of_floats(keys, array->data, falling ? UINT32_MAX : 0, units, path);
	return keys_of_wide(keys, array, falling, units, path);
}

struct drawing {
	uint32_t *keys;
	uint64_t n, seed, stream;
};

static int draw_piece(void *context, uint64_t piece, int worker)
{
	const struct drawing *d = context;
	const uint64_t first = piece * IMAGES_PER_PIECE, after = first + IMAGES_PER_PIECE;

	(void)worker;
	for (uint64_t i = first; i < after && i < d->n; i++)
		d->keys[i] = (uint32_t)(ek_random_u64(d->seed, d->stream, i) >> 32);
	return ek_check_interrupt();
}

int ek_order_random(uint32_t *keys, uint64_t n, uint64_t seed, uint64_t stream)
{
	struct drawing d = { keys, n, seed, stream };

	return ek_parallel((n + IMAGES_PER_PIECE - 1) / IMAGES_PER_PIECE, draw_piece, &d);
}
