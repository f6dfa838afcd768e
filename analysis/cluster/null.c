#include "analysis/cluster/null.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/coordinates.h"
#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/overlap.h"
#include "analysis/cluster/populations.h"
#include "analysis/skew/inequality.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

enum {
	STARTS = 2,
	ITERATIONS = 20,
	FEWEST = 8,
	IMAGES_PER_FINE = 40,
	ROUNDS = 3,
	TURNS = 64,
	DIVISIONS = 2 * EK_NULL_PARTS
};

static const double thresholds[] = { 0.5, 0.7 };
/* Student's t, 97.5 %, for EK_NULL_PARTS - 1 degrees of freedom. */
static const double t_975 = 2.3646;
_Static_assert(EK_NULL_PARTS == 8, "t_975 is that of 8 parts");

/* All images drawn, in coordinates, and how each division cuts them. */
struct drawn {
	float *x; /* [n, d] */
	uint64_t n;
	size_t d;
	int32_t *population[DIVISIONS]; /* [n] each */
	uint32_t count[DIVISIONS];
};

/* A part, all other images to judge its clusters by, and room for what they are turned to. */
struct part {
	float *x;                                /* [count, d] the part, then the others */
	double *turn, *turned, *deviation, *row; /* [d, d], [count, d], [d], [d] */
	uint64_t *ids;                           /* [n] which of all are the part */
	uint64_t n, count;
	size_t d;
};

static int cluster(struct ek_kmeans_result *out, struct ek_rows *rows, const struct ek_npy *array, uint32_t k,
                   uint64_t seed)
{
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	int rc;

	*out = (struct ek_kmeans_result){ 0 };
	EK_TRY(ek_rows_of(rows, array, 0));
	o.k = k;
	o.iterations = ITERATIONS;
	o.redo = STARTS;
	o.seed = seed;
	o.quiet = 1;
	EK_TRY(ek_kmeans_most(&o.k, rows, &o));
	EK_TRY(ek_kmeans(out, rows, &o));
out:
	return rc;
}

static uint32_t fine_clusters(const struct part *p)
{
	const uint64_t fine = p->n / IMAGES_PER_FINE < EK_NULL_FINE ? p->n / IMAGES_PER_FINE : EK_NULL_FINE;

	return fine > 1 ? (uint32_t)fine : 1;
}

static int gini_of(double *gini, const struct ek_kmeans_result *r)
{
	struct ek_inequality measured;
	int rc;

	EK_TRY(ek_inequality_measure(&measured, r->sizes, r->k));
	*gini = measured.value[EK_GINI];
out:
	return rc;
}

/* Images x [n, d] by the clusters of a part. */
static int assign(struct ek_kmeans_result *out, struct ek_rows *rows, struct ek_npy *array, const float *x, uint64_t n,
                  const struct ek_kmeans_result *r)
{
	const struct ek_kmeans_options o = { .k = r->k, .iterations = 1, .redo = 1, .quiet = 1 };
	int rc;

	*array = ek_rows_memory(x, n, r->dimensions);
	EK_TRY(ek_rows_of(rows, array, 0));
	EK_TRY(ek_kmeans_assign(out, rows, r->centroids, &o));
out:
	return rc;
}

/* The populations of all images drawn; `nearest`: their clusters of a part. */
static int divide(struct drawn *all, int division, const struct ek_kmeans_result *nearest, const int32_t *population,
                  uint32_t count)
{
	int rc;

	EK_TRY(ek_alloc(&all->population[division], all->n, sizeof **all->population));
	for (uint64_t i = 0; i < all->n; i++)
		all->population[division][i] = population[nearest->assignment[i]];
	all->count[division] = count;
out:
	return rc;
}

/* r: the fine clusters of the part. all: NULL for data without structure; else its divisions from `division` on are
 * filled. */
