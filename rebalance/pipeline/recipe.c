#include "rebalance/pipeline/recipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/version.h"

static const enum ek_step_id steps[] = { EK_STEP_EMBED, EK_STEP_COMPONENTS, EK_STEP_CLUSTER, EK_STEP_GROUPS,
	                                 EK_STEP_END };

/* Before hours are spent: something to write, and a folder to write it to. */
static int check_writable(const struct ek_recipe *r)
{
	char *folder = NULL;
	int rc;

	if (*r->own.given == 0)
		return ek_fail(EK_EUSAGE, "%s is not there to be replayed, and there are no options to write to it",
		               r->file);
	EK_TRY(ek_copy_string(&folder, r->file));
	*strrchr(folder, '/') = 0; /* paths are absolute */
	if (access(*folder != 0 ? folder : "/", W_OK) != 0)
		rc = ek_fail_errno("cannot write %s", r->file);
out:
	free(folder);
	return rc;
}

static int replay_seed(int64_t *seed, const cJSON *object, const char *where)
{
	uint64_t value;
	int rc;

	EK_TRY(ek_json_get_u64(&value, object, "seed", where));
	*seed = (int64_t)value;
out:
	return rc;
}

/* "steps": {"seed", "embed", "components", "cluster", "groups"} */
static int replay_steps(struct ek_recipe *r, const cJSON *json)
{
	const cJSON *item;
	int rc = 0;

	if (json != NULL && !cJSON_IsObject(json))
		return ek_fail(EK_EDATA, "%s: \"steps\" is not an object", r->file);
	cJSON_ArrayForEach(item, json)
	{
		const enum ek_step_id *id = steps;

		if (strcmp(item->string, "seed") == 0) {
			EK_TRY(replay_seed(&r->steps_seed, json, r->file));
			r->has_steps = 1;
			continue;
		}
		while (*id != EK_STEP_END && strcmp(ek_step_name(*id), item->string) != 0)
			id++;
		if (*id == EK_STEP_END) {
			rc = ek_fail(EK_EDATA,
			             "%s: \"steps\" has \"%s\", not seed, embed, components, cluster or groups",
			             r->file, item->string);
			goto out;
		}
		const struct ek_option_table table = ek_step_table(r->steps, *id);

		EK_TRY(ek_options_replay(r->strings, &table, item, r->file));
	}
out:
	return rc;
}

static int replay(struct ek_recipe *r)
{
	const char *command;
	cJSON *json = NULL, *options, *seed;
	int rc;

	EK_TRY(ek_json_load(&json, r->file));
	options = cJSON_GetObjectItemCaseSensitive(json, "options");
	if (!cJSON_IsObject(options)) {
		rc = ek_fail(EK_EDATA, "%s: not a recipe: it has no \"options\"", r->file);
		goto out;
	}
	EK_TRY(ek_json_get_string(&command, json, "command", r->file));
	if (strcmp(command, r->command) != 0) {
		rc = ek_fail(EK_EDATA, "%s is a recipe of %s, not of %s", r->file, command, r->command);
		goto out;
	}
	if ((seed = cJSON_GetObjectItemCaseSensitive(options, "seed")) != NULL) {
		if (!r->seed_given)
			EK_TRY(replay_seed(r->seed, options, r->file));
		r->seed_given = 1;
		cJSON_Delete(cJSON_DetachItemViaPointer(options, seed));
	}
	EK_TRY(ek_options_replay(r->strings, &r->own, options, r->file));
	EK_TRY(replay_steps(r, cJSON_GetObjectItemCaseSensitive(json, "steps")));
	r->replayed = 1;
	ek_info("replaying the recipe %s", r->file);
out:
	cJSON_Delete(json);
	return rc;
}

int ek_do_replay(struct ek_recipe *r)
{
	struct stat status;

	if (r->file == NULL)
		return 0;
	if (stat(r->file, &status) != 0)
		return errno == ENOENT ? check_writable(r) : ek_fail_errno("cannot read %s", r->file);
	if (!S_ISREG(status.st_mode))
		return ek_fail(EK_EDATA, "%s: not a regular file", r->file);
	return replay(r);
}

/* The options of a table that are set. */
static int add_options(cJSON **out, cJSON *parent, const char *name, const struct ek_option *rows, const void *values)
{
	cJSON *next;
	int rc;

	EK_TRY(ek_options_to_json(out, rows, values));
	for (cJSON *item = (*out)->child; item != NULL; item = next) {
		next = item->next;
		if (cJSON_IsNull(item))
			cJSON_Delete(cJSON_DetachItemViaPointer(*out, item));
	}
	EK_TRY(ek_json_add_item(parent, name, *out));
out:
	return rc;
}

enum { DEPTH = 8 }; /* a record by another hand may go round in circles */

/* Was the recorded step made from what the step `name` wrote, at first or second hand? by_groups 0: but for groups, of
 * which every plan tells what it does to them. */
static int is_made_from(const struct ek_run *run, const cJSON *step, const char *name, int by_groups, int depth)
{
	const cJSON *input, *writer;

	cJSON_ArrayForEach(input, ek_json_member(step, "inputs"))
	{
		writer = ek_run_writer(run, input->string);
		if (writer == NULL || depth == 0 || (!by_groups && strcmp(writer->string, "groups") == 0))
			continue;
		if (strcmp(writer->string, name) == 0 || is_made_from(run, writer, name, by_groups, depth - 1))
			return 1;
	}
	return 0;
}

/* How those were made that the plan is made from. */
static int add_steps(cJSON *json, const struct ek_recipe *r, const struct ek_run *run, const cJSON *plan)
{
	const char *by = cJSON_GetStringValue(ek_json_member(ek_json_member(plan, "options"), "by"));
	const int by_groups = by != NULL && strstr(by, "group") != NULL;
	cJSON *object = NULL, *options;
	int rc = 0;

	for (const enum ek_step_id *id = steps; *id != EK_STEP_END; id++) {
		const char *name = ek_step_name(*id);

		if ((*id == EK_STEP_EMBED && r->steps->embed.embeddings != NULL) ||
		    !is_made_from(run, plan, name, by_groups, DEPTH))
			continue;
		if (object == NULL) {
			EK_TRY(ek_json_add_object(&object, json, "steps"));
			EK_TRY(ek_json_add_u64(object, "seed", (uint64_t)r->steps->seed));
		}
		EK_TRY(add_options(&options, object, name, ek_step_rows[*id], r->steps));
	}
out:
	return rc;
}

int ek_do_recipe(const struct ek_recipe *r, const struct ek_run *run, const char *plan)
{
	cJSON *json = NULL, *options;
	int rc;

	if (r->file == NULL || r->replayed)
		return 0;
	json = cJSON_CreateObject();
	EK_TRY(ek_json_add_string(json, "evenkeel", EK_VERSION));
	EK_TRY(ek_json_add_string(json, "command", r->command));
	EK_TRY(add_options(&options, json, "options", r->own.rows, r->own.values));
	EK_TRY(ek_json_add_u64(options, "seed", (uint64_t)*r->seed));
	EK_TRY(add_steps(json, r, run, ek_run_recorded(run, plan)));
	EK_TRY(ek_json_save(json, r->file));
	ek_info("recipe written: %s", r->file);
out:
	cJSON_Delete(json);
	return rc;
}
