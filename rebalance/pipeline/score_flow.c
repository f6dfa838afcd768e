/* Scores of a generator's losses: EL2N, GraNd, and forgetting while it learned. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/text.h"
#include "rebalance/io/images.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/score_flow.h"
#include "rebalance/pipeline/training.h"
#include "train/score/forgetting.h"

static const char held_out[] = "held out for evaluation";

static int name_config(struct ek_scoring *s, const char *model)
{
	char *file = NULL;
	int rc;

	EK_TRY(ek_layout_name(&file, "models/*/config.json", model));
	EK_TRY(ek_scoring_input(s, file));
out:
	free(file);
	return rc;
}

/* The models, by their options; checkpoint: as ek_score_model_find takes it. */
int ek_score_flow_find(struct ek_score_flow *f, struct ek_scoring *s, int64_t checkpoint)
{
	const struct ek_do_score_options *o = s->options;
	cJSON *models, *model;
	int rc;

	if (o->models.count == 0)
		return ek_fail(EK_EUSAGE,
		               "the method %s needs a model: evenkeel train flow makes one, which evenkeel score takes "
		               "as 'model'",
		               s->method->name);
	EK_TRY(ek_images_count(&s->images, s->run));
	EK_TRY(ek_scoring_input(s, "images.jsonl"));
	EK_TRY(ek_json_add_array(&models, s->json, "models"));
	for (; f->model_count < o->models.count; f->model_count++) {
		struct ek_score_model *m = &f->models[f->model_count];

		EK_TRY(ek_score_model_find(m, s->run, o->models.items[f->model_count], checkpoint));
		EK_TRY(name_config(s, m->name));
		EK_TRY(ek_json_add_object(&model, models, NULL));
		EK_TRY(ek_json_add_string(model, "name", m->name));
		EK_TRY(ek_json_add_string(model, "identity", m->identity));
		if (m->step > 0)
			EK_TRY(ek_json_add_u64(model, "step", m->step));
	}
out:
	return rc;
}

static int new_flow(struct ek_score_flow **out, struct ek_scoring *s)
{
	int rc;

	EK_TRY(ek_alloc(&s->own, 1, sizeof **out));
	*out = s->own;
out:
	return rc;
}

int ek_score_flow_prepare(struct ek_scoring *s)
{
	const struct ek_do_score_options *o = s->options;
	struct ek_score_flow *f;
	int rc;

	EK_TRY(new_flow(&f, s));
	f->grid = (struct ek_grid){ (int)o->draws, (uint64_t)o->seed };
	EK_TRY(ek_score_flow_find(f, s, o->checkpoint));
	EK_TRY(ek_json_add_u64(s->json, "draws", (uint64_t)o->draws));
	EK_TRY(ek_json_add_u64(s->json, "seed", (uint64_t)o->seed));
	EK_TRY(ek_json_add_string(s->json, "precision", ek_precisions[o->precision].name));
out:
	return rc;
}

void ek_score_flow_release(struct ek_scoring *s)
{
	struct ek_score_flow *f = s->own;

	for (int i = 0; f != NULL && i < EK_LIST_MAX; i++)
		ek_score_model_release(&f->models[i]);
	if (f != NULL) {
		free(f->ids);
		free(f->steps);
	}
	free(f);
	s->own = NULL;
}

int ek_score_flow_list(struct ek_score_flow *f, struct ek_scoring *s)
{
	struct ek_image_record record = { 0 };
	struct ek_images *images = NULL;
	int rc;

	EK_TRY(ek_alloc(&f->ids, s->images, sizeof *f->ids));
	EK_TRY(ek_images_open(&images, s->run));
	while ((rc = ek_images_next(images, &record)) > 0) {
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(record.row, "held_out")))
			ek_scoring_leave_out(s, record.id, held_out);
		else
			f->ids[f->count++] = (int64_t)record.id;
		ek_image_record_release(&record);
	}
	EK_TRY(rc);
	if (f->count == 0)
		rc = ek_fail(EK_EDATA, "%s has no images to score", ek_run_path(s->run));
out:
	ek_image_record_release(&record);
	ek_images_close(images);
	return rc;
}

