/* A data set of 60 small images in three groups, and all that is done with it, in order. */
#include <sys/stat.h>

#include "analysis/embed/encoder.h"
#include "rebalance/base/file.h"
#include "rebalance/io/image.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/tensors.h"
#include "rebalance/pipeline/about.h"
#include "rebalance/pipeline/compare.h"
#include "rebalance/pipeline/draw.h"
#include "rebalance/pipeline/evaluate.h"
#include "rebalance/pipeline/generate.h"
#include "rebalance/pipeline/label.h"
#include "rebalance/pipeline/outside.h"
#include "rebalance/pipeline/plans.h"
#include "rebalance/pipeline/recipe.h"
#include "rebalance/pipeline/review.h"
#include "rebalance/pipeline/sweep.h"
#include "rebalance/pipeline/train_flow.h"
#include "rebalance/pipeline/train_vae.h"
#include "tests/support/support.h"
#include "tests/train/nn/fake_device.h"
#include "train/nn/device_internal.h"
#include "train/vae/latents.h"

enum { IMAGES = 60, SIDE = 8 };

static const enum ek_step_id audit[] = { EK_STEP_SCAN,       EK_STEP_EMBED, EK_STEP_CLUSTER, EK_STEP_STABILITY,
	                                 EK_STEP_DUPLICATES, EK_STEP_AUDIT, EK_STEP_REPORT,  EK_STEP_END };

static const char *images, *path;
static struct ek_run *run;
static struct ek_steps_options steps;

/* Image i is of group i % 3, a colour with a dot whose place is its own. */
static void make_image(uint64_t i)
{
	struct ek_image image = { 0 };
	struct ek_buffer bytes = { 0 };
	char name[32];

	assert_ok(ek_image_allocate(&image, SIDE, SIDE));
	for (int p = 0; p < SIDE * SIDE; p++)
		for (int c = 0; c < 3; c++)
			image.pixels[3 * p + c] = (uint8_t)(c == (int)(i % 3) ? 200 : 20);
	image.pixels[3 * (i % (SIDE * SIDE))] = (uint8_t)(100 + i);
	assert_ok(ek_image_encode_png(&bytes, &image));
	(void)snprintf(name, sizeof name, "%03d.png", (int)i);
	ek_write_file(ek_join(images, name), bytes.data, bytes.size);
	ek_image_release(&image);
	ek_buffer_release(&bytes);
}

static void give(enum ek_step_id step, const char *name)
{
	const struct ek_option_table table = ek_step_table(&steps, step);

	*table.given |= (uint64_t)1 << (ek_option_find(&table, name) - table.rows);
}

static int set_up(void **state)
{
	int encoder = 0;

	images = strdup(ek_scratch());
	path = strdup(ek_join(ek_scratch(), "run"));
	for (uint64_t i = 0; i < IMAGES; i++)
		make_image(i);
	assert_ok(ek_run_open(&run, path, EK_RUN_CREATE));
	ek_steps_options_init(&steps);
	while (strcmp(ek_encoders[encoder].name, "pixels") != 0)
		encoder++;
	steps.embed.encoder = encoder;
	steps.cluster.clusters = 3;
	steps.stability.seeds = 2;
	steps.scan.held_out = 0.2;
	give(EK_STEP_SCAN, "held-out");
	give(EK_STEP_EMBED, "encoder");
	give(EK_STEP_CLUSTER, "clusters");
	steps.scan.datasets = &images;
	steps.scan.dataset_count = 1;
	return 0;
}

static int tear_down(void **state)
{
	ek_steps_options_release(&steps);
	ek_run_close(run);
	free((char *)(uintptr_t)images);
	free((char *)(uintptr_t)path);
	return 0;
}

/* Which file it is, and when it was written: another one if it was made again. */
static struct stat file_of(const char *name)
{
	struct stat status;

	assert_int_equal(stat(ek_join(path, name), &status), 0);
	return status;
}

static void assert_untouched(const struct stat *before, const char *name)
{
	const struct stat now = file_of(name);

	assert_true(before->st_ino == now.st_ino && before->st_mtim.tv_nsec == now.st_mtim.tv_nsec);
}

/* Its last byte becomes another; the size stays. */
static void spoil(const char *name)
{
	struct ek_buffer bytes = { 0 };

	assert_ok(ek_file_read(&bytes, ek_join(path, name), 1 << 26));
	bytes.data[bytes.size - 1] ^= 1;
	ek_write_file(ek_join(path, name), bytes.data, bytes.size);
	ek_buffer_release(&bytes);
}

/* The only file of the run that the pattern fits. */
static const char *file_like(const char *pattern)
{
	static char name[200];
	glob_t found;

	assert_ok(ek_run_glob(&found, run, pattern));
	assert_int_equal(found.gl_pathc, 1);
	(void)snprintf(name, sizeof name, "%s", found.gl_pathv[0] + strlen(path) + 1);
	globfree(&found);
	return name;
}

