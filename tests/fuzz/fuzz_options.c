/* Words of a command line, split at NUL bytes, through the option tables of every command. */
#include <stdlib.h>
#include <string.h>

#include "rebalance/cli/command.h"

enum { WORDS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const struct ek_command *command, int argc, char **argv)
{
	struct ek_settings settings;
	struct ek_option_table tables[EK_MAX_TABLES];
	struct ek_arguments arguments = { 0 };
	cJSON *json = NULL;

	if (ek_settings_init(&settings, command) < 0)
		abort();
	ek_command_tables(tables, command, &settings);
	if (ek_options_parse(&arguments, tables, argc, argv) == 0) {
		for (const struct ek_option_table *t = tables; t->title != NULL; t++) {
			if (ek_options_to_json(&json, t->rows, t->values) == 0) {
				(void)ek_options_from_json(&arguments.strings, t, json);
				(void)ek_options_replay(&arguments.strings, t, json, "fuzz");
			}
			cJSON_Delete(json);
		}
	}
	ek_settings_release(&settings);
	ek_arguments_release(&arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *argv[WORDS + 1] = { NULL };
	int argc = 1;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	argv[0] = text + size;
	for (size_t at = 0; at < size && argc < WORDS; at += strlen(text + at) + 1)
		argv[argc++] = text + at;
	for (const struct ek_command *c = ek_commands; c->name != NULL; c++)
		parse(c, argc, argv);
	free(text);
	return 0;
}
