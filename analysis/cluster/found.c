#include "analysis/cluster/found.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/fine.h"
#include "analysis/cluster/linkage.h"
#include "analysis/cluster/overlap.h"
#include "analysis/cluster/rows.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

static const uint32_t numbers[EK_FOUND_NUMBERS] = { 2, 3, 4, 6, 8, 12, 16, 24 };
static const double stable = 0.8, unstable = 0.5;

/* Fine clusters and their tree. */
struct merged {
	struct ek_fine fine;
	struct ek_linkage linkage;
	uint32_t *of_cluster; /* [fine.k] room for a cut */
};

static int merged_build(struct merged *m, const float *x, uint64_t n, size_t d, uint64_t seed)
{
	int rc;

	*m = (struct merged){ 0 };
	EK_TRY(ek_fine_build(&m->fine, x, n, d, d, seed));
	EK_TRY(ek_linkage_build(&m->linkage, m->fine.centroids, m->fine.k, d, EK_LINKAGE_WARD));
	EK_TRY(ek_alloc(&m->of_cluster, m->fine.k, sizeof *m->of_cluster));
out:
	return rc;
}

static void merged_release(struct merged *m)
{
	ek_fine_release(&m->fine);
	ek_linkage_release(&m->linkage);
	free(m->of_cluster);
}

/* group: [n] */
static int cut(int32_t *group, struct merged *m, uint64_t n, uint32_t groups)
{
	int rc;

	EK_TRY(ek_linkage_cut(m->of_cluster, &m->linkage, groups));
	for (uint64_t i = 0; i < n; i++)
		group[i] = (int32_t)m->of_cluster[m->fine.cluster[i]];
out:
	return rc;
}

/* The mean ARI of all pairs of starts. */
static int compare(double *stability, struct merged *starts, int32_t *group, uint64_t n, uint32_t groups)
{
	int rc = 0;

	*stability = 0;
	for (int s = 0; s < EK_FOUND_SEEDS; s++)
		EK_TRY(cut(group + (uint64_t)s * n, &starts[s], n, groups));
	for (int a = 0; a < EK_FOUND_SEEDS; a++)
		for (int b = 0; b < a; b++) {
			struct ek_agreement agreement;

			EK_TRY(ek_overlap_agreement(&agreement, group + (uint64_t)a * n, groups,
			                            group + (uint64_t)b * n, groups, n));
			*stability += agreement.value[EK_ARI] / (EK_FOUND_SEEDS * (EK_FOUND_SEEDS - 1) / 2.0);
		}
out:
	return rc;
}

static uint32_t choose(const struct ek_found *found)
{
	size_t best = 0;

	for (size_t i = 1; i < found->count; i++)
		if (found->curve[i].stability >= stable || found->curve[i].stability > found->curve[best].stability)
			best = i;
	return found->curve[best].stability >= unstable ? found->curve[best].groups : 1;
}

/* x: [n, d] the rows looked at */
static int find_number(struct ek_found *out, const float *x, uint64_t n, size_t d, uint64_t seed)
{
	struct merged starts[EK_FOUND_SEEDS] = { 0 };
	uint32_t fewest = UINT32_MAX;
	int32_t *group = NULL;
	int rc;

	EK_TRY(ek_alloc(&group, EK_FOUND_SEEDS * n, sizeof *group));
	for (int s = 0; s < EK_FOUND_SEEDS; s++) {
		EK_TRY(merged_build(&starts[s], x, n, d,
		                    ek_random_u64(seed, ek_random_stream("found start"), (uint64_t)s)));
		fewest = starts[s].fine.k < fewest ? starts[s].fine.k : fewest;
	}
	for (size_t i = 0; i < EK_FOUND_NUMBERS && numbers[i] <= fewest; i++) {
		out->curve[i].groups = numbers[i];
		EK_TRY(compare(&out->curve[i].stability, starts, group, n, numbers[i]));
		out->count++;
	}
out:
	for (int s = 0; s < EK_FOUND_SEEDS; s++)
		merged_release(&starts[s]);
	free(group);
	return rc;
}

static int look_at_some(struct ek_found *out, const float *x, uint64_t n, size_t d, uint64_t seed)
{
	uint64_t *ids = NULL;
	float *some = NULL;
	int rc;

	if (n <= EK_FOUND_ROWS)
		return find_number(out, x, n, d, seed);
	EK_TRY(ek_alloc(&ids, EK_FOUND_ROWS, sizeof *ids));
	EK_TRY(ek_alloc(&some, EK_FOUND_ROWS * d, sizeof *some));
	ek_rows_sample(ids, EK_FOUND_ROWS, n, seed, ek_random_stream("found rows"));
	for (uint64_t i = 0; i < EK_FOUND_ROWS; i++)
		memcpy(some + i * d, x + ids[i] * d, d * sizeof *some);
	EK_TRY(find_number(out, some, EK_FOUND_ROWS, d, seed));
out:
	free(ids);
	free(some);
	return rc;
}

struct sized {
	uint64_t size;
	uint32_t group;
};

static int by_size(const void *a, const void *b)
{
	const struct sized *x = a, *y = b;

	return x->size != y->size ? (x->size < y->size) - (x->size > y->size)
	                          : (x->group > y->group) - (x->group < y->group);
}

/* The groups of images, the largest first. */
static int number_groups(struct ek_found *out, const struct merged *m, uint64_t n)
{
	struct sized *sized = NULL;
	uint32_t *place = NULL;
	int rc;

	EK_TRY(ek_alloc(&sized, out->groups, sizeof *sized));
	EK_TRY(ek_alloc(&place, out->groups, sizeof *place));
	EK_TRY(ek_alloc(&out->group, n, sizeof *out->group));
	EK_TRY(ek_alloc(&out->sizes, out->groups, sizeof *out->sizes));
	for (uint32_t g = 0; g < out->groups; g++)
		sized[g].group = g;
	for (uint32_t c = 0; c < m->fine.k; c++)
		sized[m->of_cluster[c]].size += m->fine.sizes[c];
	qsort(sized, out->groups, sizeof *sized, by_size);
	for (uint32_t g = 0; g < out->groups; g++) {
		place[sized[g].group] = g;
		out->sizes[g] = sized[g].size;
	}
	for (uint64_t i = 0; i < n; i++)
		out->group[i] = place[m->of_cluster[m->fine.cluster[i]]];
out:
	free(sized);
	free(place);
	return rc;
}

int ek_found_build(struct ek_found *out, const float *x, uint64_t n, size_t d, uint32_t groups, uint64_t seed)
{
	struct merged m = { 0 };
	int rc = 0;

	*out = (struct ek_found){ .groups = groups };
	if (groups == 0)
		EK_TRY(look_at_some(out, x, n, d, seed));
	EK_TRY(merged_build(&m, x, n, d, seed));
	out->fine = m.fine.k;
	out->outliers = m.fine.outliers;
	if (groups == 0)
		out->groups = out->count > 0 ? choose(out) : 1;
	out->groups = groups == 0 && out->groups > m.fine.k ? m.fine.k : out->groups;
	if (out->groups > m.fine.k) {
		rc = ek_fail(EK_EUSAGE, "%u groups are too many: there are %u fine clusters to make them of", groups,
		             m.fine.k);
		goto out;
	}
	EK_TRY(ek_linkage_cut(m.of_cluster, &m.linkage, out->groups));
	EK_TRY(number_groups(out, &m, n));
out:
	merged_release(&m);
	return rc;
}

void ek_found_release(struct ek_found *found)
{
	free(found->group);
	free(found->sizes);
	*found = (struct ek_found){ 0 };
}
