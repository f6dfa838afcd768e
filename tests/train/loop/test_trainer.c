/* The loop, on a task whose answer is known: each image id wants the parameters at its own target; the loss of an image
 * is the squared distance, so that training goes to the mean of the targets, weighted as the images come. */
#include "tests/support/support.h"
#include "tests/train/nn/fake_device.h"

#include <glob.h>
#include <sys/wait.h>
#include <time.h>

#include "rebalance/base/file.h"
#include "rebalance/base/json.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "train/loop/checkpoint.h"
#include "train/loop/trainer.h"
#include "train/nn/codebook_internal.h"
#include "train/nn/device_internal.h"

enum {
	SIZE = 37,
	IMAGES = 20,
	SLICE = 2,
	BATCH = 8,
	SLICES = BATCH / SLICE,
	STATE = EK_CODEBOOK_HEAD + SIZE,
	DRAWS = 3
};
static const double DECAY = 0.99;

struct problem {
	struct ek_params params;
	struct ek_task_net net;
	int ones, id, targets;        /* inputs */
	struct ek_codebook *codebook; /* counts steps: of its codes all but the first are never used */
	uint64_t broken_step;         /* its losses are NaN; 0: none */
	uint64_t stop_step;           /* ek_interrupt in this step; 0: never */
	uint64_t killed_step;         /* the process ends in this step; 0: never */
	uint64_t killed_row;          /* the process ends while losses are logged after this step; 0: never */
	uint64_t slow_step;           /* takes SLOW; 0: none */
};
static const struct timespec SLOW = { .tv_nsec = 300000000 };

static float target(int64_t id, int i)
{
	return (float)ek_random_normal(7, (uint64_t)id, (uint64_t)i);
}

/* In the step that is to break there are no targets. */
static int fill(void *context, int worker, const struct ek_slice *s, int judging, struct ek_net_state *state)
{
	const struct problem *p = context;

	for (int j = 0; j < s->count; j++) {
		float *targets = (float *)ek_net_stage(state, p->targets) + j * SIZE;

		((float *)ek_net_stage(state, p->ones))[j] = 1;
		((float *)ek_net_stage(state, p->id))[j] = (float)s->ids[j];
		for (int i = 0; i < SIZE; i++)
			targets[i] = target(s->ids[j], i);
		if (!judging && p->broken_step > 0 && s->step + 1 == p->broken_step)
			targets[0] = NAN;
	}
	for (int j = 0; s->grid != NULL && j < s->count; j++)
		if (s->ids[j] != (int64_t)((s->position + (uint64_t)j) / DRAWS % IMAGES))
			return ek_fail(EK_EUSAGE, "image %lld at another draw", (long long)s->ids[j]);
	if (s->grid != NULL && p->killed_row > 0 && s->step == p->killed_row && s->position >= IMAGES)
		_exit(9);
	if (!judging && p->slow_step > 0 && s->step + 1 == p->slow_step)
		(void)nanosleep(&SLOW, NULL);
	if (!judging && p->stop_step > 0 && s->step + 1 == p->stop_step)
		ek_interrupt();
	if (!judging && p->killed_step > 0 && s->step + 1 == p->killed_step)
		_exit(9);
	return 0;
}

static int draw(void *context, uint64_t first, uint64_t count, int64_t *ids, float *weights)
{
	for (uint64_t i = 0; i < count; i++) {
		ids[i] = (int64_t)ek_random_below(3, 1, first + i, IMAGES);
		weights[i] = 1;
	}
	return 0;
}

static const char *const parts[] = { "mean_id", NULL };
static const struct ek_source_of_ids source = { .epoch = IMAGES, .draw = draw };
static const int64_t held_out[] = { 1, 5, 7 };
static int32_t groups[IMAGES];

/* factor: of the gradient; a negative one runs away. */
static struct problem *problem_with(double factor)
{
	const struct ek_codebook_options counter = {
		.codes = SIZE, .width = 1, .slices = SLICES, .rows = 1, .decay = DECAY
	};
	const struct ek_net_shape one = { 1, 1, 1 };
	struct problem *p;
	struct ek_task_net *n;
	int made;

