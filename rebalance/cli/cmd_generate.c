/* `evenkeel generate RUN`: samples of a generator. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/cli/command.h"
#include "rebalance/pipeline/flow_model.h"
#include "rebalance/pipeline/generate_classes.h"
#include "rebalance/pipeline/samples.h"
#include "rebalance/pipeline/samples_folder.h"
#include "rebalance/pipeline/space.h"
#include "rebalance/cli/text.h"
#include "rebalance/pipeline/training.h"
#include "rebalance/io/kept_path.h"
#include "reports/review.h"
#include "train/flow/flow_sample.h"
#include "train/loop/checkpoint.h"
#include "rebalance/plan/subset.h"

enum { SHOWN = 24 };

static struct {
	const char *model, *name, *interval, *autoencoder;
	struct ek_class_wish classes;
	int solver, form, latents, precision;
	int64_t steps, batch, guided_channels;
	double guidance, relative, absolute;
} wanted;

static const struct ek_choice solvers[] = {
	{ "auto", "euler; ancestral for a model of --objective diffusion" },
	{ "euler", "one evaluation a step" },
	{ "heun", "two evaluations a step, an error of second order" },
	{ "dopri5", "steps chosen by the error (Dormand and Prince), --steps is not used" },
	{ "sde", "with noise on the way" },
	{ "ancestral", "for a model of --objective diffusion" },
	{ NULL, NULL },
};

static const struct ek_option own[] = {
	{ .name = "model",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.model,
	  .argument = "NAME|FILE",
	  .help = "RUN/models/NAME, made by train flow; its newest checkpoint is taken. Or a public SiT as it is, .pt "
	          "or "
	          ".safetensors (a DiT with --solver ancestral): --class takes its labels by number" },
	{ .name = "autoencoder",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.autoencoder,
	  .argument = "NAME|DIR",
	  .help = "with a FILE for latents: RUN/models/NAME, or a folder that diffusers wrote, which decodes them" },
	{ .name = "name",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.name,
	  .argument = "NAME",
	  .check = ek_subset_check_name,
	  .help = "the files go to RUN/samples/NAME when all are made; the same command goes on where it was stopped" },
	{ .name = "count",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.classes.count,
	  .argument = "N",
	  .low = 1,
	  .high = 1e9,
	  .help = "how many images; with --minority, of each class" },
	{ .name = "cluster",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.classes.cluster,
	  .argument = "K,K,...",
	  .help = "of these clusters, as many of each, for a model of --condition cluster" },
	{ .name = "class",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.classes.names,
	  .argument = "NAME,NAME,...",
	  .help = "of these classes of whatever the model is conditioned on" },
	{ .name = "minority",
	  .kind = EK_KIND_FLAG,
	  .target = &wanted.classes.minority,
	  .help = "of the small clusters that the audit found, --count of each" },
	{ .name = "equal",
	  .kind = EK_KIND_FLAG,
	  .target = &wanted.classes.equal,
	  .help = "as many of every class, however rare it is in the data" },
	{ .name = "shares",
	  .kind = EK_KIND_PATH,
	  .target = &wanted.classes.shares,
	  .argument = "FILE.csv",
	  .help = "classes and their shares, one \"class,share\" a line; without any of these, classes come as they "
	          "are "
	          "in the data" },
	{ .name = "steps",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.steps,
	  .argument = "N",
	  .low = 1,
	  .high = 100000,
	  .help = "of the solver" },
	{ .name = "solver",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.solver,
	  .choices = solvers,
	  .help = "how" },
	{ .name = "rtol",
	  .kind = EK_KIND_NUMBER,
	  .target = &wanted.relative,
	  .argument = "E",
	  .low = 1e-12,
	  .high = 1,
	  .help = "relative error of dopri5" },
	{ .name = "atol",
	  .kind = EK_KIND_NUMBER,
	  .target = &wanted.absolute,
	  .argument = "E",
	  .low = 1e-12,
	  .high = 1,
	  .help = "absolute error of dopri5" },
	{ .name = "guidance",
	  .kind = EK_KIND_NUMBER,
	  .target = &wanted.guidance,
	  .argument = "G",
	  .low = 0,
	  .high = 1000,
	  .help = "how far to go from what is likely for any class to what is likely for this one; 1: no guidance" },
	{ .name = "guidance-interval",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.interval,
	  .argument = "A,B",
	  .help = "only at times from A to B, 0 being noise and 1 data" },
	{ .name = "guidance-channels",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.guided_channels,
	  .argument = "N",
	  .zero = "all",
	  .low = 1,
	  .high = 64,
	  .help = "only the first channels; 3 is what the public SiT code does" },
	{ .name = "latents",
	  .kind = EK_KIND_FLAG,
	  .target = &wanted.latents,
	  .help = "keep what the model made before decoding, too: latents.npy" },
	{ .name = "batch",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.batch,
	  .argument = "N",
	  .low = 1,
	  .high = 4096,
	  .help = "images that a thread makes at once" },
	{ .name = "precision",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.precision,
	  .choices = ek_precisions,
	  .help = "of matrix products" },
	{ .name = NULL },
};

void ek_generate_options(struct ek_settings *settings)
{
	ek_settings_fill(settings->own_options, own);
	wanted.model = wanted.name = wanted.interval = wanted.autoencoder = NULL;
	wanted.classes = (struct ek_class_wish){ .count = 64 };
	wanted.solver = wanted.form = wanted.latents = wanted.precision = 0;
	wanted.steps = 60;
	wanted.batch = 16;
	wanted.guided_channels = 0;
	wanted.guidance = 1;
	wanted.relative = wanted.absolute = 1e-5;
}

struct work {
	struct ek_run *run;
	char *model_folder, *file; /* of the run's model, or the kept path of a public file; the other is NULL */
	char *folder, *images, *latents_path;
	cJSON *model_config, *config;
	struct ek_flow_description d;
	struct ek_params params;
	float *values;
	uint64_t model_step, seed;
	struct ek_space space;
	struct ek_classes classes;
	uint64_t *seeds;
	struct ek_solver_options solver;
	struct ek_flow_sampler *sampler;
	struct ek_npy_writer *latents;
	struct ek_samples_folder place;
	int kept_out; /* descriptor of what is made anew, so that nobody reviews it, or -1 */
	uint8_t *pixels;
	size_t pixel_room;
};

