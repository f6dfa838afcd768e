/* The step "model NAME" of run.json: whether a training of that name is this one, and goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/kept_path.h"
#include "rebalance/io/layout.h"
#include "rebalance/io/run_files.h"
#include "rebalance/pipeline/training_internal.h"
#include "train/loop/checkpoint.h"

static int identity_of(char out[EK_SHA256_HEX], const cJSON *config)
{
	uint8_t hash[EK_SHA256_SIZE];
	char *text = cJSON_PrintUnformatted(config);
	int rc;

	if (text == NULL)
		return ek_fail(EK_ENOMEM, "no memory for config.json");
	EK_TRY(ek_sha256(hash, text, strlen(text)));
	ek_hex(out, hash, sizeof hash);
out:
	free(text);
	return rc;
}

/* Do two paths that the run keeps lead to the same file? */
static int is_same_file(int *same, const struct ek_run *run, const char *a, const char *b)
{
	char *found[2] = { NULL }, *real[2] = { NULL };
	int rc;

	*same = 0;
	EK_TRY(ek_kept_path_find(&found[0], run, a));
	EK_TRY(ek_kept_path_find(&found[1], run, b));
	for (int i = 0; i < 2 && found[i] != NULL; i++)
		real[i] = realpath(found[i], NULL);
	*same = real[0] != NULL && real[1] != NULL && strcmp(real[0], real[1]) == 0;
out:
	for (int i = 0; i < 2; i++) {
		free(found[i]);
		free(real[i]);
	}
	return rc;
}

/* With --force: all that an earlier training made, so that nothing of it is taken for the new one's. */
static int remove_old(const char *folder)
{
	static const char *const made[] = { "diffusion_pytorch_model.safetensors", "latents.npy", "losses.npy",
		                            "losses.json" };
	char *path = NULL;
	int rc;

	EK_TRY(ek_previews_keep(folder, 0));
	EK_TRY(ek_checkpoints_keep(folder, 0, 0));
	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		EK_TRY(ek_format(&path, "%s/%s", folder, made[i]));
		EK_TRY(ek_remove(path));
		free(path);
		path = NULL;
	}
out:
	free(path);
	return rc;
}

/* The step "model NAME": version 1 had no options but its command and its identity. */
enum { INPUTS = EK_TRAINING_PLANS + 3, VERSION = 2 };

struct model_step {
	struct ek_step step;
	const char *inputs[INPUTS + 1], *outputs[3];
	char *owned[EK_TRAINING_PLANS + 1], *files[2], *name;
	cJSON *options;
};

static void model_step_release(struct model_step *m)
{
	for (int i = 0; i <= EK_TRAINING_PLANS; i++)
		free(m->owned[i]);
	free(m->files[0]);
	free(m->files[1]);
	free(m->name);
	cJSON_Delete(m->options);
}

static int is_kept_outside(const char *path)
{
	return path != NULL && path[0] == '/';
}

/* Files that the model is made from, of those that are the run's. */
static int list_inputs(struct model_step *m, const struct ek_training_job *job)
{
	const char *from = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(job->config, "from"));
	size_t count = 0;
	int rc;

	m->inputs[count++] = "images.jsonl";
	EK_TRY(ek_training_plans(m->owned, job));
	if (job->autoencoder != NULL && !is_kept_outside(job->autoencoder))
		EK_TRY(ek_format(&m->owned[EK_TRAINING_PLANS], "%s/diffusion_pytorch_model.safetensors",
		                 job->autoencoder));
	for (int i = 0; i <= EK_TRAINING_PLANS; i++)
		if (m->owned[i] != NULL)
			m->inputs[count++] = m->owned[i];
	if (from != NULL && !is_kept_outside(from))
		m->inputs[count++] = from;
out:
	return rc;
}

/* What decides the bytes beside the inputs: config.json, but for what only repeats those, and but for the slices, which
 * decide the order of sums alone: a checkpoint goes on where others are usual, as on another device. An autoencoder
 * from elsewhere is no input; "samples" has a hash of its weights. */
