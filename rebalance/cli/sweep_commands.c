/* What a sweep does at a point: the commands that do it alone, with their words. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/cli/sweep.h"
#include "rebalance/cli/training_options.h"
#include "train/loop/checkpoint.h"

/* The words of one command: what is said on the command line for the same. */
enum { WORDS = 160 };
struct words {
	char *items[WORDS];
	int count, rc; /* rc: the first failure */
};

static void release_words(struct words *w)
{
	for (int i = 0; i < w->count; i++)
		free(w->items[i]);
	*w = (struct words){ 0 };
}

static void word(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void word(struct words *w, const char *format, ...)
{
	va_list arguments;
	char room[4200]; /* a path */

	if (w->rc == 0 && w->count == WORDS)
		w->rc = ek_fail(EK_EUSAGE, "more than %d words for one command", WORDS);
	if (w->rc < 0)
		return;
	va_start(arguments, format);
	if (vsnprintf(room, sizeof room, format, arguments) >= (int)sizeof room)
		w->rc = ek_fail(EK_EUSAGE, "a word is longer than %zu bytes", sizeof room - 1);
	else if ((w->rc = ek_copy_string(&w->items[w->count], room)) == 0)
		w->count++;
	va_end(arguments);
}

/* The words of an option's text, cut at spaces. */
static void words_of(struct words *w, const char *text)
{
	while (text != NULL && *(text += strspn(text, " \t\n")) != 0) {
		const size_t length = strcspn(text, " \t\n");

		word(w, "%.*s", (int)length, text);
		text += length;
	}
}

/* What every command is told. */
static void common_words(struct words *w, const struct ek_sweep *s, int64_t seed)
{
	word(w, "--seed");
	word(w, "%" PRId64, seed);
	if (s->settings->common.threads > 0) {
		word(w, "--threads");
		word(w, "%" PRId64, s->settings->common.threads);
	}
	if (s->settings->common.quiet)
		word(w, "--quiet");
}

static void begin(struct words *w, const struct ek_sweep *s, const char *name)
{
	word(w, "%s", name); /* in place of the program's name */
	word(w, "%s", s->run);
}

static int invoke(struct words *w, const char *name)
{
	return w->rc < 0 ? w->rc : ek_command_invoke(ek_find_command(name), w->count, w->items, 1);
}

static void prune_words(struct words *w, const struct ek_sweep *s, const struct ek_sweep_point *p)
{
	begin(w, s, "prune");
	word(w, "--method");
	word(w, "%s", p->method);
	word(w, "--keep");
	word(w, "%g", p->keep);
	if (p->order != NULL) {
		word(w, "--order");
		word(w, "%s", p->order);
	}
	word(w, "--name");
	word(w, "%s", p->name);
	common_words(w, s, s->settings->common.seed);
	if (s->settings->common.force)
		word(w, "--force");
}

static void train_words(struct words *w, const struct ek_sweep *s, const struct ek_sweep_point *p)
{
	begin(w, s, "train flow");
	word(w, "--name");
	word(w, "%s", p->name);
	word(w, "--steps");
	word(w, "%" PRId64, s->wish->steps);
	if (p->method != NULL) {
		word(w, "--subset");
		word(w, "%s", p->name);
	}
	word(w, s->wish->autoencoder != NULL ? "--autoencoder" : "--space");
	word(w, "%s", s->wish->autoencoder != NULL ? s->wish->autoencoder : "pixel");
	words_of(w, s->wish->train);
	common_words(w, s, s->settings->common.seed);
	if (s->settings->common.force)
		word(w, "--force");
}

static void generate_words(struct words *w, const struct ek_sweep *s, const struct ek_sweep_point *p, int64_t set)
{
	begin(w, s, "generate");
	word(w, "--model");
	word(w, "%s", p->name);
	word(w, "--name");
	word(w, "%s-s%" PRId64, p->name, set);
	word(w, "--count");
	word(w, "%" PRId64, s->wish->count);
	words_of(w, s->wish->generate);
	common_words(w, s, s->settings->common.seed + set);
	if (s->settings->common.force)
		word(w, "--force");
}

static void evaluate_words(struct words *w, const struct ek_sweep *s, const struct ek_sweep_point *p)
{
	struct ek_buffer sets = { 0 };

	begin(w, s, "evaluate");
	for (int64_t i = 0; i < s->wish->seeds && w->rc == 0; i++)
		w->rc = ek_buffer_printf(&sets, "%s%s-s%" PRId64, i > 0 ? "," : "", p->name, i);
	word(w, "--samples");
	word(w, "%s", sets.data != NULL ? sets.data : "");
	word(w, "--name");
	word(w, "%s", p->name);
	words_of(w, s->wish->evaluate);
	common_words(w, s, s->settings->common.seed);
	if (s->settings->common.force)
		word(w, "--force");
	ek_buffer_release(&sets);
}

int ek_sweep_do_point(const struct ek_sweep *s, const struct ek_sweep_point *p)
{
	struct words w = { 0 };
	int rc;

	if (p->method != NULL) {
		prune_words(&w, s, p);
		EK_TRY(invoke(&w, "prune"));
		release_words(&w);
	}
	train_words(&w, s, p);
	EK_TRY(invoke(&w, "train flow"));
	for (int64_t set = 0; set < s->wish->seeds; set++) {
		release_words(&w);
		generate_words(&w, s, p, set);
		EK_TRY(invoke(&w, "generate"));
	}
	release_words(&w);
	evaluate_words(&w, s, p);
	EK_TRY(invoke(&w, "evaluate"));
out:
	release_words(&w);
	return rc;
}

/* `*steps`: after how many the samples of a point were drawn, or, where there are none, what it was trained for if that
 * is more than `most`; 0: neither. */
static int steps_before(uint64_t *steps, const char *run, const char *name, uint64_t most)
{
	struct ek_tensor_file newest = { 0 };
	char *folder = NULL, *samples = NULL;
	cJSON *config = NULL;
	int rc, found;

	*steps = 0;
	EK_TRY(ek_format(&samples, "%s/samples/%s-s0/config.json", run, name));
	if (ek_file_exists(samples)) {
		EK_TRY(ek_json_load(&config, samples));
		EK_TRY(ek_json_get_u64(steps, config, "model_step", samples));
		goto out;
	}
	EK_TRY(ek_format(&folder, "%s/models/%s", run, name));
	EK_TRY(found = ek_checkpoint_open(&newest, steps, folder, EK_CHECKPOINT_AVERAGE));
	*steps = found && *steps > most ? *steps : 0;
	rc = 0;
out:
	ek_tensor_file_close(&newest);
	cJSON_Delete(config);
	free(folder);
	free(samples);
	return rc;
}

int ek_sweep_check_steps(const struct ek_sweep *s)
{
	const uint64_t wanted = (uint64_t)s->wish->steps;
	uint64_t steps;
	int rc = 0;

	for (size_t i = 0; i < s->points.count && !s->settings->common.force; i++) {
		const char *name = s->points.items[i].name;

		EK_TRY(steps_before(&steps, s->run, name, wanted));
		if (steps > 0 && steps != wanted)
			return ek_fail(EK_EUSAGE,
			               "the point %s was trained for %" PRIu64 " steps before, and all are to have the "
			               "same: take --steps %" PRIu64 ", another --name, or --force to begin anew",
			               name, steps, steps);
	}
out:
	return rc;
}

int ek_sweep_make_autoencoder(const struct ek_sweep *s)
{
	struct words w = { 0 };
	char *model = NULL, *finished = NULL;
	int rc = 0;

	if (s->wish->autoencoder == NULL)
		return 0;
	EK_TRY(ek_format(&model, "%s/models/%s", s->run, s->wish->autoencoder));
	EK_TRY(ek_format(&finished, "%s/diffusion_pytorch_model.safetensors", model));
	/* As train flow finds it: a model of the run first, then a folder. */
	if (ek_file_exists(finished) || (!ek_file_exists(model) && ek_file_exists(s->wish->autoencoder)))
		goto out;
	begin(&w, s, "train vae");
	word(&w, "--name");
	word(&w, "%s", s->wish->autoencoder);
	words_of(&w, s->wish->vae);
	common_words(&w, s, s->settings->common.seed);
	EK_TRY(invoke(&w, "train vae"));
out:
	release_words(&w);
	free(model);
	free(finished);
	return rc;
}

/* Options in `text` that are the sweep's own. */
static int check_passed(const char *option, const char *text, const char *const *reserved)
{
	struct words w = { 0 };
	int rc;

	words_of(&w, text);
	EK_TRY(w.rc);
	for (int i = 0; i < w.count; i++)
		for (const char *const *r = reserved; *r != NULL; r++) {
			const size_t length = strlen(*r);

			if (strncmp(w.items[i], *r, length) == 0 &&
			    (w.items[i][length] == 0 || w.items[i][length] == '=')) {
				rc = ek_fail(EK_EUSAGE,
				             "--%s: %s is set by the sweep, the same for every point or by its name",
				             option, *r);
				goto out;
			}
		}
out:
	release_words(&w);
	return rc;
}

/* A wrong word in them is told before anything is done, not once a point. */
static int check_parsed(struct words *w, const char *name)
{
	struct ek_option_table tables[EK_MAX_TABLES];
	struct ek_arguments arguments = { 0 };
	struct ek_settings settings;
	int rc;

	EK_TRY(w->rc);
	ek_settings_init(&settings);
	ek_command_tables(tables, ek_find_command(name), &settings);
	EK_TRY(ek_options_parse(&arguments, tables, w->count, w->items));
out:
	ek_arguments_release(&arguments);
	release_words(w);
	return rc;
}

int ek_sweep_check_options(const struct ek_sweep *s)
{
	static const char *const of_train[] = { "--name",        "--subset", "--weights",    "--loss-weights",
		                                "--steps",       "--epochs", "--time-limit", "--space",
		                                "--autoencoder", "--seed",   "--dry-run",    NULL };
	static const char *const of_generate[] = { "--name", "--model", "--count", "--seed", NULL };
	static const char *const of_evaluate[] = { "--name", "--samples", "--seed", NULL };
	static const char *const of_vae[] = { "--name", "--seed", "--dry-run", NULL };
	const struct ek_sweep_point *p = &s->points.items[0];
	struct words w = { 0 };
	int rc;

	EK_TRY(check_passed("train", s->wish->train, of_train));
	EK_TRY(check_passed("generate", s->wish->generate, of_generate));
	EK_TRY(check_passed("evaluate", s->wish->evaluate, of_evaluate));
	EK_TRY(check_passed("vae", s->wish->vae, of_vae));
	train_words(&w, s, p);
	EK_TRY(check_parsed(&w, "train flow"));
	generate_words(&w, s, p, 0);
	EK_TRY(check_parsed(&w, "generate"));
	evaluate_words(&w, s, p);
	EK_TRY(check_parsed(&w, "evaluate"));
	begin(&w, s, "train vae");
	words_of(&w, s->wish->vae);
	EK_TRY(check_parsed(&w, "train vae"));
out:
	return rc;
}

double ek_sweep_expected_training(const struct ek_sweep *s)
{
	struct words w = { 0 };
	int rc;

	train_words(&w, s, &s->points.items[0]);
	word(&w, "--dry-run");
	rc = invoke(&w, "train flow");
	release_words(&w);
	return rc < 0 ? (double)NAN : ek_training_expected_seconds();
}
