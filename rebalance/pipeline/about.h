/* What can be known of a path, for `evenkeel info`. */
#ifndef EK_PIPELINE_ABOUT_H
#define EK_PIPELINE_ABOUT_H

#include "rebalance/io/layout.h"
#include "rebalance/io/run.h"

struct ek_about {
	const char *path; /* as given */
	char *absolute;
	int is_folder;
	uint64_t bytes;
	enum ek_layout_place place;
	char *root;         /* the run or export that it is in, or NULL */
	const char *inside; /* its path in there; points into `absolute` */
	const struct ek_layout *file;
	struct ek_buffer format;
	struct ek_run *run;
	const cJSON *step; /* that wrote it; the run's */
	cJSON *document, *recipe;
};

/* EK_EUSAGE: nothing that the program writes or reads; EK_EDATA: damaged; EK_EIO, EK_ENOMEM. Release in any case. */
int ek_about_learn(struct ek_about *about, const char *path);
void ek_about_release(struct ek_about *about);

/* `*step` = the step that wrote `inside` of the run, by its row of the table, or NULL. */
int ek_about_step(const cJSON **step, const struct ek_about *about, const char *inside, const struct ek_layout *file);

#endif
