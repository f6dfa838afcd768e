#include "rebalance/pipeline/generate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/text.h"
#include "rebalance/io/kept_path.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/samples.h"
#include "rebalance/pipeline/samples_folder.h"
#include "rebalance/pipeline/samples_writer.h"
#include "rebalance/pipeline/space.h"
#include "rebalance/plan/subset.h"
#include "reports/review.h"
#include "train/flow/flow_sample.h"
#include "train/loop/checkpoint.h"
#include "train/nn/device.h"

const struct ek_choice ek_generate_solvers[] = {
	{ "auto", "euler; ancestral for a model of the objective diffusion" },
	{ "euler", "one evaluation a step" },
	{ "heun", "two evaluations a step, an error of second order: 25 steps come as near as 250 of euler" },
	{ "dopri5", "steps chosen by the error (Dormand and Prince), 'steps' is not used" },
	{ "sde", "with noise on the way" },
	{ "ancestral", "for a model of the objective diffusion" },
	{ NULL, NULL },
};

const struct ek_generate_options ek_generate_default = {
	.classes.count = 64, .steps = 60, .guidance = 1, .relative = 1e-5, .absolute = 1e-5
};

struct work {
	struct ek_generated *out;
	const struct ek_generate_options *asked;
	struct ek_run *run;
	char *model_folder, *file; /* of the run's model, or the kept path of a public file; the other is NULL */
	char *latents_path;
	struct ek_params params;
	float *values;
	int batch;
	struct ek_space space;
	uint64_t *seeds;
	struct ek_solver_options solver;
	struct ek_flow_sampler *sampler;
	struct ek_npy_writer *latents;
	struct ek_samples_folder place;
	const char *step; /* its name in run.json */
	int kept_out;     /* descriptor of what is made anew, so that nobody reviews it, or -1 */
	struct ek_samples_writer *writer;
};

/* Its identity is its bytes: another file of the same name makes other images. */
static int open_file(struct work *w, struct ek_tensor_file *file)
{
	const enum ek_objective_kind kind =
		w->asked->solver - 1 == EK_SOLVER_ANCESTRAL ? EK_OBJECTIVE_DIFFUSION : EK_OBJECTIVE_FLOW;
	char hash[17];
	uint64_t bytes;
	int rc;

	EK_TRY(ek_kept_path(&w->file, w->run, w->asked->model));
	EK_TRY(ek_tensor_file_open(file, w->asked->model));
	EK_TRY(ek_flow_describe_file(&w->out->model_config, file, kind));
	EK_TRY(ek_flow_read(&w->out->model, w->out->model_config, w->asked->model));
	bytes = ek_hash64(file->map.data, file->map.size);
	(void)snprintf(hash, sizeof hash, "%016" PRIx64, bytes);
	EK_TRY(ek_json_add_string(w->out->model_config, "identity", hash));
	ek_info("%s: %d blocks of width %d, patch %d, for %d x %d x %d, %d classes; taken for a %s", w->asked->model,
	        w->out->model.model.depth, w->out->model.model.width, w->out->model.model.patch,
	        w->out->model.model.side, w->out->model.model.side, w->out->model.model.channels, w->out->model.classes,
	        kind == EK_OBJECTIVE_FLOW ? "SiT (a DiT wants 'solver' ancestral)" : "DiT");
	if (w->out->model.classes > 0 && w->asked->classes.names == NULL && !w->asked->classes.equal)
		rc = ek_fail(EK_EUSAGE, "%s knows the labels 0 to %d: give 'class' N,N,... or 'equal'", w->asked->model,
		             w->out->model.classes - 1);
out:
	return rc;
}

