/*
 * A walk through a directory tree, folder by folder, names in byte order whatever readdir says, one entry at a time
 * (names.h keeps memory flat in huge folders). What patterns.h leaves out is told and not entered. Symbolic links are
 * followed, but no folder is entered twice: not through a link that leads into the tree itself, where it is come by
 * anyway, nor where a link led before. /proc and /sys are left out. Nothing is opened but directories.
 */
#ifndef EK_IO_WALK_H
#define EK_IO_WALK_H

#include <stdint.h>

#include "rebalance/io/patterns.h"

struct ek_walk;

enum ek_walk_kind {
	EK_WALK_ENTER,     /* a folder, before what is in it */
	EK_WALK_LEAVE,     /* after it */
	EK_WALK_FILE,      /* a regular file, also through a link */
	EK_WALK_SPECIAL,   /* a FIFO, socket or device */
	EK_WALK_DANGLING,  /* a link to nothing */
	EK_WALK_LEFT_OUT,  /* `left_out` says why */
	EK_WALK_UNREADABLE /* a folder, or something unknown, that cannot be read; ek_error_message() says why */
};

struct ek_walk_entry {
	enum ek_walk_kind kind;
	const char *path; /* relative to the root, "" for the root; valid until the next call */
	const char
		*metadata; /* ENTER: "metadata.jsonl" or, failing that, "metadata.csv" if the folder has it, or NULL */
	int has_both;      /* ENTER: of these */
	enum ek_left_out left_out; /* LEFT_OUT: by its name, by an exclude pattern, or a folder by what it is */
	int is_folder;             /* LEFT_OUT */
};

/* The patterns are borrowed. EK_EIO if the root cannot be read; EK_EUSAGE: it is in /proc or /sys. */
int ek_walk_open(struct ek_walk **out, const char *root, const struct ek_patterns *patterns);
/* 1 and an entry, 0 at the end. EK_EIO (a temporary file of names.h, too many open files), EK_ENOMEM. */
int ek_walk_next(struct ek_walk *walk, struct ek_walk_entry *entry);
void ek_walk_close(struct ek_walk *walk);

#endif
