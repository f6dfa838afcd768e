/* `evenkeel sweep RUN`: plan, train, generate and evaluate for each point, by the commands that do so alone. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/compare.h"
#include "rebalance/cli/sweep.h"
#include "rebalance/cli/text.h"
#include "rebalance/cli/training.h"

static struct {
	const char *methods, *keeps, *name, *autoencoder, *vae, *train, *generate, *evaluate;
	int space, dry_run;
	int64_t seeds, steps, count;
} wanted;

static const struct ek_choice spaces[] = { { "latent", "the latents of --autoencoder" },
	                                   { "pixel", "the pixels themselves, for small images" },
	                                   { NULL, NULL } };

static const struct ek_option own[] = {
	{ .name = "methods",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.methods,
	  .argument = "M,M,...",
	  .help = "of prune, as furthest,nearest,random; score:NAME:high or :low keeps an end of a score" },
	{ .name = "keeps",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.keeps,
	  .argument = "F,F,...",
	  .help = "the fractions to keep, as 0.1,0.25,0.5; all images are trained on once, in any case" },
	{ .name = "steps",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.steps,
	  .argument = "N",
	  .zero = "none",
	  .low = 1,
	  .high = 1e12,
	  .help = "steps of training, the same for every point" },
	{ .name = "autoencoder",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.autoencoder,
	  .argument = "NAME|DIR",
	  .help = "work in its latents, at every point; RUN/models/NAME is trained first, on all images, if it is not "
	          "there" },
	{ .name = "space",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.space,
	  .choices = spaces,
	  .help = "where to work" },
	{ .name = "seeds",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.seeds,
	  .argument = "N",
	  .low = 1,
	  .high = 32,
	  .help = "sample sets of each model, from --seed on: they give the spread" },
	{ .name = "count",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.count,
	  .argument = "N",
	  .low = 1,
	  .high = 1e9,
	  .help = "images of a sample set" },
	{ .name = "name",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.name,
	  .argument = "PREFIX",
	  .help = "the names of all points begin with it" },
	{ .name = "train",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.train,
	  .argument = "OPTIONS",
	  .help = "more options of train flow, in one word: \"--width 128 --depth 4\"" },
	{ .name = "vae",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.vae,
	  .argument = "OPTIONS",
	  .help = "options of train vae, for an autoencoder that is not there yet: \"--side 64 --steps 2000\"" },
	{ .name = "generate",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.generate,
	  .argument = "OPTIONS",
	  .help = "more options of generate: \"--steps 40 --guidance 1.5\"" },
	{ .name = "evaluate",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.evaluate,
	  .argument = "OPTIONS",
	  .help = "more options of evaluate" },
	{ .name = "dry-run",
	  .kind = EK_KIND_FLAG,
	  .target = &wanted.dry_run,
	  .help = "list the points and about how long they train, and do nothing" },
	{ .name = NULL },
};

void ek_sweep_options(struct ek_settings *settings)
{
	ek_settings_fill(settings->own_options, own);
	memset(&wanted, 0, sizeof wanted);
	wanted.name = "sweep";
	wanted.seeds = 3;
	wanted.count = 1000;
}

struct sweep {
	const char *run;
	const struct ek_settings *settings;
	struct ek_sweep_points points;
	double started, worked; /* clock; seconds spent on points that were not there */
	size_t made, left;      /* points made here, and points to be made */
};

/* The words of one command. */
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
static void common_words(struct words *w, const struct sweep *s, int64_t seed)
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

static void begin(struct words *w, const struct sweep *s, const char *name)
{
	word(w, "%s", name); /* in place of the program's name */
	word(w, "%s", s->run);
}

static int invoke(struct words *w, const char *name)
{
	const struct ek_command *command = ek_find_command(name);

	if (command == NULL)
		return ek_fail(EK_ENOTSUP, "this program has no command %s", name);
	return w->rc < 0 ? w->rc : ek_command_invoke(command, w->count, w->items, 1);
}

static void prune_words(struct words *w, const struct sweep *s, const struct ek_sweep_point *p)
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

