#include "rebalance/pipeline/about.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/pipeline/about_format.h"
#include "rebalance/pipeline/document.h"
#include "rebalance/pipeline/outside.h"
#include "rebalance/pipeline/outside_images.h"

void ek_about_release(struct ek_about *a)
{
	free(a->absolute);
	free(a->root);
	ek_buffer_release(&a->format);
	ek_run_close(a->run);
	cJSON_Delete(a->document);
	cJSON_Delete(a->recipe);
	free(a->damage);
}

/* Damage of what a run holds does not keep its step from being told, which says how to make it again. */
static int note_damage(struct ek_about *a, int rc)
{
	if (rc != EK_EDATA || a->run == NULL)
		return rc;
	return a->damage != NULL ? 0 : ek_copy_string(&a->damage, ek_error_message());
}

/* The name without links in its folder; a link itself is what is asked about. */
static int make_absolute(struct ek_about *a)
{
	char *copy = NULL, *slash, *folder = NULL;
	int rc;

	if (a->is_folder) {
		if ((a->absolute = realpath(a->path, NULL)) == NULL)
			return ek_fail_errno("%s", a->path);
		return 0;
	}
	EK_TRY(ek_copy_string(&copy, a->path));
	slash = strrchr(copy, '/');
	if (slash != NULL)
		*slash = 0;
	if ((folder = realpath(slash == NULL ? "." : *copy == 0 ? "/" : copy, NULL)) == NULL)
		rc = ek_fail_errno("%s", a->path);
	else
		rc = ek_format(&a->absolute, "%s/%s", folder, slash != NULL ? slash + 1 : copy);
out:
	free(copy);
	free(folder);
	return rc;
}

/* Not one of another program that has a run.json, too; but a damaged one, which will say so. */
static int is_run(const char *folder)
{
	struct ek_run *run = NULL;
	const int rc = ek_run_open(&run, folder, EK_RUN_READ);

	ek_run_close(run);
	return rc != EK_EUSAGE;
}

/* Is the folder a run or an export? */
static int look_at(struct ek_about *a, const char *folder)
{
	static const struct {
		const char *file;
		enum ek_layout_place place;
	} marks[] = { { "run.json", EK_PLACE_RUN }, { ".evenkeel-export", EK_PLACE_EXPORT } };
	char *mark = NULL;
	int rc = 0;

	for (int i = 0; i < 2 && a->root == NULL; i++) {
		free(mark);
		EK_TRY(ek_format(&mark, "%s/%s", folder, marks[i].file));
		if (i == 0 ? ek_run_is_at(folder) || (ek_file_exists(mark) && is_run(folder)) : ek_file_exists(mark)) {
			a->place = marks[i].place;
			EK_TRY(ek_copy_string(&a->root, folder));
		}
	}
out:
	free(mark);
	return rc;
}

/* The nearest run or export that holds it, or is it. */
static int find_root(struct ek_about *a)
{
	char *folder = NULL;
	int rc;

	EK_TRY(ek_copy_string(&folder, a->absolute));
	if (!a->is_folder)
		*strrchr(folder, '/') = 0;
	while (a->root == NULL && *folder != 0) {
		EK_TRY(look_at(a, folder));
		*strrchr(folder, '/') = 0;
	}
	if (a->root == NULL)
		goto out;
	a->inside = a->absolute + strlen(a->root);
	a->inside += *a->inside == '/';
	a->file = ek_layout_find(a->place, a->inside);
out:
	free(folder);
	return rc;
}

int ek_about_check_output(const char *path)
{
	struct ek_about a = { .path = path };
	int rc = 0;

	if (make_absolute(&a) < 0)
		goto out;
	EK_TRY(find_root(&a));
	if (a.file != NULL && a.place == EK_PLACE_RUN)
		rc = ek_fail(EK_EUSAGE, "%s has a name that the run %s keeps for its own files: %s", path, a.root,
		             a.file->text);
out:
	free(a.absolute);
	free(a.root);
	return rc;
}

