#include "rebalance/io/dataset_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/text.h"
#include "rebalance/io/walk.h"

/* A metadata file and the folder (level) it holds for. */
struct metadata {
	struct ek_attributes *attributes;
	char *path;
	size_t level;
	size_t prefix; /* bytes of the relative path, slash included, before the names it knows */
};

struct folder {
	struct ek_walk *walk;
	size_t level;
	struct metadata *stack;
	size_t count;
};

static int open_folder(struct ek_dataset *d)
{
	struct folder *f;
	int rc;

	EK_TRY(ek_alloc(&f, 1, sizeof *f));
	d->state = f;
	EK_TRY(ek_walk_open(&f->walk, d->root, &d->patterns));
out:
	return rc;
}

static void pop(struct folder *f)
{
	struct metadata *top = &f->stack[--f->count];

	ek_attributes_close(top->attributes);
	free(top->path);
}

static int enter(struct ek_dataset *d, struct folder *f, const struct ek_walk_entry *entry)
{
	struct metadata *top;
	char *path = NULL;
	int rc = 0;

	f->level++;
	if (entry->has_both)
		ek_dataset_warn(d, "%s%s%s has metadata.jsonl and metadata.csv; the first is used", d->root,
		                *entry->path != 0 ? "/" : "", entry->path);
	if (entry->metadata == NULL || d->looks)
		return 0;
	EK_TRY(ek_format(&path, "%s/%s", entry->path, entry->metadata));
	EK_TRY(ek_patterns_excludes(&d->patterns, path));
	if (rc == 1)
		goto out;
	EK_TRY(ek_resize(&f->stack, f->count + 1, sizeof *f->stack));
	top = &f->stack[f->count++];
	*top = (struct metadata){ .level = f->level, .prefix = strlen(entry->path) + (*entry->path != 0) };
	EK_TRY(ek_format(&top->path, "%s%s%s/%s", d->root, *entry->path != 0 ? "/" : "", entry->path, entry->metadata));
	ek_dataset_whole(d)->keyed = 1;
	/* A table that lies there for another purpose does not stop the images. */
	if ((rc = ek_attributes_open(&top->attributes, top->path, d->key)) == EK_EDATA) {
		ek_dataset_warn(d, "not used: %s", ek_error_message());
		pop(f);
		rc = 0;
	}
out:
	free(path);
	return rc;
}

/* Rows for files that are gone are told; if all are, this is the metadata of something else. */
static int leave(struct ek_dataset *d, struct folder *f)
{
	struct metadata *top = f->count > 0 ? &f->stack[f->count - 1] : NULL;
	const size_t level = f->level--;
	uint64_t unused, line;
	char *name = NULL;
	int rc = 0;

	if (top == NULL || top->level != level)
		return 0;
	EK_TRY(ek_attributes_unused(top->attributes, &unused, &line, &name));
	if (unused > 0 && unused == ek_attributes_rows(top->attributes))
		ek_dataset_warn(d, "not used: %s: none of its %" PRIu64 " row%s is for an image of this folder",
		                top->path, unused, ek_text_s(unused));
	else if (unused > 0)
		ek_dataset_warn(d, "%s:%" PRIu64 ": \"%s\" is not in this folder (%" PRIu64 " row%s %s not used)",
		                top->path, line, name, unused, ek_text_s(unused), unused == 1 ? "is" : "are");
	pop(f);
out:
	free(name);
	return rc;
}

static int is_metadata(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;

	return strcmp(name, "metadata.csv") == 0 || strcmp(name, "metadata.jsonl") == 0;
}

static int see_metadata(struct ek_dataset *d, const char *name)
{
	char *path = NULL;
	const int rc = ek_format(&path, "%s/%s", d->root, name);

	if (rc == 0)
		ek_dataset_saw(d, ek_dataset_stamp(path, NULL));
	free(path);
	return rc;
}

static int take(struct ek_dataset *d, const struct folder *f, const char *path, struct ek_dataset_item *item)
{
	int rc;

	EK_TRY(ek_buffer_text(&item->name, path));
	EK_TRY(ek_dataset_locate(d, item));
	EK_TRY(ek_dataset_label_by_folder(d, item));
	EK_TRY((ek_has_image_extension(path) ? ek_dataset_note_mask : ek_dataset_note_table)(d, item->path.data));
	if (f->count > 0) {
		const struct metadata *top = &f->stack[f->count - 1];

		EK_TRY(ek_attributes_find(top->attributes, path + top->prefix, &item->attributes));
	}
	rc = 1;
out:
	return rc;
}

/* What is in a folder that cannot be read may be images: it is told as one. */
static int take_unreadable(const struct ek_dataset *d, const struct ek_walk_entry *entry, struct ek_dataset_item *item)
{
	int rc;

	EK_TRY(ek_buffer_text(&item->bytes, ek_error_message()));
	EK_TRY(ek_buffer_text(&item->name, entry->path));
	EK_TRY(ek_dataset_locate(d, item));
	item->problem = item->bytes.data;
	item->unread = 1;
	rc = 1;
out:
	return rc;
}

static int next_in_folder(struct ek_dataset *d, struct ek_dataset_item *item)
{
	static const char *const problems[] = {
		[EK_WALK_FILE] = NULL,
		[EK_WALK_SPECIAL] = "not a regular file",
		[EK_WALK_DANGLING] = "a link to nothing",
	};
	struct folder *f = d->state;
	struct ek_walk_entry entry;
	int rc, reason;

	for (;;) {
		if ((rc = ek_walk_next(f->walk, &entry)) <= 0)
			return rc;
		switch (entry.kind) {
		case EK_WALK_ENTER:
			EK_TRY(enter(d, f, &entry));
			break;
		case EK_WALK_LEAVE:
			EK_TRY(leave(d, f));
			break;
		case EK_WALK_LEFT_OUT:
			ek_dataset_leave_out(d, entry.left_out, entry.path, entry.is_folder);
			break;
		case EK_WALK_UNREADABLE:
			return take_unreadable(d, &entry, item);
		default:
			if (is_metadata(entry.path)) {
				d->other_files++;
				EK_TRY(see_metadata(d, entry.path));
				break;
			}
			if (entry.kind != EK_WALK_FILE && !ek_has_image_extension(entry.path)) {
				d->other_files++;
				break;
			}
			EK_TRY(reason = ek_patterns_of_path(&d->patterns, entry.path));
			if (reason != EK_TAKEN) {
				ek_dataset_leave_out(d, (enum ek_left_out)reason, entry.path, 0);
				break;
			}
			item->problem = problems[entry.kind];
			return take(d, f, entry.path, item);
		}
	}
out:
	return rc;
}

static void close_folder(struct ek_dataset *d)
{
	struct folder *f = d->state;

	if (f == NULL)
		return;
	while (f->count > 0)
		pop(f);
	free(f->stack);
	ek_walk_close(f->walk);
	free(f);
}

const struct ek_dataset_form ek_dataset_folder = { .name = "folder",
	                                           .open = open_folder,
	                                           .next = next_in_folder,
	                                           .close = close_folder,
	                                           .look = ek_dataset_look_at_items,
	                                           .selects = 1 };