	assert_ok(ek_alloc(&p, 1, sizeof *p));
	n = &p->net;
	assert_true(ek_params_add(&p->params, "w", 2, (const int64_t[]){ SIZE, 1 }, (struct ek_init){ 0 }) == 0);
	assert_ok(ek_codebook_new(&p->codebook, &counter));
	assert_ok(ek_net_new(&n->net, &p->params, EK_NN_F32, SLICE));
	assert_ok(p->ones = ek_net_input(n->net, one));
	assert_ok(p->id = ek_net_input(n->net, one));
	assert_ok(p->targets = ek_net_input(n->net, (struct ek_net_shape){ 1, 1, SIZE }));
	made = ek_net_linear(n->net, p->ones, &(struct ek_net_linear){ .bias = -1, .outputs = SIZE });
	n->loss = ek_net_affine(n->net, ek_net_squared_error(n->net, made, p->targets), SIZE, 0);
	n->learned = ek_net_affine(n->net, n->loss, (float)factor, 0);
	n->parts[0] = ek_net_affine(n->net, p->id, 1, 0);
	assert_ok(ek_net_keep(n->net, n->parts[0]));
	assert_ok(ek_net_keep(n->net, n->loss));
	assert_ok(ek_net_output(n->net, n->learned));
	assert_ok(ek_net_finish(n->net, EK_NET_TRAIN));
	assert_ok(ek_runner_init(&n->runner, n->net));
	return p;
}

static struct problem *problem_new(void)
{
	return problem_with(1);
}

static void problem_free(struct problem *p)
{
	ek_task_net_release(&p->net);
	ek_codebook_free(p->codebook);
	ek_params_release(&p->params);
	free(p);
}

static struct ek_task task_of(struct problem *p)
{
	return (struct ek_task){ .context = p,
		                 .params = &p->params,
		                 .slice = SLICE,
		                 .part_names = parts,
		                 .nets = &p->net,
		                 .net_count = 1,
		                 .fill = fill,
		                 .fills_ahead = 1,
		                 .codebook = p->codebook };
}

static struct ek_trainer_options options_of(const char *folder, uint64_t steps)
{
	for (int i = 0; i < IMAGES; i++)
		groups[i] = i % 3;
	return (struct ek_trainer_options){ .batch = BATCH,
		                            .steps = steps,
		                            .adamw = { 0.05, 0.9, 0.999, 1e-8, 0, 0.9, 0 },
		                            .schedule = EK_SCHEDULE_COSINE,
		                            .warmup = 5,
		                            .log_every = 10,
		                            .judge_every = 20,
		                            .checkpoint_seconds = 1e9,
		                            .checkpoints_kept = 2,
		                            .groups = groups,
		                            .group_count = 3,
		                            .held_out = held_out,
		                            .held_out_count = 3,
		                            .losses = { .every = 15, .images = IMAGES, .grid.draws = DRAWS },
		                            .folder = folder,
		                            .identity = "test" };
}

static const float zeros[SIZE];

static int train(struct ek_training *result, const char *folder, struct problem *p, uint64_t steps)
{
	const struct ek_task task = task_of(p);
	const struct ek_trainer_options options = options_of(folder, steps);

	return ek_train(result, &task, &source, &options, zeros);
}

/* The checkpoint but for its seconds, which are the clock's. */
static void read_state(struct ek_checkpoint_state *s, float *arrays, float *extra, const char *folder,
                       const struct ek_params *params)
{
	struct ek_tensor_file file = { 0 };
	struct ek_store *store;
	uint64_t step;

	assert_ok(ek_store_new(&store, params));
	*s = (struct ek_checkpoint_state){ .store = store, .extra = extra, .extra_count = STATE };
	assert_int_equal(ek_checkpoint_open(&file, &step, folder, EK_CHECKPOINT_WHOLE), 1);
	assert_ok(ek_checkpoint_read(&file, params, s, "test"));
	assert_int_equal(step, s->step);
	for (int f = EK_VALUES; f <= EK_SECOND; f++)
		ek_store_read(store, (enum ek_family)f, 0, SIZE, arrays + f * SIZE);
	ek_store_free(store);
	ek_tensor_file_close(&file);
}

