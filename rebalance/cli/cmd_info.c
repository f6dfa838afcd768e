/* `evenkeel info PATH`: what a file or directory of ours is, in words. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/file.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/output.h"
#include "rebalance/pipeline/about.h"
#include "rebalance/pipeline/outside.h"
#include "rebalance/base/text.h"

enum { CHILDREN_SHOWN = 50 };

static int is_plain(const cJSON *item)
{
	return cJSON_IsString(item) || cJSON_IsNumber(item) || cJSON_IsBool(item);
}

/* Members of an object, but for those that `but` has alike; `plain`: no lists and objects. */
static void print_members(const cJSON *object, const cJSON *but, int plain)
{
	const cJSON *item;
	char name[256];

	cJSON_ArrayForEach(item, object)
	{
		const cJSON *other = cJSON_GetObjectItemCaseSensitive(but, item->string);
		char *text;

		if (cJSON_IsNull(item) || (plain && !is_plain(item)) || cJSON_Compare(item, other, 1))
			continue;
		text = cJSON_PrintUnformatted(item);
		if (text != NULL)
			(void)printf("    %-24s %s\n", ek_text_plain(name, item->string != NULL ? item->string : ""),
			             text);
		cJSON_free(text);
	}
}

/* What makes it again, as far as words can tell. */
static void print_again(const struct ek_about *a, const cJSON *step)
{
	static const struct {
		const char *kind, *by, *options; /* by: NULL: the command of its options */
	} made[] = { { "pixels", "the next training of that side", NULL },
		     { "latents", "the next training on them", NULL },
		     { "features", "the next evaluation of them", NULL },
		     { "model", NULL, "the options of its config.json" },
		     { "weights", "weights", "the options that follow" },
		     { "samples", "generate", "the options that follow" },
		     { "", NULL, "the options that follow" } };
	const cJSON *command =
		cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(step, "options"), "command");
	const char *name = strchr(step->string, ' ');
	const size_t length = strcspn(step->string, " ");
	char words[2][256];
	size_t i = 0;

	if (name == NULL) {
		(void)printf("; evenkeel %s %s makes it again\n", ek_text_plain(words[0], step->string), a->root);
		return;
	}
	while (made[i].kind[0] != 0 && (strncmp(made[i].kind, step->string, length) != 0 || made[i].kind[length] != 0))
		i++;
	if (made[i].options == NULL)
		(void)printf("; %s makes it again\n", made[i].by);
	else
		(void)printf("; evenkeel %s %s --name %s with %s makes it again\n",
		             made[i].by != NULL        ? made[i].by
		             : cJSON_IsString(command) ? ek_text_plain(words[0], command->valuestring)
		                                       : "",
		             a->root, ek_text_plain(words[1], name + 1), made[i].options);
}

static int print_step(const struct ek_about *a, const cJSON *step)
{
	const cJSON *started = cJSON_GetObjectItemCaseSensitive(step, "started");
	const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(step, "seconds");
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(step, "options");
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(step, "counts");
	const time_t when = (time_t)ek_whole(cJSON_GetNumberValue(started));
	char date[32] = "", took[32], name[256];
	const char *reason;
	struct tm parts;
	int unchanged, rc;

	EK_TRY(ek_run_is_unchanged(&unchanged, &reason, a->run, step->string, 1));
	if (gmtime_r(&when, &parts) != NULL)
		(void)strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &parts);
	(void)printf("\n  %s: %s, took %s\n", ek_text_plain(name, step->string), date,
	             ek_text_duration(took, cJSON_IsNumber(seconds) ? seconds->valuedouble : 0));
	(void)printf("    %s%s", unchanged ? "current" : "stale: ", reason);
	if (unchanged)
		(void)printf("\n");
	else
		print_again(a, step);
	print_members(options, NULL, 0);
	if (cJSON_GetArraySize(counts) > 0)
		(void)printf("    which gave:\n");
	print_members(counts, options, 0);
out:
	return rc;
}