/* `*step` = the step that wrote `inside` of the run, by its row of the table, or NULL. */
static int step_of(const cJSON **step, const struct ek_about *a, const char *inside, const struct ek_layout *file)
{
	char *copy = NULL, *name = NULL, *at;
	int rc = 0;

	*step = NULL;
	if (a->run == NULL)
		return 0;
	if (file == NULL || file->step == NULL) {
		*step = ek_run_writer(a->run, inside);
		return 0;
	}
	/* "subsets/NAME/keep.npy": NAME */
	EK_TRY(ek_copy_string(&copy, inside));
	at = strchr(copy, '/');
	if (at != NULL)
		at[1 + strcspn(at + 1, "/")] = 0;
	at = at != NULL ? at + 1 : copy;
	EK_TRY(strstr(file->step, "%s") != NULL
	               ? ek_format(&name, "%.*s%s", (int)strcspn(file->step, "%"), file->step, at)
	               : ek_copy_string(&name, file->step));
	*step = ek_run_recorded(a->run, name);
out:
	free(copy);
	free(name);
	return rc;
}

static int load_document(struct ek_about *a)
{
	const char *name = a->file != NULL ? a->file->document : NULL;
	const int length = (int)strlen(a->absolute);
	char *path = NULL;
	int rc = 0;

	if (name == NULL)
		return 0;
	if (*name == 0)
		EK_TRY(ek_copy_string(&path, a->absolute));
	else if (*name == '*')
		EK_TRY(ek_format(&path, "%.*s.json", length - 4, a->absolute)); /* .npy */
	else if (a->place == EK_PLACE_EXPORT)
		EK_TRY(ek_format(&path, "%s/%s", a->root, name));
	else if (a->is_folder)
		EK_TRY(ek_format(&path, "%s/%s", a->absolute, name));
	else
		EK_TRY(ek_format(&path, "%.*s/%s", (int)(strrchr(a->absolute, '/') - a->absolute), a->absolute, name));
	if (ek_file_exists(path))
		EK_TRY(note_damage(a, ek_json_load(&a->document, path)));
out:
	free(path);
	return rc;
}

/* A recipe may lie anywhere. */
static int load_recipe(struct ek_about *a)
{
	const size_t length = strlen(a->path);
	cJSON *json = NULL;
	int rc;

	if (a->file != NULL || length < 5 || strcmp(a->path + length - 5, ".json") != 0)
		return 0;
	EK_TRY(ek_json_load(&json, a->path));
	if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "command")) &&
	    cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(json, "options"))) {
		a->recipe = json;
		json = NULL;
	}
out:
	cJSON_Delete(json);
	return rc;
}

static int learn(struct ek_about *a, const char *path)
{
	struct stat status;
	int rc;

	*a = (struct ek_about){ .path = path };
	if (stat(path, &status) != 0)
		return ek_fail(EK_EUSAGE, "%s: %s", path, strerror(errno));
	a->is_folder = S_ISDIR(status.st_mode);
	a->bytes = a->is_folder ? 0 : (uint64_t)status.st_size;
	EK_TRY(make_absolute(a));
	EK_TRY(find_root(a));
	if (a->root != NULL && a->place == EK_PLACE_RUN)
		EK_TRY(ek_run_open(&a->run, a->root, EK_RUN_READ));
	if (!a->is_folder)
		EK_TRY(note_damage(a, ek_about_format(&a->format, a->path)));
	EK_TRY(load_recipe(a));
	if (a->file == NULL && a->is_folder)
		rc = ek_fail(EK_EUSAGE,
		             a->root != NULL ? "%s is in the run %s, but no folder that evenkeel writes"
		                             : "%s is no folder of evenkeel: neither a run, with run.json, "
		                               "nor in one, nor an export",
		             a->path, a->root);
	else if (a->file == NULL && a->format.size == 0 && a->damage == NULL)
		rc = ek_fail(EK_EUSAGE,
		             "%s is not a file that evenkeel knows: one of a run or an export, a recipe, an array "
		             "(.npy), a table (.jsonl, .csv, .txt) or weights (.safetensors, .pth, .pt)",
		             a->path);
	EK_TRY(rc);
	EK_TRY(load_document(a));
	EK_TRY(step_of(&a->step, a, a->inside, a->file));
	if (a->damage != NULL && a->step == NULL)
		rc = ek_fail(EK_EDATA, "%s", a->damage);
out:
	return rc;
}

int ek_do_info(struct ek_about *a, const char *path, struct ek_steps_options *steps)
{
	int rc;

	EK_TRY(learn(a, path));
	if (a->run == NULL)
		goto out;
	EK_TRY(ek_outside_check_images(a->run, steps));
	EK_TRY(ek_outside_check(a->run));
	EK_TRY(ek_outside_check_latents(a->run));
out:
	return rc;
}

