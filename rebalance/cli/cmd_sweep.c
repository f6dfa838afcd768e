/* `evenkeel sweep RUN`: plan, train, generate and evaluate for each point, by the commands that do so alone. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/output.h"
#include "rebalance/cli/compare.h"
#include "rebalance/cli/sweep_words.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/train_flow.h"

static const struct ek_option rows[] = {
	{ .name = "methods",
	  EK_STRING(struct ek_sweep_wish, methods, "M,M,..."),
	  .help = "of prune, as furthest,nearest,random; score:NAME:high, :low or :middle keeps a part of a score, of "
	          "RUN/scores or by a method of score, as score:grand or score:probe-el2n, for which what is needed is "
	          "made" },
	{ .name = "keeps",
	  EK_STRING(struct ek_sweep_wish, keeps, "F,F,..."),
	  .help = "the fractions to keep, as 0.1,0.25,0.5; all images are trained on once, in any case" },
	{ .name = "steps",
	  EK_INTEGER(struct ek_sweep_wish, steps, "N", 1, 1e12),
	  .zero = "none",
	  .help = "steps of training, the same for every point" },
	{ .name = "autoencoder",
	  EK_STRING(struct ek_sweep_wish, autoencoder, "NAME|DIR"),
	  .help = "work in its latents, at every point; RUN/models/NAME is trained first, on all images, if it is not "
	          "there" },
	{ .name = "space", EK_CHOICE(struct ek_sweep_wish, space, "HOW", ek_flow_spaces), .help = "where to work" },
	{ .name = "seeds",
	  EK_INTEGER(struct ek_sweep_wish, seeds, "N", 1, 32),
	  .help = "sample sets of each model, from --seed on: they give the spread" },
	{ .name = "count", EK_INTEGER(struct ek_sweep_wish, count, "N", 1, 1e9), .help = "images of a sample set" },
	{ .name = "name",
	  EK_STRING(struct ek_sweep_wish, name, "PREFIX"),
	  .help = "the names of all points begin with it" },
	{ .name = "train",
	  EK_STRING(struct ek_sweep_wish, train, "OPTIONS"),
	  .help = "more options of train flow, quoted: \"--width 128 --depth 4\"" },
	{ .name = "vae",
	  EK_STRING(struct ek_sweep_wish, vae, "OPTIONS"),
	  .needs = "autoencoder",
	  .help = "options of train vae, for an autoencoder that is not there yet: \"--side 64 --steps 2000\"" },
	{ .name = "generate",
	  EK_STRING(struct ek_sweep_wish, generate, "OPTIONS"),
	  .help = "more options of generate: \"--steps 40 --guidance 1.5\"" },
	{ .name = "score",
	  EK_STRING(struct ek_sweep_wish, score, "OPTIONS"),
	  .needs = "methods=score:",
	  .help = "more options of score, for methods as score:moso: \"--draws 4 --shards 8\"" },
	{ .name = "score-steps",
	  EK_INTEGER(struct ek_sweep_wish, score_steps, "N", 20, 1e12),
	  .zero = "auto",
	  .needs = "methods=score:",
	  .help = "steps of the generator that scores are made by, on all images, with 20 checks of the losses; auto: "
	          "a quarter of --steps, for early training is what they are of" },
	{ .name = "evaluate",
	  EK_STRING(struct ek_sweep_wish, evaluate, "OPTIONS"),
	  .help = "more options of evaluate" },
	{ .name = "dry-run",
	  EK_FLAG(struct ek_sweep_wish, dry_run),
	  .help = "list the points and about how long they train, and do nothing" },
	{ .name = NULL },
};
static const struct ek_sweep_wish defaults = { .name = "sweep", .seeds = 3, .count = 1000 };
const struct ek_own ek_sweep_own = EK_OWN(defaults, rows);

static int print_numbers(struct ek_sweep *s, const struct ek_sweep_point *p)
{
	struct ek_comparison c = { 0 };
	struct ek_run *run = NULL;
	int rc;

	EK_TRY(ek_run_open(&run, s->run, EK_RUN_READ));
	EK_TRY(ek_compare_add(&c, run, p->name));
	ek_compare_print_line(&c.rows[0]);
out:
	ek_run_close(run);
	ek_comparison_release(&c);
	return rc;
}

/* What is told of a point: numbers, or why it failed; then the time that is left over the whole. */
static void print_point(struct ek_sweep *s, const struct ek_sweep_news *news)
{
	char time[32];

	(void)printf("%-24s", news->point->label);
	if (news->failed || print_numbers(s, news->point) < 0)
		(void)printf("  failed: %s", ek_error_message());
	(void)printf("  (%zu of %zu, %s", news->number, s->points.count, ek_text_duration(time, news->seconds));
	if (isfinite(news->seconds_left))
		(void)printf(", about %s left", ek_text_duration(time, news->seconds_left));
	(void)printf(")\n");
	(void)fflush(stdout);
}

