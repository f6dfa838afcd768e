#include "rebalance/io/dataset_internal.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

/* Several data sets, one behind the other. */

struct several {
	struct ek_dataset **parts; /* [count] */
	char **names;              /* [count] */
	size_t count, at;
	struct ek_buffer name;
};

static size_t folder_size(const char *path)
{
	return (size_t)(strrchr(path, '/') - path);
}

size_t ek_dataset_part_end(const struct ek_dataset *d, size_t first)
{
	const enum ek_dataset_kind kind = d->kinds[first];
	const size_t size = folder_size(d->paths[first]);
	size_t end = first + 1;

	if (kind != EK_DATASET_TAR && kind != EK_DATASET_IDX && kind != EK_DATASET_PARQUET)
		return end;
	while (end < d->path_count && d->kinds[end] == kind && folder_size(d->paths[end]) == size &&
	       strncmp(d->paths[end], d->paths[first], size) == 0)
		end++;
	return end;
}

/* The deepest folder that all of them lie in. */
static int set_common_root(struct ek_dataset *d)
{
	size_t size = folder_size(d->paths[0]);
	int rc;

	for (size_t i = 1; i < d->path_count; i++) {
		const size_t other = folder_size(d->paths[i]);
		size_t same = 0, end = 0;

		while (same < size && same < other && d->paths[0][same] == d->paths[i][same])
			same++;
		for (size_t k = 0; k <= same; k++)
			if ((k == size || d->paths[0][k] == '/') && (k == other || d->paths[i][k] == '/'))
				end = k;
		size = end;
	}
	EK_TRY(ek_copy_string(&d->root, d->paths[0]));
	d->root[size > 0 ? size : 1] = 0;
out:
	return rc;
}

static int refuse(const struct ek_dataset *d)
{
	for (size_t i = 0; i < d->path_count; i++) {
		const size_t size = strlen(d->paths[i]);

		if (d->kinds[i] == EK_DATASET_EMBEDDINGS)
			return ek_fail(EK_EUSAGE, "%s: embeddings alone cannot be one of several data sets",
			               d->paths[i]);
		for (size_t k = 0; k < d->path_count && d->kinds[i] == EK_DATASET_FOLDER; k++)
			if (d->kinds[k] == EK_DATASET_FOLDER && strncmp(d->paths[k], d->paths[i], size) == 0 &&
			    d->paths[k][size] == '/')
				return ek_fail(EK_EUSAGE,
				               "%s lies in %s: its images would be there twice; give one of them",
				               d->paths[k], d->paths[i]);
	}
	return 0;
}

/* `path` without the root; "" if it is the root. */
static const char *without_root(const struct ek_dataset *d, const char *path)
{
	const size_t size = strlen(d->root);

	return path + size + (size > 1 && path[size] == '/');
}

static int open_part(struct ek_dataset **out, struct ek_dataset *d, size_t first, size_t end)
{
	struct ek_dataset *part = NULL;
	int rc;

	EK_TRY(ek_alloc(&part, 1, sizeof *part));
	*out = part;
	part->whole = d;
	part->key = d->key;
	part->kind = d->kinds[first];
	EK_TRY(ek_alloc(&part->paths, end - first, sizeof *part->paths));
	EK_TRY(ek_alloc(&part->stamps, end - first, sizeof *part->stamps));
	EK_TRY(ek_alloc(&part->kinds, end - first, sizeof *part->kinds));
	for (; first < end; first++) {
		part->kinds[part->path_count] = d->kinds[first];
		part->stamps[part->path_count] = d->stamps[first];
		EK_TRY(ek_copy_string(&part->paths[part->path_count++], d->paths[first]));
	}
	EK_TRY(ek_dataset_open_form(part));
out:
	return rc;
}

static int open_several(struct ek_dataset *d)
{
	struct several *s;
	int rc;

	EK_TRY(refuse(d));
	EK_TRY(set_common_root(d));
	EK_TRY(ek_alloc(&s, 1, sizeof *s));
	d->state = s;
	EK_TRY(ek_alloc(&s->parts, d->path_count, sizeof *s->parts));
	EK_TRY(ek_alloc(&s->names, d->path_count, sizeof *s->names));
	for (size_t first = 0, end; first < d->path_count; first = end) {
		const char *name = without_root(d, d->paths[first]);

		end = ek_dataset_part_end(d, first);
		EK_TRY(end - first == 1 ? ek_copy_string(&s->names[s->count], name)
		                        : ek_format(&s->names[s->count], "%s and %zu more", name, end - first - 1));
		EK_TRY(open_part(&s->parts[s->count++], d, first, end));
	}
out:
	return rc;
}

