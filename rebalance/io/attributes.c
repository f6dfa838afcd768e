#include "rebalance/io/table.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"

/* One row in the open-addressing index; where the row starts, plus 1 (0: no row). */
struct slot {
	uint64_t hash;
	uint64_t place : 63, used : 1;
};

/* The last part of names: how many rows and files (0, 1, 2 for more) have it, and which row. */
struct part {
	uint64_t hash; /* 0: free */
	uint64_t place : 60, rows : 2, files : 2;
};

struct ek_attributes {
	struct ek_table table;
	struct slot *slots;
	size_t capacity, count;     /* capacity: a power of 2 */
	struct part *parts;         /* [capacity], or NULL: not matched yet */
	uint64_t first, first_line; /* the first row */
};

static uint64_t hash_of(const char *name)
{
	return ek_hash64(name, strlen(name));
}

static int grow(struct ek_attributes *a)
{
	const size_t capacity = a->capacity > 0 ? a->capacity * 2 : 1024;
	struct slot *slots;
	int rc;

	EK_TRY(ek_alloc(&slots, capacity, sizeof *slots));
	for (size_t i = 0; i < a->capacity; i++) {
		size_t at = (size_t)a->slots[i].hash & (capacity - 1);

		if (a->slots[i].place == 0)
			continue;
		while (slots[at].place != 0)
			at = (at + 1) & (capacity - 1);
		slots[at] = a->slots[i];
	}
	free(a->slots);
	a->slots = slots;
	a->capacity = capacity;
out:
	return rc;
}

/* The slot of `name`, or the empty one where it belongs. On a hit the table stands behind that row, and `*found` (if
 * wanted) has its attributes. */
static int look_up(struct ek_attributes *a, const char *name, struct slot **out, cJSON **found)
{
	const uint64_t hash = hash_of(name);
	size_t at = (size_t)hash & (a->capacity - 1);
	int rc = 0;

	for (; a->slots[at].place != 0; at = (at + 1) & (a->capacity - 1)) {
		if (a->slots[at].hash != hash)
			continue;
		ek_table_seek(&a->table, a->slots[at].place - 1, 1);
		EK_TRY(ek_table_next(&a->table, found));
		if (rc == 1 && strcmp(a->table.name.data, name) == 0)
			break;
		if (found != NULL) {
			cJSON_Delete(*found);
			*found = NULL;
		}
	}
	rc = 0;
	*out = &a->slots[at];
out:
	return rc;
}

/* Take the row that the table stands behind into the index. */
static int add_row(struct ek_attributes *a)
{
	const uint64_t line = a->table.line, offset = a->table.offset;
	struct slot *slot;
	char *name = NULL;
	int rc;

	if (a->count >= a->capacity / 4 * 3)
		EK_TRY(grow(a));
	EK_TRY(ek_copy_string(&name, a->table.name.data));
	if (a->count == 0) {
		a->first = offset;
		a->first_line = line;
	}
	EK_TRY(look_up(a, name, &slot, NULL));
	if (slot->place != 0) {
		rc = ek_fail(EK_EDATA, "%s:%llu: a second row for \"%s\"",
		             a->table.kind == EK_TABLE_CSV ? a->table.csv.lines.path : a->table.jsonl.lines.path,
		             (unsigned long long)line, name);
		goto out;
	}
	/* Another name with the same hash was read in between. */
	if (a->table.offset != offset) {
		ek_table_seek(&a->table, offset, line);
		EK_TRY(ek_table_next(&a->table, NULL));
	}
	*slot = (struct slot){ .hash = hash_of(name), .place = (offset + 1) & INT64_MAX };
	a->count++;
	rc = 0;
out:
	free(name);
	return rc;
}

int ek_attributes_open(struct ek_attributes **out, const char *path, const char *key)
{
	struct ek_attributes *a;
	uint64_t line = 0;
	int rc, row;

	*out = NULL;
	if ((rc = ek_alloc(&a, 1, sizeof *a)) < 0)
		return rc;
	EK_TRY(ek_table_open(&a->table, path, key));
	for (;;) {
		EK_TRY(row = ek_table_next(&a->table, NULL));
		if (row == 0)
			break;
		line = a->table.line;
		EK_TRY(add_row(a));
		if (a->count % 4096 == 0)
			EK_TRY(ek_check_interrupt());
	}
	if (a->count == 0)
		rc = ek_fail(EK_EDATA, "%s: has no rows", path);
	else if (a->table.kind == EK_TABLE_CELEBA && !a->table.is_bare && a->count != a->table.promised)
		rc = ek_fail(EK_EDATA, "%s:1: says %llu rows, there are %zu (the last on line %llu)", path,
		             (unsigned long long)a->table.promised, a->count, (unsigned long long)line);
out:
	if (rc < 0) {
		ek_attributes_close(a);
		a = NULL;
	}
	*out = a;
	return rc;
}

/* The slot of the row that the table stands behind. */
static int look_up_again(struct ek_attributes *a, struct slot **slot)
{
	char *name = NULL;
	int rc;

	EK_TRY(ek_copy_string(&name, a->table.name.data));
	EK_TRY(look_up(a, name, slot, NULL));
out:
	free(name);
	return rc;
}

