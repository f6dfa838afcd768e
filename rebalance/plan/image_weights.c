#include "rebalance/io/run_files.h"
#include "rebalance/plan/image_weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/components.h"
#include "analysis/cluster/fine.h"
#include "analysis/cluster/linkage.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/plan/design.h"

enum { ROUNDS = 100 };

int ek_image_ids(uint64_t **ids, uint64_t *count, const struct ek_units *units)
{
	int rc;

	*count = 0;
	EK_TRY(ek_alloc(ids, units->total, sizeof **ids));
	for (uint64_t i = 0; i < units->n; i++)
		if (units->unit[i] >= 0)
			(*ids)[(*count)++] = i;
out:
	return rc;
}

static int components_of(float **x, size_t *k, const struct ek_image_input *in)
{
	struct ek_components c = { 0 };
	struct ek_npy array = { 0 };
	struct ek_rows rows;
	int rc;

	*x = NULL;
	EK_TRY(ek_components_load(&c, in->run));
	EK_TRY(ek_run_npy(&array, in->run, "embeddings.npy"));
	EK_TRY(ek_rows_of(&rows, &array, 0));
	*k = (size_t)(in->count / EK_IMAGES_PER_COMPONENT);
	*k = *k > EK_DESIGN_COMPONENTS ? EK_DESIGN_COMPONENTS : *k;
	*k = *k > c.k ? c.k : *k;
	if (*k == 0 || in->ids[in->count - 1] >= rows.count) {
		rc = ek_fail(EK_EDATA, "%" PRIu64 " images are too few for directions: %d at least", in->count,
		             EK_IMAGES_PER_COMPONENT);
		goto out;
	}
	rows.ids = in->ids;
	rows.count = in->count;
	EK_TRY(ek_alloc(x, in->count * *k, sizeof **x));
	EK_TRY(ek_components_project(*x, &c, &rows, *k));
out:
	ek_components_release(&c);
	ek_npy_close(&array);
	return rc;
}

int ek_image_weights_design(double *w, const struct ek_image_input *in)
{
	float *x = NULL;
	size_t k;
	int rc;

	EK_TRY(components_of(&x, &k, in));
	EK_TRY(ek_design_weights(w, x, in->count, k, ROUNDS));
out:
	free(x);
	return rc;
}

int ek_image_weights_vendi(double *w, const struct ek_image_input *in)
{
	float *x = NULL;
	size_t k;
	int rc;

	EK_TRY(components_of(&x, &k, in));
	EK_TRY(ek_vendi_weights(w, x, in->count, k, ROUNDS));
out:
	free(x);
	return rc;
}

/* By the tree of fine clusters over the first d components: what a cluster gets is shared among its images. */
static int add_tree(double *logarithm, const float *x, uint64_t n, size_t k, size_t d, uint64_t seed)
{
	struct ek_linkage linkage = { 0 };
	struct ek_fine fine = { 0 };
	double *w = NULL;
	int rc;

	EK_TRY(ek_fine_build(&fine, x, n, k, d, seed));
	EK_TRY(ek_linkage_build(&linkage, fine.centroids, fine.k, d, EK_LINKAGE_AVERAGE));
	EK_TRY(ek_alloc(&w, fine.k, sizeof *w));
	EK_TRY(ek_linkage_weights(w, &linkage));
	for (uint64_t i = 0; i < n; i++)
		logarithm[i] += log(w[fine.cluster[i]] / (double)fine.sizes[fine.cluster[i]]) / 2;
out:
	ek_linkage_release(&linkage);
	ek_fine_release(&fine);
	free(w);
	return rc;
}

int ek_tree_weights(double *w, const float *x, uint64_t n, size_t k, uint64_t seed)
{
	int rc;

	memset(w, 0, n * sizeof *w);
	EK_TRY(add_tree(w, x, n, k, k, seed));
	EK_TRY(add_tree(w, x, n, k, (k + 1) / 2, seed));
	for (uint64_t i = 0; i < n; i++)
		w[i] = exp(w[i]);
out:
	return rc;
}

int ek_blend_weights(double *w, const float *x, uint64_t n, size_t k, uint64_t seed)
{
	double *design = NULL;
	int rc;

	EK_TRY(ek_alloc(&design, n, sizeof *design));
	EK_TRY(ek_tree_weights(w, x, n, k, seed));
	EK_TRY(ek_design_weights(design, x, n, k, ROUNDS));
	for (uint64_t i = 0; i < n; i++)
		w[i] = cbrt(w[i] * w[i] * design[i]);
out:
	free(design);
	return rc;
}

/* `weigh` over the components of the images. */
static int by_components(double *w, const struct ek_image_input *in,
                         int (*weigh)(double *w, const float *x, uint64_t n, size_t k, uint64_t seed))
{
	float *x = NULL;
	size_t k;
	int rc;

	EK_TRY(components_of(&x, &k, in));
	EK_TRY(weigh(w, x, in->count, k, 0));
out:
	free(x);
	return rc;
}

int ek_image_weights_blend(double *w, const struct ek_image_input *in)
{
	return by_components(w, in, ek_blend_weights);
}

