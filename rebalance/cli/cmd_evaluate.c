/* `evenkeel evaluate RUN`: how good generated images are, for whom, and whether they are copies. */
#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/evaluate_print.h"
#include "rebalance/cli/summary.h"
#include "rebalance/pipeline/evaluate.h"
#include "rebalance/pipeline/plans.h"

static const struct ek_option rows[] = {
	{ .name = "samples",
	  EK_STRING(struct ek_do_evaluate_options, samples, "WHAT"),
	  .help = "RUN/samples/WHAT; or a folder, tar, list or .npz of images; or embeddings as .npy, [images, d]. "
	          "Several with commas between them are of one model with different seeds" },
	{ .name = "name",
	  EK_STRING(struct ek_do_evaluate_options, name, "NAME"),
	  .check = ek_subset_check_name,
	  .help = "the result goes to RUN/evaluations/NAME.json; the samples' name unless told otherwise" },
	{ .name = "reference",
	  EK_PATH(struct ek_do_evaluate_options, reference, "DATASET"),
	  .help = "real images to measure against: a data set, embeddings, or a .npz with mu and sigma for the Fréchet "
	          "distance alone; without it those that the audit held out, or else the training images" },
	{ .name = "target",
	  EK_STRING(struct ek_do_evaluate_options, target, "SHARES"),
	  .help = "wanted shares of the clusters: uniform, training, reference, or a file of \"cluster,share\" "
	          "lines, in any unit. Without it uniform for a model of weights or a balanced subset and for "
	          "samples of equal numbers, else those of the data" },
	{ .name = "encoder",
	  EK_STRING(struct ek_do_evaluate_options, encoder, "NAME"),
	  .check = ek_evaluate_check_encoder,
	  .help = "measure with another encoder than the run's, as inception-fid for FID; clusters stay the run's" },
	{ .name = "weights",
	  EK_PATH(struct ek_do_evaluate_options, weights, "FILE"),
	  .needs = "encoder",
	  .check = ek_check_weights,
	  .help = "weights of that encoder; looked for where embed does" },
	{ .name = "statistics",
	  EK_PATH(struct ek_do_evaluate_options, statistics, "FILE.npz"),
	  .help = "measure the Fréchet distance to stored statistics, mu and sigma, instead" },
	{ .name = "save-statistics",
	  EK_PATH(struct ek_do_evaluate_options, save_statistics, "FILE.npz"),
	  .help = "write mu and sigma of the reference" },
	{ .name = "k",
	  EK_INTEGER(struct ek_do_evaluate_options, k, "K", 1, 1000),
	  .help = "precision, recall, density and coverage: balls reach to the K-th nearest neighbour" },
	{ .name = "closed",
	  EK_FLAG(struct ek_do_evaluate_options, closed),
	  .help = "a point at exactly that distance is inside, as in the paper of precision and recall" },
	{ .name = "subsets",
	  EK_INTEGER(struct ek_do_evaluate_options, subsets, "N", 1, 100000),
	  .help = "kernel distance: subsets to average over" },
	{ .name = "subset-size",
	  EK_INTEGER(struct ek_do_evaluate_options, subset_size, "N", 2, 1e9),
	  .help = "images of each, or as many as there are" },
	{ .name = "vendi-order",
	  EK_STRING(struct ek_do_evaluate_options, orders, "Q,Q,..."),
	  .help = "Vendi scores of these orders beside the first, as 0.5,2,inf" },
	{ .name = "resamples",
	  EK_INTEGER(struct ek_do_evaluate_options, resamples, "N", 100, 1000000),
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
