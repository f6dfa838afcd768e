#include "rebalance/io/layout.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

/* The first row that fits counts. In an export, any other file is an image. */
static const struct ek_layout image = { EK_PLACE_EXPORT, "*",
	                                "an image of the export; metadata.jsonl says which of the run it is",
	                                ".evenkeel-export", NULL };
const struct ek_layout ek_layout[] = {
	{ EK_PLACE_RUN, "", "a run directory", NULL, NULL },
	{ EK_PLACE_RUN, "run.json", "what each step of the run was made from, with hashes of its files", NULL, NULL },
	{ EK_PLACE_RUN, ".lock", "the lock that a writing command holds, with its process id", NULL, NULL },
	{ EK_PLACE_RUN, ".lock.held", "the lock of a writing command, where the file system has no locks", NULL, NULL },
	{ EK_PLACE_RUN, "list.txt", "the paths that were given on standard input, absolute", NULL, NULL },
	{ EK_PLACE_RUN, "images.jsonl", "one line per usable image, in id order", NULL, NULL },
	{ EK_PLACE_RUN, "rejected.jsonl", "one line per unusable image, with the reason", NULL, NULL },
	{ EK_PLACE_RUN, "embeddings.npy", "[images, dimensions] the feature vector of each image; row i is image id i",
	  "*", NULL },
	{ EK_PLACE_RUN, "embeddings.json", "how the embeddings were made", "", NULL },
	{ EK_PLACE_RUN, "embeddings.npy.partial", "embeddings of a pass that is not finished; embed goes on with it",
	  NULL, NULL },
	{ EK_PLACE_RUN, "embeddings.npy.partial.key", "what the embeddings of an unfinished pass are made from", NULL,
	  NULL },
	{ EK_PLACE_RUN, "embeddings-*.npy", "[images, dimensions] embeddings of an encoder that was used before", "*",
	  NULL },
	{ EK_PLACE_RUN, "embeddings-*.json", "how the embeddings of an earlier encoder were made", "", NULL },
	{ EK_PLACE_RUN, "components", "whitened components of the embeddings", "components.json", "components" },
	{ EK_PLACE_RUN, "components/axes.npy",
	  "[components, dimensions] the whitened components: each is this times (embedding - mean)", "components.json",
	  NULL },
	{ EK_PLACE_RUN, "components/mean.npy", "[dimensions] the mean of the embeddings and of those of their views",
	  "components.json", NULL },
	{ EK_PLACE_RUN, "components/leverage.npy",
	  "[images] how far each image lies from all others, in the measure of their directions: what is rare",
	  "components.json", NULL },
	{ EK_PLACE_RUN, "components/components.json", "what the components were whitened by", "", NULL },
	{ EK_PLACE_RUN, "components/partial.npy",
	  "sums over the views of a pass that is not finished; embed goes on with it", NULL, NULL },
	{ EK_PLACE_RUN, "clusters", "the clustering: the cluster of each image, centroids, what was measured of them",
	  "clusters.json", "cluster" },
	{ EK_PLACE_RUN, "clusters/assignment.npy", "[images] the cluster of each image", "clusters.json", NULL },
	{ EK_PLACE_RUN, "clusters/distance.npy",
	  "[images] the distance of each image to the centroid of its cluster (spherical: 1 - cosine)", "clusters.json",
	  NULL },
	{ EK_PLACE_RUN, "clusters/centroids.npy", "[clusters, dimensions] the centroid of each cluster",
	  "clusters.json", NULL },
	{ EK_PLACE_RUN, "clusters/clusters.json", "how the clusters were made, and their sizes", "", NULL },
	{ EK_PLACE_RUN, "clusters/membership.npy", "[images, groups] the probability that each image is of each group",
	  "groups.json", "groups" },
	{ EK_PLACE_RUN, "clusters/classifier.npy",
	  "[groups, dimensions + 1 + groups] what tells the named groups of images that are not of the run, by their "
	  "embeddings",
	  "groups.json", NULL },
	{ EK_PLACE_RUN, "clusters/words.npy", "[images] the likeliest of the words that name groups and clusters",
	  "groups.json", NULL },
	{ EK_PLACE_RUN, "clusters/groups.json",
	  "the groups that were learned from labels, described by words or found, and their shares", "", "groups" },
	{ EK_PLACE_RUN, "clusters/map.json", "a 2-D picture of at most 2,000 images", NULL, NULL },
	{ EK_PLACE_RUN, "clusters/stability.json",
	  "how far the clusters agree across seeds, numbers of clusters and encoders", "", NULL },
	{ EK_PLACE_RUN, "clusters/duplicates.json", "near-duplicate images, counted by eps, and the largest groups", "",
	  NULL },
	{ EK_PLACE_RUN, "clusters/duplicate_similarity.npy",
	  "[images] the largest cosine of each image to an earlier one; -1: there is none", NULL, NULL },
	{ EK_PLACE_RUN, "clusters/duplicate_partner.npy", "[images] that earlier image, or -1", NULL, NULL },
	{ EK_PLACE_RUN, "ranges.json", "where numbers of attributes are cut, as asked", NULL, NULL },
	{ EK_PLACE_RUN, "audit.json", "the measures of skew, with 95 % intervals", "", NULL },
	{ EK_PLACE_RUN, "report.html", "the report: one page that opens in a browser, without a network", NULL, NULL },
	{ EK_PLACE_RUN, "subsets", "the subsets that prune and balance made", NULL, NULL },
	{ EK_PLACE_RUN, "subsets/.*.new*", "what a stopped prune or balance left behind; the next one removes it", NULL,
	  NULL },
	{ EK_PLACE_RUN, "subsets/*", "a subset: which images to keep, and what that does to whom", "subset.json",
	  "subset %s" },
	{ EK_PLACE_RUN, "subsets/*/keep.npy",
	  "[kept] the ids to keep, rising; an image that is repeated stands there so often", "subset.json",
	  "subset %s" },
	{ EK_PLACE_RUN, "subsets/*/decision.npy",
	  "[images] 0 removed by the rule, 1 kept, 2 held out for evaluation, 3 no value of what is counted by",
	  "subset.json", "subset %s" },
	{ EK_PLACE_RUN, "subsets/*/rank.npy",
	  "[images] the place of each image in its unit by the rule, from 0; 4294967295: in no unit", "subset.json",
	  "subset %s" },
	{ EK_PLACE_RUN, "subsets/*/subset.json",
	  "how the subset was made, and what it does to every cluster and attribute", "", "subset %s" },
	{ EK_PLACE_RUN, "subsets/*/metadata.jsonl", "one line per kept image, as Hugging Face's ImageFolder reads it",
	  "subset.json", "subset %s" },
	{ EK_PLACE_RUN, "subsets/*/kept.txt", "the names of the images that are kept, one a line", "subset.json",
	  "subset %s" },
	{ EK_PLACE_RUN, "subsets/*/removed.txt", "the names of the images that are not kept, one a line", "subset.json",
	  "subset %s" },
	{ EK_PLACE_RUN, "weights", "the weights that the command of this name made", NULL, NULL },
	{ EK_PLACE_RUN, "weights/*", "weights: how often each image is to be shown, for draw and for trainers",
	  "weights.json", "weights %s" },
	{ EK_PLACE_RUN, "weights/*/weights.npy", "[images] the probability of drawing each image; they sum to 1",
	  "weights.json", "weights %s" },
	{ EK_PLACE_RUN, "weights/*/members.npy",
	  "[images in a unit] the ids, unit after unit: what the sampler deals from", "weights.json", "weights %s" },
	{ EK_PLACE_RUN, "weights/*/groups.csv", "one line per unit: its images, shares, weight and visits an epoch",
	  "weights.json", "weights %s" },
	{ EK_PLACE_RUN, "weights/*/weights.json", "how the weights were made, and what they come to", "",
	  "weights %s" },
	{ EK_PLACE_RUN, "models", "the models that were trained", NULL, NULL },
	{ EK_PLACE_RUN, "models/*", "a model that is trained: its options, log and checkpoints", "config.json",
	  "model %s" },
	{ EK_PLACE_RUN, "models/*/config.json", "what is trained, with which options", "", "model %s" },
	{ EK_PLACE_RUN, "models/*/log.jsonl", "the loss and the speed of the training, step by step", NULL,
	  "model %s" },
	{ EK_PLACE_RUN, "models/*/losses.npy",
	  "[checks, images] float32: the loss of every image while the model learned, the same draws each time",
	  "losses.json", "model %s" },
	{ EK_PLACE_RUN, "models/*/losses.json", "at which steps and with how many draws the losses were taken", "",
	  "model %s" },
	{ EK_PLACE_RUN, "models/*/step-*.safetensors",
	  "a checkpoint: parameters under model., their average under ema., the optimiser's state", NULL, "model %s" },
	{ EK_PLACE_RUN, "models/*/diffusion_pytorch_model.safetensors",
	  "the finished autoencoder, as diffusers reads it, with config.json", "config.json", "model %s" },
	{ EK_PLACE_RUN, "models/*/latents.npy", "[images, h, w, c] the latents of all images by the autoencoder", NULL,
	  NULL },
	{ EK_PLACE_RUN, "models/*/preview-*.png", "what the model made at that step, to look at", NULL, "model %s" },
	{ EK_PLACE_RUN, "samples", "the images that generate made", NULL, NULL },
	{ EK_PLACE_RUN, "samples/.*.new*", "what a stopped generate has made so far; the same command goes on with it",
	  NULL, NULL },
	{ EK_PLACE_RUN, "samples/*", "generated images", "config.json", "samples %s" },
	{ EK_PLACE_RUN, "samples/*/config.json", "which model made the images, and how", "", "samples %s" },
	{ EK_PLACE_RUN, "samples/.*.new*/step.json", "what run.json will say of samples that are not all made yet",
	  NULL, NULL },
	{ EK_PLACE_RUN, "samples/*/samples.jsonl", "one line per generated image: its seed and class", "config.json",
	  "samples %s" },
	{ EK_PLACE_RUN, "samples/*/sheet.png", "the first generated images on one sheet", "config.json", "samples %s" },
	{ EK_PLACE_RUN, "samples/*/latents.npy", "[samples, h, w, c] the samples before they were decoded",
	  "config.json", "samples %s" },
	{ EK_PLACE_RUN, "samples/*/images", "the generated images, one file each", NULL, "samples %s" },
	{ EK_PLACE_RUN, "samples/*/images/*.png", "a generated image; samples.jsonl has its seed and class", NULL,
	  "samples %s" },
	{ EK_PLACE_RUN, "samples/*/embeddings.npy",
	  "[samples, dimensions] the feature vector of each generated image, made as those of the run", "*", NULL },
	{ EK_PLACE_RUN, "samples/*/embeddings-*.npy",
	  "[samples, dimensions] feature vectors by another encoder, that an evaluation measured with", "*", NULL },
	{ EK_PLACE_RUN, "samples/*/embeddings.json", "how the feature vectors of the samples were made", "", NULL },
	{ EK_PLACE_RUN, "samples/*/embeddings*.json", "how the feature vectors of the samples were made", "", NULL },
	{ EK_PLACE_RUN, "samples/*/assignment.npy", "[samples] the nearest cluster of the run", NULL, NULL },
	{ EK_PLACE_RUN, "samples/*/neighbours.npy", "[samples, 5] the nearest training images, nearest first; -1: none",
	  NULL, NULL },
	{ EK_PLACE_RUN, "samples/*/neighbour_distances.npy", "[samples, 5] how far they are", NULL, NULL },
	{ EK_PLACE_RUN, "samples/*/own_distance.npy",
	  "[samples] how far the nearest training image is from its own nearest other one", NULL, NULL },
	{ EK_PLACE_RUN, "samples/*/groups.npy", "[samples, groups] how likely each is of each named group", NULL,
	  NULL },
	{ EK_PLACE_RUN, "samples/*/copied.npy", "[samples] 1: looks copied from a training image", NULL, NULL },
	{ EK_PLACE_RUN, "evaluations", "what was measured of generated images", NULL, NULL },
	{ EK_PLACE_RUN, "evaluations/*.json",
	  "how good generated images are, for whom, and whether they are copies; docs/evaluation.md tells how to read "
	  "it",
	  "", NULL },
	{ EK_PLACE_RUN, "labels", "which group people say that images belong to", NULL, NULL },
	{ EK_PLACE_RUN, "labels/*.jsonl",
	  "one line per act, in the order they were made: images and their group, a new name, a taking back; their "
	  "summary counts them",
	  NULL, NULL },
	{ EK_PLACE_RUN, "labels/.*.lock", "the lock that labelling holds, with its process id", NULL, NULL },
	{ EK_PLACE_RUN, "reviews", "what people decided on generated images", NULL, NULL },
	{ EK_PLACE_RUN, "reviews/*.jsonl",
	  "one line per decision on a generated image, in the order they were made; a review's summary counts them",
	  NULL, NULL },
	{ EK_PLACE_RUN, "reviews/.*.lock", "the lock that a review holds, with its process id", NULL, NULL },
	{ EK_PLACE_RUN, "label-reviews", "what people decided on labels that are likely wrong", NULL, NULL },
	{ EK_PLACE_RUN, "label-reviews/*.jsonl",
	  "one line per decision on a label, in the order they were made; a review's summary counts them", NULL, NULL },
	{ EK_PLACE_RUN, "label-reviews/.*.lock", "the lock that a review holds, with its process id", NULL, NULL },
	{ EK_PLACE_RUN, "cache", "what can be made again, and is safe to delete", NULL, NULL },
	{ EK_PLACE_RUN, "cache/pixels-*.npy", "[images, side, side, 3] the pixels that trainings learn from", NULL,
	  NULL },
	{ EK_PLACE_RUN, "cache/latents-*.npy", "[images, h, w, c] latents by an autoencoder from elsewhere", NULL,
	  NULL },
	{ EK_PLACE_RUN, "cache/evaluated.npy", "several sets of samples after each other, while they are measured",
	  NULL, NULL },
	{ EK_PLACE_RUN, "cache/scores", "what a stopped score has worked out so far; the same command goes on with it",
	  NULL, NULL },
	{ EK_PLACE_RUN, "cache/features", "lists and features of images that are not the run's", NULL, NULL },
	{ EK_PLACE_RUN, "cache/features/*", "a list of such images, as a run that holds the scan alone", NULL, NULL },
	{ EK_PLACE_RUN, "data", "the images and classes of the demo", NULL, NULL },
	{ EK_PLACE_RUN, "data/*", "a file of the demo's data", NULL, NULL },
	{ EK_PLACE_RUN, "scores", "scores: numbers for images, of the command score or of your own", NULL, NULL },
	{ EK_PLACE_RUN, "scores/*.error.npy", "[images] the standard error of each score", NULL, NULL },
	{ EK_PLACE_RUN, "scores/*.npy",
	  "[images] a score for each image, NaN where it has none; prune keeps by it, by the method score:NAME", "*",
	  NULL },
	{ EK_PLACE_RUN, "scores/*.json", "how the scores were made, and what they come to", "", NULL },
	{ EK_PLACE_RUN, "scores/*.csv", "one line per image whose label is likely wrong, the worst first", NULL, NULL },
	{ EK_PLACE_EXPORT, "", "an export: a subset, or what a review accepted, laid out for a trainer",
	  ".evenkeel-export", NULL },
	{ EK_PLACE_EXPORT, ".evenkeel-export", "what the export was made from, and the files it wrote", "", NULL },
	{ EK_PLACE_EXPORT, "metadata.jsonl", "one line per exported file, as Hugging Face's ImageFolder reads it",
	  ".evenkeel-export", NULL },
	{ EK_PLACE_EXPORT, "missing.jsonl", "one line per image that could not be exported, with the reason",
	  ".evenkeel-export", NULL },
	{ EK_PLACE_EXPORT, "classes.json", "the name of each class number in the .cls members of the shards",
	  ".evenkeel-export", NULL },
	{ EK_PLACE_EXPORT, "paths.txt", "the absolute paths of the kept images, in the order of keep.npy",
	  ".evenkeel-export", NULL },
	{ EK_PLACE_EXPORT, "[0-9]*.tar",
	  "a WebDataset shard: for each image a .jpg or .png, a .json and perhaps a .cls", ".evenkeel-export", NULL },
	{ .pattern = NULL },
};

