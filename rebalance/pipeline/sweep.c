#include "rebalance/pipeline/sweep.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/pipeline/evaluate.h"
#include "rebalance/pipeline/generate.h"
#include "rebalance/pipeline/plans.h"
#include "rebalance/pipeline/score.h"
#include "rebalance/pipeline/train_flow.h"
#include "rebalance/pipeline/train_vae.h"

enum { CHECKS = 20 };

/* Does a command have to be forced: by the sweep, or by its own words? */
static int is_forced(const struct ek_sweep *s, const struct ek_sweep_told *told)
{
	return s->force || told->steps->force;
}

/* What the steps of a command are told: the sweep's seed, where they are not made yet. */
static struct ek_steps_options *steps_of(const struct ek_sweep *s, const struct ek_sweep_told *told)
{
	told->steps->seed = s->seed;
	told->steps->seed_given = 1;
	return told->steps;
}

static int prune(struct ek_run *run, struct ek_sweep *s, const struct ek_sweep_point *p)
{
	struct ek_do_prune_options o = *(const struct ek_do_prune_options *)s->prune.options;
	char keep[32];
	int made;

	(void)snprintf(keep, sizeof keep, "%g", p->keep);
	o.keep = keep;
	o.plan.method = p->method;
	for (int i = EK_PRUNE_HIGH; p->order != NULL && i <= EK_PRUNE_MIDDLE; i++)
		if (strcmp(p->order, ek_prune_order_names[i]) == 0)
			o.plan.order = (enum ek_prune_order)i;
	o.plan.name = p->name;
	o.plan.seed = (uint64_t)s->seed;
	o.force = is_forced(s, &s->prune);
	return ek_do_prune(&made, run, steps_of(s, &s->prune), &o);
}

static int train(struct ek_training_result *result, struct ek_run *run, struct ek_sweep *s,
                 const struct ek_sweep_point *p, int dry_run)
{
	struct ek_train_flow_options o = *(const struct ek_train_flow_options *)s->train.options;

	o.common.name = p->name;
	o.common.subset = p->method != NULL ? p->name : NULL;
	o.common.steps = s->wish->steps;
	o.common.seed = s->seed;
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
	struct ek_train_flow_options o = *(const struct ek_train_flow_options *)s->train.options;
	struct ek_training_result result = { 0 };
	int rc;

	o.common.name = s->points.scorer;
	o.common.steps = s->wish->score_steps > 0 ? s->wish->score_steps : quarter;
	o.common.seed = s->seed;
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
	struct ek_do_score_options o = *(const struct ek_do_score_options *)s->score.options;
	int made, rc = 0;

	o.method = p->scored_by;
	o.name = p->method + strlen("score:");
	o.seed = s->seed;
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
	struct ek_generate_options o = *(const struct ek_generate_options *)s->generate.options;
	struct ek_generated generated = { 0 };
	char *name = NULL;
	int rc;

	EK_TRY(ek_format(&name, "%s-s%" PRId64, p->name, set));
	o.model = p->name;
	o.name = name;
	o.classes.count = s->wish->count;
	o.seed = s->seed + set;
	o.force = is_forced(s, &s->generate);
	EK_TRY(ek_do_generate(&generated, run, &o));
out:
	ek_generated_release(&generated);
	free(name);
	return rc;
}

static int evaluate(struct ek_run *run, struct ek_sweep *s, const struct ek_sweep_point *p)
{
	struct ek_do_evaluate_options o = *(const struct ek_do_evaluate_options *)s->evaluate.options;
	struct ek_buffer sets = { 0 };
	const char *name;
	int rc = 0;

	for (int64_t i = 0; i < s->wish->seeds; i++)
		EK_TRY(ek_buffer_printf(&sets, "%s%s-s%" PRId64, i > 0 ? "," : "", p->name, i));
	o.samples = sets.data;
	o.name = p->name;
	o.seed = s->seed;
	o.force = is_forced(s, &s->evaluate);
	EK_TRY(ek_do_evaluate(&name, run, steps_of(s, &s->evaluate), &o));
out:
	ek_buffer_release(&sets);
	return rc;
}

int ek_do_sweep_point(struct ek_sweep *s, const struct ek_sweep_point *p)
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

/* What the last steps of a point read is there before the first one trains. */
static int check_files(const struct ek_sweep *s)
{
	const struct ek_do_evaluate_options *evaluate = s->evaluate.options;
	const struct ek_generate_options *generate = s->generate.options;
	const char *const files[] = { generate->classes.shares, evaluate->weights, evaluate->statistics };

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (files[i] != NULL && access(files[i], R_OK) != 0)
			return ek_fail_errno("cannot open %s", files[i]);
	return evaluate->reference != NULL ? ek_evaluate_check_reference(evaluate->reference) : 0;
}

