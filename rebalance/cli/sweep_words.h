/* The words that a sweep passes on to the commands of its points. */
#ifndef EK_CLI_SWEEP_WORDS_H
#define EK_CLI_SWEEP_WORDS_H

#include "rebalance/cli/command.h"
#include "rebalance/pipeline/sweep.h"

/* A command of each point, with the options that the user passes on to it. */
struct ek_sweep_part {
	struct ek_settings settings;
	struct ek_arguments arguments;
	char *text; /* their words */
};

enum { EK_SWEEP_PARTS = 6 };
struct ek_sweep_words {
	struct ek_sweep_part parts[EK_SWEEP_PARTS];
};

/* Parse the words: they are known to their commands, and none is the sweep's own. The sweep's parts point to them.
 * EK_EUSAGE. Release in any case. */
int ek_sweep_words_open(struct ek_sweep_words *words, struct ek_sweep *sweep);
void ek_sweep_words_release(struct ek_sweep_words *words);

#endif
