/* What config.json says of a generator, so that `generate` makes the same network again. */
#ifndef EK_CLI_FLOW_MODEL_H
#define EK_CLI_FLOW_MODEL_H

#include "rebalance/cli/options.h"
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
};

/* `*config` = a new object that says it. */
int ek_flow_describe(cJSON **config, const struct ek_flow_description *description);
/* The other way; strings belong to `config`, names to the caller (free the array). EK_EDATA. */
int ek_flow_read(struct ek_flow_description *description, const cJSON *config, const char *where);

/* The usual solver for an objective, without guidance. */
void ek_flow_solver_default(struct ek_solver_options *solver, const struct ek_objective *objective, int steps);

#endif
