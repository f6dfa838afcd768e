/* What config.json says of a generator, so that `generate` makes the same network again. */
#ifndef EK_PIPELINE_FLOW_MODEL_H
#define EK_PIPELINE_FLOW_MODEL_H

#include "rebalance/pipeline/option.h"
#include "train/flow/flow_task.h"
#include "train/flow/solver.h"

/* Choices in the order of the enums of train/flow. */
extern const struct ek_choice ek_flow_objectives[], ek_flow_paths[], ek_flow_predictions[], ek_flow_weightings[],
	ek_flow_times[], ek_flow_solvers[];

struct ek_flow_description {
	struct ek_sit_config model;
	struct ek_objective objective;
	const char *autoencoder; /* folder, as the run keeps it (kept_path.h); NULL: pixels */
	int image_side;
	const char *condition;
	char *const *names; /* [classes] of the condition */
	int classes;
	int label; /* of every image, without a condition: 0, or a public network's for none */
};

/* `*config` = a new object that says it. */
int ek_flow_describe(cJSON **config, const struct ek_flow_description *description);
/* The other way; strings belong to `config`, names to the caller (free the array). EK_EDATA. */
int ek_flow_read(struct ek_flow_description *description, const cJSON *config, const char *where);

/*
 * What a public network in a weight file is, as a new object that ek_flow_read reads: its labels, by number, are the
 * classes. A SiT is taken to have been trained as its public code does by default, for the velocity along the linear
 * path; a DiT, which no tensor tells from it, for `objective` EK_OBJECTIVE_DIFFUSION.
 */
int ek_flow_describe_file(cJSON **config, const struct ek_tensor_file *file, enum ek_objective_kind objective);

/* The usual solver for an objective, without guidance. */
void ek_flow_solver_default(struct ek_solver_options *solver, const struct ek_objective *objective, int steps);

#endif
