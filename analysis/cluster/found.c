#include "analysis/cluster/found.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/fine.h"
#include "analysis/cluster/linkage.h"
#include "analysis/cluster/overlap.h"
#include "analysis/cluster/rows.h"
#include "analysis/cluster/vector.h"
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

static int is_handful(uint64_t size, uint64_t n)
{
	return size < EK_FOUND_FEW && (double)size < EK_FOUND_FEW_SHARE * (double)n;
}

/* The groups of the cut that are populations. sizes: [groups] out. */
static uint32_t count_populations(uint64_t *sizes, const struct merged *m, uint64_t n, uint32_t groups)
{
	uint32_t count = 0;

	memset(sizes, 0, groups * sizeof *sizes);
	for (uint32_t c = 0; c < m->fine.k; c++)
		sizes[m->of_cluster[c]] += m->fine.sizes[c];
	for (uint32_t g = 0; g < groups; g++)
		count += !is_handful(sizes[g], n);
	return count;
}

static uint32_t nearest_population(const struct merged *m, uint32_t cluster, const uint64_t *sizes, uint64_t n)
{
	const size_t d = m->fine.d;
	double best = (double)INFINITY;
	uint32_t found = cluster;

	for (uint32_t c = 0; c < m->fine.k; c++) {
		const double distance2 =
			is_handful(sizes[m->of_cluster[c]], n)
				? (double)INFINITY
				: ek_vector_distance2(m->fine.centroids + c * d, m->fine.centroids + cluster * d, d);

		if (distance2 < best) {
			best = distance2;
			found = c;
		}
	}
	return m->of_cluster[found];
}

/* Handfuls go to the nearest population, and the rest is numbered anew: out->groups of them. */
static int join_handfuls(struct ek_found *out, struct merged *m, const uint64_t *sizes, uint64_t n, uint32_t groups)
{
	uint32_t *place = NULL, *joined = NULL;
	int rc;

	EK_TRY(ek_alloc(&place, groups, sizeof *place));
	EK_TRY(ek_alloc(&joined, m->fine.k, sizeof *joined));
	out->groups = 0;
	for (uint32_t g = 0; g < groups; g++)
		place[g] = is_handful(sizes[g], n) ? 0 : out->groups++;
	for (uint32_t c = 0; c < m->fine.k; c++) {
		const int handful = is_handful(sizes[m->of_cluster[c]], n);

		joined[c] = place[handful ? nearest_population(m, c, sizes, n) : m->of_cluster[c]];
		out->outliers += handful ? m->fine.sizes[c] : 0;
	}
	memcpy(m->of_cluster, joined, m->fine.k * sizeof *joined);
out:
	free(place);
	free(joined);
	return rc;
}

/* out->groups populations, if the tree has so many; where nobody asked for a number, those of that cut. */
static int cut_populations(struct ek_found *out, struct merged *m, uint64_t n, int asked)
{
	const uint32_t wanted = out->groups;
	uint64_t *sizes = NULL;
	uint32_t groups = wanted, count;
	int rc;

	EK_TRY(ek_alloc(&sizes, m->fine.k, sizeof *sizes));
	for (;; groups++) {
		EK_TRY(ek_linkage_cut(m->of_cluster, &m->linkage, groups));
		count = count_populations(sizes, m, n, groups);
		if (!asked || count >= wanted || groups == m->fine.k)
			break;
	}
	if (asked && count < wanted)
		EK_TRY(ek_linkage_cut(m->of_cluster, &m->linkage, wanted));
	else if (count > 0 && count < groups)
		EK_TRY(join_handfuls(out, m, sizes, n, groups));
	EK_TRY(number_groups(out, m, n));
out:
	free(sizes);
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
	EK_TRY(cut_populations(out, &m, n, groups > 0));
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