int ek_image_weights_tree(double *w, const struct ek_image_input *in)
{
	return by_components(w, in, ek_tree_weights);
}

enum { RAKING_ROUNDS = 5 };

static int open_membership(struct ek_npy *array, const struct ek_image_input *in, uint32_t groups)
{
	const uint64_t shape[2] = { UINT64_MAX, groups };
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, in->run, "clusters/membership.npy"));
	EK_TRY(ek_npy_open_as(array, path, EK_F32, 2, shape));
	if (in->ids[in->count - 1] >= array->shape[0])
		rc = ek_fail(EK_EDATA, "%s has %" PRIu64 " images, the run more", path, array->shape[0]);
out:
	free(path);
	return rc;
}

/* share [groups] of the weights by probability. */
static void share_weights(double *share, const double *w, const float *q, const struct ek_image_input *in,
                          uint32_t groups)
{
	double total = 0;

	memset(share, 0, groups * sizeof *share);
	for (uint64_t i = 0; i < in->count; i++) {
		for (uint32_t g = 0; g < groups; g++)
			share[g] += w[i] * (double)q[in->ids[i] * groups + g];
		total += w[i];
	}
	for (uint32_t g = 0; g < groups; g++)
		share[g] = fmax(share[g] / total, 1e-9);
}

int ek_image_weights_groups(double *w, const struct ek_image_input *in, uint32_t groups)
{
	struct ek_npy array = { 0 };
	double *share = NULL;
	const float *q;
	int rc;

	EK_TRY(open_membership(&array, in, groups));
	EK_TRY(ek_alloc(&share, groups, sizeof *share));
	q = array.data;
	for (uint64_t i = 0; i < in->count; i++)
		w[i] = 1;
	for (int round = 0; round <= RAKING_ROUNDS; round++) {
		EK_TRY(ek_check_interrupt());
		share_weights(share, w, q, in, groups);
		for (uint64_t i = 0; i < in->count; i++) {
			double factor = 0;

			for (uint32_t g = 0; g < groups; g++)
				factor += (double)q[in->ids[i] * groups + g] / (groups * share[g]);
			w[i] *= factor;
		}
	}
out:
	ek_npy_close(&array);
	free(share);
	return rc;
}

static int level_of(double weight, double least)
{
	return (int)(log(weight / least) / log(EK_LEVEL_RATIO));
}

static int name_levels(struct ek_units *levels, const double *visits)
{
	int rc;

	EK_TRY(ek_alloc(&levels->names, levels->k, sizeof *levels->names));
	for (uint32_t k = 0; k < levels->k; k++)
		EK_TRY(ek_format(&levels->names[k], "%.3g visits", visits[k]));
out:
	return rc;
}

/* Levels that have an image are numbered anew, the lightest first. */
static int number_levels(int32_t **number, uint32_t *k, const int32_t *level, const struct ek_units *all, int most)
{
	int rc;

	EK_TRY(ek_alloc(number, (size_t)most + 1, sizeof **number));
	for (uint64_t i = 0; i < all->n; i++)
		if (all->unit[i] >= 0)
			(*number)[level[i]] = 1;
	*k = 0;
	for (int l = 0; l <= most; l++)
		(*number)[l] = (*number)[l] != 0 ? (int32_t)(*k)++ : -1;
out:
	return rc;
}

int ek_levels_of(struct ek_units *levels, double **visits, const struct ek_units *all, const double *w)
{
	double least = INFINITY, most = 0, total = 0;
	int32_t *level = NULL, *number = NULL;
	uint32_t k;
	int rc;

	*levels = (struct ek_units){ 0 };
	*visits = NULL;
	for (uint64_t i = 0; i < all->total; i++) {
		least = fmin(least, w[i]);
		most = fmax(most, w[i]);
		total += w[i];
	}
	if (!(least > 0) || !isfinite(most))
		return ek_fail(EK_EDATA, "the weights of images are from %g to %g", least, most);
	EK_TRY(ek_alloc(&level, all->n, sizeof *level));
	for (uint64_t i = 0, at = 0; i < all->n; i++)
		level[i] = all->unit[i] >= 0 ? level_of(w[at++], least) : all->unit[i];
	EK_TRY(number_levels(&number, &k, level, all, level_of(most, least)));
	for (uint64_t i = 0; i < all->n; i++)
		level[i] = level[i] >= 0 ? number[level[i]] : level[i];
	EK_TRY(ek_units_of(levels, level, all->n, k, "level of weight"));
	level = NULL;
	levels->held_out = all->held_out;
	EK_TRY(ek_alloc(visits, k, sizeof **visits));
	for (uint64_t i = 0, at = 0; i < all->n; i++)
		if (levels->unit[i] >= 0)
			(*visits)[levels->unit[i]] += w[at++] / total * (double)all->total;
	for (uint32_t l = 0; l < k; l++)
		(*visits)[l] /= (double)levels->sizes[l];
	EK_TRY(name_levels(levels, *visits));
out:
	free(level);
	free(number);
	return rc;
}
