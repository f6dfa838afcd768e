#include "analysis/skew/audit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analysis/skew/attributes.h"
#include "analysis/skew/naming.h"
#include "analysis/skew/pairs.h"
#include "analysis/skew/skew.h"
#include "analysis/skew/finding.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/version.h"
#include "rebalance/io/groups.h"
#include "rebalance/io/images.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/ranges.h"
#include "rebalance/io/run_files.h"

enum {
	METHOD_VERSION = 4,
	IMAGES_BETWEEN_CHECKS = 1 << 24,
	MAX_CLUSTERS = INT32_MAX,
	PAIRED = 20,        /* attributes whose pairs are counted, the first ones */
	PAIRED_VALUES = 50, /* values of such an attribute at most */
	RAREST = 8          /* combinations named of each pair */
};

static const char clusters_file[] = "clusters/clusters.json";
static const char assignment_file[] = "clusters/assignment.npy";
static const char *const inputs[] = { clusters_file,
	                              assignment_file,
	                              "images.jsonl",
	                              "rejected.jsonl",
	                              "embeddings.json",
	                              "clusters/groups.json",
	                              "clusters/membership.npy",
	                              "clusters/stability.json",
	                              "clusters/duplicates.json",
	                              NULL };
/* ranges.json is written, too, but others read it: where nothing is asked for, it is not there. */
static const char *const outputs[] = { "audit.json", NULL };

/* What the measures are taken from. */
struct data {
	struct ek_npy assignment;
	struct ek_columns columns;
	uint64_t *sizes; /* [partition.k] owned */
	struct ek_partition partition;
	double inertia;
};

static void release(struct data *data)
{
	ek_npy_close(&data->assignment);
	ek_columns_release(&data->columns);
	free(data->sizes);
}

static int has_file(const struct ek_run *run, const char *name, char **path)
{
	const int rc = ek_run_file(path, run, name);

	return rc < 0 ? rc : ek_file_exists(*path);
}

/* How many images and clusters there should be. */
static int load_clusters(struct data *data, const struct ek_run *run)
{
	cJSON *clusters = NULL;
	char *path = NULL;
	uint64_t k;
	int rc;

	EK_TRY(ek_run_file(&path, run, clusters_file));
	EK_TRY(ek_json_load(&clusters, path));
	EK_TRY(ek_json_get_u64(&k, clusters, "k", path));
	EK_TRY(ek_json_get_u64(&data->partition.n, clusters, "images", path));
	EK_TRY(ek_json_get_double(&data->inertia, clusters, "inertia", path));
	if (k == 0 || k > MAX_CLUSTERS || data->partition.n == 0)
		rc = ek_fail(EK_EDATA, "%s: %llu images in %llu clusters", path, (unsigned long long)data->partition.n,
		             (unsigned long long)k);
	data->partition.k = (size_t)k;
out:
	cJSON_Delete(clusters);
	free(path);
	return rc;
}

static int load_assignment(struct data *data, const struct ek_run *run)
{
	struct ek_partition *p = &data->partition;
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, assignment_file));
	EK_TRY(ek_npy_open_as(&data->assignment, path, EK_I32, 1, &p->n));
	EK_TRY(ek_alloc(&data->sizes, p->k, sizeof *data->sizes));
	p->unit = data->assignment.data;
	p->sizes = data->sizes;
	for (uint64_t i = 0; i < p->n; i++) {
		if (i % IMAGES_BETWEEN_CHECKS == 0)
			EK_TRY(ek_check_interrupt());
		if (p->unit[i] < 0 || (size_t)p->unit[i] >= p->k) {
			rc = ek_fail(EK_EDATA, "%s: image %llu is in cluster %ld, expected 0 to %zu", path,
			             (unsigned long long)i, (long)p->unit[i], p->k - 1);
			goto out;
		}
		data->sizes[p->unit[i]]++;
	}
out:
	free(path);
	return rc;
}

static int check_ranges(const struct ek_columns *columns, const cJSON *ranges)
{
	const cJSON *list;

	cJSON_ArrayForEach(list, ek_json_object(ranges))
	{
		const struct ek_column *column = ek_column_find(columns, list->string);

		if (column == NULL || !column->ordered)
			return ek_fail(EK_EUSAGE, "the ranges of \"%s\": %s", list->string,
			               column == NULL ? "the images have no attribute of this name"
			                              : "its values are not all numbers");
	}
	return 0;
}

