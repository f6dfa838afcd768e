#include "rebalance/io/dataset_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/io/npy.h"

/* A text file of paths. */

/* Forms that other programs write, told by the first line whose path is not there as it stands. */
enum dialect {
	PLAIN,
	QUOTED,      /* "path" */
	BACKSLASHES, /* folder\file, as Windows writes it */
	WITH_CLASS,  /* path class, the class without blanks (Caffe, torchvision) */
	UNKNOWN
};

struct list {
	struct ek_lines lines;
	enum dialect dialect;
	struct ek_buffer name, class;
};

static int open_list(struct ek_dataset *d)
{
	struct list *list;
	int rc;

	EK_TRY(ek_alloc(&list, 1, sizeof *list));
	d->state = list;
	list->dialect = UNKNOWN;
	EK_TRY(ek_lines_open(&list->lines, d->paths[0]));
out:
	return rc;
}

/* `text` as a path, by the rules of a dialect; 1, or 0 if it does not have that form. */
static int read_line(struct list *list, enum dialect dialect, const char *text, size_t size)
{
	const char *blank = NULL;
	int rc;

	ek_buffer_clear(&list->name);
	ek_buffer_clear(&list->class);
	if (dialect == QUOTED) {
		if (size < 3 || text[0] != '"' || text[size - 1] != '"')
			return 0;
		text++;
		size -= 2;
	}
	if (dialect == BACKSLASHES && memchr(text, '\\', size) == NULL)
		return 0;
	if (dialect == WITH_CLASS) {
		for (size_t i = 1; i + 1 < size; i++)
			if (text[i] == ' ' || text[i] == '\t')
				blank = text + i;
		if (blank == NULL)
			return 0;
		EK_TRY(ek_buffer_append(&list->class, blank + 1, (size_t)(text + size - blank - 1)));
		size = (size_t)(blank - text);
		while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
			size--;
	}
	EK_TRY(ek_buffer_append(&list->name, text, size));
	for (size_t i = 0; dialect == BACKSLASHES && i < list->name.size; i++)
		if (list->name.data[i] == '\\')
			list->name.data[i] = '/';
	rc = 1;
out:
	return rc;
}

static int is_there(const struct ek_dataset *d, const struct list *list)
{
	const char *name = ek_plain_name(list->name.data);
	char *path = NULL;
	int found = 0;

	if (*name == '/')
		return access(name, F_OK) == 0;
	if (ek_format(&path, "%s/%s", d->root, name) == 0)
		found = access(path, F_OK) == 0;
	free(path);
	return found;
}

/* The dialect in which this line names a file; PLAIN if there is none. */
static int tell_dialect(struct ek_dataset *d, struct list *list, const char *text, size_t size)
{
	static const char *const words[] = {
		[QUOTED] = "in quotes",
		[BACKSLASHES] = "with backslashes, as Windows writes them",
		[WITH_CLASS] = "each followed by its class",
	};
	int rc;

	for (enum dialect dialect = PLAIN; dialect < UNKNOWN; dialect++) {
		if ((rc = read_line(list, dialect, text, size)) < 0)
			return rc;
		if (rc == 0 || !is_there(d, list))
			continue;
		list->dialect = dialect;
		if (dialect != PLAIN && !d->looks)
			ek_info("%s: read as paths %s", list->lines.path, words[dialect]);
		return 0;
	}
	return 0;
}

static int take(struct ek_dataset *d, const char *name, struct ek_dataset_item *item)
{
	int rc;

	EK_TRY(ek_buffer_text(&item->name, ek_plain_name(name)));
	EK_TRY(ek_dataset_locate(d, item));
	if (item->name.data[0] != '/')
		EK_TRY(ek_dataset_label_by_folder(d, item));
	rc = 1;
out:
	return rc;
}

static int next_in_list(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct list *list = d->state;
	const char *text;
	size_t size;
	int rc;

	do {
		if ((rc = ek_lines_next(&list->lines, &text, &size)) <= 0)
			return rc;
		size -= size > 0 && text[size - 1] == '\r';
	} while (size == 0);
	if (memchr(text, 0, size) != NULL)
		return ek_fail(EK_EDATA, "%s:%llu: a NUL byte: this is not a list of paths", list->lines.path,
		               (unsigned long long)list->lines.line);
	if (list->dialect == UNKNOWN)
		EK_TRY(tell_dialect(d, list, text, size));
	EK_TRY(read_line(list, list->dialect == UNKNOWN ? PLAIN : list->dialect, text, size));
	if (rc == 0)
		EK_TRY(read_line(list, PLAIN, text, size));
	EK_TRY(take(d, list->name.data, item));
	if (list->class.size > 0) {
		ek_buffer_clear(&item->label);
		EK_TRY(ek_buffer_append(&item->label, list->class.data, list->class.size));
		item->has_label = 1;
	}
	rc = 1;
out:
	return rc;
}

static void close_list(struct ek_dataset *d)
{
	struct list *list = d->state;

	if (list == NULL)
		return;
	ek_lines_close(&list->lines);
	ek_buffer_release(&list->name);
	ek_buffer_release(&list->class);
	free(list);
}

const struct ek_dataset_form ek_dataset_list = {
	.name = "list", .open = open_list, .next = next_in_list, .close = close_list, .look = ek_dataset_look_at_items
};

/* A table: .csv or .jsonl with file_name. */

static int open_table(struct ek_dataset *d)
{
	struct ek_attributes *index = NULL;
	int rc;

	/* Only to find the same name twice, before any work is done. */
	ek_dataset_whole(d)->keyed = 1;
	EK_TRY(ek_attributes_open(&index, d->paths[0], d->key));
	EK_TRY(ek_alloc(&d->state, 1, sizeof(struct ek_table)));
	EK_TRY(ek_table_open(d->state, d->paths[0], d->key));
out:
	ek_attributes_close(index);
	return rc;
}

static int next_in_table(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct ek_table *table = d->state;
	const int rc = ek_table_next(table, d->looks ? NULL : &item->attributes);

	return rc <= 0 ? rc : take(d, table->name.data, item);
}

static void close_table(struct ek_dataset *d)
{
	if (d->state != NULL)
		ek_table_close(d->state);
	free(d->state);
}

const struct ek_dataset_form ek_dataset_table = { .name = "table",
	                                          .open = open_table,
	                                          .next = next_in_table,
	                                          .close = close_table,
	                                          .look = ek_dataset_look_at_items };

/* Embeddings alone: no images to walk. */

static int open_embeddings(struct ek_dataset *d)
{
	(void)d;
	return 0;
}

static int next_embedding(struct ek_dataset *d, struct ek_dataset_item *item)
{
	(void)d;
	(void)item;
	return 0;
}

static void close_embeddings(struct ek_dataset *d)
{
	(void)d;
}

const struct ek_dataset_form ek_dataset_embeddings = {
	.name = "embeddings", .open = open_embeddings, .next = next_embedding, .close = close_embeddings
};