const struct ek_layout *ek_layout_find(enum ek_layout_place place, const char *path)
{
	for (const struct ek_layout *row = ek_layout; row->pattern != NULL; row++)
		if (row->place == place && fnmatch(row->pattern, path, FNM_PATHNAME) == 0)
			return row;
	return place == EK_PLACE_EXPORT ? &image : NULL;
}

static int is_known(const char *pattern)
{
	for (const struct ek_layout *row = ek_layout; row->pattern != NULL; row++)
		if (row->place == EK_PLACE_RUN && strcmp(row->pattern, pattern) == 0)
			return 1;
	return 0;
}

int ek_layout_name(char **out, const char *pattern, const char *name)
{
	const size_t star = strcspn(pattern, "*");

	assert(is_known(pattern) && (name != NULL) == (pattern[star] == '*'));
	return name != NULL ? ek_format(out, "%.*s%s%s", (int)star, pattern, name, pattern + star + 1)
	                    : ek_copy_string(out, pattern);
}

int ek_layout_path_at(char **out, const char *run, const char *pattern, const char *name)
{
	char *inside = NULL;
	int rc;

	EK_TRY(ek_layout_name(&inside, pattern, name));
	EK_TRY(ek_format(out, "%s/%s", run, inside));
out:
	free(inside);
	return rc;
}

int ek_layout_path(char **out, const struct ek_run *run, const char *pattern, const char *name)
{
	return ek_layout_path_at(out, ek_run_path(run), pattern, name);
}
