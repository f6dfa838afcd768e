/* What all reviewers decided, as JSON. */
#include <inttypes.h>
#include <stdlib.h>
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

/* The members of a cluster or a label, but for how many images of the review it has. */
static int write_unit(struct ek_buffer *out, const struct ek_review *review, int32_t unit)
{
	const struct ek_review_label *label = review->labels != NULL ? &review->labels->names[unit] : NULL;
	const struct ek_review_cluster *cluster = label == NULL ? &review->clusters[unit] : NULL;
	int rc;

	if (label != NULL) {
		EK_TRY(ek_buffer_text(out, "{\"label\": "));
		EK_TRY(ek_json_append_string(out, label->name, strlen(label->name)));
		return ek_buffer_printf(out, ", \"size\": %" PRIu64 ", \"samples\": %" PRIu64, label->images,
		                        label->doubted);
	}
	EK_TRY(ek_buffer_printf(out, "{\"cluster\": %" PRId32 ", \"size\": %" PRIu64 ", \"share\": ", unit,
	                        cluster->size));
	EK_TRY(ek_json_append_double(out, cluster->share));
	EK_TRY(ek_buffer_printf(out, ", \"tail\": %s, \"samples\": %" PRIu64, cluster->is_tail ? "true" : "false",
	                        cluster->images));
out:
	return rc;
}

/* Clusters or labels that have images here, in the order in which the queue comes to them. */
static int write_units(struct ek_buffer *out, const struct ek_review *review, const struct ek_review_log *log)
{
	const size_t units = review->labels != NULL ? review->labels->name_count : review->cluster_count;
	uint64_t(*counts)[EK_REVIEW_OUTCOMES] = NULL;
	unsigned char *told = NULL;
	const char *between = "";
	int rc;

	EK_TRY(ek_alloc(&counts, units, sizeof *counts));
	EK_TRY(ek_alloc(&told, units, 1));
	for (uint64_t i = 0; i < review->count; i++)
		counts[ek_review_unit(review, i)][ek_review_log_outcome(log, review->queue[i])]++;
	EK_TRY(ek_buffer_text(out, review->labels != NULL ? ", \"labels\": [" : ", \"clusters\": ["));
	for (uint64_t i = 0; i < review->count; i++) {
		const int32_t unit = ek_review_unit(review, i);

		if (told[unit])
			continue;
		told[unit] = 1;
		EK_TRY(ek_buffer_text(out, between));
		EK_TRY(write_unit(out, review, unit));
		EK_TRY(write_outcomes(out, counts[unit]));
		EK_TRY(ek_buffer_text(out, "}"));
		between = ", ";
	}
	EK_TRY(ek_buffer_text(out, "]"));
out:
	free(counts);
	free(told);
	return rc;
}

int ek_review_summary(struct ek_buffer *out, const struct ek_review *review, const struct ek_review_log *log)
{
	uint64_t counts[EK_REVIEW_OUTCOMES];
	int rc;

	ek_review_outcomes(counts, review, log);
	EK_TRY(ek_buffer_printf(out, "{\"samples\": %" PRIu64, review->count));
	EK_TRY(write_outcomes(out, counts));
	EK_TRY(write_reviewers(out, log));
	EK_TRY(write_agreement(out, log));
	EK_TRY(write_units(out, review, log));
	EK_TRY(ek_buffer_text(out, "}\n"));
out:
	return rc;
}
