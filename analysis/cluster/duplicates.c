#include "analysis/cluster/duplicates.h"

#include <stdlib.h>

#include "analysis/cluster/cluster.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/io/run_files.h"

enum { MOST_FOR_ALL = 100000, GROUPS_SHOWN = 50, IDS_SHOWN = 200 };

const char *const ek_duplicates_scope_names[] = { "auto", "all", "within", NULL };
const char *const ek_duplicates_order_names[] = { "id", "hard", "easy", NULL };
const char *const ek_duplicates_inputs[] = { "embeddings.npy", "clusters/assignment.npy", "clusters/distance.npy",
	                                     NULL };
const char *const ek_duplicates_outputs[] = { "clusters/duplicates.json", "clusters/duplicate_similarity.npy",
	                                      "clusters/duplicate_partner.npy", NULL };

const double ek_duplicates_eps[] = { 0.001, 0.003, 0.01, 0.03, 0 };
enum { DEFAULT_EPS = sizeof ek_duplicates_eps / sizeof *ek_duplicates_eps - 1 };

static void eps_of(const double **eps, size_t *count, const struct ek_duplicates_options *o)
{
	*eps = o->eps != NULL ? o->eps : ek_duplicates_eps;
	*count = o->eps != NULL ? o->eps_count : DEFAULT_EPS;
}

int ek_duplicates_options_json(cJSON **out, const struct ek_duplicates_options *o)
{
	cJSON *json = cJSON_CreateObject(), *list;
	const double *eps;
	size_t count;
	int rc;

	*out = NULL;
	eps_of(&eps, &count, o);
	EK_TRY(ek_json_add_array(&list, json, "eps"));
	for (size_t e = 0; e < count; e++)
		EK_TRY(ek_json_add_double(list, NULL, eps[e]));
	EK_TRY(ek_json_add_string(json, "scope", ek_duplicates_scope_names[o->scope]));
	EK_TRY(ek_json_add_string(json, "order", ek_duplicates_order_names[o->order]));
	*out = json;
	json = NULL;
out:
	cJSON_Delete(json);
	return rc;
}

struct place {
	int32_t segment;
	float distance;
	uint32_t id;
};

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	if (x->distance < y->distance || x->distance > y->distance)
		return x->distance < y->distance ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* The order of the images and the segments that are searched. */
static int arrange(uint32_t **order, uint64_t **segments, size_t *segment_count, const struct ek_run *run, uint64_t n,
                   int within, enum ek_duplicates_order by)
{
	const double sign = by == EK_DUPLICATES_HARD ? -1 : by == EK_DUPLICATES_EASY ? 1 : 0;
	struct ek_npy assignment = { 0 }, distance = { 0 };
	struct place *places = NULL;
	int rc;

	EK_TRY(ek_run_npy_open(&assignment, run, "clusters/assignment.npy", EK_I32, 1, &n));
	EK_TRY(ek_run_npy_open(&distance, run, "clusters/distance.npy", EK_F32, 1, &n));
	EK_TRY(ek_alloc(&places, n, sizeof *places));
	EK_TRY(ek_alloc(order, n, sizeof **order));
	EK_TRY(ek_alloc(segments, n + 1, sizeof **segments));
	for (uint64_t i = 0; i < n; i++)
		places[i] = (struct place){ .segment = within ? ((const int32_t *)assignment.data)[i] : 0,
			                    .distance = (float)(sign * (double)((const float *)distance.data)[i]),
			                    .id = (uint32_t)i };
	qsort(places, n, sizeof *places, by_place);
	*segment_count = 0;
	for (uint64_t i = 0; i < n; i++) {
		(*order)[i] = places[i].id;
		if (i == 0 || places[i].segment != places[i - 1].segment)
			(*segments)[(*segment_count)++] = i;
	}
	(*segments)[*segment_count] = n;
out:
	free(places);
	ek_npy_close(&assignment);
	ek_npy_close(&distance);
	return rc;
}

int ek_duplicates_add_counts(cJSON *json, const struct ek_near *near)
{
	cJSON *list, *row;
	int rc;

	EK_TRY(ek_json_add_array(&list, json, "eps"));
	for (size_t e = 0; e < near->eps_count; e++) {
		const struct ek_near_eps *eps = &near->eps[e];

		EK_TRY(ek_json_add_object(&row, list, NULL));
		EK_TRY(ek_json_add_double(row, "eps", eps->eps));
		EK_TRY(ek_json_add_u64(row, "pairs", eps->pairs));
		EK_TRY(ek_json_add_u64(row, "one_pass_removed", eps->one_pass_removed));
		EK_TRY(ek_json_add_u64(row, "greedy_removed", eps->greedy_removed));
		EK_TRY(ek_json_add_u64(row, "groups", eps->groups));
		EK_TRY(ek_json_add_u64(row, "component_removed", eps->component_removed));
	}
out:
	return rc;
}

struct group {
	uint32_t lowest;
	float weakest;
	uint64_t size;
};

static int largest_first(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return (x->lowest > y->lowest) - (x->lowest < y->lowest);
}