/* Parameters, their average and the optimiser's state; the time that it took is another each time. */
static void assert_same_tensors(const char *a, const char *b)
{
	struct ek_tensor_file first, second;
	int compared = 0;

	assert_ok(ek_tensor_file_open(&first, ek_join(path, a)));
	assert_ok(ek_tensor_file_open(&second, ek_join(path, b)));
	assert_int_equal(first.count, second.count);
	for (size_t i = 0; i < first.count; i++) {
		const struct ek_tensor *x = &first.tensors[i], *y = &second.tensors[i];

		assert_string_equal(x->name, y->name);
		if (strncmp(x->name, "state.", 6) == 0)
			continue;
		assert_int_equal(x->count, y->count);
		assert_memory_equal(x->data, y->data, x->count * sizeof(float));
		compared++;
	}
	assert_true(compared > 20);
	ek_tensor_file_close(&first);
	ek_tensor_file_close(&second);
}

static void an_audit_is_made_once(void **state)
{
	struct ek_steps_options later;
	struct ek_run *other;
	struct stat before;

	assert_ok(ek_run_open(&other, ek_join(ek_scratch(), "empty"), EK_RUN_CREATE));
	ek_steps_options_init(&later);
	assert_fails(ek_steps_run(other, &later, audit, 0), EK_EUSAGE, "has no images yet");
	ek_run_close(other);
	assert_ok(ek_steps_run(run, &steps, audit, 0));
	assert_true(ek_file_exists(ek_join(path, "report.html")));
	before = file_of("clusters/assignment.npy");
	/* Nothing is said: what was said is meant. */
	assert_ok(ek_steps_run(run, &later, audit, 0));
	assert_int_equal(later.cluster.clusters, 3);
	assert_untouched(&before, "clusters/assignment.npy");
	ek_steps_options_release(&later);
}

static int was_made_anew(const struct stat *before, const char *name)
{
	const struct stat now = file_of(name);

	return before->st_ino != now.st_ino || before->st_mtim.tv_nsec != now.st_mtim.tv_nsec;
}

/* A step that is left out because nobody asked for it is none of the last ones. */
static void the_last_step_is_forced(void **state)
{
	static const enum ek_step_id embed[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_COMPONENTS, EK_STEP_END };
	static const enum ek_step_id cluster[] = { EK_STEP_SCAN,    EK_STEP_EMBED,  EK_STEP_COMPONENTS,
		                                   EK_STEP_CLUSTER, EK_STEP_GROUPS, EK_STEP_END };
	const struct stat features = file_of("embeddings.npy"), list = file_of("images.jsonl");
	struct stat clusters = file_of("clusters/assignment.npy"), made;

	steps.force = 1;
	assert_ok(ek_steps_run(run, &steps, embed, 1));
	assert_true(was_made_anew(&features, "embeddings.npy"));
	assert_untouched(&list, "images.jsonl");
	assert_untouched(&clusters, "clusters/assignment.npy");
	made = file_of("embeddings.npy");
	assert_ok(ek_steps_run(run, &steps, cluster, 1));
	assert_true(was_made_anew(&clusters, "clusters/assignment.npy"));
	assert_untouched(&made, "embeddings.npy");
	steps.force = 0;
}

static void a_pruned_subset(void **state)
{
	struct ek_do_prune_options o = EK_DO_PRUNE_DEFAULT;
	int made;

	assert_fails(ek_do_prune(&made, run, NULL, &o), EK_EUSAGE, "needs a method");
	o.plan.method = "furthest";
	o.plan.name = "half";
	o.keep = "1.5";
	assert_fails(ek_do_prune(&made, run, NULL, &o), EK_EUSAGE, "'keep' is \"1.5\"");
	o.keep = "0.5";
	o.plan.method = "leverage";
	assert_fails(ek_do_prune(&made, run, NULL, &o), EK_EUSAGE, "needs 'order'");
	assert_null(ek_run_recorded(run, "components")); /* told before any work */
	o.plan.method = "furthest";
	assert_ok(ek_do_prune(&made, run, NULL, &o));
	assert_true(made && ek_file_exists(ek_join(path, "subsets/half/keep.npy")));
	assert_ok(ek_do_prune(&made, run, NULL, &o));
	assert_false(made);
	o.force = 1;
	assert_ok(ek_do_prune(&made, run, NULL, &o));
	assert_true(made);
}

static void a_balanced_subset(void **state)
{
	struct ek_do_balance_options o = EK_DO_BALANCE_DEFAULT;
	int made;

	o.plan.name = "even";
	assert_fails(ek_do_balance(&made, run, NULL, &o), EK_EUSAGE, "to what?");
	o.to = "smallest";
	assert_ok(ek_do_balance(&made, run, NULL, &o));
	assert_true(made);
	assert_ok(ek_do_balance(&made, run, NULL, &o));
	assert_false(made);
}