/* Where parts of a scoring are kept until it is done: they are of these options and inputs, or are begun anew. */
int ek_score_parts_open(struct ek_score_parts *p, const struct ek_scoring *s)
{
	char *text = cJSON_PrintUnformatted(s->json);
	int rc;

	if (text == NULL)
		return ek_fail(EK_ENOMEM, "no memory for scores");
	EK_TRY(ek_format(&p->key, "%016" PRIx64, ek_hash64(text, strlen(text))));
	EK_TRY(ek_layout_path(&p->folder, s->run, "cache/scores", NULL));
	EK_TRY(ek_make_directories(p->folder));
out:
	cJSON_free(text);
	return rc;
}

void ek_score_parts_release(struct ek_score_parts *p)
{
	free(p->key);
	free(p->folder);
	*p = (struct ek_score_parts){ 0 };
}

int ek_score_parts_remove(const struct ek_score_parts *p)
{
	char *pattern = NULL;
	int rc;

	EK_TRY(ek_format(&pattern, "%s-*", p->key));
	EK_TRY(ek_remove_matching(p->folder, pattern));
out:
	free(pattern);
	return rc;
}

/* Slices of a block, after which what is done may be kept. */
static uint64_t block_of(const struct ek_score_pass *pass)
{
	const uint64_t items = 8 * (uint64_t)ek_device_workers() * (uint64_t)pass->task->slice,
		       draws = (uint64_t)pass->grid.draws;

	return items > draws ? items / draws : 1;
}

static const double sync_seconds = 2;

static int write_part(struct ek_npy_writer *w, const struct ek_score_pass *pass, const int64_t *ids, uint64_t count,
                      uint64_t done)
{
	const uint64_t block = block_of(pass);
	struct ek_score_sums *sums = NULL;
	double synced = ek_clock();
	int rc;

	EK_TRY(ek_alloc(&sums, block, sizeof *sums));
	for (uint64_t here; done < count; done += here) {
		here = count - done < block ? count - done : block;
		if ((rc = ek_score_images(pass, ids + done, here, sums)) < 0)
			goto out;
		EK_TRY(ek_npy_writer_append(w, sums, here));
		ek_progress_add(here);
		if (ek_clock() - synced > sync_seconds) {
			EK_TRY(ek_npy_writer_sync(w));
			synced = ek_clock();
		}
	}
out:
	free(sums);
	return rc;
}

/* After a failure: what was appended is there next time. The first message stays. */
static void keep_rows(struct ek_npy_writer *w, int rc)
{
	char *message = NULL;

	(void)ek_copy_string(&message, ek_error_message());
	(void)ek_npy_writer_sync(w);
	(void)ek_fail(rc, "%s", message != NULL ? message : "no memory");
	free(message);
}

static int part_path(char **out, const struct ek_score_parts *p, const char *part)
{
	return ek_format(out, "%s/%s-%s.npy", p->folder, p->key, part);
}

int ek_score_part_is_there(const struct ek_score_parts *p, const char *part)
{
	char *path = NULL;
	const int is = part_path(&path, p, part) == 0 && ek_file_exists(path);

	free(path);
	return is;
}

int ek_score_part(const struct ek_score_parts *p, const char *part, const struct ek_score_pass *pass,
                  const int64_t *ids, uint64_t count)
{
	const uint64_t shape[2] = { count, 2 };
	struct ek_npy_writer *w = NULL;
	char *path = NULL;
	uint64_t done;
	int rc;

	EK_TRY(part_path(&path, p, part));
	if (ek_file_exists(path)) {
		ek_progress_add(count);
		goto out;
	}
	EK_TRY(ek_npy_writer_open(&w, &done, path, EK_F64, 2, shape, p->key));
	if (done > 0)
		ek_info("going on after %" PRIu64 " images", done);
	ek_progress_add(done);
	rc = write_part(w, pass, ids, count, done);
	if (rc < 0)
		keep_rows(w, rc);
	EK_TRY(rc);
	EK_TRY(ek_npy_writer_commit(w));
out:
	ek_npy_writer_free(w);
	free(path);
	return rc;
}

int ek_score_part_read(struct ek_npy *array, const struct ek_score_parts *p, const char *part, uint64_t count)
{
	const uint64_t shape[2] = { count, 2 };
	char *path = NULL;
	int rc;

	EK_TRY(part_path(&path, p, part));
	EK_TRY(ek_npy_open_as(array, path, EK_F64, 2, shape));
out:
	free(path);
	return rc;
}

