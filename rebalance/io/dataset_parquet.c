#include "rebalance/io/dataset_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/io/content.h"
#include "rebalance/io/parquet.h"

/* Hugging Face's shards: a row an image. */

enum { LARGEST_TEXT = 1 << 24, LARGEST_NAME = 255 };

static const char no_image[] = "no image in this row";

/* A column beside the image. */
struct beside {
	size_t column;
	enum ek_parquet_type type;
	const char *name;    /* the file's */
	const cJSON *values; /* names of the values 0, 1 … (ClassLabel), or NULL */
};

struct shards {
	size_t next; /* of d->paths */
	struct ek_parquet *file;
	const char *name; /* of the file, without its folders */
	uint64_t row, rows;
	size_t image, path; /* columns; ek_parquet_columns: there is none */
	struct beside label, *beside;
	size_t beside_count;
	int has_label;
	cJSON *described;       /* what datasets says of the columns */
	struct ek_tally unused; /* columns of the first shard that has such */
	int told;
	struct ek_buffer text;
};

static void close_shard(struct shards *s)
{
	ek_parquet_close(s->file);
	cJSON_Delete(s->described);
	free(s->beside);
	s->file = NULL;
	s->described = NULL;
	s->beside = NULL;
	s->beside_count = 0;
}

static void close_shards(struct ek_dataset *d)
{
	struct shards *s = d->state;

	if (s == NULL)
		return;
	close_shard(s);
	ek_buffer_release(&s->text);
	free(s);
}

/* --- which column is what --- */

/* {COLUMN: {"_type": "Image"}, …}, or NULL. */
static const cJSON *features_of(const struct shards *s)
{
	return ek_json_object(ek_json_member(ek_json_member(s->described, "info"), "features"));
}

static int is_feature(const cJSON *feature, const char *type)
{
	const cJSON *text = ek_json_member(feature, "_type");

	return cJSON_IsString(text) && strcmp(text->valuestring, type) == 0;
}

/* The feature that a column is, or the first part of its path. */
static const cJSON *feature_of(const struct shards *s, const char *path, size_t size)
{
	const cJSON *features = features_of(s), *feature;

	cJSON_ArrayForEach(feature, features) if (strlen(feature->string) == size &&
	                                          memcmp(feature->string, path, size) == 0) return feature;
	return NULL;
}

/* The path without ".bytes", or 0: Image of datasets is {bytes, path}. */
static size_t prefix_size(const char *path)
{
	const size_t size = strlen(path);

	return size > 6 && strcmp(path + size - 6, ".bytes") == 0 ? size - 6 : 0;
}

/* How likely a column of bytes holds the images; 0: it does not. */
static int worth(const struct shards *s, const struct ek_parquet_column *c)
{
	const size_t prefix = prefix_size(c->path), size = prefix > 0 ? prefix : strlen(c->path);
	const int is_image = is_feature(feature_of(s, c->path, size), "Image");
	const int is_called =
		(size == 5 && memcmp(c->path, "image", 5) == 0) || (size == 3 && memcmp(c->path, "img", 3) == 0);

	if (c->type != EK_PARQUET_BYTES)
		return 0;
	return 1 + 3 * is_called + 2 * (prefix > 0) + 5 * is_image;
}

static int find_image(struct shards *s, const char *shard)
{
	const size_t count = ek_parquet_columns(s->file);
	struct ek_buffer names = { 0 };
	int rc, best = 0;

	s->image = s->path = count;
	EK_TRY(ek_buffer_reserve(&names, 1));
	for (size_t i = 0; i < count; i++) {
		const struct ek_parquet_column c = ek_parquet_column(s->file, i);
		const int value = worth(s, &c);

		s->image = value > best ? i : s->image;
		best = value > best ? value : best;
		if (i < 8)
			EK_TRY(ek_buffer_printf(&names, "%s%.64s", i == 0 ? "" : ", ", c.path));
	}
	if (best == 0) {
		rc = ek_fail(EK_EDATA, "%s: no column of images (bytes of JPEG, PNG …), but %s%s", shard,
		             count > 0 ? names.data : "none at all", count > 8 ? ", …" : "");
		goto out;
	}
	ek_buffer_clear(&s->text);
	EK_TRY(ek_buffer_printf(&s->text, "%.*s.path", (int)prefix_size(ek_parquet_column(s->file, s->image).path),
	                        ek_parquet_column(s->file, s->image).path));
	s->path = ek_parquet_find(s->file, s->text.data);
	if (s->path < count && ek_parquet_column(s->file, s->path).type != EK_PARQUET_TEXT)
		s->path = count;
out:
	ek_buffer_release(&names);
	return rc;
}

