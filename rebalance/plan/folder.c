#include "rebalance/plan/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"

/* A directory of files only, or nothing. */
static int remove_flat(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	int rc = 0;

	if (directory == NULL)
		return errno == ENOENT ? 0 : ek_fail_errno("cannot read %s", path);
	while ((entry = readdir(directory)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlinkat(dirfd(directory), entry->d_name, 0) != 0) {
			rc = ek_fail_errno("cannot remove %s/%s", path, entry->d_name);
			break;
		}
	(void)closedir(directory);
	if (rc == 0 && rmdir(path) != 0)
		rc = ek_fail_errno("cannot remove %s", path);
	return rc;
}

/* Put `fresh` in the place of `path`, and remove what was there. */
static int replace(const char *path, const char *fresh)
{
	struct stat status;
	int rc;

	if (lstat(path, &status) != 0)
		return ek_rename_synced(fresh, path);
	if (!S_ISDIR(status.st_mode))
		return ek_fail(EK_EUSAGE, "%s is in the way: it is not a directory", path);
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
		return remove_flat(fresh);
	if (errno != EINVAL && errno != ENOSYS)
		return ek_fail_errno("cannot rename %s to %s", fresh, path);
	/* A file system that cannot exchange two names: there is a moment without a subset. */
	EK_TRY(remove_flat(path));
	EK_TRY(ek_rename_synced(fresh, path));
out:
	return rc;
}

int ek_folder_begin(struct ek_folder *folder, const struct ek_run *run, const char *kind, const char *name)
{
	int rc;

	*folder = (struct ek_folder){ 0 };
	EK_TRY(ek_format(&folder->path, "%s/%s/%s", ek_run_path(run), kind, name));
	EK_TRY(ek_format(&folder->fresh, "%s/%s/.%s.new", ek_run_path(run), kind, name));
	EK_TRY(remove_flat(folder->fresh));
	EK_TRY(ek_make_directories(folder->fresh));
out:
	return rc;
}

int ek_folder_publish(struct ek_folder *folder)
{
	return replace(folder->path, folder->fresh);
}

int ek_folder_release(struct ek_folder *folder, int rc)
{
	if (rc < 0 && folder->fresh != NULL) {
		char message[512];

		/* What was half written goes; the first failure is the one to tell. */
		ek_one_line(message, sizeof message, ek_error_message());
		if (remove_flat(folder->fresh) < 0)
			rc = ek_fail(rc, "%s", message);
	}
	free(folder->path);
	free(folder->fresh);
	*folder = (struct ek_folder){ 0 };
	return rc;
}
