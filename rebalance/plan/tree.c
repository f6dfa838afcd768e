#include "rebalance/plan/tree.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/plan/quota.h"

static int read_level(struct ek_tree *t, const cJSON *list, size_t level, const char *where)
{
	const uint32_t children = t->counts[level], parents = t->counts[level + 1];
	const cJSON *item;
	uint32_t at = 0;
	int rc;

	if (!cJSON_IsArray(list) || (uint32_t)cJSON_GetArraySize(list) != children)
		return ek_fail(EK_EDATA, "%s: hierarchy.parents[%zu] has not %u numbers", where, level, children);
	EK_TRY(ek_alloc(&t->parents[level], children, sizeof **t->parents));
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < parents))
			return ek_fail(EK_EDATA, "%s: hierarchy.parents[%zu] names a cluster that is not there", where,
			               level);
		t->parents[level][at++] = (uint32_t)item->valuedouble;
	}
out:
	return rc;
}

int ek_tree_read(struct ek_tree *t, const cJSON *clusters, uint32_t k, const char *where)
{
	const cJSON *hierarchy = cJSON_GetObjectItemCaseSensitive(clusters, "hierarchy"), *item, *list;
	const cJSON *levels = cJSON_GetObjectItemCaseSensitive(hierarchy, "levels");
	const int count = cJSON_GetArraySize(levels);
	size_t i = 0;
	int rc = 0;

	*t = (struct ek_tree){ 0 };
	if (count < 2)
		return 0;
	t->levels = (size_t)count - 1;
	EK_TRY(ek_alloc(&t->counts, t->levels + 1, sizeof *t->counts));
	EK_TRY(ek_alloc(&t->parents, t->levels, sizeof *t->parents));
	cJSON_ArrayForEach(item, levels)
	{
		if (!cJSON_IsNumber(item) || !(item->valuedouble >= 1 && item->valuedouble <= INT32_MAX)) {
			rc = ek_fail(EK_EDATA, "%s: hierarchy.levels has no counts", where);
			goto out;
		}
		t->counts[i++] = (uint32_t)item->valuedouble;
	}
	if (t->counts[0] != k) {
		rc = ek_fail(EK_EDATA, "%s: k is %u, hierarchy.levels starts with %u", where, k, t->counts[0]);
		goto out;
	}
	list = cJSON_GetObjectItemCaseSensitive(hierarchy, "parents");
	for (i = 0; i < t->levels; i++)
		EK_TRY(read_level(t, cJSON_GetArrayItem(list, (int)i), i, where));
out:
	return rc;
}

void ek_tree_release(struct ek_tree *t)
{
	for (size_t i = 0; t->parents != NULL && i < t->levels; i++)
		free(t->parents[i]);
	free(t->parents);
	free(t->counts);
	*t = (struct ek_tree){ 0 };
}

/* What one level's nodes got, divided among their children. below: [counts[level]] sizes of the children. */
static int divide(uint64_t *out, const struct ek_tree *t, size_t level, const uint64_t *quota, const uint64_t *below,
                  uint64_t repeat, uint64_t seed)
{
	const uint64_t stream = ek_random_stream("plan: tree");
	const uint32_t children = t->counts[level], parents = t->counts[level + 1];
	uint64_t *sizes = NULL, *given = NULL;
	uint32_t *start = NULL, *order = NULL;
	int rc;

	EK_TRY(ek_alloc(&start, (size_t)parents + 2, sizeof *start));
	EK_TRY(ek_alloc(&order, children, sizeof *order));
	EK_TRY(ek_alloc(&sizes, children, sizeof *sizes));
	EK_TRY(ek_alloc(&given, children, sizeof *given));
	/* Children by parent: start[p + 1] is where those of p go on while they are placed, and where they end after.
	 */
	for (uint32_t c = 0; c < children; c++)
		start[t->parents[level][c] + 2]++;
	for (uint32_t p = 0; p < parents; p++)
		start[p + 2] += start[p + 1];
	for (uint32_t c = 0; c < children; c++)
		order[start[t->parents[level][c] + 1]++] = c;
	for (uint32_t i = 0; i < children; i++)
		sizes[i] = below[order[i]];
	for (uint32_t p = 0; p < parents; p++)
		EK_TRY(ek_quota_water_filling(given + start[p], sizes + start[p], start[p + 1] - start[p], quota[p],
		                              repeat, ek_random_u64(seed, stream, ((uint64_t)level << 32) + p)));
	for (uint32_t i = 0; i < children; i++)
		out[order[i]] = given[i];
out:
	free(start);
	free(order);
	free(sizes);
	free(given);
	return rc;
}

int ek_tree_water_filling(uint64_t *out, const struct ek_tree *t, const uint64_t *sizes, uint64_t total,
                          uint64_t repeat, uint64_t seed)
{
	uint64_t **size_of = NULL, *quota = NULL, *next = NULL;
	int rc;

	if (t->levels == 0)
		return ek_quota_water_filling(out, sizes, t->counts[0], total, repeat, seed);
	EK_TRY(ek_alloc(&size_of, t->levels + 1, sizeof *size_of));
	for (size_t l = 0; l <= t->levels; l++) {
		EK_TRY(ek_alloc(&size_of[l], t->counts[l], sizeof **size_of));
		for (uint32_t i = 0; l == 0 && i < t->counts[0]; i++)
			size_of[0][i] = sizes[i];
		for (uint32_t i = 0; l > 0 && i < t->counts[l - 1]; i++)
			size_of[l][t->parents[l - 1][i]] += size_of[l - 1][i];
	}
	EK_TRY(ek_alloc(&quota, t->counts[t->levels], sizeof *quota));
	EK_TRY(ek_quota_water_filling(quota, size_of[t->levels], t->counts[t->levels], total, repeat, seed));
	for (size_t l = t->levels; l-- > 0;) {
		EK_TRY(ek_alloc(&next, t->counts[l], sizeof *next));
		EK_TRY(divide(next, t, l, quota, size_of[l], repeat, seed));
		free(quota);
		quota = next;
		next = NULL;
	}
	for (uint32_t i = 0; i < t->counts[0]; i++)
		out[i] = quota[i];
out:
	for (size_t l = 0; size_of != NULL && l <= t->levels; l++)
		free(size_of[l]);
	free(size_of);
	free(quota);
	free(next);
	return rc;
}
