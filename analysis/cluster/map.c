#include "analysis/cluster/map.h"

#include <stdlib.h>

#include "analysis/cluster/tsne.h"
#include "rebalance/base/error.h"
#include "rebalance/base/json.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

enum { AT_LEAST = 10 };

/* How many of each cluster: the floor first, then what is left by share, the rest to the largest remainders. */
static void quotas(uint64_t *quota, const uint64_t *sizes, uint64_t n, uint32_t k)
{
	const uint64_t most = n < EK_MAP_MOST ? n : EK_MAP_MOST;
	const uint64_t floor_size = most / k < AT_LEAST ? most / k : AT_LEAST;
	uint64_t used = 0, left, spare = 0;

	for (uint32_t c = 0; c < k; c++) {
		quota[c] = sizes[c] < floor_size ? sizes[c] : floor_size;
		used += quota[c];
		spare += sizes[c] - quota[c];
	}
	left = most - used;
	for (uint32_t c = 0; c < k && spare > 0; c++) {
		const uint64_t more = (uint64_t)((double)(sizes[c] - quota[c]) * (double)left / (double)spare);

		quota[c] += more;
		used += more;
	}
	/* Fewer than k are left over: one each, in order, to clusters that have more images. */
	for (uint32_t c = 0; used < most; c = (c + 1) % k)
		if (quota[c] < sizes[c]) {
			quota[c]++;
			used++;
		}
}

int ek_map_choose(uint64_t *ids, size_t *count, const int32_t *assignment, uint64_t n, uint32_t k, uint64_t seed)
{
	const uint64_t stream = ek_random_stream("map images");
	uint64_t *sizes = NULL, *quota = NULL;
	int rc;

	*count = 0;
	EK_TRY(ek_alloc(&sizes, k, sizeof *sizes));
	EK_TRY(ek_alloc(&quota, k, sizeof *quota));
	for (uint64_t i = 0; i < n; i++)
		sizes[assignment[i]]++;
	quotas(quota, sizes, n, k);
	/* Knuth's algorithm S for all clusters in one pass. */
	for (uint64_t i = 0; i < n; i++) {
		uint64_t *wanted = &quota[assignment[i]], *left = &sizes[assignment[i]];

		if (ek_random_below(seed, stream, i, *left) < *wanted) {
			ids[(*count)++] = i;
			--*wanted;
		}
		--*left;
	}
out:
	free(sizes);
	free(quota);
	return rc;
}

static int save(const char *path, const uint64_t *ids, const double *xy, size_t m)
{
	cJSON *root = cJSON_CreateObject(), *list;
	int rc;

	EK_TRY(ek_json_add_string(root, "method", "t-SNE"));
	EK_TRY(ek_json_add_array(&list, root, "ids"));
	for (size_t i = 0; i < m; i++)
		EK_TRY(ek_json_add_u64(list, NULL, ids[i]));
	for (size_t c = 0; c < 2; c++) {
		EK_TRY(ek_json_add_array(&list, root, c == 0 ? "x" : "y"));
		for (size_t i = 0; i < m; i++) /* five digits are finer than a pixel */
			EK_TRY(ek_json_add_double(list, NULL, (double)(int64_t)(xy[2 * i + c] * 1e5 + 0.5) / 1e5));
	}
	EK_TRY(ek_json_save(root, path));
out:
	cJSON_Delete(root);
	return rc;
}

int ek_map_write(const char *path, const struct ek_rows *rows, const int32_t *assignment, uint32_t k, uint64_t seed)
{
	uint64_t *ids = NULL;
	float *x = NULL;
	double *xy = NULL;
	size_t m;
	int rc;

	EK_TRY(ek_alloc(&ids, EK_MAP_MOST, sizeof *ids));
	EK_TRY(ek_map_choose(ids, &m, assignment, rows->count, k, seed));
	EK_TRY(ek_alloc(&x, m * rows->dimensions, sizeof *x));
	EK_TRY(ek_alloc(&xy, 2 * m, sizeof *xy));
	for (size_t i = 0; i < m; i++)
		ek_rows_read(x + i * rows->dimensions, rows, ids[i]);
	EK_TRY(ek_tsne(xy, x, m, rows->dimensions, seed));
	EK_TRY(save(path, ids, xy, m));
out:
	free(ids);
	free(x);
	free(xy);
	return rc;
}
