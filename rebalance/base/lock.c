#include "rebalance/base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"

static const char lock_word[] = "evenkeel ";
enum { LOCK_WORD_SIZE = sizeof lock_word - 1, LOCK_SIZE = 64, OWNER_SIZE = 512 };

/* The start of a lock file, NUL-terminated; its size, or -1. */
static ssize_t read_lock(char *text, size_t size, int fd)
{
	const ssize_t got = pread(fd, text, size - 1, 0);

	text[got > 0 ? got : 0] = 0;
	return got;
}

/* The process id in a lock's text, as long as its digits go; NULL: the text is none of ours. */
static char *lock_owner(char *text)
{
	char *owner = strncmp(text, lock_word, LOCK_WORD_SIZE) == 0 ? text + LOCK_WORD_SIZE : text;
	char *end = owner + strspn(owner, "0123456789");
	/* Behind a line with our word may lie the rest of a longer one: a kill came before it was cut off. */
	const int is_line = end > owner && *end == '\n' && (owner != text || end[1] == 0);

	if (!is_line && *text != 0)
		return NULL;
	*end = 0;
	return owner;
}

int ek_lock_is_at(const char *path)
{
	char text[LOCK_SIZE] = "";
	int fd;

	if (ek_open_regular(&fd, NULL, path) < 0)
		return 0;
	(void)read_lock(text, sizeof text, fd);
	(void)close(fd);
	return strncmp(text, lock_word, LOCK_WORD_SIZE) == 0 && lock_owner(text) != NULL;
}

/* When the process was started, in ticks since the machine was, so that another with its id is not taken for it; 0: it
 * is not there, or nobody can tell. */
static uint64_t started(long id)
{
	char path[48], text[1024];
	const char *at;
	uint64_t ticks = 0;
	ssize_t size;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%ld/stat", id);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return 0;
	size = read(fd, text, sizeof text - 1);
	(void)close(fd);
	text[size > 0 ? size : 0] = 0;
	/* The 22nd field; the second, in brackets, may hold anything. */
	at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at != NULL)
		ticks = strtoull(at, NULL, 10);
	return ticks;
}

/* The machine, and the namespace that ids of processes are of: containers may share a name. */
static void name_host(char *out, size_t size)
{
	char host[256] = "", space[64] = "";

	(void)gethostname(host, sizeof host - 1);
	if (readlink("/proc/self/ns/pid", space, sizeof space - 1) < 0)
		space[0] = 0;
	(void)snprintf(out, size, "%s/%s", host, space);
}

/* "evenkeel HOST/NAMESPACE ID START\n" of this process. */
static void describe_self(char text[OWNER_SIZE])
{
	char host[330];

	name_host(host, sizeof host);
	(void)snprintf(text, OWNER_SIZE, "%s%s %ld %" PRIu64 "\n", lock_word, host, (long)getpid(), started(getpid()));
}

/* 1: the owner that `text` names was of this machine and is dead. */
static int is_dead(const char *text)
{
	char host[330], owner[330];
	uint64_t since;
	long id;

	name_host(host, sizeof host);
	if (sscanf(text, "evenkeel %329s %ld %" SCNu64, owner, &id, &since) != 3 || strcmp(owner, host) != 0 || id <= 0)
		return 0;
	if (kill((pid_t)id, 0) != 0 && errno == ESRCH)
		return 1;
	return since > 0 && started(id) > 0 && started(id) != since;
}

/* The text of the file; 0: it is not there. EK_EIO, EK_EDATA. */
static int read_owner(char text[OWNER_SIZE], const char *file)
{
	int fd;
	const int rc = ek_open_regular(&fd, NULL, file);

	text[0] = 0;
	if (rc < 0)
		return ek_error_number() == ENOENT ? 0 : rc;
	(void)read_lock(text, OWNER_SIZE, fd);
	(void)close(fd);
	return 1;
}

static int fail_held(const char *text, const char *file, const char *what)
{
	char host[256] = "";
	long id = 0;

	if (sscanf(text, "evenkeel %255[^/ ]%*s %ld", host, &id) == 2)
		return ek_fail(EK_EUSAGE, "%s is in use by process %ld of %s; if that is not so, remove %s", what, id,
		               host, file);
	return ek_fail(EK_EUSAGE, "%s is in use by another process; if that is not so, remove %s", what, file);
}