/* The averaged parameters of the newest checkpoint. */
static int open_model(struct work *w, struct ek_tensor_file *file)
{
	char *config = NULL;
	int found, rc;

	EK_TRY(ek_layout_path(&w->model_folder, w->run, "models/*", w->asked->model));
	EK_TRY(ek_format(&config, "%s/config.json", w->model_folder));
	if (!ek_file_exists(config)) {
		rc = ek_fail(EK_EUSAGE, "there is no model %s: neither %s nor a file of that name is there",
		             w->asked->model, config);
		goto out;
	}
	if (w->asked->autoencoder != NULL) {
		rc = ek_fail(EK_EUSAGE, "'autoencoder' is for 'model' FILE: %s has its own", w->asked->model);
		goto out;
	}
	EK_TRY(ek_json_load(&w->out->model_config, config));
	EK_TRY(ek_flow_read(&w->out->model, w->out->model_config, config));
	EK_TRY(found = ek_checkpoint_open(file, &w->out->model_step, w->model_folder, EK_CHECKPOINT_AVERAGE));
	if (!found)
		rc = ek_fail(EK_EUSAGE, "%s has no checkpoint yet: train it first", w->model_folder);
out:
	free(config);
	return rc < 0 ? rc : 0;
}

/* A model of the run by this name comes before a file. */
static int is_file(const struct ek_run *run, const char *model)
{
	char *folder = NULL;
	struct stat status;
	int is_model = 0;

	if (ek_layout_path(&folder, run, "models/*", model) == 0)
		is_model = ek_file_exists(folder);
	free(folder);
	return !is_model && stat(model, &status) == 0 && S_ISREG(status.st_mode);
}

static int load_model(struct work *w)
{
	struct ek_tensor_file file = { 0 };
	int rc;

	EK_TRY((is_file(w->run, w->asked->model) ? open_file : open_model)(w, &file));
	EK_TRY(ek_sit_params(&w->params, &w->out->model.model));
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

	ek_flow_solver_default(s, &w->out->model.objective, (int)w->asked->steps);
	if (w->asked->solver > 0)
		s->solver = (enum ek_solver)(w->asked->solver - 1);
	if ((s->solver == EK_SOLVER_ANCESTRAL) != (w->out->model.objective.kind == EK_OBJECTIVE_DIFFUSION))
		return ek_fail(EK_EUSAGE, "'solver' %s is not for a model of the objective %s",
		               ek_flow_solvers[s->solver].name, ek_flow_objectives[w->out->model.objective.kind].name);
	s->relative = w->asked->relative;
	s->absolute = w->asked->absolute;
	s->guidance.scale = w->asked->guidance;
	s->guidance.channels = (int)w->asked->guided_channels;
	if (w->asked->guidance != 1 && w->out->model.classes == 0)
		return ek_fail(EK_EUSAGE, "'guidance': %s was trained without a condition", w->asked->model);
	if (w->asked->interval != NULL) {
		s->guidance.low = strtod(w->asked->interval, &end);
		s->guidance.high = *end == ',' ? strtod(end + 1, &end) : -1;
		if (*end != 0 ||
		    !(s->guidance.low >= 0 && s->guidance.low <= s->guidance.high && s->guidance.high <= 1))
			return ek_fail(EK_EUSAGE, "'guidance-interval' %s: wants two times, as 0.2,0.8",
			               w->asked->interval);
	}
	EK_TRY(ek_solver_check(s));
out:
	return rc;
}

/* What was asked for; else that of the samples that are there or were begun, so that they are gone on with whatever the
 * device; else what suits it. */
static int choose_batch(struct work *w)
{
	uint64_t batch = (uint64_t)w->asked->batch;
	cJSON *config = NULL;
	int rc;

	EK_TRY(ek_samples_folder_config(&config, w->out->folder, w->asked->force));
	if (batch == 0 && cJSON_HasObjectItem(config, "batch"))
		EK_TRY(ek_json_get_u64(&batch, config, "batch", w->out->folder));
	if (batch == 0 || batch > EK_NET_BATCH_MAX)
		batch = (uint64_t)ek_flow_sampler_batch(&w->out->model.model, w->out->classes.count);
	w->batch = (int)batch;
out:
	cJSON_Delete(config);
	return rc;
}

