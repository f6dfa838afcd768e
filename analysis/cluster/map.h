/*
 * The map: a picture in two dimensions of at most 2,000 images, every cluster among them.
 */
#ifndef EK_CLUSTER_MAP_H
#define EK_CLUSTER_MAP_H

#include "analysis/cluster/rows.h"

enum { EK_MAP_MOST = 2000 };

/*
 * Choose images: as many of each cluster as its share of all, but at least 10 (or all it has) while there is room for
 * that many of each; drawn by seed. ids: [EK_MAP_MOST], out, ascending.
 */
int ek_map_choose(uint64_t *ids, size_t *count, const int32_t *assignment, uint64_t n, uint32_t k, uint64_t seed);

/* Choose images, place them with t-SNE (tsne.h) and write map.json as docs/files.md says. */
int ek_map_write(const char *path, const struct ek_rows *rows, const int32_t *assignment, uint32_t k, uint64_t seed);

#endif
