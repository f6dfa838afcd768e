/* What a sweep does at a point: the work of the commands that do it alone. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/cli/sweep.h"
#include "rebalance/pipeline/evaluate.h"
#include "rebalance/pipeline/generate.h"
#include "rebalance/pipeline/plans.h"
#include "rebalance/pipeline/score.h"
#include "rebalance/pipeline/train_flow.h"
#include "rebalance/pipeline/train_vae.h"

enum { WORDS = 160, CHECKS = 20 };

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
	struct ek_option_table tables[EK_MAX_TABLES];
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
	if (part->arguments.count > 0)
		rc = ek_fail(EK_EUSAGE, "--%s: \"%s\" is no option", option, part->arguments.positional[0]);
	ek_settings_finish(&part->settings);
out:
	return rc;
}

int ek_sweep_open(struct ek_sweep *s)
{
	static const char *const none[] = { NULL };
	static const char *const of_train[] = { "name",    "subset",     "weights", "loss-weights", "steps",
		                                "epochs",  "time-limit", "space",   "autoencoder",  "seed",
		                                "dry-run", "log-losses", NULL };
	static const char *const of_score[] = { "name", "method", "model", "seed", NULL };
	static const char *const of_generate[] = { "name", "model", "count", "seed", NULL };
	static const char *const of_evaluate[] = { "name", "samples", "seed", NULL };
	static const char *const of_vae[] = { "name", "seed", "dry-run", NULL };
	int rc;

	EK_TRY(open_part(&s->prune, "prune", "methods", NULL, none));
	EK_TRY(open_part(&s->train, "train flow", "train", s->wish->train, of_train));
	EK_TRY(open_part(&s->score, "score", "score", s->wish->score, of_score));
	EK_TRY(open_part(&s->generate, "generate", "generate", s->wish->generate, of_generate));
	EK_TRY(open_part(&s->evaluate, "evaluate", "evaluate", s->wish->evaluate, of_evaluate));
	EK_TRY(open_part(&s->vae, "train vae", "vae", s->wish->vae, of_vae));
out:
	return rc;
}

void ek_sweep_release(struct ek_sweep *s)
{
	struct ek_sweep_part *const parts[] = { &s->prune, &s->vae, &s->train, &s->score, &s->generate, &s->evaluate };

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		ek_arguments_release(&parts[i]->arguments);
		ek_settings_release(&parts[i]->settings);
		free(parts[i]->text);
	}
}

/* Does a part have to be forced: by the sweep, or by its own words? */
static int is_forced(const struct ek_sweep *s, const struct ek_sweep_part *part)
{
	return s->settings->steps.force || part->settings.steps.force;
}

/* What the steps of a part are told: the sweep's seed, where they are not made yet. */
static struct ek_steps_options *steps_of(const struct ek_sweep *s, struct ek_sweep_part *part)
{
	part->settings.steps.seed = s->settings->common.seed;
	part->settings.steps.seed_given = 1;
	return &part->settings.steps;
}

static int prune(struct ek_run *run, struct ek_sweep *s, const struct ek_sweep_point *p)
{
	struct ek_do_prune_options o = *(const struct ek_do_prune_options *)s->prune.settings.own;
	char keep[32];
	int made;

	(void)snprintf(keep, sizeof keep, "%g", p->keep);
	o.keep = keep;
	o.plan.method = p->method;
	for (int i = EK_PRUNE_HIGH; p->order != NULL && i <= EK_PRUNE_MIDDLE; i++)
		if (strcmp(p->order, ek_prune_order_names[i]) == 0)
			o.plan.order = (enum ek_prune_order)i;
	o.plan.name = p->name;
	o.plan.seed = (uint64_t)s->settings->common.seed;
	o.force = is_forced(s, &s->prune);
	return ek_do_prune(&made, run, steps_of(s, &s->prune), &o);
}

static int train(struct ek_training_result *result, struct ek_run *run, struct ek_sweep *s,
                 const struct ek_sweep_point *p, int dry_run)
{
	struct ek_train_flow_options o = *(const struct ek_train_flow_options *)s->train.settings.own;

	o.common.name = p->name;
	o.common.subset = p->method != NULL ? p->name : NULL;
	o.common.steps = s->wish->steps;
	o.common.seed = s->settings->common.seed;
	o.common.force = is_forced(s, &s->train);
	o.common.dry_run = dry_run;
	o.autoencoder = s->wish->autoencoder;
	o.space = s->wish->autoencoder == NULL;
	return ek_do_train_flow(result, run, steps_of(s, &s->train), &o);
}

/* Is this the first point that needs the scores, or, method NULL, any scores? What points share is forced once. */
static int is_first(const struct ek_sweep *s, const struct ek_sweep_point *p, const char *method)
{
	for (const struct ek_sweep_point *q = s->points.items; q < p; q++)
		if (q->scored_by != NULL && (method == NULL || strcmp(q->scored_by, method) == 0))
			return 0;
	return 1;
}

/* The generator that scores are made by: trained on all images, early, with its losses logged. */
static int train_scorer(struct ek_run *run, struct ek_sweep *s, const struct ek_sweep_point *p)
{
	const int64_t quarter = s->wish->steps / 4 > CHECKS ? s->wish->steps / 4 : CHECKS;
	struct ek_train_flow_options o = *(const struct ek_train_flow_options *)s->train.settings.own;
	struct ek_training_result result = { 0 };
	int rc;

	o.common.name = s->points.scorer;
	o.common.steps = s->wish->score_steps > 0 ? s->wish->score_steps : quarter;
	o.common.seed = s->settings->common.seed;
	o.common.force = is_forced(s, &s->train) && is_first(s, p, NULL);
	o.log_losses = o.common.steps / CHECKS;
	o.autoencoder = s->wish->autoencoder;
	o.space = s->wish->autoencoder == NULL;
	EK_TRY(ek_do_train_flow(&result, run, steps_of(s, &s->train), &o));
out:
	ek_training_result_release(&result);
	return rc;
}

