/* What all reviewers decided, as JSON. */
#include <inttypes.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/json.h"
#include "reports/review_page.h"

static int write_outcomes(struct ek_buffer *out, const uint64_t counts[EK_REVIEW_OUTCOMES])
{
	int rc = 0;

	for (int o = 0; o < EK_REVIEW_OUTCOMES; o++)
		EK_TRY(ek_buffer_printf(out, ", \"%s\": %" PRIu64, ek_review_outcome_name((enum ek_review_outcome)o),
		                        counts[o]));
out:
	return rc;
}

/* Reviewers with a decision that stands. */
static int write_reviewers(struct ek_buffer *out, const struct ek_review_log *log)
{
	const char *between = "";
	int rc;

	EK_TRY(ek_buffer_text(out, ", \"reviewers\": ["));
	for (uint32_t i = 0; i < log->reviewer_count; i++) {
		uint64_t counts[EK_VERDICTS];

		ek_review_log_tally(counts, log, i);
		if (counts[0] + counts[1] + counts[2] == 0)
			continue;
		EK_TRY(ek_buffer_printf(out, "%s{\"reviewer\": ", between));
		EK_TRY(ek_json_append_string(out, log->reviewers[i], strlen(log->reviewers[i])));
		for (int v = 0; v < EK_VERDICTS; v++)
			EK_TRY(ek_buffer_printf(out, ", \"%s\": %" PRIu64, ek_verdict_name((enum ek_verdict)v),
			                        counts[v]));
		EK_TRY(ek_buffer_text(out, "}"));
		between = ", ";
	}
	EK_TRY(ek_buffer_text(out, "]"));
out:
	return rc;
}

static int write_pair(struct ek_buffer *out, const struct ek_review_log *log, uint32_t a, uint32_t b,
                      const struct ek_review_agreement *agreement)
{
	int rc;

	EK_TRY(ek_buffer_text(out, "{\"reviewers\": ["));
	EK_TRY(ek_json_append_string(out, log->reviewers[a], strlen(log->reviewers[a])));
	EK_TRY(ek_buffer_text(out, ", "));
	EK_TRY(ek_json_append_string(out, log->reviewers[b], strlen(log->reviewers[b])));
	EK_TRY(ek_buffer_printf(out, "], \"both\": %" PRIu64 ", \"observed\": ", agreement->both));
	EK_TRY(ek_json_append_double(out, agreement->observed));
	EK_TRY(ek_buffer_text(out, ", \"kappa\": "));
	EK_TRY(ek_json_append_double(out, agreement->kappa));
	EK_TRY(ek_buffer_text(out, ", \"table\": ["));
	for (int v = 0; v < EK_VERDICTS; v++)
		EK_TRY(ek_buffer_printf(out, "%s[%" PRIu64 ", %" PRIu64 ", %" PRIu64 "]", v > 0 ? ", " : "",
		                        agreement->table[v][0], agreement->table[v][1], agreement->table[v][2]));
	EK_TRY(ek_buffer_text(out, "]}"));
out:
	return rc;
}

static int write_agreement(struct ek_buffer *out, const struct ek_review_log *log)
{
	const char *between = "";
	int rc;

	EK_TRY(ek_buffer_text(out, ", \"agreement\": ["));
	for (uint32_t a = 0; a < log->reviewer_count; a++)
		for (uint32_t b = a + 1; b < log->reviewer_count; b++) {
			struct ek_review_agreement agreement;

			ek_review_log_agreement(&agreement, log, a, b);
			if (agreement.both == 0)
				continue;
			EK_TRY(ek_buffer_text(out, between));
			EK_TRY(write_pair(out, log, a, b, &agreement));
			between = ", ";
		}
	EK_TRY(ek_buffer_text(out, "]"));
out:
	return rc;
}

/* Clusters that have samples, in the order of the queue. */
static int write_clusters(struct ek_buffer *out, const struct ek_review *review, const struct ek_review_log *log)
{
	int rc;

	EK_TRY(ek_buffer_text(out, ", \"clusters\": ["));
	for (uint64_t i = 0; i < review->count;) {
		const int32_t cluster = review->cluster[review->queue[i]];
		const struct ek_review_cluster *facts = &review->clusters[cluster];
		uint64_t counts[EK_REVIEW_OUTCOMES] = { 0 };

		EK_TRY(ek_buffer_printf(out, "%s{\"cluster\": %" PRId32 ", \"size\": %" PRIu64 ", \"share\": ",
		                        i > 0 ? ", " : "", cluster, facts->size));
		EK_TRY(ek_json_append_double(out, facts->share));
		EK_TRY(ek_buffer_printf(out, ", \"tail\": %s, \"samples\": %" PRIu64, facts->is_tail ? "true" : "false",
		                        facts->images));
		for (; i < review->count && review->cluster[review->queue[i]] == cluster; i++)
			counts[ek_review_log_outcome(log, review->queue[i])]++;
		EK_TRY(write_outcomes(out, counts));
		EK_TRY(ek_buffer_text(out, "}"));
	}
	EK_TRY(ek_buffer_text(out, "]"));
out:
	return rc;
}

int ek_review_summary(struct ek_buffer *out, const struct ek_review *review, const struct ek_review_log *log)
{
	uint64_t counts[EK_REVIEW_OUTCOMES];
	int rc;

	ek_review_log_outcomes(counts, log, review->count);
	EK_TRY(ek_buffer_printf(out, "{\"samples\": %" PRIu64, review->count));
	EK_TRY(write_outcomes(out, counts));
	EK_TRY(write_reviewers(out, log));
	EK_TRY(write_agreement(out, log));
	EK_TRY(write_clusters(out, review, log));
	EK_TRY(ek_buffer_text(out, "}\n"));
out:
	return rc;
}
