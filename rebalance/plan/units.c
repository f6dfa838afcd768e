#include "rebalance/io/run_files.h"
#include "rebalance/plan/units.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/images.h"
#include "rebalance/io/jsonl.h"

enum { IMAGES_BETWEEN_CHECKS = 1 << 18, MAX_FACTORS = 8, NAMES_SHOWN = 12 };
/* Combinations are numbered in a table before it is known which occur. */
#define MAX_COMBINATIONS ((uint64_t)1 << 26)

static const char assignment_file[] = "clusters/assignment.npy", images_file[] = "images.jsonl";
static const char membership_file[] = "clusters/membership.npy", groups_file[] = "clusters/groups.json";
static const char ranges_file[] = "ranges.json"; /* where there is one */

/* One of the things that are combined: where the codes of images come from. */
struct factor {
	const int32_t *codes; /* [n] < 0: none */
	uint64_t count;
	char *const *names; /* [count], or NULL: numbers */
};

static int set_count(struct ek_units *units, uint64_t n, const char *what)
{
	if (units->n != 0 && units->n != n)
		return ek_fail(EK_EDATA, "%s has %" PRIu64 " images, other files of the run have %" PRIu64, what, n,
		               units->n);
	units->n = n;
	return 0;
}

/* Clusters that clusters.json counts, or 0 if there is none. */
static int count_clusters(uint64_t *k, const struct ek_run *run)
{
	cJSON *clusters = NULL;
	char *path = NULL;
	int rc;

	*k = 0;
	EK_TRY(ek_run_file(&path, run, "clusters/clusters.json"));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_json_load(&clusters, path));
	EK_TRY(ek_json_get_u64(k, clusters, "k", path));
	if (*k == 0 || *k > INT32_MAX)
		rc = ek_fail(EK_EDATA, "%s: k is %" PRIu64, path, *k);
out:
	cJSON_Delete(clusters);
	free(path);
	return rc;
}

/* Every image's cluster is in 0 … last; the largest. */
static int check_clusters(int32_t *largest, const struct ek_units *units, uint64_t last, const char *path)
{
	const int32_t *cluster = units->map.data;
	uint64_t end;
	int rc = 0;

	for (uint64_t i = 0; i < units->n; i = end) {
		end = units->n - i < IMAGES_BETWEEN_CHECKS ? units->n : i + IMAGES_BETWEEN_CHECKS;
		EK_TRY(ek_check_interrupt());
		for (uint64_t j = i; j < end; j++) {
			if (cluster[j] < 0 || (uint64_t)cluster[j] > last)
				return ek_fail(EK_EDATA,
				               "%s: image %" PRIu64 " is in cluster %" PRId32
				               ", expected 0 to %" PRIu64,
				               path, j, cluster[j], last);
			*largest = cluster[j] > *largest ? cluster[j] : *largest;
		}
		ek_units_forget(units, i, end);
	}
out:
	return rc;
}

static int load_clusters(struct ek_units *units, struct factor *factor, const struct ek_run *run)
{
	static const uint64_t any[] = { UINT64_MAX };
	char *path = NULL;
	int32_t largest = 0;
	uint64_t k;
	int rc;

	if (factor->codes != NULL)
		return 0;
	EK_TRY(ek_run_file(&path, run, assignment_file));
	EK_TRY(ek_npy_open_as(&units->map, path, EK_I32, 1, any));
	EK_TRY(set_count(units, units->map.shape[0], assignment_file));
	EK_TRY(count_clusters(&k, run));
	factor->codes = units->map.data;
	EK_TRY(check_clusters(&largest, units, k != 0 ? k - 1 : INT32_MAX - 1, path));
	factor->count = k != 0 ? k : (uint64_t)largest + 1;
out:
	free(path);
	return rc;
}

static int no_attribute(const char *name, const struct ek_columns *columns)
{
	struct ek_buffer text = { 0 };
	int rc;

	if (strcmp(name, "group") == 0)
		return ek_groups_fail_none();
	for (size_t i = 0; i < columns->count && i < NAMES_SHOWN; i++)
		EK_TRY(ek_buffer_printf(&text, ", %s%s", columns->items[i].name,
		                        i + 1 == NAMES_SHOWN && columns->count > NAMES_SHOWN ? ", ..." : ""));
	rc = ek_fail(EK_EUSAGE, "the images have no attribute \"%s\"; there is: cluster, all%s", name,
	             text.size > 0 ? text.data : "");
out:
	ek_buffer_release(&text);
	return rc;
}

