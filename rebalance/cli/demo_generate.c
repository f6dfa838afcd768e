#include "rebalance/cli/demo_generate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/cli/command.h"
#include "rebalance/pipeline/evaluate.h"
#include "rebalance/pipeline/generate.h"
#include "rebalance/pipeline/sweep_points.h"
#include "rebalance/pipeline/train_flow.h"
#include "rebalance/pipeline/train_vae.h"

/* 10,000 photographs, as many of each class, that no step before has seen. */
#define REFERENCE "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"

enum { VAE_STEPS = 1000, PRIOR = 30 }; /* PRIOR: seconds at the usual pace, so that short parts do not make one */

/*
 * The commands. Both generators learn for the same number of steps, whatever the clock says: else what is compared is
 * the machine. Every model makes three times as many samples from other seeds, so that the evaluation knows how much
 * chance does.
 */
static const struct part {
	const char *command, *name;
	const char *of; /* weights of a generator; model of samples; samples of an evaluation */
	int equal;      /* samples: as many of every class */
	int seed;       /* added to the demo's */
	int seconds;    /* that it takes on two cores, for the time left; of a generator with EK_DEMO_STEPS */
} parts[] = {
	{ "train vae", "autoencoder", NULL, 0, 0, 96 },
	{ "train flow", "natural", NULL, 0, 0, 150 },
	{ "train flow", "mended", "ten-labels", 0, 0, 150 },
	{ "generate", "natural-1", "natural", 0, 1, 20 },
	{ "generate", "natural-2", "natural", 0, 2, 20 },
	{ "generate", "natural-3", "natural", 0, 3, 20 },
	{ "generate", "natural-equal-1", "natural", 1, 1, 20 },
	{ "generate", "natural-equal-2", "natural", 1, 2, 20 },
	{ "generate", "natural-equal-3", "natural", 1, 3, 20 },
	{ "generate", "mended-1", "mended", 1, 1, 20 },
	{ "generate", "mended-2", "mended", 1, 2, 20 },
	{ "generate", "mended-3", "mended", 1, 3, 20 },
	{ "evaluate", "natural", "natural-1,natural-2,natural-3", 0, 0, 30 },
	{ "evaluate", "natural-equal", "natural-equal-1,natural-equal-2,natural-equal-3", 0, 0, 20 },
	{ "evaluate", "mended", "mended-1,mended-2,mended-3", 0, 0, 20 },
	{ "compare", NULL, NULL, 0, 0, 1 },
	{ "report", NULL, NULL, 0, 0, 5 },
};
enum { PARTS = sizeof parts / sizeof *parts };

static void fill_vae(struct ek_train_vae_options *o, const struct part *p)
{
	o->common.name = p->name;
	o->common.rate = 2e-3;
	o->common.steps = VAE_STEPS;
	o->widths = "16,32,64";
	o->groups = 8;
	o->side = 28;
	o->perceptual = 0.1;
}

static void fill_flow(struct ek_train_flow_options *o, const struct part *p, uint64_t steps)
{
	o->common.name = p->name;
	o->common.weights = p->of;
	o->common.rate = 2e-3;
	o->common.steps = (int64_t)steps;
	o->autoencoder = "autoencoder";
	o->condition = "group"; /* those that ten labels a class taught */
	o->width = 128;
	o->depth = 4;
	o->patch = 1;
}

static void fill_generate(struct ek_generate_options *o, const struct part *p)
{
	o->name = p->name;
	o->model = p->of;
	o->classes.equal = p->equal;
	o->classes.count = 1000;
	o->steps = 40;
	o->guidance = 1.5;
}

static void fill_evaluate(struct ek_do_evaluate_options *o, const struct part *p)
{
	o->name = p->name;
	o->samples = p->of;
	o->target = "reference"; /* as many of each class */
	o->reference = REFERENCE;
}

/* What all commands are told, and what each takes on two cores. */
struct told {
	const char *run;
	uint64_t steps, seed;
	int json;
	double seconds[PARTS];
};

/* Of a training, what is not done of its steps. */
static double seconds_of(const struct told *t, const struct part *p)
{
	const int is_flow = strcmp(p->command, "train flow") == 0;
	const uint64_t steps = is_flow ? t->steps : VAE_STEPS;
	uint64_t done;

	if (strncmp(p->command, "train ", 6) != 0)
		return p->seconds;
	if (ek_sweep_steps_before(&done, t->run, p->name, 0) < 0) /* which the training will tell */
		done = 0;
	return done < steps ? p->seconds * (double)(steps - done) / (is_flow ? EK_DEMO_STEPS : VAE_STEPS) : 0;
}

/* The place in the whole, and a guess of what is left at the pace so far. */
static int print_heading(const struct told *t, size_t at, const struct ek_invocation *i, double pace)
{
	struct ek_buffer words = { 0 };
	double left = 0;
	int rc;

	for (size_t k = at; k < PARTS; k++)
		left += pace * t->seconds[k];
	EK_TRY(ek_command_words(&words, i));
	(void)printf("\n[%zu of %d, about %.0f min left] %s\n", at + 1, PARTS, ceil(left / 60), words.data);
	(void)fflush(stdout);
out:
	ek_buffer_release(&words);
	return rc;
}

static int run_one(const struct told *t, size_t at, double pace)
{
	const struct part *p = &parts[at];
	struct ek_invocation i = { .command = ek_find_command(p->command) };
	const char *words[] = { t->run };
	void *own;
	int rc;

	EK_TRY(ek_settings_init(&i.settings, i.command));
	own = i.settings.own;
	if (strcmp(p->command, "train vae") == 0)
		fill_vae(own, p);
	else if (strcmp(p->command, "train flow") == 0)
		fill_flow(own, p, t->steps);
	else if (strcmp(p->command, "generate") == 0)
		fill_generate(own, p);
	else if (strcmp(p->command, "evaluate") == 0)
		fill_evaluate(own, p);
	i.settings.common.seed = i.settings.steps.seed = (int64_t)t->seed + p->seed;
	i.settings.common.silent = t->json;
	i.arguments = (struct ek_arguments){ .positional = words, .count = 1 };
	if (!t->json)
		EK_TRY(print_heading(t, at, &i, pace));
	EK_TRY(i.command->run(&i));
out:
	ek_settings_release(&i.settings);
	return rc;
}

int ek_demo_generate(const char *run, uint64_t steps, uint64_t seed, int json)
{
	struct told t = { .run = run, .steps = steps, .seed = seed, .json = json };
	double spent = PRIOR, expected = PRIOR; /* by the commands that had something to do */
	int rc = 0;

	for (size_t i = 0; i < PARTS; i++)
		t.seconds[i] = seconds_of(&t, &parts[i]);
	for (size_t i = 0; i < PARTS; i++) {
		double seconds = -ek_clock();

		EK_TRY(run_one(&t, i, spent / expected));
		seconds += ek_clock();
		if (seconds > 0.2 * t.seconds[i]) {
			spent += seconds;
			expected += t.seconds[i];
		}
	}
out:
	return rc;
}
