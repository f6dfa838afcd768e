/*
 * All that is measured of generated images, as the members of evaluations/NAME.json that come from numbers
 * (docs/files.md, docs/evaluation.md). What has no value is null, and "reasons" says why.
 */
#ifndef EK_QUALITY_EVALUATION_H
#define EK_QUALITY_EVALUATION_H

#include "analysis/quality/evaluation_input.h"
#include "rebalance/base/json.h"

/*
 * Add "k" … "reasons" to `json`. Rows of one cluster or set are looked at where they are. The same bytes for any number
 * of threads but for the last bits of LAPACK's.
 *
 * EK_EDATA: no generated row, dimensions that differ, a row that is not finite; EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_evaluate(cJSON *json, const struct ek_evaluation_input *input, const struct ek_evaluation_options *options);

#endif
