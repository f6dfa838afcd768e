/* MoSo: a surrogate of the model is trained on each of some disjoint shards of the images, and stopped at steps that
 * are chosen before; there every image of its shard is scored (train/score/moso.h). */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/score_flow.h"
#include "rebalance/pipeline/training.h"
#include "rebalance/plan/sampler.h"
#include "train/loop/checkpoint.h"
#include "train/score/moso.h"
#include "train/score/shards.h"

/* Of a shard, and what its surrogate is at work with. */
struct surrogate {
	struct ek_scoring *s;
	const struct ek_score_parts *parts;
	const uint64_t *steps; /* [checkpoints] where it is stopped */
	struct ek_score_model *learner, *scorer;
	struct ek_score_pass pass;
	struct ek_trainer_options training;
	float *start;
	uint64_t shard;
	const int64_t *ids;
	uint64_t count;
	struct ek_sampler *sampler;
	char *folder;
};

/* Steps that checkpoints are taken at, fixed by the seed: one in each of as many equal parts of the training. */
static void choose_steps(uint64_t *steps, uint64_t count, uint64_t of, uint64_t seed)
{
	const uint64_t stream = ek_random_stream("moso checkpoints");

	for (uint64_t c = 0; c < count; c++) {
		const uint64_t first = of * c / count, end = of * (c + 1) / count;

		steps[c] = first + ek_random_below(seed, stream, c, end - first);
		steps[c] += steps[c] == 0;
	}
}

static int describe(struct ek_scoring *s, const uint64_t *steps)
{
	const struct ek_do_score_options *o = s->options;
	cJSON *list;
	int rc;

	EK_TRY(ek_json_add_u64(s->json, "draws", (uint64_t)o->draws));
	EK_TRY(ek_json_add_u64(s->json, "seed", (uint64_t)o->seed));
	EK_TRY(ek_json_add_string(s->json, "precision", ek_precisions[o->precision].name));
	EK_TRY(ek_json_add_u64(s->json, "shards", (uint64_t)o->shards));
	EK_TRY(ek_json_add_u64(s->json, "steps", (uint64_t)o->steps));
	EK_TRY(ek_json_add_array(&list, s->json, "checkpoints"));
	for (int64_t c = 0; c < o->checkpoints; c++)
		EK_TRY(ek_json_add_u64(list, NULL, steps[c]));
out:
	return rc;
}

int ek_score_moso_prepare(struct ek_scoring *s)
{
	struct ek_do_score_options *o = &s->chosen;
	struct ek_score_flow *f;
	int rc;

	if (o->models.count > 1)
		return ek_fail(EK_EUSAGE, "%s trains surrogates of one 'model'", s->method->name);
	EK_TRY(ek_alloc(&s->own, 1, sizeof *f));
	f = s->own;
	f->grid = (struct ek_grid){ (int)o->draws, (uint64_t)o->seed };
	EK_TRY(ek_score_flow_find(f, s, o->steps > 0 ? -1 : 0));
	o->steps = o->steps > 0 ? o->steps : (int64_t)f->models[0].step;
	if (s->asked->checkpoints == 0 && o->checkpoints >= o->steps && o->steps > 1)
		o->checkpoints = o->steps - 1;
	if (o->checkpoints + 1 > o->steps)
		return ek_fail(EK_EUSAGE, "%" PRId64 " 'checkpoints' do not fit in %" PRId64 " 'steps'", o->checkpoints,
		               o->steps);
	EK_TRY(ek_alloc(&f->steps, (size_t)o->checkpoints, sizeof *f->steps));
	choose_steps(f->steps, (uint64_t)o->checkpoints, (uint64_t)o->steps, (uint64_t)o->seed);
	EK_TRY(describe(s, f->steps));
out:
	return rc;
}

/* Passes over the shard's images, as a training draws them. */
static int draw(void *context, uint64_t first, uint64_t count, int64_t *ids, float *weights)
{
	struct surrogate *g = context;
	int rc = 0;

	for (uint64_t i = 0, here; i < count; i += here) {
		const uint64_t place = (first + i) % g->count;

		here = g->count - place < count - i ? g->count - place : count - i;
		EK_TRY(ek_sampler_draw(g->sampler, (first + i) / g->count, place, 1, here, ids + i));
	}
	for (uint64_t i = 0; i < count; i++) {
		ids[i] = g->ids[ids[i]];
		weights[i] = 1;
	}
out:
	return rc;
}