static void train_words(struct words *w, const struct sweep *s, const struct ek_sweep_point *p)
{
	begin(w, s, "train flow");
	word(w, "--name");
	word(w, "%s", p->name);
	word(w, "--steps");
	word(w, "%" PRId64, wanted.steps);
	if (p->method != NULL) {
		word(w, "--subset");
		word(w, "%s", p->name);
	}
	word(w, wanted.autoencoder != NULL ? "--autoencoder" : "--space");
	word(w, "%s", wanted.autoencoder != NULL ? wanted.autoencoder : "pixel");
	words_of(w, wanted.train);
	common_words(w, s, s->settings->common.seed);
	if (s->settings->common.force)
		word(w, "--force");
}

static void generate_words(struct words *w, const struct sweep *s, const struct ek_sweep_point *p, int64_t set)
{
	begin(w, s, "generate");
	word(w, "--model");
	word(w, "%s", p->name);
	word(w, "--name");
	word(w, "%s-s%" PRId64, p->name, set);
	word(w, "--count");
	word(w, "%" PRId64, wanted.count);
	words_of(w, wanted.generate);
	common_words(w, s, s->settings->common.seed + set);
	if (s->settings->common.force)
		word(w, "--force");
}

static void evaluate_words(struct words *w, const struct sweep *s, const struct ek_sweep_point *p)
{
	struct ek_buffer sets = { 0 };

	begin(w, s, "evaluate");
	for (int64_t i = 0; i < wanted.seeds && w->rc == 0; i++)
		w->rc = ek_buffer_printf(&sets, "%s%s-s%" PRId64, i > 0 ? "," : "", p->name, i);
	word(w, "--samples");
	word(w, "%s", sets.data != NULL ? sets.data : "");
	word(w, "--name");
	word(w, "%s", p->name);
	words_of(w, wanted.evaluate);
	common_words(w, s, s->settings->common.seed);
	if (s->settings->common.force)
		word(w, "--force");
	ek_buffer_release(&sets);
}

static int do_point(const struct sweep *s, const struct ek_sweep_point *p)
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
	for (int64_t set = 0; set < wanted.seeds; set++) {
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

/* The autoencoder that all points share: trained, or gone on with, unless it is finished or lies elsewhere. */
static int make_autoencoder(const struct sweep *s)
{
	struct words w = { 0 };
	char *path = NULL;
	int rc = 0;

	if (wanted.autoencoder == NULL || strchr(wanted.autoencoder, '/') != NULL)
		return 0;
	EK_TRY(ek_format(&path, "%s/models/%s/diffusion_pytorch_model.safetensors", s->run, wanted.autoencoder));
	if (ek_file_exists(path))
		goto out;
	begin(&w, s, "train vae");
	word(&w, "--name");
	word(&w, "%s", wanted.autoencoder);
	words_of(&w, wanted.vae);
	common_words(&w, s, s->settings->common.seed);
	EK_TRY(invoke(&w, "train vae"));
out:
	release_words(&w);
	free(path);
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
	const struct ek_command *command = ek_find_command(name);
	struct ek_option_table tables[EK_MAX_TABLES];
	struct ek_arguments arguments = { 0 };
	struct ek_settings settings;
	int rc = w->rc;

	if (rc == 0 && command != NULL) {
		ek_settings_init(&settings);
		ek_command_tables(tables, command, &settings);
		rc = ek_options_parse(&arguments, tables, w->count, w->items);
	}
	ek_arguments_release(&arguments);
	release_words(w);
	return rc;
}

static int check_options(const struct sweep *s)
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

	EK_TRY(check_passed("train", wanted.train, of_train));
	EK_TRY(check_passed("generate", wanted.generate, of_generate));
	EK_TRY(check_passed("evaluate", wanted.evaluate, of_evaluate));
	EK_TRY(check_passed("vae", wanted.vae, of_vae));
	train_words(&w, s, p);
	EK_TRY(check_parsed(&w, "train flow"));
	generate_words(&w, s, p, 0);
	EK_TRY(check_parsed(&w, "generate"));
	evaluate_words(&w, s, p);
	EK_TRY(check_parsed(&w, "evaluate"));
	begin(&w, s, "train vae");
	words_of(&w, wanted.vae);
	EK_TRY(check_parsed(&w, "train vae"));
out:
	return rc;
}

