#include "rebalance/cli/settings.h"

#include <string.h>

#include "analysis/embed/encoder.h"
#include "rebalance/base/error.h"
#include "rebalance/io/image.h"

static const double largest_count = 9007199254740991.0; /* 2^53 - 1: what JSON keeps exactly */

static const struct ek_choice devices[] = { { "auto", "the best there is" },
	                                    { "cpu", "the processor" },
	                                    { "cuda", "an NVIDIA GPU (not in this build)" },
	                                    { NULL, NULL } };
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

static int check_pattern(const char *text)
{
	return text[strspn(text, "./")] != 0 ? 0 : ek_fail(EK_EUSAGE, "the pattern \"%s\" names no file", text);
}

void ek_settings_fill(struct ek_option *to, const struct ek_option *from)
{
	do
		*to++ = *from;
	while ((from++)->name != NULL);
}

static void init_common(struct ek_settings *s)
{
	const struct ek_option common[] = {
		{ .name = "seed",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->common.seed,
		  .argument = "N",
		  .low = 0,
		  .high = largest_count,
		  .help = "seed of every random choice" },
		{ .name = "threads",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->common.threads,
		  .argument = "N",
		  .low = 1,
		  .high = 1024,
		  .zero = "auto",
		  .help = "threads to use; results do not depend on it" },
		{ .name = "device",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->common.device,
		  .argument = "NAME",
		  .choices = devices,
		  .help = "where to compute" },
		{ .name = "force",
		  .kind = EK_KIND_FLAG,
		  .target = &s->common.force,
		  .help = "recompute what this command makes, even if it is current" },
		{ .name = "json",
		  .kind = EK_KIND_FLAG,
		  .target = &s->common.json,
		  .help = "print one JSON document instead of a table" },
		{ .name = "quiet",
		  .letter = 'q',
		  .kind = EK_KIND_FLAG,
		  .target = &s->common.quiet,
		  .help = "no progress, no messages but warnings" },
		{ .name = "help", .letter = 'h', .kind = EK_KIND_FLAG, .target = &s->common.help, .help = "this text" },
		{ .name = NULL },
	};
	const struct ek_option output[] = {
		{ .name = "output",
		  .letter = 'o',
		  .kind = EK_KIND_STRING,
		  .target = &s->common.output,
		  .argument = "RUN",
		  .help = "the run directory; made if it is not there" },
		{ .name = NULL },
	};

	ek_settings_fill(s->common_options, common);
	ek_settings_fill(s->output_options, output);
}

static void init_scan_and_embed(struct ek_settings *s)
{
	const struct ek_option scan[] = {
		{ .name = "attributes",
		  .kind = EK_KIND_PATH,
		  .target = &s->scan.attributes,
		  .argument = "FILE",
		  .recorded = 1,
		  .help = "attributes of the images: .csv, .tsv or .jsonl with a column file_name (or image_id, path "
		          "…), "
		          "or one of CelebA's lists; rows fit by path, else by file name" },
		{ .name = "key",
		  .kind = EK_KIND_STRING,
		  .target = &s->scan.key,
		  .argument = "COLUMN",
		  .recorded = 1,
		  .help = "the column of tables that names the files" },
		{ .name = "check",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->scan.check,
		  .argument = "HOW",
		  .recorded = 1,
		  .choices = checks,
		  .help = "how each image is checked" },
		{ .name = "max-pixels",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->scan.max_pixels,
		  .argument = "N",
		  .recorded = 1,
		  .low = 1,
		  .high = largest_count,
		  .help = "reject images that claim more pixels" },
		{ .name = "held-out",
		  .kind = EK_KIND_NUMBER,
		  .target = &s->scan.held_out,
		  .argument = "F",
		  .recorded = 1,
		  .low = 0,
		  .high = 0.9,
		  .help = "share of the images, chosen by their content, to keep out of every plan and training as the "
		          "reference for evaluation" },
		{ .name = "include",
		  .kind = EK_KIND_LIST,
		  .target = &s->scan.include,
		  .argument = "PATTERN",
		  .recorded = 1,
		  .check = check_pattern,
		  .help = "take only files that match (any of several): as in a shell, but * also matches a slash. A "
		          "pattern without a slash is for names of files and folders, one with a slash for paths in "
		          "the "
		          "data set (names in the tar). One that names what is left out otherwise (.thumbnails, "
		          "@eaDir) brings it back; --include '*' takes all the rest with it" },
		{ .name = "exclude",
		  .kind = EK_KIND_LIST,
		  .target = &s->scan.exclude,
		  .argument = "PATTERN",
		  .recorded = 1,
		  .check = check_pattern,
		  .help = "leave out files that match, and all in folders that do" },
		{ .name = NULL },
	};
	const struct ek_option embed[] = {
		{ .name = "encoder",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->embed.encoder,
		  .argument = "NAME",
		  .recorded = 1,
		  .choices = s->encoders,
		  .forgets = "weights embeddings input-size",
		  .help = "the network" },
		{ .name = "weights",
		  .kind = EK_KIND_PATH,
		  .target = &s->embed.weights,
		  .argument = "FILE",
		  .recorded = 1,
		  .help = "its weight file (looked for in the caches otherwise)" },
		{ .name = "input-size",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->embed.input_size,
		  .argument = "N",
		  .recorded = 1,
		  .low = 1,
		  .high = 4096,
		  .zero = "auto",
		  .help = "side in pixels at which the network sees an image; auto follows the images" },
		{ .name = "precision",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->embed.precision,
		  .argument = "NAME",
		  .recorded = 1,
		  .choices = precisions,
		  .help = "numbers inside the network" },
		{ .name = "storage",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->embed.storage,
		  .argument = "NAME",
		  .recorded = 1,
		  .choices = storages,
		  .help = "numbers in embeddings.npy" },
		{ .name = "embeddings",
		  .kind = EK_KIND_PATH,
		  .target = &s->embed.embeddings,
		  .argument = "FILE.npy",
		  .recorded = 1,
		  .help = "take your own embeddings, [images, d], instead of an encoder's" },
		{ .name = NULL },
	};

	ek_settings_fill(s->step_options[EK_STEP_SCAN], scan);
	ek_settings_fill(s->step_options[EK_STEP_EMBED], embed);
}

