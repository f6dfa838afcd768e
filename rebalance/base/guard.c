#include "rebalance/base/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

struct guard {
	struct guard *next;
	char *root;
};

static struct guard *guards;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int ek_guard_begin(const char *root)
{
	struct guard *guard = NULL;
	int rc;

	EK_TRY(ek_alloc(&guard, 1, sizeof *guard));
	EK_TRY(ek_copy_string(&guard->root, root));
	(void)pthread_mutex_lock(&lock);
	guard->next = guards;
	guards = guard;
	(void)pthread_mutex_unlock(&lock);
	return 0;
out:
	free(guard);
	return rc;
}

void ek_guard_end(const char *root)
{
	struct guard **at = &guards, *found;

	(void)pthread_mutex_lock(&lock);
	while (*at != NULL && strcmp((*at)->root, root) != 0)
		at = &(*at)->next;
	if ((found = *at) != NULL) {
		*at = found->next;
		free(found->root);
		free(found);
	}
	(void)pthread_mutex_unlock(&lock);
}

/* How many bytes of `path` name the outermost guarded folder that it lies below; 0: none. */
static size_t guarded(const char *path)
{
	size_t least = 0;

	(void)pthread_mutex_lock(&lock);
	for (const struct guard *guard = guards; guard != NULL; guard = guard->next) {
		const size_t size = strlen(guard->root);

		if (strncmp(path, guard->root, size) == 0 && path[size] == '/' && (least == 0 || size < least))
			least = size;
	}
	(void)pthread_mutex_unlock(&lock);
	return least;
}

/* Go from the open folder to the one `name` in it, not through a link; `path` is the way so far, for messages. */
static int enter(int *fd, const char *name, const char *path)
{
	struct stat status;
	int next;

	next = openat(*fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0 && errno == ENOTDIR && fstatat(*fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return ek_fail(EK_EUSAGE,
		               S_ISLNK(status.st_mode) ? "%s is a link, and nothing is written through a link in a run"
		                                       : "%s is in the way: it is not a directory",
		               path);
	if (next < 0)
		return ek_fail_errno("cannot open %s", path);
	(void)close(*fd);
	*fd = next;
	return 0;
}

int ek_parent_open(struct ek_parent *parent, const char *path)
{
	const size_t root = guarded(path);
	char *way = NULL, *name, *slash;
	int rc;

	*parent = (struct ek_parent){ .fd = AT_FDCWD, .name = path };
	if (root == 0)
		return 0;
	EK_TRY(ek_copy_string(&way, path));
	way[root] = 0;
	if ((parent->fd = open(way, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
		rc = ek_fail_errno("cannot open %s", way);
		goto out;
	}
	way[root] = '/';
	for (name = way + root + 1; (slash = strchr(name, '/')) != NULL; name = slash + 1) {
		*slash = 0;
		if (*name != 0)
			EK_TRY(enter(&parent->fd, name, way));
		*slash = '/';
	}
	parent->name = path + (name - way);
out:
	free(way);
	return rc;
}

void ek_parent_close(struct ek_parent *parent)
{
	if (parent->fd >= 0)
		(void)close(parent->fd);
	parent->fd = -1;
}

int ek_fail_write(const char *path)
{
	if (errno == ELOOP)
		return ek_fail(EK_EUSAGE, "%s is a link, and nothing is written through a link in a run", path);
	return ek_fail_errno("cannot write %s", path);
}
