#include "train/loop/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "train/loop/checkpoint.h"
#include "train/loop/trainer_log.h"
#include "train/nn/device.h"

enum { RUNAWAY = 10, SLICES = 32 };

struct trainer {
	const struct ek_task *task;
	const struct ek_source_of_ids *source;
	const struct ek_trainer_options *options;
	struct ek_store *store;
	struct ek_checkpoint_state state;
	struct ek_checkpoint_writer *writer; /* made when it is first wanted */
	/* One batch, or one pass over the held-out images. */
	int64_t *ids, *next_ids;
	float *weights, *next_weights;
	uint64_t drawn; /* the step that next_ids are of, or 0 */
	double *losses, *parts;
	uint64_t slices;
	int judging, part_count;
	const struct ek_grid *grid; /* judging on it, images from `first` on */
	uint64_t first;
	struct ek_losses losses_log;
	float *row; /* of it */
	struct ek_trainer_log log;
	double started, saved, norm, rate, judged, *judged_groups;
	uint64_t saved_step;
};

static double elapsed(const struct trainer *t)
{
	return t->state.seconds + ek_clock() - t->started;
}

/* 0 … 1: how much of the training is done. */
static double done(const struct trainer *t)
{
	const struct ek_trainer_options *o = t->options;
	const double steps = o->steps > 0 ? (double)t->state.step / (double)o->steps : 0;
	const double time = o->time_limit > 0 ? elapsed(t) / o->time_limit : 0;

	/* The clock has a say only where nothing else has. */
	return fmin(o->steps > 0 ? steps : time, 1);
}

/* part: 0 … 1, how much of the training is done. */
static double rate_at(const struct ek_trainer_options *o, uint64_t step, double part)
{
	double factor = 1;

	if (o->schedule == EK_SCHEDULE_LINEAR)
		factor = 1 - part;
	else if (o->schedule == EK_SCHEDULE_COSINE)
		factor = 0.5 * (1 + cos(acos(-1) * part));
	if (step < o->warmup)
		factor *= (double)(step + 1) / (double)o->warmup;
	return o->adamw.rate * factor;
}

double ek_trainer_rate(const struct ek_trainer_options *options, uint64_t step)
{
	return rate_at(options, step, fmin((double)step / (double)options->steps, 1));
}

static struct ek_slice slice_of(const struct trainer *t, uint64_t i)
{
	const uint64_t first = i * (uint64_t)t->task->slice;

	return (struct ek_slice){ .step = t->state.step,
		                  .position = t->judging ? t->first + first : t->state.step * t->options->batch + first,
		                  .turn = i,
		                  .count = t->task->slice,
		                  .ids = t->ids + first,
		                  .weights = t->weights + first,
		                  .losses = t->losses + first,
		                  .parts = t->parts + first * (uint64_t)t->part_count,
		                  .grid = t->grid };
}

/* While a device works by itself at slice i: the next one is filled, of the next step behind the last. What the last
 * one lost is read when the whole step is on its way. */
static int meanwhile(struct trainer *t, uint64_t i, const struct ek_slice *slice)
{
	const uint64_t step = t->state.step + 1, batch = t->options->batch;
	struct ek_slice next;
	int rc = 0;

	if (i + 1 < t->slices) {
		next = slice_of(t, i + 1);
		ek_task_ahead(t->task, 0, &next);
		ek_task_report(t->task, 0, slice);
	} else if (t->task->fills_ahead) {
		EK_TRY(t->source->draw(t->source->context, step * batch, batch, t->next_ids, t->next_weights));
		t->drawn = step;
		next = (struct ek_slice){
			.step = step, .position = step * batch, .count = t->task->slice, .ids = t->next_ids
		};
		ek_task_ahead(t->task, 0, &next);
	}
out:
	return rc;
}

static int run_slice(void *context, uint64_t i, int worker)
{
	struct trainer *t = context;
	struct ek_slice slice = slice_of(t, i);
	int rc;

	slice.unread = !t->judging && ek_device_takes_batches();
	rc = t->judging ? ek_task_judge(t->task, worker, &slice) : ek_task_learn(t->task, worker, &slice, t->store);
	if (rc == 0 && slice.unread)
		rc = meanwhile(t, i, &slice);
	return rc < 0 && ek_store_give_up(t->store) ? rc : 0;
}

