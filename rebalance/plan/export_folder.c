#include "rebalance/plan/export_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/folder.h"
#include "rebalance/io/jsonl.h"

static const char marker[] = ".evenkeel-export";

/* With more files than this, one sync of the file system takes less time than one per file. */
enum { MOST_FILES_TO_SYNC = 32 };

enum action { COUNT, SYNC, REMOVE };

static int sync_entry(int folder, const char *name, int flags, const char *path)
{
	const int fd = openat(folder, name, O_RDONLY | flags | O_CLOEXEC);
	const int rc = fd < 0 || fsync(fd) != 0 ? ek_fail_errno("cannot sync %s in %s", name, path) : 0;

	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/* Count what is below an open directory (closed here), directories not counted, and do so to each. Links are not
 * followed. */
static int visit(uint64_t *count, int fd, const char *path, enum action action)
{
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	int rc = 0;

	if (directory == NULL)
		return ek_fail_errno("cannot read %s", path);
	while ((errno = 0, entry = readdir(directory)) != NULL) {
		const char *name = entry->d_name;
		struct stat status;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
			rc = ek_fail_errno("cannot read %s in %s", name, path);
			goto out;
		}
		if (S_ISDIR(status.st_mode))
			EK_TRY(visit(count, openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), path,
			             action));
		else
			++*count;
		if (action == SYNC && !S_ISLNK(status.st_mode))
			EK_TRY(sync_entry(fd, name, O_NOFOLLOW, path));
		if (action == REMOVE && strcmp(name, marker) != 0 &&
		    unlinkat(fd, name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) != 0) {
			rc = ek_fail_errno("cannot remove %s in %s", name, path);
			goto out;
		}
	}
	if (errno != 0)
		rc = ek_fail_errno("cannot read %s", path);
out:
	(void)closedir(directory);
	return rc;
}

static int count_files(uint64_t *count, const char *path)
{
	*count = 0;
	return visit(count, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path, COUNT);
}

/* The marker goes last: what a kill leaves is still known as ours. */
static int remove_tree(const char *path)
{
	char *last = NULL;
	uint64_t count = 0;
	int rc;

	EK_TRY(visit(&count, open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), path, REMOVE));
	EK_TRY(ek_format(&last, "%s/%s", path, marker));
	if ((unlink(last) != 0 && errno != ENOENT) || rmdir(path) != 0)
		rc = ek_fail_errno("cannot remove %s", path);
out:
	free(last);
	return rc;
}

/* What an export made, by its own list: metadata.jsonl, or the names that its form gives. */
struct listed {
	uint64_t *names; /* [count] hashes of files and of the folders they lie in */
	size_t count, capacity;
	int has_shards;
};

static int list_text(struct listed *l, const char *text, size_t size)
{
	int rc = 0;

	if (l->count == l->capacity) {
		const size_t capacity = l->capacity > 0 ? 2 * l->capacity : 64;

		EK_TRY(ek_resize(&l->names, capacity, sizeof *l->names));
		l->capacity = capacity;
	}
	l->names[l->count++] = ek_hash64(text, size);
out:
	return rc;
}

static int list_name(struct listed *l, const char *name)
{
	int rc = 0;

	for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
		EK_TRY(list_text(l, name, (size_t)(slash - name)));
	EK_TRY(list_text(l, name, strlen(name)));
out:
	return rc;
}

static int list_rows(struct listed *l, const char *path)
{
	struct ek_jsonl rows = { 0 };
	cJSON *row = NULL;
	const char *name;
	int rc;

	EK_TRY(ek_jsonl_open(&rows, path));
	while ((rc = ek_jsonl_next(&rows, &row)) == 1) {
		EK_TRY(ek_json_get_string(&name, row, "file_name", path));
		EK_TRY(list_name(l, name));
		cJSON_Delete(row);
		row = NULL;
	}
out:
	cJSON_Delete(row);
	ek_jsonl_close(&rows);
	return rc;
}

static int load_listed(struct listed *l, const char *target, const cJSON *about)
{
	const cJSON *as = cJSON_GetObjectItemCaseSensitive(about, "as");
	const char *form = cJSON_IsString(as) ? as->valuestring : "";
	char *path = NULL;
	int rc;

	EK_TRY(list_name(l, marker));
	EK_TRY(list_name(l, "missing.jsonl"));
	EK_TRY(ek_format(&path, "%s/metadata.jsonl", target));
	if ((l->has_shards = strcmp(form, "tar") == 0)) {
		EK_TRY(list_name(l, "classes.json"));
	} else if (strcmp(form, "list") == 0) {
		EK_TRY(list_name(l, "paths.txt"));
	} else if (ek_file_exists(path)) { /* without it nothing is known to be ours */
		EK_TRY(list_name(l, "metadata.jsonl"));
		EK_TRY(list_rows(l, path));
	}
	qsort(l->names, l->count, sizeof *l->names, ek_compare_u64);
out:
	free(path);
	return rc;
}

