/*
 * The scores of a run, as the report needs them: RUN/scores/NAME.json with NAME.npy, and of label errors the worst rows
 * of NAME.csv (docs/files.md), in the order of their names. Internal to reports/.
 */
#ifndef EK_REPORTS_SCORES_H
#define EK_REPORTS_SCORES_H

#include "reports/documents.h"

/* A label that is likely wrong. */
struct ek_suspect {
	uint64_t id;
	char *label, *suggested;
	double probability, of_label; /* of the suggested one, of the given one */
};
enum { EK_SUSPECTS = 24 };

/* `*suspects` = the first rows, `most` of them, of RUN/scores/NAME.csv, the worst first, to be released; none where
 * there is no such file, or it is no table of label errors. EK_EDATA: a row of an image that is not there. */
int ek_suspects_load(struct ek_suspect **suspects, size_t *count, const struct ek_run *run, const char *name,
                     uint64_t images, size_t most);
void ek_suspects_release(struct ek_suspect *suspects, size_t count);

struct ek_score_set {
	char *name;
	cJSON *json;
	char *stale;     /* why it is not what would be made now, or NULL */
	uint64_t count;  /* images that have a score */
	uint64_t *order; /* [count] ids, the hardest first, ties by id; NULL: not loaded, or not of these images */
	float *rank;     /* [images] place in that order, ties share the mean of theirs; NaN: no score */
	struct ek_suspect *suspects; /* [suspect_count] the worst first */
	size_t suspect_count;
};

struct ek_scores {
	struct ek_score_set *items;
	size_t count;
};

/* The first `full` are loaded with their arrays; images: of the run. What is damaged is not there, but in `left_out`
 * (ek_leave_out). Release in any case. */
int ek_scores_load(struct ek_scores *scores, struct ek_buffer *left_out, struct ek_run *run, uint64_t images,
                   size_t full);
void ek_scores_release(struct ek_scores *scores);

/* 1: high scores are hard. */
int ek_score_is_falling(const struct ek_score_set *set);
/* order, rank: [n] of the numbers `values`, as above (rank: `falling`: the largest first); `*count` of them are none
 * NaN. EK_ENOMEM. */
int ek_score_order(uint64_t *order, float *rank, uint64_t *count, const float *values, uint64_t n, int falling);
/* `*r` = Spearman's rank correlation of two ranks [n], over what has both; NaN if it cannot be told. EK_ENOMEM. */
int ek_score_correlation(double *r, const float *a, const float *b, uint64_t n);

#endif