/* Of the last part of a name, whole (0) or without its ending (1); 0 if that is the same or nothing. */
static uint64_t hash_of_part(const char *name, int without_ending)
{
	const char *slash = strrchr(name, '/'), *part = slash != NULL ? slash + 1 : name;
	const char *dot = strrchr(part, '.');
	uint64_t hash;

	if (without_ending && (dot == NULL || dot == part))
		return 0;
	hash = ek_hash64(part, without_ending ? (size_t)(dot - part) : strlen(part));
	return hash != 0 ? hash : 1;
}

static struct part *find_part(const struct ek_attributes *a, uint64_t hash)
{
	size_t at = (size_t)hash & (a->capacity - 1);

	while (a->parts[at].hash != 0 && a->parts[at].hash != hash)
		at = (at + 1) & (a->capacity - 1);
	return &a->parts[at];
}

/* One more pass over the rows. */
static int index_parts(struct ek_attributes *a)
{
	int rc;

	EK_TRY(ek_alloc(&a->parts, a->capacity, sizeof *a->parts));
	ek_table_seek(&a->table, a->first, a->first_line);
	for (;;) {
		struct part *part;

		EK_TRY(ek_table_next(&a->table, NULL));
		if (rc == 0)
			break;
		part = find_part(a, hash_of_part(a->table.name.data, 0));
		part->hash = hash_of_part(a->table.name.data, 0);
		part->rows = part->rows == 0 ? 1 : 2;
		part->place = (a->table.offset + 1) & (UINT64_MAX >> 4);
	}
out:
	return rc;
}

int ek_attributes_match(struct ek_attributes *a, const char *name)
{
	int rc = 0;

	if (a->parts == NULL)
		EK_TRY(index_parts(a));
	for (int without_ending = 0; without_ending < 2; without_ending++) {
		const uint64_t hash = hash_of_part(name, without_ending);
		struct part *part = hash != 0 ? find_part(a, hash) : NULL;

		if (part != NULL && part->hash != 0)
			part->files = part->files == 0 ? 1 : 2;
	}
out:
	return rc;
}

/* The row that only this file's last part names. */
static int find_by_part(struct ek_attributes *a, const char *name, cJSON **found)
{
	int rc = 0;

	for (int without_ending = 0; without_ending < 2; without_ending++) {
		const uint64_t hash = hash_of_part(name, without_ending);
		struct part *part = hash != 0 ? find_part(a, hash) : NULL;
		struct slot *slot;

		if (part == NULL || part->hash == 0 || part->rows != 1 || part->files != 1)
			continue;
		ek_table_seek(&a->table, part->place - 1, 1);
		EK_TRY(ek_table_next(&a->table, found));
		EK_TRY(look_up_again(a, &slot));
		slot->used = 1;
		break;
	}
	rc = 0;
out:
	return rc;
}

/* The row of the whole name, or of that without its ending; `*slot` is empty if there is none. */
static int find_whole(struct ek_attributes *a, const char *name, struct slot **slot, cJSON **found)
{
	const char *slash = strrchr(name, '/'), *dot = strrchr(name, '.');
	char *stem = NULL;
	int rc;

	EK_TRY(look_up(a, name, slot, found));
	if ((*slot)->place == 0 && slash != NULL && dot > slash + 1) {
		EK_TRY(ek_format(&stem, "%.*s", (int)(dot - name), name));
		EK_TRY(look_up(a, stem, slot, found));
	}
out:
	free(stem);
	return rc;
}

int ek_attributes_find(struct ek_attributes *a, const char *name, cJSON **found)
{
	struct slot *slot;
	int rc;

	*found = NULL;
	name = ek_plain_name(name);
	EK_TRY(find_whole(a, name, &slot, found));
	if (slot->place != 0)
		slot->used = 1;
	else if (a->parts != NULL)
		EK_TRY(find_by_part(a, name, found));
out:
	return rc;
}

uint64_t ek_attributes_rows(const struct ek_attributes *a)
{
	return a->count;
}

int ek_attributes_unused(struct ek_attributes *a, uint64_t *count, uint64_t *line, char **name)
{
	uint64_t first = UINT64_MAX;
	int rc = 0;

	*count = *line = 0;
	*name = NULL;
	for (size_t i = 0; i < a->capacity; i++) {
		if (a->slots[i].place == 0 || a->slots[i].used)
			continue;
		first = a->slots[i].place - 1 < first ? a->slots[i].place - 1 : first;
		(*count)++;
	}
	if (*count == 0)
		return 0;
	/* The index keeps no line numbers: count again. */
	ek_table_seek(&a->table, a->first, a->first_line);
	do
		EK_TRY(ek_table_next(&a->table, NULL));
	while (rc == 1 && a->table.offset < first);
	*line = a->table.line;
	EK_TRY(ek_copy_string(name, a->table.name.data));
out:
	return rc;
}

void ek_attributes_close(struct ek_attributes *a)
{
	if (a == NULL)
		return;
	ek_table_close(&a->table);
	free(a->slots);
	free(a->parts);
	free(a);
}

int ek_merge_attributes(cJSON **into, cJSON *from)
{
	int rc = 0;

	if (*into == NULL || from == NULL) {
		*into = *into != NULL ? *into : from;
		return 0;
	}
	while (from->child != NULL) {
		cJSON *member = cJSON_DetachItemViaPointer(from, from->child);

		cJSON_DeleteItemFromObjectCaseSensitive(*into, member->string);
		/* The item keeps its own name. */
		if (!cJSON_AddItemToArray(*into, member)) {
			cJSON_Delete(member);
			rc = ek_fail(EK_ENOMEM, "no memory for JSON");
			break;
		}
	}
	cJSON_Delete(from);
	return rc;
}
