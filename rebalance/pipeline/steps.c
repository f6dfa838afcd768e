#include "rebalance/pipeline/steps.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/embed/encoder.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/images.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/given_labels.h"
#include "rebalance/pipeline/group_words.h"
#include "rebalance/pipeline/steps_internal.h"
#include "rebalance/pipeline/word_groups.h"

const char *ek_step_name(enum ek_step_id id)
{
	return ek_step_kinds[id].name;
}

const char *ek_step_title(enum ek_step_id id)
{
	return ek_step_kinds[id].title;
}

/* Is something else said of the step now than the last time? */
static int is_asked_anew(const struct ek_option_table *table, const cJSON *asked, const cJSON *before)
{
	for (const struct ek_option *o = table->rows; o->name != NULL; o++)
		if (ek_option_is_given(table, o->name) &&
		    !cJSON_Compare(cJSON_GetObjectItemCaseSensitive(asked, o->name),
		                   cJSON_GetObjectItemCaseSensitive(before, o->name), 1))
			return 1;
	return 0;
}

/*
 * A step that cannot be made ready, because its data, weights or embeddings are away, is taken as it was, with a
 * warning, if what it made is still there and nothing else is asked of it now. Else `failure` stands.
 */
static int take_as_it_was(struct ek_prepared *p, struct ek_run *run, enum ek_step_id id, const cJSON *wanted,
                          int failure)
{
	const cJSON *recorded = ek_run_recorded(run, ek_step_kinds[id].name);
	const cJSON *before = cJSON_GetObjectItemCaseSensitive(recorded, "asked");
	int asked = id == EK_STEP_SCAN && p->asked->scan.datasets != NULL, current = 0, rc;
	const struct ek_option_table table = ek_step_table(p->asked, id);
	char *message = NULL;
	const char *reason;

	asked |= is_asked_anew(&table, wanted, before);
	if (asked || recorded == NULL || failure == EK_ENOMEM || failure == EK_EINTERRUPTED)
		return failure;
	EK_TRY(ek_copy_string(&message, ek_error_message()));
	EK_TRY(ek_run_is_unchanged(&current, &reason, run, ek_step_kinds[id].name, 0));
	if (!current)
		rc = ek_fail(failure, "%s", message);
	else
		ek_warn("%s; going on with what was made before", message);
out:
	free(message);
	return rc;
}

/* Labels that do not fit the images must not cost the work of a step. */
static int check_labels(struct ek_steps_options *s, const struct ek_run *run)
{
	uint64_t images;
	int rc;

	if (s->groups.labels == NULL || s->groups.labels_fit || !ek_file_exists(s->groups.labels) ||
	    ek_run_recorded(run, "scan") == NULL)
		return 0;
	EK_TRY(ek_images_count(&images, run));
	rc = ek_given_labels_fit(run, s->groups.labels, images, EK_GROUP_WORDS_MOST + 1);
	s->groups.labels_fit = rc < 0 ? -1 : 1;
out:
	return rc;
}

static int make(void *prepared, struct ek_run *run, cJSON *counts)
{
	struct ek_prepared *p = prepared;
	int rc = 0;

	if (p->id != EK_STEP_SCAN)
		EK_TRY(check_labels(p->asked, run));
	rc = ek_step_kinds[p->id].make(prepared, run, counts);
out:
	return rc;
}

/* Is left out unless something is asked for; it goes with the step before it. */
static int is_optional(enum ek_step_id id)
{
	return id == EK_STEP_COMPONENTS || id == EK_STEP_GROUPS;
}

static int is_wanted(const struct ek_steps_options *options, enum ek_step_id id)
{
	const int by_words = options->groups.words != NULL && !ek_groups_name_found(options);
	const int groups = !by_words && (options->groups.labels != NULL || options->groups.number >= 0);

	if (id == EK_STEP_GROUPS)
		return groups || by_words;
	return id != EK_STEP_COMPONENTS || options->needs_components || options->components.views > 1 || groups;
}

/* What was never done; what is to be done again says so, and why, when it is its turn. */
static int tell_steps(const struct ek_run *run, const struct ek_steps_options *options, const enum ek_step_id *steps)
{
	struct ek_buffer names = { 0 };
	int count = 0, rc = 0;

	for (; *steps != EK_STEP_END; steps++) {
		const char *name = ek_step_kinds[*steps].name;

		if (is_wanted(options, *steps) && ek_run_recorded(run, name) == NULL)
			EK_TRY(ek_buffer_printf(&names, "%s%s", count++ > 0 ? ", " : "", name));
	}
	if (count > 1)
		ek_info("steps to do: %s", names.data);
out:
	ek_buffer_release(&names);
	return rc;
}