static int is_listed(const void *context, const char *name, int is_folder)
{
	const struct listed *l = context;
	const uint64_t hash = ek_hash64(name, strlen(name));

	return (l->has_shards && !is_folder &&
	        fnmatch("[0-9][0-9][0-9][0-9][0-9][0-9]*.tar", name, FNM_PATHNAME) == 0) ||
	       bsearch(&hash, l->names, l->count, sizeof *l->names, ek_compare_u64) != NULL;
}

/* EK_EUSAGE unless `target` may be replaced. */
static int check_ours(const struct ek_export_folder *f, int force)
{
	const char *run, *target = f->target;
	struct listed listed = { 0 };
	cJSON *about = NULL;
	char *path = NULL;
	uint64_t files, count;
	int rc;

	EK_TRY(ek_format(&path, "%s/%s", target, marker));
	if (!ek_file_exists(path)) {
		rc = ek_fail(EK_EUSAGE, "%s is there and is not an export of ours; name a new directory", target);
		goto out;
	}
	EK_TRY(ek_json_load(&about, path));
	EK_TRY(ek_json_get_string(&run, about, "run", path));
	EK_TRY(ek_json_get_u64(&files, about, "files", path));
	if (strcmp(run, f->run) != 0)
		rc = ek_fail(EK_EUSAGE, "%s is an export of another run, %s; name a new directory", target, run);
	else if (!force)
		rc = ek_fail(EK_EUSAGE, "%s is an export already; 'force' replaces it", target);
	EK_TRY(rc);
	EK_TRY(load_listed(&listed, target, about));
	EK_TRY(ek_folder_check(target, is_listed, &listed));
	/* A list that somebody made longer vouches for nothing. */
	EK_TRY(count_files(&count, target));
	if (count > files)
		rc = ek_fail(EK_EUSAGE,
		             "%s has %" PRIu64 " files, the export wrote %" PRIu64
		             ": move away what was added, or name a new directory",
		             target, count, files);
out:
	free(listed.names);
	cJSON_Delete(about);
	free(path);
	return rc;
}

/* `*lock` = the marker in `folder`, locked; none if there is no marker. */
static int take_lock(struct ek_lock *lock, const char *folder, int flags, const char *target)
{
	char *path = NULL, *held = NULL;
	int fd, rc;

	*lock = (struct ek_lock)EK_LOCK_NONE;
	EK_TRY(ek_format(&path, "%s/%s", folder, marker));
	EK_TRY(ek_format(&held, "%s.evenkeel-held", target));
	if ((fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0666)) < 0) {
		rc = errno == ENOENT ? 0 : ek_fail_errno("cannot write %s", path);
		goto out;
	}
	EK_TRY(ek_lock_hold(lock, fd, held, target, ""));
out:
	free(path);
	free(held);
	return rc;
}

/* Clear what an export that was killed left at `left`. */
static int clear(const struct ek_export_folder *f, const char *left)
{
	struct stat status;
	struct ek_lock lock = EK_LOCK_NONE;
	int rc = 0;

	if (lstat(left, &status) != 0)
		return errno == ENOENT ? 0 : ek_fail_errno("cannot open %s", left);
	if (rmdir(left) == 0) /* killed before it wrote anything */
		return 0;
	if (S_ISDIR(status.st_mode))
		EK_TRY(take_lock(&lock, left, 0, f->target));
	if (lock.fd < 0) {
		rc = ek_fail(EK_EUSAGE, "%s is in the way and not ours; move it", left);
		goto out;
	}
	ek_info("starting again: removing %s, which an export that was stopped left behind", left);
	EK_TRY(remove_tree(left));
out:
	ek_lock_release(&lock);
	return rc;
}

/* Where a killed swap put the old export: back in its place, if that is empty. */
static int put_back(const struct ek_export_folder *f)
{
	struct stat status;
	char *old = NULL;
	int rc;

	EK_TRY(ek_format(&old, "%s.evenkeel-old", f->target));
	if (lstat(old, &status) != 0)
		goto out;
	if (lstat(f->target, &status) != 0 && errno == ENOENT) {
		if (rename(old, f->target) != 0)
			rc = ek_fail_errno("cannot rename %s to %s", old, f->target);
		goto out;
	}
	EK_TRY(clear(f, old));
out:
	free(old);
	return rc;
}

static int parent_of(char **out, const char *path)
{
	char *slash;
	int rc;

	EK_TRY(ek_copy_string(out, path));
	if ((slash = strrchr(*out, '/')) != NULL) {
		slash[slash == *out] = 0;
	} else {
		free(*out);
		EK_TRY(ek_copy_string(out, "."));
	}
out:
	return rc;
}

