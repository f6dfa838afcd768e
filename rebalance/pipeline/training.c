#include "rebalance/pipeline/training.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/kept_path.h"
#include "rebalance/plan/subset.h"
#include "train/loop/checkpoint.h"
#include "train/nn/device.h"

const struct ek_choice ek_schedules[] = { { "constant", "the same rate to the end" },
	                                  { "linear", "down to 0 in a line" },
	                                  { "cosine", "down to 0 along half a cosine" },
	                                  { NULL, NULL } };
const struct ek_choice ek_precisions[] = { { "auto", "bf16 where the processor multiplies it" },
	                                   { "f32", "float32" },
	                                   { "bf16", "bfloat16 products over float32 parameters" },
	                                   { NULL, NULL } };

int ek_parse_duration(double *seconds, const char *text, const char *option)
{
	static const struct {
		const char *suffix;
		double seconds;
	} units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	char *end;

	*seconds = strtod(text, &end);
	if (end != text && *seconds > 0 && *seconds < 1e9)
		for (size_t i = 0; i < sizeof units / sizeof *units; i++)
			if (strcmp(end, units[i].suffix) == 0) {
				*seconds *= units[i].seconds;
				return 0;
			}
	return ek_fail(EK_EUSAGE, "'%s': \"%s\" is no time; write 90s, 10m or 2h", option, text);
}

int ek_training_check(const struct ek_training_options *o)
{
	return o->name != NULL ? ek_subset_check_name(o->name) : ek_fail(EK_EUSAGE, "a model needs a name");
}

int ek_training_slice(const struct ek_training_options *o, int least, int most)
{
	const int64_t parts = o->accumulate > 0 ? o->accumulate : 1;

	if (o->slice > 0 && o->accumulate > 0)
		return ek_fail(EK_EUSAGE, "give either 'slice' or 'accumulate': a slice of B / N images is N parts");
	if (o->batch % parts != 0)
		return ek_fail(EK_EUSAGE, "'batch' %" PRId64 " is not a multiple of 'accumulate' %" PRId64, o->batch,
		               parts);
	return o->slice > 0 ? (int)o->slice : ek_trainer_slice((uint64_t)o->batch, (uint64_t)parts, least, most);
}

int ek_training_folder(char **folder, const struct ek_run *run, const char *name)
{
	int rc;

	*folder = NULL;
	EK_TRY(ek_layout_path(folder, run, "models/*", name));
	EK_TRY(ek_make_directories(*folder));
out:
	return rc;
}

/* Steps from what the user said; 0: by the time. */
static int find_end(struct ek_trainer_options *o, const struct ek_training_job *job)
{
	const struct ek_training_options *w = job->options;
	int rc = 0;

	if ((w->steps > 0) + (w->epochs > 0) > 1)
		return ek_fail(EK_EUSAGE, "give either 'steps' or 'epochs'");
	o->steps = (uint64_t)w->steps;
	if (w->epochs > 0)
		o->steps = (uint64_t)ceil(w->epochs * (double)job->feed->ids.epoch / (double)o->batch);
	if (w->time_limit != NULL)
		EK_TRY(ek_parse_duration(&o->time_limit, w->time_limit, "time-limit"));
	else if (o->steps == 0)
		o->time_limit = 600;
	if (o->warmup > o->steps / 10 && o->steps > 0)
		o->warmup = o->steps / 10;
out:
	return rc;
}

