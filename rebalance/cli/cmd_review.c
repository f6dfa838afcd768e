/* `evenkeel review RUN`: people judge generated images on a page of this machine. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/cli/command.h"
#include "rebalance/pipeline/review_export.h"
#include "rebalance/pipeline/samples_compare.h"
#include "rebalance/base/text.h"
#include "reports/review_page.h"

struct wish {
	const char *samples, *name, *reviewer, *export;
	int64_t port;
	int summary;
};

static const struct ek_option rows[] = {
	{ .name = "samples",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct wish, samples),
	  .argument = "NAME",
	  .help = "the generated images, as in RUN/samples/NAME" },
	{ .name = "port",
	  .kind = EK_KIND_INTEGER,
	  EK_FIELD(struct wish, port),
	  .argument = "P",
	  .zero = "any",
	  .low = 1,
	  .high = 65535,
	  .help = "the port of the page on 127.0.0.1" },
	{ .name = "reviewer",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct wish, reviewer),
	  .argument = "NAME",
	  .help = "who reviews; without it the page asks" },
	{ .name = "name",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct wish, name),
	  .argument = "NAME",
	  .help = "the decisions go to RUN/reviews/NAME.jsonl; without it, the name of the samples" },
	{ .name = "summary",
	  .kind = EK_KIND_FLAG,
	  EK_FIELD(struct wish, summary),
	  .help = "no page: say what has been decided, and how far reviewers agree" },
	{ .name = "export",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct wish, export),
	  .argument = "DIR",
	  .help = "no page: write the accepted images and their metadata.jsonl into a new directory; an earlier "
	          "export of this run is replaced with --force" },
	{ .name = NULL },
};

static const struct wish defaults;
const struct ek_own ek_review_own = EK_OWN(defaults, rows);

static void print_reviewers(const struct ek_review_log *log)
{
	for (uint32_t i = 0; i < log->reviewer_count; i++) {
		uint64_t counts[EK_VERDICTS];

		ek_review_log_tally(counts, log, i);
		if (counts[0] + counts[1] + counts[2] > 0)
			(void)printf("  %-20s %" PRIu64 " accepted, %" PRIu64 " rejected, %" PRIu64 " unsure\n",
			             log->reviewers[i], counts[EK_VERDICT_ACCEPT], counts[EK_VERDICT_REJECT],
			             counts[EK_VERDICT_UNSURE]);
	}
	for (uint32_t a = 0; a < log->reviewer_count; a++)
		for (uint32_t b = a + 1; b < log->reviewer_count; b++) {
			struct ek_review_agreement agreement;
			char same[32];

			ek_review_log_agreement(&agreement, log, a, b);
			if (agreement.both == 0)
				continue;
			(void)printf("  %s and %s: %" PRIu64 " judged by both, the same on %s", log->reviewers[a],
			             log->reviewers[b], agreement.both, ek_text_percent(same, agreement.observed));
			if (isnan(agreement.kappa))
				(void)printf(", kappa not defined\n");
			else
				(void)printf(", kappa %.2f\n", agreement.kappa);
		}
}

static int print_summary(const struct ek_review *review, const struct ek_review_log *log, int json)
{
	struct ek_buffer text = { 0 };
	uint64_t counts[EK_REVIEW_OUTCOMES];
	char all[32], judged[32];
	int rc = 0;

	if (json) {
		EK_TRY(ek_review_summary(&text, review, log));
		(void)fputs(text.data, stdout);
		goto out;
	}
	ek_review_log_outcomes(counts, log, review->count);
	(void)printf("%s of %s images judged: %" PRIu64 " accepted, %" PRIu64 " rejected, %" PRIu64
	             " disputed, %" PRIu64 " unsure\n",
	             ek_text_count(judged, review->count - counts[EK_REVIEW_OPEN]), ek_text_count(all, review->count),
	             counts[EK_REVIEW_ACCEPTED], counts[EK_REVIEW_REJECTED], counts[EK_REVIEW_DISPUTED],
	             counts[EK_REVIEW_UNSURE]);
	print_reviewers(log);
out:
	ek_buffer_release(&text);
	return rc;
}

static int announce(const struct ek_server *server, const struct ek_review_file *file, uint64_t images, int json)
{
	struct ek_buffer text = { 0 };
	int rc = 0;

	if (json) {
		EK_TRY(ek_buffer_printf(&text, "{\"url\": \"%s\", \"port\": %u, \"images\": %" PRIu64 ", \"file\": ",
		                        ek_server_url(server), ek_server_port(server), images));
		EK_TRY(ek_json_append_string(&text, file->journal.path, strlen(file->journal.path)));
		(void)printf("%s}\n", text.data);
	} else {
		(void)printf("%s\n", ek_server_url(server));
	}
	/* Whoever waits for the address gets it now. */
	if (fflush(stdout) != 0)
		rc = ek_fail_errno("cannot write the address");
	ek_info("open this address in a browser on this machine; %s ends it. Every decision is saved as it is made.",
	        isatty(STDIN_FILENO) ? "Ctrl-C" : "SIGINT");