/* One step; `forced` runs it even if it is current. all: with the steps to come, to be told once it can be done; or
 * NULL. */
static int run_step(struct ek_run *run, struct ek_steps_options *options, enum ek_step_id id, int forced,
                    const enum ek_step_id *all)
{
	const struct ek_option_table table = ek_step_table(options, id);
	struct ek_prepared p = { .asked = options, .id = id };
	const struct ek_work work = { .step = &p.step,
		                      .doing = ek_step_kinds[id].doing,
		                      .make = make,
		                      .context = &p,
		                      .is_current = ek_step_kinds[id].is_current,
		                      .records = ek_step_kinds[id].records };
	cJSON *asked = NULL;
	int made, rc;

	EK_TRY(ek_check_interrupt());
	EK_TRY(ek_options_to_json(&asked, table.rows, options));
	EK_TRY(ek_json_add_u64(asked, "seed", (uint64_t)options->seed));
	rc = ek_step_kinds[id].prepare(&p, run);
	if (rc < 0) {
		rc = forced ? rc : take_as_it_was(&p, run, id, asked, rc);
		goto out;
	}
	if (all != NULL && rc == 0) /* 1: a scan of nothing, which is refused */
		EK_TRY(tell_steps(run, options, all));
	ek_run_set_asked(run, asked);
	EK_TRY(ek_run_bring_up(&made, run, &work, forced));
	/* As with a number of clusters that happens to be the default one: a wish from now on. */
	if (!made &&
	    is_asked_anew(&table, asked,
	                  cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, ek_step_kinds[id].name), "asked")))
		EK_TRY(ek_run_ask_again(run, ek_step_kinds[id].name, asked));
out:
	ek_run_set_asked(run, NULL);
	ek_prepared_release(&p);
	cJSON_Delete(asked);
	return rc;
}

/* What the user asked for the last time, where nothing else is said now. */
static int remember(const struct ek_run *run, struct ek_steps_options *options, enum ek_step_id id)
{
	const cJSON *recorded = ek_run_recorded(run, ek_step_kinds[id].name);
	const cJSON *asked = cJSON_GetObjectItemCaseSensitive(recorded, "asked");
	const cJSON *seed = cJSON_GetObjectItemCaseSensitive(asked, "seed");
	const struct ek_option_table table = ek_step_table(options, id);

	if (cJSON_IsNumber(seed) && !options->seed_given)
		options->seed = (int64_t)ek_whole(seed->valuedouble);
	return ek_options_from_json(&options->strings, &table, asked);
}

int ek_steps_scan_is_current(int *current, const char **reason, struct ek_run *run, struct ek_steps_options *options)
{
	struct ek_prepared p = { .asked = options };
	int rc;

	*current = 1;
	*reason = "";
	if (ek_run_recorded(run, "scan") == NULL)
		return 0;
	EK_TRY(remember(run, options, EK_STEP_SCAN));
	rc = ek_prepare_scan(&p, run);
	if (rc == 0)
		EK_TRY(ek_run_is_current(current, reason, run, &p.step));
	else if (rc != EK_ENOMEM && rc != EK_EINTERRUPTED)
		rc = 0;
out:
	ek_prepared_release(&p);
	return rc;
}

static int check_words(const struct ek_steps_options *options)
{
	struct ek_group_words words = { 0 };
	int rc = 0;

	if (options->groups.words == NULL)
		return 0;
	if (options->embed.embeddings == NULL && options->groups.text_weights == NULL)
		EK_TRY(ek_word_groups_check(ek_encoders[options->embed.encoder].name));
	EK_TRY(ek_group_words_load(&words, options->groups.words));
out:
	ek_group_words_release(&words);
	return rc;
}

/* What can be told wrong before any work is done: a mistake in the last step must not cost an hour in the first. */
static int check_options(struct ek_steps_options *options, const enum ek_step_id *steps)
{
	struct ek_prepared p = { .asked = options };
	int rc = 0;

	for (; *steps != EK_STEP_END; steps++) {
		const struct ek_option_table table = ek_step_table(options, *steps);

		EK_TRY(ek_options_check(&table));
		for (const struct ek_option *o = table.rows; o->name != NULL; o++) {
			const int is_path =
				o->kind == EK_KIND_PATH && *(const char **)ek_option_field(o, options) != NULL;

			if (is_path && o->check == NULL && ek_option_is_given(&table, o->name))
				EK_TRY(ek_option_check_file(o, options));
		}
	}
	EK_TRY(check_words(options));
	if (options->cluster.hierarchy != NULL)
		EK_TRY(ek_prepare_levels(&p, options->cluster.hierarchy));
	if (options->duplicates.eps != NULL)
		EK_TRY(ek_prepare_eps(&p, options->duplicates.eps));
out:
	return rc;
}

