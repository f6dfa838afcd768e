/* `evenkeel evaluate RUN`: how good generated images are, for whom, and whether they are copies. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analysis/embed/encoder.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/cli/command.h"
#include "rebalance/pipeline/evaluate.h"
#include "rebalance/cli/evaluate_print.h"
#include "rebalance/cli/summary.h"
#include "rebalance/plan/subset.h"

enum { VERSION = 3, FILES = 2 * EK_EVALUATE_SETS };

static struct ek_evaluate_wish wanted;

static int check_encoder(const char *name)
{
	const struct ek_encoder *encoder;

	return ek_encoder_find(&encoder, name);
}

static const struct ek_option own[] = {
	{ .name = "samples",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.samples,
	  .argument = "WHAT",
	  .help = "RUN/samples/WHAT; or a folder, tar, list or .npz of images; or embeddings as .npy, [images, d]. "
	          "Several "
	          "with commas between them are of one model with different seeds" },
	{ .name = "name",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.name,
	  .argument = "NAME",
	  .check = ek_subset_check_name,
	  .help = "the result goes to RUN/evaluations/NAME.json; the samples' name unless told otherwise" },
	{ .name = "reference",
	  .kind = EK_KIND_PATH,
	  .target = &wanted.reference,
	  .argument = "DATASET",
	  .help = "real images to measure against: a data set, embeddings, or a .npz with mu and sigma for the Fréchet "
	          "distance alone; without it those that the audit held out, or else the training images" },
	{ .name = "target",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.target,
	  .argument = "SHARES",
	  .help = "wanted shares of the clusters: uniform, training, reference, or a file of \"cluster,share\" lines, "
	          "in "
	          "any unit. "
	          "Without it uniform for a model of weights or a balanced subset and for samples of equal numbers, "
	          "else those of the data" },
	{ .name = "encoder",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.encoder,
	  .argument = "NAME",
	  .check = check_encoder,
	  .help = "measure with another encoder than the run's, as inception-fid for FID; clusters stay the run's" },
	{ .name = "weights",
	  .kind = EK_KIND_PATH,
	  .target = &wanted.weights,
	  .argument = "FILE",
	  .help = "weights of that encoder; looked for where embed does" },
	{ .name = "statistics",
	  .kind = EK_KIND_PATH,
	  .target = &wanted.statistics,
	  .argument = "FILE.npz",
	  .help = "measure the Fréchet distance to stored statistics, mu and sigma, instead" },
	{ .name = "save-statistics",
	  .kind = EK_KIND_PATH,
	  .target = &wanted.save_statistics,
	  .argument = "FILE.npz",
	  .help = "write mu and sigma of the reference" },
	{ .name = "k",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.k,
	  .argument = "K",
	  .low = 1,
	  .high = 1000,
	  .help = "precision, recall, density and coverage: balls reach to the K-th nearest neighbour" },
	{ .name = "closed",
	  .kind = EK_KIND_FLAG,
	  .target = &wanted.closed,
	  .help = "a point at exactly that distance is inside, as in the paper of precision and recall" },
	{ .name = "subsets",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.subsets,
	  .argument = "N",
	  .low = 1,
	  .high = 100000,
	  .help = "kernel distance: subsets to average over" },
	{ .name = "subset-size",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.subset_size,
	  .argument = "N",
	  .low = 2,
	  .high = 1e9,
	  .help = "images of each, or as many as there are" },
	{ .name = "vendi-order",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.orders,
	  .argument = "Q,Q,...",
	  .help = "Vendi scores of these orders beside the first, as 0.5,2,inf" },
	{ .name = "resamples",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.resamples,
	  .argument = "N",
	  .low = 100,
	  .high = 1000000,
	  .help = "bootstrap resamples behind each interval" },
	{ .name = NULL },
};

void ek_evaluate_own_options(struct ek_settings *settings)
{
	const struct ek_evaluation_options defaults = EK_EVALUATION_DEFAULT;

	ek_settings_fill(settings->own_options, own);
	wanted = (struct ek_evaluate_wish){ .k = (int64_t)defaults.k,
		                            .subsets = defaults.subsets,
		                            .subset_size = (int64_t)defaults.subset_size,
		                            .resamples = defaults.resamples };
}

static int save(const struct ek_evaluate *e, const char *path)
{
	const struct ek_evaluation_options options = { .k = (size_t)wanted.k,
		                                       .closed = wanted.closed,
		                                       .subsets = (uint32_t)wanted.subsets,
		                                       .subset_size = (uint64_t)wanted.subset_size,
		                                       .resamples = (uint32_t)wanted.resamples,
		                                       .seed = (uint64_t)wanted.seed,
		                                       .orders = e->orders,
		                                       .order_count = e->order_count };
	cJSON *json = cJSON_CreateObject();
	char *folder = NULL;
	int rc = json != NULL ? 0 : ek_fail(EK_ENOMEM, "no memory for an evaluation");

	EK_TRY(rc);
	EK_TRY(ek_evaluate_describe(json, e));
	EK_TRY(ek_evaluate(json, &e->input, &options));
	EK_TRY(ek_run_file(&folder, e->run, "evaluations"));
	EK_TRY(ek_make_directories(folder));
	EK_TRY(ek_json_save(json, path));
out:
	cJSON_Delete(json);
	free(folder);
	return rc;
}

/* Files of the run that the result is made from; `owned` ones are to be freed. */
static int list_inputs(const char ***inputs, char *owned[FILES], const struct ek_evaluate *e)
{
	static const char *const always[] = { "embeddings.npy", "clusters/assignment.npy", "clusters/centroids.npy",
		                              "images.jsonl" };
	enum { ALWAYS = sizeof always / sizeof *always };
	size_t count = ALWAYS;
	int rc;

	EK_TRY(ek_alloc(inputs, ALWAYS + FILES + 1, sizeof **inputs));
	memcpy(*inputs, always, sizeof always);
	for (size_t i = 0; i < e->set_count; i++) {
		if (e->sets[i].name == NULL)
			continue;
		EK_TRY(ek_format(&owned[2 * i], "samples/%s/embeddings.npy", e->sets[i].name));
		EK_TRY(ek_format(&owned[2 * i + 1], "samples/%s/samples.jsonl", e->sets[i].name));
		(*inputs)[count++] = owned[2 * i];
		(*inputs)[count++] = owned[2 * i + 1];
	}
out:
	return rc;
}

