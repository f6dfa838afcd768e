#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/rows_device.h"
#include "analysis/quality/neighbours.h"
#include "analysis/quality/pairs.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

/* Of a thread. */
struct notes {
	uint8_t *covered, *recalled; /* [real] */
	uint32_t *hits;              /* [EK_PAIRS_COLUMNS] */
};

/* Generated rows are tiles, real ones columns. */
struct compare {
	struct ek_pairs pairs;
	struct ek_fidelity *out;
	double *generated_radius;             /* [generated] */
	float *ball_above, *ball_below;       /* [real, filled up] squared radius, rounded up and down */
	float *realism_above, *realism_below; /* the same where it is below the median, else -infinity and 0 */
	float *ratio;                         /* [generated] at most the square of the row's realism */
	struct notes *notes;
	int threads;
};

double ek_coverage_expected(uint64_t n, uint64_t m, size_t k)
{
	double missed = 1;

	for (uint64_t t = 1; t <= k && missed > 0; t++)
		missed *= t < n ? (double)(n - t) / (double)(n + m - t) : 0;
	return 1 - missed;
}

/* r_k of every row of a set; `room` [count, k]. */
static int find_radii(double *radius, const struct ek_rows *rows, size_t k)
{
	double *distance = NULL;
	int rc;

	EK_TRY(ek_alloc(&distance, rows->count * k, sizeof *distance));
	EK_TRY(ek_neighbours(NULL, distance, rows, rows, k, 1));
	for (uint64_t i = 0; i < rows->count; i++)
		radius[i] = distance[i * k + k - 1];
out:
	free(distance);
	return rc;
}