static int add_group(cJSON *list, const struct group *group, const uint32_t *component, uint64_t n)
{
	cJSON *json, *ids;
	uint64_t shown = 0;
	int rc;

	EK_TRY(ek_json_add_object(&json, list, NULL));
	EK_TRY(ek_json_add_u64(json, "size", group->size));
	EK_TRY(ek_json_add_double(json, "similarity", (double)group->weakest));
	EK_TRY(ek_json_add_array(&ids, json, "ids"));
	for (uint64_t i = group->lowest; i < n && shown < IDS_SHOWN && shown < group->size; i++)
		if (component[i] == group->lowest) {
			EK_TRY(ek_json_add_u64(ids, NULL, i));
			shown++;
		}
out:
	return rc;
}

/* The largest groups at the smallest eps that has any. */
static int add_groups(cJSON *json, const struct ek_near *near)
{
	struct group *groups = NULL;
	const uint32_t *component;
	size_t at = near->eps_count;
	uint64_t count;
	cJSON *list;
	int rc;

	for (size_t e = 0; e < near->eps_count; e++)
		if (near->eps[e].groups > 0 && (at == near->eps_count || near->eps[e].eps < near->eps[at].eps))
			at = e;
	EK_TRY(ek_json_add_array(&list, json, "groups"));
	if (at == near->eps_count)
		return ek_json_add_none(json, "groups_eps", "no two images are near-duplicates");
	EK_TRY(ek_json_add_double(json, "groups_eps", near->eps[at].eps));
	EK_TRY(ek_alloc(&groups, near->n, sizeof *groups));
	component = near->component + at * near->n;
	for (uint64_t i = 0; i < near->n; i++) {
		struct group *group = &groups[component[i]];
		const float weakest = near->weakest[at * near->n + i];

		if (group->size++ == 0)
			*group = (struct group){ component[i], 2, 1 };
		group->weakest = weakest < group->weakest ? weakest : group->weakest;
	}
	qsort(groups, near->n, sizeof *groups, largest_first);
	count = near->eps[at].groups < GROUPS_SHOWN ? near->eps[at].groups : GROUPS_SHOWN;
	for (uint64_t g = 0; g < count; g++)
		EK_TRY(add_group(list, &groups[g], component, near->n));
out:
	free(groups);
	return rc;
}

static int write_column(const struct ek_run *run, const char *name, enum ek_dtype type, const void *data, uint64_t n)
{
	int rc;

	EK_TRY(ek_run_npy_write(run, name, type, 1, &n, data));
out:
	return rc;
}

static int write_all(const struct ek_run *run, const struct ek_near *near, int within, enum ek_duplicates_order order)
{
	cJSON *json = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_string(json, "scope", within ? "within clusters" : "all images"));
	EK_TRY(ek_json_add_string(json, "order", ek_duplicates_order_names[order]));
	EK_TRY(ek_json_add_u64(json, "images", near->n));
	EK_TRY(ek_duplicates_add_counts(json, near));
	EK_TRY(add_groups(json, near));
	EK_TRY(write_column(run, "clusters/duplicate_similarity.npy", EK_F32, near->similarity, near->n));
	EK_TRY(write_column(run, "clusters/duplicate_partner.npy", EK_I64, near->partner, near->n));
	EK_TRY(ek_run_json_save(run, "clusters/duplicates.json", json));
out:
	cJSON_Delete(json);
	return rc;
}

static int is_within(const struct ek_duplicates_options *o, uint64_t rows)
{
	return o->scope == EK_DUPLICATES_WITHIN || (o->scope == EK_DUPLICATES_AUTO && rows > MOST_FOR_ALL);
}

double ek_duplicates_work(const struct ek_duplicates_options *o, uint64_t rows, size_t d)
{
	return is_within(o, rows) ? 0 : (double)rows * (double)rows / 2 * (double)d;
}

int ek_duplicates(struct ek_run *run, const struct ek_duplicates_options *options)
{
	struct ek_npy array = { 0 };
	struct ek_near near = { 0 };
	struct ek_rows rows;
	uint32_t *order = NULL;
	uint64_t *segments = NULL;
	size_t segment_count, eps_count;
	const double *eps;
	int within, rc;

	eps_of(&eps, &eps_count, options);
	EK_TRY(ek_cluster_rows(&rows, &array, run, "embeddings.npy", EK_NORMALISE_UNIT));
	if (rows.count > UINT32_MAX) {
		rc = ek_fail(EK_ENOTSUP, "%llu images are more than duplicates can be found among (4294967295)",
		             (unsigned long long)rows.count);
		goto out;
	}
	within = is_within(options, rows.count);
	EK_TRY(arrange(&order, &segments, &segment_count, run, rows.count, within, options->order));
	EK_TRY(ek_near_find(&near, &rows, order, segments, segment_count, eps, eps_count, rows.count > MOST_FOR_ALL));
	EK_TRY(write_all(run, &near, within, options->order));
out:
	ek_near_release(&near);
	free(order);
	free(segments);
	ek_npy_close(&array);
	return rc;
}
