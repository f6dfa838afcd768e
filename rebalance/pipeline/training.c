#include "rebalance/pipeline/training.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/kept_path.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/training_internal.h"
#include "rebalance/plan/subset.h"
#include "train/nn/device.h"

const struct ek_choice ek_schedules[] = { { "constant", "the same rate to the end" },
	                                  { "linear", "down to 0 in a line" },
	                                  { "cosine", "down to 0 along half a cosine" },
	                                  { NULL, NULL } };
const struct ek_choice ek_precisions[] = { { "auto", "bf16 where the processor multiplies it" },
	                                   { "f32", "float32" },
	                                   { "bf16", "bfloat16 products over float32 parameters" },
	                                   { NULL, NULL } };

static int parse_duration(double *seconds, const char *text, const char *option)
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

int ek_training_feed(struct ek_feed *feed, struct ek_run *run, const struct ek_training_options *o, uint64_t seed)
{
	return ek_feed_open(feed, run,
	                    &(struct ek_feed_options){ o->subset, o->weights, o->loss_weights, o->validate, seed });
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
		EK_TRY(parse_duration(&o->time_limit, w->time_limit, "time-limit"));
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

int ek_training_plans(char *files[EK_TRAINING_PLANS], const struct ek_training_job *job)
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
	char *files[EK_TRAINING_PLANS] = { NULL };
	cJSON *hashes;
	int rc;

	EK_TRY(ek_json_add_object(&hashes, config, "made_from"));
	EK_TRY(ek_training_plans(files, job));
	for (int i = 0; i < EK_TRAINING_PLANS; i++) {
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
	for (int i = 0; i < EK_TRAINING_PLANS; i++)
		free(files[i]);
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
	EK_TRY(parse_duration(&o->checkpoint_seconds, w->checkpoint_every, "checkpoint-every"));
	EK_TRY(find_end(o, job));
out:
	return rc;
}

int ek_training_do(struct ek_training_result *out, const struct ek_training_job *job)
{
	struct ek_trainer_options options;
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
	EK_TRY(ek_layout_path(&out->folder, job->run, "models/*", job->options->name));
	EK_TRY(ek_make_directories(out->folder));
	EK_TRY(ek_training_begin(identity, job, out->folder));
	if (options.losses.every > 0)
		ek_info("the losses of all %" PRIu64 " images are logged every %" PRIu64
		        " steps, each at %d draws: about %.0f %% more work",
		        options.losses.images, options.losses.every, options.losses.grid.draws,
		        100 * losses_per_image(job, &options) / 3);
	options.folder = out->folder;
	options.identity = identity;
	EK_TRY(ek_train(&out->training, job->task, &job->feed->ids, &options, job->start));
out:
	return rc;
}

void ek_training_result_release(struct ek_training_result *result)
{
	free(result->folder);
	result->folder = NULL;
}
