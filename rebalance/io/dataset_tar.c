#include "rebalance/io/dataset_form.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/io/tar.h"

enum {
	SAMPLE_IMAGES = 16, /* of one sample, held until its side files are known */
	LARGEST_SIDE_FILE = 1 << 24
};

/* A sample (WebDataset): neighbours in the tar whose names agree up to the first dot of the last part. */
struct sample {
	struct ek_buffer key;
	struct ek_dataset_item images[SAMPLE_IMAGES];
	size_t count, given;
	cJSON *attributes;
	struct ek_buffer label;
	int has_label, open; /* open: has members */
};

struct tars {
	size_t next; /* of d->paths */
	struct ek_tar *tar;
	struct ek_tar_member member;
	int pending; /* `member` has not been taken */
	int giving;  /* the sample is whole: hand out its images */
	int ended;   /* with its tar: nothing of it goes on in the next */
	struct sample sample;
	struct ek_buffer text;
};

static int open_tars(struct ek_dataset *d)
{
	return ek_alloc(&d->state, 1, sizeof(struct tars));
}

static size_t key_size(const char *name)
{
	const char *slash = strrchr(name, '/'), *last = slash != NULL ? slash + 1 : name;

	return (size_t)(last - name) + strcspn(last, ".");
}

static void forget_side_files(struct sample *s)
{
	ek_buffer_clear(&s->label);
	s->has_label = 0;
	cJSON_Delete(s->attributes);
	s->attributes = NULL;
	s->open = 0;
}

/* Hand out the next image of a whole sample: 1, or 0 after the last. */
static int give(struct sample *s, struct ek_dataset_item *item)
{
	struct ek_dataset_item *image = &s->images[s->given];
	const struct ek_dataset_item empty = *item;
	int rc;

	if (s->given == s->count) {
		s->given = s->count = 0;
		return 0;
	}
	s->given++;
	*item = *image;
	*image = empty; /* its buffers are used again */
	if (s->attributes != NULL) {
		/* A .json beside several images is for each of them. */
		cJSON *copy = cJSON_Duplicate(s->attributes, 1);

		if (copy == NULL)
			return ek_fail(EK_ENOMEM, "no memory for JSON");
		EK_TRY(ek_merge_attributes(&item->attributes, copy));
	}
	if (s->has_label) {
		ek_buffer_clear(&item->label);
		EK_TRY(ek_buffer_append(&item->label, s->label.data, s->label.size));
		item->has_label = 1;
	} else {
		EK_TRY(ek_dataset_label_by_folder(item));
	}
	rc = 1;
out:
	return rc;
}

static int take_class(struct ek_dataset *d, struct sample *s, struct ek_buffer *text, const char *name)
{
	const size_t start = strspn(text->data, " \t\r\n");
	size_t end = text->size;

	(void)d;
	(void)name;
	while (end > start && strchr(" \t\r\n", text->data[end - 1]) != NULL)
		end--;
	ek_buffer_clear(&s->label);
	s->has_label = end > start;
	return s->has_label ? ek_buffer_append(&s->label, text->data + start, end - start) : 0;
}

static int take_json(struct ek_dataset *d, struct sample *s, struct ek_buffer *text, const char *name)
{
	cJSON *object = NULL;
	int rc = ek_json_parse(&object, text->data, text->size, name);

	if (rc == EK_EDATA || (rc == 0 && !cJSON_IsObject(object))) {
		ek_dataset_warn(d, "%s: %s; left out", d->paths[((struct tars *)d->state)->next - 1],
		                rc < 0 ? ek_error_message() : "a .json that is not an object");
		cJSON_Delete(object);
		return 0;
	}
	return rc < 0 ? rc : ek_merge_attributes(&s->attributes, object);
}

