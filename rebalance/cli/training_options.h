/* Options that `train vae` and `train flow` have in common, and what they print. */
#ifndef EK_CLI_TRAINING_OPTIONS_H
#define EK_CLI_TRAINING_OPTIONS_H

#include "rebalance/cli/command.h"
#include "rebalance/pipeline/training.h"

/* What --help says of options that are not quite the same for every training. */
struct ek_training_words {
	const char *flip, *from_argument, *from;
};

/* Sets the defaults, and fills settings->own_options with what every training has, around `own`. */
void ek_training_rows(struct ek_settings *settings, struct ek_training_options *wish, const struct ek_option *own,
                      const struct ek_training_words *words);
/* What it would take, or what came out. */
int ek_training_print(const struct ek_training_result *result, const char *name, int json);
/* What the last --dry-run of this process expected a training of so many steps to take; NaN: there was none. */
double ek_training_expected_seconds(void);

#endif
