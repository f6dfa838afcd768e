#include "rebalance/io/walk.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/names.h"
#include "rebalance/io/run.h"

struct identity {
	dev_t device;
	ino_t inode;
};

/* A folder that was entered through a link. */
struct linked {
	struct identity identity;
	char *path; /* without links; NULL: not to be told */
};

struct level {
	struct ek_names *names; /* each a name, a NUL, and d_type */
	struct identity identity;
	size_t path_size; /* of the folder, with its slash */
	const char *metadata;
	int has_both;   /* metadata.jsonl and metadata.csv */
	int may_be_run; /* it has a file of the name that a run has */
	int is_export;  /* it has the marker of an export of ours (plan/export_folder.h) */
};

struct ek_walk {
	const struct ek_patterns *patterns;
	char *real_root;       /* without links */
	struct ek_buffer path; /* root, "/", and the entry's relative path */
	size_t root_size;      /* with the slash */
	struct level *levels;
	size_t depth, capacity;
	struct linked *linked;
	size_t linked_count;
	int entered; /* ENTER of the top level was given */
};

static const char export_marker[] = ".evenkeel-export";

/* The kernel's words on processes and devices: /proc, whose links lead everywhere, and /sys with what is mounted below.
 */
static int is_kernels(const char *path)
{
	struct statfs status;

	return statfs(path, &status) == 0 && (status.f_type == PROC_SUPER_MAGIC || status.f_type == SYSFS_MAGIC);
}

static void drop_level(struct level *level)
{
	ek_names_free(level->names);
	*level = (struct level){ 0 };
}

static void note(struct level *level, const char *name)
{
	static const char *const known[] = { "metadata.csv", "metadata.jsonl" };

	level->is_export |= strcmp(name, export_marker) == 0;
	level->may_be_run |= strcmp(name, ".lock") == 0 || strcmp(name, "run.json") == 0;
	for (size_t i = 0; i < 2; i++)
		if (strcmp(name, known[i]) == 0) {
			level->has_both = level->metadata != NULL;
			if (level->metadata != known[1])
				level->metadata = known[i];
		}
}

/* `*unreadable` is set if it is the folder that fails, not the machine. */
static int read_names(struct ek_walk *walk, struct level *level, DIR *directory, int *unreadable)
{
	const struct dirent *entry;
	uint64_t count = 0;
	int rc = 0;

	EK_TRY(ek_names_new(&level->names, 0));
	while ((errno = 0, entry = readdir(directory)) != NULL) {
		char record[sizeof entry->d_name + 2];
		const size_t size = strlen(entry->d_name);

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		note(level, entry->d_name);
		memcpy(record, entry->d_name, size + 1);
		record[size + 1] = (char)entry->d_type;
		EK_TRY(ek_names_add(level->names, record, size + 2));
		if (++count % 4096 == 0)
			EK_TRY(ek_check_interrupt());
	}
	if (errno != 0) {
		*unreadable = 1;
		return ek_fail_errno("cannot read the folder %s", walk->path.data);
	}
out:
	return rc;
}

/* Read the folder at walk->path (which ends with a slash) and put it on top. `*unreadable` as in read_names. */
static int push(struct ek_walk *walk, const struct stat *status, int *unreadable)
{
	struct level level = { .identity = { status->st_dev, status->st_ino }, .path_size = walk->path.size };
	DIR *directory;
	int attempt = 0, rc;

	*unreadable = 0;
	do
		directory = opendir(walk->path.data);
	while (directory == NULL && (ek_open_again(attempt++) || attempt == 1));
	if (directory == NULL) {
		*unreadable = errno != EMFILE && errno != ENFILE && errno != ENOMEM;
		return ek_fail_errno("cannot read the folder %s", walk->path.data);
	}
	EK_TRY(read_names(walk, &level, directory, unreadable));
	if (walk->depth == walk->capacity) {
		const size_t capacity = walk->capacity > 0 ? walk->capacity * 2 : 16;

		EK_TRY(ek_resize(&walk->levels, capacity, sizeof *walk->levels));
		walk->capacity = capacity;
	}
	walk->levels[walk->depth++] = level;
	level.names = NULL;
	walk->entered = 0;
out:
	(void)closedir(directory);
	drop_level(&level);
	return rc;
}

