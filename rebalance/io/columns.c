#include "rebalance/io/images.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/jsonl.h"
#include "rebalance/io/ranges.h"

enum { MAX_TEXTS = 1000, MAX_NUMBERS = 20, RANGES = 8, FEW_IMAGES = 20 };

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

/* Where numbers are cut: range i holds cuts[i-1] <= x < cuts[i], and the first and the last are open. */
struct ranges {
	double *cuts; /* [count - 1] rising, owned */
	size_t count;
	double low, high; /* the ends of the first and the last range, where all numbers are within; NaN: open */
	double step;      /* of whole steps; 0: asked for */
	int whole;        /* 1: numbers and cuts are whole */
};

static size_t range_of(const struct ranges *r, double x)
{
	size_t i = 0;

	while (i + 1 < r->count && x >= r->cuts[i])
		i++;
	return i;
}

/* The smallest number that `share` of the images do not exceed. */
static double quantile(const struct reading *r, const uint32_t *order, const uint64_t *sizes, double share)
{
	uint64_t seen = 0;
	size_t i = 0;

	for (; i + 1 < r->column.value_count; i++) {
		seen += sizes[order[i]];
		if ((double)seen >= share * (double)r->filled)
			break;
	}
	return r->numbers[order[i]];
}

/* The smallest of 1, 2, 5 × 10^e that cuts low … high into at most RANGES. */
static double step_of(double low, double high)
{
	static const double steps[] = { 1, 2, 5, 10, 20 };
	const double power = pow(10, floor(log10((high - low) / RANGES)));
	size_t i = 0;

	while (i < 4 && floor(high / (steps[i] * power)) - floor(low / (steps[i] * power)) >= RANGES)
		i++;
	return steps[i] * power;
}

/* Whole steps over the middle 98 % of the images, so that one odd number does not leave all others in one range. */
static int cut_by_steps(struct ranges *out, const struct reading *r, const uint32_t *order, const uint64_t *sizes)
{
	const double least = r->numbers[order[0]], most = r->numbers[order[r->column.value_count - 1]];
	double low = quantile(r, order, sizes, 0.01), high = quantile(r, order, sizes, 0.99), first;
	int rc;

	if (low >= high) {
		low = least;
		high = most;
	}
	low = fmax(low, -DBL_MAX / 4);
	high = fmin(high, DBL_MAX / 4);
	out->step = step_of(low, high);
	first = floor(low / out->step);
	out->count = (size_t)(floor(high / out->step) - first) + 1;
	EK_TRY(ek_alloc(&out->cuts, out->count, sizeof *out->cuts));
	for (size_t i = 0; i + 1 < out->count; i++)
		out->cuts[i] = (first + 1 + (double)i) * out->step;
	out->low = least >= first * out->step ? first * out->step : (double)NAN;
	out->high = (first + (double)out->count) * out->step;
	if (most >= out->high)
		out->high = (double)NAN;
out:
	return rc;
}

static int cut_as_asked(struct ranges *out, const cJSON *asked)
{
	const cJSON *item;
	size_t i = 0;
	int rc;

	*out = (struct ranges){ .count = (size_t)cJSON_GetArraySize(asked) + 1,
		                .low = (double)NAN,
		                .high = (double)NAN };
	EK_TRY(ek_alloc(&out->cuts, out->count, sizeof *out->cuts));
	cJSON_ArrayForEach(item, asked) out->cuts[i++] = item->valuedouble;
out:
	return rc;
}

static int is_whole(double x)
{
	return x == floor(x) && fabs(x) < 0x1p53;
}

static void see_whole(struct ranges *out, const struct reading *r)
{
	out->whole = 1;
	for (size_t i = 0; i < r->column.value_count; i++)
		out->whole &= is_whole(r->numbers[i]);
	for (size_t i = 0; i + 1 < out->count; i++)
		out->whole &= is_whole(out->cuts[i]);
}

static int name_range(char **out, const struct ranges *r, size_t i)
{
	const double low = i > 0 ? r->cuts[i - 1] : r->low, high = i + 1 < r->count ? r->cuts[i] : r->high;
	const double last = r->whole ? high - 1 : high;

	if (isnan(low) && isnan(high))
		return ek_copy_string(out, "all");
	if (isnan(low))
		return ek_format(out, "below %.10g", high);
	if (isnan(high))
		return ek_format(out, "%.10g and more", low);
	return r->whole && last <= low ? ek_format(out, "%.10g", low) : ek_format(out, "%.10g to %.10g", low, last);
}

