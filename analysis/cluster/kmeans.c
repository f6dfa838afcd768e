#include "analysis/cluster/kmeans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/kmeans_internal.h"
#include "analysis/cluster/rows_device.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"

/* One run of Lloyd's iteration. */
struct run {
	struct ek_nearest_state state;
	int32_t *before;   /* [n] assignment that the centroids are the means of, or -1 */
	float *centroids;  /* [k, d] */
	double *objective; /* [iterations allowed] */
	double inertia;
	int iterations, converged;
};

static int run_init(struct run *run, uint64_t n, size_t d, const struct ek_kmeans_options *o)
{
	int rc;

	EK_TRY(ek_alloc(&run->state.assignment, n, sizeof *run->state.assignment));
	EK_TRY(ek_alloc(&run->state.distance2, n, sizeof *run->state.distance2));
	EK_TRY(ek_alloc(&run->state.lower, n, sizeof *run->state.lower));
	EK_TRY(ek_alloc(&run->before, n, sizeof *run->before));
	EK_TRY(ek_alloc_aligned(&run->centroids, (size_t)o->k * d, sizeof *run->centroids));
	EK_TRY(ek_alloc(&run->objective, (size_t)o->iterations, sizeof *run->objective));
out:
	return rc;
}

static void run_release(struct run *run)
{
	free(run->state.assignment);
	free(run->state.distance2);
	free(run->state.lower);
	free(run->before);
	free(run->centroids);
	free(run->objective);
}

static double sum_of(const double *values, uint64_t n)
{
	double sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += values[i];
	return sum;
}

static int begin(struct run *run, struct ek_nearest *finder, const struct ek_rows *rows,
                 const struct ek_kmeans_options *o, int start)
{
	const uint64_t n = rows->count;
	int rc;

	memset(run->state.lower, 0, n * sizeof *run->state.lower);
	for (uint64_t i = 0; i < n; i++)
		run->before[i] = -1;
	if (o->start == NULL) {
		EK_TRY(ek_kmeans_plus_plus(run->centroids, &run->state, finder, rows, o->k, o->seed, (uint64_t)start));
	} else {
		for (uint64_t i = 0; i < n; i++) {
			run->state.assignment[i] = -1;
			run->state.distance2[i] = (double)INFINITY;
		}
		memcpy(run->centroids, o->start, (size_t)o->k * rows->dimensions * sizeof(float));
		EK_TRY(ek_nearest_search(finder, &run->state, run->centroids, o->k, 0, NULL));
	}
	run->inertia = sum_of(run->state.distance2, n);
	run->iterations = run->converged = 0;
out:
	return rc;
}

/* An iteration is done. */
static void note(struct run *run, double inertia, uint64_t changed, const struct ek_kmeans_options *o)
{
	const double before = run->inertia;

	run->inertia = inertia;
	run->objective[run->iterations++] = inertia;
	run->converged = changed == 0 || before - inertia < o->tolerance * before;
	if (!o->quiet)
		ek_progress_add(1);
}

/* The centroids move before it is known whether they still have to: meanwhile the distances are added up. */
static int lloyd_on_device(struct run *run, struct ek_nn_rows *device, uint64_t n, const struct ek_kmeans_options *o)
{
	struct ek_nearest_state *s = &run->state;
	const double *distance2;
	uint64_t changed;
	int rc;

	EK_TRY(ek_nn_rows_begin(device, s->assignment, s->distance2, run->centroids, o->k));
	EK_TRY(ek_nn_rows_move(device, o->spherical));
	while (run->iterations < o->iterations && !run->converged) {
		EK_TRY(ek_nn_rows_search(device, &distance2, &changed));
		if (run->iterations + 1 < o->iterations && changed > 0)
			EK_TRY(ek_nn_rows_move(device, o->spherical));
		note(run, sum_of(distance2, n), changed, o);
	}
	EK_TRY(ek_nn_rows_result(device, s->assignment, s->distance2, run->centroids));
out:
	return rc;
}

