/* The words that a sweep passes on to the commands of its points. */
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/cli/sweep_words.h"

enum { WORDS = 160 };

/* Options that were given although the sweep sets them. */
static int check_reserved(const struct ek_option_table *tables, const char *option, const char *const *reserved)
{
	for (; tables->title != NULL; tables++)
		for (const char *const *r = reserved; *r != NULL; r++)
			if (ek_option_is_given(tables, *r))
				return ek_fail(
					EK_EUSAGE,
					"--%s: --%s is set by the sweep, the same for every point or by its name",
					option, *r);
	return 0;
}

/* The options of a command, with the words of `text`, which is that of the sweep's own `option`. */
static int open_part(struct ek_sweep_part *part, const char *command, const char *option, const char *text,
                     const char *const *reserved)
{
	struct ek_option_table tables[EK_MAX_TABLES] = { { .title = NULL } };
	char *words[WORDS] = { NULL }, *rest;
	int count = 1, rc;

	EK_TRY(ek_settings_init(&part->settings, ek_find_command(command)));
	EK_TRY(ek_copy_string(&part->text, text != NULL ? text : ""));
	rest = part->text;
	for (char *word = strtok_r(rest, " \t\n", &rest); word != NULL; word = strtok_r(NULL, " \t\n", &rest)) {
		if (count == WORDS)
			return ek_fail(EK_EUSAGE, "--%s: more than %d words", option, WORDS - 1);
		words[count++] = word;
	}
	ek_command_tables(tables, ek_find_command(command), &part->settings);
	EK_TRY(ek_options_parse(&part->arguments, tables, count, words));
	EK_TRY(check_reserved(tables, option, reserved));
	EK_TRY(ek_settings_check(&part->settings, ek_find_command(command)));
	if (part->arguments.count > 0)
		rc = ek_fail(EK_EUSAGE, "--%s: \"%s\" is no option", option, part->arguments.positional[0]);
	ek_settings_finish(&part->settings);
out:
	return ek_options_name_error(rc, tables);
}

int ek_sweep_words_open(struct ek_sweep_words *w, struct ek_sweep *s)
{
	static const char *const none[] = { NULL };
	static const char *const of_train[] = { "name",    "subset",     "weights", "loss-weights", "steps",
		                                "epochs",  "time-limit", "space",   "autoencoder",  "seed",
		                                "dry-run", "log-losses", NULL };
	static const char *const of_score[] = { "name", "method", "model", "seed", NULL };
	static const char *const of_generate[] = { "name", "model", "count", "seed", NULL };
	static const char *const of_evaluate[] = { "name", "samples", "seed", NULL };
	static const char *const of_vae[] = { "name", "seed", "dry-run", NULL };
	const struct {
		const char *command, *option, *text;
		const char *const *reserved;
		struct ek_sweep_told *told;
	} parts[EK_SWEEP_PARTS] = {
		{ "prune", "methods", NULL, none, &s->prune },
		{ "train flow", "train", s->wish->train, of_train, &s->train },
		{ "score", "score", s->wish->score, of_score, &s->score },
		{ "generate", "generate", s->wish->generate, of_generate, &s->generate },
		{ "evaluate", "evaluate", s->wish->evaluate, of_evaluate, &s->evaluate },
		{ "train vae", "vae", s->wish->vae, of_vae, &s->vae },
	};
	int rc = 0;

	for (int i = 0; i < EK_SWEEP_PARTS; i++) {
		struct ek_sweep_part *part = &w->parts[i];

		EK_TRY(open_part(part, parts[i].command, parts[i].option, parts[i].text, parts[i].reserved));
		*parts[i].told = (struct ek_sweep_told){ part->settings.own, &part->settings.steps };
	}
out:
	return rc;
}

void ek_sweep_words_release(struct ek_sweep_words *w)
{
	for (int i = 0; i < EK_SWEEP_PARTS; i++) {
		ek_arguments_release(&w->parts[i].arguments);
		ek_settings_release(&w->parts[i].settings);
		free(w->parts[i].text);
	}
}
