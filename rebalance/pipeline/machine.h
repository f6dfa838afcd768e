/* What the machine has that computing goes by: instruction sets, GPUs and their libraries. */
#ifndef EK_PIPELINE_MACHINE_H
#define EK_PIPELINE_MACHINE_H

#include "rebalance/base/file.h"
#include "rebalance/base/json.h"
#include "rebalance/pipeline/device.h"

/* "avx2, fma": those that the libraries choose by, as this processor has them. */
int ek_machine_instruction_sets(struct ek_buffer *text);
/* Add "instruction_sets", "cuda" (is it in this build), "gpus", "cuda_libraries"; "gpus_missing": why there are none.
 */
int ek_machine_add(cJSON *json);

#endif
