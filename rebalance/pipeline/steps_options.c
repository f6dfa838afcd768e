#include "rebalance/pipeline/steps.h"

#include <string.h>

#include "analysis/embed/encoder.h"
#include "analysis/embed/import.h"
#include "rebalance/base/error.h"
#include "rebalance/io/image.h"
#include "rebalance/io/ranges.h"
#include "rebalance/io/tensors.h"
#include "rebalance/pipeline/given_labels.h"

#define LARGEST_COUNT 9007199254740991.0 /* 2^53 - 1: what JSON keeps exactly */

static const struct ek_choice checks[] = { { "decode", "every image is decoded, so that damage is found now" },
	                                   { "header", "only headers are read: faster, damage is found later" },
	                                   { NULL, NULL } };
static const struct ek_choice precisions[] = { { "auto", "bf16 where the processor has it in hardware" },
	                                       { "f32", "32-bit floats" },
	                                       { "bf16", "bfloat16, sums in 32 bits" },
	                                       { NULL, NULL } };
static const struct ek_choice storages[] = { { "f32", "4 bytes a number" },
	                                     { "f16", "2 bytes a number" },
	                                     { NULL, NULL } };
static const struct ek_choice normalisations[] = { { "auto", "l2 for DINOv2, none for other encoders" },
	                                           { "none", "as the encoder gives them" },
	                                           { "l2", "to unit length" },
	                                           { NULL, NULL } };
static const struct ek_choice scopes[] = { { "auto", "all pairs up to 100,000 images, else within clusters" },
	                                   { "all", "all pairs" },
	                                   { "within", "pairs within a cluster" },
	                                   { NULL, NULL } };
static const struct ek_choice orders[] = { { "id", "the image that comes first" },
	                                   { "hard", "the one further from its centroid" },
	                                   { "easy", "the one nearer to its centroid" },
	                                   { NULL, NULL } };

_Static_assert(offsetof(struct ek_encoder, name) == offsetof(struct ek_choice, name) &&
                       offsetof(struct ek_encoder, summary) == offsetof(struct ek_choice, help),
               "a row of encoders begins as a choice");

static int check_pattern(const char *text)
{
	return text[strspn(text, "./")] != 0 ? 0 : ek_fail(EK_EUSAGE, "the pattern \"%s\" names no file", text);
}

static int check_ranges(const char *text)
{
	cJSON *ranges = cJSON_CreateObject();
	const int rc = ek_ranges_add(ranges, text);

	cJSON_Delete(ranges);
	return rc;
}

int ek_check_weights(const char *path)
{
	struct ek_tensor_file file;
	const int rc = ek_tensor_file_open(&file, path);

	ek_tensor_file_close(&file);
	return rc;
}