/* Train on to a checkpoint, in RUN/cache/scores/KEY-shard-N. */
static int train_to(struct surrogate *g, uint64_t step)
{
	const struct ek_source_of_ids source = { .context = g, .epoch = g->count, .draw = draw };
	struct ek_training result;
	int rc;

	g->training.stop = step;
	g->training.folder = g->folder;
	EK_TRY(ek_train(&result, &g->learner->task, &source, &g->training, g->start));
out:
	return rc;
}

/* The sum of gradients so far, and how many images it is of behind it: kept now and then, for the next time. */
static int sum_path(char **out, const struct surrogate *g, uint64_t c)
{
	return ek_format(out, "%s/%s-%04" PRIu64 "-%04" PRIu64 "-sum.npy", g->parts->folder, g->parts->key, g->shard,
	                 c);
}

static int take_sum(double *sum, size_t size, const char *path)
{
	const uint64_t shape = size + 1;
	struct ek_npy kept = { 0 };
	int rc = 0;

	if (!ek_file_exists(path))
		return 0;
	EK_TRY(ek_npy_open_as(&kept, path, EK_F64, 1, &shape));
	memcpy(sum, kept.data, (size + 1) * sizeof *sum);
	ek_info("going on after %.0f images", sum[size]);
out:
	ek_npy_close(&kept);
	return rc;
}

static const double keep_seconds = 120;

static int add_gradients(struct surrogate *g, double *sum, const char *path)
{
	const uint64_t block = EK_SCORE_BLOCK * (uint64_t)g->scorer->task.slice / (uint64_t)g->pass.grid.draws;
	const uint64_t shape = g->scorer->task.params->size + 1;
	double *done = sum + shape - 1, kept = ek_clock();
	int rc = 0;

	while (*done < (double)g->count) {
		const uint64_t from = (uint64_t)*done, here = g->count - from < block ? g->count - from : block;

		if ((rc = ek_score_gradient(&g->pass, g->ids + from, here, g->scorer->store, sum)) < 0)
			break;
		*done += (double)here;
		ek_progress_add(here);
		if (ek_clock() - kept > keep_seconds) {
			EK_TRY(ek_npy_write(path, EK_F64, 1, &shape, sum));
			kept = ek_clock();
		}
	}
out:
	return rc;
}

/* The mean gradient over the shard to EK_FIRST of the scorer's store; *square = its |gbar|^2. */
static int take_mean(struct surrogate *g, uint64_t c, double *square)
{
	const size_t size = g->scorer->task.params->size;
	double *sum = NULL;
	float *mean = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(sum_path(&path, g, c));
	EK_TRY(ek_alloc(&sum, size + 1, sizeof *sum));
	EK_TRY(ek_alloc(&mean, size, sizeof *mean));
	EK_TRY(take_sum(sum, size, path));
	ek_progress_begin("mean gradient", "images", g->count);
	ek_progress_add((uint64_t)sum[size]);
	rc = add_gradients(g, sum, path);
	ek_progress_end();
	EK_TRY(rc);
	*square = ek_moso_mean(mean, sum, size, g->count);
	ek_store_write(g->scorer->store, EK_FIRST, 0, size, mean);
out:
	free(sum);
	free(mean);
	free(path);
	return rc;
}

static int name_part(char out[40], const struct surrogate *g, uint64_t c)
{
	return snprintf(out, 40, "%04" PRIu64 "-%04" PRIu64, g->shard, c) > 0 ? 0 : EK_ENOMEM;
}

/* |gbar|^2 of a checkpoint is kept beside its part. */
static int square_path(char **out, const struct surrogate *g, uint64_t c)
{
	return ek_format(out, "%s/%s-%04" PRIu64 "-%04" PRIu64 "-square.npy", g->parts->folder, g->parts->key, g->shard,
	                 c);
}

