/*
 * The steps from within: what each would make (`prepare`), and how (`make`), a row of a table each. steps.c runs them;
 * steps_scan.c, steps_cluster.c and steps_rows.c are the rows.
 */
#ifndef EK_PIPELINE_STEPS_INTERNAL_H
#define EK_PIPELINE_STEPS_INTERNAL_H

#include "analysis/cluster/choose.h"
#include "analysis/cluster/cluster.h"
#include "analysis/cluster/duplicates.h"
#include "analysis/cluster/stability.h"
#include "analysis/embed/embed.h"
#include "analysis/embed/import.h"
#include "analysis/skew/audit.h"
#include "rebalance/io/scan.h"
#include "rebalance/pipeline/components.h"
#include "rebalance/pipeline/groups.h"
#include "rebalance/pipeline/steps.h"

enum { EK_STEP_LEVELS = 8, EK_STEP_EPS = 16 };

/* A step made ready: what it would make is known, nothing is done yet. */
struct ek_prepared {
	struct ek_steps_options *asked;
	enum ek_step_id id;
	struct ek_step step;
	cJSON *options;         /* owned; what step.options points to, unless a module owns it */
	char **datasets;        /* owned: those of the last time; [dataset_count] */
	struct ek_embed *embed; /* owned: one of these two makes the embeddings */
	struct ek_import *import;
	struct ek_make_components components;
	struct ek_make_groups groups;
	char *tower; /* of groups; owned */
	struct ek_scan_options scan;
	struct ek_cluster_options cluster;
	struct ek_choice_of_k choice; /* of cluster.clusters, where nobody wished for a number */
	struct ek_audit_options audit;
	cJSON *ranges;                   /* of audit; owned */
	uint32_t levels[EK_STEP_LEVELS]; /* of cluster.hierarchy */
	struct ek_stability_options stability;
	const char **inputs; /* owned */
	struct ek_duplicates_options duplicates;
	double eps[EK_STEP_EPS]; /* of duplicates.eps */
};
void ek_prepared_release(struct ek_prepared *p);

struct ek_step_kind {
	const char *name, *title, *doing;
	int (*prepare)(struct ek_prepared *p, struct ek_run *run); /* fills p->step */
	int (*make)(void *prepared, struct ek_run *run, cJSON *counts);
	int (*is_current)(int *current, const char **reason, void *prepared, struct ek_run *run,
	                  const struct ek_step *step);
	int records; /* both as in struct ek_work */
};
extern const struct ek_step_kind ek_step_kinds[EK_STEP_COUNT];

/* The numbers and names of the document that a step wrote. */
int ek_step_take_counts(cJSON *counts, const struct ek_run *run, const char *document);

/* steps_scan.c */
extern const char ek_scan_where[]; /* for messages */
int ek_prepare_scan(struct ek_prepared *p, struct ek_run *run);
int ek_make_scan(void *prepared, struct ek_run *run, cJSON *counts);
int ek_prepared_scan_is_current(int *current, const char **reason, void *prepared, struct ek_run *run,
                                const struct ek_step *step);
/* 1: the scan looked at headers only. */
int ek_scan_was_by_headers(const struct ek_run *run);

/* steps_cluster.c */
/* 0 x 0 without embeddings. */
void ek_embeddings_size(uint64_t *rows, size_t *dimensions, const struct ek_run *run);
int ek_prepare_levels(struct ek_prepared *p, const char *text); /* "10000,500,24" */
int ek_prepare_cluster(struct ek_prepared *p, struct ek_run *run);
int ek_make_cluster(void *prepared, struct ek_run *run, cJSON *counts);
int ek_prepare_stability(struct ek_prepared *p, struct ek_run *run);
int ek_make_stability(void *prepared, struct ek_run *run, cJSON *counts);

/* steps_rows.c */
int ek_prepare_eps(struct ek_prepared *p, const char *text); /* "0.01,0.03" */
int ek_groups_name_found(const struct ek_steps_options *s);  /* 1: words are given to name groups that are found */

#endif
