/*
 * RUN/labels/NAME.jsonl: which group people say that images belong to, one line an act, only ever appended to.
 *
 *	{"images": [17, 40], "group": "cat", "by": "Anna", "time": "2026-11-25T19:00:00Z"}
 *	{"images": [41], "group": null, "by": …}      they belong to none of the groups
 *	{"images": [40], "group": "", "by": …}        what Anna said of them no longer counts
 *	{"images": [50, 51], "not": "cat", "by": …}   they were looked at in search of cats, and are none
 *	{"images": [], "group": "dog", "by": …}       there is a group of this name
 *	{"rename": "cat", "to": "kitten", "by": …}    a group has another name; one that is there already takes it in
 *	{"undo": true, "by": "Anna", "time": …}       Anna's newest act that stands is taken back
 *
 * Replaying the acts that stand, in order, gives what each person says last of each image. An image has the group that
 * most people say; where two groups have as many it is disputed and has none. What an image is not gives it no group,
 *and counts as long as it has none.
 */
#ifndef EK_REPORTS_LABEL_LOG_H
#define EK_REPORTS_LABEL_LOG_H

#include "rebalance/base/memory.h"
#include "reports/journal.h"

enum {
	EK_LABEL_NAME_MAX = 64,       /* bytes of the name of a group or a person */
	EK_LABEL_GROUPS_MAX = 1000,   /* and people */
	EK_LABEL_IMAGES_MAX = 1 << 20 /* of one act */
};

enum {
	EK_LABEL_NONE = -1,    /* of none of the groups */
	EK_LABEL_DISPUTED = -2 /* people differ */
};

struct ek_label_act {
	char *group, *to; /* group NULL: none of them; "": no longer said; to: a renaming */
	int is_not;       /* the images are not of the group */
	uint64_t *images; /* [count] */
	size_t count;
	uint32_t person;
	char time[21];
	int undone;
};

/* One image and what was said of it. */
struct ek_label {
	uint64_t image;
	int32_t group;   /* index into groups, or EK_LABEL_… */
	uint32_t people; /* who say something of it */
};

/* Somebody who looked for a group passed this image over. */
struct ek_label_not {
	uint64_t image;
	int32_t group; /* index into groups */
};

struct ek_label_log {
	char **people; /* [person_count] */
	size_t person_count;
	struct ek_label_act *acts; /* [act_count], in the order of the file */
	size_t act_count;
	struct ek_journal_lines lines; /* of the file */
	/* What stands by them, once settled. */
	char **groups; /* [group_count], in the order of their first line */
	size_t *sizes; /* [group_count] images */
	size_t group_count;
	struct ek_label *labels; /* [label_count], by image */
	size_t label_count;
	size_t none, disputed;
	struct ek_label_not *nots; /* [not_count], by image, then group; of images without a label */
	size_t not_count;
};

/* Replay a file and settle; none is an empty log. Start with `= { 0 }`, release in any case. Damaged lines: journal.h.
 * EK_EIO, EK_ENOMEM. */
int ek_label_log_load(struct ek_label_log *log, const char *path);
/* The same of bytes, with a NUL behind them. */
int ek_label_log_parse(struct ek_label_log *log, const char *text, size_t size, const char *where);
void ek_label_log_release(struct ek_label_log *log);

/* `*index` = the person's, who is added if new. EK_EUSAGE: no name, or one too many. */
int ek_label_log_person(uint32_t *index, struct ek_label_log *log, const char *name);
/* EK_EUSAGE: no name of a group, or a group to be renamed that is not there. */
int ek_label_log_check(const struct ek_label_log *log, const struct ek_label_act *act);
/* Add an act, copied, and settle. */
int ek_label_log_add(struct ek_label_log *log, const struct ek_label_act *act);
/* Take the person's newest standing act back, and settle. EK_EUSAGE: there is none. */
int ek_label_log_undo(struct ek_label_log *log, uint32_t person);
/* The act that an undo takes back, or NULL. */
const struct ek_label_act *ek_label_log_newest(const struct ek_label_log *log, uint32_t person);

/* What was said of an image, or NULL. */
const struct ek_label *ek_label_log_find(const struct ek_label_log *log, uint64_t image);
/* The index of a group, or -1. */
int32_t ek_label_log_group(const struct ek_label_log *log, const char *name);

/* The lines of the file; `undo`: its being taken back. */
int ek_label_log_format(struct ek_buffer *out, const struct ek_label_log *log, const struct ek_label_act *act,
                        int undo);

#endif