out:
	ek_buffer_release(&text);
	return rc;
}

static int serve(struct ek_review *review, const char *name, const struct wish *wanted, int json)
{
	struct ek_review_file file = { .journal = EK_JOURNAL_NONE };
	struct ek_review_page page = { .review = review, .file = &file, .reviewer = wanted->reviewer };
	struct ek_server_options options = { .port = (uint16_t)wanted->port,
		                             .routes = ek_review_routes,
		                             .context = &page };
	struct ek_server *server = NULL;
	uint64_t counts[EK_REVIEW_OUTCOMES];
	uint32_t reviewer;
	int rc;

	EK_TRY(ek_review_file_open(&file, review->run, name));
	EK_TRY(ek_review_void_stale(&file.log, review));
	if (wanted->reviewer != NULL)
		EK_TRY(ek_review_log_reviewer(&reviewer, &file.log, wanted->reviewer));
	EK_TRY(ek_server_open(&server, &options));
	EK_TRY(announce(server, &file, review->count, json));
	EK_TRY(ek_server_run(server));
	ek_review_log_outcomes(counts, &file.log, review->count);
	ek_info("%" PRIu64 " of %" PRIu64 " images judged; the decisions are in %s",
	        review->count - counts[EK_REVIEW_OPEN], review->count, file.journal.path);
out:
	ek_server_close(server);
	ek_review_file_release(&file);
	return rc;
}

/* Without the page the file is only read, whoever else has it. */
static int look(const struct ek_review *review, const char *name, const struct ek_settings *settings)
{
	const struct wish *wanted = settings->own;
	struct ek_review_log log = { 0 };
	uint64_t images;
	char count[32];
	char *path = NULL;
	int rc;

	EK_TRY(ek_review_file_path(&path, review->run, name));
	EK_TRY(ek_review_log_load(&log, path));
	EK_TRY(ek_review_void_stale(&log, review));
	if (wanted->export != NULL) {
		EK_TRY(ek_review_export(&images, review, &log, name, wanted->export, settings->steps.force));
		ek_info("%s accepted image%s in %s", ek_text_count(count, images), images == 1 ? "" : "s",
		        wanted->export);
	}
	EK_TRY(print_summary(review, &log, settings->common.json));
out:
	ek_review_log_release(&log);
	free(path);
	return rc;
}

/* Are the files there that ek_samples_compare makes? */
static int has_comparison(const char *run, const char *samples)
{
	static const char *const files[] = { "assignment", "neighbours", "neighbour_distances", "copied" };
	struct ek_buffer path = { 0 };
	int has = 1;

	for (size_t i = 0; i < sizeof files / sizeof *files && has; i++) {
		ek_buffer_clear(&path);
		has = ek_buffer_printf(&path, "%s/samples/%s/%s.npy", run, samples, files[i]) == 0 &&
		      ek_file_exists(path.data);
	}
	ek_buffer_release(&path);
	return has;
}

/* Bring up to date what stands beside the images. A run that another command works in, or that cannot be written, is
 * reviewed by the files it has. */
static int compare(const char *path, const char *samples)
{
	struct ek_run *run = NULL;
	int rc = ek_run_open(&run, path, EK_RUN_WRITE);

	if (rc < 0 && has_comparison(path, samples)) {
		ek_info("%s; the nearest real images are taken as they were found before", ek_error_message());
		return 0;
	}
	EK_TRY(rc);
	EK_TRY(ek_samples_compare(run, samples, 0));
out:
	ek_run_close(run);
	return rc;
}

int ek_cmd_review(struct ek_invocation *i)
{
	const struct wish *wanted = i->settings.own;
	struct ek_review review = { .held = -1 };
	struct ek_run *run = NULL;
	const char *name;
	int rc;

	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE, "review takes one run directory, not %d words; see evenkeel help review",
		               i->arguments.count);
	if (wanted->samples == NULL)
		return ek_fail(EK_EUSAGE, "review needs --samples NAME; see evenkeel help review");
	name = wanted->name != NULL ? wanted->name : wanted->samples;
	EK_TRY(compare(i->arguments.positional[0], wanted->samples));
	EK_TRY(ek_run_open(&run, i->arguments.positional[0], EK_RUN_READ));
	EK_TRY(ek_review_open(&review, run, wanted->samples));
	if (wanted->summary || wanted->export != NULL)
		rc = look(&review, name, &i->settings);
	else
		rc = serve(&review, name, wanted, i->settings.common.json);
out:
	ek_review_release(&review);
	ek_run_close(run);
	return rc;
}
