#include "rebalance/io/dataset_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rebalance/base/error.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/zip_reader.h"

/* Images in arrays: an .npz file, or one .npy. */

enum { HEAD = 65536 + 12, NAMES_SHOWN = 8 };

/* An array of images, and the labels beside it. */
struct images {
	const struct ek_zip_entry *entry; /* NULL: the file is the array */
	char *zip_entry;                  /* its name where the entry is deflated, else NULL */
	char *name;                       /* without ".npy" */
	uint64_t count;
	uint32_t width, height;
	enum ek_image_format format;
	uint64_t at;     /* of the first pixel: in the deflated entry, else in the file */
	int64_t *labels; /* [count], or NULL */
};

struct npz {
	struct ek_zip_reader *zip; /* NULL: a .npy */
	struct ek_map map;         /* then that */
	struct images *arrays;
	size_t count, current;
	uint64_t next;          /* image of the current one */
	const char *name;       /* of the file, without its folders */
	struct ek_tally unused; /* arrays that cannot be read, and why the first of them */
	int started;
};

static void release(struct images *a)
{
	free(a->zip_entry);
	free(a->name);
	free(a->labels);
}

static void close_npz(struct ek_dataset *d)
{
	struct npz *f = d->state;

	if (f == NULL)
		return;
	for (size_t i = 0; i < f->count; i++)
		release(&f->arrays[i]);
	free(f->arrays);
	ek_zip_reader_close(f->zip);
	ek_map_close(&f->map);
	free(f);
}

/* Does the header of an array end within these bytes? */
static int has_whole_header(const struct ek_buffer *head)
{
	const uint8_t *b = (const uint8_t *)head->data;

	if (head->size < 12 || b[6] == 1)
		return head->size >= 10 && 10 + (size_t)b[8] + 256 * (size_t)b[9] <= head->size;
	return 12 + ((size_t)b[8] | (size_t)b[9] << 8 | (size_t)b[10] << 16 | (size_t)b[11] << 24) <= head->size;
}

/* What the header of an entry says; `*at`: bytes in front of its elements. `array->data` is not to be used. */
static int read_header(struct ek_npy *array, uint64_t *at, struct npz *f, const struct ek_zip_entry *e)
{
	struct ek_buffer head = { 0 };
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/%.*s", f->name, (int)(e->name_size < 200 ? e->name_size : 200), e->name));
	EK_TRY(ek_zip_reader_read(f->zip, &head, e, 0, e->size < HEAD ? e->size : HEAD));
	if (!has_whole_header(&head)) {
		rc = ek_fail(EK_EDATA, "%s: its header is cut, or longer than any", path);
		goto out;
	}
	/* Only the header is looked at; the size is that of the whole. */
	array->map = (struct ek_map){ (const uint8_t *)head.data, e->size };
	EK_TRY(ek_npy_parse(array, path));
	*at = (uint64_t)((const uint8_t *)array->data - (const uint8_t *)head.data);
out:
	free(path);
	ek_buffer_release(&head);
	return rc;
}

/* uint8 [n, h, w], [n, h, w, 1] or [n, h, w, 3]. */
static int are_images(const struct ek_npy *a)
{
	return a->type == EK_U8 && !a->fortran_order &&
	       (a->dimensions == 3 || (a->dimensions == 4 && (a->shape[3] == 1 || a->shape[3] == 3))) &&
	       a->shape[1] > 0 && a->shape[2] > 0 && a->shape[1] <= UINT32_MAX && a->shape[2] <= UINT32_MAX;
}

static int is_called_images(const char *name)
{
	static const char *const words[] = { "arr_0", "x", "data", "image", "images" };
	const char *part = strrchr(name, '_');

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasecmp(name, words[i]) == 0 || (part != NULL && strcasecmp(part + 1, words[i]) == 0))
			return 1;
	return strncasecmp(name, "x_", 2) == 0;
}