/* Note a column that is not used by its own name, once for all that it consists of, which follow each other. */
static int note_unused(struct shards *s, struct ek_tally *unused, const struct ek_parquet_column *c)
{
	const size_t size = c->depth > 1 ? strcspn(c->path, ".") : strlen(c->path);
	int rc = 0;

	if (s->text.size == size && memcmp(s->text.data, c->path, size) == 0)
		return 0;
	ek_buffer_clear(&s->text);
	EK_TRY(ek_buffer_append(&s->text, c->path, size));
	ek_dataset_note(unused, s->text.data);
out:
	return rc;
}

/* What lies beside the image: numbers, texts and classes; of lists and structures nothing. */
static int find_beside(struct shards *s)
{
	const size_t count = ek_parquet_columns(s->file);
	struct ek_tally unused = { 0 };
	int rc;

	EK_TRY(ek_alloc(&s->beside, count, sizeof *s->beside));
	ek_buffer_clear(&s->text);
	for (size_t i = 0; i < count; i++) {
		const struct ek_parquet_column c = ek_parquet_column(s->file, i);
		const cJSON *feature = feature_of(s, c.path, strlen(c.path));
		const int is_class = c.type == EK_PARQUET_WHOLE && is_feature(feature, "ClassLabel");

		if (i == s->image || i == s->path)
			continue;
		if (c.depth > 1 || c.type == EK_PARQUET_OTHER || c.type == EK_PARQUET_BYTES)
			EK_TRY(note_unused(s, &unused, &c));
		else
			s->beside[s->beside_count++] =
				(struct beside){ .column = i,
				                 .type = c.type,
				                 .name = c.path,
				                 .values = is_class ? ek_json_member(feature, "names") : NULL };
	}
	if (s->unused.count == 0)
		s->unused = unused;
out:
	return rc;
}

/* The column `label`, else the only one of classes; it is no attribute then. */
static void find_label(struct shards *s)
{
	size_t found = s->beside_count, classes = 0;

	for (size_t i = 0; i < s->beside_count; i++)
		classes += s->beside[i].values != NULL;
	for (size_t i = 0; i < s->beside_count; i++)
		if (classes == 1 && s->beside[i].values != NULL)
			found = i;
	for (size_t i = 0; i < s->beside_count; i++)
		if (strcmp(s->beside[i].name, "label") == 0)
			found = i;
	if (!(s->has_label = found < s->beside_count))
		return;
	s->label = s->beside[found];
	s->beside_count--;
	memmove(s->beside + found, s->beside + found + 1, (s->beside_count - found) * sizeof *s->beside);
}

static int open_shard(struct ek_dataset *d, struct shards *s)
{
	const char *path = d->paths[s->next], *text;
	int rc;

	EK_TRY(ek_parquet_open(&s->file, path));
	s->name = strrchr(path, '/') + 1;
	s->row = 0;
	s->rows = ek_parquet_rows(s->file);
	/* What cannot be read of it is missed like what is not there. */
	text = ek_parquet_text(s->file, "huggingface");
	if (text != NULL && (rc = ek_json_parse(&s->described, text, strlen(text), path)) == EK_ENOMEM)
		goto out;
	EK_TRY(find_image(s, path));
	EK_TRY(find_beside(s));
	find_label(s);
out:
	s->next++;
	return rc;
}

/* The first is opened at once: what it is not is told before anything is written. */
static int open_shards(struct ek_dataset *d)
{
	struct shards *s;
	int rc;

	EK_TRY(ek_alloc(&s, 1, sizeof *s));
	d->state = s;
	EK_TRY(open_shard(d, s));
out:
	return rc;
}

/* --- a row --- */

