#include "analysis/cluster/choose.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "analysis/cluster/coordinates.h"
#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/overlap.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"
#include "rebalance/base/text.h"

enum { IMAGES_PER_CLUSTER = 30, MOST_SEEDS = 5, COMPONENTS = 64 };

/* How thoroughly. */
struct effort {
	int seeds, starts, iterations;
	uint64_t images;
	uint32_t most;
};
static const struct effort thorough = { 5, 3, 50, 10000, 128 }, quick = { 4, 2, 20, 2000, EK_CHOOSE_DEFAULT };

static const uint32_t candidates[] = { 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128 };
static const double near_best = 0.95, stable_from = 0.8;

static int measure(double *stability, double *inertia, const struct ek_rows *rows, uint32_t k, int spherical,
                   uint64_t seed, const struct effort *effort)
{
	const int seeds = effort->seeds;
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result results[MOST_SEEDS] = { { 0 } };
	double sum = 0;
	int rc = 0;

	o.k = k;
	o.spherical = spherical;
	o.iterations = effort->iterations;
	o.redo = effort->starts;
	o.quiet = 1;
	*inertia = (double)INFINITY;
	for (int s = 0; s < seeds; s++) {
		o.seed = ek_random_u64(seed, ek_random_stream("choose k"), (uint64_t)s);
		EK_TRY(ek_kmeans(&results[s], rows, &o));
		*inertia = fmin(*inertia, results[s].inertia);
		ek_progress_add(1);
	}
	for (int a = 0; a < seeds; a++)
		for (int b = a + 1; b < seeds; b++) {
			struct ek_agreement agreement;

			EK_TRY(ek_overlap_agreement(&agreement, results[a].assignment, k, results[b].assignment, k,
			                            rows->count));
			sum += agreement.value[EK_ARI];
		}
	*stability = sum / (seeds * (seeds - 1) / 2);
out:
	for (int s = 0; s < seeds; s++)
		ek_kmeans_release(&results[s]);
	return rc;
}

static void choose(struct ek_choice_of_k *out)
{
	double best = 0;
	size_t at = 0;
	char images[32];

	for (size_t i = 0; i < out->count; i++)
		best = fmax(best, out->curve[i].stability);
	for (size_t i = 0; i < out->count; i++)
		if (out->curve[i].stability >= near_best * best)
			at = i;
	out->chosen = out->curve[at].k;
	(void)snprintf(out->reason, sizeof out->reason,
	               "%u is the largest number of clusters that %d seeds agree on at least %.0f %% as well as on the "
	               "best number: mean agreement (ARI) %.2f, best %.2f, over %s images.",
	               out->chosen, thorough.seeds, near_best * 100, out->curve[at].stability, best,
	               ek_text_count(images, out->images));
}

static void choose_default(struct ek_choice_of_k *out)
{
	size_t best = 0, at;
	char images[32];

	for (size_t i = 0; i < out->count; i++)
		if (out->curve[i].stability > out->curve[best].stability)
			best = i;
	at = best;
	for (size_t i = 0; i < out->count; i++)
		if (out->curve[i].stability >= stable_from)
			at = i;
	out->chosen = out->curve[at].k;
	if (out->curve[at].stability >= stable_from)
		(void)snprintf(
			out->reason, sizeof out->reason,
			"%u is the largest number of clusters, up to %u, on which %d quick clusterings of %s images "
			"agree well: mean ARI %.2f. How stable the clusters themselves are is measured apart.",
			out->chosen, out->curve[out->count - 1].k, quick.seeds, ek_text_count(images, out->images),
			out->curve[at].stability);
	else
		(void)snprintf(
			out->reason, sizeof out->reason,
			"On no number of clusters up to %u do %d quick clusterings of %s images agree well; %u does "
			"best: mean ARI %.2f. How stable the clusters themselves are is measured apart.",
			out->curve[out->count - 1].k, quick.seeds, ek_text_count(images, out->images), out->chosen,
			out->curve[at].stability);
}

