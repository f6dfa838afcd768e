#include "rebalance/pipeline/evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/embed/encoder.h"
#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/log.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/about.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/evaluate_internal.h"
#include "rebalance/plan/subset.h"

enum { VERSION = 5, FILES = 2 * EK_EVALUATE_SETS, OF_GROUPS = 3 };

const struct ek_do_evaluate_options ek_do_evaluate_default = {
	.k = 5, .subsets = 100, .subset_size = 1000, .resamples = 1000
};

static int make(void *context, struct ek_run *run, cJSON *counts)
{
	const struct ek_evaluate *e = context;
	const struct ek_evaluation_options options = { .k = (size_t)e->wish->k,
		                                       .closed = e->wish->closed,
		                                       .subsets = (uint32_t)e->wish->subsets,
		                                       .subset_size = (uint64_t)e->wish->subset_size,
		                                       .resamples = (uint32_t)e->wish->resamples,
		                                       .seed = (uint64_t)e->wish->seed,
		                                       .orders = e->orders,
		                                       .order_count = e->order_count };
	cJSON *json = cJSON_CreateObject();
	char *folder = NULL, *path = NULL;
	int rc = json != NULL ? 0 : ek_fail(EK_ENOMEM, "no memory for an evaluation");

	EK_TRY(rc);
	EK_TRY(ek_evaluate_describe(json, e));
	ek_device_for(8 * (double)e->input.generated.count * (double)e->input.reference.count *
	              (double)e->input.generated.dimensions);
	EK_TRY(ek_evaluate(json, &e->input, &options));
	EK_TRY(ek_layout_path(&folder, run, "evaluations", NULL));
	EK_TRY(ek_make_directories(folder));
	EK_TRY(ek_format(&path, "%s/%s.json", folder, e->wish->name));
	EK_TRY(ek_json_save(json, path));
	EK_TRY(ek_json_add_u64(counts, "generated", e->input.generated.count));
	EK_TRY(ek_json_add_u64(counts, "reference", e->input.reference.count));
	EK_TRY(ek_json_add_u64(counts, "peak_bytes", ek_memory_peak()));
out:
	cJSON_Delete(json);
	free(folder);
	free(path);
	return rc;
}

/* Files of the run that the result is made from; `owned` ones are to be freed. */
static int list_inputs(const char ***inputs, char *owned[FILES], const struct ek_evaluate *e)
{
	static const char *const always[] = { "embeddings.npy", "clusters/assignment.npy", "clusters/centroids.npy",
		                              "images.jsonl" };
	static const char *const of_groups[OF_GROUPS] = { "clusters/membership.npy", "clusters/groups.json",
		                                          "clusters/classifier.npy" };
	enum { ALWAYS = sizeof always / sizeof *always };
	size_t count = ALWAYS;
	int rc;

	EK_TRY(ek_alloc(inputs, ALWAYS + OF_GROUPS + FILES + 1, sizeof **inputs));
	memcpy(*inputs, always, sizeof always);
	for (size_t i = 0; i < OF_GROUPS && e->input.groups != NULL; i++)
		(*inputs)[count++] = of_groups[i];
	for (size_t i = 0; i < e->set_count; i++) {
		if (e->sets[i].name == NULL)
			continue;
		EK_TRY(ek_layout_name(&owned[2 * i], "samples/*/embeddings.npy", e->sets[i].name));
		EK_TRY(ek_layout_name(&owned[2 * i + 1], "samples/*/samples.jsonl", e->sets[i].name));
		(*inputs)[count++] = owned[2 * i];
		(*inputs)[count++] = owned[2 * i + 1];
	}
out:
	return rc;
}

static int save_statistics(const struct ek_evaluate *e)
{
	struct ek_gaussian gaussian = { 0 };
	int rc = 0;

	if (e->wish->save_statistics == NULL)
		return 0;
	if (e->input.reference.count == 0)
		return ek_fail(EK_EUSAGE, "'save-statistics': %s", e->input.no_reference);
	EK_TRY(ek_gaussian_of(&gaussian, &e->input.reference));
	EK_TRY(ek_gaussian_save(&gaussian, e->wish->save_statistics));
	ek_info("statistics of %llu image%s: %s", (unsigned long long)e->input.reference.count,
	        ek_text_s(e->input.reference.count), e->wish->save_statistics);
out:
	ek_gaussian_release(&gaussian);
	return rc;
}

static int bring_up_to_date(struct ek_run *run, struct ek_evaluate *e, const char *file)
{
	const char *const outputs[] = { file, NULL };
	const char **inputs = NULL;
	char *owned[FILES] = { NULL }, *name = NULL;
	struct ek_step step = { .version = VERSION, .outputs = outputs };
	const struct ek_work work = { .step = &step, .doing = "evaluating", .make = make, .context = e };
	cJSON *options = NULL;
	int made, rc;

	EK_TRY(ek_format(&name, "evaluation %s", e->wish->name));
	EK_TRY(ek_evaluate_record(&options, e));
	EK_TRY(list_inputs(&inputs, owned, e));
	step.name = name;
	step.options = options;
	step.inputs = inputs;
	EK_TRY(ek_run_bring_up(&made, run, &work, e->wish->force));
	if (!made)
		ek_info("the evaluation %s is current", e->wish->name);
out:
	for (size_t i = 0; i < FILES; i++)
		free(owned[i]);
	free(inputs);
	free(name);
	cJSON_Delete(options);
	return rc;
}

/* Without a name: the samples' own, where that is one name. */
static int check_options(struct ek_do_evaluate_options *o)
{
	int rc;

	if (o->samples == NULL)
		return ek_fail(EK_EUSAGE, "an evaluation needs samples");
	if (o->name == NULL && ek_subset_check_name(o->samples) < 0)
		return ek_fail(EK_EUSAGE, "'samples' is %s, no name for a result: give it a name", o->samples);
	if (o->name == NULL)
		o->name = o->samples;
	EK_TRY(ek_subset_check_name(o->name));
	if (o->reference != NULL)
		EK_TRY(ek_evaluate_check_reference(o->reference));
	if (o->save_statistics != NULL)
		EK_TRY(ek_about_check_output(o->save_statistics));
out:
	return rc;
}

int ek_evaluate_check_encoder(const char *name)
{
	const struct ek_encoder *encoder;

	return ek_encoder_find(&encoder, name);
}

int ek_do_evaluate(const char **name, struct ek_run *run, struct ek_steps_options *steps,
                   const struct ek_do_evaluate_options *asked)
{
	struct ek_do_evaluate_options o = *asked;
	struct ek_evaluate e = { 0 };
	char *file = NULL;
	int rc;

	EK_TRY(check_options(&o));
	*name = o.name;
	EK_TRY(ek_steps_before(run, steps, 1));
	EK_TRY(ek_evaluate_open(&e, run, &o));
	EK_TRY(ek_layout_name(&file, "evaluations/*.json", o.name));
	EK_TRY(save_statistics(&e));
	EK_TRY(ek_evaluate_compare(&e));
	EK_TRY(bring_up_to_date(run, &e, file));
out:
	ek_evaluate_release(&e);
	free(file);
	return rc;
}
