/*
 * Folders below which no link is followed for writing: a link inside a run must not make a command truncate, overwrite
 * or remove what lies outside of it. Reading follows links as ever, and the guarded folder may itself be one.
 *
 * All functions of file.h that make, write, lock, rename or remove, and what is built on them, go through here.
 */
#ifndef EK_BASE_GUARD_H
#define EK_BASE_GUARD_H

/* Guard what lies below `root`, by this very name: paths that begin with it and a slash. May be done more than once,
 * from any thread; each ek_guard_begin that succeeded needs an ek_guard_end. EK_ENOMEM. */
int ek_guard_begin(const char *root);
void ek_guard_end(const char *root);

/* The folder that `path` lies in, for openat and its like. */
struct ek_parent {
	int fd;           /* AT_FDCWD where nothing is guarded */
	const char *name; /* in it; inside the caller's `path` */
};
/* EK_EUSAGE: a folder on the way is a link, or none, and is named. EK_EIO. Close in any case. */
int ek_parent_open(struct ek_parent *parent, const char *path);
void ek_parent_close(struct ek_parent *parent);

/* Fail of an open with O_NOFOLLOW of `path` by errno: EK_EUSAGE for a link, else as ek_fail_errno of "cannot write". */
int ek_fail_write(const char *path);

#endif