static const struct ek_option scan_rows[] = {
	{ .name = "attributes",
	  EK_PATH(struct ek_steps_options, scan.attributes, "FILE"),
	  .recorded = 1,
	  .help = "attributes of the images: .csv, .tsv or .jsonl with a column file_name (or image_id, path …), or "
	          "one of CelebA's lists; rows fit by path, else by file name" },
	{ .name = "key",
	  EK_STRING(struct ek_steps_options, scan.key, "COLUMN"),
	  .recorded = 1,
	  .help = "the column of tables that names the files" },
	{ .name = "check",
	  EK_CHOICE(struct ek_steps_options, scan.check, "HOW", checks),
	  .recorded = 1,
	  .help = "how each image is checked" },
	{ .name = "max-pixels",
	  EK_INTEGER(struct ek_steps_options, scan.max_pixels, "N", 1, LARGEST_COUNT),
	  .recorded = 1,
	  .help = "reject images that claim more pixels" },
	{ .name = "held-out",
	  EK_NUMBER(struct ek_steps_options, scan.held_out, "F", 0, 0.9),
	  .recorded = 1,
	  .help = "share of the images, chosen by their content, to keep out of every plan and training as the "
	          "reference for evaluation" },
	{ .name = "include",
	  EK_LIST(struct ek_steps_options, scan.include, "PATTERN"),
	  .recorded = 1,
	  .check = check_pattern,
	  .help = "take only files that match (any of several): as in a shell, but * also matches a slash. A pattern "
	          "without a slash is for names of files and folders, one with a slash for paths in the data set "
	          "(names in the tar). One that names what is left out otherwise (.thumbnails, @eaDir) brings it "
	          "back; 'include' '*' takes all the rest with it" },
	{ .name = "exclude",
	  EK_LIST(struct ek_steps_options, scan.exclude, "PATTERN"),
	  .recorded = 1,
	  .check = check_pattern,
	  .help = "leave out files that match, and all in folders that do" },
	{ .name = NULL },
};
static const struct ek_option embed_rows[] = {
	{ .name = "encoder",
	  EK_CHOICE(struct ek_steps_options, embed.encoder, "NAME", ek_encoders),
	  .recorded = 1,
	  .choice_size = sizeof *ek_encoders,
	  .forgets = "weights embeddings input-size",
	  .help = "the network" },
	{ .name = "weights",
	  EK_PATH(struct ek_steps_options, embed.weights, "FILE"),
	  .recorded = 1,
	  .check = ek_check_weights,
	  .help = "its weight file (looked for in the caches otherwise)" },
	{ .name = "input-size",
	  EK_INTEGER(struct ek_steps_options, embed.input_size, "N", 1, 4096),
	  .recorded = 1,
	  .zero = "auto",
	  .help = "side in pixels at which the network sees an image; auto follows the images" },
	{ .name = "precision",
	  EK_CHOICE(struct ek_steps_options, embed.precision, "NAME", precisions),
	  .recorded = 1,
	  .help = "numbers inside the network" },
	{ .name = "storage",
	  EK_CHOICE(struct ek_steps_options, embed.storage, "NAME", storages),
	  .recorded = 1,
	  .help = "numbers in embeddings.npy" },
	{ .name = "embeddings",
	  EK_PATH(struct ek_steps_options, embed.embeddings, "FILE.npy"),
	  .recorded = 1,
	  .check = ek_import_check,
	  .excludes = "encoder",
	  .help = "take your own embeddings, [images, d], instead of an encoder's" },
	{ .name = NULL },
};
static const struct ek_option components_rows[] = {
	{ .name = "views",
	  EK_INTEGER(struct ek_steps_options, components.views, "V", 1, 64),
	  .recorded = 1,
	  .help = "embed every image V times, once as it is, else with small changes (mirrored, cropped, its colours), "
	          "to tell noise from difference; 5 are good. For design weights, labels and groups" },
	{ .name = NULL },
};

