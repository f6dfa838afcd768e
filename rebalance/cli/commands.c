#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"

static const enum ek_step_id audit_steps[] = { EK_STEP_SCAN,   EK_STEP_EMBED,     EK_STEP_COMPONENTS, EK_STEP_CLUSTER,
	                                       EK_STEP_GROUPS, EK_STEP_STABILITY, EK_STEP_DUPLICATES, EK_STEP_AUDIT,
	                                       EK_STEP_REPORT, EK_STEP_END };
/* The report comes after the plans. */
static const enum ek_step_id demo_steps[] = { EK_STEP_SCAN,       EK_STEP_EMBED, EK_STEP_CLUSTER, EK_STEP_STABILITY,
	                                      EK_STEP_DUPLICATES, EK_STEP_AUDIT, EK_STEP_END };
static const enum ek_step_id scan_steps[] = { EK_STEP_SCAN, EK_STEP_END };
static const enum ek_step_id embed_steps[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_COMPONENTS, EK_STEP_END };
static const enum ek_step_id stability_steps[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_CLUSTER, EK_STEP_STABILITY,
	                                           EK_STEP_END };
static const enum ek_step_id duplicates_steps[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_CLUSTER, EK_STEP_DUPLICATES,
	                                            EK_STEP_END };
static const enum ek_step_id cluster_steps[] = { EK_STEP_SCAN,    EK_STEP_EMBED,  EK_STEP_COMPONENTS,
	                                         EK_STEP_CLUSTER, EK_STEP_GROUPS, EK_STEP_END };

#define DATASET_FORMS                                                                                                  \
	"DATASET is a folder of images (JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP); tar files, 'shard-{000..120}.tar' or " \
	"a folder of them; Hugging Face's .parquet shards, likewise (evenkeel version says whether their reader is "   \
	"there); a zip of images; a text file of paths, or - for one on standard input; a .csv, .tsv or .jsonl with "  \
	"a column file_name; an MNIST-style IDX file; a .npz or .npy of images; or a .npy of embeddings alone. "       \
	"Nothing in it is changed.\n"                                                                                  \
	"Several data sets are taken together, in the order given: each keeps its own labels, names are relative to "  \
	"the folder that all lie in, and the attribute dataset says which one an image is of (--by dataset). Tars, "   \
	"or Parquet shards, of one folder that follow each other are one data set."

