/* `evenkeel label RUN`: people say which group images belong to, on a page of this machine. */
#include <inttypes.h>
#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/text.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/output.h"
#include "rebalance/cli/serve.h"
#include "rebalance/pipeline/label.h"

static const struct ek_option rows[] = {
	{ .name = "groups",
	  EK_STRING(struct ek_do_label_options, groups, "NAME,..."),
	  .help = "groups to begin with; the page can add, rename and merge them" },
	{ .name = "person",
	  EK_STRING(struct ek_do_label_options, person, "NAME"),
	  .excludes = "summary",
	  .help = "who labels; without it the page asks" },
	{ .name = "name",
	  EK_STRING(struct ek_do_label_options, name, "NAME"),
	  .help = "the labels go to RUN/labels/NAME.jsonl" },
	{ .name = "port",
	  EK_INTEGER(struct ek_do_label_options, port, "P", 1, 65535),
	  .zero = "any",
	  .excludes = "summary",
	  .help = "the port of the page on 127.0.0.1" },
	{ .name = "summary",
	  EK_FLAG(struct ek_do_label_options, summary),
	  .help = "no page: say what has been labelled" },
	{ .name = "export",
	  EK_STRING(struct ek_do_label_options, export, "FILE"),
	  .help = "no page: write the labels as a CSV, file_name,label,random" },
	{ .name = NULL },
};

static const struct ek_do_label_options defaults = EK_DO_LABEL_DEFAULT;
const struct ek_own ek_label_own = EK_OWN(defaults, rows);

static void print_summary(const struct ek_label_log *log)
{
	char text[2][32];

	(void)printf("%s image%s labelled by %zu %s, in %zu group%s\n", ek_text_count(text[0], log->label_count),
	             log->label_count == 1 ? "" : "s", log->person_count, log->person_count == 1 ? "person" : "people",
	             log->group_count, log->group_count == 1 ? "" : "s");
	for (size_t i = 0; i < log->group_count; i++)
		(void)printf("  %-24s %s\n", log->groups[i], ek_text_count(text[0], log->sizes[i]));
	if (log->none > 0)
		(void)printf("  %-24s %s\n", "none of these", ek_text_count(text[0], log->none));
	if (log->disputed > 0)
		(void)printf("  %-24s %s\n", "people differ", ek_text_count(text[0], log->disputed));
}

static int work(struct ek_invocation *i, struct ek_run *run)
{
	const struct ek_do_label_options *o = i->settings.own;
	struct ek_labelled labelled;
	cJSON *json = NULL;
	char count[32];
	int rc;

	EK_TRY(ek_do_label(&labelled, run, o, ek_announce, i));
	if (o->export != NULL)
		ek_info("the labels of %s image%s are in %s", ek_text_count(count, labelled.exported),
		        labelled.exported == 1 ? "" : "s", o->export);
	if (o->summary && i->settings.common.json) {
		EK_TRY(ek_labelled_json(&json, &labelled));
		EK_TRY(ek_print_json(json));
	} else if (o->summary) {
		print_summary(&labelled.log);
	}
out:
	cJSON_Delete(json);
	ek_labelled_release(&labelled);
	return rc;
}

int ek_cmd_label(struct ek_invocation *i)
{
	return ek_command_on_run(i, EK_RUN_READ, work);
}