int ek_walk_open(struct ek_walk **out, const char *root, const struct ek_patterns *patterns)
{
	struct ek_walk *walk;
	struct stat status;
	int rc, unreadable;

	*out = NULL;
	if ((rc = ek_alloc(&walk, 1, sizeof *walk)) < 0)
		return rc;
	walk->patterns = patterns;
	EK_TRY(ek_buffer_text(&walk->path, root));
	if (walk->path.size == 0 || walk->path.data[walk->path.size - 1] != '/')
		EK_TRY(ek_buffer_text(&walk->path, "/"));
	walk->root_size = walk->path.size;
	if (stat(root, &status) != 0 || (walk->real_root = realpath(root, NULL)) == NULL)
		rc = ek_fail_errno("cannot read the folder %s", root);
	else if (is_kernels(root))
		rc = ek_fail(EK_EUSAGE, "%s holds what the kernel tells of the machine, and no images", root);
	else
		rc = push(walk, &status, &unreadable);
out:
	if (rc < 0) {
		ek_walk_close(walk);
		walk = NULL;
	}
	*out = walk;
	return rc;
}

static int is_same(const struct identity *a, const struct stat *b)
{
	return a->device == b->st_dev && a->inode == b->st_ino;
}

static int is_above(const struct ek_walk *walk, const struct stat *status)
{
	for (size_t i = 0; i < walk->depth; i++)
		if (is_same(&walk->levels[i].identity, status))
			return 1;
	return 0;
}

static int is_linked(const struct ek_walk *walk, const struct stat *status)
{
	for (size_t i = 0; i < walk->linked_count; i++)
		if (is_same(&walk->linked[i].identity, status))
			return 1;
	return 0;
}

/* What follows `folder` in `path` ("" or a relative path), or NULL if it does not lie in it. */
static const char *path_inside(const char *path, const char *folder)
{
	const size_t size = strlen(folder) - (strcmp(folder, "/") == 0);

	if (strncmp(path, folder, size) != 0 || (path[size] != 0 && path[size] != '/'))
		return NULL;
	return path + size + strspn(path + size, "/");
}

/* Is the folder `rest` of the tree come by without a link? 1, 0 or a negative code. */
static int is_come_by(const struct ek_walk *walk, const char *rest)
{
	struct ek_buffer folder = { 0 };
	char *part = NULL, *end;
	int rc, reason;

	EK_TRY(ek_copy_string(&part, rest));
	EK_TRY(reason = ek_patterns_excludes(walk->patterns, rest));
	rc = reason == 0;
	for (char *at = part; rc == 1 && *at != 0; at = end) {
		struct ek_buffer marker = { 0 };

		end = at + strcspn(at, "/");
		if (*end != 0)
			*end++ = 0;
		ek_buffer_clear(&folder);
		EK_TRY(ek_buffer_printf(&folder, "%s/%.*s", walk->real_root, (int)(end - part), rest));
		EK_TRY(ek_buffer_printf(&marker, "%s/%s", folder.data, export_marker));
		rc = ek_patterns_of_name(walk->patterns, at) == EK_TAKEN &&
		     (ek_patterns_names(walk->patterns, at) ||
		      (!ek_file_exists(marker.data) && !ek_run_is_at(folder.data)));
		ek_buffer_release(&marker);
	}
out:
	ek_buffer_release(&folder);
	free(part);
	return rc;
}