static int evaluation_of(char **path, const struct sweep *s, const struct ek_sweep_point *p)
{
	return ek_format(path, "%s/evaluations/%s.json", s->run, p->name);
}

static int is_evaluated(const struct sweep *s, const struct ek_sweep_point *p)
{
	char *path = NULL;
	const int there = evaluation_of(&path, s, p) == 0 && ek_file_exists(path);

	free(path);
	return there;
}

static int print_numbers(const struct sweep *s, const struct ek_sweep_point *p)
{
	struct ek_comparison c = { 0 };
	struct ek_run *run = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(evaluation_of(&path, s, p));
	EK_TRY(ek_run_open(&run, s->run, EK_RUN_READ));
	EK_TRY(ek_comparison_add_file(&c, run, path));
	ek_compare_print_line(&c.rows[0]);
out:
	ek_run_close(run);
	ek_comparison_release(&c);
	free(path);
	return rc;
}

/* What is told of a point: numbers, or why it failed; then the time that is left over the whole. */
static void print_point(const struct sweep *s, size_t i, int failed, double took)
{
	const struct ek_sweep_point *p = &s->points.items[i];
	char time[32];

	(void)printf("%-24s", p->label);
	if (failed || print_numbers(s, p) < 0)
		(void)printf("  failed: %s", ek_error_message());
	(void)printf("  (%zu of %zu, %s", i + 1, s->points.count, ek_text_duration(time, took));
	if (s->left > 0 && s->made > 0)
		(void)printf(", about %s left", ek_text_duration(time, s->worked / (double)s->made * (double)s->left));
	(void)printf(")\n");
	(void)fflush(stdout);
}

static int add_result(cJSON *list, const struct ek_sweep_point *p, int failed)
{
	cJSON *item;
	int rc;

	EK_TRY(ek_json_add_object(&item, list, NULL));
	EK_TRY(ek_json_add_string(item, "name", p->name));
	EK_TRY(p->method != NULL ? ek_json_add_string(item, "method", p->method) : ek_json_add_null(item, "method"));
	if (p->order != NULL)
		EK_TRY(ek_json_add_string(item, "order", p->order));
	EK_TRY(ek_json_add_double(item, "keep", p->keep));
	EK_TRY(failed ? ek_json_add_string(item, "failed", ek_error_message()) : ek_json_add_null(item, "failed"));
out:
	return rc;
}

/* Every point; `*failed` of them. A stop ends it, anything else is told and the rest goes on. */
static int do_points(struct sweep *s, cJSON *list, size_t *failed)
{
	const int json = s->settings->common.json;
	int rc = 0;

	*failed = 0;
	for (size_t i = 0; i < s->points.count; i++)
		s->left += (size_t)!is_evaluated(s, &s->points.items[i]);
	for (size_t i = 0; i < s->points.count; i++) {
		const struct ek_sweep_point *p = &s->points.items[i];
		const int was_there = is_evaluated(s, p);
		const double started = ek_clock();
		int is_failed;

		ek_info("%s (%zu of %zu)", p->label, i + 1, s->points.count);
		rc = do_point(s, p);
		if (rc == EK_EINTERRUPTED)
			return rc;
		is_failed = rc < 0;
		*failed += (size_t)is_failed;
		if (!was_there) {
			s->worked += ek_clock() - started;
			s->made++;
			s->left--;
		}
		EK_TRY(add_result(list, p, is_failed));
		if (!json)
			print_point(s, i, is_failed, ek_clock() - started);
	}
out:
	return rc;
}

