/*
 * RUN/samples/NAME while `generate` makes it: in RUN/samples/.NAME.new, which takes its place once it is whole, so that
 * a set is of one command from end to end. A stopped command leaves its work there, with its own config.json; the same
 * command goes on with it, forced or not, and what was in RUN/samples/NAME before stays until then.
 */
#ifndef EK_PIPELINE_SAMPLES_FOLDER_H
#define EK_PIPELINE_SAMPLES_FOLDER_H

#include "rebalance/base/json.h"
#include "rebalance/io/folder.h"

struct ek_samples_folder {
	struct ek_folder place; /* place.fresh is where to write */
	uint64_t done;          /* images that are there, the first ones */
	int whole;              /* all is there, in place.path: nothing is to be made */
};

enum ek_samples_before {
	EK_SAMPLES_KEPT,  /* what is in `path` is gone on with */
	EK_SAMPLES_STALE, /* it is not what this config makes any more, and is made anew */
	EK_SAMPLES_FORCED /* whatever it is, it is made anew */
};

/* What is to be in `path`, RUN/samples/NAME: config: of these samples; count images; with latents.npy or without.
 * EK_EUSAGE: `path` or its new place hold samples of another config, unless forced; or files that are not ours. Close
 * in any case. */
int ek_samples_folder_open(struct ek_samples_folder *folder, const char *path, const cJSON *config, uint64_t count,
                           int latents, enum ek_samples_before before);
/* All is there: put it in its place. */
int ek_samples_folder_publish(struct ek_samples_folder *folder);
/* What was not published stays where it is. */
void ek_samples_folder_close(struct ek_samples_folder *folder);

#endif
