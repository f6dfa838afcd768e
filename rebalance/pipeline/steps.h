/*
 * The steps that lead from a data set to its report: scan, embed, components, cluster, stability, duplicates, audit,
 * report. Each is a row of a table: how it is prepared (every choice made, so that it is known what it would make) and
 * how it is done. It runs if what is on disk is not what it would make.
 *
 * What was asked for the last time is asked for again, where nothing else is said now: run.json keeps it, as the user
 * said it, by the rows of options below.
 */
#ifndef EK_PIPELINE_STEPS_H
#define EK_PIPELINE_STEPS_H

#include "rebalance/io/run.h"
#include "rebalance/pipeline/option.h"

enum ek_step_id {
	EK_STEP_SCAN,
	EK_STEP_EMBED,
	EK_STEP_COMPONENTS, /* left out unless views are asked for, or `needs_components` */
	EK_STEP_CLUSTER,
	EK_STEP_GROUPS, /* left out unless labels or words are given or groups asked for */
	EK_STEP_STABILITY,
	EK_STEP_DUPLICATES,
	EK_STEP_AUDIT,
	EK_STEP_REPORT,
	EK_STEP_COUNT,
	EK_STEP_END = EK_STEP_COUNT
};

/* What the steps can be told; --help says what each field means. Texts are the caller's, or kept in `strings`. */
struct ek_steps_options {
	int64_t seed;
	int seed_given; /* 1: `seed` counts, not that of the last time */
	int seed_kept;  /* 1: `seed` is that of the steps themselves, as a recipe says it, not of a plan made from them
	                 */
	int force;
	int needs_components; /* 1: whitened components are made even without views */
	struct {
		const char *attributes, *key;
		int64_t max_pixels;
		int check;      /* index into the choices: decode, header */
		int found_late; /* an image that only its header had vouched for is damaged: decode all */
		double held_out;
		struct ek_list include, exclude;
		const char *const *datasets; /* as given; NULL: those of the last time */
		int dataset_count;
	} scan;
	struct {
		int encoder, precision, storage; /* indexes into the choices */
		const char *weights, *embeddings;
		int64_t input_size; /* 0: auto */
	} embed;
	struct {
		int64_t views;
	} components;
	struct {
		int64_t clusters, iterations, redo, subsample; /* 0: auto, -, -, all; clusters -1: the default */
		int spherical, normalise;
		const char *hierarchy;
	} cluster;
	struct {
		const char *labels, *words, *text_weights;
		int64_t number; /* of groups without labels; 0: auto, -1: none are looked for */
		int labels_fit; /* 1: the images of the run, -1: they do not; 0: nobody has looked */
	} groups;
	struct {
		int64_t seeds, images; /* images 0: all */
	} stability;
	struct {
		const char *eps;
		int scope, order;
	} duplicates;
	struct {
		int64_t resamples;
		struct ek_list ranges; /* "age=0,10,20" each (rebalance/io/ranges.h) */
	} audit;
	uint64_t given[EK_STEP_COUNT]; /* bit i: row i of the step */
	struct ek_strings strings;
};

/* Rows over struct ek_steps_options, of each step. */
extern const struct ek_option *const ek_step_rows[EK_STEP_COUNT];
struct ek_option_table ek_step_table(struct ek_steps_options *options, enum ek_step_id id);

/* The defaults. Release in any case. */
void ek_steps_options_init(struct ek_steps_options *options);
void ek_steps_options_release(struct ek_steps_options *options);

const char *ek_step_name(enum ek_step_id id);  /* "embed" */
const char *ek_step_title(enum ek_step_id id); /* "Embedding": a heading */

/*
 * Bring the steps (ends with EK_STEP_END) of an open run up to date, in order. Options that were not given are those of
 * the last time, and are put into `options`. Says what it does and why. With options->force the last `forced` steps run
 * even if they are current. EK_EUSAGE, EK_EDATA, EK_EIO, EK_ENOMEM, EK_EINTERRUPTED, as the steps.
 */
int ek_steps_run(struct ek_run *run, struct ek_steps_options *options, const enum ek_step_id *steps, int forced);

/* The same for what a plan, a training or an evaluation is made from, the clusters or, without `clusters`, the list of
 * images alone: their seed stays what it was, unless seed_kept. */
int ek_steps_before(struct ek_run *run, struct ek_steps_options *options, int clusters);

/* The whitened components, by views if any were ever asked for, else by spread; likewise. */
int ek_steps_components(struct ek_run *run, struct ek_steps_options *options);

/* The groups, where any were ever asked for, or are now; likewise. */
int ek_steps_groups(struct ek_run *run, struct ek_steps_options *options);

/* Would the step scan list what it listed? `*reason` (of the run, until its next call) says why not. A data set that is
 * away is taken as it was, and so is a run without a scan. */
int ek_steps_scan_is_current(int *current, const char **reason, struct ek_run *run, struct ek_steps_options *options);

/* Is it a weight file, of any kind? For rows of options. EK_EIO, EK_EDATA. */
int ek_check_weights(const char *path);

/* Keep a list of paths, one a line, in the run, as a data set: `*path` = RUN/list.txt, to be freed. EK_EIO. */
int ek_steps_keep_list(char **path, const struct ek_run *run, const struct ek_buffer *list);

#endif
