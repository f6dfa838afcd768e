#include "rebalance/io/walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/names.h"
#include "rebalance/io/run.h"

struct identity {
	dev_t device;
	ino_t inode;
};

struct level {
	struct ek_names *names; /* each a name, a NUL, and d_type */
	struct identity identity;
	size_t path_size; /* of the folder, with its slash */
	const char *metadata;
	int has_both;   /* metadata.jsonl and metadata.csv */
	int may_be_run; /* it has a file of the name that a run has */
};

struct ek_walk {
	struct ek_buffer path; /* root, "/", and the entry's relative path */
	size_t root_size;      /* with the slash */
	struct level *levels;
	size_t depth, capacity;
	struct identity *linked; /* folders entered through a link */
	size_t linked_count;
	int entered; /* ENTER of the top level was given */
};

static void drop_level(struct level *level)
{
	ek_names_free(level->names);
	*level = (struct level){ 0 };
}

static void note(struct level *level, const char *name)
{
	static const char *const known[] = { "metadata.csv", "metadata.jsonl" };

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
	DIR *directory = opendir(walk->path.data);
	int rc;

	*unreadable = 0;
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

int ek_walk_open(struct ek_walk **out, const char *root)
{
	struct ek_walk *walk;
	struct stat status;
	int rc, unreadable;

	*out = NULL;
	if ((rc = ek_alloc(&walk, 1, sizeof *walk)) < 0)
		return rc;
	EK_TRY(ek_buffer_text(&walk->path, root));
	if (walk->path.size == 0 || walk->path.data[walk->path.size - 1] != '/')
		EK_TRY(ek_buffer_text(&walk->path, "/"));
	walk->root_size = walk->path.size;
	if (stat(root, &status) != 0)
		rc = ek_fail_errno("cannot read the folder %s", root);
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

/* May the folder that a link leads to be entered? It is noted if so. */
static int judge_link(struct ek_walk *walk, const struct stat *status, enum ek_walk_kind *kind)
{
	int rc = 0;

	for (size_t i = 0; i < walk->depth; i++)
		if (is_same(&walk->levels[i].identity, status)) {
			*kind = EK_WALK_LOOP;
			return 0;
		}
	for (size_t i = 0; i < walk->linked_count; i++)
		if (is_same(&walk->linked[i], status)) {
			*kind = EK_WALK_SEEN;
			return 0;
		}
	EK_TRY(ek_resize(&walk->linked, walk->linked_count + 1, sizeof *walk->linked));
	walk->linked[walk->linked_count++] = (struct identity){ status->st_dev, status->st_ino };
	*kind = EK_WALK_ENTER;
out:
	return rc;
}

/* What lies at walk->path; `*status` is filled for folders. */
static int judge(struct ek_walk *walk, unsigned char type, struct stat *status, enum ek_walk_kind *kind)
{
	struct stat link;

	*kind = EK_WALK_FILE;
	if (type == DT_REG)
		return 0;
	if (lstat(walk->path.data, &link) != 0) {
		/* The reason before the name, which may be longer than any message. */
		(void)ek_fail(EK_EIO, "%s: cannot read %s", strerror(errno), walk->path.data);
		*kind = EK_WALK_UNREADABLE;
		return 0;
	}
	if (stat(walk->path.data, status) != 0) {
		*kind = errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? EK_WALK_DANGLING : EK_WALK_UNREADABLE;
		(void)ek_fail(EK_EIO, "%s: cannot read %s", strerror(errno), walk->path.data);
		return 0;
	}
	if (S_ISDIR(status->st_mode)) {
		*kind = EK_WALK_ENTER;
		return S_ISLNK(link.st_mode) ? judge_link(walk, status, kind) : 0;
	}
	*kind = S_ISREG(status->st_mode) ? EK_WALK_FILE : EK_WALK_SPECIAL;
	return 0;
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

static int top_is_run(const struct ek_walk *walk)
{
	return walk->levels[walk->depth - 1].may_be_run && ek_run_is_at(walk->path.data);
}

static void drop_run(struct ek_walk *walk, struct ek_walk_entry *entry)
{
	drop_level(&walk->levels[--walk->depth]);
	walk->path.data[walk->path.size - 1] = 0; /* the slash */
	walk->entered = 1;
	entry->kind = EK_WALK_RUN;
}

int ek_walk_next(struct ek_walk *walk, struct ek_walk_entry *entry)
{
	struct level *top = walk->depth > 0 ? &walk->levels[walk->depth - 1] : NULL;
	struct stat status;
	const char *name;
	size_t size;
	int rc, unreadable;

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
	EK_TRY(judge(walk, (unsigned char)name[size - 1], &status, &entry->kind));
	if (entry->kind == EK_WALK_ENTER) {
		EK_TRY(ek_buffer_text(&walk->path, "/"));
		rc = push(walk, &status, &unreadable);
		if (rc == 0 && top_is_run(walk))
			drop_run(walk, entry);
		else if (rc == 0)
			(void)give_enter(walk, entry);
		else if (unreadable)
			entry->kind = EK_WALK_UNREADABLE;
		else
			goto out;
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
	free(walk->linked);
	ek_buffer_release(&walk->path);
	free(walk);
}
