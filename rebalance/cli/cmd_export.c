/* `evenkeel export RUN --subset NAME -o DIR`: lay a subset out for a trainer. */
#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/output.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/plans.h"

static const struct ek_choice forms[] = {
	[EK_EXPORT_LINKS] = { "links", "symbolic links to the images" },
	[EK_EXPORT_COPIES] = { "copies", "copies, byte for byte" },
	[EK_EXPORT_TAR] = { "tar", "WebDataset shards" },
	[EK_EXPORT_LIST] = { "list", "DIR/paths.txt, one path a line" },
	[EK_EXPORT_IMAGEFOLDER] = { "imagefolder", "copies in one folder per class" },
	{ NULL, NULL },
};

static const struct ek_option rows[] = {
	{ .name = "subset",
	  EK_STRING(struct ek_do_export_options, plan.subset, "NAME"),
	  .help = "the subset, as in RUN/subsets/NAME" },
	{ .name = "output",
	  .letter = 'o',
	  EK_STRING(struct ek_do_export_options, plan.output, "DIR"),
	  .help = "the directory to make; one that is there is replaced only if it is an export of this run, "
	          "and with --force" },
	{ .name = "as",
	  EK_CHOICE(struct ek_do_export_options, plan.form, "FORM", forms),
	  .help = "what to make of it" },
	{ .name = "by",
	  EK_STRING(struct ek_do_export_options, plan.by, "WHAT"),
	  .needs = "as=imagefolder as=tar",
	  .help = "the class of an image (imagefolder, tar): cluster, label, an attribute, or several joined by "
	          "\"*\"; without it the cluster for imagefolder, the label for tar" },
	{ .name = "link",
	  EK_FLAG(struct ek_do_export_options, plan.links),
	  .needs = "as=imagefolder",
	  .help = "imagefolder: symbolic links instead of copies" },
	{ .name = "shard-size",
	  EK_STRING(struct ek_do_export_options, shard_size, "SIZE"),
	  .needs = "as=tar",
	  .help = "tar: no shard is larger, as 500MB (B, kB, MB, GB, KiB, MiB, GiB), or has more images, as "
	          "10000images" },
	{ .name = "null",
	  .letter = '0',
	  EK_FLAG(struct ek_do_export_options, plan.null_separated),
	  .needs = "as=list",
	  .help = "list: a NUL behind each path instead of a newline, for names with newlines" },
	{ .name = "weights",
	  EK_STRING(struct ek_do_export_options, plan.weights, "NAME"),
	  .needs = "as=links as=copies as=tar as=imagefolder",
	  .help = "put the weights of RUN/weights/NAME into the metadata" },
	{ .name = "verify",
	  EK_FLAG(struct ek_do_export_options, plan.verify),
	  .help = "links and list: compare the SHA-256 of every image with the scan's, not only its size; the "
	          "other forms always do" },
	{ .name = "keep-going",
	  EK_FLAG(struct ek_do_export_options, plan.keep_going),
	  .help = "export what there is although images are missing or have changed; the exit code stays 3" },
	{ .name = NULL },
};
static const struct ek_do_export_options defaults = EK_DO_EXPORT_DEFAULT;
const struct ek_own ek_export_own = EK_OWN(defaults, rows);

static int print_json(const struct ek_export_result *r, const struct ek_export_options *o)
{
	cJSON *out = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_string(out, "output", o->output));
	EK_TRY(ek_json_add_string(out, "as", forms[o->form].name));
	EK_TRY(ek_json_add_u64(out, "images", r->images));
	EK_TRY(ek_json_add_u64(out, "missing", r->missing));
	EK_TRY(ek_json_add_u64(out, "bytes", r->bytes));
	EK_TRY(ek_json_add_u64(out, "shards", r->shards));
	EK_TRY(ek_print_json(out));
out:
	cJSON_Delete(out);
	return rc;
}

static void print_table(const struct ek_export_result *r, const struct ek_export_options *o)
{
	char count[32], size[32], shards[32];

	(void)printf("%s image%s in %s", ek_text_count(count, r->images), ek_text_s(r->images), o->output);
	if (r->shards > 0)
		(void)printf(", %s shard%s", ek_text_count(shards, r->shards), r->shards > 1 ? "s" : "");
	if (r->bytes > 0)
		(void)printf(", %s", ek_text_bytes(size, r->bytes));
	(void)printf("\n");
}

static int export(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_do_export_options *o = i->settings.own;
	struct ek_export_result result;
	int rc = 0, exported;

	o->plan.force = i->settings.steps.force;
	exported = ek_do_export(&result, run, o);
	/* With images missing the others are there if that was asked for. */
	if (exported == 0 || (exported == EK_EDATA && o->plan.keep_going && result.images > 0)) {
		if (i->settings.common.json)
			EK_TRY(print_json(&result, &o->plan));
		else
			print_table(&result, &o->plan);
	}
	rc = exported;
out:
	return rc;
}

int ek_cmd_export(struct ek_invocation *i)
{
	const struct ek_do_export_options *o = i->settings.own;

	if (o->plan.subset == NULL || o->plan.output == NULL)
		return ek_fail(EK_EUSAGE, "export needs a subset and a directory: evenkeel export RUN --subset NAME -o "
		                          "DIR");
	return ek_command_on_run(i, EK_RUN_READ, export);
}
