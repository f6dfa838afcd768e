/* A sweep: what is asked for, its points, and what is done at each. */
#ifndef EK_CLI_SWEEP_H
#define EK_CLI_SWEEP_H

#include <stddef.h>

#include "rebalance/cli/command.h"
#include "rebalance/pipeline/sweep_points.h"

struct ek_sweep_wish {
	const char *methods, *keeps, *name, *autoencoder;
	const char *vae, *train, *generate, *evaluate, *score; /* more words for these commands, or NULL */
	int space, dry_run;
	int64_t seeds, steps, count, score_steps;
};

/* A command of each point, with the options that the user passes on to it. */
struct ek_sweep_part {
	struct ek_settings settings;
	struct ek_arguments arguments;
	char *text; /* their words */
};

struct ek_sweep {
	const char *run;
	const struct ek_settings *settings;
	const struct ek_sweep_wish *wish;
	struct ek_sweep_points points;
	struct ek_sweep_part prune, vae, train, score, generate, evaluate;
};

/* Parse the words that are passed on: they are known to their commands, and none is the sweep's own. EK_EUSAGE. Release
 * in any case. */
int ek_sweep_open(struct ek_sweep *s);
void ek_sweep_release(struct ek_sweep *s);
/* No point has samples of another number of steps, or a longer training, from a sweep before: it could not be set
 * beside the others. EK_EUSAGE names it. */
int ek_sweep_check_steps(const struct ek_sweep *s);
/* Train the autoencoder that all points share, or go on with it, unless it is finished or lies elsewhere. */
int ek_sweep_make_autoencoder(struct ek_sweep *s);
/* Prune, train flow, generate, evaluate: each goes on where it was, or does nothing. */
int ek_sweep_do_point(struct ek_sweep *s, const struct ek_sweep_point *p);
/* Seconds that one point trains, by a step of it; NaN, with a message, if that cannot be told. */
double ek_sweep_expected_training(struct ek_sweep *s);

#endif