static int add_array(struct npz *f, const struct ek_npy *a, const struct ek_zip_entry *e, uint64_t at)
{
	struct images *i;
	int rc;

	EK_TRY(ek_resize(&f->arrays, f->count + 1, sizeof *f->arrays));
	i = &f->arrays[f->count++];
	*i = (struct images){ .entry = e, .count = a->shape[0], .at = at };
	i->height = (uint32_t)a->shape[1];
	i->width = (uint32_t)a->shape[2];
	i->format = a->dimensions == 4 && a->shape[3] == 3 ? EK_IMAGE_RGB8 : EK_IMAGE_GREY8;
	if (e == NULL)
		return 0;
	EK_TRY(ek_format(&i->name, "%.*s", (int)e->name_size - 4, e->name));
	if (e->deflated != NULL)
		EK_TRY(ek_format(&i->zip_entry, "%.*s", (int)e->name_size, e->name));
out:
	return rc;
}

static int is_array(const struct ek_zip_entry *e)
{
	return e->name_size > 4 && e->name_size < 4096 && memcmp(e->name + e->name_size - 4, ".npy", 4) == 0;
}

/* All arrays that could be images; those that are called so, if there are any. */
static int find_arrays(struct npz *f)
{
	const struct ek_zip *zip = ek_zip_reader_directory(f->zip);
	size_t kept = 0, called = 0;
	int rc = 0;

	for (size_t i = 0; i < zip->count; i++) {
		struct ek_npy a = { 0 };
		uint64_t at = 0;

		if (!is_array(&zip->entries[i]))
			continue;
		rc = read_header(&a, &at, f, &zip->entries[i]);
		if (rc == EK_EDATA) {
			/* Text, objects, or damage: what lies beside the images need not be known, but is told. */
			ek_dataset_note(&f->unused, ek_error_message());
			rc = 0;
			continue;
		}
		EK_TRY(rc);
		if (!are_images(&a))
			continue;
		EK_TRY(add_array(f, &a, &zip->entries[i], at));
		called += is_called_images(f->arrays[f->count - 1].name) != 0;
	}
	for (size_t i = 0; i < f->count; i++)
		if (called == 0 || is_called_images(f->arrays[i].name))
			f->arrays[kept++] = f->arrays[i];
		else
			release(&f->arrays[i]);
	f->count = kept;
out:
	return rc;
}

/* Which array has the labels of `images`: by the customs of MedMNIST, Keras, scikit-learn and ADM. */
static const struct ek_zip_entry *find_labels(const struct npz *f, const char *images)
{
	static const char *const customs[][2] = { { "images", "labels" }, { "image", "label" }, { "x", "y" },
		                                  { "arr_0", "arr_1" },   { "data", "labels" }, { "data", "label" },
		                                  { "data", "target" },   { "images", "label" } };
	const struct ek_zip *zip = ek_zip_reader_directory(f->zip);

	for (size_t i = 0; i < sizeof customs / sizeof *customs; i++)
		for (size_t k = 0; k < zip->count; k++) {
			const struct ek_zip_entry *e = &zip->entries[k];
			const char *word = strcasestr(images, customs[i][0]);
			char wanted[256];

			if (word == NULL || strlen(images) > 100)
				continue;
			(void)snprintf(wanted, sizeof wanted, "%.*s%s%s.npy", (int)(word - images), images,
			               customs[i][1], word + strlen(customs[i][0]));
			if (e->name_size == strlen(wanted) && strncasecmp(e->name, wanted, e->name_size) == 0)
				return e;
		}
	return NULL;
}

static int64_t whole_number(const struct ek_npy *a, uint64_t i)
{
	const uint8_t *p = (const uint8_t *)a->data + i * ek_dtype_size(a->type);
	int16_t s16;
	int32_t s32;
	int64_t s64;
	uint16_t u16;
	uint32_t u32;

	switch (a->type) {
	case EK_U8:
		return *p;
	case EK_I8:
		return (int8_t)*p;
	case EK_I16:
		memcpy(&s16, p, 2);
		return s16;
	case EK_U16:
		memcpy(&u16, p, 2);
		return u16;
	case EK_I32:
		memcpy(&s32, p, 4);
		return s32;
	case EK_U32:
		memcpy(&u32, p, 4);
		return u32;
	default:
		memcpy(&s64, p, 8);
		return s64;
	}
}

