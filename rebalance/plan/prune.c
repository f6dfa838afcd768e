#include "rebalance/plan/prune.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/plan/greedy.h"
#include "rebalance/plan/quota.h"
#include "rebalance/plan/rule.h"
#include "rebalance/plan/subset.h"

const char *const ek_prune_rounding_names[] = { "exact", "floor", NULL };
const char *const ek_prune_order_names[] = { NULL, "high", "low", "middle" };

const struct ek_prune_method ek_prune_methods[] = {
	{ "furthest", "of each cluster those furthest from its centroid (the paper's method)", "cluster", "furthest",
	  NULL },
	{ "nearest", "of each cluster those nearest to its centroid", "cluster", "nearest", NULL },
	{ "middle", "of each cluster those at middle distance", "cluster", "middle", NULL },
	{ "random-within", "of each cluster any, drawn by the seed", "cluster", "random", NULL },
	{ "random", "any images, drawn by the seed", "all", "random", NULL },
	{ "ssp-hard", "those least like their cluster's centroid (self-supervised prototypes), some of every cluster",
	  "cluster", NULL, ek_embedded_ssp_hard },
	{ "ssp-easy", "those most like it, some of every cluster", "cluster", NULL, ek_embedded_ssp_easy },
	{ "density", "more of the clusters that are wide and far from others, of each those least like its centroid",
	  "cluster", NULL, ek_embedded_density },
	{ "semdedup",
	  "drop those most like an earlier image of their cluster; with 'by' all, any earlier image; as many as "
	  "'keep' says, or by 'eps' and 'rule'",
	  "cluster", NULL, ek_embedded_semdedup },
	{ "d4", "near-duplicates are dropped first ('dedup'), what is left is clustered again, of that ssp-hard",
	  "cluster", NULL, ek_embedded_d4 },
	{ "k-centre", "those that leave no image far from a kept one, one after the other; slow for many images", "all",
	  NULL, ek_greedy_k_centre },
	{ "herding", "those whose mean follows the mean of all, one after the other; slow for many images", "all", NULL,
	  ek_greedy_herding },
	{ "score",
	  "by a number for each image: 'scores' FILE.npy, or score:NAME for RUN/scores/NAME.npy, which is made first "
	  "if NAME is a method of the command score; 'order' says which end is kept",
	  "all", NULL, NULL },
	{ "leverage",
	  "by how far each lies from all others, in the measure of their own directions (components/leverage.npy): "
	  "'order' high keeps what is rare",
	  "all", NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

/* The two baselines of every prune. */
static const struct {
	const char *suffix, *method, *by;
} baselines[] = { { "random", "random", "all" }, { "random-within", "random-within", "cluster" } };
enum { BASELINES = sizeof baselines / sizeof *baselines };

int ek_keep_parse(struct ek_keep *keep, const char *text)
{
	char *end;
	double value;

	*keep = (struct ek_keep){ 0 };
	if (text[0] >= '0' && text[0] <= '9' && text[strspn(text, "0123456789")] != '.') {
		errno = 0;
		keep->count = strtoull(text, &end, 10);
		if (errno == 0 && keep->count >= 1 && strcmp(end, " images") == 0)
			return 0;
		if (errno == 0 && keep->count > 1 && *end == 0)
			return 0;
	}
	keep->count = 0;
	value = strtod(text, &end);
	if (end == text || *end != 0 || !(value > 0 && value <= 1))
		return ek_fail(EK_EUSAGE,
		               "'keep' is \"%s\", not a fraction above 0 and up to 1, or a count of images above 1",
		               text);
	keep->fraction = value;
	return 0;
}

struct pruning {
	struct ek_run *run;
	const struct ek_prune_options *options;
	const struct ek_prune_method *method;
	const char *by;
	char *scores;                                   /* owned: the file; NULL: none is needed */
	const char *inputs[EK_EFFECTS_INPUT_COUNT + 5]; /* of the subset; some point into `score_input` */
	char *score_input;                              /* owned: scores/NAME.npy */
	cJSON *json;                                    /* owned: options */
	cJSON *report;                                  /* owned: what the method has to tell */
	char *names[BASELINES];                         /* owned: of the baselines' subsets */
	cJSON *baseline_json[BASELINES];
	struct ek_effects effects;
	uint64_t total; /* images kept */
	int64_t started;
	double clock;
};

static void release(struct pruning *p)
{
	free(p->scores);
	free(p->score_input);
	cJSON_Delete(p->json);
	cJSON_Delete(p->report);
	for (int b = 0; b < BASELINES; b++) {
		free(p->names[b]);
		cJSON_Delete(p->baseline_json[b]);
	}
	ek_effects_release(&p->effects);
}

static int by_score(const struct ek_prune_method *method)
{
	return method->rule == NULL && method->embedded == NULL;
}

/* option: what it was asked for by. */
static int find_method(const struct ek_prune_method **method, const char *option, const char *wanted)
{
	struct ek_buffer names = { 0 };
	int rc = 0;

	for (const struct ek_prune_method *m = ek_prune_methods; m->name != NULL; m++) {
		if (strcmp(m->name, wanted) == 0 || (by_score(m) && strncmp(wanted, "score:", 6) == 0)) {
			*method = m;
			goto out;
		}
		EK_TRY(ek_buffer_printf(&names, "%s%s", names.size > 0 ? ", " : "", m->name));
	}
	rc = ek_fail(EK_EUSAGE, "'%s' is \"%s\", not one of %s", option, wanted, names.data);
out:
	ek_buffer_release(&names);
	return rc;
}

int ek_prune_check_method_of(const char *option, const char *name)
{
	const struct ek_prune_method *method;

	return find_method(&method, option, name);
}

int ek_prune_check_method(const char *name)
{
	return ek_prune_check_method_of("method", name);
}

static int is(const struct pruning *p, const char *method)
{
	return strcmp(p->method->name, method) == 0;
}

/* Options of one method, and the two ways to say how much. */
static int check_near_duplicates(const struct pruning *p)
{
	const struct ek_prune_options *o = p->options;
	const int has_keep = o->keep.fraction > 0 || o->keep.count > 0;

	if (o->dedup > 0 && !is(p, "d4"))
		return ek_fail(EK_EUSAGE, "'dedup' is of 'method' d4, not of %s", o->method);
	if (!is(p, "semdedup") && (o->eps > 0 || o->rule != EK_DEDUP_ONE_PASS))
		return ek_fail(EK_EUSAGE, "'%s' is of 'method' semdedup, not of %s", o->eps > 0 ? "eps" : "rule",
		               o->method);
	if (o->eps > 0 && has_keep)
		return ek_fail(EK_EUSAGE, "'keep' and 'eps' both say how many stay: give one of them");
	if (o->eps > 0 && o->rounding != EK_PRUNE_EXACT)
		return ek_fail(EK_EUSAGE, "'rounding' goes with 'keep', not with 'eps'");
	if (!(o->eps > 0) && !has_keep)
		return ek_fail(EK_EUSAGE, "how much? 'keep' F%s", is(p, "semdedup") ? " or 'eps' E" : "");
	if (!(o->eps > 0) && o->rule != EK_DEDUP_ONE_PASS)
		return ek_fail(EK_EUSAGE,
		               "'rule' %s goes with 'eps' E instead of 'keep': how many stay follows from it",
		               ek_dedup_rule_names[o->rule]);
	return 0;
}

static int is_named(const struct pruning *p)
{
	return is(p, "leverage") || strncmp(p->options->method, "score:", 6) == 0;
}

static int check_scores(const struct pruning *p)
{
	const struct ek_prune_options *o = p->options;
	const int of_ours = is(p, "leverage"), named = is_named(p);

	if (!by_score(p->method)) {
		if (o->scores != NULL || o->order != EK_PRUNE_NO_ORDER)
			return ek_fail(EK_EUSAGE, "'%s' is of 'method' score, not of %s",
			               o->scores != NULL ? "scores" : "order", o->method);
		return 0;
	}
	if (of_ours && o->scores != NULL)
		return ek_fail(EK_EUSAGE, "'scores' is of 'method' score, not of leverage");
	if (named == (o->scores != NULL))
		return ek_fail(EK_EUSAGE, "'method' score needs either 'scores' FILE.npy or a name: score:NAME");
	if (o->order == EK_PRUNE_NO_ORDER)
		return ek_fail(EK_EUSAGE, "'method' %s needs 'order' high, low or middle: which scores to keep",
		               p->method->name);
	return named && !of_ours ? ek_subset_check_name(o->method + 6) : 0;
}

int ek_prune_check(const struct ek_prune_options *options)
{
	struct pruning p = { .options = options };
	int rc;

	EK_TRY(find_method(&p.method, "method", options->method));
	EK_TRY(check_near_duplicates(&p));
	EK_TRY(check_scores(&p));
out:
	return rc;
}

/* Where the scores are. */
static int find_scores(struct pruning *p)
{
	const struct ek_prune_options *o = p->options;
	int rc;

	if (!by_score(p->method))
		return 0;
	if (!is_named(p))
		return ek_copy_string(&p->scores, o->scores);
	EK_TRY(is(p, "leverage") ? ek_copy_string(&p->score_input, "components/leverage.npy")
	                         : ek_format(&p->score_input, "scores/%s.npy", o->method + 6));
	EK_TRY(ek_run_file(&p->scores, p->run, p->score_input));
	if (!ek_file_exists(p->scores))
		rc = ek_fail(EK_EUSAGE,
		             "%s is not there: the command score makes it, and 'scores' FILE.npy takes any other file",
		             p->scores);
out:
	return rc;
}

static int keep_json(cJSON *json, const struct ek_keep *keep)
{
	char text[40];

	if (keep->fraction == 0 && keep->count == 0)
		return ek_json_add_null(json, "keep");
	if (keep->fraction > 0)
		return ek_json_add_double(json, "keep", keep->fraction);
	if (keep->count > 1)
		return ek_json_add_u64(json, "keep", keep->count);
	(void)snprintf(text, sizeof text, "%" PRIu64 " images", keep->count);
	return ek_json_add_string(json, "keep", text);
}

/* What a near-duplicate is, for the methods that ask. */
static int near_duplicates_json(cJSON *json, const struct pruning *p)
{
	const cJSON *clustering = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(p->run, "cluster"), "options");
	const struct ek_prune_options *o = p->options;
	int rc = 0;

	if (o->eps > 0) {
		EK_TRY(ek_json_add_string(json, "rule", ek_dedup_rule_names[o->rule]));
		EK_TRY(ek_json_add_double(json, "eps", o->eps));
	}
	if (!is(p, "d4"))
		goto out;
	EK_TRY(ek_json_add_double(json, "dedup", o->dedup > 0 ? o->dedup : EK_D4_DEDUP));
	if (clustering != NULL)
		EK_TRY(ek_json_add_item(json, "clustering", cJSON_Duplicate(clustering, 1)));
out:
	return rc;
}

/* All that changes the result. */
static int make_json(cJSON **out, const struct pruning *p, const char *method, const char *by)
{
	const struct ek_prune_options *o = p->options;
	cJSON *json = cJSON_CreateObject();
	char hash[17];
	int rc;

	*out = json;
	EK_TRY(ek_json_add_string(json, "command", "prune"));
	EK_TRY(ek_json_add_string(json, "method", method));
	EK_TRY(keep_json(json, &o->keep));
	EK_TRY(ek_json_add_string(json, "by", by));
	EK_TRY(ek_json_add_string(json, "rounding", ek_prune_rounding_names[o->rounding]));
	EK_TRY(ek_json_add_u64(json, "seed", o->seed));
	EK_TRY(ek_json_add_bool(json, "lists", o->lists));
	EK_TRY(near_duplicates_json(json, p));
	if (p->scores == NULL || strcmp(method, o->method) != 0)
		goto out;
	EK_TRY(ek_json_add_string(json, "order", ek_prune_order_names[o->order]));
	if (p->score_input == NULL) {
		EK_TRY(ek_hash64_file_hex(hash, p->scores));
		EK_TRY(ek_json_add_string(json, "scores", p->scores));
		EK_TRY(ek_json_add_string(json, "scores_xxh64", hash));
	}
out:
	return rc;
}

static int begin(struct pruning *p)
{
	int rc;

	EK_TRY(ek_prune_check(p->options));
	EK_TRY(find_method(&p->method, "method", p->options->method));
	p->by = p->options->by != NULL ? p->options->by : p->method->by;
	EK_TRY(find_scores(p));
	if ((p->report = cJSON_CreateObject()) == NULL)
		rc = ek_fail(EK_ENOMEM, "no memory for a report");
out:
	return rc;
}

static int prepare(struct pruning *p)
{
	static const char *const effects[] = { EK_EFFECTS_INPUTS };
	size_t i = EK_EFFECTS_INPUT_COUNT;
	int rc;

	EK_TRY(ek_subset_check_name(p->options->name));
	EK_TRY(begin(p));
	memcpy(p->inputs, effects, sizeof effects);
	p->inputs[i++] = "clusters/distance.npy";
	if (p->method->embedded != NULL) {
		p->inputs[i++] = "embeddings.npy";
		p->inputs[i++] = "clusters/centroids.npy";
	}
	p->inputs[i] = p->score_input;
	EK_TRY(make_json(&p->json, p, p->options->method, p->by));
	for (int b = 0; b < BASELINES; b++) {
		EK_TRY(ek_format(&p->names[b], "%s-%s", p->options->name, baselines[b].suffix));
		EK_TRY(ek_subset_check_name(p->names[b]));
		EK_TRY(make_json(&p->baseline_json[b], p, baselines[b].method, baselines[b].by));
		EK_TRY(ek_json_add_string(p->baseline_json[b], "baseline_of", p->options->name));
	}
out:
	return rc;
}

static struct ek_subset subset_of(const struct pruning *p, const char *const *names)
{
	return (struct ek_subset){ .name = p->options->name,
		                   .command = "prune",
		                   .method = p->options->method,
		                   .options = p->json,
		                   .inputs = p->inputs,
		                   .baselines = names,
		                   .report = p->report,
		                   .lists = p->options->lists };
}

static struct ek_subset baseline_of(const struct pruning *p, int b)
{
	return (struct ek_subset){ .name = p->names[b],
		                   .command = "prune",
		                   .method = baselines[b].method,
		                   .options = p->baseline_json[b],
		                   .inputs = p->inputs,
		                   .lists = p->options->lists };
}

/* Its baselines go with it. */
static int is_current(int *current, const char **reason, void *context, struct ek_run *run, const struct ek_step *step)
{
	const struct pruning *p = context;
	int rc;

	EK_TRY(ek_run_is_current(current, reason, run, step));
	for (int b = 0; b < BASELINES && *current; b++) {
		const struct ek_subset baseline = baseline_of(p, b);

		EK_TRY(ek_subset_is_current(current, reason, run, &baseline));
	}
out:
	return rc;
}

/* How many to keep of those that are in a unit. */
static int count_total(struct pruning *p, const struct ek_units *units)
{
	const struct ek_keep *keep = &p->options->keep;

	p->total = keep->fraction > 0 ? (uint64_t)(keep->fraction * (double)units->total + 0.5) : keep->count;
	if (p->total > units->total)
		return ek_fail(EK_EUSAGE, "'keep' asks for %" PRIu64 " images, there are %" PRIu64, p->total,
		               units->total);
	if (p->total == 0)
		return ek_fail(EK_EUSAGE, "'keep' %g of %" PRIu64 " images keeps none", keep->fraction, units->total);
	return 0;
}

static int make_quota(struct pruning *p, uint64_t *quota, const struct ek_units *units)
{
	const struct ek_keep *keep = &p->options->keep;
	int rc;

	if (p->options->eps > 0)
		return 0; /* the method says how many */
	EK_TRY(count_total(p, units));
	if (p->options->rounding == EK_PRUNE_EXACT)
		return ek_quota_proportional(quota, units->sizes, units->k, p->total);
	ek_quota_floor(quota, units->sizes, units->k,
	               keep->fraction > 0 ? keep->fraction : (double)p->total / (double)units->total);
	p->total = 0;
	for (uint32_t u = 0; u < units->k; u++)
		p->total += quota[u];
	if (p->total == 0)
		rc = ek_fail(EK_EUSAGE, "rounded down, every unit keeps none; 'rounding' exact keeps some");
out:
	return rc;
}

/* Images without a score are in no unit: said, and told in subset.json. */
static int leave_out_unscored(struct pruning *p, struct ek_units *units)
{
	struct ek_npy scores = { 0 };
	uint64_t count, first = 0;
	int rc;

	EK_TRY(ek_npy_open(&scores, p->scores));
	EK_TRY(ek_order_drop(&count, &first, units, &scores, p->scores));
	if (count == 0)
		goto out;
	if (units->total == 0) {
		rc = ek_fail(EK_EDATA, "%s: no image has a score, all are NaN", p->scores);
		goto out;
	}
	ek_warn("%s: %" PRIu64 " image%s no score (NaN), the first is %" PRIu64 ": %s left out", p->scores, count,
	        count == 1 ? " has" : "s have", first, count == 1 ? "it is" : "they are");
	EK_TRY(ek_json_add_u64(p->report, "without_score", count));
out:
	ek_npy_close(&scores);
	return rc;
}

static int score_keys(const struct pruning *p, uint32_t *keys, const struct ek_units *units)
{
	struct ek_npy scores = { 0 };
	int rc;

	EK_TRY(ek_npy_open(&scores, p->scores));
	EK_TRY(ek_order_keys(keys, &scores, p->options->order != EK_PRUNE_LOW, units, p->scores));
out:
	ek_npy_close(&scores);
	return rc;
}

static int embedded_keys(struct pruning *p, uint32_t *keys, uint64_t *quota, const struct ek_units *units)
{
	const struct ek_prune_options *o = p->options;
	const struct ek_embedded_options options = {
		.rule = o->rule, .eps = o->eps, .dedup = o->dedup, .report = p->report
	};
	int rc;

	EK_TRY(p->method->embedded(keys, quota, p->run, units, &options));
	p->total = 0;
	for (uint32_t u = 0; u < units->k; u++)
		p->total += quota[u];
out:
	return rc;
}

/* By the method, of the units by `p->by`. */
static int select_method(struct ek_selection *out, struct pruning *p)
{
	const struct ek_keep *wanted = &p->options->keep;
	const struct ek_rule *rule = p->method->rule != NULL ? ek_rule_find(p->method->rule) : NULL;
	const int middle = rule != NULL ? rule->middle : p->options->order == EK_PRUNE_MIDDLE;
	struct ek_units units;
	uint64_t *quota = NULL;
	uint32_t *keys = NULL;
	int rc;

	*out = (struct ek_selection){ 0 };
	EK_TRY(ek_units_load(&units, p->run, p->by));
	if (p->scores != NULL)
		EK_TRY(leave_out_unscored(p, &units));
	EK_TRY(ek_alloc(&quota, units.k, sizeof *quota));
	EK_TRY(make_quota(p, quota, &units));
	EK_TRY(ek_alloc_aligned(&keys, units.n, sizeof *keys));
	if (rule != NULL)
		EK_TRY(ek_rule_keys(keys, rule, p->run, &units, p->options->seed, "plan: random"));
	else if (p->method->embedded != NULL)
		EK_TRY(embedded_keys(p, keys, quota, &units));
	else
		EK_TRY(score_keys(p, keys, &units));
	EK_TRY(ek_select(out, &units, &keys, quota, middle,
	                 wanted->fraction > 0 ? wanted->fraction : (double)wanted->count / (double)units.total));
out:
	free(quota);
	free(keys);
	ek_units_release(&units);
	return rc;
}

/* Random images, as many as the plan kept. */
static int select_baseline(struct ek_selection *out, const struct pruning *p, int b)
{
	struct ek_units units;
	uint64_t *quota = NULL;
	uint32_t *keys = NULL;
	int rc;

	*out = (struct ek_selection){ 0 };
	EK_TRY(ek_units_load(&units, p->run, baselines[b].by));
	EK_TRY(ek_alloc(&quota, units.k, sizeof *quota));
	EK_TRY(ek_quota_proportional(quota, units.sizes, units.k, p->total));
	EK_TRY(ek_alloc_aligned(&keys, units.n, sizeof *keys));
	EK_TRY(ek_rule_keys(keys, ek_rule_find("random"), p->run, &units, p->options->seed, "plan: baseline"));
	EK_TRY(ek_select(out, &units, &keys, quota, 0, 0));
out:
	free(quota);
	free(keys);
	ek_units_release(&units);
	return rc;
}

static int make_baseline(struct pruning *p, int b)
{
	const struct ek_subset subset = baseline_of(p, b);
	struct ek_selection selection;
	int rc;

	EK_TRY(select_baseline(&selection, p, b));
	EK_TRY(ek_subset_write(p->run, &subset, &selection, &p->effects, p->started, p->clock));
out:
	ek_selection_release(&selection);
	return rc;
}

/* The baselines get their names first: a subset that is there has them. But its own faults are found before anything is
 * written, and no two selections are in memory. */
static int make(void *context, struct ek_run *run, cJSON *counts)
{
	struct pruning *p = context;
	const char *names[BASELINES + 1] = { NULL };
	struct ek_selection selection;
	struct ek_draft draft = { 0 };
	struct ek_subset subset;
	int rc;

	(void)counts;
	EK_TRY(select_method(&selection, p));
	subset = subset_of(p, names);
	for (int b = 0; b < BASELINES; b++)
		names[b] = p->names[b];
	EK_TRY(ek_effects_open(&p->effects, run));
	EK_TRY(ek_subset_draft(&draft, run, &subset, &selection, &p->effects));
	ek_selection_release(&selection);
	for (int b = 0; b < BASELINES; b++)
		EK_TRY(make_baseline(p, b));
	EK_TRY(ek_draft_publish(&draft, run, &subset, p->started, p->clock));
out:
	ek_selection_release(&selection);
	return ek_draft_release(&draft, rc);
}

int ek_prune_select(struct ek_selection *out, struct ek_run *run, const struct ek_prune_options *options)
{
	struct pruning p = { .run = run, .options = options };
	int rc;

	*out = (struct ek_selection){ 0 };
	EK_TRY(begin(&p));
	EK_TRY(select_method(out, &p));
out:
	release(&p);
	return rc;
}

int ek_prune(int *made, struct ek_run *run, const struct ek_prune_options *options, int force)
{
	struct pruning p = { .run = run, .options = options, .started = (int64_t)time(NULL), .clock = ek_clock() };
	const struct ek_work how = { .make = make, .is_current = is_current, .context = &p };
	struct ek_subset subset;
	int rc;

	*made = 0;
	EK_TRY(prepare(&p));
	subset = subset_of(&p, NULL);
	EK_TRY(ek_subset_bring_up(made, run, &subset, &how, force));
out:
	release(&p);
	return rc;
}