static int choose_options(cJSON **out, const struct ek_training_job *job)
{
	const cJSON *kind = cJSON_GetObjectItemCaseSensitive(job->config, "evenkeel"), *item;
	char *command = NULL;
	int rc;

	*out = cJSON_CreateObject();
	EK_TRY(ek_format(&command, "train %s", kind->valuestring));
	EK_TRY(ek_json_add_string(*out, "command", command));
	cJSON_ArrayForEach(item, job->config)
	{
		static const char *const left_out[] = { "evenkeel", "made_from", "pixels" };
		int is_out = strcmp(item->string, "samples") == 0 && !is_kept_outside(job->autoencoder);

		for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
			is_out |= strcmp(item->string, left_out[i]) == 0;
		if (!is_out)
			EK_TRY(ek_json_add_item(*out, item->string, cJSON_Duplicate(item, 1)));
	}
	cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(*out, "training"), "slice");
out:
	free(command);
	return rc;
}

/* Release in any case. */
static int model_step_make(struct model_step *m, const struct ek_training_job *job)
{
	int rc;

	*m = (struct model_step){ .step = { .version = VERSION } };
	EK_TRY(choose_options(&m->options, job));
	EK_TRY(list_inputs(m, job));
	EK_TRY(ek_layout_name(&m->files[0], "models/*/config.json", job->options->name));
	EK_TRY(ek_layout_name(&m->files[1], "models/*/diffusion_pytorch_model.safetensors", job->options->name));
	EK_TRY(ek_format(&m->name, "model %s", job->options->name));
	m->outputs[0] = m->files[0];
	m->outputs[1] = m->files[1];
	m->step.name = m->name;
	m->step.options = m->options;
	m->step.inputs = m->inputs;
	m->step.outputs = m->outputs;
out:
	return rc;
}

/* Earlier versions kept paths as they were given: the same file is written as it is now. */
static int respell(cJSON *options, const struct ek_run *run, const cJSON *now)
{
	static const char *const names[] = { "autoencoder", "from" };
	int same, rc = 0;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *was = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(options, names[i]));
		const char *is = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(now, names[i]));

		if (was == NULL || is == NULL)
			continue;
		EK_TRY(is_same_file(&same, run, was, is));
		if (same && !cJSON_ReplaceItemInObjectCaseSensitive(options, names[i], cJSON_CreateString(is)))
			return ek_fail(EK_ENOMEM, "no memory for options");
	}
out:
	return rc;
}

/* What config.json says of a training that a version of evenkeel began which recorded no more: its options. */
static int recall_options(cJSON **out, const struct ek_training_job *job, const cJSON *now, const cJSON *old)
{
	static const char *const data[] = { "samples", "pixels", "made_from" };
	const cJSON *item;
	int rc = 0;

	*out = cJSON_CreateObject();
	cJSON_ArrayForEach(item, now)
	{
		const int is_command = strcmp(item->string, "command") == 0;
		const cJSON *was = is_command ? item : cJSON_GetObjectItemCaseSensitive(old, item->string);

		if (was != NULL)
			EK_TRY(ek_json_add_item(*out, item->string, cJSON_Duplicate(was, 1)));
	}
	cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(*out, "training"), "slice");
	EK_TRY(respell(*out, job->run, now));
	for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
		const cJSON *was = cJSON_GetObjectItemCaseSensitive(old, data[i]);

		if (was != NULL && !cJSON_Compare(was, cJSON_GetObjectItemCaseSensitive(job->config, data[i]), 1))
			return ek_fail(EK_EUSAGE,
			               "%s/models/%s was trained on other images, plans or latents than these; take "
			               "another 'name', or 'force' to start it anew",
			               ek_run_path(job->run), job->options->name);
	}
out:
	return rc;
}

/* Record it. A config.json that has lost itself, as some versions could have it, says nothing: then the checkpoint's
 * identity decides. */
static int take_over(const struct ek_training_job *job, const struct model_step *now, const cJSON *old)
{
	struct ek_step step = now->step;
	cJSON *options = NULL;
	int rc = 0;

	if (cJSON_GetObjectItemCaseSensitive(old, "evenkeel") != NULL) {
		EK_TRY(recall_options(&options, job, now->options, old));
		step.options = options;
	}
	EK_TRY(ek_run_record(job->run, &step, (int64_t)time(NULL), 0, NULL));
out:
	cJSON_Delete(options);
	return rc;
}