static int gini_of_populations(double *gini, const struct part *p, const struct ek_kmeans_result *r, struct drawn *all,
                               int division)
{
	struct ek_kmeans_result judged = { 0 }, nearest = { 0 };
	struct ek_npy others, everything;
	double *valley = NULL;
	int32_t population[EK_NULL_FINE];
	struct ek_rows rows, all_rows;
	int rc;

	*gini = 0;
	EK_TRY(ek_alloc(&valley, r->k, r->k * sizeof *valley));
	EK_TRY(assign(&judged, &rows, &others, p->x + p->n * p->d, p->count - p->n, r));
	EK_TRY(ek_populations_valleys(valley, &rows, &judged));
	if (all != NULL)
		EK_TRY(assign(&nearest, &all_rows, &everything, all->x, all->n, r));
	for (int t = 0; t < 2; t++) {
		struct ek_inequality measured;
		uint64_t sizes[EK_NULL_FINE] = { 0 };
		uint32_t count;

		EK_TRY(ek_populations_join(population, &count, valley, &judged, thresholds[t]));
		for (uint32_t c = 0; c < r->k; c++)
			sizes[population[c]] += judged.sizes[c];
		EK_TRY(ek_inequality_measure(&measured, sizes, count));
		*gini += measured.value[EK_GINI] / 2;
		if (all != NULL)
			EK_TRY(divide(all, division + t, &nearest, population, count));
	}
out:
	free(valley);
	ek_kmeans_release(&judged);
	ek_kmeans_release(&nearest);
	return rc;
}

/* Both Gini coefficients of a part: that of k clusters, and that of the populations. */
static int measure(double *clusters, double *populations, const struct part *p, uint32_t k, uint64_t seed,
                   struct drawn *all, int division)
{
	const struct ek_npy array = ek_rows_memory(p->x, p->n, p->d);
	const uint32_t fine = fine_clusters(p);
	struct ek_kmeans_result few = { 0 }, r = { 0 };
	struct ek_rows rows;
	int rc;

	EK_TRY(cluster(&r, &rows, &array, fine, seed));
	if (k != fine)
		EK_TRY(cluster(&few, &rows, &array, k, seed));
	EK_TRY(gini_of(clusters, k != fine ? &few : &r));
	EK_TRY(gini_of_populations(populations, p, &r, all, division));
out:
	ek_kmeans_release(&few);
	ek_kmeans_release(&r);
	return rc;
}

/* A random rotation: Gram and Schmidt on normal numbers, twice for the sake of rounding. */
static void make_turn(double *turn, size_t d, uint64_t seed)
{
	const uint64_t stream = ek_random_stream("null rotation");

	for (size_t i = 0; i < d * d; i++)
		turn[i] = ek_random_normal(seed, stream, i);
	for (size_t i = 0; i < d; i++) {
		double norm = 0;

		for (size_t j = 0; j < 2 * i; j++) {
			const double *before = turn + (j % i) * d;
			double dot = 0;

			for (size_t c = 0; c < d; c++)
				dot += before[c] * turn[i * d + c];
			for (size_t c = 0; c < d; c++)
				turn[i * d + c] -= dot * before[c];
		}
		for (size_t c = 0; c < d; c++)
			norm += turn[i * d + c] * turn[i * d + c];
		for (size_t c = 0; c < d; c++)
			turn[i * d + c] /= sqrt(norm);
	}
}

static void set_deviation(struct part *p)
{
	const uint64_t count = p->count;
	for (size_t c = 0; c < p->d; c++) {
		double sum = 0, squares = 0;

		for (uint64_t i = 0; i < count; i++)
			sum += (double)p->x[i * p->d + c];
		for (uint64_t i = 0; i < count; i++) {
			const double moved = (double)p->x[i * p->d + c] - sum / (double)count;

			squares += moved * moved;
		}
		p->deviation[c] = sqrt(squares / (double)count);
	}
}

/* Each column of `turned` in an order of its own (Fisher and Yates). */
static void permute(struct part *p, uint64_t seed)
{
	const uint64_t count = p->count;
	const uint64_t stream = ek_random_stream("null permutation");

	for (size_t c = 0; c < p->d; c++)
		for (uint64_t i = count; i > 1; i--) {
			const uint64_t j = ek_random_below(seed, stream, c * count + i - 1, i);
			const double kept = p->turned[(i - 1) * p->d + c];

			p->turned[(i - 1) * p->d + c] = p->turned[j * p->d + c];
			p->turned[j * p->d + c] = kept;
		}
}