static void goes_to_the_mean(void **unused)
{
	const char *folder = ek_scratch();
	struct problem *p = problem_new();
	struct ek_training result, again;
	struct ek_checkpoint_state s;
	float arrays[4 * SIZE], extra[STATE];
	double mean[SIZE] = { 0 };
	int64_t id;
	float weight;

	assert_ok(train(&result, folder, p, 400));
	assert_int_equal(result.step, 400);
	/* Asked for again, it has nothing left to train, and says what came out. */
	assert_true(isfinite(result.loss));
	assert_ok(train(&again, folder, p, 400));
	assert_int_equal(again.step, 400);
	assert_close(again.loss, result.loss, 0);
	assert_close(again.judged, result.judged, 0);
	read_state(&s, arrays, extra, folder, &p->params);
	for (uint64_t i = 0; i < 4000; i++) {
		assert_ok(draw(NULL, i, 1, &id, &weight));
		for (int j = 0; j < SIZE; j++)
			mean[j] += (double)target(id, j) / 4000;
	}
	/* At the end the rate is near 0, and the average of 8-image gradients wanders by about
	 * rate · sqrt(steps at that rate): far below the 0.3 that separates the mean from 0 and from any target. */
	for (int j = 0; j < SIZE; j++)
		assert_close(arrays[SIZE + j], mean[j], 0.3);
	/* Even use, less with every step; rounded to float32 as often. */
	assert_close(extra[STATE - 1] / ((double)SLICES / SIZE * pow(DECAY, 400)), 1, 400 * 0x1p-24);
	problem_free(p);
}

static void same_bytes_for_any_threads(void **unused)
{
	struct ek_checkpoint_state s;
	float one[4 * SIZE], other[4 * SIZE], extra[STATE];

	for (int threads = 1; threads <= 4; threads++) {
		const char *folder = ek_scratch();
		struct ek_training result;
		struct problem *p;

		ek_threads_set(threads);
		p = problem_new();
		assert_ok(train(&result, folder, p, 60));
		read_state(&s, threads == 1 ? one : other, extra, folder, &p->params);
		if (threads > 1)
			assert_memory_equal(one, other, sizeof one);
		problem_free(p);
	}
	ek_threads_set(0);
}

static char *content(const char *folder, const char *name)
{
	struct ek_buffer text = { 0 };

	assert_ok(ek_file_read(&text, ek_join(folder, name), 1 << 20));
	return text.data;
}

/* The log but for its times. */
static char *log_of(const char *folder)
{
	static const char *const times[] = { "seconds", "images_per_second", "seconds_left" };
	char *text = content(folder, "log.jsonl"), *rest = text, *line;
	struct ek_buffer out = { 0 };

	while ((line = strsep(&rest, "\n")) != NULL && *line != 0) {
		cJSON *row = NULL;
		char *printed;

		assert_ok(ek_json_parse(&row, line, strlen(line), "log.jsonl"));
		for (int i = 0; i < 3; i++) {
			assert_non_null(cJSON_GetObjectItemCaseSensitive(row, times[i]));
			cJSON_DeleteItemFromObjectCaseSensitive(row, times[i]);
		}
		assert_non_null(printed = cJSON_PrintUnformatted(row));
		assert_ok(ek_buffer_printf(&out, "%s\n", printed));
		cJSON_free(printed);
		cJSON_Delete(row);
	}
	free(text);
	return out.data;
}

static void assert_same_log(const char *folder, const char *other)
{
	char *a = log_of(folder), *b = log_of(other);

	assert_string_equal(a, b);
	free(a);
	free(b);
}

static void assert_same_losses(const char *folder, const char *other)
{
	struct ek_npy a, b;
	struct ek_loss_log of;

	assert_ok(ek_losses_read(&a, &of, folder));
	assert_ok(ek_losses_read(&b, &of, other));
	assert_int_equal(a.map.size, b.map.size);
	assert_memory_equal(a.map.data, b.map.data, a.map.size);
	ek_npy_close(&a);
	ek_npy_close(&b);
}

static int draw_preview(void *context, const float *values, const char *path);

/* Where the device works by itself the next slice is filled meanwhile, and a step is given whole before it is waited
 * for; with judging and logged losses in between. A thread writes checkpoints meanwhile, one a step here, whose
 * previews are of what they hold. */
