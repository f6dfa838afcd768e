/*
 * A row against a block of columns by products, less a point near the columns, so that they tell apart what is alike,
 * too. With hats x^ = x - centre of norm r, rounded to float32 (u = 2^-24), s = |x^|^2 + |y^|^2 - 2 x^ y^ in float32 is
 * the squared distance but for an error of
 *
 *     gamma (r + r')^2, gamma = (d / 2 + 8) u and a little:
 *
 * d / 2 from the product, 2 from rounding the hats, 1 their squares, 2 the sum. For norms a and b, within EK_NEAR_UNIT
 * of 1, the cosine is 1 - s / (2 a b) + (a - b)^2 / (2 a b). A pair is measured only where what s may be off matters:
 * where it may or may not count at some eps, may be a row's most alike, or its least alike that counts.
 */
#include <math.h>

#include "analysis/cluster/near_internal.h"
#include "analysis/cluster/vector.h"

enum { COLUMNS = EK_NEAR_COLUMNS };

static const double more = 0.5 + 2 * EK_NEAR_UNIT, less = 0.5 - 2 * EK_NEAR_UNIT; /* than 1 / (2 a b) */
static const double apart = EK_NEAR_UNIT * EK_NEAR_UNIT;                          /* (a - b)^2 / (2 a b) */

/* What distances say of a row. */
struct aim {
	double error;
	float edges[2 * EK_NEAR_MOST_EPS]; /* rising; by level: up to where pairs count, up to where they may */
	float partner;                     /* up to where a pair may be the most alike */
	float weak[EK_NEAR_MOST_EPS + 1];  /* from where it may be the least alike, by edges above it / 2 */
};

void ek_near_aim(struct ek_near_search *s)
{
	const double units = ((double)s->d / 2 + 8) * 0x1p-24;

	s->gamma = 1.01 * units / (1 - 2 * units);
	s->rest = ((double)s->d + 1000) * 0x1p-52;
}

/* Below it a cosine is above this one. */
static float surely(const struct ek_near_search *s, double above, double error)
{
	return nextafterf((float)((1 - above - s->rest) / more - error), -INFINITY);
}

/* Beyond it a cosine is below this one. */
static float perhaps(const struct ek_near_search *s, double above, double error)
{
	return nextafterf((float)((1 - above + s->rest + apart) / less + error), INFINITY);
}

static void set_edges(struct aim *a, const struct ek_near_search *s)
{
	float last = -INFINITY;

	for (int l = 0; l < s->levels; l++) {
		last = a->edges[2 * l] = fmaxf(last, surely(s, s->above[l], a->error));
		last = a->edges[2 * l + 1] = fmaxf(last, perhaps(s, s->above[l], a->error));
	}
}

/* By what is known of row j so far; `floor`: some cosine of the block is no less. */
static void set_limits(struct aim *a, const struct ek_near_search *s, uint32_t j, double floor)
{
	const double best = fmax(s->best[j], s->near_only ? s->least : floor);

	/* Columns come in order: of those that are as near as can be, the first is known. */
	a->partner = s->best[j] >= 1 ? -INFINITY : perhaps(s, best, a->error);
	a->weak[0] = INFINITY; /* of columns that are not of unit length, which are all measured */
	for (int l = 0; l < s->levels; l++) {
		const double weakest = (double)s->out->weakest[(size_t)s->eps_at[l] * s->out->n + j];

		/* What is less by so little is no less as float32. */
		a->weak[s->levels - l] = surely(s, weakest - fabs(weakest) * 0x1p-26, a->error);
	}
}

/* Products to squared distances; the least of them. */
static float to_distances(const struct ek_near_search *s, float *products, float hat2, size_t count)
{
	const size_t whole = count / 16 * 16;
	float least, second;

	ek_vector_screen(products, s->screen2, hat2, whole, &least, &second);
	for (size_t c = whole; c < count; c++) {
		products[c] = (hat2 + s->screen2[c]) - 2 * products[c];
		least = fminf(least, products[c]);
	}
	return least;
}

static void measure_pair(struct ek_near_search *s, int worker, const float *row, double norm2, uint64_t place, size_t c)
{
	const double value = ek_near_cosine(row, s->columns + c * s->d, norm2, s->norms2[c], s->d);

	ek_near_take(s, worker, place, c, value);
}

/* Row j at `place`, by distances to the columns. */
static void take_row(struct ek_near_search *s, int worker, size_t i, uint64_t place, size_t count, struct aim *aim,
                     double floor, double norm2)
{
	struct ek_near_worker *w = &s->workers[worker];
	const float *row = w->rows + i * s->d, *distances = w->products + i * COLUMNS;
	const int own = place < s->first + s->count;
	uint32_t *hits = s->hits + (own ? place - s->first : 0) * COLUMNS, gone = 0;
	const uint32_t j = s->order[place];
	uint32_t seen[EK_NEAR_MOST_EPS]; /* components of columns that the row was joined to */

	for (int l = 0; l < s->levels; l++)
		seen[l] = UINT32_MAX;
	ek_vector_below(w->codes, distances, aim->edges, 2 * (size_t)s->levels, count);
	for (size_t c = 0; c < count; c++) {
		const int32_t code = w->codes[c];
		const int level = s->levels - code / 2;

		if (code % 2 != 0 || distances[c] <= aim->partner || distances[c] >= aim->weak[code / 2]) {
			measure_pair(s, worker, row, norm2, place, c);
			set_limits(aim, s, j, floor);
			continue;
		}
		if (code == 0)
			continue;
		w->pairs[level]++;
		if (own)
			hits[c] = s->masks[level];
		else
			gone |= s->masks[level] & s->column_kept[c];
		if (s->labels[(size_t)level * COLUMNS + c] == seen[level])
			continue;
		ek_near_join(s, s->order[s->first + c], j, level);
		for (int l = level; l < s->levels; l++)
			seen[l] = s->labels[(size_t)l * COLUMNS + c];
	}
	s->out->kept[j] &= ~gone;
}

void ek_near_scan(struct ek_near_search *s, int worker, size_t i, uint64_t place)
{
	struct ek_near_worker *w = &s->workers[worker];
	const float *row = w->rows + i * s->d, *hat = w->hats + i * s->d;
	const size_t count = (size_t)(place - s->first < s->count ? place - s->first : s->count);
	const double norm2 = ek_vector_dot(row, row, s->d), hat2 = ek_vector_dot(hat, hat, s->d);
	const double span = sqrt(hat2) + s->largest;
	struct aim aim = { .error = s->gamma * span * span };
	double floor;
	float least;

	if (!ek_near_is_unit(norm2)) {
		for (size_t c = 0; c < count; c++)
			measure_pair(s, worker, row, norm2, place, c);
		return;
	}
	least = to_distances(s, w->products + i * COLUMNS, (float)hat2, count);
	floor = 1 - ((double)least + aim.error) * more - s->rest;
	set_edges(&aim, s);
	set_limits(&aim, s, s->order[place], floor);
	if (s->odd || least <= fmaxf(aim.partner, aim.edges[2 * s->levels - 1]))
		take_row(s, worker, i, place, count, &aim, floor, norm2);
}