static void weights_and_an_epoch_by_them(void **state)
{
	struct ek_do_weights_options o = { .plan = { .name = "inverse", .scheme = "inverted" } };
	struct ek_draw_options d = { .weights = "inverse",
		                     .world = 1,
		                     .output = strdup(ek_join(ek_scratch(), "a.npy")) };
	struct ek_npy whole, rest;
	struct ek_drawn drawn;
	struct stat before;

	assert_fails(ek_do_weights(run, NULL, &o), EK_EUSAGE, "inverted");
	o.plan.scheme = "inverse";
	assert_ok(ek_do_weights(run, NULL, &o));
	before = file_of("weights/inverse/weights.npy");
	assert_ok(ek_do_weights(run, NULL, &o));
	assert_untouched(&before, "weights/inverse/weights.npy");
	assert_ok(ek_do_draw(&drawn, run, &d));
	assert_int_equal(drawn.count, drawn.length);
	assert_ok(ek_npy_open(&whole, d.output));
	/* Gone on with in the middle, the epoch is the same. */
	free((char *)(uintptr_t)d.output);
	d.output = strdup(ek_join(ek_scratch(), "b.npy"));
	d.start = 20;
	assert_ok(ek_do_draw(&drawn, run, &d));
	assert_ok(ek_npy_open(&rest, d.output));
	assert_int_equal(rest.shape[0] + 20, whole.shape[0]);
	assert_memory_equal(rest.data, (const int64_t *)whole.data + 20, rest.shape[0] * sizeof(int64_t));
	ek_npy_close(&whole);
	ek_npy_close(&rest);
	d.rank = 2;
	assert_fails(ek_do_draw(&drawn, run, &d), EK_EUSAGE, "'rank' is 2");
	free((char *)(uintptr_t)d.output);
}

static void an_export(void **state)
{
	struct ek_do_export_options o = EK_DO_EXPORT_DEFAULT;
	struct ek_export_result result;

	o.plan.subset = "even";
	o.plan.form = EK_EXPORT_TAR;
	o.plan.output = strdup(ek_join(ek_scratch(), "shards"));
	o.shard_size = "3pages";
	assert_fails(ek_do_export(&result, run, &o), EK_EUSAGE, "'shard-size' is \"3pages\"");
	o.shard_size = "10images";
	assert_ok(ek_do_export(&result, run, &o));
	assert_int_equal(result.shards, (result.images + 9) / 10);
	assert_fails(ek_do_export(&result, run, &o), EK_EUSAGE, "is an export already");
	o.plan.force = 1;
	assert_ok(ek_do_export(&result, run, &o));
	free((char *)(uintptr_t)o.plan.output);
}

static struct ek_train_flow_options small_flow(const char *name, int64_t count)
{
	struct ek_train_flow_options o = ek_train_flow_default;

	o.common.name = name;
	o.common.steps = count;
	o.common.batch = 8;
	o.common.slice = 4;
	o.common.warmup = 0;
	o.common.schedule = EK_SCHEDULE_CONSTANT;
	o.common.precision = EK_NN_F32;
	o.space = 1;
	o.side = SIDE;
	o.patch = 4;
	o.width = 16;
	o.depth = 1;
	o.condition = "cluster";
	return o;
}

static void a_generator_goes_on_where_it_was(void **state)
{
	struct ek_train_flow_options o = small_flow("straight", 6);
	struct ek_training_result result;

	o.common.slice = 3;
	assert_fails(ek_do_train_flow(&result, run, &steps, &o), EK_EUSAGE, "multiple");
	ek_training_result_release(&result);
	o.common.slice = 4;
	assert_ok(ek_do_train_flow(&result, run, &steps, &o));
	assert_int_equal(result.training.step, 6);
	ek_training_result_release(&result);
	o = small_flow("twice", 3);
	assert_ok(ek_do_train_flow(&result, run, &steps, &o));
	ek_training_result_release(&result);
	o.common.steps = 6;
	assert_ok(ek_do_train_flow(&result, run, &steps, &o));
	assert_int_equal(result.training.step, 6);
	ek_training_result_release(&result);
	assert_same_tensors("models/straight/step-00000006.safetensors", "models/twice/step-00000006.safetensors");
	o.common.dry_run = 1;
	assert_ok(ek_do_train_flow(&result, run, &steps, &o));
	assert_null(result.folder);
	assert_true(result.estimate.seconds > 0);
	ek_training_result_release(&result);
}

static void refused(struct ek_train_flow_options o, const char *why)
{
	struct ek_training_result result;

	assert_fails(ek_do_train_flow(&result, run, &steps, &o), EK_EUSAGE, why);
	ek_training_result_release(&result);
}

/* What the version before recorded of a model, or, without `version`, nothing. */
static void record_as_before(const char *name, int version)
{
	static const char *const inputs[] = { "images.jsonl", NULL }, *const none[] = { NULL };
	cJSON *options = cJSON_CreateObject();
	const struct ek_step step = {
		.name = name, .version = version, .options = options, .inputs = inputs, .outputs = none
	};

	assert_ok(ek_json_add_string(options, "command", "train flow"));
	assert_ok(ek_run_forget(run, name));
	if (version > 0)
		assert_ok(ek_run_record(run, &step, 1700000000, 1, NULL));
	cJSON_Delete(options);
}

static void a_training_that_is_another_is_refused(void **state)
{
	struct ek_train_flow_options o = small_flow("twice", 6), other = o;
	struct ek_training_result result;

	other.depth = 3;
	for (int version = 2; version >= 0; version--) {
		if (version < 2)
			record_as_before("model twice", version);
		refused(other, "model.depth was ");
		assert_ok(ek_do_train_flow(&result, run, &steps, &o)); /* already at its end: nothing to do */
		assert_int_equal(result.training.step, 6);
		ek_training_result_release(&result);
		assert_non_null(
			ek_json_member(ek_json_member(ek_run_recorded(run, "model twice"), "options"), "model"));
	}
	other = o;
	other.common.rate = 0.5;
	refused(other, "training.rate was ");
}

