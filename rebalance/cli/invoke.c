/* One command, from its words to its end. */
#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/base/threads.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/recipe.h"
#include "rebalance/cli/terminal.h"

int ek_command_invoke(const struct ek_command *command, int argc, char **argv, int wordless)
{
	struct ek_invocation invocation = { .command = command };
	struct ek_option_table tables[EK_MAX_TABLES];
	struct ek_settings *settings = &invocation.settings;
	struct ek_buffer help = { 0 };
	int rc;

	ek_settings_init(settings);
	ek_command_tables(tables, command, settings);
	EK_TRY(ek_options_parse(&invocation.arguments, tables, argc, argv));
	settings->common.wordless = wordless;
	if (settings->common.help) {
		ek_settings_init(settings); /* the defaults, not what was given beside --help */
		EK_TRY(ek_command_help(&help, command, ek_terminal_width()));
		(void)fputs(help.data, stdout);
		goto out;
	}
	if (settings->common.device == EK_DEVICE_CUDA) {
		rc = ek_fail(EK_ENOTSUP, "this build has no CUDA back end; use --device cpu");
		goto out;
	}
	ek_terminal_start(settings->common.quiet);
	ek_threads_set((int)settings->common.threads);
	EK_TRY(ek_recipe_replay(&invocation));
	EK_TRY(command->run(&invocation));
out:
	ek_buffer_release(&help);
	ek_arguments_release(&invocation.arguments);
	return rc;
}