int ek_sweep_check(const struct ek_sweep *s)
{
	const uint64_t wanted = (uint64_t)s->wish->steps;
	struct ek_run *run = NULL;
	uint64_t steps;
	int rc;

	/* That it is a run, and of images, is told once, not by each point. */
	EK_TRY(ek_run_open(&run, s->run, EK_RUN_READ));
	if (ek_run_recorded(run, "scan") == NULL)
		rc = ek_fail(EK_EUSAGE, "%s has no images yet: evenkeel audit DATASET -o %s", s->run, s->run);
	ek_run_close(run);
	EK_TRY(rc);
	for (size_t i = 0; i < s->points.count && !s->force; i++) {
		const char *name = s->points.items[i].name;

		EK_TRY(ek_sweep_steps_before(&steps, s->run, name, wanted));
		if (steps > 0 && steps != wanted)
			return ek_fail(EK_EUSAGE,
			               "the point %s was trained for %" PRIu64 " steps before, and all are to have the "
			               "same: take 'steps' %" PRIu64 ", another 'name', or 'force' to begin anew",
			               name, steps, steps);
	}
	EK_TRY(check_files(s));
out:
	return rc;
}

static int make_autoencoder(struct ek_sweep *s)
{
	struct ek_train_vae_options o = *(const struct ek_train_vae_options *)s->vae.options;
	struct ek_training_result trained = { 0 };
	struct ek_run *run = NULL;
	int rc;

	o.common.name = s->wish->autoencoder;
	o.common.seed = s->seed;
	o.common.force = s->vae.steps->force;
	EK_TRY(ek_run_open(&run, s->run, EK_RUN_WRITE));
	EK_TRY(ek_do_train_vae(&trained, run, steps_of(s, &s->vae), &o));
out:
	ek_training_result_release(&trained);
	ek_run_close(run);
	return rc;
}

static int make_shared(struct ek_sweep *s)
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

static int describe(cJSON **item, cJSON *list, const struct ek_sweep_point *p)
{
	int rc;

	EK_TRY(ek_json_add_object(item, list, NULL));
	EK_TRY(ek_json_add_string(*item, "name", p->name));
	EK_TRY(p->method != NULL ? ek_json_add_string(*item, "method", p->method) : ek_json_add_null(*item, "method"));
	if (p->order != NULL)
		EK_TRY(ek_json_add_string(*item, "order", p->order));
	EK_TRY(ek_json_add_double(*item, "keep", p->keep));
out:
	return rc;
}

int ek_do_sweep(cJSON *points, size_t *failed, struct ek_sweep *s)
{
	double worked = 0; /* seconds spent on points that were not there */
	size_t made = 0, left = 0;
	int rc;

	*failed = 0;
	EK_TRY(make_shared(s));
	for (size_t i = 0; i < s->points.count; i++)
		left += (size_t)!ek_sweep_is_evaluated(s->run, s->points.items[i].name);
	for (size_t i = 0; i < s->points.count; i++) {
		struct ek_sweep_news news = { &s->points.items[i], i + 1, 0, 0, (double)NAN };
		const int was_there = ek_sweep_is_evaluated(s->run, news.point->name);
		const double started = ek_clock();
		cJSON *item;

		ek_info("%s (%zu of %zu)", news.point->label, i + 1, s->points.count);
		if ((rc = ek_do_sweep_point(s, news.point)) == EK_EINTERRUPTED)
			return rc;
		news.failed = rc < 0;
		news.seconds = ek_clock() - started;
		*failed += (size_t)news.failed;
		worked += was_there ? 0 : news.seconds;
		made += (size_t)!was_there;
		left -= (size_t)!was_there;
		if (left > 0 && made > 0)
			news.seconds_left = worked / (double)made * (double)left;
		EK_TRY(describe(&item, points, news.point));
		EK_TRY(news.failed ? ek_json_add_string(item, "failed", ek_error_message())
		                   : ek_json_add_null(item, "failed"));
		if (s->tell != NULL)
			s->tell(s, &news);
	}
out:
	return rc;
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

int ek_sweep_plan(cJSON *json, struct ek_sweep *s)
{
	cJSON *list, *item;
	double seconds;
	int rc;

	EK_TRY(ek_json_add_array(&list, json, "points"));
	for (size_t i = 0; i < s->points.count; i++) {
		EK_TRY(describe(&item, list, &s->points.items[i]));
		EK_TRY(ek_json_add_bool(item, "done", ek_sweep_is_evaluated(s->run, s->points.items[i].name)));
	}
	seconds = ek_sweep_expected_training(s);
	EK_TRY(isfinite(seconds) ? ek_json_add_double(json, "training_seconds", seconds)
	                         : ek_json_add_null(json, "training_seconds"));
out:
	return rc;
}