/* The likeliest group of each image (docs/files.md, clusters/groups.json). */
static int take_groups(struct ek_units *units, struct factor *factor)
{
	const struct ek_groups *groups = &units->groups;
	int rc;

	EK_TRY(set_count(units, groups->images, membership_file));
	if (units->likeliest == NULL) {
		EK_TRY(ek_alloc(&units->likeliest, units->n, sizeof *units->likeliest));
		for (uint64_t i = 0; i < units->n; i++)
			units->likeliest[i] = ek_groups_likeliest(groups, i);
	}
	*factor = (struct factor){ units->likeliest, groups->count, groups->names };
out:
	return rc;
}

static int load_factor(struct ek_units *units, struct factor *factor, const struct ek_run *run,
                       struct ek_columns *columns, const char *name)
{
	const struct ek_column *column;
	int rc = 0;

	if (strcmp(name, "cluster") == 0)
		return load_clusters(units, factor, run);
	if (strcmp(name, "group") == 0) {
		if (units->groups.count == 0)
			EK_TRY(ek_groups_load(&units->groups, run));
		if (units->groups.count > 0)
			return take_groups(units, factor);
	}
	if (columns->items == NULL && (rc = ek_run_has(run, images_file)) > 0)
		EK_TRY(ek_columns_load(columns, run));
	if (rc >= 0 && (column = ek_column_find(columns, name)) == NULL)
		rc = no_attribute(name, columns);
	EK_TRY(rc);
	EK_TRY(set_count(units, columns->images, images_file));
	*factor = (struct factor){ column->codes, column->value_count, column->values };
	rc = 0;
out:
	return rc;
}

/* Cut `text` at the next "×" or "*"; the rest, or NULL. */
static char *cut(char *text)
{
	static const char times[] = "\xC3\x97";
	char *star = strchr(text, '*'), *cross = strstr(text, times);
	char *at = star != NULL && (cross == NULL || star < cross) ? star : cross;

	if (at == NULL)
		return NULL;
	*at = 0;
	return at + (at == cross ? sizeof times - 1 : 1);
}

static int load_factors(struct ek_units *units, struct factor *factors, size_t *count, const struct ek_run *run,
                        struct ek_columns *columns)
{
	char *text = NULL, *rest;
	int rc;

	EK_TRY(ek_copy_string(&text, units->by));
	/* An attribute whose own name has a star is itself. */
	if (strchr(text, '*') != NULL && ek_run_has(run, images_file) > 0) {
		EK_TRY(ek_columns_load(columns, run));
		if (ek_column_find(columns, text) != NULL) {
			*count = 1;
			EK_TRY(load_factor(units, factors, run, columns, text));
			goto out;
		}
	}
	for (char *name = text; name != NULL; name = rest) {
		rest = cut(name);
		if (*count == MAX_FACTORS) {
			rc = ek_fail(EK_EUSAGE, "\"%s\" combines more than %d attributes", units->by, MAX_FACTORS);
			goto out;
		}
		for (size_t f = 0; f < *count && strcmp(name, "cluster") == 0; f++)
			if (factors[f].codes == units->map.data)
				rc = ek_fail(EK_EUSAGE, "\"%s\" names the clusters twice", units->by);
		EK_TRY(rc);
		EK_TRY(load_factor(units, &factors[*count], run, columns, name));
		++*count;
	}
out:
	free(text);
	return rc;
}

static int name_combination(char **out, const struct factor *factors, size_t count, uint64_t code)
{
	struct ek_buffer text = { 0 };
	uint64_t scale = 1;
	int rc = 0;

	for (size_t f = 1; f < count; f++)
		scale *= factors[f].count;
	for (size_t f = 0; f < count; f++) {
		const uint64_t value = code / scale;

		code %= scale;
		scale /= f + 1 < count ? factors[f + 1].count : 1;
		if (f > 0)
			EK_TRY(ek_buffer_text(&text, "\xC3\x97"));
		if (factors[f].names != NULL)
			EK_TRY(ek_buffer_text(&text, factors[f].names[value]));
		else
			EK_TRY(ek_buffer_printf(&text, "%" PRIu64, value));
	}
	*out = text.data;
	return 0;
out:
	ek_buffer_release(&text);
	return rc;
}