int ek_about_is_current(int *current, const char **reason, const struct ek_about *a, const cJSON *step)
{
	return ek_run_is_unchanged(current, reason, a->run, step->string, 1);
}

int ek_about_child(struct ek_about_child *child, const struct ek_about *a, const char *name)
{
	const struct ek_layout *file;
	const cJSON *step;
	char *inside = NULL;
	int rc;

	*child = (struct ek_about_child){ 0 };
	EK_TRY(ek_format(&inside, "%s%s%s", a->inside, *a->inside != 0 ? "/" : "", name));
	if ((file = ek_layout_find(a->place, inside)) == NULL)
		goto out;
	child->text = file->text;
	EK_TRY(step_of(&step, a, inside, file));
	if (step == NULL)
		goto out;
	child->step = step->string;
	EK_TRY(ek_about_is_current(&child->current, &child->reason, a, step));
out:
	free(inside);
	return rc;
}

int ek_about_export(char **state, const struct ek_about *a)
{
	const cJSON *root = cJSON_GetObjectItemCaseSensitive(a->document, "run");
	struct ek_run *run = NULL;
	const char *reason;
	int unchanged, rc;

	*state = NULL;
	if (a->place != EK_PLACE_EXPORT || !cJSON_IsString(root))
		return 0;
	if (cJSON_GetObjectItemCaseSensitive(a->document, "inputs") == NULL)
		return ek_copy_string(state, "it does not say what it was made from: whether that has changed since is "
		                             "not known");
	if (!ek_run_is_at(root->valuestring) || ek_run_open(&run, root->valuestring, EK_RUN_READ) < 0)
		return ek_copy_string(state, "the run that it was made from is not there any more");
	EK_TRY(ek_outside_check(run));
	EK_TRY(ek_run_are_inputs_unchanged(&unchanged, &reason, run, a->document));
	EK_TRY(unchanged ? ek_copy_string(state, "what it was made from is as it was then")
	                 : ek_format(state, "stale: %s; export it again", reason));
out:
	ek_run_close(run);
	return rc;
}

static int add_step(cJSON *out, const struct ek_about *a)
{
	const char *missing = ek_outside_missing(a->step), *reason;
	int current, rc;

	EK_TRY(ek_about_is_current(&current, &reason, a, a->step));
	EK_TRY(ek_json_add_string(out, "step", a->step->string));
	EK_TRY(ek_json_add_bool(out, "current", current));
	EK_TRY(current ? ek_json_add_null(out, "stale") : ek_json_add_string(out, "stale", reason));
	EK_TRY(missing == NULL ? ek_json_add_null(out, "missing") : ek_json_add_string(out, "missing", missing));
	EK_TRY(ek_json_add_item(out, "made", cJSON_Duplicate(a->step, 1)));
out:
	return rc;
}

int ek_about_json(cJSON **out, const struct ek_about *a)
{
	const cJSON *document = a->document != NULL ? a->document : a->recipe;
	int rc;

	if (a->is_folder && a->run != NULL && *a->inside == 0)
		return ek_document_load(out, a->run, "run.json", NULL);
	*out = cJSON_CreateObject();
	EK_TRY(ek_json_add_string(*out, "path", a->path));
	EK_TRY(ek_json_add_u64(*out, "bytes", a->bytes));
	EK_TRY(ek_json_add_string(*out, "format", a->format.size > 0 ? a->format.data : ""));
	EK_TRY(ek_json_add_string(*out, "content",
	                          a->recipe != NULL ? "a recipe"
	                          : a->file != NULL ? a->file->text
	                                            : ""));
	EK_TRY(a->root != NULL ? ek_json_add_string(*out, a->place == EK_PLACE_RUN ? "run" : "export", a->root)
	                       : ek_json_add_null(*out, "run"));
	if (a->damage != NULL)
		EK_TRY(ek_json_add_string(*out, "damaged", a->damage));
	if (a->step != NULL)
		EK_TRY(add_step(*out, a));
	if (document != NULL)
		EK_TRY(ek_json_add_item(*out, "document", cJSON_Duplicate(document, 1)));
out:
	return rc;
}