int ek_score_announce(const struct ek_score_model *m, const struct ek_score_pass *pass, const int64_t *ids,
                      uint64_t count, double passes)
{
	const uint64_t few = block_of(pass) < count ? block_of(pass) : count;
	char images[32], bytes[32], time[32], step[32] = "";
	struct ek_score_sums *sums = NULL;
	double started;
	int rc;

	EK_TRY(ek_alloc(&sums, few, sizeof *sums));
	EK_TRY(ek_score_images(pass, ids, 1, sums)); /* what is done once is not timed */
	started = ek_clock();
	EK_TRY(ek_score_images(pass, ids, few, sums));
	if (m->step > 0)
		(void)snprintf(step, sizeof step, ", step %" PRIu64, m->step);
	ek_info("%s images at %d draws each by %s%s: %s of memory, about %s", ek_text_count(images, count),
	        pass->grid.draws, m->name, step, ek_text_bytes(bytes, ek_score_model_bytes(m)),
	        ek_text_duration(time, passes * (ek_clock() - started) * (double)count / (double)few));
out:
	free(sums);
	return rc;
}

/* 1 for the parameters of the last layer, which gives the prediction. */
static int last_layer(unsigned char **counts, const struct ek_params *params)
{
	static const char name[] = "final_layer.linear.";
	int rc;

	EK_TRY(ek_alloc(counts, (size_t)params->count, 1));
	for (int i = 0; i < params->count; i++)
		(*counts)[i] = strncmp(params->items[i].name, name, sizeof name - 1) == 0;
out:
	return rc;
}

static int score_model(struct ek_score_flow *f, struct ek_scoring *s, struct ek_score_model *m,
                       const struct ek_score_parts *parts, const char *part)
{
	const int norm = strcmp(s->method->name, "el2n") != 0, last = strcmp(s->method->name, "grand-last") == 0;
	const struct ek_score_use use = { .use = norm ? EK_FLOW_IMAGES : EK_FLOW_JUDGE,
		                          .precision = (enum ek_nn_precision)s->options->precision,
		                          .grid = f->grid,
		                          .images = f->count };
	struct ek_score_pass pass = { .task = &m->task, .grid = f->grid, .of = norm ? EK_SCORE_NORM : EK_SCORE_LOSS };
	unsigned char *counts = NULL;
	int rc;

	ek_device_for((norm ? 4 : 1) * ek_sit_work(&m->description.model) * (double)f->count * f->grid.draws);
	EK_TRY(ek_score_model_open(m, s->run, &use));
	EK_TRY(ek_score_model_load(m, m->folder));
	if (last)
		EK_TRY(last_layer(&counts, m->task.params));
	pass.counts = counts;
	EK_TRY(ek_score_announce(m, &pass, f->ids, f->count, 1));
	ek_progress_begin("scoring", "images", f->count);
	rc = ek_score_part(parts, part, &pass, f->ids, f->count);
	ek_progress_end();
out:
	free(counts);
	return rc;
}

/* Mean over models and draws, and its standard error, taking all of them as drawn alike. */
static void combine(float *score, float *error, double sum, double squares, double n)
{
	const double mean = sum / n, variance = (squares - n * mean * mean) / (n - 1);

	*score = (float)mean;
	*error = n > 1 ? (float)sqrt(fmax(variance, 0) / n) : (float)NAN;
	if (isnan(variance) && n > 1)
		*error = (float)NAN;
}

static int add_parts(struct ek_score_sums *all, const struct ek_score_parts *parts, const char *part, uint64_t count)
{
	struct ek_npy array = { 0 };
	int rc;

	EK_TRY(ek_score_part_read(&array, parts, part, count));
	for (uint64_t i = 0; i < count; i++) {
		all[i].first += ((const double *)array.data)[2 * i];
		all[i].second += ((const double *)array.data)[2 * i + 1];
	}
out:
	ek_npy_close(&array);
	return rc;
}

