/* `evenkeel evaluate RUN`: how good generated images are, for whom, and whether they are copies. */
#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/evaluate_print.h"
#include "rebalance/cli/summary.h"
#include "rebalance/pipeline/evaluate.h"
#include "rebalance/pipeline/plans.h"

static const struct ek_option rows[] = {
	{ .name = "samples",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_do_evaluate_options, samples),
	  .argument = "WHAT",
	  .help = "RUN/samples/WHAT; or a folder, tar, list or .npz of images; or embeddings as .npy, [images, d]. "
	          "Several with commas between them are of one model with different seeds" },
	{ .name = "name",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_do_evaluate_options, name),
	  .argument = "NAME",
	  .check = ek_subset_check_name,
	  .help = "the result goes to RUN/evaluations/NAME.json; the samples' name unless told otherwise" },
	{ .name = "reference",
	  .kind = EK_KIND_PATH,
	  EK_FIELD(struct ek_do_evaluate_options, reference),
	  .argument = "DATASET",
	  .help = "real images to measure against: a data set, embeddings, or a .npz with mu and sigma for the Fréchet "
	          "distance alone; without it those that the audit held out, or else the training images" },
	{ .name = "target",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_do_evaluate_options, target),
	  .argument = "SHARES",
	  .help = "wanted shares of the clusters: uniform, training, reference, or a file of \"cluster,share\" "
	          "lines, in any unit. Without it uniform for a model of weights or a balanced subset and for "
	          "samples of equal numbers, else those of the data" },
	{ .name = "encoder",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_do_evaluate_options, encoder),
	  .argument = "NAME",
	  .check = ek_evaluate_check_encoder,
	  .help = "measure with another encoder than the run's, as inception-fid for FID; clusters stay the run's" },
	{ .name = "weights",
	  .kind = EK_KIND_PATH,
	  EK_FIELD(struct ek_do_evaluate_options, weights),
	  .argument = "FILE",
	  .help = "weights of that encoder; looked for where embed does" },
	{ .name = "statistics",
	  .kind = EK_KIND_PATH,
	  EK_FIELD(struct ek_do_evaluate_options, statistics),
	  .argument = "FILE.npz",
	  .help = "measure the Fréchet distance to stored statistics, mu and sigma, instead" },
	{ .name = "save-statistics",
	  .kind = EK_KIND_PATH,
	  EK_FIELD(struct ek_do_evaluate_options, save_statistics),
	  .argument = "FILE.npz",
	  .help = "write mu and sigma of the reference" },
	{ .name = "k",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_do_evaluate_options, k),
	  .argument = "K",
	  .low = 1,
	  .high = 1000,
	  .help = "precision, recall, density and coverage: balls reach to the K-th nearest neighbour" },
	{ .name = "closed",
	  .kind = EK_KIND_FLAG,
	  EK_FIELD(struct ek_do_evaluate_options, closed),
	  .help = "a point at exactly that distance is inside, as in the paper of precision and recall" },
	{ .name = "subsets",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_do_evaluate_options, subsets),
	  .argument = "N",
	  .low = 1,
	  .high = 100000,
	  .help = "kernel distance: subsets to average over" },
	{ .name = "subset-size",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_do_evaluate_options, subset_size),
	  .argument = "N",
	  .low = 2,
	  .high = 1e9,
	  .help = "images of each, or as many as there are" },
	{ .name = "vendi-order",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct ek_do_evaluate_options, orders),
	  .argument = "Q,Q,...",
	  .help = "Vendi scores of these orders beside the first, as 0.5,2,inf" },
	{ .name = "resamples",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct ek_do_evaluate_options, resamples),
	  .argument = "N",
	  .low = 100,
	  .high = 1000000,
	  .help = "bootstrap resamples behind each interval" },
	{ .name = NULL },
};
const struct ek_own ek_evaluate_own = EK_OWN(ek_do_evaluate_default, rows);

static int print(const struct ek_run *run, const char *name, int json)
{
	static const char document[] = "evaluations/*.json";
	cJSON *evaluation = NULL, *names = NULL;
	int rc;

	if (json)
		return ek_summary_print_file(run, document, name);
	EK_TRY(ek_document_load(&evaluation, run, document, name));
	EK_TRY(ek_document_cluster_names(&names, run));
	ek_evaluate_print(evaluation, names, ek_run_path(run), name);
out:
	cJSON_Delete(evaluation);
	cJSON_Delete(names);
	return rc;
}

static int evaluate(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_do_evaluate_options *o = i->settings.own;
	const char *name;
	int rc;

	o->seed = i->settings.common.seed;
	o->force = i->settings.steps.force;
	EK_TRY(ek_do_evaluate(&name, run, &i->settings.steps, o));
	if (!i->settings.common.silent)
		EK_TRY(print(run, name, i->settings.common.json));
out:
	return rc;
}

int ek_cmd_evaluate(struct ek_invocation *i)
{
	const struct ek_do_evaluate_options *o = i->settings.own;

	if (o->samples == NULL)
		return ek_fail(EK_EUSAGE, "evaluate needs --samples WHAT; see evenkeel help evaluate");
	return ek_command_on_run(i, EK_RUN_WRITE, evaluate);
}
