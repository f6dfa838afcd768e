/*
 * The models of a run, as the report needs them: RUN/models/NAME/config.json with log.jsonl and the newest preview
 * (docs/files.md), in the order of their names. Internal to reports/.
 */
#ifndef EK_REPORTS_MODELS_H
#define EK_REPORTS_MODELS_H

#include "reports/documents.h"

/* A point of the loss curves. */
struct ek_log_point {
	double step, loss, held_out; /* held_out: NaN where it was not measured */
};
enum { EK_LOG_POINTS = 300 };

struct ek_model {
	char *name;
	cJSON *json;                 /* config.json */
	cJSON *last;                 /* the last line of log.jsonl; NULL: there is none */
	cJSON *judged;               /* the last line with a held-out loss; NULL: there is none */
	struct ek_log_point *points; /* [point_count], at most EK_LOG_POINTS */
	size_t point_count;
	char *preview; /* path of the newest preview, or NULL */
};

struct ek_models {
	struct ek_model *items;
	size_t count;
};

/* The first `full` models get points. A last line of log.jsonl without its newline is being written: left out. A model
 * of which a document, or a line of the log that is looked at, is damaged is not there, but in `left_out`
 * (ek_leave_out). Release in any case. */
int ek_models_load(struct ek_models *models, struct ek_buffer *left_out, const struct ek_run *run, size_t full);
void ek_models_release(struct ek_models *models);
/* The model called `name` (may be NULL), or NULL. */
const struct ek_model *ek_models_find(const struct ek_models *models, const char *name);

/* Is it a generator, not an autoencoder? */
int ek_model_is_generator(const struct ek_model *model);
/* What it learned from: its subset, its weights; NULL where it has none. */
const char *ek_model_subset(const struct ek_model *model);
const char *ek_model_weights(const struct ek_model *model);

/* Thin to at most `most` points: the mean loss of each group of neighbours at its last step, and the last held-out loss
 * measured in it. Returns how many are left. */
size_t ek_log_thin(struct ek_log_point *points, size_t count, size_t most);

#endif