/* What decides the bytes, but for the end: a training can be made longer. */
static int add_training(cJSON *config, const struct ek_training_job *job, const struct ek_trainer_options *o)
{
	const struct ek_training_options *w = job->options;
	cJSON *t;
	int rc;

	EK_TRY(ek_json_add_object(&t, config, "training"));
	EK_TRY(ek_json_add_u64(t, "seed", job->feed->seed));
	EK_TRY(ek_json_add_u64(t, "batch", o->batch));
	EK_TRY(ek_json_add_u64(t, "slice", (uint64_t)job->task->slice));
	EK_TRY(ek_json_add_string(t, "precision",
	                          ek_nn_precision_type((enum ek_nn_precision)w->precision) == EK_NN_BFLOAT16 ? "bf16"
	                                                                                                     : "f32"));
	EK_TRY(ek_json_add_double(t, "rate", o->adamw.rate));
	EK_TRY(ek_json_add_string(t, "schedule", ek_schedules[o->schedule].name));
	EK_TRY(ek_json_add_u64(t, "warmup", (uint64_t)w->warmup));
	EK_TRY(ek_json_add_double(t, "decay", o->adamw.decay));
	EK_TRY(ek_json_add_double(t, "ema", o->adamw.average));
	EK_TRY(ek_json_add_double(t, "clip", o->adamw.clip));
	EK_TRY(ek_json_add_double(t, "validate", w->validate));
	if (w->subset != NULL)
		EK_TRY(ek_json_add_string(t, "subset", w->subset));
	if (w->weights != NULL)
		EK_TRY(ek_json_add_string(t, "weights", w->weights));
	if (w->loss_weights != NULL)
		EK_TRY(ek_json_add_string(t, "loss_weights", w->loss_weights));
out:
	return rc;
}

static int find_schedule(enum ek_schedule *schedule, const char *name, const char *where)
{
	for (int i = 0; ek_schedules[i].name != NULL; i++)
		if (strcmp(ek_schedules[i].name, name) == 0) {
			*schedule = (enum ek_schedule)i;
			return 0;
		}
	return ek_fail(EK_EDATA, "%s: schedule is \"%s\", which this version does not know", where, name);
}

int ek_training_again(struct ek_trainer_options *o, const cJSON *config, uint64_t steps, const char *where)
{
	const cJSON *t = cJSON_GetObjectItemCaseSensitive(config, "training");
	const char *schedule;
	int rc;

	*o = (struct ek_trainer_options){ .steps = steps,
		                          .adamw = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 },
		                          .log_every = 50,
		                          .checkpoint_seconds = 300,
		                          .checkpoints_kept = 2 };
	EK_TRY(ek_json_get_u64(&o->batch, t, "batch", where));
	EK_TRY(ek_json_get_u64(&o->warmup, t, "warmup", where));
	EK_TRY(ek_json_get_double(&o->adamw.rate, t, "rate", where));
	EK_TRY(ek_json_get_double(&o->adamw.decay, t, "decay", where));
	EK_TRY(ek_json_get_double(&o->adamw.average, t, "ema", where));
	EK_TRY(ek_json_get_double(&o->adamw.clip, t, "clip", where));
	EK_TRY(ek_json_get_string(&schedule, t, "schedule", where));
	EK_TRY(find_schedule(&o->schedule, schedule, where));
	o->warmup = o->warmup > steps / 10 ? steps / 10 : o->warmup;
out:
	return rc;
}

enum { PLANS = 5 };

/* Plans that the training is made from, as the run names files; to be freed, also after a failure. Not all are set. */
static int list_plans(char *files[PLANS], const struct ek_training_job *job)
{
	const struct ek_training_options *w = job->options;
	int rc = 0;

	if (w->subset != NULL)
		EK_TRY(ek_layout_name(&files[0], "subsets/*/keep.npy", w->subset));
	if (w->weights != NULL)
		EK_TRY(ek_layout_name(&files[1], "weights/*/weights.npy", w->weights));
	if (w->loss_weights != NULL)
		EK_TRY(ek_layout_name(&files[2], "weights/*/weights.npy", w->loss_weights));
	if (job->by_cluster)
		EK_TRY(ek_layout_name(&files[3], "clusters/assignment.npy", NULL));
	if (job->by_group)
		EK_TRY(ek_layout_name(&files[4], "clusters/membership.npy", NULL));
out:
	return rc;
}

/* Made anew under the same name, they make it another training. */
static int add_hashes(cJSON *config, const struct ek_training_job *job)
{
	char *files[PLANS] = { NULL };
	cJSON *hashes;
	int rc;

	EK_TRY(ek_json_add_object(&hashes, config, "made_from"));
	EK_TRY(list_plans(files, job));
	for (int i = 0; i < PLANS; i++) {
		char text[17], *path = NULL;

		if (files[i] == NULL)
			continue;
		EK_TRY(ek_run_file(&path, job->run, files[i]));
		rc = ek_hash64_file_hex(text, path);
		free(path);
		EK_TRY(rc);
		EK_TRY(ek_json_add_string(hashes, files[i], text));
	}
out:
	for (int i = 0; i < PLANS; i++)
		free(files[i]);
	return rc;
}

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