/* Held-out images with the averaged parameters; the last slice is filled up with the first images again. */
static int judge(struct trainer *t)
{
	const struct ek_trainer_options *o = t->options;
	uint64_t *counts = NULL;
	double sum = 0;
	int rc = 0;

	t->judged = NAN;
	if (o->held_out_count == 0)
		return 0;
	EK_TRY(ek_alloc(&counts, (size_t)o->group_count, sizeof *counts));
	memset(t->judged_groups, 0, (size_t)o->group_count * sizeof *t->judged_groups);
	t->slices = (o->held_out_count + (uint64_t)t->task->slice - 1) / (uint64_t)t->task->slice;
	for (uint64_t i = 0; i < t->slices * (uint64_t)t->task->slice; i++)
		t->ids[i] = o->held_out[i % o->held_out_count];
	t->judging = 1;
	EK_TRY(ek_task_load(t->task, t->store, EK_AVERAGE));
	EK_TRY(ek_device_parallel(t->slices, run_slice, t));
	EK_TRY(ek_task_load(t->task, t->store, EK_VALUES));
	for (uint64_t i = 0; i < o->held_out_count; i++) {
		const int32_t group = o->groups != NULL ? o->groups[t->ids[i]] : -1;

		sum += t->losses[i];
		if (group >= 0 && group < o->group_count) {
			t->judged_groups[group] += t->losses[i];
			counts[group]++;
		}
	}
	for (int g = 0; g < o->group_count; g++)
		t->judged_groups[g] = counts[g] > 0 ? t->judged_groups[g] / (double)counts[g] : NAN;
	t->judged = sum / (double)o->held_out_count;
out:
	t->judging = 0;
	free(counts);
	return rc;
}

/* Slices that one call of the threads judges of all images. */
enum { LOSS_SLICES = 256 };

static uint64_t loss_items(const struct trainer *t)
{
	return t->options->losses.images * (uint64_t)t->options->losses.grid.draws;
}

/* Items first … of all, item i being image i / draws at draw i % draws; the last slice is filled up with the first. */
static int log_piece(struct trainer *t, uint64_t first, double *sums)
{
	const struct ek_loss_log *of = &t->options->losses;
	const uint64_t size = (uint64_t)t->task->slice, all = loss_items(t), draws = (uint64_t)of->grid.draws;
	int rc;

	t->slices = (all - first + size - 1) / size;
	t->slices = t->slices < LOSS_SLICES ? t->slices : LOSS_SLICES;
	t->first = first;
	for (uint64_t i = 0; i < t->slices * size; i++)
		t->ids[i] = (int64_t)((first + i) / draws % of->images);
	EK_TRY(ek_check_interrupt());
	EK_TRY(ek_device_parallel(t->slices, run_slice, t));
	for (uint64_t i = 0; i < t->slices * size && first + i < all; i++)
		sums[(first + i) / draws % of->images] += t->losses[i];
out:
	return rc;
}

/* A row of losses.npy, of the parameters as they are, if this step has one and it is not there. */
static int log_losses(struct trainer *t)
{
	const struct ek_loss_log *of = &t->options->losses;
	double *sums = NULL;
	int rc = 0;

	if (of->every == 0 || t->losses_log.rows >= t->state.step / of->every)
		return 0;
	EK_TRY(ek_alloc(&sums, (size_t)of->images, sizeof *sums));
	t->judging = 1;
	t->grid = &of->grid;
	for (uint64_t first = 0; first < loss_items(t); first += LOSS_SLICES * (uint64_t)t->task->slice)
		EK_TRY(log_piece(t, first, sums));
	for (uint64_t i = 0; i < of->images; i++)
		t->row[i] = (float)(sums[i] / of->grid.draws);
	EK_TRY(ek_losses_append(&t->losses_log, t->row));
out:
	t->judging = 0;
	t->grid = NULL;
	t->first = 0;
	free(sums);
	return rc;
}

