/* What `train vae` and `train flow` have in common: options, the feed, the folder of the model, and the end. */
#ifndef EK_CLI_TRAINING_H
#define EK_CLI_TRAINING_H

#include "rebalance/cli/command.h"
#include "rebalance/cli/feed.h"
#include "train/nn/tensor.h"

struct ek_training_wish {
	const char *name, *subset, *weights, *loss_weights, *time_limit, *checkpoint_every, *from;
	int64_t steps, batch, warmup, log_every, keep, slice;
	double epochs, rate, decay, average, clip, validate;
	int schedule, precision, dry_run, flip, recompute;
};

/* Choices in the order of enum ek_schedule and enum ek_nn_precision. */
extern const struct ek_choice ek_schedules[], ek_precisions[];

/* What --help says of options that are not quite the same for every training. */
struct ek_training_words {
	const char *flip, *from_argument, *from;
};

/* Sets the defaults, and fills settings->own_options with what every training has, around `own`. */
void ek_training_options(struct ek_settings *settings, struct ek_training_wish *wish, const struct ek_option *own,
                         const struct ek_training_words *words);

/* `*seconds` of "90", "90s", "10m", "2h", "1d". EK_EUSAGE. `option` is for the message. */
int ek_parse_duration(double *seconds, const char *text, const char *option);

/* RUN/models/NAME, made if it is not there; a name that is none is EK_EUSAGE. */
int ek_training_folder(char **folder, const struct ek_run *run, const char *name);

/* The first member of `config` that the file `path` has otherwise, as "training.rate"; "" if none. The file may have
 * more. */
int ek_config_difference(char *out, size_t size, const cJSON *config, const char *path);

/* Where the training starts from, with --from, as the run keeps it: "from". */
int ek_training_add_from(cJSON *config, const struct ek_run *run, const struct ek_training_wish *wish);

/* One model in training. */
struct ek_training_job {
	struct ek_run *run;
	const struct ek_training_wish *wish;
	const struct ek_task *task;
	struct ek_feed *feed;
	double rate; /* what `auto` comes to */
	/* Object: what the model is and is made from. Every member changes the result; "identity" and what can be
	 * extended is added. */
	cJSON *config;
	const float *start;
	const int32_t *groups; /* of each image, for the log; NULL: none */
	int group_count;
	double flops;   /* forward, of one image */
	uint64_t bytes; /* of nets, states and caches */
	int by_cluster; /* conditioned on clusters */
	int json, force, wordless;
};

/* Writes config.json, trains, and prints what came out; or with --dry-run prints what it would take. */
int ek_training_do(const struct ek_training_job *job);
/* What the last --dry-run of this process expected a training of so many steps to take; NaN: there was none. */
double ek_training_expected_seconds(void);

#endif