int ek_training_add_from(cJSON *config, const struct ek_run *run, const struct ek_training_options *wish)
{
	char *kept = NULL;
	int rc = 0;

	if (wish->from == NULL)
		return 0;
	EK_TRY(ek_kept_path(&kept, run, wish->from));
	EK_TRY(ek_json_add_string(config, "from", kept));
out:
	free(kept);
	return rc;
}

/* How many images' forward the log of losses takes for each that is trained on; a third of a training's work each. */
static double losses_per_image(const struct ek_training_job *job, const struct ek_trainer_options *o)
{
	const struct ek_loss_log *l = &job->losses;

	return l->every == 0 ? 0 : (double)l->images * l->grid.draws / ((double)l->every * (double)o->batch);
}

/* One step on the first batch, timed, after one that is not. */
static int estimate(struct ek_training_estimate *e, const struct ek_training_job *job,
                    const struct ek_trainer_options *o)
{
	struct ek_slice slice = { .count = job->task->slice };
	const size_t size = (size_t)slice.count;
	struct ek_store *store = NULL;
	float *weights = NULL;
	int64_t *ids = NULL;
	double *losses = NULL, started;
	int rc;

	*e = (struct ek_training_estimate){ .parameters = job->task->params->size,
		                            .tensors = job->task->params->count,
		                            .bytes = job->bytes + ek_store_bytes(job->task->params),
		                            .flops = 3 * job->flops,
		                            .batch = o->batch,
		                            .steps = o->steps,
		                            .epoch = job->feed->ids.epoch,
		                            .slice = job->task->slice,
		                            .threads = ek_device_takes_batches() ? 0 : ek_device_workers(),
		                            .time_limit = o->time_limit };
	EK_TRY(ek_store_new(&store, job->task->params));
	ek_store_write(store, EK_VALUES, 0, job->task->params->size, job->start);
	EK_TRY(ek_alloc(&weights, size, sizeof *weights));
	EK_TRY(ek_alloc(&ids, size, sizeof *ids));
	EK_TRY(ek_alloc(&losses, 9 * size, sizeof *losses));
	EK_TRY(job->feed->ids.draw(job->feed->ids.context, 0, size, ids, weights));
	slice.ids = ids;
	slice.weights = weights;
	slice.losses = losses;
	slice.parts = losses + size;
	EK_TRY(ek_task_load(job->task, store, EK_VALUES));
	EK_TRY(ek_task_learn(job->task, 0, &slice, store));
	ek_store_clear_gradients(store);
	started = ek_clock();
	EK_TRY(ek_task_learn(job->task, 0, &slice, store));
	e->image_seconds = (ek_clock() - started) / (double)size / (double)ek_device_workers();
	e->seconds = o->steps > 0
	                     ? e->image_seconds * (double)(o->steps * o->batch) * (1 + losses_per_image(job, o) / 3)
	                     : o->time_limit;
out:
	ek_store_free(store);
	free(weights);
	free(ids);
	free(losses);
	return rc;
}

static int options_from(struct ek_trainer_options *o, const struct ek_training_job *job)
{
	const struct ek_training_options *w = job->options;
	int rc;

	*o = (struct ek_trainer_options){ .batch = (uint64_t)w->batch,
		                          .adamw = { .rate = w->rate > 0 ? w->rate : job->rate,
		                                     .beta1 = 0.9,
		                                     .beta2 = 0.999,
		                                     .epsilon = 1e-8,
		                                     .decay = w->decay,
		                                     .average = w->average,
		                                     .clip = w->clip },
		                          .schedule = (enum ek_schedule)w->schedule,
		                          .warmup = (uint64_t)w->warmup,
		                          .log_every = (uint64_t)w->log_every,
		                          .judge_every = 10 * (uint64_t)w->log_every,
		                          .checkpoints_kept = (int)w->keep,
		                          .groups = job->groups,
		                          .group_count = job->group_count,
		                          .losses = job->losses,
		                          .held_out = job->feed->held_out,
		                          .held_out_count = job->feed->held_out_count };
	EK_TRY(ek_parse_duration(&o->checkpoint_seconds, w->checkpoint_every, "checkpoint-every"));
	EK_TRY(find_end(o, job));
out:
	return rc;
}

