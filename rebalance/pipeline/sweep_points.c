#include "rebalance/pipeline/sweep_points.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/score.h"
#include "rebalance/plan/prune.h"
#include "rebalance/plan/subset.h"
#include "train/loop/checkpoint.h"

enum { MOST = 64 }; /* methods, and fractions */

/* Cut `text` at commas. EK_EUSAGE: an empty item, or too many. */
static int split(char **items, size_t *count, char *text, const char *option)
{
	*count = 0;
	for (char *item = text; item != NULL;) {
		char *comma = strchr(item, ',');

		if (comma != NULL)
			*comma = 0;
		if (*item == 0 || *count == MOST)
			return *item == 0 ? ek_fail(EK_EUSAGE, "'%s': there is nothing between two commas", option)
			                  : ek_fail(EK_EUSAGE, "'%s': more than %d", option, MOST);
		items[(*count)++] = item;
		item = comma != NULL ? comma + 1 : NULL;
	}
	return 0;
}

static int is_scored(const char *run, const char *name)
{
	char *path = NULL;
	const int there = ek_layout_path_at(&path, run, "scores/*.npy", name) == 0 && ek_file_exists(path);

	free(path);
	return there;
}

/* The end of a score that is kept; `*length` of what is before it. */
static const char *read_end(size_t *length, const char *text)
{
	static const char *const ends[][2] = {
		{ "high", "high" }, { "low", "low" }, { "middle", "middle" }, { "inverse", "low" }
	};
	const char *last = strrchr(text, ':');

	*length = strlen(text);
	for (size_t i = 0; last != NULL && i < sizeof ends / sizeof *ends; i++)
		if (strcmp(last + 1, ends[i][0]) == 0) {
			*length = (size_t)(last - text);
			return ends[i][1];
		}
	return NULL;
}

/* "score:NAME:high" is the method score:NAME with that order. Where NAME is a method of score, what is hard is kept
 * unless an end is said; of labels no end goes without saying. What needs a generator is the sweep's own. `*canon`: how
 * the method is named. */
static int read_score(struct ek_sweep_point *p, char **canon, const char *run, const char *prefix, const char *text)
{
	static const char word[] = "score:";
	const struct ek_score_method *own = NULL;
	char *name = NULL;
	const char *end;
	size_t length;
	int rc;

	end = read_end(&length, text);
	if (strncmp(text, word, strlen(word)) == 0 && length > strlen(word)) {
		EK_TRY(ek_format(&name, "%.*s", (int)(length - strlen(word)), text + strlen(word)));
		own = is_scored(run, name) ? NULL : ek_score_find(name);
	}
	if (name == NULL || (end == NULL && (ek_score_find(name) == NULL || ek_score_find(name)->needs_labels))) {
		rc = ek_fail(EK_EUSAGE, "'methods': %s; write score:NAME:high, score:NAME:low or score:NAME:middle",
		             text);
		goto out;
	}
	p->scored_by = own != NULL && own->takes & EK_SCORE_TAKES_MODELS ? own->name : NULL;
	EK_TRY(ek_copy_string(&p->order, end != NULL ? end : ek_score_find(name)->hard));
	EK_TRY(p->scored_by != NULL ? ek_format(&p->method, "score:%s-%s", prefix, name)
	                            : ek_format(&p->method, "score:%s", name));
	EK_TRY(end != NULL ? ek_format(canon, "score:%s:%s", name, end) : ek_copy_string(canon, text));
	EK_TRY(ek_prune_check_method_of("methods", p->method));
out:
	free(name);
	return rc;
}

static int read_method(struct ek_sweep_point *p, char **canon, const char *run, const char *prefix, const char *text)
{
	int rc;

	if (strncmp(text, "score", 5) == 0)
		return read_score(p, canon, run, prefix, text);
	EK_TRY(ek_prune_check_method_of("methods", text));
	EK_TRY(ek_copy_string(&p->method, text));
	EK_TRY(ek_copy_string(canon, text));
out:
	return rc;
}

static int read_keep(double *keep, const char *text)
{
	char *end;

	*keep = strtod(text, &end);
	if (end == text || *end != 0 || !(*keep > 0 && *keep <= 1))
		return ek_fail(EK_EUSAGE, "'keeps': \"%s\" is no fraction above 0 and up to 1", text);
	return 0;
}

