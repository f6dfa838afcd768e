/*
 * Checkpoints: RUN/models/NAME/step-00001234.safetensors with the parameters by name under model., their average under
 * ema., the optimizer's moments under optimizer.first. and optimizer.second., and what else the task keeps under
 * state.task; metadata: step, seconds, identity. Written atomically; readable by any safetensors reader.
 */
#ifndef EK_LOOP_CHECKPOINT_H
#define EK_LOOP_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/params.h"

struct ek_checkpoint_state {
	float *values, *average, *first, *second; /* [params->size] */
	float *extra;                             /* [extra_count] or NULL */
	size_t extra_count;
	uint64_t step;
	double seconds;
};

/* `*path` of the newest in the folder, to be freed, or NULL; others than the `kept` newest are removed if kept > 0. */
int ek_checkpoint_newest(char **path, uint64_t *step, const char *folder, int kept);

/* Remove what a killed training left unfinished in its folder. */
int ek_checkpoints_clean(const char *folder);
/* Remove all checkpoints of a folder. */
int ek_checkpoints_remove(const char *folder);

/* EK_EIO. */
int ek_checkpoint_write(const char *folder, const struct ek_params *params, const struct ek_checkpoint_state *s,
                        const char *identity);
/* EK_EDATA: a tensor that is missing, misshapen or not finite, named; or another identity than `identity`. */
int ek_checkpoint_read(const char *path, const struct ek_params *params, struct ek_checkpoint_state *s,
                       const char *identity);

#endif
