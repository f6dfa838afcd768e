/* Samples of a generator, written to RUN/samples/NAME. */
#ifndef EK_PIPELINE_GENERATE_H
#define EK_PIPELINE_GENERATE_H

#include "rebalance/pipeline/generate_classes.h"
#include "rebalance/pipeline/option.h"

/* 0: by the objective of the model; then in the order of enum ek_solver. */
extern const struct ek_choice ek_generate_solvers[];

struct ek_generate_options {
	const char *model;       /* of the run, or a public file */
	const char *name;        /* of the samples */
	const char *interval;    /* of guidance: "0.2,0.8", or NULL */
	const char *autoencoder; /* of a public file for latents, or NULL */
	struct ek_class_wish classes;
	int solver, latents, precision;
	int64_t steps, guided_channels;
	int64_t batch; /* 0: that of samples of this name that are there, else by the device */
	double guidance, relative, absolute;
	int64_t seed;
	int force; /* samples of this name are made anew */
};
extern const struct ek_generate_options ek_generate_default;

struct ek_generated {
	char *folder;  /* RUN/samples/NAME */
	cJSON *config; /* its config.json */
	struct ek_classes classes;
	struct ek_flow_description model; /* texts belong to what follows */
	cJSON *model_config;
	uint64_t model_step;
	int is_file; /* 1: of a public file */
};

/* Make the samples, or go on where it was. The run must be open for writing. Release in any case. EK_EUSAGE: no such
 * model, options that do not fit it, or samples of this name that are others; EK_EDATA, EK_EIO, EK_ENOMEM;
 * EK_EINTERRUPTED: what was made so far stays. */
int ek_do_generate(struct ek_generated *out, struct ek_run *run, const struct ek_generate_options *options);
void ek_generated_release(struct ek_generated *generated);

#endif
