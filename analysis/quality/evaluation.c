#include "analysis/quality/evaluation.h"

#include <stdlib.h>

#include "analysis/quality/evaluation_writers.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

static int check_rows(const struct ek_rows *rows, const struct ek_evaluation_input *in, const char *what)
{
	char *why = NULL;
	double *mean = NULL;
	int rc;

	if (rows->count == 0)
		return 0;
	if (rows->dimensions != in->generated.dimensions)
		return ek_fail(EK_EDATA, "%s: embeddings of %zu dimensions, the generated images' have %zu", what,
		               rows->dimensions, in->generated.dimensions);
	EK_TRY(ek_alloc(&mean, rows->dimensions, sizeof *mean));
	rc = ek_rows_mean(mean, rows);
	if (rc == EK_EDATA && ek_copy_string(&why, ek_error_message()) == 0)
		rc = ek_fail(EK_EDATA, "%s: %s", what, why);
out:
	free(mean);
	free(why);
	return rc;
}

static int check(const struct ek_evaluation_input *in)
{
	int rc;

	if (in->generated.count == 0)
		return ek_fail(EK_EDATA, "there are no generated images");
	EK_TRY(check_rows(&in->generated, in, "the generated images"));
	EK_TRY(check_rows(&in->reference, in, "the reference"));
	EK_TRY(check_rows(&in->training, in, "the training images"));
	EK_TRY(check_rows(&in->held_out, in, "the held-out images"));
	if (in->statistics != NULL && in->statistics->d != in->generated.dimensions)
		rc = ek_fail(EK_EDATA, "the statistics have %zu dimensions, the generated images' embeddings %zu",
		             in->statistics->d, in->generated.dimensions);
out:
	return rc;
}

/* What the writers tell of: each is measured once. */
static int measure(struct ek_evaluating *e)
{
	int rc;

	if ((e->reasons = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for an evaluation");
	EK_TRY(ek_evaluation_measure_fidelity(e));
	EK_TRY(ek_evaluation_measure_memory(e));
	EK_TRY(ek_evaluation_count(e));
out:
	return rc;
}

int ek_evaluate(cJSON *json, const struct ek_evaluation_input *input, const struct ek_evaluation_options *options)
{
	struct ek_evaluating e = { .in = input, .o = options, .json = json };
	cJSON *reasons;
	int rc;

	EK_TRY(check(input));
	EK_TRY(measure(&e));
	EK_TRY(ek_json_add_u64(json, "k", options->k));
	EK_TRY(ek_json_add_bool(json, "closed", options->closed));
	EK_TRY(ek_evaluation_write_distribution(&e));
	EK_TRY(ek_evaluation_write_fidelity(&e));
	EK_TRY(ek_evaluation_write_memory(&e));
	EK_TRY(ek_evaluation_write_clusters(&e));
	EK_TRY(ek_evaluation_write_groups(&e));
	EK_TRY(ek_evaluation_write_sets(&e));
	reasons = e.reasons;
	e.reasons = NULL;
	EK_TRY(ek_json_add_item(json, "reasons", reasons));
out:
	ek_evaluating_release(&e);
	return rc;
}
