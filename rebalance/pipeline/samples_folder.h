/*
 * RUN/samples/NAME while `generate` makes it: in RUN/samples/.NAME.new, which takes its place once it is whole, so that
 * a set is of one command from end to end. A stopped command leaves its work there, with step.json, what run.json will
 * say of it; the same command goes on with it, forced or not, unless an input is another by then, and what was in
 * RUN/samples/NAME before stays until then.
 */
#ifndef EK_PIPELINE_SAMPLES_FOLDER_H
#define EK_PIPELINE_SAMPLES_FOLDER_H

#include "rebalance/io/folder.h"
#include "rebalance/io/run.h"

struct ek_samples_folder {
	struct ek_folder place; /* place.fresh is where to write */
	uint64_t done;          /* images that are there, the first ones */
	int whole;              /* all is there, in place.path: nothing is to be made */
	int stale;              /* what is there is of the same options, but not what they make any more */
	char why[256];          /* not whole */
};

struct ek_samples_wish {
	const struct ek_step *step; /* its options are config.json */
	uint64_t count;
	int latents; /* with latents.npy */
	int force;   /* whatever is there, it is made anew */
};

/* The config.json of what was begun for `path`, else, unless that is to be made anew, of what is there; NULL: neither.
 * cJSON_Delete it. */
int ek_samples_folder_config(cJSON **config, const char *path, int anew);

/* What is to be in `path`, RUN/samples/NAME: gone on with where it is what the step makes, made anew where an input or
 * an output has changed. EK_EUSAGE: `path` or its new place hold samples of other options, unless forced; or files that
 * are not ours. Close in any case. */
int ek_samples_folder_open(struct ek_samples_folder *folder, struct ek_run *run, const char *path,
                           const struct ek_samples_wish *wish);
/* All is there: put it in its place. The step is to be recorded then. */
int ek_samples_folder_publish(struct ek_samples_folder *folder, struct ek_run *run, const char *step);
/* What was not published stays where it is. */
void ek_samples_folder_close(struct ek_samples_folder *folder);

#endif