static void an_autoencoder(void **state)
{
	struct ek_train_vae_options o = ek_train_vae_default;
	struct ek_training_result result;
	struct stat before;

	o.common.name = "ae";
	o.common.steps = 3;
	o.common.batch = 8;
	o.common.precision = EK_NN_F32;
	o.side = SIDE;
	o.groups = 4;
	o.widths = "8,";
	assert_fails(ek_do_train_vae(&result, run, &steps, &o), EK_EUSAGE, "'widths' is \"8,\"");
	ek_training_result_release(&result);
	o.widths = "8,8";
	assert_ok(ek_do_train_vae(&result, run, &steps, &o));
	ek_training_result_release(&result);
	before = file_of("models/ae/latents.npy");
	assert_ok(ek_do_train_vae(&result, run, &steps, &o));
	ek_training_result_release(&result);
	assert_untouched(&before, "models/ae/latents.npy");
	/* What lies there is no longer what was made. */
	spoil("models/ae/latents.npy");
	assert_ok(ek_do_train_vae(&result, run, &steps, &o));
	ek_training_result_release(&result);
	assert_true(file_of("models/ae/latents.npy").st_ino != before.st_ino);
	before = file_of(file_like("cache/pixels-8-*.npy"));
	o.common.force = 1;
	assert_ok(ek_do_train_vae(&result, run, &steps, &o));
	ek_training_result_release(&result);
	assert_true(file_of(file_like("cache/pixels-8-*.npy")).st_ino != before.st_ino);
}

static void samples_are_completed(void **state)
{
	static const char lost[] = "samples/made/images/000003.png";
	struct ek_generate_options o = ek_generate_default;
	struct ek_generated generated;
	struct stat before;

	o.name = "made";
	o.model = "nobody";
	assert_fails(ek_do_generate(&generated, run, &o), EK_EUSAGE, "there is no model nobody");
	ek_generated_release(&generated);
	o.model = "straight";
	o.classes.count = 20;
	o.batch = 2;
	o.steps = 2;
	o.precision = EK_NN_F32;
	assert_ok(ek_do_generate(&generated, run, &o));
	assert_int_equal(generated.classes.count, 20);
	ek_generated_release(&generated);
	assert_ok(ek_rename_synced(ek_join(path, lost), ek_join(path, "kept.png")));
	before = file_of("samples/made/images/000001.png");
	assert_ok(ek_do_generate(&generated, run, &o));
	ek_generated_release(&generated);
	assert_untouched(&before, "samples/made/images/000001.png");
	ek_assert_same_files(ek_join(path, lost), ek_join(path, "kept.png"));
}

static uint64_t batch_made(const struct ek_generate_options *o)
{
	struct ek_generated generated;
	cJSON *config;
	uint64_t batch;

	assert_ok(ek_do_generate(&generated, run, o));
	assert_ok(ek_json_load(&config, ek_join(generated.folder, "config.json")));
	assert_ok(ek_json_get_u64(&batch, config, "batch", "config.json"));
	cJSON_Delete(config);
	ek_generated_release(&generated);
	return batch;
}

/* A device that takes batches gets all 20; who goes on with them elsewhere takes theirs. */
static void batches_are_the_devices(void **state)
{
	struct ek_device shared = *fake_device();
	struct ek_generate_options o = ek_generate_default;
	struct ek_generated generated;
	struct stat before;

	o.name = "batches";
	o.model = "straight";
	o.classes.count = 20;
	o.steps = 2;
	o.precision = EK_NN_F32;
	shared.one_at_a_time = 1;
	ek_device_set(&shared);
	assert_int_equal(batch_made(&o), 20);
	ek_device_set(NULL);
	before = file_of("samples/batches/images/000001.png");
	assert_int_equal(batch_made(&o), 20);
	assert_untouched(&before, "samples/batches/images/000001.png");
	o.batch = 16;
	assert_fails(ek_do_generate(&generated, run, &o), EK_EUSAGE, "samples made otherwise");
	ek_generated_release(&generated);
	o.batch = 0;
	o.force = 1;
	assert_int_equal(batch_made(&o), 16);
}

static void an_evaluation_follows_its_samples(void **state)
{
	struct ek_do_evaluate_options o = ek_do_evaluate_default;
	struct ek_generate_options again = ek_generate_default;
	struct ek_generated generated;
	struct stat before, now;
	const char *name;

	o.samples = "nothing";
	assert_fails(ek_do_evaluate(&name, run, &steps, &o), EK_EUSAGE, "nothing");
	o.samples = "made";
	o.subsets = 2;
	assert_ok(ek_do_evaluate(&name, run, &steps, &o));
	assert_string_equal(name, "made");
	before = file_of("evaluations/made.json");
	assert_ok(ek_do_evaluate(&name, run, &steps, &o));
	assert_untouched(&before, "evaluations/made.json");
	again.name = "made";
	again.model = "straight";
	again.classes.count = 20;
	again.steps = 2;
	again.precision = EK_NN_F32;
	again.seed = 7;
	again.force = 1;
	assert_ok(ek_do_generate(&generated, run, &again));
	ek_generated_release(&generated);
	assert_ok(ek_do_evaluate(&name, run, &steps, &o));
	now = file_of("evaluations/made.json");
	assert_int_not_equal(before.st_ino, now.st_ino);
}

