#include "rebalance/plan/source.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/json.h"

/* What weights.json says of units. */
struct plan {
	uint64_t *sizes;
	double *shares;
	uint32_t count;
	uint64_t images, in_units;
};

static int read_plan(struct plan *plan, const char *path)
{
	const cJSON *sizes, *visits, *size, *visit;
	cJSON *json = NULL;
	uint64_t total = 0;
	int count, rc;

	EK_TRY(ek_json_load(&json, path));
	EK_TRY(ek_json_get_u64(&plan->images, json, "images", path));
	EK_TRY(ek_json_get_u64(&plan->in_units, json, "in_units", path));
	sizes = cJSON_GetObjectItemCaseSensitive(json, "sizes");
	visits = cJSON_GetObjectItemCaseSensitive(json, "visits");
	count = cJSON_GetArraySize(sizes);
	if (!cJSON_IsArray(sizes) || count == 0 || !cJSON_IsArray(visits) || cJSON_GetArraySize(visits) != count) {
		rc = ek_fail(EK_EDATA, "%s: sizes and visits are not two arrays of one length", path);
		goto out;
	}
	EK_TRY(ek_alloc(&plan->sizes, (size_t)count, sizeof *plan->sizes));
	EK_TRY(ek_alloc(&plan->shares, (size_t)count, sizeof *plan->shares));
	for (size = sizes->child, visit = visits->child; size != NULL; size = size->next, visit = visit->next) {
		const double images = size->valuedouble;

		if (!cJSON_IsNumber(size) || !cJSON_IsNumber(visit) || !(images >= 0 && images < 0x1p52) ||
		    images != floor(images)) {
			rc = ek_fail(EK_EDATA, "%s: unit %" PRIu32 " has no size or no visits", path, plan->count);
			goto out;
		}
		plan->sizes[plan->count] = (uint64_t)images;
		plan->shares[plan->count++] = images * visit->valuedouble / (double)plan->in_units;
		total += (uint64_t)images;
	}
	if (plan->in_units != total)
		rc = ek_fail(EK_EDATA, "%s: in_units is %" PRIu64 ", the sizes sum to %" PRIu64, path, plan->in_units,
		             total);
out:
	cJSON_Delete(json);
	return rc;
}

static int open_weights(struct ek_source *source, const char *folder, uint64_t seed)
{
	struct plan plan = { 0 };
	struct ek_sampler_units units;
	char *path = NULL, *members = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/weights.json", folder));
	EK_TRY(ek_format(&members, "%s/members.npy", folder));
	EK_TRY(read_plan(&plan, path));
	EK_TRY(ek_npy_open_as(&source->members, members, plan.images > UINT32_MAX ? EK_I64 : EK_U32, 1,
	                      &plan.in_units));
	units = (struct ek_sampler_units){ plan.count, plan.sizes, plan.shares, source->members.data,
		                           source->members.type };
	EK_TRY(ek_sampler_new(&source->sampler, &units, plan.in_units, seed));
out:
	free(plan.sizes);
	free(plan.shares);
	free(path);
	free(members);
	return rc;
}

static int open_subset(struct ek_source *source, const char *folder, uint64_t seed)
{
	static const uint64_t any[] = { UINT64_MAX };
	static const double whole = 1;
	struct ek_sampler_units units = { .count = 1, .shares = &whole, .members_type = EK_I64 };
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/keep.npy", folder));
	EK_TRY(ek_npy_open_as(&source->members, path, EK_I64, 1, any));
	if (source->members.shape[0] == 0) {
		rc = ek_fail(EK_EDATA, "%s: the subset is empty", path);
		goto out;
	}
	units.sizes = &source->members.shape[0];
	units.members = source->members.data;
	EK_TRY(ek_sampler_new(&source->sampler, &units, source->members.shape[0], seed));
out:
	free(path);
	return rc;
}

int ek_source_open(struct ek_source *source, const char *folder, enum ek_source_kind kind, const char *name,
                   uint64_t seed)
{
	static const struct {
		const char *folder;
		int (*open)(struct ek_source *source, const char *folder, uint64_t seed);
	} kinds[] = {
		[EK_SOURCE_WEIGHTS] = { "weights", open_weights },
		[EK_SOURCE_SUBSET] = { "subsets", open_subset },
	};
	char *path = NULL;
	int rc;

	*source = (struct ek_source){ 0 };
	if (*name == 0 || *name == '.' || strchr(name, '/') != NULL)
		return ek_fail(EK_EUSAGE, "\"%s\" is no name in %s/%s", name, folder, kinds[kind].folder);
	EK_TRY(ek_format(&path, "%s/%s/%s", folder, kinds[kind].folder, name));
	EK_TRY(kinds[kind].open(source, path, seed));
out:
	if (rc < 0)
		ek_source_release(source);
	free(path);
	return rc;
}

void ek_source_release(struct ek_source *source)
{
	ek_sampler_free(source->sampler);
	ek_npy_close(&source->members);
	*source = (struct ek_source){ 0 };
}