/* What the model makes at the step of the last checkpoint, of which these are the averages, unless it is there. */
static int preview(struct trainer *t, const float *average)
{
	char *path = NULL;
	int rc = 0;

	if (t->task->preview == NULL || t->saved_step == 0)
		return 0;
	EK_TRY(ek_format(&path, "%s/preview-%08" PRIu64 ".png", t->options->folder, t->saved_step));
	if (ek_file_exists(path))
		goto out;
	if (average == NULL)
		EK_TRY(ek_store_view(t->store, EK_AVERAGE, &average));
	EK_TRY(t->task->preview(t->task->preview_context, average, path));
	EK_TRY(ek_task_load(t->task, t->store, EK_VALUES));
out:
	free(path);
	return rc;
}

/* A checkpoint is there. average: NULL: that of the store. */
static int saved(struct trainer *t, uint64_t step, const float *average)
{
	int rc;

	t->saved_step = step;
	EK_TRY(ek_checkpoints_keep(t->options->folder, step, t->options->checkpoints_kept));
	rc = preview(t, average);
out:
	return rc;
}

/* One that was begun, if it is there by now, or waited for. Its preview is no time between checkpoints. */
static int end_saving(struct trainer *t, int wait)
{
	const double before = ek_clock();
	const float *average;
	uint64_t step;
	int rc;

	if (t->writer == NULL || (rc = ek_checkpoint_end(t->writer, wait, &step, &average)) == 0)
		return 0;
	EK_TRY(rc);
	EK_TRY(saved(t, step, average));
	t->saved += ek_clock() - before;
out:
	return rc;
}

/* A device that works by itself goes on while a copy is written, where the host has room for one. */
static int begin_or_write(struct trainer *t)
{
	const struct ek_trainer_options *o = t->options;
	const uint64_t copy = EK_CHECKPOINT_ARRAYS * (uint64_t)t->task->params->size * sizeof(float);
	int rc;

	if (t->writer == NULL && ek_device_takes_batches() && ek_memory_available() > 2 * copy)
		EK_TRY(ek_checkpoint_writer_new(&t->writer, t->task->params));
	if (t->writer != NULL)
		return ek_checkpoint_begin(t->writer, o->folder, &t->state, o->identity);
	EK_TRY(ek_checkpoint_write(o->folder, t->task->params, &t->state, o->identity));
	rc = saved(t, t->state.step, NULL);
out:
	return rc;
}

/* The lines of the log up to a checkpoint are on the disk before it has its name. */
static int save(struct trainer *t)
{
	const double now = elapsed(t), before = t->state.seconds;
	int rc;

	EK_TRY(end_saving(t, 1));
	if (t->state.step == t->saved_step)
		return 0;
	EK_TRY(ek_trainer_log_sync(&t->log));
	EK_TRY(ek_losses_sync(&t->losses_log));
	/* Those after the one that was gone on with are damaged: they do not count among the ones that are kept. */
	EK_TRY(ek_checkpoints_keep(t->options->folder, t->saved_step, t->options->checkpoints_kept));
	t->state.seconds = now;
	if (t->task->codebook != NULL)
		ek_codebook_read(t->task->codebook, t->state.extra);
	rc = begin_or_write(t);
	t->state.seconds = before;
	t->saved = ek_clock();
out:
	return rc;
}

/* Before the training ends. */
static int save_whole(struct trainer *t)
{
	int rc;

	EK_TRY(save(t));
	rc = end_saving(t, 1);
out:
	return rc;
}

static int check_losses(struct trainer *t)
{
	for (uint64_t i = 0; i < t->options->batch; i++) {
		if (isfinite(t->losses[i]))
			continue;
		(void)end_saving(t, 1);
		return ek_fail(EK_EDATA,
		               "step %" PRIu64 ": the loss of image %" PRId64
		               " is not a number; the last good checkpoint is that of step %" PRIu64,
		               t->state.step + 1, t->ids[i], t->saved_step);
	}
	return 0;
}

