/*
 * Recipes: `--recipe FILE.json` of prune, balance and weights. A file that is there is replayed: its options count as
 * given, but those of the command line win. One that is not is written when the plan is made:
 *
 *	{"evenkeel": version, "command": "prune", "options": {"method": "furthest", …, "seed": 0},
 *	 "steps": {"seed": 0, "embed": {…}, "cluster": {…}}}
 *
 * "steps" is how the clusters were made, and is replayed too, so that the plan is the same; not there if the plan needs
 * none. Embeddings of the user's own are data, not options: "embed" is then left out.
 */
#ifndef EK_CLI_RECIPE_H
#define EK_CLI_RECIPE_H

#include "rebalance/cli/command.h"

/* Before the command: replay the recipe, if one is given and there, or see that it can be written. EK_EDATA, beginning
 * with its name: what is wrong in it. */
int ek_recipe_replay(struct ek_invocation *invocation);
/* After it: write the recipe if one is asked for and was not replayed. from_clusters: 1: with how they were made. */
int ek_recipe_write(const struct ek_invocation *invocation, const struct ek_run *run, int from_clusters);

#endif