/* The step "model NAME": version 1 had no options but its command and its identity. */
enum { INPUTS = PLANS + 3, VERSION = 2 };

struct model_step {
	struct ek_step step;
	const char *inputs[INPUTS + 1], *outputs[3];
	char *owned[PLANS + 1], *files[2], *name;
	cJSON *options;
};

static void model_step_release(struct model_step *m)
{
	for (int i = 0; i <= PLANS; i++)
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
	EK_TRY(list_plans(m->owned, job));
	if (job->autoencoder != NULL && !is_kept_outside(job->autoencoder))
		EK_TRY(ek_format(&m->owned[PLANS], "%s/diffusion_pytorch_model.safetensors", job->autoencoder));
	for (int i = 0; i <= PLANS; i++)
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

/* RUN/models/NAME/config.json, of a training that is new, begun anew, or gone on with; and the step is recorded. */
static int begin(char identity[EK_SHA256_HEX], const struct ek_training_job *job, const struct model_step *m,
                 const char *folder)
{
	cJSON *old = NULL, *document = cJSON_Duplicate(job->config, 1);
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, job->run, m->files[0]));
	if (job->options->force)
		EK_TRY(remove_old(folder));
	else if (ek_file_exists(path))
		EK_TRY(ek_json_load(&old, path));
	if (old != NULL) {
		EK_TRY(check_old(job, m, folder, old));
		EK_TRY(keep_rest(document, old, job->task->slice));
	}
	if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(document, "identity"))) {
		EK_TRY(identity_of(identity, job->config));
		EK_TRY(ek_json_add_string(document, "identity", identity));
	}
	(void)snprintf(identity, EK_SHA256_HEX, "%s",
	               cJSON_GetObjectItemCaseSensitive(document, "identity")->valuestring);
	EK_TRY(ek_json_save(document, path));
	EK_TRY(ek_run_record(job->run, &m->step, (int64_t)time(NULL), 0, NULL));
out:
	cJSON_Delete(document);
	cJSON_Delete(old);
	free(path);
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

int ek_training_do(struct ek_training_result *out, const struct ek_training_job *job)
{
	struct ek_trainer_options options;
	struct model_step m = { 0 };
	char identity[EK_SHA256_HEX];
	int rc;

	*out = (struct ek_training_result){ 0 };
	EK_TRY(options_from(&options, job));
	if (options.batch % (uint64_t)job->task->slice != 0)
		return ek_fail(EK_EUSAGE, "'batch' %" PRIu64 " is not a multiple of 'slice' %d", options.batch,
		               job->task->slice);
	EK_TRY(add_training(job->config, job, &options));
	EK_TRY(add_hashes(job->config, job));
	if (job->options->dry_run)
		return estimate(&out->estimate, job, &options);
	EK_TRY(ek_training_folder(&out->folder, job->run, job->options->name));
	EK_TRY(model_step_make(&m, job));
	EK_TRY(begin(identity, job, &m, out->folder));
	if (options.losses.every > 0)
		ek_info("the losses of all %" PRIu64 " images are logged every %" PRIu64
		        " steps, each at %d draws: about %.0f %% more work",
		        options.losses.images, options.losses.every, options.losses.grid.draws,
		        100 * losses_per_image(job, &options) / 3);
	options.folder = out->folder;
	options.identity = identity;
	EK_TRY(ek_train(&out->training, job->task, &job->feed->ids, &options, job->start));
out:
	model_step_release(&m);
	return rc;
}

void ek_training_result_release(struct ek_training_result *result)
{
	free(result->folder);
	result->folder = NULL;
}