static int is_there(const struct ek_sweep_points *points, const char *name)
{
	for (size_t i = 0; i < points->count; i++)
		if (points->items[i].name != NULL && strcmp(points->items[i].name, name) == 0)
			return 1;
	return 0;
}

static int add(struct ek_sweep_points *points, const char *run, const char *prefix, const char *method, double keep)
{
	struct ek_sweep_point *p = &points->items[points->count], point = { .keep = keep };
	char *canon = NULL;
	int rc;

	EK_TRY(read_method(&point, &canon, run, prefix, method));
	EK_TRY(ek_format(&point.label, "%s%s%s%s %g", point.scored_by != NULL ? "score:" : "",
	                 point.scored_by != NULL ? point.scored_by : point.method, point.order != NULL ? " " : "",
	                 point.order != NULL ? point.order : "", keep));
	EK_TRY(ek_format(&point.name, "%s-%s-%g", prefix, canon, keep));
	for (char *c = point.name; *c != 0; c++)
		if (*c == ':')
			*c = '-';
	EK_TRY(ek_subset_check_name(point.name));
	if (keep == 1 || is_there(points, point.name)) /* with all kept, every method is the first point */
		goto out;
	*p = point;
	points->count++;
	free(canon);
	return 0;
out:
	free(canon);
	free(point.name);
	free(point.label);
	free(point.method);
	free(point.order);
	return rc;
}

int ek_sweep_points_make(struct ek_sweep_points *points, const char *run, const char *prefix, const char *methods,
                         const char *keeps)
{
	char *method_text = NULL, *keep_text = NULL, *method[MOST], *keep[MOST];
	size_t method_count, keep_count;
	double fraction;
	int rc;

	*points = (struct ek_sweep_points){ 0 };
	EK_TRY(ek_copy_string(&method_text, methods));
	EK_TRY(ek_copy_string(&keep_text, keeps));
	EK_TRY(split(method, &method_count, method_text, "methods"));
	EK_TRY(split(keep, &keep_count, keep_text, "keeps"));
	EK_TRY(ek_alloc(&points->items, 1 + method_count * keep_count, sizeof *points->items));
	EK_TRY(ek_format(&points->items[0].name, "%s-natural", prefix));
	EK_TRY(ek_format(&points->scorer, "%s-scorer", prefix));
	points->count = 1;
	EK_TRY(ek_subset_check_name(points->items[0].name));
	EK_TRY(ek_copy_string(&points->items[0].label, "natural 1"));
	points->items[0].keep = 1;
	for (size_t m = 0; m < method_count; m++)
		for (size_t k = 0; k < keep_count; k++) {
			EK_TRY(read_keep(&fraction, keep[k]));
			EK_TRY(add(points, run, prefix, method[m], fraction));
		}
out:
	free(method_text);
	free(keep_text);
	return rc;
}

void ek_sweep_points_release(struct ek_sweep_points *points)
{
	for (size_t i = 0; i < points->count; i++) {
		free(points->items[i].name);
		free(points->items[i].label);
		free(points->items[i].method);
		free(points->items[i].order);
	}
	free(points->items);
	free(points->scorer);
	*points = (struct ek_sweep_points){ 0 };
}

int ek_sweep_is_evaluated(const char *run, const char *name)
{
	char *path = NULL;
	const int there = ek_layout_path_at(&path, run, "evaluations/*.json", name) == 0 && ek_file_exists(path);

	free(path);
	return there;
}

int ek_sweep_steps_before(uint64_t *steps, const char *run, const char *name, uint64_t most)
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
	EK_TRY(ek_layout_path_at(&folder, run, "models/*", name));
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

int ek_sweep_lacks_autoencoder(const char *run, const char *name)
{
	char *model = NULL, *finished = NULL;
	int rc;

	EK_TRY(ek_layout_path_at(&model, run, "models/*", name));
	EK_TRY(ek_format(&finished, "%s/diffusion_pytorch_model.safetensors", model));
	/* As train flow finds it: a model of the run first, then a folder. */
	rc = !ek_file_exists(finished) && (ek_file_exists(model) || !ek_file_exists(name));
out:
	free(model);
	free(finished);
	return rc;
}
