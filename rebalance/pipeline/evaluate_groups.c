/* Of evaluate: to which named group every image is taken to belong, where labels or words taught the run some. */
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/io/groups.h"
#include "rebalance/io/run_files.h"
#include "rebalance/pipeline/classifier.h"
#include "rebalance/pipeline/evaluate_internal.h"

/* Of the training images, by the run's own probabilities. */
static int share_training(struct ek_evaluate *e, const struct ek_groups *groups)
{
	int rc;

	EK_TRY(ek_alloc(&e->group_training, groups->count, sizeof *e->group_training));
	for (uint64_t i = 0; i < e->frozen.training_count; i++)
		for (uint32_t g = 0; g < groups->count; g++)
			e->group_training[g] += (double)groups->q[e->frozen.training[i] * groups->count + g] /
			                        (double)e->frozen.training_count;
out:
	return rc;
}

/* All sets are one: their shares are estimated together. */
static int tell_generated(struct ek_evaluate *e, const struct ek_classifier *c)
{
	const uint64_t count = e->input.generated.count;
	uint64_t first = 0;
	int rc;

	EK_TRY(ek_alloc(&e->group_generated, count * c->groups, sizeof *e->group_generated));
	for (size_t i = 0; i < e->set_count; i++) {
		const struct ek_rows *rows = &e->sets[i].own.rows;

		EK_TRY(ek_classifier_tell(e->group_generated + first * c->groups, c, rows, e->set[i].name));
		first += rows->count;
	}
	EK_TRY(ek_classifier_correct(e->group_generated, c, count, EK_CLASSIFIER_MADE));
out:
	return rc;
}

static int tell_reference(struct ek_evaluate *e, const struct ek_classifier *c)
{
	const uint64_t count = e->input.reference.count;
	struct ek_npy embeddings = { 0 };
	struct ek_rows rows;
	int rc = 0;

	if (count == 0)
		return 0;
	EK_TRY(ek_alloc(&e->group_reference, count * c->groups, sizeof *e->group_reference));
	if (e->kind == EK_REFERENCE_PATH) {
		rows = e->reference.own.rows;
	} else {
		EK_TRY(ek_run_npy(&embeddings, e->run, "embeddings.npy"));
		EK_TRY(ek_rows_of(&rows, &embeddings, 0));
		rows.ids = e->input.reference.ids;
		rows.count = count;
	}
	EK_TRY(ek_classifier_tell(e->group_reference, c, &rows, "the reference"));
	EK_TRY(ek_classifier_correct(e->group_reference, c, count, EK_CLASSIFIER_PHOTOGRAPHS));
out:
	ek_npy_close(&embeddings);
	return rc;
}

int ek_evaluate_groups(struct ek_evaluate *e)
{
	struct ek_classifier classifier = { 0 };
	int rc;

	EK_TRY(ek_classifier_open(&classifier, e->run));
	if (classifier.groups == 0)
		goto out;
	EK_TRY(ek_groups_load(&e->groups, e->run));
	if (e->groups.images != e->frozen.images) {
		rc = ek_fail(EK_EDATA,
		             "clusters/membership.npy and clusters/assignment.npy are not of the same images");
		goto out;
	}
	EK_TRY(share_training(e, &e->groups));
	EK_TRY(tell_generated(e, &classifier));
	EK_TRY(tell_reference(e, &classifier));
	e->by_group = (struct ek_evaluation_groups){ .count = e->groups.count,
		                                     .names = e->groups.names,
		                                     .generated = e->group_generated,
		                                     .reference = e->group_reference,
		                                     .training = e->group_training };
	e->input.groups = &e->by_group;
out:
	ek_classifier_release(&classifier);
	return rc;
}

void ek_evaluate_groups_release(struct ek_evaluate *e)
{
	ek_groups_release(&e->groups);
	free(e->group_training);
	free(e->group_generated);
	free(e->group_reference);
}