/* The value as a text; *is_none: there is none, or -1 of classes. */
static int value_as_text(struct ek_buffer *out, int *is_none, const struct beside *b, const struct ek_parquet_value *v)
{
	const cJSON *name = b->values != NULL && v->whole >= 0 && v->whole <= INT32_MAX
	                            ? cJSON_GetArrayItem(b->values, (int)v->whole)
	                            : NULL;

	ek_buffer_clear(out);
	*is_none = v->is_null || (b->values != NULL && v->whole == -1);
	if (*is_none)
		return 0;
	switch (b->type) {
	case EK_PARQUET_TEXT:
		return v->size <= LARGEST_TEXT ? ek_buffer_append(out, v->bytes, strnlen(v->bytes, v->size))
		                               : ek_fail(EK_EDATA, "%.64s is a text of more than 16 MiB", b->name);
	case EK_PARQUET_BOOLEAN:
		return ek_buffer_text(out, v->whole != 0 ? "true" : "false");
	case EK_PARQUET_NUMBER:
		return ek_json_append_double(out, v->number);
	case EK_PARQUET_UNSIGNED:
		return ek_buffer_printf(out, "%" PRIu64, (uint64_t)v->whole);
	default:
		return cJSON_IsString(name) ? ek_buffer_text(out, name->valuestring)
		                            : ek_buffer_printf(out, "%" PRId64, v->whole);
	}
}

/* As a side table has it; whole numbers that JSON's readers would round are texts. */
static int add_value(cJSON *attributes, struct shards *s, const struct beside *b, const struct ek_parquet_value *v)
{
	const int64_t limit = INT64_C(1) << 53;
	int rc, is_none;

	EK_TRY(value_as_text(&s->text, &is_none, b, v));
	if (is_none)
		return 0;
	if (b->type == EK_PARQUET_BOOLEAN)
		return ek_json_add_bool(attributes, b->name, v->whole != 0);
	if (b->type == EK_PARQUET_NUMBER)
		return ek_json_add_double(attributes, b->name, v->number);
	if (b->type != EK_PARQUET_TEXT && b->values == NULL && v->whole < limit &&
	    v->whole > (b->type == EK_PARQUET_UNSIGNED ? -1 : -limit))
		return ek_json_add_double(attributes, b->name, (double)v->whole);
	EK_TRY(ek_buffer_reserve(&s->text, 1)); /* "" */
	return ek_json_add_string(attributes, b->name, s->text.data);
out:
	return rc;
}

