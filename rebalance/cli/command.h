/*
 * A command: one row of the command table, one file. main.c parses what the row declares and calls `run`.
 */
#ifndef EK_CLI_COMMAND_H
#define EK_CLI_COMMAND_H

#include "rebalance/cli/options.h"
#include "rebalance/cli/settings.h"
#include "rebalance/pipeline/device.h"

struct ek_invocation {
	const struct ek_command *command;
	struct ek_settings settings;
	struct ek_arguments arguments;
};

struct ek_command {
	const char *name, *arguments, *summary;
	const char *description;      /* paragraphs for --help, split by newlines */
	const struct ek_own *own;     /* its own options; NULL: it has none */
	const enum ek_step_id *steps; /* what it brings up to date, in order; ends with EK_STEP_END; NULL: nothing */
	int takes_output;             /* 1: has -o RUN */
	int needs_no_dataset;         /* 1: -o RUN without a DATASET is fine */
	int forces_all;               /* 1: --force recomputes all its steps, not only the last */
	int calls_others;             /* 1: it runs other commands, whose messages name their options */
	enum ek_device_ways ways;     /* none: --device does nothing */
	const char *idle; /* names of other common options that do nothing, and that help leaves out, or NULL */
	int has_recipe;   /* 1: --recipe replays its options, or writes them down */
	int (*run)(struct ek_invocation *invocation);
};

/* All commands, in the order of help; ends with a NULL name. */
extern const struct ek_command ek_commands[];
const struct ek_command *ek_find_command(const char *name);
/* The command that the first words name; `*used` of them, 1 or 2 ("train flow"). EK_EUSAGE with the nearest name. */
int ek_command_of_words(const struct ek_command **command, int *used, const char *const *words, int count);

/* Parse the words behind a command's name (argv[0] is not looked at) and run it. */
int ek_command_invoke(const struct ek_command *command, int argc, char **argv);
/* Append the words that say the same as the invocation, but for options of its steps. */
int ek_command_words(struct ek_buffer *out, const struct ek_invocation *invocation);

/* The defaults of a command. Not to be moved; release in any case. EK_ENOMEM. */
int ek_settings_init(struct ek_settings *settings, const struct ek_command *command);
void ek_settings_release(struct ek_settings *settings);
/* Once all is parsed: replay the recipe that is asked for, if it is there. As ek_do_replay. */
int ek_settings_replay(struct ek_settings *settings, const struct ek_command *command, struct ek_strings *strings);
/* Its own options go together (option.h); those of steps are checked with what the run remembers. What a recipe says is
 * as it was made. EK_EUSAGE. */
int ek_settings_check(struct ek_settings *settings, const struct ek_command *command);
/* And after it: the seed of the steps. */
void ek_settings_finish(struct ek_settings *settings);
struct ek_option_table ek_settings_common(struct ek_settings *settings);
/* The first of its own tables. */
struct ek_option_table ek_settings_own(struct ek_settings *settings, const struct ek_command *command);

/* The option tables of a command over `settings`: its own, its steps', then the common ones; ends with a NULL title. */
enum { EK_MAX_TABLES = EK_STEP_COUNT + EK_OWN_GROUPS + 4 };
void ek_command_tables(struct ek_option_table tables[EK_MAX_TABLES], const struct ek_command *command,
                       struct ek_settings *settings);
/* The same for a text: of the common options those that do something. */
void ek_command_tables_told(struct ek_option_table tables[EK_MAX_TABLES], const struct ek_command *command,
                            struct ek_settings *settings);

/* The text of `evenkeel help NAME`. Options of a step are told by audit and by the first other command that takes them;
 * help of the rest says where. */
int ek_command_help(struct ek_buffer *out, const struct ek_command *command, int width);
int ek_command_tells(const struct ek_command *command, const struct ek_option *rows);

/* Open the run that the arguments name, bring the command's steps up to date, close it. `before` and `after` (each may
 * be NULL) are called with the open run. */
int ek_command_bring_up_to_date(struct ek_invocation *invocation,
                                int (*before)(struct ek_invocation *invocation, struct ek_run *run),
                                int (*after)(struct ek_invocation *invocation, struct ek_run *run));
/* Open the one run directory that the arguments name, and `work` there. EK_EUSAGE: it is not one. */
int ek_command_on_run(struct ek_invocation *invocation, enum ek_run_mode mode,
                      int (*work)(struct ek_invocation *invocation, struct ek_run *run));

/* The table of what the subset RUN/subsets/NAME does to whom, or its subset.json. */
int ek_plan_print(const struct ek_invocation *invocation, const struct ek_run *run, const char *name, int made);
/* Of a subset.json or weights.json over `images`: those without a value, and what becomes of them; and that it changes
 * next to nothing. A line each, where it is so. */
void ek_plan_print_units(const cJSON *json, double images, const char *what_becomes);
extern const struct ek_own ek_balance_own, ek_compare_own, ek_demo_own, ek_draw_own, ek_evaluate_own, ek_export_own,
	ek_generate_own, ek_label_own, ek_prune_own, ek_review_own, ek_score_own, ek_sweep_own, ek_train_flow_own,
	ek_train_vae_own, ek_weights_own;

int ek_cmd_audit(struct ek_invocation *invocation);
int ek_cmd_balance(struct ek_invocation *invocation);
int ek_cmd_compare(struct ek_invocation *invocation);
int ek_cmd_completion(struct ek_invocation *invocation);
int ek_cmd_demo(struct ek_invocation *invocation);
int ek_cmd_draw(struct ek_invocation *invocation);
int ek_cmd_evaluate(struct ek_invocation *invocation);
int ek_cmd_export(struct ek_invocation *invocation);
int ek_cmd_generate(struct ek_invocation *invocation);
int ek_cmd_help(struct ek_invocation *invocation);
int ek_cmd_info(struct ek_invocation *invocation);
int ek_cmd_label(struct ek_invocation *invocation);
int ek_cmd_manual(struct ek_invocation *invocation);
int ek_cmd_prune(struct ek_invocation *invocation);
int ek_cmd_report(struct ek_invocation *invocation);
int ek_cmd_review(struct ek_invocation *invocation);
int ek_cmd_score(struct ek_invocation *invocation);
int ek_cmd_step(struct ek_invocation *invocation);
int ek_cmd_sweep(struct ek_invocation *invocation);
int ek_cmd_train_flow(struct ek_invocation *invocation);
int ek_cmd_train_vae(struct ek_invocation *invocation);
int ek_cmd_version(struct ek_invocation *invocation);
int ek_cmd_weights(struct ek_invocation *invocation);

#endif