static int lloyd(struct run *run, struct ek_nearest *finder, const struct ek_rows *rows,
                 const struct ek_kmeans_options *o)
{
	double *moves = NULL;
	int rc;

	if (ek_nearest_device(finder) != NULL)
		return lloyd_on_device(run, ek_nearest_device(finder), rows->count, o);
	EK_TRY(ek_alloc(&moves, o->k, sizeof *moves));
	while (run->iterations < o->iterations && !run->converged) {
		uint64_t changed;

		EK_TRY(ek_kmeans_move(run->centroids, moves, rows, run->state.assignment, run->before, o->k,
		                      o->spherical));
		run->state.moves = moves;
		EK_TRY(ek_nearest_search(finder, &run->state, run->centroids, o->k, 0, &changed));
		note(run, sum_of(run->state.distance2, rows->count), changed, o);
	}
out:
	run->state.moves = NULL;
	free(moves);
	return rc;
}

static enum ek_screen screen_for(const struct ek_rows *rows, const struct ek_kmeans_options *o)
{
	return o->screen == EK_SCREEN_AUTO && ek_rows_worth_device(rows->count, o->k, rows->dimensions)
	               ? EK_SCREEN_DEVICE
	               : o->screen;
}

/* The best of the starts, in `best`. */
static int train(struct run *best, int *best_start, const struct ek_rows *rows, const double *mean,
                 const struct ek_kmeans_options *o)
{
	const int starts = o->start != NULL ? 1 : o->redo;
	struct ek_nearest *finder = NULL;
	struct run run = { 0 };
	int rc;

	if (!o->quiet)
		ek_progress_begin("clustering", "iterations", (uint64_t)starts * (uint64_t)o->iterations);
	EK_TRY(ek_nearest_new(&finder, rows, mean, screen_for(rows, o)));
	EK_TRY(run_init(best, rows->count, rows->dimensions, o));
	if (starts > 1)
		EK_TRY(run_init(&run, rows->count, rows->dimensions, o));
	for (int start = 0; start < starts; start++) {
		struct run *now = start == 0 ? best : &run;

		EK_TRY(begin(now, finder, rows, o, start));
		EK_TRY(lloyd(now, finder, rows, o));
		if (start > 0 && run.inertia < best->inertia) {
			const struct run swap = *best;

			*best = run;
			run = swap;
			*best_start = start;
		}
	}
out:
	if (!o->quiet)
		ek_progress_end();
	ek_nearest_free(finder);
	run_release(&run);
	return rc;
}

/* Assign all rows to the centroids that a subsample gave. */
static int assign_all(struct run *run, const struct ek_rows *rows, const double *mean,
                      const struct ek_kmeans_options *o)
{
	struct ek_nearest *finder = NULL;
	struct ek_nearest_state *s = &run->state;
	int rc;

	EK_TRY(ek_resize(&s->assignment, rows->count, sizeof *s->assignment));
	EK_TRY(ek_resize(&s->distance2, rows->count, sizeof *s->distance2));
	free(s->lower);
	s->lower = NULL;
	for (uint64_t i = 0; i < rows->count; i++) {
		s->assignment[i] = -1;
		s->distance2[i] = (double)INFINITY;
	}
	EK_TRY(ek_nearest_new(&finder, rows, mean, screen_for(rows, o)));
	EK_TRY(ek_nearest_search(finder, s, run->centroids, o->k, 0, NULL));
	run->inertia = sum_of(s->distance2, rows->count);
out:
	ek_nearest_free(finder);
	return rc;
}

/* `ids` = rows of the array that a seeded subsample of the view takes. */
static int subsample(uint64_t **ids, struct ek_rows *part, const struct ek_rows *rows,
                     const struct ek_kmeans_options *o)
{
	int rc;

	*part = *rows;
	if (o->subsample == 0 || o->subsample >= rows->count)
		return 0;
	EK_TRY(ek_alloc(ids, o->subsample, sizeof **ids));
	ek_rows_sample(*ids, o->subsample, rows->count, o->seed, ek_random_stream("k-means subsample"));
	for (uint64_t i = 0; rows->ids != NULL && i < o->subsample; i++)
		(*ids)[i] = rows->ids[(*ids)[i]];
	part->ids = *ids;
	part->count = o->subsample;
out:
	return rc;
}