static const struct ek_option cluster_rows[] = {
	{ .name = "clusters",
	  .letter = 'k',
	  EK_INTEGER(struct ek_steps_options, cluster.clusters, "K", 1, 10000000),
	  .forgets = "hierarchy",
	  .recorded = 1,
	  .zero = "auto",
	  .standard = "as many as come out again, up to 24",
	  .help = "number of clusters (24 is the paper's); auto compares more numbers, up to 128, more thoroughly" },
	{ .name = "spherical",
	  EK_FLAG(struct ek_steps_options, cluster.spherical),
	  .recorded = 1,
	  .help = "by cosine instead of Euclidean distance" },
	{ .name = "normalise",
	  EK_CHOICE(struct ek_steps_options, cluster.normalise, "HOW", normalisations),
	  .recorded = 1,
	  .help = "scale the embeddings first" },
	{ .name = "iterations",
	  EK_INTEGER(struct ek_steps_options, cluster.iterations, "N", 1, 100000),
	  .recorded = 1,
	  .help = "at most so many; fewer if nothing changes any more" },
	{ .name = "redo",
	  EK_INTEGER(struct ek_steps_options, cluster.redo, "N", 1, 1000),
	  .recorded = 1,
	  .help = "starts to try; the best is kept" },
	{ .name = "subsample",
	  EK_INTEGER(struct ek_steps_options, cluster.subsample, "N", 1, LARGEST_COUNT),
	  .recorded = 1,
	  .zero = "all",
	  .help = "images that the centroids are found on; all are assigned" },
	{ .name = "hierarchy",
	  EK_STRING(struct ek_steps_options, cluster.hierarchy, "K1,K2,..."),
	  .recorded = 1,
	  .excludes = "clusters",
	  .help = "cluster in levels: K1 clusters of images, K2 of those, ..." },
	{ .name = NULL },
};
static const struct ek_option groups_rows[] = {
	{ .name = "groups",
	  EK_INTEGER(struct ek_steps_options, groups.number, "G", 1, 256),
	  .forgets = "labels group-words",
	  .recorded = 1,
	  .zero = "auto",
	  .standard = "none",
	  .help = "without labels: merge fine clusters to so many groups of images that lie together; auto: as many as "
	          "come out again. They need not be what anybody would call a group: ten labels each tell more" },
	{ .name = "labels",
	  EK_PATH(struct ek_steps_options, groups.labels, "FILE"),
	  .forgets = "groups group-words",
	  .recorded = 1,
	  .check = ek_given_labels_check,
	  .help = "labels of some images, ten a group or more: a table with a column file_name (or, of embeddings "
	          "alone, id) and one label; a column random (1) marks images that were drawn at random from all, of "
	          "which intervals are made. Which group every image is of is learned from them" },
	{ .name = "group-words",
	  EK_PATH(struct ek_steps_options, groups.words, "FILE"),
	  .forgets = "groups labels",
	  .recorded = 1,
	  .help = "groups that words describe, one a line: NAME, or NAME: PROMPT; PROMPT; the line 'none of these' "
	          "allows that an image is of no group. Needs CLIP's embeddings ('encoder' clip-vit-b32), whose text "
	          "half tells how likely each image is of each; with 'labels' too it is calibrated by them, "
	          "with 'groups' it names what is found" },
	{ .name = "text-weights",
	  EK_PATH(struct ek_steps_options, groups.text_weights, "FILE"),
	  .recorded = 1,
	  .check = ek_check_weights,
	  .needs = "group-words",
	  .help = "for 'group-words': a weight file with CLIP's text half, where it is not that of the encoder, or "
	          "where the embeddings are your own, made by CLIP" },
	{ .name = NULL },
};
static const struct ek_option duplicates_rows[] = {
	{ .name = "eps",
	  EK_STRING(struct ek_steps_options, duplicates.eps, "E1,E2,..."),
	  .recorded = 1,
	  .help = "images are near-duplicates if their cosine is above 1 - eps" },
	{ .name = "scope",
	  EK_CHOICE(struct ek_steps_options, duplicates.scope, "WHERE", scopes),
	  .recorded = 1,
	  .help = "which pairs are compared" },
	{ .name = "duplicate-order",
	  EK_CHOICE(struct ek_steps_options, duplicates.order, "WHICH", orders),
	  .recorded = 1,
	  .help = "which image of a pair counts as the one that stays" },
	{ .name = NULL },
};
static const struct ek_option stability_rows[] = {
	{ .name = "seeds",
	  EK_INTEGER(struct ek_steps_options, stability.seeds, "N", 1, 20),
	  .recorded = 1,
	  .help = "clusterings with other seeds to compare with" },
	{ .name = "stability-images",
	  EK_INTEGER(struct ek_steps_options, stability.images, "N", 100, LARGEST_COUNT),
	  .recorded = 1,
	  .zero = "all",
	  .help = "at most so many images, drawn by the seed" },
	{ .name = NULL },
};
static const struct ek_option audit_rows[] = {
	{ .name = "resamples",
	  EK_INTEGER(struct ek_steps_options, audit.resamples, "N", 100, 1000000),
	  .recorded = 1,
	  .help = "bootstrap resamples behind each interval" },
	{ .name = "ranges",
	  EK_LIST(struct ek_steps_options, audit.ranges, "NAME=A,B,..."),
	  .recorded = 1,
	  .check = check_ranges,
	  .help = "cut the numbers of an attribute at A, B, ..., each the begin of a range (age=0,10,20,40,60); for "
	          "all commands on the run. By default more than 20 different numbers are cut by whole steps" },
	{ .name = NULL },
};
static const struct ek_option none_rows[] = { { .name = NULL } };

const struct ek_option *const ek_step_rows[EK_STEP_COUNT] = {
	[EK_STEP_SCAN] = scan_rows,
	[EK_STEP_EMBED] = embed_rows,
	[EK_STEP_COMPONENTS] = components_rows,
	[EK_STEP_CLUSTER] = cluster_rows,
	[EK_STEP_GROUPS] = groups_rows,
	[EK_STEP_STABILITY] = stability_rows,
	[EK_STEP_DUPLICATES] = duplicates_rows,
	[EK_STEP_AUDIT] = audit_rows,
	[EK_STEP_REPORT] = none_rows,
};

void ek_steps_options_init(struct ek_steps_options *o)
{
	*o = (struct ek_steps_options){
		.scan.max_pixels = EK_MAX_PIXELS_DEFAULT,
		.components.views = 1,
		.groups.number = -1,
		.cluster = { .clusters = -1, .iterations = 100, .redo = 3 },
		.duplicates.eps = "0.001,0.003,0.01,0.03",
		.stability = { .seeds = 5, .images = 20000 },
		.audit.resamples = 1000,
	};
}

void ek_steps_options_release(struct ek_steps_options *o)
{
	ek_strings_release(&o->strings);
}

struct ek_option_table ek_step_table(struct ek_steps_options *o, enum ek_step_id id)
{
	return (struct ek_option_table){ ek_step_title(id), ek_step_rows[id], o, &o->given[id] };
}