static void a_device_by_itself_learns_the_same(void **unused)
{
	const char *folders[2] = { ek_scratch(), ek_scratch() };
	struct ek_device by_itself = *fake_device();
	float arrays[2][4 * SIZE], extra[2][STATE];

	by_itself.one_at_a_time = 1;
	for (int i = 0; i < 2; i++) {
		struct ek_trainer_options options = options_of(folders[i], 33);
		struct ek_checkpoint_state s;
		struct ek_training result;
		struct ek_task task;
		struct problem *p;

		ek_device_set(i == 0 ? NULL : &by_itself);
		p = problem_new();
		task = task_of(p);
		task.preview = draw_preview;
		options.checkpoint_seconds = 0;
		assert_ok(ek_train(&result, &task, &source, &options, zeros));
		options.steps = 60;
		assert_ok(ek_train(&result, &task, &source, &options, zeros));
		read_state(&s, arrays[i], extra[i], folders[i], &p->params);
		p->broken_step = 62;
		options.steps = 90;
		assert_fails(ek_train(&result, &task, &source, &options, zeros), EK_EDATA,
		             "step 62: the loss of image");
		problem_free(p);
	}
	ek_device_set(NULL);
	assert_memory_equal(arrays[0], arrays[1], sizeof arrays[0]);
	assert_memory_equal(extra[0], extra[1], sizeof extra[0]);
	assert_same_log(folders[0], folders[1]);
	assert_same_losses(folders[0], folders[1]);
	for (int step = 1; step <= 61; step++) {
		char name[32], *one, *other;

		(void)snprintf(name, sizeof name, "preview-%08d.png", step);
		one = content(folders[0], name);
		other = content(folders[1], name);
		assert_memory_equal(one, other, sizeof(float));
		free(one);
		free(other);
	}
}

static void a_checkpoint_that_cannot_be_written_is_told(void **unused)
{
	struct problem *p = problem_new();
	struct ek_checkpoint_state s = { .step = 1 };
	struct ek_checkpoint_writer *w;
	const float *average;
	uint64_t step;

	assert_ok(ek_store_new(&s.store, &p->params));
	assert_ok(ek_checkpoint_writer_new(&w, &p->params));
	assert_int_equal(ek_checkpoint_end(w, 1, &step, &average), 0);
	assert_ok(ek_checkpoint_begin(w, ek_join(ek_scratch(), "nowhere"), &s, "test"));
	assert_fails(ek_checkpoint_end(w, 1, &step, &average), EK_EIO, "nowhere/step-00000001.safetensors");
	assert_int_equal(ek_checkpoint_end(w, 1, &step, &average), 0);
	ek_checkpoint_writer_free(w);
	ek_store_free(s.store);
	problem_free(p);
}

/* Row c is of the parameters after step 15 (c + 1): the last one of those that the training ends with. */
static void logs_the_losses_of_all_images(void **unused)
{
	const char *folder = ek_scratch();
	struct problem *p = problem_new();
	struct ek_training result;
	struct ek_checkpoint_state s;
	float arrays[4 * SIZE], extra[STATE];
	const float *row, *before;
	struct ek_loss_log of;
	struct ek_npy log;

	assert_ok(train(&result, folder, p, 60));
	read_state(&s, arrays, extra, folder, &p->params);
	assert_ok(ek_losses_read(&log, &of, folder));
	assert_int_equal(of.every, 15);
	assert_int_equal(of.images, IMAGES);
	assert_int_equal(of.grid.draws, DRAWS);
	assert_int_equal(log.shape[0], 4);
	row = (const float *)log.data + (size_t)3 * IMAGES;
	before = row - IMAGES;
	for (int i = 0; i < IMAGES; i++) {
		double want = 0;

		for (int j = 0; j < SIZE; j++)
			want += ((double)arrays[j] - (double)target(i, j)) * ((double)arrays[j] - (double)target(i, j));
		assert_close((double)row[i] / want, 1, SIZE * 0x1p-23);
		assert_true(before[i] != row[i]);
	}
	ek_npy_close(&log);
	/* Longer, it goes on in the same file; without its rows it cannot. */
	assert_ok(train(&result, folder, p, 80));
	assert_ok(ek_losses_read(&log, &of, folder));
	assert_int_equal(log.shape[0], 5);
	ek_npy_close(&log);
	assert_int_equal(truncate(ek_join(folder, "losses.npy"), 128 + 3 * IMAGES * 4), 0);
	assert_fails(train(&result, folder, p, 90), EK_EDATA, "has 3 rows, 5 belong to step 80");
	problem_free(p);
}

