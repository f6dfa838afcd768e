#include "rebalance/io/ranges.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/run_files.h"

static const char ranges_file[] = "ranges.json";

static int parse(cJSON *list, const char *numbers, const char *text)
{
	double before = -(double)INFINITY;
	char *end;
	int rc = 0;

	for (const char *at = numbers; *at != 0; at = end + (*end == ',')) {
		const double number = strtod(at, &end);

		if (end == at || (*end != 0 && *end != ',') || !isfinite(number) || !(number > before) ||
		    (*end == ',' && end[1] == 0))
			return ek_fail(EK_EUSAGE, "the ranges \"%s\" are not NAME=A,B,... with rising numbers", text);
		EK_TRY(ek_json_add_double(list, NULL, number));
		before = number;
	}
out:
	return rc;
}

int ek_ranges_add(cJSON *ranges, const char *text)
{
	const char *equals = strrchr(text, '=');
	char *name = NULL;
	cJSON *list;
	int rc;

	if (equals == NULL || equals == text)
		return ek_fail(EK_EUSAGE, "the ranges \"%s\" are not NAME=A,B,... with rising numbers", text);
	EK_TRY(ek_copy_string(&name, text));
	name[equals - text] = 0;
	cJSON_DeleteItemFromObjectCaseSensitive(ranges, name);
	if (equals[1] == 0)
		goto out;
	EK_TRY(ek_json_add_array(&list, ranges, name));
	EK_TRY(parse(list, equals + 1, text));
out:
	free(name);
	return rc;
}

static int check(const cJSON *list, const char *path)
{
	double before = -(double)INFINITY;
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsNumber(item) || !(item->valuedouble > before))
			return ek_fail(EK_EDATA, "%s: the ranges of \"%s\" are no rising numbers", path, list->string);
		before = item->valuedouble;
	}
	if (!cJSON_IsArray(list) || list->child == NULL)
		return ek_fail(EK_EDATA, "%s: the ranges of \"%s\" are no list of numbers", path, list->string);
	return 0;
}

int ek_ranges_load(cJSON **out, const struct ek_run *run)
{
	cJSON *json = NULL;
	const cJSON *list;
	char *path = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_run_file(&path, run, ranges_file));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_json_load(&json, path));
	if (!cJSON_IsObject(json)) {
		rc = ek_fail(EK_EDATA, "%s: not an object of lists of numbers", path);
		goto out;
	}
	cJSON_ArrayForEach(list, json) EK_TRY(check(list, path));
	*out = json;
	json = NULL;
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

int ek_ranges_save(const struct ek_run *run, const cJSON *ranges)
{
	cJSON *none = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_run_has(run, ranges_file));
	if (cJSON_GetArraySize(ranges) > 0 || rc > 0)
		EK_TRY(ek_run_json_save(run, ranges_file, ranges != NULL ? ranges : none));
out:
	cJSON_Delete(none);
	return rc;
}
