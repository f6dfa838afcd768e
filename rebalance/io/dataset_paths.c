#include "rebalance/io/dataset_internal.h"

#include <dirent.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/io/content.h"
#include "rebalance/io/run.h"
#include "rebalance/io/stream.h"

/* The words of a user that name data sets, and what the files behind them are. */

enum { TAR_HEAD = 512, MOST_FILES = 1000000, DEEPEST = 16 };

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

static int is_address(const char *text)
{
	static const char *const schemes[] = { "http://", "https://", "s3://", "gs://", "hf://", "ftp://" };

	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
			return 1;
	return 0;
}

static int is_tar_name(const char *path)
{
	static const char *const names[] = { ".tar", ".tgz", ".tar.gz", ".tar.zst", ".tar.bz2", ".tar.xz" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (ek_name_ends_with(path, names[i]))
			return 1;
	return 0;
}

static int is_parquet_name(const char *path)
{
	return ek_name_ends_with(path, ".parquet");
}

int ek_dataset_may_hold_images(const char *name)
{
	return is_tar_name(name) || is_parquet_name(name) || ek_name_ends_with(name, ".zip");
}

static int fail_no_dataset(const char *path, const struct ek_buffer *head)
{
	const char *known = head->size > 0 ? ek_content_name(head->data, head->size) : "empty";

	return ek_fail(EK_EDATA,
	               "%s: %s; expected a folder, a tar, a list of paths, .csv, .jsonl, .parquet, IDX, .npz or .npy",
	               path, known != NULL ? known : "not a data set");
}

/* A download that was none: a pointer to the file, or a page that says why. */
static int stands_for_another(const struct ek_buffer *head)
{
	const char *text = head->data + strspn(head->data, " \t\r\n");

	return strncmp(text, "version https://git-lfs", 23) == 0 ||
	       (*text == '<' && ek_content_name(head->data, head->size) != NULL);
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
	if (is_text && stands_for_another(&head))
		rc = fail_no_dataset(path, &head);
	else if (head.size >= 4 && memcmp(head.data, "\0\0\x08\x01", 4) == 0)
		rc = ek_fail(EK_EUSAGE, "%s is a file of labels; give the images that it belongs to", path);
	else if (head.size >= 4 && memcmp(head.data, "\0\0\x08\x03", 4) == 0)
		*kind = EK_DATASET_IDX;
	else if (head.size >= 6 && memcmp(head.data, "\x93NUMPY", 6) == 0 && !packed)
		*kind = is_image_array(&head) ? EK_DATASET_NPY : EK_DATASET_EMBEDDINGS;
	else if (head.size >= 4 && memcmp(head.data, "PK\3\4", 4) == 0)
		*kind = ek_name_ends_with(path, ".npz") ? EK_DATASET_NPZ : EK_DATASET_ZIP;
	else if (head.size >= 4 && memcmp(head.data, "PAR1", 4) == 0 && (!is_text || is_parquet_name(path)))
		*kind = EK_DATASET_PARQUET;
	else if (is_tar)
		*kind = EK_DATASET_TAR;
	else if (head.size > 0 && ek_image_sniff(head.data, head.size) != EK_IMAGE_UNKNOWN)
		rc = ek_fail(EK_EUSAGE, "%s is one image; give the folder it is in", path);
	else if (is_text && (ek_name_ends_with(path, ".csv") || ek_name_ends_with(path, ".tsv") ||
	                     ek_name_ends_with(path, ".jsonl") || head.data[0] == '{' || is_json_array(head.data)))
		*kind = EK_DATASET_TABLE;
	else if (is_text && is_address(head.data))
		rc = ek_fail(EK_EDATA,
		             "%s: a list of addresses; they have to be fetched first, and their files be given", path);
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
	EK_TRY(ek_resize(&d->paths, d->path_count + 1, sizeof *d->paths));
	EK_TRY(ek_resize(&d->stamps, d->path_count + 1, sizeof *d->stamps));
	EK_TRY(ek_resize(&d->kinds, d->path_count + 1, sizeof *d->kinds));
	if ((absolute = realpath(path, NULL)) == NULL)
		return ek_fail_errno("cannot read %s", path);
	for (size_t i = 0; i < d->path_count; i++)
		if (strcmp(d->paths[i], absolute) == 0) {
			free(absolute);
			return ek_fail(EK_EUSAGE, "%s is given twice", path);
		}
	d->kinds[d->path_count] = kind;
	d->stamps[d->path_count] = ek_dataset_stamp(absolute, &status);
	d->paths[d->path_count++] = absolute;
out:
	return rc;
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
		qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, ek_compare_texts);
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

/* Every one of them has to be there. */
static int add_range(struct ek_dataset *d, const char *path, const struct range *r)
{
	char *one = NULL;
	int rc = 0;

	if (r->last < r->first || r->last - r->first >= MOST_FILES)
		return ek_fail(EK_EUSAGE, "%s: a range from %lu to %lu", path, r->first, r->last);
	for (unsigned long i = r->first; rc == 0 && i <= r->last; i++) {
		EK_TRY(ek_format(&one, "%.*s%0*lu%s", (int)(r->start - path), path, r->digits, i, r->end));
		rc = ek_dataset_add(d, one);
		free(one);
		one = NULL;
	}
out:
	return rc;
}

/* What a folder holds, with all below it. */
struct shards {
	int (*is_shard)(const char *name); /* of the form that they have, or NULL: there is none yet */
	char **paths;                      /* [count] */
	size_t count;
	int others; /* there is something else than shards of one form, hidden files and texts that describe them */
};

static int is_shard(struct shards *s, const char *name)
{
	static int (*const forms[])(const char *) = { is_tar_name, is_parquet_name };

	for (size_t i = 0; i < sizeof forms / sizeof *forms && s->is_shard == NULL; i++)
		if (forms[i](name))
			s->is_shard = forms[i];
	return s->is_shard != NULL && s->is_shard(name);
}

static int is_description(const char *name)
{
	static const char *const texts[] = {
		".txt", ".md", ".json", ".csv", ".tsv", ".yaml", ".idx", ".py", ".sha256"
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (ek_name_ends_with(name, texts[i]))
			return 1;
	return 0;
}

static int find_shards(struct shards *s, const char *folder, int depth);

/* Links to folders are not followed. */
static int look_at_entry(struct shards *s, const char *path, const char *name, int depth)
{
	struct stat status;
	int rc = 0;

	if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return find_shards(s, path, depth + 1);
	if (!is_shard(s, name)) {
		s->others |= !is_description(name);
		return 0;
	}
	EK_TRY(ek_resize(&s->paths, s->count + 1, sizeof *s->paths));
	EK_TRY(ek_copy_string(&s->paths[s->count], path));
	s->count++;
out:
	return rc;
}

/* It ends at the first other file: in a folder of images soon. A folder that cannot be read is the walk's to tell. */
static int find_shards(struct shards *s, const char *folder, int depth)
{
	DIR *directory = depth < DEEPEST ? opendir(folder) : NULL;
	const struct dirent *entry;
	char *path = NULL;
	int rc = 0;

	s->others |= directory == NULL;
	while (!s->others && (entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		EK_TRY(ek_format(&path, "%s/%s", folder, entry->d_name));
		EK_TRY(look_at_entry(s, path, entry->d_name, depth));
		free(path);
		path = NULL;
	}
out:
	free(path);
	if (directory != NULL)
		(void)closedir(directory);
	return rc;
}

/* A folder that holds shards and nothing else is these. */
static int add_folder_or_file(struct ek_dataset *d, const char *path)
{
	struct shards s = { 0 };
	int rc;

	EK_TRY(find_shards(&s, path, 0));
	if (s.others || s.count == 0)
		EK_TRY(add_path(d, path));
	else
		qsort(s.paths, s.count, sizeof *s.paths, ek_compare_texts);
	for (size_t i = 0; !s.others && i < s.count; i++)
		EK_TRY(add_path(d, s.paths[i]));
out:
	for (size_t i = 0; i < s.count; i++)
		free(s.paths[i]);
	free(s.paths);
	return rc;
}

int ek_dataset_add(struct ek_dataset *d, const char *path)
{
	struct range range;

	if (strpbrk(path, "*?[{") == NULL || ek_file_exists(path))
		return add_folder_or_file(d, path);
	return find_range(&range, path) ? add_range(d, path, &range) : add_glob(d, path);
}