/* Its identity is its bytes: another file of the same name makes other images. */
static int open_file(struct work *w, struct ek_tensor_file *file)
{
	const enum ek_objective_kind kind =
		wanted.solver - 1 == EK_SOLVER_ANCESTRAL ? EK_OBJECTIVE_DIFFUSION : EK_OBJECTIVE_FLOW;
	char hash[17];
	uint64_t bytes;
	int rc;

	EK_TRY(ek_kept_path(&w->file, w->run, wanted.model));
	EK_TRY(ek_tensor_file_open(file, wanted.model));
	EK_TRY(ek_flow_describe_file(&w->model_config, file, kind));
	EK_TRY(ek_flow_read(&w->d, w->model_config, wanted.model));
	bytes = ek_hash64(file->map.data, file->map.size);
	(void)snprintf(hash, sizeof hash, "%016" PRIx64, bytes);
	EK_TRY(ek_json_add_string(w->model_config, "identity", hash));
	ek_info("%s: %d blocks of width %d, patch %d, for %d x %d x %d, %d classes; taken for a %s", wanted.model,
	        w->d.model.depth, w->d.model.width, w->d.model.patch, w->d.model.side, w->d.model.side,
	        w->d.model.channels, w->d.classes,
	        kind == EK_OBJECTIVE_FLOW ? "SiT (a DiT wants --solver ancestral)" : "DiT");
	if (w->d.classes > 0 && wanted.classes.names == NULL && !wanted.classes.equal)
		rc = ek_fail(EK_EUSAGE, "%s knows the labels 0 to %d: give --class N,N,... or --equal", wanted.model,
		             w->d.classes - 1);
out:
	return rc;
}