/* May the folder that a link leads to be entered? It is noted if so. */
static int judge_link(struct ek_walk *walk, const struct stat *status, enum ek_walk_kind *kind)
{
	char *path = realpath(walk->path.data, NULL);
	const char *rest = path != NULL ? path_inside(path, walk->real_root) : NULL;
	int rc = 0, known = is_above(walk, status) || is_linked(walk, status);

	if (!known && rest != NULL)
		EK_TRY(known = is_come_by(walk, rest));
	for (size_t i = 0; i < walk->linked_count && path != NULL; i++)
		known |= walk->linked[i].path != NULL && path_inside(path, walk->linked[i].path) != NULL;
	if (known) {
		*kind = EK_WALK_LEFT_OUT;
		goto out;
	}
	EK_TRY(ek_resize(&walk->linked, walk->linked_count + 1, sizeof *walk->linked));
	walk->linked[walk->linked_count++] = (struct linked){ { status->st_dev, status->st_ino }, path };
	path = NULL;
	*kind = EK_WALK_ENTER;
out:
	free(path);
	return rc;
}

/* The reason before the name, which may be longer than any message. */
static void judge_unreadable(const struct ek_walk *walk, enum ek_walk_kind *kind)
{
	(void)ek_fail(EK_EIO, "%s: cannot read %s", strerror(errno), walk->path.data);
	*kind = EK_WALK_UNREADABLE;
}

/* What lies at walk->path; `*status` is filled for folders. LEFT_OUT: a folder that is reached by another way, too, or
 * the kernel's. */
static int judge(struct ek_walk *walk, unsigned char type, struct stat *status, struct ek_walk_entry *entry)
{
	enum ek_walk_kind *kind = &entry->kind;
	struct stat link;

	*kind = EK_WALK_FILE;
	if (type == DT_REG)
		return 0;
	if (lstat(walk->path.data, &link) != 0 && lstat(walk->path.data, &link) != 0) {
		judge_unreadable(walk, kind);
		return 0;
	}
	if (stat(walk->path.data, status) != 0 && stat(walk->path.data, status) != 0) {
		*kind = EK_WALK_DANGLING;
		if (!S_ISLNK(link.st_mode) || (errno != ENOENT && errno != ELOOP && errno != ENOTDIR))
			judge_unreadable(walk, kind);
		return 0;
	}
	if (S_ISDIR(status->st_mode)) {
		*kind = EK_WALK_ENTER;
		entry->left_out = EK_LEFT_LINK;
		entry->is_folder = 1;
		if (status->st_dev != walk->levels[walk->depth - 1].identity.device && is_kernels(walk->path.data)) {
			entry->left_out = EK_LEFT_SYSTEM;
			*kind = EK_WALK_LEFT_OUT;
			return 0;
		}
		if (S_ISLNK(link.st_mode))
			return judge_link(walk, status, kind);
		if (walk->linked_count > 0 && (is_linked(walk, status) || is_above(walk, status)))
			*kind = EK_WALK_LEFT_OUT;
		return 0;
	}
	*kind = S_ISREG(status->st_mode) ? EK_WALK_FILE : EK_WALK_SPECIAL;
	return 0;
}

/* 1 if the patterns leave out what lies at walk->path, by its name or its path; else 0. */
static int is_left_out(struct ek_walk *walk, const char *name, unsigned char type, struct ek_walk_entry *entry)
{
	struct stat status;
	int excluded = 0;

	entry->left_out = ek_patterns_of_name(walk->patterns, name);
	if (entry->left_out == EK_TAKEN &&
	    (excluded = ek_patterns_excludes(walk->patterns, walk->path.data + walk->root_size)) <= 0)
		return excluded;
	if (excluded)
		entry->left_out = EK_LEFT_EXCLUDED;
	entry->kind = EK_WALK_LEFT_OUT;
	entry->is_folder = type == DT_DIR || ((type == DT_LNK || type == DT_UNKNOWN) &&
	                                      stat(walk->path.data, &status) == 0 && S_ISDIR(status.st_mode));
	return 1;
}