/* Train to a checkpoint and score the shard's images there, unless that is done. */
static int do_checkpoint(struct surrogate *g, uint64_t c)
{
	const uint64_t one = 1;
	char part[40], *path = NULL;
	double square;
	int rc;

	EK_TRY(name_part(part, g, c));
	EK_TRY(square_path(&path, g, c));
	if (ek_score_part_is_there(g->parts, part))
		goto out;
	ek_info("shard %" PRIu64 " of %" PRId64 ", checkpoint %" PRIu64 " of %" PRId64 ": step %" PRIu64, g->shard + 1,
	        g->s->options->shards, c + 1, g->s->options->checkpoints, g->steps[c]);
	EK_TRY(train_to(g, g->steps[c]));
	g->scorer->step = g->steps[c];
	EK_TRY(ek_score_model_load(g->scorer, g->folder));
	EK_TRY(take_mean(g, c, &square));
	EK_TRY(ek_npy_write(path, EK_F64, 1, &one, &square));
	ek_progress_begin("scoring", "images", g->count);
	rc = ek_score_part(g->parts, part, &g->pass, g->ids, g->count);
	ek_progress_end();
out:
	free(path);
	return rc;
}

/* Add a checkpoint's terms: first of their sum, second of their squares. */
static int add_checkpoint(const struct surrogate *g, uint64_t c, struct ek_score_sums *all)
{
	const int full = strcmp(g->s->method->name, "moso-full") == 0;
	struct ek_moso_at at = { .images = g->count, .rate = ek_trainer_rate(&g->training, g->steps[c]) };
	struct ek_npy part = { 0 }, square = { 0 };
	const uint64_t one = 1;
	char name[40], *path = NULL;
	int rc;

	EK_TRY(name_part(name, g, c));
	EK_TRY(square_path(&path, g, c));
	EK_TRY(ek_npy_open_as(&square, path, EK_F64, 1, &one));
	EK_TRY(ek_score_part_read(&part, g->parts, name, g->count));
	at.mean_square = *(const double *)square.data;
	for (uint64_t i = 0; i < g->count; i++) {
		const double *x = (const double *)part.data + 2 * i;
		const double term = full ? ek_moso_full(&at, x[0], x[1]) : ek_moso_short(&at, x[0], x[1]);

		all[g->ids[i]].first += term;
		all[g->ids[i]].second += term * term;
	}
out:
	ek_npy_close(&part);
	ek_npy_close(&square);
	free(path);
	return rc;
}

/* The surrogate is not needed any more. */
static int remove_training(const struct surrogate *g)
{
	char *log = NULL;
	int rc = 0;

	if (!ek_file_exists(g->folder)) /* it was removed before a kill */
		return 0;
	EK_TRY(ek_checkpoints_keep(g->folder, 0, 0));
	EK_TRY(ek_format(&log, "%s/log.jsonl", g->folder));
	EK_TRY(ek_remove(log));
	(void)rmdir(g->folder);
out:
	free(log);
	return rc;
}

static int is_whole(const struct surrogate *g)
{
	char part[40];

	for (int64_t c = 0; c < g->s->options->checkpoints; c++)
		if (name_part(part, g, (uint64_t)c) < 0 || !ek_score_part_is_there(g->parts, part))
			return 0;
	return 1;
}

static int do_shard(struct surrogate *g, struct ek_score_sums *all)
{
	static const double whole = 1;
	const struct ek_sampler_units units = { .count = 1, .sizes = &g->count, .shares = &whole };
	const uint64_t seed = ek_random_u64((uint64_t)g->s->options->seed, ek_random_stream("surrogate"), g->shard);
	int rc;

	EK_TRY(ek_sampler_new(&g->sampler, &units, g->count, seed));
	EK_TRY(ek_format(&g->folder, "%s/%s-shard-%04" PRIu64, g->parts->folder, g->parts->key, g->shard));
	if (!is_whole(g)) {
		EK_TRY(ek_make_directories(g->folder));
		ek_params_initialise(g->learner->task.params, seed, g->start);
		for (int64_t c = 0; c < g->s->options->checkpoints; c++)
			EK_TRY(do_checkpoint(g, (uint64_t)c));
	}
	EK_TRY(remove_training(g));
	for (int64_t c = 0; c < g->s->options->checkpoints; c++)
		EK_TRY(add_checkpoint(g, (uint64_t)c, all));
out:
	ek_sampler_free(g->sampler);
	free(g->folder);
	g->sampler = NULL;
	g->folder = NULL;
	return rc;
}