/* What decides the images: kept beside them, so that other ones do not get mixed in. */
static int describe(struct work *w)
{
	const struct ek_solver_options *s = &w->solver;
	const cJSON *identity = cJSON_GetObjectItemCaseSensitive(w->out->model_config, "identity");
	cJSON *guidance;
	int rc = 0;

	if ((w->out->config = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for config.json");
	EK_TRY(ek_json_add_string(w->out->config, "evenkeel", "samples"));
	EK_TRY(ek_json_add_string(w->out->config, w->file != NULL ? "file" : "model",
	                          w->file != NULL ? w->file : w->asked->model));
	if (w->file != NULL && w->space.kept != NULL)
		EK_TRY(ek_json_add_string(w->out->config, "autoencoder", w->space.kept));
	EK_TRY(ek_json_add_string(w->out->config, "model_identity",
	                          cJSON_IsString(identity) ? identity->valuestring : ""));
	EK_TRY(ek_json_add_u64(w->out->config, "model_step", w->out->model_step));
	EK_TRY(ek_json_add_u64(w->out->config, "count", w->out->classes.count));
	EK_TRY(ek_json_add_u64(w->out->config, "seed", (uint64_t)w->asked->seed));
	if (w->out->model.classes > 0) /* not by the place among all, as it once was */
		EK_TRY(ek_json_add_string(w->out->config, "seeded_by", "class and number"));
	EK_TRY(ek_json_add_string(w->out->config, "solver", ek_flow_solvers[s->solver].name));
	EK_TRY(ek_json_add_u64(w->out->config, "steps", (uint64_t)s->steps));
	EK_TRY(ek_json_add_double(w->out->config, "rtol", s->relative));
	EK_TRY(ek_json_add_double(w->out->config, "atol", s->absolute));
	EK_TRY(ek_json_add_object(&guidance, w->out->config, "guidance"));
	EK_TRY(ek_json_add_double(guidance, "scale", s->guidance.scale));
	EK_TRY(ek_json_add_double(guidance, "low", s->guidance.low));
	EK_TRY(ek_json_add_double(guidance, "high", s->guidance.high));
	EK_TRY(ek_json_add_u64(guidance, "channels", (uint64_t)s->guidance.channels));
	EK_TRY(ek_json_add_string(
		w->out->config, "precision",
		ek_nn_precision_type((enum ek_nn_precision)w->asked->precision) == EK_NN_BFLOAT16 ? "bf16" : "f32"));
	EK_TRY(ek_json_add_u64(w->out->config, "batch", (uint64_t)w->batch));
	EK_TRY(ek_json_add_string(w->out->config, "condition", w->out->model.condition));
	EK_TRY(ek_classes_describe(w->out->config, &w->out->classes, &w->out->model));
out:
	return rc;
}

static int take(void *context, uint64_t first, int count, const float *samples)
{
	struct work *w = context;
	uint8_t *pixels;
	int rc;

	EK_TRY(ek_samples_writer_room(&pixels, w->writer, (size_t)count));
	EK_TRY(ek_space_decode(&w->space, samples, (uint64_t)count, pixels, (enum ek_nn_precision)w->asked->precision));
	EK_TRY(ek_samples_writer_write(w->writer, first, (size_t)count, samples));
out:
	return rc;
}

/* What a stopped command that was to keep them has of them beside what is whole. */
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
		       shape[4] = { w->out->classes.count, side, side, (uint64_t)w->space.channels };
	uint64_t rows;
	int rc;

	EK_TRY(ek_format(&w->latents_path, "%s/latents.npy", w->place.place.fresh));
	if (!w->asked->latents || ek_file_exists(w->latents_path))
		return drop_latents(w->latents_path);
	EK_TRY(ek_npy_writer_open(&w->latents, &rows, w->latents_path, EK_F32, 4, shape, "latents"));
	w->place.done = rows; /* latents are written behind images */
out:
	return rc;
}

static int sample(void *context, struct ek_run *run, cJSON *counts)
{
	struct work *w = context;
	const struct ek_flow_samples samples = { .count = w->out->classes.count,
		                                 .seeds = w->seeds,
		                                 .labels = w->out->classes.labels,
		                                 .context = w,
		                                 .take = take };
	const char *folder = w->place.place.fresh;
	uint64_t done;
	int rc;

	if (w->place.whole) /* made by a version that did not record it */
		return 0;
	EK_TRY(open_latents(w));
	done = w->place.done;
	if (done > 0 && done < w->out->classes.count)
		ek_info("going on after %" PRIu64 " image%s", done, ek_text_s(done));
	if (done < w->out->classes.count) {
		/* Whole rounds, so that an image has the same place among those made with it. */
		EK_TRY(ek_flow_sampler_new(&w->sampler, &w->out->model.model, &w->params, w->values,
		                           (enum ek_nn_precision)w->asked->precision, w->batch,
		                           w->solver.guidance.scale != 1 && w->solver.solver != EK_SOLVER_DOPRI5));
		/* On the processor both would want all threads. */
		EK_TRY(ek_samples_writer_new(&w->writer, folder, (uint32_t)w->space.image_side, w->latents,
		                             ek_sit_elements(&w->out->model.model), ek_device_takes_batches()));
		EK_TRY(ek_flow_sample(w->sampler, &w->solver, &samples, done - done % (uint64_t)w->batch));
		EK_TRY(ek_samples_writer_end(w->writer));
	}
	if (w->latents != NULL)
		EK_TRY(ek_npy_writer_commit(w->latents));
	EK_TRY(ek_samples_write_list(folder, &w->out->classes, w->seeds, &w->out->model));
	EK_TRY(ek_samples_write_sheet(folder, &w->out->classes, (uint32_t)w->space.image_side));
	EK_TRY(ek_samples_folder_publish(&w->place, run, w->step));
	EK_TRY(ek_json_add_u64(counts, "images", w->out->classes.count));
out:
	return rc;
}

static void release(struct work *w)
{
	ek_flow_sampler_free(w->sampler);
	ek_samples_writer_free(w->writer);
	ek_npy_writer_free(w->latents);
	ek_space_release(&w->space);
	ek_params_release(&w->params);
	free(w->values);
	free(w->seeds);
	free(w->model_folder);
	free(w->file);
	ek_samples_folder_close(&w->place);
	if (w->kept_out >= 0)
		(void)close(w->kept_out);
	free(w->latents_path);
}

/* Where a public file's network works; an autoencoder takes the side that its latents have. */
static int open_space_of_file(struct work *w)
{
	const struct ek_sit_config *c = &w->out->model.model;
	const int pixels = w->asked->autoencoder == NULL;
	int side, rc;

	if (pixels && c->channels != 3)
		return ek_fail(EK_EUSAGE, "%s makes latents of %d channels: give the 'autoencoder' that decodes them",
		               w->asked->model, c->channels);
	EK_TRY(ek_space_open(&w->space, w->run, w->asked->autoencoder, pixels ? c->side : 0));
	if (w->space.channels != c->channels)
		return ek_fail(EK_EUSAGE, "%s makes samples of %d channels, the autoencoder decodes %d",
		               w->asked->model, c->channels, w->space.channels);
	if (w->space.side != c->side) {
		side = c->side * ek_autoencoder_factor(&w->space.model.config);
		ek_space_release(&w->space);
		EK_TRY(ek_space_open(&w->space, w->run, w->asked->autoencoder, side));
	}
out:
	return rc;
}

/* Where the model works: in the latents of the autoencoder that its config.json names. */
static int open_space(struct work *w)
{
	const char *shown = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(w->out->model_config, "samples"));
	char *folder = NULL;
	int rc = 0;

	if (w->out->model.autoencoder != NULL) {
		EK_TRY(ek_kept_path_find(&folder, w->run, w->out->model.autoencoder));
		if (folder == NULL) {
			rc = ek_fail(EK_EDATA, "the autoencoder that the model %s was trained with is gone: %s%s%s",
			             w->asked->model, w->out->model.autoencoder[0] == '/' ? "" : ek_run_path(w->run),
			             w->out->model.autoencoder[0] == '/' ? "" : "/", w->out->model.autoencoder);
			goto out;
		}
	}
	EK_TRY(ek_space_open(&w->space, w->run, folder, w->out->model.image_side));
	if (folder != NULL && shown != NULL && !ek_space_made(&w->space, shown))
		ek_warn("the autoencoder %s is not what it was when the model %s learned from its latents: images may "
		        "look wrong until the model is trained anew",
		        folder, w->asked->model);
out:
	free(folder);
	return rc;
}