/* `info` would say so: what is stale of the step, "" if nothing is, as a reader of the run sees it. */
static const char *stale(const char *step)
{
	static char text[600];
	struct ek_run *reader;
	const char *reason;
	int unchanged;

	assert_ok(ek_run_open(&reader, path, EK_RUN_READ));
	assert_non_null(ek_run_recorded(reader, step));
	assert_ok(ek_outside_check(reader));
	assert_ok(ek_outside_check_latents(reader));
	assert_ok(ek_run_is_unchanged(&unchanged, &reason, reader, step, 1));
	(void)snprintf(text, sizeof text, "%s", unchanged ? "" : reason);
	ek_run_close(reader);
	return text;
}

static void train_flow(const struct ek_train_flow_options *o)
{
	struct ek_training_result result;

	assert_ok(ek_do_train_flow(&result, run, &steps, o));
	ek_training_result_release(&result);
}

static void train_ae(int64_t count)
{
	struct ek_train_vae_options o = ek_train_vae_default;
	struct ek_training_result result;

	o.common.name = "ae";
	o.common.steps = count;
	o.common.batch = 8;
	o.common.precision = EK_NN_F32;
	o.side = SIDE;
	o.groups = 4;
	o.widths = "8,8";
	assert_ok(ek_do_train_vae(&result, run, &steps, &o));
	ek_training_result_release(&result);
}

static void copy_file(const char *from, const char *to)
{
	struct ek_buffer bytes = { 0 };

	assert_ok(ek_file_read(&bytes, from, 1 << 26));
	ek_write_file(to, bytes.data, bytes.size);
	ek_buffer_release(&bytes);
}

/* As versions left it that did not record these, with latents.npy.key beside the latents. */
static void forget_records(void)
{
	static const char *const unrecorded[] = { "pixels 8", "latents models/ae/latents.npy", "model ae",
		                                  "samples made", "features samples/made/embeddings.npy" };
	struct ek_autoencoder model = { 0 };
	char key[EK_SHA256_HEX];
	struct ek_pixels pixels;
	cJSON *json;

	assert_ok(ek_pixels_open(&pixels, run, SIDE, 0));
	assert_ok(ek_autoencoder_open(&model, ek_join(path, "models/ae")));
	assert_ok(ek_latents_key(key, &model, IMAGES, pixels.key, EK_NN_F32));
	ek_write_file(ek_join(path, "models/ae/latents.npy.key"), key, strlen(key));
	ek_autoencoder_release(&model);
	ek_pixels_close(&pixels);
	ek_run_close(run);
	assert_ok(ek_json_load(&json, ek_join(path, "run.json")));
	for (size_t i = 0; i < sizeof unrecorded / sizeof *unrecorded; i++) {
		assert_non_null(cJSON_GetObjectItemCaseSensitive(json, unrecorded[i]));
		cJSON_DeleteItemFromObjectCaseSensitive(json, unrecorded[i]);
	}
	assert_ok(ek_json_save(json, ek_join(path, "run.json")));
	cJSON_Delete(json);
	assert_ok(ek_run_open(&run, path, EK_RUN_WRITE));
}

static void what_was_not_recorded_is_not_made_again(void **state)
{
	struct ek_generate_options made = ek_generate_default;
	struct ek_do_evaluate_options o = ek_do_evaluate_default;
	struct stat pixels, latents, image, features, evaluation;
	struct ek_generated generated;
	const char *name;

	train_ae(3);
	forget_records();
	pixels = file_of(file_like("cache/pixels-8-*.npy"));
	latents = file_of("models/ae/latents.npy");
	image = file_of("samples/made/images/000000.png");
	features = file_of("samples/made/embeddings.npy");
	evaluation = file_of("evaluations/made.json");
	train_ae(3);
	assert_untouched(&pixels, file_like("cache/pixels-8-*.npy"));
	assert_untouched(&latents, "models/ae/latents.npy");
	assert_false(ek_file_exists(ek_join(path, "models/ae/latents.npy.key")));
	made.name = o.samples = "made";
	made.model = "straight";
	made.classes.count = 20;
	made.steps = 2;
	made.precision = EK_NN_F32;
	made.seed = 7;
	assert_ok(ek_do_generate(&generated, run, &made));
	ek_generated_release(&generated);
	assert_untouched(&image, "samples/made/images/000000.png");
	o.subsets = 2;
	assert_ok(ek_do_evaluate(&name, run, &steps, &o));
	assert_untouched(&features, "samples/made/embeddings.npy");
	assert_untouched(&evaluation, "evaluations/made.json");
	assert_string_equal(stale("evaluation made"), "");
}

