/* Rows of options that prune, balance and weights share. */
#ifndef EK_CLI_PLAN_OPTIONS_H
#define EK_CLI_PLAN_OPTIONS_H

#include "rebalance/cli/command.h"
#include "rebalance/pipeline/plans.h"

#define EK_SUBSETS "subsets"
#define EK_WEIGHTS "weights"

#define EK_PLAN_NAME_ROW(type, folder)                                                                                 \
	{                                                                                                              \
		.name = "name", .kind = EK_KIND_STRING, EK_FIELD(type, plan.name), .argument = "NAME",                 \
		.check = ek_subset_check_name, .recorded = 1, .help = "the files go to RUN/" folder "/NAME"            \
	}
#define EK_PLAN_NORMALISE_ROW(type, what)                                                                              \
	{                                                                                                              \
		.name = "normalise", .kind = EK_KIND_FLAG, EK_FIELD(type, plan.normalise), .recorded = 1,              \
		.needs = what, .help = "divide the shares of a target file by their sum"                               \
	}
#define EK_PLAN_LISTS_ROW(type)                                                                                        \
	{                                                                                                              \
		.name = "lists", .kind = EK_KIND_FLAG, EK_FIELD(type, plan.lists), .recorded = 1,                      \
		.help = "write metadata.jsonl, kept.txt and removed.txt also for more than a million images"           \
	}

#endif