/* The images of this step, unless they were drawn meanwhile. */
static int draw(struct trainer *t)
{
	const struct ek_source_of_ids *source = t->source;
	const uint64_t batch = t->options->batch;
	int rc = 0;

	if (t->drawn == t->state.step && t->drawn > 0) {
		memcpy(t->ids, t->next_ids, batch * sizeof *t->ids);
		memcpy(t->weights, t->next_weights, batch * sizeof *t->weights);
	} else {
		EK_TRY(source->draw(source->context, t->state.step * batch, batch, t->ids, t->weights));
	}
	for (uint64_t i = 0; i < batch; i++)
		t->weights[i] /= (float)batch;
out:
	return rc;
}

/* The gradients are there, or on their way. A device that works by itself has all of the step before it is waited for:
 * first of all for the norm, then for losses, which say more of a step that went wrong. */
static int update(struct trainer *t, const struct ek_adamw *adamw)
{
	const struct ek_slice last = slice_of(t, t->slices - 1);
	int rc, stepped;

	EK_TRY(ek_store_begin_step(t->store, adamw, t->state.step + 1));
	if (t->task->codebook != NULL)
		EK_TRY(ek_codebook_step(t->task->codebook, t->store, t->state.step));
	EK_TRY(ek_task_load(t->task, t->store, EK_VALUES));
	stepped = ek_store_end_step(t->store, t->state.step + 1, &t->norm);
	if (ek_device_takes_batches())
		ek_task_report(t->task, 0, &last);
	EK_TRY(check_losses(t));
	rc = stepped;
out:
	return rc;
}

static int one_step(struct trainer *t)
{
	const struct ek_trainer_options *o = t->options;
	struct ek_adamw adamw = o->adamw;
	int rc;

	EK_TRY(draw(t));
	t->slices = o->batch / (uint64_t)t->task->slice;
	EK_TRY(ek_device_parallel(t->slices, run_slice, t));
	adamw.rate = t->rate = rate_at(o, t->state.step, done(t));
	/* The start is soon forgotten, whatever the average keeps in the long run. */
	adamw.average = fmin(adamw.average, (1 + (double)t->state.step) / (10 + (double)t->state.step));
	EK_TRY(update(t, &adamw));
	for (uint64_t i = 0; i < o->batch; i++)
		ek_trainer_log_add(&t->log, t->losses[i], t->parts + i * (uint64_t)t->part_count,
		                   o->groups != NULL ? o->groups[t->ids[i]] : -1);
	t->state.step++;
out:
	return rc;
}

static int finished(const struct trainer *t)
{
	const struct ek_trainer_options *o = t->options;

	return (o->steps > 0 && t->state.step >= o->steps) || (o->stop > 0 && t->state.step >= o->stop) ||
	       (o->time_limit > 0 && elapsed(t) >= o->time_limit);
}

/* Seconds to the nearer end, once there was a step. */
static double left(const struct trainer *t)
{
	const struct ek_trainer_options *o = t->options;
	const double seconds = elapsed(t), steps = (double)o->steps - (double)t->state.step;
	const double by_steps = o->steps > 0 ? steps * seconds / (double)t->state.step : INFINITY;
	const double by_time = o->time_limit > 0 ? o->time_limit - seconds : INFINITY;

	return fmax(fmin(by_steps, by_time), 0);
}

static int log_line(struct trainer *t, struct ek_training *result, int judged)
{
	const struct ek_trainer_line line = { .step = t->state.step,
		                              .epoch = (double)(t->state.step * t->options->batch) /
		                                       (double)t->source->epoch,
		                              .norm = t->norm,
		                              .rate = t->rate,
		                              .seconds = elapsed(t),
		                              .left = left(t),
		                              .judged = judged ? t->judged : NAN,
		                              .judged_groups = judged ? t->judged_groups : NULL };
	const double loss = *t->log.loss / *t->log.images;
	int rc;

	result->loss = loss;
	if (judged)
		result->judged = t->judged;
	if (loss > RUNAWAY * t->log.first) {
		(void)end_saving(t, 1);
		return ek_fail(EK_EDATA,
		               "step %" PRIu64
		               ": the loss ran away to %.3g from %.3g at the start; the last checkpoint "
		               "is that of step %" PRIu64 "; try a lower 'rate' or a longer 'warmup'",
		               t->state.step, loss, t->log.first, t->saved_step);
	}
	EK_TRY(ek_trainer_log_write(&t->log, &line));
out:
	return rc;
}