/* Samples that are as they were asked for, but of a model or an autoencoder that are others now, are made anew. */
static int is_current(int *current, const char **reason, void *context, struct ek_run *run, const struct ek_step *step)
{
	struct work *w = context;
	int rc;

	EK_TRY(ek_samples_folder_open(&w->place, run, w->out->folder,
	                              &(struct ek_samples_wish){ .step = step,
	                                                         .count = w->out->classes.count,
	                                                         .latents = w->asked->latents,
	                                                         .force = w->asked->force }));
	if (w->place.stale && w->kept_out < 0)
		EK_TRY(ek_review_keep_out(&w->kept_out, w->out->folder));
	*reason = w->place.why;
	*current = w->place.whole && ek_run_recorded(run, step->name) != NULL;
out:
	return rc;
}

enum { VERSION = 1, INPUTS = 3 };

/* Files of the run that the samples are made from; to be freed. */
static int list_inputs(char *inputs[INPUTS], const struct work *w)
{
	size_t count = 0;
	int rc = 0;

	if (w->file == NULL)
		EK_TRY(ek_layout_name(&inputs[count++], "models/*/config.json", w->asked->model));
	if (w->space.kept != NULL && w->space.kept[0] != '/')
		EK_TRY(ek_format(&inputs[count], "%s/diffusion_pytorch_model.safetensors", w->space.kept));
out:
	return rc;
}