static double median_of(double *sorted, const double *values, uint64_t n)
{
	memcpy(sorted, values, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, ek_compare_doubles);
	return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

/* The radii as the screen takes them; realism is NaN if all are alike. */
static int set_radii(struct compare *c)
{
	struct ek_fidelity *out = c->out;
	const uint64_t n = out->real;
	double *sorted = NULL, median, realism = (double)NAN;
	int rc;

	EK_TRY(ek_alloc(&sorted, n, sizeof *sorted));
	EK_TRY(ek_alloc(&c->ball_above, n + EK_PAIRS_LANES, sizeof *c->ball_above));
	EK_TRY(ek_alloc(&c->ball_below, n + EK_PAIRS_LANES, sizeof *c->ball_below));
	EK_TRY(ek_alloc(&c->realism_above, n + EK_PAIRS_LANES, sizeof *c->realism_above));
	EK_TRY(ek_alloc(&c->realism_below, n + EK_PAIRS_LANES, sizeof *c->realism_below));
	EK_TRY(ek_alloc(&c->ratio, out->generated, sizeof *c->ratio));
	median = median_of(sorted, out->radius, n);
	for (uint64_t i = 0; i < n; i++) {
		const double r = out->radius[i];
		const int small = r < median;

		c->ball_above[i] = ek_pairs_above(r * r);
		c->ball_below[i] = fmaxf(ek_pairs_below(r * r), 0);
		c->realism_above[i] = small ? c->ball_above[i] : -INFINITY;
		c->realism_below[i] = small ? c->ball_below[i] : 0;
		if (small)
			realism = 0;
	}
	for (uint64_t j = 0; j < out->generated; j++)
		out->realism[j] = realism;
out:
	free(sorted);
	return rc;
}

/* A pair that the screen does not settle. */
struct pair {
	const struct ek_pairs *pairs;
	const struct ek_tile *tile;
	size_t i, j;
	float low, upper;
	double distance; /* -1: not measured yet */
};

static double distance_of(struct pair *p)
{
	if (p->distance < 0)
		p->distance = sqrt(ek_pairs_measure(p->pairs, p->tile, p->i, &p->pairs->block, p->j));
	return p->distance;
}

static int is_inside(struct pair *p, double radius, float above, float below, int closed)
{
	if (!(p->low <= above))
		return 0;
	if (p->upper < below)
		return 1;
	return closed ? distance_of(p) <= radius : distance_of(p) < radius;
}

/* Row i of the tile against those columns that the screen could not rule out. */
static void look(struct compare *c, struct notes *notes, const struct ek_tile *tile, size_t i, const float *low,
                 size_t hits)
{
	const struct ek_tile *block = &c->pairs.block;
	struct ek_fidelity *out = c->out;
	const uint64_t y = tile->first + i;
	const double radius = c->generated_radius[y];
	const float above = ek_pairs_above(radius * radius), below = fmaxf(ek_pairs_below(radius * radius), 0);

	for (size_t h = 0; h < hits; h++) {
		const size_t j = notes->hits[h];
		const uint64_t x = block->first + j;
		struct pair p = { &c->pairs, tile, i, j, low[j], 0, -1 };

		if (j >= block->count)
			break;
		p.upper = p.low + (block->doubt[j] + tile->doubt[i]);
		if (is_inside(&p, out->radius[x], c->ball_above[x], c->ball_below[x], out->closed)) {
			out->balls[y]++;
			notes->covered[x] = 1;
		}
		if (!notes->recalled[x] && is_inside(&p, radius, above, below, out->closed))
			notes->recalled[x] = 1;
		if (c->realism_above[x] < 0 || p.low * c->ratio[y] > c->realism_above[x])
			continue;
		if (out->radius[x] > 0 || p.low <= 0) /* else it is 0 */
			out->realism[y] = fmax(out->realism[y], distance_of(&p) > 0 ? out->radius[x] / distance_of(&p)
			                                                            : (double)INFINITY);
	}
}

static int scan(void *context, uint64_t piece, int worker)
{
	struct compare *c = context;
	struct ek_pairs *p = &c->pairs;
	const struct ek_tile *tile = &p->tiles[worker], *block = &p->block;
	struct notes *notes = &c->notes[worker];

	ek_pairs_tile(p, worker, piece * EK_PAIRS_ROWS);
	ek_pairs_multiply(p, worker, 0);
	for (size_t i = 0; i < tile->count; i++) {
		float *row = p->products[worker] + i * block->size, *ratio = &c->ratio[tile->first + i];
		const double radius = c->generated_radius[tile->first + i];
		const float most = ek_pairs_ratio(row, block->low, tile->low[i], block->doubt, tile->doubt[i],
		                                  c->realism_below + block->first, block->size);

		*ratio = fmaxf(*ratio, fminf(most * (1 - 0x1p-20F), FLT_MAX)); /* its own rounding taken off */
		look(c, notes, tile, i, row,
		     ek_pairs_hits(notes->hits, row, ek_pairs_above(radius * radius), c->ball_above + block->first,
		                   *ratio, c->realism_above + block->first, block->size));
	}
	ek_progress_add(tile->count);
	return ek_check_interrupt();
}

/* A generated row and the real ones that may have a say, measured. */
static int take_row(void *context, uint64_t y, const uint32_t *index, const double *distance2, size_t count, int worker)
{
	struct compare *c = context;
	struct ek_fidelity *out = c->out;
	struct notes *notes = &c->notes[worker];

	for (size_t i = 0; i < count; i++) {
		const uint64_t x = index[i];
		const double distance = sqrt(distance2[i]), radius = out->radius[x], own = c->generated_radius[y];

		if (out->closed ? distance <= radius : distance < radius) {
			out->balls[y]++;
			notes->covered[x] = 1;
		}
		if (out->closed ? distance <= own : distance < own)
			notes->recalled[x] = 1;
		if (c->realism_above[x] >= 0 && (radius > 0 || distance <= 0))
			out->realism[y] = fmax(out->realism[y], distance > 0 ? radius / distance : (double)INFINITY);
	}
	return 0;
}

/* Squared radii; of the real ones also those that count for realism, else 0. */
static int compare_on_device(struct compare *c)
{
	const uint64_t n = c->out->real, m = c->out->generated;
	struct ek_nn_rows *rows = NULL, *columns = NULL;
	double *ball = NULL, *weight = NULL, *reach = NULL;
	int rc;

	EK_TRY(ek_alloc(&ball, n, sizeof *ball));
	EK_TRY(ek_alloc(&weight, n, sizeof *weight));
	EK_TRY(ek_alloc(&reach, m, sizeof *reach));
	for (uint64_t i = 0; i < n; i++) {
		ball[i] = c->out->radius[i] * c->out->radius[i];
		weight[i] = c->realism_above[i] >= 0 ? ball[i] : 0;
	}
	for (uint64_t j = 0; j < m; j++)
		reach[j] = c->generated_radius[j] * c->generated_radius[j];
	EK_TRY(ek_rows_to_device(&rows, c->pairs.rows, c->pairs.centre));
	EK_TRY(ek_rows_to_device(&columns, c->pairs.columns, c->pairs.centre));
	EK_TRY(ek_nn_rows_within(rows, columns, &(struct ek_nn_rows_balls){ reach, ball, weight }, take_row, c));
out:
	ek_nn_rows_free(rows);
	ek_nn_rows_free(columns);
	free(ball);
	free(weight);
	free(reach);
	return rc;
}

static int compare_all(struct compare *c)
{
	const uint64_t n = c->out->real, m = c->out->generated, blocks = (n + EK_PAIRS_COLUMNS - 1) / EK_PAIRS_COLUMNS;
	int rc;

	ek_progress_begin("comparing real and generated images", "comparisons", blocks * m);
	EK_TRY(ek_alloc(&c->notes, (size_t)c->threads, sizeof *c->notes));
	for (int i = 0; i < c->threads; i++) {
		EK_TRY(ek_alloc(&c->notes[i].covered, n, 1));
		EK_TRY(ek_alloc(&c->notes[i].recalled, n, 1));
		EK_TRY(ek_alloc(&c->notes[i].hits, EK_PAIRS_COLUMNS, sizeof *c->notes[i].hits));
	}
	if (ek_rows_worth_device(m, n, c->pairs.d)) {
		rc = compare_on_device(c);
		goto out;
	}
	for (uint64_t first = 0; first < n; first += EK_PAIRS_COLUMNS) {
		EK_TRY(ek_pairs_block(&c->pairs, first));
		EK_TRY(ek_pieces((m + EK_PAIRS_ROWS - 1) / EK_PAIRS_ROWS, scan, c,
		                 (double)m * (double)c->pairs.block.count * (double)c->pairs.d));
	}
out:
	ek_progress_end();
	return rc;
}

static void count_up(const struct compare *c)
{
	struct ek_fidelity *out = c->out;
	uint64_t covered = 0, recalled = 0, precise = 0, balls = 0;

	for (uint64_t i = 0; i < out->real; i++) {
		for (int w = 0; w < c->threads; w++) {
			out->covered[i] |= c->notes[w].covered[i];
			out->recalled[i] |= c->notes[w].recalled[i];
		}
		covered += out->covered[i];
		recalled += out->recalled[i];
	}
	for (uint64_t j = 0; j < out->generated; j++) {
		precise += out->balls[j] > 0;
		balls += out->balls[j];
	}
	out->precision = (double)precise / (double)out->generated;
	out->recall = (double)recalled / (double)out->real;
	out->density = (double)balls / ((double)out->k * (double)out->generated);
	out->coverage = (double)covered / (double)out->real;
	out->coverage_expected = ek_coverage_expected(out->real, out->generated, out->k);
}

static void release(struct compare *c)
{
	for (int i = 0; c->notes != NULL && i < c->threads; i++) {
		free(c->notes[i].covered);
		free(c->notes[i].recalled);
		free(c->notes[i].hits);
	}
	free(c->notes);
	free(c->generated_radius);
	free(c->ball_above);
	free(c->ball_below);
	free(c->realism_above);
	free(c->realism_below);
	free(c->ratio);
	ek_pairs_release(&c->pairs);
}

int ek_fidelity(struct ek_fidelity *out, const struct ek_rows *real, const struct ek_rows *generated, size_t k,
                int closed)
{
	struct compare c = { .out = out, .threads = ek_threads() };
	int rc;

	*out = (struct ek_fidelity){ .k = k, .closed = closed, .real = real->count, .generated = generated->count };
	EK_TRY(ek_alloc(&out->radius, out->real, sizeof *out->radius));
	EK_TRY(ek_alloc(&out->covered, out->real, sizeof *out->covered));
	EK_TRY(ek_alloc(&out->recalled, out->real, sizeof *out->recalled));
	EK_TRY(ek_alloc(&out->balls, out->generated, sizeof *out->balls));
	EK_TRY(ek_alloc(&out->realism, out->generated, sizeof *out->realism));
	EK_TRY(ek_alloc(&c.generated_radius, out->generated, sizeof *c.generated_radius));
	EK_TRY(find_radii(out->radius, real, k));
	EK_TRY(find_radii(c.generated_radius, generated, k));
	EK_TRY(set_radii(&c));
	EK_TRY(ek_pairs_init(&c.pairs, generated, real));
	EK_TRY(compare_all(&c));
	count_up(&c);
out:
	release(&c);
	return rc;
}

void ek_fidelity_release(struct ek_fidelity *f)
{
	free(f->radius);
	free(f->covered);
	free(f->recalled);
	free(f->balls);
	free(f->realism);
	*f = (struct ek_fidelity){ 0 };
}