/* Recode the numbers by ranges, without those that no image is in. */
static int take_ranges(struct reading *r, const struct ranges *ranges, uint64_t images)
{
	int32_t *number = NULL, *map = NULL;
	char **values = NULL;
	size_t count = 0;
	int rc;

	EK_TRY(ek_alloc(&number, ranges->count, sizeof *number));
	EK_TRY(ek_alloc(&map, r->column.value_count, sizeof *map));
	EK_TRY(ek_alloc(&values, ranges->count, sizeof *values));
	for (size_t i = 0; i < r->column.value_count; i++)
		number[range_of(ranges, r->numbers[i])] = 1;
	for (size_t i = 0; i < ranges->count; i++)
		if (number[i] != 0) {
			EK_TRY(name_range(&values[count], ranges, i));
			number[i] = (int32_t)count++;
		}
	for (size_t i = 0; i < r->column.value_count; i++)
		map[i] = number[range_of(ranges, r->numbers[i])];
	recode(r, images, map, values, count);
	values = NULL;
out:
	for (size_t i = 0; values != NULL && i < count; i++)
		free(values[i]);
	free(values);
	free(number);
	free(map);
	return rc;
}

static int cut_numbers(struct reading *r, uint64_t images, const uint32_t *order, const uint64_t *sizes,
                       const cJSON *asked)
{
	struct ranges ranges = { 0 };
	int rc;

	EK_TRY(asked != NULL ? cut_as_asked(&ranges, asked) : cut_by_steps(&ranges, r, order, sizes));
	see_whole(&ranges, r);
	if (asked != NULL)
		EK_TRY(ek_format(&r->column.note, "%s to %s in ranges as asked", r->column.values[order[0]],
		                 r->column.values[order[r->column.value_count - 1]]));
	else
		EK_TRY(ek_format(&r->column.note, "%s to %s in steps of %.10g", r->column.values[order[0]],
		                 r->column.values[order[r->column.value_count - 1]], ranges.step));
	EK_TRY(take_ranges(r, &ranges, images));
out:
	free(ranges.cuts);
	return rc;
}

/* The values of numbers that are few, in the order of size. */
static int sort_values(struct reading *r, uint64_t images, const uint32_t *order)
{
	const size_t count = r->column.value_count;
	int32_t *map = NULL;
	char **values = NULL;
	int rc;

	EK_TRY(ek_alloc(&map, count, sizeof *map));
	EK_TRY(ek_alloc(&values, count, sizeof *values));
	for (size_t i = 0; i < count; i++) {
		map[order[i]] = (int32_t)i;
		values[i] = r->column.values[order[i]];
		r->column.values[order[i]] = NULL;
	}
	recode(r, images, map, values, count);
out:
	free(map);
	return rc;
}

/* A column of numbers: in the order of size, and in ranges if they are many or ranges are asked for. */
static int order_numbers(struct reading *r, uint64_t images, const cJSON *asked)
{
	const size_t count = r->column.value_count;
	uint32_t *order = NULL;
	uint64_t *sizes = NULL;
	int rc;

	r->column.ordered = 1;
	EK_TRY(ek_alloc(&order, count, sizeof *order));
	EK_TRY(ek_alloc(&sizes, count, sizeof *sizes));
	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, count, sizeof *order, compare_numbers, r->numbers);
	for (uint64_t i = 0; i < images; i++)
		if (r->column.codes[i] >= 0)
			sizes[r->column.codes[i]]++;
	EK_TRY(count > MAX_NUMBERS || asked != NULL ? cut_numbers(r, images, order, sizes, asked)
	                                            : sort_values(r, images, order));
out:
	free(order);
	free(sizes);
	return rc;
}

static int finish(struct ek_columns *columns, struct readings *all, const cJSON *ranges)
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
			EK_TRY(order_numbers(r, all->images, cJSON_GetObjectItemCaseSensitive(ranges, r->column.name)));
		columns->items[columns->count++] = r->column;
		r->column = (struct ek_column){ 0 };
	}
out:
	return rc;
}

int ek_columns_load_by(struct ek_columns *columns, const struct ek_run *run, const cJSON *ranges)
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
	EK_TRY(finish(columns, &all, ranges));
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

int ek_columns_load(struct ek_columns *columns, const struct ek_run *run)
{
	cJSON *ranges = NULL;
	int rc;

	*columns = (struct ek_columns){ 0 };
	EK_TRY(ek_ranges_load(&ranges, run));
	EK_TRY(ek_columns_load_by(columns, run, ranges));
out:
	cJSON_Delete(ranges);
	return rc;
}

const struct ek_column *ek_column_find(const struct ek_columns *columns, const char *name)
{
	for (size_t i = 0; i < columns->count; i++)
		if (strcmp(columns->items[i].name, name) == 0)
			return &columns->items[i];
	return NULL;
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
