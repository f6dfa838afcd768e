#include "rebalance/io/groups.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/json.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/layout.h"

static int read_names(struct ek_groups *g, const cJSON *json, const char *path)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "groups"), *item;
	const cJSON *labelled = cJSON_GetObjectItemCaseSensitive(json, "labelled");
	int rc;

	EK_TRY(ek_alloc(&g->names, (size_t)cJSON_GetArraySize(list) + 1, sizeof *g->names));
	cJSON_ArrayForEach(item, list)
	{
		const char *name;

		EK_TRY(ek_json_get_string(&name, item, "name", path));
		EK_TRY(ek_copy_string(&g->names[g->count], name));
		g->count++;
	}
	g->labelled = ek_whole(cJSON_GetNumberValue(labelled));
	g->by_words = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(json, "words"));
	g->none = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(json, "none"));
	g->accuracy = cJSON_GetNumberValue(
		cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "probe"), "accuracy"));
	g->named = g->labelled > 0 || cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "named_by"));
out:
	return rc;
}

int ek_groups_load(struct ek_groups *g, const struct ek_run *run)
{
	char *path = NULL, *document = NULL;
	cJSON *json = NULL;
	uint64_t shape[2] = { UINT64_MAX, 0 };
	int rc;

	*g = (struct ek_groups){ 0 };
	EK_TRY(ek_layout_path(&document, run, "clusters/groups.json", NULL));
	EK_TRY(ek_layout_path(&path, run, "clusters/membership.npy", NULL));
	if (!ek_file_exists(document))
		goto out;
	EK_TRY(ek_json_load(&json, document));
	EK_TRY(read_names(g, json, document));
	shape[1] = g->count;
	EK_TRY(ek_npy_open_as(&g->membership, path, EK_F32, 2, shape));
	g->images = g->membership.shape[0];
	g->q = g->membership.data;
out:
	cJSON_Delete(json);
	free(path);
	free(document);
	return rc;
}

void ek_groups_release(struct ek_groups *g)
{
	for (size_t i = 0; g->names != NULL && g->names[i] != NULL; i++)
		free(g->names[i]);
	free(g->names);
	ek_npy_close(&g->membership);
	*g = (struct ek_groups){ 0 };
}

int32_t ek_groups_likeliest_of(const float *q, uint32_t count)
{
	double rest = 1;
	uint32_t best = 0;

	for (uint32_t i = 0; i < count; i++) {
		best = q[i] > q[best] ? i : best;
		rest -= (double)q[i];
	}
	return rest > (double)q[best] ? EK_GROUPS_NONE : (int32_t)best;
}

int32_t ek_groups_likeliest(const struct ek_groups *g, uint64_t image)
{
	return ek_groups_likeliest_of(g->q + image * g->count, g->count);
}