static void what_an_autoencoder_made_is_stale_by_it(void **state)
{
	static const char *const files[] = { "config.json", "diffusion_pytorch_model.safetensors" };
	struct ek_train_flow_options o = small_flow("in-ae", 2);
	const char *elsewhere = strdup(ek_scratch());
	char latents[300];

	train_ae(3);
	for (int i = 0; i < 2; i++)
		copy_file(ek_join(path, ek_join("models/ae", files[i])), ek_join(elsewhere, files[i]));
	o.space = 0;
	o.side = 0;
	o.patch = 2;
	o.autoencoder = "ae";
	train_flow(&o);
	o.common.name = "elsewhere";
	o.autoencoder = elsewhere;
	train_flow(&o);
	(void)snprintf(latents, sizeof latents, "latents %s", file_like("cache/latents-*.npy"));
	assert_string_equal(stale("model in-ae"), "");
	assert_string_equal(stale("latents models/ae/latents.npy"), "");
	assert_string_equal(stale(latents), "");
	train_ae(5);
	assert_string_equal(stale("latents models/ae/latents.npy"), "");
	assert_string_equal(stale("model in-ae"), "models/ae/diffusion_pytorch_model.safetensors has changed");
	for (int i = 0; i < 2; i++)
		copy_file(ek_join(path, ek_join("models/ae", files[i])), ek_join(elsewhere, files[i]));
	assert_non_null(strstr(stale(latents), "the encoder of "));
	free((char *)(uintptr_t)elsewhere);
}

static void why_results_are_stale_is_told(void **state)
{
	struct ek_do_evaluate_options o = ek_do_evaluate_default;
	struct ek_train_flow_options more = small_flow("straight", 8);
	struct ek_generate_options again = ek_generate_default;
	struct ek_generated generated;
	const char *name;

	assert_string_equal(stale("model straight"), "");
	assert_string_equal(stale("samples made"), "");
	assert_string_equal(stale("evaluation made"), "");
	train_flow(&more);
	assert_string_equal(stale("model straight"), "");
	assert_string_equal(stale("samples made"), "the model straight was trained on, from step 6 to 8");
	assert_string_equal(stale("evaluation made"),
	                    "samples/made/embeddings.npy is stale: samples/made/config.json is stale: the model "
	                    "straight was trained on, from step 6 to 8");
	again.name = o.samples = "made";
	again.model = "straight";
	again.classes.count = 20;
	again.steps = 2;
	again.precision = EK_NN_F32;
	assert_fails(ek_do_generate(&generated, run, &again), EK_EUSAGE, "made otherwise: model_step was 6");
	ek_generated_release(&generated);
	again.force = 1;
	assert_ok(ek_do_generate(&generated, run, &again));
	ek_generated_release(&generated);
	o.subsets = 2;
	assert_ok(ek_do_evaluate(&name, run, &steps, &o));
	assert_string_equal(stale("evaluation made"), "");
	/* The model is conditioned on clusters. */
	steps.cluster.clusters = 4;
	assert_ok(ek_steps_run(run, &steps, audit, 0));
	assert_string_equal(stale("model straight"), "clusters/assignment.npy has changed");
	assert_non_null(strstr(stale("samples made"), "models/straight/config.json is stale: clusters/assignment.npy"));
	assert_string_equal(stale("evaluation made"), "clusters/assignment.npy has changed");
}

static size_t told;

static void tell(struct ek_sweep *sweep, const struct ek_sweep_news *news)
{
	(void)sweep;
	told = news->number;
	assert_false(news->failed);
	assert_true(isnan(news->seconds_left));
}

static void a_point_of_a_sweep(void **state)
{
	const struct ek_sweep_wish wish = { .steps = 3, .count = 20, .seeds = 2, .space = 1 };
	const struct ek_do_prune_options prune = EK_DO_PRUNE_DEFAULT;
	const struct ek_train_flow_options train = small_flow("none", 1);
	struct ek_generate_options generate = ek_generate_default;
	struct ek_do_evaluate_options evaluate = ek_do_evaluate_default;
	struct ek_sweep_point point = { .name = (char *)(uintptr_t) "swept",
		                        .method = (char *)(uintptr_t) "nearest",
		                        .keep = 0.5 };
	struct ek_sweep s = { .run = path,
		              .tell = tell,
		              .wish = &wish,
		              .points = { .items = &point, .count = 1 },
		              .prune = { &prune, &steps },
		              .train = { &train, &steps },
		              .generate = { &generate, &steps },
		              .evaluate = { &evaluate, &steps } };
	struct stat image, evaluation;
	cJSON *points = cJSON_CreateArray();
	size_t failed;

	generate.steps = 2;
	evaluate.subsets = 2;
	ek_run_close(run);                                  /* it opens the run itself */
	assert_true(isnan(ek_sweep_expected_training(&s))); /* its subset is not there */
	point.method = NULL;
	assert_true(ek_sweep_expected_training(&s) > 0);
	point.method = (char *)(uintptr_t) "nearest";
	assert_false(ek_sweep_is_evaluated(path, "swept"));
	evaluate.reference = "nowhere";
	assert_fails(ek_sweep_check(&s), EK_EIO, "nowhere");
	evaluate.reference = NULL;
	generate.classes.shares = "nowhere.csv";
	assert_fails(ek_sweep_check(&s), EK_EIO, "cannot open nowhere.csv");
	generate.classes.shares = NULL;
	assert_ok(ek_sweep_check(&s));
	assert_ok(ek_do_sweep(points, &failed, &s));
	assert_int_equal(failed, 0);
	assert_int_equal(cJSON_GetArraySize(points), 1);
	assert_int_equal(told, 1);
	cJSON_Delete(points);
	assert_true(ek_sweep_is_evaluated(path, "swept"));
	image = file_of("samples/swept-s1/images/000000.png");
	evaluation = file_of("evaluations/swept.json");
	assert_ok(ek_do_sweep_point(&s, &point));
	assert_untouched(&image, "samples/swept-s1/images/000000.png");
	assert_untouched(&evaluation, "evaluations/swept.json");
	s.wish = &(struct ek_sweep_wish){ .steps = 2, .count = 20, .seeds = 2, .space = 1 };
	assert_fails(ek_sweep_check(&s), EK_EUSAGE, "swept was trained for 3 steps before");
	point.method = (char *)(uintptr_t) "no such";
	assert_fails(ek_do_sweep_point(&s, &point), EK_EUSAGE, "no such");
	assert_ok(ek_run_open(&run, path, EK_RUN_WRITE));
}

