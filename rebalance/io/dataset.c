#include "rebalance/io/dataset_form.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/content.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/run.h"
#include "rebalance/io/stream.h"

enum { SHOWN_WARNINGS = 20, KEPT_BUFFER = 1 << 16, TAR_HEAD = 512, MOST_FILES = 1000000 };

static const struct ek_dataset_form *const forms[] = {
	[EK_DATASET_FOLDER] = &ek_dataset_folder,
	[EK_DATASET_TAR] = &ek_dataset_tar,
	[EK_DATASET_LIST] = &ek_dataset_list,
	[EK_DATASET_TABLE] = &ek_dataset_table,
	[EK_DATASET_IDX] = &ek_dataset_idx,
	[EK_DATASET_NPZ] = &ek_dataset_npz,
	[EK_DATASET_NPY] = &ek_dataset_npy,
	[EK_DATASET_ZIP] = &ek_dataset_zip,
	[EK_DATASET_EMBEDDINGS] = &ek_dataset_embeddings,
};

const char *ek_dataset_kind_name(enum ek_dataset_kind kind)
{
	return forms[kind]->name;
}

static int ends_with(const char *name, const char *end)
{
	const size_t size = strlen(name), end_size = strlen(end);

	return size > end_size && strcasecmp(name + size - end_size, end) == 0;
}

int ek_has_image_extension(const char *name)
{
	static const char *const known[] = { ".jpg",  ".jpeg", ".jpe",  ".jfif", ".png",  ".gif",  ".bmp",
		                             ".webp", ".tif",  ".tiff", ".heic", ".heif", ".avif", ".ppm",
		                             ".pgm",  ".pbm",  ".pnm",  ".tga",  ".jp2",  ".jxl" };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (ends_with(name, known[i]))
			return 1;
	return 0;
}

static void clear_buffer(struct ek_buffer *b)
{
	if (b->capacity > KEPT_BUFFER)
		ek_buffer_release(b);
	else
		ek_buffer_clear(b);
}

void ek_dataset_item_clear(struct ek_dataset_item *item)
{
	struct ek_dataset_item kept;

	clear_buffer(&item->name);
	clear_buffer(&item->path);
	clear_buffer(&item->bytes);
	clear_buffer(&item->label);
	clear_buffer(&item->zip_entry);
	cJSON_Delete(item->attributes);
	kept = (struct ek_dataset_item){ .name = item->name,
		                         .path = item->path,
		                         .bytes = item->bytes,
		                         .label = item->label,
		                         .zip_entry = item->zip_entry };
	*item = kept;
}

void ek_dataset_item_release(struct ek_dataset_item *item)
{
	ek_buffer_release(&item->name);
	ek_buffer_release(&item->path);
	ek_buffer_release(&item->bytes);
	ek_buffer_release(&item->label);
	ek_buffer_release(&item->zip_entry);
	cJSON_Delete(item->attributes);
	*item = (struct ek_dataset_item){ 0 };
}

void ek_dataset_warn(struct ek_dataset *dataset, const char *format, ...)
{
	char text[900];
	va_list args;

	dataset->warnings++;
	if (dataset->looks || dataset->warnings > SHOWN_WARNINGS)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	ek_warn("%s%s", text, dataset->warnings == SHOWN_WARNINGS ? " (more of these are only counted)" : "");
}

int ek_dataset_label_by_folder(struct ek_dataset_item *item)
{
	const char *name = item->name.data + strspn(item->name.data, "/");
	const size_t size = strcspn(name, "/");
	int rc = 0;

	if (name[size] == 0 || (size == 2 && strncmp(name, "..", 2) == 0))
		return 0;
	EK_TRY(ek_buffer_append(&item->label, name, size));
	item->has_label = 1;
out:
	return rc;
}

int ek_dataset_locate(const struct ek_dataset *dataset, struct ek_dataset_item *item)
{
	int rc = 0;

	if (item->name.data[0] != '/') {
		EK_TRY(ek_buffer_text(&item->path, dataset->root));
		EK_TRY(ek_buffer_text(&item->path, "/"));
	}
	EK_TRY(ek_buffer_append(&item->path, item->name.data, item->name.size));
out:
	return rc;
}