static int give_enter(struct ek_walk *walk, struct ek_walk_entry *entry)
{
	const struct level *top = &walk->levels[walk->depth - 1];

	walk->entered = 1;
	entry->kind = EK_WALK_ENTER;
	entry->metadata = top->metadata;
	entry->has_both = top->has_both;
	/* Without the slash. */
	walk->path.data[walk->path.size - (walk->path.size > walk->root_size)] = 0;
	return 1;
}

/* Is the folder just pushed one that we made? */
static enum ek_left_out judge_top(const struct ek_walk *walk, const char *name)
{
	const struct level *top = &walk->levels[walk->depth - 1];
	enum ek_left_out reason = EK_TAKEN;

	if (top->may_be_run && ek_run_is_at(walk->path.data))
		reason = EK_LEFT_RUN;
	else if (top->is_export)
		reason = EK_LEFT_EXPORT;
	return reason != EK_TAKEN && ek_patterns_names(walk->patterns, name) ? EK_TAKEN : reason;
}

static void leave_out_top(struct ek_walk *walk, struct ek_walk_entry *entry, enum ek_left_out reason)
{
	drop_level(&walk->levels[--walk->depth]);
	walk->path.data[walk->path.size - 1] = 0; /* the slash */
	walk->entered = 1;
	entry->kind = EK_WALK_LEFT_OUT;
	entry->left_out = reason;
	entry->is_folder = 1;
}

/* Enter the folder at walk->path, if it can be read and is not ours. */
static int enter(struct ek_walk *walk, const char *name, const struct stat *status, struct ek_walk_entry *entry)
{
	enum ek_left_out reason;
	int unreadable, rc;

	EK_TRY(ek_buffer_text(&walk->path, "/"));
	rc = push(walk, status, &unreadable);
	if (rc < 0 && unreadable) {
		entry->kind = EK_WALK_UNREADABLE;
		walk->path.data[walk->path.size - 1] = 0; /* the slash */
		return 0;
	}
	EK_TRY(rc);
	reason = judge_top(walk, name);
	if (reason == EK_TAKEN)
		(void)give_enter(walk, entry);
	else
		leave_out_top(walk, entry, reason);
out:
	return rc;
}

int ek_walk_next(struct ek_walk *walk, struct ek_walk_entry *entry)
{
	struct level *top = walk->depth > 0 ? &walk->levels[walk->depth - 1] : NULL;
	struct stat status;
	const char *name;
	size_t size;
	int rc;

	*entry = (struct ek_walk_entry){ .path = walk->path.data + walk->root_size };
	if (top == NULL)
		return 0;
	if (!walk->entered)
		return give_enter(walk, entry);
	walk->path.size = top->path_size;
	walk->path.data[walk->path.size - 1] = '/'; /* a NUL since the folder was told */
	walk->path.data[walk->path.size] = 0;
	EK_TRY(ek_names_next(top->names, &name, &size));
	if (rc == 0) {
		entry->kind = EK_WALK_LEAVE;
		walk->path.data[walk->path.size - (walk->path.size > walk->root_size)] = 0;
		drop_level(top);
		walk->depth--;
		return 1;
	}
	EK_TRY(ek_buffer_append(&walk->path, name, size - 2));
	EK_TRY(is_left_out(walk, name, (unsigned char)name[size - 1], entry));
	if (rc == 0) {
		EK_TRY(judge(walk, (unsigned char)name[size - 1], &status, entry));
		if (entry->kind == EK_WALK_ENTER)
			EK_TRY(enter(walk, name, &status, entry));
	}
	entry->path = walk->path.data + walk->root_size;
	rc = 1;
out:
	return rc;
}

void ek_walk_close(struct ek_walk *walk)
{
	if (walk == NULL)
		return;
	while (walk->depth > 0)
		drop_level(&walk->levels[--walk->depth]);
	free(walk->levels);
	for (size_t i = 0; i < walk->linked_count; i++)
		free(walk->linked[i].path);
	free(walk->linked);
	free(walk->real_root);
	ek_buffer_release(&walk->path);
	free(walk);
}