static int loop(struct trainer *t, struct ek_training *result)
{
	const struct ek_trainer_options *o = t->options;
	int rc = 0, end = finished(t);

	for (;;) {
		int judging;

		rc = log_losses(t);
		if (rc == 0 && end)
			break;
		if (rc == EK_EINTERRUPTED || ek_check_interrupt() < 0) {
			EK_TRY(save_whole(t));
			return ek_check_interrupt();
		}
		EK_TRY(rc);
		EK_TRY(end_saving(t, 0));
		EK_TRY(one_step(t));
		ek_progress_add(1);
		end = finished(t);
		judging = end || (o->judge_every > 0 && t->state.step % o->judge_every == 0);
		if (judging)
			EK_TRY(judge(t));
		if (judging || t->state.step % o->log_every == 0)
			EK_TRY(log_line(t, result, judging));
		if (end || ek_clock() - t->saved >= o->checkpoint_seconds)
			EK_TRY(end ? save_whole(t) : save(t));
	}
out:
	return rc;
}

static int start(struct trainer *t, const float *values)
{
	const char *folder = t->options->folder;
	const size_t size = t->task->params->size;
	struct ek_tensor_file file = { 0 };
	int found, rc;

	EK_TRY(ek_checkpoints_clean(folder));
	EK_TRY(found = ek_checkpoint_open(&file, &t->saved_step, folder, EK_CHECKPOINT_WHOLE));
	if (found) {
		EK_TRY(ek_checkpoint_read(&file, t->task->params, &t->state, t->options->identity));
		if (t->task->codebook != NULL)
			ek_codebook_write(t->task->codebook, t->state.extra);
	} else {
		ek_store_write(t->store, EK_VALUES, 0, size, values);
		ek_store_write(t->store, EK_AVERAGE, 0, size, values);
	}
	EK_TRY(ek_previews_keep(folder, t->state.step));
	EK_TRY(ek_trainer_log_open(&t->log, folder, t->state.step));
	if (t->options->losses.every > 0)
		EK_TRY(ek_losses_open(&t->losses_log, folder, &t->options->losses, t->state.step));
	EK_TRY(ek_task_load(t->task, t->store, EK_VALUES));
	EK_TRY(preview(t, NULL));
	t->started = t->saved = ek_clock();
	if (found && !finished(t))
		ek_info("going on after step %" PRIu64, t->state.step);
out:
	ek_tensor_file_close(&file);
	return rc;
}

static int allocate(struct trainer *t)
{
	const struct ek_trainer_options *o = t->options;
	size_t images = (size_t)o->batch;
	int rc;

	if (images < (size_t)o->held_out_count + (size_t)t->task->slice)
		images = (size_t)o->held_out_count + (size_t)t->task->slice;
	if (o->losses.every > 0 && images < LOSS_SLICES * (size_t)t->task->slice)
		images = LOSS_SLICES * (size_t)t->task->slice;
	EK_TRY(ek_trainer_log_init(&t->log, t->task->part_names, o->group_count));
	t->part_count = t->log.part_count;
	t->state.log = t->log.sums;
	t->state.log_count = t->log.count;
	EK_TRY(ek_store_new(&t->store, t->task->params));
	t->state.store = t->store;
	EK_TRY(ek_alloc(&t->ids, images, sizeof *t->ids));
	EK_TRY(ek_alloc(&t->weights, images, sizeof *t->weights));
	EK_TRY(ek_alloc(&t->next_ids, (size_t)o->batch, sizeof *t->next_ids));
	EK_TRY(ek_alloc(&t->next_weights, (size_t)o->batch, sizeof *t->next_weights));
	EK_TRY(ek_alloc(&t->losses, images, sizeof *t->losses));
	EK_TRY(ek_alloc(&t->parts, images * (size_t)t->part_count, sizeof *t->parts));
	EK_TRY(ek_alloc(&t->judged_groups, (size_t)o->group_count, sizeof *t->judged_groups));
	if (o->losses.every > 0)
		EK_TRY(ek_alloc(&t->row, (size_t)o->losses.images, sizeof *t->row));
	if (t->task->codebook != NULL) {
		t->state.extra_count = ek_codebook_state_count(t->task->codebook);
		EK_TRY(ek_alloc(&t->state.extra, t->state.extra_count, sizeof *t->state.extra));
	}
out:
	return rc;
}