/* One line on a file of a folder; of a subset or weights, whether it is current. */
static int print_child(const struct ek_about *a, const char *name)
{
	const struct ek_layout *file;
	const cJSON *step;
	const char *reason;
	char *inside = NULL, word[256];
	int unchanged, rc;

	EK_TRY(ek_format(&inside, "%s%s%s", a->inside, *a->inside != 0 ? "/" : "", name));
	if ((file = ek_layout_find(a->place, inside)) == NULL)
		goto out;
	EK_TRY(ek_about_step(&step, a, inside, file));
	if (step == NULL || *a->inside == 0 || strchr(a->inside, '/') != NULL || strcmp(a->inside, "clusters") == 0) {
		(void)printf("    %-24s %s\n", ek_text_plain(word, name), file->text);
		goto out;
	}
	EK_TRY(ek_run_is_unchanged(&unchanged, &reason, a->run, step->string, 1));
	(void)printf("    %-24s %s%s\n", ek_text_plain(word, name), unchanged ? "current" : "stale: ", reason);
out:
	free(inside);
	return rc;
}

static int print_children(const struct ek_about *a)
{
	struct dirent **entries = NULL;
	const int count = scandir(a->absolute, &entries, NULL, alphasort);
	int rc = count < 0 ? ek_fail_errno("cannot read %s", a->path) : 0;

	EK_TRY(rc);
	(void)printf("\n  in it:\n");
	for (int i = 0; i < count && i < CHILDREN_SHOWN + 2; i++)
		if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
			EK_TRY(print_child(a, entries[i]->d_name));
	if (count > CHILDREN_SHOWN + 2)
		(void)printf("    ... and %d more\n", count - CHILDREN_SHOWN - 2);
out:
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return rc;
}

static void print_recipe(const struct ek_about *a)
{
	const char *command = cJSON_GetObjectItemCaseSensitive(a->recipe, "command")->valuestring;
	const cJSON *steps = cJSON_GetObjectItemCaseSensitive(a->recipe, "steps"), *step;
	char name[256];

	(void)printf("%s: a recipe; evenkeel %s RUN --recipe %s makes the plan of it again\n", a->path, command,
	             a->path);
	print_members(cJSON_GetObjectItemCaseSensitive(a->recipe, "options"), NULL, 0);
	cJSON_ArrayForEach(step, steps) if (cJSON_IsObject(step))
	{
		(void)printf("  with the step %s:\n", ek_text_plain(name, step->string != NULL ? step->string : ""));
		print_members(step, NULL, 0);
	}
}

/* Has the subset changed since it was laid out? */
static int print_export_state(const struct ek_about *a)
{
	const cJSON *root = cJSON_GetObjectItemCaseSensitive(a->document, "run");
	const cJSON *subset = cJSON_GetObjectItemCaseSensitive(a->document, "subset"), *step;
	struct ek_run *run = NULL;
	char *mark = NULL, *name = NULL;
	const char *reason, *state = "its subset is as it was then";
	struct stat status;
	int unchanged = 1, rc;

	if (!cJSON_IsString(root) || !cJSON_IsString(subset))
		return 0;
	EK_TRY(ek_format(&mark, "%s/.evenkeel-export", a->root));
	EK_TRY(ek_format(&name, "subset %s", subset->valuestring));
	if (!ek_run_is_at(root->valuestring) || ek_run_open(&run, root->valuestring, EK_RUN_READ) < 0) {
		(void)printf("  the run that it was made from is not there any more\n");
		goto out;
	}
	EK_TRY(ek_run_is_unchanged(&unchanged, &reason, run, name, 1));
	step = ek_run_recorded(run, name);
	if (step == NULL)
		state = "its subset is not recorded in the run: whether it has changed since is not known";
	else if (stat(mark, &status) == 0 &&
	         cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(step, "started")) > (double)status.st_mtime)
		state = "stale: its subset was made again since; evenkeel export makes it again";
	else if (!unchanged)
		state = "stale: its subset is stale";
	(void)printf("  %s\n", state);
out:
	free(mark);
	free(name);
	ek_run_close(run);
	return rc;
}