/* Number the combinations that occur. */
static int combine(struct ek_units *units, const struct factor *factors, size_t count)
{
	uint64_t combinations = 1;
	int32_t *number = NULL;
	int rc = 0;

	for (size_t f = 0; f < count && combinations <= MAX_COMBINATIONS; f++)
		combinations *= factors[f].count;
	if (combinations > MAX_COMBINATIONS)
		return ek_fail(EK_EDATA, "\"%s\" has more than %" PRIu64 " combinations", units->by, MAX_COMBINATIONS);
	EK_TRY(ek_alloc(&number, combinations, sizeof *number));
	for (uint64_t i = 0; i < units->n; i++) {
		int64_t code = 0;

		for (size_t f = 0; f < count && code >= 0; f++)
			code = factors[f].codes[i] < 0 ? EK_UNIT_NONE
			                               : code * (int64_t)factors[f].count + factors[f].codes[i];
		units->owned[i] = (int32_t)code;
		if (code >= 0)
			number[code] = 1;
	}
	for (uint64_t c = 0; c < combinations; c++)
		if (number[c] != 0)
			number[c] = (int32_t)units->k++;
		else
			number[c] = EK_UNIT_NONE;
	EK_TRY(ek_alloc(&units->names, units->k, sizeof *units->names));
	for (uint64_t c = 0; c < combinations; c++)
		if (number[c] >= 0)
			EK_TRY(name_combination(&units->names[number[c]], factors, count, c));
	for (uint64_t i = 0; i < units->n; i++)
		if (units->owned[i] >= 0)
			units->owned[i] = number[units->owned[i]];
out:
	free(number);
	return rc;
}

static int copy_codes(struct ek_units *units, const struct factor *factor)
{
	int rc = 0;

	if (factor->names == NULL && units->held_out == 0)
		return 0;
	EK_TRY(ek_alloc(&units->owned, units->n, sizeof *units->owned));
	for (uint64_t i = 0; i < units->n; i++)
		units->owned[i] = factor->codes[i] < 0 ? EK_UNIT_NONE : factor->codes[i];
	if (factor->names == NULL)
		return 0;
	EK_TRY(ek_alloc(&units->names, units->k, sizeof *units->names));
	for (uint32_t k = 0; k < units->k; k++)
		EK_TRY(ek_copy_string(&units->names[k], factor->names[k]));
out:
	return rc;
}

/* The number of held-out images, as the scan counted them; 0 for a run without a scan. */
static uint64_t count_held_out(const struct ek_run *run)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");
	const cJSON *count = cJSON_GetObjectItemCaseSensitive(counts, "held_out");

	return ek_whole(cJSON_GetNumberValue(count));
}

/* A line without the word is not parsed. */
static int is_held_out(const struct ek_lines *lines, const char *text, size_t size)
{
	char where[512];
	cJSON *row = NULL;
	int rc;

	if (memmem(text, size, "\"held_out\"", 10) == NULL)
		return 0;
	(void)snprintf(where, sizeof where, "%s:%" PRIu64, lines->path, lines->line);
	EK_TRY(ek_json_parse(&row, text, size, where));
	rc = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "held_out"));
	cJSON_Delete(row);
out:
	return rc;
}

static int leave_out(struct ek_units *units, const struct ek_run *run)
{
	struct ek_lines lines = { 0 };
	const char *text;
	char *path = NULL;
	size_t size;
	uint64_t id = 0, found = 0;
	int rc;

	EK_TRY(ek_run_file(&path, run, images_file));
	EK_TRY(ek_lines_open(&lines, path));
	for (;;) {
		EK_TRY(ek_lines_next(&lines, &text, &size));
		if (rc == 0)
			break;
		if (strspn(text, " \t\r") == size)
			continue;
		if (id == units->n)
			break;
		EK_TRY(is_held_out(&lines, text, size));
		if (rc > 0)
			units->owned[id] = EK_UNIT_HELD_OUT;
		found += rc > 0;
		if (++id % 65536 == 0)
			EK_TRY(ek_check_interrupt());
	}
	rc = id == units->n && found == units->held_out
	             ? 0
	             : ek_fail(EK_EDATA,
	                       "%s: %" PRIu64 " rows, %" PRIu64 " held out, expected %" PRIu64 " and %" PRIu64, path,
	                       id, found, units->n, units->held_out);
out:
	ek_lines_close(&lines);
	free(path);
	return rc;
}

