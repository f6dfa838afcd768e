/* `evenkeel export RUN --subset NAME -o DIR`: lay a subset out for a trainer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/text.h"
#include "rebalance/plan/export.h"

static const struct ek_choice forms[] = {
	[EK_EXPORT_LINKS] = { "links", "symbolic links to the images" },
	[EK_EXPORT_COPIES] = { "copies", "copies, byte for byte" },
	[EK_EXPORT_TAR] = { "tar", "WebDataset shards" },
	[EK_EXPORT_LIST] = { "list", "DIR/paths.txt, one path a line" },
	[EK_EXPORT_IMAGEFOLDER] = { "imagefolder", "copies in one folder per class" },
	{ NULL, NULL },
};

/* Options that mean something for some forms only. */
static const struct {
	const char *name;
	unsigned forms; /* bits */
	const char *needs;
} only_for[] = {
	{ "by", 1u << EK_EXPORT_IMAGEFOLDER | 1u << EK_EXPORT_TAR, "imagefolder or tar" },
	{ "shard-size", 1u << EK_EXPORT_TAR, "tar" },
	{ "link", 1u << EK_EXPORT_IMAGEFOLDER, "imagefolder" },
	{ "null", 1u << EK_EXPORT_LIST, "list" },
	{ "weights", ~(1u << EK_EXPORT_LIST), "links, copies, tar or imagefolder" },
};

void ek_export_own_options(struct ek_settings *s)
{
	const struct ek_option options[] = {
		{ .name = "subset",
		  .kind = EK_KIND_STRING,
		  .target = &s->export.subset,
		  .argument = "NAME",
		  .help = "the subset, as in RUN/subsets/NAME" },
		{ .name = "output",
		  .letter = 'o',
		  .kind = EK_KIND_STRING,
		  .target = &s->export.output,
		  .argument = "DIR",
		  .help = "the directory to make; one that is there is replaced only if it is an export of this run, "
		          "and with --force" },
		{ .name = "as",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->export.form,
		  .argument = "FORM",
		  .choices = forms,
		  .help = "what to make of it" },
		{ .name = "by",
		  .kind = EK_KIND_STRING,
		  .target = &s->export.by,
		  .argument = "WHAT",
		  .help = "the class of an image (imagefolder, tar): cluster, label, an attribute, or several joined "
		          "by "
		          "\"*\"; without it the cluster for imagefolder, the label for tar" },
		{ .name = "link",
		  .kind = EK_KIND_FLAG,
		  .target = &s->export.links,
		  .help = "imagefolder: symbolic links instead of copies" },
		{ .name = "shard-size",
		  .kind = EK_KIND_STRING,
		  .target = &s->export.shard_size,
		  .argument = "SIZE",
		  .help = "tar: no shard is larger, as 500MB (B, kB, MB, GB, KiB, MiB, GiB), or has more images, as "
		          "10000images" },
		{ .name = "null",
		  .letter = '0',
		  .kind = EK_KIND_FLAG,
		  .target = &s->export.null_separated,
		  .help = "list: a NUL behind each path instead of a newline, for names with newlines" },
		{ .name = "weights",
		  .kind = EK_KIND_STRING,
		  .target = &s->export.weights,
		  .argument = "NAME",
		  .help = "put the weights of RUN/weights/NAME into the metadata" },
		{ .name = "verify",
		  .kind = EK_KIND_FLAG,
		  .target = &s->export.verify,
		  .help = "links and list: compare the SHA-256 of every image with the scan's, not only its size; the "
		          "other forms always do" },
		{ .name = "keep-going",
		  .kind = EK_KIND_FLAG,
		  .target = &s->export.keep_going,
		  .help = "export what there is although images are missing or have changed; the exit code stays 3" },
		{ .name = NULL },
	};

	memset(&s->export, 0, sizeof s->export);
	s->export.shard_size = "1GB";
	ek_settings_fill(s->own_options, options);
}

/* "500MB", "10000images". */
static int parse_shard_size(struct ek_export_options *o, const char *text)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = { { "", 1 },           { "B", 1 },           { "kB", 1000 },
		      { "MB", 1000000 },   { "GB", 1000000000 }, { "KiB", 1u << 10 },
		      { "MiB", 1u << 20 }, { "GiB", 1u << 30 } };
	const size_t digits = strspn(text, "0123456789");
	const uint64_t number = digits > 0 && digits <= 9 ? strtoull(text, NULL, 10) : 0;
	const char *unit = text + digits;

	if (number > 0 && strcmp(unit, "images") == 0) {
		o->shard_images = number;
		o->shard_bytes = UINT64_MAX;
		return 0;
	}
	for (size_t i = 0; number > 0 && i < sizeof units / sizeof *units; i++)
		if (strcmp(unit, units[i].name) == 0) {
			o->shard_bytes = number * units[i].factor;
			return 0;
		}
	return ek_fail(EK_EUSAGE, "--shard-size is \"%s\", not a size as 500MB or a number as 10000images", text);
}

static int set_options(struct ek_export_options *o, const struct ek_settings *s)
{
	*o = (struct ek_export_options){ .subset = s->export.subset,
		                         .output = s->export.output,
		                         .form = (enum ek_export_form)s->export.form,
		                         .by = s->export.by,
		                         .weights = s->export.weights,
		                         .links = s->export.links,
		                         .null_separated = s->export.null_separated,
		                         .verify = s->export.verify,
		                         .keep_going = s->export.keep_going,
		                         .force = s->common.force };
	if (o->subset == NULL || o->output == NULL)
		return ek_fail(EK_EUSAGE, "export needs a subset and a directory: evenkeel export RUN --subset NAME -o "
		                          "DIR");
	for (size_t i = 0; i < sizeof only_for / sizeof *only_for; i++)
		for (const struct ek_option *option = s->own_options; option->name != NULL; option++)
			if (option->given && strcmp(option->name, only_for[i].name) == 0 &&
			    (only_for[i].forms >> o->form & 1) == 0)
				return ek_fail(EK_EUSAGE, "--%s needs --as %s, not %s", option->name, only_for[i].needs,
				               forms[o->form].name);
	return parse_shard_size(o, s->export.shard_size);
}

static int print_json(const struct ek_export_result *r, const struct ek_export_options *o)
{
	cJSON *out = cJSON_CreateObject();
	int rc = out != NULL ? 0 : ek_fail(EK_ENOMEM, "no memory for JSON");

	EK_TRY(rc);
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

	(void)printf("%s images in %s", ek_text_count(count, r->images), o->output);
	if (r->shards > 0)
		(void)printf(", %s shard%s", ek_text_count(shards, r->shards), r->shards > 1 ? "s" : "");
	if (r->bytes > 0)
		(void)printf(", %s", ek_text_bytes(size, r->bytes));
	(void)printf("\n");
}

int ek_cmd_export(struct ek_invocation *i)
{
	struct ek_export_result result = { 0 };
	struct ek_export_options options;
	struct ek_run *run = NULL;
	int rc, exported;

	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE, "export takes one run directory, not %d words; see evenkeel help export",
		               i->arguments.count);
	EK_TRY(set_options(&options, &i->settings));
	EK_TRY(ek_run_open(&run, i->arguments.positional[0], EK_RUN_READ));
	exported = ek_export(&result, run, &options);
	/* With images missing the others may be there. */
	if (exported == 0 || result.images > 0) {
		if (i->settings.common.json)
			EK_TRY(print_json(&result, &options));
		else
			print_table(&result, &options);
	}
	rc = exported;
out:
	ek_run_close(run);
	return rc;
}
