#include "rebalance/io/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/guard.h"
#include "rebalance/base/memory.h"

/* Open the directory itself, not what a link leads to. `*fd` = -1: there is nothing. */
static int open_directory(int *fd, const char *path)
{
	struct ek_parent parent;
	int rc;

	*fd = -1;
	EK_TRY(ek_parent_open(&parent, path));
	*fd = openat(parent.fd, parent.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		rc = ek_fail(EK_EUSAGE, "%s is in the way: it is not a directory", path);
	else if (*fd < 0 && errno != ENOENT)
		rc = ek_fail_errno("cannot read %s", path);
out:
	ek_parent_close(&parent);
	return rc;
}

/* Is it a name that we give? A folder is if such a name lies in it. */
static int is_named(const void *context, const char *name, int is_folder)
{
	const char *const *ours = context;
	const size_t size = strlen(name);
	char bare[1024];

	(void)snprintf(bare, sizeof bare, "%s", name);
	if (size < sizeof bare && size > 4 && strcmp(bare + size - 4, ".tmp") == 0)
		bare[size - 4] = 0;
	for (; *ours != NULL; ours++)
		if (is_folder ? strncmp(*ours, name, size) == 0 && (*ours)[size] == '/'
		              : fnmatch(*ours, bare, FNM_PATHNAME) == 0 || fnmatch(*ours, name, FNM_PATHNAME) == 0)
			return 1;
	return 0;
}

/* A way through a folder: to see that all is ours, or to remove what is. */
struct visit {
	const char *path;
	int (*is_ours)(const void *context, const char *name, int is_folder);
	const void *context;
	int removes;
};

static int visit(const struct visit *v, int fd, const char *inside);

/* `name` is the way from v->path, `base` its last part, in the open folder. */
static int visit_entry(const struct visit *v, int folder, const char *name, const char *base)
{
	char *inside = NULL;
	struct stat status;
	int is_folder, rc = 0;

	if (fstatat(folder, base, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return ek_fail_errno("cannot read %s/%s", v->path, name);
	is_folder = S_ISDIR(status.st_mode);
	if (!v->is_ours(v->context, name, is_folder))
		return ek_fail(EK_EUSAGE,
		               "%s holds %s, which evenkeel did not make: move it away, or choose another name",
		               v->path, name);
	if (is_folder) {
		const int fd = openat(folder, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return ek_fail_errno("cannot read %s/%s", v->path, name);
		rc = ek_format(&inside, "%s/", name);
		rc = rc < 0 ? rc : visit(v, fd, inside);
		free(inside);
	}
	if (rc == 0 && v->removes && unlinkat(folder, base, is_folder ? AT_REMOVEDIR : 0) != 0)
		rc = ek_fail_errno("cannot remove %s/%s", v->path, name);
	return rc;
}

/* What lies in an open folder, which is closed here; `inside`: the way to it from v->path, "" or with a slash behind.
 */
static int visit(const struct visit *v, int fd, const char *inside)
{
	DIR *directory = fdopendir(fd);
	const struct dirent *entry;
	int rc = 0;

	if (directory == NULL) {
		rc = ek_fail_errno("cannot read %s", v->path);
		(void)close(fd);
		return rc;
	}
	while (rc == 0 && (errno = 0, entry = readdir(directory)) != NULL) {
		char *name = NULL;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		rc = ek_format(&name, "%s%s", inside, entry->d_name);
		rc = rc < 0 ? rc : visit_entry(v, fd, name, entry->d_name);
		free(name);
	}
	if (rc == 0 && errno != 0)
		rc = ek_fail_errno("cannot read %s", v->path);
	(void)closedir(directory);
	return rc;
}

int ek_folder_check(const char *path, int (*is_ours)(const void *context, const char *name, int is_folder),
                    const void *context)
{
	const struct visit all = { .path = path, .is_ours = is_ours, .context = context };
	int fd, rc;

	EK_TRY(open_directory(&fd, path));
	if (fd >= 0)
		EK_TRY(visit(&all, fd, ""));
out:
	return rc;
}

/* Nothing goes unless all does. A link with the name goes itself. */
static int remove_folder(const char *path, const char *const *ours)
{
	const struct visit all = { .path = path, .is_ours = is_named, .context = ours, .removes = 1 };
	struct ek_parent parent;
	int fd, rc;

	EK_TRY(ek_parent_open(&parent, path));
	if (unlinkat(parent.fd, parent.name, 0) == 0 || errno == ENOENT)
		goto out;
	EK_TRY(ek_folder_check(path, is_named, ours));
	EK_TRY(open_directory(&fd, path));
	/* What says what the folder is goes first: a removal that is stopped leaves nothing to go on with. */
	(void)unlinkat(fd, *ours, 0);
	EK_TRY(visit(&all, fd, ""));
	if (unlinkat(parent.fd, parent.name, AT_REMOVEDIR) != 0)
		rc = ek_fail_errno("cannot remove %s", path);
out:
	ek_parent_close(&parent);
	return rc;
}

int ek_folder_open(struct ek_folder *folder, const char *path, const char *const *ours)
{
	const char *slash = strrchr(path, '/');
	const int size = slash != NULL ? (int)(slash + 1 - path) : 0;
	char *parent = NULL;
	int rc;

	*folder = (struct ek_folder){ .ours = ours };
	EK_TRY(ek_copy_string(&folder->path, path));
	EK_TRY(ek_format(&folder->fresh, "%.*s.%s.new", size, path, path + size));
	EK_TRY(ek_format(&parent, "%.*s.", size, path));
	EK_TRY(ek_make_directories(parent));
	EK_TRY(ek_folder_check(path, is_named, ours));
out:
	free(parent);
	return rc;
}

int ek_folder_clear(struct ek_folder *folder)
{
	int rc;

	EK_TRY(remove_folder(folder->fresh, folder->ours));
	EK_TRY(ek_make_directories(folder->fresh));
out:
	return rc;
}

int ek_folder_drop(struct ek_folder *folder)
{
	return remove_folder(folder->fresh, folder->ours);
}

int ek_folder_publish(struct ek_folder *folder)
{
	int fd, exchanged, rc;

	EK_TRY(ek_folder_check(folder->path, is_named, folder->ours));
	EK_TRY(open_directory(&fd, folder->path));
	if (fd < 0)
		return ek_rename_synced(folder->fresh, folder->path);
	(void)close(fd);
	EK_TRY(ek_exchange_synced(&exchanged, folder->fresh, folder->path));
	/* A file system that cannot exchange two names: there is a moment without the folder. */
	EK_TRY(remove_folder(exchanged ? folder->fresh : folder->path, folder->ours));
	if (!exchanged)
		EK_TRY(ek_rename_synced(folder->fresh, folder->path));
out:
	return rc;
}

void ek_folder_keep(struct ek_folder *folder)
{
	free(folder->path);
	free(folder->fresh);
	*folder = (struct ek_folder){ 0 };
}

int ek_folder_release(struct ek_folder *folder, int rc)
{
	if (rc < 0 && folder->fresh != NULL) {
		char message[512];

		/* What was half written goes; the first failure is the one to tell. */
		ek_one_line(message, sizeof message, ek_error_message());
		(void)remove_folder(folder->fresh, folder->ours);
		(void)ek_fail(rc, "%s", message);
	}
	ek_folder_keep(folder);
	return rc;
}