/* How long one point trains, by a step of it. */
static double expected_training(const struct sweep *s)
{
	struct words w = { 0 };
	int rc;

	train_words(&w, s, &s->points.items[0]);
	word(&w, "--dry-run");
	rc = invoke(&w, "train flow");
	release_words(&w);
	return rc < 0 ? (double)NAN : ek_training_expected_seconds();
}

static int dry_run(const struct sweep *s)
{
	size_t left = 0;
	double seconds;
	char a[32], b[32];

	for (size_t i = 0; i < s->points.count; i++) {
		const struct ek_sweep_point *p = &s->points.items[i];

		(void)printf("%-24s keep %-6g PR %-6g %s%s\n", p->label, p->keep, 1 - p->keep, p->name,
		             is_evaluated(s, p) ? "  (done)" : "");
		left += (size_t)!is_evaluated(s, p);
	}
	seconds = left > 0 ? expected_training(s) : 0;
	(void)printf("\n%zu points, %zu to do: %s steps of training each, then %" PRId64 " x %s images\n",
	             s->points.count, left, ek_text_count(a, (uint64_t)wanted.steps), wanted.seeds,
	             ek_text_count(b, (uint64_t)wanted.count));
	if (isfinite(seconds))
		(void)printf("training takes about %s, %s a point; drawing and evaluating come on top\n",
		             ek_text_duration(a, seconds * (double)left), ek_text_duration(b, seconds));
	else
		(void)printf("how long training takes is not known yet: %s\n", ek_error_message());
	return 0;
}

static int sweep(struct sweep *s)
{
	cJSON *json = cJSON_CreateObject(), *list;
	size_t failed = 0;
	char *text = NULL;
	int rc;

	if (json == NULL)
		return ek_fail(EK_ENOMEM, "no memory for the result");
	EK_TRY(ek_json_add_array(&list, json, "points"));
	EK_TRY(make_autoencoder(s));
	EK_TRY(do_points(s, list, &failed));
	if (s->settings->common.json) {
		if ((text = cJSON_Print(json)) == NULL) {
			rc = ek_fail(EK_ENOMEM, "no memory for the result");
			goto out;
		}
		(void)printf("%s\n", text);
	} else {
		(void)printf("\nside by side: evenkeel compare %s --name '%s-*'\n", s->run, wanted.name);
	}
	if (failed > 0)
		rc = ek_fail(EK_EIO, "%zu of %zu points failed; the same command tries them again", failed,
		             s->points.count);
out:
	free(text);
	cJSON_Delete(json);
	return rc;
}

static int check_wish(const struct ek_invocation *i)
{
	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE, "sweep takes one run directory, not %d words; see evenkeel help sweep",
		               i->arguments.count);
	if (wanted.methods == NULL || wanted.keeps == NULL || wanted.steps == 0)
		return ek_fail(EK_EUSAGE, "sweep needs %s; see evenkeel help sweep",
		               wanted.methods == NULL ? "--methods M,..."
		               : wanted.keeps == NULL ? "--keeps F,..."
		                                      : "--steps N, the same for every point");
	if ((wanted.space == 0) != (wanted.autoencoder != NULL))
		return ek_fail(EK_EUSAGE, wanted.space == 0 ? "sweep needs --autoencoder NAME, or --space pixel for "
		                                              "small images"
		                                            : "--space pixel takes no --autoencoder");
	return 0;
}

int ek_cmd_sweep(struct ek_invocation *i)
{
	struct sweep s = { .run = i->arguments.count > 0 ? i->arguments.positional[0] : NULL,
		           .settings = &i->settings };
	struct ek_run *run = NULL;
	int rc;

	EK_TRY(check_wish(i));
	EK_TRY(ek_sweep_points_make(&s.points, wanted.name, wanted.methods, wanted.keeps));
	EK_TRY(check_options(&s));
	/* That it is a run is told once, not by each command. */
	EK_TRY(ek_run_open(&run, s.run, EK_RUN_READ));
	ek_run_close(run);
	run = NULL;
	EK_TRY(wanted.dry_run ? dry_run(&s) : sweep(&s));
out:
	ek_run_close(run);
	ek_sweep_points_release(&s.points);
	return rc;
}