static int announced;

/* The page is up; nobody looks at it. */
static int stop_at_once(void *context, const struct ek_page_address *address)
{
	assert_ptr_equal(context, &announced);
	assert_non_null(strstr(address->url, "127.0.0.1"));
	assert_true(address->port > 0 && (address->images == 20 || address->images == IMAGES));
	announced++;
	return ek_fail(EK_EINTERRUPTED, "seen enough");
}

static void labels(void **state)
{
	struct ek_do_label_options o = EK_DO_LABEL_DEFAULT;
	struct ek_labelled labelled;

	announced = 0;
	o.summary = 1;
	assert_fails(ek_do_label(&labelled, run, &o, NULL, NULL), EK_EUSAGE, "is not there");
	ek_labelled_release(&labelled);
	o.summary = 0;
	o.groups = "red,green";
	assert_fails(ek_do_label(&labelled, run, &o, stop_at_once, &announced), EK_EUSAGE, "say who with 'person'");
	ek_labelled_release(&labelled);
	o.person = "Anna";
	assert_fails(ek_do_label(&labelled, run, &o, stop_at_once, &announced), EK_EINTERRUPTED, "seen enough");
	ek_labelled_release(&labelled);
	assert_int_equal(announced, 1);
	/* The groups are there; asked for again they are not doubled. */
	assert_fails(ek_do_label(&labelled, run, &o, stop_at_once, &announced), EK_EINTERRUPTED, "seen enough");
	ek_labelled_release(&labelled);
	o.summary = 1;
	assert_ok(ek_do_label(&labelled, run, &o, NULL, NULL));
	assert_int_equal(labelled.log.group_count, 2);
	assert_int_equal(labelled.log.act_count, 2);
	ek_labelled_release(&labelled);
	o.export = ek_join(ek_scratch(), "labels.csv");
	assert_fails(ek_do_label(&labelled, run, &o, NULL, NULL), EK_EUSAGE, "no image has a label");
	ek_labelled_release(&labelled);
}

static void a_review(void **state)
{
	struct ek_review_options o = { .name = "first" };
	struct ek_reviewed reviewed;
	struct stat before;

	announced = 0;
	assert_fails(ek_do_review(&reviewed, path, &o, stop_at_once, &announced), EK_EUSAGE,
	             "a review needs 'samples'");
	ek_reviewed_release(&reviewed);
	o.samples = "made";
	ek_run_close(run); /* it opens the run itself */
	assert_fails(ek_do_review(&reviewed, path, &o, stop_at_once, &announced), EK_EINTERRUPTED, "seen enough");
	ek_reviewed_release(&reviewed);
	assert_int_equal(announced, 1);
	before = file_of("samples/made/neighbours.npy");
	o.summary = 1;
	assert_ok(ek_do_review(&reviewed, path, &o, NULL, NULL));
	assert_int_equal(reviewed.review.count, 20);
	assert_int_equal(reviewed.log.reviewer_count, 0);
	ek_reviewed_release(&reviewed);
	assert_untouched(&before, "samples/made/neighbours.npy");
	o.export = ek_join(ek_scratch(), "accepted");
	assert_fails(ek_do_review(&reviewed, path, &o, NULL, NULL), EK_EDATA, "no image of made is accepted");
	ek_reviewed_release(&reviewed);
	assert_ok(ek_run_open(&run, path, EK_RUN_WRITE));
}

