#include "rebalance/io/dataset_internal.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/idx.h"

struct idx_files {
	size_t next; /* of d->paths */
	struct ek_idx *images, *labels;
	const char *name; /* of the file, without its folders */
};

static int open_idx(struct ek_dataset *d)
{
	return ek_alloc(&d->state, 1, sizeof(struct idx_files));
}

/* Replace `from` by `to` (of the same length) where it stands last behind the last slash. */
static void replace_last(char *path, const char *from, const char *to)
{
	char *slash = strrchr(path, '/'), *at = NULL;

	for (char *p = slash != NULL ? slash : path; (p = strstr(p, from)) != NULL; p++)
		at = p;
	if (at != NULL)
		memcpy(at, to, strlen(to));
}

/* train-images-idx3-ubyte.gz goes with train-labels-idx1-ubyte.gz, either one gzipped or not. NULL: no name says so. */
static int labels_of(char **out, const char *path)
{
	const size_t size = strlen(path);
	char *labels = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_format(&labels, "%s.gz", path));
	replace_last(labels, "images", "labels");
	replace_last(labels, "idx3", "idx1");
	labels[size] = 0;
	if (strcmp(labels, path) == 0)
		goto out;
	if (!ek_file_exists(labels)) {
		/* The other of the two. */
		if (size > 3 && strcmp(path + size - 3, ".gz") == 0)
			labels[size - 3] = 0;
		else
			labels[size] = '.';
	}
	*out = labels;
	labels = NULL;
out:
	free(labels);
	return rc;
}

static int open_labels(struct ek_dataset *d, struct idx_files *f, const char *path)
{
	const uint32_t images = ek_idx_info(f->images)->count;
	const struct ek_idx_info *info;
	char *labels = NULL;
	int rc;

	EK_TRY(labels_of(&labels, path));
	if (labels == NULL)
		goto out;
	ek_dataset_saw(d, ek_dataset_stamp(labels, NULL));
	if (!ek_file_exists(labels)) {
		ek_dataset_warn(d, "%s: there is no file of labels beside it", path);
		goto out;
	}
	EK_TRY(ek_idx_open(&f->labels, labels, 1));
	info = ek_idx_info(f->labels);
	if (info->kind != EK_IDX_LABELS || info->count != images)
		rc = ek_fail(EK_EDATA, "%s: %u %s, %s has %u images", labels, info->count,
		             info->kind == EK_IDX_LABELS ? "labels" : "images", path, images);
out:
	free(labels);
	return rc;
}

static int open_next(struct ek_dataset *d, struct idx_files *f)
{
	const char *path = d->paths[f->next];
	int rc;

	EK_TRY(ek_idx_open(&f->images, path, EK_MAX_PIXELS_DEFAULT));
	f->name = strrchr(path, '/') + 1;
	f->next++;
	EK_TRY(open_labels(d, f, path));
out:
	return rc;
}

static void close_files(struct idx_files *f)
{
	ek_idx_close(f->images);
	ek_idx_close(f->labels);
	f->images = f->labels = NULL;
}

static int take_label(struct ek_dataset *d, struct idx_files *f, struct ek_dataset_item *item)
{
	uint8_t class;
	int rc;

	if (f->labels == NULL)
		return 0;
	if (ek_idx_next(f->labels, &class) != 1) {
		ek_dataset_warn(d, "%s; the images from there on have no label", ek_error_message());
		ek_idx_close(f->labels);
		f->labels = NULL;
		return 0;
	}
	EK_TRY(ek_buffer_printf(&item->label, "%u", class));
	item->has_label = 1;
out:
	return rc;
}

static int next_in_idx(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct idx_files *f = d->state;
	const struct ek_idx_info *info;
	uint64_t number;
	int rc;

	for (;;) {
		if (f->images == NULL) {
			if (f->next == d->path_count)
				return 0;
			EK_TRY(open_next(d, f));
		}
		info = ek_idx_info(f->images);
		number = ek_idx_done(f->images);
		EK_TRY(ek_buffer_reserve(&item->bytes, info->item_size));
		if ((rc = ek_idx_next(f->images, (uint8_t *)item->bytes.data)) == 1)
			break;
		if (rc < 0 && (rc != EK_EDATA || number == 0))
			return rc;
		if (rc < 0)
			ek_dataset_warn(d, "%s; what came before is kept", ek_error_message());
		close_files(f);
	}
	item->bytes.size = item->size = info->item_size;
	item->offset = info->offset + number * info->item_size;
	item->bare = EK_IMAGE_GREY8;
	item->bare_width = info->cols;
	item->bare_height = info->rows;
	item->source = d->paths[f->next - 1];
	EK_TRY(ek_buffer_printf(&item->name, "%s/%06llu", f->name, (unsigned long long)number));
	EK_TRY(take_label(d, f, item));
	rc = 1;
out:
	return rc;
}

static void close_idx(struct ek_dataset *d)
{
	if (d->state != NULL)
		close_files(d->state);
	free(d->state);
}

static int look_at_labels(struct ek_dataset *d)
{
	char *labels = NULL;
	int rc = 0;

	for (size_t i = 0; i < d->path_count; i++) {
		EK_TRY(labels_of(&labels, d->paths[i]));
		if (labels != NULL)
			ek_dataset_saw(d, ek_dataset_stamp(labels, NULL));
		free(labels);
		labels = NULL;
	}
out:
	free(labels);
	return rc;
}

const struct ek_dataset_form ek_dataset_idx = { .name = "idx",
	                                        .open = open_idx,
	                                        .next = next_in_idx,
	                                        .close = close_idx,
	                                        .look = look_at_labels,
	                                        .names_file = 1 };
