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

enum { IMAGES_PER_PIECE = 1 << 18, IMAGES_SORTED = 1 << 23, SAMPLES_PER_WINDOW = 256 };

int ek_order_make(struct ek_order *order, const struct ek_units *units, const uint32_t *keys)
{
	uint32_t *ranks = NULL;
	int rc;

	*order = (struct ek_order){ 0 };
	EK_TRY(ek_alloc(&order->start, (size_t)units->k + 1, sizeof *order->start));
	EK_TRY(ek_alloc_aligned(&order->ids, units->total, sizeof *order->ids));
	EK_TRY(ek_alloc_aligned(&ranks, units->n, sizeof *ranks));
	memcpy(ranks, keys, units->n * sizeof *ranks);
	EK_TRY(ek_rank(ranks, units));
	for (uint32_t u = 0; u < units->k; u++)
		order->start[u + 1] = order->start[u] + units->sizes[u];
	for (uint64_t i = 0; i < units->n; i++)
		if (units->unit[i] >= 0)
			order->ids[order->start[units->unit[i]] + ranks[i]] = (uint32_t)i;
out:
	free(ranks);
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

struct reading {
	uint32_t *keys;
	const struct ek_npy *array;
	const struct ek_units *units;
	const char *path;
	int falling;
};

static int read_floats(void *context, uint64_t piece, int worker)
{
	const struct reading *r = context;
	const uint64_t begin = piece * IMAGES_PER_PIECE, n = r->units->n;
	const uint64_t end = begin + IMAGES_PER_PIECE < n ? begin + IMAGES_PER_PIECE : n;
	const uint32_t flip = r->falling ? UINT32_MAX : 0;
	const float *values = r->array->data;

	(void)worker;
	for (uint64_t i = begin; i < end; i++) {
		if (isnan(values[i]) && r->units->unit[i] >= 0)
			return not_a_number(r->path, i);
		r->keys[i] = key_of_float(values[i]) ^ flip;
	}
	ek_npy_forget(r->array, begin, end);
	return ek_check_interrupt();
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

/* What the numbers have in common, as a piece of work sees it. */
struct range {
	uint64_t least, most; /* keys */
	int wide;             /* 1: one is no float32 */
};

struct narrowing {
	struct reading r;
	struct range *ranges; /* [pieces] */
	struct range all;
};

static double double_at(const struct ek_npy *array, uint64_t i)
{
	double value;

	memcpy(&value, (const char *)array->data + i * sizeof value, sizeof value);
	return value;
}

static uint64_t end_of(uint64_t piece, uint64_t n)
{
	return n - piece * IMAGES_PER_PIECE < IMAGES_PER_PIECE ? n : (piece + 1) * IMAGES_PER_PIECE;
}

static int find_range(void *context, uint64_t piece, int worker)
{
	const struct narrowing *w = context;
	const struct ek_npy *array = w->r.array;
	const uint64_t begin = piece * IMAGES_PER_PIECE, end = end_of(piece, w->r.units->n);
	struct range range = { .least = UINT64_MAX };
	int nan;

	(void)worker;
	for (uint64_t i = begin; i < end; i++) {
		const uint64_t key = wide_key(array, i, &nan);

		if (w->r.units->unit[i] < 0)
			continue;
		if (nan)
			return not_a_number(w->r.path, i);
		range.least = key < range.least ? key : range.least;
		range.most = key > range.most ? key : range.most;
		if (array->type == EK_F64)
			range.wide |= (double)(float)double_at(array, i) != double_at(array, i);
	}
	ek_npy_forget(array, begin, end);
	ek_units_forget(w->r.units, begin, end);
	w->ranges[piece] = range;
	return ek_check_interrupt();
}

static int narrow_piece(void *context, uint64_t piece, int worker)
{
	const struct narrowing *w = context;
	const uint64_t begin = piece * IMAGES_PER_PIECE, end = end_of(piece, w->r.units->n);
	const uint32_t flip = w->r.falling ? UINT32_MAX : 0;
	const int single = w->r.array->type == EK_F64 && !w->all.wide;
	int nan;

	(void)worker;
	for (uint64_t i = begin; i < end; i++)
		w->r.keys[i] = flip ^ (single ? key_of_float((float)double_at(w->r.array, i))
		                              : (uint32_t)(wide_key(w->r.array, i, &nan) - w->all.least));
	ek_npy_forget(w->r.array, begin, end);
	return ek_check_interrupt();
}

struct wide {
	uint64_t key, id;
};

static int compare_wide(const void *a, const void *b)
{
	const struct wide *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

/* Numbers that do not fit 32 bits: their place among the distinct ones, or with gaps, does. They are sorted a window of
 * values at a time, so memory is that of a window for each thread. */
struct placing {
	struct reading r;
	uint64_t windows;
	uint64_t *least;  /* [windows] rising: a window has the keys from it to below the next one's */
	uint64_t *counts; /* [threads, windows] images */
	uint64_t *firsts; /* [windows + 1] images in the windows before */
};

static uint64_t key_at(const struct reading *r, uint64_t i)
{
	int nan;
	const uint64_t key = wide_key(r->array, i, &nan);

	return r->falling ? ~key : key;
}

/* Windows at even steps through a random sample. A value that is more than a step by itself gets one of its own. */
static int make_windows(struct placing *p, uint64_t windows)
{
	const uint64_t count = windows * SAMPLES_PER_WINDOW, stream = ek_random_stream("order: sample");
	struct wide *sample = NULL;
	int rc;

	EK_TRY(ek_alloc(&sample, count, sizeof *sample));
	EK_TRY(ek_alloc(&p->least, 2 * windows, sizeof *p->least));
	for (uint64_t s = 0; s < count; s++)
		sample[s].key = key_at(&p->r, ek_random_below(0, stream, s, p->r.units->n));
	ek_npy_forget(p->r.array, 0, p->r.units->n);
	qsort(sample, count, sizeof *sample, compare_wide);
	p->windows = 1;
	for (uint64_t w = 1; w < windows; w++) {
		const uint64_t value = sample[w * SAMPLES_PER_WINDOW].key, last = p->least[p->windows - 1];

		if (value > last)
			p->least[p->windows++] = value;
		else if (value == last && value < UINT64_MAX)
			p->least[p->windows++] = value + 1;
	}
out:
	free(sample);
	return rc;
}

static int count_windows(void *context, uint64_t piece, int worker)
{
	const struct placing *p = context;
	const uint64_t begin = piece * IMAGES_PER_PIECE, end = end_of(piece, p->r.units->n);

	for (uint64_t i = begin; i < end; i++) {
		const uint64_t key = key_at(&p->r, i);
		uint64_t w = 0;

		if (p->r.units->unit[i] < 0)
			continue;
		for (uint64_t count = p->windows, half; count > 1; count -= half) {
			half = count / 2;
			w += p->least[w + half] <= key ? half : 0;
		}
		p->counts[(uint64_t)worker * p->windows + w]++;
	}
	ek_npy_forget(p->r.array, begin, end);
	ek_units_forget(p->r.units, begin, end);
	return ek_check_interrupt();
}

static int place_window(void *context, uint64_t w, int worker)
{
	const struct placing *p = context;
	const uint64_t least = p->least[w], most = w + 1 < p->windows ? p->least[w + 1] - 1 : UINT64_MAX;
	const uint64_t n = p->r.units->n, first = p->firsts[w], size = p->firsts[w + 1] - first;
	struct wide *all = NULL;
	uint64_t count = 0, place = first;
	int rc;

	(void)worker;
	/* One value needs no sorting. */
	EK_TRY(ek_alloc_aligned(&all, least < most ? size : 0, sizeof *all));
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t key = key_at(&p->r, i);

		if (i % IMAGES_PER_PIECE == IMAGES_PER_PIECE - 1) {
			ek_npy_forget(p->r.array, i + 1 - IMAGES_PER_PIECE, i + 1);
			ek_units_forget(p->r.units, i + 1 - IMAGES_PER_PIECE, i + 1);
			EK_TRY(ek_check_interrupt());
		}
		if (key < least || key > most || p->r.units->unit[i] < 0)
			continue;
		if (least < most)
			all[count++] = (struct wide){ key, i };
		else
			p->r.keys[i] = (uint32_t)first;
	}
	qsort(all, count, sizeof *all, compare_wide);
	for (uint64_t i = 0; i < count; i++) {
		place += i > 0 && all[i].key != all[i - 1].key;
		p->r.keys[all[i].id] = (uint32_t)place;
	}
out:
	free(all);
	return rc;
}

static int place_keys(const struct reading *r, uint64_t images_per_window)
{
	const uint64_t pieces = (r->units->n + IMAGES_PER_PIECE - 1) / IMAGES_PER_PIECE;
	struct placing p = { .r = *r };
	int rc;

	EK_TRY(make_windows(&p, 1 + r->units->n / images_per_window));
	EK_TRY(ek_alloc(&p.counts, (size_t)ek_threads() * p.windows, sizeof *p.counts));
	EK_TRY(ek_alloc(&p.firsts, p.windows + 1, sizeof *p.firsts));
	EK_TRY(ek_parallel(pieces, count_windows, &p));
	for (uint64_t w = 0; w < p.windows; w++) {
		p.firsts[w + 1] = p.firsts[w];
		for (int t = 0; t < ek_threads(); t++)
			p.firsts[w + 1] += p.counts[(uint64_t)t * p.windows + w];
	}
	EK_TRY(ek_parallel(p.windows, place_window, &p));
out:
	free(p.least);
	free(p.counts);
	free(p.firsts);
	return rc;
}

/* Mostly the numbers fit 32 bits after all: float32 written as float64, whole numbers that lie near each other. */
static int keys_of_wide(const struct reading *r)
{
	const uint64_t pieces = (r->units->n + IMAGES_PER_PIECE - 1) / IMAGES_PER_PIECE;
	struct narrowing w = { .r = *r, .all = { .least = UINT64_MAX } };
	int rc;

	EK_TRY(ek_alloc(&w.ranges, pieces, sizeof *w.ranges));
	EK_TRY(ek_parallel(pieces, find_range, &w));
	for (uint64_t p = 0; p < pieces; p++) {
		w.all.least = w.ranges[p].least < w.all.least ? w.ranges[p].least : w.all.least;
		w.all.most = w.ranges[p].most > w.all.most ? w.ranges[p].most : w.all.most;
		w.all.wide |= w.ranges[p].wide;
	}
	if (w.all.most - w.all.least <= UINT32_MAX || (r->array->type == EK_F64 && !w.all.wide))
		EK_TRY(ek_parallel(pieces, narrow_piece, &w));
	else
		EK_TRY(place_keys(r, IMAGES_SORTED / (uint64_t)ek_threads()));
out:
	free(w.ranges);
	return rc;
}

static int check_array(const struct ek_npy *array, const struct ek_units *units, const char *path)
{
	if (array->dimensions != 1 || array->shape[0] != units->n)
		return ek_fail(EK_EDATA,
		               "%s: %d dimensions, the first of %" PRIu64 "; expected 1 of %" PRIu64
		               ", one number for each image",
		               path, array->dimensions, array->dimensions > 0 ? array->shape[0] : 0, units->n);
	if (array->big_endian)
		return ek_fail(EK_EDATA, "%s: big-endian numbers are not taken here", path);
	return 0;
}

struct missing {
	const struct ek_npy *array;
	const struct ek_units *units;
	uint64_t *counts; /* [pieces] */
};

static int count_missing(void *context, uint64_t piece, int worker)
{
	const struct missing *m = context;
	const uint64_t begin = piece * IMAGES_PER_PIECE, end = end_of(piece, m->units->n);
	int nan;

	(void)worker;
	for (uint64_t i = begin; i < end; i++) {
		(void)wide_key(m->array, i, &nan);
		m->counts[piece] += (uint64_t)(nan && m->units->unit[i] >= 0);
	}
	ek_npy_forget(m->array, begin, end);
	ek_units_forget(m->units, begin, end);
	return ek_check_interrupt();
}

int ek_order_drop(uint64_t *count, uint64_t *first, struct ek_units *units, const struct ek_npy *array,
                  const char *path)
{
	const uint64_t pieces = (units->n + IMAGES_PER_PIECE - 1) / IMAGES_PER_PIECE;
	struct missing m = { .array = array, .units = units };
	int nan, rc;

	*count = 0;
	EK_TRY(check_array(array, units, path));
	if (ek_dtype_kind(array->type) != 'f')
		return 0;
	EK_TRY(ek_alloc(&m.counts, pieces, sizeof *m.counts));
	EK_TRY(ek_parallel(pieces, count_missing, &m));
	for (uint64_t p = 0; p < pieces; p++)
		for (uint64_t i = p * IMAGES_PER_PIECE; m.counts[p] > 0 && i < end_of(p, units->n); i++) {
			(void)wide_key(array, i, &nan);
			if (!nan || units->unit[i] < 0)
				continue;
			EK_TRY(ek_units_drop(units, i));
			if ((*count)++ == 0)
				*first = i;
		}
out:
	free(m.counts);
	return rc;
}

int ek_order_keys(uint32_t *keys, const struct ek_npy *array, int falling, const struct ek_units *units,
                  const char *path)
{
	struct reading reading = { keys, array, units, path, falling };
	int rc;

	EK_TRY(check_array(array, units, path));
	if (array->type == EK_F32 && (uintptr_t)array->data % sizeof(float) == 0)
		EK_TRY(ek_parallel((units->n + IMAGES_PER_PIECE - 1) / IMAGES_PER_PIECE, read_floats, &reading));
	else
		EK_TRY(keys_of_wide(&reading));
out:
	return rc;
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
