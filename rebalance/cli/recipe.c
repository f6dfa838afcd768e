#include "rebalance/cli/recipe.h"

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

static const enum ek_step_id steps[] = { EK_STEP_EMBED, EK_STEP_CLUSTER, EK_STEP_END };

/* Before hours are spent: something to write, and a folder to write it to. */
static int check_writable(const struct ek_settings *s)
{
	char *folder = NULL;
	int rc;

	if (s->given[EK_GIVEN_OWN] == 0)
		return ek_fail(EK_EUSAGE, "%s is not there to be replayed, and there are no options to write to it",
		               s->recipe.file);
	EK_TRY(ek_copy_string(&folder, s->recipe.file));
	*strrchr(folder, '/') = 0; /* paths are absolute */
	if (access(*folder != 0 ? folder : "/", W_OK) != 0)
		rc = ek_fail_errno("cannot write %s", s->recipe.file);
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

/* "steps": {"seed", "embed", "cluster"} */
static int replay_steps(struct ek_invocation *i, const cJSON *json)
{
	struct ek_settings *s = &i->settings;
	const cJSON *item;
	int rc = 0;

	if (json != NULL && !cJSON_IsObject(json))
		return ek_fail(EK_EDATA, "%s: \"steps\" is not an object", s->recipe.file);
	cJSON_ArrayForEach(item, json)
	{
		const enum ek_step_id *id = steps;

		if (strcmp(item->string, "seed") == 0) {
			EK_TRY(replay_seed(&s->recipe.steps_seed, json, s->recipe.file));
			s->recipe.has_steps = 1;
			continue;
		}
		while (*id != EK_STEP_END && strcmp(ek_step_name(*id), item->string) != 0)
			id++;
		if (*id == EK_STEP_END) {
			rc = ek_fail(EK_EDATA, "%s: \"steps\" has \"%s\", not seed, embed or cluster", s->recipe.file,
			             item->string);
			goto out;
		}
		const struct ek_option_table table = ek_step_table(&s->steps, *id);

		EK_TRY(ek_options_replay(&i->arguments.strings, &table, item, s->recipe.file));
	}
out:
	return rc;
}

static int replay(struct ek_invocation *i)
{
	struct ek_settings *s = &i->settings;
	const struct ek_option_table own = ek_settings_own(s, i->command), common = ek_settings_common(s);
	const char *where = s->recipe.file, *command;
	cJSON *json = NULL, *options, *seed;
	int rc;

	EK_TRY(ek_json_load(&json, where));
	options = cJSON_GetObjectItemCaseSensitive(json, "options");
	if (!cJSON_IsObject(options)) {
		rc = ek_fail(EK_EDATA, "%s: not a recipe: it has no \"options\"", where);
		goto out;
	}
	EK_TRY(ek_json_get_string(&command, json, "command", where));
	if (strcmp(command, i->command->name) != 0) {
		rc = ek_fail(EK_EDATA, "%s is a recipe of %s, not of %s", where, command, i->command->name);
		goto out;
	}
	if ((seed = cJSON_GetObjectItemCaseSensitive(options, "seed")) != NULL) {
		if (!ek_option_is_given(&common, "seed"))
			EK_TRY(replay_seed(&s->common.seed, options, where));
		*common.given |= UINT64_C(1) << (ek_option_find(&common, "seed") - common.rows);
		cJSON_Delete(cJSON_DetachItemViaPointer(options, seed));
	}
	EK_TRY(ek_options_replay(&i->arguments.strings, &own, options, where));
	EK_TRY(replay_steps(i, cJSON_GetObjectItemCaseSensitive(json, "steps")));
	s->recipe.replayed = 1;
	ek_info("replaying the recipe %s", where);
out:
	cJSON_Delete(json);
	return rc;
}

int ek_recipe_replay(struct ek_invocation *i)
{
	const char *path = i->settings.recipe.file;
	struct stat status;

	if (path == NULL)
		return 0;
	if (stat(path, &status) != 0)
		return errno == ENOENT ? check_writable(&i->settings) : ek_fail_errno("cannot read %s", path);
	if (!S_ISREG(status.st_mode))
		return ek_fail(EK_EDATA, "%s: not a regular file", path);
	return replay(i);
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

static int add_steps(cJSON *json, const struct ek_settings *s)
{
	cJSON *object, *options;
	int rc;

	EK_TRY(ek_json_add_object(&object, json, "steps"));
	EK_TRY(ek_json_add_u64(object, "seed", (uint64_t)s->steps.seed));
	for (const enum ek_step_id *id = steps; *id != EK_STEP_END; id++)
		if (*id != EK_STEP_EMBED || s->steps.embed.embeddings == NULL)
			EK_TRY(add_options(&options, object, ek_step_name(*id), ek_step_rows[*id], &s->steps));
out:
	return rc;
}

int ek_recipe_write(const struct ek_invocation *i, const struct ek_run *run, int from_clusters)
{
	const struct ek_settings *s = &i->settings;
	cJSON *json = NULL, *options;
	int rc;

	if (s->recipe.file == NULL || s->recipe.replayed)
		return 0;
	json = cJSON_CreateObject();
	EK_TRY(ek_json_add_string(json, "evenkeel", EK_VERSION));
	EK_TRY(ek_json_add_string(json, "command", i->command->name));
	EK_TRY(add_options(&options, json, "options", i->command->own->rows[0], s->own));
	EK_TRY(ek_json_add_u64(options, "seed", (uint64_t)s->common.seed));
	if (from_clusters && ek_run_recorded(run, "cluster") != NULL)
		EK_TRY(add_steps(json, s));
	EK_TRY(ek_json_save(json, s->recipe.file));
	ek_info("recipe written: %s", s->recipe.file);
out:
	cJSON_Delete(json);
	return rc;
}
