/* What can be known of a path, for `evenkeel info`. */
#ifndef EK_PIPELINE_ABOUT_H
#define EK_PIPELINE_ABOUT_H

#include "rebalance/io/layout.h"
#include "rebalance/io/run.h"
#include "rebalance/pipeline/steps.h"

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
	char *damage; /* of the document or the file of a run, in words; NULL: none was found */
};

/*
 * What a run has from outside is looked at, too (outside.h), so that what is stale by it is told. steps: those of the
 * last time are put into it (steps.h). EK_EUSAGE: nothing that the program writes or reads; EK_EDATA: damaged, and not
 * of a step that a run records; EK_EIO, EK_ENOMEM. Release in any case.
 */
int ek_do_info(struct ek_about *about, const char *path, struct ek_steps_options *steps);
void ek_about_release(struct ek_about *about);

/* EK_EUSAGE: the path of a result is one that a run keeps for what it holds itself. Before any work; what is wrong with
 * the path otherwise, whoever writes there will say. */
int ek_about_check_output(const char *path);

/* A file or folder in a folder of a run or an export. */
struct ek_about_child {
	const char *text;   /* what it is; NULL: nothing that is known */
	const char *step;   /* that wrote it, or NULL */
	int current;        /* with a step */
	const char *reason; /* why not; the run's, valid until the next call */
};
int ek_about_child(struct ek_about_child *child, const struct ek_about *about, const char *name);

/* Is what a recorded step made current, deep as ek_run_is_unchanged looks? */
int ek_about_is_current(int *current, const char **reason, const struct ek_about *about, const cJSON *step);
/* `*state`, to be freed: has what an export was made from changed since? In words; NULL: it is no export. */
int ek_about_export(char **state, const struct ek_about *about);
/* `*out` = all of it, to be deleted, also after a failure; of a run its run.json. */
int ek_about_json(cJSON **out, const struct ek_about *about);

#endif