/* Stopped at steps on the way, with a checkpoint of each, it ends as one that was not; the rate is that of the whole.
 */
static void stops_on_the_way(void **unused)
{
	const char *whole_folder = ek_scratch(), *folder = ek_scratch();
	struct ek_trainer_options options = options_of(folder, 60);
	struct problem *p = problem_new();
	const struct ek_task task = task_of(p);
	struct ek_tensor_file file = { 0 };
	struct ek_training result;
	struct ek_checkpoint_state s;
	float whole[4 * SIZE], other[4 * SIZE], extra[STATE];

	assert_ok(train(&result, whole_folder, p, 60));
	read_state(&s, whole, extra, whole_folder, &p->params);
	for (uint64_t stop = 7; stop <= 70; stop += 21) {
		options.stop = stop;
		assert_ok(ek_train(&result, &task, &source, &options, zeros));
		assert_int_equal(result.step, stop < 60 ? stop : 60);
		assert_ok(ek_checkpoint_open_at(&file, result.step, folder, EK_CHECKPOINT_WHOLE));
		ek_tensor_file_close(&file);
	}
	read_state(&s, other, extra, folder, &p->params);
	assert_memory_equal(whole, other, sizeof whole);
	assert_fails(ek_checkpoint_open_at(&file, 8, folder, EK_CHECKPOINT_WHOLE), EK_EUSAGE,
	             "no checkpoint of step 8, but of 60, 49");
	assert_close(ek_trainer_rate(&options, 0), 0.05 / 5, 1e-12);
	assert_close(ek_trainer_rate(&options, 30), 0.025, 1e-12);
	assert_close(ek_trainer_rate(&options, 60), 0, 1e-12);
	problem_free(p);
}

/* ek_interrupt cannot be taken back, so what is stopped, or killed, runs in a child. A checkpoint in the middle of a
 * line of the log, at each step, and lines after the last checkpoint. */
static void stopped_goes_on_the_same(void **unused)
{
	static const struct {
		uint64_t stop_step, killed_step, killed_row;
		double checkpoint_seconds;
	} cases[] = { { 33, 0, 0, 1e9 }, { 0, 33, 0, 0 },   { 0, 38, 0, 1e9 }, { 0, 31, 0, 0 },
		      { 30, 0, 0, 1e9 }, { 0, 0, 30, 1e9 }, { 0, 0, 30, 0 },   { 0, 0, 60, 0 } };
	const char *whole_folder = ek_scratch();
	struct problem *p = problem_new();
	struct ek_checkpoint_state s;
	struct ek_training result;
	float whole[4 * SIZE], other[4 * SIZE], extra[STATE], other_extra[STATE];

	assert_ok(train(&result, whole_folder, p, 60));
	read_state(&s, whole, extra, whole_folder, &p->params);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *folder = ek_scratch();
		struct ek_trainer_options options = options_of(folder, 60);
		struct problem *q = problem_new();
		const struct ek_task task = task_of(q);
		const pid_t child = fork();
		int status;

		options.checkpoint_seconds = cases[i].checkpoint_seconds;
		if (child == 0) {
			q->stop_step = cases[i].stop_step;
			q->killed_step = cases[i].killed_step;
			q->killed_row = cases[i].killed_row;
			_exit(ek_train(&result, &task, &source, &options, zeros) == EK_EINTERRUPTED ? 7 : 1);
		}
		assert_true(waitpid(child, &status, 0) == child);
		assert_int_equal(WEXITSTATUS(status), cases[i].stop_step > 0 ? 7 : 9);
		assert_ok(ek_train(&result, &task, &source, &options, zeros));
		read_state(&s, other, other_extra, folder, &q->params);
		assert_memory_equal(whole, other, sizeof whole);
		assert_memory_equal(extra, other_extra, sizeof extra);
		assert_same_log(whole_folder, folder);
		assert_same_losses(whole_folder, folder);
		problem_free(q);
	}
	problem_free(p);
}

/* Changes one byte of a file, or cuts it there. */
static void damage(const char *folder, const char *name, long at, int cut)
{
	const char *path = ek_join(folder, name);
	FILE *f;
	int byte;

	if (cut) {
		assert_int_equal(truncate(path, at), 0);
		return;
	}
	assert_non_null(f = fopen(path, "r+b"));
	assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
	byte = fgetc(f);
	assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
	assert_true(byte >= 0);
	assert_int_equal(fputc(byte ^ 1, f), byte ^ 1);
	assert_int_equal(fclose(f), 0);
}