/* Networks to learn and to score, and what is about to be done. */
static int prepare(struct surrogate *g, struct ek_score_flow *f)
{
	const struct ek_do_score_options *o = g->s->options;
	const double training = (double)(o->steps * o->shards) * (double)g->training.batch / f->grid.draws;
	const double passes = 2 * (double)o->checkpoints + training / (double)f->count;
	const struct ek_score_use learn = { .use = EK_FLOW_LEARN,
		                            .precision = (enum ek_nn_precision)o->precision,
		                            .grid = f->grid,
		                            .batch = g->training.batch },
				  score = { .use = EK_FLOW_IMAGES,
		                            .precision = (enum ek_nn_precision)o->precision,
		                            .grid = f->grid,
		                            .images = f->count,
		                            .whole_draws = 1 };
	int rc;

	ek_device_for(3 * ek_sit_work(&g->learner->description.model) * passes * (double)f->count * f->grid.draws);
	EK_TRY(ek_score_model_open(g->learner, g->s->run, &learn));
	EK_TRY(ek_score_model_open(g->scorer, g->s->run, &score));
	EK_TRY(ek_alloc_aligned(&g->start, g->learner->task.params->size, sizeof *g->start));
	ek_params_initialise(g->learner->task.params, 0, g->start);
	ek_store_write(g->scorer->store, EK_VALUES, 0, g->learner->task.params->size, g->start);
	EK_TRY(ek_task_load(&g->scorer->task, g->scorer->store, EK_VALUES));
	g->pass = (struct ek_score_pass){
		.task = &g->scorer->task, .grid = f->grid, .of = EK_SCORE_MOSO, .direction = g->scorer->store
	};
	ek_info("%" PRId64 " surrogates of %" PRId64 " steps, scored at %" PRId64 " checkpoints each", o->shards,
	        o->steps, o->checkpoints);
	EK_TRY(ek_score_announce(g->scorer, &g->pass, f->ids, f->count, passes));
out:
	return rc;
}

static int shards(struct surrogate *g, struct ek_score_flow *f, struct ek_score_sums *all)
{
	const uint64_t n = (uint64_t)g->s->options->shards;
	uint64_t *first = NULL;
	int64_t *order = NULL;
	int rc;

	EK_TRY(ek_alloc(&first, n + 1, sizeof *first));
	EK_TRY(ek_alloc(&order, f->count, sizeof *order));
	EK_TRY(ek_shards(order, first, f->count, n, f->grid.seed));
	for (uint64_t i = 0; i < f->count; i++)
		order[i] = f->ids[order[i]];
	for (g->shard = 0; g->shard < n; g->shard++) {
		g->ids = order + first[g->shard];
		g->count = first[g->shard + 1] - first[g->shard];
		EK_TRY(do_shard(g, all));
	}
out:
	free(first);
	free(order);
	return rc;
}

int ek_score_moso_make(struct ek_scoring *s)
{
	struct ek_score_flow *f = s->own;
	struct ek_score_model scorer = { 0 };
	struct ek_score_parts parts = { 0 };
	struct ek_score_sums *all = NULL;
	struct surrogate g = { .s = s, .parts = &parts, .steps = f->steps, .learner = f->models, .scorer = &scorer };
	const double n = (double)s->options->checkpoints;
	int rc;

	EK_TRY(ek_score_flow_list(f, s));
	if (f->count < 2 * (uint64_t)s->options->shards) {
		rc = ek_fail(EK_EUSAGE, "%" PRIu64 " images do not make %" PRId64 " 'shards' of two or more", f->count,
		             s->options->shards);
		goto out;
	}
	EK_TRY(ek_score_parts_open(&parts, s));
	EK_TRY(ek_score_model_find(&scorer, s->run, f->models[0].name, -1));
	EK_TRY(ek_training_again(&g.training, f->models[0].config, (uint64_t)s->options->steps, f->models[0].name));
	g.training.identity = parts.key;
	EK_TRY(ek_alloc(&all, s->images, sizeof *all));
	EK_TRY(prepare(&g, f));
	EK_TRY(shards(&g, f, all));
	for (uint64_t i = 0; i < f->count; i++) {
		const struct ek_score_sums *x = &all[f->ids[i]];
		const double variance = (x->second - x->first * x->first / n) / (n - 1);

		s->score[f->ids[i]] = (float)x->first;
		/* Of a sum of n terms. */
		s->error[f->ids[i]] = n > 1 && !isnan(variance) ? (float)sqrt(n * fmax(variance, 0)) : (float)NAN;
	}
	EK_TRY(ek_score_parts_remove(&parts));
out:
	ek_score_model_release(&scorer);
	ek_score_parts_release(&parts);
	free(g.start);
	free(all);
	return rc;
}
