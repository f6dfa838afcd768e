/* A generator of the run as scores see it: its network with the parameters of a checkpoint, and the samples and labels
 * that it learns from. */
#ifndef EK_PIPELINE_SCORE_MODEL_H
#define EK_PIPELINE_SCORE_MODEL_H

#include "rebalance/pipeline/condition.h"
#include "rebalance/pipeline/flow_model.h"
#include "rebalance/pipeline/space.h"

struct ek_score_model {
	const char *name; /* the caller's */
	char *folder;     /* RUN/models/NAME */
	cJSON *config;    /* its config.json */
	const char *identity;
	struct ek_flow_description description; /* texts belong to config */
	uint64_t step;                          /* of the checkpoint; 0: none was asked for */
	struct ek_space space;
	struct ek_condition condition;
	struct ek_flow_task *flow;
	struct ek_task task;
	struct ek_store *store; /* EK_VALUES: the parameters, as they learn, not their average */
};

/* What is known without reading samples: config.json, and with `checkpoint` 0 the newest, else the step of that one;
 * with -1 none is looked for. EK_EUSAGE: no such model of the run, or no generator; no checkpoint. Release in any case,
 * must not be moved. */
int ek_score_model_find(struct ek_score_model *m, const struct ek_run *run, const char *name, int64_t checkpoint);

/* How it is used. */
struct ek_score_use {
	enum ek_flow_use use;
	enum ek_nn_precision precision;
	struct ek_grid grid;
	uint64_t images;
	int whole_draws; /* 1: the draws of an image lie in one slice */
	uint64_t batch;  /* of a training; 0: none is meant */
};
/* Samples and labels are opened, and the network made; nothing is in it. EK_EDATA: the samples or classes are not those
 * that the model was trained on: images have changed, or it is another run's. */
int ek_score_model_open(struct ek_score_model *m, struct ek_run *run, const struct ek_score_use *use);
/* Take the parameters of the checkpoint in `folder` of step m->step. */
int ek_score_model_load(struct ek_score_model *m, const char *folder);
/* Bytes of the network at work. */
uint64_t ek_score_model_bytes(const struct ek_score_model *m);

void ek_score_model_release(struct ek_score_model *m);

#endif
