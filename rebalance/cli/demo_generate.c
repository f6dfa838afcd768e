#include "rebalance/cli/demo_generate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/cli/command.h"

enum { WORDS_MOST = 48 };

/* Two cores take 96 and 76 s for these steps; the times hold on slower machines. */
#define GENERATOR                                                                                                      \
	"--autoencoder autoencoder --condition cluster --width 128 --depth 4 --patch 1 --rate 2e-3 --steps 700 "       \
	"--time-limit 3m"

/* RUN stands for the run. */
static const char *const commands[] = {
	"train vae RUN --name autoencoder --widths 16,32,64 --groups 8 --side 28 --rate 2e-3 --perceptual 0.1 "
	"--steps 1000 --time-limit 2m",
	"train flow RUN --name natural " GENERATOR,
	"train flow RUN --name weighted --weights inverse " GENERATOR,
	"generate RUN --model natural --name natural --count 240 --steps 40 --guidance 1.5",
	"generate RUN --model weighted --name weighted --count 240 --steps 40 --guidance 1.5",
	"generate RUN --model natural --name natural-minority --minority --count 50 --steps 40 --guidance 1.5",
	"generate RUN --model weighted --name weighted-minority --minority --count 50 --steps 40 --guidance 1.5",
};

/* Cut `text` at its spaces. */
static int split(char *text, char **words)
{
	int count = 0;

	for (char *word = strtok_r(text, " ", &text); word != NULL && count < WORDS_MOST;
	     word = strtok_r(NULL, " ", &text))
		words[count++] = word;
	return count;
}

static int run_one(const char *line, const char *run, const char *seed, int quiet, int wordless)
{
	char *text = NULL, *words[WORDS_MOST + 4], run_word[4096], seed_words[2][32] = { "--seed" },
	     quiet_word[] = "--quiet";
	const struct ek_command *command;
	int count, used, rc;

	if (!wordless)
		(void)printf("\nevenkeel %.*s%s%s\n", (int)(strstr(line, "RUN") - line), line, run,
		             strstr(line, "RUN") + 3);
	(void)fflush(stdout);
	EK_TRY(ek_copy_string(&text, line));
	count = split(text, words);
	(void)snprintf(run_word, sizeof run_word, "%s", run);
	(void)snprintf(seed_words[1], sizeof seed_words[1], "%s", seed);
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
	char text[32];
	int rc = 0;

	(void)snprintf(text, sizeof text, "%" PRIu64, seed);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		EK_TRY(run_one(commands[i], run, text, quiet, wordless));
out:
	return rc;
}
