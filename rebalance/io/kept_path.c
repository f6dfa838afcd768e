#include "rebalance/io/kept_path.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"

/* What of `path` lies below `folder`, or NULL. */
static const char *below(const char *path, const char *folder)
{
	const size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && path[length] == '/' ? path + length + 1 : NULL;
}

int ek_kept_path(char **kept, const struct ek_run *run, const char *path)
{
	const char *inside = below(path, ek_run_path(run));
	char *absolute = NULL, *folder = NULL;
	int rc = 0;

	*kept = NULL;
	if (inside == NULL || strstr(inside, "..") != NULL || !ek_file_exists(path)) {
		absolute = realpath(path, NULL);
		folder = absolute != NULL ? realpath(ek_run_path(run), NULL) : NULL;
		if (folder == NULL) {
			rc = ek_fail_errno("cannot read %s", absolute == NULL ? path : ek_run_path(run));
			goto out;
		}
		inside = below(absolute, folder);
	}
	EK_TRY(ek_copy_string(kept, inside != NULL ? inside : absolute));
out:
	free(absolute);
	free(folder);
	return rc;
}

/* RUN/name if that is there. */
static int look_inside(char **path, const struct ek_run *run, const char *name)
{
	int rc;

	EK_TRY(ek_run_file(path, run, name));
	if (!ek_file_exists(*path)) {
		free(*path);
		*path = NULL;
	}
out:
	return rc;
}

/* Is the folder that `length` bytes of `path` name a run, or gone? */
static int was_run(int *was, const char *path, size_t length)
{
	char *folder = NULL, *record = NULL;
	int rc;

	EK_TRY(ek_format(&folder, "%.*s", (int)length, path));
	EK_TRY(ek_format(&record, "%s/run.json", folder));
	*was = ek_file_exists(record) || !ek_file_exists(folder);
out:
	free(folder);
	free(record);
	return rc;
}

int ek_kept_path_find(char **path, const struct ek_run *run, const char *kept)
{
	int was, rc = 0;

	*path = NULL;
	if (kept[0] != '/')
		EK_TRY(look_inside(path, run, kept));
	else if (ek_file_exists(kept))
		EK_TRY(ek_copy_string(path, kept));
	for (const char *slash = kept; *path == NULL && (slash = strchr(slash + 1, '/')) != NULL;) {
		EK_TRY(was_run(&was, kept, (size_t)(slash - kept)));
		if (was)
			EK_TRY(look_inside(path, run, slash + 1));
	}
out:
	return rc;
}
