#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/terminal.h"

static void print_overview(void)
{
	(void)printf("Evenkeel finds skew in an image data set without labels and shows it.\n\n"
	             "usage: evenkeel COMMAND ... [options]\n\ncommands:\n");
	for (const struct ek_command *c = ek_commands; c->name != NULL; c++)
		(void)printf("  %s%-12s%s %s\n", ek_bold(), c->name, ek_plain(), c->summary);
	(void)printf("\nA first audit:     evenkeel audit PHOTOS -o RUN, then open RUN/report.html\n"
	             "Help of a command: evenkeel help COMMAND, or evenkeel COMMAND --help\n");
}

int ek_cmd_help(struct ek_invocation *invocation)
{
	const struct ek_arguments *arguments = &invocation->arguments;
	const struct ek_command *command;
	struct ek_buffer text = { 0 };
	int rc = 0, used;

	if (arguments->count == 0) {
		print_overview();
		return 0;
	}
	EK_TRY(ek_command_of_words(&command, &used, arguments->positional, arguments->count));
	EK_TRY(ek_command_help(&text, command, ek_terminal_width()));
	(void)fputs(text.data, stdout);
out:
	ek_buffer_release(&text);
	return rc;
}

/* The long options of a command as words. */
static void print_words(const struct ek_command *command)
{
	struct ek_settings settings = { 0 };
	struct ek_option_table tables[EK_MAX_TABLES];

	ek_command_tables_told(tables, command, &settings);
	for (const struct ek_option_table *t = tables; t->title != NULL; t++)
		for (const struct ek_option *o = t->rows; o->name != NULL; o++)
			(void)printf(" --%s", o->name);
}

/* The words that an option takes, where these are few. */
static void print_choices(const struct ek_command *command)
{
	struct ek_settings settings = { 0 };
	struct ek_option_table tables[EK_MAX_TABLES];

	ek_command_tables(tables, command, &settings);
	for (const struct ek_option_table *t = tables; t->title != NULL; t++)
		for (const struct ek_option *o = t->rows; o->name != NULL; o++) {
			if (o->choices == NULL)
				continue;
			(void)printf("\t\t'%s --%s') words='", command->name, o->name);
			for (int i = 0; ek_option_choice(o, i).name != NULL; i++)
				(void)printf("%s ", ek_option_choice(o, i).name);
			(void)printf("' ;;\n");
		}
}

int ek_cmd_completion(struct ek_invocation *invocation)
{
	(void)invocation;
	(void)printf("# bash completion for evenkeel, made by `evenkeel completion`\n"
	             "_evenkeel() {\n\tlocal word=${COMP_WORDS[COMP_CWORD]} words= name=${COMP_WORDS[1]}\n"
	             "\t[ \"$name\" != train ] || name=\"train ${COMP_WORDS[2]}\"\n"
	             "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords='");
	for (const struct ek_command *c = ek_commands; c->name != NULL; c++)
		if (strchr(c->name, ' ') == NULL)
			(void)printf("%s ", c->name);
	(void)printf("train'\n\telif [ \"$COMP_CWORD ${COMP_WORDS[1]}\" = '2 train' ]; then\n\t\twords='vae flow'\n"
	             "\telif [[ $word == -* ]]; then\n\t\tcase $name in\n");
	for (const struct ek_command *c = ek_commands; c->name != NULL; c++) {
		(void)printf("\t\t'%s') words='", c->name);
		print_words(c);
		(void)printf("' ;;\n");
	}
	(void)printf("\t\tesac\n\telse\n\t\tcase \"$name ${COMP_WORDS[COMP_CWORD - 1]}\" in\n");
	for (const struct ek_command *c = ek_commands; c->name != NULL; c++)
		print_choices(c);
	(void)printf("\t\tesac\n\tfi\n"
	             "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}\n"
	             "complete -o default -F _evenkeel evenkeel\n");
	return 0;
}

/* Roff, with what would be a request or an escape made harmless. */
static void print_roff(const char *text)
{
	for (int begins = 1; *text != 0; begins = *text++ == '\n') {
		if (begins && (*text == '.' || *text == '\''))
			(void)fputs("\\&", stdout);
		if (*text == '\n')
			(void)fputs("\n.PP\n", stdout);
		else if (*text == '\\')
			(void)fputs("\\e", stdout);
		else if (*text == '-')
			(void)fputs("\\-", stdout);
		else
			(void)putchar(*text);
	}
}

/* With the names of options as the user knows them; option: whose default is told, or NULL. */
static void print_help(const char *text, const struct ek_option_table *tables, const struct ek_option *option,
                       const void *values)
{
	struct ek_buffer named = { 0 };

	if (ek_options_name(&named, text, tables) == 0 &&
	    (option == NULL || ek_option_default(&named, option, values) == 0))
		text = named.data;
	print_roff(text);
	ek_buffer_release(&named);
}

static void print_manual_options(const struct ek_option_table *table, const struct ek_option_table *tables)
{
	for (const struct ek_option *o = table->rows; o->name != NULL; o++) {
		(void)printf(".TP\n.B ");
		print_roff(o->letter != 0 ? "-" : "--");
		if (o->letter != 0)
			(void)printf("%c, \\-\\-", o->letter);
		print_roff(o->name);
		(void)printf(o->kind != EK_KIND_FLAG ? " \\fI%s\\fR\n" : "\n", o->argument);
		print_help(o->help, tables, o, table->values);
		(void)printf("\n");
		for (int i = 0; o->choices != NULL && ek_option_choice(o, i).name != NULL; i++) {
			(void)printf(".RS\n.TP\n.B ");
			print_roff(ek_option_choice(o, i).name);
			(void)printf("\n");
			print_help(ek_option_choice(o, i).help, tables, NULL, NULL);
			(void)printf("\n.RE\n");
		}
	}
}

int ek_cmd_manual(struct ek_invocation *invocation)
{
	int rc = 0;

	(void)invocation;
	(void)printf(".TH EVENKEEL 1\n.SH NAME\nevenkeel \\- find skew in an image data set without labels\n"
	             ".SH SYNOPSIS\n.B evenkeel\n.I COMMAND\n\\&... [options]\n.SH COMMANDS\n"
	             "Many commands also take options of the steps before them, as audit has them, and do again what "
	             "they change: evenkeel help COMMAND names these.\n");
	for (const struct ek_command *c = ek_commands; c->name != NULL; c++) {
		struct ek_settings settings;
		struct ek_option_table tables[EK_MAX_TABLES];

		EK_TRY(ek_settings_init(&settings, c));
		ek_command_tables(tables, c, &settings);
		(void)printf(".SS evenkeel %s%s", c->name, *c->arguments != 0 ? " " : "");
		print_roff(c->arguments);
		(void)printf("\n");
		print_roff(c->summary);
		(void)printf(".\n.PP\n");
		print_roff(c->description);
		(void)printf("\n");
		for (const struct ek_option_table *t = tables; t->title != NULL; t++)
			if (t->rows != ek_common_rows && ek_command_tells(c, t->rows))
				print_manual_options(t, tables);
		if (c[1].name == NULL) {
			(void)printf(".SH COMMON OPTIONS\n");
			for (const struct ek_option_table *t = tables; t->title != NULL; t++)
				if (t->rows == ek_common_rows)
					print_manual_options(t, tables);
		}
		ek_settings_release(&settings);
	}
	(void)printf(".SH EXIT STATUS\n0 done, 1 failed (files, memory, device), 2 wrong usage, 3 wrong or damaged "
	             "input data, 130 interrupted (the same command goes on).\n");
out:
	return rc;
}