static void release(struct trainer *t)
{
	ek_checkpoint_writer_free(t->writer);
	ek_trainer_log_release(&t->log);
	ek_losses_release(&t->losses_log);
	free(t->row);
	ek_store_free(t->store);
	free(t->state.extra);
	free(t->ids);
	free(t->weights);
	free(t->next_ids);
	free(t->next_weights);
	free(t->losses);
	free(t->parts);
	free(t->judged_groups);
}

static int check(const struct ek_task *task, const struct ek_trainer_options *o)
{
	if (o->batch == 0 || o->batch % (uint64_t)task->slice != 0)
		return ek_fail(EK_EUSAGE, "a batch of %" PRIu64 " images is not a multiple of the slice of %d",
		               o->batch, task->slice);
	if (o->log_every == 0 || o->checkpoints_kept < 1)
		return ek_fail(EK_EUSAGE, "training: log interval or checkpoints out of range");
	if (o->steps == 0 && o->time_limit <= 0)
		return ek_fail(EK_EUSAGE, "training needs an end: steps, epochs or a time limit");
	return 0;
}

int ek_trainer_slice(uint64_t batch, uint64_t parts, int least, int most)
{
	const uint64_t limit = batch / parts;
	int slice = 1;

	if (ek_device_takes_batches()) {
		slice = limit < EK_NET_BATCH_MAX ? (int)limit : EK_NET_BATCH_MAX;
		while (batch % (uint64_t)slice != 0)
			slice--;
		return slice;
	}
	while (batch % (2 * (uint64_t)slice) == 0 && 2 * slice <= most && 2 * (uint64_t)slice <= limit &&
	       (2 * slice <= least || 2 * (uint64_t)slice * SLICES <= batch))
		slice *= 2;
	return slice;
}

int ek_trainer_check_memory(const struct ek_params *params, int slice, uint64_t states)
{
	const uint64_t rest = ek_store_bytes(params), there = ek_device_available();
	const double gib = 0x1p30;
	int fits;

	if (there == 0 || states + rest <= there)
		return 0;
	fits = there > rest ? (int)((double)(there - rest) / (double)states * slice) : 0;
	if (fits > 0)
		return ek_fail(
			EK_ENOMEM,
			"training needs %.2f GiB of memory and %.2f GiB are free: %d images at once would fit instead "
			"of %d ('accumulate' cuts a batch into parts), or recomputing, or fewer threads",
			(double)(states + rest) / gib, (double)there / gib, fits, slice);
	return ek_fail(
		EK_ENOMEM,
		"training needs %.2f GiB of memory and %.2f GiB are free, too little for one image at a time: take a "
		"smaller model",
		(double)(states + rest) / gib, (double)there / gib);
}

int ek_train(struct ek_training *result, const struct ek_task *task, const struct ek_source_of_ids *source,
             const struct ek_trainer_options *options, const float *start_values)
{
	struct trainer t = {
		.task = task, .source = source, .options = options, .judged = NAN, .log.fd = -1, .losses_log.fd = -1
	};
	int rc;

	*result = (struct ek_training){ .loss = NAN, .judged = NAN };
	EK_TRY(check(task, options));
	EK_TRY(allocate(&t));
	EK_TRY(start(&t, start_values));
	result->loss = t.log.last;
	result->judged = t.log.judged;
	ek_progress_begin("training", "steps", options->steps > t.state.step ? options->steps - t.state.step : 0);
	if (options->time_limit > t.state.seconds)
		ek_progress_limit(options->time_limit - t.state.seconds);
	rc = loop(&t, result);
	ek_progress_end();
	result->step = t.state.step;
	result->seconds = elapsed(&t);
out:
	release(&t);
	return rc;
}
