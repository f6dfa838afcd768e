#include "analysis/skew/naming.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "analysis/skew/intervals.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

int ek_naming_open(struct ek_naming *n, const uint64_t *sizes, size_t units, uint64_t images)
{
	*n = (struct ek_naming){ .units = units, .sizes = sizes, .images = images };
	return ek_alloc(&n->values, units, sizeof *n->values);
}

void ek_naming_release(struct ek_naming *n)
{
	for (size_t u = 0; n->values != NULL && u < n->units; u++)
		for (size_t i = 0; i < EK_NAMES_MOST; i++)
			free(n->values[u][i].text);
	free(n->values);
	*n = (struct ek_naming){ 0 };
}

/* 1: yes, 0: no, -1: neither. */
static int yes_or_no(const char *value)
{
	static const char *const words[][2] = { { "0", "1" }, { "-1", "1" }, { "no", "yes" }, { "false", "true" } };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		for (int yes = 0; yes < 2; yes++)
			if (strcasecmp(value, words[i][yes]) == 0)
				return yes;
	return -1;
}

static int is_number(const char *value)
{
	char *end;

	(void)strtod(value, &end);
	return end != value && *end == 0;
}

/* "Asian", "1–20"; what says nothing by itself with the name of its column: "not Male", "year 1990". */
static int text_of(char **text, const struct ek_column *column, size_t value)
{
	const char *name = column->values[value];
	int answers = column->value_count <= 2;

	for (size_t v = 0; v < column->value_count; v++)
		answers &= yes_or_no(column->values[v]) >= 0;
	if (answers)
		return ek_format(text, "%s%s", yes_or_no(name) ? "" : "not ", column->name);
	return is_number(name) ? ek_format(text, "%s %s", column->name, name) : ek_copy_string(text, name);
}

/* The place for a value: behind those that are there, else that of the least, which goes; EK_NAMES_MOST: none. */
static size_t make_room(struct ek_naming_value *values, const char *text, double ratio)
{
	size_t least = 0, i = 0;

	for (; i < EK_NAMES_MOST && values[i].text != NULL; i++) {
		if (strcmp(values[i].text, text) == 0)
			return EK_NAMES_MOST;
		least = values[i].ratio < values[least].ratio ? i : least;
	}
	if (i < EK_NAMES_MOST)
		return i;
	if (!(ratio > values[least].ratio))
		return EK_NAMES_MOST;
	free(values[least].text);
	memmove(values + least, values + least + 1, (EK_NAMES_MOST - least - 1) * sizeof *values);
	values[EK_NAMES_MOST - 1] = (struct ek_naming_value){ 0 };
	return EK_NAMES_MOST - 1;
}

static int consider(struct ek_naming *n, size_t unit, const struct ek_column *column, size_t value, uint64_t images,
                    uint64_t everywhere)
{
	const double low = ek_wilson(images, n->sizes[unit]).low, share = (double)everywhere / (double)n->images;
	char *text = NULL;
	size_t place;
	int rc = 0;

	if (!(low > EK_NAMING_SHARE && low >= EK_NAMING_LIFT * share))
		return 0;
	EK_TRY(text_of(&text, column, value));
	place = make_room(n->values[unit], text, low / share);
	if (place == EK_NAMES_MOST)
		goto out;
	n->values[unit][place] = (struct ek_naming_value){ text, low / share };
	text = NULL;
out:
	free(text);
	return rc;
}

int ek_naming_take(struct ek_naming *n, const struct ek_column *column, const uint64_t *by_unit)
{
	const size_t values = column->value_count;
	uint64_t *everywhere = NULL;
	int rc;

	EK_TRY(ek_alloc(&everywhere, values, sizeof *everywhere));
	for (uint64_t i = 0; i < n->images; i++)
		if (column->codes[i] >= 0)
			everywhere[column->codes[i]]++;
	for (size_t u = 0; u < n->units; u++)
		for (size_t v = 0; v < values; v++)
			if (2 * by_unit[u * values + v] > n->sizes[u])
				EK_TRY(consider(n, u, column, v, by_unit[u * values + v], everywhere[v]));
out:
	free(everywhere);
	return rc;
}

int ek_naming_count(struct ek_naming *n, const struct ek_column *column, const int32_t *unit)
{
	const size_t values = column->value_count;
	uint64_t *by_unit = NULL;
	int rc;

	EK_TRY(ek_alloc(&by_unit, n->units * values, sizeof *by_unit));
	for (uint64_t i = 0; i < n->images; i++)
		if (unit[i] >= 0 && column->codes[i] >= 0)
			by_unit[(size_t)unit[i] * values + (size_t)column->codes[i]]++;
	EK_TRY(ek_naming_take(n, column, by_unit));
out:
	free(by_unit);
	return rc;
}

int ek_naming_add(cJSON *parent, const char *name, const struct ek_naming *n, size_t unit)
{
	cJSON *list;
	int rc;

	if (name != NULL)
		cJSON_DeleteItemFromObjectCaseSensitive(parent, name);
	EK_TRY(ek_json_add_array(&list, parent, name));
	for (size_t i = 0; i < EK_NAMES_MOST && n->values[unit][i].text != NULL; i++)
		EK_TRY(ek_json_add_string(list, NULL, n->values[unit][i].text));
out:
	return rc;
}
