/* Hierarchical balancing: quotas of clusters that were made in levels, by water-filling from the top level down. */
#ifndef EK_PLAN_TREE_H
#define EK_PLAN_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/json.h"

struct ek_tree {
	size_t levels;      /* above the clusters themselves; 0: no tree */
	uint32_t *counts;   /* [levels + 1] nodes of each level, [0] the clusters; owned */
	uint32_t **parents; /* [levels] of each node of level i its parent in level i + 1; owned */
};

/* The "hierarchy" of a clusters.json of k clusters; levels 0 if it has none. Release in any case. EK_EDATA starts with
 * `where`. */
int ek_tree_read(struct ek_tree *tree, const cJSON *clusters, uint32_t k, const char *where);
void ek_tree_release(struct ek_tree *tree);

/* As ek_quota_water_filling over sizes [counts[0]], level by level: the total over the nodes at the top, then what each
 * got over its children. */
int ek_tree_water_filling(uint64_t *out, const struct ek_tree *tree, const uint64_t *sizes, uint64_t total,
                          uint64_t repeat, uint64_t seed);

#endif