/* The averaged parameters of the newest checkpoint. */
static int open_model(struct work *w, struct ek_tensor_file *file)
{
	char *config = NULL;
	int found, rc;

	EK_TRY(ek_format(&w->model_folder, "%s/models/%s", ek_run_path(w->run), wanted.model));
	EK_TRY(ek_format(&config, "%s/config.json", w->model_folder));
	if (!ek_file_exists(config)) {
		rc = ek_fail(EK_EUSAGE, "there is no model %s: neither %s nor a file of that name is there",
		             wanted.model, config);
		goto out;
	}
	if (wanted.autoencoder != NULL) {
		rc = ek_fail(EK_EUSAGE, "--autoencoder is for --model FILE: %s has its own", wanted.model);
		goto out;
	}
	EK_TRY(ek_json_load(&w->model_config, config));
	EK_TRY(ek_flow_read(&w->d, w->model_config, config));
	EK_TRY(found = ek_checkpoint_open(file, &w->model_step, w->model_folder, EK_CHECKPOINT_AVERAGE));
	if (!found)
		rc = ek_fail(EK_EUSAGE, "%s has no checkpoint yet: train it first", w->model_folder);
out:
	free(config);
	return rc < 0 ? rc : 0;
}

/* A model of the run by this name comes before a file. */
static int is_file(const struct ek_run *run)
{
	char *folder = NULL;
	struct stat status;
	int is_model = 0;

	if (ek_format(&folder, "%s/models/%s", ek_run_path(run), wanted.model) == 0)
		is_model = ek_file_exists(folder);
	free(folder);
	return !is_model && stat(wanted.model, &status) == 0 && S_ISREG(status.st_mode);
}

static int load_model(struct work *w)
{
	struct ek_tensor_file file = { 0 };
	int rc;

	EK_TRY((is_file(w->run) ? open_file : open_model)(w, &file));
	EK_TRY(ek_sit_params(&w->params, &w->d.model));
	EK_TRY(ek_alloc_aligned(&w->values, w->params.size, sizeof(float)));
	EK_TRY(ek_sit_file_read(w->values, &w->params, &file));
out:
	ek_tensor_file_close(&file);
	return rc;
}

static int fill_solver(struct work *w)
{
	struct ek_solver_options *s = &w->solver;
	char *end;
	int rc;

	ek_flow_solver_default(s, &w->d.objective, (int)wanted.steps);
	if (wanted.solver > 0)
		s->solver = (enum ek_solver)(wanted.solver - 1);
	if ((s->solver == EK_SOLVER_ANCESTRAL) != (w->d.objective.kind == EK_OBJECTIVE_DIFFUSION))
		return ek_fail(EK_EUSAGE, "--solver %s is not for a model trained by --objective %s",
		               ek_flow_solvers[s->solver].name, ek_flow_objectives[w->d.objective.kind].name);
	s->relative = wanted.relative;
	s->absolute = wanted.absolute;
	s->guidance.scale = wanted.guidance;
	s->guidance.channels = (int)wanted.guided_channels;
	if (wanted.guidance != 1 && w->d.classes == 0)
		return ek_fail(EK_EUSAGE, "--guidance: %s was trained without a condition", wanted.model);
	if (wanted.interval != NULL) {
		s->guidance.low = strtod(wanted.interval, &end);
		s->guidance.high = *end == ',' ? strtod(end + 1, &end) : -1;
		if (*end != 0 ||
		    !(s->guidance.low >= 0 && s->guidance.low <= s->guidance.high && s->guidance.high <= 1))
			return ek_fail(EK_EUSAGE, "--guidance-interval %s: wants two times, as 0.2,0.8",
			               wanted.interval);
	}
	EK_TRY(ek_solver_check(s));
out:
	return rc;
}