static void a_comparison(void **state)
{
	const char *runs[] = { path, path };
	struct ek_compare_options o = { .names = "m*,none", .csv = strdup(ek_join(ek_scratch(), "c.csv")) };
	struct ek_compared_runs compared;
	struct ek_buffer text = { 0 };
	cJSON *json;

	assert_fails(ek_do_compare(&compared, runs, 0, &o), EK_EUSAGE, "needs a run");
	ek_compared_runs_release(&compared);
	assert_fails(ek_do_compare(&compared, runs, 2, &o), EK_EUSAGE, "is named twice");
	ek_compared_runs_release(&compared);
	assert_fails(ek_do_compare(&compared, runs, 1, &o), EK_EUSAGE, "there is no evaluation none");
	ek_compared_runs_release(&compared);
	o.names = "m*";
	assert_ok(ek_do_compare(&compared, runs, 1, &o));
	assert_int_equal(compared.comparison.count, 1);
	assert_int_equal(compared.shown[0], 1);
	assert_ok(ek_compared_runs_json(&json, &compared));
	assert_int_equal(cJSON_GetArraySize(ek_json_member(json, "evaluations")), 1);
	assert_ok(ek_file_read(&text, o.csv, 1 << 20));
	assert_non_null(strstr(text.data, "\"made\""));
	cJSON_Delete(json);
	ek_buffer_release(&text);
	ek_compared_runs_release(&compared);
	free((char *)(uintptr_t)o.csv);
}

static void what_lies_at_a_path(void **state)
{
	struct ek_steps_options none;
	struct ek_about_child child;
	struct ek_about about;
	cJSON *json;

	ek_steps_options_init(&none);
	assert_fails(ek_do_info(&about, ek_join(path, "nothing"), &none), EK_EUSAGE, "No such file");
	ek_about_release(&about);
	assert_ok(ek_do_info(&about, ek_join(path, "samples/made/sheet.png"), &none));
	assert_string_equal(about.step->string, "samples made");
	assert_ok(ek_about_json(&json, &about));
	assert_true(cJSON_IsTrue(ek_json_member(json, "current")));
	cJSON_Delete(json);
	ek_about_release(&about);
	assert_ok(ek_do_info(&about, ek_join(path, "models"), &none));
	assert_ok(ek_about_child(&child, &about, "straight"));
	assert_string_equal(child.step, "model straight");
	assert_true(child.current);
	ek_about_release(&about);
	ek_steps_options_release(&none);
}

static void a_recipe_is_written_and_replayed(void **state)
{
	static const struct ek_option rows[] = {
		{ .name = "keep", .kind = EK_KIND_STRING, EK_FIELD(struct ek_do_prune_options, keep), .recorded = 1 },
		{ .name = NULL }
	};
	struct ek_do_prune_options o = EK_DO_PRUNE_DEFAULT;
	const char *file = strdup(ek_join(ek_scratch(), "recipe.json"));
	struct ek_strings strings = { 0 };
	struct ek_steps_options read;
	uint64_t given = 0;
	int64_t seed = 5;
	struct ek_recipe r = { .file = file,
		               .command = "prune",
		               .own = { "What", rows, &o, &given },
		               .steps = &steps,
		               .seed = &seed,
		               .strings = &strings };

	assert_fails(ek_do_replay(&r), EK_EUSAGE, "there are no options to write");
	o.keep = "0.5";
	given = 1;
	assert_ok(ek_do_replay(&r));
	assert_int_equal(r.replayed, 0);
	assert_ok(ek_do_recipe(&r, run, "weights inverse"));
	ek_steps_options_init(&read);
	o.keep = NULL;
	given = 0;
	seed = 0;
	r.steps = &read;
	assert_ok(ek_do_replay(&r));
	assert_string_equal(o.keep, "0.5");
	assert_int_equal(given, 1);
	assert_int_equal(seed, 5);
	assert_true(r.replayed && r.has_steps);
	assert_int_equal(read.cluster.clusters, steps.cluster.clusters);
	/* What is given wins. */
	o.keep = "0.25";
	assert_ok(ek_do_replay(&r));
	assert_string_equal(o.keep, "0.25");
	r.command = "balance";
	assert_fails(ek_do_replay(&r), EK_EDATA, "is a recipe of prune, not of balance");
	ek_steps_options_release(&read);
	ek_strings_release(&strings);
	free((char *)(uintptr_t)file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_audit_is_made_once),
		cmocka_unit_test(the_last_step_is_forced),
		cmocka_unit_test(a_pruned_subset),
		cmocka_unit_test(a_balanced_subset),
		cmocka_unit_test(weights_and_an_epoch_by_them),
		cmocka_unit_test(an_export),
		cmocka_unit_test(a_generator_goes_on_where_it_was),
		cmocka_unit_test(a_training_that_is_another_is_refused),
		cmocka_unit_test(an_autoencoder),
		cmocka_unit_test(samples_are_completed),
		cmocka_unit_test(batches_are_the_devices),
		cmocka_unit_test(an_evaluation_follows_its_samples),
		cmocka_unit_test(labels),
		cmocka_unit_test(a_review),
		cmocka_unit_test(a_comparison),
		cmocka_unit_test(what_lies_at_a_path),
		cmocka_unit_test(a_recipe_is_written_and_replayed),
		cmocka_unit_test(what_was_not_recorded_is_not_made_again),
		cmocka_unit_test(what_an_autoencoder_made_is_stale_by_it),
		cmocka_unit_test(a_point_of_a_sweep),
		cmocka_unit_test(why_results_are_stale_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
