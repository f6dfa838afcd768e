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

/* Every image's word is one of so many, or none. */
static int check_words(const struct ek_column *column, uint64_t images, const char *path)
{
	for (uint64_t i = 0; i < images; i++)
		if (column->codes[i] < -1 || column->codes[i] >= (int32_t)column->value_count)
			return ek_fail(EK_EDATA, "%s: image %llu has word %d of %zu", path, (unsigned long long)i,
			               column->codes[i], column->value_count);
	return 0;
}

int ek_groups_fail_none(void)
{
	return ek_fail(EK_EUSAGE, "the run has no groups: evenkeel label RUN asks people for labels of some images, "
	                          "from which evenkeel cluster RUN learns them");
}

int ek_groups_words_load(struct ek_column *out, const struct ek_run *run, uint64_t images)
{
	char *path = NULL, *document = NULL;
	const cJSON *names, *item;
	struct ek_npy codes = { 0 };
	cJSON *json = NULL;
	int rc;

	*out = (struct ek_column){ 0 };
	EK_TRY(ek_layout_path(&document, run, "clusters/groups.json", NULL));
	EK_TRY(ek_layout_path(&path, run, "clusters/words.npy", NULL));
	if (!ek_file_exists(document) || !ek_file_exists(path))
		goto out;
	EK_TRY(ek_json_load(&json, document));
	names = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "named_with"), "words");
	EK_TRY(ek_npy_open_as(&codes, path, EK_I32, 1, &images));
	EK_TRY(ek_copy_string(&out->name, "word"));
	EK_TRY(ek_alloc(&out->codes, images, sizeof *out->codes));
	memcpy(out->codes, codes.data, images * sizeof *out->codes);
	EK_TRY(ek_alloc(&out->values, (size_t)cJSON_GetArraySize(names), sizeof *out->values));
	cJSON_ArrayForEach(item, names)
	{
		EK_TRY(ek_copy_string(&out->values[out->value_count], cJSON_IsString(item) ? item->valuestring : ""));
		out->value_count++;
	}
	EK_TRY(check_words(out, images, path));
out:
	ek_npy_close(&codes);
	cJSON_Delete(json);
	free(path);
	free(document);
	return rc;
}

void ek_groups_words_release(struct ek_column *column)
{
	for (size_t v = 0; v < column->value_count; v++)
		free(column->values[v]);
	free(column->values);
	free(column->codes);
	free(column->name);
	*column = (struct ek_column){ 0 };
}