static int bring_up(struct work *w)
{
	char *inputs[INPUTS] = { NULL }, *name = NULL, *config = NULL;
	const char *outputs[] = { NULL, NULL };
	struct ek_step step = {
		.version = VERSION, .options = w->out->config, .inputs = (const char *const *)inputs, .outputs = outputs
	};
	const struct ek_work work = {
		.step = &step, .doing = "generating", .make = sample, .context = w, .is_current = is_current
	};
	int made, rc;

	EK_TRY(ek_format(&name, "samples %s", w->asked->name));
	EK_TRY(ek_layout_name(&config, "samples/*/config.json", w->asked->name));
	EK_TRY(list_inputs(inputs, w));
	outputs[0] = config;
	step.name = w->step = name;
	EK_TRY(ek_run_bring_up(&made, w->run, &work, w->asked->force));
out:
	for (int i = 0; i < INPUTS; i++)
		free(inputs[i]);
	free(name);
	free(config);
	return rc;
}

static int generate(struct work *w)
{
	const struct ek_generate_options *o = w->asked;
	struct ek_generated *out = w->out;
	int rc;

	EK_TRY(load_model(w));
	EK_TRY(fill_solver(w));
	EK_TRY(ek_classes_choose(&out->classes, w->run, &o->classes, &out->model, o->model));
	EK_TRY(ek_alloc(&w->seeds, out->classes.count, sizeof *w->seeds));
	ek_classes_seeds(w->seeds, &out->classes, (uint64_t)o->seed, &out->model);
	EK_TRY((w->file != NULL ? open_space_of_file : open_space)(w));
	EK_TRY(ek_layout_path(&out->folder, w->run, "samples/*", o->name));
	if (o->force)
		EK_TRY(ek_review_keep_out(&w->kept_out, out->folder));
	/* Before it is said what the samples are: their precision and batch are the device's. */
	ek_device_for((ek_sit_work(&out->model.model) * (double)o->steps +
	               (w->space.autoencoder != NULL ? ek_autoencoder_work(&w->space.model.config) : 0)) *
	              (double)out->classes.count);
	EK_TRY(choose_batch(w));
	EK_TRY(describe(w));
	EK_TRY(bring_up(w));
out:
	return rc;
}

int ek_do_generate(struct ek_generated *out, struct ek_run *run, const struct ek_generate_options *o)
{
	struct work w = { .out = out, .asked = o, .run = run, .kept_out = -1 };
	int rc;

	*out = (struct ek_generated){ 0 };
	if (o->model == NULL || o->name == NULL)
		return ek_fail(EK_EUSAGE, "samples need a model and a name");
	if ((rc = ek_subset_check_name(o->name)) == 0)
		rc = generate(&w);
	out->is_file = w.file != NULL;
	release(&w);
	return rc;
}

void ek_generated_release(struct ek_generated *g)
{
	ek_classes_release(&g->classes);
	free((void *)(uintptr_t)g->model.names);
	cJSON_Delete(g->model_config);
	cJSON_Delete(g->config);
	free(g->folder);
	*g = (struct ek_generated){ 0 };
}