static void keep_message(void *context, enum ek_log_level level, const char *message)
{
	if (level == EK_LOG_WARNING)
		(void)snprintf(context, 512, "%s", message);
}

/* The newest checkpoint empty, cut, and with one bit changed in its header, parameters, moments, step, log and sums. */
static void goes_on_from_the_newest_whole_one(void **unused)
{
	static const struct {
		long at;
		int cut;
	} cases[] = { { 0, 1 },    { 200, 1 },  { 900, 1 },  { 20, 0 }, { -700, 0 },
		      { -250, 0 }, { -180, 0 }, { -120, 0 }, { -8, 0 } };
	static const char newest[] = "step-00000040.safetensors";
	const char *whole_folder = ek_scratch();
	struct ek_checkpoint_state s;
	struct ek_training result;
	float whole[4 * SIZE], other[4 * SIZE], extra[STATE];
	char said[512];

	for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
		const char *folder = i == 0 ? whole_folder : ek_scratch();
		struct ek_trainer_options options = options_of(folder, 20);
		struct problem *p = problem_new();
		const struct ek_task task = task_of(p);
		glob_t found;

		options.schedule = EK_SCHEDULE_CONSTANT;
		assert_ok(ek_train(&result, &task, &source, &options, zeros));
		options.steps = 40;
		assert_ok(ek_train(&result, &task, &source, &options, zeros));
		if (i > 0)
			damage(folder, newest, cases[i - 1].at, cases[i - 1].cut);
		options.steps = 50;
		options.checkpoints_kept = 2;
		said[0] = 0;
		ek_log_set_sink(&(struct ek_log_sink){ .message = keep_message, .context = said });
		assert_ok(ek_train(&result, &task, &source, &options, zeros));
		ek_log_set_sink(&(struct ek_log_sink){ 0 });
		assert_true((strstr(said, newest) != NULL) == (i > 0));
		read_state(&s, i == 0 ? whole : other, extra, folder, &p->params);
		if (i > 0)
			assert_memory_equal(whole, other, sizeof whole);
		assert_same_log(whole_folder, folder);
		/* What is damaged is removed when there is a newer one, not what is whole. */
		assert_int_equal(glob(ek_join(folder, "step-*"), 0, NULL, &found), 0);
		assert_int_equal(found.gl_pathc, 2);
		assert_non_null(strstr(found.gl_pathv[0], i == 0 ? newest : "step-00000020.safetensors"));
		globfree(&found);
		problem_free(p);
	}
}

static void does_not_start_again_where_nothing_is_whole(void **unused)
{
	const char *folder = ek_scratch();
	struct problem *p = problem_new();
	struct ek_training result;
	struct ek_tensor_file file = { 0 };
	uint64_t step;

	assert_ok(train(&result, folder, p, 10));
	assert_ok(train(&result, folder, p, 20));
	damage(folder, "step-00000010.safetensors", 900, 1);
	damage(folder, "step-00000020.safetensors", 30, 1);
	assert_fails(train(&result, folder, p, 30), EK_EDATA, "no checkpoint of it is whole, of 2");
	assert_fails(ek_checkpoint_open(&file, &step, folder, EK_CHECKPOINT_AVERAGE), EK_EDATA, "is whole");
	problem_free(p);
}

/* A picture of the first parameter. */
static int draw_preview(void *context, const float *values, const char *path)
{
	struct ek_atomic_file file = { 0 };
	int rc;

	EK_TRY(ek_atomic_open(&file, path));
	EK_TRY(ek_atomic_write(&file, values, sizeof *values));
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	return rc;
}