/* Scores that the sweep makes itself, unless they are there and current. */
static int score(struct ek_run *run, struct ek_sweep *s, const struct ek_sweep_point *p)
{
	struct ek_do_score_options o = *(const struct ek_do_score_options *)s->score.settings.own;
	int made, rc = 0;

	o.method = p->scored_by;
	o.name = p->method + strlen("score:");
	o.seed = s->settings->common.seed;
	o.force = is_forced(s, &s->score) && is_first(s, p, p->scored_by);
	ek_score_drop_options(&o);
	if (ek_score_find(o.method)->takes & EK_SCORE_TAKES_MODELS) {
		EK_TRY(train_scorer(run, s, p));
		o.models = (struct ek_list){ { s->points.scorer }, 1 };
	}
	EK_TRY(ek_do_score(&made, run, steps_of(s, &s->score), &o));
out:
	return rc;
}

static int generate(struct ek_run *run, struct ek_sweep *s, const struct ek_sweep_point *p, int64_t set)
{
	struct ek_generate_options o = *(const struct ek_generate_options *)s->generate.settings.own;
	struct ek_generated generated = { 0 };
	char *name = NULL;
	int rc;

	EK_TRY(ek_format(&name, "%s-s%" PRId64, p->name, set));
	o.model = p->name;
	o.name = name;
	o.classes.count = s->wish->count;
	o.seed = s->settings->common.seed + set;
	o.force = is_forced(s, &s->generate);
	EK_TRY(ek_do_generate(&generated, run, &o));
out:
	ek_generated_release(&generated);
	free(name);
	return rc;
}

static int evaluate(struct ek_run *run, struct ek_sweep *s, const struct ek_sweep_point *p)
{
	struct ek_do_evaluate_options o = *(const struct ek_do_evaluate_options *)s->evaluate.settings.own;
	struct ek_buffer sets = { 0 };
	const char *name;
	int rc = 0;

	for (int64_t i = 0; i < s->wish->seeds; i++)
		EK_TRY(ek_buffer_printf(&sets, "%s%s-s%" PRId64, i > 0 ? "," : "", p->name, i));
	o.samples = sets.data;
	o.name = p->name;
	o.seed = s->settings->common.seed;
	o.force = is_forced(s, &s->evaluate);
	EK_TRY(ek_do_evaluate(&name, run, steps_of(s, &s->evaluate), &o));
out:
	ek_buffer_release(&sets);
	return rc;
}

int ek_sweep_do_point(struct ek_sweep *s, const struct ek_sweep_point *p)
{
	struct ek_training_result trained = { 0 };
	struct ek_run *run = NULL;
	int rc;

	EK_TRY(ek_run_open(&run, s->run, EK_RUN_WRITE));
	if (p->scored_by != NULL)
		EK_TRY(score(run, s, p));
	if (p->method != NULL)
		EK_TRY(prune(run, s, p));
	EK_TRY(train(&trained, run, s, p, 0));
	for (int64_t set = 0; set < s->wish->seeds; set++)
		EK_TRY(generate(run, s, p, set));
	EK_TRY(evaluate(run, s, p));
out:
	ek_training_result_release(&trained);
	ek_run_close(run);
	return rc;
}

int ek_sweep_check_steps(const struct ek_sweep *s)
{
	const uint64_t wanted = (uint64_t)s->wish->steps;
	uint64_t steps;
	int rc = 0;

	for (size_t i = 0; i < s->points.count && !s->settings->steps.force; i++) {
		const char *name = s->points.items[i].name;

		EK_TRY(ek_sweep_steps_before(&steps, s->run, name, wanted));
		if (steps > 0 && steps != wanted)
			return ek_fail(EK_EUSAGE,
			               "the point %s was trained for %" PRIu64 " steps before, and all are to have the "
			               "same: take --steps %" PRIu64 ", another --name, or --force to begin anew",
			               name, steps, steps);
	}
out:
	return rc;
}

static int make_autoencoder(struct ek_sweep *s)
{
	struct ek_train_vae_options o = *(const struct ek_train_vae_options *)s->vae.settings.own;
	struct ek_training_result trained = { 0 };
	struct ek_run *run = NULL;
	int rc;

	o.common.name = s->wish->autoencoder;
	o.common.seed = s->settings->common.seed;
	o.common.force = s->vae.settings.steps.force;
	EK_TRY(ek_run_open(&run, s->run, EK_RUN_WRITE));
	EK_TRY(ek_do_train_vae(&trained, run, steps_of(s, &s->vae), &o));
out:
	ek_training_result_release(&trained);
	ek_run_close(run);
	return rc;
}

int ek_sweep_make_autoencoder(struct ek_sweep *s)
{
	int missing, rc = 0;

	if (s->wish->autoencoder == NULL)
		return 0;
	EK_TRY(missing = ek_sweep_lacks_autoencoder(s->run, s->wish->autoencoder));
	if (missing)
		EK_TRY(make_autoencoder(s));
out:
	return rc < 0 ? rc : 0;
}

double ek_sweep_expected_training(struct ek_sweep *s)
{
	struct ek_training_result result = { 0 };
	struct ek_run *run = NULL;
	int rc;

	EK_TRY(ek_run_open(&run, s->run, EK_RUN_WRITE));
	EK_TRY(train(&result, run, s, &s->points.items[0], 1));
out:
	ek_run_close(run);
	return rc < 0 ? (double)NAN : result.estimate.seconds;
}