static int load_columns(struct data *data, const struct ek_run *run, const cJSON *ranges)
{
	char *path = NULL;
	int rc;

	if ((rc = has_file(run, "images.jsonl", &path)) <= 0)
		goto out;
	EK_TRY(ek_columns_load_by(&data->columns, run, ranges));
	if (data->columns.images != data->partition.n)
		rc = ek_fail(EK_EDATA, "%s lists %llu images, the clusters were made from %llu", path,
		             (unsigned long long)data->columns.images, (unsigned long long)data->partition.n);
	else
		rc = check_ranges(&data->columns, ranges);
out:
	free(path);
	return rc;
}

static int add_rejected(cJSON *audit, const struct ek_run *run)
{
	struct ek_map map = { 0 };
	char *path = NULL;
	uint64_t lines = 0;
	int rc;

	if ((rc = has_file(run, "rejected.jsonl", &path)) < 0)
		goto out;
	if (rc > 0)
		EK_TRY(ek_map_open(&map, path));
	for (size_t i = 0; i < map.size; i++)
		lines += map.data[i] == '\n';
	EK_TRY(ek_json_add_u64(audit, "rejected", lines));
out:
	ek_map_close(&map);
	free(path);
	return rc;
}

static int add_clusters(cJSON *audit, const struct data *data)
{
	const struct ek_partition *p = &data->partition;
	uint64_t empty = 0;
	cJSON *clusters;
	int rc;

	for (size_t i = 0; i < p->k; i++)
		empty += p->sizes[i] == 0;
	EK_TRY(ek_json_add_object(&clusters, audit, "clusters"));
	EK_TRY(ek_json_add_u64(clusters, "k", p->k));
	EK_TRY(ek_json_add_u64(clusters, "empty", empty));
	EK_TRY(ek_counts_add(clusters, "sizes", p->sizes, p->k));
	EK_TRY(ek_shares_add(clusters, "shares", p->sizes, p->k, p->n));
	EK_TRY(ek_json_add_double(clusters, "inertia", data->inertia));
out:
	return rc;
}

/* The skew of one way to divide the images, as the member `name`. */
static int add_unit_skew(cJSON *audit, const char *name, const char *unit, const uint64_t *sizes, size_t k,
                         const struct ek_audit_options *o)
{
	const struct ek_bootstrap bootstrap = { .resamples = o->resamples, .seed = o->seed, .name = unit };
	struct ek_skew skew;
	int rc;

	EK_TRY(ek_skew_measure(&skew, sizes, k, &bootstrap));
	EK_TRY(ek_skew_add(audit, name, &skew, sizes, k));
out:
	return rc;
}

static int add_values(cJSON *object, const struct ek_column *column)
{
	cJSON *values;
	int rc;

	EK_TRY(ek_json_add_array(&values, object, "values"));
	for (size_t i = 0; i < column->value_count; i++)
		EK_TRY(ek_json_add_string(values, NULL, column->values[i]));
out:
	return rc;
}

static int add_tail_values(cJSON *object, const struct ek_attribute *a, const struct ek_column *column)
{
	cJSON *list, *row, *bounds;
	int rc;

	EK_TRY(ek_json_add_array(&list, object, "tail_values"));
	for (size_t i = 0; i < a->tail_value_count; i++) {
		const struct ek_tail_value *t = &a->tail_values[i];

		EK_TRY(ek_json_add_object(&row, list, NULL));
		EK_TRY(ek_json_add_string(row, "value", column->values[t->value]));
		EK_TRY(ek_json_add_double(row, "tail_share", t->tail_share));
		EK_TRY(ek_json_add_array(&bounds, row, "ci95"));
		EK_TRY(ek_json_add_double(bounds, NULL, t->interval.low));
		EK_TRY(ek_json_add_double(bounds, NULL, t->interval.high));
		EK_TRY(ek_json_add_double(row, "share", a->tail_share));
		EK_TRY(ek_json_add_double(row, "ratio", t->ratio));
	}
out:
	return rc;
}