static int take_beside(struct shards *s, struct ek_dataset_item *item, uint64_t row)
{
	struct ek_parquet_value v;
	int rc, is_none;

	if (s->has_label) {
		EK_TRY(ek_parquet_read(&v, s->file, s->label.column, row));
		EK_TRY(value_as_text(&item->label, &is_none, &s->label, &v));
		item->has_label = !is_none && item->label.size > 0;
	}
	if (s->beside_count > 0 && (item->attributes = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
	for (size_t i = 0; i < s->beside_count; i++) {
		EK_TRY(ek_parquet_read(&v, s->file, s->beside[i].column, row));
		EK_TRY(add_value(item->attributes, s, &s->beside[i], &v));
	}
	rc = 0;
out:
	return rc;
}

/* The last part of a path, whoever's separators it has; 0: none that could be a file's name. */
static size_t base_name(const char **name, const struct ek_parquet_value *path)
{
	size_t start = path->size, size;

	while (start > 0 && path->bytes[start - 1] != '/' && path->bytes[start - 1] != '\\')
		start--;
	*name = path->bytes + start;
	size = path->size - start;
	if (size > LARGEST_NAME || (size == 1 && **name == '.') || (size == 2 && memcmp(*name, "..", 2) == 0) ||
	    (size > 0 && memchr(*name, 0, size) != NULL))
		return 0;
	return size;
}

/* Called as the file says, else by its format. */
static int take_name(struct shards *s, struct ek_dataset_item *item, uint64_t row, enum ek_image_format format)
{
	struct ek_parquet_value path = { .is_null = 1 };
	const char *name = "";
	size_t size;
	int rc = 0;

	if (s->path < ek_parquet_columns(s->file))
		EK_TRY(ek_parquet_read(&path, s->file, s->path, row));
	size = path.is_null ? 0 : base_name(&name, &path);
	if (item->problem == no_image && size > 0)
		item->problem = "no image in this row, only the path of one";
	EK_TRY(ek_buffer_text(&item->name, size > 0 ? "/" : ""));
	EK_TRY(ek_buffer_append(&item->name, name, size));
	if (size == 0 && format != EK_IMAGE_UNKNOWN)
		EK_TRY(ek_buffer_printf(&item->name, ".%s", ek_image_format_extension(format)));
out:
	return rc;
}

static int take_image(struct shards *s, struct ek_dataset_item *item, uint64_t row, enum ek_image_format *format)
{
	struct ek_parquet_value v;
	int64_t place;
	int rc;

	EK_TRY(ek_parquet_read(&v, s->file, s->image, row));
	item->size = v.size;
	place = ek_parquet_place(s->file, &v);
	item->offset = place >= 0 ? (uint64_t)place : row;
	if (place < 0)
		EK_TRY(ek_buffer_text(&item->parquet_column, ek_parquet_column(s->file, s->image).path));
	*format = v.size > 0 ? ek_image_sniff(v.bytes, v.size) : EK_IMAGE_UNKNOWN;
	if (v.is_null) {
		item->problem = no_image;
	} else if (v.size > EK_DATASET_LARGEST) {
		item->problem = "larger than 1 GiB";
	} else if (*format == EK_IMAGE_UNKNOWN) {
		EK_TRY(ek_content_describe(&item->bytes, v.bytes, v.size));
		item->problem = item->bytes.data;
	} else {
		EK_TRY(ek_buffer_append(&item->bytes, v.bytes, v.size));
	}
	rc = 0;
out:
	return rc;
}

/* A page that cannot be read: of its row group nothing more is known. */
static int take_damage(struct shards *s, struct ek_dataset_item *item, uint64_t row)
{
	const uint64_t end = ek_parquet_group_end(s->file, row);
	int rc;

	ek_buffer_clear(&item->bytes);
	EK_TRY(ek_buffer_text(&item->bytes, ek_error_message()));
	if (end > row + 1)
		EK_TRY(ek_buffer_printf(&item->bytes, " (and the %" PRIu64 " rows behind it)", end - row - 1));
	item->problem = item->bytes.data;
	s->row = end;
out:
	return rc;
}

static void tell_unused(struct ek_dataset *d, struct shards *s)
{
	ek_dataset_warn(d, "%s: %" PRIu64 " column%s not used, being neither numbers nor texts nor classes: %s%s",
	                d->paths[s->next - 1], s->unused.count, s->unused.count == 1 ? " is" : "s are", s->unused.first,
	                s->unused.count == 1 ? "" : ", …");
	s->told = 1;
}

static int take_row(struct ek_dataset *d, struct shards *s, struct ek_dataset_item *item)
{
	enum ek_image_format format = EK_IMAGE_UNKNOWN;
	const uint64_t row = s->row++;
	int rc;

	if (s->unused.count > 0 && !s->told && !d->looks)
		tell_unused(d, s);
	item->source = d->paths[s->next - 1];
	EK_TRY(ek_buffer_printf(&item->name, "%s/%06" PRIu64, s->name, row));
	rc = take_image(s, item, row, &format);
	if (rc == 0)
		rc = take_name(s, item, row, format);
	if (rc == 0 && !d->looks)
		rc = take_beside(s, item, row);
	if (rc == EK_EDATA)
		rc = take_damage(s, item, row);
out:
	return rc;
}

/* As of a download that broke off: the others go on. */
static int take_bad_shard(struct ek_dataset *d, struct shards *s, struct ek_dataset_item *item)
{
	int rc;

	ek_dataset_warn(d, "not used: %s", ek_error_message());
	close_shard(s);
	s->row = s->rows = 0;
	item->source = d->paths[s->next - 1];
	EK_TRY(ek_buffer_text(&item->name, strrchr(item->source, '/') + 1));
	EK_TRY(ek_buffer_text(&item->bytes, ek_error_message()));
	item->problem = item->bytes.data;
	rc = 1;
out:
	return rc;
}

static int next_in_shards(struct ek_dataset *d, struct ek_dataset_item *item)
{
	struct shards *s = d->state;
	int rc;

	while (s->row == s->rows) {
		EK_TRY(ek_check_interrupt());
		close_shard(s);
		s->row = s->rows = 0;
		if (s->next == d->path_count)
			return 0;
		if ((rc = open_shard(d, s)) == EK_EDATA)
			return take_bad_shard(d, s, item);
		EK_TRY(rc);
	}
	EK_TRY(take_row(d, s, item));
	rc = 1;
out:
	return rc;
}

const struct ek_dataset_form ek_dataset_parquet = {
	.name = "parquet", .open = open_shards, .next = next_in_shards, .close = close_shards, .names_file = 1
};
