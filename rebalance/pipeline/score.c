#include "rebalance/pipeline/score.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/text.h"
#include "rebalance/io/layout.h"
#include "rebalance/io/npy.h"
#include "rebalance/pipeline/score_internal.h"
#include "rebalance/plan/subset.h"

enum { VERSION = 1, FILES = 4 };

const struct ek_do_score_options ek_do_score_default = { .rate = 0 };

/* What stands for "auto". */
static const struct ek_do_score_options standard = {
	.seeds = 4, .epochs = 20, .early = 5, .rate = 16, .folds = 5, .draws = 8, .shards = 4, .checkpoints = 10
};

#define PROBE (EK_SCORE_TAKES_CLASSES | EK_SCORE_TAKES_PROBES | EK_SCORE_TAKES_SEEDS)
#define MODELS (EK_SCORE_TAKES_MODELS | EK_SCORE_TAKES_DRAWS)
#define OF_PROBE ek_score_probe_prepare, ek_score_probe_make, ek_score_probe_release

const struct ek_score_method ek_score_methods[] = {
	{ "distance", "how far each image is from the mean of its class", "high", EK_SCORE_TAKES_CLASSES, 0, 0, 0,
	  ek_score_probe_prepare, ek_score_distance_make, ek_score_probe_release },
	{ "probe-el2n", "the error of a linear probe early in its training (Paul and others 2021)", "high",
	  PROBE | EK_SCORE_TAKES_EARLY, 1, 0, 0, OF_PROBE },
	{ "probe-grand", "the norm of the gradient by the probe's weights, likewise", "high",
	  PROBE | EK_SCORE_TAKES_EARLY, 1, 0, 0, OF_PROBE },
	{ "probe-forgetting", "how often the probe unlearns an image (Toneva and others 2019)", "high", PROBE, 1, 0, 0,
	  OF_PROBE },
	{ "probe-margin", "how far the class is above the next likely one, when the probe has learned", "low", PROBE, 1,
	  0, 0, OF_PROBE },
	{ "probe-aum", "that margin on average while it learns (Pleiss and others 2020)", "low", PROBE, 1, 0, 0,
	  OF_PROBE },
	{ "label-errors",
	  "how good each label is, by probes that did not learn from the image, and which are likely wrong "
	  "(Northcutt and others 2021)",
	  "low", EK_SCORE_TAKES_CLASSES | EK_SCORE_TAKES_PROBES | EK_SCORE_TAKES_FOLDS, 0, 1, 1,
	  ek_score_labels_prepare, ek_score_labels_make, ek_score_probe_release },
	{ "el2n", "the loss of a generator, at draws that are the same for every image", "high",
	  MODELS | EK_SCORE_TAKES_CHECKPOINT, 1, 0, 0, ek_score_flow_prepare, ek_score_flow_make,
	  ek_score_flow_release },
	{ "grand", "the norm of the gradient of that loss by all parameters, exact", "high",
	  MODELS | EK_SCORE_TAKES_CHECKPOINT, 1, 0, 0, ek_score_flow_prepare, ek_score_flow_make,
	  ek_score_flow_release },
	{ "grand-last", "the same by the parameters of the last layer alone", "high",
	  MODELS | EK_SCORE_TAKES_CHECKPOINT, 1, 0, 0, ek_score_flow_prepare, ek_score_flow_make,
	  ek_score_flow_release },
	{ "forgetting",
	  "at which share of the checks the loss rose while the generator learned (train flow log-losses)", "high",
	  EK_SCORE_TAKES_MODELS, 1, 0, 0, ek_score_forgetting_prepare, ek_score_forgetting_make,
	  ek_score_flow_release },
	{ "forgetting-count",
	  "how often an image that was learned, its loss at most a threshold, was not at the next check (Toneva and "
	  "others 2019)",
	  "high", EK_SCORE_TAKES_MODELS | EK_SCORE_TAKES_THRESHOLD, 1, 0, 0, ek_score_forgetting_prepare,
	  ek_score_forgetting_make, ek_score_flow_release },
	{ "moso", "how much surrogates, trained on shards, would lose with an image, short form (Tan and others 2023)",
	  "high", MODELS | EK_SCORE_TAKES_SHARDS, 1, 0, 0, ek_score_moso_prepare, ek_score_moso_make,
	  ek_score_flow_release },
	{ "moso-full", "the same, full form", "high", MODELS | EK_SCORE_TAKES_SHARDS, 1, 0, 0, ek_score_moso_prepare,
	  ek_score_moso_make, ek_score_flow_release },
	{ .name = NULL },
};

