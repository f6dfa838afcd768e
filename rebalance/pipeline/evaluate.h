/* Measuring generated images: how good they are, for whom, and whether they are copies (analysis/quality). */
#ifndef EK_PIPELINE_EVALUATE_H
#define EK_PIPELINE_EVALUATE_H

#include "rebalance/pipeline/steps.h"

/* Texts as the user says them; what they mean is in docs/evaluation.md. */
struct ek_do_evaluate_options {
	const char *samples, *name;
	const char *reference;       /* a path, or NULL */
	const char *statistics;      /* .npz to measure the Fréchet distance to, or NULL */
	const char *save_statistics; /* .npz to write, or NULL */
	const char *encoder, *weights;
	const char *target; /* "uniform", "training", "reference", a file, or NULL: chosen */
	const char *orders;
	int64_t k, subsets, subset_size, resamples, seed;
	int closed;
	int force; /* all of it, the features too, is made again */
};
extern const struct ek_do_evaluate_options ek_do_evaluate_default;

/* 0, or EK_EUSAGE: there is no encoder of this name. */
int ek_evaluate_check_encoder(const char *name);
/* What is given as a reference can be one, as far as that shows before any work. EK_EUSAGE, EK_EDATA, EK_EIO. */
int ek_evaluate_check_reference(const char *path);

/*
 * Bring the clusters up to date (`steps`: steps.h), and write RUN/evaluations/NAME.json unless it is there and current:
 * of these samples, as they are now. `*name`: its own, of the options. The run must be open for writing.
 * EK_EUSAGE: no such samples, or options that make no sense; EK_EDATA, EK_EIO, EK_ENOMEM; EK_EINTERRUPTED: embeddings
 * go on where they were.
 */
int ek_do_evaluate(const char **name, struct ek_run *run, struct ek_steps_options *steps,
                   const struct ek_do_evaluate_options *options);

#endif
