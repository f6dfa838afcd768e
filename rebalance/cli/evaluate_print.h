/* The table that people read of an evaluation. */
#ifndef EK_CLI_EVALUATE_PRINT_H
#define EK_CLI_EVALUATE_PRINT_H

#include "rebalance/base/json.h"

/* json: of RUN/evaluations/NAME.json; names: what each cluster mostly is (ek_document_cluster_names), or NULL. */
void ek_evaluate_print(const cJSON *json, const cJSON *names, const char *run, const char *name);

#endif