/* What a finished model says beside what it was trained with stays: it is good until there is a newer one. So do the
 * identity of a training that goes on, and the slices that it was begun with. */
static int keep_rest(cJSON *document, const cJSON *old, int slice)
{
	cJSON *training = cJSON_GetObjectItemCaseSensitive(document, "training");
	const cJSON *begun = ek_json_member(ek_json_member(old, "training"), "slice"), *item;
	int rc = 0;

	if (cJSON_IsNumber(begun) && begun->valueint != slice) {
		ek_info("in slices of %d images; it was begun in slices of %d, whose gradients round otherwise", slice,
		        begun->valueint);
		cJSON_DeleteItemFromObjectCaseSensitive(training, "slice");
		EK_TRY(ek_json_add_item(training, "slice", cJSON_Duplicate(begun, 1)));
	}

	cJSON_ArrayForEach(item, old)
	{
		if (cJSON_GetObjectItemCaseSensitive(document, item->string) == NULL)
			EK_TRY(ek_json_add_item(document, item->string, cJSON_Duplicate(item, 1)));
	}
out:
	return rc;
}

/* A model of this name that is something else is not written over. */
static int check_old(const struct ek_training_job *job, const struct model_step *m, const char *folder,
                     const cJSON *old)
{
	enum ek_run_match match;
	const char *reason;
	int rc = 0;

	if (ek_json_number(ek_run_recorded(job->run, m->name), "version") < VERSION)
		EK_TRY(take_over(job, m, old));
	EK_TRY(ek_run_match(&match, &reason, job->run, &m->step, ek_run_recorded(job->run, m->name)));
	if (match == EK_RUN_OTHER || match == EK_RUN_STALE)
		rc = ek_fail(EK_EUSAGE,
		             "%s was trained otherwise: %s; take another 'name', or 'force' to start it anew", folder,
		             reason);
out:
	return rc;
}

int ek_training_begin(char identity[EK_SHA256_HEX], const struct ek_training_job *job, const char *folder)
{
	struct model_step m = { 0 };
	cJSON *old = NULL, *document = cJSON_Duplicate(job->config, 1);
	int rc;

	EK_TRY(model_step_make(&m, job));
	if (job->options->force)
		EK_TRY(remove_old(folder));
	else if (ek_run_has(job->run, m.files[0]))
		EK_TRY(ek_run_json_load(&old, job->run, m.files[0]));
	if (old != NULL) {
		EK_TRY(check_old(job, &m, folder, old));
		EK_TRY(keep_rest(document, old, job->task->slice));
	}
	if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(document, "identity"))) {
		EK_TRY(identity_of(identity, job->config));
		EK_TRY(ek_json_add_string(document, "identity", identity));
	}
	(void)snprintf(identity, EK_SHA256_HEX, "%s",
	               cJSON_GetObjectItemCaseSensitive(document, "identity")->valuestring);
	EK_TRY(ek_run_json_save(job->run, m.files[0], document));
	EK_TRY(ek_run_record(job->run, &m.step, (int64_t)time(NULL), 0, NULL));
out:
	model_step_release(&m);
	cJSON_Delete(document);
	cJSON_Delete(old);
	return rc;
}

static int add_counts(cJSON *counts, const struct ek_training_result *r)
{
	int rc;

	EK_TRY(ek_json_add_u64(counts, "step", r->training.step));
	EK_TRY(ek_json_add_double(counts, "loss", r->training.loss));
out:
	return rc;
}

int ek_training_record(const struct ek_training_job *job, const struct ek_training_result *result)
{
	const double seconds = result->training.seconds;
	struct model_step m = { 0 };
	cJSON *counts = NULL;
	int rc = 0;

	if (result->folder == NULL)
		return 0;
	counts = cJSON_CreateObject();
	EK_TRY(add_counts(counts, result));
	EK_TRY(model_step_make(&m, job));
	EK_TRY(ek_run_record(job->run, &m.step, (int64_t)time(NULL) - (int64_t)seconds, seconds, counts));
out:
	model_step_release(&m);
	cJSON_Delete(counts);
	return rc;
}