/* What decides the images: kept beside them, so that other ones do not get mixed in. */
static int describe(struct work *w)
{
	const struct ek_solver_options *s = &w->solver;
	const cJSON *identity = cJSON_GetObjectItemCaseSensitive(w->model_config, "identity");
	cJSON *guidance;
	int rc = 0;

	if ((w->config = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for config.json");
	EK_TRY(ek_json_add_string(w->config, "evenkeel", "samples"));
	EK_TRY(ek_json_add_string(w->config, w->file != NULL ? "file" : "model",
	                          w->file != NULL ? w->file : wanted.model));
	if (w->file != NULL && w->space.kept != NULL)
		EK_TRY(ek_json_add_string(w->config, "autoencoder", w->space.kept));
	EK_TRY(ek_json_add_string(w->config, "model_identity", cJSON_IsString(identity) ? identity->valuestring : ""));
	EK_TRY(ek_json_add_u64(w->config, "model_step", w->model_step));
	EK_TRY(ek_json_add_u64(w->config, "count", w->classes.count));
	EK_TRY(ek_json_add_u64(w->config, "seed", w->seed));
	if (w->d.classes > 0) /* not by the place among all, as it once was */
		EK_TRY(ek_json_add_string(w->config, "seeded_by", "class and number"));
	EK_TRY(ek_json_add_string(w->config, "solver", ek_flow_solvers[s->solver].name));
	EK_TRY(ek_json_add_u64(w->config, "steps", (uint64_t)s->steps));
	EK_TRY(ek_json_add_double(w->config, "rtol", s->relative));
	EK_TRY(ek_json_add_double(w->config, "atol", s->absolute));
	EK_TRY(ek_json_add_object(&guidance, w->config, "guidance"));
	EK_TRY(ek_json_add_double(guidance, "scale", s->guidance.scale));
	EK_TRY(ek_json_add_double(guidance, "low", s->guidance.low));
	EK_TRY(ek_json_add_double(guidance, "high", s->guidance.high));
	EK_TRY(ek_json_add_u64(guidance, "channels", (uint64_t)s->guidance.channels));
	EK_TRY(ek_json_add_string(
		w->config, "precision",
		ek_nn_precision_type((enum ek_nn_precision)wanted.precision) == EK_NN_BFLOAT16 ? "bf16" : "f32"));
	EK_TRY(ek_json_add_u64(w->config, "batch", (uint64_t)wanted.batch));
	EK_TRY(ek_json_add_string(w->config, "condition", w->d.condition));
	EK_TRY(ek_classes_describe(w->config, &w->classes, &w->d));
out:
	return rc;
}

static int take(void *context, uint64_t first, int count, const float *samples)
{
	struct work *w = context;
	const size_t size = 3 * (size_t)w->space.image_side * (size_t)w->space.image_side;
	int rc = 0;

	if (w->pixel_room < (size_t)count * size) {
		EK_TRY(ek_resize(&w->pixels, (size_t)count, size));
		w->pixel_room = (size_t)count * size;
	}
	EK_TRY(ek_space_decode(&w->space, samples, (uint64_t)count, w->pixels, (enum ek_nn_precision)wanted.precision));
	for (int i = 0; i < count; i++)
		EK_TRY(ek_samples_write_image(w->place.place.fresh, first + (uint64_t)i, w->pixels + (size_t)i * size,
		                              (uint32_t)w->space.image_side));
	if (w->latents != NULL)
		EK_TRY(ek_npy_writer_append(w->latents, samples, (uint64_t)count));
out:
	return rc;
}

/* What a stopped command that was to keep them has of them. */
static int drop_latents(const char *path)
{
	static const char *const names[] = { "partial", "partial.key" };
	char *partial = NULL;
	int rc = 0;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		free(partial);
		EK_TRY(ek_format(&partial, "%s.%s", path, names[i]));
		EK_TRY(ek_remove(partial));
	}
out:
	free(partial);
	return rc;
}

static int open_latents(struct work *w)
{
	const uint64_t side = (uint64_t)w->space.side,
		       shape[4] = { w->classes.count, side, side, (uint64_t)w->space.channels };
	uint64_t rows;
	int rc;

	EK_TRY(ek_format(&w->latents_path, "%s/latents.npy", w->place.place.fresh));
	if (!wanted.latents)
		return drop_latents(w->latents_path);
	if (ek_file_exists(w->latents_path))
		return 0;
	EK_TRY(ek_npy_writer_open(&w->latents, &rows, w->latents_path, EK_F32, 4, shape, "latents"));
	w->place.done = rows; /* latents are written behind images */
out:
	return rc;
}

static int sample(struct work *w)
{
	const struct ek_flow_samples samples = {
		.count = w->classes.count, .seeds = w->seeds, .labels = w->classes.labels, .context = w, .take = take
	};
	const char *folder = w->place.place.fresh;
	uint64_t done;
	int rc;

	EK_TRY(open_latents(w));
	done = w->place.done;
	if (done > 0 && done < w->classes.count)
		ek_info("going on after %" PRIu64 " images", done);
	if (done < w->classes.count) {
		/* Whole rounds, so that an image has the same place among those made with it. */
		EK_TRY(ek_flow_sampler_new(&w->sampler, &w->d.model, &w->params, w->values,
		                           (enum ek_nn_precision)wanted.precision, (int)wanted.batch));
		EK_TRY(ek_flow_sample(w->sampler, &w->solver, &samples, done - done % (uint64_t)wanted.batch));
	}
	if (w->latents != NULL)
		EK_TRY(ek_npy_writer_commit(w->latents));
	EK_TRY(ek_samples_write_list(folder, &w->classes, w->seeds, &w->d));
	EK_TRY(ek_samples_write_sheet(folder, &w->classes, (uint32_t)w->space.image_side));
	EK_TRY(ek_samples_folder_publish(&w->place));
out:
	return rc;
}

static void release(struct work *w)
{
	ek_flow_sampler_free(w->sampler);
	ek_npy_writer_free(w->latents);
	ek_classes_release(&w->classes);
	ek_space_release(&w->space);
	ek_params_release(&w->params);
	free((void *)(uintptr_t)w->d.names);
	cJSON_Delete(w->model_config);
	cJSON_Delete(w->config);
	free(w->values);
	free(w->seeds);
	free(w->pixels);
	free(w->model_folder);
	free(w->file);
	free(w->folder);
	ek_samples_folder_close(&w->place);
	if (w->kept_out >= 0)
		(void)close(w->kept_out);
	free(w->images);
	free(w->latents_path);
}

static void print_classes(const struct ek_classes *c, const struct ek_flow_description *model)
{
	int shown = 0, more = 0;
	char count[32];

	if (model->classes == 0)
		return;
	(void)printf("\n  %12s  %s\n", "images", model->condition);
	for (int k = 0; k < c->classes; k++) {
		if (c->quotas[k] == 0)
			continue;
		if (shown++ < SHOWN)
			(void)printf("  %12s  %s\n", ek_text_count(count, c->quotas[k]), model->names[k]);
		else
			more++;
	}
	if (more > 0)
		(void)printf("  ... and %d more\n", more);
}

static int print(const struct work *w, int json)
{
	char count[32];

	if (json)
		return ek_print_json(w->config);
	(void)printf("%s images of %s", ek_text_count(count, w->classes.count), wanted.model);
	if (w->file == NULL)
		(void)printf(" (step %" PRIu64 ")", w->model_step);
	(void)printf("\n");
	print_classes(&w->classes, &w->d);
	(void)printf("\nsheet:  %s/sheet.png\nimages: %s\n", w->folder, w->images);
	return 0;
}

/* Where a public file's network works; an autoencoder takes the side that its latents have. */
static int open_space_of_file(struct work *w)
{
	const struct ek_sit_config *c = &w->d.model;
	const int pixels = wanted.autoencoder == NULL;
	int side, rc;

	if (pixels && c->channels != 3)
		return ek_fail(EK_EUSAGE, "%s makes latents of %d channels: give the --autoencoder that decodes them",
		               wanted.model, c->channels);
	EK_TRY(ek_space_open(&w->space, w->run, wanted.autoencoder, pixels ? c->side : 0));
	if (w->space.channels != c->channels)
		return ek_fail(EK_EUSAGE, "%s makes samples of %d channels, the autoencoder decodes %d", wanted.model,
		               c->channels, w->space.channels);
	if (w->space.side != c->side) {
		side = c->side * ek_autoencoder_factor(&w->space.model.config);
		ek_space_release(&w->space);
		EK_TRY(ek_space_open(&w->space, w->run, wanted.autoencoder, side));
	}
out:
	return rc;
}

/* Where the model works: in the latents of the autoencoder that its config.json names. */
static int open_space(struct work *w)
{
	const char *shown = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(w->model_config, "samples"));
	char *folder = NULL;
	int rc = 0;

	if (w->d.autoencoder != NULL) {
		EK_TRY(ek_kept_path_find(&folder, w->run, w->d.autoencoder));
		if (folder == NULL) {
			rc = ek_fail(EK_EDATA, "the autoencoder that the model %s was trained with is gone: %s%s%s",
			             wanted.model, w->d.autoencoder[0] == '/' ? "" : ek_run_path(w->run),
			             w->d.autoencoder[0] == '/' ? "" : "/", w->d.autoencoder);
			goto out;
		}
	}
	EK_TRY(ek_space_open(&w->space, w->run, folder, w->d.image_side));
	if (folder != NULL && shown != NULL && !ek_space_made(&w->space, shown))
		ek_warn("the autoencoder %s is not what it was when the model %s learned from its latents: images may "
		        "look wrong until the model is trained anew",
		        folder, wanted.model);
out:
	free(folder);
	return rc;
}