static int are_labels(const struct ek_npy *a, uint64_t count)
{
	const char kind = ek_dtype_kind(a->type);

	return (kind == 'i' || kind == 'u') && !a->big_endian && a->shape[0] == count &&
	       (a->dimensions == 1 || (a->dimensions == 2 && a->shape[1] == 1));
}

/* Labels of another form are told of, and do without. */
static int read_labels(struct ek_dataset *d, struct npz *f, struct images *images)
{
	const struct ek_zip_entry *e = find_labels(f, images->name);
	struct ek_buffer bytes = { 0 };
	struct ek_npy a = { 0 };
	int rc = 0;

	if (e == NULL || e == images->entry)
		return 0;
	EK_TRY(ek_zip_reader_read(f->zip, &bytes, e, 0, e->size));
	a.map = (struct ek_map){ (const uint8_t *)bytes.data, bytes.size };
	if (ek_npy_parse(&a, f->name) < 0 || !are_labels(&a, images->count)) {
		ek_dataset_warn(d, "%s: %.*s is not one whole number for each of %s; it is not used as their label",
		                d->paths[0], (int)e->name_size, e->name, images->name);
		goto out;
	}
	EK_TRY(ek_alloc(&images->labels, (size_t)images->count, sizeof *images->labels));
	for (uint64_t i = 0; i < images->count; i++)
		images->labels[i] = whole_number(&a, i);
out:
	ek_buffer_release(&bytes);
	return rc;
}

/* "x.npy (float32 [8, 16, 16, 3])" */
static int append_array(struct ek_buffer *text, struct npz *f, const struct ek_zip_entry *e)
{
	struct ek_npy a = { 0 };
	uint64_t at = 0;
	int rc;

	EK_TRY(ek_buffer_printf(text, "%s%.*s", text->size > 0 ? ", " : "",
	                        (int)(e->name_size < 64 ? e->name_size : 64), e->name));
	if (!is_array(e) || (rc = read_header(&a, &at, f, e)) == EK_EDATA)
		return 0;
	EK_TRY(rc);
	EK_TRY(ek_buffer_printf(text, " (%s [", ek_dtype_name(a.type)));
	for (int i = 0; i < a.dimensions; i++)
		EK_TRY(ek_buffer_printf(text, "%s%llu", i > 0 ? ", " : "", (unsigned long long)a.shape[i]));
	EK_TRY(ek_buffer_text(text, "])"));
out:
	return rc;
}

static int fail_no_images(const struct ek_dataset *d, struct npz *f)
{
	const struct ek_zip *zip = ek_zip_reader_directory(f->zip);
	struct ek_buffer names = { 0 };
	int rc = 0;

	for (size_t i = 0; i < zip->count && i < NAMES_SHOWN; i++)
		EK_TRY(append_array(&names, f, &zip->entries[i]));
	rc = ek_fail(
		EK_EDATA,
		"%s: no array of images, which are uint8 [images, height, width] or [images, height, width, 3], but "
		"%s%s",
		d->paths[0], names.size > 0 ? names.data : "nothing", zip->count > NAMES_SHOWN ? ", …" : "");
out:
	ek_buffer_release(&names);
	return rc;
}

static int start_npz(struct ek_dataset *d)
{
	struct npz *f;
	int rc;

	EK_TRY(ek_alloc(&f, 1, sizeof *f));
	d->state = f;
	f->name = strrchr(d->paths[0], '/') + 1;
out:
	return rc;
}

