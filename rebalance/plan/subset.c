#include "rebalance/plan/subset.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/plan/subset_lists.h"

enum { SUBSET_VERSION = 1, MAX_NAME = 100, MOST_LISTED = 1000000, ROWS = 1 << 16 };

static const char *const files[] = { "keep.npy", "decision.npy", "rank.npy", "subset.json", NULL };
enum { FILES = sizeof files / sizeof *files };
/* All that lies in the folder of a subset. */
static const char *const ours[] = { "keep.npy", "decision.npy",   "rank.npy",    "subset.json",
	                            "kept.txt", "metadata.jsonl", "removed.txt", NULL };

int ek_subset_check_name(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
	const size_t length = strlen(name);

	if (length == 0 || length > MAX_NAME || name[0] == '.' || strspn(name, allowed) != length)
		return ek_fail(EK_EUSAGE,
		               "the name \"%s\" is not up to %d letters, digits, _, - and . (not at the start)", name,
		               MAX_NAME);
	return 0;
}

/* The step of a subset; the strings are owned by `s`. */
struct subset_step {
	struct ek_step step;
	char *name, *paths[FILES];
};

static void release_step(struct subset_step *s)
{
	free(s->name);
	for (int i = 0; i < FILES; i++)
		free(s->paths[i]);
	*s = (struct subset_step){ 0 };
}

static int make_step(struct subset_step *s, const char *name, const cJSON *options, const char *const *inputs)
{
	int rc;

	*s = (struct subset_step){ 0 };
	EK_TRY(ek_format(&s->name, "subset %s", name));
	for (int i = 0; files[i] != NULL; i++)
		EK_TRY(ek_format(&s->paths[i], "subsets/%s/%s", name, files[i]));
	s->step = (struct ek_step){ .name = s->name,
		                    .version = SUBSET_VERSION,
		                    .options = options,
		                    .inputs = inputs,
		                    .outputs = (const char *const *)s->paths };
out:
	return rc;
}

/* The ids are made while they are written: a buffer of them is in memory. */
static int write_keep(const char *path, const struct ek_selection *s)
{
	struct ek_atomic_file file;
	int64_t *ids = NULL;
	size_t count = 0;
	int rc;

	EK_TRY(ek_npy_create(&file, path, EK_I64, 1, &s->kept));
	EK_TRY(ek_alloc(&ids, ROWS, sizeof *ids));
	for (uint64_t i = 0; i < s->n; i++) {
		for (uint64_t copies = ek_selection_copies(s, i); copies > 0; copies--) {
			ids[count++] = (int64_t)i;
			if (count < ROWS)
				continue;
			EK_TRY(ek_check_interrupt());
			EK_TRY(ek_atomic_write(&file, ids, count * sizeof *ids));
			count = 0;
		}
		if (i % ROWS == ROWS - 1)
			ek_units_forget(&s->units, i + 1 - ROWS, i + 1);
	}
	EK_TRY(ek_atomic_write(&file, ids, count * sizeof *ids));
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	free(ids);
	return rc;
}

static int write_decision(const char *path, const struct ek_selection *s)
{
	struct ek_atomic_file file;
	uint8_t *codes = NULL;
	int rc;

	EK_TRY(ek_npy_create(&file, path, EK_U8, 1, &s->n));
	EK_TRY(ek_alloc(&codes, ROWS, 1));
	for (uint64_t first = 0; first < s->n; first += ROWS) {
		const uint64_t count = s->n - first < ROWS ? s->n - first : ROWS;

		for (uint64_t i = 0; i < count; i++)
			codes[i] = (uint8_t)ek_selection_decision(s, first + i);
		EK_TRY(ek_atomic_write(&file, codes, count));
		ek_units_forget(&s->units, first, first + count);
		EK_TRY(ek_check_interrupt());
	}
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	free(codes);
	return rc;
}

static int write_rank(const char *path, const struct ek_selection *s)
{
	return ek_npy_write(path, EK_U32, 1, &s->n, s->rank);
}

/* One array of the subset, by the function that knows it. */
static int write_array(const char *folder, const char *name, const struct ek_selection *s,
                       int (*write)(const char *path, const struct ek_selection *s))
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/%s", folder, name));
	EK_TRY(write(path, s));
out:
	free(path);
	return rc;
}

static int add_decisions(cJSON *json, const struct ek_selection *s)
{
	cJSON *list, *row;
	int rc;

	EK_TRY(ek_json_add_array(&list, json, "decisions"));
	for (int d = 0; d < EK_DECISION_COUNT; d++) {
		EK_TRY(ek_json_add_object(&row, list, NULL));
		EK_TRY(ek_json_add_u64(row, "code", (uint64_t)d));
		EK_TRY(ek_json_add_string(row, "reason", ek_decision_reasons[d]));
		EK_TRY(ek_json_add_u64(row, "images", s->counts[d]));
	}
out:
	return rc;
}

