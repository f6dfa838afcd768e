#include "rebalance/io/images.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/jsonl.h"

enum { MAX_TEXTS = 1000, MAX_NUMBERS = 20, RANGES = 5, FEW_IMAGES = 20 };

/* A column while it is read: every distinct value is a category, numbers too. */
struct reading {
	struct ek_column column;
	double *numbers;  /* [value_count] NaN for a text */
	size_t capacity;  /* of values and numbers */
	uint64_t *hashes; /* [value_count] */
	uint32_t *index;  /* [index_size] open addressing, value + 1 */
	size_t index_size;
	size_t texts; /* distinct values that are no numbers */
	uint64_t filled;
	int dropped; /* too many texts: the values are gone */
};

struct readings {
	struct reading *items;
	size_t count;
	uint64_t images;
};

static void release(struct reading *r)
{
	for (size_t i = 0; i < r->column.value_count; i++)
		free(r->column.values[i]);
	free(r->column.values);
	free(r->column.codes);
	free(r->column.name);
	free(r->column.note);
	free(r->numbers);
	free(r->hashes);
	free(r->index);
	*r = (struct reading){ 0 };
}

static int drop(struct reading *r, const char *why)
{
	char *name = r->column.name;

	ek_warn("the attribute \"%s\" has %s; it is left out", name, why);
	r->column.name = NULL;
	release(r);
	r->column.name = name;
	r->dropped = 1;
	return 0;
}

/* The column of this name, made if it is new. `hint`: where it was in the row before. */
static int find_column(struct readings *all, const char *name, size_t hint, size_t *out)
{
	struct reading *r;
	int rc;

	if (hint < all->count && strcmp(all->items[hint].column.name, name) == 0) {
		*out = hint;
		return 0;
	}
	for (*out = 0; *out < all->count; (*out)++)
		if (strcmp(all->items[*out].column.name, name) == 0)
			return 0;
	EK_TRY(ek_resize(&all->items, all->count + 1, sizeof *all->items));
	r = &all->items[all->count];
	*r = (struct reading){ 0 };
	EK_TRY(ek_copy_string(&r->column.name, name));
	all->count++;
	EK_TRY(ek_alloc(&r->column.codes, (size_t)all->images, sizeof *r->column.codes));
	for (uint64_t i = 0; i < all->images; i++)
		r->column.codes[i] = -1;
out:
	return rc;
}

static int grow(struct reading *r)
{
	const size_t capacity = r->capacity > 0 ? 2 * r->capacity : 32;
	int rc;

	EK_TRY(ek_resize(&r->column.values, capacity, sizeof *r->column.values));
	EK_TRY(ek_resize(&r->numbers, capacity, sizeof *r->numbers));
	EK_TRY(ek_resize(&r->hashes, capacity, sizeof *r->hashes));
	free(r->index);
	r->index = NULL;
	r->index_size = 0;
	EK_TRY(ek_alloc(&r->index, 2 * capacity, sizeof *r->index));
	r->index_size = 2 * capacity;
	r->capacity = capacity;
	for (size_t i = 0; i < r->column.value_count; i++) {
		size_t at = (size_t)r->hashes[i] & (r->index_size - 1);

		while (r->index[at] != 0)
			at = (at + 1) & (r->index_size - 1);
		r->index[at] = (uint32_t)i + 1;
	}
out:
	return rc;
}

static int put(struct reading *r, uint64_t id, const char *text, double number)
{
	const uint64_t hash = ek_hash64(text, strlen(text)) ^ (isnan(number) ? 0 : UINT64_MAX);
	size_t at, value;
	int rc;

	if (r->column.value_count == r->capacity)
		EK_TRY(grow(r));
	for (at = (size_t)hash & (r->index_size - 1); r->index[at] != 0; at = (at + 1) & (r->index_size - 1)) {
		value = r->index[at] - 1;
		if (r->hashes[value] == hash && strcmp(r->column.values[value], text) == 0)
			goto found;
	}
	value = r->column.value_count;
	EK_TRY(ek_copy_string(&r->column.values[value], text));
	r->numbers[value] = number;
	r->hashes[value] = hash;
	r->index[at] = (uint32_t)++r->column.value_count;
	r->texts += isnan(number) != 0;
found:
	r->column.codes[id] = (int32_t)value;
	r->filled++;
	rc = 0;
	if (r->texts > 0 && r->column.value_count > MAX_TEXTS)
		rc = drop(r, "more than 1000 different texts");
out:
	return rc;
}

