/* Options that `train vae` and `train flow` have in common, and what they print. */
#ifndef EK_CLI_TRAINING_OPTIONS_H
#define EK_CLI_TRAINING_OPTIONS_H

#include "rebalance/cli/command.h"
#include "rebalance/pipeline/training.h"

/* Over struct ek_training_options, at the beginning of the training's own. */
extern const struct ek_option ek_training_first[], ek_training_last[];
/* Two that are not quite the same for every training. */
#define EK_TRAINING_FLIP_ROW(text)                                                                                     \
	{                                                                                                              \
		.name = "flip", .kind = EK_KIND_FLAG, EK_FIELD(struct ek_training_options, flip), .help = text         \
	}
#define EK_TRAINING_FROM_ROW(value, text)                                                                              \
	{                                                                                                              \
		.name = "from", .kind = EK_KIND_PATH, EK_FIELD(struct ek_training_options, from), .argument = value,   \
		.help = text                                                                                           \
	}

/* What it would take, or what came out. */
int ek_training_print(const struct ek_training_result *result, const char *name, int json);
#endif