/* An image that only its header had vouched for is damaged: it becomes a rejected row, and the step is done again.
 * Else `failure` stands. */
static int reject_late(struct ek_run *run, struct ek_steps_options *options, enum ek_step_id id, int forced,
                       int failure)
{
	int rc;

	if (failure != EK_EDATA || id == EK_STEP_SCAN || options->groups.labels_fit < 0 || !ek_scan_was_by_headers(run))
		return failure;
	ek_warn("%s; only headers were checked, so every image is decoded now, and what is damaged is left out",
	        ek_error_message());
	options->scan.found_late = 1;
	EK_TRY(run_step(run, options, EK_STEP_SCAN, 0, NULL));
	EK_TRY(run_step(run, options, id, forced, NULL));
out:
	return rc;
}

int ek_steps_run(struct ek_run *run, struct ek_steps_options *options, const enum ek_step_id *steps, int forced)
{
	int count = 0, left = 0, rc = 0; /* left: steps that are in any case and come later */

	for (; steps[count] != EK_STEP_END; count++)
		left += !is_optional(steps[count]);
	for (int i = 0; i < count; i++)
		EK_TRY(remember(run, options, steps[i]));
	EK_TRY(check_options(options, steps));
	for (int i = 0; i < count; i++) {
		int force;

		left -= !is_optional(steps[i]);
		force = options->force && left < forced;
		if (is_wanted(options, steps[i]) &&
		    (rc = run_step(run, options, steps[i], force, i == 0 ? steps : NULL)) < 0)
			EK_TRY(reject_late(run, options, steps[i], force, rc));
	}
out:
	return rc;
}

/* Arrays that no step of ours made: there is nothing to bring up to date. */
static int is_made_by_hand(const struct ek_run *run, const char *file)
{
	char *path = NULL;
	const int is =
		ek_run_recorded(run, "scan") == NULL && ek_run_file(&path, run, file) == 0 && ek_file_exists(path);

	free(path);
	return is;
}

int ek_steps_before(struct ek_run *run, struct ek_steps_options *options, int clusters)
{
	static const enum ek_step_id scan[] = { EK_STEP_SCAN, EK_STEP_END };
	static const enum ek_step_id cluster[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_CLUSTER, EK_STEP_END };

	if (is_made_by_hand(run, clusters ? "clusters/assignment.npy" : "images.jsonl"))
		return 0;
	if (!options->seed_kept && ek_run_recorded(run, "cluster") != NULL)
		options->seed_given = 0;
	return ek_steps_run(run, options, clusters ? cluster : scan, 0);
}

int ek_steps_components(struct ek_run *run, struct ek_steps_options *options)
{
	static const enum ek_step_id steps[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_COMPONENTS, EK_STEP_END };

	if (is_made_by_hand(run, "embeddings.npy"))
		return ek_fail(EK_EUSAGE,
		               "%s has embeddings that no step made: evenkeel audit EMBEDDINGS.npy -o RUN makes "
		               "a run of them",
		               ek_run_path(run));
	if (!options->seed_kept && ek_run_recorded(run, "embed") != NULL)
		options->seed_given = 0;
	options->needs_components = 1;
	return ek_steps_run(run, options, steps, 0);
}

int ek_steps_groups(struct ek_run *run, struct ek_steps_options *options)
{
	static const enum ek_step_id steps[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_COMPONENTS, EK_STEP_GROUPS,
		                                 EK_STEP_END };

	if (ek_run_recorded(run, "groups") == NULL && !is_wanted(options, EK_STEP_GROUPS))
		return 0;
	if (!options->seed_kept)
		options->seed_given = 0;
	return ek_steps_run(run, options, steps, 0);
}

int ek_steps_keep_list(char **path, const struct ek_run *run, const struct ek_buffer *list)
{
	int rc;

	EK_TRY(ek_layout_path(path, run, "list.txt", NULL));
	EK_TRY(ek_atomic_save(*path, list->data, list->size));
out:
	return rc;
}