/* Nothing is in the way of holding `file`: it is not there, or of a dead owner and was taken away. */
static int clear_held(const char *file, const char *what)
{
	char text[OWNER_SIZE], moved[OWNER_SIZE], *aside = NULL;
	int rc;

	if ((rc = read_owner(text, file)) <= 0)
		return rc;
	if (!is_dead(text))
		return fail_held(text, file, what);
	/* Another process may do the same, and be done: what is moved must be what was looked at. */
	EK_TRY(ek_format(&aside, "%s.%ld", file, (long)getpid()));
	rc = ek_rename_synced(file, aside);
	if (rc < 0) {
		rc = ek_error_number() == ENOENT ? fail_held("", file, what) : rc;
		goto out;
	}
	EK_TRY(read_owner(moved, aside));
	if (strcmp(moved, text) != 0) {
		EK_TRY(ek_rename_synced(aside, file));
		rc = fail_held(moved, file, what);
		goto out;
	}
	EK_TRY(ek_remove(aside));
out:
	free(aside);
	return rc;
}

/* Make the file that holds the lock. */
static int make_held(const char *file, const char *what)
{
	char text[OWNER_SIZE];
	int fd, rc;

	EK_TRY(clear_held(file, what));
	rc = ek_open_writable(&fd, file, O_WRONLY | O_CREAT | O_EXCL);
	if (rc < 0)
		return ek_error_number() == EEXIST ? fail_held("", file, what) : rc;
	describe_self(text);
	rc = ek_write_all(fd, text, strlen(text), file);
	(void)close(fd);
	if (rc < 0)
		(void)unlink(file);
out:
	return rc;
}

/* There are no locks at all, as opposed to one that somebody has. */
static int has_no_locks(int error)
{
	return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP;
}

int ek_lock_hold(struct ek_lock *lock, int fd, const char *file, const char *what, const char *owner)
{
	static atomic_flag warned = ATOMIC_FLAG_INIT;
	int error, rc;

	*lock = (struct ek_lock){ .fd = fd };
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		EK_TRY(clear_held(file, what));
		return 0;
	}
	error = errno;
	if (!has_no_locks(error)) {
		rc = error != EWOULDBLOCK ? ek_fail_errno("cannot lock %s", what)
		                          : ek_fail(EK_EUSAGE, "%s is in use by %s%s", what,
		                                    *owner != 0 ? "process " : "another process", owner);
		goto out;
	}
	EK_TRY(make_held(file, what));
	if (!atomic_flag_test_and_set(&warned))
		ek_warn("%s: its file system has no locks (%s); the file %s keeps other processes out", what,
		        strerror(error), file);
	EK_TRY(ek_copy_string(&lock->file, file));
out:
	if (rc < 0)
		ek_lock_release(lock);
	return rc;
}

int ek_lock_take(struct ek_lock *lock, const char *path, const char *what)
{
	char text[LOCK_SIZE], *owner = NULL, *file = NULL;
	int fd, rc;

	*lock = (struct ek_lock)EK_LOCK_NONE;
	if ((rc = ek_open_writable(&fd, path, O_RDWR | O_CREAT)) < 0)
		return rc;
	if (read_lock(text, sizeof text, fd) < 0)
		rc = ek_fail_errno("cannot read %s", path);
	else if ((owner = lock_owner(text)) == NULL)
		rc = ek_fail(EK_EUSAGE, "%s is in the way: it is not a lock that evenkeel made", path);
	else
		rc = ek_format(&file, "%s.held", path);
	if (rc < 0) {
		(void)close(fd);
		return rc;
	}
	EK_TRY(ek_lock_hold(lock, fd, file, what, owner));
	(void)snprintf(text, sizeof text, "%s%ld\n", lock_word, (long)getpid());
	if (pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text) || ftruncate(fd, (off_t)strlen(text)) != 0)
		rc = ek_fail_errno("cannot write %s", path);
out:
	if (rc < 0)
		ek_lock_release(lock);
	free(file);
	return rc;
}

void ek_lock_release(struct ek_lock *lock)
{
	char text[OWNER_SIZE], own[OWNER_SIZE];

	if (lock->file != NULL)
		describe_self(own);
	/* Somebody may have taken it away by hand, and another process be there. */
	if (lock->file != NULL && read_owner(text, lock->file) > 0 && strcmp(text, own) == 0)
		(void)ek_remove(lock->file);
	if (lock->fd >= 0)
		(void)close(lock->fd);
	free(lock->file);
	*lock = (struct ek_lock)EK_LOCK_NONE;
}
