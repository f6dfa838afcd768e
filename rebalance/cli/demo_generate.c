#include "rebalance/cli/demo_generate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/cli/command.h"

enum { WORDS_MOST = 48 };

/* Both generators learn for the same number of steps, whatever the clock says: else what is compared is the machine. */
#define GENERATOR                                                                                                      \
	"--autoencoder autoencoder --condition cluster --width 128 --depth 4 --patch 1 --rate 2e-3 --steps STEPS"
#define SAMPLES "--count 1000 --steps 40 --guidance 1.5"
/* 10,000 photographs, as many of each class, that no step before has seen. */
#define REFERENCE "--target uniform --reference /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"

/*
 * The commands; RUN stands for the run, STEPS for the steps of a generator. Every model makes three times as many
 * samples from other seeds, so that the evaluation knows how much chance does.
 */
static const struct {
	const char *line;
	int seconds; /* that it takes on two cores, for the time left; of a generator with EK_DEMO_STEPS */
	int seed;    /* added to the demo's */
} commands[] = {
	{ "train vae RUN --name autoencoder --widths 16,32,64 --groups 8 --side 28 --rate 2e-3 --perceptual 0.1 "
	  "--steps 1000",
	  96, 0 },
	{ "train flow RUN --name natural " GENERATOR, 150, 0 },
	{ "train flow RUN --name weighted --weights inverse " GENERATOR, 150, 0 },
	{ "generate RUN --model natural --name natural-1 " SAMPLES, 20, 1 },
	{ "generate RUN --model natural --name natural-2 " SAMPLES, 20, 2 },
	{ "generate RUN --model natural --name natural-3 " SAMPLES, 20, 3 },
	{ "generate RUN --model natural --name natural-equal-1 --equal " SAMPLES, 20, 1 },
	{ "generate RUN --model natural --name natural-equal-2 --equal " SAMPLES, 20, 2 },
	{ "generate RUN --model natural --name natural-equal-3 --equal " SAMPLES, 20, 3 },
	{ "generate RUN --model weighted --name weighted-1 --equal " SAMPLES, 20, 1 },
	{ "generate RUN --model weighted --name weighted-2 --equal " SAMPLES, 20, 2 },
	{ "generate RUN --model weighted --name weighted-3 --equal " SAMPLES, 20, 3 },
	{ "evaluate RUN --samples natural-1,natural-2,natural-3 --name natural " REFERENCE, 30, 0 },
	{ "evaluate RUN --samples natural-equal-1,natural-equal-2,natural-equal-3 --name natural-equal " REFERENCE, 20,
	  0 },
	{ "evaluate RUN --samples weighted-1,weighted-2,weighted-3 --name weighted " REFERENCE, 20, 0 },
	{ "compare RUN", 1, 0 },
	{ "report RUN", 5, 0 },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* What the words in capitals stand for, and what all commands are told. */
struct told {
	char run[4096], steps[32];
	double scale; /* of the time that a generator takes */
	uint64_t seed;
	int quiet, wordless;
};

static double seconds_of(const struct told *t, size_t at)
{
	return commands[at].seconds * (strstr(commands[at].line, "STEPS") != NULL ? t->scale : 1);
}

/* Cut `text` at its spaces. */
static int split(char *text, char **words, struct told *t)
{
	int count = 0;

	for (char *word = strtok_r(text, " ", &text); word != NULL && count < WORDS_MOST;
	     word = strtok_r(NULL, " ", &text))
		words[count++] = strcmp(word, "RUN") == 0 ? t->run : strcmp(word, "STEPS") == 0 ? t->steps : word;
	return count;
}

/* The place in the whole, and a guess of what is left at the pace so far. */
static void print_heading(const struct told *t, size_t at, char *const *words, int count, double pace)
{
	double left = 0;

	for (size_t i = at; i < COMMANDS; i++)
		left += pace * seconds_of(t, i);
	(void)printf("\n[%zu of %d, about %.0f min left] evenkeel", at + 1, COMMANDS, ceil(left / 60));
	for (int i = 0; i < count; i++)
		(void)printf(" %s", words[i]);
	(void)printf("\n");
	(void)fflush(stdout);
}

static int run_one(struct told *t, size_t at, double pace)
{
	const struct ek_command *command;
	char *text = NULL, *words[WORDS_MOST + 4], seed_word[] = "--seed", seed[32], quiet_word[] = "--quiet";
	int count, used, rc;

	EK_TRY(ek_copy_string(&text, commands[at].line));
	count = split(text, words, t);
	if (!t->wordless)
		print_heading(t, at, words, count, pace);
	(void)snprintf(seed, sizeof seed, "%" PRIu64, t->seed + (uint64_t)commands[at].seed);
	words[count++] = seed_word;
	words[count++] = seed;
	if (t->quiet)
		words[count++] = quiet_word;
	EK_TRY(ek_command_of_words(&command, &used, (const char *const *)words, count));
	/* What stands before the options takes the place of the program's name. */
	EK_TRY(ek_command_invoke(command, count - used + 1, words + used - 1, t->wordless));
out:
	free(text);
	return rc;
}

int ek_demo_generate(const char *run, uint64_t steps, uint64_t seed, int quiet, int wordless)
{
	struct told t = { .scale = (double)steps / EK_DEMO_STEPS, .seed = seed, .quiet = quiet, .wordless = wordless };
	double spent = 0, expected = 0; /* by the commands that had something to do */
	int rc = 0;

	(void)snprintf(t.run, sizeof t.run, "%s", run);
	(void)snprintf(t.steps, sizeof t.steps, "%" PRIu64, steps);
	for (size_t i = 0; i < COMMANDS; i++) {
		const double begin = ek_clock();
		double seconds;

		EK_TRY(run_one(&t, i, expected > 0 ? spent / expected : 1));
		seconds = ek_clock() - begin;
		if (seconds > 0.2 * seconds_of(&t, i)) {
			spent += seconds;
			expected += seconds_of(&t, i);
		}
	}
out:
	return rc;
}