static void close_part(struct ek_dataset *part)
{
	if (part != NULL)
		part->patterns = (struct ek_patterns){ 0 }; /* were lent */
	ek_dataset_close(part);
}

static void close_several(struct ek_dataset *d)
{
	struct several *s = d->state;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++) {
		close_part(s->parts[i]);
		free(s->names[i]);
	}
	free(s->parts);
	free(s->names);
	ek_buffer_release(&s->name);
	free(s);
}

/* Give the item the name that it has among several. */
static int name_item(const struct ek_dataset *d, struct several *s, struct ek_dataset_item *item)
{
	const struct ek_dataset *part = s->parts[s->at];
	const char *before =
		without_root(d, item->source != NULL && !part->form->names_file ? item->source : part->root);
	const struct ek_buffer own = item->name;
	int rc = 0;

	item->dataset = s->names[s->at];
	item->part = s->at;
	if (own.data[0] == '/' && item->source == NULL)
		return 0;
	ek_buffer_clear(&s->name);
	EK_TRY(ek_buffer_text(&s->name, before));
	EK_TRY(ek_buffer_text(&s->name, *before != 0 && own.data[0] != '/' ? "/" : ""));
	EK_TRY(ek_buffer_append(&s->name, own.data, own.size));
	item->name = s->name;
	s->name = own;
out:
	return rc;
}

static void add_tallies(struct ek_tally *to, const struct ek_tally *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i].count += from[i].count;
}

static int next_of_several(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct several *s = d->state;
	int rc = 0;

	for (; s->at < s->count; s->at++) {
		struct ek_dataset *part = s->parts[s->at];

		part->patterns = d->patterns; /* lent */
		part->looks = d->looks;
		EK_TRY(ek_dataset_next_selected(part, item));
		if (rc == 1) {
			EK_TRY(name_item(d, s, item));
			return 1;
		}
		d->other_files += part->other_files;
	}
out:
	return rc;
}

static int look_at_several(struct ek_dataset *d)
{
	struct several *s = d->state;
	int rc = 0;

	for (size_t i = 0; i < s->count; i++) {
		s->parts[i]->patterns = d->patterns; /* lent */
		EK_TRY(ek_dataset_look(s->parts[i]));
	}
out:
	return rc;
}

/* All are walked again if one of them has to be: who has not is opened anew. */
static int several_again(struct ek_dataset *d)
{
	struct several *s = d->state;
	int again = 0;

	for (size_t i = 0; i < s->count; i++)
		again |= s->parts[i]->again = ek_dataset_again(s->parts[i]);
	s->at = again ? 0 : s->at;
	for (size_t i = 0, first = 0, end; again && i < s->count; i++, first = end) {
		end = ek_dataset_part_end(d, first);
		if (s->parts[i]->again)
			continue;
		close_part(s->parts[i]);
		s->parts[i] = NULL;
		if (open_part(&s->parts[i], d, first, end) < 0)
			return EK_EIO;
	}
	return again;
}

/* Each tells of itself; the counts are of all. */
static int finish_several(struct ek_dataset *d)
{
	struct several *s = d->state;
	int rc = 0;

	for (size_t i = 0; i < s->count; i++)
		EK_TRY(ek_dataset_finish(s->parts[i]));
	for (size_t i = 0; i < s->count; i++) {
		d->warnings += s->parts[i]->warnings;
		add_tallies(d->left_out, s->parts[i]->left_out, EK_LEFT_OUT_COUNT);
		add_tallies(d->unused, s->parts[i]->unused, EK_UNUSED_COUNT);
	}
out:
	return rc;
}

size_t ek_dataset_parts(const struct ek_dataset *d)
{
	return d->kind == EK_DATASET_SEVERAL ? ((const struct several *)d->state)->count : 0;
}

const char *ek_dataset_part(const struct ek_dataset *d, size_t part, enum ek_dataset_kind *kind)
{
	const struct several *s = d->state;

	*kind = s->parts[part]->kind;
	return s->names[part];
}

const struct ek_dataset_form ek_dataset_several = { .name = "several",
	                                            .open = open_several,
	                                            .next = next_of_several,
	                                            .close = close_several,
	                                            .look = look_at_several,
	                                            .again = several_again,
	                                            .finish = finish_several,
	                                            .selects = 1 };