static void makes_the_preview_that_is_missing(void **unused)
{
	static const char newest[] = "preview-00000020.png";
	const char *folder = ek_scratch();
	struct ek_trainer_options options = options_of(folder, 10);
	struct problem *p = problem_new();
	struct ek_task task = task_of(p);
	struct ek_training result;
	char *before, *after;

	task.preview = draw_preview;
	assert_ok(ek_train(&result, &task, &source, &options, zeros));
	options.steps = 20;
	assert_ok(ek_train(&result, &task, &source, &options, zeros));
	before = content(folder, newest);
	assert_int_equal(unlink(ek_join(folder, newest)), 0);
	assert_ok(ek_train(&result, &task, &source, &options, zeros));
	after = content(folder, newest);
	assert_memory_equal(before, after, sizeof(float));
	free(before);
	free(after);

	/* One of a step that is not reached is not of this training. */
	damage(folder, "step-00000020.safetensors", 30, 1);
	options.steps = 10;
	ek_log_set_sink(&(struct ek_log_sink){ 0 });
	assert_ok(ek_train(&result, &task, &source, &options, zeros));
	assert_false(ek_file_exists(ek_join(folder, newest)));
	assert_true(ek_file_exists(ek_join(folder, "preview-00000010.png")));

	/* Without checkpoints it is not begun anew. */
	assert_int_equal(unlink(ek_join(folder, "step-00000010.safetensors")), 0);
	assert_int_equal(unlink(ek_join(folder, "step-00000020.safetensors")), 0);
	assert_fails(ek_train(&result, &task, &source, &options, zeros), EK_EDATA, "its checkpoints are gone");
	problem_free(p);
}

static int draw_slowly(void *context, const float *values, const char *path)
{
	(void)nanosleep(&SLOW, NULL);
	return draw_preview(context, values, path);
}

/* Steps that would each be followed by a preview, were its own time counted as time since the last one. */
static void time_of_previews_is_no_time_of_training(void **unused)
{
	const char *folder = ek_scratch();
	struct ek_trainer_options options = options_of(folder, 6);
	struct problem *p = problem_new();
	struct ek_task task = task_of(p);
	struct ek_training result;

	p->slow_step = 2;
	task.preview = draw_slowly;
	options.checkpoint_seconds = 0.25;
	assert_ok(ek_train(&result, &task, &source, &options, zeros));
	for (uint64_t step = 1; step <= 6; step++) {
		char name[32];

		(void)snprintf(name, sizeof name, "preview-%08d.png", (int)step);
		assert_int_equal(ek_file_exists(ek_join(folder, name)), step == 2 || step == 6);
	}
	problem_free(p);
}

static void stops_at_what_is_no_number(void **unused)
{
	const char *folder = ek_scratch();
	struct problem *p = problem_new();
	struct ek_training result;
	struct ek_tensor_file file = { 0 };
	uint64_t step;

	assert_ok(train(&result, folder, p, 10));
	p->broken_step = 15;
	assert_fails(train(&result, folder, p, 30), EK_EDATA, "step 15: the loss of image");
	assert_int_equal(ek_checkpoint_open(&file, &step, folder, EK_CHECKPOINT_WHOLE), 1);
	assert_int_equal(step, 10);
	ek_tensor_file_close(&file);
	problem_free(p);
}

static void stops_when_the_loss_runs_away(void **unused)
{
	struct problem *p = problem_with(-1);
	struct ek_training result;

	assert_fails(train(&result, ek_scratch(), p, 2000), EK_EDATA, "ran away");
	problem_free(p);
}