static int take_member(struct reading *r, uint64_t id, const cJSON *member, struct ek_buffer *text)
{
	int rc;

	if (r->dropped)
		return 0;
	if (cJSON_IsString(member))
		return put(r, id, member->valuestring, (double)NAN);
	if (cJSON_IsBool(member))
		return put(r, id, cJSON_IsTrue(member) ? "true" : "false", (double)NAN);
	if (!cJSON_IsNumber(member))
		return 0; /* null: no value; lists and objects are no categories */
	ek_buffer_clear(text);
	/* -0 and 0 are one value. */
	EK_TRY(ek_json_append_double(text, member->valuedouble + 0.0));
	EK_TRY(put(r, id, text->data, member->valuedouble + 0.0));
out:
	return rc;
}

int ek_images_is_ours(const char *name)
{
	static const char *const ours[] = { "id",
		                            "file_name",
		                            "file_name_bytes",
		                            "source",
		                            "source_bytes",
		                            "zip_entry",
		                            "zip_entry_bytes",
		                            "parquet_column",
		                            "parquet_column_bytes",
		                            "offset",
		                            "bytes",
		                            "width",
		                            "height",
		                            "format",
		                            "sha256",
		                            "held_out" };

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strcmp(name, ours[i]) == 0)
			return 1;
	return 0;
}

static int read_rows(struct readings *all, struct ek_jsonl *rows)
{
	struct ek_buffer text = { 0 };
	cJSON *row = NULL;
	const cJSON *member;
	uint64_t id = 0;
	int rc;

	for (;; id++) {
		size_t place = 0;

		EK_TRY(ek_jsonl_next(rows, &row));
		if (rc == 0)
			break;
		if (id == all->images) {
			rc = ek_fail(EK_EDATA, "%s: more rows than the %llu images that run.json counts",
			             rows->lines.path, (unsigned long long)all->images);
			goto out;
		}
		cJSON_ArrayForEach(member, row)
		{
			if (ek_images_is_ours(member->string))
				continue;
			EK_TRY(find_column(all, member->string, place, &place));
			EK_TRY(take_member(&all->items[place], id, member, &text));
			place++;
		}
		cJSON_Delete(row);
		row = NULL;
		if (id % 4096 == 0)
			EK_TRY(ek_check_interrupt());
	}
	rc = id == all->images ? 0
	                       : ek_fail(EK_EDATA, "%s: %llu rows, run.json counts %llu images", rows->lines.path,
	                                 (unsigned long long)id, (unsigned long long)all->images);
out:
	cJSON_Delete(row);
	ek_buffer_release(&text);
	return rc;
}

static int compare_numbers(const void *a, const void *b, void *numbers)
{
	uint32_t i, j;
	double x, y;

	memcpy(&i, a, sizeof i);
	memcpy(&j, b, sizeof j);
	x = ((const double *)numbers)[i];
	y = ((const double *)numbers)[j];
	return (x > y) - (x < y);
}

/* Replace the values by `count` new ones; `map`: [value_count] old to new code. Takes the texts in `values`. */
static void recode(struct reading *r, uint64_t images, const int32_t *map, char **values, size_t count)
{
	for (uint64_t i = 0; i < images; i++)
		if (r->column.codes[i] >= 0)
			r->column.codes[i] = map[r->column.codes[i]];
	for (size_t i = 0; i < r->column.value_count; i++)
		free(r->column.values[i]);
	free(r->column.values);
	r->column.values = values;
	r->column.value_count = count;
}

/* Cut sorted numbers into ranges with as equal counts as whole values allow. Fills `map`; the number of ranges. */
static size_t cut(const uint32_t *order, const uint64_t *sizes, size_t count, uint64_t total, int32_t *map)
{
	uint64_t before = 0;
	size_t ranges = 0, last = SIZE_MAX;

	for (size_t i = 0; i < count; i++) {
		/* A value goes where its middle lies. */
		const size_t range =
			(size_t)((double)RANGES * ((double)before + 0.5 * (double)sizes[order[i]]) / (double)total);

		ranges += range != last;
		last = range;
		map[order[i]] = (int32_t)ranges - 1;
		before += sizes[order[i]];
	}
	return ranges;
}

