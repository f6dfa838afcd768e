/* One command, from its words to its end. */
#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/base/threads.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/terminal.h"
#include "rebalance/pipeline/device.h"

enum { OTHERS = 100 };

/* Behind `tables`, for their names alone: what the other commands take. */
static void append_others(struct ek_option_table *tables)
{
	int count = 0;

	while (tables->title != NULL)
		tables++;
	for (const struct ek_command *c = ek_commands; c->name != NULL; c++)
		for (int i = 0; c->own != NULL && i < EK_OWN_GROUPS && c->own->rows[i] != NULL && count < OTHERS; i++)
			tables[count++] = (struct ek_option_table){ .title = "", .rows = c->own->rows[i] };
	tables[count] = (struct ek_option_table){ .title = NULL };
}

int ek_command_invoke(const struct ek_command *command, int argc, char **argv)
{
	struct ek_invocation invocation = { .command = command };
	struct ek_option_table tables[EK_MAX_TABLES + OTHERS] = { { .title = NULL } };
	struct ek_settings *settings = &invocation.settings;
	struct ek_buffer help = { 0 };
	int rc;

	EK_TRY(ek_settings_init(settings, command));
	ek_command_tables(tables, command, settings);
	EK_TRY(ek_options_parse(&invocation.arguments, tables, argc, argv));
	if (settings->common.help) {
		EK_TRY(ek_command_help(&help, command, ek_terminal_width()));
		(void)fputs(help.data, stdout);
		goto out;
	}
	if (*command->arguments == 0 && invocation.arguments.count > 0)
		EK_TRY(ek_fail(EK_EUSAGE, "%s takes nothing, not \"%s\"; see evenkeel help %s", command->name,
		               invocation.arguments.positional[0], command->name));
	if (command->calls_others)
		append_others(tables);
	ek_terminal_start(settings->common.quiet, tables);
	EK_TRY(ek_device_wish(settings->common.device, command->ways));
	ek_threads_set((int)settings->common.threads);
	EK_TRY(ek_settings_replay(settings, command, &invocation.arguments.strings));
	EK_TRY(ek_settings_check(settings, command));
	ek_settings_finish(settings);
	EK_TRY(command->run(&invocation));
out:
	ek_terminal_end();
	rc = ek_options_name_error(rc, tables);
	ek_buffer_release(&help);
	ek_settings_release(settings);
	ek_arguments_release(&invocation.arguments);
	return rc;
}
