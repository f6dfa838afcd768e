/*
 * A file of JSON lines that people's decisions are appended to: RUN/FOLDER/NAME.jsonl. One process writes at a time,
 * each line at once and synced, so that what was confirmed outlives a kill and a power cut. What the lines mean is the
 * caller's: they are replayed in order.
 */
#ifndef EK_REPORTS_JOURNAL_H
#define EK_REPORTS_JOURNAL_H

#include <stdint.h>
#include <sys/stat.h>

#include "rebalance/base/json.h"
#include "rebalance/base/lock.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/run.h"

/* What replaying the lines found. */
struct ek_journal_lines {
	uint64_t damaged;       /* lines left out */
	uint64_t first_damaged; /* the number of the first of them, from 1 */
	uint64_t whole_bytes;   /* of the file, without a line that is cut */
	int is_cut;             /* the last line is half written: nobody was told that it is saved */
	int ends_open;          /* the last line is whole, or damaged, but for its newline */
};

/* Take a line, a JSON object; `where`: its file and number. What it does not take is a damaged line. */
typedef int (*ek_journal_take)(void *context, const cJSON *object, const char *where);

/* Replay a file; none has no lines. A damaged line is left out and told by ek_warn (the first 20); a last line that a
 * kill cut short, which begins as a line does, is left out quietly. EK_EIO, EK_ENOMEM. */
int ek_journal_load(struct ek_journal_lines *lines, const char *path, ek_journal_take take, void *context);
/* The same of bytes, with a NUL behind them. `where` starts the warnings. */
int ek_journal_parse(struct ek_journal_lines *lines, const char *text, size_t size, const char *where,
                     ek_journal_take take, void *context);

/* Members of such lines. */

/* EK_EUSAGE: no name of a person: 1 … `most` bytes of UTF-8 without control characters and without spaces at its ends;
 * `what` says of what: "a reviewer". */
int ek_journal_check_name(const char *name, size_t most, const char *what);
/* EK_EDATA: not as 2026-11-25T19:00:00Z. */
int ek_journal_check_time(const char *time, const char *where);
/* Now, so. */
void ek_journal_now(char time[21]);
/* Append `, "NAME": "VALUE"`. */
int ek_journal_member(struct ek_buffer *out, const char *name, const char *value);

struct ek_journal {
	char *path;
	uint64_t edits; /* how often the file was found changed by somebody else */
	/* The rest is private. */
	char *folder;
	int fd;
	struct ek_lock lock;
	struct stat left; /* as the last line left it; another size: it is to be read again */
};
#define EK_JOURNAL_NONE                                                                                                \
	{                                                                                                              \
		.fd = -1, .lock = EK_LOCK_NONE                                                                         \
	}

/* `*path` = RUN/FOLDER/NAME.jsonl, to be freed. EK_EUSAGE: no name for a file; `what` says of what: "a review". */
int ek_journal_path(char **path, const struct ek_run *run, const char *folder, const char *name, const char *what);

/* Lock the file (RUN/FOLDER/.NAME.lock, which holds the process id); to be loaded, then begun. Release in any case.
 * EK_EUSAGE: another process has it. EK_EIO. */
int ek_journal_open(struct ek_journal *journal, const struct ek_run *run, const char *folder, const char *name,
                    const char *what);
void ek_journal_release(struct ek_journal *journal);
/* Open or make it for appending. A line that a kill cut short is taken out; one that is cut while the journal is open
 * stays, as a damaged line of its own. */
int ek_journal_begin(struct ek_journal *journal, const struct ek_journal_lines *loaded);
/* 1 if somebody else has changed or replaced the file since: warns; it is to be loaded and begun again. EK_EIO: the
 * file is gone, or cannot be read. */
int ek_journal_changed(const struct ek_journal *journal);
/* Append a line and sync it: then 0. After a failure (EK_EIO: a full disk, a file that is gone) it is not there. */
int ek_journal_append(struct ek_journal *journal, const struct ek_buffer *line);

#endif
