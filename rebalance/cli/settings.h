/* What the user may set, with the defaults, and the option tables through which it is set. */
#ifndef EK_CLI_SETTINGS_H
#define EK_CLI_SETTINGS_H

#include "rebalance/cli/options.h"

enum ek_step_id {
	EK_STEP_SCAN,
	EK_STEP_EMBED,
	EK_STEP_CLUSTER,
	EK_STEP_STABILITY,
	EK_STEP_DUPLICATES,
	EK_STEP_AUDIT,
	EK_STEP_REPORT,
	EK_STEP_COUNT,
	EK_STEP_END = EK_STEP_COUNT
};

enum ek_device { EK_DEVICE_AUTO, EK_DEVICE_CPU, EK_DEVICE_CUDA };

enum { EK_STEP_OPTIONS = 14, EK_COMMON_OPTIONS = 8, EK_OWN_OPTIONS = 48, EK_METHODS_MAX = 32, EK_ENCODERS_MAX = 32 };

struct ek_settings {
	struct {
		int64_t threads, seed;
		int json, quiet, force, help, device;
		int wordless; /* 1: prints no result: another command runs it */
		const char *output;
	} common;
	struct {
		const char *attributes, *key;
		int64_t max_pixels;
		int check;      /* index into the choices: decode, header */
		int found_late; /* an image that only its header had vouched for is damaged: decode all */
		double held_out;
		struct ek_list include, exclude;
		const char *const *datasets; /* as given; NULL: those of the last time */
		int dataset_count;
		const char *own_dataset[1]; /* the demo's */
	} scan;
	struct {
		int encoder, precision, storage; /* indexes into the choices */
		const char *weights, *embeddings;
		int64_t input_size; /* 0: auto */
	} embed;
	struct {
		int64_t clusters, iterations, redo, subsample; /* 0: auto, -, -, all; clusters -1: the default */
		int spherical, normalise;
		const char *hierarchy;
	} cluster;
	struct {
		int64_t seeds, images; /* images 0: all */
	} stability;
	struct {
		const char *eps;
		int scope, order;
	} duplicates;
	struct {
		int64_t resamples;
	} audit;
	struct { /* of the commands that make subsets or weights */
		const char *name, *by, *method, *keep, *scores, *rule, *target, *to;
		int order, rounding, normalise, lists, dedup_rule;
		int stepped;            /* 1: made from the steps embed and cluster */
		double eps, dedup, cap; /* 0: not given */
		int64_t total, max_repeat, min_size, seed;
		struct ek_choice methods[EK_METHODS_MAX]; /* from a table of methods */
	} plan;
	struct {
		const char *file; /* NULL: none */
		int replayed, has_steps;
		int64_t steps_seed;
	} recipe;
	struct {
		int quick;
		int64_t steps;
	} demo;
	struct {
		const char *subset, *output, *by, *weights, *shard_size;
		int form, links, null_separated, verify, keep_going; /* form: enum ek_export_form */
	} export;
	struct ek_choice encoders[EK_ENCODERS_MAX]; /* from the table of encoders */
	struct ek_option common_options[EK_COMMON_OPTIONS], output_options[2];
	struct ek_option own_options[EK_OWN_OPTIONS]; /* of the command alone */
	struct ek_option step_options[EK_STEP_COUNT][EK_STEP_OPTIONS];
};

/* The defaults. The tables point into `settings`, which must not be moved. */
void ek_settings_init(struct ek_settings *settings);
/* Copy rows up to and with the one without a name. */
void ek_settings_fill(struct ek_option *to, const struct ek_option *from);

#endif
