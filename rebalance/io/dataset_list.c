#include "rebalance/io/dataset_form.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/npy.h"

/* A text file of paths. */

static int open_list(struct ek_dataset *d)
{
	int rc;

	EK_TRY(ek_alloc(&d->state, 1, sizeof(struct ek_lines)));
	EK_TRY(ek_lines_open(d->state, d->paths[0]));
out:
	return rc;
}

static int take(const struct ek_dataset *d, const char *name, struct ek_dataset_item *item)
{
	int rc;

	EK_TRY(ek_buffer_text(&item->name, ek_plain_name(name)));
	EK_TRY(ek_dataset_locate(d, item));
	if (item->name.data[0] != '/')
		EK_TRY(ek_dataset_label_by_folder(item));
	rc = 1;
out:
	return rc;
}

static int next_in_list(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct ek_lines *lines = d->state;
	struct ek_buffer name = { 0 };
	const char *text;
	size_t size;
	int rc;

	do {
		if ((rc = ek_lines_next(lines, &text, &size)) <= 0)
			return rc;
		size -= size > 0 && text[size - 1] == '\r';
	} while (size == 0);
	if (memchr(text, 0, size) != NULL)
		return ek_fail(EK_EDATA, "%s:%llu: a NUL byte: this is not a list of paths", lines->path,
		               (unsigned long long)lines->line);
	EK_TRY(ek_buffer_append(&name, text, size));
	EK_TRY(take(d, name.data, item));
out:
	ek_buffer_release(&name);
	return rc;
}

static void close_list(struct ek_dataset *d)
{
	if (d->state != NULL)
		ek_lines_close(d->state);
	free(d->state);
}

const struct ek_dataset_form ek_dataset_list = { "list", open_list, next_in_list, close_list,
	                                         ek_dataset_look_at_items };

/* A table: .csv or .jsonl with file_name. */

static int open_table(struct ek_dataset *d)
{
	struct ek_attributes *index = NULL;
	int rc;

	/* Only to find the same name twice, before any work is done. */
	EK_TRY(ek_attributes_open(&index, d->paths[0]));
	EK_TRY(ek_alloc(&d->state, 1, sizeof(struct ek_table)));
	EK_TRY(ek_table_open(d->state, d->paths[0]));
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

const struct ek_dataset_form ek_dataset_table = { "table", open_table, next_in_table, close_table,
	                                          ek_dataset_look_at_items };

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

const struct ek_dataset_form ek_dataset_embeddings = { "embeddings", open_embeddings, next_embedding, close_embeddings,
	                                               NULL };