static int count_sizes(struct ek_units *units)
{
	uint64_t end;
	int rc;

	EK_TRY(ek_alloc(&units->sizes, units->k, sizeof *units->sizes));
	for (uint64_t i = 0; i < units->n; i = end) {
		end = units->n - i < IMAGES_BETWEEN_CHECKS ? units->n : i + IMAGES_BETWEEN_CHECKS;
		EK_TRY(ek_check_interrupt());
		for (uint64_t j = i; j < end; j++)
			if (units->unit[j] >= 0)
				units->sizes[units->unit[j]]++;
		ek_units_forget(units, i, end);
	}
	for (uint32_t k = 0; k < units->k; k++)
		units->total += units->sizes[k];
	if (units->total == 0)
		rc = ek_fail(EK_EDATA, "no image is in a plan by %s: all are held out or without a value", units->by);
out:
	return rc;
}

/* One unit of everything. The number of images is that of the clusters, or of the list. */
static int load_all(struct ek_units *units, const struct ek_run *run)
{
	struct factor clusters = { 0 };
	uint64_t n = 0;
	int rc;

	if ((rc = ek_run_has(run, assignment_file)) > 0) {
		EK_TRY(load_clusters(units, &clusters, run));
	} else {
		EK_TRY(ek_images_count(&n, run));
		units->n = n;
	}
	units->k = 1;
	EK_TRY(ek_alloc(&units->owned, units->n, sizeof *units->owned));
	EK_TRY(ek_alloc(&units->names, 1, sizeof *units->names));
	EK_TRY(ek_copy_string(&units->names[0], "all"));
out:
	return rc;
}

static int load_named(struct ek_units *units, const struct ek_run *run)
{
	struct factor factors[MAX_FACTORS] = { { 0 } };
	struct ek_columns columns = { 0 };
	size_t count = 0;
	int rc;

	EK_TRY(load_factors(units, factors, &count, run, &columns));
	if (count == 1) {
		units->k = (uint32_t)factors[0].count;
		EK_TRY(copy_codes(units, &factors[0]));
	} else {
		EK_TRY(ek_alloc(&units->owned, units->n, sizeof *units->owned));
		EK_TRY(combine(units, factors, count));
	}
out:
	ek_columns_release(&columns);
	return rc;
}

int ek_units_load(struct ek_units *units, const struct ek_run *run, const char *by)
{
	int rc;

	*units = (struct ek_units){ 0 };
	EK_TRY(ek_copy_string(&units->by, by));
	units->held_out = count_held_out(run);
	EK_TRY(strcmp(by, "all") == 0 ? load_all(units, run) : load_named(units, run));
	if (units->held_out > 0)
		EK_TRY(leave_out(units, run));
	units->unit = units->owned != NULL ? units->owned : units->map.data;
	EK_TRY(count_sizes(units));
out:
	return rc;
}

int ek_units_of(struct ek_units *units, int32_t *unit, uint64_t n, uint32_t k, const char *by)
{
	int rc;

	*units = (struct ek_units){ .n = n, .k = k, .owned = unit, .unit = unit };
	EK_TRY(ek_copy_string(&units->by, by));
	EK_TRY(ek_alloc(&units->sizes, k, sizeof *units->sizes));
	for (uint64_t i = 0; i < n; i++)
		if (unit[i] >= 0) {
			units->sizes[unit[i]]++;
			units->total++;
		}
out:
	return rc;
}

void ek_units_release(struct ek_units *units)
{
	ek_groups_release(&units->groups);
	free(units->likeliest);
	for (uint32_t k = 0; units->names != NULL && k < units->k; k++)
		free(units->names[k]);
	free(units->names);
	free(units->sizes);
	free(units->owned);
	free(units->by);
	ek_npy_close(&units->map);
	*units = (struct ek_units){ 0 };
}

