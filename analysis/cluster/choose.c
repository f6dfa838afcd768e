#include "analysis/cluster/choose.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/overlap.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"

enum { SEEDS = 5, STARTS = 3, MOST_IMAGES = 10000, IMAGES_PER_CLUSTER = 30, ITERATIONS = 50 };

static const uint32_t candidates[] = { 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128 };
static const double near_best = 0.95;

static int measure(double *stability, double *inertia, const struct ek_rows *rows, uint32_t k, int spherical,
                   uint64_t seed)
{
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result results[SEEDS] = { { 0 } };
	double sum = 0;
	int rc = 0;

	o.k = k;
	o.spherical = spherical;
	o.iterations = ITERATIONS;
	o.redo = STARTS;
	o.quiet = 1;
	*inertia = (double)INFINITY;
	for (int s = 0; s < SEEDS; s++) {
		o.seed = ek_random_u64(seed, ek_random_stream("choose k"), (uint64_t)s);
		EK_TRY(ek_kmeans(&results[s], rows, &o));
		*inertia = fmin(*inertia, results[s].inertia);
		ek_progress_add(1);
	}
	for (int a = 0; a < SEEDS; a++)
		for (int b = a + 1; b < SEEDS; b++) {
			struct ek_agreement agreement;

			EK_TRY(ek_overlap_agreement(&agreement, results[a].assignment, k, results[b].assignment, k,
			                            rows->count));
			sum += agreement.value[EK_ARI];
		}
	*stability = sum / (SEEDS * (SEEDS - 1) / 2);
out:
	for (int s = 0; s < SEEDS; s++)
		ek_kmeans_release(&results[s]);
	return rc;
}

static void choose(struct ek_choice_of_k *out)
{
	double best = 0;
	size_t at = 0;

	for (size_t i = 0; i < out->count; i++)
		best = fmax(best, out->curve[i].stability);
	for (size_t i = 0; i < out->count; i++)
		if (out->curve[i].stability >= near_best * best)
			at = i;
	out->chosen = out->curve[at].k;
	(void)snprintf(out->reason, sizeof out->reason,
	               "%u is the largest number of clusters that %d seeds agree on at least %.0f %% as well as on the "
	               "best number: mean ARI %.2f, best %.2f, over %llu images.",
	               out->chosen, SEEDS, near_best * 100, out->curve[at].stability, best,
	               (unsigned long long)out->images);
}

/* Where images are few, or many of them the same: as many clusters as there can be, up to 4. */
static int choose_without_curve(struct ek_choice_of_k *out, const struct ek_rows *rows, int spherical)
{
	const struct ek_kmeans_options o = { .k = 4, .spherical = spherical };

	(void)snprintf(out->reason, sizeof out->reason,
	               "%llu images, or those of them that differ, are too few to compare numbers of clusters.",
	               (unsigned long long)rows->count);
	return ek_kmeans_most(&out->chosen, rows, &o);
}

int ek_choose_k(struct ek_choice_of_k *out, const struct ek_rows *rows, int spherical, uint64_t seed)
{
	const size_t all = sizeof candidates / sizeof *candidates;
	struct ek_rows part = *rows;
	uint64_t *ids = NULL;
	int rc;

	*out = (struct ek_choice_of_k){ .images = rows->count < MOST_IMAGES ? rows->count : MOST_IMAGES };
	part.count = out->images;
	if ((rc = ek_alloc(&ids, part.count, sizeof *ids)) < 0)
		return rc;
	ek_rows_sample(ids, part.count, rows->count, seed, ek_random_stream("choose k images"));
	for (uint64_t i = 0; rows->ids != NULL && i < part.count; i++)
		ids[i] = rows->ids[ids[i]];
	part.ids = ids;
	while (out->count < all && (uint64_t)candidates[out->count] * IMAGES_PER_CLUSTER <= part.count)
		out->count++;
	ek_progress_begin("choosing K", "clusterings", out->count * SEEDS);
	for (size_t i = 0; i < out->count; i++) {
		out->curve[i].k = candidates[i];
		rc = measure(&out->curve[i].stability, &out->curve[i].inertia, &part, candidates[i], spherical, seed);
		if (rc == EK_EDATA) /* more clusters than different images */
			out->count = i;
		else if (rc < 0)
			goto out;
	}
	rc = 0;
	if (out->count == 0) {
		rc = choose_without_curve(out, &part, spherical);
		goto out;
	}
	choose(out);
out:
	ek_progress_end();
	free(ids);
	return rc;
}