/* Hand the arrays of the run over to the result. */
static int finish(struct ek_kmeans_result *out, struct run *run, const struct ek_kmeans_options *o)
{
	int rc;

	EK_TRY(ek_alloc(&out->distance, out->n, sizeof *out->distance));
	EK_TRY(ek_alloc(&out->sizes, o->k, sizeof *out->sizes));
	for (uint64_t i = 0; i < out->n; i++) {
		const double distance2 = run->state.distance2[i];

		out->distance[i] = (float)(o->spherical ? distance2 / 2 : sqrt(distance2));
		out->sizes[run->state.assignment[i]]++;
	}
	for (uint32_t c = 0; c < o->k; c++)
		out->empty += out->sizes[c] == 0;
	out->k = o->k;
	out->inertia = run->inertia;
	out->iterations = run->iterations;
	out->converged = run->converged;
	out->assignment = run->state.assignment;
	out->centroids = run->centroids;
	out->objective = run->objective;
	run->state.assignment = NULL;
	run->centroids = NULL;
	run->objective = NULL;
out:
	return rc;
}

static int check(const struct ek_kmeans_options *o)
{
	if (o->k < 1 || o->k > INT32_MAX)
		return ek_fail(EK_EUSAGE, "%u clusters: expected 1 to 2147483647", o->k);
	if (o->iterations < 1 || o->redo < 1)
		return ek_fail(EK_EUSAGE, "iterations and starts must be at least 1, not %d and %d", o->iterations,
		               o->redo);
	if (!(o->tolerance >= 0))
		return ek_fail(EK_EUSAGE, "the tolerance must be 0 or more, not %g", o->tolerance);
	return 0;
}

int ek_kmeans(struct ek_kmeans_result *out, const struct ek_rows *rows, const struct ek_kmeans_options *options)
{
	struct ek_rows all = *rows, part;
	struct run run = { 0 };
	uint64_t *ids = NULL;
	double *mean = NULL;
	int rc;

	*out = (struct ek_kmeans_result){ .n = rows->count, .dimensions = rows->dimensions };
	EK_TRY(check(options));
	all.unit |= options->spherical;
	if (options->k > all.count) {
		rc = ek_fail(EK_EDATA, "%u clusters are too many: there are only %llu images", options->k,
		             (unsigned long long)all.count);
		goto out;
	}
	EK_TRY(ek_alloc(&mean, all.dimensions, sizeof *mean));
	EK_TRY(ek_rows_mean(mean, &all));
	EK_TRY(subsample(&ids, &part, &all, options));
	out->trained = part.count;
	EK_TRY(train(&run, &out->start, &part, mean, options));
	if (part.count < all.count)
		EK_TRY(assign_all(&run, &all, mean, options));
	EK_TRY(finish(out, &run, options));
out:
	free(ids);
	free(mean);
	run_release(&run);
	return rc;
}

int ek_kmeans_most(uint32_t *most, const struct ek_rows *rows, const struct ek_kmeans_options *options)
{
	struct ek_rows all = *rows, part;
	uint64_t *ids = NULL, different;
	int rc;

	all.unit |= options->spherical;
	EK_TRY(subsample(&ids, &part, &all, options));
	EK_TRY(ek_rows_different(&different, &part, options->k));
	*most = (uint32_t)different;
out:
	free(ids);
	return rc;
}

int ek_kmeans_assign(struct ek_kmeans_result *out, const struct ek_rows *rows, const float *centroids,
                     const struct ek_kmeans_options *options)
{
	struct ek_rows all = *rows;
	struct run run = { 0 };
	double *mean = NULL;
	int rc;

	*out = (struct ek_kmeans_result){ .n = rows->count, .dimensions = rows->dimensions };
	EK_TRY(check(options));
	all.unit |= options->spherical;
	EK_TRY(ek_alloc(&mean, all.dimensions, sizeof *mean));
	EK_TRY(ek_rows_mean(mean, &all));
	EK_TRY(ek_alloc_aligned(&run.centroids, (size_t)options->k * all.dimensions, sizeof *run.centroids));
	memcpy(run.centroids, centroids, (size_t)options->k * all.dimensions * sizeof *run.centroids);
	EK_TRY(assign_all(&run, &all, mean, options));
	EK_TRY(finish(out, &run, options));
out:
	free(mean);
	run_release(&run);
	return rc;
}

void ek_kmeans_release(struct ek_kmeans_result *result)
{
	free(result->assignment);
	free(result->distance);
	free(result->centroids);
	free(result->sizes);
	free(result->objective);
	*result = (struct ek_kmeans_result){ 0 };
}