static int print_words(const struct ek_about *a)
{
	char size[32];
	int rc = 0;

	if (a->recipe != NULL) {
		print_recipe(a);
		return 0;
	}
	(void)printf("%s: %s", a->path, a->file != NULL ? a->file->text : "");
	if (!a->is_folder)
		(void)printf("%s%s (%s)", a->file != NULL && a->format.size > 0 ? "; " : "",
		             a->format.size > 0 ? a->format.data : "", ek_text_bytes(size, a->bytes));
	(void)printf("\n");
	if (a->document != NULL) {
		print_members(a->document, NULL, 1);
		if (a->place == EK_PLACE_EXPORT)
			EK_TRY(print_export_state(a));
	}
	if (a->step != NULL) {
		(void)printf("\n  written by the step:\n");
		EK_TRY(print_step(a, a->step));
	} else if (a->file != NULL && a->file->step != NULL) {
		(void)printf("\n  run.json does not say what made it, so whether it is stale is not known\n");
	}
	if (a->is_folder && a->place == EK_PLACE_RUN)
		EK_TRY(print_children(a));
out:
	return rc;
}

static int print_run(const struct ek_about *a)
{
	const cJSON *step;
	char *file = NULL;
	int rc, steps = 0;

	EK_TRY(ek_layout_path(&file, a->run, "run.json", NULL));
	if (!ek_file_exists(file)) {
		(void)printf("%s: a run directory in which no step has finished yet\n", a->path);
		goto out;
	}
	(void)printf("%s: a run directory of evenkeel\n", a->path);
	for (step = ek_run_first(a->run); step != NULL; step = step->next, steps++)
		EK_TRY(print_step(a, step));
	EK_TRY(print_children(a));
out:
	free(file);
	return rc;
}

static int add_step(cJSON *out, const struct ek_about *a)
{
	const char *reason;
	int unchanged, rc;

	EK_TRY(ek_run_is_unchanged(&unchanged, &reason, a->run, a->step->string, 1));
	EK_TRY(ek_json_add_string(out, "step", a->step->string));
	EK_TRY(ek_json_add_bool(out, "current", unchanged));
	EK_TRY(unchanged ? ek_json_add_null(out, "stale") : ek_json_add_string(out, "stale", reason));
	EK_TRY(ek_json_add_item(out, "made", cJSON_Duplicate(a->step, 1)));
out:
	return rc;
}

static int print_json(const struct ek_about *a)
{
	cJSON *out = NULL, *record = NULL;
	char *file = NULL;
	int rc;

	if (a->is_folder && a->run != NULL && *a->inside == 0) {
		EK_TRY(ek_layout_path(&file, a->run, "run.json", NULL));
		EK_TRY(ek_json_load(&record, file));
		rc = ek_print_json(record);
		goto out;
	}
	out = cJSON_CreateObject();
	EK_TRY(ek_json_add_string(out, "path", a->path));
	EK_TRY(ek_json_add_u64(out, "bytes", a->bytes));
	EK_TRY(ek_json_add_string(out, "format", a->format.size > 0 ? a->format.data : ""));
	EK_TRY(ek_json_add_string(out, "content",
	                          a->recipe != NULL ? "a recipe"
	                          : a->file != NULL ? a->file->text
	                                            : ""));
	EK_TRY(a->root != NULL ? ek_json_add_string(out, a->place == EK_PLACE_RUN ? "run" : "export", a->root)
	                       : ek_json_add_null(out, "run"));
	if (a->step != NULL)
		EK_TRY(add_step(out, a));
	if (a->document != NULL || a->recipe != NULL)
		EK_TRY(ek_json_add_item(out, "document",
		                        cJSON_Duplicate(a->document != NULL ? a->document : a->recipe, 1)));
	rc = ek_print_json(out);
out:
	free(file);
	cJSON_Delete(out);
	cJSON_Delete(record);
	return rc;
}

int ek_cmd_info(struct ek_invocation *invocation)
{
	const struct ek_arguments *arguments = &invocation->arguments;
	struct ek_about a;
	int rc;

	if (arguments->count != 1)
		return ek_fail(EK_EUSAGE, "info takes one path, not %d; see evenkeel help info", arguments->count);
	EK_TRY(ek_about_learn(&a, arguments->positional[0]));
	if (a.run != NULL) {
		EK_TRY(ek_outside_check_images(a.run, &invocation->settings.steps));
		EK_TRY(ek_outside_check_evaluations(a.run));
		EK_TRY(ek_outside_check_latents(a.run));
	}
	if (invocation->settings.common.json)
		rc = print_json(&a);
	else
		rc = a.is_folder && a.run != NULL && *a.inside == 0 ? print_run(&a) : print_words(&a);
out:
	ek_about_release(&a);
	return rc;
}
