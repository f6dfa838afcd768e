/* The inside of training: what training.c asks of training_step.c, and what it is told. */
#ifndef EK_PIPELINE_TRAINING_INTERNAL_H
#define EK_PIPELINE_TRAINING_INTERNAL_H

#include "rebalance/base/hash.h"
#include "rebalance/pipeline/training.h"

enum { EK_TRAINING_PLANS = 5 };

/* Plans that the training is made from, as the run names files; to be freed, also after a failure. Not all are set. */
int ek_training_plans(char *files[EK_TRAINING_PLANS], const struct ek_training_job *job);
/* RUN/models/NAME/config.json, of a training that is new, begun anew, or gone on with; and the step is recorded.
 * identity: of the training that its checkpoints have. EK_EUSAGE: it is another. */
int ek_training_begin(char identity[EK_SHA256_HEX], const struct ek_training_job *job, const char *folder);

#endif