static int open_npz(struct ek_dataset *d)
{
	struct npz *f;
	int rc;

	EK_TRY(start_npz(d));
	f = d->state;
	EK_TRY(ek_zip_reader_open(&f->zip, d->paths[0]));
	EK_TRY(find_arrays(f));
	if (f->count == 0)
		return fail_no_images(d, f);
	/* Stored pixels are found again by their place in the file. */
	for (size_t i = 0; i < f->count; i++)
		if (f->arrays[i].entry->data != NULL)
			f->arrays[i].at += ek_zip_reader_offset(f->zip, f->arrays[i].entry);
out:
	return rc;
}

static int open_npy(struct ek_dataset *d)
{
	struct ek_npy a = { 0 };
	struct npz *f;
	int rc;

	EK_TRY(start_npz(d));
	f = d->state;
	EK_TRY(ek_npy_open(&a, d->paths[0]));
	f->map = a.map;
	if (!are_images(&a))
		return ek_fail(
			EK_EDATA,
			"%s: %d dimensions of %s are neither embeddings nor images, which are uint8 [images, height, "
			"width] or [images, height, width, 3]",
			d->paths[0], a.dimensions, ek_dtype_name(a.type));
	EK_TRY(add_array(f, &a, NULL, (uint64_t)((const uint8_t *)a.data - a.map.data)));
out:
	return rc;
}

static int take_pixels(struct ek_dataset_item *item, struct npz *f, const struct images *a)
{
	const size_t size = (size_t)ek_image_bare_pixel(a->format) * a->width * a->height;
	const uint64_t at = a->at + f->next * size;
	int rc;

	if (a->zip_entry != NULL) {
		EK_TRY(ek_zip_reader_read(f->zip, &item->bytes, a->entry, at, size));
	} else {
		const struct ek_map *map = f->zip != NULL ? ek_zip_reader_map(f->zip) : &f->map;

		EK_TRY(ek_buffer_append(&item->bytes, map->data + at, size));
		ek_map_forget(map->data + at, map->data + at + size);
	}
	item->size = size;
	item->offset = at;
	if (a->zip_entry != NULL)
		EK_TRY(ek_buffer_text(&item->zip_entry, a->zip_entry));
	item->bare = a->format;
	item->bare_height = a->height;
	item->bare_width = a->width;
	rc = 0;
out:
	return rc;
}

/* Before the first image: what else lies beside the arrays. */
static int start(struct ek_dataset *d, struct npz *f)
{
	int rc = 0;

	f->started = 1;
	if (f->unused.count > 0)
		ek_dataset_warn(d, "%s: %" PRIu64 " array%s not used: %s%s", d->paths[0], f->unused.count,
		                f->unused.count == 1 ? " is" : "s are", f->unused.first,
		                f->unused.count == 1 ? "" : ", …");
	for (size_t i = 0; f->zip != NULL && i < f->count; i++)
		EK_TRY(read_labels(d, f, &f->arrays[i]));
out:
	return rc;
}

static int next_in_npz(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct npz *f = d->state;
	const struct images *a;
	int rc;

	if (!f->started && !d->looks)
		EK_TRY(start(d, f));
	while (f->current < f->count && f->next == f->arrays[f->current].count) {
		f->current++;
		f->next = 0;
	}
	if (f->current == f->count)
		return 0;
	a = &f->arrays[f->current];
	EK_TRY(take_pixels(item, f, a));
	item->source = d->paths[0];
	EK_TRY(ek_buffer_printf(&item->name, "%s/%s%s%06" PRIu64, f->name, f->count > 1 ? a->name : "",
	                        f->count > 1 ? "/" : "", f->next));
	if (a->labels != NULL) {
		EK_TRY(ek_buffer_printf(&item->label, "%" PRId64, a->labels[f->next]));
		item->has_label = 1;
	}
	f->next++;
	rc = 1;
out:
	return rc;
}

const struct ek_dataset_form ek_dataset_npz = {
	.name = "npz", .open = open_npz, .next = next_in_npz, .close = close_npz, .names_file = 1
};
const struct ek_dataset_form ek_dataset_npy = {
	.name = "npy", .open = open_npy, .next = next_in_npz, .close = close_npz, .names_file = 1
};