int ek_score_flow_make(struct ek_scoring *s)
{
	struct ek_score_flow *f = s->own;
	struct ek_score_parts parts = { 0 };
	struct ek_score_sums *all = NULL;
	int rc;

	EK_TRY(ek_score_flow_list(f, s));
	EK_TRY(ek_score_parts_open(&parts, s));
	EK_TRY(ek_alloc(&all, f->count, sizeof *all));
	for (int i = 0; i < f->model_count; i++) {
		struct ek_score_model m = f->models[i];
		char part[16];

		(void)snprintf(part, sizeof part, "%d", i);
		/* One network at a time. */
		f->models[i] = (struct ek_score_model){ 0 };
		rc = score_model(f, s, &m, &parts, part);
		ek_score_model_release(&m);
		EK_TRY(rc);
		EK_TRY(add_parts(all, &parts, part, f->count));
	}
	for (uint64_t i = 0; i < f->count; i++)
		combine(&s->score[f->ids[i]], &s->error[f->ids[i]], all[i].first, all[i].second,
		        (double)f->model_count * f->grid.draws);
	EK_TRY(ek_score_parts_remove(&parts));
out:
	free(all);
	ek_score_parts_release(&parts);
	return rc;
}

int ek_score_forgetting_prepare(struct ek_scoring *s)
{
	struct ek_score_flow *f;
	char *file = NULL;
	int rc;

	EK_TRY(new_flow(&f, s));
	EK_TRY(ek_score_flow_find(f, s, -1));
	for (int i = 0; i < f->model_count; i++) {
		free(file);
		EK_TRY(ek_layout_name(&file, "models/*/losses.npy", f->models[i].name));
		EK_TRY(ek_scoring_input(s, file));
	}
	if (s->options->threshold > 0)
		EK_TRY(ek_json_add_double(s->json, "threshold", s->options->threshold));
out:
	free(file);
	return rc;
}

/* Of one model; out: [images]. */
static int forget(double *out, double *threshold, uint64_t *checks, const struct ek_scoring *s,
                  const struct ek_score_model *m)
{
	struct ek_npy log = { 0 };
	struct ek_loss_log of;
	int rc;

	EK_TRY(ek_losses_read(&log, &of, m->folder));
	*checks = log.shape[0];
	if (of.images != s->images)
		rc = ek_fail(EK_EDATA, "%s/losses.npy is of %" PRIu64 " images, the run has %" PRIu64, m->folder,
		             of.images, s->images);
	else if (*checks < 2)
		rc = ek_fail(EK_EDATA, "%s/losses.npy has %" PRIu64 " row%s: forgetting is seen between two", m->folder,
		             *checks, ek_text_s(*checks));
	EK_TRY(rc);
	*threshold = s->options->threshold;
	if (strcmp(s->method->name, "forgetting") == 0) {
		ek_forgetting_rate(out, log.data, *checks, of.images);
		goto out;
	}
	if (!(*threshold > 0))
		EK_TRY(ek_forgetting_threshold(threshold, log.data, *checks, of.images));
	ek_forgetting_count(out, log.data, *checks, of.images, *threshold);
out:
	ek_npy_close(&log);
	return rc;
}

static int tell(struct ek_scoring *s, const struct ek_score_model *m, double threshold, uint64_t checks)
{
	cJSON *logs = cJSON_GetObjectItemCaseSensitive(s->report, "logs"), *log;
	int rc;

	if (logs == NULL)
		EK_TRY(ek_json_add_array(&logs, s->report, "logs"));
	EK_TRY(ek_json_add_object(&log, logs, NULL));
	EK_TRY(ek_json_add_string(log, "model", m->name));
	EK_TRY(ek_json_add_u64(log, "checks", checks));
	if (strcmp(s->method->name, "forgetting") != 0)
		EK_TRY(ek_json_add_double(log, "threshold", threshold));
out:
	return rc;
}

int ek_score_forgetting_make(struct ek_scoring *s)
{
	struct ek_score_flow *f = s->own;
	struct ek_score_sums *all = NULL;
	double *one = NULL, threshold;
	uint64_t checks;
	int rc;

	EK_TRY(ek_score_flow_list(f, s));
	EK_TRY(ek_alloc(&one, s->images, sizeof *one));
	EK_TRY(ek_alloc(&all, s->images, sizeof *all));
	for (int m = 0; m < f->model_count; m++) {
		EK_TRY(forget(one, &threshold, &checks, s, &f->models[m]));
		EK_TRY(tell(s, &f->models[m], threshold, checks));
		for (uint64_t i = 0; i < s->images; i++) {
			all[i].first += one[i];
			all[i].second += one[i] * one[i];
		}
	}
	for (uint64_t i = 0; i < f->count; i++)
		combine(&s->score[f->ids[i]], &s->error[f->ids[i]], all[f->ids[i]].first, all[f->ids[i]].second,
		        (double)f->model_count);
out:
	free(one);
	free(all);
	return rc;
}