static void keeps_the_newest_and_refuses_others(void **unused)
{
	const char *folder = ek_scratch();
	struct problem *p = problem_new();
	struct ek_task task = task_of(p);
	struct ek_trainer_options options;
	struct ek_training result;
	glob_t found;

	for (uint64_t steps = 10; steps <= 40; steps += 10)
		assert_ok(train(&result, folder, p, steps));
	assert_int_equal(glob(ek_join(folder, "step-*.safetensors"), 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 2);
	globfree(&found);
	options = options_of(folder, 50);
	options.identity = "other";
	assert_fails(ek_train(&result, &task, &source, &options, zeros), EK_EDATA, "made with other options");
	options.identity = "test";
	options.batch = 7;
	assert_fails(ek_train(&result, &task, &source, &options, zeros), EK_EUSAGE, "not a multiple");
	options.batch = BATCH;
	options.steps = 0;
	assert_fails(ek_train(&result, &task, &source, &options, zeros), EK_EUSAGE, "needs an end");
	problem_free(p);
}

/* The largest time left of all lines of a log. */
static double most_left(const char *folder)
{
	FILE *f = fopen(ek_join(folder, "log.jsonl"), "r");
	char line[4096];
	double most = 0;
	int lines = 0;

	assert_non_null(f);
	for (; fgets(line, sizeof line, f) != NULL; lines++) {
		const char *left = strstr(line, "\"seconds_left\":");

		assert_non_null(left);
		most = fmax(most, strtod(strchr(left, ':') + 1, NULL));
	}
	(void)fclose(f);
	assert_true(lines > 0);
	return most;
}

static void keep_largest(void *context, const struct ek_progress *progress)
{
	*(double *)context = fmax(*(double *)context, progress->left);
}

/* Far more steps than there is time for, and far more time than the steps take. */
static void says_what_is_left_to_the_nearer_end(void **unused)
{
	static const struct {
		uint64_t steps;
		double limit, most;
	} cases[] = { { 1000000000000, 0.3, 0.3 }, { 1000, 1e9, 1e6 } };
	double shown;
	const struct ek_log_sink sink = { .progress = keep_largest, .context = &shown };

	for (int i = 0; i < 2; i++) {
		struct ek_trainer_options options = options_of(ek_scratch(), cases[i].steps);
		struct problem *p = problem_new();
		const struct ek_task task = task_of(p);
		struct ek_training result;

		options.time_limit = cases[i].limit;
		shown = 0;
		ek_log_set_sink(&sink);
		assert_ok(ek_train(&result, &task, &source, &options, zeros));
		ek_log_set_sink(&(struct ek_log_sink){ 0 });
		assert_true(i == 0 ? result.step < cases[i].steps : result.step == cases[i].steps);
		assert_true(most_left(options.folder) <= cases[i].most);
		/* In the first second nothing is known of the steps. */
		assert_true(shown > 0 && shown <= cases[i].limit);
		problem_free(p);
	}
}

static uint64_t three_gibibytes(void)
{
	return (uint64_t)3 << 30;
}

/* A network of 32 images wants so much beside the store, whose five families of 2^26 numbers take 1.25 GiB. */
static void memory_that_does_not_suffice_is_told(void **state)
{
	const struct ek_device *before = ek_device();
	struct ek_device small = *before;
	struct ek_params params = { 0 };
	const uint64_t gib = (uint64_t)1 << 30;

	small.available = three_gibibytes;
	assert_true(ek_params_add(&params, "p", 1, (const int64_t[]){ 1 << 26 }, (struct ek_init){ 0 }) >= 0);
	assert_int_equal(ek_store_bytes(&params), gib * 5 / 4);
	ek_device_set(&small);
	assert_ok(ek_trainer_check_memory(&params, 32, 1 * gib));
	assert_fails(ek_trainer_check_memory(&params, 32, 8 * gib), EK_ENOMEM,
	             "training needs 9.25 GiB of memory and 3.00 GiB are free: 7 images at once would fit instead of "
	             "32 ('accumulate' cuts a batch into parts), or recomputing, or fewer threads");
	assert_fails(ek_trainer_check_memory(&params, 1, 8 * gib), EK_ENOMEM,
	             "training needs 9.25 GiB of memory and 3.00 GiB are free, too little for one image at a time");
	small.available = before->available;
	ek_device_set(before);
	ek_params_release(&params);
}

EK_TEST_MAIN(cmocka_unit_test(goes_to_the_mean), cmocka_unit_test(same_bytes_for_any_threads),
             cmocka_unit_test(a_device_by_itself_learns_the_same),
             cmocka_unit_test(a_checkpoint_that_cannot_be_written_is_told), cmocka_unit_test(stopped_goes_on_the_same),
             cmocka_unit_test(logs_the_losses_of_all_images), cmocka_unit_test(stops_on_the_way),
             cmocka_unit_test(goes_on_from_the_newest_whole_one),
             cmocka_unit_test(does_not_start_again_where_nothing_is_whole),
             cmocka_unit_test(makes_the_preview_that_is_missing),
             cmocka_unit_test(time_of_previews_is_no_time_of_training), cmocka_unit_test(stops_at_what_is_no_number),
             cmocka_unit_test(stops_when_the_loss_runs_away), cmocka_unit_test(keeps_the_newest_and_refuses_others),
             cmocka_unit_test(says_what_is_left_to_the_nearer_end),
             cmocka_unit_test(memory_that_does_not_suffice_is_told))