/* What prune keeps is not meant to even out: how little it moves says nothing. */
static int add_units(cJSON *json, const struct ek_subset *subset, const struct ek_selection *s)
{
	const int evens_out = strcmp(subset->command, "balance") == 0;
	double *after = NULL;
	int rc;

	EK_TRY(ek_json_add_string(json, "by", s->units.by));
	EK_TRY(ek_alloc(&after, s->units.k, sizeof *after));
	for (uint32_t u = 0; u < s->units.k; u++)
		after[u] = (double)(s->takes[u].whole * s->units.sizes[u] + s->takes[u].rest);
	EK_TRY(ek_units_add(json, &s->units, evens_out ? after : NULL));
out:
	free(after);
	return rc;
}

static int write_json(const char *folder, const struct ek_subset *subset, const struct ek_selection *s,
                      const struct ek_effects *effects)
{
	const cJSON *keep = cJSON_GetObjectItemCaseSensitive(subset->options, "keep");
	cJSON *json = cJSON_CreateObject(), *list;
	const cJSON *item;
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/subset.json", folder));
	EK_TRY(ek_json_add_string(json, "name", subset->name));
	EK_TRY(ek_json_add_string(json, "command", subset->command));
	EK_TRY(ek_json_add_string(json, "method", subset->method));
	EK_TRY(keep != NULL ? ek_json_add_item(json, "keep", cJSON_Duplicate(keep, 1))
	                    : ek_json_add_null(json, "keep"));
	EK_TRY(ek_json_add_item(json, "options", cJSON_Duplicate(subset->options, 1)));
	EK_TRY(ek_json_add_u64(json, "images_before", s->n - s->counts[EK_DECISION_HELD_OUT]));
	EK_TRY(ek_json_add_u64(json, "images_after", s->kept));
	EK_TRY(ek_json_add_u64(json, "distinct_after", s->distinct));
	EK_TRY(ek_json_add_u64(json, "largest_repeat", s->largest_repeat));
	EK_TRY(add_decisions(json, s));
	EK_TRY(add_units(json, subset, s));
	EK_TRY(ek_json_add_array(&list, json, "baselines"));
	for (const char *const *b = subset->baselines; b != NULL && *b != NULL; b++)
		EK_TRY(ek_json_add_string(list, NULL, *b));
	cJSON_ArrayForEach(item, subset->report) EK_TRY(ek_json_add_item(json, item->string, cJSON_Duplicate(item, 1)));
	EK_TRY(ek_effects_add(json, effects, s));
	EK_TRY(ek_json_save(json, path));
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

static int write_files(const struct ek_run *run, const char *folder, const struct ek_subset *subset,
                       const struct ek_selection *s, const struct ek_effects *effects)
{
	char *images = NULL;
	int rc;

	EK_TRY(write_array(folder, "keep.npy", s, write_keep));
	EK_TRY(write_array(folder, "decision.npy", s, write_decision));
	EK_TRY(write_array(folder, "rank.npy", s, write_rank));
	EK_TRY(ek_run_file(&images, run, "images.jsonl"));
	if (ek_file_exists(images) && (s->n <= MOST_LISTED || subset->lists))
		EK_TRY(ek_subset_write_lists(run, folder, s, &effects->clusters));
	EK_TRY(write_json(folder, subset, s, effects));
out:
	free(images);
	return rc;
}

static int record(struct ek_run *run, const struct ek_subset *subset, const struct ek_draft *draft, int64_t started,
                  double clock)
{
	struct subset_step step;
	cJSON *counts = cJSON_CreateObject();
	int rc;

	EK_TRY(make_step(&step, subset->name, subset->options, subset->inputs));
	EK_TRY(ek_json_add_u64(counts, "images_before", draft->before));
	EK_TRY(ek_json_add_u64(counts, "images_after", draft->after));
	EK_TRY(ek_run_record(run, &step.step, started, ek_clock() - clock, counts));
out:
	release_step(&step);
	cJSON_Delete(counts);
	return rc;
}

int ek_subset_draft(struct ek_draft *draft, const struct ek_run *run, const struct ek_subset *subset,
                    const struct ek_selection *s, const struct ek_effects *effects)
{
	char *path = NULL;
	int rc;

	*draft = (struct ek_draft){ .before = s->n - s->counts[EK_DECISION_HELD_OUT], .after = s->kept };
	EK_TRY(ek_subset_check_name(subset->name));
	EK_TRY(ek_format(&path, "%s/subsets/%s", ek_run_path(run), subset->name));
	EK_TRY(ek_folder_open(&draft->folder, path, ours));
	EK_TRY(ek_folder_clear(&draft->folder));
	EK_TRY(write_files(run, draft->folder.fresh, subset, s, effects));
out:
	free(path);
	return rc;
}

int ek_draft_publish(struct ek_draft *draft, struct ek_run *run, const struct ek_subset *subset, int64_t started,
                     double clock)
{
	int rc;

	EK_TRY(ek_folder_publish(&draft->folder));
	EK_TRY(record(run, subset, draft, started, clock));
out:
	return rc;
}

int ek_draft_release(struct ek_draft *draft, int rc)
{
	return ek_folder_release(&draft->folder, rc);
}

int ek_subset_write(struct ek_run *run, const struct ek_subset *subset, const struct ek_selection *selection,
                    const struct ek_effects *effects, int64_t started, double clock)
{
	struct ek_draft draft;
	int rc;

	EK_TRY(ek_subset_draft(&draft, run, subset, selection, effects));
	EK_TRY(ek_draft_publish(&draft, run, subset, started, clock));
out:
	return ek_draft_release(&draft, rc);
}

int ek_subset_is_current(int *current, const char **reason, struct ek_run *run, const struct ek_subset *subset)
{
	struct subset_step step;
	int rc;

	*current = 0;
	*reason = "";
	EK_TRY(make_step(&step, subset->name, subset->options, subset->inputs));
	EK_TRY(ek_run_is_current(current, reason, run, &step.step));
out:
	release_step(&step);
	return rc;
}

int ek_subset_bring_up(int *made, struct ek_run *run, const struct ek_subset *subset, const struct ek_work *how,
                       int force)
{
	struct ek_work work = *how;
	struct subset_step step;
	char *doing = NULL;
	int rc;

	EK_TRY(make_step(&step, subset->name, subset->options, subset->inputs));
	EK_TRY(ek_format(&doing, "making the subset %s", subset->name));
	work.step = &step.step;
	work.doing = doing;
	work.records = 1;
	EK_TRY(ek_run_bring_up(made, run, &work, force));
out:
	release_step(&step);
	free(doing);
	return rc;
}

static const struct plan {
	const char *folder, *what, *file, *makers, *one; /* `file` is in a plan that is there */
	const char *is, *was, *it;
} plans[] = {
	[EK_SOURCE_WEIGHTS] = { "weights", "weights", "weights.json", "weights", "them", "are", "they were", "them" },
	[EK_SOURCE_SUBSET] = { "subsets", "subset", "keep.npy", "prune or evenkeel balance", "one", "is", "it was",
	                       "it" },
};

/* There is none of this name: those that there are. */
static int fail_missing(const struct ek_run *run, const struct plan *plan, const char *name)
{
	struct ek_buffer names = { 0 };
	struct dirent **entries = NULL;
	char *path = NULL;
	int count = 0, rc;

	EK_TRY(ek_run_file(&path, run, plan->folder));
	count = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++)
		if (entries[i]->d_name[0] != '.')
			EK_TRY(ek_buffer_printf(&names, "%s%s", names.size > 0 ? ", " : "", entries[i]->d_name));
	rc = names.size > 0
	             ? ek_fail(EK_EUSAGE, "%s has no %s %s, only %s", ek_run_path(run), plan->what, name, names.data)
	             : ek_fail(EK_EUSAGE, "%s has no %s yet: evenkeel %s makes %s", ek_run_path(run), plan->what,
	                       plan->makers, plan->one);
out:
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	ek_buffer_release(&names);
	free(path);
	return rc;
}

int ek_plan_check(struct ek_run *run, enum ek_source_kind kind, const char *name)
{
	const struct plan *plan = &plans[kind];
	char *step = NULL, *path = NULL;
	const char *reason;
	int unchanged, rc;

	EK_TRY(ek_subset_check_name(name));
	EK_TRY(ek_format(&path, "%s/%s/%s/%s", ek_run_path(run), plan->folder, name, plan->file));
	if (!ek_file_exists(path)) {
		rc = fail_missing(run, plan, name);
		goto out;
	}
	EK_TRY(ek_format(&step, "%s %s", plan->what, name));
	EK_TRY(ek_run_is_unchanged(&unchanged, &reason, run, step, 1));
	if (!unchanged)
		rc = ek_fail(EK_EDATA,
		             "the %s %s %s stale: %s since %s made; evenkeel info %s/%s/%s says what makes %s again",
		             plan->what, name, plan->is, reason, plan->was, ek_run_path(run), plan->folder, name,
		             plan->it);
out:
	free(step);
	free(path);
	return rc;
}