int ek_units_drop(struct ek_units *units, uint64_t id)
{
	int rc = 0;

	if (units->owned == NULL) {
		EK_TRY(ek_alloc(&units->owned, units->n, sizeof *units->owned));
		memcpy(units->owned, units->unit, units->n * sizeof *units->owned);
		units->unit = units->owned;
	}
	if (units->owned[id] < 0)
		goto out;
	units->sizes[units->owned[id]]--;
	units->total--;
	units->owned[id] = EK_UNIT_NONE;
out:
	return rc;
}

void ek_units_forget(const struct ek_units *units, uint64_t begin, uint64_t end)
{
	ek_npy_forget(&units->map, begin, end);
}

const char *ek_unit_name(char out[16], const struct ek_units *units, uint32_t k)
{
	if (units->names != NULL)
		return units->names[k];
	(void)snprintf(out, 16, "%" PRIu32, k);
	return out;
}

static int not_found(const struct ek_units *units, const char *name, const char *where)
{
	struct ek_buffer text = { 0 };
	int rc = 0;

	if (units->names == NULL)
		return ek_fail(EK_EDATA, "%s: there is no %s \"%s\", only 0 to %" PRIu32, where, units->by, name,
		               units->k - 1);
	for (uint32_t k = 0; k < units->k && k < NAMES_SHOWN; k++)
		EK_TRY(ek_buffer_printf(&text, "%s%s", k > 0 ? ", " : "", units->names[k]));
	rc = ek_fail(EK_EDATA, "%s: there is no %s \"%s\", only %s%s", where, units->by, name, text.data,
	             units->k > NAMES_SHOWN ? ", ..." : "");
out:
	ek_buffer_release(&text);
	return rc;
}

int ek_unit_find(uint32_t *k, const struct ek_units *units, const char *name, const char *where)
{
	char *end;
	unsigned long number;

	if (units->names == NULL) {
		errno = 0;
		number = strtoul(name, &end, 10);
		if (*name < '0' || *name > '9' || *end != 0 || errno != 0 || number >= units->k)
			return not_found(units, name, where);
		*k = (uint32_t)number;
		return 0;
	}
	for (uint32_t i = 0; i < units->k; i++)
		if (strcmp(units->names[i], name) == 0) {
			*k = i;
			return 0;
		}
	return not_found(units, name, where);
}

uint64_t ek_units_without_value(const struct ek_units *units)
{
	return units->n - units->total - units->held_out;
}

double ek_units_moved(const struct ek_units *units, const double *after)
{
	double all = 0, moved = 0;

	for (uint32_t k = 0; k < units->k; k++)
		all += after[k];
	for (uint32_t k = 0; k < units->k; k++)
		moved += fabs(after[k] / all - (double)units->sizes[k] / (double)units->total);
	return moved / 2;
}

int ek_units_add(cJSON *json, const struct ek_units *units, const double *after)
{
	int rc;

	EK_TRY(ek_json_add_u64(json, "without_value", ek_units_without_value(units)));
	if (after == NULL)
		goto out;
	EK_TRY(ek_json_add_double(json, "moved", ek_units_moved(units, after)));
	EK_TRY(ek_json_add_bool(json, "changes_little", ek_units_moved(units, after) < EK_UNITS_LITTLE));
out:
	return rc;
}

int ek_units_best(const char **by, const struct ek_run *run)
{
	struct ek_groups groups;
	int rc;

	*by = "cluster";
	EK_TRY(ek_groups_load(&groups, run));
	if (groups.count > 1)
		*by = "group";
out:
	ek_groups_release(&groups);
	return rc;
}

const char *const *ek_units_inputs(const char *by)
{
	static const char *const clusters[] = { assignment_file, images_file, ranges_file, NULL };
	static const char *const images[] = { images_file, ranges_file, NULL };
	static const char *const groups[] = { assignment_file, images_file, ranges_file,
		                              membership_file, groups_file, NULL };

	if (strstr(by, "group") != NULL)
		return groups;

	return strstr(by, "cluster") != NULL || strcmp(by, "all") == 0 ? clusters : images;
}