static int set_names(struct ek_export_folder *f, const char *output, const char *run_path)
{
	size_t length;
	char *parent = NULL;
	int rc;

	EK_TRY(ek_copy_string(&f->target, output));
	length = strlen(f->target);
	while (length > 1 && f->target[length - 1] == '/')
		f->target[--length] = 0;
	if (length == 0 || strcmp(f->target, "/") == 0)
		return ek_fail(EK_EUSAGE, "the directory to export to has no name");
	if ((f->run = realpath(run_path, NULL)) == NULL)
		return ek_fail_errno("cannot open %s", run_path);
	EK_TRY(parent_of(&parent, f->target));
	EK_TRY(ek_make_new_directories(&f->there, parent));
	EK_TRY(ek_format(&f->partial, "%s.evenkeel-partial", f->target));
out:
	free(parent);
	return rc;
}

int ek_export_folder_open(struct ek_export_folder *f, const char *output, const char *run_path, int force)
{
	struct stat status;
	int rc;

	*f = (struct ek_export_folder){ .lock = EK_LOCK_NONE };
	EK_TRY(set_names(f, output, run_path));
	EK_TRY(put_back(f));
	if (lstat(f->target, &status) == 0) {
		if (!S_ISDIR(status.st_mode)) {
			rc = ek_fail(EK_EUSAGE, "%s is there and is not a directory; name a new one", f->target);
			goto out;
		}
		EK_TRY(check_ours(f, force));
	}
	EK_TRY(clear(f, f->partial));
	if (mkdir(f->partial, 0777) != 0) {
		rc = ek_fail_errno("cannot make the directory %s", f->partial);
		goto out;
	}
	if ((rc = take_lock(&f->lock, f->partial, O_CREAT | O_EXCL, f->target)) < 0)
		(void)rmdir(f->partial);
out:
	return rc;
}

static int sync_all(const char *path, uint64_t files)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return ek_fail_errno("cannot sync %s", path);
	if (files <= MOST_FILES_TO_SYNC)
		return visit(&files, fd, path, SYNC);
	rc = syncfs(fd) == 0 ? 0 : ek_fail_errno("cannot sync %s", path);
	(void)close(fd);
	return rc;
}

static int is_unknown(int error)
{
	return error == EINVAL || error == ENOSYS || error == ENOTSUP;
}

/* Put the new directory in the place of the old one, and take the old one away. */
static int replace(struct ek_export_folder *f)
{
	char *old = NULL;
	int rc;

	if (renameat2(AT_FDCWD, f->partial, AT_FDCWD, f->target, RENAME_EXCHANGE) == 0)
		return remove_tree(f->partial);
	if (!is_unknown(errno))
		return ek_fail_errno("cannot rename %s to %s", f->partial, f->target);
	EK_TRY(ek_format(&old, "%s.evenkeel-old", f->target));
	if (rename(f->target, old) != 0 || rename(f->partial, f->target) != 0) {
		rc = ek_fail_errno("cannot rename %s to %s", f->partial, f->target);
		goto out;
	}
	EK_TRY(remove_tree(old));
out:
	free(old);
	return rc;
}

static int put_in_place(struct ek_export_folder *f)
{
	struct stat status;

	if (lstat(f->target, &status) == 0) {
		/* Again: it took a while. */
		const int rc = check_ours(f, 1);

		return rc < 0 ? rc : replace(f);
	}
	if (renameat2(AT_FDCWD, f->partial, AT_FDCWD, f->target, RENAME_NOREPLACE) == 0 ||
	    (is_unknown(errno) && rename(f->partial, f->target) == 0))
		return 0;
	return ek_fail_errno("cannot rename %s to %s", f->partial, f->target);
}

int ek_export_folder_commit(struct ek_export_folder *f, const cJSON *about)
{
	cJSON *document = cJSON_Duplicate(about, 1);
	char *path = NULL, *parent = NULL;
	uint64_t files;
	int rc = document != NULL ? 0 : ek_fail(EK_ENOMEM, "no memory for JSON");

	EK_TRY(rc);
	EK_TRY(count_files(&files, f->partial));
	EK_TRY(ek_json_add_u64(document, "files", files));
	EK_TRY(ek_format(&path, "%s/%s", f->partial, marker));
	EK_TRY(ek_json_save(document, path));
	EK_TRY(sync_all(f->partial, files));
	EK_TRY(parent_of(&parent, f->target));
	EK_TRY(put_in_place(f));
	ek_lock_release(&f->lock);
	EK_TRY(sync_entry(AT_FDCWD, parent, O_DIRECTORY, f->target));
out:
	cJSON_Delete(document);
	free(parent);
	free(path);
	return rc;
}

void ek_export_folder_release(struct ek_export_folder *f)
{
	char *parent = NULL;

	if (f->lock.fd >= 0)
		(void)remove_tree(f->partial);
	ek_lock_release(&f->lock);
	if (f->partial != NULL && parent_of(&parent, f->target) == 0)
		ek_unmake_directories(parent, f->there);
	free(parent);
	free(f->target);
	free(f->partial);
	free(f->run);
	*f = (struct ek_export_folder){ .lock = EK_LOCK_NONE };
}