/* x [d] in place; columns: [d, d], the transposed rotation; room: [d] */
static void turn_row(double *restrict x, const double *restrict columns, double *restrict room, size_t d)
{
	memcpy(room, x, d * sizeof *x);
	memset(x, 0, d * sizeof *x);
	for (size_t c = 0; c < d; c++)
		for (size_t a = 0; a < d; a++)
			x[a] += columns[c * d + a] * room[c];
}

static void transpose(double *matrix, size_t d)
{
	for (size_t a = 0; a < d; a++)
		for (size_t c = 0; c < a; c++) {
			const double kept = matrix[a * d + c];

			matrix[a * d + c] = matrix[c * d + a];
			matrix[c * d + a] = kept;
		}
}

/* Take the structure out of a part: whiten, turn and permute a few times, scale back. */
static void loosen(struct part *p, uint64_t seed)
{
	const uint64_t count = p->count;
	const size_t d = p->d;

	set_deviation(p);
	for (uint64_t i = 0; i < count; i++)
		for (size_t c = 0; c < d; c++)
			p->turned[i * d + c] = p->deviation[c] > 0 ? (double)p->x[i * d + c] / p->deviation[c] : 0;
	for (uint64_t round = 0; round < ROUNDS || round * d < TURNS; round++) {
		const uint64_t own = ek_random_u64(seed, ek_random_stream("null round"), round);

		make_turn(p->turn, d, own);
		transpose(p->turn, d);
		for (uint64_t i = 0; i < count; i++)
			turn_row(p->turned + i * d, p->turn, p->row, d);
		permute(p, own);
	}
	for (uint64_t i = 0; i < count; i++)
		for (size_t c = 0; c < d; c++)
			p->x[i * d + c] = (float)(p->turned[i * d + c] * p->deviation[c]);
}

static int part_new(struct part *p, uint64_t n, uint64_t count, size_t d)
{
	int rc;

	*p = (struct part){ .n = n, .count = count, .d = d };
	EK_TRY(ek_alloc(&p->x, (size_t)count * d, sizeof *p->x));
	EK_TRY(ek_alloc(&p->turn, d * d, sizeof *p->turn));
	EK_TRY(ek_alloc(&p->turned, (size_t)count * d, sizeof *p->turned));
	EK_TRY(ek_alloc(&p->deviation, d, sizeof *p->deviation));
	EK_TRY(ek_alloc(&p->row, d, sizeof *p->row));
	EK_TRY(ek_alloc(&p->ids, (size_t)n, sizeof *p->ids));
out:
	return rc;
}

static void part_release(struct part *p)
{
	free(p->x);
	free(p->turn);
	free(p->turned);
	free(p->deviation);
	free(p->row);
	free(p->ids);
}

/* Gini coefficients of each part, as it is and without structure. */
struct sides {
	double clusters[2][EK_NULL_PARTS], populations[2][EK_NULL_PARTS];
};

static void draw_part(struct part *p, const struct drawn *all, uint64_t seed)
{
	uint64_t own = 0, others = p->n;

	ek_rows_sample(p->ids, p->n, all->n, seed, ek_random_stream("null half"));
	for (uint64_t i = 0; i < all->n; i++) {
		const int is_own = own < p->n && p->ids[own] == i;
		const uint64_t to = is_own ? own++ : others++;

		memcpy(p->x + to * p->d, all->x + i * p->d, p->d * sizeof *p->x);
	}
}

struct job {
	struct sides *sides;
	struct drawn *all;
	const struct ek_null *null; /* images of a part, and clusters */
	uint64_t seed;
};

/* A side of a part: what a thread does by itself, since clusterings of so few images gain nothing from many. */
static int measure_side(void *context, uint64_t i, int worker)
{
	const struct job *job = context;
	const int number = (int)(i / 2), side = (int)(i % 2);
	const uint64_t seed = ek_random_u64(job->seed, ek_random_stream("null parts"), (uint64_t)number);
	struct part p;
	int rc;

	(void)worker;
	EK_TRY(part_new(&p, job->null->images, job->all->n, job->all->d));
	draw_part(&p, job->all, seed);
	if (side > 0)
		loosen(&p, seed);
	EK_TRY(measure(&job->sides->clusters[side][number], &job->sides->populations[side][number], &p, job->null->k,
	               seed, side > 0 ? NULL : job->all, 2 * number));
	if (side > 0)
		ek_progress_add(1);
out:
	part_release(&p);
	return rc;
}

