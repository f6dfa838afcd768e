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

/* Two cores take about half of the limits for these steps; they hold on slower machines. */
#define GENERATOR                                                                                                      \
	"--autoencoder autoencoder --condition cluster --width 128 --depth 4 --patch 1 --rate 2e-3 --steps 1400 "      \
	"--time-limit 3m"
#define SAMPLES "--count 1000 --steps 40 --guidance 1.5"
/* 10,000 photographs, as many of each class, that no step before has seen. */
#define REFERENCE "--target uniform --reference /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"

/*
 * The commands; RUN stands for the run. Every model makes three times as many samples from other seeds, so that the
 * evaluation knows how much chance does.
 */
static const struct {
	const char *line;
	int seconds; /* that it takes on two cores, for the time left */
	int seed;    /* added to the demo's */
} commands[] = {
	{ "train vae RUN --name autoencoder --widths 16,32,64 --groups 8 --side 28 --rate 2e-3 --perceptual 0.1 "
	  "--steps 1000 --time-limit 2m",
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

/* Cut `text` at its spaces. */
static int split(char *text, char **words)
{
	int count = 0;

	for (char *word = strtok_r(text, " ", &text); word != NULL && count < WORDS_MOST;
	     word = strtok_r(NULL, " ", &text))
		words[count++] = word;
	return count;
}

/* The place in the whole, and a guess of what is left at the pace so far. */
static void print_heading(size_t at, const char *run, double pace)
{
	const char *line = commands[at].line, *end = strstr(line, "RUN");
	double left = 0;

	for (size_t i = at; i < COMMANDS; i++)
		left += pace * commands[i].seconds;
	(void)printf("\n[%zu of %d, about %.0f min left] evenkeel %.*s%s%s\n", at + 1, COMMANDS, ceil(left / 60),
	             (int)(end - line), line, run, end + 3);
	(void)fflush(stdout);
}

static int run_one(const char *line, const char *run, uint64_t seed, int quiet, int wordless)
{
	char *text = NULL, *words[WORDS_MOST + 4], run_word[4096], seed_words[2][32] = { "--seed" },
	     quiet_word[] = "--quiet";
	const struct ek_command *command;
	int count, used, rc;

	EK_TRY(ek_copy_string(&text, line));
	count = split(text, words);
	(void)snprintf(run_word, sizeof run_word, "%s", run);
	(void)snprintf(seed_words[1], sizeof seed_words[1], "%" PRIu64, seed);
	for (int i = 0; i < count; i++)
		if (strcmp(words[i], "RUN") == 0)
			words[i] = run_word;
	words[count++] = seed_words[0];
	words[count++] = seed_words[1];
	if (quiet)
		words[count++] = quiet_word;
	EK_TRY(ek_command_of_words(&command, &used, (const char *const *)words, count));
	/* What stands before the options takes the place of the program's name. */
	EK_TRY(ek_command_invoke(command, count - used + 1, words + used - 1, wordless));
out:
	free(text);
	return rc;
}

int ek_demo_generate(const char *run, uint64_t seed, int quiet, int wordless)
{
	double spent = 0, expected = 0; /* by the commands that had something to do */
	int rc = 0;

	for (size_t i = 0; i < COMMANDS; i++) {
		const double begin = ek_clock();
		double seconds;

		if (!wordless)
			print_heading(i, run, expected > 0 ? spent / expected : 1);
		EK_TRY(run_one(commands[i].line, run, seed + (uint64_t)commands[i].seed, quiet, wordless));
		seconds = ek_clock() - begin;
		if (seconds > 0.2 * commands[i].seconds) {
			spent += seconds;
			expected += commands[i].seconds;
		}
	}
out:
	return rc;
}
