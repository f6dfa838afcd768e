/* `evenkeel demo`: real photographs, made long-tailed on purpose, audited and evened out
 * without their labels. */
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/demo_changes.h"
#include "rebalance/cli/demo_generate.h"
#include "rebalance/cli/demo_plan.h"
#include "rebalance/cli/summary.h"
#include "rebalance/pipeline/demo_data.h"
#include "rebalance/base/text.h"

enum { STABILITY_IMAGES = 5000, PAPERS_CLUSTERS = 24 };

struct wish {
	int quick;
	int64_t steps;
};

static const struct ek_option rows[] = {
	{ .name = "quick", EK_FLAG(struct wish, quick), .help = "stop before the generators: what ./quickstart does" },
	{ .name = "steps",
	  EK_INTEGER(struct wish, steps, "N", 1, 1e12),
	  .help = "of each generator: the same for both, however long it takes" },
	{ .name = NULL },
};
static const struct wish defaults = { .steps = EK_DEMO_STEPS };
const struct ek_own ek_demo_own = EK_OWN(defaults, rows);

/* What the audit did not know: how well the clusters found the classes, and where the smallest ones went. */
static int print_hidden_classes(const struct ek_run *run)
{
	const cJSON *garment, *tail, *value;
	cJSON *audit = NULL;
	static const char file[] = "audit.json";
	char text[32];
	double nmi;
	int rc, listed = 0;

	EK_TRY(ek_document_load(&audit, run, file, NULL));
	garment = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(audit, "attributes"), "garment");
	EK_TRY(ek_json_get_double(&nmi, cJSON_GetObjectItemCaseSensitive(garment, "nmi"), "value", file));
	(void)printf("\nThe 10 classes of garment were hidden from the audit. The clusters found them with NMI %.2f "
	             "(0 = not at all, 1 = exactly).\n",
	             nmi);
	tail = cJSON_GetObjectItemCaseSensitive(garment, "tail_values");
	cJSON_ArrayForEach(value, tail)
	{
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(value, "value");
		double share;

		if (!cJSON_IsString(name) || ek_json_get_double(&share, value, "tail_share", file) < 0 || share < 0.5)
			continue;
		(void)printf("%s%s (%s)", listed++ == 0 ? "Classes that are mostly in the small clusters: " : ", ",
		             name->valuestring, ek_text_percent(text, share));
	}
	if (listed > 0)
		(void)printf("\n");
out:
	cJSON_Delete(audit);
	return rc;
}

/* A third of the images shows how firm the clusters are, in a third of the time, which was half of the demo's. */
static void look_at_fewer(struct ek_steps_options *steps)
{
	const struct ek_option_table stability = ek_step_table(steps, EK_STEP_STABILITY);
	const uint64_t bit = UINT64_C(1) << (ek_option_find(&stability, "stability-images") - stability.rows);

	if ((*stability.given & bit) == 0)
		steps->stability.images = STABILITY_IMAGES;
	*stability.given |= bit;
}

/* The data lie in the run, so that `evenkeel audit RUN` finds them later, too. */
static int before(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_steps_options *steps = &i->settings.steps;
	const struct ek_option_table scan = ek_step_table(steps, EK_STEP_SCAN);
	char *images = NULL, *classes = NULL;
	int rc;

	EK_TRY(ek_demo_data(&images, &classes, run));
	EK_TRY(ek_strings_keep(&i->arguments.positional[0], &steps->strings, images));
	EK_TRY(ek_strings_keep(&steps->scan.attributes, &steps->strings, classes));
	/* --attributes, not those of a run that was moved */
	*scan.given |= UINT64_C(1) << (ek_option_find(&scan, "attributes") - scan.rows);
	steps->scan.datasets = i->arguments.positional;
	steps->scan.dataset_count = 1;
	look_at_fewer(steps);
	if (steps->cluster.clusters < 0 && steps->cluster.hierarchy == NULL)
		steps->cluster.clusters = PAPERS_CLUSTERS;
out:
	free(images);
	free(classes);
	return rc;
}

/* Ten labels of every class teach the groups. */
static int learn_groups(struct ek_invocation *i, struct ek_run *run)
{
	static const enum ek_step_id learn[] = { EK_STEP_SCAN,   EK_STEP_EMBED, EK_STEP_COMPONENTS,
		                                 EK_STEP_GROUPS, EK_STEP_AUDIT, EK_STEP_END };
	struct ek_steps_options *steps = &i->settings.steps;
	const struct ek_option_table groups = ek_step_table(steps, EK_STEP_GROUPS);
	char *labels = NULL;
	int rc;

	EK_TRY(ek_demo_labels(&labels, run, (uint64_t)i->settings.common.seed));
	EK_TRY(ek_strings_keep(&steps->groups.labels, &steps->strings, labels));
	*groups.given |= UINT64_C(1) << (ek_option_find(&groups, "labels") - groups.rows);
	EK_TRY(ek_steps_run(run, steps, learn, 1));
out:
	free(labels);
	return rc;
}

/* The report comes last, so that it tells of the plans. */
static int after(struct ek_invocation *i, struct ek_run *run)
{
	static const enum ek_step_id report[] = { EK_STEP_REPORT, EK_STEP_END };
	int rc;

	EK_TRY(ek_demo_plan(run, (uint64_t)i->settings.common.seed, i->settings.steps.force));
	EK_TRY(learn_groups(i, run));
	EK_TRY(ek_demo_mend(run, i->settings.steps.force));
	EK_TRY(ek_steps_run(run, &i->settings.steps, report, 1));
	EK_TRY(ek_summary_print(run, i->settings.common.json));
	if (i->settings.common.json)
		goto out;
	EK_TRY(print_hidden_classes(run));
	EK_TRY(ek_demo_plan_print(run, "garment"));
out:
	return rc;
}

int ek_cmd_demo(struct ek_invocation *i)
{
	const struct wish *wanted = i->settings.own;
	int rc;

	if (i->arguments.count > 0)
		return ek_fail(EK_EUSAGE, "demo takes no data set; see evenkeel help demo");
	if (i->settings.common.output == NULL)
		i->settings.common.output = "evenkeel-demo";
	EK_TRY(ek_command_bring_up_to_date(i, before, after));
	if (wanted->quick) {
		if (!i->settings.common.json)
			(void)printf("\n`evenkeel demo` goes on from here: it trains two small generators, with and "
			             "without the weights of ten labels, and measures what that changed (13 minutes on "
			             "2 cores).\n");
		goto out;
	}
	EK_TRY(ek_demo_generate(i->settings.common.output, (uint64_t)wanted->steps, (uint64_t)i->settings.common.seed,
	                        i->settings.common.json));
	if (i->settings.common.json)
		goto out;
	EK_TRY(ek_demo_changes_print(i->settings.common.output));
	(void)printf("\nAll of it, with pictures: %s/report.html\nEach sample beside its nearest photographs: evenkeel "
	             "review %s --samples mended-1\n",
	             i->settings.common.output, i->settings.common.output);
out:
	return rc;
}