const struct ek_command ek_commands[] = {
	{ .name = "audit",
	  .arguments = "DATASET... -o RUN | RUN",
	  .summary = "find and measure the skew of a data set, and write a report",
	  .description =
	          "Lists and checks every image, embeds and clusters them, measures how unequal the clusters are, and "
	          "writes RUN/report.html. What is already there and current is used again; a stopped audit goes on "
	          "where it was.\nOn an existing RUN, `evenkeel audit RUN` brings everything up to date with the "
	          "options used before and those given now.\n" DATASET_FORMS,
	  .steps = audit_steps,
	  .takes_output = 1,
	  .forces_all = 1,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_audit },
	{ .name = "scan",
	  .arguments = "DATASET... -o RUN | RUN",
	  .summary = "list and check every image",
	  .description = "Writes RUN/images.jsonl, one line per usable image, and RUN/rejected.jsonl, one line per "
	                 "unusable one with the reason.\n" DATASET_FORMS,
	  .steps = scan_steps,
	  .takes_output = 1,
	  .idle = "seed",
	  .run = ek_cmd_step },
	{ .name = "embed",
	  .arguments = "RUN",
	  .summary = "turn every image into a feature vector",
	  .description =
	          "Writes RUN/embeddings.npy, row i for image id i. It can be stopped at any moment and goes on where "
	          "it was. With --views also RUN/components, directions in which images differ more than views of one "
	          "image do. --weights takes .safetensors, .pt, .pth and .bin as they are published: CLIP by the names "
	          "of transformers, OpenAI or open_clip, DINOv2 by those of transformers, Meta or timm. A config.json "
	          "(hidden_act) or open_clip_config.json beside the file says which activation CLIP has; a file of "
	          "OpenAI's names without either is taken for OpenAI's, with quick_gelu, and a line says so.",
	  .steps = embed_steps,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_step },
	{ .name = "cluster",
	  .arguments = "RUN",
	  .summary = "group similar images by k-means",
	  .description =
	          "Writes RUN/clusters: the cluster of each image, its distance to the centroid, the centroids "
	          "and a 2-D map. With --labels also which of the labelled groups each image is of, and with what "
	          "probability: --by group then counts by these groups.",
	  .steps = cluster_steps,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_step },
	{ .name = "stability",
	  .arguments = "RUN",
	  .summary = "tell how far the clusters can be trusted",
	  .description = "Clusters again with other seeds, other numbers of clusters and every other encoder there is "
	                 "an embedding of (RUN/embeddings-*.npy), and writes the agreement to "
	                 "RUN/clusters/stability.json.",
	  .steps = stability_steps,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_step },
	{ .name = "duplicates",
	  .arguments = "RUN",
	  .summary = "find near-duplicate images",
	  .description = "Writes groups of near-duplicates for a list of distances to RUN/clusters/duplicates.json.",
	  .steps = duplicates_steps,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_step },
	{ .name = "label",
	  .arguments = "RUN [--groups NAME,... --person NAME]",
	  .summary = "say which group images belong to, on a page of this machine",
	  .description =
	          "Serves a page on 127.0.0.1 and prints its address, which holds a secret token. It shows sheets of "
	          "images, those first from which most is learned; whoever opens it names the groups and says with a "
	          "click or a key which images belong to which. As soon as two groups have labels each image comes "
	          "with the group that it is taken for, to be mended and confirmed a sheet at a time. Of groups that "
	          "have fewer than ten labels it shows likely images in a search. Another sheet is a simple random "
	          "sample, for honest shares. Ten labels a group are what to aim at: minutes. embed --views 5 before "
	          "it lets the page tell images apart better, as it does audit --labels after it.\nEach label is on "
	          "disk, in RUN/labels/NAME.jsonl, before the page shows it. Several people can label the same images; "
	          "an image has the group that most of them say. --summary says what has been labelled, --export "
	          "writes it as a table (file_name,label,random) that audit --labels takes: then every image has its "
	          "group, shares have intervals, and --by group evens them out.",
	  .own = &ek_label_own,
	  .idle = "seed force",
	  .run = ek_cmd_label },
	{ .name = "prune",
	  .arguments = "RUN --method M --keep F --name NAME",
	  .summary = "choose a part of the images to keep",
	  .description = "Writes RUN/subsets/NAME: the ids to keep, why each image is kept or not, and what that does "
	                 "to every cluster and attribute. Two random subsets of the same size are written beside it, "
	                 "NAME-random and NAME-random-within, to compare with. No image is touched.\nFor "
	                 "near-duplicates, --method semdedup --eps E lets their number follow from how alike they "
	                 "are; semdedup and d4 tell how many each --rule would remove at several E.\nWith --recipe "
	                 "FILE.json a plan is written down, and made again from the file alone.",
	  .steps = cluster_steps,
	  .own = &ek_prune_own,
	  .has_recipe = 1,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_prune },
	{ .name = "balance",
	  .arguments = "RUN --to smallest | --total N | --target FILE, --name NAME",
	  .summary = "choose images so that groups, clusters, labels or attributes have equal or wanted shares",
	  .description = "Writes RUN/subsets/NAME as prune does. --to smallest cuts all to the size of the smallest; "
	                 "--total N shares N images out as evenly as there are images (from the top of the tree down, "
	                 "if the clusters were made with --hierarchy); --target FILE takes the shares of a file.",
	  .steps = cluster_steps,
	  .own = &ek_balance_own,
	  .has_recipe = 1,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_balance },
	{ .name = "weights",
	  .arguments = "RUN --scheme S --name NAME",
	  .summary = "say how often each image is to be shown, so that units get fair shares",
	  .description =
	          "Writes RUN/weights/NAME: one weight per image, one row per unit, and what it comes to: visits "
	          "per image and epoch, effective sample size, largest repeat. An epoch shows as many images as "
	          "there are.\nA trainer draws by it with `evenkeel draw`, with the library, or with its own "
	          "weighted sampler from weights.npy.",
	  .own = &ek_weights_own,
	  .has_recipe = 1,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_weights },
	{ .name = "draw",
	  .arguments = "RUN --weights NAME | --subset NAME",
	  .summary = "list the images of an epoch in the order of training",
	  .description =
	          "The image at a position of an epoch depends on the seed, the epoch and the position alone, so "
	          "a training goes on at any place, with any number of processes. Shares are exact, and an image "
	          "comes again only when all of its unit have been shown.",
	  .own = &ek_draw_own,
	  .idle = "threads force",
	  .run = ek_cmd_draw },
	{ .name = "export",
	  .arguments = "RUN --subset NAME -o DIR",
	  .summary = "lay a subset out as links, copies, tar shards, a list or class folders",
	  .description =
	          "Makes DIR from the images of RUN/subsets/NAME/keep.npy; an image that the subset repeats is there "
	          "as often. Links, copies and class folders come with metadata.jsonl, which Hugging Face's "
	          "imagefolder reads; in a shard each image has a .json beside it, and a .cls if it has a class.\nDIR "
	          "appears when all of it is written. Every image is compared with the scan: what is missing or has "
	          "changed is counted and the first named, and then nothing is exported unless --keep-going is given.",
	  .own = &ek_export_own,
	  .idle = "seed threads",
	  .run = ek_cmd_export },
	{ .name = "train vae",
	  .arguments = "RUN --name NAME",
	  .summary = "train an autoencoder for the images of a run",
	  .description =
	          "An autoencoder with diffusers' architecture and names (AutoencoderKL, VQModel) learns to turn "
	          "images into small latents and back; train flow works in those.\nWrites RUN/models/NAME: "
	          "checkpoints, log.jsonl, previews (images above, what comes back of them below), and at the end "
	          "config.json and diffusion_pytorch_model.safetensors, which diffusers loads.",
	  .own = &ek_train_vae_own,
	  .steps = scan_steps,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_train_vae },
	{ .name = "train flow",
	  .arguments = "RUN --name NAME --autoencoder NAME | --space pixel",
	  .summary = "train a generator of images like those of a run",
	  .description =
	          "A transformer (SiT) learns to turn noise into images, told of each image's cluster, label or "
	          "attribute if asked. It sees all images, a subset, or images as often as weights say.\n"
	          "Writes RUN/models/NAME: checkpoints with the public names of SiT, log.jsonl and previews. What it "
	          "sees at a step depends on the seed alone; stopped and resumed, it ends with the same bytes.",
	  .own = &ek_train_flow_own,
	  .steps = cluster_steps,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_train_flow },
	{ .name = "score",
	  .arguments = "RUN --method M --name NAME",
	  .summary = "give every image a number: how hard, atypical or suspect it is",
	  .description =
	          "Writes RUN/scores/NAME.npy, a number for each image, and NAME.json, what they come to; prune "
	          "--method score:NAME --order high, low or middle keeps by it. Methods whose names begin with probe- "
	          "train a linear classifier of the embeddings, in seconds, for the labels of the data set or for its "
	          "clusters, with several seeds; NAME.error.npy has the standard error of each score.\n"
	          "label-errors says which labels are likely wrong: NAME.csv lists those images with the label that "
	          "was suggested instead. No image and no label is changed.\n"
	          "el2n, grand, grand-last, forgetting, forgetting-count, moso and moso-full are of a generator: "
	          "--model NAME that train flow made, or several of them. Every image is judged at the same times and "
	          "noises. Stopped or killed, the same command goes on where it was; what it takes is said before.",
	  .own = &ek_score_own,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_score },
	{ .name = "generate",
	  .arguments = "RUN --model NAME|FILE --name NAME",
	  .summary = "make images with a generator",
	  .description =
	          "Writes RUN/samples/NAME: images/000000.png and so on, samples.jsonl with the seed and class of "
	          "each, and sheet.png. The n-th image of a class, or of all without a condition, is the same "
	          "however many are made, of its class and of others. --model FILE.pt samples a public SiT or DiT as "
	          "it is, without a training in RUN, which may be any run: --class takes its labels by number "
	          "(ImageNet's 0 to 999), and --autoencoder DIR decodes what it makes, as: evenkeel generate RUN "
	          "--model SiT-XL-2-256.pt --autoencoder sd-vae-ft-ema --class 207,360 --guidance 4 "
	          "--guidance-channels 3 --name public.",
	  .own = &ek_generate_own,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_generate },
	{ .name = "evaluate",
	  .arguments = "RUN --samples NAME|PATH [--name NAME]",
	  .summary = "measure generated images: quality, diversity, copies, and who is missing",
	  .description =
	          "Compares generated images with real ones that the model did not see, in the space of the run's "
	          "embeddings, and with the clusters of the audit: which are generated too rarely, which are covered "
	          "badly, and which images are copies of training images. Hold a part of the images out for it when "
	          "you audit: --held-out 0.1.\nWrites RUN/evaluations/NAME.json. A number that makes no sense there "
	          "is null, and the file says why.",
	  .own = &ek_evaluate_own,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_evaluate },
	{ .name = "compare",
	  .arguments = "RUN...",
	  .summary = "set the evaluations of a run, or of several, side by side",
	  .description =
	          "Prints one line an evaluation, and its differences to a baseline. A * marks what is more than the "
	          "spread over sample sets, or than the intervals where there is one set; ? says that neither is "
	          "known. What was measured otherwise (encoder, number of images, k, reference) is not compared, and "
	          "why is said.\nThe report draws the same as curves over the kept fraction.",
	  .own = &ek_compare_own,
	  .idle = "seed threads force",
	  .run = ek_cmd_compare },
	{ .name = "sweep",
	  .arguments = "RUN --methods M,... --keeps F,... --steps N --autoencoder NAME | --space pixel",
	  .summary = "prune, train, generate and evaluate for each method and kept fraction",
	  .description =
	          "For each method and fraction, and once for all images: prune, train flow, generate (with several "
	          "seeds), evaluate, one line each. Subset, model, samples and evaluation of a point have one name, as "
	          "sweep-furthest-0.25. Stopped or killed, the same command goes on where it was; a point that fails "
	          "is told, and the others go on.\nAll points train for the same number of steps, so that they cost "
	          "the same and only what they are shown differs: the same number of epochs would train small subsets "
	          "less.\nBeforehand, `evenkeel cluster RUN` makes the clusters, and `audit --held-out` a reference "
	          "that no model sees.",
	  .own = &ek_sweep_own,
	  .calls_others = 1,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_sweep },
	{ .name = "review",
	  .arguments = "RUN --samples NAME | --labels NAME",
	  .summary = "judge generated images, or doubtful labels, on a page of this machine",
	  .description =
	          "Serves a page on 127.0.0.1 and prints its address, which holds a secret token. It shows the images "
	          "of RUN/samples/NAME, those in the small clusters first, each beside its five nearest real images; "
	          "whoever opens it accepts, rejects or is unsure. Each decision is on disk, in "
	          "RUN/reviews/NAME.jsonl, before the page shows it. Several people can judge the same images, one "
	          "after the other or at once.\n"
	          "An image is accepted when nobody rejects it and more accept it than are unsure; --export writes "
	          "those. --summary says how far reviewers agree (Cohen's kappa).\n"
	          "--labels NAME shows the images whose labels RUN/scores/NAME doubts (score --method label-errors), "
	          "the worst first, beside images that are surest of the label given and of the one suggested; "
	          "whoever opens it says that the label is right, or wrong and what it is instead. The decisions are "
	          "in RUN/label-reviews/NAME.jsonl. --export writes a table of all labels, corrected; a label that is"
	          " wrong, and nobody knows what it is, is empty there. `evenkeel audit RUN --attributes TABLE` makes"
	          " it the attribute corrected_label, by which prune, balance, weights and train flow --condition go.",
	  .own = &ek_review_own,
	  .idle = "seed",
	  .run = ek_cmd_review },
	{ .name = "report",
	  .arguments = "RUN",
	  .summary = "rebuild the report from the files of a run",
	  .description = "Writes RUN/report.html, one page that opens in any browser without a network.",
	  .steps = audit_steps,
	  .run = ek_cmd_report },
	{ .name = "info",
	  .arguments = "PATH",
	  .summary = "say what a file or directory of ours is",
	  .description = "PATH is a run directory or an export, any file or folder in one, a recipe, a .npy array or a "
	                 "weight file. Of what a run holds it says which step wrote it, with which options, whether it "
	                 "is current, and if not, what has changed and what makes it again.",
	  .idle = "seed force",
	  .run = ek_cmd_info },
	{ .name = "demo",
	  .arguments = "[-o RUN]",
	  .summary = "the main job, end to end, on real images",
	  .description =
	          "Takes the 60,000 photographs of Debian's package dataset-fashion-mnist, makes them long-tailed on "
	          "purpose (class sizes falling from 6,000 to 60), audits what is left without its labels, and then "
	          "says how well the clusters found the hidden classes. It goes on to a balanced subset and samplers, "
	          "by clusters, without labels, and by ten labels a class, as a person gives them in minutes, and says "
	          "how much of the skew each mends. It trains a small autoencoder and two small generators, one on the "
	          "images as they come, one by the weights of ten labels, draws from both, evaluates that on "
	          "photographs that no step has seen, and says what that changed for the rarest groups: all by the "
	          "commands that you would give, which it prints.\nRUN is evenkeel-demo unless told otherwise.",
	  .steps = demo_steps,
	  .own = &ek_demo_own,
	  .calls_others = 1,
	  .takes_output = 1,
	  .needs_no_dataset = 1,
	  .forces_all = 1,
	  .ways = EK_WAYS_GPU,
	  .run = ek_cmd_demo },
	{ .name = "help",
	  .arguments = "[COMMAND]",
	  .summary = "this list, or the help of one command",
	  .description = "",
	  .idle = "seed threads force json quiet",
	  .run = ek_cmd_help },
	{ .name = "version",
	  .arguments = "",
	  .description = "",
	  .summary = "the version, the libraries and the instruction sets in use",
	  .idle = "seed threads force quiet",
	  .run = ek_cmd_version },
	{ .name = "completion",
	  .arguments = "",
	  .summary = "print a completion script for bash",
	  .description = "To use it: source <(evenkeel completion)",
	  .idle = "seed threads force json quiet",
	  .run = ek_cmd_completion },
	{ .name = "manual",
	  .arguments = "",
	  .summary = "print the manual page",
	  .description = "To read it: evenkeel manual | man -l -",
	  .idle = "seed threads force json quiet",
	  .run = ek_cmd_manual },
	{ .name = NULL },
};