/* Where images are few, or many of them the same: as many clusters as there can be, up to 4. */
static int choose_without_curve(struct ek_choice_of_k *out, const struct ek_rows *rows, int spherical)
{
	const struct ek_kmeans_options o = { .k = 4, .spherical = spherical };

	(void)snprintf(out->reason, sizeof out->reason,
	               "Too few different images to compare numbers of clusters: %llu in all.",
	               (unsigned long long)rows->count);
	return ek_kmeans_most(&out->chosen, rows, &o);
}

static int draw(struct ek_rows *part, uint64_t **ids, const struct ek_rows *rows, uint64_t most, uint64_t seed)
{
	int rc;

	*part = *rows;
	part->count = rows->count < most ? rows->count : most;
	EK_TRY(ek_alloc(ids, part->count, sizeof **ids));
	ek_rows_sample(*ids, part->count, rows->count, seed, ek_random_stream("choose k images"));
	for (uint64_t i = 0; rows->ids != NULL && i < part->count; i++)
		(*ids)[i] = rows->ids[(*ids)[i]];
	part->ids = *ids;
out:
	return rc;
}

/* Fill the curve. */
static int compare(struct ek_choice_of_k *out, const struct ek_rows *part, int spherical, uint64_t seed,
                   const struct effort *effort)
{
	const size_t all = sizeof candidates / sizeof *candidates;
	int rc = 0;

	while (out->count < all && candidates[out->count] <= effort->most &&
	       (uint64_t)candidates[out->count] * IMAGES_PER_CLUSTER <= part->count)
		out->count++;
	ek_progress_begin("choosing K", "clusterings", out->count * (size_t)effort->seeds);
	for (size_t i = 0; i < out->count; i++) {
		out->curve[i].k = candidates[i];
		rc = measure(&out->curve[i].stability, &out->curve[i].inertia, part, candidates[i], spherical, seed,
		             effort);
		if (rc == EK_EDATA) /* more clusters than different images */
			out->count = i;
		else if (rc < 0)
			goto out;
	}
	rc = 0;
out:
	ek_progress_end();
	return rc;
}

int ek_choose_k(struct ek_choice_of_k *out, const struct ek_rows *rows, int spherical, uint64_t seed)
{
	struct ek_rows part;
	uint64_t *ids = NULL;
	int rc;

	*out = (struct ek_choice_of_k){ 0 };
	EK_TRY(draw(&part, &ids, rows, thorough.images, seed));
	out->images = part.count;
	EK_TRY(compare(out, &part, spherical, seed, &thorough));
	if (out->count == 0)
		EK_TRY(choose_without_curve(out, &part, spherical));
	else
		choose(out);
out:
	free(ids);
	return rc;
}

int ek_choose_default_k(struct ek_choice_of_k *out, const struct ek_rows *rows, int spherical, uint64_t seed)
{
	struct ek_rows part, moved;
	struct ek_npy array;
	uint64_t *ids = NULL;
	float *x = NULL;
	size_t d;
	int rc;

	*out = (struct ek_choice_of_k){ 0 };
	EK_TRY(draw(&part, &ids, rows, quick.images, seed));
	out->images = part.count;
	part.unit |= spherical;
	if (part.count >= (uint64_t)candidates[0] * IMAGES_PER_CLUSTER) {
		rc = ek_coordinates(&x, &d, &part, COMPONENTS);
		if (rc == EK_EDATA) /* they are all alike: there is no curve */
			rc = choose_without_curve(out, &part, spherical);
		if (x == NULL)
			goto out;
		array = ek_rows_memory(x, part.count, d);
		EK_TRY(ek_rows_of(&moved, &array, 0));
		EK_TRY(compare(out, &moved, 0, seed, &quick));
	}
	if (out->count == 0)
		EK_TRY(choose_without_curve(out, &part, spherical));
	else
		choose_default(out);
out:
	free(ids);
	free(x);
	return rc;
}