static int add_attribute(cJSON *attributes, const struct ek_attribute *a, const struct ek_column *column,
                         const struct ek_partition *p)
{
	const size_t values = column->value_count;
	cJSON *object, *table;
	int rc;

	EK_TRY(ek_json_add_object(&object, attributes, column->name));
	EK_TRY(add_values(object, column));
	EK_TRY(ek_counts_add(object, "counts", a->counts, values));
	EK_TRY(ek_shares_add(object, "shares", a->counts, values, p->n - a->missing));
	EK_TRY(ek_json_add_u64(object, "missing", a->missing));
	EK_TRY(ek_skew_add(object, "skew", &a->skew, a->counts, values));
	EK_TRY(ek_json_add_array(&table, object, "by_cluster"));
	for (size_t unit = 0; unit < p->k; unit++)
		EK_TRY(ek_counts_add(table, NULL, a->by_unit + unit * values, values));
	for (int m = 0; m < EK_AGREEMENT_MEASURES; m++)
		EK_TRY(ek_estimate_add(object, ek_agreement_names[m], &a->agreement_estimates[m]));
	EK_TRY(add_tail_values(object, a, column));
	EK_TRY(ek_json_add_bool(object, "ordered", column->ordered));
	if (column->note != NULL)
		EK_TRY(ek_json_add_string(object, "note", column->note));
	else
		EK_TRY(ek_json_add_null(object, "note"));
out:
	return rc;
}

static int has_values(const struct ek_column *column, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (column->codes[i] >= 0)
			return 1;
	return 0;
}

static int measure_attributes(cJSON *audit, struct ek_naming *naming, const struct data *data,
                              const struct ek_audit_options *o)
{
	struct ek_attribute attribute = { 0 };
	char *name = NULL;
	cJSON *attributes;
	int rc;

	EK_TRY(ek_json_add_object(&attributes, audit, "attributes"));
	for (size_t i = 0; i < data->columns.count; i++) {
		const struct ek_column *column = &data->columns.items[i];
		const struct ek_categories categories = { .codes = column->codes, .count = column->value_count };
		struct ek_bootstrap bootstrap = { .resamples = o->resamples, .seed = o->seed };

		if (!has_values(column, data->partition.n)) {
			ek_warn("%s: no image has a value; left out", column->name);
			continue;
		}
		EK_TRY(ek_format(&name, "attribute %s", column->name));
		bootstrap.name = name;
		EK_TRY(ek_attribute_measure(&attribute, &data->partition, &categories, &bootstrap));
		EK_TRY(add_attribute(attributes, &attribute, column, &data->partition));
		EK_TRY(ek_naming_take(naming, column, attribute.by_unit));
		ek_attribute_release(&attribute);
		free(name);
		name = NULL;
	}
out:
	ek_attribute_release(&attribute);
	free(name);
	return rc;
}

static int add_rare(cJSON *object, const struct ek_pair *pair, const struct ek_column *a, const struct ek_column *b)
{
	cJSON *list, *row, *values;
	int rc;

	EK_TRY(ek_json_add_array(&list, object, "rarest"));
	for (size_t i = 0; i < pair->rare_count; i++) {
		const struct ek_combination *c = &pair->rare[i];

		EK_TRY(ek_json_add_object(&row, list, NULL));
		EK_TRY(ek_json_add_array(&values, row, "values"));
		EK_TRY(ek_json_add_string(values, NULL, a->values[c->first]));
		EK_TRY(ek_json_add_string(values, NULL, b->values[c->second]));
		EK_TRY(ek_json_add_u64(row, "count", c->count));
		EK_TRY(ek_measure_add(row, "share", c->share, ek_wilson(c->count, pair->images)));
		EK_TRY(ek_json_add_double(row, "expected", c->expected));
	}
out:
	return rc;
}