static void init_cluster(struct ek_settings *s)
{
	const struct ek_option cluster[] = {
		{ .name = "clusters",
		  .letter = 'k',
		  .kind = EK_KIND_INTEGER,
		  .target = &s->cluster.clusters,
		  .argument = "K",
		  .forgets = "hierarchy",
		  .recorded = 1,
		  .low = 1,
		  .high = 10000000,
		  .zero = "auto",
		  .standard = "24, or as many as images differ",
		  .help = "number of clusters; auto chooses by stability" },
		{ .name = "spherical",
		  .kind = EK_KIND_FLAG,
		  .target = &s->cluster.spherical,
		  .recorded = 1,
		  .help = "by cosine instead of Euclidean distance" },
		{ .name = "normalise",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->cluster.normalise,
		  .argument = "HOW",
		  .recorded = 1,
		  .choices = normalisations,
		  .help = "scale the embeddings first" },
		{ .name = "iterations",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->cluster.iterations,
		  .argument = "N",
		  .recorded = 1,
		  .low = 1,
		  .high = 100000,
		  .help = "at most so many; fewer if nothing changes any more" },
		{ .name = "redo",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->cluster.redo,
		  .argument = "N",
		  .recorded = 1,
		  .low = 1,
		  .high = 1000,
		  .help = "starts to try; the best is kept" },
		{ .name = "subsample",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->cluster.subsample,
		  .argument = "N",
		  .recorded = 1,
		  .low = 1,
		  .high = largest_count,
		  .zero = "all",
		  .help = "images that the centroids are found on; all are assigned" },
		{ .name = "hierarchy",
		  .kind = EK_KIND_STRING,
		  .target = &s->cluster.hierarchy,
		  .argument = "K1,K2,...",
		  .recorded = 1,
		  .help = "cluster in levels: K1 clusters of images, K2 of those, ..." },
		{ .name = NULL },
	};
	const struct ek_option duplicates[] = {
		{ .name = "eps",
		  .kind = EK_KIND_STRING,
		  .target = &s->duplicates.eps,
		  .argument = "E1,E2,...",
		  .recorded = 1,
		  .help = "images are near-duplicates if their cosine is above 1 - eps" },
		{ .name = "scope",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->duplicates.scope,
		  .argument = "WHERE",
		  .recorded = 1,
		  .choices = scopes,
		  .help = "which pairs are compared" },
		{ .name = "duplicate-order",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->duplicates.order,
		  .argument = "WHICH",
		  .recorded = 1,
		  .choices = orders,
		  .help = "which image of a pair counts as the one that stays" },
		{ .name = NULL },
	};
	const struct ek_option stability[] = {
		{ .name = "seeds",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->stability.seeds,
		  .argument = "N",
		  .recorded = 1,
		  .low = 1,
		  .high = 20,
		  .help = "clusterings with other seeds to compare with" },
		{ .name = "stability-images",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->stability.images,
		  .argument = "N",
		  .recorded = 1,
		  .low = 100,
		  .high = largest_count,
		  .zero = "all",
		  .help = "at most so many images, drawn by the seed" },
		{ .name = NULL },
	};
	const struct ek_option audit[] = {
		{ .name = "resamples",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->audit.resamples,
		  .argument = "N",
		  .recorded = 1,
		  .low = 100,
		  .high = 1000000,
		  .help = "bootstrap resamples behind each interval" },
		{ .name = NULL },
	};
	const struct ek_option none[] = { { .name = NULL } };

	ek_settings_fill(s->step_options[EK_STEP_CLUSTER], cluster);
	ek_settings_fill(s->step_options[EK_STEP_STABILITY], stability);
	ek_settings_fill(s->step_options[EK_STEP_DUPLICATES], duplicates);
	ek_settings_fill(s->step_options[EK_STEP_AUDIT], audit);
	ek_settings_fill(s->step_options[EK_STEP_REPORT], none);
}

void ek_settings_init(struct ek_settings *s)
{
	memset(s, 0, sizeof *s);
	s->scan.max_pixels = EK_MAX_PIXELS_DEFAULT;
	s->cluster.clusters = -1;
	s->cluster.iterations = 100;
	s->cluster.redo = 3;
	s->duplicates.eps = "0.001,0.003,0.01,0.03";
	s->stability.seeds = 5;
	s->stability.images = 20000;
	s->audit.resamples = 1000;
	for (size_t i = 0; i + 1 < EK_ENCODERS_MAX && ek_encoders[i].name != NULL; i++)
		s->encoders[i] = (struct ek_choice){ ek_encoders[i].name, ek_encoders[i].summary };
	init_common(s);
	init_scan_and_embed(s);
	init_cluster(s);
}
