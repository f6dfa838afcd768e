/* The inside of score: what its methods are told, and what they have in common. */
#ifndef EK_PIPELINE_SCORE_INTERNAL_H
#define EK_PIPELINE_SCORE_INTERNAL_H

#include "rebalance/pipeline/score.h"

enum { EK_SCORING_INPUTS = 16, EK_SCORING_REASONS = 8 };

/*
 * One scoring. `prepare` sets images, names what is read (ek_scoring_input) and adds to `json` all that changes the
 * result, choices made; `make` is only called if that is not current, and fills score, error, why and report.
 */
struct ek_scoring {
	struct ek_run *run;
	const struct ek_do_score_options *options; /* = &chosen */
	struct ek_do_score_options chosen;         /* what was asked for, choices made; `prepare` may make more */
	const struct ek_do_score_options *asked;
	int quiet; /* 1: another command needs them */
	const struct ek_score_method *method;
	uint64_t images;
	cJSON *json; /* of the step; owned */
	char *inputs[EK_SCORING_INPUTS + 1];
	int input_count;
	cJSON *report;        /* the method's own members of NAME.json; owned */
	float *score, *error; /* [images] NaN on entry to `make` */
	uint8_t *why;         /* [images] index into the reasons why an image is not scored */
	const char *reasons[EK_SCORING_REASONS];
	char *table; /* where NAME.csv goes, or NULL */
	void *own;   /* of the method */
};

/* A file of the run that the scores are made from. */
int ek_scoring_input(struct ek_scoring *scoring, const char *file);
/* From now on, or again: image `id` has no score, for this reason (static). */
void ek_scoring_leave_out(struct ek_scoring *scoring, uint64_t id, const char *reason);

/* Write what the scores come to (score_document.c). EK_EDATA: no image has one. */
int ek_scoring_save(const struct ek_scoring *scoring, const char *path);

/* The methods of score_probe.c and score_labels.c. */
int ek_score_probe_prepare(struct ek_scoring *scoring);
int ek_score_probe_make(struct ek_scoring *scoring);
int ek_score_distance_make(struct ek_scoring *scoring);
int ek_score_labels_prepare(struct ek_scoring *scoring);
int ek_score_labels_make(struct ek_scoring *scoring);
void ek_score_probe_release(struct ek_scoring *scoring);
/* Those of score_flow.c and score_moso.c. */
int ek_score_flow_prepare(struct ek_scoring *scoring);
int ek_score_flow_make(struct ek_scoring *scoring);
int ek_score_forgetting_prepare(struct ek_scoring *scoring);
int ek_score_forgetting_make(struct ek_scoring *scoring);
int ek_score_moso_prepare(struct ek_scoring *scoring);
int ek_score_moso_make(struct ek_scoring *scoring);
void ek_score_flow_release(struct ek_scoring *scoring);

#endif