static int add_pair(cJSON *pairs, const struct data *data, const struct ek_column *a, const struct ek_column *b)
{
	const struct ek_categories x = { .codes = a->codes, .count = a->value_count };
	const struct ek_categories y = { .codes = b->codes, .count = b->value_count };
	struct ek_pair pair;
	cJSON *object, *names;
	int rc;

	EK_TRY(ek_pair_measure(&pair, &x, &y, data->partition.n, RAREST));
	if (pair.combinations < 2)
		goto out;
	EK_TRY(ek_json_add_object(&object, pairs, NULL));
	EK_TRY(ek_json_add_array(&names, object, "attributes"));
	EK_TRY(ek_json_add_string(names, NULL, a->name));
	EK_TRY(ek_json_add_string(names, NULL, b->name));
	EK_TRY(ek_json_add_u64(object, "images", pair.images));
	EK_TRY(ek_json_add_u64(object, "combinations", pair.combinations));
	EK_TRY(ek_json_add_u64(object, "empty", pair.empty));
	EK_TRY(ek_json_add_double(object, "gini", pair.gini));
	EK_TRY(add_rare(object, &pair, a, b));
out:
	ek_pair_release(&pair);
	return rc;
}

/* Attributes of which every pair is a table that a person can look at. */
static int is_paired(const struct ek_column *column)
{
	return column->value_count >= 2 && column->value_count <= PAIRED_VALUES;
}

static int measure_pairs(cJSON *audit, const struct data *data)
{
	const struct ek_columns *columns = &data->columns;
	size_t paired = 0;
	cJSON *pairs;
	int rc;

	EK_TRY(ek_json_add_array(&pairs, audit, "pairs"));
	for (size_t j = 0; j < columns->count && paired < PAIRED; j++) {
		if (!is_paired(&columns->items[j]))
			continue;
		paired++;
		for (size_t i = 0; i < j; i++)
			if (is_paired(&columns->items[i]))
				EK_TRY(add_pair(pairs, data, &columns->items[i], &columns->items[j]));
	}
out:
	return rc;
}

/* Copy the members that say the most of another step's result, or null. */
static int add_summary(cJSON *audit, const char *name, const struct ek_run *run, const char *file,
                       const char *const *members)
{
	cJSON *from = NULL, *summary;
	int rc;

	EK_TRY(ek_run_json_find(&from, run, file, NULL));
	if (from == NULL)
		return ek_json_add_none(audit, name, "it was not measured");
	EK_TRY(ek_json_add_object(&summary, audit, name));
	for (; *members != NULL; members++) {
		const cJSON *member = cJSON_GetObjectItemCaseSensitive(from, *members);

		if (member != NULL)
			EK_TRY(ek_json_add_item(summary, *members, cJSON_Duplicate(member, 1)));
	}
out:
	cJSON_Delete(from);
	return rc;
}

/* "verdict": what may be said of the images in a word, and why not more. */
static int add_verdict(cJSON *audit)
{
	const cJSON *null =
		cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(audit, "stability"), "null");
	const cJSON *populations = cJSON_GetObjectItemCaseSensitive(null, "populations");
	const cJSON *excess = cJSON_GetObjectItemCaseSensitive(populations, "excess");
	const cJSON *ends = cJSON_GetObjectItemCaseSensitive(excess, "ci95");
	const struct ek_interval interval = { cJSON_GetNumberValue(cJSON_GetArrayItem(ends, 0)),
		                              cJSON_GetNumberValue(cJSON_GetArrayItem(ends, 1)) };
	const enum ek_finding finding =
		ek_finding_of(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(populations, "agreement")),
	                      cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(populations, "count")),
	                      cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(excess, "value")), interval);
	cJSON *object;
	int rc;

	if (!cJSON_IsObject(populations))
		return ek_json_add_none(audit, "verdict", "whether anything is more than chance was not measured");
	EK_TRY(ek_json_add_object(&object, audit, "verdict"));
	EK_TRY(ek_json_add_string(object, "words", ek_finding_words[finding]));
	EK_TRY(ek_finding_reasons[finding] != NULL ? ek_json_add_string(object, "reason", ek_finding_reasons[finding])
	                                           : ek_json_add_null(object, "reason"));
	for (const cJSON *item = populations->child; item != NULL; item = item->next)
		EK_TRY(ek_json_add_item(object, strcmp(item->string, "count") == 0 ? "populations" : item->string,
		                        cJSON_Duplicate(item, 1)));
out:
	return rc;
}