static int take_text(struct ek_dataset *d, struct sample *s, struct ek_buffer *text, const char *name)
{
	(void)d;
	(void)name;
	if (s->attributes == NULL && (s->attributes = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
	cJSON_DeleteItemFromObjectCaseSensitive(s->attributes, "text");
	return ek_json_add_string(s->attributes, "text", text->data);
}

static const struct side_file {
	const char *extension;
	int (*take)(struct ek_dataset *, struct sample *, struct ek_buffer *, const char *);
} side_files[] = { { "cls", take_class }, { "json", take_json }, { "txt", take_text } };

static const struct side_file *find_side_file(const char *extension)
{
	for (size_t i = 0; i < sizeof side_files / sizeof *side_files; i++)
		if (strcasecmp(extension, side_files[i].extension) == 0)
			return &side_files[i];
	return NULL;
}

/* Read the member into the sample's next image, if it is one or its name says so. */
static int take_image(struct ek_dataset *d, struct tars *t, const char *name)
{
	struct sample *s = &t->sample;
	struct ek_dataset_item *item = &s->images[s->count];
	const int named = ek_has_image_extension(name);
	int rc, is_image = 0;

	ek_dataset_item_clear(item);
	if (t->member.is_file && !t->member.is_sparse) {
		EK_TRY(ek_tar_read(t->tar, &item->bytes, EK_DATASET_HEAD));
		is_image =
			item->bytes.size > 0 && ek_image_sniff(item->bytes.data, item->bytes.size) != EK_IMAGE_UNKNOWN;
	}
	if (!is_image && !named) {
		d->other_files++;
		return 0;
	}
	EK_TRY(ek_buffer_text(&item->name, name));
	item->source = d->paths[t->next - 1];
	item->offset = t->member.offset;
	item->size = t->member.size;
	s->count++;
	if (!t->member.is_file)
		item->problem =
			t->member.is_link ? "a link inside the tar, without bytes of its own" : "not a regular file";
	else if (t->member.is_sparse)
		item->problem = "stored as a sparse file";
	else if (is_image && item->size > EK_DATASET_LARGEST)
		item->problem = "larger than 1 GiB";
	else if (is_image && item->size > item->bytes.size)
		EK_TRY(ek_tar_read(t->tar, &item->bytes, (size_t)item->size - item->bytes.size));
	if (item->problem == NULL && (is_image ? item->bytes.size < item->size : ek_tar_is_damaged(t->tar)))
		item->problem = "the tar ends inside it";
out:
	return rc;
}

static int take_member(struct ek_dataset *d, struct tars *t)
{
	const char *name = ek_plain_name(t->member.name);
	const size_t size = key_size(name);
	const struct side_file *side = name[size] == '.' ? find_side_file(name + size + 1) : NULL;
	struct sample *s = &t->sample;
	int rc;

	if (!s->open) {
		ek_buffer_clear(&s->key);
		EK_TRY(ek_buffer_append(&s->key, name, size));
		s->open = 1;
	}
	if (side == NULL || !t->member.is_file || t->member.size > LARGEST_SIDE_FILE)
		return take_image(d, t, name);
	d->other_files++;
	ek_buffer_clear(&t->text);
	EK_TRY(ek_buffer_append(&t->text, "", 0));
	EK_TRY(ek_tar_read(t->tar, &t->text, LARGEST_SIDE_FILE));
	if (!ek_tar_is_damaged(t->tar))
		EK_TRY(side->take(d, s, &t->text, name));
out:
	return rc;
}

/* Have a member ready, from the next tar if need be: 1, or 0 when all are through. */
static int next_member(struct ek_dataset *d, struct tars *t)
{
	int rc;

	for (;;) {
		/* Folders of a tar, and what is no image in it, never reach the scan's own check. */
		EK_TRY(ek_check_interrupt());
		if (t->tar == NULL) {
			if (t->next == d->path_count)
				return 0;
			EK_TRY(ek_tar_open(&t->tar, d->paths[t->next]));
			t->next++;
		}
		EK_TRY(ek_tar_next(t->tar, &t->member));
		if (rc == 0) {
			d->warnings += (uint64_t)ek_tar_is_damaged(t->tar);
			ek_tar_close(t->tar);
			t->tar = NULL;
			return 2; /* a sample does not go on in another tar */
		}
		/* Folders and the like are no files at all. */
		if (t->member.is_file || t->member.is_link || ek_has_image_extension(t->member.name))
			return 1;
	}
out:
	return rc;
}

static int next_in_tars(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct tars *t = d->state;
	struct sample *s = &t->sample;
	int rc = 0;

	for (;;) {
		const char *name;

		if (t->giving) {
			EK_TRY(give(s, item));
			if (rc == 1)
				return 1;
			t->giving = 0;
			if (t->ended)
				forget_side_files(s);
			t->ended = 0;
		}
		if (!t->pending) {
			EK_TRY(next_member(d, t));
			if (rc != 1 && s->count == 0) {
				forget_side_files(s);
				if (rc == 0)
					return 0;
				continue;
			}
			t->giving = t->ended = rc != 1;
			t->pending = rc == 1;
			if (t->giving)
				continue;
		}
		name = ek_plain_name(t->member.name);
		if (s->open && (s->key.size != key_size(name) || memcmp(s->key.data, name, s->key.size) != 0)) {
			if (s->count > 0) {
				t->giving = 1;
				continue;
			}
			forget_side_files(s);
		}
		if (s->count == SAMPLE_IMAGES) {
			t->giving = 1;
			continue;
		}
		t->pending = 0;
		EK_TRY(take_member(d, t));
	}
out:
	return rc;
}

static void close_tars(struct ek_dataset *d)
{
	struct tars *t = d->state;

	if (t == NULL)
		return;
	ek_tar_close(t->tar);
	for (size_t i = 0; i < SAMPLE_IMAGES; i++)
		ek_dataset_item_release(&t->sample.images[i]);
	forget_side_files(&t->sample);
	ek_buffer_release(&t->sample.key);
	ek_buffer_release(&t->sample.label);
	ek_buffer_release(&t->text);
	free(t);
}

const struct ek_dataset_form ek_dataset_tar = { "tar", open_tars, next_in_tars, close_tars, NULL };