static int record(struct ek_run *run, const struct ek_step *step, int64_t started, double clock,
                  const struct ek_evaluate *e)
{
	cJSON *counts = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_u64(counts, "generated", e->input.generated.count));
	EK_TRY(ek_json_add_u64(counts, "reference", e->input.reference.count));
	EK_TRY(ek_json_add_u64(counts, "peak_bytes", ek_memory_peak()));
	EK_TRY(ek_run_record(run, step, started, ek_clock() - clock, counts));
out:
	cJSON_Delete(counts);
	return rc;
}

static int save_statistics(const struct ek_evaluate *e)
{
	struct ek_gaussian gaussian = { 0 };
	int rc = 0;

	if (wanted.save_statistics == NULL)
		return 0;
	if (e->input.reference.count == 0)
		return ek_fail(EK_EUSAGE, "--save-statistics: %s", e->input.no_reference);
	EK_TRY(ek_gaussian_of(&gaussian, &e->input.reference));
	EK_TRY(ek_gaussian_save(&gaussian, wanted.save_statistics));
	ek_info("statistics of %llu images: %s", (unsigned long long)e->input.reference.count, wanted.save_statistics);
out:
	ek_gaussian_release(&gaussian);
	return rc;
}

/* Make the result if it is not what would be made. */
static int bring_up_to_date(struct ek_run *run, const struct ek_evaluate *e, const char *file, const char *path,
                            int force)
{
	const int64_t started = (int64_t)time(NULL);
	const double clock = ek_clock();
	const char **inputs = NULL, *reason;
	char *owned[FILES] = { NULL }, *name = NULL;
	const char *const outputs[] = { file, NULL };
	struct ek_step step = { .version = VERSION, .outputs = outputs };
	cJSON *options = NULL;
	int current, rc;

	EK_TRY(ek_format(&name, "evaluation %s", wanted.name));
	EK_TRY(ek_evaluate_options(&options, e));
	EK_TRY(list_inputs(&inputs, owned, e));
	step.name = name;
	step.options = options;
	step.inputs = inputs;
	EK_TRY(ek_run_is_current(&current, &reason, run, &step));
	if (current && !force) {
		ek_info("the evaluation %s is current", wanted.name);
		goto out;
	}
	if (ek_run_recorded(run, name) != NULL)
		ek_info("evaluating again: %s", current ? "--force" : reason);
	EK_TRY(save(e, path));
	EK_TRY(record(run, &step, started, clock, e));
out:
	for (size_t i = 0; i < FILES; i++)
		free(owned[i]);
	free(inputs);
	free(name);
	cJSON_Delete(options);
	return rc;
}

static int print(const struct ek_run *run, const char *file, const char *path, int json)
{
	cJSON *document = NULL;
	int rc;

	if (json)
		return ek_summary_print_file(run, file);
	EK_TRY(ek_json_load(&document, path));
	ek_evaluate_print(document, path);
out:
	cJSON_Delete(document);
	return rc;
}

static int evaluate(struct ek_invocation *i, struct ek_run *run)
{
	const struct ek_settings *s = &i->settings;
	struct ek_evaluate e;
	char *file = NULL, *path = NULL;
	int rc;

	EK_TRY(ek_evaluate_open(&e, run, &wanted));
	EK_TRY(ek_format(&file, "evaluations/%s.json", wanted.name));
	EK_TRY(ek_run_file(&path, run, file));
	EK_TRY(save_statistics(&e));
	EK_TRY(ek_evaluate_compare(&e));
	EK_TRY(bring_up_to_date(run, &e, file, path, s->common.force));
	if (!s->common.wordless)
		EK_TRY(print(run, file, path, s->common.json));
out:
	ek_evaluate_release(&e);
	free(file);
	free(path);
	return rc;
}

/* --name: the samples' own, where that is one name. */
static int check_arguments(struct ek_invocation *i)
{
	const char *samples = wanted.samples;

	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE, "evaluate takes one run directory, not %d words; see evenkeel help evaluate",
		               i->arguments.count);
	if (samples == NULL)
		return ek_fail(EK_EUSAGE, "evaluate needs --samples WHAT; see evenkeel help evaluate");
	if (wanted.name == NULL && ek_subset_check_name(samples) < 0)
		return ek_fail(EK_EUSAGE, "--samples %s is no name for a result: give --name NAME", samples);
	if (wanted.name == NULL)
		wanted.name = samples;
	return 0;
}

int ek_cmd_evaluate(struct ek_invocation *i)
{
	static const enum ek_step_id steps[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_CLUSTER, EK_STEP_END };
	struct ek_run *run = NULL;
	int rc;

	EK_TRY(check_arguments(i));
	wanted.seed = i->settings.common.seed;
	wanted.again = i->settings.common.force;
	EK_TRY(ek_run_open(&run, i->arguments.positional[0], EK_RUN_WRITE));
	EK_TRY(ek_plan_before(i, run));
	EK_TRY(ek_steps_run(run, &i->settings, &i->arguments, steps, 0));
	EK_TRY(evaluate(i, run));
out:
	ek_run_close(run);
	return rc;
}