static int generate(struct ek_invocation *i, struct ek_run *run)
{
	struct work w = { .run = run, .kept_out = -1, .seed = (uint64_t)i->settings.common.seed };
	int rc;

	EK_TRY(load_model(&w));
	EK_TRY(fill_solver(&w));
	EK_TRY(ek_classes_choose(&w.classes, run, &wanted.classes, &w.d, wanted.model));
	EK_TRY(ek_alloc(&w.seeds, w.classes.count, sizeof *w.seeds));
	ek_classes_seeds(w.seeds, &w.classes, w.seed, &w.d);
	EK_TRY((w.file != NULL ? open_space_of_file : open_space)(&w));
	EK_TRY(ek_format(&w.folder, "%s/samples/%s", ek_run_path(run), wanted.name));
	EK_TRY(ek_format(&w.images, "%s/images", w.folder));
	if (i->settings.common.force)
		EK_TRY(ek_review_keep_out(&w.kept_out, w.folder));
	EK_TRY(describe(&w));
	EK_TRY(ek_samples_folder_open(&w.place, w.folder, w.config, w.classes.count, wanted.latents,
	                              i->settings.common.force));
	if (!w.place.whole)
		EK_TRY(sample(&w));
	if (!i->settings.common.wordless)
		EK_TRY(print(&w, i->settings.common.json));
out:
	release(&w);
	return rc;
}

int ek_cmd_generate(struct ek_invocation *i)
{
	struct ek_run *run = NULL;
	int rc;

	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE, "generate takes one run directory, not %d words; see evenkeel help generate",
		               i->arguments.count);
	if (wanted.model == NULL || wanted.name == NULL)
		return ek_fail(EK_EUSAGE, "generate needs %s; see evenkeel help generate",
		               wanted.model == NULL ? "--model NAME" : "--name NAME");
	EK_TRY(ek_run_open(&run, i->arguments.positional[0], EK_RUN_WRITE));
	EK_TRY(generate(i, run));
out:
	ek_run_close(run);
	return rc;
}