static int add_method(cJSON *audit, const struct data *data, const struct ek_run *run, const struct ek_audit_options *o)
{
	cJSON *embeddings = NULL, *method;
	const cJSON *encoder;
	int rc;

	EK_TRY(ek_run_json_find(&embeddings, run, "embeddings.json", NULL));
	EK_TRY(ek_json_add_object(&method, audit, "method"));
	encoder = cJSON_GetObjectItemCaseSensitive(embeddings, "encoder");
	EK_TRY(ek_json_add_item(method, "encoder", encoder != NULL ? cJSON_Duplicate(encoder, 1) : cJSON_CreateNull()));
	EK_TRY(ek_json_add_u64(method, "k", data->partition.k));
	EK_TRY(ek_json_add_u64(method, "seed", o->seed));
	EK_TRY(ek_json_add_u64(method, "bootstrap", o->resamples));
	EK_TRY(ek_json_add_string(method, "evenkeel", EK_VERSION));
out:
	cJSON_Delete(embeddings);
	return rc;
}

/* "mostly" of every group, by attributes. */
static int name_groups(cJSON *list, const struct data *data, const struct ek_column *group,
                       const struct ek_column *words)
{
	const size_t count = group->value_count;
	struct ek_naming naming = { 0 };
	uint64_t *sizes = NULL;
	int rc;

	EK_TRY(ek_alloc(&sizes, count, sizeof *sizes));
	for (uint64_t i = 0; i < data->partition.n; i++)
		if (group->codes[i] >= 0)
			sizes[group->codes[i]]++;
	EK_TRY(ek_naming_open(&naming, sizes, count, data->partition.n));
	for (size_t c = 0; c < data->columns.count; c++)
		EK_TRY(ek_naming_count(&naming, &data->columns.items[c], group->codes));
	if (words->value_count > 0)
		EK_TRY(ek_naming_count(&naming, words, group->codes));
	for (size_t g = 0; g < count; g++) {
		cJSON *item = cJSON_GetArrayItem(list, (int)g), *mostly, *next;

		EK_TRY(ek_naming_add(item, "mostly", &naming, g));
		mostly = cJSON_GetObjectItemCaseSensitive(item, "mostly");
		for (cJSON *text = mostly->child; text != NULL; text = next) {
			next = text->next;
			if (strcmp(text->valuestring, group->values[g]) == 0) /* "cat", mostly cat */
				cJSON_Delete(cJSON_DetachItemViaPointer(mostly, text));
		}
	}
out:
	ek_naming_release(&naming);
	free(sizes);
	return rc;
}

/* What the clusters and the groups mostly are: clusters by attributes, by words, and, where
 * people named some, by groups. */
static int name_units(cJSON *audit, struct ek_naming *naming, const struct data *data, const struct ek_run *run)
{
	cJSON *clusters = cJSON_GetObjectItemCaseSensitive(audit, "clusters"), *list, *of_groups;
	char name[] = "group";
	struct ek_column column = { .name = name }, words;
	struct ek_groups groups = { 0 };
	int rc;

	EK_TRY(ek_groups_words_load(&words, run, data->partition.n));
	EK_TRY(ek_groups_load(&groups, run));
	of_groups = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(audit, "groups"), "groups");
	if (groups.images == data->partition.n && groups.count > 0) {
		EK_TRY(ek_alloc(&column.codes, groups.images, sizeof *column.codes));
		for (uint64_t i = 0; i < groups.images; i++)
			column.codes[i] = ek_groups_likeliest(&groups, i);
		column.values = groups.names;
		column.value_count = groups.count;
		EK_TRY(name_groups(of_groups, data, &column, &words));
		if (groups.named)
			EK_TRY(ek_naming_count(naming, &column, data->partition.unit));
	}
	if (words.value_count > 0)
		EK_TRY(ek_naming_count(naming, &words, data->partition.unit));
	EK_TRY(ek_json_add_array(&list, clusters, "mostly"));
	for (size_t k = 0; k < data->partition.k; k++)
		EK_TRY(ek_naming_add(list, NULL, naming, k));
out:
	ek_groups_release(&groups);
	ek_groups_words_release(&words);
	free(column.codes);
	return rc;
}

