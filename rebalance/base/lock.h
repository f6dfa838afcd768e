/*
 * Locks between processes: flock, which dies with its owner, however that happens. Where a file system has none (NFS,
 * Lustre: ENOLCK, ENOSYS, EOPNOTSUPP), a file that is made exclusively and says who has it, and a warning once a
 * process. Such a file is taken over from an owner that is dead on this machine; any other owner is left alone. Both
 * are looked at wherever one is taken.
 */
#ifndef EK_BASE_LOCK_H
#define EK_BASE_LOCK_H

struct ek_lock {
	int fd;     /* closed by ek_lock_release; -1: not held */
	char *file; /* the file that holds it, to be removed; NULL: flock does */
};
#define EK_LOCK_NONE                                                                                                   \
	{                                                                                                              \
		.fd = -1                                                                                               \
	}

/*
 * Lock the file `path`, made if it is not there, and write "evenkeel ID" into it, the id of this process; without flock
 * PATH.held holds the lock. Only a lock file that we made is written to: one that is empty, begins with our word, or
 * (as older versions wrote) holds a number alone. EK_EUSAGE: another process has it, whose id is told of `what` ("run
 * is in use by process 12"); or it is not ours. EK_EIO. `*lock` is none after a failure.
 */
int ek_lock_take(struct ek_lock *lock, const char *path, const char *what);
/* Lock an open file, with `file` for where flock is not; the descriptor becomes the lock's, and is closed if that
 * fails. `owner`: the id that flock's owner may have, or "". EK_EUSAGE: another process has it. EK_EIO. */
int ek_lock_hold(struct ek_lock *lock, int fd, const char *file, const char *what, const char *owner);
/* Let go; none is fine. */
void ek_lock_release(struct ek_lock *lock);

/* 1 if a lock file that begins with our word lies at `path`, else 0. */
int ek_lock_is_at(const char *path);

#endif