/* Bytes with three dimensions or more: no embeddings. */
static int is_image_array(const struct ek_buffer *head)
{
	const char *text = memmem(head->data, head->size, "'descr'", 7), *shape;
	const char *type = text != NULL ? strstr(text, "u1'") : NULL;
	size_t commas = 0;

	if (type == NULL || (shape = strstr(text, "'shape': (")) == NULL)
		return 0;
	for (shape += 10; *shape != 0 && *shape != ')'; shape++)
		commas += *shape == ',' && shape[1] != ')';
	return commas >= 2;
}

static int is_json_array(const char *text)
{
	const char *first = text + 1 + (*text == '[' ? strspn(text + 1, " \t\r\n") : 0);

	return *text == '[' && (*first == '{' || *first == '"');
}

static int is_tar_name(const char *path)
{
	static const char *const names[] = { ".tar", ".tgz", ".tar.gz", ".tar.zst", ".tar.bz2", ".tar.xz" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (ends_with(path, names[i]))
			return 1;
	return 0;
}

static int fail_no_dataset(const char *path, const struct ek_buffer *head)
{
	const char *known = head->size > 0 ? ek_content_name(head->data, head->size) : "empty";

	return ek_fail(EK_EDATA, "%s: %s; expected a folder, a tar, a list of paths, .csv, .jsonl, IDX, .npz or .npy",
	               path, known != NULL ? known : "not a data set");
}

/* What a regular file is, by its first bytes and, for text, by its name. */
static int judge_file(enum ek_dataset_kind *kind, const char *path)
{
	struct ek_stream *stream = NULL;
	struct ek_buffer head = { 0 };
	int rc, is_tar = 0, is_text, packed;

	EK_TRY(ek_stream_open(&stream, path));
	packed = ek_stream_is_compressed(stream);
	EK_TRY(ek_stream_read(stream, &head, TAR_HEAD, 0));
	is_tar = is_tar_name(path) || (head.size == TAR_HEAD && memcmp(head.data + 257, "ustar", 5) == 0);
	is_text = head.size > 0 && memchr(head.data, 0, head.size) == NULL && !packed;
	if (head.size >= 4 && memcmp(head.data, "\0\0\x08\x01", 4) == 0)
		rc = ek_fail(EK_EUSAGE, "%s is a file of labels; give the images that it belongs to", path);
	else if (head.size >= 4 && memcmp(head.data, "\0\0\x08\x03", 4) == 0)
		*kind = EK_DATASET_IDX;
	else if (head.size >= 6 && memcmp(head.data, "\x93NUMPY", 6) == 0 && !packed)
		*kind = is_image_array(&head) ? EK_DATASET_NPY : EK_DATASET_EMBEDDINGS;
	else if (head.size >= 4 && memcmp(head.data, "PK\3\4", 4) == 0)
		*kind = ends_with(path, ".npz") ? EK_DATASET_NPZ : EK_DATASET_ZIP;
	else if (is_tar)
		*kind = EK_DATASET_TAR;
	else if (head.size > 0 && ek_image_sniff(head.data, head.size) != EK_IMAGE_UNKNOWN)
		rc = ek_fail(EK_EUSAGE, "%s is one image; give the folder it is in", path);
	else if (is_text && (ends_with(path, ".csv") || ends_with(path, ".tsv") || ends_with(path, ".jsonl") ||
	                     head.data[0] == '{' || is_json_array(head.data)))
		*kind = EK_DATASET_TABLE;
	else if (is_text)
		*kind = EK_DATASET_LIST;
	else
		rc = fail_no_dataset(path, &head);
out:
	ek_stream_close(stream);
	ek_buffer_release(&head);
	return rc;
}

/* Take one existing file or folder. */
static int add_path(struct ek_dataset *d, const char *path)
{
	enum ek_dataset_kind kind = EK_DATASET_FOLDER;
	struct stat status;
	char *absolute;
	int rc = 0;

	if (path[0] == 0)
		return ek_fail(EK_EUSAGE, "the data set has no name");
	if (stat(path, &status) != 0)
		return ek_fail_errno("cannot read %s", path);
	if (S_ISDIR(status.st_mode) && ek_run_is_at(path))
		return ek_fail(EK_EUSAGE, "%s is a run directory, not a data set", path);
	if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
		return ek_fail(EK_EDATA, "%s: neither a folder nor a regular file", path);
	if (S_ISREG(status.st_mode))
		EK_TRY(judge_file(&kind, path));
	if (d->path_count > 0 && (kind != d->kind || (kind != EK_DATASET_TAR && kind != EK_DATASET_IDX)))
		return ek_fail(EK_EUSAGE, "%s: only tar files, or IDX files, can be several at a time", path);
	d->kind = kind;
	EK_TRY(ek_resize(&d->paths, d->path_count + 1, sizeof *d->paths));
	EK_TRY(ek_resize(&d->stamps, d->path_count + 1, sizeof *d->stamps));
	if ((absolute = realpath(path, NULL)) == NULL)
		return ek_fail_errno("cannot read %s", path);
	for (size_t i = 0; i < d->path_count; i++)
		if (strcmp(d->paths[i], absolute) == 0) {
			free(absolute);
			return ek_fail(EK_EUSAGE, "%s is given twice", path);
		}
	d->stamps[d->path_count] = ek_dataset_stamp(absolute, &status);
	d->paths[d->path_count++] = absolute;
out:
	return rc;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_glob(struct ek_dataset *d, const char *pattern)
{
	glob_t found = { 0 };
	int rc = 0;
	/* Its own order depends on the locale. */
	const int result = glob(pattern, GLOB_NOSORT | GLOB_BRACE, NULL, &found);

	if (result == GLOB_NOMATCH)
		rc = ek_fail(EK_EUSAGE, "%s: no such file or folder, and as a pattern it matches none", pattern);
	else if (result != 0)
		rc = ek_fail(result == GLOB_NOSPACE ? EK_ENOMEM : EK_EIO, "cannot list %s", pattern);
	else
		qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, compare_texts);
	for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
		rc = add_path(d, found.gl_pathv[i]);
	globfree(&found);
	return rc;
}

/* {00000..00010} in a path, as shells and WebDataset write it: where it starts and ends, the numbers, their digits. */
struct range {
	const char *start, *end;
	unsigned long first, last;
	int digits;
};

static int find_range(struct range *r, const char *path)
{
	for (const char *brace = strchr(path, '{'); brace != NULL; brace = strchr(brace + 1, '{')) {
		const size_t digits = strspn(brace + 1, "0123456789");
		const char *second = brace + 1 + digits + 2;
		size_t more;

		if (digits == 0 || digits > 9 || strncmp(brace + 1 + digits, "..", 2) != 0)
			continue;
		more = strspn(second, "0123456789");
		if (more == 0 || more > 9 || second[more] != '}')
			continue;
		*r = (struct range){ brace, second + more + 1, strtoul(brace + 1, NULL, 10), strtoul(second, NULL, 10),
			             (int)digits };
		return 1;
	}
	return 0;
}

static int add_any(struct ek_dataset *d, const char *path);

/* Every one of them has to be there. */
static int add_range(struct ek_dataset *d, const char *path, const struct range *r)
{
	char *one = NULL;
	int rc = 0;

	if (r->last < r->first || r->last - r->first >= MOST_FILES)
		return ek_fail(EK_EUSAGE, "%s: a range from %lu to %lu", path, r->first, r->last);
	for (unsigned long i = r->first; rc == 0 && i <= r->last; i++) {
		EK_TRY(ek_format(&one, "%.*s%0*lu%s", (int)(r->start - path), path, r->digits, i, r->end));
		rc = add_any(d, one);
		free(one);
		one = NULL;
	}
out:
	return rc;
}

/* Does a folder hold tars, and beside them nothing but hidden files and texts that describe them? */
static int holds_only_tars(const char *folder)
{
	static const char *const texts[] = { ".txt", ".md", ".json", ".csv", ".tsv", ".yaml", ".idx", ".sha256" };
	DIR *directory = opendir(folder);
	const struct dirent *entry;
	int tars = 0, others = 0;

	while (directory != NULL && others == 0 && (entry = readdir(directory)) != NULL) {
		int known = entry->d_name[0] == '.' || is_tar_name(entry->d_name);

		tars += known && entry->d_name[0] != '.';
		for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
			known |= ends_with(entry->d_name, texts[i]);
		others += !known;
	}
	if (directory != NULL)
		(void)closedir(directory);
	return tars > 0 && others == 0;
}

static int add_tars_of_folder(struct ek_dataset *d, const char *folder)
{
	struct dirent **entries = NULL;
	const int count = scandir(folder, &entries, NULL, NULL);
	char **names = NULL;
	size_t tars = 0;
	int rc;

	if (count < 0)
		return ek_fail_errno("cannot list %s", folder);
	EK_TRY(ek_alloc(&names, (size_t)count, sizeof *names));
	for (int i = 0; i < count; i++)
		if (entries[i]->d_name[0] != '.' && is_tar_name(entries[i]->d_name))
			EK_TRY(ek_format(&names[tars++], "%s/%s", folder, entries[i]->d_name));
	qsort(names, tars, sizeof *names, compare_texts);
	for (size_t i = 0; i < tars; i++)
		EK_TRY(add_path(d, names[i]));
out:
	for (size_t i = 0; names != NULL && i < tars; i++)
		free(names[i]);
	free(names);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return rc;
}

/* A file, a folder, or a pattern of them. */
static int add_any(struct ek_dataset *d, const char *path)
{
	struct range range;

	if (strpbrk(path, "*?[{") == NULL || ek_file_exists(path))
		return holds_only_tars(path) ? add_tars_of_folder(d, path) : add_path(d, path);
	return find_range(&range, path) ? add_range(d, path, &range) : add_glob(d, path);
}

static int set_root(struct ek_dataset *d)
{
	char *slash;
	int rc;

	EK_TRY(ek_copy_string(&d->root, d->paths[0]));
	if (d->kind == EK_DATASET_FOLDER)
		return 0;
	slash = strrchr(d->root, '/');
	slash[slash == d->root] = 0;
out:
	return rc;
}

int ek_dataset_open(struct ek_dataset **out, const char *const *paths, size_t count, const char *attributes,
                    const char *key)
{
	struct ek_dataset *d;
	int rc;

	*out = NULL;
	if (count == 0)
		return ek_fail(EK_EUSAGE, "no data set was given");
	if ((rc = ek_alloc(&d, 1, sizeof *d)) < 0)
		return rc;
	d->key = key;
	for (size_t i = 0; i < count; i++)
		EK_TRY(add_any(d, paths[i]));
	EK_TRY(set_root(d));
	if (attributes != NULL) {
		EK_TRY(ek_copy_string(&d->attributes_path, attributes));
		EK_TRY(ek_attributes_open(&d->attributes, attributes, key));
	}
	d->form = forms[d->kind];
	EK_TRY(d->form->open(d));
out:
	if (rc < 0) {
		ek_dataset_close(d);
		d = NULL;
	}
	*out = d;
	return rc;
}

enum ek_dataset_kind ek_dataset_kind(const struct ek_dataset *d)
{
	return d->kind;
}

const char *ek_dataset_root(const struct ek_dataset *d)
{
	return d->root;
}

const char *ek_dataset_path(const struct ek_dataset *d, size_t i)
{
	return i < d->path_count ? d->paths[i] : NULL;
}

int ek_dataset_select(struct ek_dataset *d, const char *const *include, size_t include_count,
                      const char *const *exclude, size_t exclude_count)
{
	ek_patterns_release(&d->patterns);
	return ek_patterns_init(&d->patterns, include, include_count, exclude, exclude_count);
}

void ek_dataset_note(struct ek_tally *tally, const char *name)
{
	if (tally->count++ == 0)
		ek_one_line(tally->first, sizeof tally->first, name);
}

void ek_dataset_leave_out(struct ek_dataset *d, enum ek_left_out reason, const char *name, int is_folder)
{
	if (is_folder || ek_has_image_extension(name) || reason >= EK_LEFT_NOT_INCLUDED)
		ek_dataset_note(&d->left_out[reason], name);
	else
		d->other_files++;
}

/* The next item, whatever attributes it has. */
static int next_selected(struct ek_dataset *d, struct ek_dataset_item *item)
{
	int rc, reason;

	for (;;) {
		if ((rc = d->form->next(d, item)) <= 0 || d->form->selects)
			return rc;
		reason = (d->form->packs ? ek_patterns_of_member : ek_patterns_of_path)(&d->patterns, item->name.data);
		if (reason <= 0)
			return reason < 0 ? reason : 1;
		ek_dataset_leave_out(d, (enum ek_left_out)reason, item->name.data, 0);
		ek_dataset_item_clear(item);
	}
}

/* Show the attributes the names of all files, so that a row can be found by the last part of its name: asked for when
 * the first file is not found by its whole name. */
static int match_names(struct ek_dataset *d)
{
	struct ek_dataset_item item = { 0 };
	struct ek_dataset *names = NULL;
	int rc;

	d->matched = 1;
	EK_TRY(ek_dataset_open(&names, (const char *const *)d->paths, d->path_count, NULL, d->key));
	names->looks = 1;
	names->patterns = d->patterns; /* lent */
	for (;;) {
		ek_dataset_item_clear(&item);
		EK_TRY(next_selected(names, &item));
		if (rc == 0)
			break;
		EK_TRY(ek_attributes_match(d->attributes, item.name.data));
	}
out:
	if (names != NULL)
		names->patterns = (struct ek_patterns){ 0 };
	ek_dataset_close(names);
	ek_dataset_item_release(&item);
	return rc;
}

static int find_attributes(struct ek_dataset *d, const char *name, cJSON **found)
{
	int rc;

	EK_TRY(ek_attributes_find(d->attributes, name, found));
	if (*found == NULL && !d->matched && ek_has_image_extension(name)) {
		EK_TRY(match_names(d));
		EK_TRY(ek_attributes_find(d->attributes, name, found));
	}
out:
	return rc;
}

int ek_dataset_next(struct ek_dataset *d, struct ek_dataset_item *item)
{
	cJSON *found;
	int rc;

	ek_dataset_item_clear(item);
	EK_TRY(next_selected(d, item));
	if (rc == 0 || d->attributes == NULL)
		return rc;
	EK_TRY(find_attributes(d, item->name.data, &found));
	d->without_attributes += found == NULL && ek_has_image_extension(item->name.data);
	EK_TRY(ek_merge_attributes(&item->attributes, found));
	rc = 1;
out:
	return rc;
}

int ek_dataset_again(struct ek_dataset *d)
{
	if (d->form->again == NULL || !d->form->again(d))
		return 0;
	d->other_files = d->warnings = d->without_attributes = 0;
	memset(d->left_out, 0, sizeof d->left_out);
	memset(d->unused, 0, sizeof d->unused);
	return 1;
}

int ek_dataset_leaves_out(struct ek_dataset *d, const char *name)
{
	return (d->form->selects || d->form->packs ? ek_patterns_of_member : ek_patterns_of_path)(&d->patterns, name);
}

static int add_tally(struct ek_buffer *line, const struct ek_tally *tally, const char *one, const char *many)
{
	if (tally->count == 0)
		return 0;
	return ek_buffer_printf(line, "%s%" PRIu64 " %s (%s%s)", line->size > 0 ? ", " : "", tally->count,
	                        tally->count == 1 ? one : many, tally->first, tally->count == 1 ? "" : ", …");
}

static int tell_left_out(struct ek_dataset *d)
{
	static const char *const texts[EK_LEFT_OUT_COUNT][2] = {
		[EK_LEFT_HIDDEN] = { "hidden file or folder", "hidden files and folders" },
		[EK_LEFT_SYSTEM] = { "put there by a system", "put there by a system" },
		[EK_LEFT_EXPORT] = { "export of ours", "exports of ours" },
		[EK_LEFT_RUN] = { "run directory", "run directories" },
		[EK_LEFT_LINK] = { "link to a folder that is reached without it",
		                   "links to folders that are reached without them" },
		[EK_LEFT_MASK] = { "mask or map of another image", "masks and maps of other images" },
		[EK_LEFT_NOT_INCLUDED] = { "that no include pattern matches", "that no include pattern matches" },
		[EK_LEFT_EXCLUDED] = { "that an exclude pattern matches", "that an exclude pattern matches" },
	};
	struct ek_buffer line = { 0 };
	int rc = 0, untold = 0;

	for (int i = EK_TAKEN + 1; i < EK_LEFT_OUT_COUNT; i++) {
		EK_TRY(add_tally(&line, &d->left_out[i], texts[i][0], texts[i][1]));
		untold |= i < EK_LEFT_NOT_INCLUDED && d->left_out[i].count > 0;
	}
	if (untold)
		ek_dataset_warn(d, "%s: left out: %s", d->paths[0], line.data);
	else if (line.size > 0)
		ek_info("%s: left out: %s", d->paths[0], line.data);
out:
	ek_buffer_release(&line);
	return rc;
}

static int tell_unused(struct ek_dataset *d)
{
	static const char *const texts[EK_UNUSED_COUNT][2] = {
		[EK_UNUSED_ORPHANS] = { "file without an image of its name", "files without an image of their name" },
		[EK_UNUSED_UNREADABLE] = { "that cannot be read", "that cannot be read" },
		[EK_UNUSED_AMBIGUOUS] = { "of which another says otherwise", "of which others say otherwise" },
	};
	const struct ek_tally *repeated = &d->unused[EK_UNUSED_REPEATED];
	struct ek_buffer line = { 0 };
	int rc = 0;

	for (int i = 0; i < EK_UNUSED_REPEATED; i++)
		EK_TRY(add_tally(&line, &d->unused[i], texts[i][0], texts[i][1]));
	if (line.size > 0)
		ek_dataset_warn(d, "%s: of the .cls, .json and .txt beside images, these were not used: %s",
		                d->paths[0], line.data);
	if (repeated->count > 0)
		ek_dataset_warn(d, "%s: %" PRIu64 " %s there again (%s%s); each goes with what lies beside it",
		                d->paths[0], repeated->count, repeated->count == 1 ? "name is" : "names are",
		                repeated->first, repeated->count == 1 ? "" : ", …");
out:
	ek_buffer_release(&line);
	return rc;
}

/* Rows without a file, and files without a row, are told; only a table of something else is wrong. */
static int check_attributes(struct ek_dataset *d)
{
	const uint64_t rows = ek_attributes_rows(d->attributes);
	uint64_t unused, line;
	char *name = NULL;
	int rc = 0;

	EK_TRY(ek_attributes_unused(d->attributes, &unused, &line, &name));
	if (unused == rows)
		rc = ek_fail(EK_EDATA,
		             "%s: none of its %" PRIu64
		             " rows is for an image of the data set; the first, on line %" PRIu64 ", is for \"%s\"",
		             d->attributes_path, rows, line, name);
	else if (unused > 0 && d->without_attributes > 0)
		ek_dataset_warn(d,
		                "%s: %" PRIu64 " of %" PRIu64
		                " rows are for no image of the data set (the first: line %" PRIu64
		                ", \"%s\"), and %" PRIu64 " images have no row",
		                d->attributes_path, unused, rows, line, name, d->without_attributes);
	else if (unused > 0)
		ek_dataset_warn(d,
		                "%s: %" PRIu64 " of %" PRIu64
		                " rows are for no image of the data set (the first: line %" PRIu64 ", \"%s\")",
		                d->attributes_path, unused, rows, line, name);
	else if (d->without_attributes > 0)
		ek_dataset_warn(d, "%s: %" PRIu64 " images have no row", d->attributes_path, d->without_attributes);
out:
	free(name);
	return rc;
}

int ek_dataset_finish(struct ek_dataset *d)
{
	int rc;

	EK_TRY(tell_left_out(d));
	EK_TRY(tell_unused(d));
	if (d->attributes != NULL)
		EK_TRY(check_attributes(d));
out:
	return rc;
}

static int add_count(cJSON *counts, const char *group, const char *name, uint64_t count)
{
	cJSON *object = cJSON_GetObjectItemCaseSensitive(counts, group);
	int rc = 0;

	if (count == 0)
		return 0;
	if (object == NULL)
		EK_TRY(ek_json_add_object(&object, counts, group));
	EK_TRY(ek_json_add_u64(object, name, count));
out:
	return rc;
}

int ek_dataset_add_counts(cJSON *counts, const struct ek_dataset *d)
{
	static const char *const names[EK_UNUSED_COUNT] = { "orphans", "unreadable", "ambiguous", "repeated" };
	int rc = 0;

	for (int i = 0; i < EK_LEFT_OUT_COUNT; i++)
		EK_TRY(add_count(counts, "left_out", ek_left_out_name((enum ek_left_out)i), d->left_out[i].count));
	for (int i = 0; i < EK_UNUSED_COUNT; i++)
		EK_TRY(add_count(counts, "unused", names[i], d->unused[i].count));
out:
	return rc;
}

uint64_t ek_dataset_other_files(const struct ek_dataset *d)
{
	return d->other_files;
}

uint64_t ek_dataset_warnings(const struct ek_dataset *d)
{
	return d->warnings;
}

void ek_dataset_close(struct ek_dataset *d)
{
	if (d == NULL)
		return;
	if (d->form != NULL)
		d->form->close(d);
	for (size_t i = 0; i < d->path_count; i++)
		free(d->paths[i]);
	free(d->paths);
	free(d->stamps);
	free(d->root);
	free(d->attributes_path);
	ek_attributes_close(d->attributes);
	ek_patterns_release(&d->patterns);
	free(d);
}

uint64_t ek_dataset_stamp(const char *path, const struct stat *status)
{
	uint64_t words[6] = { ek_hash64(path, strlen(path)) };
	struct stat now;

	if (status == NULL && stat(path, &now) == 0)
		status = &now;
	if (status == NULL) {
		words[1] = (uint64_t)errno;
	} else if (!S_ISDIR(status->st_mode)) {
		words[1] = (uint64_t)status->st_size;
		words[2] = (uint64_t)status->st_mtim.tv_sec;
		words[3] = (uint64_t)status->st_mtim.tv_nsec;
		words[4] = (uint64_t)status->st_ctim.tv_sec;
		words[5] = (uint64_t)status->st_ctim.tv_nsec;
	}
	return ek_hash64(words, sizeof words);
}

void ek_dataset_saw(struct ek_dataset *d, uint64_t stamp)
{
	d->seen += stamp; /* in whatever order */
}

int ek_dataset_look_at_items(struct ek_dataset *d)
{
	struct ek_dataset_item item = { 0 };
	uint64_t count = 0;
	int rc;

	d->looks = 1;
	while ((rc = ek_dataset_next(d, &item)) > 0) {
		ek_dataset_saw(d, ek_dataset_stamp(item.path.data, NULL));
		if (++count % 4096 == 0)
			EK_TRY(ek_check_interrupt());
	}
	/* What is wrong in a list is told when it is read. */
	rc = rc == EK_EDATA ? 0 : rc;
out:
	ek_dataset_item_release(&item);
	return rc;
}

int ek_dataset_look(struct ek_dataset *d)
{
	return d->form->look != NULL ? d->form->look(d) : 0;
}

static int fingerprint_one(cJSON *list, const struct ek_dataset *d, size_t i)
{
	const uint64_t words[2] = { d->stamps[i], i == 0 ? d->seen : 0 };
	struct stat status;
	char text[17];
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, list, NULL));
	EK_TRY(ek_filename_add(object, "path", d->paths[i]));
	EK_TRY(ek_json_add_string(object, "kind", ek_dataset_kind_name(d->kind)));
	if (d->kind != EK_DATASET_FOLDER && stat(d->paths[i], &status) == 0)
		EK_TRY(ek_json_add_u64(object, "bytes", (uint64_t)status.st_size));
	(void)snprintf(text, sizeof text, "%016" PRIx64, ek_hash64(words, sizeof words));
	EK_TRY(ek_json_add_string(object, "stamp", text));
out:
	return rc;
}

int ek_dataset_fingerprint(cJSON **out, const struct ek_dataset *d)
{
	int rc = 0;

	if ((*out = cJSON_CreateArray()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
	for (size_t i = 0; i < d->path_count; i++)
		EK_TRY(fingerprint_one(*out, d, i));
out:
	if (rc < 0) {
		cJSON_Delete(*out);
		*out = NULL;
	}
	return rc;
}