const struct ek_score_method *ek_score_find(const char *name)
{
	for (const struct ek_score_method *m = ek_score_methods; m->name != NULL; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

int ek_score_check_method(const char *name)
{
	struct ek_buffer names = { 0 };
	int rc = 0;

	if (ek_score_find(name) != NULL)
		return 0;
	for (const struct ek_score_method *m = ek_score_methods; m->name != NULL; m++)
		EK_TRY(ek_buffer_printf(&names, "%s%s", names.size > 0 ? ", " : "", m->name));
	rc = ek_fail(EK_EUSAGE, "'method' is \"%s\", not one of %s", name, names.data);
out:
	ek_buffer_release(&names);
	return rc;
}

int ek_score_check_name(const char *name)
{
	const size_t length = strlen(name);
	int rc;

	EK_TRY(ek_subset_check_name(name));
	if (length > 6 && strcmp(name + length - 6, ".error") == 0)
		rc = ek_fail(EK_EUSAGE, "the name \"%s\" is that of the errors of %.*s", name, (int)length - 6, name);
out:
	return rc;
}

int ek_scoring_input(struct ek_scoring *s, const char *file)
{
	int rc = 0;

	for (int i = 0; i < s->input_count; i++)
		if (strcmp(s->inputs[i], file) == 0)
			return 0;
	if (s->input_count == EK_SCORING_INPUTS)
		return ek_fail(EK_EUSAGE, "scores are made from more than %d files", EK_SCORING_INPUTS);
	EK_TRY(ek_copy_string(&s->inputs[s->input_count], file));
	s->input_count++;
out:
	return rc;
}

void ek_scoring_leave_out(struct ek_scoring *s, uint64_t id, const char *reason)
{
	uint8_t r = 1;

	while (r + 1 < EK_SCORING_REASONS && s->reasons[r] != NULL && s->reasons[r] != reason)
		r++;
	s->reasons[r] = reason;
	s->why[id] = r;
	s->score[id] = (float)NAN;
}

/* Which methods look at an option. */
static const struct {
	const char *name;
	unsigned by;
} takers[] = { { "by", EK_SCORE_TAKES_CLASSES },
	       { "labels", EK_SCORE_TAKES_CLASSES },
	       { "epochs", EK_SCORE_TAKES_PROBES },
	       { "rate", EK_SCORE_TAKES_PROBES },
	       { "seeds", EK_SCORE_TAKES_SEEDS },
	       { "early", EK_SCORE_TAKES_EARLY },
	       { "folds", EK_SCORE_TAKES_FOLDS },
	       { "filter", EK_SCORE_TAKES_FOLDS },
	       { "quality", EK_SCORE_TAKES_FOLDS },
	       { "model", EK_SCORE_TAKES_MODELS },
	       { "checkpoint", EK_SCORE_TAKES_CHECKPOINT },
	       { "draws", EK_SCORE_TAKES_DRAWS },
	       { "precision", EK_SCORE_TAKES_DRAWS },
	       { "threshold", EK_SCORE_TAKES_THRESHOLD },
	       { "shards", EK_SCORE_TAKES_SHARDS },
	       { "steps", EK_SCORE_TAKES_SHARDS },
	       { "checkpoints", EK_SCORE_TAKES_SHARDS } };
enum { TAKERS = sizeof takers / sizeof *takers };

static const struct ek_option *row_of(size_t taker)
{
	const struct ek_option_table table = { .rows = ek_score_rows };

	return ek_option_find(&table, takers[taker].name);
}

/* Options that were given and the method does not look at. */
static int check_options(const struct ek_scoring *s)
{
	for (size_t i = 0; i < TAKERS; i++)
		if (ek_option_is_set(row_of(i), s->asked) && !(s->method->takes & takers[i].by))
			return ek_fail(EK_EUSAGE, "'%s' is not of the method %s", takers[i].name, s->method->name);
	return 0;
}

void ek_score_drop_options(struct ek_do_score_options *o)
{
	const unsigned takes = ek_score_find(o->method)->takes;

	for (size_t i = 0; i < TAKERS; i++)
		if (!(takes & takers[i].by))
			ek_option_unset(row_of(i), o);
}

/* What was not said. */
static struct ek_do_score_options choose(const struct ek_do_score_options *asked)
{
	struct ek_do_score_options o = *asked;

	o.seeds = o.seeds != 0 ? o.seeds : standard.seeds;
	o.epochs = o.epochs != 0 ? o.epochs : standard.epochs;
	if (o.early == 0)
		o.early = standard.early < o.epochs ? standard.early : o.epochs;
	o.rate = o.rate > 0 ? o.rate : standard.rate;
	o.folds = o.folds != 0 ? o.folds : standard.folds;
	o.draws = o.draws != 0 ? o.draws : standard.draws;
	o.shards = o.shards != 0 ? o.shards : standard.shards;
	o.checkpoints = o.checkpoints != 0 ? o.checkpoints : standard.checkpoints;
	return o;
}

/* Files of this name that the step wrote before, and does not write now. */
static int remove_others(const struct ek_scoring *s, const struct ek_step *step)
{
	const cJSON *outputs = ek_json_object(ek_json_member(ek_run_recorded(s->run, step->name), "outputs")), *old;
	char *path = NULL;
	int rc = 0;

	cJSON_ArrayForEach(old, outputs)
	{
		int kept = 0;

		for (const char *const *now = step->outputs; *now != NULL; now++)
			kept |= strcmp(*now, old->string) == 0;
		if (kept)
			continue;
		EK_TRY(ek_run_file(&path, s->run, old->string));
		EK_TRY(ek_remove(path));
		free(path);
		path = NULL;
	}
out:
	free(path);
	return rc;
}

struct making {
	struct ek_scoring *s;
	const struct ek_step *step;
};

static int make(void *context, struct ek_run *run, cJSON *counts)
{
	const struct making *m = context;
	struct ek_scoring *s = m->s;
	char *scores = NULL, *document = NULL, *errors = NULL, *folder = NULL;
	uint64_t scored = 0;
	int rc;

	EK_TRY(ek_layout_path(&folder, run, "scores", NULL));
	EK_TRY(ek_layout_path(&scores, run, "scores/*.npy", s->options->name));
	EK_TRY(ek_layout_path(&document, run, "scores/*.json", s->options->name));
	EK_TRY(ek_layout_path(&errors, run, "scores/*.error.npy", s->options->name));
	EK_TRY(ek_layout_path(&s->table, run, "scores/*.csv", s->options->name));
	EK_TRY(ek_make_directories(folder));
	EK_TRY(ek_alloc(&s->score, s->images, sizeof *s->score));
	EK_TRY(ek_alloc(&s->error, s->images, sizeof *s->error));
	EK_TRY(ek_alloc(&s->why, s->images, 1));
	for (uint64_t i = 0; i < s->images; i++)
		s->score[i] = s->error[i] = (float)NAN;
	EK_TRY(s->method->make(s));
	EK_TRY(ek_scoring_save(s, document));
	if (s->method->has_errors)
		EK_TRY(ek_npy_write(errors, EK_F32, 1, &s->images, s->error));
	EK_TRY(ek_npy_write(scores, EK_F32, 1, &s->images, s->score));
	EK_TRY(remove_others(s, m->step));
	for (uint64_t i = 0; i < s->images; i++)
		scored += (uint64_t)!isnan(s->score[i]);
	EK_TRY(ek_json_add_u64(counts, "scored", scored));
out:
	free(scores);
	free(document);
	free(errors);
	free(folder);
	return rc;
}

/* What a kill left between the files and their record: NAME.json is written first. */
static int is_ours(const struct ek_scoring *s)
{
	char *path = NULL;
	cJSON *json = NULL;
	int is = 0;

	if (ek_layout_path(&path, s->run, "scores/*.json", s->options->name) == 0 && ek_file_exists(path) > 0 &&
	    ek_json_load(&json, path) == 0) {
		const char *name = cJSON_GetStringValue(ek_json_member(json, "name"));
		const char *method = cJSON_GetStringValue(ek_json_member(json, "method"));

		is = name != NULL && strcmp(name, s->options->name) == 0 && method != NULL &&
		     ek_score_find(method) != NULL;
	}
	cJSON_Delete(json);
	free(path);
	return is;
}

/* A file of the user's own is not written over. */
static int check_own(const struct ek_scoring *s, const struct ek_step *step)
{
	int rc = 0;

	if (ek_run_recorded(s->run, step->name) != NULL || is_ours(s))
		return 0;
	for (const char *const *output = step->outputs; *output != NULL; output++) {
		char *path = NULL;
		int there;

		EK_TRY(ek_run_file(&path, s->run, *output));
		there = ek_file_exists(path);
		free(path);
		if (there)
			return ek_fail(EK_EUSAGE, "%s is there, and no scores of ours: take another name", *output);
	}
out:
	return rc;
}

static int bring_up(int *made, struct ek_scoring *s)
{
	static const char *const patterns[FILES] = { "scores/*.npy", "scores/*.json", "scores/*.error.npy",
		                                     "scores/*.csv" };
	const int wanted[FILES] = { 1, 1, s->method->has_errors, s->method->has_table };
	char *name = NULL, *owned[FILES] = { NULL };
	const char *outputs[FILES + 1] = { NULL };
	struct ek_step step = {
		.version = VERSION, .options = s->json, .inputs = (const char *const *)s->inputs, .outputs = outputs
	};
	struct making making = { s, &step };
	const struct ek_work work = { .step = &step, .doing = "scoring", .make = make, .context = &making };
	cJSON *asked = NULL;
	int rc, count = 0;

	EK_TRY(ek_format(&name, "scores %s", s->options->name));
	step.name = name;
	for (int f = 0; f < FILES; f++)
		if (wanted[f]) {
			EK_TRY(ek_layout_name(&owned[f], patterns[f], s->options->name));
			outputs[count++] = owned[f];
		}
	EK_TRY(check_own(s, &step));
	EK_TRY(ek_options_to_json(&asked, ek_score_rows, s->asked));
	EK_TRY(ek_json_add_u64(asked, "seed", (uint64_t)s->asked->seed));
	ek_run_set_asked(s->run, asked);
	EK_TRY(ek_run_bring_up(made, s->run, &work, s->options->force));
	/* As with labels that lie elsewhere now. */
	if (!*made && !cJSON_Compare(ek_json_member(ek_run_recorded(s->run, name), "asked"), asked, 1))
		EK_TRY(ek_run_ask_again(s->run, name, asked));
	if (!*made && !s->quiet)
		ek_info("the scores %s are current", s->options->name);
out:
	ek_run_set_asked(s->run, NULL);
	cJSON_Delete(asked);
	free(name);
	for (int f = 0; f < FILES; f++)
		free(owned[f]);
	return rc;
}

static void release(struct ek_scoring *s)
{
	if (s->method != NULL && s->method->release != NULL)
		s->method->release(s);
	for (int i = 0; i < s->input_count; i++)
		free(s->inputs[i]);
	cJSON_Delete(s->json);
	cJSON_Delete(s->report);
	free(s->score);
	free(s->error);
	free(s->why);
	free(s->table);
}

static int check(struct ek_scoring *s)
{
	const struct ek_do_score_options *asked = s->asked;
	int rc;

	if (asked->method == NULL || asked->name == NULL)
		return ek_fail(EK_EUSAGE, "scores need a method and a name");
	EK_TRY(ek_score_check_method(asked->method));
	EK_TRY(ek_score_check_name(asked->name));
	s->method = ek_score_find(asked->method);
	EK_TRY(check_options(s));
	if (asked->early > s->options->epochs)
		rc = ek_fail(EK_EUSAGE, "'early' is %" PRId64 ", after the last of %" PRId64 " epochs", asked->early,
		             s->options->epochs);
out:
	return rc;
}

static int do_score(int *made, struct ek_run *run, struct ek_steps_options *steps,
                    const struct ek_do_score_options *asked, int quiet)
{
	struct ek_scoring s = { .run = run, .chosen = choose(asked), .asked = asked, .quiet = quiet };
	struct ek_steps_options recorded;
	int rc;

	*made = 0;
	ek_steps_options_init(&recorded);
	s.options = &s.chosen;
	EK_TRY(check(&s));
	EK_TRY(ek_steps_before(run, steps != NULL ? steps : &recorded, 1));
	if ((s.json = cJSON_CreateObject()) == NULL || (s.report = cJSON_CreateObject()) == NULL) {
		rc = ek_fail(EK_ENOMEM, "no memory for scores");
		goto out;
	}
	EK_TRY(ek_json_add_string(s.json, "method", s.method->name));
	EK_TRY(s.method->prepare(&s));
	EK_TRY(bring_up(made, &s));
out:
	release(&s);
	ek_steps_options_release(&recorded);
	return rc;
}

int ek_do_score(int *made, struct ek_run *run, struct ek_steps_options *steps, const struct ek_do_score_options *asked)
{
	return do_score(made, run, steps, asked, 0);
}

/* As it was asked for. */
static int score_again(struct ek_run *run, struct ek_steps_options *steps, const cJSON *asked)
{
	struct ek_do_score_options o = ek_do_score_default;
	struct ek_strings strings = { 0 };
	uint64_t given = 0, seed;
	const struct ek_option_table table = { "", ek_score_rows, &o, &given };
	int made, rc;

	EK_TRY(ek_options_from_json(&strings, &table, asked));
	EK_TRY(ek_json_get_u64(&seed, asked, "seed", "run.json"));
	o.seed = (int64_t)seed;
	if (o.labels != NULL && !ek_file_exists(o.labels))
		ek_warn("%s is away: the scores %s are taken as they are", o.labels, o.name);
	else
		EK_TRY(do_score(&made, run, steps, &o, 1));
out:
	ek_strings_release(&strings);
	return rc;
}

int ek_do_score_before(struct ek_run *run, struct ek_steps_options *steps, const char *name)
{
	const struct ek_do_score_options standard_one = { .method = name, .name = name };
	const cJSON *asked;
	char *step = NULL, *path = NULL;
	int made, rc;

	EK_TRY(ek_score_check_name(name));
	EK_TRY(ek_format(&step, "scores %s", name));
	EK_TRY(ek_layout_path(&path, run, "scores/*.npy", name));
	asked = ek_json_object(ek_json_member(ek_run_recorded(run, step), "asked"));
	if (asked != NULL)
		EK_TRY(score_again(run, steps, asked));
	else if (!ek_file_exists(path) && ek_score_find(name) != NULL)
		EK_TRY(do_score(&made, run, steps, &standard_one, 1));
out:
	free(step);
	free(path);
	return rc;
}