const struct ek_command *ek_find_command(const char *name)
{
	for (const struct ek_command *c = ek_commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static int fail_unknown(const char *name)
{
	char words[64][16]; /* of a name of two, the first: "train" */
	const char *names[128], *nearest;
	size_t count = 0;

	for (const struct ek_command *c = ek_commands; c->name != NULL && count < 126; c++) {
		const size_t i = count / 2;

		(void)snprintf(words[i], sizeof words[i], "%.*s", (int)strcspn(c->name, " "), c->name);
		names[count++] = c->name;
		names[count++] = words[i];
	}
	names[count] = NULL;
	nearest = ek_nearest_name(name, names);
	if (nearest != NULL)
		return ek_fail(EK_EUSAGE, "unknown command %s; did you mean %s?", name, nearest);
	return ek_fail(EK_EUSAGE, "unknown command %s; evenkeel help lists the commands", name);
}

/* The first word of several commands, alone. */
static int fail_half(const char *word, size_t length)
{
	struct ek_buffer names = { 0 };
	int rc = 0;

	for (const struct ek_command *c = ek_commands; c->name != NULL; c++)
		if (strncmp(c->name, word, length) == 0 && c->name[length] == ' ')
			EK_TRY(ek_buffer_printf(&names, "%sevenkeel %s", names.size > 0 ? " or " : "", c->name));
	rc = ek_fail(EK_EUSAGE, "%s what? %s", word, names.data);
out:
	ek_buffer_release(&names);
	return rc;
}

int ek_command_of_words(const struct ek_command **command, int *used, const char *const *words, int count)
{
	const size_t length = strlen(words[0]);
	char two[64];

	*used = 1;
	if ((*command = ek_find_command(words[0])) != NULL)
		return 0;
	*used = 2;
	(void)snprintf(two, sizeof two, "%.30s %.30s", words[0], count > 1 ? words[1] : "");
	if ((*command = ek_find_command(two)) != NULL)
		return 0;
	for (const struct ek_command *c = ek_commands; c->name != NULL; c++)
		if (strncmp(c->name, words[0], length) == 0 && c->name[length] == ' ')
			return count > 1 && words[1][0] != '-' ? fail_unknown(two) : fail_half(words[0], length);
	return fail_unknown(words[0]);
}

static int takes_step(const struct ek_command *command, const struct ek_option *rows)
{
	for (const enum ek_step_id *id = command->steps; id != NULL && *id != EK_STEP_END; id++)
		if (ek_step_rows[*id] == rows)
			return 1;
	return 0;
}

int ek_command_tells(const struct ek_command *command, const struct ek_option *rows)
{
	const struct ek_command *first = &ek_commands[1];

	while (first->name != NULL && !takes_step(first, rows))
		first++;
	return command == ek_commands || first->name == NULL || first == command;
}

/* The sections that help of audit tells are named; tables keep those that this command tells. */
static int name_other_steps(struct ek_buffer *out, struct ek_option_table *tables, const struct ek_command *command,
                            int width)
{
	struct ek_buffer text = { 0 };
	struct ek_option_table *told = tables;
	int rc = 0;

	for (const struct ek_option_table *t = tables; t->title != NULL; t++)
		if (ek_command_tells(command, t->rows))
			*told++ = *t;
		else
			EK_TRY(ek_buffer_printf(&text, "%s%s",
			                        text.size > 0 ? ", "
			                                      : "Options of the steps before, which are done again if "
			                                        "that changes them (evenkeel help audit): ",
			                        t->title));
	told->title = NULL;
	if (text.size > 0) {
		EK_TRY(ek_buffer_text(out, "\n"));
		EK_TRY(ek_wrap(out, text.data, 0, 0, width));
		EK_TRY(ek_buffer_text(out, ".\n"));
	}
out:
	ek_buffer_release(&text);
	return rc;
}

int ek_command_help(struct ek_buffer *out, const struct ek_command *command, int width)
{
	struct ek_settings settings;
	struct ek_option_table tables[EK_MAX_TABLES], all[EK_MAX_TABLES];
	const char *paragraph = command->description;
	struct ek_buffer text = { 0 };
	int rc;

	EK_TRY(ek_settings_init(&settings, command));
	ek_command_tables_told(tables, command, &settings);
	memcpy(all, tables, sizeof all);
	EK_TRY(ek_buffer_printf(out, "usage: evenkeel %s%s%s\n\n", command->name, *command->arguments != 0 ? " " : "",
	                        command->arguments));
	EK_TRY(ek_buffer_printf(&text, "%c%s.", command->summary[0] & ~0x20, command->summary + 1));
	EK_TRY(ek_wrap(out, text.data, 0, 0, width));
	EK_TRY(ek_buffer_text(out, "\n"));
	while (*paragraph != 0) {
		const size_t length = strcspn(paragraph, "\n");

		ek_buffer_clear(&text);
		EK_TRY(ek_buffer_append(&text, paragraph, length));
		EK_TRY(ek_buffer_text(out, "\n"));
		EK_TRY(ek_wrap(out, text.data, 0, 0, width));
		EK_TRY(ek_buffer_text(out, "\n"));
		paragraph += length + (paragraph[length] == '\n');
	}
	ek_buffer_clear(&text);
	EK_TRY(name_other_steps(&text, tables, command, width));
	EK_TRY(ek_options_help(out, tables, all, width));
	EK_TRY(ek_buffer_append(out, text.data, text.size));
out:
	ek_settings_release(&settings);
	ek_buffer_release(&text);
	return rc;
}
