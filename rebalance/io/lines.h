/*
 * Text files line by line, in memory bounded by the longest line. What csv, jsonl and lists of paths read through.
 */
#ifndef EK_IO_LINES_H
#define EK_IO_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"

/* A longer line is EK_EDATA. */
#define EK_LINE_LIMIT ((size_t)16 << 20)

struct ek_lines {
	uint64_t line;   /* number of the line last read, from 1 */
	uint64_t offset; /* bytes, where in the file it starts */
	char *path;
	/* The rest is private. */
	int fd;
	struct ek_buffer window; /* bytes of the file */
	uint64_t window_offset;  /* where in the file the window starts */
	size_t at;               /* in the window: the next line */
	size_t chunk;            /* bytes to read next */
	size_t patched;          /* 1 + where a newline is a NUL for the moment; or 0 */
};

/* Open a regular file; never waits on a FIFO. A UTF-8 byte-order mark at the start is skipped. EK_EIO, EK_EDATA. */
int ek_lines_open(struct ek_lines *lines, const char *path);
/* 1 and the next line without its "\n" (a "\r" stays), NUL-terminated and valid until the next call; 0 at the
 * end, and an empty text. */
int ek_lines_next(struct ek_lines *lines, const char **text, size_t *size);
/* The next line read is number `line`, at `offset`. */
void ek_lines_seek(struct ek_lines *lines, uint64_t offset, uint64_t line);
void ek_lines_close(struct ek_lines *lines);

#endif
