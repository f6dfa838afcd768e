/* What the user may set: the options that all commands have, those of the steps, and those of the command alone. */
#ifndef EK_CLI_SETTINGS_H
#define EK_CLI_SETTINGS_H

#include "rebalance/pipeline/recipe.h"

/* The options of one command: rows, in groups that --help shows after each other, over one struct. */
enum { EK_OWN_GROUPS = 3 };
struct ek_own {
	const struct ek_option *rows[EK_OWN_GROUPS];
	size_t size;
	const void *defaults; /* [size] */
};
#define EK_OWN(defaults_, ...)                                                                                         \
	{                                                                                                              \
		.rows = { __VA_ARGS__ }, .size = sizeof(defaults_), .defaults = &(defaults_)                           \
	}

enum { EK_COMMON = 7 };
enum ek_given {
	EK_GIVEN_COMMON,
	EK_GIVEN_OUTPUT,
	EK_GIVEN_RECIPE,
	EK_GIVEN_OWN,
	EK_GIVEN_COUNT = EK_GIVEN_OWN + EK_OWN_GROUPS
};

struct ek_settings {
	struct {
		int64_t threads, seed; /* seed: of what the command makes */
		int json, quiet, help;
		int silent; /* 1: prints no result: another command runs it */
		const char *output, *device;
	} common;
	struct ek_steps_options steps; /* and force */
	struct ek_recipe recipe;
	void *own; /* the command's struct */
	uint64_t given[EK_GIVEN_COUNT];
	struct ek_option told[EK_COMMON + 1]; /* of the common options, for --help */
};

extern const struct ek_option ek_common_rows[EK_COMMON + 1];

#endif
