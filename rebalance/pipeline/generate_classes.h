/* Which classes the samples of `generate` are of. */
#ifndef EK_PIPELINE_GENERATE_CLASSES_H
#define EK_PIPELINE_GENERATE_CLASSES_H

#include "rebalance/pipeline/flow_model.h"
#include "rebalance/io/run.h"

struct ek_class_wish {
	const char *cluster, *names, *shares; /* at most one of these, minority and equal */
	int64_t count;
	int minority, equal;
};

struct ek_classes {
	uint64_t count;
	int32_t *labels;  /* [count], class after class */
	uint64_t *quotas; /* [classes of the model, at least 1] */
	int classes;
};

/* EK_EUSAGE: a class that the model does not know, or a model without a condition; EK_EDATA: no audit for --minority.
 */
int ek_classes_choose(struct ek_classes *classes, const struct ek_run *run, const struct ek_class_wish *wish,
                      const struct ek_flow_description *model, const char *model_name);
void ek_classes_release(struct ek_classes *classes);

/* seeds: [classes->count], of the samples' noise, below 2^53, so that JSON holds them. Sample n of a class has the same
 * whatever else is made with it; without a condition, sample n of all. */
void ek_classes_seeds(uint64_t *seeds, const struct ek_classes *classes, uint64_t seed,
                      const struct ek_flow_description *model);

/* Add "classes": {NAME: count} to an object; nothing without a condition. */
int ek_classes_describe(cJSON *config, const struct ek_classes *classes, const struct ek_flow_description *model);
/* Samples for a sheet, at most `most` (100 … 1,000): a row a class, or the first of all. Returns how many. */
uint64_t ek_classes_sheet(const struct ek_classes *classes, uint64_t most, uint64_t *chosen, uint64_t *columns);

#endif
