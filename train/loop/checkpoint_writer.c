#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "train/loop/checkpoint.h"

struct ek_checkpoint_writer {
	const struct ek_params *params;
	const char *folder, *identity;
	struct ek_checkpoint_state state; /* its log and extra are copies */
	float *arrays;                    /* [EK_CHECKPOINT_ARRAYS, params->size] */
	struct ek_beside writing;
};

int ek_checkpoint_writer_new(struct ek_checkpoint_writer **out, const struct ek_params *params)
{
	struct ek_checkpoint_writer *w = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&w, 1, sizeof *w));
	w->params = params;
	*out = w;
	w = NULL;
out:
	ek_checkpoint_writer_free(w);
	return rc;
}

void ek_checkpoint_writer_free(struct ek_checkpoint_writer *w)
{
	if (w == NULL)
		return;
	(void)ek_beside_end(&w->writing);
	free(w->state.log);
	free(w->state.extra);
	free(w->arrays);
	free(w);
}

static int write_it(void *context)
{
	struct ek_checkpoint_writer *w = context;

	return ek_checkpoint_write_arrays(w->folder, w->params, &w->state, w->arrays, w->identity);
}

/* The copies, made at the first time; a training's are all of one size. */
static int make_room(struct ek_checkpoint_writer *w, const struct ek_checkpoint_state *s)
{
	int rc = 0;

	if (w->arrays != NULL)
		return 0;
	if (s->log_count > 0)
		EK_TRY(ek_alloc(&w->state.log, s->log_count, sizeof *w->state.log));
	if (s->extra_count > 0)
		EK_TRY(ek_alloc(&w->state.extra, s->extra_count, sizeof *w->state.extra));
	EK_TRY(ek_alloc(&w->arrays, EK_CHECKPOINT_ARRAYS * w->params->size, sizeof *w->arrays));
out:
	return rc;
}

int ek_checkpoint_begin(struct ek_checkpoint_writer *w, const char *folder, const struct ek_checkpoint_state *s,
                        const char *identity)
{
	float *extra, *copied;
	double *log;
	int rc;

	EK_TRY(make_room(w, s));
	log = w->state.log;
	extra = w->state.extra;
	w->state = *s;
	w->state.log = log;
	w->state.extra = extra;
	if (s->log_count > 0)
		memcpy(log, s->log, s->log_count * sizeof *log);
	if (s->extra_count > 0)
		memcpy(extra, s->extra, s->extra_count * sizeof *extra);
	copied = w->arrays;
	for (int i = 0; i < EK_CHECKPOINT_ARRAYS; i++, copied += w->params->size)
		ek_store_read(s->store, ek_checkpoint_families[i], 0, w->params->size, copied);
	w->folder = folder;
	w->identity = identity;
	EK_TRY(ek_beside_begin(&w->writing, write_it, w));
out:
	return rc;
}

int ek_checkpoint_end(struct ek_checkpoint_writer *w, int wait, uint64_t *step, const float **average)
{
	int rc;

	if (!w->writing.begun || (!wait && !ek_beside_is_done(&w->writing)))
		return 0;
	EK_TRY(ek_beside_end(&w->writing));
	*step = w->state.step;
	*average = w->arrays + EK_CHECKPOINT_AVERAGE_ARRAY * w->params->size;
	rc = 1;
out:
	return rc;
}
