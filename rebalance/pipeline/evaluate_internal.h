/* The parts of `evenkeel evaluate`: what is asked for, and what the numbers belong to. */
#ifndef EK_PIPELINE_EVALUATE_INTERNAL_H
#define EK_PIPELINE_EVALUATE_INTERNAL_H

#include "analysis/quality/evaluation.h"
#include "rebalance/io/groups.h"
#include "rebalance/pipeline/evaluate.h"
#include "rebalance/pipeline/measured.h"

enum ek_reference_kind { EK_REFERENCE_HELD_OUT, EK_REFERENCE_TRAINING, EK_REFERENCE_PATH, EK_REFERENCE_STATISTICS };

enum { EK_EVALUATE_SETS = 64, EK_EVALUATE_ORDERS = 16 };

/* All that one evaluation is made of. */
struct ek_evaluate {
	struct ek_run *run;
	const struct ek_do_evaluate_options *wish;
	struct ek_frozen frozen;
	struct ek_feature_maker own, other;
	struct ek_spaces spaces;
	struct ek_features images; /* the run's, in the space that is measured in */

	struct ek_measured sets[EK_EVALUATE_SETS];
	size_t set_count;
	struct ek_evaluation_set set[EK_EVALUATE_SETS];
	struct ek_features pooled; /* of several sets */
	int32_t *pooled_cluster;
	int32_t *asked; /* or NULL */
	struct ek_seen seen;

	enum ek_reference_kind kind;
	struct ek_measured reference; /* EK_REFERENCE_PATH */
	int32_t *reference_cluster;   /* of the run's own images */
	struct ek_gaussian statistics;
	char statistics_hash[17];

	struct ek_closeness closeness; /* of the run's samples, where nothing else measures */
	float *logits;                 /* of FID-Inception, or NULL */
	struct ek_npy logits_array;

	/* Where the run has named groups: input.groups and what it points to. */
	struct ek_evaluation_groups by_group;
	struct ek_groups groups;
	double *group_training;
	float *group_generated, *group_reference;

	const char *target; /* its name, as in the file; the file's path */
	char *target_path;
	double *shares; /* [clusters] */
	double orders[EK_EVALUATE_ORDERS];
	size_t order_count;
	struct ek_evaluation_input input;
};

/* Everything found, embedded and assigned. EK_EUSAGE, EK_EDATA. Release in any case. */
int ek_evaluate_open(struct ek_evaluate *e, struct ek_run *run, const struct ek_do_evaluate_options *wish);
void ek_evaluate_release(struct ek_evaluate *e);
/* Of ek_evaluate_open: fill in input.groups, if the run has named groups; of ek_evaluate_release. */
int ek_evaluate_groups(struct ek_evaluate *e);
void ek_evaluate_groups_release(struct ek_evaluate *e);
/* Of ek_evaluate_open: fill in `target` and `shares`; before, those that a file wants. */
int ek_evaluate_target_file(struct ek_evaluate *e);
int ek_evaluate_target(struct ek_evaluate *e);
/* A path that starts at the root; to be freed. */
int ek_evaluate_absolute(char **out, const char *path);
/* Write what stands beside a run's samples, and take it over. */
int ek_evaluate_compare(struct ek_evaluate *e);

/* Add "name" … "seed": what the numbers belong to. */
int ek_evaluate_describe(cJSON *json, const struct ek_evaluate *e);
/* The options of the step "evaluation NAME": all that the file depends on but for the files of the run. */
int ek_evaluate_record(cJSON **out, const struct ek_evaluate *e);

#endif
