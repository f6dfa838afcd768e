/*
 * Checkpoints: RUN/models/NAME/step-00001234.safetensors with the parameters by name under model., their average under
 * ema., the optimizer's moments under optimizer.first. and optimizer.second., what else the task keeps under
 * state.task, the sums of a line of the log that is begun under state.log; state.step, state.seconds, state.identity;
 * and state.xxh64, the XXH64 of each of these, 0 bytes where there is none. Written atomically; readable by any
 * safetensors reader.
 */
#ifndef EK_LOOP_CHECKPOINT_H
#define EK_LOOP_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/io/tensors.h"
#include "train/nn/store.h"

struct ek_checkpoint_state {
	struct ek_store *store;
	float *extra; /* [extra_count] or NULL */
	double *log;  /* [log_count] or NULL */
	size_t extra_count, log_count;
	uint64_t step;
	double seconds;
};

/* What is checked to be what was written: all of it, or the average alone. */
enum ek_checkpoint_use { EK_CHECKPOINT_WHOLE, EK_CHECKPOINT_AVERAGE };

/* Open the newest checkpoint of a folder that is not damaged; those that are, are warned of. 1: `file` is to be closed;
 * 0: there is none, nor was there one. EK_EDATA: all are damaged, or gone. EK_EIO. */
int ek_checkpoint_open(struct ek_tensor_file *file, uint64_t *step, const char *folder, enum ek_checkpoint_use use);

/* That of a step. EK_EUSAGE: there is none, with those there are; EK_EDATA. */
int ek_checkpoint_open_at(struct ek_tensor_file *file, uint64_t step, const char *folder, enum ek_checkpoint_use use);

/* Remove checkpoints after `step` and all but the `kept` newest of the others; previews after `step`. */
int ek_checkpoints_keep(const char *folder, uint64_t step, int kept);
int ek_previews_keep(const char *folder, uint64_t step);
/* Remove what a killed training left unfinished in its folder. */
int ek_checkpoints_clean(const char *folder);

/* EK_EIO. */
int ek_checkpoint_write(const char *folder, const struct ek_params *params, const struct ek_checkpoint_state *s,
                        const char *identity);
/* The same, of copies of the store's arrays, [EK_CHECKPOINT_ARRAYS, params->size] in the order of these families; NULL:
 * of the store's own. */
enum { EK_CHECKPOINT_ARRAYS = 4, EK_CHECKPOINT_AVERAGE_ARRAY = 1 };
extern const enum ek_family ek_checkpoint_families[EK_CHECKPOINT_ARRAYS];
int ek_checkpoint_write_arrays(const char *folder, const struct ek_params *params, const struct ek_checkpoint_state *s,
                               const float *arrays, const char *identity);

/* Writes checkpoints of a training on a thread of its own. */
struct ek_checkpoint_writer;
int ek_checkpoint_writer_new(struct ek_checkpoint_writer **out, const struct ek_params *params);
/* Waits for what was begun. */
void ek_checkpoint_writer_free(struct ek_checkpoint_writer *w);
/* Copies the state, which may change afterwards, and begins to write it; what was begun before has ended. folder,
 * identity: until then. EK_ENOMEM. */
int ek_checkpoint_begin(struct ek_checkpoint_writer *w, const char *folder, const struct ek_checkpoint_state *s,
                        const char *identity);
/* 1, once for each that was begun: it is written; its step, and its averages [params->size] until the next begins. 0:
 * nothing was begun, or, without `wait`, it is not written yet. What ek_checkpoint_write returns. */
int ek_checkpoint_end(struct ek_checkpoint_writer *w, int wait, uint64_t *step, const float **average);

/* EK_EDATA: a tensor that is missing, misshapen or not finite, named; or another identity than `identity`. The log's
 * sums stay as they are if the file has none of this number. */
int ek_checkpoint_read(const struct ek_tensor_file *file, const struct ek_params *params, struct ek_checkpoint_state *s,
                       const char *identity);

#endif