static int dry_run(struct ek_sweep *s)
{
	size_t left = 0;
	double seconds;
	char a[32], b[32];

	for (size_t i = 0; i < s->points.count; i++) {
		const struct ek_sweep_point *p = &s->points.items[i];

		(void)printf("%-24s keep %-6g PR %-6g %s%s\n", p->label, p->keep, 1 - p->keep, p->name,
		             ek_sweep_is_evaluated(s->run, p->name) ? "  (done)" : "");
		left += (size_t)!ek_sweep_is_evaluated(s->run, p->name);
	}
	seconds = left > 0 ? ek_sweep_expected_training(s) : 0;
	(void)printf("\n%zu points, %zu to do: %s steps of training each, then %" PRId64 " x %s images\n",
	             s->points.count, left, ek_text_count(a, (uint64_t)s->wish->steps), s->wish->seeds,
	             ek_text_count(b, (uint64_t)s->wish->count));
	if (isfinite(seconds))
		(void)printf("training takes about %s, %s a point; drawing and evaluating come on top\n",
		             ek_text_duration(a, seconds * (double)left), ek_text_duration(b, seconds));
	else
		(void)printf("how long training takes is not known yet: %s\n", ek_error_message());
	return 0;
}

static int sweep(struct ek_sweep *s, int is_json, int is_plan)
{
	cJSON *json = cJSON_CreateObject(), *list;
	size_t failed = 0;
	int rc;

	if (is_plan) {
		EK_TRY(ek_sweep_plan(json, s));
	} else {
		EK_TRY(ek_json_add_array(&list, json, "points"));
		s->tell = is_json ? NULL : print_point;
		EK_TRY(ek_do_sweep(list, &failed, s));
	}
	if (is_json)
		EK_TRY(ek_print_json(json));
	else
		(void)printf("\nside by side: evenkeel compare %s --name '%s-*'\ncurves:       evenkeel report %s\n",
		             s->run, s->wish->name, s->run);
	if (failed > 0)
		rc = ek_fail(EK_EIO, "%zu of %zu points failed; the same command tries them again", failed,
		             s->points.count);
out:
	cJSON_Delete(json);
	return rc;
}

static int check_wish(const struct ek_invocation *i)
{
	const struct ek_sweep_wish *wanted = i->settings.own;

	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE, "sweep takes one run directory, not %d words; see evenkeel help sweep",
		               i->arguments.count);
	if (wanted->methods == NULL || wanted->keeps == NULL || wanted->steps == 0)
		return ek_fail(EK_EUSAGE, "sweep needs %s; see evenkeel help sweep",
		               wanted->methods == NULL ? "--methods M,..."
		               : wanted->keeps == NULL ? "--keeps F,..."
		                                       : "--steps N, the same for every point");
	if ((wanted->space == 0) != (wanted->autoencoder != NULL))
		return ek_fail(EK_EUSAGE, wanted->space == 0 ? "sweep needs --autoencoder NAME, or --space pixel for "
		                                               "small images"
		                                             : "--space pixel takes no --autoencoder");
	return 0;
}

int ek_cmd_sweep(struct ek_invocation *i)
{
	struct ek_sweep s = { .run = i->arguments.count > 0 ? i->arguments.positional[0] : NULL,
		              .wish = i->settings.own,
		              .seed = i->settings.common.seed,
		              .force = i->settings.steps.force };
	const int json = i->settings.common.json;
	struct ek_sweep_words words = { 0 };
	int rc;

	EK_TRY(check_wish(i));
	EK_TRY(ek_sweep_points_make(&s.points, s.run, s.wish->name, s.wish->methods, s.wish->keeps));
	EK_TRY(ek_sweep_words_open(&words, &s));
	EK_TRY(ek_sweep_check(&s));
	EK_TRY(s.wish->dry_run && !json ? dry_run(&s) : sweep(&s, json, s.wish->dry_run));
out:
	ek_sweep_words_release(&words);
	ek_sweep_points_release(&s.points);
	return rc;
}
