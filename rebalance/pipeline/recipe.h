/*
 * Recipes of prune, balance and weights. A file that is there is replayed: its options count as
 * given, but those that were given win. One that is not is written when the plan is made:
 *
 *	{"evenkeel": version, "command": "prune", "options": {"method": "furthest", …, "seed": 0},
 *	 "steps": {"seed": 0, "embed": {…}, "components": {…}, "cluster": {…}, "groups": {…}}}
 *
 * "steps" is how that was made which the plan is made from, and is replayed too, so that the plan is the same: of a
 *plan by groups also the labels, or words, that taught them. Not there if the plan needs none. Embeddings of the user's
 *own are data, not options: "embed" is then left out.
 */
#ifndef EK_PIPELINE_RECIPE_H
#define EK_PIPELINE_RECIPE_H

#include "rebalance/pipeline/steps.h"

/* Whose options a recipe has. */
struct ek_recipe {
	const char *file;           /* absolute; NULL: none is asked for */
	const char *command;        /* "prune" */
	struct ek_option_table own; /* of the command */
	struct ek_steps_options *steps;
	int64_t *seed; /* of what the command makes */
	int seed_given;
	struct ek_strings *strings; /* keep what is read */
	/* What ek_do_replay found. */
	int replayed;
	int has_steps; /* 1: it says how the clusters were made */
	int64_t steps_seed;
};

/* Before the command: replay the recipe, if it is there: what was not given gets its values, and counts as given; or
 * see that it can be written. EK_EDATA, beginning with its name: what is wrong in it. EK_EUSAGE: nothing to write. */
int ek_do_replay(struct ek_recipe *recipe);
/* After it: write the recipe, if one is asked for and was not replayed. plan: the step that made the plan ("subset
 * NAME"), as run.json records it. */
int ek_do_recipe(const struct ek_recipe *recipe, const struct ek_run *run, const char *plan);

#endif
