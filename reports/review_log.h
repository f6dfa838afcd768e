/*
 * RUN/reviews/NAME.jsonl: what reviewers decided on generated images, one line a decision, only ever appended to; and
 * RUN/label-reviews/NAME.jsonl: on labels that are doubted.
 *
 *	{"sample": 17, "decision": "accept", "note": "", "reviewer": "Anna", "time": "2026-11-25T19:00:00Z",
 *	 "sha256": "…"}
 *	{"sample": 17, "undo": true, "reviewer": "Anna", "time": "…"}
 *
 * `sample` is the number of the image in RUN/samples/NAME, `sha256` that of the image file that was judged. Of a label
 *`sample` is the id of the image; "given" is the label that was judged, which accept calls right and reject wrong, and
 *"label" what it is instead, by one who rejects it and knows. A reviewer's later decision on a sample replaces the
 *earlier one; an undo takes the reviewer's newest standing decision on the sample back, so that the one before it
 *stands again. Replaying the lines in order gives what stands.
 */
#ifndef EK_REPORTS_REVIEW_LOG_H
#define EK_REPORTS_REVIEW_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/memory.h"
#include "reports/journal.h"

enum ek_verdict { EK_VERDICT_ACCEPT, EK_VERDICT_REJECT, EK_VERDICT_UNSURE, EK_VERDICTS };
const char *ek_verdict_name(enum ek_verdict verdict); /* "accept", "reject", "unsure" */
/* The verdict of this name, or EK_VERDICTS. */
enum ek_verdict ek_verdict_of(const char *name);

enum {
	EK_REVIEW_NAME_MAX = 64,          /* bytes of a reviewer's name */
	EK_REVIEW_NOTE_MAX = 2000,        /* bytes of a note as it is taken; a longer one in the file is read */
	EK_REVIEW_SAMPLES_MAX = 1 << 24,  /* a line on a larger sample is damaged: memory follows the largest */
	EK_REVIEW_REVIEWERS_MAX = 1 << 10 /* as is a line by one reviewer more */
};

struct ek_review_entry {
	uint32_t sample, reviewer; /* reviewer: index into reviewers */
	enum ek_verdict verdict;
	char *note;          /* owned; "" if there is none */
	char *given, *label; /* of a label that was judged, and what it is instead; owned; "" if there is none */
	char time[21];       /* UTC, "2026-11-25T19:00:00Z" */
	char sha256[65];     /* lower-case hex; "" if the line has none */
	size_t before;       /* 1 + the entry that it replaced; 0: none */
	int undone;
};

struct ek_review_vote; /* private: what stands by one reviewer on one sample */

struct ek_review_log {
	char **reviewers; /* [reviewer_count], in the order of their first line */
	size_t reviewer_count;
	struct ek_review_entry *entries; /* [entry_count], all decisions in the order of the file */
	size_t entry_count;
	uint64_t samples;              /* 1 + the largest sample that has a line */
	struct ek_journal_lines lines; /* of the file */
	/* The rest is private. */
	uint32_t *heads; /* [head_count] 1 + the first vote on the sample */
	size_t head_count;
	struct ek_review_vote *votes;
	size_t vote_count;
};

/* Replay a file; none is an empty log. Start with `= { 0 }`, release in any case. A damaged line is left out and told
 * by ek_warn (the first 20); a last line that a kill cut short is left out quietly. EK_EIO, EK_ENOMEM. */
int ek_review_log_load(struct ek_review_log *log, const char *path);
/* The same of bytes, with a NUL behind them. `where` starts the warnings. */
int ek_review_log_parse(struct ek_review_log *log, const char *text, size_t size, const char *where);
void ek_review_log_release(struct ek_review_log *log);

/* `*index` = the reviewer's, who is added if new. EK_EUSAGE: no name that can be one (1 … 64 bytes of UTF-8 without
 * control characters and without spaces at its ends), or one too many. */
int ek_review_log_reviewer(uint32_t *index, struct ek_review_log *log, const char *name);
/* Add a decision to what stands; copies its texts, of which NULL is none; `before` and `undone` are not looked at.
 * EK_EUSAGE: no such sample or reviewer. */
int ek_review_log_add(struct ek_review_log *log, const struct ek_review_entry *entry);
/* Take back the reviewer's newest standing decision on the sample. EK_EUSAGE: there is none. */
int ek_review_log_undo(struct ek_review_log *log, uint32_t sample, uint32_t reviewer);
/* A decision no longer counts, nor do those on its sample by its reviewer before it: its image has been made anew. */
void ek_review_log_void(struct ek_review_log *log, const struct ek_review_entry *entry);
/* The lines of the file; an undo has only `sample`, `reviewer` and `time`. */
int ek_review_log_format(struct ek_buffer *out, const struct ek_review_log *log, const struct ek_review_entry *entry);
int ek_review_log_format_undo(struct ek_buffer *out, const struct ek_review_log *log,
                              const struct ek_review_entry *entry);

/* The reviewer's standing decision on a sample, or NULL. Valid until the next addition. */
const struct ek_review_entry *ek_review_log_standing(const struct ek_review_log *log, uint64_t sample,
                                                     uint32_t reviewer);
/* The reviewer's newest decision that stands, on whichever sample, or NULL: what an undo takes back. */
const struct ek_review_entry *ek_review_log_newest(const struct ek_review_log *log, uint32_t reviewer);
/* How many reviewers hold each verdict on a sample. */
void ek_review_log_votes(uint32_t votes[EK_VERDICTS], const struct ek_review_log *log, uint64_t sample);

/* What all votes on a sample come to. */
enum ek_review_outcome {
	EK_REVIEW_OPEN,     /* nobody has judged it */
	EK_REVIEW_ACCEPTED, /* nobody rejects it, and more accept it than are unsure */
	EK_REVIEW_REJECTED, /* somebody rejects it, nobody accepts it */
	EK_REVIEW_DISPUTED, /* somebody accepts it, somebody rejects it */
	EK_REVIEW_UNSURE,   /* else */
	EK_REVIEW_OUTCOMES
};
const char *ek_review_outcome_name(enum ek_review_outcome outcome); /* "open", "accepted", … */
enum ek_review_outcome ek_review_log_outcome(const struct ek_review_log *log, uint64_t sample);
/* Of the samples 0 … samples-1. */
void ek_review_log_outcomes(uint64_t counts[EK_REVIEW_OUTCOMES], const struct ek_review_log *log, uint64_t samples);
/* How many standing decisions of each kind a reviewer has. */
void ek_review_log_tally(uint64_t counts[EK_VERDICTS], const struct ek_review_log *log, uint32_t reviewer);

/* Two reviewers over the samples that both have judged. */
struct ek_review_agreement {
	uint64_t both;                            /* samples */
	uint64_t table[EK_VERDICTS][EK_VERDICTS]; /* [verdict of the first, of the second] */
	double observed;                          /* share of samples with the same verdict; NaN if both is 0 */
	double kappa; /* Cohen (1960), three unordered categories: (observed - chance) / (1 - chance); NaN if both is 0
	                 or chance agreement is 1 (each said one thing only, the same), as scikit-learn has it */
};
void ek_review_log_agreement(struct ek_review_agreement *out, const struct ek_review_log *log, uint32_t first,
                             uint32_t second);

#endif