static int measure(cJSON *audit, const struct data *data, const struct ek_run *run, const struct ek_audit_options *o)
{
	static const char *const groups[] = { "images",   "labelled",    "labelled_at_random",
		                              "probe",    "whitened_by", "fine_clusters",
		                              "outliers", "curve",       "named_by",
		                              "words",    "none",        "groups",
		                              NULL };
	static const char *const stability[] = { "verdict", "pairwise", "null", "k_variants", "encoders", NULL };
	static const char *const duplicates[] = { "scope", "images", "eps", "groups_eps", NULL };
	const struct ek_partition *p = &data->partition;
	struct ek_naming naming;
	int rc;

	EK_TRY(ek_naming_open(&naming, p->sizes, p->k, p->n));
	EK_TRY(ek_json_add_u64(audit, "images", p->n));
	EK_TRY(add_rejected(audit, run));
	EK_TRY(add_clusters(audit, data));
	EK_TRY(add_unit_skew(audit, "skew", "clusters", p->sizes, p->k, o));
	EK_TRY(measure_attributes(audit, &naming, data, o));
	EK_TRY(measure_pairs(audit, data));
	EK_TRY(add_summary(audit, "groups", run, "clusters/groups.json", groups));
	EK_TRY(name_units(audit, &naming, data, run));
	EK_TRY(add_summary(audit, "stability", run, "clusters/stability.json", stability));
	EK_TRY(add_verdict(audit));
	EK_TRY(add_summary(audit, "duplicates", run, "clusters/duplicates.json", duplicates));
	EK_TRY(add_method(audit, data, run, o));
out:
	ek_naming_release(&naming);
	return rc;
}

static int audit_now(struct ek_run *run, const struct ek_step *step, const struct ek_audit_options *o)
{
	const int64_t started = (int64_t)time(NULL);
	const double clock = ek_clock();
	struct data data = { 0 };
	cJSON *audit = cJSON_CreateObject(), *counts = cJSON_CreateObject();
	int rc;

	if (audit == NULL || counts == NULL) {
		rc = ek_fail(EK_ENOMEM, "no memory for the audit");
		goto out;
	}
	EK_TRY(load_clusters(&data, run));
	EK_TRY(load_assignment(&data, run));
	EK_TRY(load_columns(&data, run, o->ranges));
	/* Of the clusters; for each attribute of its values and of its table. */
	ek_progress_begin("measuring skew", "resamples", o->resamples * (1 + 2 * (uint64_t)data.columns.count));
	rc = measure(audit, &data, run, o);
	ek_progress_end();
	if (rc < 0)
		goto out;
	EK_TRY(ek_ranges_save(run, o->ranges));
	EK_TRY(ek_run_json_save(run, outputs[0], audit));
	EK_TRY(ek_json_add_u64(counts, "images", data.partition.n));
	EK_TRY(ek_json_add_u64(counts, "clusters", data.partition.k));
	EK_TRY(ek_json_add_u64(counts, "attributes", data.columns.count));
	EK_TRY(ek_run_record(run, step, started, ek_clock() - clock, counts));
out:
	release(&data);
	cJSON_Delete(audit);
	cJSON_Delete(counts);
	return rc;
}

int ek_audit_step(struct ek_step *step, cJSON **options_json, const struct ek_audit_options *options)
{
	int rc;

	if ((*options_json = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for the audit");
	*step = (struct ek_step){ .name = "audit",
		                  .version = METHOD_VERSION,
		                  .options = *options_json,
		                  .inputs = inputs,
		                  .outputs = outputs };
	EK_TRY(ek_json_add_u64(*options_json, "bootstrap", options->resamples));
	EK_TRY(ek_json_add_u64(*options_json, "seed", options->seed));
	if (cJSON_GetArraySize(options->ranges) > 0)
		EK_TRY(ek_json_add_item(*options_json, "ranges", cJSON_Duplicate(options->ranges, 1)));
out:
	return rc;
}

int ek_audit(struct ek_run *run, const struct ek_audit_options *options)
{
	cJSON *described = NULL;
	struct ek_step step;
	int rc;

	EK_TRY(ek_audit_step(&step, &described, options));
	EK_TRY(audit_now(run, &step, options));
out:
	cJSON_Delete(described);
	return rc;
}
