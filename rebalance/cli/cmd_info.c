/* `evenkeel info PATH`: what a file or directory of ours is, in words. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/output.h"
#include "rebalance/pipeline/document.h"
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
	} made[] = { { "components", "embed", NULL },
		     { "groups", "cluster", NULL },
		     { "pixels", "the next training of that side", NULL },
		     { "latents", "the next training on them", NULL },
		     { "features", "the next evaluation of them", NULL },
		     { "model", NULL, "the options that follow" },
		     { "scores", "score", "the options that follow" },
		     { "weights", "weights", "the options that follow" },
		     { "samples", "generate", "the options that follow" },
		     { "", NULL, "the options that follow" } };
	const cJSON *command = ek_json_member(ek_json_member(step, "options"), "command");
	const char *name = strchr(step->string, ' ');
	const size_t length = strcspn(step->string, " ");
	char words[2][256];
	size_t i = 0;

	while (made[i].kind[0] != 0 && (strncmp(made[i].kind, step->string, length) != 0 || made[i].kind[length] != 0))
		i++;
	if (name == NULL)
		(void)printf("; evenkeel %s %s makes it again\n",
		             made[i].by != NULL ? made[i].by : ek_text_plain(words[0], step->string), a->root);
	else if (made[i].options == NULL)
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
	const cJSON *seconds = ek_json_member(step, "seconds"), *started = ek_json_member(step, "started");
	const cJSON *options = ek_json_member(step, "options"), *counts = ek_json_member(step, "counts");
	const time_t when = (time_t)ek_whole(cJSON_GetNumberValue(started));
	const char *missing = ek_outside_missing(step), *reason;
	char date[32] = "", took[32], name[256];
	struct tm parts;
	int unchanged, rc;

	EK_TRY(ek_about_is_current(&unchanged, &reason, a, step));
	if (gmtime_r(&when, &parts) != NULL)
		(void)strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &parts);
	(void)printf("\n  %s: %s, took %s\n", ek_text_plain(name, step->string), date,
	             ek_text_duration(took, cJSON_IsNumber(seconds) ? seconds->valuedouble : 0));
	(void)printf("    %s%s", unchanged ? "current" : "stale: ", reason);
	if (unchanged)
		(void)printf("\n");
	else
		print_again(a, step);
	if (missing != NULL)
		(void)printf("    not there any more, so that it cannot be made again: %s\n",
		             ek_text_plain(name, missing));
	print_members(options, NULL, 0);
	if (cJSON_GetArraySize(counts) > 0)
		(void)printf("    which gave:\n");
	print_members(counts, options, 0);
out:
	return rc;
}

/* One line on a file of a folder; of a subset, a model and the like, whether it is current. */
static int print_child(const struct ek_about *a, const char *name)
{
	const int named = *a->inside != 0 && strchr(a->inside, '/') == NULL && strcmp(a->inside, "clusters") != 0;
	struct ek_about_child child;
	char word[256];
	int rc;

	EK_TRY(ek_about_child(&child, a, name));
	if (child.text == NULL)
		goto out;
	ek_text_plain(word, name);
	if (child.step == NULL || !named)
		(void)printf("    %-24s %s\n", word, child.text);
	else
		(void)printf("    %-24s %s%s\n", word, child.current ? "current" : "stale: ", child.reason);
out:
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

/* What the clusters mostly are, of those that are called something. */
static int print_cluster_names(const struct ek_about *a)
{
	const cJSON *mostly;
	cJSON *names = NULL;
	char is[256];
	int cluster = 0, shown = 0, rc;

	EK_TRY(ek_document_cluster_names(&names, a->run));
	cJSON_ArrayForEach(mostly, names)
	{
		if (ek_text_mostly(is, mostly, "mostly ", "")[0] != 0 && shown++ < CHILDREN_SHOWN)
			(void)printf("    cluster %-16d %s\n", cluster, is);
		cluster++;
	}
out:
	cJSON_Delete(names);
	return rc;
}

static int print_words(const struct ek_about *a)
{
	char size[32], *state = NULL;
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
	if (a->damage != NULL)
		(void)printf("  damaged: %s\n", a->damage);
	if (a->document != NULL) {
		print_members(a->document, NULL, 1);
		if (a->run != NULL && strncmp(a->inside, "clusters", 8) == 0 &&
		    cJSON_HasObjectItem(a->document, "inertia"))
			EK_TRY(print_cluster_names(a));
		EK_TRY(ek_about_export(&state, a));
		if (state != NULL)
			(void)printf("  %s\n", state);
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
	free(state);
	return rc;
}

static int print_run(const struct ek_about *a)
{
	int rc;

	if (ek_run_first(a->run) == NULL) {
		(void)printf("%s: a run directory in which no step has finished yet\n", a->path);
		return 0;
	}
	(void)printf("%s: a run directory of evenkeel\n", a->path);
	for (const cJSON *step = ek_run_first(a->run); step != NULL; step = step->next)
		EK_TRY(print_step(a, step));
	EK_TRY(print_children(a));
out:
	return rc;
}

int ek_cmd_info(struct ek_invocation *invocation)
{
	const struct ek_arguments *arguments = &invocation->arguments;
	cJSON *json = NULL;
	struct ek_about a;
	int rc;

	if (arguments->count != 1)
		return ek_fail(EK_EUSAGE, "info takes one path, not %d; see evenkeel help info", arguments->count);
	EK_TRY(ek_do_info(&a, arguments->positional[0], &invocation->settings.steps));
	if (invocation->settings.common.json) {
		EK_TRY(ek_about_json(&json, &a));
		EK_TRY(ek_print_json(json));
	} else {
		rc = a.is_folder && a.run != NULL && *a.inside == 0 ? print_run(&a) : print_words(&a);
	}
out:
	cJSON_Delete(json);
	ek_about_release(&a);
	return rc;
}
