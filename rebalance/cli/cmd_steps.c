/* The commands that bring steps of a run up to date: audit, scan, embed, cluster, stability, duplicates, report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/summary.h"

static int count_steps(const enum ek_step_id *steps)
{
	int count = 0;

	while (steps[count] != EK_STEP_END)
		count++;
	return count;
}

/* Which run the words name: `DATASET... -o RUN` or `RUN`. */
static int find_run(const char **path, enum ek_run_mode *mode, struct ek_invocation *i)
{
	const struct ek_arguments *arguments = &i->arguments;
	const char *name = i->command->name;

	if (i->settings.common.output != NULL) {
		if (arguments->count == 0 && !i->command->needs_no_dataset)
			return ek_fail(EK_EUSAGE, "%s needs a data set: evenkeel %s DATASET -o RUN", name, name);
		*path = i->settings.common.output;
		*mode = EK_RUN_CREATE;
		i->settings.steps.scan.datasets = arguments->count > 0 ? arguments->positional : NULL;
		i->settings.steps.scan.dataset_count = arguments->count;
		return 0;
	}
	if (arguments->count == 0)
		return i->command->takes_output
		               ? ek_fail(EK_EUSAGE, "%s needs a data set and a run: evenkeel %s DATASET -o RUN", name,
		                         name)
		               : ek_fail(EK_EUSAGE, "%s needs a run directory; see evenkeel help %s", name, name);
	if (arguments->count > 1)
		return i->command->takes_output
		               ? ek_fail(EK_EUSAGE, "%s of a data set needs the run directory: -o RUN", name)
		               : ek_fail(EK_EUSAGE, "%s takes one run directory, not %d words", name, arguments->count);
	*path = arguments->positional[0];
	*mode = EK_RUN_WRITE;
	return 0;
}

/* Append a line of a list with its path made absolute; the path may be in quotes. */
static int append_absolute(struct ek_buffer *list, const char *line, size_t size, const char *here)
{
	const size_t quote = size > 0 && line[0] == '"';
	int rc;

	EK_TRY(ek_buffer_append(list, line, quote));
	if (size > quote && line[quote] != '/')
		EK_TRY(ek_buffer_printf(list, "%s/", here));
	EK_TRY(ek_buffer_append(list, line + quote, size - quote));
	EK_TRY(ek_buffer_text(list, "\n"));
out:
	return rc;
}

/* The data set "-": a list of paths from standard input, kept in the run (`*kept`, to be freed). */
static int keep_list(char **kept, const struct ek_run *run)
{
	char *here = realpath(".", NULL), *line = NULL;
	struct ek_buffer list = { 0 };
	size_t room = 0;
	ssize_t size;
	int rc = 0;

	if (here == NULL)
		return ek_fail_errno("cannot tell the working directory");
	while ((size = getline(&line, &room, stdin)) > 0)
		EK_TRY(append_absolute(&list, line, (size_t)size - (line[size - 1] == '\n'), here));
	if (ferror(stdin)) {
		rc = ek_fail_errno("cannot read standard input");
		goto out;
	}
	if (list.size == 0) {
		rc = ek_fail(EK_EUSAGE, "standard input is empty; a path a line is expected");
		goto out;
	}
	EK_TRY(ek_steps_keep_list(kept, run, &list));
out:
	ek_buffer_release(&list);
	free(here);
	free(line);
	return rc;
}

/* Put the kept list where "-" is among the data sets. Both have to be freed. */
static int take_list(const char ***words, char **list, struct ek_invocation *i, const struct ek_run *run)
{
	const size_t count = (size_t)i->settings.steps.scan.dataset_count;
	int rc;

	if (i->settings.steps.scan.datasets == NULL)
		return 0;
	EK_TRY(ek_alloc(words, count, sizeof **words));
	for (size_t k = 0; k < count; k++) {
		(*words)[k] = i->settings.steps.scan.datasets[k];
		if (strcmp((*words)[k], "-") != 0)
			continue;
		if (*list != NULL)
			return ek_fail(EK_EUSAGE, "there is one standard input; - is given twice");
		EK_TRY(keep_list(list, run));
		(*words)[k] = *list;
	}
	i->settings.steps.scan.datasets = *words;
out:
	return rc;
}

int ek_command_bring_up_to_date(struct ek_invocation *i, int (*before)(struct ek_invocation *, struct ek_run *),
                                int (*after)(struct ek_invocation *, struct ek_run *))
{
	const enum ek_step_id *steps = i->command->steps;
	struct ek_run *run = NULL;
	enum ek_run_mode mode = EK_RUN_READ;
	const char *path = NULL;
	const char **words = NULL;
	char *list = NULL;
	int rc;

	EK_TRY(find_run(&path, &mode, i));
	EK_TRY(ek_run_open(&run, path, mode));
	EK_TRY(take_list(&words, &list, i, run));
	if (before != NULL)
		EK_TRY(before(i, run));
	EK_TRY(ek_steps_run(run, &i->settings.steps, steps, i->command->forces_all ? count_steps(steps) : 1));
	if (after != NULL)
		EK_TRY(after(i, run));
out:
	ek_run_close(run);
	free(words);
	free(list);
	return rc;
}

int ek_command_on_run(struct ek_invocation *i, enum ek_run_mode mode,
                      int (*work)(struct ek_invocation *, struct ek_run *))
{
	const char *name = i->command->name;
	struct ek_run *run = NULL;
	int rc;

	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE, "%s takes one run directory, not %d words; see evenkeel help %s", name,
		               i->arguments.count, name);
	EK_TRY(ek_run_open(&run, i->arguments.positional[0], mode));
	EK_TRY(work(i, run));
out:
	ek_run_close(run);
	return rc;
}

static int print_summary(struct ek_invocation *i, struct ek_run *run)
{
	return ek_summary_print(run, i->settings.common.json);
}

int ek_cmd_audit(struct ek_invocation *i)
{
	return ek_command_bring_up_to_date(i, NULL, print_summary);
}

static int print_report(struct ek_invocation *i, struct ek_run *run)
{
	if (i->settings.common.silent)
		return 0;
	if (i->settings.common.json)
		return ek_summary_print_file(run, "audit.json", NULL);
	(void)printf("report: %s/report.html\n", ek_run_path(run));
	return 0;
}

int ek_cmd_report(struct ek_invocation *i)
{
	return ek_command_bring_up_to_date(i, NULL, print_report);
}

/* A command of one step, whose name it has, prints what run.json says of it, or the step's own document. */
static int print_step(struct ek_invocation *i, struct ek_run *run)
{
	int rc;

	EK_TRY(ek_summary_print_step(run, i->command->name, i->settings.common.json));
	if ((i->settings.steps.groups.labels != NULL || i->settings.steps.groups.words != NULL) &&
	    !i->settings.common.json)
		EK_TRY(ek_summary_print_groups(run));
out:
	return rc;
}

int ek_cmd_step(struct ek_invocation *i)
{
	return ek_command_bring_up_to_date(i, NULL, print_step);
}