static void compare_sides(struct ek_null_gini *out, double sides[2][EK_NULL_PARTS], double f)
{
	double squares = 0, width;

	*out = (struct ek_null_gini){ 0 };
	for (int p = 0; p < EK_NULL_PARTS; p++) {
		out->observed += sides[0][p] / EK_NULL_PARTS;
		out->permuted += sides[1][p] / EK_NULL_PARTS;
	}
	out->excess = out->observed - out->permuted;
	for (int p = 0; p < EK_NULL_PARTS; p++) {
		const double moved = sides[0][p] - sides[1][p] - out->excess;

		squares += moved * moved;
	}
	width = t_975 * sqrt(squares / (EK_NULL_PARTS - 1) * (1.0 / EK_NULL_PARTS + f / (1 - f)));
	out->interval = (struct ek_interval){ out->excess - width, out->excess + width };
}

static int falling(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

static int compare_divisions(struct ek_null *out, const struct drawn *all)
{
	uint32_t counts[DIVISIONS];
	double sum = 0;
	int first = 0, rc = 0;

	for (int a = 0; a < DIVISIONS; a++)
		for (int b = a + 1; b < DIVISIONS; b++) {
			struct ek_agreement agreement;

			if (all->count[a] == 1 || all->count[b] == 1) {
				sum += all->count[a] == all->count[b];
				continue;
			}
			EK_TRY(ek_overlap_agreement(&agreement, all->population[a], all->count[a], all->population[b],
			                            all->count[b], all->n));
			sum += agreement.value[EK_ARI];
		}
	out->agreement = sum / (DIVISIONS * (DIVISIONS - 1) / 2.0);
	memcpy(counts, all->count, sizeof counts);
	qsort(counts, DIVISIONS, sizeof *counts, ek_compare_u32);
	out->count = counts[DIVISIONS / 2];
	while (all->count[first] != out->count)
		first++;
	for (uint64_t i = 0; i < all->n; i++)
		out->shares[all->population[first][i]] += 1 / (double)all->n;
	qsort(out->shares, out->count, sizeof *out->shares, falling);
out:
	return rc;
}

static int draw(struct drawn *all, const struct ek_rows *rows, uint64_t seed)
{
	struct ek_rows part = *rows;
	uint64_t *ids = NULL;
	int rc;

	all->n = part.count = rows->count < EK_NULL_IMAGES ? rows->count : EK_NULL_IMAGES;
	EK_TRY(ek_alloc(&ids, (size_t)part.count, sizeof *ids));
	ek_rows_sample(ids, part.count, rows->count, seed, ek_random_stream("null images"));
	for (uint64_t i = 0; rows->ids != NULL && i < part.count; i++)
		ids[i] = rows->ids[ids[i]];
	part.ids = ids;
	EK_TRY(ek_coordinates(&all->x, &all->d, &part, EK_NULL_COMPONENTS));
out:
	free(ids);
	return rc;
}

int ek_null_measure(struct ek_null *out, const struct ek_rows *rows, uint32_t k, uint64_t seed)
{
	struct drawn all = { 0 };
	struct sides sides;
	struct job job = { .sides = &sides, .all = &all, .null = out, .seed = seed };
	double f;
	int rc;

	*out = (struct ek_null){ 0 };
	if (rows->count < FEWEST)
		return ek_fail(EK_EDATA, "%llu images are too few to compare with chance",
		               (unsigned long long)rows->count);
	EK_TRY(draw(&all, rows, seed));
	out->components = all.d;
	out->images = all.n / 2 < EK_NULL_PART ? all.n / 2 : EK_NULL_PART;
	out->k = k < out->images ? k : (uint32_t)out->images;
	EK_TRY(ek_parallel(2 * EK_NULL_PARTS, measure_side, &job));
	f = (double)out->images / (double)all.n;
	compare_sides(&out->clusters, sides.clusters, f);
	compare_sides(&out->populations, sides.populations, f);
	EK_TRY(compare_divisions(out, &all));
out:
	for (int i = 0; i < DIVISIONS; i++)
		free(all.population[i]);
	free(all.x);
	return rc;
}
