/* links, copies and imagefolder: a tree of files with metadata.jsonl. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/plan/export_internal.h"

int ek_export_tree_begin(struct ek_export *x)
{
	int rc;

	if (x->options->form == EK_EXPORT_IMAGEFOLDER)
		EK_TRY(ek_export_classes_load(x, x->options->by != NULL ? x->options->by : "cluster"));
	EK_TRY(ek_buffer_printf(&x->path, "%s/metadata.jsonl", x->folder.partial));
	EK_TRY(ek_atomic_open(&x->metadata, x->path.data));
out:
	return rc;
}

/* Is the name just not to be had? Then another one is. */
static int is_name_taken(int error)
{
	return error == EEXIST || error == ENOTDIR || error == EISDIR || error == ENAMETOOLONG;
}

/* The folder that x->path lies in: 1, or 0 if a name in it is taken by a file. */
static int make_parents(struct ek_export *x)
{
	const size_t root = strlen(x->folder.partial) + 1, end = (size_t)(strrchr(x->path.data, '/') - x->path.data);
	struct stat status;

	if (end < root || (x->directory.size == end && memcmp(x->directory.data, x->path.data, end) == 0))
		return 1;
	for (size_t i = root; i <= end; i++) {
		int made;

		if (x->path.data[i] != '/')
			continue;
		x->path.data[i] = 0;
		made = mkdir(x->path.data, 0777) == 0 ||
		       (errno == EEXIST && stat(x->path.data, &status) == 0 && S_ISDIR(status.st_mode));
		if (!made && !is_name_taken(errno))
			return ek_fail_errno("cannot make the directory %s", x->path.data);
		x->path.data[i] = '/';
		if (!made)
			return 0;
	}
	ek_buffer_clear(&x->directory);
	return ek_buffer_append(&x->directory, x->path.data, end) < 0 ? EK_ENOMEM : 1;
}

/* 1, or 0 if the name is taken. */
static int write_file(const struct ek_export *x)
{
	const char *path = x->path.data;
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int rc;

	if (fd < 0)
		return is_name_taken(errno) ? 0 : ek_fail_errno("cannot write %s", path);
	rc = ek_write_all(fd, x->bytes.data, x->bytes.size, path);
	if (close(fd) != 0 && rc == 0)
		rc = ek_fail_errno("cannot write %s", path);
	return rc < 0 ? rc : 1;
}

static int make_link(const struct ek_export *x)
{
	if (symlink(x->source, x->path.data) == 0)
		return 1;
	return is_name_taken(errno) ? 0 : ek_fail_errno("cannot make the link %s", x->path.data);
}

static int put(struct ek_export *x, int (*make)(const struct ek_export *x))
{
	struct ek_buffer name = { 0 }, folder = { 0 };
	int rc = 0, is_made = 0;

	EK_TRY(ek_buffer_printf(&folder, x->classes.by != NULL ? "%s/" : "%s",
	                        x->classes.by != NULL ? ek_export_class_folder(x) : ""));
	for (int try = 0; try < EK_EXPORT_NAME_TRIES && !is_made; try++) {
		EK_TRY(ek_export_name(&name, x, folder.data, try));
		ek_buffer_clear(&x->path);
		EK_TRY(ek_buffer_printf(&x->path, "%s/%s", x->folder.partial, name.data));
		EK_TRY(is_made = make_parents(x));
		if (is_made)
			EK_TRY(is_made = make(x));
	}
	if (!is_made) {
		rc = ek_fail(EK_EIO, "%s: no name for it in %s is free", x->record.file_name, x->folder.target);
		goto out;
	}
	ek_buffer_clear(&x->text);
	EK_TRY(ek_export_row(&x->text, x, name.data));
	EK_TRY(ek_buffer_text(&x->text, "\n"));
	EK_TRY(ek_atomic_write(&x->metadata, x->text.data, x->text.size));
out:
	ek_buffer_release(&name);
	ek_buffer_release(&folder);
	return rc;
}

int ek_export_tree_put_copy(struct ek_export *x)
{
	return put(x, write_file);
}

int ek_export_tree_put_link(struct ek_export *x)
{
	return put(x, make_link);
}

int ek_export_tree_end(struct ek_export *x)
{
	return ek_atomic_commit(&x->metadata);
}
