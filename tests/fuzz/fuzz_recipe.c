/* Any bytes as a recipe of every command that takes one: it is replayed or refused, and what was replayed is written as
 * a recipe that replays alike. */

#include "rebalance/cli/command.h"
#include "tests/support/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(cJSON **options, const char *name, const char *path)
{
	struct ek_invocation i = { .command = ek_find_command(name) };
	int rc;

	assert_ok(ek_settings_init(&i.settings, i.command));
	i.settings.recipe.file = path;
	*options = NULL;
	rc = ek_settings_replay(&i.settings, i.command, &i.arguments.strings);
	if (rc == 0 && ek_options_to_json(options, i.command->own->rows[0], i.settings.own) < 0)
		abort();
	ek_settings_release(&i.settings);
	ek_arguments_release(&i.arguments);
	return rc;
}

static void replay_again(const char *name, const cJSON *options, const char *path)
{
	cJSON *json = cJSON_CreateObject(), *again;

	assert_ok(ek_json_add_string(json, "command", name));
	assert_ok(ek_json_add_item(json, "options", cJSON_Duplicate(options, 1)));
	assert_ok(ek_json_save(json, path));
	if (replay(&again, name, path) < 0 || !cJSON_Compare(options, again, 1))
		abort();
	cJSON_Delete(json);
	cJSON_Delete(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "prune", "balance", "weights" };
	static const char *path, *second;

	if (path == NULL) {
		path = strdup(ek_join(ek_scratch(), "recipe.json"));
		second = strdup(ek_join(ek_scratch(), "again.json"));
	}
	for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
		cJSON *options;

		ek_write_file(path, data, size);
		if (replay(&options, names[n], path) == 0)
			replay_again(names[n], options, second);
		cJSON_Delete(options);
	}
	return 0;
}