static int name_ranges(const struct reading *r, const uint32_t *order, const int32_t *map, char **values)
{
	const size_t count = r->column.value_count;
	int rc = 0;

	for (size_t i = 0, end; i < count; i = end) {
		const int32_t range = map[order[i]];

		for (end = i + 1; end < count && map[order[end]] == range; end++)
			;
		EK_TRY(end == i + 1 ? ek_copy_string(&values[range], r->column.values[order[i]])
		                    : ek_format(&values[range], "%s to %s", r->column.values[order[i]],
		                                r->column.values[order[end - 1]]));
	}
out:
	return rc;
}

/* A column of numbers: in the order of size, and in ranges if they are many. */
static int order_numbers(struct reading *r, uint64_t images)
{
	const size_t count = r->column.value_count;
	uint32_t *order = NULL;
	uint64_t *sizes = NULL;
	int32_t *map = NULL;
	char **values = NULL;
	size_t ranges = count;
	int rc;

	EK_TRY(ek_alloc(&order, count, sizeof *order));
	EK_TRY(ek_alloc(&sizes, count, sizeof *sizes));
	EK_TRY(ek_alloc(&map, count, sizeof *map));
	EK_TRY(ek_alloc(&values, count, sizeof *values));
	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, count, sizeof *order, compare_numbers, r->numbers);
	for (uint64_t i = 0; i < images; i++)
		if (r->column.codes[i] >= 0)
			sizes[r->column.codes[i]]++;
	if (count <= MAX_NUMBERS) {
		for (size_t i = 0; i < count; i++)
			map[order[i]] = (int32_t)i;
	} else {
		ranges = cut(order, sizes, count, r->filled, map);
		EK_TRY(ek_format(&r->column.note, "%s to %s in %zu ranges%s", r->column.values[order[0]],
		                 r->column.values[order[count - 1]], ranges,
		                 ranges == RANGES ? " of equal count" : ": many images share a value"));
	}
	EK_TRY(name_ranges(r, order, map, values));
	recode(r, images, map, values, ranges);
	values = NULL;
out:
	for (size_t i = 0; values != NULL && i < ranges; i++)
		free(values[i]);
	free(values);
	free(order);
	free(sizes);
	free(map);
	return rc;
}

static int finish(struct ek_columns *columns, struct readings *all)
{
	int rc;

	columns->images = all->images;
	EK_TRY(ek_alloc(&columns->items, all->count, sizeof *columns->items));
	for (size_t i = 0; i < all->count; i++) {
		struct reading *r = &all->items[i];

		if (!r->dropped && r->texts > 0 && all->images > FEW_IMAGES && r->column.value_count == all->images)
			EK_TRY(drop(r, "another text for every image"));
		if (r->dropped || r->filled == 0)
			continue;
		if (r->texts == 0)
			EK_TRY(order_numbers(r, all->images));
		columns->items[columns->count++] = r->column;
		r->column = (struct ek_column){ 0 };
	}
out:
	return rc;
}

int ek_columns_load(struct ek_columns *columns, const struct ek_run *run)
{
	struct readings all = { 0 };
	struct ek_jsonl rows = { 0 };
	char *path = NULL;
	int rc;

	*columns = (struct ek_columns){ 0 };
	EK_TRY(ek_images_count(&all.images, run));
	EK_TRY(ek_run_file(&path, run, "images.jsonl"));
	EK_TRY(ek_jsonl_open(&rows, path));
	EK_TRY(read_rows(&all, &rows));
	EK_TRY(finish(columns, &all));
out:
	for (size_t i = 0; i < all.count; i++)
		release(&all.items[i]);
	free(all.items);
	ek_jsonl_close(&rows);
	free(path);
	if (rc < 0)
		ek_columns_release(columns);
	return rc;
}

void ek_columns_release(struct ek_columns *columns)
{
	for (size_t i = 0; i < columns->count; i++) {
		struct ek_column *c = &columns->items[i];

		for (size_t j = 0; j < c->value_count; j++)
			free(c->values[j]);
		free(c->values);
		free(c->codes);
		free(c->name);
		free(c->note);
	}
	free(columns->items);
	*columns = (struct ek_columns){ 0 };
}
